/* Vector types for one CPU path.  Plain loops over float are the first choice: GCC and Clang
 * vectorize them per path.  These types are for code that needs exact registers.
 *
 * `f16` is the sixteen virtual lanes in which every float sum is kept on every path, so that sums
 * have the same bits whatever the width of the machine's registers. */
#ifndef FASTNN_SIMD_H
#define FASTNN_SIMD_H

#if defined(__AVX512F__)
#define FNN_LANES 16
#elif defined(__AVX__)
#define FNN_LANES 8
#else
#define FNN_LANES 4
#endif

typedef float f16 __attribute__((vector_size(64), aligned(4), may_alias));
typedef float fvec __attribute__((vector_size(4 * FNN_LANES), aligned(4), may_alias));

#define FNN_INLINE static inline __attribute__((always_inline))

#if FNN_FMA
FNN_INLINE float fnn_fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
FNN_INLINE float fnn_fma(float a, float b, float c) { return a * b + c; }
#endif

#endif
