/* Attention: a block of scores, from the product that makes it to those that use it. */
#ifndef FASTNN_ATTENTION_H
#define FASTNN_ATTENTION_H

#include "fastnn.h"

enum {
    FNN_ATTENTION_ROWS = 64,  /* queries of a block: ROWS of kernels/attention.py */
    FNN_ATTENTION_KEYS = 64,  /* keys of a block: KEYS there */
    FNN_ATTENTION_STRIP = 16, /* keys, or queries, of a block that a causal mask cuts go on together by so many */
};

/* A block of scores lies on its side: a row for each key, FNN_ATTENTION_ROWS floats apart, and a column for each
 * query. Maxima and sums over keys then go down the columns, each query in a vector lane of its own: there is nothing
 * to add up across lanes, and the bits do not depend on the vectors' width.
 *
 * Key c is seen by the queries from c + 1 - limit on (by all, if limit is above all keys) where the mask is not 0:
 * mask[c * mask_step] if mask_step is 1, mask[c * mask_step + query] if it is FNN_ATTENTION_ROWS, or NULL. Of a strip
 * of keys only the columns are computed that the first of them is seen by, from a multiple of FNN_ATTENTION_STRIP on;
 * what is not seen there becomes 0. `columns` is a multiple of 16; those beyond the queries hold anything. */
struct fnn_attention_ops {
    /* rows of x that are read or written soon, and come from beyond L2 meanwhile */
    void (*fetch)(const float *x, int64_t pitch, int64_t rows, int64_t width);
    /* to[r, j] = x[r, j], rows to_pitch and pitch apart */
    void (*copy)(float *to, int64_t to_pitch, const float *x, int64_t pitch, int64_t rows, int64_t width);
    /* s[c, i] = sum over d of a[c, d] * b[d, i]; rows of b are FNN_ATTENTION_ROWS floats apart */
    void (*scores)(float *s, const float *a, int64_t a_pitch, const float *b, int64_t keys, int64_t columns,
                   int64_t depth, int64_t limit);
    /* y[i, :] (+)= sum over the keys c that i sees of s[c, i] * b[c, :] */
    void (*gather)(float *y, int64_t y_pitch, const float *s, const float *b, int64_t b_pitch, int64_t rows,
                   int64_t keys, int64_t width, int64_t limit, int add);
    /* y[c, :] (+)= sum over the queries i that see c of s[c, i] * b[i, :] */
    void (*spread)(float *y, int64_t y_pitch, const float *s, const float *b, int64_t b_pitch, int64_t rows,
                   int64_t keys, int64_t width, int64_t limit, int add);
    /* s = exp(scale * s - m) with m = max(m, scale * s) of each column; share = exp(m before - m), and
     * l = l * share + the sums of s. `start`: m and l hold nothing yet. */
    void (*softmax)(float *s, const float *mask, float *m, float *l, float *share, int64_t keys, int64_t columns,
                    int64_t limit, int64_t mask_step, float scale, int start);
    /* y[r, :] *= share[r] */
    void (*scale_rows)(float *y, const float *share, int64_t rows, int64_t width);
    /* y[r, :] = sums[r, :] / l[r], log_sum[r] = m[r] + log(l[r]); where l[r] is 0: 0 and +inf */
    void (*finish)(float *y, int64_t y_pitch, float *log_sum, const float *sums, const float *m, const float *l,
                   int64_t rows, int64_t width);
    /* s = exp(scale * s - log_sum);  dp = scale * s * (dp - delta), unless dp is NULL */
    void (*weights)(float *s, float *dp, const float *mask, const float *log_sum, const float *delta, int64_t keys,
                    int64_t columns, int64_t limit, int64_t mask_step, float scale);
    /* dp = scale * (dropped * dp - p * delta): the same where p became `dropped` */
    void (*slopes)(float *dp, const float *p, const float *dropped, const float *delta, int64_t keys,
                   int64_t columns, int64_t limit, float scale);
    /* delta[r] = sum(dy[r,:] * y[r,:]) */
    void (*delta)(float *delta, const float *dy, int64_t dy_pitch, const float *y, int64_t y_pitch, int64_t rows,
                  int64_t width);
    /* One query on n keys and values that stand one after another: s = softmax(scale * keys @ q), y = s @ values. */
    void (*row)(float *y, float *s, const float *q, const float *keys, const float *values, int64_t n, int64_t width,
                int64_t value_width, float scale);
};

#endif
