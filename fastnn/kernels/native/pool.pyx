"""Pooling and resampling: which pixels of which image; a window's and a pixel's arithmetic stands in csrc/pool.inc."""

from libc.stdint cimport int32_t, int64_t, uintptr_t

from .core cimport fnn_ops, ops

cdef extern from "pool.h" nogil:
    ctypedef struct fnn_windows:
        int64_t H, W, C, OH, OW, PH, PW, SH, SW, top, left
    ctypedef struct fnn_pool_ops:
        void (*max_windows)(float *y, void *place, int wide, const float *x, const fnn_windows *p, int64_t i, int64_t j,
                            int64_t count) noexcept nogil
        void (*average_windows)(float *y, const float *x, const fnn_windows *p, int64_t i, int64_t j, int64_t count,
                                int mean) noexcept nogil
        void (*max_pixels)(float *dx, const float *dy, const void *place, int wide, const fnn_windows *p, int64_t h,
                           int64_t w, int64_t count) noexcept nogil
        void (*average_pixels)(float *dx, const float *dy, const fnn_windows *p, int64_t h, int64_t w, int64_t count,
                               int mean) noexcept nogil
        void (*mix)(float *y, const float *x, const int32_t *index, const float *weight, int64_t K, int64_t rows,
                    int64_t n) noexcept nogil
    const fnn_pool_ops *fnn_pool(const fnn_ops *)

cdef enum:
    CHUNK = 1024  # of pool.py
    BYTES = 256   # places that a byte can tell apart


cdef inline fnn_windows described(const int64_t *dim) noexcept nogil:
    """The sizes after N, in the order of the spec."""
    cdef fnn_windows p
    p.H, p.W, p.C, p.OH, p.OW = dim[1], dim[2], dim[3], dim[4], dim[5]
    p.PH, p.PW, p.SH, p.SW, p.top, p.left = dim[6], dim[7], dim[8], dim[9], dim[10], dim[11]
    return p


cdef void max_pool(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef char *place = <char *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef fnn_windows p = described(dim)
    cdef int64_t pixels = dim[12], at = first * pixels, stop = min(last * pixels, dim[0] * p.OH * p.OW), row, j, count
    cdef int wide = p.PH * p.PW > BYTES
    cdef int64_t size = 4 if wide else 1
    # y = the largest of each window, place = where in the window it stands; a row of windows at a time
    while at < stop:
        row = at // p.OW
        j = at - row * p.OW
        count = min(p.OW - j, stop - at)
        fnn_pool(ops()).max_windows(y + at * p.C, place + at * p.C * size, wide,
                                          x + row // p.OH * p.H * p.W * p.C, &p, row % p.OH, j, count)
        at += count


cdef void max_pool_grad(void *const *buf, const int64_t *dim, const double *attr,
                        int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef const char *place = <const char *> buf[2]
    cdef fnn_windows p = described(dim)
    cdef int64_t pixels = dim[12], at = first * pixels, stop = min(last * pixels, dim[0] * p.H * p.W), row, w, count
    cdef int wide = p.PH * p.PW > BYTES
    cdef int64_t size = 4 if wide else 1, image
    # dx[place] += dy; a row of pixels at a time
    while at < stop:
        row = at // p.W
        w = at - row * p.W
        count = min(p.W - w, stop - at)
        image = row // p.H * p.OH * p.OW * p.C
        fnn_pool(ops()).max_pixels(dx + at * p.C, dy + image, place + image * size, wide, &p, row % p.H, w, count)
        at += count


cdef void average_pool(void *const *buf, const int64_t *dim, const double *attr,
                       int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef double mean = attr[0]
    cdef fnn_windows p = described(dim)
    cdef int64_t pixels = dim[12], at = first * pixels, stop = min(last * pixels, dim[0] * p.OH * p.OW), row, j, count
    # y = the mean (or sum) of each window; a row of windows at a time
    while at < stop:
        row = at // p.OW
        j = at - row * p.OW
        count = min(p.OW - j, stop - at)
        fnn_pool(ops()).average_windows(y + at * p.C, x + row // p.OH * p.H * p.W * p.C, &p, row % p.OH, j, count,
                                              mean != 0)
        at += count


cdef void average_pool_grad(void *const *buf, const int64_t *dim, const double *attr,
                            int64_t first, int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dy = <const float *> buf[1]
    cdef double mean = attr[0]
    cdef fnn_windows p = described(dim)
    cdef int64_t pixels = dim[12], at = first * pixels, stop = min(last * pixels, dim[0] * p.H * p.W), row, w, count
    # dx += dy / count, over the windows that hold the pixel; a row of pixels at a time
    while at < stop:
        row = at // p.W
        w = at - row * p.W
        count = min(p.W - w, stop - at)
        fnn_pool(ops()).average_pixels(dx + at * p.C, dy + row // p.H * p.OH * p.OW * p.C, &p, row % p.H, w,
                                             count, mean != 0)
        at += count


cdef void resample(void *const *buf, const int64_t *dim, const double *attr,
                   int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const int32_t *index = <const int32_t *> buf[2]
    cdef const float *weight = <const float *> buf[3]
    # by the last two the gradient goes
    cdef const int32_t *back = <const int32_t *> buf[4]
    cdef const float *back_weight = <const float *> buf[5]
    cdef int64_t outer = dim[0], n = dim[1], inner = dim[2], J = dim[3], K = dim[4]
    cdef int64_t group = max(1, CHUNK // max(inner, 1)), row, j
    # y[o, j] = weight[j] @ x[o, index[j]]
    for row in range(first * group, min(last * group, outer * J)):
        j = row % J
        fnn_pool(ops()).mix(y + row * inner, x + row // J * n * inner, index + j * K, weight + j * K, K, n,
                            inner)


KERNELS = {
    "max_pool": <uintptr_t> &max_pool,
    "max_pool_grad": <uintptr_t> &max_pool_grad,
    "average_pool": <uintptr_t> &average_pool,
    "average_pool_grad": <uintptr_t> &average_pool_grad,
    "resample": <uintptr_t> &resample,
}
