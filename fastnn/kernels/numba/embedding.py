"""Rows of a table by their numbers, as in csrc/embedding.inc."""

from __future__ import annotations

import numpy as np

from ..embedding import COLUMNS, MOST, NUMBERS, PLACES, TOKENS
from .form import form, helper
from .math import fma
from .memory import scratch
from .optim import average, average_square

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


@helper
def key(token, count):
    """The number that a token is sorted by: beyond all rows where it is none."""
    return token if 0 <= token < count else i4(count)


@helper
def sort_places(to, places, starts, tokens, count, shift):
    """One pass of a stable radix sort: the places (none: 0, 1, 2 ...) by one digit of their tokens."""
    mask = len(starts) - 1
    for d in range(len(starts)):
        starts[d] = 0
    for i in range(len(tokens)):
        starts[(key(tokens[i], count) >> shift) & mask] += 1
    total = 0
    for d in range(len(starts)):
        here = starts[d]
        starts[d] = total
        total += here
    for i in range(len(tokens)):
        place = places[i] if len(places) else i
        d = (key(tokens[place], count) >> shift) & mask
        to[starts[d]] = place
        starts[d] += 1


@form(order="i4 N", rows="i4 N", tokens="i4 N", count="f8")
def token_order(order, rows, tokens, count, N, first, last):
    """order = np.argsort(tokens, kind="stable"); rows = tokens[order]"""
    bits, most = 1, np.int64(count)
    while (1 << 2 * bits) <= most:
        bits += 1
    some, starts = scratch(0, N).view(i4), scratch(N, 1 << bits).view(i4)
    sort_places(some, order[:0], starts, tokens, most, 0)
    sort_places(order, some, starts, tokens, most, bits)
    for i in range(N):
        t = tokens[order[i]]
        rows[i] = t if 0 <= t < most else i4(-1)


@helper
def begins(rows, i, V):
    """Whether a row's places begin at sorted place i."""
    return 0 <= rows[i] < V and (i == 0 or rows[i - 1] != rows[i])


@helper
def sum_row(g, dy, order, rows, i):
    """g = the sum of dy over the places of the row that begins at sorted place i"""
    copy_row(g, dy[order[i]])
    j = i + 1
    while j < len(rows) and rows[j] == rows[i]:
        add_row(g, dy[order[j]])
        j += 1


@form(w="f4 V D", dy="f4 N D", order="i4 N", rows="i4 N", rate="f8")
def row_sgd(w, dy, order, rows, rate, N, V, D, first, last):
    """w[row] -= rate * g"""
    g, r = scratch(0, D), f4(rate)
    for i in range(first * PLACES, min(last * PLACES, N)):
        if begins(rows, i, V):
            sum_row(g, dy, order, rows, i)
            x = w[rows[i]]
            for c in range(D):
                x[c] = fma(-r, g[c], x[c])


@form(w="f4 V D", a="f4 V D", dy="f4 N D", order="i4 N", rows="i4 N", rate="f8")
def row_adagrad(w, a, dy, order, rows, rate, N, V, D, epsilon, epsilon_inside, first, last):
    """a[row] += g * g; w[row] -= rate * g / (sqrt(a[row] + epsilon) if epsilon_inside else sqrt(a[row]) + epsilon)"""
    g, r = scratch(0, D), f4(rate)
    inside, outside = (epsilon, f4(0)) if epsilon_inside != 0.0 else (f4(0), epsilon)
    for i in range(first * PLACES, min(last * PLACES, N)):
        if begins(rows, i, V):
            sum_row(g, dy, order, rows, i)
            x, b = w[rows[i]], a[rows[i]]
            for c in range(D):
                b[c] = fma(g[c], g[c], b[c])
                x[c] = x[c] - r * g[c] / (np.sqrt(b[c] + inside) + outside)


@form(w="f4 V D", m="f4 V D", v="f4 V D", dy="f4 N D", order="i4 N", rows="i4 N", alpha="f8", epsilon="f8",
      beta_1="f8", beta_2="f8")
def row_adam(w, m, v, dy, order, rows, alpha, epsilon, N, V, D, beta_1, beta_2, first, last):
    """adam of w[row], m[row] and v[row] by g"""
    g, al, eps, c1, c2 = scratch(0, D), f4(alpha), f4(epsilon), f4(1 - beta_1), f4(1 - beta_2)
    for i in range(first * PLACES, min(last * PLACES, N)):
        if begins(rows, i, V):
            sum_row(g, dy, order, rows, i)
            x, mean, square = w[rows[i]], m[rows[i]], v[rows[i]]
            for c in range(D):
                mean[c] = average(mean[c], g[c], c1)
                square[c] = average_square(square[c], g[c], c2)
                x[c] = x[c] - al * mean[c] / (np.sqrt(square[c]) + eps)
