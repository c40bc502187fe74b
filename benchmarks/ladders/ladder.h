/* What the C rungs share: fastnn's kernel signature and a vector of 16 floats. */
#ifndef LADDER_H
#define LADDER_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
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

/* Before a loop over registers, which is taken apart completely. */
#if defined(UNROLL)     /* -DUNROLL= shows what it is good for */
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Memory that stays from call to call, as large as the largest that was asked for; NULL if there is none. */
static float *memory(size_t floats)
{
    static _Thread_local float *kept;
    static _Thread_local size_t size;
    if (floats > size) {
        free(kept);
        kept = aligned_alloc(64, (floats + 15) / 16 * 64);
        size = kept ? floats : 0;
    }
    return kept;
}

#endif
