/* The thread team: hands out the chunks of one level of a program at a time. */
#ifndef FASTNN_TEAM_H
#define FASTNN_TEAM_H

#include "fastnn.h"

#define FNN_MAX_THREADS 256
#define FNN_SPIN_NS 40000      /* how long a worker without work spins before it sleeps */
#define FNN_MAX_CHUNKS 1000000 /* of one level: the ticket has 21 bits for each count */

/* One kernel call of a program, and how it is cut for the team: `chunks` pieces of `chunk` tiles
 * (the last one may be shorter). */
typedef struct fnn_line {
    fnn_call call;
    int64_t tiles, grain;
    int64_t chunk, chunks;
    double cost_ns; /* estimate for one thread */
    const double *gate; /* 0 leaves the call out of this step; NULL: it always runs */
} fnn_line;

static inline int fnn_open(const fnn_line *line) { return !line->gate || *line->gate != 0; }

/* This thread's scratch memory is at least `bytes` large from now on; 0, or -1: no memory (then it
 * is as it was).  Freed when the thread ends. */
int fnn_need_scratch(size_t bytes);

/* Take the team for the calling thread: how many threads, the caller included, will work on what is
 * given to fnn_team_run from now on; at most `threads`.  1: the caller is alone, because someone
 * else has the team, or no thread or no memory was to be had; fnn_team_leave is not to be called
 * then.  Every worker has `scratch` bytes; the caller sees to its own. */
int fnn_team_take(int threads, size_t scratch);
void fnn_team_leave(void);

/* Nonzero if a run of the team ended a moment ago: then it is likely that another one will follow as
 * soon, and workers that are awake will stay so. */
int fnn_team_warm(int64_t now);

/* Note on which CPU the caller is; now and then in a long run. */
void fnn_team_here(void);

/* Run the `total` chunks (2..FNN_MAX_CHUNKS) of the calls from `lines` on, and return when all are
 * done.  `wake`: worth waking workers that sleep. */
void fnn_team_run(const fnn_line *lines, int64_t total, int wake);

/* Nonzero if a worker was found to be waiting for a core a moment ago: better work alone for now.
 * `now`: fnn_now_ns(). */
int fnn_team_crowded(int64_t now);

int64_t fnn_now_ns(void);

/* Counts forks: what a thread of the parent left half done is void in the child. */
unsigned fnn_fork_count(void);

/* For tests and tuning: workers that exist, levels handed out, wakes, sleeps of a caller for the
 * last chunk, stalls (each starts a time alone). */
typedef struct fnn_team_counts {
    int64_t workers, levels, wakes, waits, stalls;
} fnn_team_counts;
void fnn_team_count(fnn_team_counts *counts);

#endif
