"""Activations and softmax.

The kind of an activation is one number for the whole call: it is looked at once, and then a loop of its own runs.
"""

from __future__ import annotations

import numpy as np

from ..activation import KINDS, rows_per_tile
from .form import elementwise, form, helper
from .kinds import (
    SELU_SCALE,
    SELU_SLOPE,
    celu,
    celu_slope,
    elu,
    gelu,
    gelu_slope,
    gelu_tanh,
    gelu_tanh_slope,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_silu_slope,
    hard_tanh,
    leaky_relu,
    leaky_relu_slope,
    log_sigmoid,
    log_sigmoid_slope,
    mish,
    mish_slope,
    relu,
    relu6,
    selu,
    silu,
    silu_slope,
    soft_shrink,
    softsign,
    softsign_slope,
    sparse_plus,
    sparse_plus_slope,
    sparse_sigmoid,
    squareplus,
    squareplus_slope,
    tanh_shrink,
    tanh_shrink_slope,
    through_hard_sigmoid,
    through_hard_tanh,
    through_relu6,
    through_shrink,
    through_sparse_sigmoid,
)
from .math import exp, fma, larger, log, sigmoid, smaller, softplus, tanh
from .rows import row_dot, row_each, row_exp_sum, row_map, row_max, row_softmax, row_sum, row_total

f4 = np.float32
LARGEST = np.finfo(f4).max
(LINEAR, RELU, SIGMOID, TANH, ELU, SELU, LEAKY_RELU, RELU6, CELU, HARD_SIGMOID, HARD_TANH, HARD_SHRINK, SOFT_SHRINK,
 LOG_SIGMOID, SPARSE_PLUS, SPARSE_SIGMOID, SQUAREPLUS, EXPONENTIAL, GELU, GELU_TANH, SILU, SOFTPLUS, SOFTSIGN, MISH,
 HARD_SILU, TANH_SHRINK) = range(len(KINDS))


@helper
def each_slope(f, dx, dy, x, *numbers):
    """dx = dy * f(x, *numbers)"""
    for i in range(len(dx)):
        dx[i] = dy[i] * f(x[i], *numbers)


@helper
def each_choice(f, dx, dy, y):
    """dx = f(dy, y)"""
    for i in range(len(dx)):
        dx[i] = f(dy[i], y[i])


@helper
def activate(kind, y, x, alpha):
    """y = f(x), f of this kind; all arrays are flat and of one length"""
    if kind == LINEAR:
        for i in range(len(y)):
            y[i] = x[i]
    elif kind == RELU:
        row_each(relu, y, x)
    elif kind == SIGMOID:
        row_each(sigmoid, y, x)
    elif kind == TANH:
        row_each(tanh, y, x)
    elif kind == ELU:
        row_each(elu, y, x, alpha)
    elif kind == SELU:
        row_each(selu, y, x)
    elif kind == GELU:
        row_each(gelu, y, x)
    elif kind == GELU_TANH:
        row_each(gelu_tanh, y, x)
    elif kind == SILU:
        row_each(silu, y, x, alpha)
    elif kind == SOFTPLUS:
        row_each(softplus, y, x)
    elif kind == EXPONENTIAL:
        row_each(exp, y, x)
    elif kind == LEAKY_RELU:
        row_each(leaky_relu, y, x, alpha)
    elif kind == RELU6:
        row_each(relu6, y, x)
    elif kind == CELU:
        row_each(celu, y, x, alpha)
    elif kind == HARD_SIGMOID:
        row_each(hard_sigmoid, y, x)
    elif kind == HARD_TANH:
        row_each(hard_tanh, y, x)
    elif kind == HARD_SHRINK:
        row_each(hard_shrink, y, x, alpha)
    elif kind == SOFT_SHRINK:
        row_each(soft_shrink, y, x, alpha)
    elif kind == LOG_SIGMOID:
        row_each(log_sigmoid, y, x)
    elif kind == SPARSE_PLUS:
        row_each(sparse_plus, y, x)
    elif kind == SPARSE_SIGMOID:
        row_each(sparse_sigmoid, y, x)
    elif kind == SQUAREPLUS:
        row_each(squareplus, y, x, alpha)
    elif kind == SOFTSIGN:
        row_each(softsign, y, x)
    elif kind == MISH:
        row_each(mish, y, x)
    elif kind == HARD_SILU:
        row_each(hard_silu, y, x)
    elif kind == TANH_SHRINK:
        row_each(tanh_shrink, y, x)


@helper
def multiply_slope(kind, dx, dy, x, y, alpha):
    """dx = dy * f'(x), from y = f(x) where the kind is in `FROM_OUTPUT`; of x and y the other one may be empty"""
    if kind == LINEAR:
        for i in range(len(dx)):
            dx[i] = dy[i]
    elif kind == RELU:
        for i in range(len(dx)):
            dx[i] = 0.0 if y[i] <= 0.0 else dy[i]
    elif kind == SIGMOID:
        for i in range(len(dx)):
            dx[i] = dy[i] * (y[i] * (1.0 - y[i]))
    elif kind == TANH:
        for i in range(len(dx)):
            dx[i] = dy[i] * fma(-y[i], y[i], f4(1.0))
    elif kind == ELU:
        for i in range(len(dx)):
            dx[i] = dy[i] if y[i] > 0.0 else dy[i] * (y[i] + alpha)
    elif kind == SELU:
        for i in range(len(dx)):
            dx[i] = dy[i] * (SELU_SCALE if y[i] > 0.0 else y[i] + SELU_SLOPE)
    elif kind == GELU:
        each_slope(gelu_slope, dx, dy, x)
    elif kind == GELU_TANH:
        each_slope(gelu_tanh_slope, dx, dy, x)
    elif kind == SILU:
        each_slope(silu_slope, dx, dy, x, alpha)
    elif kind == SOFTPLUS:
        each_slope(sigmoid, dx, dy, x)
    elif kind == EXPONENTIAL:
        for i in range(len(dx)):
            dx[i] = dy[i] * y[i]
    elif kind == RELU6:
        each_choice(through_relu6, dx, dy, y)
    elif kind == HARD_SIGMOID:
        each_choice(through_hard_sigmoid, dx, dy, y)
    elif kind == HARD_TANH:
        each_choice(through_hard_tanh, dx, dy, y)
    elif kind == SPARSE_SIGMOID:
        each_choice(through_sparse_sigmoid, dx, dy, y)
    elif kind == CELU:
        each_slope(celu_slope, dx, dy, y, alpha)
    elif kind == LEAKY_RELU:
        each_slope(leaky_relu_slope, dx, dy, y, alpha)
    elif kind == LOG_SIGMOID:
        each_slope(log_sigmoid_slope, dx, dy, y)
    elif kind == SPARSE_PLUS:
        each_slope(sparse_plus_slope, dx, dy, y)
    elif kind == SQUAREPLUS:
        each_slope(squareplus_slope, dx, dy, y, alpha)
    elif kind == SOFTSIGN:
        each_slope(softsign_slope, dx, dy, x)
    elif kind == MISH:
        each_slope(mish_slope, dx, dy, x)
    elif kind == HARD_SILU:
        each_slope(hard_silu_slope, dx, dy, x)
    elif kind == TANH_SHRINK:
        each_slope(tanh_shrink_slope, dx, dy, x)
    elif kind == HARD_SHRINK or kind == SOFT_SHRINK:
        each_choice(through_shrink, dx, dy, y)


# ---------------------------------------------------------------------- the kernels

@form()
def activation(y, x, kind, alpha):
    """y = f(x)"""
    activate(kind, y, x, alpha)


@form()
def activation_grad(dx, dy, x, y, kind, alpha):
    """dx = dy * f'(x)"""
    multiply_slope(kind, dx, dy, x, y, alpha)


@form(y="f4 M N", x="f4 M N")
def softmax(y, x, first, last):
    """y = np.exp(x - x.max(1)); y /= y.sum(1)"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        row_softmax(y[r], x[r])


@form(dx="f4 M N", dy="f4 M N", y="f4 M N")
def softmax_grad(dx, dy, y, first, last):
    """dx = y * (dy - (dy * y).sum(1))"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        g, p, out = dy[r], y[r], dx[r]
        dot = row_dot(g, p)
        for i in range(len(out)):
            out[i] = p[i] * (g[i] - dot)


@form(y="f4 M N", x="f4 M N")
def log_softmax(y, x, first, last):
    """y = x - x.max(1); y -= np.log(np.exp(y).sum(1))"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        row, out = x[r], y[r]
        largest = row_max(row)
        log_sum = log(row_exp_sum(row, largest))
        for i in range(len(out)):
            out[i] = (row[i] - largest) - log_sum


@form(dx="f4 M N", dy="f4 M N", y="f4 M N")
def log_softmax_grad(dx, dy, y, first, last):
    """dx = dy - np.exp(y) * dy.sum(1)"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        g, logs, out = dy[r], y[r], dx[r]
        total = row_sum(g)
        for i in range(len(out)):
            out[i] = fma(-exp(logs[i]), total, g[i])


@elementwise
def ramp(x, threshold, slope, top, value):
    """y = smaller(x, top) if x > threshold else slope * (x - threshold) + value"""
    return smaller(x, top) if x > threshold else fma(slope, larger(x - threshold, -LARGEST), value)


@elementwise
def ramp_grad(dy, x, threshold, slope, top):
    """dx = dy for threshold < x < top, 0 from top on, slope * dy elsewhere"""
    d = (f4(1.0) if x < top else f4(0.0)) if x > threshold else slope
    return f4(0.0) if d == f4(0.0) else d * dy


@form(y="f4 M N", x="f4 M N", alpha="f4 N")
def prelu(y, x, alpha, first, last):
    """y = np.where(x > 0, x, alpha * x)"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        row_map(leaky_relu, y[r], x[r], alpha)


@helper
def below(dy, x):
    """dy * np.minimum(x, 0)"""
    return f4(0.0) if x > f4(0.0) else dy * x


@form(dx="f4 M N", dz="f4 M N", dy="f4 M N", x="f4 M N", alpha="f4 N")
def prelu_grad(dx, dz, dy, x, alpha, first, last):
    """dx = np.where(x > 0, dy, alpha * dy); dz = dy * np.minimum(x, 0)"""
    group = rows_per_tile(x.shape[1])
    for r in range(first * group, min(last * group, len(x))):
        g, z, out = dy[r], x[r], dx[r]
        for i in range(len(out)):
            out[i] = g[i] if z[i] > f4(0.0) else alpha[i] * g[i]
        row_map(below, dz[r], g, z)


@helper
def gated(a, b):
    """a * sigmoid(b)"""
    return a * sigmoid(b)


@form(y="f4 M N", x="f4 M 2 N")
def glu(y, x, first, last):
    """y = x[:, 0] * sigmoid(x[:, 1])"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        row_map(gated, y[r], x[r, 0], x[r, 1])


@form(dx="f4 M 2 N", dy="f4 M N", x="f4 M 2 N")
def glu_grad(dx, dy, x, first, last):
    """s = sigmoid(x[:, 1]); dx[:, 0] = dy * s; dx[:, 1] = dy * s * x[:, 0] * (1 - s)"""
    group = rows_per_tile(dy.shape[1])
    for r in range(first * group, min(last * group, len(dy))):
        g, a, b, da, db = dy[r], x[r, 0], x[r, 1], dx[r, 0], dx[r, 1]
        row_map(gated, da, g, b)
        for i in range(len(g)):
            db[i] = da[i] * a[i] * sigmoid(-b[i])


@helper
def excess(x, _, largest, tau):
    """x - largest where it is above tau, else 0"""
    z = x - largest
    return z if z > tau else f4(0.0)


@helper
def excess_count(x, _, largest, tau):
    """1 where x - largest is above tau, else 0"""
    return f4(1.0) if x - largest > tau else f4(0.0)


@helper
def count_above(_, x, tau):
    """1 where x is above tau, else 0"""
    return f4(1.0) if x > tau else f4(0.0)


@helper
def where_above(g, x, tau):
    """g where x > tau, else 0"""
    return g if x > tau else f4(0.0)


@form(y="f4 M N", x="f4 M N")
def sparsemax(y, x, first, last):
    """y = np.maximum(x - tau, 0), tau such that it sums to 1, by Newton's method from x.max() - 1"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        row, out = x[r], y[r]
        largest, tau = row_max(row), f4(-1.0)
        while True:
            above = row_total(excess, row, row, largest, tau)
            following = (above - f4(1.0)) / row_total(excess_count, row, row, largest, tau)
            if not following > tau:
                break
            tau = following
        for i in range(len(out)):
            z = (row[i] - largest) - tau
            out[i] = f4(0.0) if z <= f4(0.0) else z


@form(dx="f4 M N", dy="f4 M N", y="f4 M N")
def sparsemax_grad(dx, dy, y, first, last):
    """dx = np.where(y > 0, dy - dy[y > 0].mean(), 0)"""
    group = rows_per_tile(y.shape[1])
    for r in range(first * group, min(last * group, len(y))):
        g, p, out = dy[r], y[r], dx[r]
        mean = row_total(where_above, g, p, f4(0.0)) / row_total(count_above, g, p, f4(0.0))
        for i in range(len(out)):
            out[i] = g[i] - mean if p[i] > f4(0.0) else f4(0.0)
