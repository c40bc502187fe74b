"""Batch normalisation: statistics per column, in tiles of `width` columns; at the end, statistics per row.

Rows are taken in chunks of CHUNK. The first chunk's mean, computed at first, is the shift of its
sums; the running mean is that of every later one (so they cost one pass over x), and each chunk is
merged into mean and m2 in its turn. With one chunk this is the corrected two-pass algorithm.
"""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from .core cimport ops

cdef enum:
    NARROW = 64   # columns of a tile of `row_norm_grad_parameters`, as in norm.py
    LAYER = 0     # places of KINDS in norm.py
    UNIT = 2


cdef void affine(float *y, const float *x, const float *end, const float *shift, const float *scale,
                 const float *offset, int64_t rows, int64_t columns, int64_t stride) noexcept nogil:
    """y = (x - shift) * scale + offset, of one tile's columns; by chunks, so that a chunk's pages stay mapped."""
    cdef int64_t k, r
    for k in range((rows + CHUNK - 1) // CHUNK):
        r = k * CHUNK
        fnn_norm(ops()).affine(y + r * stride, x + r * stride, end, shift, scale, offset, least(rows - r, CHUNK),
                               columns, stride, prefetch(rows, stride))


cdef void moments(float *mean, float *m2, const float *x, const float *end, int64_t rows, int64_t columns,
                  int64_t stride) noexcept nogil:
    """mean = x.mean(0); m2 = np.square(x - mean).sum(0), of one tile's columns."""
    cdef const fnn_norm_ops *norm = fnn_norm(ops())
    cdef float s[WIDEST]
    cdef float q[WIDEST]
    cdef float carry[WIDEST]
    cdef int64_t k, r, c, n
    # mean of the first chunk, up to rounding; the rest is put right by `merge`
    n = least(rows, CHUNK)
    norm.sums(s, x, end, n, columns, stride)
    for c in range(columns):
        mean[c] = s[c] * <float> (1.0 / <double> n)
        m2[c] = 0
        carry[c] = 0
    for k in range((rows + CHUNK - 1) // CHUNK):
        r = k * CHUNK
        n = least(rows - r, CHUNK)
        # s, q = (x - mean).sum(0), np.square(x - mean).sum(0) of the chunk's rows
        norm.shifted_sums(s, q, x + r * stride, end, mean, n, columns, stride, prefetch(rows, stride))
        norm.merge(mean, m2, carry, s, q, columns, <double> (r + n))


cdef void gradient_sums(float *dgamma, float *dbeta, const float *dy, const float *x, const float *end,
                        const float *mean, const float *rstd, int64_t rows, int64_t columns,
                        int64_t stride) noexcept nogil:
    """dgamma = (dy * (x - mean)).sum(0) * rstd; dbeta = dy.sum(0), of one tile's columns."""
    cdef float s[WIDEST]
    cdef float q[WIDEST]
    cdef int64_t k, r, c
    for c in range(columns):
        dgamma[c] = 0
        dbeta[c] = 0
    for k in range((rows + CHUNK - 1) // CHUNK):
        r = k * CHUNK
        fnn_norm(ops()).gradient_sums(s, q, dy + r * stride, x + r * stride, end, mean, least(rows - r, CHUNK),
                                      columns, stride, prefetch(rows, stride))
        for c in range(columns):
            dbeta[c] += s[c]
            dgamma[c] += q[c]
    for c in range(columns):
        dgamma[c] *= rstd[c]


cdef void batch_norm(void *const *buf, const int64_t *dim, const double *attr,
                     int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *mean = <float *> buf[1]
    cdef float *rstd = <float *> buf[2]
    cdef float *moving_mean = <float *> buf[3]
    cdef float *moving_var = <float *> buf[4]
    cdef const float *x = <const float *> buf[5]
    cdef const float *gamma = <const float *> buf[6]
    cdef const float *beta = <const float *> buf[7]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t width = dim[2]
    cdef double momentum = attr[0]
    cdef double epsilon = attr[1]
    cdef double unbiased_moving_variance = attr[2]
    cdef const fnn_norm_ops *norm = fnn_norm(ops())
    cdef const float *end = x + rows * columns
    cdef double n_var = <double> (rows - 1 if unbiased_moving_variance and rows > 1 else rows)
    cdef float center[WIDEST]
    cdef float m2[WIDEST]
    cdef float scale[WIDEST]
    cdef float offset[WIDEST]
    cdef int64_t t, at, n, c
    memset(center, 0, sizeof(center))
    memset(scale, 0, sizeof(scale))
    memset(offset, 0, sizeof(offset))
    for t in range(first, last):
        at = t * width
        n = least(width, columns - at)
        # mean, var = x.mean(0), x.var(0);  rstd = 1 / np.sqrt(var + epsilon)
        # moving_mean, moving_var += (mean - moving_mean, var - moving_var) * (1 - momentum)
        moments(center, m2, x + at, end, rows, n, columns)
        norm.finish(rstd + at, moving_mean + at, moving_var + at, center, m2, n, <double> rows, n_var, epsilon,
                    1.0 - momentum)
        # y = (x - mean) * (rstd * gamma) + beta
        for c in range(n):
            mean[at + c] = center[c]
            scale[c] = rstd[at + c] if gamma == NULL else rstd[at + c] * gamma[at + c]
            offset[c] = 0 if beta == NULL else beta[at + c]
        affine(y + at, x + at, end, center, scale, offset, rows, n, columns)


cdef void batch_norm_grad(void *const *buf, const int64_t *dim, const double *attr,
                          int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef float *dgamma = <float *> buf[1]
    cdef float *dbeta = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const float *x = <const float *> buf[4]
    cdef const float *gamma = <const float *> buf[5]
    cdef const float *mean = <const float *> buf[6]
    cdef const float *rstd = <const float *> buf[7]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t width = dim[2]
    cdef const float *end = x + rows * columns
    cdef float share = <float> (1.0 / <double> rows)
    cdef float center[WIDEST]
    cdef float a[WIDEST]
    cdef float b[WIDEST]
    cdef float offset[WIDEST]
    cdef int64_t t, at, n, c, k, r
    memset(center, 0, sizeof(center))
    memset(a, 0, sizeof(a))
    memset(b, 0, sizeof(b))
    memset(offset, 0, sizeof(offset))
    for t in range(first, last):
        at = t * width
        n = least(width, columns - at)
        # xhat = (x - mean) * rstd;  dbeta = dy.sum(0);  dgamma = (dy * xhat).sum(0)
        for c in range(n):
            center[c] = mean[at + c]
        gradient_sums(dgamma + at, dbeta + at, dy + at, x + at, end, center, rstd + at, rows, n, columns)
        # dx = gamma * rstd * (dy - dbeta / M - xhat * dgamma / M)
        for c in range(n):
            a[c] = rstd[at + c] if gamma == NULL else rstd[at + c] * gamma[at + c]
            b[c] = a[c] * rstd[at + c] * (dgamma[at + c] * share)
            offset[c] = a[c] * (dbeta[at + c] * share)
        for k in range((rows + CHUNK - 1) // CHUNK):
            r = k * CHUNK * columns + at
            fnn_norm(ops()).backward(dx + r, dy + r, x + r, end, center, a, b, offset, least(rows - k * CHUNK, CHUNK),
                                     n, columns, prefetch(rows, columns))


cdef void batch_norm_grad_parameters(void *const *buf, const int64_t *dim, const double *attr,
                                     int64_t first, int64_t last) noexcept nogil:
    cdef float *dgamma = <float *> buf[0]
    cdef float *dbeta = <float *> buf[1]
    cdef const float *dy = <const float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *mean = <const float *> buf[4]
    cdef const float *rstd = <const float *> buf[5]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t width = dim[2]
    cdef float center[WIDEST]
    cdef int64_t t, at, n, c
    memset(center, 0, sizeof(center))
    for t in range(first, last):
        at = t * width
        n = least(width, columns - at)
        # dbeta = dy.sum(0);  dgamma = (dy * (x - mean) * rstd).sum(0)
        for c in range(n):
            center[c] = mean[at + c]
        gradient_sums(dgamma + at, dbeta + at, dy + at, x + at, x + rows * columns, center, rstd + at, rows, n, columns)


cdef void batch_norm_inference(void *const *buf, const int64_t *dim, const double *attr,
                               int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *gamma = <const float *> buf[2]
    cdef const float *beta = <const float *> buf[3]
    cdef const float *moving_mean = <const float *> buf[4]
    cdef const float *moving_var = <const float *> buf[5]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t width = dim[2]
    cdef double epsilon = attr[0]
    cdef float center[WIDEST]
    cdef float scale[WIDEST]
    cdef float offset[WIDEST]
    cdef int64_t t, at, n, c
    memset(center, 0, sizeof(center))
    memset(scale, 0, sizeof(scale))
    memset(offset, 0, sizeof(offset))
    for t in range(first, last):
        at = t * width
        n = least(width, columns - at)
        # y = (x - moving_mean) * (gamma / np.sqrt(moving_var + epsilon)) + beta
        fnn_norm(ops()).rsqrt(scale, moving_var + at, n, epsilon)
        for c in range(n):
            center[c] = moving_mean[at + c]
            scale[c] = scale[c] if gamma == NULL else scale[c] * gamma[at + c]
            offset[c] = 0 if beta == NULL else beta[at + c]
        affine(y + at, x + at, x + rows * columns, center, scale, offset, rows, n, columns)


cdef void fold_norm(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                    int64_t last) noexcept nogil:
    cdef float *folded = <float *> buf[0]
    cdef float *offset = <float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef const float *gamma = <const float *> buf[4]
    cdef const float *beta = <const float *> buf[5]
    cdef const float *moving_mean = <const float *> buf[6]
    cdef const float *moving_var = <const float *> buf[7]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t width = dim[2]
    cdef double epsilon = attr[0]
    cdef float scale[WIDEST]
    cdef float zero[WIDEST]
    cdef int64_t t, at, n, c
    memset(scale, 0, sizeof(scale))
    memset(zero, 0, sizeof(zero))
    for t in range(first, last):
        at = t * width
        n = least(width, columns - at)
        # scale = gamma / np.sqrt(moving_var + epsilon);  offset = (b - moving_mean) * scale + beta
        fnn_norm(ops()).rsqrt(scale, moving_var + at, n, epsilon)
        for c in range(n):
            scale[c] = scale[c] if gamma == NULL else scale[c] * gamma[at + c]
            offset[at + c] = ((0 if b == NULL else b[at + c]) - moving_mean[at + c]) * scale[c]
            offset[at + c] = offset[at + c] if beta == NULL else offset[at + c] + beta[at + c]
        # folded = w * scale
        affine(folded + at, w + at, w + rows * columns, zero, scale, zero, rows, n, columns)


cdef void batch_norm_inference_grad(void *const *buf, const int64_t *dim, const double *attr,
                                    int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef float *dgamma = <float *> buf[1]
    cdef float *dbeta = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const float *x = <const float *> buf[4]
    cdef const float *gamma = <const float *> buf[5]
    cdef const float *moving_mean = <const float *> buf[6]
    cdef const float *moving_var = <const float *> buf[7]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t width = dim[2]
    cdef double epsilon = attr[0]
    cdef float center[WIDEST]
    cdef float scale[WIDEST]
    cdef float zero[WIDEST]
    cdef int64_t t, at, n, c
    memset(center, 0, sizeof(center))
    memset(scale, 0, sizeof(scale))
    memset(zero, 0, sizeof(zero))
    for t in range(first, last):
        at = t * width
        n = least(width, columns - at)
        # rstd = 1 / np.sqrt(moving_var + epsilon)
        fnn_norm(ops()).rsqrt(scale, moving_var + at, n, epsilon)
        # dbeta = dy.sum(0);  dgamma = (dy * (x - moving_mean) * rstd).sum(0);  dx = dy * (gamma * rstd)
        for c in range(n):
            center[c] = moving_mean[at + c]
        gradient_sums(dgamma + at, dbeta + at, dy + at, x + at, x + rows * columns, center, scale, rows, n, columns)
        for c in range(n):
            scale[c] = scale[c] if gamma == NULL else scale[c] * gamma[at + c]
        affine(dx + at, dy + at, dy + rows * columns, zero, scale, zero, rows, n, columns)


cdef inline int64_t rows_per_tile(int64_t N) noexcept nogil:
    """As activation.rows_per_tile: short rows go in groups, so that tiles do not share cache lines."""
    return 1 if N >= 256 else 16


cdef inline float share_of(int kind, int64_t N) noexcept nogil:
    """What a sum along a row is multiplied by."""
    return <float> (1.0 if kind == UNIT else 1.0 / <double> N)


cdef void row_norm(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *mean = <float *> buf[1]
    cdef float *rstd = <float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *gamma = <const float *> buf[4]
    cdef const float *beta = <const float *> buf[5]
    cdef int64_t M = dim[0], N = dim[1], P = dim[2]
    cdef int kind = <int> attr[0]
    cdef double epsilon = attr[1]
    cdef int64_t r, part, group = rows_per_tile(N)
    # y = (x - mean) * rstd * gamma + beta in each row
    for r in range(first * group, min(last * group, M)):
        part = r % P * N
        fnn_norm(ops()).row(y + r * N, mean + r, rstd + r, x + r * N, gamma if gamma == NULL else gamma + part,
                            beta if beta == NULL else beta + part, N, kind == LAYER, share_of(kind, N), epsilon)


cdef void row_norm_grad(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef const float *gamma = <const float *> buf[3]
    cdef const float *mean = <const float *> buf[4]
    cdef const float *rstd = <const float *> buf[5]
    cdef int64_t M = dim[0], N = dim[1], P = dim[2]
    cdef int kind = <int> attr[0]
    cdef int64_t r, group = rows_per_tile(N)
    # dx = rstd * (g - mean(g) - xhat * mean(g * xhat)), g = dy * gamma, in each row
    for r in range(first * group, min(last * group, M)):
        fnn_norm(ops()).row_backward(dx + r * N, dy + r * N, x + r * N, gamma if gamma == NULL else gamma + r % P * N,
                                     mean[r], rstd[r], N, kind == LAYER, share_of(kind, N))


cdef void row_norm_grad_parameters(void *const *buf, const int64_t *dim, const double *attr,
                                   int64_t first, int64_t last) noexcept nogil:
    cdef float *dgamma = <float *> buf[0]
    cdef float *dbeta = <float *> buf[1]
    cdef const float *dy = <const float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *mean = <const float *> buf[4]
    cdef const float *rstd = <const float *> buf[5]
    cdef int64_t M = dim[0], N = dim[1], width = dim[2]
    cdef int64_t P = width // N, rows = M * N // width
    cdef int64_t t, start, at, end, stop, k, r, n, c
    cdef float q[NARROW]
    cdef float s[NARROW]
    for t in range(first, last):
        start = t * NARROW
        end = min(start + NARROW, width)
        for c in range(start, end):
            dgamma[c] = 0
            dbeta[c] = 0
        for k in range((rows + CHUNK - 1) // CHUNK):
            r = k * CHUNK
            n = least(rows - r, CHUNK)
            memset(q, 0, sizeof(q))
            memset(s, 0, sizeof(s))
            # dgamma += (dy * (x - mean) * rstd).sum(0);  dbeta += dy.sum(0), in stretches of one row of x
            at = start
            while at < end:
                stop = least(end, (at // N + 1) * N)
                fnn_norm(ops()).row_parameters(q + at - start, s + at - start, dy + r * width + at, x + r * width + at,
                                               mean + r * P + at // N, rstd + r * P + at // N, n, stop - at, width, P)
                at = stop
            for c in range(start, end):
                dgamma[c] += q[c - start]
                dbeta[c] += s[c - start]


KERNELS = {
    "batch_norm": <uintptr_t> &batch_norm,
    "batch_norm_grad": <uintptr_t> &batch_norm_grad,
    "batch_norm_grad_parameters": <uintptr_t> &batch_norm_grad_parameters,
    "batch_norm_inference": <uintptr_t> &batch_norm_inference,
    "fold_norm": <uintptr_t> &fold_norm,
    "batch_norm_inference_grad": <uintptr_t> &batch_norm_inference_grad,
    "row_norm": <uintptr_t> &row_norm,
    "row_norm_grad": <uintptr_t> &row_norm_grad,
    "row_norm_grad_parameters": <uintptr_t> &row_norm_grad_parameters,
}
