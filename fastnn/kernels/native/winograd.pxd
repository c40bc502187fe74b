# Winograd's convolution F(2x2, 3x3) over images: groups of tiles, panels of filters (fastnn/kernels/winograd.py).
from libc.stdint cimport int64_t

from .core cimport fnn_ops, ops, scratch
from .gemm cimport FNN_LINEAR, FNN_RELU, ceil_div, fnn_gemm, smaller

cdef extern from "winograd.h" nogil:
    enum:
        FNN_WINOGRAD_GROUP
    ctypedef struct fnn_winograd_layer:
        int64_t H, W, C, OH, OW, F, top, left
        const float *bias
        const float *plus
        const float *of
        int64_t relu
    ctypedef struct fnn_winograd_ops:
        void (*window)(float *u, const float *w, int64_t C, int64_t F) noexcept nogil
        void (*input)(float *v, const float *x, const fnn_winograd_layer *g, int64_t row, int64_t column,
                      int64_t count) noexcept nogil
        void (*output)(float *y, const float *v, const float *u, const fnn_winograd_layer *g, int64_t f, int64_t row,
                       int64_t column, int64_t count) noexcept nogil
    const fnn_winograd_ops *fnn_winograd(const fnn_ops *table)


# y[OH,OW,F] of the images x[H,W,C], from windows w[3,3,C,F]: rows of outputs `rows` (even) at a time, each a tile of
# the executor; + bias, + plus, then the activation, or its derivative told from `of`. Sizes are in `size`.
cdef inline void winograd(float *y, const float *x, const float *w, const fnn_winograd_layer *size, const float *plus,
                          const float *of, int64_t activation, float alpha, int64_t rows, int64_t together,
                          int64_t first, int64_t last) noexcept nogil:
    cdef const fnn_winograd_ops *tiles = fnn_winograd(ops())
    cdef fnn_winograd_layer g = size[0]
    cdef int64_t down = ceil_div(g.OH, rows), across = ceil_div(g.OW, 2), panel = 16 * 16 * g.C
    cdef int64_t t, n, i, here, total, count, even, more, start, stop, k, f, at, tile, m
    cdef int64_t group = FNN_WINOGRAD_GROUP * 16 * 16 * ceil_div(g.C, 16)
    cdef float *u = <float *> scratch()
    cdef float *v = u + ceil_div(g.F, 16) * panel
    cdef bint of_relu = of != NULL and activation == FNN_RELU
    g.relu = of == NULL and activation == FNN_RELU
    if first < last:
        tiles.window(u, w, g.C, g.F)
    for t in range(first, last):
        n, i = t // down, t % down * rows
        at, here = n * g.OH * g.OW * g.F, smaller(rows, g.OH - i)
        g.plus = plus + at if plus != NULL else NULL
        g.of = of + at if of_relu else NULL
        # tiles from row i on, across the image and down; the groups are nearly as large as one another
        total = ceil_div(here, 2) * across
        count = ceil_div(total, FNN_WINOGRAD_GROUP)
        even, more = total // count, total % count
        start = 0
        while start < count:
            stop = smaller(start + together, count)
            for k in range(start, stop):
                tile, m = i // 2 * across + k * even + smaller(k, more), even + (k < more)
                tiles.input(v + (k - start) * group, x + n * g.H * g.W * g.C, &g, tile // across, tile % across, m)
            f = 0
            while f < g.F:
                for k in range(start, stop):
                    tile, m = i // 2 * across + k * even + smaller(k, more), even + (k < more)
                    tiles.output(y + at, v + (k - start) * group, u + f // 16 * panel, &g, f, tile // across,
                                 tile % across, m)
                f += 16
            start = stop
        at += i * g.OW * g.F
        if of == NULL and activation > FNN_RELU:
            fnn_gemm(ops()).activate(activation, alpha, y + at, g.F, here * g.OW, g.F)
        elif of != NULL and not of_relu:
            fnn_gemm(ops()).derive(activation, alpha, y + at, of + at, g.F, here * g.OW, g.F)
