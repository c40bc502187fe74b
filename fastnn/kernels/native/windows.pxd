# Windows that go over images (fastnn/kernels/windows.py): their sizes, and the pixels that a tile reads.
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from .core cimport fnn_ops, scratch
from .gemm cimport ceil_div, fnn_runs, smaller

cdef extern from "conv.h" nogil:
    ctypedef struct fnn_conv_ops:
        void (*add_rows)(float *sum, const float *src, int64_t pitch, int64_t rows, int64_t columns) noexcept nogil
        void (*depthwise)(float *y, int64_t ys, const float *x, int64_t xs, const float *w, const fnn_runs *runs,
                          int64_t pixels, int64_t channels, const float *bias) noexcept nogil
        void (*depthwise_weight)(float *dw, const float *x, int64_t xs, const float *dz, int64_t zs,
                                 const fnn_runs *runs, int64_t pixels, int64_t channels) noexcept nogil
        void (*repeat)(float *to, const float *src, int64_t n, int64_t times) noexcept nogil
        void (*fold)(float *to, const float *src, int64_t n, int64_t times) noexcept nogil
        void (*winograd_grad_patches)(float *v, int64_t pitch, int64_t point, const float *x, int64_t H, int64_t W,
                                 int64_t C, int64_t h, int64_t w, int64_t n) noexcept nogil
        void (*winograd_grad_squares)(float *z, int64_t pitch, int64_t point, const float *dy, int64_t OH, int64_t OW,
                                 int64_t F, int64_t filters, int64_t h, int64_t w, int64_t n) noexcept nogil
        void (*winograd_grad_window)(float *dw, int64_t tap, int64_t row, const float *u, int64_t point, int64_t pitch,
                                int64_t channels, int64_t filters) noexcept nogil
    const fnn_conv_ops *fnn_conv(const fnn_ops *table)


# The sizes of a convolution, as the spec's DIMS name them.
cdef struct Geometry:
    int64_t N, H, W, C, OH, OW, F, KH, KW, groups, stride_h, stride_w, dilation_h, dilation_w, top, left, rows, runs


# The pixels that a tile reads: pixel (i, j) of `channels` floats stands at (i - row) * width + j - column. They are
# those of the image itself, or a copy with zeros around.
cdef struct Pixels:
    const float *at
    int64_t row, column, width, channels
    bint copied


cdef inline int64_t larger(int64_t a, int64_t b) noexcept nogil:
    return a if a > b else b


# a // b and the rest of it for a negative a too; b > 0
cdef inline int64_t floor_div(int64_t a, int64_t b) noexcept nogil:
    return a // b if a >= 0 else -((b - 1 - a) // b)


cdef inline int64_t modulo(int64_t a, int64_t b) noexcept nogil:
    return a - floor_div(a, b) * b


cdef inline Geometry unpack(const int64_t *dim) noexcept nogil:
    cdef Geometry g
    g.N, g.H, g.W, g.C, g.OH, g.OW, g.F = dim[0], dim[1], dim[2], dim[3], dim[4], dim[5], dim[6]
    g.KH, g.KW = dim[7], dim[8]
    g.groups, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w = dim[9], dim[10], dim[11], dim[12], dim[13]
    g.top, g.left, g.rows, g.runs = dim[14], dim[15], dim[16], dim[17]
    return g


# Scratch memory: where the runs begin in A and in B, then floats.
cdef inline int64_t *run_starts() noexcept nogil:
    return <int64_t *> scratch()


cdef inline float *strip(int64_t runs) noexcept nogil:
    return <float *> scratch() + ceil_div(runs * 16, 64) * 16


# to = image[row:row+rows, column:column+width], zero outside of the image of H x W pixels
cdef inline void copy_pixels(float *to, const float *image, int64_t H, int64_t W, int64_t C, int64_t row, int64_t rows,
                      int64_t column, int64_t width) noexcept nogil:
    cdef int64_t i, before = larger(0, smaller(-column, width)), inside
    cdef int64_t start = larger(column, 0)
    inside = larger(0, smaller(W - start, width - before))
    for i in range(row, row + rows):
        if i < 0 or i >= H or inside == 0:
            memset(to, 0, width * C * sizeof(float))
        else:
            memset(to, 0, before * C * sizeof(float))
            memcpy(to + before * C, image + (i * W + start) * C, inside * C * sizeof(float))
            memset(to + (before + inside) * C, 0, (width - before - inside) * C * sizeof(float))
        to += width * C


# The pixels of the rows and columns asked for; copied to `to` only if some of them are outside of the image.
cdef inline Pixels pixels(float *to, const float *image, int64_t H, int64_t W, int64_t C, int64_t row, int64_t rows,
                   int64_t column, int64_t width) noexcept nogil:
    cdef Pixels p
    if row >= 0 and row + rows <= H and column >= 0 and column + width <= W:
        p.at, p.row, p.column, p.width, p.channels, p.copied = image, 0, 0, W, C, False
        return p
    copy_pixels(to, image, H, W, C, row, rows, column, width)
    p.at, p.row, p.column, p.width, p.channels, p.copied = to, row, column, width, C, True
    return p


cdef inline const float *pixel(const Pixels *p, int64_t i, int64_t j) noexcept nogil:
    return p.at + ((i - p.row) * p.width + j - p.column) * p.channels
