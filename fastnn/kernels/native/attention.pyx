"""Attention by blocks of scores: loops over blocks of queries and keys around products and csrc/attention.inc; and of
one new step on those before it.

A block of scores lies on its side, keys by queries: ``s = k @ q.T``. The queries of a block (and in the gradient dy) are
turned around once, for all products with them. Where a causal mask cuts through a block, it goes in strips of sixteen
keys, or queries, which leave out what none of them sees.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from .core cimport fnn_ops, ops, scratch
from .gemm cimport (FNN_GEMM_DEPTH, FNN_GEMM_ROWS, FNN_GEMM_STRIPE, FNN_LINEAR, Edge, ceil_div, fnn_gemm, product,
                    smaller)

cdef extern from "attention.h" nogil:
    enum:
        ROWS "FNN_ATTENTION_ROWS"
        KEYS "FNN_ATTENTION_KEYS"
        STRIP "FNN_ATTENTION_STRIP"
    ctypedef struct fnn_attention_ops:
        void (*softmax)(float *s, const float *mask, float *m, float *l, float *share, int64_t keys, int64_t columns,
                        int64_t limit, int64_t mask_step, float scale, int start) noexcept nogil
        void (*scale_rows)(float *y, const float *share, int64_t rows, int64_t y_pitch, int64_t width) noexcept nogil
        void (*finish)(float *share, float *log_sum, const float *m, const float *l, int64_t rows) noexcept nogil
        void (*weights)(float *s, const float *mask, const float *log_sum, int64_t keys, int64_t columns,
                        int64_t limit, int64_t mask_step, float scale) noexcept nogil
        void (*slopes)(float *dp, const float *p, const float *delta, int64_t keys, int64_t columns, int64_t limit,
                       float scale) noexcept nogil
        void (*delta)(float *delta, const float *dy, const float *y, int64_t rows, int64_t pitch,
                      int64_t width) noexcept nogil
        void (*row)(float *y, float *s, const float *q, const float *keys, const float *values, int64_t n,
                    int64_t width, int64_t value_width, float scale) noexcept nogil
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
    const float NAN

cdef enum:
    WIDE = 256      # columns that `product` takes at once
    ALL = 1 << 30   # a limit above all keys


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
    p.edge.bias, p.edge.y, p.edge.activation, p.edge.alpha = NULL, NULL, FNN_LINEAR, 1.0
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


# The mask of a block of queries and keys, as csrc/attention.h takes it: where it has a row for each query, that is
# turned around into `to`.
cdef inline const float *mask_of(const Problem *p, float *to, int64_t b, int64_t h, int64_t i, int64_t j, int64_t rows,
                                 int64_t keys) noexcept nogil:
    cdef const float *mask
    if p.mask == NULL:
        return NULL
    mask = p.mask + b * p.mask_b + h * p.mask_h + i * p.mask_t + j
    if p.mask_t == 0:
        return mask
    fnn_gemm(ops()).transpose(to, ROWS, mask, p.S, rows, keys)
    return to


# to = dropout(x), key by key, for a block of weights or of their gradients.
cdef void drop(const Problem *p, float *to, const float *x, int64_t b, int64_t h, int64_t i, int64_t j, int64_t rows,
               int64_t keys) noexcept nogil:
    cdef int64_t c, groups = ceil_div(p.T, ROWS), key = (b * p.H + h) * p.S + j
    for c in range(keys):
        fnn_random(ops()).dropout(to + c * ROWS, x + c * ROWS, rows, (key + c) * groups + i // ROWS, p.stream,
                                  p.threshold, p.keep)


# s[c, i] = a[c] @ b[:, i], but what a causal mask hides from all of a strip.
cdef inline void scores(const Problem *p, float *s, const float *a, int64_t a_pitch, const float *b, int64_t rows,
                        int64_t keys, int64_t depth, int64_t limit) noexcept nogil:
    cdef int64_t c = 0, first, tall = STRIP if limit < keys else KEYS
    while c < keys:
        first = first_column(c, limit)
        if first < rows:
            multiply(s + c * ROWS + first, ROWS, a + c * a_pitch, a_pitch, False, b + first, ROWS,
                     smaller(tall, keys - c), rows - first, depth, False, &p.edge)
        c += tall


# Where the columns of a strip begin, of which c is the first key.
cdef inline int64_t first_column(int64_t c, int64_t limit) noexcept nogil:
    return max(0, c + 1 - limit) // STRIP * STRIP


# y[i] += sum over c of s[c, i] * b[c], but what a causal mask hides from all of a strip.
cdef inline void gather(const Problem *p, float *y, int64_t y_pitch, const float *s, const float *b, int64_t b_pitch,
                        int64_t rows, int64_t keys, int64_t width, int64_t limit, bint add) noexcept nogil:
    cdef int64_t r = 0, some, n, tall = STRIP if limit < keys else ROWS
    while r < rows:
        some = smaller(tall, rows - r)
        n = max(0, smaller(keys, limit + r + some - 1))
        if n > 0 or not add:
            multiply(y + r * y_pitch, y_pitch, s + r, ROWS, True, b, b_pitch, some, width, n, add, &p.edge)
        r += some


# y[c] += sum over i of s[c, i] * b[i], but what a causal mask hides from all of a strip.
cdef inline void spread(const Problem *p, float *y, int64_t y_pitch, const float *s, const float *b, int64_t b_pitch,
                        int64_t rows, int64_t keys, int64_t width, int64_t limit, bint add) noexcept nogil:
    cdef int64_t c = 0, first, tall = STRIP if limit < keys else KEYS
    while c < keys:
        first = first_column(c, limit)
        if first < rows:
            multiply(y + c * y_pitch, y_pitch, s + c * ROWS + first, ROWS, False, b + first * b_pitch, b_pitch,
                     smaller(tall, keys - c), width, rows - first, add, &p.edge)
        elif not add:
            for first in range(c, smaller(c + tall, keys)):
                memset(y + first * y_pitch, 0, width * sizeof(float))
        c += tall


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
    cdef float *share = l + ROWS
    cdef float *masks = share + ROWS
    cdef float *turned = masks + ROWS * KEYS
    cdef int64_t t, b, h, g, i, j, rows, columns, keys, limit, down = ceil_div(T, ROWS)
    cdef const float *seen
    cdef float *yi
    for t in range(first, last):
        # y[b, i:i+rows, h] = softmax(scale * q[b, i:i+rows, h] @ k[b, :, g].T + mask) @ v[b, :, g]
        b, h, i = t // down // H, t // down % H, t % down * ROWS
        g, rows, columns = h // (H // G), smaller(ROWS, T - i), ceil_div(smaller(ROWS, T - i), 16) * 16
        yi = y + ((b * T + i) * H + h) * E
        fnn_gemm(ops()).transpose(turned, ROWS, q + ((b * T + i) * H + h) * D, H * D, rows, D)
        j = 0
        while j < S:
            keys, limit = smaller(KEYS, S - j), i + p.offset + 1 - j if p.causal else ALL
            if limit + rows - 1 <= 0:
                break
            seen = mask_of(&p, masks, b, h, i, j, rows, keys)
            scores(&p, s, k + ((b * S + j) * G + g) * D, G * D, turned, rows, keys, D, limit)
            rules.softmax(s, seen, m, l, share, keys, columns, limit, ROWS if p.mask_t else 1, p.scale, j == 0)
            if j > 0:
                rules.scale_rows(yi, share, rows, H * E, E)
            if p.threshold:
                drop(&p, s, s, b, h, i, j, rows, keys)
            gather(&p, yi, H * E, s, v + ((b * S + j) * G + g) * E, G * E, rows, keys, E, limit, j > 0)
            j += KEYS
        rules.finish(share, log_sum + (b * H + h) * T + i, m, l, rows)
        rules.scale_rows(yi, share, rows, H * E, E)


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
    cdef float *masks = dp + 2 * ROWS * KEYS
    cdef float *delta = masks + ROWS * KEYS
    cdef float *logs = delta + ROWS
    cdef float *q_turned = logs + ROWS
    cdef float *dy_turned = q_turned + D * ROWS
    cdef int64_t t, b, h, g, i, j, c, rows, columns, keys, limit, mask_step, shared = H // G
    cdef bint add
    cdef int64_t qi, yi, kj, vj     # where a block of queries begins in q, dq and in y, dy; of keys in k, dk and in v, dv
    for t in range(first, last):
        b, g = t // G, t % G
        add = False     # to dk and dv: the first block of queries writes all of them
        for h in range(g * shared, (g + 1) * shared):
            i = 0
            while i < T:
                rows, columns = smaller(ROWS, T - i), ceil_div(smaller(ROWS, T - i), 16) * 16
                qi, yi = ((b * T + i) * H + h) * D, ((b * T + i) * H + h) * E
                fnn_gemm(ops()).transpose(q_turned, ROWS, q + qi, H * D, rows, D)
                fnn_gemm(ops()).transpose(dy_turned, ROWS, dy + yi, H * E, rows, E)
                rules.delta(delta, dy + yi, y + yi, rows, H * E, E)
                memcpy(logs, log_sum + (b * H + h) * T + i, rows * sizeof(float))
                j = 0
                while j < S:
                    # s = exp(scale * k @ q.T - log_sum);  dp = scale * s * (v @ dy.T - delta)
                    keys, limit = smaller(KEYS, S - j), i + p.offset + 1 - j if p.causal else ALL
                    if limit + rows - 1 <= 0 and add:
                        break
                    kj, vj = ((b * S + j) * G + g) * D, ((b * S + j) * G + g) * E
                    mask_step = ROWS if p.mask_t else 1
                    scores(&p, s, k + kj, G * D, q_turned, rows, keys, D, limit)
                    rules.weights(s, mask_of(&p, masks, b, h, i, j, rows, keys), logs, keys, columns, limit,
                                  mask_step, p.scale)
                    scores(&p, dp, v + vj, G * E, dy_turned, rows, keys, E, limit)
                    if p.threshold:
                        drop(&p, dp, dp, b, h, i, j, rows, keys)
                        drop(&p, dropped, s, b, h, i, j, rows, keys)
                    rules.slopes(dp, s, delta, keys, columns, limit, p.scale)
                    # dv += s @ dy;  dk += dp @ q;  dq += dp.T @ k
                    spread(&p, dv + vj, G * E, dropped, dy + yi, H * E, rows, keys, E, limit, add)
                    spread(&p, dk + kj, G * D, dp, q + qi, H * D, rows, keys, D, limit, add)
                    gather(&p, dq + qi, H * D, dp, k + kj, G * D, rows, keys, D, limit, j > 0)
                    j += KEYS
                i += ROWS
                add = True


cdef void attention_step(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                         int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *keys = <float *> buf[1]
    cdef float *values = <float *> buf[2]
    cdef const float *q = <const float *> buf[3]
    cdef const float *k = <const float *> buf[4]
    cdef const float *v = <const float *> buf[5]
    cdef const int32_t *at = <const int32_t *> buf[8]
    cdef int64_t B = dim[0], S = dim[1], H = dim[2], G = dim[3], D = dim[4], E = dim[5]
    cdef double scale = attr[0]
    cdef float *s = <float *> scratch()
    cdef int64_t t, h, i, n = <int64_t> at[0] + 1, shared = H // G
    for t in range(first, last):
        if n < 1 or n > S:
            for i in range(shared * E):
                y[t * shared * E + i] = NAN
            continue
        # keys[b, g, at], values[b, g, at] = k[b, g], v[b, g]
        memcpy(keys + (t * S + n - 1) * D, k + t * D, D * sizeof(float))
        memcpy(values + (t * S + n - 1) * E, v + t * E, E * sizeof(float))
        for h in range(t * shared, (t + 1) * shared):
            # y[b, h] = softmax(scale * keys[b, g, :n] @ q[b, h]) @ values[b, g, :n]
            fnn_attention(ops()).row(y + h * E, s, q + h * D, keys + t * S * D, values + t * S * E, n, D, E,
                                     <float> scale)


KERNELS = {
    "attention": <uintptr_t> &attention,
    "attention_grad": <uintptr_t> &attention_grad,
    "attention_step": <uintptr_t> &attention_step,
}
