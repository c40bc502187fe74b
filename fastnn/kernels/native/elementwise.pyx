"""Arithmetic on elements: which part of which array; the loops stand in csrc/elementwise.inc."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uintptr_t
from libc.string cimport memcpy

from .core cimport ops
from .elementwise cimport *

cdef enum:
    PATTERN = 512  # elements that one short row is repeated to


# ---- two or three arrays, broadcast. dim = D, D sizes, D strides for each input: broadcast.loops.
# Elements are counted along the output, which is contiguous; a row is what the innermost loop walks.

cdef inline int64_t total(const int64_t *dim) noexcept nogil:
    cdef int64_t d, n = 1
    for d in range(dim[0]):
        n *= dim[1 + d]
    return n


cdef inline int64_t place(const int64_t *dim, int input, int64_t row) noexcept nogil:
    """Where row number `row` of an input starts; row counts all but the innermost of the D loops."""
    cdef const int64_t *size = dim + 1
    cdef const int64_t *stride = size + (1 + input) * dim[0]
    cdef int64_t d = dim[0] - 2, at = 0
    while d > 0:
        at += row % size[d] * stride[d]
        row = row // size[d]
        d -= 1
    return at + row * stride[0] if d == 0 else at


cdef inline void turn(float *pattern, const float *row, int64_t n, int64_t start, int64_t length) noexcept nogil:
    """pattern[k] = row[(start + k) % n] for k < length."""
    cdef int64_t k = n
    memcpy(pattern, row + start, (n - start) * sizeof(float))
    memcpy(pattern + n - start, row, start * sizeof(float))
    while k < length:
        memcpy(pattern + k, pattern, min(k, length - k) * sizeof(float))
        k *= 2


cdef inline void broadcast(int op, float *y, const float *a, const float *b, const int64_t *dim,
                           int64_t first, int64_t last) noexcept nogil:
    cdef int64_t D = dim[0], n = dim[D], sa = dim[2 * D], sb = dim[3 * D]
    cdef int64_t i = first * BLOCK, stop = min(last * BLOCK, total(dim)), row, j, m
    cdef float pattern[PATTERN]
    cdef const float *repeated = &pattern[0]
    if D == 2 and sa == 1 and sb == 1 and n <= PATTERN // 4 and stop - i > 2 * n:
        # short rows and one row, as in x + bias: the one row is repeated to a length worth a loop
        j = PATTERN // n * n
        turn(pattern, a if dim[3] == 0 else b, n, i % n, j)
        while i < stop:
            m = min(j, stop - i)
            fnn_elementwise(ops()).binary(op, y + i, repeated if dim[3] == 0 else a + i, 1,
                                          b + i if dim[3] == 0 else repeated, 1, m)
            i += m
        return
    while i < stop:
        row = i // n
        j = i - row * n
        m = min(n - j, stop - i)
        fnn_elementwise(ops()).binary(op, y + i, a + place(dim, 0, row) + j * sa, sa,
                                      b + place(dim, 1, row) + j * sb, sb, m)
        i += m


cdef void add(void *const *buf, const int64_t *dim, const double *attr,
              int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = a + b
    broadcast(FNN_ADD, y, a, b, dim, first, last)


cdef void subtract(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = a - b
    broadcast(FNN_SUBTRACT, y, a, b, dim, first, last)


cdef void multiply(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = a * b
    broadcast(FNN_MULTIPLY, y, a, b, dim, first, last)


cdef void divide(void *const *buf, const int64_t *dim, const double *attr,
                 int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = a / b
    broadcast(FNN_DIVIDE, y, a, b, dim, first, last)


cdef void maximum(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = np.maximum(a, b)
    broadcast(FNN_MAXIMUM, y, a, b, dim, first, last)


cdef void minimum(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = np.minimum(a, b)
    broadcast(FNN_MINIMUM, y, a, b, dim, first, last)


cdef void power(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = a ** b
    broadcast(FNN_POWER, y, a, b, dim, first, last)


cdef void greater(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    # y = a > b
    broadcast(FNN_GREATER, y, a, b, dim, first, last)


cdef void where(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *c = <const float *> buf[1]
    cdef const float *a = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef int64_t D = dim[0], n = dim[D], sc = dim[2 * D], sa = dim[3 * D], sb = dim[4 * D]
    cdef int64_t i = first * BLOCK, stop = min(last * BLOCK, total(dim)), row, j, m
    # y = np.where(c != 0, a, b)
    while i < stop:
        row = i // n
        j = i - row * n
        m = min(n - j, stop - i)
        fnn_elementwise(ops()).where(y + i, c + place(dim, 0, row) + j * sc, sc,
                                     a + place(dim, 1, row) + j * sa if a != NULL else a, sa,
                                     b + place(dim, 2, row) + j * sb if b != NULL else b, sb, m)
        i += m


# ---- one array, or several of one shape


cdef void negative(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = -x
    fnn_elementwise(ops()).unary(FNN_NEGATIVE, y + start, x + start, stop - start)


cdef void exp(void *const *buf, const int64_t *dim, const double *attr,
              int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.exp(x)
    fnn_elementwise(ops()).unary(FNN_EXP, y + start, x + start, stop - start)


cdef void log(void *const *buf, const int64_t *dim, const double *attr,
              int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.log(x)
    fnn_elementwise(ops()).unary(FNN_LOG, y + start, x + start, stop - start)


cdef void sqrt(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.sqrt(x)
    fnn_elementwise(ops()).unary(FNN_SQRT, y + start, x + start, stop - start)


cdef void square(void *const *buf, const int64_t *dim, const double *attr,
                 int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = x * x
    fnn_elementwise(ops()).unary(FNN_SQUARE, y + start, x + start, stop - start)


cdef void absolute(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.abs(x)
    fnn_elementwise(ops()).unary(FNN_ABSOLUTE, y + start, x + start, stop - start)


cdef void sign(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.sign(x)
    fnn_elementwise(ops()).unary(FNN_SIGN, y + start, x + start, stop - start)


cdef void reciprocal(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = 1 / x
    fnn_elementwise(ops()).unary(FNN_RECIPROCAL, y + start, x + start, stop - start)


cdef void log1p(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.log1p(x)
    fnn_elementwise(ops()).unary(FNN_LOG1P, y + start, x + start, stop - start)


cdef void expm1(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.expm1(x)
    fnn_elementwise(ops()).unary(FNN_EXPM1, y + start, x + start, stop - start)


cdef void erf(void *const *buf, const int64_t *dim, const double *attr,
              int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = scipy.special.erf(x)
    fnn_elementwise(ops()).unary(FNN_ERF, y + start, x + start, stop - start)


cdef void affine(void *const *buf, const int64_t *dim, const double *attr,
                 int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef float scale = <float> attr[0], offset = <float> attr[1]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = scale * x + offset
    fnn_elementwise(ops()).affine(y + start, x + start, stop - start, scale, offset)


cdef void clip(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef float low = <float> attr[0], high = <float> attr[1]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.clip(x, low, high)
    fnn_elementwise(ops()).clip(y + start, x + start, stop - start, low, high)


cdef void clip_grad(void *const *buf, const int64_t *dim, const double *attr,
                    int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef int64_t N = dim[0]
    cdef float low = <float> attr[0], high = <float> attr[1]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # dx = np.where((x < low) | (x > high), 0, dy)
    fnn_elementwise(ops()).clip_grad(dx + start, dy + start, x + start, stop - start, low, high)


# ---- constants and copies


cdef void fill(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef void *y = buf[0]
    cdef int64_t N = dim[0], type = dim[1]
    cdef double value = attr[0]
    cdef int64_t i, start = first * BLOCK, stop = min(last * BLOCK, N)
    cdef float as_float = <float> value
    cdef int32_t as_int
    # y[:] = value
    if type == 0:
        for i in range(start, stop):
            (<float *> y)[i] = as_float
    elif type == 1:
        for i in range(start, stop):
            (<double *> y)[i] = value
    elif type == 2:
        as_int = <int32_t> value
        for i in range(start, stop):
            (<int32_t *> y)[i] = as_int
    else:
        as_int = <int32_t> value
        for i in range(start, stop):
            (<uint8_t *> y)[i] = <uint8_t> as_int


cdef void copy(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef char *y = <char *> buf[0]
    cdef const char *x = <const char *> buf[1]
    cdef int64_t N = dim[0], itemsize = dim[1]
    cdef int64_t start = first * BLOCK * itemsize, stop = min(last * BLOCK, N) * itemsize
    # y[:] = x
    if y != x:
        memcpy(y + start, x + start, stop - start)


KERNELS = {
    "add": <uintptr_t> &add,
    "subtract": <uintptr_t> &subtract,
    "multiply": <uintptr_t> &multiply,
    "divide": <uintptr_t> &divide,
    "maximum": <uintptr_t> &maximum,
    "minimum": <uintptr_t> &minimum,
    "power": <uintptr_t> &power,
    "greater": <uintptr_t> &greater,
    "where": <uintptr_t> &where,
    "negative": <uintptr_t> &negative,
    "exp": <uintptr_t> &exp,
    "log": <uintptr_t> &log,
    "sqrt": <uintptr_t> &sqrt,
    "square": <uintptr_t> &square,
    "absolute": <uintptr_t> &absolute,
    "sign": <uintptr_t> &sign,
    "reciprocal": <uintptr_t> &reciprocal,
    "log1p": <uintptr_t> &log1p,
    "expm1": <uintptr_t> &expm1,
    "erf": <uintptr_t> &erf,
    "affine": <uintptr_t> &affine,
    "clip": <uintptr_t> &clip,
    "clip_grad": <uintptr_t> &clip_grad,
    "fill": <uintptr_t> &fill,
    "copy": <uintptr_t> &copy,
}
