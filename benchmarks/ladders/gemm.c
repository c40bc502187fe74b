/* C = A @ B in C, float32, row by row in memory: C (M,N), A (M,K), B (K,N).
 *
 * From three plain loops to a blocked, packed, fused and threaded product. Every KERNEL is one rung of the ladders in
 * gemm.py, gemm_tiles.py and dense.py; docs/kernels/gemm.md climbs them. All have fastnn's kernel ABI:
 *
 *   buf  c (M,N) overwritten; a (M,K), b (K,N); the dense ones also bias (N)      dim  M, K, N      attr  none
 *
 * C must not overlap A or B. Compiled with -ffp-contract=fast: a product and a sum become one FMA. */
#include "ladder.h"

#define OPERANDS \
    float *restrict c = buf[0]; \
    const float *restrict a = buf[1], *restrict b = buf[2]; \
    const int64_t M = dim[0], K = dim[1], N = dim[2]; \
    (void)attr, (void)first, (void)last;

/* ---------------------------------------------------------------- plain loops */

/* One dot product after the other: b is read down a column, N floats from one number to the next. */
KERNEL(gemm_ijk)
{
    OPERANDS
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++) {
            float sum = 0;
            for (int64_t k = 0; k < K; k++)
                sum += a[i * K + k] * b[k * N + j];
            c[i * N + j] = sum;
        }
}

/* The same products, other order: everything in the inner loop is read along a row, so it vectorizes. */
KERNEL(gemm_ikj)
{
    OPERANDS
    memset(c, 0, M * N * sizeof *c);
    for (int64_t i = 0; i < M; i++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t j = 0; j < N; j++)
                c[i * N + j] += a[i * K + k] * b[k * N + j];
}

/* ---------------------------------------------------------------- a tile of C in registers */

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

/* Rows i..end-1 of one strip of W vectors: R at a time, the last ones one by one. */
INLINE void strip(const int R, const int W, float *c, const float *a, const float *b, int64_t i, int64_t end,
                  int64_t K, int64_t ap, int64_t N, const int add)
{
    for (; i + R <= end; i += R)
        tile(R, W, c + i * N, N, a + i * ap, ap, b, N, K, add, NULL);
    for (; i < end; i++)
        tile(1, W, c + i * N, N, a + i * ap, ap, b, N, K, add, NULL);
}

/* C (+)= A @ B by tiles of R x (W vectors), one row of tiles after the other. Columns that fill no tile get tiles one
 * vector wide, and the last few a plain loop. A has pitch ap; B and C have N, of which `columns` are wanted. */
INLINE void by_tiles(const int R, const int W, float *restrict c, const float *restrict a, const float *restrict b,
                     int64_t M, int64_t K, int64_t ap, int64_t columns, int64_t N, const int add)
{
    for (int64_t i = 0; i < M; i += R) {
        const int64_t end = least(i + R, M);
        int64_t j = 0;
        for (; j + W * LANES <= columns; j += W * LANES)
            strip(R, W, c + j, a, b + j, i, end, K, ap, N, add);
        for (; j + LANES <= columns; j += LANES)
            strip(R, 1, c + j, a, b + j, i, end, K, ap, N, add);
        for (int64_t h = i; h < end && j < columns; h++) {
            float *restrict row = c + h * N;
            for (int64_t n = j; n < columns && !add; n++)
                row[n] = 0;
            for (int64_t k = 0; k < K; k++)
                for (int64_t n = j; n < columns; n++)
                    row[n] += a[h * ap + k] * b[k * N + n];
        }
    }
}

/* gemm_tile_6x4: tiles of 6 rows by 4 vectors. */
#define BY_TILES(R, W) KERNEL(gemm_tile_##R##x##W) { OPERANDS by_tiles(R, W, c, a, b, M, K, K, N, N, 0); }
BY_TILES(1, 1)
BY_TILES(2, 1)
BY_TILES(4, 1)
BY_TILES(8, 1)
BY_TILES(6, 2)
BY_TILES(6, 4)
BY_TILES(14, 2)
BY_TILES(8, 4)

KERNEL(gemm_tiled) { OPERANDS by_tiles(ROWS, PANEL, c, a, b, M, K, K, N, N, 0); }

/* The trap: the same tile as a function for any number of rows. The compiler can't name s[i] before it knows i, so the
 * sums live in memory, and every FMA has a load and a store beside it. */
static __attribute__((noinline)) void tile_of_any(int R, float *restrict c, int64_t cp, const float *restrict a,
                                                  int64_t ap, const float *restrict b, int64_t bp, int64_t K)
{
    vec s[16][PANEL];
    for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < PANEL; j++) s[i][j] = (vec){0};
    for (int64_t k = 0; k < K; k++) {
        for (int i = 0; i < R; i++)
            UNROLL for (int j = 0; j < PANEL; j++) s[i][j] += a[i * ap + k] * CONST_AT(b + k * bp, j);
    }
    for (int i = 0; i < R; i++)
        UNROLL for (int j = 0; j < PANEL; j++) AT(c + i * cp, j) = s[i][j];
}

KERNEL(gemm_trap)
{
    OPERANDS
    const int64_t tiled = N / COLUMNS * COLUMNS;
    for (int64_t i = 0; i < M; i += ROWS)
        for (int64_t j = 0; j < tiled; j += COLUMNS)
            tile_of_any((int)least(ROWS, M - i), c + i * N + j, N, a + i * K, K, b + j, N, K);
    by_tiles(ROWS, 1, c + tiled, a, b + tiled, M, K, K, N - tiled, N, 0);
}

/* ---------------------------------------------------------------- blocks for the caches, packing, fusing */

enum { DEPTH = 256, WIDTH = 512 };   /* a block of B: 512 KiB, half of an L2 of 1 MiB */

/* The tiles of one block of B after the other: the block stays in L2 while all rows of A pass it. */
KERNEL(gemm_blocked)
{
    OPERANDS
    for (int64_t j = 0; j < N; j += WIDTH)
        for (int64_t k = 0; k < K; k += DEPTH) {
            const int64_t depth = least(DEPTH, K - k), columns = least(WIDTH, N - j);
            if (k == 0)
                by_tiles(ROWS, PANEL, c + j, a, b + j, M, depth, K, columns, N, 0);
            else
                by_tiles(ROWS, PANEL, c + j, a + k, b + k * N + j, M, depth, K, columns, N, 1);
        }
}

static _Thread_local float block[DEPTH * WIDTH] __attribute__((aligned(64)));

/* block[panel, k, j] = b[k, panel * COLUMNS + j]: in the order in which tiles read it. Beyond the columns it is 0. */
static void pack(const float *restrict b, int64_t N, int64_t depth, int64_t columns)
{
    for (int64_t j = 0; j < columns; j += COLUMNS) {
        float *restrict to = block + j * depth;
        const int64_t width = least(COLUMNS, columns - j);
        for (int64_t k = 0; k < depth; k++, to += COLUMNS) {
            if (width == COLUMNS) {
                UNROLL for (int v = 0; v < PANEL; v++) AT(to, v) = CONST_AT(b + k * N + j, v);
                continue;
            }
            for (int64_t h = 0; h < COLUMNS; h++)
                to[h] = h < width ? b[k * N + j + h] : 0;
        }
    }
}

/* A tile of which only `width` columns exist: computed whole beside C, then copied. */
INLINE void part_of_tile(const int R, float *c, int64_t N, const float *a, int64_t K, const float *panel, int64_t depth,
                         int64_t width, int add, const float *bias)
{
    float whole[ROWS * COLUMNS];
    tile(R, PANEL, whole, COLUMNS, a, K, panel, COLUMNS, depth, 0, NULL);
    for (int i = 0; i < R; i++)
        for (int64_t j = 0; j < width; j++) {
            const float y = whole[i * COLUMNS + j] + (add ? c[i * N + j] : 0) + (bias ? bias[j] : 0);
            c[i * N + j] = bias && y < 0 ? 0 : y;
        }
}

INLINE void row_of_tiles(const int R, float *c, int64_t N, const float *a, int64_t K, int64_t depth, int64_t columns,
                         int add, const float *bias)
{
    for (int64_t j = 0; j < columns; j += COLUMNS) {
        const float *panel = block + j * depth, *edge = bias ? bias + j : NULL;
        if (columns - j < COLUMNS)
            part_of_tile(R, c + j, N, a, K, panel, depth, columns - j, add, edge);
        else if (add)
            tile(R, PANEL, c + j, N, a, K, panel, COLUMNS, depth, 1, edge);
        else
            tile(R, PANEL, c + j, N, a, K, panel, COLUMNS, depth, 0, edge);
    }
}

/* Columns first..last-1 of C. With a bias: max(0, A @ B + bias), done while the tile is in registers. */
static void packed(float *restrict c, const float *restrict a, const float *restrict b, const float *bias, int64_t M,
                   int64_t K, int64_t N, int64_t first, int64_t last)
{
    for (int64_t j = first; j < last; j += WIDTH)
        for (int64_t k = 0; k < K; k += DEPTH) {
            const int64_t depth = least(DEPTH, K - k), columns = least(WIDTH, last - j);
            const float *edge = bias && k + DEPTH >= K ? bias + j : NULL;
            int64_t i = 0;
            pack(b + k * N + j, N, depth, columns);
            for (; i + ROWS <= M; i += ROWS)
                row_of_tiles(ROWS, c + i * N + j, N, a + i * K + k, K, depth, columns, k > 0, edge);
            for (; i < M; i++)
                row_of_tiles(1, c + i * N + j, N, a + i * K + k, K, depth, columns, k > 0, edge);
        }
}

KERNEL(gemm_packed)
{
    OPERANDS
    packed(c, a, b, NULL, M, K, N, 0, N);
}

/* For threads: a tile of work is one strip of COLUMNS columns. Each thread packs into a block of its own. */
KERNEL(gemm_strips)
{
    OPERANDS
    packed(c, a, b, NULL, M, K, N, first * COLUMNS, least(last * COLUMNS, N));
}

int64_t gemm_columns(void) { return COLUMNS; }

/* ---------------------------------------------------------------- c = max(0, a @ b + bias) */

KERNEL(dense_passes)
{
    OPERANDS
    const float *restrict bias = buf[3];
    packed(c, a, b, NULL, M, K, N, 0, N);
    for (int64_t i = 0; i < M; i++)
        for (int64_t j = 0; j < N; j++)
            c[i * N + j] += bias[j];
    for (int64_t i = 0; i < M * N; i++)
        c[i] = c[i] < 0 ? 0 : c[i];
}

KERNEL(dense_fused)
{
    OPERANDS
    packed(c, a, b, buf[3], M, K, N, 0, N);
}

KERNEL(dense_strips)
{
    OPERANDS
    packed(c, a, b, buf[3], M, K, N, first * COLUMNS, least(last * COLUMNS, N));
}
