#ifndef FASTNN_ELEMENTWISE_H
#define FASTNN_ELEMENTWISE_H

#include "fastnn.h"

struct fnn_elementwise_ops {
    int unused;
};

#endif
