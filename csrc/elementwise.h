/* Innermost loops over floats: activations, arithmetic, rows (softmax, sums).
 *
 * Unless it says otherwise a function overwrites y[0..n) and reads as many elements of each input, y
 * may be one of the inputs itself (but not overlap it in another way), and n may be 0. */
#ifndef FASTNN_ELEMENTWISE_H
#define FASTNN_ELEMENTWISE_H

#include "fastnn.h"

/* In the order of KINDS in fastnn/kernels/activation.py. */
enum fnn_activation {
    FNN_LINEAR, FNN_RELU, FNN_SIGMOID, FNN_TANH, FNN_ELU, FNN_SELU, FNN_LEAKY_RELU, FNN_RELU6, FNN_CELU,
    FNN_HARD_SIGMOID, FNN_HARD_TANH, FNN_HARD_SHRINK, FNN_SOFT_SHRINK, FNN_LOG_SIGMOID, FNN_SPARSE_PLUS,
    FNN_SPARSE_SIGMOID, FNN_SQUAREPLUS, FNN_EXPONENTIAL,   /* so far their derivatives come from y, the rest's from x */
    FNN_GELU, FNN_GELU_TANH, FNN_SILU, FNN_SOFTPLUS, FNN_SOFTSIGN, FNN_MISH, FNN_HARD_SILU, FNN_TANH_SHRINK
};

enum fnn_unary {
    FNN_NEGATIVE, FNN_EXP, FNN_LOG, FNN_SQRT, FNN_SQUARE, FNN_ABSOLUTE, FNN_SIGN, FNN_RECIPROCAL, FNN_LOG1P,
    FNN_EXPM1, FNN_ERF
};

enum fnn_binary {
    FNN_ADD, FNN_SUBTRACT, FNN_MULTIPLY, FNN_DIVIDE, FNN_MAXIMUM, FNN_MINIMUM, FNN_POWER, FNN_GREATER
};

struct fnn_elementwise_ops {
    /* y = f(x); alpha: the number of the kinds that have one (KINDS say which) */
    void (*activation)(int kind, float *y, const float *x, int64_t n, float alpha);
    /* dx = dy f'(x), from the output y for the kinds in FROM_OUTPUT, else from x; the other is not read */
    void (*activation_grad)(int kind, float *dx, const float *dy, const float *x, const float *y, int64_t n,
                            float alpha);

    /* y = x > threshold ? min(x, top) : slope (x - threshold) + value */
    void (*ramp)(float *y, const float *x, int64_t n, float threshold, float slope, float top, float value);
    /* dx = dy times 1, beyond top 0, up to the threshold slope; times 0 is 0 whatever dy is */
    void (*ramp_grad)(float *dx, const float *dy, const float *x, int64_t n, float threshold, float slope, float top);
    /* y = x > 0 ? x : alpha x, alpha (n) */
    void (*prelu)(float *y, const float *x, const float *alpha, int64_t n);
    /* dx = dy times 1 or alpha, dz = dy min(x, 0), which is the gradient of alpha before it is summed over rows */
    void (*prelu_grad)(float *dx, float *dz, const float *dy, const float *x, const float *alpha, int64_t n);
    /* y = a sigmoid(b); da, db: the gradients, apart from each other and from the inputs */
    void (*glu)(float *y, const float *a, const float *b, int64_t n);
    void (*glu_grad)(float *da, float *db, const float *dy, const float *a, const float *b, int64_t n);

    /* one row each; sums in 16 lanes, so n alone decides their order */
    void (*softmax)(float *y, const float *x, int64_t n);
    void (*softmax_grad)(float *dx, const float *dy, const float *y, int64_t n);
    void (*log_softmax)(float *y, const float *x, int64_t n);
    void (*log_softmax_grad)(float *dx, const float *dy, const float *y, int64_t n);
    void (*sparsemax)(float *y, const float *x, int64_t n);
    void (*sparsemax_grad)(float *dx, const float *dy, const float *y, int64_t n);

    void (*unary)(int op, float *y, const float *x, int64_t n);
    /* y[i] = a[i sa] op b[i sb]; strides 0 or 1 */
    void (*binary)(int op, float *y, const float *a, int64_t sa, const float *b, int64_t sb, int64_t n);
    /* y[i] = c[i sc] != 0 ? a[i sa] : b[i sb]; strides 0 or 1; NULL for a or b means zeros */
    void (*where)(float *y, const float *c, int64_t sc, const float *a, int64_t sa, const float *b, int64_t sb,
                  int64_t n);
    void (*affine)(float *y, const float *x, int64_t n, float scale, float offset);
    void (*clip)(float *y, const float *x, int64_t n, float low, float high);
    void (*clip_grad)(float *dx, const float *dy, const float *x, int64_t n, float low, float high);

    /* sum (or maximum, NaN if there is one; n > 0) of a row, in 16 lanes and one tree */
    float (*sum_row)(const float *x, int64_t n);
    float (*max_row)(const float *x, int64_t n);
    /* y[j] = x[0 ld + j] + x[1 ld + j] + ... in this order, j = 0..n-1, `rows` rows; y apart from x */
    void (*sum_rows)(float *y, const float *x, int64_t rows, int64_t ld, int64_t n);
    void (*max_rows)(float *y, const float *x, int64_t rows, int64_t ld, int64_t n);
    /* y[i ldy + j] = x[j ldx + i] for i < m, j < n; 4-byte elements; y apart from x */
    void (*transpose)(uint32_t *y, int64_t ldy, const uint32_t *x, int64_t ldx, int64_t m, int64_t n);
};

#endif
