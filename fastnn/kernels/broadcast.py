"""What kernels on elements share: shapes rules, broadcasting in the fewest loops, and gradients back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .spec import Array, Call, Kernel, blocks, like

Shape = tuple[int, ...]


def broadcast_shape(name: str, *shapes: Shape) -> Shape:
    """The shape that these give together by NumPy's rule, or ValueError naming kernel and shapes."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        met = " and ".join(str(list(s)) for s in shapes)
        raise ValueError(f"{name}: the shapes {met} do not broadcast together.") from None


def strides_of(shape: Shape, ndim: int) -> list[int]:
    """Steps in elements along each of `ndim` axes of a contiguous array; 0 where it is repeated."""
    steps, step = [], 1
    for n in reversed(shape):
        steps.append(step if n != 1 else 0)
        step *= n
    return (steps + [0] * (ndim - len(shape)))[::-1]


def collapse(out: Shape, *strides: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Walk `out` with these strides in as few nested loops as possible.

    Axes of length 1 go, and neighbours that every array walks as one become one. Returns the sizes and,
    for each array, the strides; at least one axis remains.

    Examples
    --------
    >>> collapse((4, 5, 6), strides_of((4, 5, 6), 3), strides_of((6,), 3))
    ([20, 6], [[6, 1], [0, 1]])
    """
    if math.prod(out) == 0:
        return [0], [[0] for _ in strides]
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, n in enumerate(out):
        here = [s[axis] for s in strides]
        if n == 1:
            continue
        if sizes and all(t[-1] == h * n for t, h in zip(steps, here, strict=True)):
            sizes[-1] *= n
            for t, h in zip(steps, here, strict=True):
                t[-1] = h
        else:
            sizes.append(n)
            for t, h in zip(steps, here, strict=True):
                t.append(h)
    return (sizes, steps) if sizes else ([1], [[0] for _ in strides])


def loops(out: Shape, *shapes: Shape | None) -> tuple[int, ...]:
    """What a broadcasting kernel gets as `dim`: D, D sizes, then D strides for each input.

    An absent input (None) has strides 0.
    """
    ndim = len(out)
    sizes, steps = collapse(out, *([0] * ndim if s is None else strides_of(s, ndim) for s in shapes))
    return (len(sizes), *sizes, *(s for t in steps for s in t))


def unbroadcast(grad: Any, shape: Shape) -> Any:
    """The gradient of what was broadcast from `shape`: summed over the axes that were repeated."""
    from .reduce import reduce_sum  # reduce knows elementwise

    extra = len(grad.shape) - len(shape)
    axes = tuple(i for i, n in enumerate(grad.shape) if i < extra or (shape[i - extra] == 1 and n != 1))
    if axes:
        grad = reduce_sum(grad, axes=axes, keepdims=True)
    return grad if tuple(grad.shape) == tuple(shape) else grad.reshape(shape)


def gradients(call: Call, **rules: Any) -> dict[str, Any]:
    """Gradients of broadcast inputs: each rule is called if its slot is there and wanted."""
    need = call.extra.get("need")
    return {name: unbroadcast(rule(), tuple(call[name].shape)) for name, rule in rules.items()
            if call[name] is not None and (need is None or name in need)}


def float_dtype(name: str, *arrays: Array | None) -> np.dtype:
    """The one float dtype that all of these have."""
    dtypes = [a.dtype for a in arrays if a is not None]
    if any(d != dtypes[0] or d.kind != "f" for d in dtypes):
        raise ValueError(f"{name} needs arrays of one float dtype, not {' and '.join(map(str, dtypes))}.")
    return dtypes[0]


class Flat(Kernel):
    """Kernels of equal shapes, element by element."""

    dims = ("N",)
    flat = True
    operations = 1  # per element

    def infer(self, *arrays, **attrs):
        dtype = float_dtype(self.name, *arrays)
        shapes = {a.shape for a in arrays}
        if len(shapes) > 1:
            met = " and ".join(str(list(a.shape)) for a in arrays)
            raise ValueError(f"{self.name} needs arrays of one shape, not {met}.")
        return (like(arrays[0], dtype=dtype),)

    def sizes(self, call: Call):
        return (call.outputs[0].size,)

    def tiles(self, call: Call):
        return blocks(call.outputs[0].size)

    def flops(self, call: Call):
        return self.operations * call.outputs[0].size


class Broadcast(Kernel):
    """Kernels of arrays that are broadcast together; a tile is a block of the output.

    ``dim`` has as many values as the shapes need: D, the number of nested loops, then D sizes, then D
    strides (in elements, 0 where it is repeated) for each input: see `loops`.
    """

    inputs = ("a", "b")
    dims = ("D", "...")

    def infer(self, *arrays, **attrs):
        dtype = float_dtype(self.name, *arrays)
        return (Array(broadcast_shape(self.name, *(a.shape for a in arrays if a is not None)), dtype),)

    def sizes(self, call: Call):
        return loops(call["y"].shape, *(None if a is None else a.shape for a in call.inputs))

    def tiles(self, call: Call):
        return blocks(call["y"].size)

    def flops(self, call: Call):
        return call["y"].size
