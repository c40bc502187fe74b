/* The statistics inside fastnn's batch_norm: its own micro-kernels (csrc/norm.inc), driven as
 * fastnn/kernels/native/norm.pyx drives them. buf: mean, var, x; dim: M, N, columns of a tile. */
#include "ladder.h"

#define FNN_NAME(name) ladder_##name
#ifdef __FMA__
#define FNN_FMA 1
#else
#define FNN_FMA 0
#endif
#include "fastnn.h"
#include <math.h>
#include <string.h>

#include "simd.h"
#include "math.inc"
#include "elementwise.inc"
#include "norm.inc"

enum { CHUNK = 256, WIDEST = 256, FAR = 1 << 19, AHEAD = 64 }; /* as in norm.pyx */

KERNEL(batch_norm_fastnn)
{
    float *mean = buf[0], *var = buf[1];
    const float *x = buf[2];
    const int64_t M = dim[0], N = dim[1], width = dim[2];
    const float *end = x + M * N;
    const int64_t ahead = M * N > FAR ? AHEAD * N : 0;
    float center[WIDEST + 64] = {0}, m2[WIDEST + 64], s[WIDEST + 64], q[WIDEST + 64], carry[WIDEST + 64];
    for (int64_t t = first; t < last; t++) {
        const int64_t at = t * width, columns = least(width, N - at), n = least(M, CHUNK);
        ladder_norm_sums(s, x + at, end, n, columns, N);
        for (int64_t c = 0; c < columns; c++) {
            center[c] = s[c] * (float)(1.0 / (double)n);
            m2[c] = carry[c] = 0;
        }
        for (int64_t r = 0; r < M; r += CHUNK) {
            const int64_t rows = least(CHUNK, M - r);
            ladder_norm_shifted_sums(s, q, x + r * N + at, end, center, rows, columns, N, ahead);
            ladder_norm_merge(center, m2, carry, s, q, columns, (double)(r + rows));
        }
        for (int64_t c = 0; c < columns; c++) {
            mean[at + c] = center[c];
            var[at + c] = (m2[c] < 0 ? 0 : m2[c]) * (float)(1.0 / (double)M);
        }
    }
}
