"""Convolutions of tensors or arrays as Keras describes them: what `fastnn.ops` and the layers have in common.

Here "same" and "valid" become numbers of rows and columns of zeros, sequences become images of one row, and a kernel of
one pixel becomes a plain product. Data is channels last, (batch, height, width, channels) or (batch, steps, channels).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..kernels import conv as kernels
from ..kernels.dense import dense
from ..kernels.depthwise import depthwise
from ..spelling import one_of

AXES = {1: "(batch, steps, channels)", 2: "(batch, height, width, channels)"}


class Edge(NamedTuple):
    """What happens to the sums: ``activation(sums + bias)``."""

    bias: Any = None
    activation: str = "linear"
    alpha: float = 1.0


PLAIN = Edge()


def positive(who: str, what: str, value: Any, axes: int) -> tuple[int, ...]:
    """A number for each axis, given as one number or as all of them; ValueError in a sentence."""
    given = (value,) * axes if isinstance(value, int | np.integer) and not isinstance(value, bool) else value
    if not isinstance(given, list | tuple) or len(given) != axes or not all(
            isinstance(v, int | np.integer) and not isinstance(v, bool) and v > 0 for v in given):
        numbers = "a positive whole number" + ("" if axes == 1 else f", or {axes} of them,")
        raise ValueError(f"{who}: {what} is {value!r}; {numbers} is wanted.")
    return tuple(int(v) for v in given)


def last(who: str, data_format: str | None) -> str:
    """The data format, which must be that with the channels last."""
    found = one_of("data_format", data_format or "channels_last", ("channels_last", "channels_first"))
    if found == "channels_first":
        raise ValueError(f"{who}: data_format is 'channels_first'; only data with its channels last can be computed "
                         "with. np.moveaxis(x, 1, -1) puts them there.")
    return found


def zeros_around(size: int, kernel: int, stride: int, dilation: int, padding: str) -> tuple[int, int]:
    """Zeros before and behind an axis of this size."""
    reach = (kernel - 1) * dilation
    if padding == "causal":
        return reach, 0
    if padding == "valid":
        return 0, 0
    total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)  # so that ceil(size / stride) outputs come
    return total // 2, total - total // 2


def transposed_axis(size: int, kernel: int, stride: int, dilation: int, padding: str,
                    output_padding: int | None) -> tuple[int, int, int]:
    """(size of the output, zeros before and behind it in the convolution that is transposed) along one axis.

    The output that all taps reach has ``(size - 1) * stride + reach`` pixels; "same" cuts it to ``size * stride``, one
    pixel more in front where the number is odd and the stride is 1, as Keras does.
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "valid":
        before, behind = 0, -(max(stride - reach, 0) if output_padding is None else output_padding)
    else:
        total = stride + reach - 2 if output_padding is None else reach + reach % 2 - 2 + output_padding
        first = min(total // 2 + total % 2, reach - 1)
        before, behind = reach - 1 - first, reach - 1 - (total - first)
    return (size - 1) * stride + reach - before - behind, before, max(behind, 0)


# ---------------------------------------------------------------------- what a call must satisfy

def axes_of(who: str, x: Any, kernel_axes: int) -> int:
    """How many axes the pixels have; ValueError if data and kernel don't fit each other."""
    axes = kernel_axes - 2
    if axes not in AXES or len(x.shape) != kernel_axes:
        raise ValueError(f"{who} wants data of the shape {AXES.get(axes, 'of sequences or images')}; got the shape "
                         f"{tuple(x.shape)}.")
    return axes


def check_channels(who: str, x: Any, w: Any, channels: int, axes: int) -> None:
    if x.shape[-1] != channels:
        raise ValueError(f"{who} has a kernel of the shape {tuple(w.shape)}, which takes {channels} channels; got data "
                         f"of the shape {tuple(x.shape)}. The channels come last: {AXES[axes]}.")


def check_size(who: str, x: Any, window, dilation) -> None:
    """ValueError if the kernel is larger than the image, or there is no data."""
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation)]
    if any(r > s for r, s in zip(reach, x.shape[1:-1])):
        widened = f" (with dilation {tuple(reach)})" if tuple(reach) != tuple(window) else ""
        raise ValueError(f"{who} has a kernel of the size {tuple(window)}{widened}, which is larger than the data of "
                         f"the shape {tuple(x.shape)}; padding='same' puts zeros around it.")


def check_batch(who: str, x: Any) -> None:
    if x.shape[0] == 0:
        raise ValueError(f"{who} got a batch without samples: the shape {tuple(x.shape)}.")


def as_image(x: Any) -> Any:
    """A sequence as an image of one row."""
    return x.reshape(x.shape[0], 1, *x.shape[1:])


def as_kernel(w: Any) -> Any:
    """A kernel of one axis as one of two."""
    return w.reshape(1, *w.shape)


# ---------------------------------------------------------------------- the functions

def conv(who: str, x, w, strides, padding: str, dilation, edge: Edge = PLAIN):
    """A convolution; there are as many groups as the kernel's channels go into those of x."""
    axes = axes_of(who, x, len(w.shape))
    strides, dilation = positive(who, "strides", strides, axes), positive(who, "dilation_rate", dilation, axes)
    *window, channels, filters = w.shape
    groups = x.shape[-1] // channels
    if groups == 0 or filters % groups:
        groups = 1
    check_channels(who, x, w, channels * groups, axes)
    check_batch(who, x)
    if padding == "valid":
        check_size(who, x, window, dilation)
    around = [zeros_around(*of, padding) for of in zip(x.shape[1:-1], window, strides, dilation)]
    if max(window) == max(strides) == groups == 1:
        y = dense(x.reshape(-1, channels), w.reshape(channels, filters), edge.bias, activation=edge.activation,
                  alpha=edge.alpha)
        return y.reshape(*x.shape[:-1], filters)
    if axes == 1:
        x, w, around = as_image(x), as_kernel(w), [(0, 0), *around]
    y = kernels.conv(x, w, edge.bias, strides=(1, *strides)[-2:], dilation=(1, *dilation)[-2:], groups=groups,
                     padding=(*around[0], *around[1]), activation=edge.activation, alpha=edge.alpha)
    return y.reshape(y.shape[0], *y.shape[-axes - 1 :])


def depthwise_conv(who: str, x, w, strides, padding: str, dilation, edge: Edge = PLAIN):
    """A convolution of each channel by itself; the kernel is (height, width, channels, windows of a channel)."""
    axes = axes_of(who, x, len(w.shape))
    strides, dilation = positive(who, "strides", strides, axes), positive(who, "dilation_rate", dilation, axes)
    *window, channels, _ = w.shape
    check_channels(who, x, w, channels, axes)
    check_batch(who, x)
    if padding == "valid":
        check_size(who, x, window, dilation)
    around = [zeros_around(*of, padding) for of in zip(x.shape[1:-1], window, strides, dilation)]
    if axes == 1:
        x, w, around = as_image(x), as_kernel(w), [(0, 0), *around]
    y = depthwise(x, w, edge.bias, strides=(1, *strides)[-2:], dilation=(1, *dilation)[-2:],
                  padding=(*around[0], *around[1]), activation=edge.activation, alpha=edge.alpha)
    return y.reshape(y.shape[0], *y.shape[-axes - 1 :])


def conv_transpose(who: str, x, w, strides, padding: str, output_padding, dilation, edge: Edge = PLAIN):
    """A transposed convolution; the kernel is (height, width, channels of the output, channels of x)."""
    axes = axes_of(who, x, len(w.shape))
    strides, dilation = positive(who, "strides", strides, axes), positive(who, "dilation_rate", dilation, axes)
    *window, filters, channels = w.shape
    check_channels(who, x, w, channels, axes)
    check_batch(who, x)
    more = check_output_padding(who, output_padding, strides)
    found = [transposed_axis(*of[:4], padding, of[4]) for of in zip(x.shape[1:-1], window, strides, dilation, more)]
    if any(size < 1 for size, _, _ in found):
        raise ValueError(f"{who} with a kernel of the size {tuple(window)} and strides {strides} makes nothing of data "
                         f"of the shape {tuple(x.shape)}.")
    if axes == 1:
        x, w, found = as_image(x), as_kernel(w), [(1, 0, 0), *found]
    y = kernels.conv_transpose(
        x, kernels.turn_kernel(w), edge.bias, shape=tuple(size for size, _, _ in found), strides=(1, *strides)[-2:],
        dilation=(1, *dilation)[-2:], padding=tuple(n for _, before, behind in found for n in (before, behind)),
        activation=edge.activation, alpha=edge.alpha)
    return y.reshape(y.shape[0], *y.shape[-axes - 1 :])


def check_output_padding(who: str, value: Any, strides: tuple[int, ...]) -> tuple[int | None, ...]:
    """One number for each axis, or None; less than the stride."""
    given = value if isinstance(value, list | tuple) else (value,) * len(strides)
    if len(given) != len(strides) or not all(v is None or isinstance(v, int | np.integer) and 0 <= v < s
                                             for v, s in zip(given, strides)):
        raise ValueError(f"{who}: output_padding is {value!r}; whole numbers from 0 on below the strides {strides} are "
                         "wanted.")
    return tuple(given)
