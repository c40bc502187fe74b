"""Sums, means and maxima over axes, and movement: broadcast, transpose, join, cut out."""

from __future__ import annotations

import math

import numpy as np

from .broadcast import broadcast_shape, collapse, float_dtype, loops, strides_of, unbroadcast
from .elementwise import affine, divide, greater, multiply
from .spec import Array, Call, Kernel, blocks, like, register

COLUMNS = 64  #: columns in one tile of a sum over rows
CHUNK = 1024  #: elements in about one tile of short rows, and of a movement


def norm_axis(name: str, axis: int, shape: tuple[int, ...]) -> int:
    """The axis counted from the front, or ValueError."""
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{name}: axis {axis} is out of range for the shape {list(shape)}.")
    return axis % len(shape)


def norm_axes(name: str, axes, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes counted from the front, sorted; None means all."""
    if axes is None:
        return tuple(range(len(shape)))
    if isinstance(axes, int):
        axes = (axes,)
    found = sorted(norm_axis(name, a, shape) for a in axes)
    if len(set(found)) < len(found):
        raise ValueError(f"{name}: the axes {tuple(axes)} name one axis twice.")
    return tuple(found)


def runs(axes: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The axes in groups of neighbours; axes of length 1 between them do not part them."""
    groups: list[list[int]] = []
    for a in axes:
        if groups and all(shape[i] == 1 for i in range(groups[-1][-1] + 1, a)):
            groups[-1].append(a)
        else:
            groups.append([a])
    return [tuple(g) for g in groups]


class _Reduce(Kernel):
    """y = x reduced over `axes` (None: all), which stay as 1 if `keepdims`.

    Natively the axes are neighbours, so that x is (outer, n, inner). Where they are not, calling the
    kernel on tensors emits one call for each group of neighbours, the last group first.
    """

    dims = ("outer", "n", "inner")
    attrs = {"axes": None, "keepdims": False}
    hidden = ("axes", "keepdims")
    empty = True  # whether there may be nothing to reduce

    def __call__(self, x, *, axes=None, keepdims=False):
        found = norm_axes(self.name, axes, tuple(x.shape))
        groups = runs(found, tuple(x.shape))
        if not hasattr(x, "graph") or len(groups) <= 1:
            return super().__call__(x, axes=found, keepdims=keepdims)
        shape = tuple(n for i, n in enumerate(x.shape) if i not in found)
        for group in reversed(groups):
            x = super().__call__(x, axes=group, keepdims=True)
        return x if keepdims else x.reshape(shape)

    def infer(self, x, *, axes, keepdims):
        float_dtype(self.name, x)
        found = norm_axes(self.name, axes, x.shape)
        if not self.empty and any(x.shape[a] == 0 for a in found):
            raise ValueError(f"{self.name} of nothing: the shape {list(x.shape)} has no elements along {found}.")
        return (like(x, [1 if i in found else n for i, n in enumerate(x.shape) if keepdims or i not in found]),)

    def sizes(self, call: Call):
        shape = call["x"].shape
        axes = norm_axes(self.name, call.attr("axes"), shape)
        if not axes:
            return (math.prod(shape), 1, 1)
        if len(runs(axes, shape)) > 1:
            raise ValueError(f"{self.name}: natively the axes must be neighbours, not {axes} of {list(shape)}.")
        low, high = axes[0], axes[-1] + 1
        return (math.prod(shape[:low]), math.prod(shape[low:high]), math.prod(shape[high:]))

    def tiles(self, call: Call):
        outer, n, inner = self.sizes(call)
        return blocks(outer, rows_per_tile(n)) if inner == 1 else outer * blocks(inner, COLUMNS)

    def flops(self, call: Call):
        return call["x"].size

    def terms(self, call: Call):
        return call["x"].size // max(call["y"].size, 1) + 2

    def kept(self, call: Call, a):
        """`a`, in the output's shape, with the reduced axes as 1."""
        x = call["x"]
        axes = norm_axes(self.name, call.attr("axes"), tuple(x.shape))
        shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
        return a if tuple(a.shape) == shape else a.reshape(shape)


def rows_per_tile(n: int) -> int:
    """Rows of n elements that one tile sums: as many as make up CHUNK, in sixteens."""
    return 1 if n >= CHUNK else max(16, CHUNK // max(n, 1) // 16 * 16)


@register
class reduce_sum(_Reduce):
    """y = sum of x over `axes` (None: all), which stay as 1 if `keepdims`.

    Examples
    --------
    >>> import numpy as np
    >>> reduce_sum(np.ones((2, 3)), axes=(1,))
    array([3., 3.])
    """

    name = "reduce_sum"

    def numpy(self, x, *, axes, keepdims):
        return np.sum(x, axis=None if axes is None else tuple(axes), keepdims=keepdims)

    def gradient(self, call, *, y):
        return {"x": broadcast_to(self.kept(call, y), shape=tuple(call["x"].shape))}


@register
class reduce_mean(_Reduce):
    """y = mean of x over `axes` (None: all), which stay as 1 if `keepdims`.

    Examples
    --------
    >>> import numpy as np
    >>> reduce_mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axes=(0,))
    array([2., 3.])
    """

    name = "reduce_mean"
    empty = False

    def numpy(self, x, *, axes, keepdims):
        return np.mean(x, axis=None if axes is None else tuple(axes), keepdims=keepdims)

    def gradient(self, call, *, y):
        n = call["x"].size // call["y"].size if call["y"].size else 1
        return {"x": broadcast_to(affine(self.kept(call, y), scale=1 / n), shape=tuple(call["x"].shape))}


@register
class reduce_max(_Reduce):
    """y = largest x over `axes` (None: all), which stay as 1 if `keepdims`; NaN if one is NaN.

    The gradient is shared equally by all that are the largest.

    Examples
    --------
    >>> import numpy as np
    >>> reduce_max(np.array([[1.0, 5.0], [3.0, 4.0]]), axes=(1,), keepdims=True)
    array([[5.],
           [4.]])
    """

    name = "reduce_max"
    empty = False

    def terms(self, call: Call):
        return 0

    def numpy(self, x, *, axes, keepdims):
        return np.max(x, axis=None if axes is None else tuple(axes), keepdims=keepdims)

    def gradient(self, call, *, y):
        x = call["x"]
        axes = norm_axes(self.name, call.attr("axes"), tuple(x.shape))
        largest = affine(greater(self.kept(call, call["y"]), x), scale=-1.0, offset=1.0)
        share = divide(self.kept(call, y), reduce_sum(largest, axes=axes, keepdims=True))
        return {"x": multiply(largest, share)}


# ---------------------------------------------------------------------- movement


class _Move(Kernel):
    """Kernels that only move elements, of any dtype; a tile is a block of the output."""

    def tiles(self, call: Call):
        return blocks(call["y"].size)

    def terms(self, call: Call):
        return 0


@register
class broadcast_to(_Move):
    """y = x repeated to `shape` by NumPy's rule.

    ``dim`` is the itemsize, then D, D sizes, and the D strides of x: see `broadcast.loops`.

    Examples
    --------
    >>> import numpy as np
    >>> broadcast_to(np.array([1.0, 2.0]), shape=(2, 2))
    array([[1., 2.],
           [1., 2.]])
    """

    name = "broadcast_to"
    dims = ("itemsize", "D", "...")
    attrs = {"shape": ...}
    hidden = ("shape",)

    def infer(self, x, *, shape):
        if broadcast_shape(self.name, x.shape, tuple(shape)) != tuple(shape):
            raise ValueError(f"{self.name}: the shape {list(x.shape)} can't be repeated to {list(shape)}.")
        return (like(x, shape),)

    def numpy(self, x, *, shape):
        return np.array(np.broadcast_to(x, shape))

    def sizes(self, call):
        return (call["x"].dtype.itemsize, *loops(call["y"].shape, call["x"].shape))

    def gradient(self, call, *, y):
        return {"x": unbroadcast(y, tuple(call["x"].shape))}


@register
class transpose(Kernel):
    """y = x with its axes in the order `perm` (None: reversed).

    ``dim`` is the itemsize, then D, D sizes of y and the D strides of x along them. A tile is a row of y
    if that is contiguous in x, else 16 rows that are.

    Examples
    --------
    >>> import numpy as np
    >>> transpose(np.array([[1, 2, 3], [4, 5, 6]]), perm=(1, 0))
    array([[1, 4],
           [2, 5],
           [3, 6]])
    """

    name = "transpose"
    dims = ("itemsize", "D", "...")
    attrs = {"perm": None}
    hidden = ("perm",)

    def axes(self, x, perm) -> tuple[int, ...]:
        axes = tuple(range(x.ndim))[::-1] if perm is None else tuple(norm_axis(self.name, a, x.shape) for a in perm)
        if sorted(axes) != list(range(x.ndim)):
            raise ValueError(f"{self.name}: {perm} is no order of the axes of {list(x.shape)}.")
        return axes

    def infer(self, x, *, perm):
        return (like(x, [x.shape[a] for a in self.axes(x, perm)]),)

    def numpy(self, x, *, perm):
        return np.array(np.transpose(x, perm), order="C")

    def sizes(self, call):
        x = call["x"]
        steps = strides_of(x.shape, x.ndim)
        size, (stride,) = collapse(call["y"].shape, [steps[a] for a in self.axes(x, call.attr("perm"))])
        return (x.dtype.itemsize, len(size), *size, *stride)

    def tiles(self, call):
        _, d, *rest = self.sizes(call)
        size, stride = rest[:d], rest[d:]
        rows = math.prod(size[:-1]) if size[-1] else 0
        if stride[-1] <= 1:
            return rows
        q = stride.index(1)  # the axis of y that is contiguous in x
        return rows // size[q] * blocks(size[q])

    def terms(self, call):
        return 0

    def gradient(self, call, *, y):
        axes = self.axes(call["x"], call.attr("perm"))
        return {"x": transpose(y, perm=tuple(sorted(range(len(axes)), key=axes.__getitem__)))}


def _around(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """Products of the sizes before and after an axis."""
    return math.prod(shape[:axis]), math.prod(shape[axis + 1:])


@register
class concat(_Move):
    """y = a followed by b along `axis`.

    a, b, y are seen as (outer, wa), (outer, wb), (outer, wa + wb).

    Examples
    --------
    >>> import numpy as np
    >>> concat(np.array([[1, 2]]), np.array([[3]]), axis=1)
    array([[1, 2, 3]])
    """

    name = "concat"
    inputs = ("a", "b")
    dims = ("itemsize", "outer", "wa", "wb")
    attrs = {"axis": -1}
    hidden = ("axis",)

    def infer(self, a, b, *, axis):
        k = norm_axis(self.name, axis, a.shape)
        if a.dtype != b.dtype or a.shape[:k] + a.shape[k + 1:] != b.shape[:k] + b.shape[k + 1:] or a.ndim != b.ndim:
            raise ValueError(f"concat along axis {axis} needs arrays that agree in all else, not "
                             f"{a.dtype}{list(a.shape)} and {b.dtype}{list(b.shape)}.")
        return (like(a, (*a.shape[:k], a.shape[k] + b.shape[k], *a.shape[k + 1:])),)

    def numpy(self, a, b, *, axis):
        return np.concatenate([a, b], axis)

    def sizes(self, call):
        a, b = call["a"], call["b"]
        k = norm_axis(self.name, call.attr("axis"), a.shape)
        outer, inner = _around(a.shape, k)
        return (a.dtype.itemsize, outer, a.shape[k] * inner, b.shape[k] * inner)

    def gradient(self, call, *, y):
        axis = norm_axis(self.name, call.attr("axis"), call["a"].shape)
        cut, end = call["a"].shape[axis], call["y"].shape[axis]
        need = call.extra.get("need")
        parts = {"a": (0, cut), "b": (cut, end)}
        return {n: slice_axis(y, axis=axis, start=i, stop=j) for n, (i, j) in parts.items()
                if need is None or n in need}


@register
class slice_axis(_Move):
    """y = x[start:stop] along `axis`.

    x and y are seen as (outer, wx) and (outer, wy); y starts `before` elements into each row of x.

    Examples
    --------
    >>> import numpy as np
    >>> slice_axis(np.array([[1, 2, 3]]), axis=1, start=1, stop=3)
    array([[2, 3]])
    """

    name = "slice_axis"
    dims = ("itemsize", "outer", "wx", "before", "wy")
    attrs = {"axis": ..., "start": ..., "stop": ...}
    hidden = ("axis", "start", "stop")

    def infer(self, x, *, axis, start, stop):
        k = norm_axis(self.name, axis, x.shape)
        if not 0 <= start <= stop <= x.shape[k]:
            raise ValueError(f"slice_axis: {start}:{stop} is not within axis {axis} of the shape {list(x.shape)}.")
        return (like(x, (*x.shape[:k], stop - start, *x.shape[k + 1:])),)

    def numpy(self, x, *, axis, start, stop):
        return np.take(x, np.arange(start, stop), axis)

    def sizes(self, call):
        x = call["x"]
        k = norm_axis(self.name, call.attr("axis"), x.shape)
        outer, inner = _around(x.shape, k)
        start, stop = call.attr("start"), call.attr("stop")
        return (x.dtype.itemsize, outer, x.shape[k] * inner, start * inner, (stop - start) * inner)

    def gradient(self, call, *, y):
        x, start, stop = call["x"], call.attr("start"), call.attr("stop")
        axis = norm_axis(self.name, call.attr("axis"), x.shape)
        return {"x": pad_axis(y, axis=axis, before=start, after=x.shape[axis] - stop)}


@register
class pad_axis(_Move):
    """y = x with `before` zeros before it and `after` zeros after it along `axis`.

    x and y are seen as (outer, wx) and (outer, wy); x starts `before` elements into each row of y.

    Examples
    --------
    >>> import numpy as np
    >>> pad_axis(np.array([1, 2]), axis=0, before=1, after=2)
    array([0, 1, 2, 0, 0])
    """

    name = "pad_axis"
    dims = ("itemsize", "outer", "wx", "before", "wy")
    attrs = {"axis": ..., "before": 0, "after": 0}
    hidden = ("axis", "before", "after")

    def infer(self, x, *, axis, before, after):
        k = norm_axis(self.name, axis, x.shape)
        if before < 0 or after < 0:
            raise ValueError(f"pad_axis adds zeros, {before} before and {after} after; it takes none away.")
        return (Array((*x.shape[:k], x.shape[k] + before + after, *x.shape[k + 1:]), x.dtype),)

    def numpy(self, x, *, axis, before, after):
        k = norm_axis(self.name, axis, x.shape)
        return np.pad(x, [(before, after) if i == k else (0, 0) for i in range(x.ndim)])

    def sizes(self, call):
        x, before, after = call["x"], call.attr("before"), call.attr("after")
        k = norm_axis(self.name, call.attr("axis"), x.shape)
        outer, inner = _around(x.shape, k)
        return (x.dtype.itemsize, outer, x.shape[k] * inner, before * inner, (before + x.shape[k] + after) * inner)

    def gradient(self, call, *, y):
        x, before = call["x"], call.attr("before")
        axis = norm_axis(self.name, call.attr("axis"), x.shape)
        return {"x": slice_axis(y, axis=axis, start=before, stop=before + x.shape[axis])}
