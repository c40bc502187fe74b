"""What happens in one row, for the families that work on rows.

A sum may be formed in any order (``reassoc``), so that LLVM keeps it in vectors; the order depends on the row's length
alone, and with it the bits. A loop that sums stores nothing: where it did, LLVM would choose between vectors and single
elements by how far apart the arrays stand in memory, and the bits would depend on that.
"""

from __future__ import annotations

import numpy as np

from .form import helper
from .math import exp, maximum

f4 = np.float32
LEAST = f4(-np.inf)


@helper(noalias=True)
def row_each(f, out, a, *numbers):
    """out = f(a, *numbers), f a function of elements"""
    for i in range(len(out)):
        out[i] = f(a[i], *numbers)


@helper(noalias=True)
def row_map(f, out, a, b, *numbers):
    """out = f(a, b, *numbers), f a function of elements"""
    for i in range(len(out)):
        out[i] = f(a[i], b[i], *numbers)


@helper(fastmath={"reassoc"})
def row_total(f, a, b, *numbers):
    """f(a, b, *numbers).sum(), f a function of elements"""
    total = f4(0)
    for i in range(len(a)):
        total += f(a[i], b[i], *numbers)
    return total


@helper(fastmath={"reassoc"})
def row_sum(x):
    """x.sum()"""
    total = f4(0)
    for i in range(len(x)):
        total += x[i]
    return total


@helper(fastmath={"reassoc"})
def row_dot(a, b):
    """(a * b).sum()"""
    total = f4(0)
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@helper(fastmath={"reassoc"})
def row_exp_sum(x, shift):
    """np.exp(x - shift).sum()"""
    total = f4(0)
    for i in range(len(x)):
        total += exp(x[i] - shift)
    return total


@helper(fastmath={"reassoc", "nsz"})
def row_max(x):
    """x.max(), NaN if one is NaN; -inf of no elements. The flags (the sign of a zero is nobody's concern) give LLVM
    vectors for the end of the row too: softmax_cross_entropy of 64 x 100 took 9.1 us without, 5.8 with (Zen 4)."""
    largest = LEAST
    for i in range(len(x)):
        largest = maximum(largest, x[i])
    return largest


@helper
def row_argmax(x):
    """x.argmax(): the place of the first NaN, or else of the first that is as large as any"""
    largest = row_max(x)  # a loop without branches: the search for its place ends early
    for i in range(len(x)):
        if x[i] == largest or x[i] != x[i]:
            return i
    return 0


@helper(noalias=True)
def row_softmax(y, x):
    """y = np.exp(x - x.max()) / total, total the sum of the exponentials; the maximum and the total come back"""
    largest = row_max(x)
    for i in range(len(y)):
        y[i] = exp(x[i] - largest)
    total = row_sum(y)
    for i in range(len(y)):
        y[i] = y[i] / total
    return largest, total
