"""Arithmetic on elements: two arrays with NumPy's broadcasting, one array, constants and copies."""

from __future__ import annotations

import numpy as np

from ..spec import BLOCK
from .form import elementwise, form
from .math import erf as own_erf
from .math import fma, larger, smaller
from .math import log as natural_log
from .memory import view

# ---------------------------------------------------------------------- two arrays


@elementwise
def add(a, b):
    return a + b


@elementwise
def subtract(a, b):
    return a - b


@elementwise
def multiply(a, b):
    return a * b


@elementwise
def divide(a, b):
    return a / b


@elementwise
def maximum(a, b):
    return b if b > a or b != b else a


@elementwise
def minimum(a, b):
    return b if b < a or b != b else a


@elementwise
def greater(a, b):
    return 1 if a > b else 0


# ---------------------------------------------------------------------- one array


@elementwise
def negative(x):
    return -x


@elementwise
def exp(x):
    return np.exp(x)


@elementwise
def log(x):
    return natural_log(x)


@elementwise
def sqrt(x):
    return np.sqrt(x)


@elementwise
def square(x):
    return x * x


@elementwise
def absolute(x):
    return abs(x)


@elementwise
def sign(x):
    return 1 if x > 0 else -1 if x < 0 else x


@elementwise
def reciprocal(x):
    return 1 / x


@elementwise
def log1p(x):
    return np.log1p(x)


@elementwise
def expm1(x):
    return np.expm1(x)


@elementwise
def erf(x):
    return own_erf(x)


@elementwise
def affine(x, scale, offset):
    return fma(x, scale, offset)


@elementwise
def clip(x, low, high):
    return smaller(larger(x, low), high)


@elementwise
def clip_grad(dy, x, low, high):
    return 0 if x < low or x > high else dy


# ---------------------------------------------------------------------- constants and copies


@form(y="address", value="f8")
def fill(y, value, N, type, first, last):  # noqa: N803
    """y[:] = value"""
    part = slice(first * BLOCK, min(last * BLOCK, N))
    if type == 0:
        view(y, N, np.float32)[part] = np.float32(value)
    elif type == 1:
        view(y, N, np.float64)[part] = value
    elif type == 2:
        view(y, N, np.int32)[part] = np.int32(value)
    else:
        view(y, N, np.uint8)[part] = np.uint8(np.int32(value))


@form(y="u1 N*itemsize", x="u1 N*itemsize")
def copy(y, x, N, itemsize, first, last):  # noqa: N803
    """y[:] = x"""
    start, stop = first * BLOCK * itemsize, min(last * BLOCK, N) * itemsize
    y[start:stop] = x[start:stop]
