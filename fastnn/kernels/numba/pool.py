"""Pooling and resampling, of one row of windows or pixels at a time."""

from __future__ import annotations

import numpy as np

from ..pool import CHUNK
from .form import form, helper
from .memory import view

f4 = np.float32
BYTES = 256  # places that a byte can tell apart


# ---------------------------------------------------------------------- windows


@helper
def window(at, size, pool, stride, before):
    """(where window number `at` starts, first and end of its elements that exist)"""
    start = at * stride - before
    return start, max(-start, 0), min(size - start, pool)


@helper(noalias=True)
def larger(y, place, x, number):
    """y, place = x, number where x is larger, or NaN"""
    for c in range(len(y)):
        take = (x[c] > y[c]) | (x[c] != x[c])
        y[c] = x[c] if take else y[c]
        place[c] = number if take else place[c]


@helper(noalias=True)
def started(y, place, x, number):
    """y, place = x, number"""
    for c in range(len(y)):
        y[c] = x[c]
        place[c] = number


@helper(noalias=True)
def plus(y, x):
    """y += x"""
    for c in range(len(y)):
        y[c] += x[c]


@helper(noalias=True)
def plus_scaled(y, x, scale):
    """y += x * scale"""
    for c in range(len(y)):
        y[c] += x[c] * scale


@helper(noalias=True)
def plus_where(y, x, place, number):
    """y += np.where(place == number, x, 0)"""
    for c in range(len(y)):
        y[c] += x[c] if place[c] == number else f4(0)


@helper(noalias=True)
def times(y, scale):
    """y *= scale"""
    for c in range(len(y)):
        y[c] *= scale


@helper
def max_windows(y, place, x, dim, first, last):
    """The largest of each window, and where it stands"""
    h, w, oh, ow, ph, pw, sh, sw, top, left = (dim[1], dim[2], dim[4], dim[5], dim[6], dim[7], dim[8], dim[9], dim[10],
                                               dim[11])
    for at in range(first, last):
        row, j = at // ow, at % ow
        image = x[row // oh * h : (row // oh + 1) * h]
        h0, r0, r1 = window(row % oh, h, ph, sh, top)
        w0, s0, s1 = window(j, w, pw, sw, left)
        started(y[at], place[at], image[h0 + r0, w0 + s0], r0 * pw + s0)
        for r in range(r0, r1):
            for s in range(s0, s1):
                if r > r0 or s > s0:
                    larger(y[at], place[at], image[h0 + r, w0 + s], r * pw + s)


@form(y="f4 N*OH*OW C", place="address", x="f4 N*H W C")
def max_pool(y, place, x, C, PH, PW, pixels, dim, first, last):
    """y = the largest of each window, place = where in the window it stands"""
    start, stop = first * pixels, min(last * pixels, len(y))
    if PH * PW <= BYTES:
        max_windows(y, view(place, (len(y), C), np.uint8), x, dim, start, stop)
    else:
        max_windows(y, view(place, (len(y), C), np.int32), x, dim, start, stop)


@form(y="f4 N*OH*OW C", x="f4 N*H W C")
def average_pool(y, x, H, W, OH, OW, PH, PW, SH, SW, top, left, pixels, mean, first, last):
    """y = the mean (or sum) of each window"""
    for at in range(first * pixels, min(last * pixels, len(y))):
        row, j = at // OW, at % OW
        image = x[row // OH * H : (row // OH + 1) * H]
        h0, r0, r1 = window(row % OH, H, PH, SH, top)
        w0, s0, s1 = window(j, W, PW, SW, left)
        out = y[at]
        out[:] = f4(0)
        for r in range(r0, r1):
            for s in range(s0, s1):
                plus(out, image[h0 + r, w0 + s])
        if mean != 0.0:
            times(out, f4(1.0) / f4((r1 - r0) * (s1 - s0)))


# ---------------------------------------------------------------------- pixels


@helper
def holders(at, out, pool, stride):
    """First and end of the windows that hold the place `at`, counted from the start of the first window"""
    return 0 if at < pool else (at - pool) // stride + 1, min(at // stride + 1, out)


@helper
def max_pixels(dx, dy, place, dim, first, last):
    """dx += dy where it is the pixel's place in the window"""
    h, w, oh, ow, ph, pw, sh, sw, top, left = (dim[1], dim[2], dim[4], dim[5], dim[6], dim[7], dim[8], dim[9], dim[10],
                                               dim[11])
    for at in range(first, last):
        row, v = at // w, at % w + left
        u, image = row % h + top, row // h * oh
        i0, i1 = holders(u, oh, ph, sh)
        j0, j1 = holders(v, ow, pw, sw)
        out = dx[at]
        out[:] = f4(0)
        for i in range(i0, i1):
            for j in range(j0, j1):
                k = (image + i) * ow + j
                plus_where(out, dy[k], place[k], (u - i * sh) * pw + (v - j * sw))


@form(dx="f4 N*H*W C", dy="f4 N*OH*OW C", place="address")
def max_pool_grad(dx, dy, place, C, PH, PW, pixels, dim, first, last):
    """dx[place] += dy"""
    start, stop = first * pixels, min(last * pixels, len(dx))
    if PH * PW <= BYTES:
        max_pixels(dx, dy, view(place, (len(dy), C), np.uint8), dim, start, stop)
    else:
        max_pixels(dx, dy, view(place, (len(dy), C), np.int32), dim, start, stop)


@form(dx="f4 N*H*W C", dy="f4 N*OH*OW C")
def average_pool_grad(dx, dy, H, W, OH, OW, PH, PW, SH, SW, top, left, pixels, mean, first, last):
    """dx += dy / count, over the windows that hold the pixel"""
    for at in range(first * pixels, min(last * pixels, len(dx))):
        row, w = at // W, at % W
        h, image = row % H, row // H * OH
        i0, i1 = holders(h + top, OH, PH, SH)
        j0, j1 = holders(w + left, OW, PW, SW)
        out = dx[at]
        out[:] = f4(0)
        for i in range(i0, i1):
            _, r0, r1 = window(i, H, PH, SH, top)
            for j in range(j0, j1):
                _, s0, s1 = window(j, W, PW, SW, left)
                share = f4(1.0) / f4((r1 - r0) * (s1 - s0)) if mean != 0.0 else f4(1)
                plus_scaled(out, dy[(image + i) * OW + j], share)


# ---------------------------------------------------------------------- an axis mixed anew


@form(y="f4 outer*J inner", x="f4 outer*n inner", index="i4 J K", weight="f4 J K")
def resample(y, x, index, weight, n, inner, J, K, first, last):
    """y[o, j] = weight[j] @ x[o, index[j]]"""
    group = max(1, CHUNK // max(inner, 1))
    for row in range(first * group, min(last * group, len(y))):
        j, start = row % J, row // J * n
        out = y[row]
        out[:] = f4(0)
        for k in range(K):
            if weight[j, k] != 0.0 and 0 <= index[j, k] < n:
                plus_scaled(out, x[start + index[j, k]], weight[j, k])
