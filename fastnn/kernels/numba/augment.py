"""Augmentation: matrices of samples, images seen through them, boxes, and samples mixed. No FMA, as in NumPy."""

from __future__ import annotations

import math

import numpy as np

from ..spec import BLOCK
from .dropout import sin_cos
from .form import form, helper

f4, i8 = np.float32, np.int64
FAR = f4(1e9)
CONSTANT, NEAREST, REFLECT = 0, 1, 2


@helper
def scaled(u, low, high):
    return f4(low) + u * f4(high - low)


@helper
def cropped(u, places):
    """A whole number from 0 to `places`"""
    at = f4(math.floor(u * f4(places + 1.0)))
    return at if at < f4(places) else f4(places)


@form(matrix="f4 N 6", u="f4 N 7", before="f4 N 6", height="f8", width="f8", turn_low="f8", turn_high="f8",
      zoom_rows_low="f8", zoom_rows_high="f8", zoom_columns_low="f8", zoom_columns_high="f8", shift_rows_low="f8",
      shift_rows_high="f8", shift_columns_low="f8", shift_columns_high="f8")
def affine_matrix(matrix, u, before, N, height, width, mirror_columns, mirror_rows, turn_low, turn_high, zoom_rows_low,
                  zoom_rows_high, zoom_columns_low, zoom_columns_high, same_zoom, shift_rows_low, shift_rows_high,
                  shift_columns_low, shift_columns_high, crop_rows, crop_columns, first, last):
    """row_in, column_in = matrix @ (row, column, 1)"""
    middle, centre = f4((height - 1.0) * 0.5), f4((width - 1.0) * 0.5)
    for n in range(first * BLOCK, min(last * BLOCK, N)):
        b, m = u[n], matrix[n]
        angle = f4(4) * scaled(b[2], turn_low, turn_high)
        quarter = f4(np.rint(angle))
        q = i8(quarter) & 3
        s, c = sin_cos(angle - quarter)
        s, c = (c, s) if q & 1 else (s, c)
        s, c = -s if q & 2 else s, -c if (q + 1) & 2 else c
        rows = scaled(b[3], zoom_rows_low, zoom_rows_high)
        columns = rows if same_zoom != 0.0 else scaled(b[4], zoom_columns_low, zoom_columns_high)
        down, across = f4(-1) if b[1] < mirror_rows else f4(1), f4(-1) if b[0] < mirror_columns else f4(1)
        m0, m1, m3, m4 = rows * c * down, rows * s * across, -(columns * s) * down, columns * c * across
        m2 = middle - (m0 * middle + m1 * centre) - scaled(b[5], shift_rows_low, shift_rows_high) * f4(height)
        m5 = centre - (m3 * middle + m4 * centre) - scaled(b[6], shift_columns_low, shift_columns_high) * f4(width)
        m2, m5 = m2 + cropped(b[5], crop_rows), m5 + cropped(b[6], crop_columns)
        if len(before) == 0:
            m[0], m[1], m[2], m[3], m[4], m[5] = m0, m1, m2, m3, m4, m5
        else:
            for i in range(0, 6, 3):
                p, r, k = before[n, i], before[n, i + 1], before[n, i + 2]
                m[i], m[i + 1], m[i + 2] = p * m0 + r * m3 + f4(0), p * m1 + r * m4 + f4(0), p * m2 + r * m5 + k


@helper
def look_up(at, n, mode):
    """Index within 0..n-1, or -1: there is nothing"""
    if 0 <= at < n:
        return at
    if mode == CONSTANT:
        return -1
    if mode == NEAREST:
        return 0 if at < 0 else n - 1
    if mode == REFLECT:
        at = at % (2 * n)
        return at if at < n else 2 * n - 1 - at
    return at % n


@helper
def within(v):
    v = v if v > -FAR else -FAR
    return v if v < FAR else FAR


@helper
def pixel(x, r, c, k, value):
    return x[r, c, k] if r >= 0 and c >= 0 else value


@form(y="f4 N*OH OW C", x="f4 N*H W C", matrix="f4 N 6")
def affine_sample(y, x, matrix, H, W, C, OH, OW, rows, mode, bilinear, value, first, last):
    """y[n, i] = the row i of x[n] through matrix[n]"""
    half = f4(0) if bilinear != 0.0 else f4(0.5)
    for row in range(first * rows, min(last * rows, len(y))):
        n, i = row // OH, f4(row % OH)
        m, image = matrix[n], x[n * H : (n + 1) * H]
        for j in range(OW):
            r, c = within((m[0] * i + m[1] * f4(j)) + m[2]) + half, within((m[3] * i + m[4] * f4(j)) + m[5]) + half
            r0, c0 = i8(math.floor(r)), i8(math.floor(c))
            u, v = r - f4(r0), c - f4(c0)
            ra, ca = look_up(r0, H, mode), look_up(c0, W, mode)
            if bilinear == 0.0:
                for k in range(C):
                    y[row, j, k] = pixel(image, ra, ca, k, value)
                continue
            rb, cb = look_up(r0 + 1, H, mode), look_up(c0 + 1, W, mode)
            for k in range(C):
                above = pixel(image, ra, ca, k, value) * (f4(1) - v) + pixel(image, ra, cb, k, value) * v
                below = pixel(image, rb, ca, k, value) * (f4(1) - v) + pixel(image, rb, cb, k, value) * v
                y[row, j, k] = above * (f4(1) - u) + below * u


@helper
def partner(n, count, turn):
    """The sample so many places on, from 1 to count - 1"""
    if count < 2:
        return n
    places = i8(math.floor(turn * f4(count - 1)))
    return (n + 1 + max(min(places, count - 2), 0)) % count


@form(y="f4 N*H W C", x="f4 N*H W C", box="f4 N 4", other="f4 N*H W C", turn="f4 1")
def paste_boxes(y, x, box, other, turn, N, H, W, C, rows, value, first, last):
    """y = x, and in the box other[partner], or value"""
    for row in range(first * rows, min(last * rows, len(y))):
        n = row // H
        r, b = row - n * H, box[n]
        source = (partner(n, N, turn[0]) if len(turn) else n) * H + r
        inside = b[0] <= f4(r) and f4(r) < b[2]
        for c in range(W):
            if inside and b[1] <= f4(c) and f4(c) < b[3]:
                for k in range(C):
                    y[row, c, k] = other[source, c, k] if len(other) else value
            else:
                for k in range(C):
                    y[row, c, k] = x[row, c, k]


@helper(noalias=True)
def mixed(y, a, b, weight, rest):
    """y = weight * a + rest * b"""
    for i in range(len(y)):
        y[i] = weight * a[i] + rest * b[i]


@form(y="f4 N features", x="f4 N features", weight="f4 N", turn="f4 1")
def mix_rows(y, x, weight, turn, N, first, last):
    """y = weight * x + (1 - weight) * x[partner]"""
    for n in range(first, last):
        mixed(y[n], x[n], x[partner(n, N, turn[0])], weight[n], f4(1) - weight[n])


@form(y="f4 N", u="f4 N", table="f4 K")
def quantile(y, u, table, N, K, first, last):
    """y = np.interp(u, np.linspace(0, 1, K), table)"""
    for i in range(first * BLOCK, min(last * BLOCK, N)):
        at = u[i] * f4(K - 1)
        low = min(max(i8(math.floor(at)), 0), K - 2)
        y[i] = table[low] + (at - f4(low)) * (table[low + 1] - table[low])
