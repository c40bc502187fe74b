"""Sums, maxima and places in one row, for the families that work on rows.

A sum may be formed in any order (``reassoc``), so that LLVM keeps it in vectors; the order depends on the row's length
alone, and with it the bits.
"""

from __future__ import annotations

import numpy as np

from .form import helper
from .math import exp, maximum

f4 = np.float32
LEAST = f4(-np.inf)


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


@helper
def row_max(x):
    """x.max(), NaN if one is NaN; -inf of no elements"""
    largest = LEAST
    for i in range(len(x)):
        largest = maximum(largest, x[i])
    return largest


@helper(fastmath={"reassoc"})
def row_exp_sum(x, shift):
    """np.exp(x - shift).sum()"""
    total = f4(0)
    for i in range(len(x)):
        total += exp(x[i] - shift)
    return total
