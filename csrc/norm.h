#ifndef FASTNN_NORM_H
#define FASTNN_NORM_H

#include "fastnn.h"

struct fnn_norm_ops {
    int unused;
};

#endif
