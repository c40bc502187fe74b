/* The thread team.
 *
 * The calling thread is worker 0.  It publishes a level (some kernel calls, cut into chunks), takes
 * chunks itself, and waits until all chunks are done; the others take chunks as long as there are
 * any.  Everything hangs on one 64-bit word, the ticket:
 *
 *      total (21 bits) | back (21 bits) | front (21 bits)
 *
 * A claim is one fetch_add that raises `front` (threads 0, 2, 4 ...: chunks from the first one on) or
 * `back` (threads 1, 3, 5 ...: from the last one down).  The value that fetch_add gives back decides
 * alone: front + back < total means that the chunk is claimed, all else that nothing was left.  Two
 * ends, because then two threads get the same parts of the same arrays in every step, and find
 * them in their own caches.
 *
 * Why no late worker can do harm.  A worker may read the ticket, lose its core for a second, and
 * then execute its fetch_add when the level, the run or even the program that it saw are gone.  But
 * the fetch_add takes the ticket as it is at that instant:
 *   - If a chunk was left, the claim is valid in the level that is published at that instant.  This
 *     level can't end before the chunk is counted in `done`, for the caller waits for that.  So
 *     whatever the worker reads about the level (team.lines, the program's memory) is in place and
 *     stays so until its own increment of `done`; it reads none of it before its claim and touches
 *     none of it after the increment.
 *   - If not, it has raised a count of a spent ticket, which stays spent, and it touches nothing.
 *     The next publication is a plain store: a lost increment of a spent ticket means nothing.
 * Publication happens only when `done` says that every claim of the level before was executed, so a
 * store never overwrites a valid claim.  Hence nobody needs to sign in or out of a run, the caller
 * waits for claimed chunks only (a worker without a core costs nothing), and a program may be freed
 * as soon as its run has returned.  The ticket needs no sequence number: an old value is never
 * compared with a new one.
 * Overflow: a worker tries to claim only after it has read a ticket with something left, so on each
 * ticket it fails at most once (once spent, a ticket stays spent): the counts pass `total` by less
 * than FNN_MAX_THREADS, and 1 000 000 + 256 < 2^21.
 *
 * Sleep.  A worker that finds nothing spins for FNN_SPIN_NS and then sleeps on a word of its own, after
 * announcing it there and looking at the ticket once more.  The caller publishes and then looks at
 * the announcements.  Both are sequentially consistent, so one of them sees the other.
 *
 * A crowded machine.  A worker that lost its core while it held a chunk keeps the caller waiting for
 * a time slice, some milliseconds.  The caller notes that (a stall) and works alone for a while: some
 * times as long as it had to wait, twice as long as the last time if that is not long ago, and never
 * longer than SOLO_MAX_NS.
 *
 * Two on one core.  In a virtual machine Linux may wake a worker on the caller's core while another
 * one idles (an idle virtual CPU that its host has put to sleep counts as preempted, and the
 * scheduler does not take it for idle), and leave it there for long.  A worker that finds itself on
 * the caller's core steps aside, at most once in MOVE_NS. */
#include "os.h"

#include "team.h"

#include <signal.h>
#include <string.h>

#define WAIT_SPIN_NS 50000   /* the caller, for the last claimed chunk */
#define STALL_NS 100000      /* longer than that (and than three times its own part) is a stall */
#define SOLO_TIMES 4         /* alone for that many times the wait */
#define SOLO_MAX_NS 64000000
#define MOVE_NS 4000000

#define FRONT ((uint64_t)1)
#define BACK ((uint64_t)1 << 21)
#define TOTAL ((uint64_t)1 << 42)
#define MASK (BACK - 1)

typedef struct worker {
    _Alignas(128) fnn_word asleep; /* what it sleeps on: 1 from its announcement to the wake */
    void *scratch;                 /* grown by the owner of the team, between levels only */
    size_t scratch_bytes;
} worker;

/* Two cache lines per group: what is written at another time, or by others, stands apart. */
static struct {
    _Alignas(128) _Atomic uint64_t ticket;
    /* Of the published level; written by the owner, read by whoever has a valid claim. */
    const fnn_line *lines;
    atomic_int limit;     /* threads that may claim, the caller included */
    atomic_int owner_cpu; /* where the caller was a moment ago; -1: unknown */
    _Alignas(128) fnn_word done; /* chunks that workers (not the caller) have executed */
    fnn_word waiting;            /* the caller sleeps on `done` */
    _Alignas(128) atomic_int taken; /* someone owns the team */
    /* All below belongs to the owner. */
    int threads; /* that exist, the caller included */
    _Atomic int64_t solo_until;
    int64_t solo_ns, stall_end, left;
    fnn_team_counts counts;
} team = {.threads = 1};

static worker workers[FNN_MAX_THREADS];
static atomic_uint forks;

/* ---------------------------------------------------------------- scratch memory */

static _Thread_local void *scratch;
static _Thread_local size_t scratch_bytes;
static pthread_key_t scratch_key; /* frees the memory of a calling thread when that ends */

void *fnn_scratch(void) { return scratch; }

int fnn_need_scratch(size_t bytes)
{
    if (bytes <= scratch_bytes)
        return 0;
    void *p = os_alloc(bytes);
    if (!p)
        return -1;
    os_free(scratch);
    scratch = p;
    scratch_bytes = bytes;
    pthread_setspecific(scratch_key, p);
    return 0;
}

static int give_scratch(worker *w, size_t bytes)
{
    if (bytes <= w->scratch_bytes)
        return 0;
    void *old = w->scratch;
    w->scratch = NULL; /* in this order, so that a fork at any moment leaves nothing dangling */
    w->scratch_bytes = 0;
    os_free(old);
    w->scratch = os_alloc(bytes);
    if (!w->scratch)
        return -1;
    w->scratch_bytes = bytes;
    return 0;
}

/* ---------------------------------------------------------------- claims */

/* Is a chunk left? */
static inline int open_ticket(uint64_t t) { return (t & MASK) + (t >> 21 & MASK) < t >> 42; }

/* The number of the chunk that this thread has claimed, or -1. */
static inline int64_t claim(int backwards)
{
    if (backwards) {
        uint64_t t = atomic_fetch_add_explicit(&team.ticket, BACK, memory_order_acquire);
        return open_ticket(t) ? (int64_t)(t >> 42) - 1 - (int64_t)(t >> 21 & MASK) : -1;
    }
    uint64_t t = atomic_fetch_add_explicit(&team.ticket, FRONT, memory_order_acquire);
    return open_ticket(t) ? (int64_t)(t & MASK) : -1;
}

static inline void execute(const fnn_line *line, int64_t i)
{
    while (i >= line->chunks)
        i -= line++->chunks;
    int64_t first = i * line->chunk, last = first + line->chunk;
    if (fnn_open(line))
        line->call.kernel(line->call.buf, line->call.dim, line->call.attr, first,
                          last < line->tiles ? last : line->tiles);
}

/* ---------------------------------------------------------------- the workers */

static inline int may_claim(int me)
{
    return open_ticket(atomic_load(&team.ticket)) && me < atomic_load(&team.limit);
}

static void step_aside(int64_t *moved)
{
    int cpu = os_cpu();
    if (cpu < 0 || cpu != atomic_load_explicit(&team.owner_cpu, memory_order_relaxed))
        return;
    int64_t now = os_now_ns();
    if (now - *moved > MOVE_NS) {
        *moved = now;
        os_avoid_cpu(cpu, atomic_load_explicit(&team.limit, memory_order_relaxed));
    }
}

/* Wake up to two sleepers: each of them wakes two more, so that a large team is up in a few steps and
 * the caller pays for two at most.  Gives how many it woke. */
static int wake_two(void)
{
    int limit = atomic_load_explicit(&team.limit, memory_order_relaxed), woken = 0;
    for (int i = 1; i < limit && woken < 2; i++)
        if (atomic_load(&workers[i].asleep) && atomic_exchange(&workers[i].asleep, 0)) {
            os_wake(&workers[i].asleep);
            woken++;
        }
    return woken;
}

static void wait_for_work(int me, worker *w)
{
    for (int64_t start = 0;;) {
        for (int i = 0; i < 32; i++) {
            if (may_claim(me))
                return;
            os_pause();
        }
        int64_t now = os_now_ns();
        if (!start)
            start = now;
        else if (now - start > FNN_SPIN_NS)
            break;
    }
    atomic_store(&w->asleep, 1);
    if (may_claim(me))
        atomic_store(&w->asleep, 0);
    else {
        while (atomic_load(&w->asleep))
            os_wait(&w->asleep, 1);
        if (may_claim(me))
            wake_two();
    }
}

static void *worker_main(void *argument)
{
    worker *w = argument;
    int me = (int)(w - workers);
    int64_t moved = 0;
    os_float_default();
    for (;;) {
        int64_t i = may_claim(me) ? claim(me & 1) : -1;
        if (i < 0) {
            wait_for_work(me, w);
            step_aside(&moved);
            continue;
        }
        scratch = w->scratch;
        execute(team.lines, i);
        atomic_fetch_add(&team.done, 1);
        if (atomic_load(&team.waiting))
            os_wake(&team.done);
    }
    return NULL;
}

static void grow(int threads)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes))
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 2 << 20);
#if !defined(_WIN32)
    /* Signals are for the threads that Python knows; a new thread inherits the mask. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
#endif
    while (team.threads < threads) {
        pthread_t id;
        atomic_store(&workers[team.threads].asleep, 0);
        if (pthread_create(&id, &attributes, worker_main, &workers[team.threads]))
            break;
        team.threads++;
    }
#if !defined(_WIN32)
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#endif
    pthread_attr_destroy(&attributes);
}

/* ---------------------------------------------------------------- the caller */

int fnn_team_take(int threads, size_t bytes)
{
    int no = 0;
    if (threads > FNN_MAX_THREADS)
        threads = FNN_MAX_THREADS;
    if (threads < 2 || !atomic_compare_exchange_strong(&team.taken, &no, 1))
        return 1;
    if (team.threads < threads)
        grow(threads);
    /* All workers, not only those below the new limit: one that read the old limit may still come. */
    int usable = team.threads;
    for (int i = 1; i < team.threads; i++)
        if (give_scratch(&workers[i], bytes))
            usable = 1;
    if (usable > threads)
        usable = threads;
    if (usable < 2) {
        atomic_store(&team.taken, 0);
        return 1;
    }
    atomic_store(&team.limit, usable);
    fnn_team_here();
    return usable;
}

int fnn_team_warm(int64_t now) { return now - team.left < FNN_SPIN_NS / 2; }

void fnn_team_leave(void)
{
    team.left = os_now_ns();
    atomic_store_explicit(&team.owner_cpu, -1, memory_order_relaxed);
    atomic_store(&team.taken, 0);
}

void fnn_team_here(void) { atomic_store_explicit(&team.owner_cpu, os_cpu(), memory_order_relaxed); }

int64_t fnn_now_ns(void) { return os_now_ns(); }

int fnn_team_crowded(int64_t now)
{
    return now < atomic_load_explicit(&team.solo_until, memory_order_relaxed);
}

/* Wait until workers have executed `chunks`. */
static void wait_for_workers(uint32_t chunks, int64_t level_start)
{
    for (int i = 0; i < 64; i++) {
        if (atomic_load_explicit(&team.done, memory_order_acquire) == chunks)
            return;
        os_pause();
    }
    int64_t start = os_now_ns(), now = start, own = start - level_start;
    while (now - start < WAIT_SPIN_NS) {
        for (int i = 0; i < 16; i++) {
            if (atomic_load_explicit(&team.done, memory_order_acquire) == chunks)
                return;
            os_pause();
        }
        now = os_now_ns();
    }
    team.counts.waits++;
    atomic_store(&team.waiting, 1);
    for (uint32_t seen; (seen = atomic_load(&team.done)) != chunks;)
        os_wait(&team.done, seen);
    atomic_store(&team.waiting, 0);
    now = os_now_ns();
    if (now - start > STALL_NS + 3 * own) {
        int64_t solo = SOLO_TIMES * (now - start);
        if (now - team.stall_end < 4 * team.solo_ns && solo < 2 * team.solo_ns) /* again, so soon */
            solo = 2 * team.solo_ns;
        team.solo_ns = solo < SOLO_MAX_NS ? solo : SOLO_MAX_NS;
        team.stall_end = now + team.solo_ns;
        atomic_store_explicit(&team.solo_until, team.stall_end, memory_order_relaxed);
        team.counts.stalls++;
    }
}

void fnn_team_run(const fnn_line *lines, int64_t total, int wake)
{
    team.counts.levels++;
    team.lines = lines;
    atomic_store_explicit(&team.done, 0, memory_order_relaxed);
    int64_t start = os_now_ns();
    atomic_store(&team.ticket, (uint64_t)total * TOTAL);
    if (wake)
        team.counts.wakes += wake_two();
    uint32_t mine = 0;
    for (int64_t i; (i = claim(0)) >= 0; mine++)
        execute(lines, i);
    wait_for_workers((uint32_t)total - mine, start);
}

void fnn_team_count(fnn_team_counts *counts)
{
    *counts = team.counts;
    counts->workers = team.threads - 1;
}

/* ---------------------------------------------------------------- fork and exit */

unsigned fnn_fork_count(void) { return atomic_load(&forks); }

/* In the child only the forking thread lives.  Whatever another thread was doing with the team is
 * void there; the workers will be made again.  Their scratch memory stays and finds new owners. */
static void after_fork_in_child(void)
{
    os_sleep_reset();
    atomic_store(&team.ticket, 0);
    atomic_store(&team.done, 0);
    atomic_store(&team.waiting, 0);
    atomic_store(&team.taken, 0);
    atomic_store(&team.solo_until, 0);
    team.threads = 1;
    atomic_fetch_add(&forks, 1);
}

__attribute__((constructor)) static void at_load(void)
{
    pthread_key_create(&scratch_key, os_free);
#if !defined(_WIN32)
    pthread_atfork(NULL, NULL, after_fork_in_child);
#endif
    (void)after_fork_in_child;
}
