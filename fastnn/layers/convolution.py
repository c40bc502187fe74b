"""Convolutions, named and shaped as in Keras 3, with the channels last."""

from __future__ import annotations

from typing import Any, ClassVar

from .. import activations, constraints, initializers, regularizers
from ..kernels.dense import ACTIVATIONS
from ..ops import convolutions
from ..spelling import one_of
from .layer import Layer

FUSED = frozenset(ACTIVATIONS)  # what the kernels compute at their edges


class Convolution(Layer):
    """What all layers of convolutions share: their arguments, their weights, and the edge of their sums."""

    axes: ClassVar[int] = 2  #: of the pixels
    paddings: ClassVar[tuple[str, ...]] = ("valid", "same")
    kernels: ClassVar[tuple[str, ...]] = ("kernel",)  #: names of the weights beside the bias

    def __init__(self, kernel_size, strides=1, padding: str = "valid", data_format: str | None = None, dilation_rate=1,
                 activation=None, use_bias: bool = True, **kwargs: Any):
        own = {f"{name}_{part}": kwargs.pop(f"{name}_{part}", default) for name in (*self.kernels, "bias")
               for part, default in (("initializer", "zeros" if name == "bias" else "glorot_uniform"),
                                     ("regularizer", None), ("constraint", None))}
        super().__init__(**kwargs)
        self.kernel_size = convolutions.positive(self._who, "kernel_size", kernel_size, self.axes)
        self.strides = convolutions.positive(self._who, "strides", strides, self.axes)
        self.dilation_rate = convolutions.positive(self._who, "dilation_rate", dilation_rate, self.axes)
        self.padding = one_of("padding", padding.lower() if isinstance(padding, str) else padding, self.paddings)
        self.data_format = convolutions.last(self._who, data_format)
        self.activation, self.use_bias = activations.get(activation), bool(use_bias)
        for name, value in own.items():
            kind = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
            setattr(self, name, kind[name.split("_")[-1]].get(value))
        self.bias = None

    @property
    def _who(self) -> str:
        return f"{type(self).__name__} {self.name}"

    def _count(self, what: str, value: Any) -> int:
        return convolutions.positive(self._who, what, value, 1)[0]

    def _channels(self, input_shape) -> int:
        """The channels of the data that the layer is built for."""
        if len(input_shape) != self.axes + 2:
            raise ValueError(f"{self._who} wants data of the shape {convolutions.AXES[self.axes]}; got the shape "
                             f"{tuple(input_shape)}.")
        return input_shape[-1]

    def _weight(self, name: str, shape, called: str = ""):
        called = called or (name if name == "kernel" else f"{name}_kernel")
        return self.add_weight(shape, getattr(self, f"{name}_initializer"), name=called,
                               regularizer=getattr(self, f"{name}_regularizer"),
                               constraint=getattr(self, f"{name}_constraint"))

    def _add_bias(self, filters: int, fan_in_of) -> None:
        if self.use_bias:
            beside = getattr(self.bias_initializer, "beside", None)  # PyTorch's bias is drawn as its kernel is
            self.bias = self.add_weight((filters,), beside(fan_in_of) if beside else self.bias_initializer, name="bias",
                                        regularizer=self.bias_regularizer, constraint=self.bias_constraint)

    def _edged(self, x, convolve):
        """``activation(convolve + bias)``, in the kernel where it can."""
        if len(x.shape) != self.axes + 2:
            self._channels(x.shape)
        kind = getattr(self.activation, "kind", None)
        if kind not in FUSED:
            return self.activation(convolve(convolutions.Edge(self._bias(x))))
        return convolve(convolutions.Edge(self._bias(x), kind, self.activation.alpha))

    def _bias(self, x):
        return None if self.bias is None else x.graph.tensor(self.bias)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "kernel_size": list(self.kernel_size), "strides": list(self.strides),
                  "padding": self.padding, "data_format": self.data_format, "dilation_rate": list(self.dilation_rate),
                  "activation": activations.serialize(self.activation), "use_bias": self.use_bias}
        for part, kind in (("initializer", initializers), ("regularizer", regularizers), ("constraint", constraints)):
            for name in (*self.kernels, "bias"):
                config[f"{name}_{part}"] = kind.serialize(getattr(self, f"{name}_{part}"))
        return config


class Conv2D(Convolution):
    """A convolution of images: each filter looks at every place of the image through the same small window.

        y[n,i,j,f] = activation(bias[f] + sum over h, w, c of
                     x[n, i * stride + h * dilation - top, j * stride + w * dilation - left, c] * kernel[h,w,c,f])

    Parameters
    ----------
    filters : channels of the output.
    kernel_size : height and width of the window, or one number for both.
    strides : steps between places, down and across.
    padding : "valid": the window stays inside of the image; "same": zeros around the image, so that
        ``ceil(size / stride)`` pixels come out; an odd number of them has one more below and on the right.
    data_format : "channels_last", or None for the same.
    dilation_rate : steps between the pixels of the window.
    groups : the channels are cut into so many groups, each of which meets its own share of the filters.
    activation : name or function; computed at the edge of the product where it can be.
    use_bias : whether there is a bias.
    kernel_initializer, bias_initializer : see `fastnn.initializers`.
    kernel_regularizer, bias_regularizer, activity_regularizer : see `fastnn.regularizers`.
    kernel_constraint, bias_constraint : see `fastnn.constraints`.

    Notes
    -----
    Input (batch, height, width, channels), kernel (height, width, channels / groups, filters), output (batch,
    height, width, filters). A window of one pixel with strides of 1 is a product, and runs as one.

    References
    ----------
    LeCun et al. (1989), Backpropagation applied to handwritten zip code recognition.
    Dumoulin & Visin (2016), A guide to convolution arithmetic for deep learning, arXiv:1603.07285.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Conv2D(1, 2, kernel_initializer="ones")
    >>> layer(np.arange(9.0).reshape(1, 3, 3, 1))[0, :, :, 0]
    array([[ 8., 12.],
           [20., 24.]], dtype=float32)
    >>> layers.Conv2D(8, 3, strides=2, padding="same")(np.zeros((1, 28, 28, 3))).shape
    (1, 14, 14, 8)
    """

    def __init__(self, filters: int, kernel_size, strides=1, padding: str = "valid", data_format: str | None = None,
                 dilation_rate=1, groups: int = 1, activation=None, use_bias: bool = True,
                 kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None,
                 **kwargs: Any):
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint, **kwargs)
        self.filters, self.groups = self._count("filters", filters), self._count("groups", groups)
        if self.filters % self.groups:
            raise ValueError(f"{self._who}: {self.filters} filters can't be parted into {self.groups} groups.")
        self.kernel = None

    def build(self, input_shape) -> None:
        channels = self._channels(input_shape)
        if channels % self.groups:
            raise ValueError(f"{self._who}: {channels} channels, of data of the shape {tuple(input_shape)}, can't be "
                             f"parted into {self.groups} groups.")
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self._weight("kernel", shape)
        self._add_bias(self.filters, shape)

    def call(self, x):
        if len(x.shape) == self.axes + 2:
            convolutions.check_channels(self._who, x, self.kernel, self.kernel.shape[-2] * self.groups, self.axes)
        return self._edged(x, lambda edge: convolutions.conv(
            self._who, x, x.graph.tensor(self.kernel), self.strides, self.padding, self.dilation_rate, edge))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "groups": self.groups}


class Conv1D(Conv2D):
    """A convolution of sequences.

        y[n,i,f] = activation(bias[f] + sum over k, c of x[n, i * stride + k * dilation - before, c] * kernel[k,c,f])

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, groups, ... : those of `Conv2D`, for one axis.
    padding : "valid", "same", or "causal": all zeros stand in front, so that no output sees a later step than its own
        (van den Oord et al., 2016, WaveNet, arXiv:1609.03499).

    Notes
    -----
    Input (batch, steps, channels), kernel (size, channels / groups, filters), output (batch, steps, filters).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Conv1D(1, 2, padding="causal", kernel_initializer="ones")
    >>> layer(np.arange(4.0).reshape(1, 4, 1)).ravel()
    array([0., 1., 3., 5.], dtype=float32)
    """

    axes = 1
    paddings = ("valid", "same", "causal")


class DepthwiseConv2D(Convolution):
    """A convolution of each channel by itself, with `depth_multiplier` windows for each.

        y[n,i,j,c M + m] = activation(bias[c M + m] + sum over h, w of x[n, ..., ..., c] * kernel[h,w,c,m])

    Parameters
    ----------
    kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, ... : those of `Conv2D`.
    depth_multiplier : windows of a channel, M.
    depthwise_initializer, depthwise_regularizer, depthwise_constraint : those of the kernel.

    Notes
    -----
    Input (batch, height, width, channels), kernel (height, width, channels, M), output (batch, height, width,
    channels * M).

    References
    ----------
    Howard et al. (2017), MobileNets, arXiv:1704.04861.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.DepthwiseConv2D(2, depthwise_initializer="ones")
    >>> layer(np.arange(8.0).reshape(1, 2, 2, 2)).ravel()
    array([12., 16.], dtype=float32)
    """

    kernels = ("depthwise",)

    def __init__(self, kernel_size, strides=1, padding: str = "valid", depth_multiplier: int = 1,
                 data_format: str | None = None, dilation_rate=1, activation=None, use_bias: bool = True,
                 depthwise_initializer="glorot_uniform", bias_initializer="zeros", depthwise_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None, bias_constraint=None,
                 **kwargs: Any):
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            depthwise_initializer=depthwise_initializer, bias_initializer=bias_initializer,
            depthwise_regularizer=depthwise_regularizer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, depthwise_constraint=depthwise_constraint,
            bias_constraint=bias_constraint, **kwargs)
        self.depth_multiplier = self._count("depth_multiplier", depth_multiplier)
        self.kernel = None

    def build(self, input_shape) -> None:
        shape = (*self.kernel_size, self._channels(input_shape), self.depth_multiplier)
        self.kernel = self._weight("depthwise", shape, "kernel")
        self._add_bias(shape[-2] * shape[-1], shape)

    def call(self, x):
        return self._edged(x, lambda edge: convolutions.depthwise_conv(
            self._who, x, x.graph.tensor(self.kernel), self.strides, self.padding, self.dilation_rate, edge))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "depth_multiplier": self.depth_multiplier}


class DepthwiseConv1D(DepthwiseConv2D):
    """A convolution of each channel of a sequence by itself: `DepthwiseConv2D` along one axis.

    Notes
    -----
    Input (batch, steps, channels), kernel (size, channels, M), output (batch, steps, channels * M).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.DepthwiseConv1D(2, depthwise_initializer="ones")
    >>> layer(np.arange(4.0).reshape(1, 4, 1)).ravel()
    array([1., 3., 5.], dtype=float32)
    """

    axes = 1


class SeparableConv2D(Convolution):
    """A depthwise convolution, then a convolution of one pixel that mixes the channels: ``activation(... + bias)``.

    Parameters
    ----------
    filters : channels of the output.
    kernel_size, strides, padding, data_format, dilation_rate, depth_multiplier : those of `DepthwiseConv2D`.
    activation, use_bias : of the whole; nothing happens between the two.
    depthwise_initializer, pointwise_initializer, bias_initializer, ... : of the two kernels and the bias.

    Notes
    -----
    Input (batch, height, width, channels), kernels (height, width, channels, M) and (1, 1, channels * M, filters),
    output (batch, height, width, filters).

    References
    ----------
    Chollet (2017), Xception: deep learning with depthwise separable convolutions, arXiv:1610.02357.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.SeparableConv2D(8, 3, padding="same")(np.zeros((2, 9, 9, 4))).shape
    (2, 9, 9, 8)
    """

    kernels = ("depthwise", "pointwise")

    def __init__(self, filters: int, kernel_size, strides=1, padding: str = "valid", data_format: str | None = None,
                 dilation_rate=1, depth_multiplier: int = 1, activation=None, use_bias: bool = True,
                 depthwise_initializer="glorot_uniform", pointwise_initializer="glorot_uniform",
                 bias_initializer="zeros", depthwise_regularizer=None, pointwise_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, depthwise_constraint=None,
                 pointwise_constraint=None, bias_constraint=None, **kwargs: Any):
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            depthwise_initializer=depthwise_initializer, pointwise_initializer=pointwise_initializer,
            bias_initializer=bias_initializer, depthwise_regularizer=depthwise_regularizer,
            pointwise_regularizer=pointwise_regularizer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, depthwise_constraint=depthwise_constraint,
            pointwise_constraint=pointwise_constraint, bias_constraint=bias_constraint, **kwargs)
        self.filters = self._count("filters", filters)
        self.depth_multiplier = self._count("depth_multiplier", depth_multiplier)
        self.depthwise_kernel = self.pointwise_kernel = None

    def build(self, input_shape) -> None:
        channels = self._channels(input_shape)
        shape = (*[1] * self.axes, channels * self.depth_multiplier, self.filters)
        self.depthwise_kernel = self._weight("depthwise", (*self.kernel_size, channels, self.depth_multiplier))
        self.pointwise_kernel = self._weight("pointwise", shape)
        self._add_bias(self.filters, shape)

    def call(self, x):
        def convolve(edge):
            y = convolutions.depthwise_conv(self._who, x, x.graph.tensor(self.depthwise_kernel), self.strides,
                                            self.padding, self.dilation_rate)
            return convolutions.conv(self._who, y, x.graph.tensor(self.pointwise_kernel), 1, "valid", 1, edge)

        return self._edged(x, convolve)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "depth_multiplier": self.depth_multiplier}


class SeparableConv1D(SeparableConv2D):
    """`SeparableConv2D` along one axis; padding may be "causal" too.

    Notes
    -----
    Input (batch, steps, channels), kernels (size, channels, M) and (1, channels * M, filters), output (batch, steps,
    filters).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.SeparableConv1D(8, 3, padding="causal")(np.zeros((2, 9, 4))).shape
    (2, 9, 8)
    """

    axes = 1
    paddings = ("valid", "same", "causal")


class Conv2DTranspose(Convolution):
    """A transposed convolution: each pixel is spread over the window, weighted by the kernel, and what meets is added.

    The transpose, as a matrix, of what `Conv2D` with the same arguments does: it goes from the shape of that layer's
    output to the shape of its input.

    Parameters
    ----------
    filters, kernel_size, strides, dilation_rate, activation, ... : those of `Conv2D`; strides make the image larger.
    padding : "valid": ``(size - 1) * stride + max(window, stride)`` pixels come out; "same": ``size * stride``.
    output_padding : other sizes: pixels beyond ``(size - 1) * stride + window`` ("valid"), or beyond
        ``(size - 1) * stride + window % 2`` ("same"); below the stride.

    Notes
    -----
    Input (batch, height, width, channels), kernel (height, width, filters, channels), output (batch, height,
    width, filters).

    References
    ----------
    Zeiler et al. (2010), Deconvolutional networks.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Conv2DTranspose(1, 2, strides=2, kernel_initializer="ones")
    >>> layer(np.array([[1.0, 2.0]]).reshape(1, 1, 2, 1))[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]], dtype=float32)
    """

    def __init__(self, filters: int, kernel_size, strides=1, padding: str = "valid", output_padding=None,
                 data_format: str | None = None, dilation_rate=1, activation=None, use_bias: bool = True,
                 kernel_initializer="glorot_uniform", bias_initializer="zeros", kernel_regularizer=None,
                 bias_regularizer=None, activity_regularizer=None, kernel_constraint=None, bias_constraint=None,
                 **kwargs: Any):
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias,
            kernel_initializer=kernel_initializer, bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer, kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint, **kwargs)
        self.filters = self._count("filters", filters)
        more = convolutions.check_output_padding(self._who, output_padding, self.strides)
        self.output_padding = None if None in more else list(more)
        self.kernel = None

    def build(self, input_shape) -> None:
        shape = (*self.kernel_size, self.filters, self._channels(input_shape))
        self.kernel = self._weight("kernel", shape)
        self._add_bias(self.filters, shape)

    def call(self, x):
        return self._edged(x, lambda edge: convolutions.conv_transpose(
            self._who, x, x.graph.tensor(self.kernel), self.strides, self.padding, self.output_padding,
            self.dilation_rate, edge))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "output_padding": self.output_padding}


class Conv1DTranspose(Conv2DTranspose):
    """A transposed convolution of sequences: `Conv2DTranspose` along one axis.

    Notes
    -----
    Input (batch, steps, channels), kernel (size, filters, channels), output (batch, steps, filters).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Conv1DTranspose(1, 3, strides=2, kernel_initializer="ones")
    >>> layer(np.array([1.0, 10.0]).reshape(1, 2, 1)).ravel()
    array([ 1.,  1., 11., 10., 10.], dtype=float32)
    """

    axes = 1
