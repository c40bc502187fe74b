"""Losses, their gradients, and hits for metrics.

A function of elements (`squared`) says what an element adds to its row's loss, or what its gradient is,
and the kernel sends it over the rows of its tiles. ``keep`` and ``part`` smooth the targets: ``t * keep + part``.
"""

from __future__ import annotations

import numpy as np

from ..errors import FAR
from ..loss import HIGH, LOW
from .form import form, helper
from .math import exp, expm1, fma, larger, log, log1p, log1p_finite, sigmoid, smaller, tanh
from .rows import row_argmax, row_dot, row_each, row_map, row_softmax, row_sum, row_total

f4 = np.float32
NAN = f4(np.nan)
LOW, HIGH = f4(LOW), f4(HIGH)
FAR, LOG_2 = f4(FAR), f4(0.69314718)


@helper
def rows_of(first, last, group, rows):
    """The rows of these tiles."""
    return range(first * group, min(last * group, rows))


@helper
def known(label, columns):
    """Whether a label is the number of a column."""
    return 0 <= label < columns


@helper
def clip(q):
    """np.clip(q, LOW, HIGH); NaN stays"""
    q = LOW if q < LOW else q
    return HIGH if q > HIGH else q


@helper
def unless_clipped(q, x):
    """0 where q would be clipped, else x"""
    x = 0.0 if q < LOW else x
    return 0.0 if q > HIGH else x


# ---------------------------------------------------------------------- softmax and cross-entropy

@form(losses="f4 rows", p="f4 rows columns", z="f4 rows columns", labels="i4 rows")
def softmax_cross_entropy(losses, p, z, labels, rows, columns, group, first, last):
    """p = softmax(z); losses = np.log(np.exp(z - z.max(1)).sum(1)) - (z - z.max(1))[label]"""
    for r in rows_of(first, last, group, rows):
        largest, total = row_softmax(p[r], z[r])
        label = labels[r]
        losses[r] = log(total) - (z[r, label] - largest) if known(label, columns) else NAN


@helper(noalias=True)
def row_label_grad(dz, p, label, g):
    """dz = (p - onehot(label)) * g"""
    for i in range(len(dz)):
        dz[i] = (p[i] - (1.0 if i == label else 0.0)) * g


@form(dz="f4 rows columns", g="f4 rows", p="f4 rows columns", labels="i4 rows")
def softmax_cross_entropy_grad(dz, g, p, labels, rows, columns, group, first, last):
    """dz = (p - onehot(labels)) * g; NaN for a label that is no column"""
    for r in rows_of(first, last, group, rows):
        row_label_grad(dz[r], p[r], labels[r], g[r] if known(labels[r], columns) else NAN)


@helper
def surprise(z, t, largest, log_sum, keep, part):
    """-t * log softmax(z)"""
    return fma(t, keep, part) * (log_sum - (z - largest))


@form(losses="f4 rows", p="f4 rows columns", z="f4 rows columns", t="f4 rows columns")
def softmax_cross_entropy_dense(losses, p, z, t, label_smoothing, rows, columns, group, first, last):
    """p = softmax(z); losses = -(t * np.log(p)).sum(1)"""
    keep, part = f4(1.0) - label_smoothing, label_smoothing / f4(columns)
    for r in rows_of(first, last, group, rows):
        largest, total = row_softmax(p[r], z[r])
        losses[r] = row_total(surprise, z[r], t[r], largest, log(total), keep, part)


@helper
def surprise_grad(p, t, total, g, keep, part):
    return fma(p, total, -fma(t, keep, part)) * g


@form(dz="f4 rows columns", g="f4 rows", p="f4 rows columns", t="f4 rows columns")
def softmax_cross_entropy_dense_grad(dz, g, p, t, label_smoothing, rows, columns, group, first, last):
    """dz = (p * t.sum(1) - t) * g"""
    keep, part = f4(1.0) - label_smoothing, label_smoothing / f4(columns)
    for r in rows_of(first, last, group, rows):
        total = fma(row_sum(t[r]), keep, label_smoothing)
        row_map(surprise_grad, dz[r], p[r], t[r], total, g[r], keep, part)


# ---------------------------------------------------------------------- cross-entropy alone; q = p / p.sum(1)

@form(losses="f4 rows", p="f4 rows columns", labels="i4 rows")
def cross_entropy(losses, p, labels, rows, columns, group, first, last):
    """losses = -np.log(np.clip(q, LOW, HIGH))[label]"""
    for r in rows_of(first, last, group, rows):
        total, label = row_sum(p[r]), labels[r]
        losses[r] = -log(clip(p[r, label] / total)) if known(label, columns) else NAN


@form(dp="f4 rows columns", g="f4 rows", p="f4 rows columns", labels="i4 rows")
def cross_entropy_grad(dp, g, p, labels, rows, columns, group, first, last):
    """dp = (1 - onehot(labels) / q) * g / p.sum(1), or 0 where q[label] was clipped"""
    for r in rows_of(first, last, group, rows):
        out, total, label = dp[r], row_sum(p[r]), labels[r]
        q, factor = f4(1.0), NAN
        if known(label, columns):
            q = p[r, label] / total
            factor = unless_clipped(q, g[r] / total)
        out[:] = factor
        if known(label, columns):
            out[label] = unless_clipped(q, (1.0 - 1.0 / q) * factor)


@helper
def share_surprise(p, t, total, keep, part):
    """-t * log clip(p / total)"""
    return fma(t, keep, part) * -log(clip(p / total))


@form(losses="f4 rows", p="f4 rows columns", t="f4 rows columns")
def cross_entropy_dense(losses, p, t, label_smoothing, rows, columns, group, first, last):
    """losses = -(t * np.log(np.clip(q, LOW, HIGH))).sum(1)"""
    keep, part = f4(1.0) - label_smoothing, label_smoothing / f4(columns)
    for r in rows_of(first, last, group, rows):
        losses[r] = row_total(share_surprise, p[r], t[r], row_sum(p[r]), keep, part)


@helper
def unclipped_target(p, t, total, keep, part):
    """t, or 0 where p / total is clipped"""
    return unless_clipped(p / total, fma(t, keep, part))


@helper
def share_surprise_grad(p, t, total, targets, factor, keep, part):
    q = p / total
    return (targets - unless_clipped(q, fma(t, keep, part) / q)) * factor


@form(dp="f4 rows columns", g="f4 rows", p="f4 rows columns", t="f4 rows columns")
def cross_entropy_dense_grad(dp, g, p, t, label_smoothing, rows, columns, group, first, last):
    """u = t / q, 0 where q is clipped; dp = ((u * q).sum(1) - u) * g / p.sum(1)"""
    keep, part = f4(1.0) - label_smoothing, label_smoothing / f4(columns)
    for r in rows_of(first, last, group, rows):
        total = row_sum(p[r])
        targets = row_total(unclipped_target, p[r], t[r], total, keep, part)
        row_map(share_surprise_grad, dp[r], p[r], t[r], total, targets, g[r] / total, keep, part)


# ---------------------------------------------------------------------- binary cross-entropy

@helper
def sigmoid_surprise(z, t, keep, part):
    """-t * log(sigmoid(z)) - (1 - t) * log(1 - sigmoid(z)), written so that nothing overflows"""
    return larger(z, 0.0) - z * fma(t, keep, part) + log1p_finite(exp(-abs(z)))


@form(losses="f4 rows", p="f4 rows columns", z="f4 rows columns", t="f4 rows columns")
def sigmoid_cross_entropy(losses, p, z, t, label_smoothing, rows, columns, group, first, last):
    """p = sigmoid(z); losses = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(1)"""
    keep, part, share = f4(1.0) - label_smoothing, 0.5 * label_smoothing, f4(1.0 / columns)
    for r in rows_of(first, last, group, rows):
        row_each(sigmoid, p[r], z[r])
        losses[r] = row_total(sigmoid_surprise, z[r], t[r], keep, part) * share


@helper
def smoothed_difference(p, t, factor, keep, part):
    return (p - fma(t, keep, part)) * factor


@form(dz="f4 rows columns", g="f4 rows", p="f4 rows columns", t="f4 rows columns")
def sigmoid_cross_entropy_grad(dz, g, p, t, label_smoothing, rows, columns, group, first, last):
    """dz = (p - t) * g / columns"""
    keep, part, share = f4(1.0) - label_smoothing, 0.5 * label_smoothing, f4(1.0 / columns)
    for r in rows_of(first, last, group, rows):
        row_map(smoothed_difference, dz[r], p[r], t[r], g[r] * share, keep, part)


@helper
def binary_surprise(p, t, keep, part):
    t, q = fma(t, keep, part), clip(p)
    return -(t * log(q) + (1.0 - t) * log1p(-q))


@form(losses="f4 rows", p="f4 rows columns", t="f4 rows columns")
def binary_cross_entropy(losses, p, t, label_smoothing, rows, columns, group, first, last):
    """q = np.clip(p, LOW, HIGH); losses = -(t * np.log(q) + (1 - t) * np.log1p(-q)).mean(1)"""
    keep, part, share = f4(1.0) - label_smoothing, 0.5 * label_smoothing, f4(1.0 / columns)
    for r in rows_of(first, last, group, rows):
        losses[r] = row_total(binary_surprise, p[r], t[r], keep, part) * share


@helper
def binary_surprise_grad(p, t, factor, keep, part):
    return unless_clipped(p, (p - fma(t, keep, part)) / (p * (1.0 - p)) * factor)


@form(dp="f4 rows columns", g="f4 rows", p="f4 rows columns", t="f4 rows columns")
def binary_cross_entropy_grad(dp, g, p, t, label_smoothing, rows, columns, group, first, last):
    """dp = (p - t) / (p * (1 - p)) * g / columns, 0 where p is clipped"""
    keep, part, share = f4(1.0) - label_smoothing, 0.5 * label_smoothing, f4(1.0 / columns)
    for r in rows_of(first, last, group, rows):
        row_map(binary_surprise_grad, dp[r], p[r], t[r], g[r] * share, keep, part)


# ---------------------------------------------------------------------- regression

@helper
def squared(y, t):
    return (y - t) * (y - t)


@helper
def absolute(y, t):
    return abs(y - t)


@helper
def scaled_difference(y, t, factor):
    return (y - t) * factor


@helper
def scaled_sign(y, t, factor):
    """np.sign(y - t) * factor; 0 and NaN are their own signs"""
    d = y - t
    sign = -1.0 if d < 0.0 else d
    return (1.0 if d > 0.0 else sign) * factor


@form(losses="f4 rows", y="f4 rows columns", t="f4 rows columns")
def squared_error(losses, y, t, rows, columns, group, first, last):
    """losses = np.square(y - t).mean(1)"""
    for r in rows_of(first, last, group, rows):
        losses[r] = row_total(squared, y[r], t[r]) * f4(1.0 / columns)


@form(dy="f4 rows columns", g="f4 rows", y="f4 rows columns", t="f4 rows columns")
def squared_error_grad(dy, g, y, t, rows, columns, group, first, last):
    """dy = 2 * (y - t) * g / columns"""
    for r in rows_of(first, last, group, rows):
        row_map(scaled_difference, dy[r], y[r], t[r], g[r] * f4(2.0 / columns))


@form(losses="f4 rows", y="f4 rows columns", t="f4 rows columns")
def absolute_error(losses, y, t, rows, columns, group, first, last):
    """losses = np.abs(y - t).mean(1)"""
    for r in rows_of(first, last, group, rows):
        losses[r] = row_total(absolute, y[r], t[r]) * f4(1.0 / columns)


@form(dy="f4 rows columns", g="f4 rows", y="f4 rows columns", t="f4 rows columns")
def absolute_error_grad(dy, g, y, t, rows, columns, group, first, last):
    """dy = np.sign(y - t) * g / columns"""
    for r in rows_of(first, last, group, rows):
        row_map(scaled_sign, dy[r], y[r], t[r], g[r] * f4(1.0 / columns))


@helper
def huber(y, t, delta):
    far = abs(y - t)
    near = smaller(far, delta)
    return near * (far - f4(0.5) * near)


@helper
def clipped_difference(y, t, delta, factor):
    return smaller(larger(y - t, -delta), delta) * factor


@helper
def log_cosh(y, t):
    far = abs(y - t)
    e = expm1(smaller(far, FAR))
    near = log1p_finite(e * e / (f4(2.0) + f4(2.0) * e))
    return near if far < FAR else far - LOG_2


@helper
def scaled_tanh(y, t, factor):
    return tanh(y - t) * factor


@form(losses="f4 rows", y="f4 rows columns", t="f4 rows columns")
def huber_error(losses, y, t, delta, rows, columns, group, first, last):
    """losses = (near * (np.abs(y - t) - near / 2)).mean(1), near = np.minimum(np.abs(y - t), delta)"""
    for r in rows_of(first, last, group, rows):
        losses[r] = row_total(huber, y[r], t[r], delta) * f4(1.0 / columns)


@form(dy="f4 rows columns", g="f4 rows", y="f4 rows columns", t="f4 rows columns")
def huber_error_grad(dy, g, y, t, delta, rows, columns, group, first, last):
    """dy = np.clip(y - t, -delta, delta) * g / columns"""
    for r in rows_of(first, last, group, rows):
        row_map(clipped_difference, dy[r], y[r], t[r], delta, g[r] * f4(1.0 / columns))


@form(losses="f4 rows", y="f4 rows columns", t="f4 rows columns")
def log_cosh_error(losses, y, t, rows, columns, group, first, last):
    """losses = np.log(np.cosh(y - t)).mean(1)"""
    for r in rows_of(first, last, group, rows):
        losses[r] = row_total(log_cosh, y[r], t[r]) * f4(1.0 / columns)


@form(dy="f4 rows columns", g="f4 rows", y="f4 rows columns", t="f4 rows columns")
def log_cosh_error_grad(dy, g, y, t, rows, columns, group, first, last):
    """dy = np.tanh(y - t) * g / columns"""
    for r in rows_of(first, last, group, rows):
        row_map(scaled_tanh, dy[r], y[r], t[r], g[r] * f4(1.0 / columns))


# ---------------------------------------------------------------------- one number

@form(total="f4 1")
def weighted_sum(total, values, weights, scale, first, last):
    """total = (weights * values).sum() * scale; absent weights are 1"""
    if first < last:
        total[0] = (row_dot(weights, values) if len(weights) else row_sum(values)) * scale


@form(g="f4")
def weighted_sum_grad(dv, g, weights, scale, first, last):
    """dv = g * scale * weights"""
    factor = g * scale
    if first < last and len(weights):
        for i in range(len(dv)):
            dv[i] = factor * weights[i]
    elif first < last:
        dv[:] = factor


# ---------------------------------------------------------------------- hits

@form(hits="f4 rows", p="f4 rows columns", labels="i4 rows")
def sparse_categorical_hits(hits, p, labels, rows, group, first, last):
    """hits = p.argmax(1) == labels"""
    for r in rows_of(first, last, group, rows):
        hits[r] = 1.0 if row_argmax(p[r]) == labels[r] else 0.0


@form(hits="f4 rows", p="f4 rows columns", t="f4 rows columns")
def categorical_hits(hits, p, t, rows, group, first, last):
    """hits = p.argmax(1) == t.argmax(1)"""
    for r in rows_of(first, last, group, rows):
        hits[r] = 1.0 if row_argmax(p[r]) == row_argmax(t[r]) else 0.0


@helper
def hit(p, t, threshold):
    return 1.0 if t == (1.0 if p > threshold else 0.0) else 0.0


@form(hits="f4 rows", p="f4 rows columns", t="f4 rows columns")
def binary_hits(hits, p, t, threshold, rows, columns, group, first, last):
    """hits = ((p > threshold) == t).mean(1)"""
    for r in rows_of(first, last, group, rows):
        hits[r] = row_total(hit, p[r], t[r], threshold) * f4(1.0 / columns)
