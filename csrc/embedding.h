/* Rows of a table by their numbers. */
#ifndef FASTNN_EMBEDDING_H
#define FASTNN_EMBEDDING_H

#include "fastnn.h"

struct fnn_embedding_ops {
    /* y[i] = x[i] where that is a whole number from 0 to `most` (2^24 at most), else -1 */
    void (*whole_numbers)(int32_t *y, const float *x, int64_t n, float most);
    /* y[i,:] = table[index[i],:], NaN where index[i] is not in 0..rows-1; whole rows of `width` floats */
    void (*gather)(float *y, const int32_t *index, const float *table, int64_t n, int64_t rows, int64_t width);
    /* dtable[v,:] = sum of dy[i,:] where index[i] = v, in order of i, for `width` columns of rows `pitch` apart */
    void (*scatter)(float *dtable, const float *dy, const int32_t *index, int64_t n, int64_t rows, int64_t pitch,
                    int64_t width);
    /* order: the places 0..n-1 sorted by their token, equal ones as they stood; rows[i] = tokens[order[i]]. Tokens that
     * are not in 0..count-1 come last, as -1. count < 4^bits; work holds n + 2^bits numbers. */
    void (*order)(int32_t *order, int32_t *rows, int32_t *work, const int32_t *tokens, int64_t n, int32_t count,
                  int bits);
};

#endif
