/* A program as the executor runs it: kernel calls in levels, and what is copied in and out of its
 * buffers around each step. */
#ifndef FASTNN_RUN_H
#define FASTNN_RUN_H

#include "team.h"

/* Calls first..first+count-1 do not depend on one another. */
typedef struct fnn_level {
    int64_t first, count;
    int64_t chunks; /* 0: the caller runs it alone */
    int wake, wake_last; /* worth waking sleepers: in a step, in the last step of a run */
} fnn_level;

/* Bytes copied per step from (feed) or to (fetch) an array that holds one row per step. */
typedef struct fnn_copy {
    void *buffer;
    int64_t bytes;
} fnn_copy;

/* All arrays lie in the same allocation as the struct. */
typedef struct fnn_program {
    fnn_line *lines;
    fnn_level *levels;
    fnn_copy *feeds, *fetches;
    int64_t line_count, level_count, feed_count, fetch_count;
    size_t scratch;
    int64_t *min_ns, *total_ns; /* of each call, from fnn_profile */
    int planned;                /* for how many threads the chunks are cut */
    int shared;                 /* some level is for more than one thread */
    double step_ns;             /* estimate for one thread */
    _Atomic unsigned running;   /* 1 + the fork count of the run in progress, or 0 */
} fnn_program;

enum { FNN_NO_MEMORY = -1, FNN_BUSY = -2 };

/* Execute up to `steps` >= 1 steps; step s copies row offset + s of each feed in, and of each fetch
 * out; `rows` points to the first row of each feed, then of each fetch, NULL for one left as it is.  Stops after the step in
 * which `budget` seconds have passed.  Gives the number of steps done, or a negative code if
 * nothing was done. */
int64_t fnn_run(fnn_program *program, int64_t steps, char *const *rows, int64_t offset, int threads, double budget);

/* The same on the calling thread, which has the scratch memory and the rounding mode already, until the clock
 * (fnn_now_ns) shows `end`. */
int64_t fnn_run_alone(fnn_program *program, int64_t steps, char *const *rows, int64_t offset, int64_t end);

/* Whether some level is worth more than one of so many threads. */
int fnn_shares(fnn_program *program, int threads);

/* The same as fnn_run without a budget, each call alone (its tiles over the team) with the clock around it. */
int64_t fnn_profile(fnn_program *program, int64_t steps, char *const *rows, int64_t offset, int threads);

/* Whether n floats are all finite. */
int fnn_finite(const float *x, int64_t n);
/* Other estimates of what the calls cost one thread, in nanoseconds; 0 or a negative code. */
int64_t fnn_set_costs(fnn_program *program, const double *ns);

/* Run one call of the program, nothing else. */
int64_t fnn_run_line(fnn_program *program, int64_t line, int threads);

#endif
