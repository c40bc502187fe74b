"""Picking the rows of a batch out of the user's arrays, whatever their dtype."""

from libc.stdint cimport int32_t, int64_t, uintptr_t

from .core cimport fnn_ops, ops

cdef extern from "data.h" nogil:
    ctypedef void (*fnn_gather_rows)(float *y, const void *source, const int64_t *index, int64_t batch,
                                     int64_t features, float scale, float offset) noexcept nogil
    ctypedef void (*fnn_gather_labels)(int32_t *y, const void *source, const int64_t *index, int64_t batch,
                                       int64_t features) noexcept nogil
    ctypedef struct fnn_data_ops:
        fnn_gather_rows *rows
        fnn_gather_labels *labels
    const fnn_data_ops *fnn_data(const fnn_ops *)


cdef inline int64_t least(int64_t a, int64_t b) noexcept nogil:
    return a if a < b else b


cdef void gather_rows(void *const *buf, const int64_t *dim, const double *attr,
                      int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const void *source = <const void *> buf[1]
    cdef const int64_t *index = <const int64_t *> buf[2]
    cdef int64_t batch = dim[0]
    cdef int64_t features = dim[1]
    cdef int64_t rows = dim[2]
    cdef double scale = attr[0]
    cdef double offset = attr[1]
    cdef int dtype = <int> attr[2]
    cdef int64_t b = first * rows
    # y = source[index] * scale + offset
    fnn_data(ops()).rows[dtype](y + b * features, source, index + b, least(last * rows, batch) - b, features,
                                <float> scale, <float> offset)


cdef void gather_labels(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef int32_t *y = <int32_t *> buf[0]
    cdef const void *source = <const void *> buf[1]
    cdef const int64_t *index = <const int64_t *> buf[2]
    cdef int64_t batch = dim[0]
    cdef int64_t features = dim[1]
    cdef int64_t rows = dim[2]
    cdef int dtype = <int> attr[0]
    cdef int64_t b = first * rows
    # y = source[index].astype(np.int32)
    fnn_data(ops()).labels[dtype](y + b * features, source, index + b, least(last * rows, batch) - b, features)


KERNELS = {
    "gather_rows": <uintptr_t> &gather_rows,
    "gather_labels": <uintptr_t> &gather_labels,
}
