"""Norms and updates by segment: tiles are pieces of the arrays, each with the number of its segment."""

from __future__ import annotations

import math

import numpy as np

from .form import form, helper
from .math import fma
from .memory import scratch
from .optim import average, average_square, decayed, row_squares

f4, f8 = np.float32, np.float64
PART = 1024  # elements whose squares are summed while they are in the first cache
COLUMNS = 64  # of a tile of clip_units, as in the kernel's spec


@form(partial="f4 last", x="f4 n", pieces="i8 last 3")
def piece_squares(partial, x, pieces, first, last):
    """partial = sums of x*x over pieces"""
    for t in range(first, last):
        partial[t] = row_squares(x[pieces[t, 0] : pieces[t, 1]])


@form(ratio="f4 segments", partial="f4 count", pieces="i8 count 3", limit="f8")
def clip_ratios(ratio, partial, pieces, segments, limit, first, last):
    """norm = np.sqrt(sums over each segment's pieces); ratio = 1 if norm <= limit else limit / norm"""
    if first >= last:
        return
    t = 0
    for s in range(segments):
        total = f8(0)
        while t < len(partial) and pieces[t, 2] == s:
            total += f8(partial[t])
            t += 1
        norm = math.sqrt(total)
        ratio[s] = f4(1) if norm <= limit else f4(limit / norm)


@form(ratio="f4 segments", u="f4 count", w="f4 count", pieces="i8 count 3", adapts="f4 segments", coefficient="f8",
      pull="f8", epsilon="f8")
def trust_ratios(ratio, u, w, pieces, adapts, count, segments, coefficient, pull, epsilon, first, last):
    """ratio = coefficient * norm(w) / (norm(u) + pull * norm(w) + epsilon), 1 where a norm is 0"""
    if first >= last:
        return
    t = 0
    for s in range(segments):
        steps, weights = f8(0), f8(0)
        while t < count and pieces[t, 2] == s:
            steps += f8(u[t])
            if len(w):
                weights += f8(w[t])
            t += 1
        step, weight = math.sqrt(steps), math.sqrt(weights)
        if len(w):
            value = f8(1) if weight == 0 or step == 0 else coefficient * weight / (step + pull * weight + epsilon)
        else:
            value = f8(1) if step + epsilon == 0 else coefficient / (step + epsilon)
        ratio[s] = f4(1) if len(adapts) and adapts[s] == f4(0) else f4(value)


@helper
def scale(g, c):
    """g *= c"""
    for i in range(len(g)):
        g[i] *= c


@form(g="f4 n", ratio="f4 segments", pieces="i8 last 3")
def scale_segments(g, ratio, pieces, first, last):
    """g[start:stop] *= ratio[segment]"""
    for t in range(first, last):
        scale(g[pieces[t, 0] : pieces[t, 1]], ratio[pieces[t, 2]])


@helper
def descend(w, g, rate, decay):
    """w -= decay * w; w -= rate * g"""
    for i in range(len(w)):
        w[i] = fma(-rate, g[i], decayed(w[i], decay))


@form(w="f4 n", g="f4 n", ratio="f4 segments", pieces="i8 last 3", rate="f8", decay="f8")
def scaled_sgd(w, g, ratio, pieces, rate, decay, first, last):
    """w[start:stop] -= rate * ratio[segment] * g[start:stop]"""
    for t in range(first, last):
        start, stop = pieces[t, 0], pieces[t, 1]
        descend(w[start:stop], g[start:stop], f4(rate * f8(ratio[pieces[t, 2]])), f4(decay))


@helper
def gather_and_descend(w, v, g, rate, mu, pull, decay, along, ahead):
    """step = rate * (g + pull * w); v = mu * v + step; w -= along * v + ahead * step"""
    for i in range(len(w)):
        x = decayed(w[i], decay)
        step = rate * fma(pull, x, g[i])
        v[i] = fma(mu, v[i], step)
        w[i] = x - fma(along, v[i], ahead * step)


@form(w="f4 n", v="f4 n", g="f4 n", ratio="f4 segments", pieces="i8 last 3", rate="f8", mu="f8", decay="f8")
def scaled_momentum(w, v, g, ratio, pieces, rate, mu, decay, pull, nesterov, first, last):
    """step = rate * ratio[segment] * (g + pull * w); v = mu * v + step; w -= mu * v + step if nesterov else v"""
    m, d = f4(mu), f4(decay)
    along, ahead = (m, f4(1)) if nesterov != 0.0 else (f4(1), f4(0))
    for t in range(first, last):
        start, stop = pieces[t, 0], pieces[t, 1]
        gather_and_descend(w[start:stop], v[start:stop], g[start:stop], f4(rate * f8(ratio[pieces[t, 2]])), m, pull, d,
                           along, ahead)


@helper
def lamb_part(g, m, v, x, w, a, e, d, pull, c1, c2):
    """m, v as in adam; x = w - d w; g = a * m / (sqrt(v) + e) + pull * x"""
    for i in range(len(g)):
        m[i] = average(m[i], g[i], c1)
        v[i] = average_square(v[i], g[i], c2)
        x[i] = decayed(w[i], d)
        g[i] = fma(pull, x[i], a * m[i] / (np.sqrt(v[i]) + e))


@form(g="f4 n", m="f4 n", v="f4 n", u2="f4 last", w2="f4 last", w="f4 n", pieces="i8 last 3", alpha="f8",
      epsilon="f8", decay="f8", beta_1="f8", beta_2="f8")
def lamb(g, m, v, u2, w2, w, pieces, alpha, epsilon, decay, beta_1, beta_2, pull, first, last):
    """m, v as in adam; g = alpha * m / (sqrt(v) + epsilon) + pull * w; u2 and w2 = sums of g*g and w*w over pieces"""
    a, e, d, c1, c2 = f4(alpha), f4(epsilon), f4(decay), f4(1 - beta_1), f4(1 - beta_2)
    x = scratch(0, PART)
    for t in range(first, last):
        steps, weights = f8(0), f8(0)
        for i in range(pieces[t, 0], pieces[t, 1], PART):
            j = min(i + PART, pieces[t, 1])
            y = x[: j - i]
            lamb_part(g[i:j], m[i:j], v[i:j], y, w[i:j], a, e, d, pull, c1, c2)
            steps += f8(row_squares(g[i:j]))
            weights += f8(row_squares(y))
        u2[t], w2[t] = f4(steps), f4(weights)


@helper
def column_squares(total, x, at):
    """total = np.square(x[:, at:]).sum(0)"""
    n = len(total)
    total[:] = f4(0)
    for i in range(len(x)):
        row = x[i, at : at + n]
        for j in range(n):
            total[j] = fma(row[j], row[j], total[j])


@form(g="f4 K N", w="f4 K N", clipping="f8", epsilon="f8")
def clip_units(g, w, N, clipping, epsilon, first, last):
    """limit = clipping * max(norm of w's column, epsilon); g *= limit / norm of its column where that is larger"""
    for t in range(first, last):
        at = t * COLUMNS
        n = min(COLUMNS, N - at)
        factor, limit = scratch(0, n), scratch(COLUMNS, n)
        column_squares(factor, g, at)
        column_squares(limit, w, at)
        for j in range(n):
            size, least = math.sqrt(f8(factor[j])), math.sqrt(f8(limit[j]))
            least = clipping * max(least, epsilon)
            factor[j] = f4(1) if size <= least else f4(least / size)
        for i in range(len(g)):
            row = g[i, at : at + n]
            for j in range(n):
                row[j] *= factor[j]
