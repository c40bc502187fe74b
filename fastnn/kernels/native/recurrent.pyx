"""Recurrent layers, a whole sequence to a call: tiles are blocks of batch rows, each taken through all of its steps.

The states of a tile's rows stand side by side in the thread's scratch memory, where the product with the recurrent
matrix finds them in L1; what belongs to a step (z, gates ...) stands a sequence apart from row to row.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

from .core cimport fnn_ops, ops, scratch
from .gemm cimport FNN_LINEAR, Edge, fnn_gemm, fnn_gemm_ops, product, smaller

cdef extern from "recurrent.h" nogil:
    ctypedef struct fnn_recurrent_ops:
        void (*add)(float *h, const float *z, const float *p, int64_t n) noexcept nogil
        void (*add_to)(float *dh, const float *dy, int64_t n) noexcept nogil
        void (*lstm)(float *h, float *c, float *gates, const float *z, const float *p, int64_t n) noexcept nogil
        void (*lstm_back)(float *dz, float *dc, const float *dh, const float *gates, const float *c,
                          const float *c_before, int64_t n) noexcept nogil
        void (*gru_after)(float *h, float *gates, float *inner, const float *z, const float *p,
                          int64_t n) noexcept nogil
        void (*gru_gates)(float *gates, const float *z, const float *p, int64_t n) noexcept nogil
        void (*gru_reset)(float *inner, const float *gates, const float *h, int64_t n) noexcept nogil
        void (*gru_before)(float *h, float *gates, const float *z, const float *p, int64_t n) noexcept nogil
        void (*gru_back)(float *dz, float *dh, const float *gates, const float *h_before, int64_t n) noexcept nogil
        void (*gru_back_after)(float *di, float *dz, const float *gates, const float *inner, int64_t n) noexcept nogil
        void (*gru_back_before)(float *dz, float *dh, const float *q, const float *gates, const float *h_before,
                                int64_t n) noexcept nogil
    const fnn_recurrent_ops *fnn_recurrent(const fnn_ops *)
    void fnn_fetch(const float *p, int64_t pitch, int64_t rows, int64_t n) noexcept nogil
    void fnn_fetch_to_write(const float *p, int64_t pitch, int64_t rows, int64_t n) noexcept nogil

cdef enum:
    WIDEST = 256        # columns of one `product`
    IN_ORDER = 2        # `backwards`: the steps from the last to the first, y in the order of the steps


# n rows of a state, or zeros.
cdef inline void load(float *to, const float *state, int64_t n) noexcept nogil:
    if state != NULL:
        memcpy(to, state, n * sizeof(float))
    else:
        memset(to, 0, n * sizeof(float))


# c[rows, columns] = a[rows, depth] @ b[depth, columns] (+ c where add, + bias)
cdef inline void multiply(float *c, int64_t c_pitch, const float *a, int64_t a_pitch, const float *b, int64_t b_pitch,
                          int64_t rows, int64_t columns, int64_t depth, bint add, const float *bias) noexcept nogil:
    cdef Edge edge
    cdef int64_t j = 0
    edge.activation, edge.alpha, edge.y = FNN_LINEAR, 0, NULL
    while j < columns:
        edge.bias = bias + j if bias != NULL else NULL
        product(c + j, c_pitch, a, a_pitch, False, b + j, b_pitch, False, rows, smaller(WIDEST, columns - j), depth,
                add, &edge)
        j += WIDEST


# to[columns, rows] = b[rows, columns].T, where b has this pitch
cdef inline void turn(float *to, const float *b, int64_t pitch, int64_t rows, int64_t columns) noexcept nogil:
    fnn_gemm(ops()).transpose(to, rows, b, pitch, rows, columns)


# p[m, n gates] = h @ u + bias, where with `keep` each gate sees h times its own; `seen` is room for that
cdef inline void forth(float *p, const float *h, const float *u, const float *keep, float *seen, int64_t m, int64_t H,
                       int64_t n, int64_t G, const float *bias) noexcept nogil:
    cdef int64_t g, r, j
    if keep == NULL:
        multiply(p, G, h, H, u, G, m, n * H, H, False, bias)
        return
    for g in range(n):
        for r in range(m):
            for j in range(H):
                seen[r * H + j] = h[r * H + j] * keep[r * G + g * H + j]
        multiply(p + g * H, G, seen, H, u + g * H, G, m, H, H, False, bias + g * H if bias != NULL else NULL)


# x *= keep
cdef inline void kept(float *x, const float *keep, int64_t n) noexcept nogil:
    cdef int64_t j
    for j in range(n):
        x[j] = x[j] * keep[j]


# dh[m, H] = d[m, n gates] @ ut (+ dh where add), where with `keep` each gate's part is multiplied by its own
cdef inline void back(float *dh, const float *d, const float *ut, const float *keep, float *part, int64_t m, int64_t H,
                      int64_t n, int64_t G, bint add) noexcept nogil:
    cdef int64_t g, r, j
    if keep == NULL:
        multiply(dh, H, d, G, ut, H, m, H, n * H, add, NULL)
        return
    if not add:
        memset(dh, 0, m * H * sizeof(float))
    for g in range(n):
        multiply(part, H, d + g * H, G, ut + g * H * H, H, m, H, H, False, NULL)
        for r in range(m):
            for j in range(H):
                dh[r * H + j] = dh[r * H + j] + part[r * H + j] * keep[r * G + g * H + j]


cdef void simple_rnn(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                     int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *end = <float *> buf[1]
    cdef float *before = <float *> buf[2]
    cdef const float *z = <const float *> buf[3]
    cdef const float *u = <const float *> buf[4]
    cdef const float *h0 = <const float *> buf[5]
    cdef const float *mask = <const float *> buf[6]
    cdef const float *keep = <const float *> buf[7]
    cdef int64_t B = dim[0], T = dim[1], H = dim[2], rows = dim[3], own = dim[4]
    cdef int64_t backwards = <int64_t> attr[0], activation = <int64_t> attr[3]
    cdef bint sequence = attr[1] != 0, save = attr[2] != 0
    cdef float alpha = <float> attr[4]
    cdef const fnn_recurrent_ops *f = fnn_recurrent(ops())
    cdef const fnn_gemm_ops *g = fnn_gemm(ops())
    cdef float *h = <float *> scratch() + own
    cdef float *p = h + rows * H
    cdef float *seen = p + rows * H
    cdef int64_t tile, b, m, s, t, r, i, place
    for tile in range(first, last):
        b = tile * rows
        m = smaller(rows, B - b)
        load(h, h0 + b * H if h0 != NULL else NULL, m * H)
        for s in range(T):
            # h = activation(z[:, t] + h @ u)
            t = T - 1 - s if backwards else s
            place = t if backwards == IN_ORDER else s
            if s == 0 and h0 == NULL:
                memset(p, 0, m * H * sizeof(float))
            else:
                forth(p, h, u, keep + b * H if keep != NULL else NULL, seen, m, H, 1, H, NULL)
            for r in range(m):
                i = (b + r) * T + t
                if save:
                    memcpy(before + i * H, h + r * H, H * sizeof(float))
                if mask == NULL or mask[i] != 0:
                    f.add(h + r * H, z + i * H, p + r * H, H)
                    g.activate(activation, alpha, h + r * H, H, 1, H)
                if sequence:
                    memcpy(y + ((b + r) * T + place) * H, h + r * H, H * sizeof(float))
        memcpy(end + b * H, h, m * H * sizeof(float))


cdef void simple_rnn_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                          int64_t last) noexcept nogil:
    cdef float *dz = <float *> buf[0]
    cdef float *dh0 = <float *> buf[1]
    cdef const float *dy = <const float *> buf[2]
    cdef const float *dend = <const float *> buf[3]
    cdef const float *before = <const float *> buf[4]
    cdef const float *end = <const float *> buf[5]
    cdef const float *u = <const float *> buf[6]
    cdef const float *mask = <const float *> buf[7]
    cdef const float *keep = <const float *> buf[8]
    cdef int64_t B = dim[0], T = dim[1], H = dim[2], rows = dim[3], own = dim[4]
    cdef int64_t backwards = <int64_t> attr[0], activation = <int64_t> attr[2]
    cdef bint initial = attr[1] != 0
    cdef float alpha = <float> attr[3]
    cdef const fnn_recurrent_ops *f = fnn_recurrent(ops())
    cdef const fnn_gemm_ops *g = fnn_gemm(ops())
    cdef float *dh = <float *> scratch() + own
    cdef float *d = dh + rows * H
    cdef float *ut = d + rows * H
    cdef float *part = ut + H * H
    cdef const float *after
    cdef int64_t tile, b, m, s, t, r, i, place, step = -1 if backwards else 1
    if first < last:
        turn(ut, u, H, H, H)
    for tile in range(first, last):
        b = tile * rows
        m = smaller(rows, B - b)
        load(dh, dend + b * H if dend != NULL else NULL, m * H)
        for s in range(T - 1, -1, -1):
            # dz = (dy + dh) * activation'(after); dh = dz @ u.T
            t = T - 1 - s if backwards else s
            place = t if backwards == IN_ORDER else s
            for r in range(m):
                i = (b + r) * T + t
                if dy != NULL:
                    f.add_to(dh + r * H, dy + ((b + r) * T + place) * H, H)
                if mask != NULL and mask[i] == 0:
                    memset(d + r * H, 0, H * sizeof(float))
                else:
                    after = end + (b + r) * H if s == T - 1 else before + (i + step) * H
                    memcpy(d + r * H, dh + r * H, H * sizeof(float))
                    g.derive(activation, alpha, d + r * H, after, H, 1, H)
                    memset(dh + r * H, 0, H * sizeof(float))
                memcpy(dz + i * H, d + r * H, H * sizeof(float))
            if s > 0 or initial:
                back(dh, d, ut, keep + b * H if keep != NULL else NULL, part, m, H, 1, H, True)
        if initial:
            memcpy(dh0 + b * H, dh, m * H * sizeof(float))


cdef void lstm(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *end = <float *> buf[1]
    cdef float *end_c = <float *> buf[2]
    cdef float *before = <float *> buf[3]
    cdef float *gates = <float *> buf[4]
    cdef float *carry = <float *> buf[5]
    cdef const float *z = <const float *> buf[6]
    cdef const float *u = <const float *> buf[7]
    cdef const float *h0 = <const float *> buf[8]
    cdef const float *c0 = <const float *> buf[9]
    cdef const float *mask = <const float *> buf[10]
    cdef const float *keep = <const float *> buf[11]
    cdef int64_t B = dim[0], T = dim[1], H = dim[2], rows = dim[3], own = dim[4], G = 4 * dim[2]
    cdef int64_t backwards = <int64_t> attr[0]
    cdef bint sequence = attr[1] != 0, save = attr[2] != 0
    cdef const fnn_recurrent_ops *f = fnn_recurrent(ops())
    cdef float *h = <float *> scratch() + own
    cdef float *c = h + rows * H
    cdef float *p = c + rows * H
    cdef float *seen = p + rows * G
    cdef int64_t tile, b, m, s, t, r, i, place
    for tile in range(first, last):
        b = tile * rows
        m = smaller(rows, B - b)
        load(h, h0 + b * H if h0 != NULL else NULL, m * H)
        load(c, c0 + b * H if c0 != NULL else NULL, m * H)
        for s in range(T):
            # i, f, g, o = z[:, t] + h @ u; c = f * c + i * g; h = o * tanh(c)
            t = T - 1 - s if backwards else s
            place = t if backwards == IN_ORDER else s
            i = b * T + t
            fnn_fetch(z + i * G, T * G, m, G)
            if save:
                fnn_fetch_to_write(gates + i * G, T * G, m, G)
                fnn_fetch_to_write(before + i * H, T * H, m, H)
                fnn_fetch_to_write(carry + i * H, T * H, m, H)
            if s == 0 and h0 == NULL:
                memset(p, 0, m * G * sizeof(float))
            else:
                forth(p, h, u, keep + b * G if keep != NULL else NULL, seen, m, H, 4, G, NULL)
            for r in range(m):
                i = (b + r) * T + t
                if save:
                    memcpy(before + i * H, h + r * H, H * sizeof(float))
                if mask == NULL or mask[i] != 0:
                    f.lstm(h + r * H, c + r * H, gates + i * G if save else p + r * G, z + i * G, p + r * G, H)
                elif save:
                    memset(gates + i * G, 0, G * sizeof(float))
                if save:
                    memcpy(carry + i * H, c + r * H, H * sizeof(float))
                if sequence:
                    memcpy(y + ((b + r) * T + place) * H, h + r * H, H * sizeof(float))
        memcpy(end + b * H, h, m * H * sizeof(float))
        memcpy(end_c + b * H, c, m * H * sizeof(float))


cdef void lstm_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                    int64_t last) noexcept nogil:
    cdef float *dz = <float *> buf[0]
    cdef float *dh0 = <float *> buf[1]
    cdef float *dc0 = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const float *dend = <const float *> buf[4]
    cdef const float *dend_c = <const float *> buf[5]
    cdef const float *gates = <const float *> buf[6]
    cdef const float *carry = <const float *> buf[7]
    cdef const float *c0 = <const float *> buf[8]
    cdef const float *u = <const float *> buf[9]
    cdef const float *mask = <const float *> buf[10]
    cdef const float *keep = <const float *> buf[11]
    cdef int64_t B = dim[0], T = dim[1], H = dim[2], rows = dim[3], own = dim[4], G = 4 * dim[2]
    cdef int64_t backwards = <int64_t> attr[0]
    cdef bint initial = attr[1] != 0
    cdef const fnn_recurrent_ops *f = fnn_recurrent(ops())
    cdef float *dh = <float *> scratch() + own
    cdef float *dc = dh + rows * H
    cdef float *d = dc + rows * H
    cdef float *ut = d + rows * G
    cdef float *part = ut + G * H
    cdef const float *c_before
    cdef int64_t tile, b, m, s, t, r, i, place, step = -1 if backwards else 1
    if first < last:
        turn(ut, u, G, H, G)
    for tile in range(first, last):
        b = tile * rows
        m = smaller(rows, B - b)
        load(dh, dend + b * H if dend != NULL else NULL, m * H)
        load(dc, dend_c + b * H if dend_c != NULL else NULL, m * H)
        for s in range(T - 1, -1, -1):
            # dz = d(gates) from dh + dy, dc; dh = dz @ u.T; dc = dc * f
            t = T - 1 - s if backwards else s
            place = t if backwards == IN_ORDER else s
            for r in range(m):
                i = (b + r) * T + t
                if dy != NULL:
                    f.add_to(dh + r * H, dy + ((b + r) * T + place) * H, H)
                if mask != NULL and mask[i] == 0:
                    memset(d + r * G, 0, G * sizeof(float))
                else:
                    c_before = carry + (i - step) * H if s > 0 else c0 + (b + r) * H if c0 != NULL else NULL
                    f.lstm_back(d + r * G, dc + r * H, dh + r * H, gates + i * G, carry + i * H, c_before, H)
                    if mask != NULL:
                        memset(dh + r * H, 0, H * sizeof(float))
                memcpy(dz + i * G, d + r * G, G * sizeof(float))
            if s > 0:
                i = b * T + t - step
                fnn_fetch(gates + i * G, T * G, m, G)
                if s > 1:
                    fnn_fetch(carry + (i - step) * H, T * H, m, H)
                fnn_fetch_to_write(dz + i * G, T * G, m, G)
            if s > 0 or initial:
                back(dh, d, ut, keep + b * G if keep != NULL else NULL, part, m, H, 4, G, mask != NULL)
        if initial:
            memcpy(dh0 + b * H, dh, m * H * sizeof(float))
            memcpy(dc0 + b * H, dc, m * H * sizeof(float))


cdef void gru(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *end = <float *> buf[1]
    cdef float *before = <float *> buf[2]
    cdef float *gates = <float *> buf[3]
    cdef float *inner = <float *> buf[4]
    cdef const float *z = <const float *> buf[5]
    cdef const float *u = <const float *> buf[6]
    cdef const float *b = <const float *> buf[7]
    cdef const float *h0 = <const float *> buf[8]
    cdef const float *mask = <const float *> buf[9]
    cdef const float *keep = <const float *> buf[10]
    cdef int64_t B = dim[0], T = dim[1], H = dim[2], rows = dim[3], own = dim[4], G = 3 * dim[2]
    cdef int64_t backwards = <int64_t> attr[0]
    cdef bint sequence = attr[1] != 0, save = attr[2] != 0, reset_after = attr[3] != 0
    cdef const fnn_recurrent_ops *f = fnn_recurrent(ops())
    cdef float *h = <float *> scratch() + own
    cdef float *q = h + rows * H        # r * h
    cdef float *p = q + rows * H
    cdef float *seen = p + rows * G
    cdef float *now
    cdef int64_t tile, at, m, s, t, r, i, place
    for tile in range(first, last):
        at = tile * rows
        m = smaller(rows, B - at)
        load(h, h0 + at * H if h0 != NULL else NULL, m * H)
        for s in range(T):
            # z, r = sigmoid(z[:, t] + h @ u); n = tanh(z[:, t] + r * (h @ u)) or tanh(z[:, t] + (r * h) @ u)
            # h = z * h + (1 - z) * n
            t = T - 1 - s if backwards else s
            place = t if backwards == IN_ORDER else s
            i = at * T + t
            fnn_fetch(z + i * G, T * G, m, G)
            if save:
                fnn_fetch_to_write(gates + i * G, T * G, m, G)
                fnn_fetch_to_write(before + i * H, T * H, m, H)
                fnn_fetch_to_write(inner + i * H, T * H, m, H)
            forth(p, h, u, keep + at * G if keep != NULL else NULL, seen, m, H, 3 if reset_after else 2, G, b)
            for r in range(m):
                i = (at + r) * T + t
                now = gates + i * G if save else p + r * G
                if save:
                    memcpy(before + i * H, h + r * H, H * sizeof(float))
                if mask != NULL and mask[i] == 0:
                    memset(q + r * H, 0, H * sizeof(float))
                    if save:
                        memset(now, 0, G * sizeof(float))
                        memset(inner + i * H, 0, H * sizeof(float))
                elif reset_after:
                    f.gru_after(h + r * H, now, inner + i * H if save else NULL, z + i * G, p + r * G, H)
                else:
                    f.gru_gates(now, z + i * G, p + r * G, H)
                    f.gru_reset(q + r * H, now, h + r * H, H)
                    if keep != NULL:
                        kept(q + r * H, keep + (at + r) * G + 2 * H, H)
                    if save:
                        memcpy(inner + i * H, q + r * H, H * sizeof(float))
            if not reset_after:
                multiply(p + 2 * H, G, q, H, u + 2 * H, G, m, H, H, False, NULL)
            for r in range(m):
                i = (at + r) * T + t
                if not reset_after and (mask == NULL or mask[i] != 0):
                    f.gru_before(h + r * H, gates + i * G if save else p + r * G, z + i * G, p + r * G, H)
                if sequence:
                    memcpy(y + ((at + r) * T + place) * H, h + r * H, H * sizeof(float))
        memcpy(end + at * H, h, m * H * sizeof(float))


cdef void gru_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                   int64_t last) noexcept nogil:
    cdef float *dz = <float *> buf[0]
    cdef float *di = <float *> buf[1]
    cdef float *dh0 = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const float *dend = <const float *> buf[4]
    cdef const float *before = <const float *> buf[5]
    cdef const float *gates = <const float *> buf[6]
    cdef const float *inner = <const float *> buf[7]
    cdef const float *u = <const float *> buf[8]
    cdef const float *mask = <const float *> buf[9]
    cdef const float *keep = <const float *> buf[10]
    cdef int64_t B = dim[0], T = dim[1], H = dim[2], rows = dim[3], own = dim[4], G = 3 * dim[2]
    cdef int64_t backwards = <int64_t> attr[0]
    cdef bint initial = attr[1] != 0, reset_after = attr[2] != 0
    cdef const fnn_recurrent_ops *f = fnn_recurrent(ops())
    cdef float *dh = <float *> scratch() + own
    cdef float *q = dh + rows * H
    cdef float *d = q + rows * H        # what goes through u: [dz, dr, dn * r], or dz
    cdef float *e = d + rows * G        # dz where it differs from d
    cdef float *ut = e + rows * G
    cdef float *part = ut + G * H
    cdef float *now
    cdef int64_t tile, b, m, s, t, r, i, place, step = -1 if backwards else 1
    if first < last:
        turn(ut, u, G, H, G)
    for tile in range(first, last):
        b = tile * rows
        m = smaller(rows, B - b)
        load(dh, dend + b * H if dend != NULL else NULL, m * H)
        for s in range(T - 1, -1, -1):
            # dz, dr, dn from dh + dy; dh = dh * z + [dz, dr, dn * r] @ u.T, or (dn @ u.T) * r and [dz, dr] @ u.T
            t = T - 1 - s if backwards else s
            place = t if backwards == IN_ORDER else s
            for r in range(m):
                i = (b + r) * T + t
                now = e + r * G if reset_after else d + r * G
                if dy != NULL:
                    f.add_to(dh + r * H, dy + ((b + r) * T + place) * H, H)
                if mask != NULL and mask[i] == 0:
                    memset(now, 0, G * sizeof(float))
                    memset(d + r * G, 0, G * sizeof(float))
                else:
                    f.gru_back(now, dh + r * H, gates + i * G, before + i * H, H)
                    if reset_after:
                        f.gru_back_after(d + r * G, now, gates + i * G, inner + i * H, H)
                if reset_after:
                    memcpy(dz + i * G, now, G * sizeof(float))
                    memcpy(di + i * G, d + r * G, G * sizeof(float))
            if not reset_after:
                multiply(q, H, d + 2 * H, G, ut + 2 * H * H, H, m, H, H, False, NULL)
                for r in range(m):
                    i = (b + r) * T + t
                    if keep != NULL:
                        kept(q + r * H, keep + (b + r) * G + 2 * H, H)
                    if mask == NULL or mask[i] != 0:
                        f.gru_back_before(d + r * G, dh + r * H, q + r * H, gates + i * G, before + i * H, H)
                    memcpy(dz + i * G, d + r * G, G * sizeof(float))
            if s > 0:
                i = b * T + t - step
                fnn_fetch(gates + i * G, T * G, m, G)
                fnn_fetch(before + i * H, T * H, m, H)
                fnn_fetch_to_write(dz + i * G, T * G, m, G)
                if reset_after:
                    fnn_fetch(inner + i * H, T * H, m, H)
                    fnn_fetch_to_write(di + i * G, T * G, m, G)
            if s > 0 or initial:
                back(dh, d, ut, keep + b * G if keep != NULL else NULL, part, m, H, 3 if reset_after else 2, G, True)
        if initial:
            memcpy(dh0 + b * H, dh, m * H * sizeof(float))


KERNELS = {
    "simple_rnn": <uintptr_t> &simple_rnn,
    "simple_rnn_grad": <uintptr_t> &simple_rnn_grad,
    "lstm": <uintptr_t> &lstm,
    "lstm_grad": <uintptr_t> &lstm_grad,
    "gru": <uintptr_t> &gru,
    "gru_grad": <uintptr_t> &gru_grad,
}
