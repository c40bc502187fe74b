/* What this machine can do: the loops behind the roofline. */
#ifndef FASTNN_MACHINE_H
#define FASTNN_MACHINE_H

#include "fastnn.h"

struct fnn_machine_ops {
    /* Nothing but multiply-adds in registers, as many at once as hide their latency.  Gives something
     * that depends on all of them. */
    float (*fma_loop)(int64_t iterations);
    int64_t flops; /* of one iteration, a multiply and an add counted as two */
    /* y[i] = x[i]: an ordinary vector copy, no streaming stores. */
    void (*copy)(float *y, const float *x, int64_t n);
    /* The same with stores that pass by the caches, so that no line of y is fetched before it is overwritten; where
     * there are none (NEON) it is `copy`. */
    void (*stream)(float *y, const float *x, int64_t n);
};

#endif
