"""Other shapes of the same elements."""

from __future__ import annotations

import builtins

import numpy as np

from .calling import apply, as_array, axes_of, function, graph_of, operand


@function
def reshape(x, newshape):
    """The same elements in another shape; one size may be -1. Costs nothing in a program."""
    if isinstance(newshape, int | np.integer):
        newshape = (newshape,)
    graph = graph_of((x,))
    if graph is not None:
        return graph.tensor(x).reshape(tuple(newshape))
    return np.reshape(as_array(x, None), tuple(newshape))


@function
def transpose(x, axes=None):
    """Axes in another order; reversed by default."""
    x = operand(x)
    ndim = len(x.shape)
    perm = tuple(range(ndim))[::-1] if axes is None else tuple(int(a) % ndim if ndim else 0 for a in axes)
    if sorted(perm) != list(range(ndim)):
        raise ValueError(f"transpose needs each axis of shape {tuple(x.shape)} once, not {tuple(axes)}.")
    if perm == tuple(range(ndim)):
        return x
    return apply("transpose", x, perm=perm)


@function
def concatenate(xs, axis: int = -1):
    """Arrays one after another along an axis."""
    xs = [operand(x) for x in xs]
    if not xs:
        raise ValueError("concatenate needs at least one array.")
    (axis,) = axes_of(xs[0], axis)
    for x in xs[1:]:
        same = len(x.shape) == len(xs[0].shape)
        if not same or builtins.any(i != axis and m != n for i, (m, n) in enumerate(zip(x.shape, xs[0].shape))):
            raise ValueError(f"concatenate along axis {axis} needs equal shapes elsewhere, not {tuple(xs[0].shape)} "
                             f"and {tuple(x.shape)}.")
    while len(xs) > 1:  # in pairs, so that nothing is copied more often than log2 of their number
        pairs = [apply("concat", a, b, axis=axis) for a, b in zip(xs[::2], xs[1::2])]
        xs = pairs + xs[len(xs) // 2 * 2 :]
    return xs[0]


@function
def expand_dims(x, axis: int):
    """A new axis of length 1 at this place."""
    shape = tuple(operand(x).shape)
    if not -len(shape) - 1 <= axis <= len(shape):
        raise ValueError(f"There is no place {axis} for a new axis in the shape {shape}.")
    axis %= len(shape) + 1
    return reshape(x, (*shape[:axis], 1, *shape[axis:]))


@function
def squeeze(x, axis=None):
    """Without this axis of length 1, or without all of them."""
    x = operand(x)
    gone = {i for i, n in enumerate(x.shape) if n == 1} if axis is None else set(axes_of(x, axis))
    for i in gone:
        if x.shape[i] != 1:
            raise ValueError(f"Axis {i} of the shape {tuple(x.shape)} can't be squeezed: its length is not 1.")
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if i not in gone))


def take_slice(x, index):
    """``x[index]`` for whole numbers, slices of step 1, ``...`` and ``None``."""
    index = index if isinstance(index, tuple) else (index,)
    used = builtins.sum(i is not None and i is not Ellipsis for i in index)
    shape = tuple(x.shape)
    if used > len(shape) or builtins.sum(i is Ellipsis for i in index) > 1:
        raise IndexError(f"Too many indices for a tensor of shape {shape}: {index}.")
    if not builtins.any(i is Ellipsis for i in index):
        index = (*index, Ellipsis)
    at = next(k for k, i in enumerate(index) if i is Ellipsis)
    index = (*index[:at], *[slice(None)] * (len(shape) - used), *index[at + 1 :])
    axis, new = 0, []
    for i in index:
        if i is None:
            new.append(1)
            continue
        n = shape[axis]
        if isinstance(i, int | np.integer) and not isinstance(i, bool):
            if not -n <= i < n:
                raise IndexError(f"Index {i} is out of range for axis {axis} of a tensor of shape {shape}.")
            start, stop = int(i) % n, int(i) % n + 1
        elif isinstance(i, slice) and i.step in (None, 1):
            start, stop, _ = i.indices(n)
            stop = builtins.max(start, stop)
            new.append(stop - start)
        else:
            raise IndexError("A tensor takes whole numbers, slices of step 1, ... and None as indices; "
                             f"got {i!r}.")
        if (start, stop) != (0, n):
            x = apply("slice_axis", x, axis=axis, start=start, stop=stop)
        axis += 1
    return reshape(x, tuple(new))
