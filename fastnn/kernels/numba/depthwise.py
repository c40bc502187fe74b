"""Depthwise convolutions: for each tap of the window, the rows of pixels that it meets."""

from __future__ import annotations

from .activation import LINEAR, activate, multiply_slope
from .conv import clear, met
from .dense import add_row
from .form import form, helper
from .math import fma


@form(y="f4 N OH OW F", x="f4 N H W C", w="f4 KH*KW F", b="f4 F")
def depthwise(y, x, w, b, H, W, C, OH, OW, F, KH, KW, stride_h, stride_w, dilation_h, dilation_w, top, left, rows,
              activation, alpha, first, last):
    """y[n, i, j] = activation(sum over kh, kw of x[n, i * stride + kh, j * stride + kw] * w[kh, kw] + b)"""
    down, times = -(-OH // rows), F // max(C, 1)
    for t in range(first, last):
        n = t // down
        for i in range(t % down * rows, min(OH, (t % down + 1) * rows)):
            clear(y[n, i])
            for kh in range(KH):
                h = i * stride_h + kh * dilation_h - top
                if h < 0 or h >= H:
                    continue
                for kw in range(KW):
                    shift = kw * dilation_w - left
                    start, stop = met(shift, stride_w, W, OW)
                    for j in range(start, stop):
                        add_products(y[n, i, j], x[n, h, j * stride_w + shift], w[kh * KW + kw], times)
            for j in range(OW):
                if len(b):
                    add_row(y[n, i, j], b)
                if activation != LINEAR:
                    activate(activation, y[n, i, j], y[n, i, j], alpha)


@form(dx="f4 N H W C", dz="f4 N OH OW F", w="f4 KH*KW F", y="f4 N H W C")
def depthwise_grad_input(dx, dz, w, y, H, W, C, OH, OW, F, KH, KW, stride_h, stride_w, dilation_h, dilation_w, top,
                         left, rows, activation, alpha, first, last):
    """dx[n, h, v] = sum over taps of dz[n, (h + top - kh) / stride, (v + left - kw) / stride] * w[kh, kw]"""
    down, times = -(-H // rows), F // max(C, 1)
    for t in range(first, last):
        n = t // down
        for h in range(t % down * rows, min(H, (t % down + 1) * rows)):
            clear(dx[n, h])
            for m in range(times):
                for kh in range(KH - 1, -1, -1):
                    row = h + top - kh * dilation_h
                    i = row // stride_h
                    if row % stride_h != 0 or i < 0 or i >= OH:
                        continue
                    for kw in range(KW - 1, -1, -1):
                        shift = kw * dilation_w - left
                        start, stop = met(shift, stride_w, W, OW)
                        for j in range(start, stop):
                            line, pixel, weights = dx[n, h, j * stride_w + shift], dz[n, i, j], w[kh * KW + kw]
                            for c in range(C):
                                line[c] = fma(pixel[c * times + m], weights[c * times + m], line[c])
            if len(y) and activation != LINEAR:
                for v in range(W):
                    multiply_slope(activation, dx[n, h, v], dx[n, h, v], y[n, h, v], y[n, h, v], alpha)


@form(dw="f4 -(-max(N,1)//images) KH*KW F", db="f4 -(-max(N,1)//images) F", x="f4 N H W C", dz="f4 N OH OW F")
def depthwise_grad_weight(dw, db, x, dz, N, H, W, C, OH, OW, F, KH, KW, stride_h, stride_w, dilation_h, dilation_w, top,
                          left, images, first, last):
    """dw[part, kh, kw] = sum over the part's images and pixels of x[n, ...] * dz[n, i, j]; db[part] = dz.sum()"""
    times = F // max(C, 1)
    for t in range(first, last):
        clear(dw[t])
        for f in range(F):
            db[t, f] = 0.0
        for n in range(t * images, min(N, (t + 1) * images)):
            for i in range(OH):
                for j in range(OW):
                    add_row(db[t], dz[n, i, j])
                for kh in range(KH):
                    h = i * stride_h + kh * dilation_h - top
                    if h < 0 or h >= H:
                        continue
                    for kw in range(KW):
                        shift = kw * dilation_w - left
                        start, stop = met(shift, stride_w, W, OW)
                        for j in range(start, stop):
                            add_products(dw[t, kh * KW + kw], x[n, h, j * stride_w + shift], dz[n, i, j], times)


@helper
def add_products(y, x, w, times):
    """y += np.repeat(x, times) * w"""
    if times == 1:
        for c in range(len(y)):
            y[c] = fma(x[c], w[c], y[c])
    else:
        for c in range(len(y)):
            y[c] = fma(x[c // times], w[c], y[c])
