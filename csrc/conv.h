/* What convolutions need beside the matrix product (gemm.h). */
#ifndef FASTNN_CONV_H
#define FASTNN_CONV_H

#include "fastnn.h"

struct fnn_conv_ops {
    /* sum[j] += from[0,j] + from[1,j] + ..., in this order */
    void (*add_rows)(float *sum, const float *from, int64_t pitch, int64_t rows, int64_t columns);
};

#endif
