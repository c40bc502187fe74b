/* Update rules that know the sizes of past gradients or their signs. As in optim.h: arrays of n floats that never
 * overlap, the first ones updated, `w -= decay * w` before everything else, NaN in a gradient makes its weight NaN. */
#ifndef FASTNN_MOMENTS_H
#define FASTNN_MOMENTS_H

#include "fastnn.h"

struct fnn_moments_ops {
    /* a += g*g;  w -= rate * g / sqrt(a + epsilon)  or, outside,  / (sqrt(a) + epsilon) */
    void (*adagrad)(float *w, float *a, const float *g, int64_t n, float rate, float decay, float epsilon, int
                    inside);
    /* v += (g*g - v) * rho_c;  step = g * sqrt(d + epsilon) / sqrt(v + epsilon);  d += (step*step - d) * rho_c;
     * w -= rate * step */
    void (*adadelta)(float *w, float *v, float *d, const float *g, int64_t n, float rate, float decay, float rho_c,
                     float epsilon);
    /* m += (g - m) * beta_1c;  v += (g*g - v) * beta_2c;  top = max(top, v);
     * w -= alpha * m / (sqrt(top) + epsilon) */
    void (*adam_amsgrad)(float *w, float *m, float *v, float *top, const float *g, int64_t n, float alpha, float
                         epsilon, float decay, float beta_1c, float beta_2c);
    /* m as above;  u = max(beta_2 * u, |g|);  w -= alpha * m / (u + epsilon) */
    void (*adamax)(float *w, float *m, float *u, const float *g, int64_t n, float alpha, float decay, float beta_1c,
                   float beta_2, float epsilon);
    /* m, v as above;  w -= (alpha * m + gamma * g) / (sqrt(v) + epsilon) */
    void (*nadam)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float gamma, float epsilon,
                  float decay, float beta_1c, float beta_2c);
    /* m, v as above;  w -= alpha * m / (sqrt(v) + epsilon)  or, not adaptive,  alpha * m */
    void (*radam)(float *w, float *m, float *v, const float *g, int64_t n, float alpha, float epsilon, int adaptive,
                  float decay, float beta_1c, float beta_2c);
    /* w -= rate * sign(m + (g - m) * beta_1c);  m += (g - m) * beta_2c */
    void (*lion)(float *w, float *m, const float *g, int64_t n, float rate, float decay, float beta_1c, float
                 beta_2c);
    /* sigma = ((a + g*g)**power - a**power) * per_rate;  a += g*g;  z += g + shrinkage * w - sigma * w;
     * w = (clip(z, -l1, l1) - z) / (a**power * per_rate + l2); with power 1/2 by roots */
    void (*ftrl)(float *w, float *a, float *z, const float *g, int64_t n, float per_rate, float l2, float decay, float
                 power, float l1, float shrinkage);
    /* x = w - decay * w;  m, v as above;  g = alpha * m / (sqrt(v) + epsilon) + pull * x;  sums[0] += sum(g*g),
     * sums[1] += sum(x*x), each in float32 by 1024 elements as sum_of_squares, those in double; w is only read */
    void (*lamb)(float *g, float *m, float *v, double *sums, const float *w, int64_t n, float alpha, float epsilon,
                 float decay, float pull, float beta_1c, float beta_2c);
    /* step = rate * (g + pull * x);  v = mu * v + step;  w = x - v  or, Nesterov,  x - (mu * v + step) */
    void (*scaled_momentum)(float *w, float *v, const float *g, int64_t n, float rate, float mu, float pull, float
                            decay, int nesterov);
    /* sum of (g * column * row)**2: element i goes to accumulator i % 64, then a fixed tree, as in sum_of_squares */
    float (*factored_squares)(const float *g, const float *column, float row, int64_t n);
    /* w = x - row * (g * column) */
    void (*factored_sgd)(float *w, const float *g, const float *column, float row, float decay, int64_t n);
    /* v += (g*g + epsilon - v) * c;  u = g / sqrt(v) */
    void (*adafactor)(float *v, float *u, const float *g, int64_t n, float epsilon, float c);
};

#endif
