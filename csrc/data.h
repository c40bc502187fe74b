/* Picking rows: the batch that an index names, converted to what the network takes. */
#ifndef FASTNN_DATA_H
#define FASTNN_DATA_H

#include "fastnn.h"

/* Source dtypes in the order of the choices in kernels/data.py. */
#define FNN_SOURCES(X) \
    X(uint8, uint8_t) X(int8, int8_t) X(int16, int16_t) X(int32, int32_t) X(int64, int64_t) \
    X(float32, float) X(float64, double)

enum {
#define X(name, type) FNN_SOURCE_##name,
    FNN_SOURCES(X)
#undef X
    FNN_SOURCE_COUNT
};

struct fnn_data_ops {
    /* y[b,f] = source[index[b],f] * scale + offset, b < batch; the source dtype is the position.
     * y (batch, features) overwritten; index is trusted. Scale 1 and offset 0 convert and no more. */
    void (*rows[FNN_SOURCE_COUNT])(float *y, const void *source, const int64_t *index, int64_t batch,
                                   int64_t features, float scale, float offset);
    /* y[b,f] = source[index[b],f] as int32 (floats are cut off towards zero) */
    void (*labels[FNN_SOURCE_COUNT])(int32_t *y, const void *source, const int64_t *index, int64_t batch,
                                     int64_t features);
};

#endif
