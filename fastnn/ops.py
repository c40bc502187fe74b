"""Functions on arrays, as in ``keras.ops``: on symbolic tensors and variables they emit kernel calls, on NumPy arrays
they give the NumPy meaning of those calls at once.

Examples
--------
>>> import numpy as np
>>> from fastnn import ops
>>> ops.relu(np.array([-1.0, 2.0]))
array([0., 2.])
>>> ops.mean(np.array([[1.0, 3.0], [5.0, 7.0]]), axis=0)
array([3., 5.])
"""

from __future__ import annotations

import builtins
import functools
import math
import sys
from collections.abc import Callable, Sequence
from numbers import Number
from typing import Any

import numpy as np

from . import convolutions as _convolutions
from .kernels import activation as _activation
from .kernels import dense as _dense
from .kernels import elementwise as _elementwise
from .kernels import reduce as _reduce
from .kernels.spec import KERNELS, Kernel
from .program.custom_gradient import custom_gradient
from .program.graph import Graph, Tensor, current_graph
from .program.variable import Variable
from .spelling import one_of

_FAMILIES = (_activation, _dense, _elementwise, _reduce)  # importing them fills KERNELS


# ---------------------------------------------------------------------- how a function finds its graph

def _function(fn: Callable) -> Callable:
    """A function of this module: as a node of a functional model where it meets a `KerasTensor`."""
    @functools.wraps(fn)
    def call(*args, **kwargs):
        symbolic = sys.modules.get("fastnn.layers.symbolic")
        if symbolic is not None and symbolic.symbolic((args, kwargs)):
            from .layers.operation import Operation

            return Operation(fn.__name__)(*args, **kwargs)
        return fn(*args, **kwargs)

    return call


def _graph_of(values: Sequence[Any]) -> Graph | None:
    """Where calls on these values belong: a tensor's graph, or for variables the one being traced."""
    for x in values:
        if isinstance(x, Tensor):
            return x.graph
    return current_graph() if builtins.any(isinstance(x, Variable) for x in values) else None


def _is_number(x: Any) -> bool:
    return isinstance(x, Number | np.number) and not isinstance(x, complex)


def _float_dtype(values: Sequence[Any]) -> np.dtype:
    """Dtype that numbers and constants take beside these values."""
    found = [np.dtype(x.dtype) for x in values if isinstance(x, Tensor | Variable | np.ndarray)]
    symbolic = [np.dtype(x.dtype) for x in values if isinstance(x, Tensor | Variable)]
    floats = [d for d in symbolic or found if d.kind == "f"]
    floats = floats or [x.dtype for x in values if isinstance(x, np.floating)]
    return np.result_type(*floats) if floats else np.dtype(np.float32)


def _apply(name: str, *inputs: Any, **attrs: Any) -> Any:
    """Kernel `name` on these inputs: emitted, or computed if all are NumPy arrays and numbers."""
    kernel: Kernel = KERNELS[name]
    graph, dtype = _graph_of(inputs), _float_dtype(inputs)
    if graph is not None:
        return kernel(*(graph.tensor(_constant(x, dtype)) for x in inputs), **attrs)
    return kernel(*(_array(x, dtype) for x in inputs), **attrs)


def _constant(x: Any, dtype: np.dtype) -> Any:
    """Tensors and variables as they are; anything else as an array of their dtype."""
    return x if x is None or isinstance(x, Tensor | Variable) else np.asarray(x, dtype)


def _array(x: Any, dtype: np.dtype) -> np.ndarray | None:
    """NumPy arrays as they are, numbers and lists in their dtype."""
    if isinstance(x, Variable):
        return x.array
    if x is None or isinstance(x, np.ndarray):
        return x
    return np.asarray(x, dtype)


def _operand(x: Any) -> Any:
    """x with a shape."""
    return x if isinstance(x, Tensor | Variable | np.ndarray) else np.asarray(x)


def _axes(x: Any, axis: int | Sequence[int] | None) -> tuple[int, ...]:
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


# ---------------------------------------------------------------------- arithmetic

@_function
def add(x1, x2):
    """x1 + x2, broadcast."""
    if _is_number(x2):
        return _affine(x1, offset=x2)
    return _affine(x2, offset=x1) if _is_number(x1) else _apply("add", x1, x2)


@_function
def subtract(x1, x2):
    """x1 - x2, broadcast."""
    if _is_number(x2):
        return _affine(x1, offset=-x2)
    return _affine(x2, scale=-1.0, offset=x1) if _is_number(x1) else _apply("subtract", x1, x2)


@_function
def multiply(x1, x2):
    """x1 x2, broadcast."""
    if _is_number(x2):
        return _affine(x1, scale=x2)
    return _affine(x2, scale=x1) if _is_number(x1) else _apply("multiply", x1, x2)


@_function
def divide(x1, x2):
    """x1 / x2, broadcast. By a number: times its reciprocal where that is exact."""
    if _is_number(x2) and x2 and math.frexp(x2)[0] in (0.5, -0.5):
        return _affine(x1, scale=1 / x2)
    return _apply("divide", x1, x2)


def _affine(x, scale=1.0, offset=0.0):
    if _is_number(x):
        return np.asarray(x * scale + offset)
    if isinstance(x, np.ndarray) and x.dtype.kind != "f":
        return x * scale + offset
    return _apply("affine", x, scale=float(scale), offset=float(offset))


@_function
def negative(x):
    """-x."""
    return _apply("negative", x)


@_function
def absolute(x):
    """The absolute value; its gradient at 0 is 0."""
    return _apply("absolute", x)


@_function
def sign(x):
    """-1, 0 or 1; its gradient is nil."""
    return _apply("sign", x)


@_function
def square(x):
    """x^2."""
    return _apply("square", x)


@_function
def sqrt(x):
    """The square root."""
    return _apply("sqrt", x)


@_function
def rsqrt(x):
    """1 / sqrt(x)."""
    return _apply("reciprocal", _apply("sqrt", x))


@_function
def reciprocal(x):
    """1 / x."""
    return _apply("reciprocal", x)


@_function
def exp(x):
    """e^x."""
    return _apply("exp", x)


@_function
def expm1(x):
    """e^x - 1, exact for small x."""
    return _apply("expm1", x)


@_function
def log(x):
    """The natural logarithm."""
    return _apply("log", x)


@_function
def log1p(x):
    """ln(1 + x), exact for small x."""
    return _apply("log1p", x)


@_function
def power(x1, x2):
    """x1 to the power x2, broadcast; for a negative x1, x2 must be whole."""
    if _is_number(x2) and x2 == 2:
        return square(x1)
    if _is_number(x2) and x2 == 1:
        return _affine(x1)
    if _is_number(x2) and x2 == 0.5:
        return sqrt(x1)
    return _apply("power", x1, x2)


@_function
def maximum(x1, x2):
    """The larger of the two, broadcast."""
    return _apply("maximum", x1, x2)


@_function
def minimum(x1, x2):
    """The smaller of the two, broadcast."""
    return _apply("minimum", x1, x2)


@_function
def clip(x, x_min, x_max):
    """x, brought into [x_min, x_max]."""
    if _is_number(x_min) and _is_number(x_max):
        return _apply("clip", x, low=float(x_min), high=float(x_max))
    return minimum(maximum(x, x_min), x_max)


@_function
def greater(x1, x2):
    """1 where x1 > x2, else 0, as float; its gradient is nil."""
    return _apply("greater", x1, x2)


@_function
def less(x1, x2):
    """1 where x1 < x2, else 0, as float; its gradient is nil."""
    return _apply("greater", x2, x1)


@_function
def not_equal(x1, x2):
    """1 where x1 is not x2, else 0, as float; its gradient is nil.

    Examples
    --------
    >>> not_equal(np.array([1.0, 0.0]), 0.0)
    array([1., 0.])
    """
    return greater(absolute(subtract(x1, x2)), 0.0)


@_function
def where(condition, x1, x2):
    """x1 where the condition is not 0, else x2; broadcast.

    Examples
    --------
    >>> where(np.array([True, False]), np.array([1.0, 2.0]), 0.0)
    array([1., 0.])
    """
    values = (condition, x1, x2)
    dtype = _float_dtype([x for x in (x1, x2) if x is not None] + [x for x in values if isinstance(x, Tensor)])
    x1, x2 = (None if _is_number(x) and x == 0 else _typed(x, dtype) for x in (x1, x2))
    return _apply("where", _typed(condition, dtype), x1, x2)


def _typed(x, dtype):
    return x if isinstance(x, Tensor | Variable) else np.asarray(x, dtype)


# ---------------------------------------------------------------------- sums

@_function
def sum(x, axis=None, keepdims: bool = False):
    """Sum over an axis, several, or all."""
    return _reduced("reduce_sum", x, axis, keepdims)


@_function
def mean(x, axis=None, keepdims: bool = False):
    """Mean over an axis, several, or all."""
    return _reduced("reduce_mean", x, axis, keepdims)


@_function
def max(x, axis=None, keepdims: bool = False):
    """The largest over an axis, several, or all."""
    return _reduced("reduce_max", x, axis, keepdims)


@_function
def min(x, axis=None, keepdims: bool = False):
    """The smallest over an axis, several, or all."""
    return negative(_reduced("reduce_max", negative(x), axis, keepdims))


def _reduced(name: str, x, axis, keepdims):
    x = _operand(x)
    axes = _axes(x, axis)
    if not axes:
        return x
    return _apply(name, x, axes=axes, keepdims=bool(keepdims))


@_function
def var(x, axis=None, keepdims: bool = False):
    """Mean squared distance from the mean (divided by the number of elements)."""
    return mean(square(_apply("subtract", x, mean(x, axis, keepdims=True))), axis, keepdims)


@_function
def std(x, axis=None, keepdims: bool = False):
    """Square root of `var`."""
    return sqrt(var(x, axis, keepdims))


# ---------------------------------------------------------------------- products

@_function
def matmul(x1, x2):
    """Matrix product as NumPy has it: vectors, matrices, and batches of matrices."""
    a, b = _operand(x1), _operand(x2)
    if _graph_of((a, b)) is None:
        return np.matmul(_array(a, None), _array(b, None))
    if not len(a.shape) or not len(b.shape):
        raise ValueError(f"matmul needs vectors or matrices, not {tuple(a.shape)} and {tuple(b.shape)}.")
    left, right = tuple(a.shape), tuple(b.shape)
    a = reshape(a, (1, *left)) if len(left) == 1 else a
    b = reshape(b, (*right, 1)) if len(right) == 1 else b
    batch_a, batch_b = tuple(a.shape[:-2]), tuple(b.shape[:-2])
    if len(batch_a) > 1 or len(batch_b) > 1:
        if batch_a and batch_b and batch_a != batch_b:
            raise ValueError(f"matmul needs batches of one shape, not {left} and {right}.")
        a = reshape(a, (-1, *a.shape[-2:])) if batch_a else a
        b = reshape(b, (-1, *b.shape[-2:])) if batch_b else b
    y = _apply("matmul", a, b)
    shape = (*(batch_a or batch_b), *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))
    return reshape(y, shape)


@_function
def dot(x1, x2):
    """Sum over the last axis of x1 and the last but one of x2 (the only one of a vector)."""
    a, b = _operand(x1), _operand(x2)
    if not len(a.shape) or not len(b.shape):
        return multiply(x1, x2)
    if len(a.shape) <= 2 and len(b.shape) <= 2:
        return matmul(a, b)
    if len(b.shape) > 2:
        if _graph_of((a, b)) is None:
            return np.dot(_array(a, None), _array(b, None))
        raise ValueError(f"dot needs a vector or matrix on the right, not shape {tuple(b.shape)}; use matmul.")
    y = matmul(reshape(a, (-1, a.shape[-1])), b)
    return reshape(y, (*a.shape[:-1], *b.shape[1:]))


# ---------------------------------------------------------------------- convolutions

@_function
def conv(inputs, kernel, strides=1, padding: str = "valid", data_format: str | None = None, dilation_rate=1):
    """A convolution of sequences (batch, steps, channels) or images (batch, height, width, channels).

    The kernel is (..., channels of a group, filters); there are as many groups as its channels go into those of
    `inputs`. Padding is "valid", "same" or, for sequences, "causal". See `fastnn.layers.Conv2D`.
    """
    x, w = _window("conv", inputs, kernel, padding, data_format, ("valid", "same", "causal"))
    return _convolutions.conv("conv", x, w, strides, padding, dilation_rate)


@_function
def depthwise_conv(inputs, kernel, strides=1, padding: str = "valid", data_format: str | None = None, dilation_rate=1):
    """A convolution of each channel by itself; the kernel is (..., channels, windows of a channel)."""
    x, w = _window("depthwise_conv", inputs, kernel, padding, data_format)
    return _convolutions.depthwise_conv("depthwise_conv", x, w, strides, padding, dilation_rate)


@_function
def separable_conv(inputs, depthwise_kernel, pointwise_kernel, strides=1, padding: str = "valid",
                   data_format: str | None = None, dilation_rate=1):
    """`depthwise_conv`, then `conv` with a kernel of one pixel."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel)


@_function
def conv_transpose(inputs, kernel, strides=1, padding: str = "valid", output_padding=None,
                   data_format: str | None = None, dilation_rate=1):
    """A transposed convolution; the kernel is (..., filters, channels). See `fastnn.layers.Conv2DTranspose`."""
    x, w = _window("conv_transpose", inputs, kernel, padding, data_format)
    return _convolutions.conv_transpose("conv_transpose", x, w, strides, padding, output_padding, dilation_rate)


def _window(name: str, x, w, padding, data_format, paddings=("valid", "same")):
    """Data and kernel of a convolution with shapes and one dtype, in one graph if one of them is."""
    one_of("padding", padding, paddings if len(w.shape) == 3 else paddings[:2])
    _convolutions.last(name, data_format)
    graph, dtype = _graph_of((x, w)), _float_dtype((x, w))
    make = _array if graph is None else lambda v, dtype: graph.tensor(_constant(v, dtype))
    return make(x, dtype), make(w, dtype)


# ---------------------------------------------------------------------- shapes

@_function
def reshape(x, newshape):
    """The same elements in another shape; one size may be -1. Costs nothing in a program."""
    if isinstance(newshape, int | np.integer):
        newshape = (newshape,)
    graph = _graph_of((x,))
    if graph is not None:
        return graph.tensor(x).reshape(tuple(newshape))
    return np.reshape(_array(x, None), tuple(newshape))


@_function
def transpose(x, axes=None):
    """Axes in another order; reversed by default."""
    x = _operand(x)
    ndim = len(x.shape)
    perm = tuple(range(ndim))[::-1] if axes is None else tuple(int(a) % ndim if ndim else 0 for a in axes)
    if sorted(perm) != list(range(ndim)):
        raise ValueError(f"transpose needs each axis of shape {tuple(x.shape)} once, not {tuple(axes)}.")
    if perm == tuple(range(ndim)):
        return x
    return _apply("transpose", x, perm=perm)


@_function
def concatenate(xs, axis: int = -1):
    """Arrays one after another along an axis."""
    xs = [_operand(x) for x in xs]
    if not xs:
        raise ValueError("concatenate needs at least one array.")
    (axis,) = _axes(xs[0], axis)
    for x in xs[1:]:
        same = len(x.shape) == len(xs[0].shape)
        if not same or builtins.any(i != axis and m != n for i, (m, n) in enumerate(zip(x.shape, xs[0].shape))):
            raise ValueError(f"concatenate along axis {axis} needs equal shapes elsewhere, not {tuple(xs[0].shape)} "
                             f"and {tuple(x.shape)}.")
    while len(xs) > 1:  # in pairs, so that nothing is copied more often than log2 of their number
        pairs = [_apply("concat", a, b, axis=axis) for a, b in zip(xs[::2], xs[1::2])]
        xs = pairs + xs[len(xs) // 2 * 2 :]
    return xs[0]


@_function
def expand_dims(x, axis: int):
    """A new axis of length 1 at this place."""
    shape = tuple(_operand(x).shape)
    if not -len(shape) - 1 <= axis <= len(shape):
        raise ValueError(f"There is no place {axis} for a new axis in the shape {shape}.")
    axis %= len(shape) + 1
    return reshape(x, (*shape[:axis], 1, *shape[axis:]))


@_function
def squeeze(x, axis=None):
    """Without this axis of length 1, or without all of them."""
    x = _operand(x)
    gone = {i for i, n in enumerate(x.shape) if n == 1} if axis is None else set(_axes(x, axis))
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
            x = _apply("slice_axis", x, axis=axis, start=start, stop=stop)
        axis += 1
    return reshape(x, tuple(new))


# ---------------------------------------------------------------------- constants and dtypes

@_function
def zeros_like(x):
    """Zeros in the shape and dtype of x."""
    return _filled_with(x, 0.0)


@_function
def ones_like(x):
    """Ones in the shape and dtype of x."""
    return _filled_with(x, 1.0)


def _filled_with(x, value: float, shape: tuple[int, ...] | None = None):
    """An array or tensor of one number where x is one, of its dtype and by default its shape."""
    x = _operand(x)
    attrs = dict(value=value, shape=tuple(x.shape if shape is None else shape), dtype=str(x.dtype))
    graph = _graph_of((x,))
    return KERNELS["fill"](**attrs) if graph is None else graph.emit(KERNELS["fill"], (), attrs)


@_function
def cast(x, dtype):
    """x in another dtype.

    Programs compute in one float dtype (float32, in float64 models float64) and have class numbers in int32. A tensor
    of a program can go from one to the other, floats towards zero; bool means 1 or 0 in the float dtype that x has.
    """
    dtype, graph = np.dtype(dtype), _graph_of((x,))
    if graph is None:
        return _operand(_array(x, None)).astype(dtype)
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
    return tuple(_operand(x).shape) if not hasattr(x, "shape") else tuple(x.shape)


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


@_function
def stop_gradient(x):
    """x, through which no gradient flows."""
    y = _apply("copy", x)
    if isinstance(y, Tensor):
        y.call.extra["stop_gradient"] = True
    return y


# ---------------------------------------------------------------------- activations, and movement of more kinds
# Last: they are made of what stands above.

from .activations.elementwise import (  # noqa: E402
    celu,
    elu,
    exponential,  # noqa: F401  (not in Keras's ops; nodes of models find it here)
    gelu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from .activations.rows import glu, log_softmax, softmax, sparsemax  # noqa: E402
from .compositions import *  # noqa: E402, F403
from .compositions import __all__ as _composed  # noqa: E402
from .movement import (  # noqa: E402
    average_pool,
    flip,
    max_pool,
    moveaxis,
    pad,
    repeat,
    split,
    stack,
    swapaxes,
    take,
    tile,
    unstack,
)

abs = absolute

__all__ = [
    "abs",
    "absolute",
    "add",
    "average_pool",
    "cast",
    "celu",
    "clip",
    "concatenate",
    "conv",
    "conv_transpose",
    "convert_to_numpy",
    "convert_to_tensor",
    "custom_gradient",
    "depthwise_conv",
    "divide",
    "dot",
    "elu",
    "exp",
    "expand_dims",
    "expm1",
    "flip",
    "gelu",
    "glu",
    "greater",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "is_tensor",
    "leaky_relu",
    "less",
    "log",
    "log1p",
    "log_sigmoid",
    "log_softmax",
    "matmul",
    "max",
    "max_pool",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mish",
    "moveaxis",
    "multiply",
    "negative",
    "not_equal",
    "ones_like",
    "pad",
    "power",
    "reciprocal",
    "relu",
    "relu6",
    "repeat",
    "reshape",
    "rsqrt",
    "selu",
    "separable_conv",
    "shape",
    "sigmoid",
    "sign",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "split",
    "sqrt",
    "square",
    "squareplus",
    "squeeze",
    "stack",
    "std",
    "stop_gradient",
    "subtract",
    "sum",
    "swapaxes",
    "swish",
    "take",
    "tanh",
    "tanh_shrink",
    "threshold",
    "tile",
    "transpose",
    "unstack",
    "var",
    "where",
    "zeros_like",
    *_composed,
]
