"""Activations and softmax.

The kind of an activation is one number for the whole call: it is looked at once, and then a loop of its own runs.
"""

from __future__ import annotations

import numpy as np

from ..activation import KINDS, SELU_ALPHA, SELU_SCALE, rows_per_tile
from .form import form, helper
from .math import exp, expm1, fma, larger, log, normal_cdf, sigmoid, smaller, softplus, tanh
from .rows import row_dot, row_each, row_exp_sum, row_max, row_softmax, row_sum

f4 = np.float32
LINEAR, RELU, SIGMOID, TANH, ELU, SELU, GELU, GELU_TANH, SILU, SOFTPLUS, EXPONENTIAL = range(len(KINDS))
SELU_SLOPE = SELU_SCALE * SELU_ALPHA
GELU_C, GELU_A = f4(np.sqrt(2 / np.pi)), f4(0.044715)
DENSITY = f4(1 / np.sqrt(2 * np.pi))  # of the normal distribution, at 0


# ---------------------------------------------------------------------- functions of one element

@helper
def relu(x):
    """np.maximum(x, 0)"""
    return larger(x, 0.0)


@helper
def elu(x, alpha):
    """x for x > 0, else alpha * np.expm1(x)"""
    return x if x > 0.0 else alpha * expm1(x)


@helper
def selu(x):
    """SELU_SCALE * elu(x, SELU_ALPHA)"""
    return SELU_SCALE * x if x > 0.0 else SELU_SLOPE * expm1(x)


# At -inf the product with a factor that underflows to 0 would be NaN: x stops where the factor does.

@helper
def gelu(x):
    """x * normal_cdf(x)"""
    return larger(x, -100.0) * normal_cdf(x)


@helper
def gelu_tanh(x):
    """0.5 * x * (1 + np.tanh(GELU_C * (x + GELU_A * x**3)))"""
    t = tanh(GELU_C * fma(GELU_A * x * x, x, x))
    return larger(x, -100.0) * fma(f4(0.5), t, f4(0.5))


@helper
def silu(x):
    """x * sigmoid(x)"""
    return larger(x, -1000.0) * sigmoid(x)


# ---------------------------------------------------------------------- their derivatives
# At a clamped place: beyond it they do not change, and nothing overflows to inf * 0.

@helper
def gelu_slope(x):
    """normal_cdf(x) + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)"""
    x = smaller(larger(x, -100.0), 100.0)
    return fma(x * DENSITY, exp(-0.5 * x * x), normal_cdf(x))


@helper
def gelu_tanh_slope(x):
    """0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_C * (1 + 3 * GELU_A * x * x), t the tanh of `gelu_tanh`"""
    x = smaller(larger(x, -100.0), 100.0)
    a = GELU_A * x * x
    t = tanh(GELU_C * fma(a, x, x))
    inner = GELU_C * fma(f4(3.0), a, f4(1.0))
    return fma(0.5 * x * fma(-t, t, f4(1.0)), inner, fma(f4(0.5), t, f4(0.5)))


@helper
def silu_slope(x):
    """s * (1 + x * (1 - s)), s = sigmoid(x)"""
    x = smaller(larger(x, -1000.0), 1000.0)
    s = sigmoid(x)
    return s * fma(x, 1.0 - s, f4(1.0))


# ---------------------------------------------------------------------- arrays

@helper
def each_slope(f, dx, dy, x):
    """dx = dy * f(x)"""
    for i in range(len(dx)):
        dx[i] = dy[i] * f(x[i])


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
        row_each(silu, y, x)
    elif kind == SOFTPLUS:
        row_each(softplus, y, x)
    elif kind == EXPONENTIAL:
        row_each(exp, y, x)


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
        each_slope(silu_slope, dx, dy, x)
    elif kind == SOFTPLUS:
        each_slope(sigmoid, dx, dy, x)
    elif kind == EXPONENTIAL:
        for i in range(len(dx)):
            dx[i] = dy[i] * y[i]


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
