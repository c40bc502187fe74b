"""Adafactor: stripes of rows of matrices; the loops stand in csrc/moments.inc and optim.inc."""

from libc.math cimport sqrt
from libc.stdint cimport int64_t, uintptr_t

from .core cimport ops, scratch
from .moments cimport fnn_moments
from .optim cimport fnn_optim, share

cdef enum:
    STRIPE = 64  # rows of a tile, as in factored.py


cdef inline int64_t stripes(int64_t K) noexcept nogil:
    return (K + STRIPE - 1) // STRIPE


cdef inline double step_scale(double u2, double w2, double count, double rate, double decay, double least,
                              double threshold) noexcept nogil:
    """rate * max(least, rms(w)) / max(1, rms(u) / threshold), NaN staying NaN"""
    cdef double kept = 1 - decay, size, over
    size = (kept if kept > 0 else -kept) * sqrt(w2 / count)
    over = sqrt(u2 / count) / threshold
    return rate * (least if size < least else size) / (1 if over < 1 else over)


cdef void factored_squares(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *rows = <float *> buf[0]
    cdef float *columns = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef int64_t B = dim[0], K = dim[1], N = dim[2]
    cdef int64_t T = stripes(K), t, b, i, start, stop
    for t in range(first, min(last, B * T)):
        b, start = t // T, t % T * STRIPE
        stop = min(start + STRIPE, K)
        # rows[b, start:stop] = np.square(g[b, start:stop]).sum(-1)
        for i in range(b * K + start, b * K + stop):
            rows[i] = fnn_optim(ops()).sum_of_squares(g + i * N, N)
        # columns[b, t] = np.square(g[b, start:stop]).sum(0)
        fnn_optim(ops()).column_squares(columns + t * N, g + (b * K + start) * N, N, stop - start, N)


cdef void factored_average(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *r = <float *> buf[0]
    cdef float *c = <float *> buf[1]
    cdef float *row = <float *> buf[2]
    cdef float *column = <float *> buf[3]
    cdef const float *rows = <const float *> buf[4]
    cdef const float *columns = <const float *> buf[5]
    cdef const double *keep = <const double *> buf[6]
    cdef int64_t B = dim[0], K = dim[1], N = dim[2], T = dim[3]
    cdef double epsilon = attr[0]
    cdef double change = 1 - keep[0], mean, total
    cdef int64_t b, i, j, t
    for b in range(first, min(last, B)):
        mean = 0
        for i in range(b * K, b * K + K):
            # r += (rows / N + epsilon - r) * (1 - keep)
            r[i] = <float> (r[i] + (rows[i] / <double> N + epsilon - r[i]) * change)
            mean += r[i]
        for i in range(b * K, b * K + K):
            # row = np.sqrt(r.mean() / r)
            row[i] = <float> sqrt(mean / K / r[i])
        for j in range(N):
            total = 0
            for t in range(T):
                total += columns[(b * T + t) * N + j]
            # c += (columns.sum() / K + epsilon - c) * (1 - keep); column = 1 / np.sqrt(c)
            i = b * N + j
            c[i] = <float> (c[i] + (total / K + epsilon - c[i]) * change)
            column[i] = <float> (1 / sqrt(c[i]))


cdef void factored_lengths(void *const *buf, const int64_t *dim, const double *attr,
                           int64_t first, int64_t last) noexcept nogil:
    cdef float *u2 = <float *> buf[0]
    cdef float *w2 = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const float *w = <const float *> buf[3]
    cdef const float *row = <const float *> buf[4]
    cdef const float *column = <const float *> buf[5]
    cdef int64_t B = dim[0], K = dim[1], N = dim[2]
    cdef int64_t T = stripes(K), t, b, i, start, stop
    cdef double steps, weights
    for t in range(first, min(last, B * T)):
        b, start = t // T, t % T * STRIPE
        stop = min(start + STRIPE, K)
        steps, weights = 0, 0
        # u2[t] = np.sum(np.square(g * row * column)); w2[t] = np.sum(np.square(w))
        for i in range(b * K + start, b * K + stop):
            steps += fnn_moments(ops()).factored_squares(g + i * N, column + b * N, row[i], N)
            weights += fnn_optim(ops()).sum_of_squares(w + i * N, N)
        u2[t], w2[t] = <float> steps, <float> weights


cdef void factored_scale(void *const *buf, const int64_t *dim, const double *attr,
                         int64_t first, int64_t last) noexcept nogil:
    cdef float *scale = <float *> buf[0]
    cdef const float *u2 = <const float *> buf[1]
    cdef const float *w2 = <const float *> buf[2]
    cdef const double *rate = <const double *> buf[3]
    cdef const double *decay = <const double *> buf[4]
    cdef int64_t T = dim[0]
    cdef double count = attr[0]
    cdef double epsilon = attr[1]
    cdef double threshold = attr[2]
    cdef double steps = 0, weights = 0
    cdef int64_t t
    if first >= last:
        return
    for t in range(T):
        steps += u2[t]
        weights += w2[t]
    # scale = rate * max(epsilon, rms(w)) / max(1, rms(u) / threshold)
    scale[0] = <float> step_scale(steps, weights, count, rate[0], decay[0] if decay != NULL else 0, epsilon, threshold)


cdef void factored_sgd(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef const float *g = <const float *> buf[1]
    cdef const float *scale = <const float *> buf[2]
    cdef const float *row = <const float *> buf[3]
    cdef const float *column = <const float *> buf[4]
    cdef const double *decay = <const double *> buf[6]
    cdef int64_t B = dim[0], K = dim[1], N = dim[2]
    cdef int64_t T = stripes(K), t, b, i, start
    for t in range(first, min(last, B * T)):
        b, start = t // T, t % T * STRIPE
        # w[b, start:stop] -= scale * g[b, start:stop] * row * column
        for i in range(b * K + start, b * K + min(start + STRIPE, K)):
            fnn_moments(ops()).factored_sgd(w + i * N, g + i * N, column + b * N, scale[0] * row[i], share(decay), N)


cdef void adafactor(void *const *buf, const int64_t *dim, const double *attr,
                    int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *v = <float *> buf[1]
    cdef const float *g = <const float *> buf[2]
    cdef const double *keep = <const double *> buf[3]
    cdef const double *rate = <const double *> buf[4]
    cdef const double *decay = <const double *> buf[7]
    cdef int64_t n = dim[0]
    cdef double epsilon = attr[0]
    cdef double least = attr[1]
    cdef double threshold = attr[2]
    cdef float *u = <float *> scratch()
    cdef double scale
    if first >= last or n == 0:
        return
    # v += (g * g + epsilon - v) * (1 - keep); u = g / np.sqrt(v)
    fnn_moments(ops()).adafactor(v, u, g, n, <float> epsilon, <float> (1.0 - keep[0]))
    # w -= rate * max(least, rms(w)) / max(1, rms(u) / threshold) * u
    scale = step_scale(fnn_optim(ops()).sum_of_squares(u, n), fnn_optim(ops()).sum_of_squares(w, n), n, rate[0],
                       decay[0] if decay != NULL else 0, least, threshold)
    fnn_optim(ops()).sgd(w, u, n, <float> scale, share(decay))


KERNELS = {
    "factored_squares": <uintptr_t> &factored_squares,
    "factored_average": <uintptr_t> &factored_average,
    "factored_lengths": <uintptr_t> &factored_lengths,
    "factored_scale": <uintptr_t> &factored_scale,
    "factored_sgd": <uintptr_t> &factored_sgd,
    "adafactor": <uintptr_t> &adafactor,
}
