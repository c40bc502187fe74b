/* Causal attention in C: from the formula to blocks of scores that never leave the cache.
 *
 *   s[i,j] = q[i] . k[j] / sqrt(D),   j <= i        y[i] = sum over j of exp(s[i,j] - log_sum[i]) v[j]
 *
 * Every KERNEL is one rung of attention.py, or at the end, of its gradient, attention_grad.py; docs/kernels/attention.md
 * climbs both. All have fastnn's kernel ABI:
 *
 *   buf  y (B,T,H,D), log_sum (B,H,T) overwritten; q, k, v (B,T,H,D)        dim  B, T, H, D; D a multiple of 16
 *        attention_keeping also scores, in blocks (B,H,I,J,BLOCK,BLOCK)
 *   gradient:  buf  dq, dk, dv overwritten; dy, q, k, v, y, log_sum; attention_grad_kept also those scores
 *
 * A tile is a head of one sequence. Compiled with -ffp-contract=fast: a product and a sum become one FMA. */
#include "softmax_vectors.h"

enum { BLOCK = 64, STRIP = 16 };

/* One head: rows of q, k, v and y stand `pitch` floats apart. */
typedef struct {
    float *y, *log_sum;
    const float *q, *k, *v;
    int64_t T, D, pitch;
    float scale;
} head;

INLINE head head_of(void *const *buf, const int64_t *dim, int64_t t)
{
    const int64_t T = dim[1], H = dim[2], D = dim[3], at = (t / H * T * H + t % H) * D;
    return (head){(float *)buf[0] + at, (float *)buf[1] + t * T, (const float *)buf[2] + at,
                  (const float *)buf[3] + at, (const float *)buf[4] + at, T, D, H * D, 1.0f / sqrtf((float)D)};
}

/* Up to a multiple of 16. */
INLINE int64_t whole(int64_t n) { return (n + LANES - 1) / LANES * LANES; }

/* ---------------------------------------------------------------- the formula */

KERNEL(attention_formula)
{
    for (int64_t t = first; t < last; t++) {
        const head h = head_of(buf, dim, t);
        const int64_t T = h.T;
        float *s = memory((size_t)(T * T));
        if (!s)
            return;
        for (int64_t i = 0; i < T; i++)
            for (int64_t j = 0; j <= i; j++) {
                float sum = 0;
                for (int64_t d = 0; d < h.D; d++)
                    sum += h.q[i * h.pitch + d] * h.k[j * h.pitch + d];
                s[i * T + j] = sum * h.scale;
            }
        for (int64_t i = 0; i < T; i++) {
            float m = s[i * T], sum = 0;
            for (int64_t j = 1; j <= i; j++)
                m = m < s[i * T + j] ? s[i * T + j] : m;
            for (int64_t j = 0; j <= i; j++)
                sum += s[i * T + j] = expf(s[i * T + j] - m);
            for (int64_t j = 0; j <= i; j++)
                s[i * T + j] /= sum;
            h.log_sum[i] = m + logf(sum);
        }
        for (int64_t i = 0; i < T; i++) {
            float *y = h.y + i * h.pitch;
            memset(y, 0, h.D * sizeof *y);
            for (int64_t j = 0; j <= i; j++)
                for (int64_t d = 0; d < h.D; d++)
                    y[d] += s[i * T + j] * h.v[j * h.pitch + d];
        }
    }
    (void)attr;
}

/* ---------------------------------------------------------------- products in registers */

/* C (+)= A @ B for R rows and V vectors of columns, both constants where this is inlined. A[i,k] is a[i * ar + k * ak]:
 * a matrix or one that lies on its side. */
INLINE void tile(const int R, const int V, float *restrict c, int64_t cp, const float *restrict a, int64_t ar,
                 int64_t ak, const float *restrict b, int64_t bp, int64_t depth, int add)
{
    f16 s[6][4];
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < V; j++) s[i][j] = add ? *(f16 *)(c + i * cp + 16 * j) : (f16){0};
    for (int64_t k = 0; k < depth; k++)
        UNROLL for (int i = 0; i < R; i++)
            UNROLL for (int j = 0; j < V; j++) s[i][j] += a[i * ar + k * ak] * *(const f16 *)(b + k * bp + 16 * j);
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < V; j++) *(f16 *)(c + i * cp + 16 * j) = s[i][j];
}

/* R rows and all columns, 64, 32 or 16 at a time. */
INLINE void panel(const int R, float *c, int64_t cp, const float *a, int64_t ar, int64_t ak, const float *b, int64_t bp,
                  int64_t columns, int64_t depth, int add)
{
    int64_t j = 0;
    for (; j + 64 <= columns; j += 64)
        tile(R, 4, c + j, cp, a, ar, ak, b + j, bp, depth, add);
    for (; j + 32 <= columns; j += 32)
        tile(R, 2, c + j, cp, a, ar, ak, b + j, bp, depth, add);
    for (; j < columns; j += 16)
        tile(R, 1, c + j, cp, a, ar, ak, b + j, bp, depth, add);
}

/* C[rows, columns] (+)= A @ B, columns a multiple of 16, in panels of about one size, at most six rows. */
static void product(float *c, int64_t cp, const float *a, int64_t ar, int64_t ak, const float *b, int64_t bp,
                    int64_t rows, int64_t columns, int64_t depth, int add)
{
    const int64_t panels = (rows + 5) / 6;
    for (int64_t p = 0, i = 0; p < panels; p++) {
        const int64_t n = rows / panels + (p < rows % panels);
        switch (n) {
#define PANEL(R) case R: panel(R, c + i * cp, cp, a + i * ar, ar, ak, b, bp, columns, depth, add); break;
        PANEL(1) PANEL(2) PANEL(3) PANEL(4) PANEL(5) PANEL(6)
        }
        i += n;
    }
}

/* to[D, columns] = scale * the rows of x turned around; 0 in the columns behind them. */
static void turn(float *restrict to, int64_t columns, const float *restrict x, int64_t pitch, int64_t rows, int64_t D,
                 float scale)
{
    for (int64_t d = 0; d < D; d++) {
        for (int64_t r = 0; r < rows; r++)
            to[d * columns + r] = scale * x[r * pitch + d];
        for (int64_t r = rows; r < columns; r++)
            to[d * columns + r] = 0;
    }
}

INLINE void scale_row(float *y, int64_t D, float share)
{
    for (int64_t d = 0; d < D; d++)
        y[d] *= share;
}

/* ---------------------------------------------------------------- the whole matrix of a head */

/* -inf from element `seen` on; n is a multiple of 16 here and below. */
INLINE void hide(float *s, int64_t seen, int64_t n)
{
    for (int64_t c = seen > 0 ? seen : 0; c < n; c++)
        s[c] = -INFINITY;
}

INLINE float largest_of_row(const float *s, int64_t n)
{
    f16 m = *(const f16 *)s;
    for (int64_t c = LANES; c < n; c += LANES)
        m = larger(m, *(const f16 *)(s + c));
    return largest_lane(m);
}

/* s = exp(s - m); returns the sum. */
INLINE float exp_row(float *s, int64_t n, float m)
{
    f16 sums = {0};
    for (int64_t c = 0; c < n; c += LANES)
        sums += *(f16 *)(s + c) = exp_of(*(f16 *)(s + c) - m);
    return sum_of_lanes(sums);
}

/* All scores of a head in one product, their softmax row by row, and one product more. */
KERNEL(attention_products)
{
    for (int64_t t = first; t < last; t++) {
        const head h = head_of(buf, dim, t);
        const int64_t T = h.T, n = whole(T);
        float *turned = memory((size_t)(n * (h.D + T))), *s = turned + n * h.D;
        if (!turned)
            return;
        turn(turned, n, h.k, h.pitch, T, h.D, h.scale);
        product(s, n, h.q, h.pitch, 1, turned, n, T, n, h.D, 0);
        for (int64_t i = 0; i < T; i++) {
            hide(s + i * n, i + 1, n);
            const float m = largest_of_row(s + i * n, n), sum = exp_row(s + i * n, n, m);
            scale_row(s + i * n, n, 1.0f / sum);
            h.log_sum[i] = m + logf(sum);
        }
        product(h.y, h.pitch, s, n, 1, h.v, h.pitch, T, h.D, T, 0);
    }
    (void)attr;
}

/* ---------------------------------------------------------------- blocks, with an online softmax */

/* One row of a block: its exponentials, the row's maximum m and sum l so far, and y brought to the new maximum. */
INLINE void online_row(float *s, int64_t n, int64_t seen, float *m, float *l, float *y, int64_t D)
{
    hide(s, seen, n);
    const float top = largest_of_row(s, n), new = *m < top ? top : *m;
    const float share = exp_below_0(*m - new);
    *l = *l * share + exp_row(s, n, new);
    *m = new;
    if (share != 1.0f)
        scale_row(y, D, share);
}

/* skip: leave out blocks that causality hides; those that it cuts go in strips of rows. */
INLINE void in_blocks(const head h, const int skip)
{
    const int64_t T = h.T, D = h.D;
    float *s = memory((size_t)(BLOCK * BLOCK + (T + BLOCK) * D)), *turned = s + BLOCK * BLOCK, m[BLOCK], l[BLOCK];
    if (!s)
        return;
    for (int64_t j = 0; j < T; j += BLOCK)
        turn(turned + j * D, BLOCK, h.k + j * h.pitch, h.pitch, least(BLOCK, T - j), D, h.scale);
    for (int64_t i = 0; i < T; i += BLOCK) {
        const int64_t rows = least(BLOCK, T - i), end = skip ? i + rows : T;
        float *y = h.y + i * h.pitch;
        const float *q = h.q + i * h.pitch;
        for (int64_t r = 0; r < rows; r++)
            m[r] = -INFINITY, l[r] = 0;
        for (int64_t j = 0; j < end; j += BLOCK) {
            const int64_t keys = least(BLOCK, T - j), tall = skip && j == i ? STRIP : BLOCK;
            for (int64_t r = 0; r < rows; r += tall) {
                const int64_t some = least(tall, rows - r), n = tall == STRIP ? least(keys, r + STRIP) : keys;
                product(s, BLOCK, q + r * h.pitch, h.pitch, 1, turned + j * D, BLOCK, some, whole(n), D, 0);
                for (int64_t a = 0; a < some; a++)
                    online_row(s + a * BLOCK, whole(n), i + r + a + 1 - j, m + r + a, l + r + a, y + (r + a) * h.pitch,
                               D);
                product(y + r * h.pitch, h.pitch, s, BLOCK, 1, h.v + j * h.pitch, h.pitch, some, D, n, j > 0);
            }
        }
        for (int64_t r = 0; r < rows; r++) {
            scale_row(y + r * h.pitch, D, 1.0f / l[r]);
            h.log_sum[i + r] = m[r] + logf(l[r]);
        }
    }
}

KERNEL(attention_online)
{
    for (int64_t t = first; t < last; t++)
        in_blocks(head_of(buf, dim, t), 0);
    (void)attr;
}

KERNEL(attention_causal)
{
    for (int64_t t = first; t < last; t++)
        in_blocks(head_of(buf, dim, t), 1);
    (void)attr;
}

/* ---------------------------------------------------------------- blocks on their side: a query in each lane */

/* -inf in the lanes below n */
INLINE f16 hide_lanes(f16 x, int64_t n)
{
    const u16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, hidden = (u16)(lane < (uint32_t)n);
    return (f16)(((u16)((f16){0} - INFINITY) & hidden) | ((u16)x & ~hidden));
}

/* s[keys, columns] = k @ turned; of a block that causality cuts, only what a strip of keys is seen by. */
INLINE void scores(float *s, const float *k, int64_t pitch, const float *turned, int64_t keys, int64_t columns,
                   int64_t D, int cut)
{
    for (int64_t c = 0, tall = cut ? STRIP : BLOCK; c < keys; c += tall) {
        const int64_t from = cut ? c : 0;
        product(s + c * BLOCK + from, BLOCK, k + c * pitch, pitch, 1, turned + from, BLOCK, least(tall, keys - c),
                columns - from, D, 0);
    }
}

/* y[rows] (+)= s.T @ v, likewise */
INLINE void gather(float *y, const float *s, const float *v, int64_t pitch, int64_t rows, int64_t keys, int64_t D,
                   int cut, int add)
{
    for (int64_t r = 0, tall = cut ? STRIP : BLOCK; r < rows; r += tall)
        product(y + r * pitch, pitch, s + r, 1, BLOCK, v, pitch, least(tall, rows - r), D,
                cut ? least(keys, r + STRIP) : keys, add);
}

/* Sixteen queries, the columns of s: s = exp(s - m), with m, l and share as in online_row. `from`: their first key that
 * not all of them see. */
INLINE void online_lanes(float *s, int64_t keys, int64_t from, f16 *m, f16 *l, f16 *share)
{
    f16 new = *m, sum = {0};
    for (int64_t c = 0; c < least(from, keys); c++)
        new = larger(new, *(f16 *)(s + c * BLOCK));
    for (int64_t c = from; c < keys; c++)
        new = larger(new, *(f16 *)(s + c * BLOCK) = hide_lanes(*(f16 *)(s + c * BLOCK), c - from));
    *share = exp_of(*m - new);
    for (int64_t c = 0; c < keys; c++)
        sum += *(f16 *)(s + c * BLOCK) = exp_of(*(f16 *)(s + c * BLOCK) - new);
    *l = *l * *share + sum;
    *m = new;
}

/* kept: where copies of the blocks of scores go, for the gradient, or NULL. */
INLINE void on_its_side(const head h, float *kept)
{
    const int64_t across = (h.T + BLOCK - 1) / BLOCK;
    float *s = memory((size_t)(BLOCK * (BLOCK + h.D))), *turned = s + BLOCK * BLOCK;
    if (!s)
        return;
    for (int64_t i = 0; i < h.T; i += BLOCK) {
        const int64_t rows = least(BLOCK, h.T - i), columns = whole(rows);
        f16 m[BLOCK / LANES], l[BLOCK / LANES] = {{0}}, share[BLOCK / LANES];
        float *y = h.y + i * h.pitch;
        for (int g = 0; g < BLOCK / LANES; g++)
            m[g] = (f16){0} - INFINITY;
        turn(turned, BLOCK, h.q + i * h.pitch, h.pitch, rows, h.D, h.scale);
        for (int64_t j = 0; j <= i; j += BLOCK) {
            const int64_t keys = least(BLOCK, h.T - j);
            const int cut = j == i;
            scores(s, h.k + j * h.pitch, h.pitch, turned, keys, columns, h.D, cut);
            if (kept)
                memcpy(kept + (i / BLOCK * across + j / BLOCK) * BLOCK * BLOCK, s, BLOCK * BLOCK * sizeof *s);
            for (int64_t g = 0; g < columns; g += LANES)
                online_lanes(s + g, cut ? least(keys, g + LANES) : keys, cut ? g : keys, m + g / LANES, l + g / LANES,
                             share + g / LANES);
            for (int64_t r = 0; j > 0 && r < rows; r++)
                if (((float *)share)[r] != 1.0f)
                    scale_row(y + r * h.pitch, h.D, ((float *)share)[r]);
            gather(y, s, h.v + j * h.pitch, h.pitch, rows, keys, h.D, cut, j > 0);
        }
        for (int64_t r = 0; r < rows; r++) {
            scale_row(y + r * h.pitch, h.D, 1.0f / ((float *)l)[r]);
            h.log_sum[i + r] = ((float *)m)[r] + logf(((float *)l)[r]);
        }
    }
}

KERNEL(attention_side)
{
    for (int64_t t = first; t < last; t++)
        on_its_side(head_of(buf, dim, t), NULL);
    (void)attr;
}

KERNEL(attention_keeping)
{
    const int64_t across = (dim[1] + BLOCK - 1) / BLOCK;
    for (int64_t t = first; t < last; t++)
        on_its_side(head_of(buf, dim, t), (float *)buf[5] + t * across * across * BLOCK * BLOCK);
    (void)attr;
}

/* ---------------------------------------------------------------- the gradient */

/* y[keys] (+)= s @ x, the sum over queries; of a block that causality cuts, only those that a strip of keys is seen by */
INLINE void spread(float *y, const float *s, const float *x, int64_t pitch, int64_t rows, int64_t keys, int64_t D,
                   int cut, int add)
{
    for (int64_t c = 0, tall = cut ? STRIP : BLOCK; c < keys; c += tall) {
        const int64_t from = cut ? c : 0;
        product(y + c * pitch, pitch, s + c * BLOCK + from, BLOCK, 1, x + from * pitch, pitch, least(tall, keys - c), D,
                rows - from, add);
    }
}

/* p = exp(s - log_sum) and dz = scale * p * (dz - delta) for the sixteen queries of these columns */
INLINE void slopes(float *p, float *dz, const float *s, int64_t keys, int64_t from, f16 log_sum, f16 delta, float scale)
{
    for (int64_t c = 0; c < keys; c++) {
        f16 x = *(const f16 *)(s + c * BLOCK);
        if (c >= from)
            x = hide_lanes(x, c - from);
        x = *(f16 *)(p + c * BLOCK) = exp_of(x - log_sum);
        *(f16 *)(dz + c * BLOCK) = x * (*(f16 *)(dz + c * BLOCK) - delta) * scale;
    }
}

/* Block by block, with the scores read from `kept` or, where that is NULL, made again. */
INLINE void gradient(void *const *buf, const int64_t *dim, int64_t t, const float *kept)
{
    const int64_t T = dim[1], H = dim[2], D = dim[3], pitch = H * D, at = (t / H * T * H + t % H) * D;
    float *dq = (float *)buf[0] + at, *dk = (float *)buf[1] + at, *dv = (float *)buf[2] + at;
    const float *dy = (const float *)buf[3] + at, *q = (const float *)buf[4] + at, *k = (const float *)buf[5] + at;
    const float *v = (const float *)buf[6] + at, *y = (const float *)buf[7] + at;
    const float *log_sum = (const float *)buf[8] + t * T, scale = 1.0f / sqrtf((float)D);
    float *p = memory((size_t)(2 * BLOCK * (BLOCK + D))), *dz = p + BLOCK * BLOCK;
    float *q_turned = dz + BLOCK * BLOCK, *dy_turned = q_turned + BLOCK * D;
    if (!p)
        return;
    for (int64_t i = 0; i < T; i += BLOCK) {
        const int64_t rows = least(BLOCK, T - i), columns = whole(rows), x = i * pitch;
        float delta[BLOCK] = {0}, logs[BLOCK] = {0};
        turn(q_turned, BLOCK, q + x, pitch, kept ? 0 : rows, D, scale);
        turn(dy_turned, BLOCK, dy + x, pitch, rows, D, 1.0f);
        memcpy(logs, log_sum + i, rows * sizeof *logs);
        for (int64_t r = 0; r < rows; r++) {
            f16 sums = {0};
            for (int64_t d = 0; d < D; d += LANES)
                sums += *(const f16 *)(dy + x + r * pitch + d) * *(const f16 *)(y + x + r * pitch + d);
            delta[r] = sum_of_lanes(sums);
        }
        for (int64_t j = 0; j <= i; j += BLOCK) {
            const int64_t keys = least(BLOCK, T - j), z = j * pitch, across = (T + BLOCK - 1) / BLOCK;
            const int cut = j == i;
            const float *s = kept ? kept + ((t * across + i / BLOCK) * across + j / BLOCK) * BLOCK * BLOCK : p;
            if (!kept)
                scores(p, k + z, pitch, q_turned, keys, columns, D, cut);
            scores(dz, v + z, pitch, dy_turned, keys, columns, D, cut);
            for (int64_t g = 0; g < columns; g += LANES)
                slopes(p + g, dz + g, s + g, cut ? least(keys, g + LANES) : keys, cut ? g : keys,
                       *(f16 *)(logs + g), *(f16 *)(delta + g), scale);
            spread(dv + z, p, dy + x, pitch, rows, keys, D, cut, i > j);
            spread(dk + z, dz, q + x, pitch, rows, keys, D, cut, i > j);
            gather(dq + x, dz, k + z, pitch, rows, keys, D, cut, j > 0);
        }
    }
}

KERNEL(attention_grad_kept)
{
    for (int64_t t = first; t < last; t++)
        gradient(buf, dim, t, buf[9]);
    (void)attr;
}

KERNEL(attention_grad_remade)
{
    for (int64_t t = first; t < last; t++)
        gradient(buf, dim, t, NULL);
    (void)attr;
}
