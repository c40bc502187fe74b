/* Running a program: the loop over steps and levels. */
#include "os.h"

#include "run.h"

#include <string.h>

/* Work that is worth a claim, work that is worth a meeting of threads, work that is worth waking
 * sleepers.  Nanoseconds of one thread.  Measured on two Zen 4 cores in a virtual machine: a meeting
 * costs 180 ns and each claim some 20 more; a wake costs the caller 8 us and brings help after 20 to
 * 30 us, and the two are even at about 40 us of work. */
#define CHUNK_NS 500
#define LEVEL_NS 6000
#define WAKE_NS 40000
#define CHUNKS_PER_THREAD 8 /* so that the last ones to finish wait for an eighth of a part */
#define CLOCK_NS 20000      /* look at the clock about that often */

static int64_t clamp(double x, int64_t low, int64_t high)
{
    return x >= (double)high ? high : x > (double)low ? (int64_t)x : low;
}

/* Cut one call so that a chunk costs about `target` ns, but is not below its grain. */
static void cut(fnn_line *line, double target, int threads)
{
    int64_t most = (int64_t)threads * CHUNKS_PER_THREAD * 2;
    int64_t want = clamp(line->cost_ns / target + 0.5, 1, most);
    line->chunk = (line->tiles + want - 1) / want;
    if (line->chunk < line->grain)
        line->chunk = line->grain;
    line->chunks = (line->tiles + line->chunk - 1) / line->chunk;
}

/* Decide for this number of threads which levels are shared, and how.  Results do not depend on it. */
static void plan(fnn_program *p, int threads)
{
    if (p->planned == threads)
        return;
    p->planned = threads;
    p->step_ns = 0;
    p->shared = 0;
    for (fnn_level *level = p->levels; level < p->levels + p->level_count; level++) {
        fnn_line *lines = p->lines + level->first;
        double cost = 0;
        for (int64_t i = 0; i < level->count; i++)
            cost += lines[i].cost_ns;
        p->step_ns += cost;
        double target = cost / (threads * CHUNKS_PER_THREAD);
        if (target < CHUNK_NS)
            target = CHUNK_NS;
        level->chunks = 0;
        for (int64_t i = 0; i < level->count; i++) {
            cut(&lines[i], target, threads);
            level->chunks += lines[i].chunks;
        }
        if (threads < 2 || cost < LEVEL_NS || level->chunks < 2 || level->chunks > FNN_MAX_CHUNKS)
            level->chunks = 0;
        p->shared |= level->chunks > 0;
    }
    /* A sleeper is woken for what it can expect to do before a stretch of work for the caller alone
     * sends it to sleep again.  Seen from the end backwards: first the last step of a run, then a step
     * that others follow (two rounds, for the work ahead goes on into the next step; if nothing
     * interrupts it, it has no end). */
    double ahead = 0;
    int interrupted = 0;
    for (int round = 0; round < 3; round++)
        for (int64_t l = p->level_count - 1; l >= 0; l--) {
            fnn_level *level = &p->levels[l];
            double cost = 0;
            for (int64_t i = 0; i < level->count; i++)
                cost += p->lines[level->first + i].cost_ns;
            if (level->chunks)
                ahead += cost;
            else if (cost > FNN_SPIN_NS) {
                ahead = 0;
                interrupted = 1;
            }
            level->wake = ahead > WAKE_NS || !interrupted;
            if (round == 0)
                level->wake_last = ahead > WAKE_NS;
        }
}

static inline void whole(const fnn_line *line)
{
    if (line->tiles && fnn_open(line))
        line->call.kernel(line->call.buf, line->call.dim, line->call.attr, 0, line->tiles);
}

static inline void whole_step(const fnn_program *p)
{
    for (const fnn_line *line = p->lines, *last = line + p->line_count; line < last; line++)
        whole(line);
}

/* After how many steps to look at the clock again. */
static inline int64_t steps_per_look(const fnn_program *p) { return clamp(CLOCK_NS / (p->step_ns + 1), 1, 16); }

static inline void feed(const fnn_program *p, char *const *rows, int64_t row)
{
    for (int64_t i = 0; i < p->feed_count; i++) {
        const fnn_copy *c = &p->feeds[i];
        if (rows[i])
            memcpy(c->buffer, rows[i] + row * c->bytes, (size_t)c->bytes);
    }
}

static inline void fetch(const fnn_program *p, char *const *rows, int64_t row)
{
    rows += p->feed_count;
    for (int64_t i = 0; i < p->fetch_count; i++) {
        const fnn_copy *c = &p->fetches[i];
        if (rows[i])
            memcpy(rows[i] + row * c->bytes, c->buffer, (size_t)c->bytes);
    }
}

/* The program is ours from now on, or FNN_BUSY. */
static int own(fnn_program *p)
{
    unsigned me = fnn_fork_count() + 1, seen = atomic_load(&p->running);
    /* A run that was in progress at a fork is void in the child, whose fork count is higher. */
    return seen != me && atomic_compare_exchange_strong(&p->running, &seen, me) ? 0 : FNN_BUSY;
}

/* The program belongs to this run; memory is there; the team is taken if there is use for it. */
static int enter(fnn_program *p, int *threads, os_float_mode *mode)
{
    if (own(p))
        return FNN_BUSY;
    if (fnn_need_scratch(p->scratch)) {
        atomic_store(&p->running, 0);
        return FNN_NO_MEMORY;
    }
    if (*threads < 1)
        *threads = 1;
    plan(p, *threads);
    /* Chunks that were cut for more threads than come serve as well. */
    *threads = p->shared ? fnn_team_take(*threads, p->scratch) : 1;
    *mode = os_float_default();
    return 0;
}

static void leave(fnn_program *p, int threads, os_float_mode mode)
{
    os_float_restore(mode);
    if (threads > 1)
        fnn_team_leave();
    atomic_store(&p->running, 0);
}

int64_t fnn_run(fnn_program *p, int64_t steps, char *const *rows, int64_t offset, int threads, double budget)
{
    os_float_mode mode;
    int status = enter(p, &threads, &mode);
    if (status)
        return status;
    int64_t now = os_now_ns(), every = steps_per_look(p), next = every, s = 0;
    int64_t end = budget < 1e9 ? now + (int64_t)(budget * 1e9) : INT64_MAX;
    int alone = threads < 2 || fnn_team_crowded(now), warm = threads > 1 && fnn_team_warm(now);
    for (;;) {
        feed(p, rows, offset + s);
        if (alone)
            whole_step(p);
        else
            for (const fnn_level *level = p->levels, *last = level + p->level_count; level < last; level++) {
                const fnn_line *lines = p->lines + level->first;
                if (level->chunks)
                    fnn_team_run(lines, level->chunks, s + 1 < steps || warm ? level->wake : level->wake_last);
                else
                    for (int64_t i = 0; i < level->count; i++)
                        whole(&lines[i]);
            }
        fetch(p, rows, offset + s);
        if (++s == steps)
            break;
        if (s >= next) {
            next = s + every;
            now = os_now_ns();
            if (now >= end)
                break;
            if (threads > 1) {
                alone = fnn_team_crowded(now);
                fnn_team_here();
            }
        }
    }
    leave(p, threads, mode);
    return s;
}

int fnn_shares(fnn_program *p, int threads)
{
    if (own(p))
        return 0;
    plan(p, threads);
    atomic_store(&p->running, 0);
    return p->shared;
}

int64_t fnn_run_alone(fnn_program *p, int64_t steps, char *const *rows, int64_t offset, int64_t end)
{
    if (own(p))
        return FNN_BUSY;
    if (!p->planned)
        plan(p, 1);
    int64_t every = steps_per_look(p), next = every, s = 0;
    for (;;) {
        feed(p, rows, offset + s);
        whole_step(p);
        fetch(p, rows, offset + s);
        if (++s == steps)
            break;
        if (s >= next) {
            next = s + every;
            if (os_now_ns() >= end)
                break;
        }
    }
    atomic_store(&p->running, 0);
    return s;
}

/* One call with nothing beside it: cut for itself, for within a level a small one may be a single chunk. */
static void one(const fnn_line *line, int threads)
{
    fnn_line own = *line;
    const double target = own.cost_ns / (threads * CHUNKS_PER_THREAD);
    cut(&own, target > CHUNK_NS ? target : CHUNK_NS, threads);
    if (threads > 1 && own.cost_ns >= LEVEL_NS && own.chunks > 1)
        fnn_team_run(&own, own.chunks, 1);
    else
        whole(line);
}

int64_t fnn_profile(fnn_program *p, int64_t steps, char *const *rows, int64_t offset, int threads)
{
    os_float_mode mode;
    int status = enter(p, &threads, &mode);
    if (status)
        return status;
    for (int64_t i = 0; i < p->line_count; i++) {
        p->min_ns[i] = INT64_MAX;
        p->total_ns[i] = 0;
    }
    for (int64_t s = 0; s < steps; s++) {
        feed(p, rows, offset + s);
        for (int64_t i = 0; i < p->line_count; i++) {
            int64_t start = os_now_ns();
            one(&p->lines[i], threads);
            int64_t took = os_now_ns() - start;
            p->total_ns[i] += took;
            if (took < p->min_ns[i])
                p->min_ns[i] = took;
        }
        fetch(p, rows, offset + s);
    }
    leave(p, threads, mode);
    return steps;
}

int64_t fnn_set_costs(fnn_program *p, const double *ns)
{
    if (own(p))
        return FNN_BUSY;
    for (int64_t i = 0; i < p->line_count; i++)
        p->lines[i].cost_ns = ns[i];
    p->planned = 0;
    atomic_store(&p->running, 0);
    return 0;
}

int64_t fnn_run_line(fnn_program *p, int64_t line, int threads)
{
    os_float_mode mode;
    int status = enter(p, &threads, &mode);
    if (status)
        return status;
    one(&p->lines[line], threads);
    leave(p, threads, mode);
    return 1;
}

int fnn_finite(const float *x, int64_t n)
{
    uint32_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return !bad;
}
