"""Embedding: which tokens, and which columns or rows of the table, belong to a tile."""

from libc.stdint cimport int32_t, int64_t, uintptr_t

from libc.string cimport memcpy

from .core cimport fnn_ops, ops, scratch
from .moments cimport fnn_moments
from .optim cimport fnn_optim

cdef extern from "embedding.h" nogil:
    ctypedef struct fnn_embedding_ops:
        void (*whole_numbers)(int32_t *y, const float *x, int64_t n, float most) noexcept nogil
        void (*gather)(float *y, const int32_t *tokens, const float *table, int64_t n, int64_t rows,
                       int64_t width) noexcept nogil
        void (*scatter)(float *dtable, const float *dy, const int32_t *tokens, int64_t n, int64_t rows, int64_t pitch,
                        int64_t width) noexcept nogil
        void (*order)(int32_t *order, int32_t *rows, int32_t *work, const int32_t *tokens, int64_t n, int32_t count,
                      int bits) noexcept nogil
    const fnn_embedding_ops *fnn_embedding(const fnn_ops *)

cdef enum:              # as in fastnn/kernels/embedding.py
    TOKENS = 16
    COLUMNS = 32
    PLACES = 16
    NUMBERS = 1024
    MOST = 1 << 24


cdef void whole_numbers(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                        int64_t last) noexcept nogil:
    cdef int32_t *y = <int32_t *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef int64_t N = dim[0], start = first * NUMBERS, stop = min(last * NUMBERS, N)
    # y = np.where((x >= 0) & (x <= MOST) & (x == np.floor(x)), x, -1)
    fnn_embedding(ops()).whole_numbers(y + start, x + start, stop - start, MOST)


cdef void embedding(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                    int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const int32_t *tokens = <const int32_t *> buf[1]
    cdef const float *table = <const float *> buf[2]
    cdef int64_t N = dim[0], V = dim[1], D = dim[2], start = first * TOKENS, stop = min(last * TOKENS, N)
    # y = table[tokens]
    fnn_embedding(ops()).gather(y + start * D, tokens + start, table, stop - start, V, D)


cdef void embedding_grad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                         int64_t last) noexcept nogil:
    cdef float *dtable = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const int32_t *tokens = <const int32_t *> buf[2]
    cdef double rows = attr[0]
    cdef int64_t N = dim[0], V = dim[1], D = dim[2], start = first * COLUMNS, stop = min(last * COLUMNS, D)
    # np.add.at(dtable[:, start:stop], tokens, dy[:, start:stop])
    fnn_embedding(ops()).scatter(dtable + start, dy + start, tokens, N, V, D, stop - start)


cdef void token_order(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                      int64_t last) noexcept nogil:
    cdef int32_t *order = <int32_t *> buf[0]
    cdef int32_t *rows = <int32_t *> buf[1]
    cdef const int32_t *tokens = <const int32_t *> buf[2]
    cdef double count = attr[0]
    cdef int64_t N = dim[0]
    cdef int bits = 1
    while (1 << 2 * bits) <= <int64_t> count:
        bits += 1
    # order = np.argsort(tokens, kind="stable"); rows = tokens[order]
    fnn_embedding(ops()).order(order, rows, <int32_t *> scratch(), tokens, N, <int32_t> count, bits)


# Whether a row's places begin at sorted place i.
cdef inline bint begins(const int32_t *rows, int64_t i, int64_t V) noexcept nogil:
    return 0 <= rows[i] < V and (i == 0 or rows[i - 1] != rows[i])


# The sum of dy over the places of the row that begins at sorted place i.
cdef inline const float *row_gradient(const float *dy, const int32_t *order, const int32_t *rows, int64_t i, int64_t N,
                                      int64_t D) noexcept nogil:
    cdef float *sum = <float *> scratch()
    cdef int64_t j = i + 1
    if j == N or rows[j] != rows[i]:
        return dy + order[i] * D
    memcpy(sum, dy + order[i] * D, D * sizeof(float))
    while j < N and rows[j] == rows[i]:
        fnn_optim(ops()).add_scaled(sum, dy + order[j] * D, D, 1.0)
        j += 1
    return sum


cdef void row_sgd(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const int32_t *order = <const int32_t *> buf[2]
    cdef const int32_t *rows = <const int32_t *> buf[3]
    cdef const double *rate = <const double *> buf[4]
    cdef int64_t N = dim[0], V = dim[1], D = dim[2], i
    for i in range(first * PLACES, min(last * PLACES, N)):
        if begins(rows, i, V):
            # w[row] -= rate * g
            fnn_optim(ops()).sgd(w + rows[i] * D, row_gradient(dy, order, rows, i, N, D), D, <float> rate[0], 0)


cdef void row_adagrad(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                      int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *a = <float *> buf[1]
    cdef const float *dy = <const float *> buf[2]
    cdef const int32_t *order = <const int32_t *> buf[3]
    cdef const int32_t *rows = <const int32_t *> buf[4]
    cdef const double *rate = <const double *> buf[5]
    cdef int64_t N = dim[0], V = dim[1], D = dim[2], i, at
    cdef double epsilon = attr[0]
    cdef double epsilon_inside = attr[1]
    for i in range(first * PLACES, min(last * PLACES, N)):
        if begins(rows, i, V):
            # a[row] += g * g;  w[row] -= rate * g / sqrt(a[row] + epsilon)
            at = rows[i] * D
            fnn_moments(ops()).adagrad(w + at, a + at, row_gradient(dy, order, rows, i, N, D), D, <float> rate[0], 0,
                                       <float> epsilon, epsilon_inside != 0)


cdef void row_adam(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                   int64_t last) noexcept nogil:
    cdef float *w = <float *> buf[0]
    cdef float *m = <float *> buf[1]
    cdef float *v = <float *> buf[2]
    cdef const float *dy = <const float *> buf[3]
    cdef const int32_t *order = <const int32_t *> buf[4]
    cdef const int32_t *rows = <const int32_t *> buf[5]
    cdef const double *alpha = <const double *> buf[6]
    cdef const double *epsilon = <const double *> buf[7]
    cdef int64_t N = dim[0], V = dim[1], D = dim[2], i, at
    cdef double beta_1 = attr[0]
    cdef double beta_2 = attr[1]
    for i in range(first * PLACES, min(last * PLACES, N)):
        if begins(rows, i, V):
            # adam of w[row], m[row], v[row] by g
            at = rows[i] * D
            fnn_optim(ops()).adam(w + at, m + at, v + at, row_gradient(dy, order, rows, i, N, D), D, <float> alpha[0],
                                  <float> epsilon[0], <float> (1.0 - beta_1), <float> (1.0 - beta_2))


KERNELS = {
    "whole_numbers": <uintptr_t> &whole_numbers,
    "embedding": <uintptr_t> &embedding,
    "embedding_grad": <uintptr_t> &embedding_grad,
    "token_order": <uintptr_t> &token_order,
    "row_sgd": <uintptr_t> &row_sgd,
    "row_adagrad": <uintptr_t> &row_adagrad,
    "row_adam": <uintptr_t> &row_adam,
}
