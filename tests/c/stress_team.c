/* The thread team without Python, for ThreadSanitizer and AddressSanitizer:
 *
 *     gcc -g -O1 -fsanitize=thread -Icsrc tests/c/stress_team.c csrc/team.c csrc/run.c -pthread -o stress && ./stress
 *
 * Several threads run programs of their own at once, made and freed again and again; each tile of a
 * level checks that the level before was whole. */
#include "run.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 5, TILES = 24 };

static void mix(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last)
{
    uint64_t *y = buf[0], *own = fnn_scratch();
    const uint64_t *x = buf[1];
    (void)attr;
    for (int64_t i = first; i < last; i++) {
        uint64_t v = x[i] + 3 * x[(7 * i + 1) % dim[0]];
        for (int64_t j = 0; j < dim[1]; j++)
            v = v * 6364136223846793005u + 1442695040888963407u;
        own[dim[2] / 8 - 1] = v;
        y[i] = own[dim[2] / 8 - 1];
    }
}

typedef struct job {
    int repeats, threads, failures;
} job;

static void *work(void *argument)
{
    job *job = argument;
    for (int r = 0; r < job->repeats; r++) {
        uint64_t *x = malloc((LEVELS + 1) * TILES * sizeof *x), want[TILES], next[TILES];
        for (int i = 0; i < TILES; i++)
            want[i] = x[i] = (uint64_t)i * 977 + (uint64_t)r;
        int64_t dim[3] = {TILES, 5, 64 << r % 8};
        void *buf[LEVELS][2];
        fnn_line *lines = calloc(LEVELS, sizeof *lines);
        fnn_level *levels = calloc(LEVELS, sizeof *levels);
        for (int l = 0; l < LEVELS; l++) {
            buf[l][0] = x + (l + 1) * TILES;
            buf[l][1] = x + l * TILES;
            lines[l] = (fnn_line){.call = {mix, buf[l], dim, NULL}, .tiles = TILES, .grain = 1, .cost_ns = 1e5};
            levels[l] = (fnn_level){.first = l, .count = 1};
            for (int i = 0; i < TILES; i++) {
                next[i] = want[i] + 3 * want[(7 * i + 1) % TILES];
                for (int j = 0; j < dim[1]; j++)
                    next[i] = next[i] * 6364136223846793005u + 1442695040888963407u;
            }
            memcpy(want, next, sizeof want);
        }
        fnn_program *p = calloc(1, sizeof *p);
        *p = (fnn_program){.lines = lines, .levels = levels, .line_count = LEVELS, .level_count = LEVELS,
                           .scratch = (size_t)dim[2]};
        int64_t done = fnn_run(p, 1 + r % 4, NULL, 0, job->threads, 1e9);
        job->failures += done != 1 + r % 4 || memcmp(want, x + LEVELS * TILES, sizeof want) != 0;
        free(p);
        free(levels);
        free(lines);
        free(x);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int repeats = argc > 1 ? atoi(argv[1]) : 3000, failures = 0;
    job jobs[] = {{repeats, 8, 0}, {repeats, 3, 0}, {repeats, 2, 0}};
    work(&jobs[0]); /* the team to itself, then three callers at once */
    pthread_t ids[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&ids[i], NULL, work, &jobs[i]);
    for (int i = 0; i < 3; i++) {
        pthread_join(ids[i], NULL);
        failures += jobs[i].failures;
    }
    fnn_team_counts c;
    fnn_team_count(&c);
    printf("%d wrong; %d workers, %lld levels handed out, %lld wakes, %lld waits, %lld stalls\n", failures,
           (int)c.workers, (long long)c.levels, (long long)c.wakes, (long long)c.waits, (long long)c.stalls);
    return failures != 0;
}
