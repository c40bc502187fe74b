/* Update rules and gradient arithmetic on flat arrays.
 *
 * All arrays hold n floats and never overlap. The first ones are read and overwritten, the const
 * ones are read. Elements do not depend on one another, so an array may be updated in parts and
 * keeps its bits. `sqrtf` and `/` are IEEE: the same bits on every path. Derived constants (the
 * complements 1 - beta) are formed in double by the caller and rounded once. NaN in a gradient
 * makes its weight NaN; nothing is checked, nothing fails. */
#ifndef FASTNN_OPTIM_H
#define FASTNN_OPTIM_H

#include "fastnn.h"

struct fnn_optim_ops {
    /* w -= decay * w, first of all in those that take it;  w -= rate * g */
    void (*sgd)(float *w, const float *g, int64_t n, float rate, float decay);
    /* v = mu * v - rate * g;  w += v  or, Nesterov,  w += mu * v - rate * g */
    void (*momentum)(float *w, float *v, const float *g, int64_t n, float rate, float mu, float decay,
                     int nesterov);
    /* v = mu * v + gain * g;  w -= rate * v  or, Nesterov,  w -= rate * (g + mu * v) */
    void (*momentum_outside)(float *w, float *v, const float *g, int64_t n, float rate, float mu, float gain,
                             float decay, int nesterov);
    /* v += (g*g - v) * rho_c;  w -= rate * g / sqrt(v + eps)  or, outside,  / (sqrt(v) + eps) */
    void (*rmsprop)(float *w, float *v, const float *g, int64_t n, float rate, float decay, float rho_c,
                    float epsilon, int inside);
    /* the same step added to mom = mu * mom + step;  w -= mom */
    void (*rmsprop_momentum)(float *w, float *v, float *mom, const float *g, int64_t n, float rate, float mu,
                             float decay, float rho_c, float epsilon, int inside);
    /* the same with max(v - mean*mean, 0) for v, mean += (g - mean) * rho_c */
    void (*rmsprop_centered)(float *w, float *v, float *mean, float *mom, const float *g, int64_t n, float rate,
                             float mu, float decay, float rho_c, float epsilon, int inside);
    /* m += (g - m) * beta_1c;  v += (g*g - v) * beta_2c;  w -= alpha * m / (sqrt(v) + epsilon) */
    void (*adam)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float epsilon,
                 float beta_1c, float beta_2c);
    /* w -= decay * w, then adam */
    void (*adamw)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float epsilon,
                  float decay, float beta_1c, float beta_2c);
    /* sum of g*g over n elements: element i goes to accumulator i % 64, then a fixed tree */
    float (*sum_of_squares)(const float *g, int64_t n);
    /* acc = factor * g  or, to go on,  acc + factor * g;  g = acc */
    void (*accumulate)(float *g, float *acc, int64_t n, float factor, int keep);
    /* average += (w - average) * mu_c  or, mu_c being 1,  average = w;  w = average if overwrite */
    void (*moving_average)(float *average, float *w, int64_t n, float mu_c, int overwrite);
    void (*scale)(float *g, int64_t n, float scale);           /* g *= scale */
    void (*clip)(float *g, int64_t n, float limit);            /* -limit <= g <= limit; NaN stays */
    /* sum[j] = sum over rows of x[i,j]**2, row by row; g[i,j] *= factor[j]; rows are `pitch` floats apart */
    void (*column_squares)(float *sum, const float *x, int64_t pitch, int64_t rows, int64_t n);
    void (*scale_columns)(float *g, const float *factor, int64_t pitch, int64_t rows, int64_t n);
    void (*add_scaled)(float *g, const float *h, int64_t n, float factor); /* g += factor * h */
};

#endif
