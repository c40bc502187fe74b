"""Arithmetic, element by element."""

from __future__ import annotations

import math

import numpy as np

from ..program.graph import Tensor
from ..program.variable import Variable
from .calling import apply, float_dtype, function, is_number


@function
def add(x1, x2):
    """x1 + x2, broadcast."""
    if is_number(x2):
        return affine(x1, offset=x2)
    return affine(x2, offset=x1) if is_number(x1) else apply("add", x1, x2)


@function
def subtract(x1, x2):
    """x1 - x2, broadcast."""
    if is_number(x2):
        return affine(x1, offset=-x2)
    return affine(x2, scale=-1.0, offset=x1) if is_number(x1) else apply("subtract", x1, x2)


@function
def multiply(x1, x2):
    """x1 x2, broadcast."""
    if is_number(x2):
        return affine(x1, scale=x2)
    return affine(x2, scale=x1) if is_number(x1) else apply("multiply", x1, x2)


@function
def divide(x1, x2):
    """x1 / x2, broadcast. By a number: times its reciprocal where that is exact."""
    if is_number(x2) and x2 and math.frexp(x2)[0] in (0.5, -0.5):
        return affine(x1, scale=1 / x2)
    return apply("divide", x1, x2)


def affine(x, scale=1.0, offset=0.0):
    if is_number(x):
        return np.asarray(x * scale + offset)
    if isinstance(x, np.ndarray) and x.dtype.kind != "f":
        return x * scale + offset
    return apply("affine", x, scale=float(scale), offset=float(offset))


@function
def negative(x):
    """-x."""
    return apply("negative", x)


@function
def absolute(x):
    """The absolute value; its gradient at 0 is 0."""
    return apply("absolute", x)


@function
def sign(x):
    """-1, 0 or 1; its gradient is nil."""
    return apply("sign", x)


@function
def square(x):
    """x^2."""
    return apply("square", x)


@function
def sqrt(x):
    """The square root."""
    return apply("sqrt", x)


@function
def rsqrt(x):
    """1 / sqrt(x)."""
    return apply("reciprocal", apply("sqrt", x))


@function
def reciprocal(x):
    """1 / x."""
    return apply("reciprocal", x)


@function
def exp(x):
    """e^x."""
    return apply("exp", x)


@function
def expm1(x):
    """e^x - 1, exact for small x."""
    return apply("expm1", x)


@function
def log(x):
    """The natural logarithm."""
    return apply("log", x)


@function
def log1p(x):
    """ln(1 + x), exact for small x."""
    return apply("log1p", x)


@function
def power(x1, x2):
    """x1 to the power x2, broadcast; for a negative x1, x2 must be whole."""
    if is_number(x2) and x2 == 2:
        return square(x1)
    if is_number(x2) and x2 == 1:
        return affine(x1)
    if is_number(x2) and x2 == 0.5:
        return sqrt(x1)
    return apply("power", x1, x2)


@function
def maximum(x1, x2):
    """The larger of the two, broadcast."""
    return apply("maximum", x1, x2)


@function
def minimum(x1, x2):
    """The smaller of the two, broadcast."""
    return apply("minimum", x1, x2)


@function
def clip(x, x_min, x_max):
    """x, brought into [x_min, x_max]."""
    if is_number(x_min) and is_number(x_max):
        return apply("clip", x, low=float(x_min), high=float(x_max))
    return minimum(maximum(x, x_min), x_max)


@function
def greater(x1, x2):
    """1 where x1 > x2, else 0, as float; its gradient is nil."""
    return apply("greater", x1, x2)


@function
def less(x1, x2):
    """1 where x1 < x2, else 0, as float; its gradient is nil."""
    return apply("greater", x2, x1)


@function
def not_equal(x1, x2):
    """1 where x1 is not x2, else 0, as float; its gradient is nil.

    Examples
    --------
    >>> not_equal(np.array([1.0, 0.0]), 0.0)
    array([1., 0.])
    """
    return greater(absolute(subtract(x1, x2)), 0.0)


@function
def where(condition, x1, x2):
    """x1 where the condition is not 0, else x2; broadcast.

    Examples
    --------
    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    values = (condition, x1, x2)
    dtype = float_dtype([x for x in (x1, x2) if x is not None] + [x for x in values if isinstance(x, Tensor)])
    x1, x2 = (None if is_number(x) and x == 0 else _typed(x, dtype) for x in (x1, x2))
    return apply("where", _typed(condition, dtype), x1, x2)


def _typed(x, dtype):
    return x if isinstance(x, Tensor | Variable) else np.asarray(x, dtype)
