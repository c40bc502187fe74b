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

/* s, q = sums of x - k and its square down the rows, of WIDE columns. Nothing is stored until the last row.
 * With `ahead`, what stands so many floats further on is asked for: rows are far apart, and no hardware follows. */
INLINE void sums(float *s, float *q, const float *x, const float *k, int64_t rows, int64_t stride, int64_t ahead)
{
    f16 K[U], S[U] = {0}, Q[U] = {0};
    memcpy(K, k, sizeof K);
    for (int64_t r = 0; r < rows; r++)
#pragma GCC unroll 4
        for (int u = 0; u < U; u++) {
            const float *p = x + r * stride + 16 * u;
            if (ahead)
                __builtin_prefetch(p + ahead);
            f16 d = *(const f16 *)p - K[u];
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

/* Columns 64 t .. 64 t + 63 in one pass. Squares are taken about the mean so far, which need not be exact, only near;
 * at first it is the first row. Rows whose sums about it are s and q then join: m2 += q - s*s/n; mean += s/n. */
INLINE void tile(float *mean, float *var, const float *x, int64_t M, int64_t N, int64_t t, int64_t ahead)
{
    const int64_t at = t * WIDE, columns = least(WIDE, N - at), chunk = 256;
    float k[WIDE] = {0}, m2[WIDE] = {0}, s[WIDE], q[WIDE];
    memcpy(k, x + at, (size_t)columns * sizeof *k);
    for (int64_t r = 0; r < M; r += chunk) {
        const int64_t rows = least(chunk, M - r);
        const float share = 1.0f / (float)(r + rows);
        if (columns == WIDE)
            sums(s, q, x + r * N + at, k, rows, N, ahead);
        else
            few_sums(s, q, x + r * N + at, k, rows, columns, N);
        for (int64_t c = 0; c < columns; c++) {
            m2[c] += q[c] - s[c] * s[c] * share;
            k[c] += s[c] * share;
        }
    }
    for (int64_t c = 0; c < columns; c++) {
        mean[at + c] = k[c];
        var[at + c] = m2[c] / (float)M;
    }
}

KERNEL(batch_norm_vectors)
{
    UNPACK;
    for (int64_t t = first; t < last; t++)
        tile(mean, var, x, M, N, t, 0);
}

KERNEL(batch_norm_prefetch)
{
    UNPACK;
    for (int64_t t = first; t < last; t++)
        tile(mean, var, x, M, N, t, 64 * N);
}
