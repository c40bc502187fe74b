"""KerasTensor: what a layer gives when it is called before any data is there."""

from __future__ import annotations

from typing import Any

import numpy as np


class Node:
    """One call of a layer on symbolic tensors: its arguments and what came out."""

    def __init__(self, layer, args: tuple, kwargs: dict[str, Any], outputs: list[KerasTensor]):
        self.layer, self.args, self.kwargs, self.outputs = layer, args, kwargs, outputs
        self.index = len(layer.nodes)
        layer.nodes.append(self)
        for i, t in enumerate(outputs):
            t.node, t.position = self, i

    def parents(self) -> list[KerasTensor]:
        """The symbolic tensors among the arguments."""
        return [x for x in flatten((self.args, self.kwargs)) if isinstance(x, KerasTensor)]


class KerasTensor:
    """A shape and a dtype with a history; the batch axis is None, and others may be, whose size differs from batch to
    batch. ``mask_shape`` is the shape of the mask that the tensors have that it stands for, None if they have none."""

    def __init__(self, shape, dtype="float32", name: str = "", mask_shape=None):
        self.shape, self.dtype, self.name = tuple(shape), np.dtype(dtype), name
        self.mask_shape = mask_shape
        self.node: Node | None = None
        self.position = 0

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor {self.name}, shape={self.shape}, dtype={self.dtype}>"

    def __bool__(self):
        raise TypeError("A symbolic tensor has no truth value: a model has no branches that depend on data.")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("A symbolic tensor can't become a NumPy array; call a model that holds it on data.")

    def _op(self, name, *operands):
        from .operation import Operation

        return Operation(name)(*operands)

    def __add__(self, other): return self._op("add", self, other)
    def __radd__(self, other): return self._op("add", other, self)
    def __sub__(self, other): return self._op("subtract", self, other)
    def __rsub__(self, other): return self._op("subtract", other, self)
    def __mul__(self, other): return self._op("multiply", self, other)
    def __rmul__(self, other): return self._op("multiply", other, self)
    def __truediv__(self, other): return self._op("divide", self, other)
    def __rtruediv__(self, other): return self._op("divide", other, self)
    def __matmul__(self, other): return self._op("matmul", self, other)
    def __pow__(self, other): return self._op("power", self, other)
    def __neg__(self): return self._op("negative", self)


def flatten(tree) -> list:
    """The leaves of nested lists, tuples and dicts, in order."""
    if isinstance(tree, list | tuple):
        return [leaf for part in tree for leaf in flatten(part)]
    if isinstance(tree, dict):
        return [leaf for part in tree.values() for leaf in flatten(part)]
    return [tree]


def map_tree(fn, tree):
    """The same nest with fn applied to each leaf."""
    if isinstance(tree, list | tuple):
        return type(tree)(map_tree(fn, part) for part in tree)
    if isinstance(tree, dict):
        return {k: map_tree(fn, part) for k, part in tree.items()}
    return fn(tree)


def symbolic(tree) -> bool:
    """Whether any leaf is a KerasTensor."""
    return any(isinstance(x, KerasTensor) for x in flatten(tree))
