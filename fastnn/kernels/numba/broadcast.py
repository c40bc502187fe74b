"""The loops of kernels whose inputs are broadcast together: which elements of the inputs meet at an element of y.

``dim`` is D, the D sizes of nested loops, then D strides for each input: see `fastnn.kernels.broadcast.loops`. Elements
are counted along the output, which is contiguous. A row is what the innermost loop walks, a plane what the two
innermost do. An input is repeated along a row (stride 0) or contiguous (stride 1), so each kind of row has a loop of
its own, which becomes vector code.

``element`` is the function of one element; the compiler makes a copy of these loops for each, with it inside. Inputs
are handed on as addresses, since cutting a slice for each row would cost more than a short row itself.
"""

from __future__ import annotations

import numpy as np

from ..spec import BLOCK
from .form import helper
from .memory import copied, view

f4 = np.float32
SIZE = 4  # bytes of an element
SHORT, PATTERN = 128, 512  # a row no longer than SHORT is repeated to PATTERN elements at most


@helper
def total(dim):
    """Elements of the output."""
    n = 1
    for d in range(dim[0]):
        n *= dim[1 + d]
    return n


@helper
def step(dim, k, d):
    """Stride of input number k along axis d."""
    return dim[1 + (1 + k) * dim[0] + d]


@helper(forceinline=False)
def place(dim, k, loops, at):
    """Where the place number `at`, counted by the outer `loops` loops, is in input number k."""
    start = 0
    for d in range(loops - 1, 0, -1):
        start += at % dim[1 + d] * step(dim, k, d)
        at = at // dim[1 + d]
    return start + at * step(dim, k, 0) if loops > 0 else start


@helper(forceinline=False)
def turned(row, start, length):
    """[row[(start + k) % len(row)] for k in range(length)]; length is a multiple of len(row)."""
    n = len(row)
    pattern = np.empty(length, f4)
    copied(pattern[: n - start], row[start:])
    copied(pattern[n - start : n], row[:start])
    while n < length:  # twice as many each time
        m = min(n, length - n)
        copied(pattern[n : n + m], pattern[:m])
        n += m
    return pattern


# ---------------------------------------------------------------------- two inputs


@helper(forceinline=False)
def same(element, y, a, b):
    """y = element(a, b)"""
    for i in range(len(y)):
        y[i] = element(a[i], b[i])


@helper(forceinline=False)
def row_of_two(element, y, a, sa, b, sb, n):
    """y = element(a, b) of one row, with the strides sa and sb."""
    y = view(y, n, f4)
    if sa == 1 and sb == 1:
        same(element, y, view(a, n, f4), view(b, n, f4))
    elif sa == 1:
        a, v = view(a, n, f4), view(b, 1, f4)[0]
        for i in range(n):
            y[i] = element(a[i], v)
    elif sb == 1:
        b, u = view(b, n, f4), view(a, 1, f4)[0]
        for i in range(n):
            y[i] = element(u, b[i])
    else:  # one element
        y[0] = element(view(a, 1, f4)[0], view(b, 1, f4)[0])


@helper(forceinline=False)
def one_row_repeated(element, y, a, ra, b, n, start, stop):
    """Short rows and one row, as in x + bias: the one row is repeated to a length that is worth a loop."""
    length = PATTERN // n * n
    row = turned(view(b if ra else a, n, f4), start % n, length)
    for i in range(start, stop, length):
        m = min(length, stop - i)
        out, other = view(y + i * SIZE, m, f4), view((a if ra else b) + i * SIZE, m, f4)
        if ra:
            same(element, out, other, row)
        else:
            same(element, out, row, other)


@helper(forceinline=False)
def plane_of_two(element, y, a, ra, sa, b, rb, sb, n, start, stop):
    """Elements start..stop-1 of rows of n, with the strides ra and rb from row to row."""
    if sa == 1 and sb == 1 and n <= SHORT and stop - start > 2 * n:
        one_row_repeated(element, y, a, ra, b, n, start, stop)
        return
    row = start // n
    j = start - row * n
    while start < stop:
        m = min(n - j, stop - start)
        row_of_two(element, y + start * SIZE, a + (row * ra + j * sa) * SIZE, sa, b + (row * rb + j * sb) * SIZE, sb, m)
        start, j, row = start + m, 0, row + 1


@helper
def two(element, y, a, b, dim, first, last):
    """y = element(a, b), tiles first..last-1."""
    loops = dim[0]
    n, i, stop = dim[loops], first * BLOCK, min(last * BLOCK, total(dim))
    sa, sb = step(dim, 0, loops - 1), step(dim, 1, loops - 1)
    y, a, b = np.int64(y), np.int64(a), np.int64(b)
    if loops == 1:
        if i < stop:
            row_of_two(element, y + i * SIZE, a + i * sa * SIZE, sa, b + i * sb * SIZE, sb, stop - i)
        return
    ra, rb = step(dim, 0, loops - 2), step(dim, 1, loops - 2)
    plane = dim[loops - 1] * n
    while i < stop:
        p = i // plane
        upto = min(stop, (p + 1) * plane)
        plane_of_two(element, y + p * plane * SIZE, a + place(dim, 0, loops - 2, p) * SIZE, ra, sa,
                     b + place(dim, 1, loops - 2, p) * SIZE, rb, sb, n, i - p * plane, upto - p * plane)
        i = upto
