"""Rows of a table by their numbers, as in csrc/embedding.inc."""

from __future__ import annotations

import numpy as np

from ..embedding import COLUMNS, MOST, NUMBERS, TOKENS
from .form import form, helper

f4, i4 = np.float32, np.int32
NOTHING, LARGEST = f4(np.nan), f4(MOST)


@form(y="i4 N", x="f4 N")
def whole_numbers(y, x, first, last):
    """y = np.where((x >= 0) & (x <= MOST) & (x == np.floor(x)), x, -1)"""
    for i in range(first * NUMBERS, min(last * NUMBERS, len(y))):
        v = x[i] if x[i] >= 0.0 and x[i] <= LARGEST else f4(-1)
        k = i4(v)
        y[i] = k if f4(k) == v else i4(-1)


@helper
def copy_row(y, x):
    """y = x"""
    for c in range(len(y)):
        y[c] = x[c]


@form(y="f4 N D", tokens="i4 N", table="f4 V D")
def embedding(y, tokens, table, first, last):
    """y = table[tokens]"""
    for i in range(first * TOKENS, min(last * TOKENS, len(y))):
        if 0 <= tokens[i] < len(table):
            copy_row(y[i], table[tokens[i]])
        else:
            for c in range(y.shape[1]):
                y[i, c] = NOTHING


@helper
def add_row(y, x):
    """y += x"""
    for c in range(len(y)):
        y[c] += x[c]


@form(dtable="f4 V D", dy="f4 N D", tokens="i4 N")
def embedding_grad(dtable, dy, tokens, first, last):
    """np.add.at(dtable, tokens, dy), for some columns"""
    start, stop = first * COLUMNS, min(last * COLUMNS, dtable.shape[1])
    for v in range(len(dtable)):
        for c in range(start, stop):
            dtable[v, c] = 0.0
    for i in range(len(tokens)):
        if 0 <= tokens[i] < len(dtable):
            add_row(dtable[tokens[i], start:stop], dy[i, start:stop])
