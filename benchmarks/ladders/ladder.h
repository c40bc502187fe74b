/* What the C rungs share: fastnn's kernel signature and a vector of 16 floats. */
#ifndef LADDER_H
#define LADDER_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* fastnn's kernel ABI (csrc/fastnn.h): arrays, sizes, numbers, and the tiles first..last-1 that this call computes. */
#define KERNEL(name) \
    void name(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last)

/* 16 floats, at any address; +, -, *, / work on all lanes at once (GCC and Clang vector extensions). On a CPU whose
 * registers hold fewer, the compiler takes several. */
typedef float f16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef uint32_t u16 __attribute__((vector_size(64), aligned(4), may_alias));

/* A function that is always copied into its callers, so that what it is handed can stay in registers. */
#define INLINE static inline __attribute__((always_inline))

INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
