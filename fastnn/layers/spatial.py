"""Layers that make sequences and images larger or smaller, or turn their axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..ops import movement
from ..spelling import one_of
from .layer import Layer
from .pooling import Spatial


class UpSampling2D(Spatial):
    """Images enlarged by whole factors.

    Parameters
    ----------
    size : by how much rows and columns are multiplied, or one number for both.
    data_format : "channels_last" (None means that too) or "channels_first".
    interpolation : "nearest" (pixels are repeated) or "bilinear" (a pixel is an area, at whose centre its value stands;
        beyond the outermost centres the image goes on as it ends).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.UpSampling2D((1, 2))(np.array([[[[1.0], [2.0]]]])).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(self, size=(2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.size = self._sizes("size", size)
        self.interpolation = one_of("interpolation", interpolation, ("nearest", "bilinear"))

    def channels_last(self, x):
        if self.interpolation == "nearest":
            return movement.upsampled(x, self.size)
        return movement.resized(x, [n * k for n, k in zip(x.shape[1:3], self.size)], "bilinear")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": list(self.size), "interpolation": self.interpolation}


class UpSampling1D(Spatial):
    """Each step of a sequence `size` times in a row.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.UpSampling1D(3)(np.array([[[1.0], [2.0]]])).ravel()
    array([1., 1., 1., 2., 2., 2.], dtype=float32)
    """

    places = 1

    def __init__(self, size: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        (self.size,) = self._sizes("size", size)

    def channels_last(self, x):
        n, steps, channels = x.shape
        return movement.upsampled(x.reshape(n, 1, steps, channels), (1, self.size)).reshape(n, -1, channels)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "size": self.size}
        del config["data_format"]
        return config


class _Sides(Spatial):
    """Base: so many pixels (before, after) along each axis of places."""

    def _pairs(self, what: str, value: Any) -> tuple[tuple[int, int], ...]:
        def whole(v) -> bool:
            return isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= 0

        pairs = value
        if whole(value):
            pairs = [value] * self.places
        elif self.places == 1 and isinstance(value, list | tuple) and len(value) == 2 and all(map(whole, value)):
            pairs = [value]
        pairs = [(p, p) if whole(p) else p for p in pairs] if isinstance(pairs, list | tuple) else []
        if len(pairs) != self.places or any(not isinstance(p, list | tuple) or len(p) != 2 or not all(map(whole, p))
                                            for p in pairs):
            wanted = "a whole number of 0 or more, or a pair of them" + (
                ", or a pair of such pairs" if self.places == 2 else "")
            raise ValueError(f"{type(self).__name__} {self.name}: {what} is {value!r}; {wanted} is wanted.")
        return tuple((int(a), int(b)) for a, b in pairs)

    @staticmethod
    def _plain(pairs) -> list:
        return list(pairs[0]) if len(pairs) == 1 else [list(p) for p in pairs]


class ZeroPadding2D(_Sides):
    """Images with zeros around them.

    Parameters
    ----------
    padding : one number for all sides, (rows above and below, columns left and right), or ((top, bottom), (left,
        right)).
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.ZeroPadding2D(((0, 1), (1, 0)))(np.ones((1, 1, 1, 1))).reshape(2, 2)
    array([[0., 1.],
           [0., 0.]], dtype=float32)
    """

    def __init__(self, padding=1, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.padding = self._pairs("padding", padding)

    def channels_last(self, x):
        return ops.pad(x, ((0, 0), *self.padding, (0, 0)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self._plain(self.padding)}


class ZeroPadding1D(ZeroPadding2D):
    """Sequences with zeros before and after them: `padding` is one number or (before, after).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.ZeroPadding1D((2, 0))(np.ones((1, 1, 1))).ravel()
    array([0., 0., 1.], dtype=float32)
    """

    places = 1


class Cropping2D(_Sides):
    """Images without their borders.

    Parameters
    ----------
    cropping : one number for all sides, (rows above and below, columns left and right), or ((top, bottom), (left,
        right)).
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Cropping2D(1)(np.arange(9).reshape(1, 3, 3, 1)).ravel()
    array([4.], dtype=float32)
    """

    def __init__(self, cropping=0, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.cropping = self._pairs("cropping", cropping)

    def channels_last(self, x):
        for n, (before, after) in zip(x.shape[1:], self.cropping):
            if before + after >= n:
                raise ValueError(f"{type(self).__name__} {self.name} takes {before} and {after} off an axis of {n}: "
                                 f"nothing would be left of the shape {x.shape}.")
        return x[(slice(None), *(slice(a, n - b) for n, (a, b) in zip(x.shape[1:], self.cropping)))]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "cropping": self._plain(self.cropping)}


class Cropping1D(Cropping2D):
    """Sequences without their first and last steps: `cropping` is one number or (first, last).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Cropping1D((1, 0))(np.array([[[1.0], [2.0]]])).ravel()
    array([2.], dtype=float32)
    """

    places = 1

    def __init__(self, cropping=1, data_format: str | None = None, **kwargs: Any):
        super().__init__(cropping, data_format, **kwargs)


def whole(layer, what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{type(layer).__name__} {layer.name}: {what} is {value!r}; a positive whole number is "
                         "wanted.")
    return int(value)


def fitted(x, height: int, width: int):
    """The middle of images in the proportions of height to width, resized to them."""
    rows = max(min(x.shape[1], x.shape[2] * height // width), 1)
    columns = max(min(x.shape[2], x.shape[1] * width // height), 1)
    top, left = (x.shape[1] - rows) // 2, (x.shape[2] - columns) // 2
    return movement.resized(x[:, top : top + rows, left : left + columns], (height, width), "bilinear")


class CenterCrop(Spatial):
    """The middle of images, in training and in inference; smaller images are resized first, in their proportions.

    Parameters
    ----------
    height, width : of the pictures.
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.CenterCrop(1, 2)(np.arange(12).reshape(1, 3, 4, 1)).ravel()
    array([5., 6.], dtype=float32)
    """

    def __init__(self, height: int, width: int, data_format: str | None = None, **kwargs: Any):
        super().__init__(data_format, **kwargs)
        self.height, self.width = whole(self, "height", height), whole(self, "width", width)

    def channels_last(self, x):
        top, left = (x.shape[1] - self.height) // 2, (x.shape[2] - self.width) // 2
        if min(top, left) < 0:
            return fitted(x, self.height, self.width)
        return x[:, top : top + self.height, left : left + self.width]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


class Resizing(CenterCrop):
    """Images in another size, in training and in inference.

    Parameters
    ----------
    height, width : of the pictures.
    interpolation : "bilinear" or "nearest". A pixel is an area at whose centre its value stands; nothing is smoothed
        when images shrink.
    crop_to_aspect_ratio : take what has the new proportions out of the middle, and nothing is distorted.
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Resizing(1, 4)(np.array([[[[1.0], [2.0]]]])).ravel()
    array([1.  , 1.25, 1.75, 2.  ], dtype=float32)
    """

    def __init__(self, height: int, width: int, interpolation: str = "bilinear", crop_to_aspect_ratio: bool = False,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(height, width, data_format, **kwargs)
        self.interpolation = one_of("interpolation", interpolation, ("bilinear", "nearest"))
        self.crop_to_aspect_ratio = bool(crop_to_aspect_ratio)
        if self.crop_to_aspect_ratio and interpolation != "bilinear":
            raise ValueError(f"Resizing {self.name}: crop_to_aspect_ratio goes with interpolation='bilinear'.")

    def channels_last(self, x):
        if self.crop_to_aspect_ratio:
            return fitted(x, self.height, self.width)
        return movement.resized(x, (self.height, self.width), self.interpolation)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation,
                "crop_to_aspect_ratio": self.crop_to_aspect_ratio}


class Permute(Layer):
    """The axes of samples in another order.

    Parameters
    ----------
    dims : which axis comes at each place, counted from 1; the batch is axis 0 and stays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Permute((2, 1))(np.zeros((5, 3, 4))).shape
    (5, 4, 3)
    """

    def __init__(self, dims, **kwargs: Any):
        super().__init__(**kwargs)
        dims = tuple(dims) if isinstance(dims, list | tuple) else (dims,)
        if not dims or sorted(map(str, dims)) != sorted(map(str, range(1, len(dims) + 1))):
            raise ValueError(f"Permute {self.name}: dims is {dims}; the numbers from 1 on are wanted, each once.")
        self.dims = tuple(map(int, dims))
        self.built = True

    def call(self, x):
        if len(x.shape) != len(self.dims) + 1:
            raise ValueError(f"Permute {self.name} wants samples with {len(self.dims)} axes; got the shape {x.shape}.")
        return ops.transpose(x, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": list(self.dims)}


class RepeatVector(Layer):
    """A vector as a sequence of `n` like it: (batch, features) to (batch, n, features).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.RepeatVector(2)(np.array([[1.0, 2.0]]))
    array([[[1., 2.],
            [1., 2.]]], dtype=float32)
    """

    def __init__(self, n: int, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ValueError(f"RepeatVector {self.name}: n is {n!r}; a positive whole number is wanted.")
        self.n = int(n)
        self.built = True

    def call(self, x):
        if len(x.shape) != 2:
            raise ValueError(f"RepeatVector {self.name} wants (batch, features); got the shape {x.shape}.")
        return ops.repeat(ops.expand_dims(x, 1), self.n, axis=1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
