/* Micro-kernels of the matrix product.  The five loops around them are in
 * fastnn/kernels/native/dense.pyx.
 *
 *   C[i,j] = sum over k of A[i,k] * B[k,j]
 *
 * Every element is summed by FMA over k = 0, 1, 2, ... from zero.  A product cut along k goes on from
 * the stored C, so neither block sizes nor tile shapes nor the width of vectors change its bits. */
#ifndef FASTNN_GEMM_H
#define FASTNN_GEMM_H

#include "elementwise.h"   /* the activations; `dense` knows the first six */
#include "fastnn.h"

enum {
    FNN_GEMM_ROWS = 16,     /* no path's micro-kernels take more rows than this */
    FNN_GEMM_WIDTHS = 4,    /* micro-kernels are 1, 2, 4 and 8 vectors wide: index 0..3 */
    FNN_GEMM_PITCH = 432,   /* floats between the packed rows of A: FNN_GEMM_DEPTH and a little more, no
                             * power of two, so that 16 rows do not meet in one set of the L1 cache */
    FNN_GEMM_DEPTH = 416,   /* k's of one block: 14 rows of A in 24 KiB of L1 */
};

enum { FNN_GEMM_ADD = 1, FNN_GEMM_RELU = 2 };  /* `mode` of a micro-kernel */

/* c[i,j] = mode ADD ? c[i,j] : 0;  += a[i,k] b[k,j] over k;  += bias[j];  mode RELU: max(0, .)
 *
 * for the i and as many vectors of j as the kernel is made for; `lanes` says how many elements of the
 * last vector exist (the rest is neither read nor written).
 *   a     row form:     a[i * FNN_GEMM_PITCH + k], `as` is unused
 *         column form:  a[k * as + i]
 *   b     b[k * bs + j]         c     c[i * cs + j]        bias  (j) or NULL
 * NaN stays NaN, in relu too. */
typedef void (*fnn_gemm_tile)(const float *a, int64_t as, const float *b, int64_t bs, float *c, int64_t cs,
                              int64_t k, int64_t lanes, const float *bias, int64_t mode);

struct fnn_gemm_ops {
    int64_t lanes;      /* floats of a vector */
    int64_t rows;       /* rows of the largest micro-kernel */
    int64_t width;      /* vectors of a packed panel of B: 1 << width_index */
    int64_t width_index;
    int8_t widest[FNN_GEMM_ROWS + 1];   /* largest width index for so many rows; from `rows` down to 1 */
    fnn_gemm_tile row_form[FNN_GEMM_ROWS + 1][FNN_GEMM_WIDTHS];
    fnn_gemm_tile column_form[FNN_GEMM_ROWS + 1][FNN_GEMM_WIDTHS];

    /* to[i * to_pitch + j] = from[i * pitch + j]   for i < rows, j < columns */
    void (*copy)(float *to, int64_t to_pitch, const float *from, int64_t pitch, int64_t rows, int64_t columns);
    /* to[j * to_pitch + i] = from[i * pitch + j] */
    void (*transpose)(float *to, int64_t to_pitch, const float *from, int64_t pitch, int64_t rows, int64_t columns);
    /* c[i,j] = activation(c[i,j]);  alpha is elu's */
    void (*activate)(int64_t activation, float alpha, float *c, int64_t cs, int64_t rows, int64_t columns);
    /* c[i,j] *= activation'(z[i,j]), told from y = activation(z); y has the pitch of c */
    void (*derive)(int64_t activation, float alpha, float *c, const float *y, int64_t cs, int64_t rows,
                   int64_t columns);
    /* sum[j] = from[0,j] + from[1,j] + ..., in this order */
    void (*sum_rows)(float *sum, const float *from, int64_t pitch, int64_t rows, int64_t columns);
};

#endif
