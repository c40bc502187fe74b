#ifndef FASTNN_GEMM_H
#define FASTNN_GEMM_H

#include "fastnn.h"

struct fnn_gemm_ops {
    int unused;
};

#endif
