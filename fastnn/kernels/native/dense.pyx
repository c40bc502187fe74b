"""Fully connected layers, their gradients, and matmul: tiles of the product in gemm.pyx, each with its edges."""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memcpy, memset

from .core cimport fnn_call, ops, scratch
from .gemm cimport FNN_LINEAR, Edge, ceil_div, fnn_gemm, fnn_gemm_ops, product, smaller

cdef enum:
    MOST_SLOTS = 32     # of a continuation


# What a gradient kernel does with its finished panels.
cdef struct Then:
    const fnn_call *call    # or NULL
    int64_t ahead           # arrays that it updates: its first slots; the slot behind them is the gradient
    int64_t slots           # of its buf
    float *panel            # where each panel is computed, or NULL: in dw


cdef inline float *panel_of(const Then *then, float *dw, int64_t i, int64_t m, int64_t N) noexcept nogil:
    if then.panel == NULL:
        return dw + i * N
    # The last block of the continuation may reach beyond the panel: it finds zeros, as in an arena's gaps.
    memset(then.panel + m * N, 0, 16 * sizeof(float))
    return then.panel


# Run the continuation on rows i..i+m-1 of the gradient.
cdef inline void run_then(const Then *then, int64_t i, int64_t m, int64_t N) noexcept nogil:
    cdef void *buf[MOST_SLOTS]
    cdef int64_t first = i * N // 16, last = ceil_div((i + m) * N, 16)
    if then.call == NULL:
        return
    if then.panel == NULL:
        then.call.kernel(then.call.buf, then.call.dim, then.call.attr, first, last)
        return
    memcpy(buf, <const void *> then.call.buf, then.slots * sizeof(void *))
    # It looks for the gradient of row i at i * N floats from the start.
    buf[then.ahead] = <void *> (<uintptr_t> then.panel - <uintptr_t> (i * N * 4))
    then.call.kernel(buf, then.call.dim, then.call.attr, first, last)


cdef void dense(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef int64_t K = dim[1], M = dim[0], N = dim[2], rows = dim[3], columns = dim[4]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    # Tiles go down the columns: a thread that takes the first or last of them reads a part of w only.
    cdef int64_t down = ceil_div(M, rows), t, i, j
    cdef Edge edge
    edge.activation, edge.alpha, edge.y = activation, alpha, NULL
    for t in range(first, last):
        # y[i:i+rows, j:j+columns] = activation(x[i:i+rows] @ w[:, j:j+columns] + b[j:j+columns])
        i, j = t % down * rows, t // down * columns
        edge.bias = b + j if b != NULL else NULL
        product(y + i * N + j, N, x + i * K, K, False, w + j, N, False, smaller(rows, M - i), smaller(columns, N - j),
                K, False, &edge)


cdef void dense_grad_input(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                           int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dz = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *y = <const float *> buf[3]
    cdef int64_t M = dim[0], K = dim[1], N = dim[2], rows = dim[3], columns = dim[4]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef int64_t down = ceil_div(M, rows), t, i, j     # tiles go down the columns, as in `dense`
    cdef Edge edge
    edge.bias, edge.activation, edge.alpha = NULL, activation, alpha
    if y == NULL:
        edge.activation = FNN_LINEAR
    for t in range(first, last):
        # dx[i:i+rows, j:j+columns] = dz[i:i+rows] @ w[j:j+columns].T * activation'(y[i:i+rows, j:j+columns])
        i, j = t % down * rows, t // down * columns
        edge.y = y + i * K + j if y != NULL and activation != FNN_LINEAR else NULL
        product(dx + i * K + j, K, dz + i * N, N, False, w + j * N, N, True, smaller(rows, M - i),
                smaller(columns, K - j), N, False, &edge)


cdef void dense_grad_weight(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                            int64_t last) noexcept nogil:
    cdef float *dw = <float *> buf[0]
    cdef float *db = <float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef const float *dz = <const float *> buf[3]
    cdef const fnn_call *then = <const fnn_call *> buf[4]
    cdef int64_t M = dim[0], K = dim[1], N = dim[2], rows = dim[3], columns = dim[4], panel = dim[5]
    cdef int64_t ahead = <int64_t> attr[0], slots = <int64_t> attr[1]
    cdef bint keep = attr[2] != 0
    cdef int64_t share = ceil_div(ceil_div(N, ceil_div(K, rows) if K > 0 else 1), 16) * 16    # of db, per tile
    cdef int64_t t, i, j, m
    cdef float *g
    cdef Edge edge
    cdef Then after
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    after.call, after.ahead, after.slots = then, ahead, slots
    after.panel = <float *> scratch() + panel if then != NULL and not keep else NULL
    for t in range(first, last):
        i = t * rows
        m = smaller(rows, K - i)
        g = panel_of(&after, dw, i, m, N)
        # dw[i:i+rows] = x[:, i:i+rows].T @ dz
        j = 0
        while j < N:
            product(g + j, N, x + i, K, True, dz + j, N, False, m, smaller(columns, N - j), M, False, &edge)
            j += columns
        # db = dz.sum(0), of which each tile makes a share
        j = t * share
        if j < N:
            fnn_gemm(ops()).sum_rows(db + j, dz + j, N, M, smaller(share, N - j))
        run_then(&after, i, m, N)


cdef void norm_dense_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                          int64_t last) noexcept nogil:
    cdef float *dw = <float *> buf[0]
    cdef float *dgamma = <float *> buf[1]
    cdef float *dbeta = <float *> buf[2]
    cdef const float *x = <const float *> buf[3]
    cdef const float *mean = <const float *> buf[4]
    cdef const float *rstd = <const float *> buf[5]
    cdef const float *gamma = <const float *> buf[6]
    cdef const float *beta = <const float *> buf[7]
    cdef const float *w = <const float *> buf[8]
    cdef const float *dz = <const float *> buf[9]
    cdef const float *db = <const float *> buf[10]
    cdef const fnn_call *then = <const fnn_call *> buf[11]
    cdef int64_t M = dim[0], K = dim[1], N = dim[2], rows = dim[3], columns = dim[4], panel = dim[5]
    cdef int64_t ahead = <int64_t> attr[0], slots = <int64_t> attr[1]
    cdef bint keep = attr[2] != 0
    cdef const fnn_gemm_ops *table = fnn_gemm(ops())
    cdef float *stripe = <float *> scratch() + panel + rows * N + 16     # beyond what `product` and `then` use
    cdef int64_t t, i, j, m, r
    cdef float *g
    cdef Edge edge
    cdef Then after
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    after.call, after.ahead, after.slots = then, ahead, slots
    after.panel = <float *> scratch() + panel if then != NULL and not keep else NULL
    for t in range(first, last):
        i = t * rows
        m = smaller(rows, K - i)
        g = panel_of(&after, dw, i, m, N)
        # stripe = (x[:, i:i+m] - mean[i:i+m]) * rstd[i:i+m]
        table.normalize(stripe, x + i, K, mean + i, rstd + i, M, m)
        # g = stripe.T @ dz
        j = 0
        while j < N:
            product(g + j, N, stripe, m, True, dz + j, N, False, m, smaller(columns, N - j), M, False, &edge)
            j += columns
        # dgamma = (w * g).sum(1); dbeta = (w * db).sum(1); dw = gamma[:, None] * g + beta[:, None] * db
        for r in range(m):
            table.scale_back(g + r * N, dgamma + i + r, dbeta + i + r, w + (i + r) * N, db,
                             gamma[i + r] if gamma != NULL else 1.0, beta[i + r] if beta != NULL else 0.0, N)
        run_then(&after, i, m, N)


cdef void matmul(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *a = <const float *> buf[1]
    cdef const float *b = <const float *> buf[2]
    cdef int64_t batch = dim[0], M = dim[1], K = dim[2], N = dim[3], a_step = dim[4], b_step = dim[5]
    cdef int64_t rows = dim[6], columns = dim[7]
    cdef bint transpose_a = attr[0] != 0, transpose_b = attr[1] != 0, sum_batch = attr[2] != 0
    cdef int64_t down = ceil_div(M, rows), across = ceil_div(N, columns), t, n, n_end, i, j
    cdef Edge edge
    edge.bias, edge.activation, edge.alpha, edge.y = NULL, FNN_LINEAR, 0, NULL
    for t in range(first, last):
        i, j = t // across % down * rows, t % across * columns
        n = 0 if sum_batch else t // across // down
        n_end = batch if sum_batch else n + 1
        if n == n_end:      # an empty sum
            product(y + i * N + j, N, a, K, False, b, N, False, smaller(rows, M - i), smaller(columns, N - j), 0,
                    False, &edge)
        while n < n_end:
            # y[n, i:i+rows, j:j+columns] = op(a[n])[i:i+rows] @ op(b[n])[:, j:j+columns];  sum_batch: summed over n
            product(y + (0 if sum_batch else n) * M * N + i * N + j, N,
                    a + n * a_step + (i if transpose_a else i * K), M if transpose_a else K, transpose_a,
                    b + n * b_step + (j * K if transpose_b else j), K if transpose_b else N, transpose_b,
                    smaller(rows, M - i), smaller(columns, N - j), K, sum_batch and n > 0, &edge)
            n += 1


KERNELS = {
    "dense": <uintptr_t> &dense,
    "dense_grad_input": <uintptr_t> &dense_grad_input,
    "dense_grad_weight": <uintptr_t> &dense_grad_weight,
    "matmul": <uintptr_t> &matmul,
    "norm_dense_grad": <uintptr_t> &norm_dense_grad,
}
