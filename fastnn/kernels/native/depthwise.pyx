"""Depthwise convolutions: rows of pixels, each tap of the window a run (csrc/conv.h does a row)."""

from libc.stdint cimport int64_t, uintptr_t
from libc.string cimport memset

from .core cimport ops
from .gemm cimport FNN_LINEAR, ceil_div, fnn_gemm, fnn_gemm_ops, fnn_runs, smaller
from .windows cimport Geometry, Pixels, floor_div, fnn_conv, fnn_conv_ops, larger, modulo, pixel, pixels, run_starts, \
    strip, unpack


# The pixels of the rows and columns asked for, each channel `times` times: then they are copied in any case.
cdef Pixels repeated(float *to, const float *image, const Geometry *g, int64_t row, int64_t rows, int64_t width,
                     int64_t times) noexcept nogil:
    cdef Pixels p
    cdef int64_t i, start = larger(-g.left, 0), before = smaller(g.left, width)
    cdef int64_t inside = larger(0, smaller(g.W - start, width - before))
    if times == 1:
        return pixels(to, image, g.H, g.W, g.C, row, rows, -g.left, width)
    p.at, p.row, p.column, p.width, p.channels, p.copied = to, row, -g.left, width, g.F, True
    memset(to, 0, rows * width * g.F * sizeof(float))
    for i in range(larger(row, 0), smaller(row + rows, g.H)):
        fnn_conv(ops()).repeat(to + ((i - row) * width + before) * g.F, image + (i * g.W + start) * g.C, inside * g.C, times)
    return p


# Where the taps stand in rows of so many pixels, and in the window.
cdef void find_taps(int64_t *at, const Geometry *g, int64_t width, fnn_runs *runs) noexcept nogil:
    cdef int64_t kh, kw
    runs.count, runs.a, runs.b = g.KH * g.KW, at, at + g.runs
    for kh in range(g.KH):
        for kw in range(g.KW):
            at[kh * g.KW + kw] = (kh * g.dilation_h * width + kw * g.dilation_w) * g.F
            at[g.runs + kh * g.KW + kw] = (kh * g.KW + kw) * g.F


cdef void depthwise(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last) noexcept nogil:
    cdef float *y = <float *> buf[0]
    cdef const float *x = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *b = <const float *> buf[3]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef Geometry g = unpack(dim)
    cdef const fnn_gemm_ops *edges = fnn_gemm(ops())
    cdef int64_t down = ceil_div(g.OH, g.rows), times = g.F // larger(g.C, 1), t, n, i, h, rows
    cdef int64_t width = (g.OW - 1) * g.stride_w + (g.KW - 1) * g.dilation_w + 1
    cdef Pixels p
    cdef fnn_runs runs
    cdef float *row
    for t in range(first, last):
        n, i = t // down, t % down * g.rows
        rows = smaller(g.rows, g.OH - i)
        p = repeated(strip(g.runs), x + n * g.H * g.W * g.C, &g, i * g.stride_h - g.top,
                     (rows - 1) * g.stride_h + (g.KH - 1) * g.dilation_h + 1, width, times)
        find_taps(run_starts(), &g, p.width, &runs)
        # y[n, h, j] = activation(sum over kh, kw of x[n, h * stride + kh, j * stride + kw] * w[kh, kw] + b)
        for h in range(i, i + rows):
            row = y + (n * g.OH + h) * g.OW * g.F
            fnn_conv(ops()).depthwise(row, g.F, pixel(&p, h * g.stride_h - g.top, -g.left), g.stride_w * g.F, w, &runs,
                                      g.OW, g.F, b)
            if activation != FNN_LINEAR:
                edges.activate(activation, alpha, row, g.F, g.OW, g.F)


cdef void depthwise_grad_input(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                               int64_t last) noexcept nogil:
    cdef float *dx = <float *> buf[0]
    cdef const float *dz = <const float *> buf[1]
    cdef const float *w = <const float *> buf[2]
    cdef const float *y = <const float *> buf[3]
    cdef int64_t activation = <int64_t> attr[0]
    cdef float alpha = <float> attr[1]
    cdef Geometry g = unpack(dim)
    cdef int64_t *at = run_starts()
    cdef int64_t down = ceil_div(g.H, g.rows), times = g.F // larger(g.C, 1), t, n, i, h, v, kh, kw, low, high
    cdef int64_t left = floor_div(g.left - (g.KW - 1) * g.dilation_w, g.stride_w)
    cdef int64_t right = floor_div(g.W - 1 + g.left, g.stride_w)
    cdef Pixels p
    cdef fnn_runs runs
    cdef float *row
    cdef float *wide
    runs.a, runs.b = at, at + g.runs
    for t in range(first, last):
        n, i = t // down, t % down * g.rows
        low = floor_div(i + g.top - (g.KH - 1) * g.dilation_h, g.stride_h)
        high = floor_div(i + smaller(g.rows, g.H - i) - 1 + g.top, g.stride_h)
        p = pixels(strip(g.runs), dz + n * g.OH * g.OW * g.F, g.OH, g.OW, g.F, low, high - low + 1, left, right - left + 1)
        for h in range(i, i + smaller(g.rows, g.H - i)):
            row = dx + (n * g.H + h) * g.W * g.C
            wide = row if times == 1 else strip(g.runs) + (high - low + 1) * (right - left + 1) * g.F
            # dx[n, h, v] = sum over taps of dz[n, (h + top - kh) / stride, (v + left - kw) / stride] * w[kh, kw]
            for v in range(smaller(g.stride_w, g.W)):
                runs.count = 0
                for kh in range(g.KH - 1, -1, -1):
                    for kw in range(g.KW - 1, -1, -1):
                        if (modulo(h + g.top - kh * g.dilation_h, g.stride_h) == 0
                                and modulo(v + g.left - kw * g.dilation_w, g.stride_w) == 0):
                            at[runs.count] = pixel(&p, floor_div(h + g.top - kh * g.dilation_h, g.stride_h),
                                                   floor_div(v + g.left - kw * g.dilation_w, g.stride_w)) - p.at
                            at[g.runs + runs.count] = (kh * g.KW + kw) * g.F
                            runs.count += 1
                fnn_conv(ops()).depthwise(wide + v * g.F, g.stride_w * g.F, p.at, g.F, w, &runs,
                                          ceil_div(g.W - v, g.stride_w), g.F, NULL)
            if times > 1:
                fnn_conv(ops()).fold(row, wide, g.W * g.C, times)
            if y != NULL and activation != FNN_LINEAR:
                fnn_gemm(ops()).derive(activation, alpha, row, y + (n * g.H + h) * g.W * g.C, g.C, g.W, g.C)


cdef void depthwise_grad_weight(void *const *buf, const int64_t *dim, const double *attr, int64_t first,
                                int64_t last) noexcept nogil:
    cdef float *dw = <float *> buf[0]
    cdef float *db = <float *> buf[1]
    cdef const float *x = <const float *> buf[2]
    cdef const float *dz = <const float *> buf[3]
    cdef int64_t images = dim[18]
    cdef Geometry g = unpack(dim)
    cdef const fnn_conv_ops *c = fnn_conv(ops())
    cdef int64_t times = g.F // larger(g.C, 1), size = g.KH * g.KW * g.F, t, n, i, h, rows
    cdef int64_t width = (g.OW - 1) * g.stride_w + (g.KW - 1) * g.dilation_w + 1
    cdef Pixels p
    cdef fnn_runs runs
    for t in range(first, last):
        memset(dw + t * size, 0, size * sizeof(float))
        memset(db + t * g.F, 0, g.F * sizeof(float))
        for n in range(t * images, smaller((t + 1) * images, g.N)):
            i = 0
            while i < g.OH:
                rows = smaller(g.rows, g.OH - i)
                p = repeated(strip(g.runs), x + n * g.H * g.W * g.C, &g, i * g.stride_h - g.top,
                             (rows - 1) * g.stride_h + (g.KH - 1) * g.dilation_h + 1, width, times)
                find_taps(run_starts(), &g, p.width, &runs)
                # dw[t, kh, kw] += (x[n, h * stride + kh, kw::stride] * dz[n, h]).sum(0);  db[t] += dz[n, h].sum(0)
                for h in range(i, i + rows):
                    c.depthwise_weight(dw + t * size, pixel(&p, h * g.stride_h - g.top, -g.left), g.stride_w * g.F,
                                       dz + (n * g.OH + h) * g.OW * g.F, g.F, &runs, g.OW, g.F)
                c.add_rows(db + t * g.F, dz + (n * g.OH + i) * g.OW * g.F, g.F, rows * g.OW, g.F)
                i += rows


KERNELS = {
    "depthwise": <uintptr_t> &depthwise,
    "depthwise_grad_input": <uintptr_t> &depthwise_grad_input,
    "depthwise_grad_weight": <uintptr_t> &depthwise_grad_weight,
}
