"""Functions of `fastnn.ops` that are made of others: they need no kernel of their own, and have the gradients that
follow from their parts.

Truth values are 1 and 0 as floats in a program; what is not 0 is true. NumPy arrays alone are handed to NumPy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..program.graph import Tensor
from .calling import axes_of, function, graph_of, is_number, operand
from .constants import filled_with

__all__ = [
    "all", "any", "arange", "argmax", "argmin", "average", "binary_crossentropy", "broadcast_to",
    "categorical_crossentropy", "ceil", "count_nonzero", "cumsum", "divide_no_nan", "einsum", "empty", "equal", "eye",
    "floor", "full", "full_like", "greater_equal", "identity", "isclose", "less_equal", "linspace", "log10", "log2",
    "logaddexp", "logical_and", "logical_not", "logical_or", "logsumexp", "moments", "ndim", "norm", "normalize",
    "one_hot", "ones", "outer", "prod", "ravel", "roll", "size", "sparse_categorical_crossentropy", "tril", "triu",
    "zeros",
]


def _plain(*values: Any) -> bool:
    """Whether NumPy can compute with these at once."""
    return graph_of(values) is None


# ---------------------------------------------------------------------- made of nothing

def zeros(shape, dtype: str | None = None) -> np.ndarray:
    """Zeros, as an array: a constant where a program meets it."""
    return np.zeros(shape, dtype or "float32")


def ones(shape, dtype: str | None = None) -> np.ndarray:
    """Ones, as an array."""
    return np.ones(shape, dtype or "float32")


def full(shape, fill_value, dtype: str | None = None) -> np.ndarray:
    """The same number everywhere, as an array."""
    return np.full(shape, fill_value, dtype or "float32")


def empty(shape, dtype: str | None = None) -> np.ndarray:
    """Zeros: nothing is left to chance."""
    return zeros(shape, dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> np.ndarray:  # noqa: N803 (Keras's)
    """Ones on a diagonal, zeros elsewhere, as an array."""
    return np.eye(N, M, k, dtype or "float32")


def identity(n: int, dtype: str | None = None) -> np.ndarray:
    """The identity matrix, as an array."""
    return np.eye(n, dtype=dtype or "float32")


def arange(start, stop=None, step=1, dtype: str | None = None) -> np.ndarray:
    """Numbers at equal distances, the end left out, as an array: int32 for whole numbers, else float32."""
    found = np.arange(start, stop, step) if stop is not None else np.arange(0, start, step)
    return found.astype(dtype or ("int32" if found.dtype.kind in "iu" else "float32"))


def linspace(start, stop, num: int = 50, endpoint: bool = True, dtype: str | None = None) -> np.ndarray:
    """So many numbers at equal distances from `start` to `stop`, as an array."""
    return np.linspace(start, stop, num, endpoint).astype(dtype or "float32")


@function
def full_like(x, fill_value, dtype=None):
    """One number in the shape of x."""
    return filled_with(x, float(fill_value))


# ---------------------------------------------------------------------- truth

def _truth(x):
    """1 where x is not 0."""
    if isinstance(x, Tensor) and x.dtype.kind != "f":
        x = ops.cast(x, "float32")
    return ops.greater(ops.absolute(x), 0.0)


def _floats(*values):
    """Values that can be compared: labels of a program as floats, truth values as 1 and 0."""
    return [ops.cast(v, "float32") if isinstance(v, Tensor) and v.dtype.kind != "f" else
            float(v) if isinstance(v, bool) else v.astype(np.float32) if isinstance(v, np.ndarray) and
            v.dtype.kind != "f" else v for v in values]


@function
def equal(x1, x2):
    """1 where the two are equal, else 0; its gradient is nil."""
    if _plain(x1, x2):
        return np.equal(x1, x2)
    x1, x2 = _floats(x1, x2)
    return logical_not(ops.absolute(ops.subtract(x1, x2)))


@function
def greater_equal(x1, x2):
    """1 where x1 >= x2, else 0; its gradient is nil."""
    if _plain(x1, x2):
        return np.greater_equal(x1, x2)
    return 1.0 - ops.greater(*_floats(x2, x1))


@function
def less_equal(x1, x2):
    """1 where x1 <= x2, else 0; its gradient is nil."""
    if _plain(x1, x2):
        return np.less_equal(x1, x2)
    return 1.0 - ops.greater(*_floats(x1, x2))


@function
def logical_and(x1, x2):
    """1 where both are not 0."""
    if _plain(x1, x2):
        return np.logical_and(x1, x2)
    x1, x2 = _floats(x1, x2)
    return ops.multiply(_truth(x1), _truth(x2))


@function
def logical_or(x1, x2):
    """1 where one of the two is not 0, or both."""
    if _plain(x1, x2):
        return np.logical_or(x1, x2)
    x1, x2 = _floats(x1, x2)
    return ops.maximum(_truth(x1), _truth(x2))


@function
def logical_not(x):
    """1 where x is 0, else 0."""
    return np.logical_not(x) if _plain(x) else 1.0 - _truth(x)


@function
def isclose(x1, x2, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False):
    """1 where the two differ by no more than ``atol + rtol * abs(x2)``."""
    if _plain(x1, x2):
        return np.isclose(x1, x2, rtol, atol, equal_nan)
    return less_equal(ops.absolute(ops.subtract(x1, x2)), ops.absolute(x2) * rtol + atol)


@function
def all(x, axis=None, keepdims: bool = False):
    """1 where nothing along the axes is 0."""
    return np.all(x, _tuple(axis), keepdims=keepdims) if _plain(x) else ops.min(_truth(x), axis, keepdims)


@function
def any(x, axis=None, keepdims: bool = False):
    """1 where something along the axes is not 0."""
    return np.any(x, _tuple(axis), keepdims=keepdims) if _plain(x) else ops.max(_truth(x), axis, keepdims)


@function
def count_nonzero(x, axis=None):
    """How many along the axes are not 0."""
    return np.count_nonzero(x, _tuple(axis)) if _plain(x) else ops.sum(_truth(x), axis)


def _tuple(axis):
    return tuple(axis) if isinstance(axis, list) else axis


# ---------------------------------------------------------------------- numbers

@function
def floor(x):
    """The next whole number below; its gradient is nil."""
    if _plain(x):
        return np.floor(x)
    whole = ops.cast(ops.cast(x, "int32"), "float32")
    return whole - ops.greater(whole, x)


@function
def ceil(x):
    """The next whole number above; its gradient is nil."""
    return np.ceil(x) if _plain(x) else ops.negative(floor(ops.negative(x)))


@function
def log2(x):
    """The logarithm to base 2."""
    return ops.log(x) * (1 / math.log(2))


@function
def log10(x):
    """The logarithm to base 10."""
    return ops.log(x) * (1 / math.log(10))


@function
def logaddexp(x1, x2):
    """``log(exp(x1) + exp(x2))``, without overflow."""
    return ops.add(ops.maximum(x1, x2), ops.log1p(ops.exp(ops.negative(ops.absolute(ops.subtract(x1, x2))))))


@function
def divide_no_nan(x1, x2):
    """x1 / x2, and 0 where x2 is 0."""
    there = _truth(operand(x2))
    return ops.where(there, ops.divide(x1, ops.where(there, x2, 1.0)), 0.0)


# ---------------------------------------------------------------------- along axes

@function
def argmax(x, axis: int | None = None, keepdims: bool = False):
    """Where the largest is, the first of several: int32."""
    if _plain(x):
        return np.argmax(x, axis, keepdims=keepdims).astype(np.int32)
    shape = tuple(x.shape)
    if axis is None:
        x, axis, found = ops.reshape(x, (-1,)), 0, (1,) * len(shape) if keepdims else ()
    else:
        (axis,) = axes_of(x, axis)
        found = tuple(1 if i == axis else n for i, n in enumerate(shape) if keepdims or i != axis)
    n = x.shape[axis]
    places = np.arange(n, dtype=np.float32).reshape([n if i == axis else 1 for i in range(len(x.shape))])
    here = greater_equal(ops.stop_gradient(x), ops.max(ops.stop_gradient(x), axis, keepdims=True))
    return ops.reshape(ops.cast(ops.min(ops.where(here, places, float(n)), axis), "int32"), found)


@function
def argmin(x, axis: int | None = None, keepdims: bool = False):
    """Where the smallest is, the first of several: int32."""
    return np.argmin(x, axis, keepdims=keepdims).astype(np.int32) if _plain(x) else argmax(
        ops.negative(x), axis, keepdims)


@function
def average(x, axis=None, weights=None):
    """The mean, or with weights ``sum(w * x) / sum(w)``."""
    if weights is None:
        return ops.mean(x, axis)
    if not is_number(axis) and axis is not None or len(operand(weights).shape) == len(operand(x).shape):
        w = weights
    else:
        x = operand(x)
        (at,) = axes_of(x, 0 if axis is None else axis)
        w = ops.reshape(weights, [n if i == at else 1 for i, n in enumerate(x.shape)])
    whole = ops.multiply(ops.ones_like(x), w)
    return ops.divide(ops.sum(ops.multiply(x, w), axis), ops.sum(whole, axis))


@function
def cumsum(x, axis: int | None = None):
    """Running sums along an axis: a product with a triangle of ones in a program."""
    if _plain(x):
        return np.cumsum(x, axis)
    x = ops.reshape(x, (-1,)) if axis is None else x
    axis = 0 if axis is None else axis % len(x.shape)
    moved = ops.moveaxis(x, axis, -1)
    found = ops.matmul(ops.reshape(moved, (-1, moved.shape[-1])), np.triu(np.ones((moved.shape[-1],) * 2, x.dtype)))
    return ops.moveaxis(ops.reshape(found, moved.shape), -1, axis)


@function
def logsumexp(x, axis=None, keepdims: bool = False):
    """``log(sum(exp(x)))``, without overflow."""
    most = ops.stop_gradient(ops.max(x, axis, keepdims=True))
    found = ops.add(ops.log(ops.sum(ops.exp(ops.subtract(x, most)), axis, keepdims=True)), most)
    if keepdims:
        return found
    axes = axes_of(operand(x), axis)
    return ops.reshape(found, tuple(n for i, n in enumerate(operand(x).shape) if i not in axes))


@function
def moments(x, axes, keepdims: bool = False):
    """Mean and variance along axes."""
    return ops.mean(x, axes, keepdims), ops.var(x, axes, keepdims)


@function
def norm(x, ord=None, axis=None, keepdims: bool = False):
    """The Euclidean norm of a vector (Frobenius of a matrix); by `ord` also 1 and infinity along one axis."""
    if ord in (None, 2, "fro", "euclidean"):
        return ops.sqrt(ops.sum(ops.square(x), axis, keepdims))
    if ord == 1:
        return ops.sum(ops.absolute(x), axis, keepdims)
    if ord == math.inf:
        return ops.max(ops.absolute(x), axis, keepdims)
    raise ValueError(f"norm: ord is {ord!r}; None, 1, 2 and infinity are known.")


@function
def normalize(x, axis: int = -1, order: int = 2, epsilon: float = 1e-12):
    """x over its norm along an axis, which is taken to be at least `epsilon`.

    Examples
    --------
    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    return ops.divide(x, ops.clip(norm(x, order, axis, keepdims=True), epsilon, math.inf))


@function
def prod(x, axis=None, keepdims: bool = False):
    """The product along axes."""
    if _plain(x):
        return np.prod(x, _tuple(axis), keepdims=keepdims)
    axes = axes_of(x, axis)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)
    rest = [i for i in range(len(x.shape)) if i not in axes]
    flat = ops.reshape(ops.transpose(x, (*axes, *rest)), (-1, math.prod(x.shape[i] for i in rest)))
    rows = [flat[i] for i in range(flat.shape[0])]
    while len(rows) > 1:
        pairs = [ops.multiply(a, b) for a, b in zip(rows[::2], rows[1::2])]
        rows = pairs + rows[len(rows) // 2 * 2 :]
    return ops.reshape(rows[0], kept)


# ---------------------------------------------------------------------- shapes

def ndim(x) -> int:
    """How many axes x has."""
    return len(operand(x).shape) if not hasattr(x, "shape") else len(x.shape)


def size(x) -> int:
    """How many elements x has."""
    return math.prod(operand(x).shape)


@function
def ravel(x):
    """x with one axis."""
    return ops.reshape(x, (-1,))


@function
def broadcast_to(x, shape):
    """x repeated along axes of length 1 to this shape."""
    shape = tuple(shape)
    if _plain(x):
        return np.broadcast_to(x, shape)
    if shape == tuple(x.shape):
        return x
    return ops.multiply(filled_with(x, 1.0, shape), x)


@function
def roll(x, shift: int, axis: int | None = None):
    """The elements further along an axis, those at its end at its beginning."""
    if _plain(x):
        return np.roll(x, shift, axis)
    if axis is None:
        return ops.reshape(roll(ops.reshape(x, (-1,)), shift, 0), x.shape)
    (axis,) = axes_of(x, axis)
    cut = -shift % x.shape[axis]
    if cut == 0:
        return x
    before = (slice(None),) * axis
    return ops.concatenate([x[(*before, slice(cut, None))], x[(*before, slice(0, cut))]], axis=axis)


@function
def outer(x1, x2):
    """The products of each element of x1 and each of x2."""
    return ops.multiply(ops.reshape(x1, (-1, 1)), ops.reshape(x2, (1, -1)))


@function
def tril(x, k: int = 0):
    """The lower triangle of matrices, zeros above."""
    return np.tril(x, k) if _plain(x) else ops.where(np.tri(*x.shape[-2:], k, x.dtype), x, 0.0)


@function
def triu(x, k: int = 0):
    """The upper triangle of matrices, zeros below."""
    return np.triu(x, k) if _plain(x) else ops.where(1 - np.tri(*x.shape[-2:], k - 1, x.dtype), x, 0.0)


@function
def one_hot(x, num_classes: int, axis: int = -1, dtype: str | None = None):
    """Class numbers as rows with a single one.

    Examples
    --------
    >>> one_hot(np.array([2, 0]), 3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    x = operand(x)
    places = np.arange(num_classes)
    if _plain(x):
        found = (x[..., None] == places).astype(dtype or "float32")
    else:
        found = equal(ops.expand_dims(ops.cast(x, "float32"), -1), places.astype(np.float32))
    return found if axis in (-1, len(x.shape)) else ops.moveaxis(found, -1, axis)


# ---------------------------------------------------------------------- losses of rows

def binary_crossentropy(target, output, from_logits: bool = False):
    """``-t log(p) - (1 - t) log(1 - p)`` of each element."""
    from ..losses import BinaryCrossentropy

    output, shape = operand(output), tuple(operand(output).shape)
    rule = BinaryCrossentropy(from_logits=from_logits, reduction="none")
    return ops.reshape(rule(ops.reshape(operand(target), (-1, 1)), ops.reshape(output, (-1, 1))), shape)


def categorical_crossentropy(target, output, from_logits: bool = False, axis: int = -1):
    """``-sum(t log(p))`` of each row."""
    from ..losses import CategoricalCrossentropy

    return CategoricalCrossentropy(from_logits=from_logits, axis=axis, reduction="none")(target, output)


def sparse_categorical_crossentropy(target, output, from_logits: bool = False, axis: int = -1):
    """``-log(p[label])`` of each row."""
    from ..losses import SparseCategoricalCrossentropy

    return SparseCategoricalCrossentropy(from_logits=from_logits, axis=axis, reduction="none")(target, output)


# ---------------------------------------------------------------------- products over named axes

def einsum(subscripts: str, *operands):
    """Sums of products over axes with names, as in NumPy: ``"bij,bjk->bik"`` is a batch of matrix products.

    Operands are taken from the left, two at a time; each pair is one product of matrices. An axis twice in one operand,
    and ``...``, are for arrays only.

    Examples
    --------
    >>> einsum("ij,kj->ik", np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]))
    array([[11., 17.]])
    """
    if _plain(*operands):
        return np.einsum(subscripts, *operands)
    given, arrow, out = subscripts.replace(" ", "").partition("->")
    names = given.split(",")
    if not arrow:
        out = "".join(sorted(n for n in set(given) - {","} if given.count(n) == 1))
    if len(names) != len(operands) or not set(out) <= set(given) or "." in subscripts or [
            n for n in (*names, out) if len(set(n)) < len(n)]:
        raise ValueError(f"einsum: {subscripts!r} can't be done with {len(operands)} operands of a program: a list of "
                         "different letters for each is wanted, and letters of those behind the arrow.")
    for name, x in zip(names, operands):
        if len(name) != len(operand(x).shape):
            raise ValueError(f"einsum: {name!r} is for {len(name)} axes; got an operand of shape "
                             f"{tuple(operand(x).shape)}.")
    left, x = names[0], operands[0]
    for i, (right, y) in enumerate(zip(names[1:], operands[1:]), 2):
        later = set(out).union(*names[i:])
        left, x = _summed(left, x, later | set(right))
        right, y = _summed(right, y, later | set(left))
        batch = [n for n in left if n in right and n in later]
        over = [n for n in left if n in right and n not in later]
        a, b = ([n for n in side if n not in (*batch, *over)] for side in (left, right))
        sizes = dict(zip(left + right, (*x.shape, *y.shape)))
        m = _ordered(left, x, [batch, a, over], sizes)
        n = _ordered(right, y, [batch, over, b], sizes)
        left = "".join([*batch, *a, *b])
        x = ops.reshape(ops.matmul(m, n), [sizes[name] for name in left])
    left, x = _summed(left, x, set(out))
    return ops.transpose(x, [left.index(n) for n in out])


def _summed(name: str, x, needed: set[str]):
    """The axes and the tensor without those axes that nobody needs any more."""
    gone = [i for i, n in enumerate(name) if n not in needed]
    return "".join(n for n in name if n in needed), ops.sum(x, gone) if gone else x


def _ordered(name: str, x, groups: list[list[str]], sizes: dict[str, int]):
    """A batch of matrices: the axes of three groups in order, each group as one."""
    x = ops.transpose(x, [name.index(n) for group in groups for n in group])
    return ops.reshape(x, [math.prod(sizes[n] for n in group) for group in groups])
