"""Adafactor: mean squares of a matrix kept by rows and columns; tiles are stripes of rows."""

from __future__ import annotations

import math

import numpy as np

from .form import form, helper
from .math import fma
from .memory import scratch
from .optim import decayed, row_squares
from .segments import descend

f4, f8 = np.float32, np.float64
STRIPE = 64  # rows of a tile, as in the kernel's spec


@helper
def step_scale(u2, w2, count, rate, decay, least, threshold):
    """rate * max(least, rms(w)) / max(1, rms(u) / threshold), NaN staying NaN"""
    size = abs(1 - decay) * math.sqrt(w2 / count)
    over = math.sqrt(u2 / count) / threshold
    return rate * (least if size < least else size) / (f8(1) if over < 1 else over)


@helper
def add_squares(total, x):
    """total += x*x"""
    for j in range(len(x)):
        total[j] = fma(x[j], x[j], total[j])


@form(rows="f4 B K", columns="f4 B*(-(-K//64)) N", g="f4 B K N")
def factored_squares(rows, columns, g, B, K, first, last):  # noqa: N803
    """rows = np.square(g).sum(-1); columns = sums of np.square(g) down the columns of each stripe of 64 rows"""
    down = -(-K // STRIPE)
    for t in range(first, min(last, B * down)):
        b, start = t // down, t % down * STRIPE
        columns[t, :] = f4(0)
        for i in range(start, min(start + STRIPE, K)):
            rows[b, i] = row_squares(g[b, i])
            add_squares(columns[t], g[b, i])


@form(r="f4 B K", c="f4 B N", row="f4 B K", column="f4 B N", rows="f4 B K", columns="f4 B T N", keep="f8",
      epsilon="f8")
def factored_average(r, c, row, column, rows, columns, keep, B, K, N, T, epsilon, first, last):  # noqa: N803
    """r, c = moving averages of mean squares; row = np.sqrt(r.mean() / r); column = 1 / np.sqrt(c)"""
    change = 1 - keep
    for b in range(first, min(last, B)):
        mean = f8(0)
        for i in range(K):
            r[b, i] = f4(f8(r[b, i]) + (f8(rows[b, i]) / N + epsilon - f8(r[b, i])) * change)
            mean += f8(r[b, i])
        for i in range(K):
            row[b, i] = f4(math.sqrt(mean / K / f8(r[b, i])))
        for j in range(N):
            total = f8(0)
            for t in range(T):
                total += f8(columns[b, t, j])
            c[b, j] = f4(f8(c[b, j]) + (total / K + epsilon - f8(c[b, j])) * change)
            column[b, j] = f4(1 / math.sqrt(f8(c[b, j])))


@helper(fastmath={"reassoc"})
def scaled_squares(g, column, row):
    """np.square(g * column * row).sum()"""
    total = f4(0)
    for j in range(len(g)):
        u = g[j] * column[j] * row
        total += u * u
    return total


@form(u2="f4 last", w2="f4 last", g="f4 B K N", w="f4 B K N", row="f4 B K", column="f4 B N")
def factored_lengths(u2, w2, g, w, row, column, B, K, first, last):  # noqa: N803
    """u2, w2 = sums of np.square(g * row * column) and np.square(w) over stripes of 64 rows"""
    down = -(-K // STRIPE)
    for t in range(first, min(last, B * down)):
        b, start = t // down, t % down * STRIPE
        steps, weights = f8(0), f8(0)
        for i in range(start, min(start + STRIPE, K)):
            steps += f8(scaled_squares(g[b, i], column[b], row[b, i]))
            weights += f8(row_squares(w[b, i]))
        u2[t], w2[t] = f4(steps), f4(weights)


@form(scale="f4 1", u2="f4 T", w2="f4 T", rate="f8", decay="f8", count="f8", epsilon="f8", threshold="f8")
def factored_scale(scale, u2, w2, rate, decay, T, count, epsilon, threshold, first, last):  # noqa: N803
    """scale = rate * max(epsilon, rms(w)) / max(1, rms(u) / threshold)"""
    if first >= last:
        return
    steps, weights = f8(0), f8(0)
    for t in range(T):
        steps += f8(u2[t])
        weights += f8(w2[t])
    scale[0] = f4(step_scale(steps, weights, count, rate, decay, epsilon, threshold))


@helper
def descend_row(w, g, column, row, decay):
    """w -= row * g * column"""
    for j in range(len(w)):
        w[j] = fma(-row, g[j] * column[j], decayed(w[j], decay))


@form(w="f4 B K N", g="f4 B K N", scale="f4 1", row="f4 B K", column="f4 B N", decay="f8")
def factored_sgd(w, g, scale, row, column, decay, B, K, first, last):  # noqa: N803
    """w -= scale * g * row * column"""
    down, d = -(-K // STRIPE), f4(decay)
    for t in range(first, min(last, B * down)):
        b, start = t // down, t % down * STRIPE
        for i in range(start, min(start + STRIPE, K)):
            descend_row(w[b, i], g[b, i], column[b], scale[0] * row[b, i], d)


@helper
def average_and_divide(v, u, g, epsilon, c):
    """v += (g*g + epsilon - v) * c; u = g / np.sqrt(v)"""
    for i in range(len(g)):
        v[i] = fma(fma(g[i], g[i], epsilon) - v[i], c, v[i])
        u[i] = g[i] / np.sqrt(v[i])


@form(w="f4 n", v="f4 n", g="f4 n", keep="f8", rate="f8", decay="f8", least="f8", threshold="f8")
def adafactor(w, v, g, keep, rate, decay, n, epsilon, least, threshold, first, last):
    """v += (g*g + epsilon - v) * (1 - keep); u = g / np.sqrt(v); w -= the scale of factored_scale * u"""
    if first >= last or n == 0:
        return
    u = scratch(0, n)
    average_and_divide(v, u, g, epsilon, f4(1 - keep))
    scale = step_scale(f8(row_squares(u)), f8(row_squares(w)), f8(n), rate, decay, least, threshold)
    descend(w, u, f4(scale), f4(decay))
