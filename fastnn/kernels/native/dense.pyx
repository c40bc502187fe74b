"""Matrix products: five loops over the micro-kernels of csrc/gemm.h.

From the outside in: tiles of rows and columns (which threads take; cut by the spec, two loops), blocks
of k, panels of six rows, panels of columns; the innermost, over k, is the micro-kernel, whose part of C
stays in registers.

Packing copies an operand into the order in which it is read. It is done only where it was measured to
pay: a B beyond L2 that many rows use (its rows a power of two apart evict one another; the copy is made
while the first panel is multiplied), a transposed B, and an A in columns if k runs far. What decided,
GFLOP/s on one core of a Zen 4 with a peak of 118, AVX-512:

    1024^3      32x784x300
        98              88      B always packed, A packed by rows, 14 x 32 tiles
       110             106      6 x 64 tiles, A read where it is; B packed from 8 panels on
       108             114      B packed only beyond L2, tiles of 16 x 64 instead of 32 x 32
"""

from libc.stdint cimport int8_t, int64_t, uintptr_t
from libc.string cimport memcpy, memset

from .core cimport fnn_call, fnn_ops, ops, scratch

cdef extern from "fastnn.h" nogil:
    pass
cdef extern from "gemm.h" nogil:
    enum:
        FNN_GEMM_STRIPE
        FNN_GEMM_DEPTH
        FNN_GEMM_ADD
        FNN_GEMM_RELU
        FNN_GEMM_ROWS
        FNN_LINEAR
        FNN_RELU
    ctypedef void (*fnn_gemm_tile)(const float *a, int64_t a_step, const float *b, int64_t b_step, float *c,
                                   int64_t c_step, int64_t k, int64_t lanes, const float *bias,
                                   int64_t mode) noexcept nogil
    ctypedef void (*fnn_gemm_tile_and_keep)(float *keep, const float *a, int64_t a_step, const float *b, int64_t b_step,
                                            float *c, int64_t c_step, int64_t k, int64_t lanes, const float *bias,
                                            int64_t mode) noexcept nogil
    ctypedef struct fnn_gemm_ops:
        int64_t lanes
        int64_t width
        int8_t widest[7]
        fnn_gemm_tile row_form[7][9]
        fnn_gemm_tile column_form[7][9]
        fnn_gemm_tile_and_keep row_form_and_keep
        fnn_gemm_tile_and_keep column_form_and_keep
        void (*pack)(float *to, const float *src, int64_t pitch, int64_t depth, int64_t columns) noexcept nogil
        void (*pack_columns)(float *to, const float *src, int64_t pitch, int64_t depth, int64_t columns) noexcept nogil
        void (*transpose)(float *to, int64_t to_pitch, const float *src, int64_t pitch, int64_t rows,
                        int64_t columns) noexcept nogil
        void (*activate)(int64_t activation, float alpha, float *c, int64_t cs, int64_t rows,
                         int64_t columns) noexcept nogil
        void (*derive)(int64_t activation, float alpha, float *c, const float *y, int64_t cs, int64_t rows,
                       int64_t columns) noexcept nogil
        void (*sum_rows)(float *sum, const float *src, int64_t pitch, int64_t rows, int64_t columns) noexcept nogil
        void (*normalize)(float *to, const float *x, int64_t pitch, const float *mean, const float *rstd, int64_t rows,
                          int64_t columns) noexcept nogil
        void (*scale_back)(float *g, float *dgamma, float *dbeta, const float *w, const float *db, float gamma,
                           float beta, int64_t n) noexcept nogil
    const fnn_gemm_ops *fnn_gemm(const fnn_ops *table)

cdef enum:
    PACK_PANELS = 6     # B is packed if at least so many panels of rows read it and it is ...
    BIG = 1 << 18       # ... of so many floats, beyond L2: a smaller one is as fast (v4) or faster unpacked
    CLASH = 512         # rows a multiple of so many floats apart share L1 sets. Vectors below 64 bytes read a
                        # line per k or two and lose half of their speed to that: they pack from ...
    CLASH_DEPTH = 16    # ... so many k's on (AVX2, 128x1024x1024, x.T @ dz: 50 to 99 GFLOP/s; AVX-512: no gain)
    PACK_DEPTH = 257    # pack a column-form A if k runs so far: 256 rows a power of two apart still fit L2


    MOST_SLOTS = 32     # of a continuation
    FAR = 1 << 15       # so many floats that a continuation updates are worth fetching ahead of it


cdef struct Edge:       # what happens to a tile of C when its sums are complete
    const float *bias   # added to each row, or NULL
    int64_t activation  # applied then
    const float *y      # or, where given: multiply by the activation's derivative, told from its output
    float alpha
    int64_t ahead       # arrays like C that are needed soon: fetched where C is computed
    void *const *arrays
    int64_t start       # of this C in them, in floats


cdef inline int64_t ceil_div(int64_t a, int64_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline int64_t smaller(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef extern from * nogil:
    """
    /* Own the line: what was read by another core since must be taken back before it can be written.
     * Every x86-64 CPU has prefetchw, or passes over it; the builtin takes it for newer targets only. */
    #if defined(__x86_64__)
    #define fnn_fetch(p) __asm__ volatile("prefetchw %0" : : "m"(*(const char *)(p)))
    #else
    #define fnn_fetch(p) __builtin_prefetch(p, 1, 2)
    #endif
    """
    void fnn_fetch(const float *p)


# Ask for what the update of this register tile will need.
cdef inline void fetch(const Edge *edge, int64_t at, int64_t rows, int64_t pitch, int64_t columns) noexcept nogil:
    cdef int64_t n, i, j
    for n in range(edge.ahead):
        for i in range(rows):
            j = 0
            while j < columns:
                fnn_fetch(<const float *> edge.arrays[n] + edge.start + at + i * pitch + j)
                j += 16


# What a gradient kernel does with its finished panels.
cdef struct Then:
    const fnn_call *call    # or NULL
    int64_t ahead           # arrays that it updates: its first slots; the slot behind them is the gradient
    int64_t slots           # of its buf
    float *panel            # where each panel is computed, or NULL: in dw


cdef inline float *panel_of(const Then *then, float *dw, int64_t i, int64_t m, int64_t N) noexcept nogil:
    if then.panel == NULL:
        return dw + i * N
    # The last block of the continuation may reach beyond the panel: it finds zeros, as in an arena's gaps.
    memset(then.panel + m * N, 0, 16 * sizeof(float))
    return then.panel


# Run the continuation on rows i..i+m-1 of the gradient.
cdef inline void run_then(const Then *then, int64_t i, int64_t m, int64_t N) noexcept nogil:
    cdef void *buf[MOST_SLOTS]
    cdef int64_t first = i * N // 16, last = ceil_div((i + m) * N, 16)
    if then.call == NULL:
        return
    if then.panel == NULL:
        then.call.kernel(then.call.buf, then.call.dim, then.call.attr, first, last)
        return
    memcpy(buf, <const void *> then.call.buf, then.slots * sizeof(void *))
    # It looks for the gradient of row i at i * N floats from the start.
    buf[then.ahead] = <void *> (<uintptr_t> then.panel - <uintptr_t> (i * N * 4))
    then.call.kernel(buf, then.call.dim, then.call.attr, first, last)


# C[rows, columns] = A @ B (+ C where add), then the edge.
#   A[i,k] = a[i * a_pitch + k], or a[k * a_pitch + i] if a_columns
#   B[k,j] = b[k * b_pitch + j], or b[j * b_pitch + k] if b_columns
cdef void product(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, bint a_columns, const float *b,
                  int64_t b_pitch, bint b_columns, int64_t rows, int64_t columns, int64_t depth, bint add,
                  const Edge *edge) noexcept nogil:
    cdef const fnn_gemm_ops *g = fnn_gemm(ops())
    cdef float *a_panel = <float *> scratch()
    cdef float *b_block = a_panel + FNN_GEMM_STRIPE * FNN_GEMM_ROWS * FNN_GEMM_DEPTH
    cdef int64_t panels = ceil_div(rows, FNN_GEMM_ROWS), k_blocks = ceil_div(depth, FNN_GEMM_DEPTH)
    cdef int64_t width = g.width * g.lanes, k_block, k, k_end, kn, p, i, m, j, left, w, last, mode, a_step, b_step
    cdef bint narrow = g.lanes < 16
    cdef bint clash = narrow and b_pitch % CLASH == 0 and depth >= CLASH_DEPTH
    cdef bint pack = b_columns or (panels >= PACK_PANELS and (depth * b_pitch >= BIG or clash))
    cdef bint pack_a
    cdef const float *ap
    cdef const float *bp
    cdef const float *bias
    cdef const float *bias_p
    cdef float *cp
    cdef const fnn_gemm_tile *tile
    cdef fnn_gemm_tile_and_keep keep = g.column_form_and_keep if a_columns else g.row_form_and_keep
    k_block = ceil_div(ceil_div(depth, k_blocks), 8) * 8 if k_blocks > 1 else depth
    k = 0
    while True:
        k_end = smaller(k + k_block, depth)
        kn = k_end - k
        pack_a = a_columns and (kn >= PACK_DEPTH or narrow and a_pitch % CLASH == 0 and kn >= CLASH_DEPTH)
        mode = FNN_GEMM_ADD if add or k > 0 else 0
        bias = NULL
        if k_end == depth:
            bias = edge.bias
            if edge.activation == FNN_RELU and edge.y == NULL:
                mode |= FNN_GEMM_RELU
        if pack:
            # b_block[panel, k, j] = B[k, panel * width + j]; whole panels are kept by the first panel of rows
            if not b_columns:
                j = columns // width * width
                g.pack(b_block + j * kn, b + k * b_pitch + j, b_pitch, kn, columns - j)
            j = 0
            while b_columns and j < columns:
                g.transpose(b_block + j * kn, width, b + j * b_pitch + k, b_pitch, smaller(width, columns - j), kn)
                j += width
        b_step = width if pack else b_pitch
        i = 0
        for p in range(panels):
            m = smaller(FNN_GEMM_ROWS, rows - i) if pack_a else rows // panels + (p < rows % panels)
            a_step = a_pitch
            if a_columns:
                tile = g.column_form[m]
                ap = a + k * a_pitch + i
                if pack_a:
                    # a_panel[panel, k, i] = A[panel * ROWS + i, k]
                    if p % FNN_GEMM_STRIPE == 0:
                        g.pack_columns(a_panel, ap, a_pitch, kn, smaller(FNN_GEMM_STRIPE * FNN_GEMM_ROWS, rows - i))
                    ap = a_panel + p % FNN_GEMM_STRIPE * FNN_GEMM_ROWS * kn
                    a_step = FNN_GEMM_ROWS
            else:
                tile = g.row_form[m]
                ap = a + i * a_pitch + k
            j = 0
            while j < columns:
                left = columns - j
                if pack:
                    left = smaller(left, width - j % width)
                    bp = b_block + j // width * width * kn + j % width
                    w = g.width
                else:
                    bp = b + k * b_pitch + j
                    w = g.widest[m]
                left = ceil_div(left, g.lanes)
                if w > left:
                    w = smaller(left, 4)
                last = smaller(g.lanes, columns - j - (w - 1) * g.lanes)
                cp, bias_p = c + i * c_pitch + j, bias + j if bias != NULL else NULL
                if edge.ahead and k_end == depth:
                    fetch(edge, i * c_pitch + j, m, c_pitch, smaller(w * g.lanes, columns - j))
                if p == 0 and pack and not b_columns and j + width <= columns:
                    bp = b + k * b_pitch + j
                    keep(b_block + j * kn, ap, a_step, bp, b_pitch, cp, c_pitch, kn, last, bias_p, mode)
                else:
                    tile[w](ap, a_step, bp, b_step, cp, c_pitch, kn, last, bias_p, mode)
                j += g.lanes * w
            if k_end == depth:
                if edge.y != NULL:
                    g.derive(edge.activation, edge.alpha, c + i * c_pitch, edge.y + i * c_pitch, c_pitch, m, columns)
                elif edge.activation > FNN_RELU:
                    g.activate(edge.activation, edge.alpha, c + i * c_pitch, c_pitch, m, columns)
            i += m
        k = k_end
        if k >= depth:
            return


cdef void dense(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef int64_t K = dim[1], M = dim[0], N = dim[2], rows = dim[3], columns = dim[4]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    # Tiles go down the columns: a thread that takes the first or last of them reads a part of w only.
    cdef int64_t down = ceil_div(M, rows), t, i, j
    cdef Edge edge
    edge.activation, edge.alpha, edge.y, edge.ahead = activation, alpha, NULL, 0
    for t in range(first, last):
        # y[i:i+rows, j:j+columns] = activation(x[i:i+rows] @ w[:, j:j+columns] + b[j:j+columns])
        i, j = t % down * rows, t // down * columns
        edge.bias = b + j if b != NULL else NULL
        product(y + i * N + j, N, x + i * K, K, False, w + j, N, False, smaller(rows, M - i), smaller(columns, N - j),
                K, False, &edge)


cdef void dense_grad_input(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                           int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dz = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *y = <const float *> buf[3]
    cdef int64_t M = dim[0], K = dim[1], N = dim[2], rows = dim[3], columns = dim[4]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef int64_t down = ceil_div(M, rows), t, i, j     # tiles go down the columns, as in `dense`
    cdef Edge edge
    edge.bias, edge.activation, edge.alpha, edge.ahead = NULL, activation, alpha, 0
    if y == NULL:
        edge.activation = FNN_LINEAR
    for t in range(first, last):
        # dx[i:i+rows, j:j+columns] = dz[i:i+rows] @ w[j:j+columns].T * activation'(y[i:i+rows, j:j+columns])
        i, j = t % down * rows, t // down * columns
        edge.y = y + i * K + j if y != NULL and activation != FNN_LINEAR else NULL
        product(dx + i * K + j, K, dz + i * N, N, False, w + j * N, N, True, smaller(rows, M - i),
                smaller(columns, K - j), N, False, &edge)


cdef void dense_grad_weight(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                            int64_t last) noexcept nogil:
    cdef float *dw = <float *> buf[0]
    cdef float *db = <float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef const float *dz = <const float *> buf[3]
    cdef const fnn_call *then = <const fnn_call *> buf[4]
    cdef int64_t M = dim[0], K = dim[1], N = dim[2], rows = dim[3], columns = dim[4], panel = dim[5]
    cdef int64_t ahead = <int64_t> attr[0], slots = <int64_t> attr[1]
    cdef bint keep = attr[2] != 0
    cdef int64_t share = ceil_div(ceil_div(N, ceil_div(K, rows) if K > 0 else 1), 16) * 16    # of db, per tile
    cdef int64_t t, i, j, m
    cdef float *g
    cdef Edge edge
    cdef Then after
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    edge.ahead, edge.arrays = ahead if then != NULL and K * N * ahead >= FAR else 0, then.buf if then != NULL else NULL
    after.call, after.ahead, after.slots = then, ahead, slots
    after.panel = <float *> scratch() + panel if then != NULL and not keep else NULL
    for t in range(first, last):
        i = t * rows
        m = smaller(rows, K - i)
        g = panel_of(&after, dw, i, m, N)
        # dw[i:i+rows] = x[:, i:i+rows].T @ dz
        j = 0
        while j < N:
            edge.start = i * N + j
            product(g + j, N, x + i, K, True, dz + j, N, False, m, smaller(columns, N - j), M, False, &edge)
            j += columns
        # db = dz.sum(0), of which each tile makes a share
        j = t * share
        if j < N:
            fnn_gemm(ops()).sum_rows(db + j, dz + j, N, M, smaller(share, N - j))
        run_then(&after, i, m, N)


cdef void norm_dense_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                          int64_t last) noexcept nogil:
    cdef float *dw = <float *> buf[0]
    cdef float *dgamma = <float *> buf[1]
    cdef float *dbeta = <float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *mean = <const float *> buf[4]
    cdef const float *rstd = <const float *> buf[5]
    cdef const float *gamma = <const float *> buf[6]
    cdef const float *beta = <const float *> buf[7]
    cdef const float *w = <const float *> buf[8]
    cdef const float *dz = <const float *> buf[9]
    cdef const float *db = <const float *> buf[10]
    cdef const fnn_call *then = <const fnn_call *> buf[11]
    cdef int64_t M = dim[0], K = dim[1], N = dim[2], rows = dim[3], columns = dim[4], panel = dim[5]
    cdef int64_t ahead = <int64_t> attr[0], slots = <int64_t> attr[1]
    cdef bint keep = attr[2] != 0
    cdef const fnn_gemm_ops *table = fnn_gemm(ops())
    cdef float *stripe = <float *> scratch() + panel + rows * N + 16     # beyond what `product` and `then` use
    cdef int64_t t, i, j, m, r
    cdef float *g
    cdef Edge edge
    cdef Then after
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    edge.ahead, edge.arrays = ahead if then != NULL and K * N * ahead >= FAR else 0, then.buf if then != NULL else NULL
    after.call, after.ahead, after.slots = then, ahead, slots
    after.panel = <float *> scratch() + panel if then != NULL and not keep else NULL
    for t in range(first, last):
        i = t * rows
        m = smaller(rows, K - i)
        g = panel_of(&after, dw, i, m, N)
        # stripe = (x[:, i:i+m] - mean[i:i+m]) * rstd[i:i+m]
        table.normalize(stripe, x + i, K, mean + i, rstd + i, M, m)
        # g = stripe.T @ dz
        j = 0
        while j < N:
            edge.start = i * N + j
            product(g + j, N, stripe, m, True, dz + j, N, False, m, smaller(columns, N - j), M, False, &edge)
            j += columns
        # dgamma = (w * g).sum(1); dbeta = (w * db).sum(1); dw = gamma[:, None] * g + beta[:, None] * db
        for r in range(m):
            table.scale_back(g + r * N, dgamma + i + r, dbeta + i + r, w + (i + r) * N, db,
                             gamma[i + r] if gamma != NULL else 1.0, beta[i + r] if beta != NULL else 0.0, N)
        run_then(&after, i, m, N)


cdef void matmul(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    cdef int64_t batch = dim[0], M = dim[1], K = dim[2], N = dim[3], a_step = dim[4], b_step = dim[5]
    cdef int64_t rows = dim[6], columns = dim[7]
    cdef bint transpose_a = attr[0] != 0, transpose_b = attr[1] != 0, sum_batch = attr[2] != 0
    cdef int64_t down = ceil_div(M, rows), across = ceil_div(N, columns), t, n, n_end, i, j
    cdef Edge edge
    edge.bias, edge.activation, edge.alpha, edge.y, edge.ahead = NULL, FNN_LINEAR, 0, NULL, 0
    for t in range(first, last):
        i, j = t // across % down * rows, t % across * columns
        n = 0 if sum_batch else t // across // down
        n_end = batch if sum_batch else n + 1
        if n == n_end:      # an empty sum
            product(y + i * N + j, N, a, K, False, b, N, False, smaller(rows, M - i), smaller(columns, N - j), 0,
                    False, &edge)
        while n < n_end:
            # y[n, i:i+rows, j:j+columns] = op(a[n])[i:i+rows] @ op(b[n])[:, j:j+columns];  sum_batch: summed over n
            product(y + (0 if sum_batch else n) * M * N + i * N + j, N,
                    a + n * a_step + (i if transpose_a else i * K), M if transpose_a else K, transpose_a,
                    b + n * b_step + (j * K if transpose_b else j), K if transpose_b else N, transpose_b,
                    smaller(rows, M - i), smaller(columns, N - j), K, sum_batch and n > 0, &edge)
            n += 1


KERNELS = {
    "dense": <uintptr_t> &dense,
    "dense_grad_input": <uintptr_t> &dense_grad_input,
    "dense_grad_weight": <uintptr_t> &dense_grad_weight,
    "matmul": <uintptr_t> &matmul,
    "norm_dense_grad": <uintptr_t> &norm_dense_grad,
}
