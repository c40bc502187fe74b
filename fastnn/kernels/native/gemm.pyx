"""The matrix product: five loops over the micro-kernels of csrc/gemm.h.

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

from libc.stdint cimport int64_t

from .core cimport ops, scratch

cdef enum:
    STRIPE = FNN_GEMM_STRIPE * FNN_GEMM_ROWS    # columns of A that are packed at once
    PACK_PANELS = 6     # B is packed if at least so many panels of rows read it and it is ...
    BIG = 1 << 18       # ... of so many floats, beyond L2: a smaller one is as fast (v4) or faster unpacked
    CLASH = 512         # rows a multiple of so many floats apart share L1 sets. Vectors below 64 bytes read a
                        # line per k or two and lose half of their speed to that: they pack from ...
    CLASH_DEPTH = 16    # ... so many k's on (AVX2, 128x1024x1024, x.T @ dz: 50 to 99 GFLOP/s; AVX-512: no gain)
    PACK_DEPTH = 257    # pack a column-form A if k runs so far: 256 rows a power of two apart still fit L2, ...
    NEAR = 384          # ... and so do all of a block less than so many floats apart. 64-byte vectors leave the time to
                        # read them from there (2048x128x128, x.T @ dz: 98 to 109 GFLOP/s without the copy, AVX2 loses;
                        # rows of 512, without the copy: half as fast).
    FEW = 192           # More columns of B than these pay for the copy


cdef void product(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, bint a_columns, const float *b,
                  int64_t b_pitch, bint b_columns, int64_t rows, int64_t columns, int64_t depth, bint add,
                  const Edge *edge) noexcept nogil:
    cdef const fnn_gemm_ops *g = fnn_gemm(ops())
    cdef float *a_panel = <float *> scratch()
    cdef float *b_block = a_panel + STRIPE * FNN_GEMM_DEPTH
    cdef int64_t panels = ceil_div(rows, FNN_GEMM_ROWS), k_blocks = ceil_div(depth, FNN_GEMM_DEPTH)
    cdef int64_t width = g.width * g.lanes, k_block, k, k_end, kn, p, i, m, j, left, w, last, mode, a_step, b_step
    cdef bint narrow = g.lanes < 16
    cdef bint clash = narrow and b_pitch % CLASH == 0 and depth >= CLASH_DEPTH
    cdef bint pack = b_columns or (panels >= PACK_PANELS and (depth * b_pitch >= BIG or clash))
    cdef bint pack_a
    cdef const float *ahead = NULL
    cdef int64_t wide = 0, share = 0
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
        pack_a = a_columns and (kn >= PACK_DEPTH and (narrow or a_pitch >= NEAR or columns > FEW) or
                                narrow and a_pitch % CLASH == 0 and kn >= CLASH_DEPTH)
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
                        g.pack_columns(a_panel, ap, a_pitch, kn, smaller(STRIPE, rows - i))
                        # the next stripe of A, which each panel of this one fetches a share of
                        ahead, wide, share = ap + STRIPE, smaller(STRIPE, rows - i - STRIPE), kn
                        if wide <= 0:
                            ahead, wide, share = a + k_end * a_pitch, smaller(STRIPE, rows), smaller(kn, depth - k_end)
                        share = ceil_div(share, smaller(FNN_GEMM_STRIPE, panels - p))
                    g.fetch(ahead, a_pitch, share, wide)
                    ahead = ahead + share * a_pitch
                    ap = a_panel + p % FNN_GEMM_STRIPE * FNN_GEMM_ROWS * kn
                    a_step = FNN_GEMM_ROWS
                elif k_end < depth:
                    # and where columns are read in place, those of the next block of k
                    share = ceil_div(smaller(kn, depth - k_end), panels)
                    g.fetch(a + (k_end + p * share) * a_pitch, a_pitch, share, rows)
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


cdef void product_of_runs(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, bint a_columns, const float *b,
                          int64_t b_pitch, int64_t rows, int64_t columns, int64_t depth, const fnn_runs *runs, bint add,
                          const Edge *edge) noexcept nogil:
    cdef const fnn_gemm_ops *g = fnn_gemm(ops())
    # All divisions stand outside of the loop: inside they took 4 % of the time at 16 columns and 144 terms.
    cdef int64_t panels = ceil_div(rows, FNN_GEMM_ROWS), lanes = g.lanes, vectors = ceil_div(columns, lanes)
    cdef int64_t rest = columns - (vectors - 1) * lanes, even, more, p, i = 0, m, j, w
    cdef int64_t mode = FNN_GEMM_ADD if add else 0
    cdef const fnn_gemm_runs_tile *tile
    cdef const float *ap
    if panels == 0:
        return
    even, more = rows // panels, rows % panels
    if edge.activation == FNN_RELU and edge.y == NULL:
        mode |= FNN_GEMM_RELU
    for p in range(panels):
        m = even + (p < more)
        if a_columns:
            tile, ap = <const fnn_gemm_runs_tile *> &g.column_runs[m][0], a + i
        else:
            tile, ap = <const fnn_gemm_runs_tile *> &g.row_runs[m][0], a + i * a_pitch
        j = 0
        while j < vectors:
            w = g.widest[m]
            if w > vectors - j:
                w = smaller(vectors - j, 4)
            tile[w](ap, a_pitch, b + j * lanes, b_pitch, c + i * c_pitch + j * lanes, c_pitch, depth, runs,
                    rest if j + w == vectors else lanes, edge.bias + j * lanes if edge.bias != NULL else NULL, mode)
            j += w
        if edge.y != NULL:
            g.derive(edge.activation, edge.alpha, c + i * c_pitch, edge.y + i * c_pitch, c_pitch, m, columns)
        elif edge.activation > FNN_RELU:
            g.activate(edge.activation, edge.alpha, c + i * c_pitch, c_pitch, m, columns)
        i += m
