"""Sums, means and maxima over axes, and movement: broadcast, transpose, join, cut out."""

from __future__ import annotations

import numpy as np

from ..reduce import CHUNK, COLUMNS
from ..spec import BLOCK
from .form import form, helper
from .memory import copied, view
from .rows import LEAST, row_max, row_sum

f4 = np.float32
PART = 1024  # columns that stay in the first cache while rows are added to them


# ---------------------------------------------------------------------- sums: x is (outer, n, inner), y (outer, inner)


@helper
def rows_per_tile(n):
    """As `fastnn.kernels.reduce.rows_per_tile`."""
    return 1 if n >= CHUNK else max(16, CHUNK // max(n, 1) // 16 * 16)


@helper
def plus_four(s, a, b, c, d):
    """s = (((s + a) + b) + c) + d"""
    for i in range(len(s)):
        s[i] = (((s[i] + a[i]) + b[i]) + c[i]) + d[i]


@helper
def plus_one(s, a):
    """s += a"""
    for i in range(len(s)):
        s[i] += a[i]


@helper
def nan_max(a, b):
    """The larger, NaN if one is NaN; this is shorter than `maximum`, which orders zeros too."""
    return b if (b > a) | (b != b) else a


@helper
def largest_of_five(s, a, b, c, d):
    """s = the largest of s, a, b, c, d"""
    for i in range(len(s)):
        s[i] = nan_max(nan_max(nan_max(nan_max(s[i], a[i]), b[i]), c[i]), d[i])


@helper
def larger_of_two(s, a):
    """s = the larger of s and a"""
    for i in range(len(s)):
        s[i] = nan_max(s[i], a[i])


@helper
def sum_columns(y, x, n, inner):
    """y = x.sum(0) of n rows that start `inner` elements apart"""
    width = len(y)
    for at in range(0, width, PART):
        s, w = y[at : at + PART], min(PART, width - at)
        s[:] = f4(0)
        for k in range(at, at + n // 4 * 4 * inner, 4 * inner):
            a, b, c, d = k, k + inner, k + 2 * inner, k + 3 * inner
            plus_four(s, x[a : a + w], x[b : b + w], x[c : c + w], x[d : d + w])
        for k in range(at + n // 4 * 4 * inner, at + n * inner, inner):
            plus_one(s, x[k : k + w])


@helper
def max_columns(y, x, n, inner):
    """y = x.max(0) of n rows that start `inner` elements apart"""
    width = len(y)
    for at in range(0, width, PART):
        s, w = y[at : at + PART], min(PART, width - at)
        s[:] = LEAST
        for k in range(at, at + n // 4 * 4 * inner, 4 * inner):
            a, b, c, d = k, k + inner, k + 2 * inner, k + 3 * inner
            largest_of_five(s, x[a : a + w], x[b : b + w], x[c : c + w], x[d : d + w])
        for k in range(at + n // 4 * 4 * inner, at + n * inner, inner):
            larger_of_two(s, x[k : k + w])


@helper
def reduce_tiles(row, columns, divisor, y, x, outer, n, inner, first, last):
    """y = x.sum(1) or x.max(1), divided by `divisor`; neighbouring tiles of one outer index together."""
    if inner == 1:
        group = rows_per_tile(n)
        for r in range(first * group, min(last * group, outer)):
            y[r] = row(x[r * n : (r + 1) * n]) / divisor
        return
    per_outer = -(-inner // COLUMNS)
    tile = first
    while tile < last:
        r = tile // per_outer
        upto = min(last, (r + 1) * per_outer)
        start, stop = (tile - r * per_outer) * COLUMNS, min((upto - r * per_outer) * COLUMNS, inner)
        out = y[r * inner + start : r * inner + stop]
        columns(out, x[r * n * inner + start : (r + 1) * n * inner], n, inner)
        if divisor != 1.0:
            for j in range(len(out)):
                out[j] /= divisor
        tile = upto


@form(y="f4 outer*inner", x="f4 outer*n*inner")
def reduce_sum(y, x, outer, n, inner, first, last):
    """y = x.reshape(outer, n, inner).sum(1)"""
    reduce_tiles(row_sum, sum_columns, f4(1), y, x, outer, n, inner, first, last)


@form(y="f4 outer*inner", x="f4 outer*n*inner")
def reduce_mean(y, x, outer, n, inner, first, last):
    """y = x.reshape(outer, n, inner).mean(1)"""
    reduce_tiles(row_sum, sum_columns, f4(n), y, x, outer, n, inner, first, last)


@form(y="f4 outer*inner", x="f4 outer*n*inner")
def reduce_max(y, x, outer, n, inner, first, last):
    """y = x.reshape(outer, n, inner).max(1)"""
    reduce_tiles(row_max, max_columns, f4(1), y, x, outer, n, inner, first, last)


# ---------------------------------------------------------------------- movement, of elements of any size: bytes


@helper
def place(dim, loops, at):
    """Where the place number `at`, counted by the first `loops` loops of (itemsize, D, sizes, strides), is in x."""
    start, strides = 0, 2 + dim[1]
    for d in range(loops - 1, 0, -1):
        rest = at // dim[2 + d]
        start += (at - rest * dim[2 + d]) * dim[strides + d]
        at = rest
    return start + at * dim[strides] if loops > 0 else start


@helper
def repeated(y, x, n, size):
    """n times the one element of `size` bytes at x."""
    if size == 4:
        word, out = view(x, 1, np.uint32)[0], view(y, n, np.uint32)
        for i in range(n):
            out[i] = word
    else:
        element = view(x, size, np.uint8)
        for i in range(n):
            copied(view(y + i * size, size, np.uint8), element)


@form(y="address", x="address")
def broadcast_to(y, x, itemsize, D, dim, first, last):
    """y[:] = x"""
    n, step, total = dim[1 + D], dim[1 + 2 * D], 1
    for d in range(D):
        total *= dim[2 + d]
    y, x = np.int64(y), np.int64(x)
    i, stop = first * BLOCK, min(last * BLOCK, total)
    while i < stop:
        row = i // n
        j = i - row * n
        m = min(n - j, stop - i)
        to, at = y + i * itemsize, x + (place(dim, D - 1, row) + j * step) * itemsize
        if step:
            copied(view(to, m * itemsize, np.uint8), view(at, m * itemsize, np.uint8))
        else:
            repeated(to, at, m, itemsize)
        i += m


@helper
def squares(y, x, m):
    """y[i, j] = x[j, i] for i < m, in squares so that each cache line is taken up and written once."""
    n = len(x)
    for j0 in range(0, n, BLOCK):
        square, out = x[j0 : j0 + BLOCK], y[:, j0 : j0 + BLOCK]
        if m == BLOCK and len(square) == BLOCK:  # known sizes: without loops
            for i in range(BLOCK):
                for j in range(BLOCK):
                    out[i, j] = square[j, i]
        else:
            for i in range(m):
                for j in range(len(square)):
                    out[i, j] = square[j, i]


@helper
def one_by_one(y, ldy, x, ldx, m, n, size):
    """`squares` of elements of any size."""
    for i in range(m):
        for j in range(n):
            copied(view(y + (i * ldy + j) * size, size, np.uint8), view(x + (j * ldx + i) * size, size, np.uint8))


@form(y="address", x="address")
def transpose(y, x, itemsize, D, dim, first, last):
    """y = np.transpose(x, perm)"""
    n, step = dim[1 + D], dim[1 + 2 * D]
    y, x = np.int64(y), np.int64(x)
    if step <= 1:  # whole rows of y are rows of x
        for tile in range(first, last):
            copied(view(y + tile * n * itemsize, n * itemsize, np.uint8),
                   view(x + place(dim, D - 1, tile) * itemsize, n * itemsize, np.uint8))
        return
    q = 0
    while dim[2 + D + q] != 1:  # the axis of y along which x is contiguous
        q += 1
    long, between = dim[2 + q], 1
    for d in range(q + 1, D - 1):
        between *= dim[2 + d]
    # a tile is (an index of the axes before q, a block of 16 of q, an index of those between q and the last)
    blocks = -(-long // BLOCK)
    for tile in range(first, last):
        rest = tile // between
        j = tile - rest * between
        block, run = rest % blocks * BLOCK, rest // blocks
        m = min(long - block, BLOCK)
        at = x + place_of_tile(dim, q, run, block, j) * itemsize
        to = y + ((run * long + block) * between + j) * n * itemsize
        if itemsize == 4:
            squares(view(to, (m, between * n), np.uint32), view(at, (n, step), np.uint32), m)
        elif itemsize == 1:
            squares(view(to, (m, between * n), np.uint8), view(at, (n, step), np.uint8), m)
        elif itemsize == 8:
            squares(view(to, (m, between * n), np.uint64), view(at, (n, step), np.uint64), m)
        else:
            one_by_one(to, between * n, at, step, m, n, itemsize)


@helper
def place_of_tile(dim, q, run, block, j):
    """Where a tile of `transpose` starts in x: run counts the axes before q, j those between q and the last."""
    start = place(dim, q, run) + block
    for d in range(dim[1] - 2, q, -1):
        start += j % dim[2 + d] * dim[2 + dim[1] + d]
        j = j // dim[2 + d]
    return start


@form(y="u1 outer*(wa+wb)*itemsize", a="u1 outer*wa*itemsize", b="u1 outer*wb*itemsize")
def concat(y, a, b, itemsize, outer, wa, wb, first, last):
    """y = np.concatenate([a, b], 1)"""
    wa, wb, stop = wa * itemsize, wb * itemsize, min(last * BLOCK * itemsize, len(y))
    w, i = wa + wb, first * BLOCK * itemsize
    while i < stop:
        row = i // w
        j = i - row * w
        m = min((wa if j < wa else w) - j, stop - i)
        at = row * wa + j if j < wa else row * wb + j - wa
        copied(y[i : i + m], a[at : at + m] if j < wa else b[at : at + m])
        i += m


@form(y="u1 outer*wy*itemsize", x="u1 outer*wx*itemsize")
def slice_axis(y, x, itemsize, wx, before, wy, first, last):
    """y = x[:, before:before + wy]"""
    w, i, stop = wy * itemsize, first * BLOCK * itemsize, min(last * BLOCK * itemsize, len(y))
    while i < stop:
        row = i // w
        j = i - row * w
        m = min(w - j, stop - i)
        at = (row * wx + before) * itemsize + j
        copied(y[i : i + m], x[at : at + m])
        i += m


@form(y="u1 outer*wy*itemsize", x="u1 outer*wx*itemsize")
def pad_axis(y, x, itemsize, wx, before, wy, first, last):
    """y = np.pad(x, [(0, 0), (before, wy - wx - before)])"""
    w, start, end = wy * itemsize, before * itemsize, (before + wx) * itemsize
    i, stop = first * BLOCK * itemsize, min(last * BLOCK * itemsize, len(y))
    while i < stop:
        row = i // w
        j = i - row * w
        if start <= j < end:
            m = min(end - j, stop - i)
            at = row * wx * itemsize + j - start
            copied(y[i : i + m], x[at : at + m])
        else:
            m = min((start if j < start else w) - j, stop - i)
            y[i : i + m] = 0
        i += m
