"""Sums, means and extremes along axes."""

from __future__ import annotations

from .arithmetic import negative, sqrt, square
from .calling import apply, axes_of, function, operand


@function
def sum(x, axis=None, keepdims: bool = False):
    """Sum over an axis, several, or all."""
    return _reduced("reduce_sum", x, axis, keepdims)


@function
def mean(x, axis=None, keepdims: bool = False):
    """Mean over an axis, several, or all."""
    return _reduced("reduce_mean", x, axis, keepdims)


@function
def max(x, axis=None, keepdims: bool = False):
    """The largest over an axis, several, or all."""
    return _reduced("reduce_max", x, axis, keepdims)


@function
def min(x, axis=None, keepdims: bool = False):
    """The smallest over an axis, several, or all."""
    return negative(_reduced("reduce_max", negative(x), axis, keepdims))


def _reduced(name: str, x, axis, keepdims):
    x = operand(x)
    axes = axes_of(x, axis)
    if not axes:
        return x
    return apply(name, x, axes=axes, keepdims=bool(keepdims))


@function
def var(x, axis=None, keepdims: bool = False):
    """Mean squared distance from the mean (divided by the number of elements)."""
    return mean(square(apply("subtract", x, mean(x, axis, keepdims=True))), axis, keepdims)


@function
def std(x, axis=None, keepdims: bool = False):
    """Square root of `var`."""
    return sqrt(var(x, axis, keepdims))
