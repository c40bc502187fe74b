/* A convolution of images by windows of 3 x 3 in C: from seven loops to products that read the images where they are.
 * Every KERNEL is one rung of the ladder in convolution.py; docs/kernels/convolution.md climbs it. All have fastnn's
 * kernel ABI:
 *
 *   buf  y (N,H-2,W-2,F) overwritten; x (N,H,W,C), w (3,3,C,F)        dim  N, H, W, C, F; F a multiple of 16
 *
 * Tiles are images. Compiled with -ffp-contract=fast: a product and a sum become one FMA. */
#include "ladder.h"

#define OPERANDS \
    float *restrict y = buf[0]; \
    const float *restrict x = buf[1], *restrict w = buf[2]; \
    const int64_t H = dim[1], W = dim[2], C = dim[3], F = dim[4], OH = H - 2, OW = W - 2; \
    (void)attr;

/* ---------------------------------------------------------------- plain loops */

/* As the formula is written: one sum after the other, over weights that stand F floats apart. */
KERNEL(conv_formula)
{
    OPERANDS
    for (int64_t n = first; n < last; n++)
        for (int64_t i = 0; i < OH; i++)
            for (int64_t j = 0; j < OW; j++)
                for (int64_t f = 0; f < F; f++) {
                    float sum = 0;
                    for (int64_t h = 0; h < 3; h++)
                        for (int64_t v = 0; v < 3; v++)
                            for (int64_t c = 0; c < C; c++)
                                sum += x[((n * H + i + h) * W + j + v) * C + c] * w[((h * 3 + v) * C + c) * F + f];
                    y[((n * OH + i) * OW + j) * F + f] = sum;
                }
}

/* The same products, other order: the filters are innermost, side by side in memory, so that loop vectorizes. */
KERNEL(conv_filters)
{
    OPERANDS
    for (int64_t n = first; n < last; n++)
        for (int64_t i = 0; i < OH; i++)
            for (int64_t j = 0; j < OW; j++) {
                float *pixel = y + ((n * OH + i) * OW + j) * F;
                memset(pixel, 0, F * sizeof *pixel);
                for (int64_t h = 0; h < 3; h++)
                    for (int64_t v = 0; v < 3; v++)
                        for (int64_t c = 0; c < C; c++) {
                            const float a = x[((n * H + i + h) * W + j + v) * C + c];
                            for (int64_t f = 0; f < F; f++)
                                pixel[f] += a * w[((h * 3 + v) * C + c) * F + f];
                        }
            }
}

/* ---------------------------------------------------------------- a tile of pixels and filters in registers */

/* y[i,f] (+)= the sum over `runs` runs of `depth` terms: a starts a_run, b starts b_run floats further on in each. R
 * pixels, V vectors of filters; both are constants where this is inlined. */
INLINE void tile(const int R, const int V, float *restrict y, int64_t yp, const float *restrict a, int64_t ap,
                 const float *restrict b, int64_t bp, int64_t depth, int64_t runs, int64_t a_run, int64_t b_run,
                 const int add)
{
    f16 s[6][4];
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < V; j++) s[i][j] = add ? *(f16 *)(y + i * yp + 16 * j) : (f16){0};
    for (int64_t r = 0; r < runs; r++) {
        const float *ar = a + r * a_run, *br = b + r * b_run;
        for (int64_t k = 0; k < depth; k++) {
            UNROLL for (int i = 0; i < R; i++)
                UNROLL for (int j = 0; j < V; j++) s[i][j] += ar[i * ap + k] * *(const f16 *)(br + k * bp + 16 * j);
        }
    }
    UNROLL for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < V; j++) *(f16 *)(y + i * yp + 16 * j) = s[i][j];
}

/* All filters of R pixels, 64, 32 or 16 at a time. */
INLINE void filters_of(const int R, float *y, const float *a, int64_t ap, const float *b, int64_t F, int64_t depth,
                       int64_t runs, int64_t a_run, int64_t b_run, const int add)
{
    int64_t f = 0;
    for (; f + 64 <= F; f += 64)
        tile(R, 4, y + f, F, a, ap, b + f, F, depth, runs, a_run, b_run, add);
    for (; f + 32 <= F; f += 32)
        tile(R, 2, y + f, F, a, ap, b + f, F, depth, runs, a_run, b_run, add);
    for (; f < F; f += 16)
        tile(R, 1, y + f, F, a, ap, b + f, F, depth, runs, a_run, b_run, add);
}

/* y[pixels, F] (+)= A @ B, in panels of about one size, at most six pixels: one pixel alone would be a single chain. */
INLINE void product(float *y, const float *a, int64_t ap, const float *b, int64_t pixels, int64_t F, int64_t depth,
                    int64_t runs, int64_t a_run, int64_t b_run, const int add)
{
    const int64_t panels = (pixels + 5) / 6;
    for (int64_t p = 0, i = 0; p < panels; p++) {
        const int64_t m = pixels / panels + (p < pixels % panels);
        switch (m) {
#define PANEL(R) case R: filters_of(R, y + i * F, a + i * ap, ap, b, F, depth, runs, a_run, b_run, add); break;
        PANEL(1) PANEL(2) PANEL(3) PANEL(4) PANEL(5) PANEL(6)
        }
        i += m;
    }
}

/* ---------------------------------------------------------------- im2col: the matrix of patches */

/* to[pixel, 9 C] = the window of each pixel of image n */
static void copy_patches(float *to, const float *x, int64_t n, int64_t H, int64_t W, int64_t C)
{
    for (int64_t i = 0; i < H - 2; i++)
        for (int64_t j = 0; j < W - 2; j++)
            for (int64_t h = 0; h < 3; h++, to += 3 * C)
                memcpy(to, x + ((n * H + i + h) * W + j) * C, 3 * C * sizeof *to);
}

/* The whole batch as one matrix, nine times as large as the images, then one product. */
KERNEL(conv_patches)
{
    OPERANDS
    const int64_t pixels = OH * OW, depth = 9 * C;
    float *patches = memory((size_t)((last - first) * pixels * depth));
    if (!patches)
        return;
    for (int64_t n = first; n < last; n++)
        copy_patches(patches + (n - first) * pixels * depth, x, n, H, W, C);
    product(y + first * pixels * F, patches, depth, w, (last - first) * pixels, F, depth, 1, 0, 0, 0);
}

/* The patches of one image at a time: they are in the cache when the product comes. */
KERNEL(conv_patches_by_image)
{
    OPERANDS
    const int64_t pixels = OH * OW, depth = 9 * C;
    float *patches = memory((size_t)(pixels * depth));
    if (!patches)
        return;
    for (int64_t n = first; n < last; n++) {
        copy_patches(patches, x, n, H, W, C);
        product(y + n * pixels * F, patches, depth, w, pixels, F, depth, 1, 0, 0, 0);
    }
}

/* ---------------------------------------------------------------- implicit: the image is the matrix */

/* Nine products of depth C for each row of outputs; the sums are stored and fetched again in between. */
KERNEL(conv_taps)
{
    OPERANDS
    for (int64_t n = first; n < last; n++)
        for (int64_t i = 0; i < OH; i++) {
            float *row = y + (n * OH + i) * OW * F;
            for (int64_t h = 0; h < 3; h++)
                for (int64_t v = 0; v < 3; v++) {
                    const float *a = x + ((n * H + i + h) * W + v) * C, *b = w + (h * 3 + v) * C * F;
                    if (h + v == 0)
                        product(row, a, C, b, OW, F, C, 1, 0, 0, 0);
                    else
                        product(row, a, C, b, OW, F, C, 1, 0, 0, 1);
                }
        }
}

/* Neighbouring taps of a row of the window are neighbours in the image: three products of depth 3 C. */
KERNEL(conv_rows)
{
    OPERANDS
    for (int64_t n = first; n < last; n++)
        for (int64_t i = 0; i < OH; i++) {
            float *row = y + (n * OH + i) * OW * F;
            for (int64_t h = 0; h < 3; h++) {
                const float *a = x + (n * H + i + h) * W * C, *b = w + h * 3 * C * F;
                if (h == 0)
                    product(row, a, C, b, OW, F, 3 * C, 1, 0, 0, 0);
                else
                    product(row, a, C, b, OW, F, 3 * C, 1, 0, 0, 1);
            }
        }
}

/* The sums stay in registers over all three rows of the window. */
KERNEL(conv_runs)
{
    OPERANDS
    for (int64_t n = first; n < last; n++)
        for (int64_t i = 0; i < OH; i++)
            product(y + (n * OH + i) * OW * F, x + (n * H + i) * W * C, C, w, OW, F, 3 * C, 3, W * C, 3 * C * F, 0);
}

/* ---------------------------------------------------------------- Winograd: fewer multiplications */

/* G (a, b, c), one axis of the window's transform */
#define WINDOW(to, step, a, b, c) \
    ((to)[0] = (a), (to)[step] = ((a) + (c) + (b)) / 2, (to)[2 * (step)] = ((a) + (c) - (b)) / 2, \
     (to)[3 * (step)] = (c))
/* B' (a, b, c, d), of the patch's */
#define PATCH(to, step, a, b, c, d) \
    ((to)[0] = (a) - (c), (to)[step] = (b) + (c), (to)[2 * (step)] = (c) - (b), (to)[3 * (step)] = (b) - (d))
/* A' (a, b, c, d), of the sums' */
#define SUMS(to, step, a, b, c, d) ((to)[0] = (a) + (b) + (c), (to)[step] = (b) - (c) - (d))

/* u[point, n] = G w G', n = C F weights of a tap side by side */
static void window_points(float *restrict u, const float *restrict w, int64_t n)
{
    for (int64_t e = 0; e < n; e++) {
        float t[12];
        UNROLL for (int j = 0; j < 3; j++) WINDOW(t + j, 3, w[j * n + e], w[(3 + j) * n + e], w[(6 + j) * n + e]);
        UNROLL for (int i = 0; i < 4; i++) WINDOW(u + 4 * i * n + e, n, t[3 * i], t[3 * i + 1], t[3 * i + 2]);
    }
}

/* v[point * step + c] = B' d B of the patch whose pixels d points at: sixteen channels at a time, then one by one */
static void patch_points(float *restrict v, int64_t step, const float *const *d, int64_t C)
{
    int64_t c = 0;
#define CHANNELS(type, at_once) \
    for (; c + at_once <= C; c += at_once) { \
        type t[16], s[4]; \
        UNROLL for (int j = 0; j < 4; j++) \
            PATCH(t + j, 4, *(const type *)(d[j] + c), *(const type *)(d[4 + j] + c), *(const type *)(d[8 + j] + c), \
                  *(const type *)(d[12 + j] + c)); \
        UNROLL for (int i = 0; i < 4; i++) { \
            PATCH(s, 1, t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]); \
            UNROLL for (int j = 0; j < 4; j++) *(type *)(v + (4 * i + j) * step + c) = s[j]; \
        } \
    }
    CHANNELS(f16, 16)
    CHANNELS(float, 1)
#undef CHANNELS
}

/* Tile t of an image: its patch's points to v. A patch may hang over the right and the lower edge: zeros are there. */
static void tile_in(float *v, int64_t step, const float *x, int64_t t, int64_t H, int64_t W, int64_t C,
                    const float *zeros)
{
    const int64_t across = (W - 1) / 2, i = t / across * 2, j = t % across * 2;
    const float *d[16];
    for (int k = 0; k < 16; k++)
        d[k] = i + k / 4 < H && j + k % 4 < W ? x + ((i + k / 4) * W + j + k % 4) * C : zeros;
    patch_points(v, step, d, C);
}

/* Tile t of an image: A' m A of its sums m to the 2 x 2 outputs, those that exist. */
static void tile_out(float *y, const float *m, int64_t step, int64_t t, int64_t H, int64_t W, int64_t F)
{
    const int64_t across = (W - 1) / 2, i = t / across * 2, j = t % across * 2;
    for (int64_t f = 0; f < F; f += 16) {
        f16 s[16], a[8], b[4];
        UNROLL for (int k = 0; k < 16; k++) s[k] = *(const f16 *)(m + k * step + f);
        UNROLL for (int k = 0; k < 4; k++) SUMS(a + k, 4, s[k], s[4 + k], s[8 + k], s[12 + k]);
        UNROLL for (int k = 0; k < 2; k++) SUMS(b + 2 * k, 1, a[4 * k], a[4 * k + 1], a[4 * k + 2], a[4 * k + 3]);
        for (int k = 0; k < 4; k++)
            if (i + k / 2 < H - 2 && j + k % 2 < W - 2)
                *(f16 *)(y + ((i + k / 2) * (W - 2) + j + k % 2) * F + f) = b[k];
    }
}

/* `group` tiles at a time: their points, 16 products, their outputs. */
static void winograd(void *const *buf, const int64_t *dim, int64_t first, int64_t last, int64_t group)
{
    const double *attr = NULL;
    OPERANDS
    const int64_t tiles = ((H - 1) / 2) * ((W - 1) / 2);
    group = group ? least(group, tiles) : tiles;
    float *u = memory((size_t)(16 * C * F + 16 * group * (C + F) + C));
    if (!u)
        return;
    float *v = u + 16 * C * F, *m = v + 16 * group * C, *zeros = m + 16 * group * F;
    memset(zeros, 0, C * sizeof *zeros);
    window_points(u, w, C * F);
    for (int64_t n = first; n < last; n++)
        for (int64_t t = 0; t < tiles; t += group) {
            const int64_t here = least(group, tiles - t);
            for (int64_t k = 0; k < here; k++)
                tile_in(v + k * C, group * C, x + n * H * W * C, t + k, H, W, C, zeros);
            for (int point = 0; point < 16; point++)
                product(m + point * group * F, v + point * group * C, C, u + point * C * F, here, F, C, 1, 0, 0, 0);
            for (int64_t k = 0; k < here; k++)
                tile_out(y + n * OH * OW * F, m + k * F, group * F, t + k, H, W, F);
        }
}

KERNEL(conv_winograd_by_image)
{
    (void)attr;
    winograd(buf, dim, first, last, 0);
}

KERNEL(conv_winograd)
{
    (void)attr;
    winograd(buf, dim, first, last, 12);
}
