/* Column statistics and per-column affine maps: the inner loops of batch normalisation; at the end those of rows.
 *
 * A block is `rows` x `columns` floats inside a matrix whose rows are `stride` apart; `end` is the
 * first address behind the whole matrix (vector loads may run over a row's end, never over `end`).
 * Small vectors (sums, shift, scale ...) hold at least `columns` rounded up to 16; lanes behind
 * `columns` may be written in outputs and are ignored. Sums run down the rows, one by one, for each
 * column alone, and products are rounded before they are added: the bits depend on nothing else,
 * not on the vector width, and the path without FMA has the same. NaN and inf spread in their column.
 * With `ahead` not 0 a pass prefetches what stands that many floats behind each element. */
#ifndef FASTNN_NORM_H
#define FASTNN_NORM_H

#include "fastnn.h"

struct fnn_norm_ops {
    /* s[c] = sum_r x[r,c] */
    void (*sums)(float *s, const float *x, const float *end, int64_t rows, int64_t columns, int64_t stride);
    /* s[c] = sum_r (x[r,c] - shift[c]);  q[c] = sum_r (x[r,c] - shift[c])**2 */
    void (*shifted_sums)(float *s, float *q, const float *x, const float *end, const float *shift, int64_t rows,
                         int64_t columns, int64_t stride, int64_t ahead);
    /* s[c] = sum_r dy[r,c];  q[c] = sum_r dy[r,c] * (x[r,c] - shift[c]); `end` is that of x, dy has its shape */
    void (*gradient_sums)(float *s, float *q, const float *dy, const float *x, const float *end, const float *shift,
                          int64_t rows, int64_t columns, int64_t stride, int64_t ahead);
    /* y[r,c] = (x[r,c] - shift[c]) * scale[c] + offset[c] */
    void (*affine)(float *y, const float *x, const float *end, const float *shift, const float *scale,
                   const float *offset, int64_t rows, int64_t columns, int64_t stride, int64_t ahead);
    /* dx[r,c] = a[c] * dy[r,c] - ((x[r,c] - shift[c]) * b[c] + offset[c]) */
    void (*backward)(float *dx, const float *dy, const float *x, const float *end, const float *shift, const float *a,
                     const float *b, const float *offset, int64_t rows, int64_t columns, int64_t stride,
                     int64_t ahead);
    /* Rows whose sums about `mean` are s and q join those that mean and m2 (sum of squares about
     * mean) describe, `n` rows in all:  m2 += q - s*s/n;  mean += s/n   (Chan, Golub & LeVeque 1983).
     * `carry` is the sum of the earlier rows about `mean`: what the last rounding of mean left over. */
    void (*merge)(float *mean, float *m2, float *carry, const float *s, const float *q, int64_t columns, double n);
    /* rstd = 1 / sqrt(v + epsilon), v = m2 / n;  moving_mean += (mean - moving_mean) * rate;
     * moving_var += (m2 / n_var - moving_var) * rate */
    void (*finish)(float *rstd, float *moving_mean, float *moving_var, const float *mean, const float *m2,
                   int64_t columns, double n, double n_var, double epsilon, double rate);
    /* r = 1 / sqrt(v + epsilon) */
    void (*rsqrt)(float *r, const float *v, int64_t columns, double epsilon);

    /* One row of n floats by its own statistics; sums along it have 16 lanes and one tree, gamma and beta may be NULL.
     * mean = centered ? sum(x) / n : 0;  rstd = 1 / sqrt(sum((x - mean)**2) * share + epsilon);
     * y = (x - mean) * rstd * gamma + beta */
    void (*row)(float *y, float *mean, float *rstd, const float *x, const float *gamma, const float *beta, int64_t n,
                int centered, float share, double epsilon);
    /* g = dy * gamma;  xhat = (x - mean) * rstd;
     * dx = rstd * (g - (centered ? sum(g) / n : 0) - xhat * sum(g * xhat) * share) */
    void (*row_backward)(float *dx, const float *dy, const float *x, const float *gamma, float mean, float rstd,
                         int64_t n, int centered, float share);
    /* dbeta[c] += sum_r dy[r,c];  dgamma[c] += sum_r dy[r,c] * ((x[r,c] - mean[r,0]) * rstd[r,0]), row by row; the rows
     * of dy and x are `stride` floats apart, those of mean and rstd `step` */
    void (*row_parameters)(float *dgamma, float *dbeta, const float *dy, const float *x, const float *mean,
                           const float *rstd, int64_t rows, int64_t columns, int64_t stride, int64_t step);
};

#endif
