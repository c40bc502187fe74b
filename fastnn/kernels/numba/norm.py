"""Batch normalisation: statistics per column, in tiles of `width` columns; at the end, statistics per row.

The algorithm is that of the compiled form: rows are taken in chunks, the first chunk's mean is the shift of its sums,
the running mean that of every later one, and each chunk is merged into mean and m2 (the sum of squares about the mean)
in its turn. Four rows are summed at once, so that the sums are loaded and stored once for them.
"""

from __future__ import annotations

import math

import numpy as np

from ..activation import rows_per_tile
from ..norm import KINDS, WIDEST
from ..norm import NARROW as TILE
from .form import form, helper
from .memory import local
from .rows import row_sum

f4 = np.float32
LAYER, UNIT = KINDS.index("layer"), KINDS.index("unit")
CHUNK = 256  # rows whose sums are formed at once
SHORT, FOLD = 16, 8  # rows shorter than a vector are taken so many at once


# ---------------------------------------------------------------------- rows start..stop-1 of columns at..at+len(s)-1

@helper(noalias=True)
def add_rows(s, x, at, start, stop):
    """s += x.sum(0)"""
    end = at + len(s)
    fours = start + (stop - start) // 4 * 4
    for r in range(start, fours, 4):
        x0, x1, x2, x3 = x[r][at:end], x[r + 1][at:end], x[r + 2][at:end], x[r + 3][at:end]
        for c in range(len(s)):
            s[c] += (x0[c] + x1[c]) + (x2[c] + x3[c])
    for r in range(fours, stop):
        x0 = x[r][at:end]
        for c in range(len(s)):
            s[c] += x0[c]


@helper(noalias=True)
def add_shifted(s, q, x, shift, at, start, stop):
    """s += (x - shift).sum(0); q += np.square(x - shift).sum(0)"""
    end = at + len(s)
    fours = start + (stop - start) // 4 * 4
    for r in range(start, fours, 4):
        x0, x1, x2, x3 = x[r][at:end], x[r + 1][at:end], x[r + 2][at:end], x[r + 3][at:end]
        for c in range(len(s)):
            d0, d1, d2, d3 = x0[c] - shift[c], x1[c] - shift[c], x2[c] - shift[c], x3[c] - shift[c]
            s[c] += (d0 + d1) + (d2 + d3)
            q[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3)
    for r in range(fours, stop):
        x0 = x[r][at:end]
        for c in range(len(s)):
            d0 = x0[c] - shift[c]
            s[c] += d0
            q[c] += d0 * d0


@helper(noalias=True)
def add_gradients(s, q, dy, x, shift, at, start, stop):
    """s += dy.sum(0); q += (dy * (x - shift)).sum(0)"""
    end = at + len(s)
    fours = start + (stop - start) // 4 * 4
    for r in range(start, fours, 4):
        x0, x1, x2, x3 = x[r][at:end], x[r + 1][at:end], x[r + 2][at:end], x[r + 3][at:end]
        g0, g1, g2, g3 = dy[r][at:end], dy[r + 1][at:end], dy[r + 2][at:end], dy[r + 3][at:end]
        for c in range(len(s)):
            s[c] += (g0[c] + g1[c]) + (g2[c] + g3[c])
            q[c] += ((g0[c] * (x0[c] - shift[c]) + g1[c] * (x1[c] - shift[c])) +
                     (g2[c] * (x2[c] - shift[c]) + g3[c] * (x3[c] - shift[c])))
    for r in range(fours, stop):
        g0, x0 = dy[r][at:end], x[r][at:end]
        for c in range(len(s)):
            s[c] += g0[c]
            q[c] += g0[c] * (x0[c] - shift[c])


@helper
def add_narrow_gradients(s, q, dy, x, shift, start, stop):
    """As `add_gradients`, for rows shorter than a vector: FOLD of them are one wide row, whose sums are folded."""
    n, folds = len(s), (stop - start) // FOLD
    m = FOLD * n
    ws, wq, wide = local(WIDEST, f4)[:m], local(WIDEST, f4)[:m], local(WIDEST, f4)[:m]
    ws[:] = 0.0
    wq[:] = 0.0
    for k in range(FOLD):
        wide[k * n : (k + 1) * n] = shift
    rest = start + folds * FOLD
    add_gradients(ws, wq, dy[start:rest].reshape((folds, m)), x[start:rest].reshape((folds, m)), wide, 0, 0, folds)
    for k in range(FOLD):
        for c in range(n):
            s[c] += ws[k * n + c]
            q[c] += wq[k * n + c]
    add_gradients(s, q, dy, x, shift, 0, rest, stop)


@helper(noalias=True)
def affine(y, x, shift, scale, offset, at):
    """y = (x - shift) * scale + offset"""
    end = at + len(shift)
    for r in range(len(x)):
        row, out = x[r][at:end], y[r][at:end]
        for c in range(len(shift)):
            out[c] = (row[c] - shift[c]) * scale[c] + offset[c]


@helper(noalias=True)
def backward(dx, dy, x, shift, a, b, offset, at):
    """dx = a * dy - ((x - shift) * b + offset)"""
    end = at + len(shift)
    for r in range(len(x)):
        g0, x0, out = dy[r][at:end], x[r][at:end], dx[r][at:end]
        for c in range(len(shift)):
            out[c] = a[c] * g0[c] - ((x0[c] - shift[c]) * b[c] + offset[c])


# ---------------------------------------------------------------------- vectors of a tile's columns

@helper(noalias=True)
def merge(mean, m2, carry, s, q, rows):
    """Rows whose sums about mean are s and q join those that mean and m2 describe, `rows` in all.

    m2 += q - s*s/n; mean += s/n (Chan, Golub & LeVeque 1983). `carry` is the sum of the earlier rows about mean: what
    the last rounding of mean left over.
    """
    count, share = f4(rows), f4(1.0 / rows)
    for c in range(len(mean)):
        total = s[c] + carry[c]
        step = total * share
        moved = mean[c] + step
        m2[c] += q[c] - total * step
        carry[c] = (step - (moved - mean[c])) * count
        mean[c] = moved


@helper
def moments(mean, m2, x, at):
    """mean = x.mean(0); m2 = np.square(x - mean).sum(0)"""
    n = len(mean)
    s, q, carry = local(WIDEST, f4)[:n], local(WIDEST, f4)[:n], local(WIDEST, f4)[:n]
    first = min(CHUNK, len(x))
    s[:] = 0.0
    add_rows(s, x, at, 0, first)
    share = f4(1.0 / first)
    for c in range(n):
        mean[c] = s[c] * share
    m2[:] = 0.0
    carry[:] = 0.0
    for start in range(0, len(x), CHUNK):
        stop = min(start + CHUNK, len(x))
        s[:] = 0.0
        q[:] = 0.0
        add_shifted(s, q, x, mean, at, start, stop)
        merge(mean, m2, carry, s, q, stop)


@helper
def gradient_sums(dgamma, dbeta, dy, x, mean, rstd, at):
    """dbeta = dy.sum(0); dgamma = (dy * (x - mean)).sum(0) * rstd"""
    n = len(mean)
    s, q = local(WIDEST, f4)[:n], local(WIDEST, f4)[:n]
    dgamma[:] = 0.0
    dbeta[:] = 0.0
    for start in range(0, len(x), CHUNK):
        s[:] = 0.0
        q[:] = 0.0
        stop = min(start + CHUNK, len(x))
        if n < SHORT and n == x.shape[1]:
            add_narrow_gradients(s, q, dy, x, mean, start, stop)
        else:
            add_gradients(s, q, dy, x, mean, at, start, stop)
        for c in range(n):
            dbeta[c] += s[c]
            dgamma[c] += q[c]
    for c in range(n):
        dgamma[c] *= rstd[c]


@helper
def scale_of(scale, rstd, gamma, at):
    """scale = rstd * gamma; an absent gamma is 1"""
    for c in range(len(scale)):
        scale[c] = rstd[c] * gamma[at + c] if len(gamma) else rstd[c]


@helper
def offset_of(offset, beta, at):
    """offset = beta; an absent beta is 0"""
    for c in range(len(offset)):
        offset[c] = beta[at + c] if len(beta) else 0.0


@helper
def reciprocal_deviation(rstd, var, epsilon):
    """rstd = 1 / np.sqrt(var + epsilon)"""
    for c in range(len(rstd)):
        rstd[c] = 1.0 / math.sqrt(var[c] + epsilon)


# ---------------------------------------------------------------------- the kernels

@form(y="f4 rows columns", mean="f4 columns", rstd="f4 columns", moving_mean="f4 columns", moving_var="f4 columns",
      x="f4 rows columns", gamma="f4 columns", beta="f4 columns", momentum="f8", unbiased_moving_variance="i8")
def batch_norm(y, mean, rstd, moving_mean, moving_var, x, gamma, beta, momentum, epsilon, unbiased_moving_variance,
               rows, columns, width, first, last):
    """mean, var = x.mean(0), x.var(0); y = (x - mean) / np.sqrt(var + epsilon) * gamma + beta"""
    share = f4(np.float64(1.0) / rows)
    unbiased = f4(np.float64(1.0) / (rows - 1 if unbiased_moving_variance and rows > 1 else rows))
    rate = f4(np.float64(1.0) - momentum)
    for t in range(first, last):
        at = t * width
        end = min(at + width, columns)
        n = end - at
        m2, scale, offset = local(WIDEST, f4)[:n], local(WIDEST, f4)[:n], local(WIDEST, f4)[:n]
        moments(mean[at:end], m2, x, at)
        for c in range(n):
            total = 0.0 if m2[c] < 0.0 else m2[c]  # equal values may leave a rounding below zero; NaN stays
            rstd[at + c] = 1.0 / math.sqrt(total * share + epsilon)
            moving_mean[at + c] += (mean[at + c] - moving_mean[at + c]) * rate
            moving_var[at + c] += (total * unbiased - moving_var[at + c]) * rate
        scale_of(scale, rstd[at:end], gamma, at)
        offset_of(offset, beta, at)
        affine(y, x, mean[at:end], scale, offset, at)


@form(dx="f4 rows columns", dgamma="f4 columns", dbeta="f4 columns", dy="f4 rows columns", x="f4 rows columns",
      gamma="f4 columns", mean="f4 columns", rstd="f4 columns")
def batch_norm_grad(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, rows, columns, width, first, last):
    """dx = gamma * rstd * (dy - dbeta / rows - xhat * dgamma / rows); xhat = (x - mean) * rstd"""
    share = f4(1.0 / rows)
    for t in range(first, last):
        at = t * width
        end = min(at + width, columns)
        n = end - at
        a, b, offset = local(WIDEST, f4)[:n], local(WIDEST, f4)[:n], local(WIDEST, f4)[:n]
        gradient_sums(dgamma[at:end], dbeta[at:end], dy, x, mean[at:end], rstd[at:end], at)
        scale_of(a, rstd[at:end], gamma, at)
        for c in range(n):
            b[c] = a[c] * rstd[at + c] * (dgamma[at + c] * share)
            offset[c] = a[c] * (dbeta[at + c] * share)
        backward(dx, dy, x, mean[at:end], a, b, offset, at)


@form(dgamma="f4 columns", dbeta="f4 columns", dy="f4 rows columns", x="f4 rows columns", mean="f4 columns",
      rstd="f4 columns")
def batch_norm_grad_parameters(dgamma, dbeta, dy, x, mean, rstd, columns, width, first, last):
    """dbeta = dy.sum(0); dgamma = (dy * (x - mean) * rstd).sum(0)"""
    for t in range(first, last):
        at = t * width
        end = min(at + width, columns)
        gradient_sums(dgamma[at:end], dbeta[at:end], dy, x, mean[at:end], rstd[at:end], at)


@form(y="f4 rows columns", x="f4 rows columns", gamma="f4 columns", beta="f4 columns", moving_mean="f4 columns",
      moving_var="f4 columns")
def batch_norm_inference(y, x, gamma, beta, moving_mean, moving_var, epsilon, columns, width, first, last):
    """y = (x - moving_mean) * (gamma / np.sqrt(moving_var + epsilon)) + beta"""
    for t in range(first, last):
        at = t * width
        end = min(at + width, columns)
        scale, offset = local(WIDEST, f4)[: end - at], local(WIDEST, f4)[: end - at]
        reciprocal_deviation(scale, moving_var[at:end], epsilon)
        scale_of(scale, scale, gamma, at)
        offset_of(offset, beta, at)
        affine(y, x, moving_mean[at:end], scale, offset, at)


@form(folded="f4 rows columns", offset="f4 columns", w="f4 rows columns", b="f4 columns", gamma="f4 columns",
      beta="f4 columns", moving_mean="f4 columns", moving_var="f4 columns")
def fold_norm(folded, offset, w, b, gamma, beta, moving_mean, moving_var, epsilon, columns, width, first, last):
    """scale = gamma / np.sqrt(moving_var + epsilon); folded = w * scale; offset = (b - moving_mean) * scale + beta"""
    for t in range(first, last):
        at = t * width
        end = min(at + width, columns)
        scale, zero = local(WIDEST, f4)[: end - at], local(WIDEST, f4)[: end - at]
        zero[:] = 0.0
        reciprocal_deviation(scale, moving_var[at:end], epsilon)
        scale_of(scale, scale, gamma, at)
        for c in range(end - at):
            bias = b[at + c] if len(b) else f4(0)
            shift = beta[at + c] if len(beta) else f4(0)
            offset[at + c] = (bias - moving_mean[at + c]) * scale[c] + shift
        affine(folded, w, zero, scale, zero, at)


@form(dx="f4 rows columns", dgamma="f4 columns", dbeta="f4 columns", dy="f4 rows columns", x="f4 rows columns",
      gamma="f4 columns", moving_mean="f4 columns", moving_var="f4 columns")
def batch_norm_inference_grad(dx, dgamma, dbeta, dy, x, gamma, moving_mean, moving_var, epsilon, columns, width, first,
                              last):
    """dx = dy * gamma * rstd; dgamma = (dy * (x - moving_mean) * rstd).sum(0); dbeta = dy.sum(0)"""
    for t in range(first, last):
        at = t * width
        end = min(at + width, columns)
        scale, zero = local(WIDEST, f4)[: end - at], local(WIDEST, f4)[: end - at]
        zero[:] = 0.0
        reciprocal_deviation(scale, moving_var[at:end], epsilon)
        gradient_sums(dgamma[at:end], dbeta[at:end], dy, x, moving_mean[at:end], scale, at)
        scale_of(scale, scale, gamma, at)
        affine(dx, dy, zero, scale, zero, at)


# ---------------------------------------------------------------------- statistics of rows

@helper
def part_of(gamma, r, n):
    """The n numbers of gamma for row r; nothing of an absent gamma"""
    at = r % (len(gamma) // n) * n if len(gamma) else 0
    return gamma[at : at + n] if len(gamma) else gamma


@helper(fastmath={"reassoc"})
def squares_about(x, mean):
    """np.square(x - mean).sum()"""
    total = f4(0)
    for i in range(len(x)):
        total += (x[i] - mean) * (x[i] - mean)
    return total


@helper(fastmath={"reassoc"})
def dot_about(g, x, mean):
    """(g * (x - mean)).sum()"""
    total = f4(0)
    for i in range(len(x)):
        total += g[i] * (x[i] - mean)
    return total


@form(y="f4 M N", mean="f4 M", rstd="f4 M", x="f4 M N", gamma="f4 P*N", beta="f4 P*N", kind="i8")
def row_norm(y, mean, rstd, x, gamma, beta, kind, epsilon, first, last):
    """y = (x - mean) * rstd * gamma + beta"""
    n = x.shape[1]
    share = f4(1.0) if kind == UNIT else f4(np.float64(1.0) / n)
    group = rows_per_tile(n)
    for r in range(first * group, min(last * group, len(x))):
        row, out = x[r], y[r]
        g, b = part_of(gamma, r, n), part_of(beta, r, n)
        m = row_sum(row) * share if kind == LAYER else f4(0.0)
        s = f4(1.0) / f4(math.sqrt(squares_about(row, m) * share + f4(epsilon)))
        mean[r], rstd[r] = m, s
        for i in range(n):
            out[i] = (row[i] - m) * s
        if len(g):
            for i in range(n):
                out[i] *= g[i]
        if len(b):
            for i in range(n):
                out[i] += b[i]


@form(dx="f4 M N", dy="f4 M N", x="f4 M N", gamma="f4 P*N", mean="f4 M", rstd="f4 M", kind="i8")
def row_norm_grad(dx, dy, x, gamma, mean, rstd, kind, first, last):
    """dx = rstd * (g - g.mean(1) - xhat * (g * xhat).mean(1)); g = dy * gamma"""
    n = x.shape[1]
    share = f4(1.0) if kind == UNIT else f4(np.float64(1.0) / n)
    group = rows_per_tile(n)
    for r in range(first * group, min(last * group, len(x))):
        row, out, g, m, s = x[r], dx[r], part_of(gamma, r, n), mean[r], rstd[r]
        given = dy[r]
        if len(g):
            for i in range(n):
                out[i] = given[i] * g[i]
        else:
            for i in range(n):
                out[i] = given[i]
        a = row_sum(out) * share if kind == LAYER else f4(0.0)
        b = dot_about(out, row, m) * s * share
        for i in range(n):
            out[i] = s * ((out[i] - a) - (row[i] - m) * s * b)


@form(dgamma="f4 width", dbeta="f4 width", dy="f4 M N", x="f4 M N", mean="f4 M", rstd="f4 M")
def row_norm_grad_parameters(dgamma, dbeta, dy, x, mean, rstd, width, first, last):
    """dgamma = (dy * (x - mean) * rstd).reshape(-1, width).sum(0); dbeta = dy.reshape(-1, width).sum(0)"""
    n = x.shape[1]
    parts = width // n
    rows = len(x) // parts
    for t in range(first, last):
        start = t * TILE
        end = min(start + TILE, width)
        q, s = local(TILE, f4), local(TILE, f4)
        dgamma[start:end] = 0.0
        dbeta[start:end] = 0.0
        for chunk in range(0, rows, CHUNK):
            q[:] = 0.0
            s[:] = 0.0
            at = start
            while at < end:  # in stretches of one row of x
                part = at // n
                stop, before = min(end, (part + 1) * n), part * n
                for k in range(chunk, min(chunk + CHUNK, rows)):
                    r = k * parts + part
                    row, g = x[r][at - before : stop - before], dy[r][at - before : stop - before]
                    m, scale = mean[r], rstd[r]
                    qs, ss = q[at - start : stop - start], s[at - start : stop - start]
                    for c in range(len(row)):
                        ss[c] += g[c]
                        qs[c] += g[c] * ((row[c] - m) * scale)
                at = stop
            for c in range(end - start):
                dgamma[start + c] += q[c]
                dbeta[start + c] += s[c]
