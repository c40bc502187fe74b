"""Batch normalisation of tall matrices: a tile is a block of whole rows; sums of blocks are merged in their order."""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from .core cimport ops
from .elementwise cimport FNN_ADD, fnn_elementwise
from .norm cimport CHUNK, WIDEST, affine, fnn_norm, fnn_norm_ops, gradient_sums, least, moments, prefetch

cdef enum:
    LINEAR = 0  # place in ACTIVATIONS


cdef void batch_norm_moments(void *const *buf, const int64_t *dim, const double *attr,
                             int64_t first, int64_t last) noexcept nogil:
    cdef float *means = <float *> buf[0]
    cdef float *squares = <float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t block = dim[2]
    cdef float center[WIDEST]
    cdef float m2[WIDEST]
    cdef int64_t t, c, at
    memset(center, 0, sizeof(center))
    for t in range(first, last):
        at = t * block
        # means[t], squares[t] = block.mean(0), np.square(block - block.mean(0)).sum(0)
        moments(center, m2, x + at * columns, x + rows * columns, least(block, rows - at), columns, columns)
        for c in range(columns):
            means[t * columns + c] = center[c]
            squares[t * columns + c] = m2[c]


cdef void merged(float *mean, float *m2, const float *means, const float *squares, int64_t rows, int64_t columns,
                 int64_t block) noexcept nogil:
    """mean and m2, the sum of squares about it, of all rows from those of the blocks, one after the other."""
    cdef float s[WIDEST]
    cdef float q[WIDEST]
    cdef float carry[WIDEST]
    cdef int64_t t, c, n
    cdef float d
    for c in range(columns):
        mean[c] = means[c]
        m2[c] = squares[c]
        carry[c] = 0
    for t in range(1, (rows + block - 1) // block):
        n = least(block, rows - t * block)
        for c in range(columns):
            d = means[t * columns + c] - mean[c]
            s[c] = <float> n * d
            q[c] = squares[t * columns + c] + s[c] * d
        fnn_norm(ops()).merge(mean, m2, carry, s, q, columns, <double> (t * block + n))


cdef void batch_norm_rows(void *const *buf, const int64_t *dim, const double *attr,
                          int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef float *mean = <float *> buf[1]
    cdef float *rstd = <float *> buf[2]
    cdef float *moving_mean = <float *> buf[3]
    cdef float *moving_var = <float *> buf[4]
    cdef const float *x = <const float *> buf[5]
    cdef const float *gamma = <const float *> buf[6]
    cdef const float *beta = <const float *> buf[7]
    cdef const float *means = <const float *> buf[10]
    cdef const float *squares = <const float *> buf[11]
    cdef const float *plus = <const float *> buf[12]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t block = dim[2]
    cdef double momentum = attr[0]
    cdef double epsilon = attr[1]
    cdef double unbiased_moving_variance = attr[2]
    cdef int activation = <int> attr[3]
    cdef float alpha = <float> attr[4]
    cdef double n_var = <double> (rows - 1 if unbiased_moving_variance and rows > 1 else rows)
    cdef float center[WIDEST]
    cdef float m2[WIDEST]
    cdef float scale[WIDEST]
    cdef float offset[WIDEST]
    cdef float no_mean[WIDEST]
    cdef float no_var[WIDEST]
    cdef int64_t c, k, r, at, n, stop = least(last * block, rows)
    memset(center, 0, sizeof(center))
    memset(scale, 0, sizeof(scale))
    memset(offset, 0, sizeof(offset))
    memset(no_mean, 0, sizeof(no_mean))
    memset(no_var, 0, sizeof(no_var))
    # mean, var = x.mean(0), x.var(0);  rstd = 1 / np.sqrt(var + epsilon)
    merged(center, m2, means, squares, rows, columns, block)
    # the first tile: moving_mean, moving_var += (mean - moving_mean, var - moving_var) * (1 - momentum)
    fnn_norm(ops()).finish(scale, moving_mean if first == 0 else &no_mean[0], moving_var if first == 0 else &no_var[0],
                           center, m2, columns, <double> rows, n_var, epsilon, 1.0 - momentum)
    for c in range(columns):
        if first == 0:
            mean[c] = center[c]
            rstd[c] = scale[c]
        scale[c] = scale[c] if gamma == NULL else scale[c] * gamma[c]
        offset[c] = 0 if beta == NULL else beta[c]
    # y = activation((x - mean) * (rstd * gamma) + beta + plus)
    for k in range((stop - first * block + CHUNK - 1) // CHUNK):
        r = first * block + k * CHUNK
        at = r * columns
        n = least(CHUNK, stop - r)
        fnn_norm(ops()).affine(y + at, x + at, x + rows * columns, center, scale, offset, n, columns, columns,
                               prefetch(rows, columns))
        if plus != NULL:
            fnn_elementwise(ops()).binary(FNN_ADD, y + at, y + at, 1, plus + at, 1, n * columns)
        if activation != LINEAR:
            fnn_elementwise(ops()).activation(activation, y + at, y + at, n * columns, alpha)


cdef void batch_norm_grad_sums(void *const *buf, const int64_t *dim, const double *attr,
                               int64_t first, int64_t last) noexcept nogil:
    cdef float *s = <float *> buf[0]
    cdef float *q = <float *> buf[1]
    cdef const float *dy = <const float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *mean = <const float *> buf[4]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t block = dim[2]
    cdef float center[WIDEST]
    cdef float one[WIDEST]
    cdef int64_t t, c, at
    memset(center, 0, sizeof(center))
    for c in range(columns):
        center[c] = mean[c]
        one[c] = 1
    for t in range(first, last):
        at = t * block * columns
        # s[t] = dy.sum(0);  q[t] = (dy * (x - mean)).sum(0)
        gradient_sums(q + t * columns, s + t * columns, dy + at, x + at, x + rows * columns, center, one,
                      least(block, rows - t * block), columns, columns)


cdef void batch_norm_grad_rows(void *const *buf, const int64_t *dim, const double *attr,
                               int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef float *dgamma = <float *> buf[1]
    cdef float *dbeta = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const float *x = <const float *> buf[4]
    cdef const float *gamma = <const float *> buf[5]
    cdef const float *mean = <const float *> buf[6]
    cdef const float *rstd = <const float *> buf[7]
    cdef const float *s = <const float *> buf[8]
    cdef const float *q = <const float *> buf[9]
    cdef int64_t rows = dim[0]
    cdef int64_t columns = dim[1]
    cdef int64_t block = dim[2]
    cdef float share = <float> (1.0 / <double> rows)
    cdef float center[WIDEST]
    cdef float a[WIDEST]
    cdef float b[WIDEST]
    cdef float offset[WIDEST]
    cdef float sums[2][WIDEST]
    cdef int64_t t, c, k, r, at, stop = least(last * block, rows)
    memset(center, 0, sizeof(center))
    memset(a, 0, sizeof(a))
    memset(b, 0, sizeof(b))
    memset(offset, 0, sizeof(offset))
    memset(sums, 0, sizeof(sums))
    # dbeta = s.sum(0);  dgamma = q.sum(0) * rstd
    for t in range((rows + block - 1) // block):
        for c in range(columns):
            sums[0][c] += s[t * columns + c]
            sums[1][c] += q[t * columns + c]
    for c in range(columns):
        sums[1][c] *= rstd[c]
        if first == 0:
            dbeta[c] = sums[0][c]
            dgamma[c] = sums[1][c]
        center[c] = mean[c]
        a[c] = rstd[c] if gamma == NULL else rstd[c] * gamma[c]
        b[c] = a[c] * rstd[c] * (sums[1][c] * share)
        offset[c] = a[c] * (sums[0][c] * share)
    # dx = gamma * rstd * (dy - dbeta / M - xhat * dgamma / M);  xhat = (x - mean) * rstd
    for k in range((stop - first * block + CHUNK - 1) // CHUNK):
        r = first * block + k * CHUNK
        at = r * columns
        fnn_norm(ops()).backward(dx + at, dy + at, x + at, x + rows * columns, center, a, b, offset,
                                 least(CHUNK, stop - r), columns, columns, prefetch(rows, columns))


KERNELS = {
    "batch_norm_moments": <uintptr_t> &batch_norm_moments,
    "batch_norm_rows": <uintptr_t> &batch_norm_rows,
    "batch_norm_grad_sums": <uintptr_t> &batch_norm_grad_sums,
    "batch_norm_grad_rows": <uintptr_t> &batch_norm_grad_rows,
}
