/* An LSTM over sequences in C: from plain loops to blocks of rows that walk through all steps.
 * Every KERNEL is one rung of the ladder in lstm.py; docs/kernels/lstm.md climbs it. All have fastnn's kernel ABI:
 *
 *   buf  y (B,T,H), c (B,H) overwritten; x (B,T,D), w (D,4H), u (H,4H), b (4H); z (B,T,4H), scratch
 *   dim  B, T, D, H; H a multiple of 16
 *
 * The gates stand side by side as i, f, g, o. The state before step t is the row of y before it. A tile is BLOCK rows of
 * the batch. Compiled with -ffp-contract=fast: a product and a sum become one FMA. */
#include "gemm_tile.h"
#include "softmax_exp.h"

enum { BLOCK = 16 }; /* rows of a tile; lstm.py has the same */

#define OPERANDS \
    float *restrict y = buf[0], *restrict c = buf[1]; \
    const float *restrict x = buf[2], *restrict w = buf[3], *restrict u = buf[4], *restrict b = buf[5]; \
    float *restrict z = buf[6]; \
    const int64_t B = dim[0], T = dim[1], D = dim[2], H = dim[3], G = 4 * H; \
    (void)attr;

/* ---------------------------------------------------------------- plain loops */

/* z[j] += sum over k of a[k] m[k,j]: gates are innermost, side by side in memory, so that loop vectorizes. */
INLINE void add_row(float *restrict z, const float *restrict a, const float *restrict m, int64_t K, int64_t G)
{
    for (int64_t k = 0; k < K; k++)
        for (int64_t j = 0; j < G; j++)
            z[j] += a[k] * m[k * G + j];
}

/* The functions of the gates are calls: nothing around them vectorizes. */
INLINE void cell_libm(float *restrict h, float *restrict c, const float *restrict z, int64_t H)
{
    for (int64_t j = 0; j < H; j++) {
        const float i = 1 / (1 + expf(-z[j])), f = 1 / (1 + expf(-z[H + j]));
        const float g = tanhf(z[2 * H + j]), o = 1 / (1 + expf(-z[3 * H + j]));
        c[j] = f * c[j] + i * g;
        h[j] = o * tanhf(c[j]);
    }
}

KERNEL(lstm_loops)
{
    OPERANDS
    (void)first, (void)last;
    memset(c, 0, B * H * sizeof *c);
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = 0; n < B; n++) {
            const int64_t row = n * T + t;
            memcpy(z + row * G, b, G * sizeof *z);
            add_row(z + row * G, x + row * D, w, D, G);
            if (t > 0)
                add_row(z + row * G, y + (row - 1) * H, u, H, G);
            cell_libm(y + row * H, c + n * H, z + row * G, H);
        }
}

/* ---------------------------------------------------------------- all gates of a row in vectors */

/* Both through exp of what is not positive, which cannot overflow. Near 0 this tanh is right to eps absolutely, not
 * relatively: enough for a state. */
INLINE float sigmoid(float x)
{
    const float e = exp_below_0(-fabsf(x)), s = 1 / (1 + e);
    return x < 0 ? e * s : s;
}

INLINE float tangent(float x)
{
    const float e = exp_below_0(-2 * fabsf(x));
    return copysignf((1 - e) / (1 + e), x);
}

/* One pass: four gates, the new c and the new h of a unit are made in registers. */
INLINE void cell(float *restrict h, float *restrict c, const float *restrict z, int64_t H)
{
    const float *restrict zf = z + H, *restrict zg = z + 2 * H, *restrict zo = z + 3 * H;
    for (int64_t j = 0; j < H; j++) {
        const float new = sigmoid(zf[j]) * c[j] + sigmoid(z[j]) * tangent(zg[j]);
        c[j] = new;
        h[j] = sigmoid(zo[j]) * tangent(new);
    }
}

KERNEL(lstm_fused)
{
    OPERANDS
    (void)first, (void)last;
    memset(c, 0, B * H * sizeof *c);
    for (int64_t t = 0; t < T; t++)
        for (int64_t n = 0; n < B; n++) {
            const int64_t row = n * T + t;
            memcpy(z + row * G, b, G * sizeof *z);
            add_row(z + row * G, x + row * D, w, D, G);
            if (t > 0)
                add_row(z + row * G, y + (row - 1) * H, u, H, G);
            cell(y + row * H, c + n * H, z + row * G, H);
        }
}

/* ---------------------------------------------------------------- a tile of rows and gates in registers */

/* z[rows, G] += a[rows, K] @ m[K, G], whose rows are zp and ap floats apart: panels of about one size, at most ROWS rows. */
static void add_product(float *z, int64_t zp, const float *a, int64_t ap, const float *m, int64_t G, int64_t rows,
                        int64_t K)
{
    const int64_t panels = (rows + ROWS - 1) / ROWS;
    for (int64_t p = 0, i = 0; p < panels; p++) {
        const int64_t now = rows / panels + (p < rows % panels);
        float *to = z + i * zp;
        const float *from = a + i * ap;
        switch (now) {
#define PANEL_OF(R) \
    case R: \
        for (int64_t j = 0; j < G; j += COLUMNS) \
            tile(R, PANEL, to + j, zp, from, ap, m + j, G, K, 1, NULL); \
        break;
        PANEL_OF(1) PANEL_OF(2) PANEL_OF(3) PANEL_OF(4) PANEL_OF(5) PANEL_OF(6)
        }
        i += now;
    }
}

/* z[rows, G] = b in each row */
INLINE void biases(float *z, int64_t zp, const float *b, int64_t rows, int64_t G)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(z + i * zp, b, G * sizeof *z);
}

/* All rows of the batch, step by step, with two products each. */
KERNEL(lstm_steps)
{
    OPERANDS
    (void)first, (void)last;
    memset(c, 0, B * H * sizeof *c);
    for (int64_t t = 0; t < T; t++) {
        float *now = z + t * G;
        biases(now, T * G, b, B, G);
        add_product(now, T * G, x + t * D, T * D, w, G, B, D);
        if (t > 0)
            add_product(now, T * G, y + (t - 1) * H, T * H, u, G, B, H);
        for (int64_t n = 0; n < B; n++)
            cell(y + (n * T + t) * H, c + n * H, now + n * T * G, H);
    }
}

/* What the inputs of all steps give is one product of B T rows, beforehand. */
KERNEL(lstm_inputs_first)
{
    OPERANDS
    (void)first, (void)last;
    memset(c, 0, B * H * sizeof *c);
    biases(z, G, b, B * T, G);
    add_product(z, G, x, D, w, G, B * T, D);
    for (int64_t t = 0; t < T; t++) {
        float *now = z + t * G;
        if (t > 0)
            add_product(now, T * G, y + (t - 1) * H, T * H, u, G, B, H);
        for (int64_t n = 0; n < B; n++)
            cell(y + (n * T + t) * H, c + n * H, now + n * T * G, H);
    }
}

/* ---------------------------------------------------------------- rows of the batch as tiles */

/* BLOCK rows go through all steps before the next ones begin. */
KERNEL(lstm_rows)
{
    OPERANDS
    for (int64_t n = first * BLOCK; n < least(last * BLOCK, B); n += BLOCK) {
        const int64_t rows = least(BLOCK, B - n);
        float *own = z + n * T * G, *states = y + n * T * H;
        memset(c + n * H, 0, rows * H * sizeof *c);
        biases(own, G, b, rows * T, G);
        add_product(own, G, x + n * T * D, D, w, G, rows * T, D);
        for (int64_t t = 0; t < T; t++) {
            if (t > 0)
                add_product(own + t * G, T * G, states + (t - 1) * H, T * H, u, G, rows, H);
            for (int64_t i = 0; i < rows; i++)
                cell(states + (i * T + t) * H, c + (n + i) * H, own + (i * T + t) * G, H);
        }
    }
}

/* The same without z of all steps: the sums of a step are made in its first rows, which stay in cache. */
KERNEL(lstm_rows_no_z)
{
    OPERANDS
    for (int64_t n = first * BLOCK; n < least(last * BLOCK, B); n += BLOCK) {
        const int64_t rows = least(BLOCK, B - n);
        float *own = z + n * T * G, *states = y + n * T * H;
        memset(c + n * H, 0, rows * H * sizeof *c);
        for (int64_t t = 0; t < T; t++) {
            biases(own, G, b, rows, G);
            add_product(own, G, x + (n * T + t) * D, T * D, w, G, rows, D);
            if (t > 0)
                add_product(own, G, states + (t - 1) * H, T * H, u, G, rows, H);
            for (int64_t i = 0; i < rows; i++)
                cell(states + (i * T + t) * H, c + (n + i) * H, own + i * G, H);
        }
    }
}
