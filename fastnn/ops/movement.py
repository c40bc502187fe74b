"""Functions that move elements, and those on images; users find them in `fastnn.ops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels import pool as _pool
from ..spelling import one_of
from .calling import apply, axes_of, float_dtype, function, graph_of, operand
from .shapes import concatenate, expand_dims, reshape, squeeze, transpose

MODES = ("constant", "reflect", "symmetric", "edge", "wrap")


def picked(x, index, axis: int, weight=None):
    """Along an axis the sums of x at `index` (J, K) times `weight`; one index alone for each place picks elements."""
    x = operand(x)
    index = np.asarray(index, np.int32).reshape(len(index), -1)
    weight = np.ones(index.shape) if weight is None else np.asarray(weight)
    back = _pool.turned(index, weight, x.shape[axis])
    graph, dtype = graph_of((x,)), float_dtype((x,))
    if graph is None and np.dtype(x.dtype).kind != "f":
        return np.take(x, index[:, 0], axis)
    tables = (t if t.dtype == np.int32 else t.astype(dtype) for t in (index, weight, *back))
    return _pool.resample(x if graph is None else graph.tensor(x), *tables, axis=axis)


def _whole(name: str, what: str, value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name}: {what} is {value!r}; a whole number of {least} or more is wanted.")
    return int(value)


@function
def pad(x, pad_width, mode: str = "constant", constant_values: float | None = None):
    """x with more around it.

    Parameters
    ----------
    pad_width : one number for all sides, (before, after) for all axes, or such a pair for each axis.
    mode : "constant", "reflect" (the edge is not repeated), "symmetric" (it is), "edge" or "wrap", as in NumPy.
    constant_values : what a "constant" border holds; 0 by default.

    Examples
    --------
    >>> pad(np.array([1.0, 2.0, 3.0]), 1)
    array([0., 1., 2., 3., 0.])
    >>> pad(np.array([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    array([3., 2., 1., 2., 3., 2.])
    """
    x = operand(x)
    one_of("mode", mode, MODES)
    if constant_values is not None and mode != "constant":
        raise ValueError(f"pad: the mode {mode!r} has no constant_values.")
    value = float(constant_values or 0)
    for axis, (before, after) in enumerate(_sides(pad_width, x.shape)):
        n = x.shape[axis]
        if not before and not after:
            continue
        if mode == "constant" and value == 0:
            x = apply("pad_axis", x, axis=axis, before=before, after=after)
        elif mode == "constant":
            borders = [np.full([k if i == axis else m for i, m in enumerate(x.shape)], value, x.dtype)
                       for k in (before, after)]
            x = concatenate([b for b in (borders[0], x, borders[1]) if b.shape[axis]], axis)
        else:
            if not n or mode == "reflect" and n == 1:
                raise ValueError(f"pad: an axis of {n} elements can't be padded by {mode!r}.")
            x = picked(x, np.pad(np.arange(n), (before, after), mode=mode), axis)
    return x


def _sides(width: Any, shape: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) of each axis."""
    pairs = [width] * len(shape) if isinstance(width, int | np.integer) else list(width)
    if len(pairs) == 2 and all(isinstance(p, int | np.integer) for p in pairs):
        pairs = [tuple(pairs)] * len(shape)
    pairs = [(p, p) if isinstance(p, int | np.integer) else tuple(p) for p in pairs]
    if len(pairs) != len(shape) or any(len(p) != 2 for p in pairs):
        raise ValueError(f"pad: pad_width is {width!r}; a pair for each axis of the shape {tuple(shape)} is wanted.")
    return [(_whole("pad", "pad_width", a), _whole("pad", "pad_width", b)) for a, b in pairs]


@function
def flip(x, axis=None):
    """x in reverse along an axis, several, or all.

    Examples
    --------
    >>> flip(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    array([[2., 1.],
           [4., 3.]])
    """
    x = operand(x)
    for a in axes_of(x, axis):
        if x.shape[a] > 1:
            x = picked(x, np.arange(x.shape[a])[::-1], a)
    return x


@function
def repeat(x, repeats: int, axis: int | None = None):
    """Each element, or each slice along an axis, so many times in a row.

    Examples
    --------
    >>> repeat(np.array([1.0, 2.0]), 2)
    array([1., 1., 2., 2.])
    """
    x, repeats = operand(x), _whole("repeat", "repeats", repeats, 1)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of(x, axis)
    shape = tuple(x.shape)
    wide = apply("broadcast_to", expand_dims(x, axis + 1), shape=(*shape[: axis + 1], repeats, *shape[axis + 1 :]))
    return reshape(wide, (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]))


@function
def tile(x, repeats):
    """x as a whole, so many times along each axis.

    Examples
    --------
    >>> tile(np.array([1.0, 2.0]), 2)
    array([1., 2., 1., 2.])
    """
    x = operand(x)
    counts = [repeats] if isinstance(repeats, int | np.integer) else list(repeats)
    counts = [_whole("tile", "repeats", n, 1) for n in counts]
    shape = [1] * (len(counts) - len(x.shape)) + list(x.shape)
    counts = [1] * (len(shape) - len(counts)) + counts
    around = [n for pair in zip(counts, shape) for n in pair]
    x = reshape(x, [n for m in shape for n in (1, m)])
    return reshape(apply("broadcast_to", x, shape=tuple(around)), [n * m for n, m in zip(counts, shape)])


@function
def stack(x, axis: int = 0):
    """Arrays of one shape along a new axis.

    Examples
    --------
    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])], axis=1)
    array([[1., 3.],
           [2., 4.]])
    """
    xs = [operand(v) for v in x]
    for v in xs[1:]:
        if tuple(v.shape) != tuple(xs[0].shape):
            raise ValueError(f"stack needs arrays of one shape, not {tuple(xs[0].shape)} and {tuple(v.shape)}.")
    if not xs:
        raise ValueError("stack needs at least one array.")
    ndim = len(xs[0].shape) + 1
    if not -ndim <= axis < ndim:
        raise ValueError(f"There is no place {axis} for a new axis in the shape {tuple(xs[0].shape)}.")
    return concatenate([expand_dims(v, axis) for v in xs], axis % ndim)


@function
def split(x, indices_or_sections, axis: int = 0):
    """x in parts along an axis: so many of one size, or cut before each of these indices.

    Examples
    --------
    >>> split(np.array([1.0, 2.0, 3.0]), [1])
    [array([1.]), array([2., 3.])]
    """
    x = operand(x)
    (axis,) = axes_of(x, axis)
    n, cuts = x.shape[axis], indices_or_sections
    if isinstance(cuts, int | np.integer):
        if cuts < 1 or n % cuts:
            raise ValueError(f"split: {n} elements along axis {axis} can't be cut into {cuts} parts of one size.")
        cuts = range(n // cuts, n, n // cuts)
    cuts = [0, *(min(max(int(c) + n if c < 0 else int(c), 0), n) for c in cuts), n]
    return [apply("slice_axis", x, axis=axis, start=a, stop=max(a, b)) for a, b in zip(cuts, cuts[1:])]


@function
def unstack(x, num: int | None = None, axis: int = 0):
    """The slices of x along an axis, without it."""
    x = operand(x)
    (axis,) = axes_of(x, axis)
    if num not in (None, x.shape[axis]):
        raise ValueError(f"unstack: num is {num}; axis {axis} of the shape {tuple(x.shape)} has {x.shape[axis]}.")
    return [squeeze(part, axis) for part in split(x, x.shape[axis], axis)]


@function
def take(x, indices, axis: int | None = None):
    """The elements, or slices along an axis, at these fixed places; negative ones count from the end.

    Examples
    --------
    >>> take(np.array([10.0, 20.0, 30.0]), [2, 0, -1])
    array([30., 10., 30.])
    """
    x = operand(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    (axis,) = axes_of(x, axis)
    at, n = np.asarray(indices), x.shape[axis]
    if at.dtype.kind not in "iu" or at.size == 0 or at.min() < -n or at.max() >= n:
        raise ValueError(f"take: indices are {indices!r}; whole numbers from {-n} to {n - 1} are wanted.")
    y = picked(x, at.reshape(-1) % n, axis)
    return reshape(y, (*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]))


@function
def moveaxis(x, source, destination):
    """Axes `source` at the places `destination`, the others in their order."""
    x = operand(x)
    ndim = len(x.shape)
    pairs = [[a] if isinstance(a, int | np.integer) else list(a) for a in (source, destination)]
    if len(pairs[0]) != len(pairs[1]):
        raise ValueError(f"moveaxis needs as many destinations as sources, not {destination!r} for {source!r}.")
    for axes in pairs:
        axes_of(x, axes)
    found, to = ([a % ndim for a in axes] for axes in pairs)
    order = [a for a in range(ndim) if a not in found]
    for place, a in sorted(zip(to, found)):
        order.insert(place, a)
    return transpose(x, order)


@function
def swapaxes(x, axis1: int, axis2: int):
    """x with these two axes exchanged."""
    x = operand(x)
    order = list(range(len(x.shape)))
    (a,), (b,) = axes_of(x, axis1), axes_of(x, axis2)
    order[a], order[b] = b, a
    return transpose(x, order)


# ---------------------------------------------------------------------- windows over images and sequences


def per_axis(name: str, what: str, value: Any, count: int) -> tuple[int, ...]:
    values = (value,) * count if isinstance(value, int | np.integer) and not isinstance(value, bool) else value
    values = tuple(values) if isinstance(values, list | tuple) else ()
    if len(values) != count or any(isinstance(v, bool) or not isinstance(v, int | np.integer) or v < 1 for v in values):
        wanted = "a positive whole number" + (f" or {count} of them" if count > 1 else "")
        raise ValueError(f"{name}: {what} is {value!r}; {wanted} is wanted.")
    return tuple(int(v) for v in values)


def _windows(name: str, x, pool_size, strides, padding: str, data_format: str | None, **more):
    x = operand(x)
    count = len(x.shape) - 2
    if count not in (1, 2):
        raise ValueError(f"{name} takes (batch, steps, channels) or (batch, rows, columns, channels), not the shape "
                         f"{tuple(x.shape)}.")
    size = per_axis(name, "pool_size", pool_size, count)
    strides = size if strides is None else per_axis(name, "strides", strides, count)
    one_of("padding", padding, ("valid", "same"))
    data_format = one_of("data_format", data_format or "channels_last", ("channels_last", "channels_first"))
    first = data_format == "channels_first"
    x = moveaxis(x, 1, -1) if first else x
    shape = tuple(x.shape)
    size, strides, rows = (1,) * (2 - count) + size, (1,) * (2 - count) + strides, (1,) * (2 - count) + shape[1:-1]
    sides = tuple((0, 0) if padding == "valid" else _pool.same_padding(*a) for a in zip(rows, size, strides))
    if any(r < s for r, s in zip(rows, size)) and padding == "valid":
        raise ValueError(f"{name}: windows of {size[-count:]} do not fit into {tuple(rows[-count:])}; see "
                         "padding='same'.")
    y = apply(name, reshape(x, (shape[0], *rows, shape[-1])), pool=size, strides=strides, padding=sides, **more)
    y = y[0] if isinstance(y, tuple) else y
    y = reshape(y, (shape[0], *y.shape[3 - count : 3], shape[-1]))
    return moveaxis(y, -1, 1) if first else y


@function
def max_pool(inputs, pool_size, strides=None, padding: str = "valid", data_format: str | None = None):
    """The largest of each window of a sequence or an image.

    Parameters
    ----------
    pool_size, strides : of the windows, one number or one for each axis; the strides are the windows' sizes by default.
    padding : "valid" (only whole windows) or "same" (as many as there are strides; what is outside never counts).

    Examples
    --------
    >>> max_pool(np.array([[[1.0], [3.0], [2.0]]]), 2, strides=1).ravel()
    array([3., 3.])
    """
    return _windows("max_pool", inputs, pool_size, strides, padding, data_format)


@function
def average_pool(inputs, pool_size, strides=None, padding: str = "valid", data_format: str | None = None):
    """The mean of each window of a sequence or an image; arguments as of `max_pool`.

    Examples
    --------
    >>> average_pool(np.array([[[1.0], [3.0], [2.0]]]), 2, padding="same").ravel()
    array([2., 2.])
    """
    return _windows("average_pool", inputs, pool_size, strides, padding, data_format)


def upsampled(x, size: Sequence[int]):
    """Each pixel of (N, H, W, C) as a block of size[0] x size[1] of them."""
    n, h, w, c = x.shape
    return apply("average_pool_grad", x, shape=(n, h * size[0], w * size[1], c), pool=tuple(size),
                  strides=tuple(size), mean=0)


def linear_table(n: int, to: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights of linear interpolation from n points to `to`, pixels being areas ("half-pixel centres").

    Examples
    --------
    >>> linear_table(2, 4)[1]
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [1.  , 0.  ]])
    """
    at = np.clip((np.arange(to) + 0.5) * (n / to) - 0.5, 0, n - 1)
    low = np.floor(at).astype(np.int64)
    part = at - low
    index = np.stack([low, np.minimum(low + 1, n - 1)], 1)
    return index, np.stack([1 - part, part], 1)


def nearest_table(n: int, to: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights of the nearest of n points for each of `to`."""
    index = np.minimum(np.floor((np.arange(to) + 0.5) * (n / to)), n - 1).astype(np.int64)
    return index[:, None], np.ones((to, 1))


def resized(x, size: Sequence[int], interpolation: str):
    """Images (N, H, W, C) as size[0] x size[1] pixels."""
    table = linear_table if interpolation == "bilinear" else nearest_table
    for axis, to in ((1, size[0]), (2, size[1])):
        if to != x.shape[axis]:
            index, weight = table(x.shape[axis], to)
            x = picked(x, index, axis, weight)
    return x

