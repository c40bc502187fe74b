"""Activations and softmax: loops over tiles; the arithmetic stands in csrc/activation.inc."""

from libc.stdint cimport int64_t, uintptr_t

from .core cimport ops
from .elementwise cimport BLOCK, fnn_elementwise


cdef inline int64_t rows_per_tile(int64_t N) noexcept nogil:
    """As activation.rows_per_tile: short rows go in groups, so that tiles do not share cache lines."""
    return 1 if N >= 256 else 16


cdef void activation(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef int kind = <int> attr[0]
    cdef float alpha = <float> attr[1]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = f(x)
    fnn_elementwise(ops()).activation(kind, y + start, x + start, stop - start, alpha)


cdef void activation_grad(void *const *buf, const int64_t *dim, const double *attr,
                          int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef const float *y = <const float *> buf[3]
    cdef int64_t N = dim[0]
    cdef int kind = <int> attr[0]
    cdef float alpha = <float> attr[1]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # dx = dy * f'(x); the spec sees to it that the one of x and y that is read is there
    fnn_elementwise(ops()).activation_grad(kind, dx + start, dy + start, x + start if x != NULL else x,
                                           y + start if y != NULL else y, stop - start, alpha)


cdef void softmax(void *const *buf, const int64_t *dim, const double *attr,
                  int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # y = exp(x - max(x)) / sum(exp(x - max(x))) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).softmax(y + i * N, x + i * N, N)


cdef void softmax_grad(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # dx = y * (dy - sum(dy * y)) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).softmax_grad(dx + i * N, dy + i * N, y + i * N, N)


cdef void log_softmax(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # y = x - max(x) - log(sum(exp(x - max(x)))) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).log_softmax(y + i * N, x + i * N, N)


cdef void log_softmax_grad(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # dx = dy - exp(y) * sum(dy) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).log_softmax_grad(dx + i * N, dy + i * N, y + i * N, N)


KERNELS = {
    "activation": <uintptr_t> &activation,
    "activation_grad": <uintptr_t> &activation_grad,
    "softmax": <uintptr_t> &softmax,
    "softmax_grad": <uintptr_t> &softmax_grad,
    "log_softmax": <uintptr_t> &log_softmax,
    "log_softmax_grad": <uintptr_t> &log_softmax_grad,
}
