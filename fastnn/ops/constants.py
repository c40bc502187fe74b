"""Constants, dtypes, and what is a tensor."""

from __future__ import annotations

import numpy as np

from ..kernels.spec import KERNELS
from ..program.graph import Tensor
from ..program.variable import Variable
from .arithmetic import absolute, greater
from .calling import apply, as_array, function, graph_of, operand


@function
def zeros_like(x):
    """Zeros in the shape and dtype of x."""
    return filled_with(x, 0.0)


@function
def ones_like(x):
    """Ones in the shape and dtype of x."""
    return filled_with(x, 1.0)


def filled_with(x, value: float, shape: tuple[int, ...] | None = None):
    """An array or tensor of one number where x is one, of its dtype and by default its shape."""
    x = operand(x)
    attrs = dict(value=value, shape=tuple(x.shape if shape is None else shape), dtype=str(x.dtype))
    graph = graph_of((x,))
    return KERNELS["fill"](**attrs) if graph is None else graph.emit(KERNELS["fill"], (), attrs)


@function
def cast(x, dtype):
    """x in another dtype.

    Programs compute in one float dtype (float32, in float64 models float64) and have class numbers in int32. A tensor
    of a program can go from one to the other, floats towards zero; bool means 1 or 0 in the float dtype that x has.
    """
    dtype, graph = np.dtype(dtype), graph_of((x,))
    if graph is None:
        return operand(as_array(x, None)).astype(dtype)
    x = graph.tensor(x)
    if dtype == x.dtype:
        return x
    if dtype.kind == "b":
        return greater(absolute(x if x.dtype.kind == "f" else cast(x, np.float32)), 0.0)
    name = {"f": "gather_rows", "i": "gather_labels"}.get(dtype.kind)
    if name is None or dtype not in (np.dtype(np.float32), np.dtype(np.int32)):
        raise TypeError(f"In a program a tensor of {x.dtype} can't be cast to {dtype}: it can become float32 or int32.")
    rows = x.reshape(x.shape[0], -1) if x.ndim > 1 and x.size else x.reshape(x.size)
    index = graph.constant(np.arange(rows.shape[0]), np.int64)
    return KERNELS[name](rows, index, source=str(x.dtype)).reshape(x.shape)


def shape(x) -> tuple[int, ...]:
    """The sizes of x; None for the batch of a symbolic tensor of a model."""
    return tuple(operand(x).shape) if not hasattr(x, "shape") else tuple(x.shape)


def convert_to_tensor(x, dtype=None):
    """Tensors and variables as they are, anything else as a NumPy array."""
    if isinstance(x, Tensor | Variable) or hasattr(x, "node"):
        return x if dtype is None else cast(x, dtype)
    return np.asarray(x, dtype)


def is_tensor(x) -> bool:
    """Whether x is a tensor of a program."""
    return isinstance(x, Tensor)


def convert_to_numpy(x) -> np.ndarray:
    """x as a NumPy array; a tensor of a program has no value yet and is refused."""
    return np.asarray(x)


@function
def stop_gradient(x):
    """x, through which no gradient flows."""
    y = apply("copy", x)
    if isinstance(y, Tensor):
        y.call.extra["stop_gradient"] = True
    return y
