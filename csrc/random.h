/* Random numbers that depend only on (key, step, index): Philox4x32-10 of Salmon, Moraes, Dror & Shaw
 * (2011), Parallel random numbers: as easy as 1, 2, 3.
 *
 * A block is what Philox gives for one counter (block low, block high, step low, step high): four words
 * of 32 bits. Blocks are taken in groups of eight, laid out so that no path has to move words between
 * vector lanes: lane p = 0..15 of the vectors A and B holds
 *
 *     A[p] = word p % 2 of block 8 group + p / 2        B[p] = word 2 + p % 2 of the same block
 *
 * fastnn/kernels/dropout.py makes the same numbers in NumPy.
 *
 * Dropout spends 16 bits on an element, so a rate counts to the nearest 2^-16. With 32 bits it was slower
 * than memory: on a 2-core AMD Zen 4 (GCC 12, 8M floats, share of memcpy's speed on one core, on both)
 *     16 bits   AVX-512 1.07, 1.29   AVX2 0.99, 1.02        32 bits   AVX-512 0.61, 0.78   AVX2 0.56, 0.58
 * and in cache 4.3 (AVX2 3.2) against 2.3 (1.8) elements a nanosecond; NumPy's `x * (random > rate)` 0.4. */
#ifndef FASTNN_RANDOM_H
#define FASTNN_RANDOM_H

#include "fastnn.h"

enum { FNN_DROPOUT_GROUP = 64, FNN_RANDOM_GROUP = 32 }; /* elements that one group of blocks serves */

typedef struct fnn_stream {
    uint64_t step;
    uint32_t key0, key1;
} fnn_stream;

/* Sine and cosine of f quarters of a turn, -1/2 <= f <= 1/2. Without FMA, so that NumPy has the same bits. */
static inline __attribute__((always_inline)) void fnn_sin_cos(float f, float *sine, float *cosine)
{
    const float t = f * f;
    float s = -0.00468597142f, c = 0.000894473458f;
    s = s * t + 0.079712525f;
    s = s * t + -0.645966649f;
    s = s * t + 1.57079637f;
    c = c * t + -0.0208555944f;
    c = c * t + 0.253668547f;
    c = c * t + -1.23370051f;
    *sine = s * f;
    *cosine = c * t + 1.0f;
}

struct fnn_random_ops {
    /* y[0..n) from group number `group` on.
     * y = x scale where the element's 16 bits are at least `threshold`, else 0; y may be x. Elements
     * 0..15 of a group take the high halves of A, then low halves of A, high and low halves of B.
     * threshold is at most 65536 */
    void (*dropout)(float *y, const float *x, int64_t n, int64_t group, fnn_stream s, uint32_t threshold,
                    float scale);
    /* y = low + u width, u = the top 24 bits of a word / 2^24: elements 0..15 from A, 16..31 from B */
    void (*uniform)(float *y, int64_t n, int64_t group, fnn_stream s, float low, float width);
    /* y = mean + stddev z, z standard normal by Box & Muller (1958): radius from A, angle from B */
    void (*normal)(float *y, int64_t n, int64_t group, fnn_stream s, float mean, float stddev);
    /* the 32 words A, B of one group, for tests */
    void (*words)(uint32_t *y, int64_t group, fnn_stream s);
};

#endif
