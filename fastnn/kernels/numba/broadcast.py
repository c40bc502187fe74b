"""The loops of kernels whose inputs are broadcast together: which elements of the inputs meet at an element of y.

``dim`` is D, the D sizes of nested loops, then D strides for each input: see `fastnn.kernels.broadcast.loops`. Elements
are counted along the output, which is contiguous; a row is what the innermost loop walks. An input is repeated along a
row (stride 0) or contiguous (stride 1), so each kind of row has a loop of its own, which becomes vector code.

``element`` is the function of one element; the compiler makes a copy of these loops for each, with it inside.
"""

from __future__ import annotations

import numpy as np

from ..spec import BLOCK
from .form import helper
from .memory import view

f4 = np.float32
SHORT, PATTERN = 128, 512  # one row no longer than SHORT is repeated to a pattern of PATTERN elements at most


@helper
def total(dim):
    """Elements of the output."""
    n = 1
    for d in range(dim[0]):
        n *= dim[1 + d]
    return n


@helper
def stride(dim, k):
    """Of input number k, along a row."""
    return dim[(2 + k) * dim[0]]


@helper
def extent(dim, k):
    """Elements of input number k."""
    n = 1
    for d in range(dim[0]):
        n += (dim[1 + d] - 1) * dim[1 + (1 + k) * dim[0] + d]
    return n


@helper
def place(dim, k, row):
    """Where row number `row` of input number k starts; rows are counted by all but the innermost loop."""
    at = 0
    for d in range(dim[0] - 2, 0, -1):
        at += row % dim[1 + d] * dim[1 + (1 + k) * dim[0] + d]
        row = row // dim[1 + d]
    return at + row * dim[1 + (1 + k) * dim[0]] if dim[0] > 1 else at


@helper
def piece(x, at, step, n):
    """The n elements of a row from `at` on, or the one that is repeated."""
    return x[at : at + n] if step else x[at : at + 1]


@helper
def turned(row, start, length):
    """[row[(start + k) % len(row)] for k in range(length)]"""
    pattern = np.empty(length, f4)
    n = len(row)
    for k in range(length):
        pattern[k] = row[start] if k < n else pattern[k - n]
        start = start + 1 if start + 1 < n else 0
    return pattern


# ---------------------------------------------------------------------- two inputs


@helper
def row_of_two(element, y, a, b):
    """y = element(a, b) of one row; what is repeated has one element."""
    n = len(y)
    if len(a) == n and len(b) == n:
        for i in range(n):
            y[i] = element(a[i], b[i])
    elif len(a) == n:
        v = b[0]
        for i in range(n):
            y[i] = element(a[i], v)
    elif len(b) == n:
        u = a[0]
        for i in range(n):
            y[i] = element(u, b[i])
    else:
        y[:] = element(a[0], b[0])


@helper
def two(element, y, a, k, b, l, dim, first, last):  # noqa: E741
    """y = element(a, b), tiles first..last-1, where a is the input number k and b the input number l."""
    n, i, stop = dim[dim[0]], first * BLOCK, min(last * BLOCK, total(dim))
    if i >= stop:
        return
    y, a, b = view(y, total(dim), f4), view(a, extent(dim, k), f4), view(b, extent(dim, l), f4)
    sa, sb = stride(dim, k), stride(dim, l)
    if dim[0] == 2 and sa == 1 and sb == 1 and n <= SHORT and stop - i > 2 * n:
        # short rows and one row, as in x + bias: the one row is repeated to a length worth a loop
        length = PATTERN // n * n
        if len(a) == n:
            a = turned(a, i % n, length)
            for at in range(i, stop, length):
                m = min(length, stop - at)
                row_of_two(element, y[at : at + m], a[:m], b[at : at + m])
        else:
            b = turned(b, i % n, length)
            for at in range(i, stop, length):
                m = min(length, stop - at)
                row_of_two(element, y[at : at + m], a[at : at + m], b[:m])
        return
    row = i // n
    j = i - row * n
    while i < stop:
        m = min(n - j, stop - i)
        row_of_two(element, y[i : i + m], piece(a, place(dim, k, row) + j * sa, sa, m),
                   piece(b, place(dim, l, row) + j * sb, sb, m))
        i, j, row = i + m, 0, row + 1
