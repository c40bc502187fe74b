/* Batch normalisation's rungs in C: mean and (biased) variance of each column.
 * buf: mean, var (written; N), x (read; M x N, row after row), and for some rungs scratch vectors of N; dim: M, N. */
#include "ladder.h"

#define UNPACK \
    float *restrict mean = buf[0], *restrict var = buf[1]; \
    const float *restrict x = buf[2]; \
    const int64_t M = dim[0], N = dim[1]

/* As the formula is written: down one column after another, 4 N bytes from element to element. */
KERNEL(batch_norm_columns)
{
    UNPACK;
    for (int64_t c = 0; c < N; c++) {
        float s = 0, q = 0;
        for (int64_t r = 0; r < M; r++)
            s += x[r * N + c];
        mean[c] = s / (float)M;
        for (int64_t r = 0; r < M; r++)
            q += (x[r * N + c] - mean[c]) * (x[r * N + c] - mean[c]);
        var[c] = q / (float)M;
    }
}

/* Loops exchanged: along the rows, as memory lies, with N sums under way at once. */
KERNEL(batch_norm_rows)
{
    UNPACK;
    memset(mean, 0, (size_t)N * sizeof *mean);
    memset(var, 0, (size_t)N * sizeof *var);
    for (int64_t r = 0; r < M; r++)
        for (int64_t c = 0; c < N; c++)
            mean[c] += x[r * N + c];
    for (int64_t c = 0; c < N; c++)
        mean[c] /= (float)M;
    for (int64_t r = 0; r < M; r++)
        for (int64_t c = 0; c < N; c++)
            var[c] += (x[r * N + c] - mean[c]) * (x[r * N + c] - mean[c]);
    for (int64_t c = 0; c < N; c++)
        var[c] /= (float)M;
}

/* Welford (1962): one pass, the mean so far corrected by every row. */
KERNEL(batch_norm_welford)
{
    UNPACK;
    memset(mean, 0, (size_t)N * sizeof *mean);
    memset(var, 0, (size_t)N * sizeof *var);
    for (int64_t r = 0; r < M; r++) {
        const float share = 1.0f / (float)(r + 1);
        for (int64_t c = 0; c < N; c++) {
            float d = x[r * N + c] - mean[c];
            mean[c] += d * share;
            var[c] += d * (x[r * N + c] - mean[c]);
        }
    }
    for (int64_t c = 0; c < N; c++)
        var[c] /= (float)M;
}

/* ------------------------------------------------------------------ by chunks */

enum { CHUNK = 64 }; /* rows: 64 x 256 floats are 64 KiB, which stay in L2 for a second look */

/* Two passes over each chunk, its own mean and the squares about that; then it joins the `r` rows before
 * (Chan, Golub & LeVeque 1983). Memory is read once. */
KERNEL(batch_norm_chunks)
{
    UNPACK;
    float *restrict s = buf[3], *restrict q = buf[4];
    memset(mean, 0, (size_t)N * sizeof *mean);
    memset(var, 0, (size_t)N * sizeof *var);
    for (int64_t r = 0; r < M; r += CHUNK) {
        const float *chunk = x + r * N;
        const int64_t rows = least(CHUNK, M - r);
        const float own = 1.0f / (float)rows, share = (float)rows / (float)(r + rows);
        memset(s, 0, (size_t)N * sizeof *s);
        memset(q, 0, (size_t)N * sizeof *q);
        for (int64_t k = 0; k < rows; k++)
            for (int64_t c = 0; c < N; c++)
                s[c] += chunk[k * N + c];
        for (int64_t c = 0; c < N; c++)
            s[c] *= own;
        for (int64_t k = 0; k < rows; k++)
            for (int64_t c = 0; c < N; c++)
                q[c] += (chunk[k * N + c] - s[c]) * (chunk[k * N + c] - s[c]);
        for (int64_t c = 0; c < N; c++) {
            float apart = s[c] - mean[c];
            var[c] += q[c] + apart * apart * ((float)r * share);
            mean[c] += apart * share;
        }
    }
    for (int64_t c = 0; c < N; c++)
        var[c] /= (float)M;
}

/* ------------------------------------------------------------------ sums in registers */

enum { U = 4, WIDE = 16 * U }; /* columns whose sums are in registers: 4 vectors of 16 */

/* s, q = sums of x - k and its square down the rows, of WIDE columns. Nothing is stored until the last row. */
INLINE void sums(float *s, float *q, const float *x, const float *k, int64_t rows, int64_t stride)
{
    f16 K[U], S[U] = {0}, Q[U] = {0};
    memcpy(K, k, sizeof K);
    for (int64_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int u = 0; u < U; u++) {
            f16 d = *(const f16 *)(x + r * stride + 16 * u) - K[u];
            S[u] += d;
            Q[u] += d * d;
        }
    memcpy(s, S, sizeof S);
    memcpy(q, Q, sizeof Q);
}

/* The same of the last few columns. */
static void few_sums(float *s, float *q, const float *x, const float *k, int64_t rows, int64_t columns, int64_t stride)
{
    memset(s, 0, WIDE * sizeof *s);
    memset(q, 0, WIDE * sizeof *q);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            float d = x[r * stride + c] - k[c];
            s[c] += d;
            q[c] += d * d;
        }
}

/* Rows whose sums about `mean` are s and q join the others; n rows with them. Squares may be taken about any number
 * that is near the mean: what that adds is s*s/n (Chan, Golub & LeVeque 1983). */
INLINE void join(float *restrict mean, float *restrict m2, const float *restrict s, const float *restrict q,
                 int64_t columns, int64_t n)
{
    const float share = 1.0f / (float)n;
    for (int64_t c = 0; c < columns; c++) {
        m2[c] += q[c] - s[c] * s[c] * share;
        mean[c] += s[c] * share;
    }
}

/* A tile is 64 columns from the first row to the last, in one pass. The first row is the first shift, then the mean so
 * far is. */
KERNEL(batch_norm_vectors)
{
    UNPACK;
    float s[WIDE], q[WIDE];
    for (int64_t t = first; t < last; t++) {
        const int64_t at = t * WIDE, columns = least(WIDE, N - at);
        memcpy(mean + at, x + at, (size_t)columns * sizeof *mean);
        memset(var + at, 0, (size_t)columns * sizeof *var);
        for (int64_t r = 0; r < M; r += 256) {
            if (columns == WIDE)
                sums(s, q, x + r * N + at, mean + at, least(256, M - r), N);
            else
                few_sums(s, q, x + r * N + at, mean + at, least(256, M - r), columns, N);
            join(mean + at, var + at, s, q, columns, least(r + 256, M));
        }
        for (int64_t c = 0; c < columns; c++)
            var[at + c] /= (float)M;
    }
}

/* ------------------------------------------------------------------ in the order of memory */

enum { BLOCK = 512 }; /* rows of a tile of the rungs below; batch_norm.py has the same */

#ifndef AHEAD
#define AHEAD 0 /* rows */
#endif

/* s, q += sums of x - k and its square down `rows` rows of N columns. Four rows at a time: a sum is loaded and stored
 * once for four rows. With AHEAD, the lines so many rows further on are asked for. */
INLINE void four_rows(float *restrict s, float *restrict q, const float *restrict x, const float *restrict k,
                      int64_t rows, int64_t N)
{
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * N) {
        int64_t c = 0;
        for (; c + 16 <= N; c += 16) {
            f16 K = *(const f16 *)(k + c), S = *(f16 *)(s + c), Q = *(f16 *)(q + c);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                if (AHEAD)
                    __builtin_prefetch(x + (i + AHEAD) * N + c, 0, 2); /* read; into L2 */
                f16 d = *(const f16 *)(x + i * N + c) - K;
                S += d;
                Q += d * d;
            }
            *(f16 *)(s + c) = S;
            *(f16 *)(q + c) = Q;
        }
        for (int i = 0; i < 4; i++)
            for (int64_t l = c; l < N; l++) {
                float d = x[i * N + l] - k[l];
                s[l] += d;
                q[l] += d * d;
            }
    }
    for (; r < rows; r++, x += N)
        for (int64_t c = 0; c < N; c++) {
            float d = x[c] - k[c];
            s[c] += d;
            q[c] += d * d;
        }
}

/* A tile is BLOCK rows of all columns. Each has 4 N floats of `part` (buf[3]) to itself and leaves its mean and sum of
 * squares in the first two N, which batch_norm_join puts together. */
KERNEL(batch_norm_blocks)
{
    const float *restrict x = buf[2];
    const int64_t M = dim[0], N = dim[1];
    for (int64_t t = first; t < last; t++) {
        const float *block = x + t * BLOCK * N;
        const int64_t rows = least(BLOCK, M - t * BLOCK);
        float *own = (float *)buf[3] + 4 * t * N, *m2 = own + N, *s = own + 2 * N, *q = own + 3 * N;
        memcpy(own, block, (size_t)N * sizeof *own);
        memset(m2, 0, (size_t)N * sizeof *m2);
        for (int64_t r = 0; r < rows; r += 128) {
            memset(s, 0, (size_t)(2 * N) * sizeof *s);
            four_rows(s, q, block + r * N, own, least(128, rows - r), N);
            join(own, m2, s, q, N, least(r + 128, rows));
        }
    }
}

/* The tiles in their order, whoever computed them: the bits do not depend on the threads. */
KERNEL(batch_norm_join)
{
    float *restrict mean = buf[0], *restrict var = buf[1];
    const float *restrict part = buf[3];
    const int64_t M = dim[0], N = dim[1];
    memset(mean, 0, (size_t)N * sizeof *mean);
    memset(var, 0, (size_t)N * sizeof *var);
    for (int64_t r = 0; r < M; r += BLOCK) {
        const float *own = part + r / BLOCK * 4 * N, *m2 = own + N;
        const float rows = (float)least(BLOCK, M - r), share = rows / ((float)r + rows);
        for (int64_t c = 0; c < N; c++) {
            float apart = own[c] - mean[c];
            var[c] += m2[c] + apart * apart * ((float)r * share);
            mean[c] += apart * share;
        }
    }
    for (int64_t c = 0; c < N; c++)
        var[c] /= (float)M;
}
