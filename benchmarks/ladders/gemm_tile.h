/* A tile of a matrix product that stays in registers, for gemm.c and lstm.c; docs/kernels/gemm.md explains it. */
#ifndef GEMM_TILE_H
#define GEMM_TILE_H

#include "ladder.h"

#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 6, PANEL = 4 };   /* 24 of 32 registers hold sums */
#elif defined(__AVX__)
enum { LANES = 8, ROWS = 6, PANEL = 2 };    /* 12 of 16 */
#elif defined(__aarch64__)
enum { LANES = 4, ROWS = 6, PANEL = 4 };    /* 24 of 32 */
#else
enum { LANES = 4, ROWS = 6, PANEL = 2 };    /* 12 of 16 */
#endif
enum { COLUMNS = PANEL * LANES };

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t bits __attribute__((vector_size(4 * LANES)));
#define AT(p, j) (*(vec *)((p) + (j) * LANES))
#define CONST_AT(p, j) (*(const vec *)((p) + (j) * LANES))

/* c[i,j] (+)= sum over k of a[i,k] b[k,j], for R rows and W vectors of columns; pitches cp, ap, bp in floats.
 * With a bias, c = max(0, c + bias) at the end. R and W are constants where this is inlined. */
INLINE void tile(const int R, const int W, float *restrict c, int64_t cp, const float *restrict a, int64_t ap,
                 const float *restrict b, int64_t bp, int64_t K, const int add, const float *bias)
{
    vec s[16][4];
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < W; j++) s[i][j] = add ? AT(c + i * cp, j) : (vec){0};
    for (int64_t k = 0; k < K; k++) {
        UNROLL for (int i = 0; i < R; i++)
            UNROLL for (int j = 0; j < W; j++) s[i][j] += a[i * ap + k] * CONST_AT(b + k * bp, j);
    }
    if (bias) {
        UNROLL for (int i = 0; i < R; i++)
            UNROLL for (int j = 0; j < W; j++) {
                s[i][j] += CONST_AT(bias, j);
                s[i][j] = (vec)((bits)s[i][j] & ~(s[i][j] < 0));   /* max(0, .); NaN stays */
            }
    }
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < W; j++) AT(c + i * cp, j) = s[i][j];
}

#endif
