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


cdef void ramp(void *const *buf, const int64_t *dim, const double *attr,
               int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0]
    cdef float threshold = <float> attr[0], slope = <float> attr[1], top = <float> attr[2], value = <float> attr[3]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # y = np.where(x > threshold, np.minimum(x, top), slope * (x - threshold) + value)
    fnn_elementwise(ops()).ramp(y + start, x + start, stop - start, threshold, slope, top, value)


cdef void ramp_grad(void *const *buf, const int64_t *dim, const double *attr,
                    int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef int64_t N = dim[0]
    cdef float threshold = <float> attr[0], slope = <float> attr[1], top = <float> attr[2]
    cdef int64_t start = first * BLOCK, stop = min(last * BLOCK, N)
    # dx = dy * np.where(x > threshold, x < top, slope)
    fnn_elementwise(ops()).ramp_grad(dx + start, dy + start, x + start, stop - start, threshold, slope, top)


cdef void prelu(void *const *buf, const int64_t *dim, const double *attr,
                int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *alpha = <const float *> buf[2]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # y = np.where(x > 0, x, alpha * x) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).prelu(y + i * N, x + i * N, alpha, N)


cdef void prelu_grad(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef float *dz = <float *> buf[1]
    cdef const float *dy = <const float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *alpha = <const float *> buf[4]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # dx, dz = np.where(x > 0, dy, alpha * dy), dy * np.minimum(x, 0) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).prelu_grad(dx + i * N, dz + i * N, dy + i * N, x + i * N, alpha, N)


cdef void glu(void *const *buf, const int64_t *dim, const double *attr,
              int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # y = x[:, :N] * sigmoid(x[:, N:]) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).glu(y + i * N, x + 2 * i * N, x + (2 * i + 1) * N, N)


cdef void glu_grad(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # s = sigmoid(x[:, N:]); dx = np.concatenate([dy * s, dy * s * x[:, :N] * (1 - s)], 1) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).glu_grad(dx + 2 * i * N, dx + (2 * i + 1) * N, dy + i * N, x + 2 * i * N,
                                        x + (2 * i + 1) * N, N)


cdef void sparsemax(void *const *buf, const int64_t *dim, const double *attr,
                    int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # y = np.maximum(x - tau, 0) in each row, tau such that it sums to 1
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).sparsemax(y + i * N, x + i * N, N)


cdef void sparsemax_grad(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *y = <const float *> buf[2]
    cdef int64_t M = dim[0], N = dim[1]
    cdef int64_t i, group = rows_per_tile(N)
    # dx = np.where(y > 0, dy - dy[y > 0].mean(), 0) in each row
    for i in range(first * group, min(last * group, M)):
        fnn_elementwise(ops()).sparsemax_grad(dx + i * N, dy + i * N, y + i * N, N)


KERNELS = {
    "activation": <uintptr_t> &activation,
    "activation_grad": <uintptr_t> &activation_grad,
    "softmax": <uintptr_t> &softmax,
    "softmax_grad": <uintptr_t> &softmax_grad,
    "log_softmax": <uintptr_t> &log_softmax,
    "log_softmax_grad": <uintptr_t> &log_softmax_grad,
    "ramp": <uintptr_t> &ramp,
    "ramp_grad": <uintptr_t> &ramp_grad,
    "prelu": <uintptr_t> &prelu,
    "prelu_grad": <uintptr_t> &prelu_grad,
    "glu": <uintptr_t> &glu,
    "glu_grad": <uintptr_t> &glu_grad,
    "sparsemax": <uintptr_t> &sparsemax,
    "sparsemax_grad": <uintptr_t> &sparsemax_grad,
}
