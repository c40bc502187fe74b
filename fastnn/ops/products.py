"""Matrix products, and convolutions as Keras writes them."""

from __future__ import annotations

import numpy as np

from ..spelling import one_of
from . import convolutions as _convolutions
from .arithmetic import multiply
from .calling import apply, as_array, as_constant, float_dtype, function, graph_of, operand
from .shapes import reshape


@function
def matmul(x1, x2):
    """Matrix product as NumPy has it: vectors, matrices, and batches of matrices."""
    a, b = operand(x1), operand(x2)
    if graph_of((a, b)) is None:
        return np.matmul(as_array(a, None), as_array(b, None))
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
    y = apply("matmul", a, b)
    shape = (*(batch_a or batch_b), *left[-2:-1], *(right[-1:] if len(right) > 1 else ()))
    return reshape(y, shape)


@function
def dot(x1, x2):
    """Sum over the last axis of x1 and the last but one of x2 (the only one of a vector)."""
    a, b = operand(x1), operand(x2)
    if not len(a.shape) or not len(b.shape):
        return multiply(x1, x2)
    if len(a.shape) <= 2 and len(b.shape) <= 2:
        return matmul(a, b)
    if len(b.shape) > 2:
        if graph_of((a, b)) is None:
            return np.dot(as_array(a, None), as_array(b, None))
        raise ValueError(f"dot needs a vector or matrix on the right, not shape {tuple(b.shape)}; use matmul.")
    y = matmul(reshape(a, (-1, a.shape[-1])), b)
    return reshape(y, (*a.shape[:-1], *b.shape[1:]))


# ---------------------------------------------------------------------- convolutions

@function
def conv(inputs, kernel, strides=1, padding: str = "valid", data_format: str | None = None, dilation_rate=1):
    """A convolution of sequences (batch, steps, channels) or images (batch, height, width, channels).

    The kernel is (..., channels of a group, filters); there are as many groups as its channels go into those of
    `inputs`. Padding is "valid", "same" or, for sequences, "causal". See `fastnn.layers.Conv2D`.
    """
    x, w = _window("conv", inputs, kernel, padding, data_format, ("valid", "same", "causal"))
    return _convolutions.conv("conv", x, w, strides, padding, dilation_rate)


@function
def depthwise_conv(inputs, kernel, strides=1, padding: str = "valid", data_format: str | None = None, dilation_rate=1):
    """A convolution of each channel by itself; the kernel is (..., channels, windows of a channel)."""
    x, w = _window("depthwise_conv", inputs, kernel, padding, data_format)
    return _convolutions.depthwise_conv("depthwise_conv", x, w, strides, padding, dilation_rate)


@function
def separable_conv(inputs, depthwise_kernel, pointwise_kernel, strides=1, padding: str = "valid",
                   data_format: str | None = None, dilation_rate=1):
    """`depthwise_conv`, then `conv` with a kernel of one pixel."""
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel)


@function
def conv_transpose(inputs, kernel, strides=1, padding: str = "valid", output_padding=None,
                   data_format: str | None = None, dilation_rate=1):
    """A transposed convolution; the kernel is (..., filters, channels). See `fastnn.layers.Conv2DTranspose`."""
    x, w = _window("conv_transpose", inputs, kernel, padding, data_format)
    return _convolutions.conv_transpose("conv_transpose", x, w, strides, padding, output_padding, dilation_rate)


def _window(name: str, x, w, padding, data_format, paddings=("valid", "same")):
    """Data and kernel of a convolution with shapes and one dtype, in one graph if one of them is."""
    one_of("padding", padding, paddings if len(w.shape) == 3 else paddings[:2])
    _convolutions.last(name, data_format)
    graph, dtype = graph_of((x, w)), float_dtype((x, w))
    make = as_array if graph is None else lambda v, dtype: graph.tensor(as_constant(v, dtype))
    return make(x, dtype), make(w, dtype)
