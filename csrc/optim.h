#ifndef FASTNN_OPTIM_H
#define FASTNN_OPTIM_H

#include "fastnn.h"

struct fnn_optim_ops {
    int unused;
};

#endif
