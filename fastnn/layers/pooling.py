"""Layers that give the largest or the mean of windows, or of everything, in a sequence or an image."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..ops import movement
from ..spelling import one_of
from .layer import Layer


class Spatial(Layer):
    """Base: `places` axes of places between the batch and the channels, or after the channels ("channels_first")."""

    places = 2

    def __init__(self, data_format: str | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.data_format = one_of("data_format", data_format or "channels_last", ("channels_last", "channels_first"))
        self.built = True

    def _check(self, x) -> None:
        if len(x.shape) != self.places + 2:
            wanted = "(batch, steps, channels)" if self.places == 1 else "(batch, rows, columns, channels)"
            if self.data_format == "channels_first":
                wanted = "(batch, channels, steps)" if self.places == 1 else "(batch, channels, rows, columns)"
            raise ValueError(f"{type(self).__name__} {self.name} wants {wanted}; got the shape {x.shape}.")

    def call(self, x):
        self._check(x)
        if self.data_format == "channels_last":
            return self.channels_last(x)
        return ops.moveaxis(self.channels_last(ops.moveaxis(x, 1, -1)), -1, 1)

    def channels_last(self, x):
        """What comes of x, whose channels are last."""
        raise NotImplementedError(f"{type(self).__name__} must override channels_last(self, x).")

    def _sizes(self, what: str, value: Any) -> tuple[int, ...]:
        return movement.per_axis(f"{type(self).__name__} {self.name}", what, value, self.places)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class _Pooling(Spatial):
    """Base: windows of `pool_size` at `strides`."""

    function: Any = None

    def __init__(self, pool_size=2, strides=None, padding: str = "valid", data_format: str | None = None,
                 **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.pool_size = self._sizes("pool_size", pool_size)
        self.strides = self.pool_size if strides is None else self._sizes("strides", strides)
        self.padding = one_of("padding", padding.lower() if isinstance(padding, str) else padding, ("valid", "same"))

    def channels_last(self, x):
        try:
            return type(self).function(x, self.pool_size, self.strides, self.padding)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__} {self.name}: {error}") from None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_size": list(self.pool_size), "strides": list(self.strides),
                "padding": self.padding}


class MaxPooling2D(_Pooling):
    """The largest of each window of an image, channel by channel.

    The gradient goes to the first of the largest, by rows, as in PyTorch, Keras and TensorFlow; NaN stays NaN.

    Parameters
    ----------
    pool_size : rows and columns of a window, or one number for both.
    strides : rows and columns from one window to the next; the window's own size by default.
    padding : "valid": whole windows only. "same": as many windows as strides in the image, ``ceil(size / stride)``;
        they may reach beyond it, where nothing counts.
    data_format : "channels_last" (None means that too) or "channels_first".

    Notes
    -----
    Input (batch, rows, columns, channels), output (batch, windows down, windows across, channels).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.MaxPooling2D()(np.arange(16).reshape(1, 4, 4, 1)).reshape(2, 2)
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """

    function = staticmethod(ops.max_pool)


class MaxPooling1D(MaxPooling2D):
    """The largest of each window of a sequence, channel by channel; arguments as of `MaxPooling2D`, one number each.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.MaxPooling1D(2, strides=1)(np.array([[[1.0], [3.0], [2.0]]])).ravel()
    array([3., 3.], dtype=float32)
    """

    places = 1


class AveragePooling2D(_Pooling):
    """The mean of each window of an image, channel by channel; arguments as of `MaxPooling2D`.

    A window that reaches beyond the image is a mean of fewer pixels: padding is not counted, as in Keras. (PyTorch
    counts it, unless told ``count_include_pad=False``.)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.AveragePooling2D(padding="same")(np.arange(9).reshape(1, 3, 3, 1)).reshape(2, 2)
    array([[2. , 3.5],
           [6.5, 8. ]], dtype=float32)
    """

    function = staticmethod(ops.average_pool)


class AveragePooling1D(AveragePooling2D):
    """The mean of each window of a sequence, channel by channel; arguments as of `MaxPooling2D`, one number each.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.AveragePooling1D()(np.array([[[1.0], [3.0], [2.0]]])).ravel()
    array([2.], dtype=float32)
    """

    places = 1


class _GlobalPooling(Spatial):
    """Base: everything at once, channel by channel."""

    function: Any = None

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.keepdims = bool(keepdims)

    def call(self, x):
        self._check(x)
        start = 1 if self.data_format == "channels_last" else 2
        if min(x.shape[start : start + self.places]) < 1:
            raise ValueError(f"{type(self).__name__} {self.name}: there is nothing to pool in the shape {x.shape}.")
        return type(self).function(x, tuple(range(start, start + self.places)), self.keepdims)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "keepdims": self.keepdims}


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest of each channel of an image; pixels that are the largest together share the gradient equally.

    Parameters
    ----------
    data_format : "channels_last" (None means that too) or "channels_first".
    keepdims : leave rows and columns as axes of length 1.

    Notes
    -----
    Input (batch, rows, columns, channels), output (batch, channels).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.GlobalMaxPooling2D()(np.arange(8).reshape(1, 2, 2, 2))
    array([[6., 7.]], dtype=float32)
    """

    function = staticmethod(ops.max)


class GlobalMaxPooling1D(GlobalMaxPooling2D):
    """The largest of each channel of a sequence; arguments as of `GlobalMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.GlobalMaxPooling1D()(np.array([[[1.0], [3.0], [2.0]]]))
    array([[3.]], dtype=float32)
    """

    places = 1


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of each channel of an image; arguments as of `GlobalMaxPooling2D`.

    References
    ----------
    Lin, Chen & Yan (2013), Network in network, arXiv:1312.4400.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.GlobalAveragePooling2D(keepdims=True)(np.arange(8).reshape(1, 2, 2, 2))
    array([[[[3., 4.]]]], dtype=float32)
    """

    function = staticmethod(ops.mean)


class GlobalAveragePooling1D(GlobalAveragePooling2D):
    """The mean of each channel of a sequence; arguments as of `GlobalMaxPooling2D`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.GlobalAveragePooling1D()(np.array([[[1.0], [3.0], [2.0]]]))
    array([[2.]], dtype=float32)
    """

    places = 1


# Keras's other names
MaxPool1D, MaxPool2D = MaxPooling1D, MaxPooling2D
AvgPool1D, AvgPool2D = AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
