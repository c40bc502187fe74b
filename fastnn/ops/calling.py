"""How a function of `fastnn.ops` finds its graph: what all of them are made with."""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from ..kernels import activation as _activation
from ..kernels import dense as _dense
from ..kernels import elementwise as _elementwise
from ..kernels import reduce as _reduce
from ..kernels.spec import KERNELS, Kernel
from ..program.graph import Graph, Tensor, current_graph
from ..program.variable import Variable

_FAMILIES = (_activation, _dense, _elementwise, _reduce)  # importing them fills KERNELS


# ---------------------------------------------------------------------- how a function finds its graph

def function(fn: Callable) -> Callable:
    """A function of this module: as a node of a functional model where it meets a `KerasTensor`."""
    @functools.wraps(fn)
    def call(*args, **kwargs):
        symbolic = sys.modules.get("fastnn.layers.symbolic")
        if symbolic is not None and symbolic.symbolic((args, kwargs)):
            from ..layers.operation import Operation

            return Operation(fn.__name__)(*args, **kwargs)
        return fn(*args, **kwargs)

    return call


def graph_of(values: Sequence[Any]) -> Graph | None:
    """Where calls on these values belong: a tensor's graph, or for variables the one being traced."""
    for x in values:
        if isinstance(x, Tensor):
            return x.graph
    return current_graph() if builtins.any(isinstance(x, Variable) for x in values) else None


def is_number(x: Any) -> bool:
    return isinstance(x, Number | np.number) and not isinstance(x, complex)


def float_dtype(values: Sequence[Any]) -> np.dtype:
    """Dtype that numbers and constants take beside these values."""
    found = [np.dtype(x.dtype) for x in values if isinstance(x, Tensor | Variable | np.ndarray)]
    symbolic = [np.dtype(x.dtype) for x in values if isinstance(x, Tensor | Variable)]
    floats = [d for d in symbolic or found if d.kind == "f"]
    floats = floats or [x.dtype for x in values if isinstance(x, np.floating)]
    return np.result_type(*floats) if floats else np.dtype(np.float32)


def apply(name: str, *inputs: Any, **attrs: Any) -> Any:
    """Kernel `name` on these inputs: emitted, or computed if all are NumPy arrays and numbers."""
    kernel: Kernel = KERNELS[name]
    graph, dtype = graph_of(inputs), float_dtype(inputs)
    if graph is not None:
        return kernel(*(graph.tensor(as_constant(x, dtype)) for x in inputs), **attrs)
    return kernel(*(as_array(x, dtype) for x in inputs), **attrs)


def as_constant(x: Any, dtype: np.dtype) -> Any:
    """Tensors and variables as they are; anything else as an array of their dtype."""
    return x if x is None or isinstance(x, Tensor | Variable) else np.asarray(x, dtype)


def as_array(x: Any, dtype: np.dtype) -> np.ndarray | None:
    """NumPy arrays as they are, numbers and lists in their dtype."""
    if isinstance(x, Variable):
        return x.array
    if x is None or isinstance(x, np.ndarray):
        return x
    return np.asarray(x, dtype)


def operand(x: Any) -> Any:
    """x with a shape."""
    return x if isinstance(x, Tensor | Variable | np.ndarray) else np.asarray(x)


def axes_of(x: Any, axis: int | Sequence[int] | None) -> tuple[int, ...]:
    """Axes from 0 on, in order."""
    ndim = len(x.shape)
    if axis is None:
        return tuple(range(ndim))
    given = [axis] if isinstance(axis, int | np.integer) else list(axis)
    for a in given:
        if not -ndim <= a < ndim:
            raise ValueError(f"There is no axis {a} in an array of shape {tuple(x.shape)}.")
    found = sorted({int(a) % ndim for a in given})
    if len(found) < len(given):
        raise ValueError(f"An axis stands twice in {tuple(given)}, for an array of shape {tuple(x.shape)}.")
    return tuple(found)
