"""Layers that make a part of each image unseen, in training only."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..kernels.augment import paste_boxes
from .augmentation import RandomPicture, number
from .spatial import whole


def boxes(x, sides, starts):
    """(top, left, bottom, right) of boxes whose sides are shares of height and width, and their starts of what is left.

    Both are (N, 2).
    """
    sides = sides * np.asarray(x.shape[1:3], x.dtype)
    start = starts * (np.asarray(x.shape[1:3], x.dtype) - sides)
    return ops.concatenate([start, start + sides], 1)


class RandomErasing(RandomPicture):
    """A random rectangle of each image becomes noise, or one value.

    Parameters
    ----------
    factor : the probability with which an image is touched is drawn from (0, factor) or (lower, upper), as in Keras:
        1.0 touches half of them, (1, 1) all.
    scale : (least, largest) share of the area: each side is that share's root of the image's.
    fill_value : what the rectangle becomes; None for standard normal noise.
    value_range : (lowest, highest) value of a pixel, between which noise is kept.
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    References
    ----------
    Zhong et al. (2017), Random erasing data augmentation, arXiv:1708.04896.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> y = layers.RandomErasing((1, 1), (0.25, 0.25), fill_value=0, seed=1)(np.ones((1, 8, 8, 1)), training=True)
    >>> int((y == 0).sum())
    16
    """

    def __init__(self, factor=1.0, scale=(0.02, 0.33), fill_value: float | None = None, value_range=(0, 255),
                 seed=None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed, data_format, **kwargs)
        self.factor, self.scale = self._range("factor", factor, 0.0), self._range("scale", scale, 0.0)
        if fill_value is not None and not number(fill_value):
            raise ValueError(f"RandomErasing {self.name}: fill_value is {fill_value!r}; a number or None is wanted.")
        self.fill_value = None if fill_value is None else float(fill_value)
        self.value_range = self._values(value_range)

    def noisy(self, x):
        u = self._draws(x, 6)
        (least, most), (low, high) = self.factor, self.scale
        touched = ops.greater(u[:, :1] * (most - least) + least, u[:, 1:2])
        box = boxes(x, ops.sqrt(u[:, 2:4] * (high - low) + low) * touched, u[:, 4:6])
        noise = None
        if self.fill_value is None:
            noise = ops.clip(self._normal(x, 0.0, 1.0), *self.value_range)
        return paste_boxes(x, box, noise, None, value=self.fill_value or 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": list(self.factor), "scale": list(self.scale),
                "fill_value": self.fill_value, "value_range": list(self.value_range)}


class Cutout(RandomPicture):
    """A square of each image becomes one value; its centre is a random pixel, so that it may reach over the edge.

    Parameters
    ----------
    size : pixels of a side.
    fill_value : what the square becomes.
    seed : int, or None to take the next of the package's seeds.
    data_format : "channels_last" (None means that too) or "channels_first".

    References
    ----------
    DeVries & Taylor (2017), Improved regularization of convolutional neural networks with cutout, arXiv:1708.04552.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Cutout(3, seed=2)(np.ones((1, 1, 8, 1)), training=True).ravel()
    array([0., 0., 0., 1., 1., 1., 1., 1.], dtype=float32)
    """

    def __init__(self, size: int, fill_value: float = 0.0, seed=None, data_format: str | None = None, **kwargs: Any):
        super().__init__(seed, data_format, **kwargs)
        self.size = whole(self, "size", size)
        if not number(fill_value):
            raise ValueError(f"Cutout {self.name}: fill_value is {fill_value!r}; a number is wanted.")
        self.fill_value = float(fill_value)

    def noisy(self, x):
        # A pixel is in the box if it is less than half a side from the point, which lies anywhere in the image.
        start = self._draws(x, 2) * np.asarray(x.shape[1:3], x.dtype) - (self.size + 1) / 2
        return paste_boxes(x, ops.concatenate([start, start + float(self.size)], 1), None, None, value=self.fill_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "fill_value": self.fill_value}
