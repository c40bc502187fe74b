"""Attention by blocks of scores: loops over blocks of queries and keys around products and csrc/attention.inc.

Keys (and in the gradient values) of a block are turned around once, for all products with that block. Where a causal
mask cuts through a block, its rows go in strips of sixteen, which leave out the keys that none of them sees.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from .core cimport fnn_ops, ops, scratch
from .gemm cimport (FNN_GEMM_DEPTH, FNN_GEMM_ROWS, FNN_GEMM_STRIPE, FNN_LINEAR, Edge, ceil_div, fnn_gemm, product,
                    smaller)

cdef extern from "attention.h" nogil:
    enum:
        ROWS "FNN_ATTENTION_ROWS"
        KEYS "FNN_ATTENTION_KEYS"
    ctypedef struct fnn_attention_ops:
        void (*softmax)(float *s, const float *mask, float *m, float *l, float *y, int64_t rows, int64_t columns,
                        int64_t limit, int64_t mask_pitch, int64_t y_pitch, int64_t width, float scale,
                        int start) noexcept nogil
        void (*finish)(float *y, float *log_sum, const float *m, const float *l, int64_t rows, int64_t y_pitch,
                       int64_t width) noexcept nogil
        void (*weights)(float *s, const float *mask, const float *log_sum, int64_t rows, int64_t columns,
                        int64_t limit, int64_t mask_pitch, float scale) noexcept nogil
        void (*slopes)(float *dp, const float *p, const float *delta, int64_t rows, int64_t columns,
                       float scale) noexcept nogil
        void (*delta)(float *delta, const float *dy, const float *y, int64_t rows, int64_t pitch,
                      int64_t width) noexcept nogil
    const fnn_attention_ops *fnn_attention(const fnn_ops *)
cdef extern from "random.h" nogil:
    ctypedef struct fnn_stream:
        uint64_t step
        uint32_t key0, key1
    ctypedef struct fnn_random_ops:
        void (*dropout)(float *y, const float *x, int64_t n, int64_t group, fnn_stream s, uint32_t threshold,
                        float scale) noexcept nogil
    const fnn_random_ops *fnn_random(const fnn_ops *) noexcept
cdef extern from "<math.h>" nogil:
    double nearbyint(double) noexcept

cdef enum:
    STRIP = 16      # rows of a block that a causal mask cuts: they go on together
    WIDE = 256      # columns that `product` takes at once


# One call: its sizes, numbers and mask. Rows of q are H * D floats apart, and so on.
cdef struct Problem:
    int64_t B, T, S, H, G, D, E
    const float *mask
    int64_t mask_b, mask_h, mask_t      # floats from one to the next, 0 where there is one for all
    float scale, keep
    bint causal
    int64_t offset
    uint32_t threshold
    fnn_stream stream
    Edge edge


cdef inline Problem problem(const int64_t *dim, const double *attr, const float *mask,
                            const double *step) noexcept nogil:
    cdef Problem p
    p.B, p.T, p.S, p.H, p.G, p.D, p.E = dim[0], dim[1], dim[2], dim[3], dim[4], dim[5], dim[6]
    p.mask = mask
    p.mask_t = p.S if dim[9] > 1 else 0
    p.mask_h = dim[9] * p.S if dim[8] > 1 else 0
    p.mask_b = dim[8] * dim[9] * p.S if dim[7] > 1 else 0
    p.scale, p.causal, p.offset = <float> attr[0], attr[1] != 0, <int64_t> attr[2]
    p.threshold, p.keep = <uint32_t> nearbyint(attr[3] * 65536.0), <float> (1.0 / (1.0 - attr[3]))
    p.stream.step = <uint64_t> <int64_t> step[0] if step != NULL else 0
    p.stream.key0, p.stream.key1 = <uint32_t> <int64_t> attr[4], <uint32_t> <int64_t> attr[5]
    p.edge.bias, p.edge.y, p.edge.activation, p.edge.ahead, p.edge.alpha = NULL, NULL, FNN_LINEAR, 0, 1.0
    return p


# Behind what `product` uses of the thread's scratch memory (SCRATCH of fastnn/kernels/dense.py).
cdef inline float *room() noexcept nogil:
    return <float *> scratch() + FNN_GEMM_DEPTH * (FNN_GEMM_STRIPE * FNN_GEMM_ROWS + WIDE)


# `product` for any number of columns.
cdef inline void multiply(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, bint a_columns, const float *b,
                          int64_t b_pitch, int64_t rows, int64_t columns, int64_t depth, bint add,
                          const Edge *edge) noexcept nogil:
    cdef int64_t j = 0
    while j < columns:
        product(c + j, c_pitch, a, a_pitch, a_columns, b + j, b_pitch, False, rows, smaller(WIDE, columns - j), depth,
                add, edge)
        j += WIDE


cdef inline const float *mask_at(const Problem *p, int64_t b, int64_t h, int64_t i, int64_t j) noexcept nogil:
    return p.mask + b * p.mask_b + h * p.mask_h + i * p.mask_t + j if p.mask != NULL else NULL


# Zero and scale what dropout makes of a block of weights or of their gradients: to = dropout(x), row by row.
cdef void drop(const Problem *p, float *to, const float *x, int64_t b, int64_t h, int64_t i, int64_t j, int64_t rows,
               int64_t columns) noexcept nogil:
    cdef int64_t r, groups = ceil_div(p.S, KEYS), row = (b * p.H + h) * p.T + i
    for r in range(rows):
        fnn_random(ops()).dropout(to + r * KEYS, x + r * KEYS, columns, (row + r) * groups + j // KEYS, p.stream,
                                  p.threshold, p.keep)


# Rows of a block that go on together, for a block whose first row sees `limit` keys.
cdef inline int64_t strip(const Problem *p, int64_t limit, int64_t columns) noexcept nogil:
    return STRIP if p.causal and limit < columns else ROWS


# Of so many keys, those that the last of some rows sees.
cdef inline int64_t seen(const Problem *p, int64_t limit, int64_t last, int64_t columns) noexcept nogil:
    return max(0, smaller(columns, limit + last)) if p.causal else columns


cdef void attention(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                    int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *log_sum = <float *> buf[1]
    cdef const float *q = <const float *> buf[2]
    cdef const float *k = <const float *> buf[3]
    cdef const float *v = <const float *> buf[4]
    cdef const float *mask = <const float *> buf[5]
    cdef const double *step = <const double *> buf[6]
    cdef int64_t B = dim[0], T = dim[1], S = dim[2], H = dim[3], G = dim[4], D = dim[5], E = dim[6]
    cdef int64_t MB = dim[7], MH = dim[8], MT = dim[9]
    cdef double scale = attr[0], causal = attr[1], offset = attr[2], rate = attr[3], key0 = attr[4], key1 = attr[5]
    cdef const fnn_attention_ops *rules = fnn_attention(ops())
    cdef Problem p = problem(dim, attr, mask, step)
    cdef float *s = room()
    cdef float *m = s + ROWS * KEYS
    cdef float *l = m + ROWS
    cdef float *turned = l + ROWS
    cdef int64_t t, b, h, g, i, j, r, rows, columns, limit, some, n, tall, down = ceil_div(T, ROWS)
    cdef const float *qi
    cdef float *yi
    cdef bint start
    for t in range(first, last):
        # y[b, i:i+rows, h] = softmax(scale * q[b, i:i+rows, h] @ k[b, :, g].T + mask) @ v[b, :, g]
        b, h, i = t // down // H, t // down % H, t % down * ROWS
        g, rows = h // (H // G), smaller(ROWS, T - i)
        qi, yi = q + ((b * T + i) * H + h) * D, y + ((b * T + i) * H + h) * E
        j = 0
        while j < S:
            columns, limit, start = smaller(KEYS, S - j), i + p.offset + 1 - j, j == 0
            if j > 0 and seen(&p, limit, rows - 1, columns) == 0:
                break
            fnn_gemm(ops()).transpose(turned, KEYS, k + ((b * S + j) * G + g) * D, G * D, columns, D)
            tall, r = strip(&p, limit, columns), 0
            while r < rows:
                some = smaller(tall, rows - r)
                n = seen(&p, limit, r + some - 1, columns)
                if n > 0:
                    multiply(s, KEYS, qi + r * H * D, H * D, False, turned, KEYS, some, n, D, False, &p.edge)
                    rules.softmax(s, mask_at(&p, b, h, i + r, j), m + r, l + r, yi + r * H * E, some, n,
                                  limit + r if p.causal else columns + ROWS, p.mask_t, H * E, E, p.scale, start)
                    if p.threshold:
                        drop(&p, s, s, b, h, i + r, j, some, n)
                    multiply(yi + r * H * E, H * E, s, KEYS, False, v + ((b * S + j) * G + g) * E, G * E, some, E, n,
                             not start, &p.edge)
                r += some
            j += KEYS
        rules.finish(yi, log_sum + (b * H + h) * T + i, m, l, rows, H * E, E)


cdef void attention_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                         int64_t last) noexcept nogil:
    cdef float *dq = <float *> buf[0]
    cdef float *dk = <float *> buf[1]
    cdef float *dv = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const float *q = <const float *> buf[4]
    cdef const float *k = <const float *> buf[5]
    cdef const float *v = <const float *> buf[6]
    cdef const float *y = <const float *> buf[7]
    cdef const float *log_sum = <const float *> buf[8]
    cdef const float *mask = <const float *> buf[9]
    cdef const double *step = <const double *> buf[10]
    cdef int64_t B = dim[0], T = dim[1], S = dim[2], H = dim[3], G = dim[4], D = dim[5], E = dim[6]
    cdef int64_t MB = dim[7], MH = dim[8], MT = dim[9]
    cdef double scale = attr[0], causal = attr[1], offset = attr[2], rate = attr[3], key0 = attr[4], key1 = attr[5]
    cdef const fnn_attention_ops *rules = fnn_attention(ops())
    cdef Problem p = problem(dim, attr, mask, step)
    cdef float *s = room()
    cdef float *dp = s + ROWS * KEYS
    cdef float *dropped = dp + ROWS * KEYS if p.threshold else s
    cdef float *k_turned = dp + 2 * ROWS * KEYS
    cdef float *v_turned = k_turned + D * KEYS
    cdef float *delta = v_turned + E * KEYS
    cdef int64_t t, b, h, g, i, j, r, c, rows, columns, limit, some, n, tall, shared = H // G
    cdef const float *kj
    cdef const float *vj
    cdef int64_t qi, yi, li     # where a block of queries begins in q and dq, in y and dy, in log_sum
    for t in range(first, last):
        b, g = t // G, t % G
        for h in range(g * shared, (g + 1) * shared):
            yi = (b * T * H + h) * E
            rules.delta(delta + (h - g * shared) * T, dy + yi, y + yi, T, H * E, E)
        j = 0
        while j < S:
            columns = smaller(KEYS, S - j)
            kj, vj = k + ((b * S + j) * G + g) * D, v + ((b * S + j) * G + g) * E
            fnn_gemm(ops()).transpose(k_turned, KEYS, kj, G * D, columns, D)
            fnn_gemm(ops()).transpose(v_turned, KEYS, vj, G * E, columns, E)
            for r in range(columns):
                memset(dk + ((b * S + j + r) * G + g) * D, 0, D * sizeof(float))
                memset(dv + ((b * S + j + r) * G + g) * E, 0, E * sizeof(float))
            for h in range(g * shared, (g + 1) * shared):
                i = 0
                while i < T:
                    rows, limit = smaller(ROWS, T - i), i + p.offset + 1 - j
                    qi, yi = ((b * T + i) * H + h) * D, ((b * T + i) * H + h) * E
                    li = (b * H + h) * T + i
                    tall, r = strip(&p, limit, columns), 0
                    while r < rows:
                        # s = exp(scale * q @ k.T - log_sum);  dp = scale * s * (dy @ v.T - delta);  dq += dp @ k
                        some = smaller(tall, rows - r)
                        n = seen(&p, limit, r + some - 1, columns)
                        if n > 0:
                            multiply(s + r * KEYS, KEYS, q + qi + r * H * D, H * D, False, k_turned, KEYS, some, n, D,
                                     False, &p.edge)
                            rules.weights(s + r * KEYS, mask_at(&p, b, h, i + r, j), log_sum + li + r, some, n,
                                          limit + r if p.causal else columns + ROWS, p.mask_t, p.scale)
                            multiply(dp + r * KEYS, KEYS, dy + yi + r * H * E, H * E, False, v_turned, KEYS, some, n,
                                     E, False, &p.edge)
                            if p.threshold:
                                drop(&p, dp + r * KEYS, dp + r * KEYS, b, h, i + r, j, some, n)
                                memset(dropped + r * KEYS, 0, some * KEYS * sizeof(float))
                                drop(&p, dropped + r * KEYS, s + r * KEYS, b, h, i + r, j, some, n)
                            rules.slopes(dp + r * KEYS, s + r * KEYS, delta + (h - g * shared) * T + i + r, some, n,
                                         p.scale)
                            multiply(dq + qi + r * H * D, H * D, dp + r * KEYS, KEYS, False, kj, G * D, some, D, n,
                                     j > 0, &p.edge)
                        r += some
                    # dk += dp.T @ q;  dv += s.T @ dy, from the first strip of rows on that sees the keys
                    c = 0
                    while c < columns:
                        some = smaller(tall, columns - c)
                        r = max(0, c + 1 - limit) if p.causal else 0
                        if r < rows:
                            r = r // tall * tall
                            multiply(dk + ((b * S + j + c) * G + g) * D, G * D, dp + r * KEYS + c, KEYS, True,
                                     q + qi + r * H * D, H * D, some, D, rows - r, True, &p.edge)
                            multiply(dv + ((b * S + j + c) * G + g) * E, G * E, dropped + r * KEYS + c, KEYS, True,
                                     dy + yi + r * H * E, H * E, some, E, rows - r, True, &p.edge)
                        c += some
                    i += ROWS
            j += KEYS


KERNELS = {
    "attention": <uintptr_t> &attention,
    "attention_grad": <uintptr_t> &attention_grad,
}
