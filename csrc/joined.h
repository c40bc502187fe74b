/* Many programs that have nothing to do with one another, run side by side: each by one thread at a time. */
#ifndef FASTNN_JOINED_H
#define FASTNN_JOINED_H

#include "run.h"

/* So many steps of a program; `rows` as for fnn_run. */
typedef struct fnn_stretch {
    fnn_program *program;
    int64_t steps;
    char *const *rows;
} fnn_stretch;

/* Stretches that are run one after another. No two members write what the other reads or writes. */
typedef struct fnn_member {
    const fnn_stretch *stretches;
    int64_t count;
    int64_t at, done; /* the stretch to go on with, and how many of its steps are done */
    _Atomic int taken; /* a thread is at it, or it has come to its end */
} fnn_member;

typedef struct fnn_joined {
    fnn_member *members;
    int64_t count;
    size_t scratch; /* that the most demanding program needs */
} fnn_joined;

/* Go on with all members for about `budget` seconds. Gives how many have not come to their end, or a
 * negative code. The same bits as fnn_run of each, for any number of threads. */
int64_t fnn_run_joined(fnn_joined *joined, int threads, double budget);

#endif
