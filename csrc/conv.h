/* What convolutions need beside the matrix product (gemm.h). */
#ifndef FASTNN_CONV_H
#define FASTNN_CONV_H

#include "fastnn.h"
#include "gemm.h"   /* fnn_runs */

struct fnn_conv_ops {
    /* sum[j] += from[0,j] + from[1,j] + ..., in this order */
    void (*add_rows)(float *sum, const float *from, int64_t pitch, int64_t rows, int64_t columns);
    /* y[p,c] = sum over r of x[runs.a[r] + (p,c)] * w[runs.b[r] + c], in their order;  + bias[c], NULL: none.
     * Pixels are xs and ys floats apart. */
    void (*depthwise)(float *y, int64_t ys, const float *x, int64_t xs, const float *w, const fnn_runs *runs,
                      int64_t pixels, int64_t channels, const float *bias);
    /* dw[runs.b[r] + c] += x[runs.a[r] + (p,c)] * dz[p,c] over p, in their order, for each r */
    void (*depthwise_weight)(float *dw, const float *x, int64_t xs, const float *dz, int64_t zs, const fnn_runs *runs,
                             int64_t pixels, int64_t channels);
    /* to[i * times + k] = from[i] for all k < times */
    void (*repeat)(float *to, const float *from, int64_t n, int64_t times);
    /* to[i] = from[i * times] + from[i * times + 1] + ..., in this order */
    void (*fold)(float *to, const float *from, int64_t n, int64_t times);
    /* The gradient of a 3 x 3 window by tiles of 2 x 2 outputs (winograd_grad.inc). Of n tiles along a row, which begin
     * at the pixel (h, w), these go to v[p * point + k * pitch + c], p the point and k the tile: the transforms of the
     * patches of x[H,W,C]; those of dy[OH,OW,F], of the first `filters` of F. */
    void (*winograd_grad_patches)(float *v, int64_t pitch, int64_t point, const float *x, int64_t H, int64_t W,
                                  int64_t C, int64_t h, int64_t w, int64_t n);
    void (*winograd_grad_squares)(float *v, int64_t pitch, int64_t point, const float *dy, int64_t OH, int64_t OW,
                                  int64_t F, int64_t filters, int64_t h, int64_t w, int64_t n);
    /* dw[t * tap + c * row + f] = the tap t of what the sums u[p * point + c * pitch + f] are the points of */
    void (*winograd_grad_window)(float *dw, int64_t tap, int64_t row, const float *u, int64_t point, int64_t pitch,
                                 int64_t channels, int64_t filters);
};

#endif
