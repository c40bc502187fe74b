"""Attention by blocks of scores: loops over blocks of queries and keys around csrc/attention.inc; and of one new step
on those before it.

A block of scores lies on its side, keys by queries: ``s = k @ q.T``. The queries of a block (and in the gradient dy)
are turned around once, for all products with them. Everything else is read where it is; while one block is worked on,
the next comes nearer (`fetch`): rows of a head lie far apart, and no CPU sees by itself which of them come next. With
arrays in memory that is 30 % of the time at 4 heads of 32.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from .core cimport fnn_ops, ops, scratch
from .gemm cimport ceil_div, fnn_gemm, smaller

cdef extern from "attention.h" nogil:
    enum:
        ROWS "FNN_ATTENTION_ROWS"
        KEYS "FNN_ATTENTION_KEYS"
    ctypedef struct fnn_attention_ops:
        void (*fetch)(const float *x, int64_t pitch, int64_t rows, int64_t width) noexcept nogil
        void (*copy)(float *to, int64_t to_pitch, const float *x, int64_t pitch, int64_t rows,
                     int64_t width) noexcept nogil
        void (*scores)(float *s, const float *a, int64_t a_pitch, const float *b, int64_t keys, int64_t columns,
                       int64_t depth, int64_t limit) noexcept nogil
        void (*gather)(float *y, int64_t y_pitch, const float *s, const float *b, int64_t b_pitch, int64_t rows,
                       int64_t keys, int64_t width, int64_t limit, int add) noexcept nogil
        void (*spread)(float *y, int64_t y_pitch, const float *s, const float *b, int64_t b_pitch, int64_t rows,
                       int64_t keys, int64_t width, int64_t limit, int add) noexcept nogil
        void (*softmax)(float *s, const float *mask, float *m, float *l, float *share, int64_t keys, int64_t columns,
                        int64_t limit, int64_t mask_step, float scale, int start) noexcept nogil
        void (*scale_rows)(float *y, const float *share, int64_t rows, int64_t width) noexcept nogil
        void (*finish)(float *y, int64_t y_pitch, float *log_sum, const float *sums, const float *m, const float *l,
                       int64_t rows, int64_t width) noexcept nogil
        void (*weights)(float *s, float *dp, const float *mask, const float *log_sum, const float *delta, int64_t keys,
                        int64_t columns, int64_t limit, int64_t mask_step, float scale) noexcept nogil
        void (*slopes)(float *dp, const float *p, const float *dropped, const float *delta, int64_t keys,
                       int64_t columns, int64_t limit, float scale) noexcept nogil
        void (*delta)(float *delta, const float *dy, int64_t dy_pitch, const float *y, int64_t y_pitch, int64_t rows,
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
    ALL = 1 << 30   # a limit above all keys
    FAR = 768       # rows so many floats apart share so few sets of L1 that those of a block evict one another: a copy
    FAR_NARROW = 256    # gains 4 % (16 heads of 64; with 4 of them it costs as much, but for vectors below 64 bytes)
    LINE = 16       # two blocks of which one is written stand so many floats off a multiple of 4 KiB: to tell a load
                    # from a store before it, the CPU first compares 12 bits of their addresses


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
    return p


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


# Rows of x for a product: where they stand far apart, a copy.
cdef inline const float *near(const fnn_attention_ops *rules, float *to, const float *x, int64_t *pitch, int64_t rows,
                              int64_t width) noexcept nogil:
    if pitch[0] < (FAR if fnn_gemm(ops()).lanes == 16 else FAR_NARROW) or pitch[0] == width:
        return x
    rules.copy(to, width, x, pitch[0], rows, width)
    pitch[0] = width
    return to


# Where query i of head h begins in q and dq (of width D) or y and dy (E); likewise a key in k, dk, v and dv.
cdef inline int64_t query(const Problem *p, int64_t b, int64_t i, int64_t h, int64_t width) noexcept nogil:
    return ((b * p.T + i) * p.H + h) * width


cdef inline int64_t key(const Problem *p, int64_t b, int64_t j, int64_t h, int64_t width) noexcept nogil:
    return ((b * p.S + j) * p.G + h // (p.H // p.G)) * width


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
    cdef float *s = <float *> scratch()
    cdef float *m = s + ROWS * KEYS
    cdef float *l = m + ROWS
    cdef float *share = l + ROWS
    cdef float *turned = share + ROWS
    cdef float *room = turned + D * ROWS
    cdef float *sums = room + E * KEYS
    cdef float *masks = sums + E * ROWS
    cdef int64_t t, b, h, i, j, n, bn, hn, i_n, rows, columns, keys, limit, seen, pitch, yi, down = ceil_div(T, ROWS)
    cdef bint more
    cdef const float *hidden
    cdef const float *values
    for t in range(first, last):
        # y[b, i:i+rows, h] = softmax(scale * q[b, i:i+rows, h] @ k[b, :, g].T + mask) @ v[b, :, g]
        b, h, i = t // down // H, t // down % H, t % down * ROWS
        rows, columns = smaller(ROWS, T - i), ceil_div(smaller(ROWS, T - i), 16) * 16
        seen, yi = smaller(S, i + rows + p.offset) if p.causal else S, query(&p, b, i, h, E)
        n = smaller(t + 1, last - 1)    # the next tile
        bn, hn, i_n = n // down // H, n // down % H, n % down * ROWS
        fnn_gemm(ops()).transpose(turned, ROWS, q + query(&p, b, i, h, D), H * D, rows, D)
        j = 0
        while j < seen:
            keys, limit = smaller(KEYS, S - j), i + p.offset + 1 - j if p.causal else ALL
            more = j + KEYS < seen
            rules.fetch(k + (key(&p, b, j + KEYS, h, D) if more else key(&p, bn, 0, hn, D)), G * D, keys, D)
            rules.scores(s, k + key(&p, b, j, h, D), G * D, turned, keys, columns, D, limit)
            hidden = mask_of(&p, masks, b, h, i, j, rows, keys)
            rules.fetch(v + (key(&p, b, j + KEYS, h, E) if more else key(&p, bn, 0, hn, E)), G * E, keys, E)
            rules.softmax(s, hidden, m, l, share, keys, columns, limit, ROWS if p.mask_t else 1, p.scale, j == 0)
            if j > 0:
                rules.scale_rows(sums, share, rows, E)
            if p.threshold:
                drop(&p, s, s, b, h, i, j, rows, keys)
            if not more:
                rules.fetch(q + query(&p, bn, i_n, hn, D), H * D, rows, D)
                rules.fetch(y + query(&p, bn, i_n, hn, E), H * E, rows, E)
            pitch = G * E
            values = near(rules, room, v + key(&p, b, j, h, E), &pitch, keys, E)
            rules.gather(sums, E, s, values, pitch, rows, keys, E, limit, j > 0)
            j += KEYS
        rules.finish(y + yi, H * E, log_sum + (b * H + h) * T + i, sums, m, l, rows, E)


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
    cdef float *s = <float *> scratch()
    cdef float *dp = s + ROWS * KEYS + LINE
    cdef float *delta = dp + ROWS * KEYS
    cdef float *logs = delta + ROWS
    cdef float *q_turned = logs + ROWS
    cdef float *dy_turned = q_turned + D * ROWS
    cdef float *q_room = dy_turned + E * ROWS
    cdef float *dy_room = q_room + D * ROWS
    cdef float *k_room = dy_room + E * ROWS
    cdef float *masks = k_room + D * KEYS
    cdef float *dropped = masks + ROWS * KEYS if p.threshold else s
    cdef int64_t t, n, b, h, i, j, rows, columns, keys, limit, shared = H // G
    cdef bint add
    cdef int64_t qi, yi, kj, vj     # where a block of queries begins in q, dq and y, dy; of keys in k, dk and v, dv
    cdef int64_t bn, hn, i_n, qn, yn, kn, vn    # the same for the blocks that come next
    cdef bint more                              # ... which are of the same queries
    cdef int64_t q_pitch, y_pitch, k_pitch
    cdef const float *queries
    cdef const float *slopes
    cdef const float *keyed
    for t in range(first, last):
        add = False     # to dk and dv: the first block of queries writes all of them
        for n in range(t * shared, (t + 1) * shared):
            b, h = n // H, n % H
            i = 0
            while i < T:
                rows, columns = smaller(ROWS, T - i), ceil_div(smaller(ROWS, T - i), 16) * 16
                qi, yi = query(&p, b, i, h, D), query(&p, b, i, h, E)
                bn, hn, i_n = b, h, i + ROWS
                if i + ROWS >= T:
                    bn, hn, i_n = smaller(n + 1, last * shared - 1) // H, smaller(n + 1, last * shared - 1) % H, 0
                qn, yn = query(&p, bn, i_n, hn, D), query(&p, bn, i_n, hn, E)
                q_pitch, y_pitch = H * D, H * E
                queries = near(rules, q_room, q + qi, &q_pitch, rows, D)
                slopes = near(rules, dy_room, dy + yi, &y_pitch, rows, E)
                fnn_gemm(ops()).transpose(q_turned, ROWS, queries, q_pitch, rows, D)
                fnn_gemm(ops()).transpose(dy_turned, ROWS, slopes, y_pitch, rows, E)
                rules.delta(delta, slopes, y_pitch, y + yi, H * E, rows, E)
                memcpy(logs, log_sum + n * T + i, rows * sizeof(float))
                j = 0
                while j < S:
                    # s = exp(scale * k @ q.T - log_sum);  dp = scale * s * (v @ dy.T - delta)
                    keys, limit = smaller(KEYS, S - j), i + p.offset + 1 - j if p.causal else ALL
                    if limit + rows - 1 <= 0 and add:
                        break
                    kj, vj = key(&p, b, j, h, D), key(&p, b, j, h, E)
                    if j + KEYS < S and (not p.causal or limit + rows - 1 > KEYS):
                        kn, vn, more = key(&p, b, j + KEYS, h, D), key(&p, b, j + KEYS, h, E), True
                    else:
                        kn, vn, more = key(&p, bn, 0, hn, D), key(&p, bn, 0, hn, E), False
                    k_pitch = G * D
                    keyed = near(rules, k_room, k + kj, &k_pitch, keys, D)
                    rules.fetch(k + kn, G * D, keys, D)
                    rules.scores(s, keyed, k_pitch, q_turned, keys, columns, D, limit)
                    rules.fetch(v + vn, G * E, keys, E)
                    rules.scores(dp, v + vj, G * E, dy_turned, keys, columns, E, limit)
                    rules.fetch(dv + vn, G * E, keys, E)
                    rules.weights(s, NULL if p.threshold else dp, mask_of(&p, masks, b, h, i, j, rows, keys), logs,
                                  delta, keys, columns, limit, ROWS if p.mask_t else 1, p.scale)
                    if p.threshold:
                        drop(&p, dropped, s, b, h, i, j, rows, keys)
                        rules.slopes(dp, s, dropped, delta, keys, columns, limit, p.scale)
                    # dv += s @ dy;  dk += dp @ q;  dq += dp.T @ k
                    if not more:
                        rules.fetch(q + qn, H * D, rows, D)
                        rules.fetch(dy + yn, H * E, rows, E)
                    rules.spread(dv + vj, G * E, dropped, slopes, y_pitch, rows, keys, E, limit, add)
                    rules.fetch(dk + kn, G * D, keys, D)
                    rules.spread(dk + kj, G * D, dp, queries, q_pitch, rows, keys, D, limit, add)
                    if not more:
                        rules.fetch(y + yn, H * E, rows, E)
                        rules.fetch(dq + qn, H * D, rows, D)
                    rules.gather(dq + qi, H * D, dp, keyed, k_pitch, rows, keys, D, limit, j > 0)
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
