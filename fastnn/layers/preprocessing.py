"""Layers that bring data into a range: Normalization, which learns it from the data, and Rescaling, which is told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import ops
from ..kernels.data import gather_rows
from ..kernels.elementwise import affine
from ..kernels.norm import batch_norm_inference
from .layer import Layer

EPSILON = 1e-7  #: the least deviation that is divided by, as in Keras
CHUNK = 1 << 20  # elements of the data that are made float64 at a time


class Rescaling(Layer):
    """``y = x * scale + offset``. As the first layer of a model in training it costs nothing: rows are scaled while
    the batch is gathered.

    Parameters
    ----------
    scale, offset : finite numbers; ``1 / 255`` brings images into [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Rescaling(0.5, offset=-1)(np.array([[0.0, 4.0]]))
    array([[-1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, scale: float, offset: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        for name, value in (("scale", scale), ("offset", offset)):
            if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
                raise ValueError(f"Rescaling {self.name}: {name} is {value!r}; a finite number is wanted.")
        self.scale, self.offset = float(scale), float(offset)
        self.built = True

    def call(self, x):
        made = x.base.call
        if made is not None and made.kernel is gather_rows and (made.attr("scale"), made.attr("offset")) == (1, 0):
            y = gather_rows(*made.inputs, **{**made.attrs, "scale": self.scale, "offset": self.offset})
            return y.reshape(x.shape)  # the gather without a scale is left out if nobody else reads it
        return affine(x, scale=self.scale, offset=self.offset)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}


class Normalization(Layer):
    """Standardise features by the mean and variance of data seen beforehand: ``y = (x - mean) / sqrt(variance)``.

    `adapt` finds them; they are saved with the model and stay as they are in training. A deviation below 1e-7 counts
    as 1e-7, so a feature that never varies becomes 0.

    Parameters
    ----------
    axis : the axis, or axes, of which each place has a mean and variance of its own; None: one for all numbers.
    mean, variance : numbers or arrays to be used instead of `adapt`.
    invert : go back from standardised numbers: ``y = mean + x * sqrt(variance)``.

    References
    ----------
    LeCun, Bottou, Orr & Müller (1998), Efficient BackProp, section 4.3.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Normalization()
    >>> layer.adapt(np.array([[0, 10], [2, 30]], np.uint8))
    >>> layer(np.array([[2.0, 20.0]]))
    array([[1., 0.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis=-1, mean=None, variance=None, invert: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        axis = () if axis is None else (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
        if not all(isinstance(a, int | np.integer) and not isinstance(a, bool) for a in axis):
            raise ValueError(f"Normalization {self.name}: axis is {axis}; whole numbers or None are wanted.")
        self.axis, self.invert = tuple(map(int, axis)), bool(invert)
        if (mean is None) != (variance is None):
            raise ValueError(f"Normalization {self.name}: mean and variance are given together or not at all.")
        self.input_mean, self.input_variance = (None if v is None else np.asarray(v, np.float64)
                                                for v in (mean, variance))
        if mean is not None and self.input_mean.shape != self.input_variance.shape:
            raise ValueError(f"Normalization {self.name}: mean has the shape {self.input_mean.shape}, variance "
                             f"{self.input_variance.shape}; they must agree.")
        if variance is not None and not (self.input_variance >= 0).all():
            raise ValueError(f"Normalization {self.name}: variance holds negative numbers or NaN.")
        self.mean = self.variance = None

    def _kept(self, shape) -> tuple[int, ...]:
        for a in self.axis:
            if not -len(shape) <= a < len(shape) or a % len(shape) == 0:
                raise ValueError(f"Normalization {self.name}: axis is {self.axis}; the shape {tuple(shape)} has the "
                                 f"axes 1 to {len(shape) - 1} beside its batch.")
        return tuple(sorted({a % len(shape) for a in self.axis}))

    def build(self, input_shape) -> None:
        shape = tuple(input_shape[a] for a in self._kept(input_shape))
        if self.input_mean is None:
            self.mean = self.add_weight(shape, "zeros", name="mean", trainable=False)
            self.variance = self.add_weight(shape, "ones", name="variance", trainable=False)
            return
        try:
            self.mean, self.variance = (np.broadcast_to(v, shape).astype(self.dtype)
                                        for v in (self.input_mean, self.input_variance))
        except ValueError:
            raise ValueError(f"Normalization {self.name}: mean has the shape {self.input_mean.shape}; the inputs want "
                             f"{shape}.") from None

    def adapt(self, data) -> None:
        """Find mean and variance of data: an array (any dtype, nothing of it is copied at once) or batches of rows.

        Summed in float64, batch by batch (Chan, Golub & LeVeque 1983). What was found before is forgotten.
        """
        if self.input_mean is not None:
            raise ValueError(f"Normalization {self.name} was given mean and variance; there is nothing to adapt.")
        count, mean, squares = 0, 0.0, 0.0
        for rows in self._batches(data):
            if not self.built:
                self._build((None, *rows.shape[1:]))
            kept = self._kept(rows.shape)
            if tuple(rows.shape[a] for a in kept) != self.mean.shape:
                raise ValueError(f"Normalization {self.name} was built for features of shape {self.mean.shape}; got "
                                 f"data of shape {rows.shape}.")
            over = tuple(i for i in range(rows.ndim) if i not in kept)
            rows = rows.astype(np.float64)
            n, found = math.prod(rows.shape[i] for i in over), rows.mean(over)
            away = rows - np.expand_dims(found, over)
            step = found - mean
            squares = squares + np.square(away).sum(over) + step * step * (count * n / (count + n))
            mean, count = mean + step * (n / (count + n)), count + n
        if not count:
            raise ValueError(f"Normalization {self.name}: adapt got no data.")
        if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
            raise ValueError(f"Normalization {self.name}: the data holds NaN or infinity.")
        self.mean.assign(mean)
        self.variance.assign(squares / count)

    def _batches(self, data) -> Iterable[np.ndarray]:
        """The data as arrays that are not too large to be float64."""
        whole = hasattr(data, "shape") or hasattr(data, "__array__")
        for part in [data] if whole else data:
            part = np.asarray(part[0] if isinstance(part, tuple) else part)
            if part.ndim == 0 or part.dtype.kind not in "biuf":
                raise ValueError(f"Normalization {self.name}: adapt takes rows of numbers, or batches of them; got "
                                 f"shape {part.shape} and dtype {part.dtype}.")
            part = part[:, None] if part.ndim == 1 and self.axis else part
            step = max(1, CHUNK // max(1, math.prod(part.shape[1:])))
            yield from (part[i : i + step] for i in range(0, len(part), step))

    def call(self, x):
        kept = self._kept(x.shape)
        shape = tuple(x.shape[a] for a in kept)
        if shape != tuple(self.mean.shape):
            raise ValueError(f"Normalization {self.name} was built for features of shape {self.mean.shape}; got the "
                             f"shape {x.shape}.")
        mean, variance = (x.graph.tensor(v) for v in (self.mean, self.variance))
        if kept and kept == tuple(range(kept[0], x.ndim)) and not self.invert:  # one row of features after another
            n = math.prod(shape)
            return batch_norm_inference(x.reshape(-1, n), None, None, mean.reshape(n), variance.reshape(n),
                                        epsilon=EPSILON**2).reshape(x.shape)
        seen = [n if i in kept else 1 for i, n in enumerate(x.shape)]
        mean, spread = mean.reshape(seen), ops.clip(ops.sqrt(variance), EPSILON, math.inf).reshape(seen)
        return x * spread + mean if self.invert else (x - mean) / spread

    def get_config(self) -> dict[str, Any]:
        given = {n: None if v is None else v.tolist() for n, v in (("mean", self.input_mean),
                                                                   ("variance", self.input_variance))}
        return {**super().get_config(), "axis": list(self.axis) or None, **given, "invert": self.invert}
