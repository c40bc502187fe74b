"""Convolutions: for each row of pixels and each tap of the kernel one product, over the pixels that the tap meets.

The taps come in the order of the native form, and what lies outside of an image adds nothing: the bits are the same,
but where the native form goes by Winograd's algorithm.
"""

from __future__ import annotations

import numpy as np

from .activation import LINEAR, activate, multiply_slope
from .dense import add_row
from .form import form, helper
from .gemm import product

MORE = np.True_  # for `add` of `product`, see `gemm.NEW`


@form(y="f4 N OH OW F", x="f4 N H W C", w="f4 KH KW C//groups F", b="f4 F")
def conv(y, x, w, b, H, W, C, OH, OW, F, KH, KW, groups, stride_h, stride_w, dilation_h, dilation_w, top, left, rows,
         activation, alpha, first, last):
    """y[n, i, j] = activation(sum over kh, kw of x[n, i * stride + kh, j * stride + kw] @ w[kh, kw] + b)"""
    down = -(-OH // rows)
    channels, filters = C // groups, F // groups
    for t in range(first, last):
        n = t // down
        for i in range(t % down * rows, min(OH, (t % down + 1) * rows)):
            line = y[n, i]
            clear(line)
            for kh in range(KH):
                h = i * stride_h + kh * dilation_h - top
                if h < 0 or h >= H:
                    continue
                for kw in range(KW):
                    start, stop = met(kw * dilation_w - left, stride_w, W, OW)
                    if start >= stop:
                        continue
                    column = start * stride_w + kw * dilation_w - left
                    seen = x[n, h, column::stride_w, :][: stop - start]
                    for g in range(groups):
                        wide_product(line[start:stop, g * filters : (g + 1) * filters],
                                     seen[:, g * channels : (g + 1) * channels],
                                     w[kh, kw, :, g * filters : (g + 1) * filters])
            for j in range(OW):
                if len(b):
                    add_row(line[j], b)
                if activation != LINEAR:
                    activate(activation, line[j], line[j], alpha)


@form(dx="f4 N H W C", dz="f4 N OH OW F", turned="f4 KH KW F C//groups", y="f4 N H W C",
      plus="f4 N H W C")
def conv_grad_input(dx, dz, turned, y, plus, H, W, C, OH, OW, F, groups, stride_h, stride_w, dilation_h, dilation_w,
                    top, left, rows, activation, alpha, first, last):
    """dx[n, h, w] = sum over taps of dz[n, (h + top - kh) / stride, (w + left - kw) / stride] @ w[kh, kw].T"""
    down = -(-H // rows)
    for t in range(first, last):
        n = t // down
        for h in range(t % down * rows, min(H, (t % down + 1) * rows)):
            spread_row(dx[n, h], dz[n], turned, h, W, C, OH, OW, F, groups, stride_h, stride_w, dilation_h, dilation_w,
                       top, left)
            if len(plus):
                for w in range(W):
                    add_row(dx[n, h, w], plus[n, h, w])
            if len(y) and activation != LINEAR:
                for w in range(W):
                    multiply_slope(activation, dx[n, h, w], dx[n, h, w], y[n, h, w], y[n, h, w], alpha)


@form(y="f4 N H W C", x="f4 N OH OW F", turned="f4 KH KW F C//groups", b="f4 C")
def conv_transpose(y, x, turned, b, H, W, C, OH, OW, F, groups, stride_h, stride_w, dilation_h, dilation_w, top, left,
                   rows, activation, alpha, first, last):
    """y[n, h, w] = activation(sum over taps of x[n, (h + top - kh) / stride, ...] @ w[kh, kw].T + b)"""
    down = -(-H // rows)
    for t in range(first, last):
        n = t // down
        for h in range(t % down * rows, min(H, (t % down + 1) * rows)):
            spread_row(y[n, h], x[n], turned, h, W, C, OH, OW, F, groups, stride_h, stride_w, dilation_h, dilation_w,
                       top, left)
            for w in range(W):
                if len(b):
                    add_row(y[n, h, w], b)
                if activation != LINEAR:
                    activate(activation, y[n, h, w], y[n, h, w], alpha)


@form(dw="f4 -(-max(N,1)//images) KH KW C//groups F", db="f4 -(-max(N,1)//images) F", x="f4 N H W C", dz="f4 N OH OW F")
def conv_grad_weight(dw, db, x, dz, N, H, W, C, OH, OW, F, KH, KW, groups, stride_h, stride_w, dilation_h, dilation_w,
                     top, left, images, cuts, first, last):
    """dw[part, kh, kw] = sum over the part's images and rows of x[n, pixels].T @ dz[n, i]; db[part] = dz.sum()"""
    channels, filters = C // groups, F // groups
    for t in range(first, last):
        part, cut = t // cuts, t % cuts
        for kh in range(KH):
            if cuts == 1 or kh == cut:
                for kw in range(KW):
                    clear(dw[part, kh, kw])
        if cut == 0:
            for f in range(F):
                db[part, f] = 0.0
        for n in range(part * images, min(N, (part + 1) * images)):
            for i in range(OH):
                if cut == 0:
                    for j in range(OW):
                        add_row(db[part], dz[n, i, j])
                for kh in range(KH):
                    h = i * stride_h + kh * dilation_h - top
                    if cuts > 1 and kh != cut or h < 0 or h >= H:
                        continue
                    for kw in range(KW):
                        start, stop = met(kw * dilation_w - left, stride_w, W, OW)
                        if start >= stop:
                            continue
                        column = start * stride_w + kw * dilation_w - left
                        seen = x[n, h, column::stride_w, :][: stop - start]
                        for g in range(groups):
                            wide_product(dw[part, kh, kw, :, g * filters : (g + 1) * filters],
                                         seen[:, g * channels : (g + 1) * channels].T,
                                         dz[n, i, start:stop, g * filters : (g + 1) * filters])


@form(y="f4 KH KW F C", w="f4 KH KW C F")
def turn_kernel(y, w, KH, KW, C, F, first, last):
    """y[KH-1-i, KW-1-j] = w[i, j].T"""
    for t in range(first, last):
        i, j = t // KW, t % KW
        for f in range(F):
            for c in range(C):
                y[KH - 1 - i, KW - 1 - j, f, c] = w[i, j, c, f]


# ---------------------------------------------------------------------- parts of them

@helper
def clear(x):
    """x = 0, of two axes"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = 0.0


@helper
def met(shift, stride, size, count):
    """Of the pixels j * stride + shift, j < count, those within 0..size-1: the first j and the one behind the last."""
    start = max(0, -(shift // stride))
    stop = (size - 1 - shift) // stride + 1
    return start, max(start, min(count, stop))


@helper
def wide_product(c, a, b):
    """c += a @ b, 256 columns at a time"""
    for j in range(0, c.shape[1], 256):
        product(c[:, j : j + 256], a[:, :], b[:, j : j + 256], MORE)


@helper
def spread_row(x, z, turned, h, W, C, OH, OW, F, groups, stride_h, stride_w, dilation_h, dilation_w, top, left):
    """x = row h of what the images z are spread to, the last taps first"""
    channels, filters = C // groups, F // groups
    rows, columns = turned.shape[0], turned.shape[1]
    clear(x)
    for kh in range(rows - 1, -1, -1):
        row = h + top - kh * dilation_h
        i = row // stride_h
        if row % stride_h != 0 or i < 0 or i >= OH:
            continue
        for kw in range(columns - 1, -1, -1):
            start, stop = met(kw * dilation_w - left, stride_w, W, OW)
            if start >= stop:
                continue
            column = start * stride_w + kw * dilation_w - left
            hit = x[column::stride_w, :][: stop - start]
            for g in range(groups):
                wide_product(hit[:, g * channels : (g + 1) * channels],
                             z[i, start:stop, g * filters : (g + 1) * filters],
                             turned[rows - 1 - kh, columns - 1 - kw, g * filters : (g + 1) * filters, :])
