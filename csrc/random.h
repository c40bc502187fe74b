#ifndef FASTNN_RANDOM_H
#define FASTNN_RANDOM_H

#include "fastnn.h"

struct fnn_random_ops {
    int unused;
};

#endif
