"""Embedding: which tokens, and which columns of the table, belong to a tile."""

from libc.stdint cimport int32_t, int64_t, uintptr_t

from .core cimport fnn_ops, ops

cdef extern from "embedding.h" nogil:
    ctypedef struct fnn_embedding_ops:
        void (*whole_numbers)(int32_t *y, const float *x, int64_t n, float most) noexcept nogil
        void (*gather)(float *y, const int32_t *tokens, const float *table, int64_t n, int64_t rows,
                       int64_t width) noexcept nogil
        void (*scatter)(float *dtable, const float *dy, const int32_t *tokens, int64_t n, int64_t rows, int64_t pitch,
                        int64_t width) noexcept nogil
    const fnn_embedding_ops *fnn_embedding(const fnn_ops *)

cdef enum:              # as in fastnn/kernels/embedding.py
    TOKENS = 16
    COLUMNS = 32
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


KERNELS = {
    "whole_numbers": <uintptr_t> &whole_numbers,
    "embedding": <uintptr_t> &embedding,
    "embedding_grad": <uintptr_t> &embedding_grad,
}
