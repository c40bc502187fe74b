"""Batch normalisation of tall matrices: a tile is a block of whole rows; sums of blocks are merged in their order."""

from __future__ import annotations

import math

import numpy as np

from ..norm import WIDEST
from .activation import LINEAR, activate
from .form import form, helper
from .memory import local
from .norm import affine, backward, gradient_sums, merge, moments, offset_of, scale_of

f4 = np.float32


@form(means="f4 -(-rows//block) columns", squares="f4 -(-rows//block) columns", x="f4 rows columns")
def batch_norm_moments(means, squares, x, rows, block, first, last):
    """means[t] = x[t].mean(0); squares[t] = np.square(x[t] - means[t]).sum(0)"""
    for t in range(first, last):
        moments(means[t], squares[t], x[t * block : min((t + 1) * block, rows)], 0)


@helper
def merged(mean, m2, means, squares, rows, block):
    """mean and m2 of all rows from those of the blocks, one after the other"""
    n = len(mean)
    s, q, carry = local(WIDEST, f4)[:n], local(WIDEST, f4)[:n], local(WIDEST, f4)[:n]
    mean[:] = means[0]
    m2[:] = squares[0]
    carry[:] = 0.0
    for t in range(1, len(means)):
        stop = min((t + 1) * block, rows)
        count = f4(stop - t * block)
        for c in range(n):
            d = means[t, c] - mean[c]
            s[c] = count * d
            q[c] = squares[t, c] + s[c] * d
        merge(mean, m2, carry, s, q, stop)


@form(y="f4 rows columns", mean="f4 columns", rstd="f4 columns", moving_mean="f4 columns", moving_var="f4 columns",
      x="f4 rows columns", gamma="f4 columns", beta="f4 columns", means="f4 -(-rows//block) columns",
      squares="f4 -(-rows//block) columns", plus="f4 rows columns", momentum="f8", unbiased_moving_variance="i8")
def batch_norm_rows(y, mean, rstd, moving_mean, moving_var, x, gamma, beta, means, squares, plus, momentum, epsilon,
                    unbiased_moving_variance, activation, alpha, rows, columns, block, first, last):
    """y = activation((x - mean) / np.sqrt(var + epsilon) * gamma + beta + plus)"""
    share = f4(np.float64(1.0) / rows)
    unbiased = f4(np.float64(1.0) / (rows - 1 if unbiased_moving_variance and rows > 1 else rows))
    rate = f4(np.float64(1.0) - momentum)
    center, m2, r = local(WIDEST, f4)[:columns], local(WIDEST, f4)[:columns], local(WIDEST, f4)[:columns]
    scale, offset = local(WIDEST, f4)[:columns], local(WIDEST, f4)[:columns]
    merged(center, m2, means, squares, rows, block)
    for c in range(columns):
        total = 0.0 if m2[c] < 0.0 else m2[c]  # equal values may leave a rounding below zero; NaN stays
        r[c] = 1.0 / math.sqrt(total * share + epsilon)
        if first == 0:
            mean[c] = center[c]
            rstd[c] = r[c]
            moving_mean[c] += (center[c] - moving_mean[c]) * rate
            moving_var[c] += (total * unbiased - moving_var[c]) * rate
    scale_of(scale, r, gamma, 0)
    offset_of(offset, beta, 0)
    start, stop = first * block, min(last * block, rows)
    affine(y[start:stop], x[start:stop], center, scale, offset, 0)
    for i in range(start, stop):
        out = y[i]
        if len(plus):
            other = plus[i]
            for c in range(columns):
                out[c] += other[c]
        if activation != LINEAR:
            activate(activation, out, out, alpha)


@form(s="f4 -(-rows//block) columns", q="f4 -(-rows//block) columns", dy="f4 rows columns", x="f4 rows columns",
      mean="f4 columns")
def batch_norm_grad_sums(s, q, dy, x, mean, rows, columns, block, first, last):
    """s[t] = dy[t].sum(0); q[t] = (dy[t] * (x[t] - mean)).sum(0)"""
    one = local(WIDEST, f4)[:columns]
    one[:] = 1.0
    for t in range(first, last):
        start, stop = t * block, min((t + 1) * block, rows)
        gradient_sums(q[t], s[t], dy[start:stop], x[start:stop], mean, one, 0)


@form(dx="f4 rows columns", dgamma="f4 columns", dbeta="f4 columns", dy="f4 rows columns", x="f4 rows columns",
      gamma="f4 columns", mean="f4 columns", rstd="f4 columns", s="f4 -(-rows//block) columns",
      q="f4 -(-rows//block) columns")
def batch_norm_grad_rows(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, s, q, rows, columns, block, first, last):
    """dx = gamma * rstd * (dy - dbeta / rows - xhat * dgamma / rows); xhat = (x - mean) * rstd"""
    share = f4(1.0 / rows)
    a, b, offset = local(WIDEST, f4)[:columns], local(WIDEST, f4)[:columns], local(WIDEST, f4)[:columns]
    beta_sum, gamma_sum = local(WIDEST, f4)[:columns], local(WIDEST, f4)[:columns]
    beta_sum[:] = 0.0
    gamma_sum[:] = 0.0
    for t in range(len(s)):
        for c in range(columns):
            beta_sum[c] += s[t, c]
            gamma_sum[c] += q[t, c]
    scale_of(a, rstd, gamma, 0)
    for c in range(columns):
        gamma_sum[c] *= rstd[c]
        if first == 0:
            dbeta[c] = beta_sum[c]
            dgamma[c] = gamma_sum[c]
        b[c] = a[c] * rstd[c] * (gamma_sum[c] * share)
        offset[c] = a[c] * (beta_sum[c] * share)
    start, stop = first * block, min(last * block, rows)
    backward(dx[start:stop], dy[start:stop], x[start:stop], mean, a, b, offset, 0)
