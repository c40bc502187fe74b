"""Sums, means, maxima and movement: which rows and columns; the loops stand in csrc/elementwise.inc."""

from libc.stdint cimport int64_t, uint32_t, uintptr_t
from libc.string cimport memcpy, memset

from .core cimport ops
from .elementwise cimport BLOCK, fnn_elementwise

cdef enum:
    COLUMNS = 64  # of reduce.py
    CHUNK = 1024
    SUM = 0
    MEAN = 1
    MAX = 2


cdef inline int64_t blocks(int64_t n, int64_t block) noexcept nogil:
    return (n + block - 1) // block


cdef inline int64_t rows_per_tile(int64_t n) noexcept nogil:
    """As reduce.rows_per_tile."""
    return 1 if n >= CHUNK else max(16, CHUNK // max(n, 1) // 16 * 16)


# ---- sums: x is (outer, n, inner), y is (outer, inner)

cdef inline void columns(int what, float *y, const float *x, int64_t n, int64_t inner, int64_t start,
                         int64_t stop) noexcept nogil:
    """Columns start..stop-1 of one (n, inner)."""
    cdef int64_t j
    if what == MAX:
        fnn_elementwise(ops()).max_rows(y + start, x + start, n, inner, stop - start)
    else:
        fnn_elementwise(ops()).sum_rows(y + start, x + start, n, inner, stop - start)
    if what == MEAN:
        for j in range(start, stop):
            y[j] /= <float> n


cdef inline void reduce(int what, float *y, const float *x, const int64_t *dim, int64_t first,
                        int64_t last) noexcept nogil:
    cdef int64_t outer = dim[0], n = dim[1], inner = dim[2]
    cdef int64_t group = rows_per_tile(n), per_outer = blocks(inner, COLUMNS), i, tile, upto
    if inner == 1:
        for i in range(first * group, min(last * group, outer)):
            if what == MAX:
                y[i] = fnn_elementwise(ops()).max_row(x + i * n, n)
            else:
                y[i] = fnn_elementwise(ops()).sum_row(x + i * n, n)
                if what == MEAN:
                    y[i] /= <float> n
        return
    tile = first
    while tile < last:  # neighbouring tiles of one outer index together
        i = tile // per_outer
        upto = min(last, (i + 1) * per_outer)
        columns(what, y + i * inner, x + i * n * inner, n, inner, (tile - i * per_outer) * COLUMNS,
                min((upto - i * per_outer) * COLUMNS, inner))
        tile = upto


cdef void reduce_sum(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    # y = x.reshape(outer, n, inner).sum(1)
    reduce(SUM, y, x, dim, first, last)


cdef void reduce_mean(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    # y = x.reshape(outer, n, inner).mean(1)
    reduce(MEAN, y, x, dim, first, last)


cdef void reduce_max(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    # y = x.reshape(outer, n, inner).max(1)
    reduce(MAX, y, x, dim, first, last)


# ---- movement

cdef inline void repeat(char *y, const char *x, int64_t n, int64_t itemsize) noexcept nogil:
    """n times the one element at x."""
    cdef int64_t i
    cdef uint32_t word
    if itemsize == 4:
        word = (<const uint32_t *> x)[0]
        for i in range(n):
            (<uint32_t *> y)[i] = word
    else:
        for i in range(n):
            memcpy(y + i * itemsize, x, itemsize)


cdef inline int64_t place(const int64_t *size, const int64_t *stride, int64_t d, int64_t row) noexcept nogil:
    """Where row number `row` starts in x: row counts the loops 0..d-1, the last of them fastest."""
    cdef int64_t at = 0
    while d > 1:
        d -= 1
        at += row % size[d] * stride[d]
        row = row // size[d]
    return at + row * stride[0] if d == 1 else at


cdef void broadcast_to(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef char *y = <char *> buf[0]
    cdef const char *x = <const char *> buf[1]
    cdef int64_t itemsize = dim[0], D = dim[1]
    cdef const int64_t *size = dim + 2
    cdef const int64_t *stride = size + D
    cdef int64_t n = size[D - 1], step = stride[D - 1], total = 1, d, i, j, m, row, at, stop
    for d in range(D):
        total *= size[d]
    i, stop = first * BLOCK, min(last * BLOCK, total)
    # y[:] = x
    while i < stop:
        row = i // n
        j = i - row * n
        m = min(n - j, stop - i)
        at = place(size, stride, D - 1, row) + j * step
        if step:
            memcpy(y + i * itemsize, x + at * itemsize, m * itemsize)
        else:
            repeat(y + i * itemsize, x + at * itemsize, m, itemsize)
        i += m


cdef void transpose(void *const *buf, const int64_t *dim, const double *attr,
                    int64_t first, int64_t last) noexcept nogil:
    cdef char *y = <char *> buf[0]
    cdef const char *x = <const char *> buf[1]
    cdef int64_t itemsize = dim[0], D = dim[1]
    cdef const int64_t *size = dim + 2
    cdef const int64_t *stride = size + D
    cdef int64_t n = size[D - 1], step = stride[D - 1], q = 0, d, tile, rest, at, to, block, per_block, run, i, j, m
    # y = np.transpose(x, perm)
    if step <= 1:  # whole rows of y are rows of x
        for tile in range(first, last):
            at = place(size, stride, D - 1, tile)
            memcpy(y + tile * n * itemsize, x + at * itemsize, n * itemsize)
        return
    while stride[q] != 1:  # the axis of y along which x is contiguous
        q += 1
    per_block = 1  # rows of y between one index of q and the next
    for d in range(q + 1, D - 1):
        per_block *= size[d]
    # a tile is (an index of the axes before q, a block of 16 of q, an index of those between q and the last)
    for tile in range(first, last):
        rest = tile // per_block
        j = tile - rest * per_block
        block = rest % blocks(size[q], BLOCK) * BLOCK
        run = rest // blocks(size[q], BLOCK)
        m = min(size[q] - block, BLOCK)
        at = place(size, stride, q, run) + block + place(size + q + 1, stride + q + 1, D - 2 - q, j)
        to = ((run * size[q] + block) * per_block + j) * n
        if itemsize == 4:
            fnn_elementwise(ops()).transpose(<uint32_t *> y + to, per_block * n, <const uint32_t *> x + at, step, m, n)
        else:
            for i in range(m):
                for d in range(n):
                    memcpy(y + (to + i * per_block * n + d) * itemsize, x + (at + i + d * step) * itemsize, itemsize)


cdef void concat(void *const *buf, const int64_t *dim, const double *attr,
                 int64_t first, int64_t last) noexcept nogil:
    cdef char *y = <char *> buf[0]
    cdef const char *a = <const char *> buf[1]
    cdef const char *b = <const char *> buf[2]
    cdef int64_t itemsize = dim[0], outer = dim[1], wa = dim[2], wb = dim[3]
    cdef int64_t w = wa + wb, i = first * BLOCK, stop = min(last * BLOCK, outer * w), row, j, m
    # y = np.concatenate([a, b], 1)
    while i < stop:
        row = i // w
        j = i - row * w
        if j < wa:
            m = min(wa - j, stop - i)
            memcpy(y + i * itemsize, a + (row * wa + j) * itemsize, m * itemsize)
        else:
            m = min(w - j, stop - i)
            memcpy(y + i * itemsize, b + (row * wb + j - wa) * itemsize, m * itemsize)
        i += m


cdef void slice_axis(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef char *y = <char *> buf[0]
    cdef const char *x = <const char *> buf[1]
    cdef int64_t itemsize = dim[0], outer = dim[1], wx = dim[2], before = dim[3], wy = dim[4]
    cdef int64_t i = first * BLOCK, stop = min(last * BLOCK, outer * wy), row, j, m
    # y = x[:, before:before + wy]
    while i < stop:
        row = i // wy
        j = i - row * wy
        m = min(wy - j, stop - i)
        memcpy(y + i * itemsize, x + (row * wx + before + j) * itemsize, m * itemsize)
        i += m


cdef void pad_axis(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef char *y = <char *> buf[0]
    cdef const char *x = <const char *> buf[1]
    cdef int64_t itemsize = dim[0], outer = dim[1], wx = dim[2], before = dim[3], wy = dim[4]
    cdef int64_t i = first * BLOCK, stop = min(last * BLOCK, outer * wy), row, j, m
    # y = np.pad(x, [(0, 0), (before, wy - wx - before)])
    while i < stop:
        row = i // wy
        j = i - row * wy
        if before <= j < before + wx:
            m = min(before + wx - j, stop - i)
            memcpy(y + i * itemsize, x + (row * wx + j - before) * itemsize, m * itemsize)
        else:
            m = min((before if j < before else wy) - j, stop - i)
            memset(y + i * itemsize, 0, m * itemsize)
        i += m


KERNELS = {
    "reduce_sum": <uintptr_t> &reduce_sum,
    "reduce_mean": <uintptr_t> &reduce_mean,
    "reduce_max": <uintptr_t> &reduce_max,
    "broadcast_to": <uintptr_t> &broadcast_to,
    "transpose": <uintptr_t> &transpose,
    "concat": <uintptr_t> &concat,
    "slice_axis": <uintptr_t> &slice_axis,
    "pad_axis": <uintptr_t> &pad_axis,
}
