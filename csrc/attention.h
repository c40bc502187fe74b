/* Attention: what happens to a block of scores between its two products. */
#ifndef FASTNN_ATTENTION_H
#define FASTNN_ATTENTION_H

#include "fastnn.h"

enum { FNN_ATTENTION_ROWS = 64, FNN_ATTENTION_KEYS = 64 }; /* as ROWS and KEYS of kernels/attention.py */

/* A block of scores is (rows, columns) with rows FNN_ATTENTION_KEYS floats apart, of which row r sees the columns
 * below limit + r where the mask (mask + r * mask_pitch, or NULL) is not 0. What it does not see becomes 0, also up to
 * the next multiple of 16 columns. */
struct fnn_attention_ops {
    /* s[r,:] = exp(scale * s[r,:] - m[r]) with m[r] = max(m[r], scale * s[r,:]); l[r] is brought to the new m[r] and
     * gets the sum of the row, and y[r,:] (width floats, rows y_pitch apart) is brought to the new m[r] as well.
     * `start`: m, l and y hold nothing yet; y is left alone. */
    void (*softmax)(float *s, const float *mask, float *m, float *l, float *y, int64_t rows, int64_t columns,
                    int64_t limit, int64_t mask_pitch, int64_t y_pitch, int64_t width, float scale, int start);
    /* y[r,:] /= l[r];  log_sum[r] = m[r] + log(l[r]);  where l[r] is 0: zeros and +inf */
    void (*finish)(float *y, float *log_sum, const float *m, const float *l, int64_t rows, int64_t y_pitch,
                   int64_t width);
    /* s[r,:] = exp(scale * s[r,:] - log_sum[r]) */
    void (*weights)(float *s, const float *mask, const float *log_sum, int64_t rows, int64_t columns, int64_t limit,
                    int64_t mask_pitch, float scale);
    /* dp[r,:] = scale * p[r,:] * (dp[r,:] - delta[r]) */
    void (*slopes)(float *dp, const float *p, const float *delta, int64_t rows, int64_t columns, float scale);
    /* delta[r] = sum(dy[r,:] * y[r,:]), rows `pitch` apart */
    void (*delta)(float *delta, const float *dy, const float *y, int64_t rows, int64_t pitch, int64_t width);
};

#endif
