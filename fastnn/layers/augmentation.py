"""Layers that change pictures at random, in training only.

What a sample undergoes is a function of (seed of the layer, step, row of the batch) by Philox4x32-10: nothing is
stored, and neither threads nor the backend nor resuming change a bit of it. Maps of neighbouring layers (flip,
rotation, zoom, translation, and a crop at their end) become one: each pixel is interpolated once, and what one layer
moves out of the picture the next may bring back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..kernels.augment import DRAWS, MODES, affine_matrix, affine_sample
from ..kernels.dropout import random_uniform
from ..spelling import one_of
from .regularization import Noise
from .spatial import fitted, whole

NEUTRAL = {"mode": "nearest", "bilinear": 0.0, "value": 0.0}  #: for maps of pixels onto pixels, which need no other


class RandomPicture(Noise):
    """Base: a layer on images (batch, rows, columns, channels) that does nothing but in training."""

    def __init__(self, seed=None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.data_format = one_of("data_format", data_format or "channels_last", ("channels_last", "channels_first"))

    def call(self, x, training=False):
        self._check(x)
        if self.data_format == "channels_last":
            return self.noisy(x) if training else self.calm(x)
        x = ops.moveaxis(x, 1, -1)
        return ops.moveaxis(self.noisy(x) if training else self.calm(x), -1, 1)

    def calm(self, x):
        """What comes of x outside of training."""
        return x

    def _check(self, x) -> None:
        if len(x.shape) != 4:
            raise ValueError(f"{type(self).__name__} {self.name} wants images (batch, rows, columns, channels); got "
                             f"the shape {x.shape}.")

    def _draws(self, x, count: int):
        """Uniform draws, `count` for each sample."""
        return random_uniform(x.graph.step(), key0=self.keys[0], key1=self.keys[1], shape=(x.shape[0], count),
                              dtype=str(x.dtype))

    def _range(self, what: str, value: Any, least: float = -1.0, most: float = 1.0) -> tuple[float, float]:
        """(lower, upper) of a factor: a number stands for itself and its opposite, as far as `least` allows."""
        pair = (max(-abs(value), least), abs(value)) if number(value) else value
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(number, pair)) or not (
                least <= pair[0] <= pair[1] <= most):
            raise ValueError(f"{type(self).__name__} {self.name}: {what} is {value!r}; a number, or a pair (lower, "
                             f"upper), from {least:g} to {most:g} is wanted.")
        return float(pair[0]), float(pair[1])

    def _values(self, value: Any) -> tuple[float, float]:
        if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(number, value)) \
                or not value[0] < value[1]:
            raise ValueError(f"{type(self).__name__} {self.name}: value_range is {value!r}; a pair (lowest, highest) "
                             "is wanted.")
        return float(value[0]), float(value[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


def number(v: Any) -> bool:
    return isinstance(v, int | float | np.number) and not isinstance(v, bool) and math.isfinite(v)


# ---------------------------------------------------------------------- maps


class RandomMap(RandomPicture):
    """Base: images seen through a random affine map.

    fill_mode says what lies beyond an image, a row of pixels a b c: "constant" (`fill_value`), "nearest" (a a|a b c|c
    c), "reflect" (b a|a b c|c b) or "wrap" (b c|a b c|a b). interpolation is "bilinear" or "nearest".
    """

    def __init__(self, fill_mode: str = "reflect", interpolation: str = "bilinear", seed=None, fill_value: float = 0.0,
                 data_format: str | None = None, **kwargs: Any):
        super().__init__(seed, data_format, **kwargs)
        self.fill_mode = one_of("fill_mode", fill_mode, MODES)
        self.interpolation = one_of("interpolation", interpolation, ("bilinear", "nearest"))
        if not number(fill_value):
            raise ValueError(f"{type(self).__name__} {self.name}: fill_value is {fill_value!r}; a number is wanted.")
        self.fill_value = float(fill_value)

    def noisy(self, x):
        sampling = {"mode": self.fill_mode, "bilinear": float(self.interpolation == "bilinear"),
                    "value": self.fill_value}
        return look(x, self._draws(x, DRAWS), sampling, x.shape[1:3], **self.map(x))

    def map(self, x) -> dict[str, float]:
        """The numbers of `affine_matrix` that are not those of standing still."""
        raise NotImplementedError(f"{type(self).__name__} must override map(self, x).")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "fill_mode": self.fill_mode, "interpolation": self.interpolation,
                "fill_value": self.fill_value}


def look(x, draws, sampling: dict[str, Any], size, **numbers: float):
    """x through a random map; together with that of the layer before, if x has just come out of one."""
    made, before = x.base.call, None
    if made is not None and made.kernel is affine_sample and made.outputs[0].shape == made["x"].shape == x.shape:
        held = {name: made.attr(name) for name in NEUTRAL}
        if NEUTRAL in (held, sampling) or held == sampling:
            sampling = held if sampling == NEUTRAL else sampling
            x, before = made["x"], made["matrix"]
    matrix = affine_matrix(draws, before, height=float(x.shape[1]), width=float(x.shape[2]), **numbers)
    return affine_sample(x, matrix, size=tuple(size), **sampling)


class RandomFlip(RandomPicture):
    """Images mirrored at random, each with probability 1/2 for each direction.

    Parameters
    ----------
    mode : "horizontal" (left and right), "vertical" or "horizontal_and_vertical", two draws. (Keras 3 makes one for
        both: either none or a half turn.)
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> x = np.arange(3.0).reshape(1, 1, 3, 1).repeat(4, 0)
    >>> layers.RandomFlip("horizontal", seed=4)(x, training=True)[:, 0, :, 0]
    array([[0., 1., 2.],
           [2., 1., 0.],
           [2., 1., 0.],
           [0., 1., 2.]], dtype=float32)
    """

    def __init__(self, mode: str = "horizontal_and_vertical", seed=None, data_format: str | None = None,
                 **kwargs: Any):
        super().__init__(seed, data_format, **kwargs)
        self.mode = one_of("mode", mode, ("horizontal", "vertical", "horizontal_and_vertical"))

    def noisy(self, x):
        return look(x, self._draws(x, DRAWS), NEUTRAL, x.shape[1:3], mirror_columns=0.5 * ("horizontal" in self.mode),
                    mirror_rows=0.5 * ("vertical" in self.mode))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


class RandomTranslation(RandomMap):
    """Images shifted at random.

    Parameters
    ----------
    height_factor, width_factor : by which share of height and width at most: a number f for (-f, f), or (lower, upper);
        positive is down, and to the right.
    fill_mode, interpolation, fill_value : what lies beyond the image and between pixels: see `RandomMap`.
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.RandomTranslation(0, (0.25, 0.25), fill_mode="constant")
    >>> layer(np.arange(1.0, 5.0).reshape(1, 1, 4, 1), training=True).ravel()
    array([0., 1., 2., 3.], dtype=float32)
    """

    def __init__(self, height_factor, width_factor, fill_mode: str = "reflect", interpolation: str = "bilinear",
                 seed=None, fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = self._range("height_factor", height_factor)
        self.width_factor = self._range("width_factor", width_factor)

    def map(self, x) -> dict[str, float]:
        (top, bottom), (left, right) = self.height_factor, self.width_factor
        return {"shift_rows_low": top, "shift_rows_high": bottom, "shift_columns_low": left,
                "shift_columns_high": right}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height_factor": list(self.height_factor),
                "width_factor": list(self.width_factor)}


class RandomRotation(RandomMap):
    """Images turned about their centres at random.

    Parameters
    ----------
    factor : by which part of a whole turn at most: a number f for (-f, f), or (lower, upper); positive is
        counter-clockwise.
    fill_mode, interpolation, fill_value : what lies beyond the image and between pixels: see `RandomMap`.
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.RandomRotation((0.25, 0.25))(np.arange(4.0).reshape(1, 2, 2, 1), training=True).reshape(2, 2)
    array([[1., 3.],
           [0., 2.]], dtype=float32)
    """

    def __init__(self, factor, fill_mode: str = "reflect", interpolation: str = "bilinear", seed=None,
                 fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.factor = self._range("factor", factor)

    def map(self, x) -> dict[str, float]:
        return {"turn_low": self.factor[0], "turn_high": self.factor[1]}

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor)}


class RandomZoom(RandomMap):
    """Images zoomed at random.

    Parameters
    ----------
    height_factor : a number f for (-f, f), or (lower, upper): positive zooms out, negative zooms in; at 0.2 the picture
        shows 1.2 times the image's height.
    width_factor : the same for the width; None to keep the proportions.
    fill_mode, interpolation, fill_value : what lies beyond the image and between pixels: see `RandomMap`.
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.RandomZoom((-0.5, -0.5), interpolation="nearest")
    >>> layer(np.arange(4.0).reshape(1, 1, 4, 1), training=True).ravel()
    array([1., 1., 2., 2.], dtype=float32)
    """

    def __init__(self, height_factor, width_factor=None, fill_mode: str = "reflect", interpolation: str = "bilinear",
                 seed=None, fill_value: float = 0.0, data_format: str | None = None, **kwargs: Any):
        super().__init__(fill_mode, interpolation, seed, fill_value, data_format, **kwargs)
        self.height_factor = self._range("height_factor", height_factor)
        self.width_factor = None if width_factor is None else self._range("width_factor", width_factor)

    def map(self, x) -> dict[str, float]:
        low, high = (1 + f for f in self.height_factor)
        numbers = {"zoom_rows_low": low, "zoom_rows_high": high, "same_zoom": float(self.width_factor is None)}
        if self.width_factor is not None:
            numbers["zoom_columns_low"], numbers["zoom_columns_high"] = (1 + f for f in self.width_factor)
        return numbers

    def get_config(self) -> dict[str, Any]:
        width = None if self.width_factor is None else list(self.width_factor)
        return {**super().get_config(), "height_factor": list(self.height_factor), "width_factor": width}


class RandomCrop(RandomPicture):
    """A part of each image, at a random place; in inference, and of smaller images, the middle, resized to the size.

    Parameters
    ----------
    height, width : of the pictures.
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    Notes
    -----
    Each image has a place of its own. (Keras 3 has one for the whole batch.)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> x = np.arange(4.0).reshape(1, 1, 4, 1).repeat(3, 0)
    >>> layers.RandomCrop(1, 2, seed=1)(x, training=True)[:, 0, :, 0]
    array([[1., 2.],
           [0., 1.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, height: int, width: int, seed=None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed, data_format, **kwargs)
        self.height, self.width = whole(self, "height", height), whole(self, "width", width)

    def noisy(self, x):
        rows, columns = x.shape[1] - self.height, x.shape[2] - self.width
        if min(rows, columns) < 0:
            return fitted(x, self.height, self.width)
        return look(x, self._draws(x, DRAWS), NEUTRAL, (self.height, self.width), crop_rows=float(rows),
                    crop_columns=float(columns))

    def calm(self, x):
        return fitted(x, self.height, self.width)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "height": self.height, "width": self.width}


# ---------------------------------------------------------------------- colours


class RandomBrightness(RandomPicture):
    """Images made lighter or darker at random: ``clip(x + delta * (highest - lowest))``, one delta for an image.

    Parameters
    ----------
    factor : of delta: a number f for (-f, f), or (lower, upper), within -1 and 1.
    value_range : (lowest, highest) value of a pixel.
    seed : int, or None to take the next of the package's seeds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.RandomBrightness((0.5, 0.5), value_range=(0, 1))
    >>> layer(np.array([0.0, 0.25, 0.75]).reshape(1, 1, 3, 1), training=True).ravel()
    array([0.5 , 0.75, 1.  ], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.factor, self.value_range = self._range("factor", factor), self._values(value_range)

    def noisy(self, x):
        (low, high), (least, most) = self.factor, self.value_range
        delta = (self._draws(x, 1) * (high - low) + low) * (most - least)
        return ops.clip(x + delta.reshape(-1, 1, 1, 1), least, most)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor), "value_range": list(self.value_range)}


class RandomContrast(RandomPicture):
    """Images with more or less contrast at random: ``clip((x - mean) * factor + mean)``, one factor for an image, the
    mean that of each of its channels.

    Parameters
    ----------
    factor : f for factors in (1 - f, 1 + f), or (a, b) for (1 - a, 1 + b), from 0 to 1.
    value_range : (lowest, highest) value of a pixel.
    seed : int, or None to take the next of the package's seeds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.RandomContrast(0, value_range=(0, 1))
    >>> layer(np.array([0.25, 0.75]).reshape(1, 1, 2, 1), training=True).ravel()
    array([0.25, 0.75], dtype=float32)
    """

    def __init__(self, factor, value_range=(0, 255), seed=None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        pair = (factor, factor) if number(factor) else factor
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(number(v) and 0 <= v <= 1 for v in pair):
            raise ValueError(f"RandomContrast {self.name}: factor is {factor!r}; a number from 0 to 1, or a pair of "
                             "them, is wanted.")
        self.factor, self.value_range = (float(pair[0]), float(pair[1])), self._values(value_range)

    def noisy(self, x):
        low, high = 1 - self.factor[0], 1 + self.factor[1]
        factor = (self._draws(x, 1) * (high - low) + low).reshape(-1, 1, 1, 1)
        mean = ops.mean(x, axis=(1, 2), keepdims=True)
        return ops.clip((x - mean) * factor + mean, *self.value_range)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor), "value_range": list(self.value_range)}
