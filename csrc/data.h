#ifndef FASTNN_DATA_H
#define FASTNN_DATA_H

#include "fastnn.h"

struct fnn_data_ops {
    int unused;
};

#endif
