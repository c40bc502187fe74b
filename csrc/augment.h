/* Augmentation: rows of pictures that look at images through an affine map, and samples mixed. */
#ifndef FASTNN_AUGMENT_H
#define FASTNN_AUGMENT_H

#include "fastnn.h"

/* In the order of MODES in fastnn/kernels/augment.py. */
enum fnn_fill { FNN_FILL_CONSTANT, FNN_FILL_NEAREST, FNN_FILL_REFLECT, FNN_FILL_WRAP };

struct fnn_augment_ops {
    /* y[0..width) C <- row i of the picture of x (H, W, C) through the matrix m (6) */
    void (*sample_row)(float *y, const float *x, const float *m, int64_t H, int64_t W, int64_t C, int64_t width,
                       int64_t i, int mode, int bilinear, float value);
    /* y = weight a + rest b, without fused operations */
    void (*mix)(float *y, const float *a, const float *b, int64_t n, float weight, float rest);
};

#endif
