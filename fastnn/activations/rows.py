"""Activations along an axis, as functions: softmax and its relatives.

Their native forms are right to 3 units in the last place plus those of a sum in 16 lanes (softmax), to 2e-7 of 1 or of
the value, whichever is larger (log_softmax, sparsemax), and to 4 units (glu).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..ops.calling import apply, axes_of, function, operand
from ..ops.shapes import reshape, transpose


@function
def softmax(x, axis: int | Sequence[int] = -1):
    """exp(x) over its sum along an axis, or several; from x - max(x), so that nothing overflows.

    Examples
    --------
    >>> softmax(np.array([[0.0, np.log(3)], [1e30, 0.0]])).round(6)
    array([[0.25, 0.75],
           [1.  , 0.  ]])
    """
    return _along("softmax", x, axis)


@function
def log_softmax(x, axis: int | Sequence[int] = -1):
    """The logarithm of `softmax`: x - max(x) - log(sum(exp(x - max(x)))).

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _along("log_softmax", x, axis)


@function
def sparsemax(x, axis: int = -1):
    """The point nearest to x whose elements are at least 0 and sum to 1: max(x - tau, 0) along an axis.

    Keras 3.15 has another tau wherever more than one element is left, and rows that do not sum to 1.

    References
    ----------
    Martins & Astudillo (2016), From softmax to sparsemax, arXiv:1602.02068.

    Examples
    --------
    >>> sparsemax(np.array([1.0, 0.5, -1.0]))
    array([0.75, 0.25, 0.  ])
    """
    return _along("sparsemax", x, axis)


@function
def glu(x, axis: int = -1):
    """a sigmoid(b), a and b the two halves of an axis of even length.

    References
    ----------
    Dauphin et al. (2017), Language modeling with gated convolutional networks, arXiv:1612.08083.

    Examples
    --------
    >>> glu(np.array([1.0, 2.0, 0.0, np.log(3)]))
    array([0.5, 1.5])
    """
    x = operand(x)
    (at,) = axes_of(x, int(axis))
    if x.shape[at] % 2:
        raise ValueError(f"glu halves axis {axis}, which is odd in the shape {tuple(x.shape)}.")
    return _along("glu", x, at)


def _along(name: str, x, axis: int | Sequence[int]):
    """A kernel of the last axis along others, which go to the end and come back."""
    x = operand(x)
    axes, ndim = axes_of(x, axis), len(x.shape)
    if not axes:
        raise ValueError(f"{name} wants at least one axis, not {axis!r}.")
    if axes == (ndim - 1,):
        return apply(name, x)
    perm = [i for i in range(ndim) if i not in axes] + list(axes)
    y = transpose(x, perm)
    if len(axes) > 1:
        shape = tuple(y.shape)
        last = math.prod(shape[-len(axes):])
        y = reshape(apply(name, reshape(y, (*shape[: -len(axes)], last))), shape)
    else:
        y = apply(name, y)
    return transpose(y, [int(i) for i in np.argsort(perm)])
