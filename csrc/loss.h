#ifndef FASTNN_LOSS_H
#define FASTNN_LOSS_H

#include "fastnn.h"

struct fnn_loss_ops {
    int unused;
};

#endif
