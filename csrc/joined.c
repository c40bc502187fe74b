/* Members are taken by threads, a slice of time each; there is nothing else that threads wait for.
 *
 * The other way to join programs, level by level into one, was measured (benchmarks/sweep.py --ways) with 64-32-10
 * networks: threads then meet at each level, and each meeting finds the memory of all members (64 times 107 KiB)
 * gone from L2. A thread that stays with one member for a slice keeps it in L1 and L2. */
#include "os.h"

#include "joined.h"

/* A member that another thread had before has to come into this core's cache: some 10 us, where it fits. Short enough
 * that all members come to their ends together, so no thread is left alone with the last one for long. */
#define SLICE_NS 2000000

typedef struct crew {
    const fnn_joined *joined;
    _Atomic int64_t next, left;
    _Atomic int64_t status;
    int64_t end;
} crew;

static inline int finished(const fnn_member *m) { return m->at == m->count; }

/* What n steps more, or an error, mean for a member. */
static inline int64_t advance(fnn_member *m, int64_t n)
{
    if (n > 0) {
        m->done += n;
        if (m->done == m->stretches[m->at].steps) {
            m->at++;
            m->done = 0;
        }
    }
    return n;
}

/* Nobody's member that is not at its end, beginning behind the one that was given last; or NULL. */
static fnn_member *take(crew *c)
{
    int64_t count = c->joined->count, first = atomic_fetch_add(&c->next, 1);
    for (int64_t i = 0; i < count; i++) {
        fnn_member *m = &c->joined->members[(first + i) % count];
        int no = 0;
        if (!atomic_load_explicit(&m->taken, memory_order_relaxed) &&
            atomic_compare_exchange_strong(&m->taken, &no, 1))
            return m;
    }
    return NULL;
}

/* A kernel with one tile for each thread, for the team: work until the time is up or nothing is left to take. Who
 * finds all members taken goes: there are fewer left than threads. */
static void work(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last)
{
    crew *c = buf[0];
    int64_t now = os_now_ns();
    (void)dim, (void)attr, (void)first, (void)last;
    do {
        fnn_member *m = take(c);
        if (!m)
            return;
        int64_t end = now + SLICE_NS < c->end ? now + SLICE_NS : c->end, n;
        do { /* one step at least, so that every call goes on */
            const fnn_stretch *s = &m->stretches[m->at];
            n = advance(m, fnn_run_alone(s->program, s->steps - m->done, s->rows, m->done, end));
            now = os_now_ns();
        } while (n >= 0 && !finished(m) && now < end);
        if (n < 0)
            atomic_store(&c->status, n);
        if (finished(m))
            atomic_fetch_sub(&c->left, 1);
        else
            atomic_store(&m->taken, 0);
    } while (now < c->end && !atomic_load(&c->status));
}

/* Fewer members than threads, and steps that threads can share: one after another, each with the whole team. */
static int64_t in_turns(const fnn_joined *j, int64_t left, int threads, int64_t end)
{
    int64_t now = os_now_ns();
    for (fnn_member *m = j->members; m < j->members + j->count; m++) {
        if (finished(m))
            continue;
        while (!finished(m)) {
            const fnn_stretch *s = &m->stretches[m->at];
            int64_t n = advance(m, fnn_run(s->program, s->steps - m->done, s->rows, m->done, threads,
                                           (double)(end - now) * 1e-9));
            if (n < 0)
                return n;
            now = os_now_ns();
            if (now >= end)
                return left - finished(m);
        }
        left--;
    }
    return left;
}

int64_t fnn_run_joined(fnn_joined *j, int threads, double budget)
{
    int64_t now = os_now_ns(), end = budget < 1e9 ? now + (int64_t)(budget * 1e9) : INT64_MAX, left = 0;
    const fnn_member *some = NULL;
    for (fnn_member *m = j->members; m < j->members + j->count; m++) {
        atomic_store(&m->taken, finished(m));
        if (!finished(m)) {
            left++;
            some = m;
        }
    }
    if (!left)
        return 0;
    if (left < threads && fnn_shares(some->stretches[some->at].program, threads))
        return in_turns(j, left, threads, end);
    if (fnn_need_scratch(j->scratch))
        return FNN_NO_MEMORY;
    if (threads > left)
        threads = (int)left;
    threads = fnn_team_take(threads, j->scratch);
    os_float_mode mode = os_float_default();
    crew c = {.joined = j, .left = left, .end = end};
    void *buf[1] = {&c};
    if (threads > 1) {
        fnn_line line = {.call = {work, buf, NULL, NULL}, .tiles = threads, .grain = 1, .chunk = 1, .chunks = threads};
        fnn_team_run(&line, threads, 1);
        fnn_team_leave();
    } else
        work(buf, NULL, NULL, 0, 1);
    os_float_restore(mode);
    int64_t status = atomic_load(&c.status);
    return status ? status : atomic_load(&c.left);
}
