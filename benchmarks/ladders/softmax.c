/* Softmax cross-entropy and its gradient in C, float32: logits z (M,N), one int32 label and one weight g for each row.
 *
 *   p = exp(z - max) / sum      loss = log(sum) - (z[label] - max)      dz = (p - onehot(label)) * g
 *
 * Every KERNEL is one rung of softmax.py; docs/kernels/softmax.md climbs it. All have fastnn's kernel ABI:
 *
 *   buf  losses (M), p (M,N), dz (M,N) overwritten; z (M,N), labels (M), g (M)      dim  M, N      attr  none
 *   A tile is TILE rows. Labels must be columns, and logits finite. */
#include "softmax_vectors.h"

enum { TILE = 16, FEW = 32 };

#define OPERANDS \
    const int64_t N = dim[1], row = first * TILE, end = least(last * TILE, dim[0]); \
    float *restrict losses = buf[0], *restrict p = (float *)buf[1] + row * N, *restrict dz = (float *)buf[2] + row * N; \
    const float *restrict z = (const float *)buf[3] + row * N; \
    const int32_t *restrict labels = buf[4]; \
    const float *restrict g = buf[5]; \
    (void)attr;
#define ROWS for (int64_t i = row; i < end; i++, z += N, p += N, dz += N)

/* ---------------------------------------------------------------- plain loops */

/* The largest and the sum of a row, one number after the other: the compiler must not change the order of a sum. */
INLINE float largest_of(const float *z, int64_t n)
{
    float m = z[0];
    for (int64_t j = 1; j < n; j++)
        m = m < z[j] ? z[j] : m;
    return m;
}

INLINE float sum_of(const float *p, int64_t n)
{
    float s = 0;
    for (int64_t j = 0; j < n; j++)
        s += p[j];
    return s;
}

/* dz = p * g, and g less at the label. */
INLINE void gradient(float *restrict dz, const float *restrict p, int64_t n, int32_t label, float g)
{
    for (int64_t j = 0; j < n; j++)
        dz[j] = p[j] * g;
    dz[label] = (p[label] - 1.0f) * g;
}

/* The exponential is a call: no loop around it vectorizes. */
KERNEL(softmax_libm)
{
    OPERANDS
    ROWS {
        const float m = largest_of(z, N);
        for (int64_t j = 0; j < N; j++)
            p[j] = expf(z[j] - m);
        const float sum = sum_of(p, N), share = 1.0f / sum;
        for (int64_t j = 0; j < N; j++)
            p[j] *= share;
        losses[i] = logf(sum) - (z[labels[i]] - m);
        gradient(dz, p, N, labels[i], g[i]);
    }
}

/* ---------------------------------------------------------------- an exponential that vectorizes: softmax_exp.h */

/* As softmax_libm, with our exponential: that loop vectorizes now. Largest and sum still go one by one. */
KERNEL(softmax_exp)
{
    OPERANDS
    ROWS {
        const float m = largest_of(z, N);
        for (int64_t j = 0; j < N; j++)
            p[j] = exp_below_0(z[j] - m);
        const float sum = sum_of(p, N), share = 1.0f / sum;
        for (int64_t j = 0; j < N; j++)
            p[j] *= share;
        losses[i] = logf(sum) - (z[labels[i]] - m);
        gradient(dz, p, N, labels[i], g[i]);
    }
}

/* ---------------------------------------------------------------- vectors along the row */

/* Sixteen sums side by side, added up once at the end. */
INLINE float largest_along(const float *z, int64_t n)
{
    int64_t j = LANES;
    if (n < LANES)
        return largest_of(z, n);
    f16 m = *(const f16 *)(z);
    for (; j + LANES <= n; j += LANES)
        m = larger(m, *(const f16 *)(z + j));
    m = larger(m, *(const f16 *)(z + n - LANES));   /* the last ones once more: a maximum does not mind */
    return largest_lane(m);
}

/* p = exp(z - m); returns the sum. */
INLINE float exp_along(float *restrict p, const float *restrict z, int64_t n, float m)
{
    f16 sums = {0};
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
        const f16 e = exp_of(*(const f16 *)(z + j) - m);
        *(f16 *)(p + j) = e;
        sums += e;
    }
    float rest = 0;
    for (; j < n; j++)
        rest += p[j] = exp_below_0(z[j] - m);
    return sum_of_lanes(sums) + rest;
}

KERNEL(softmax_along)
{
    OPERANDS
    ROWS {
        const float m = largest_along(z, N), sum = exp_along(p, z, N, m), share = 1.0f / sum;
        for (int64_t j = 0; j < N; j++)
            p[j] *= share;
        losses[i] = logf(sum) - (z[labels[i]] - m);
        gradient(dz, p, N, labels[i], g[i]);
    }
}

/* One pass for largest and sum (Milakov & Gimelshein 2018): whenever a larger one comes, what was summed so far is
 * scaled down. Each lane has a maximum of its own. Saves a pass over z and costs a second exponential. */
KERNEL(softmax_online)
{
    OPERANDS
    ROWS {
        f16 m = (f16){0} - INFINITY, sums = {0};
        int64_t j = 0;
        for (; j + LANES <= N; j += LANES) {
            const f16 x = *(const f16 *)(z + j), new = larger(m, x);
            sums = sums * exp_of(m - new) + exp_of(x - new);
            m = new;
        }
        float largest = largest_lane(m), sum = 0;
        for (int64_t h = j; h < N; h++)
            largest = largest < z[h] ? z[h] : largest;
        if (j > 0)
            sum = sum_of_lanes(sums * exp_of(m - largest));
        for (int64_t h = j; h < N; h++)
            sum += exp_below_0(z[h] - largest);
        const float share = 1.0f / sum;
        for (int64_t h = 0; h < N; h++)
            p[h] = exp_below_0(z[h] - largest) * share;
        losses[i] = logf(sum) - (z[labels[i]] - largest);
        gradient(dz, p, N, labels[i], g[i]);
    }
}

/* ---------------------------------------------------------------- loss and gradient in one pass */

INLINE void fused_row(float *losses, float *restrict p, float *restrict dz, const float *restrict z, int32_t label,
                      float g, int64_t N)
{
    const float m = largest_along(z, N), sum = exp_along(p, z, N, m), share = 1.0f / sum;
    for (int64_t j = 0; j < N; j++) {
        const float q = p[j] * share;
        p[j] = q;
        dz[j] = q * g;
    }
    *losses = logf(sum) - (z[label] - m);
    dz[label] = (p[label] - 1.0f) * g;
}

KERNEL(softmax_fused)
{
    OPERANDS
    ROWS fused_row(losses + i, p, dz, z, labels[i], g[i], N);
}

/* ---------------------------------------------------------------- vectors across rows */

/* Sixteen rows of few classes at once, one row in each lane: no sum or maximum across lanes, no lane without work. */
INLINE void sixteen_rows(float *restrict losses, float *restrict p, float *restrict dz, const float *restrict z,
                         const int32_t *labels, const float *g, int64_t N)
{
    f16 column[FEW];
    for (int64_t l = 0; l < LANES; l++)     /* transpose */
        for (int64_t j = 0; j < N; j++)
            ((float *)column)[j * LANES + l] = z[l * N + j];
    f16 m = (f16){0} - INFINITY, sum = {0};
    for (int64_t j = 0; j < N; j++)
        m = larger(m, column[j]);
    for (int64_t j = 0; j < N; j++)
        sum += column[j] = exp_of(column[j] - m);
    const f16 share = 1.0f / sum, scale = share * *(const f16 *)(g);
    for (int64_t l = 0; l < LANES; l++) {   /* and back */
        const int64_t k = labels[l];
        for (int64_t j = 0; j < N; j++) {
            const float e = ((float *)column)[j * LANES + l];
            p[l * N + j] = e * share[l];
            dz[l * N + j] = e * scale[l];
        }
        dz[l * N + k] = (p[l * N + k] - 1.0f) * g[l];
        losses[l] = logf(sum[l]) - (z[l * N + k] - m[l]);
    }
}

KERNEL(softmax_across)
{
    OPERANDS
    int64_t i = row;
    for (; N <= FEW && i + LANES <= end; i += LANES, z += LANES * N, p += LANES * N, dz += LANES * N)
        sixteen_rows(losses + i, p, dz, z, labels + i, g + i, N);
    for (; i < end; i++, z += N, p += N, dz += N)
        fused_row(losses + i, p, dz, z, labels[i], g[i], N);
}
