/* Micro-kernels of the matrix product.  The five loops around them are in
 * fastnn/kernels/native/gemm.pyx.
 *
 *   C[i,j] = sum over k of A[i,k] * B[k,j]
 *
 * Every element is summed by FMA over k = 0, 1, 2, ... from zero.  A product cut along k goes on from
 * the stored C, so neither block sizes nor tile shapes nor the width of vectors change its bits. */
#ifndef FASTNN_GEMM_H
#define FASTNN_GEMM_H

#include "elementwise.h"   /* the activations; `dense` knows those whose derivative comes from the output */
#include "fastnn.h"

enum {
    FNN_GEMM_ROWS = 6,      /* of the largest micro-kernels */
    FNN_GEMM_WIDEST = 8,    /* vectors of the widest micro-kernel */
    FNN_GEMM_STRIPE = 8,    /* panels of A in column form that are packed at once: they share cache lines */
    FNN_GEMM_DEPTH = 416,   /* k's of one block: with 256 columns a block of B is 416 KiB of a 1 MiB L2
                             * (344, 256 and 192 were no faster on v4 or v3) */
    FNN_GEMM_AHEAD = 8,     /* rows by which packing fetches ahead */
};

enum { FNN_GEMM_ADD = 1, FNN_GEMM_RELU = 2 };  /* `mode` of a micro-kernel */

/* c[i,j] = mode ADD ? c[i,j] : 0;  += a[i,k] b[k,j] over k;  += bias[j];  mode RELU: max(0, .)
 *
 * for the i and as many vectors of j as the kernel is made for; `lanes` says how many elements of the
 * last vector exist (the rest is neither read nor written).
 *   a     row form: a[i * as + k];  column form: a[k * as + i]
 *   b     b[k * bs + j]         c     c[i * cs + j]        bias  (j) or NULL
 * NaN stays NaN, in relu too. */
typedef void (*fnn_gemm_tile)(const float *a, int64_t as, const float *b, int64_t bs, float *c, int64_t cs,
                              int64_t k, int64_t lanes, const float *bias, int64_t mode);

/* The same for FNN_GEMM_ROWS rows and `width` whole vectors, which also copies its part of B:
 * keep[k * width * lanes + j] = b[k * bs + j].  Packing then costs little more than its stores: what it
 * waits for comes while the FMAs run. */
typedef void (*fnn_gemm_tile_and_keep)(float *keep, const float *a, int64_t as, const float *b, int64_t bs, float *c,
                                       int64_t cs, int64_t k, int64_t lanes, const float *bias, int64_t mode);

/* Sums that go over several runs of k, each as long: of run r, A starts at a + runs.a[r] and B at b + runs.b[r].
 * A convolution's are the rows of its kernel. */
typedef struct fnn_runs {
    int64_t count;
    const int64_t *a, *b;
} fnn_runs;

/* c[i,j] = mode ADD ? c[i,j] : 0;  += a[runs.a[r] + (i,k)] b[runs.b[r] + (k,j)] over r, then k;  the rest as above. */
typedef void (*fnn_gemm_runs_tile)(const float *a, int64_t as, const float *b, int64_t bs, float *c, int64_t cs,
                                   int64_t k, const fnn_runs *runs, int64_t lanes, const float *bias, int64_t mode);

struct fnn_gemm_ops {
    int64_t lanes;      /* floats of a vector */
    int64_t width;      /* vectors of a packed panel of B */
    int8_t widest[FNN_GEMM_ROWS + 1];   /* vectors of the widest micro-kernel for so many rows */
    /* by rows and vectors; there are 1, 2, ... up to 4 or what `widest` says, and, where it says so, 8 */
    fnn_gemm_tile row_form[FNN_GEMM_ROWS + 1][FNN_GEMM_WIDEST + 1];
    fnn_gemm_tile column_form[FNN_GEMM_ROWS + 1][FNN_GEMM_WIDEST + 1];
    fnn_gemm_tile_and_keep row_form_and_keep, column_form_and_keep;
    fnn_gemm_runs_tile row_runs[FNN_GEMM_ROWS + 1][FNN_GEMM_WIDEST + 1];
    fnn_gemm_runs_tile column_runs[FNN_GEMM_ROWS + 1][FNN_GEMM_WIDEST + 1];

    /* to[panel, k, j] = from[k * pitch + panel * width * lanes + j]: panels one after the other */
    void (*pack)(float *to, const float *from, int64_t pitch, int64_t depth, int64_t columns);
    /* to[panel, k, i] = from[k * pitch + panel * FNN_GEMM_ROWS + i]; FNN_GEMM_ROWS floats from k to k */
    void (*pack_columns)(float *to, const float *from, int64_t pitch, int64_t depth, int64_t columns);
    /* Fetches from[k * pitch + i] into L2: what comes next, while products of what is near keep the FMA units busy. */
    void (*fetch)(const float *from, int64_t pitch, int64_t rows, int64_t columns);
    /* to[j * to_pitch + i] = from[i * pitch + j] */
    void (*transpose)(float *to, int64_t to_pitch, const float *from, int64_t pitch, int64_t rows, int64_t columns);
    /* c[i,j] = activation(c[i,j]);  alpha is the kind's number */
    void (*activate)(int64_t activation, float alpha, float *c, int64_t cs, int64_t rows, int64_t columns);
    /* c[i,j] *= activation'(z[i,j]), told from y = activation(z); y has the pitch of c */
    void (*derive)(int64_t activation, float alpha, float *c, const float *y, int64_t cs, int64_t rows,
                   int64_t columns);
    /* sum[j] = from[0,j] + from[1,j] + ..., in this order */
    void (*sum_rows)(float *sum, const float *from, int64_t pitch, int64_t rows, int64_t columns);
    /* to[i * columns + j] = (x[i * pitch + j] - mean[j]) * rstd[j] */
    void (*normalize)(float *to, const float *x, int64_t pitch, const float *mean, const float *rstd, int64_t rows,
                      int64_t columns);
    /* *dgamma = sum(w * g);  *dbeta = sum(w * db);  g = gamma * g + beta * db   over n elements */
    void (*scale_back)(float *g, float *dgamma, float *dbeta, const float *w, const float *db, float gamma,
                       float beta, int64_t n);
};

#endif
