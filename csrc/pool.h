/* Pooling: windows over images (H, W, C), and the gradients of pixels. */
#ifndef FASTNN_POOL_H
#define FASTNN_POOL_H

#include "fastnn.h"

/* Images of H x W pixels of C channels; OH x OW windows of PH x PW pixels, of which number (i, j) starts
 * at pixel (i SH - top, j SW - left). Pixels that do not exist count for nothing. */
typedef struct fnn_windows {
    int64_t H, W, C, OH, OW, PH, PW, SH, SW, top, left;
} fnn_windows;

struct fnn_pool_ops {
    /* y[0..count) C <- the windows (i, j), (i, j + 1) ... of the image x; place: the number in the window
     * of the first of the largest, one byte each, four if `wide`. NaN is larger than all else */
    void (*max_windows)(float *y, void *place, int wide, const float *x, const fnn_windows *p, int64_t i, int64_t j,
                        int64_t count);
    /* the same windows' sums, or means */
    void (*average_windows)(float *y, const float *x, const fnn_windows *p, int64_t i, int64_t j, int64_t count, int mean);
    /* dx[0..count) C <- the gradients of the pixels (h, w), (h, w + 1) ...: the sums, by windows in their
     * order, of dy where it is the window's place. dy and place are those of the whole image */
    void (*max_pixels)(float *dx, const float *dy, const void *place, int wide, const fnn_windows *p, int64_t h,
                       int64_t w, int64_t count);
    /* the same from windows' sums, or means */
    void (*average_pixels)(float *dx, const float *dy, const fnn_windows *p, int64_t h, int64_t w, int64_t count,
                           int mean);
    /* y[0..n) <- sum over k < K of weight[k] x[index[k] n + i], without those of weight 0 and those that
     * do not point at one of `rows` rows */
    void (*mix)(float *y, const float *x, const int32_t *index, const float *weight, int64_t K, int64_t rows,
                int64_t n);
};

#endif
