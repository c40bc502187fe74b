"""Layers that make training noisy, and one that makes it dearer: dropout in its forms, Gaussian noise, penalties.

No mask or noise is stored between the passes of a step, and none is made twice differently: which numbers a layer draws
is a function of its seed, the step and the place, by Philox4x32-10 (see `fastnn.kernels.dropout`), the same bits in
every backend with any number of threads.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import regularizers
from ..kernels.dropout import dropout, random_normal
from ..kernels.elementwise import add, affine, fill, multiply, where
from ..seeds import from_config, key_pair, seed_sequence, to_config
from ..spelling import one_of
from .layer import Layer


class Noise(Layer):
    """Base: a layer that does nothing but in training, or where samples are drawn (`predict` with ``mc``)."""

    stepwise = True
    supports_masking = True

    def __init__(self, seed=None, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed = seed_sequence(from_config(seed))
        self.keys = key_pair(self.seed)
        self.built = True

    def _share(self, rate) -> float:
        if not isinstance(rate, int | float | np.number) or isinstance(rate, bool) or not 0 <= rate < 1:
            raise ValueError(f"{type(self).__name__} {self.name}: rate is {rate!r}; a number in [0, 1) is wanted.")
        return float(rate)

    def call(self, x, training=False):
        self._check(x)
        return self.noisy(x) if training or x.graph.sampling else x

    def _check(self, x) -> None:
        """Refuse shapes that the layer can't take, in inference too."""

    def noisy(self, x):
        """What comes of x in training."""
        raise NotImplementedError(f"{type(self).__name__} must override noisy(self, x).")

    def _kept(self, x, shape: tuple[int, ...], rate: float):
        """Ones scaled by 1 / (1 - rate), and a share of zeros."""
        ones = x.graph.emit(fill, (), dict(value=1.0, shape=shape, dtype=str(x.dtype)))
        return dropout(ones, x.graph.step(), rate=rate, key0=self.keys[0], key1=self.keys[1])

    def _normal(self, x, mean: float, stddev: float):
        return random_normal(x.graph.step(), key0=self.keys[0], key1=self.keys[1], mean=mean, stddev=stddev,
                             shape=tuple(x.shape), dtype=str(x.dtype))

    def _noise_shape(self, x) -> tuple[int, ...]:
        shape = self.noise_shape
        if len(shape) != x.ndim or any(n not in (None, 1, size) for n, size in zip(shape, x.shape)):
            raise ValueError(f"{type(self).__name__} {self.name}: noise_shape is {shape}; each size must be None, 1 or "
                             f"that of the input, whose shape is {x.shape}.")
        return tuple(size if n is None else n for n, size in zip(shape, x.shape))

    def _checked_noise_shape(self, shape):
        if shape is None:
            return None
        if not isinstance(shape, list | tuple) or not all(
                n is None or isinstance(n, int | np.integer) and not isinstance(n, bool) and n > 0 for n in shape):
            raise ValueError(f"{type(self).__name__} {self.name}: noise_shape is {shape!r}; a list of positive whole "
                             "numbers and None is wanted.")
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": to_config(self.seed)}


class Dropout(Noise):
    """Inverted dropout: in training, zero a share of the inputs and scale the rest by 1 / (1 - rate).

    Which inputs are zeroed is a function of (seed, layer, step) alone, made by Philox4x32-10: no mask is
    stored, and neither threads nor resuming change it.

    Parameters
    ----------
    rate : share of zeros, in [0, 1).
    noise_shape : shape of the mask, None for the input's own size; along an axis of size 1 all are zeroed together.
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting. (The paper
    scales at test time instead; all libraries scale in training.)
    """

    def __init__(self, rate: float, noise_shape=None, seed: int | None = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.rate, self.noise_shape = self._share(rate), self._checked_noise_shape(noise_shape)

    def noisy(self, x):
        if self.rate == 0:
            return x
        if self.noise_shape is None:
            return dropout(x, x.graph.step(), rate=self.rate, key0=self.keys[0], key1=self.keys[1])
        return multiply(x, self._kept(x, self._noise_shape(x), self.rate))

    def get_config(self) -> dict[str, Any]:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "rate": self.rate, "noise_shape": shape}


class SpatialDropout1D(Dropout):
    """Dropout of whole features of a sequence: (batch, steps, features), a feature is kept or zeroed in all steps.

    Parameters
    ----------
    rate : share of features that are zeroed, in [0, 1).
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Tompson et al. (2015), Efficient object localization using convolutional networks, arXiv:1411.4280.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> y = layers.SpatialDropout1D(0.5, seed=1)(np.ones((1, 2, 4)), training=True)
    >>> (y[0, 0] == y[0, 1]).all()
    np.True_
    """

    places = 1  #: axes between the batch and the features

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, seed=seed, **kwargs)

    def _shape(self, x) -> tuple[int | None, ...]:
        return (None, *[1] * self.places, None)

    def _check(self, x) -> None:
        if x.ndim != self.places + 2:
            raise ValueError(f"{type(self).__name__} {self.name} wants {self.places + 2} axes; got the shape "
                             f"{x.shape}.")

    def noisy(self, x):
        if self.rate == 0:
            return x
        shape = tuple(size if n is None else n for n, size in zip(self._shape(x), x.shape))
        return multiply(x, self._kept(x, shape, self.rate))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["noise_shape"]
        return config


class SpatialDropout2D(SpatialDropout1D):
    """Dropout of whole channels of images: (batch, rows, columns, channels), a channel is kept or zeroed everywhere.

    Parameters
    ----------
    rate : share of channels that are zeroed, in [0, 1).
    data_format : "channels_last" (None means that too) or "channels_first".
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Tompson et al. (2015), Efficient object localization using convolutional networks, arXiv:1411.4280.
    """

    places = 2

    def __init__(self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any):
        super().__init__(rate, seed=seed, **kwargs)
        self.data_format = one_of("data_format", data_format or "channels_last", ("channels_last", "channels_first"))

    def _shape(self, x) -> tuple[int | None, ...]:
        ones = (1,) * self.places
        return (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


class SpatialDropout3D(SpatialDropout2D):
    """Dropout of whole channels of volumes: (batch, depth, rows, columns, channels), kept or zeroed everywhere.

    Parameters
    ----------
    rate : share of channels that are zeroed, in [0, 1).
    data_format : "channels_last" (None means that too) or "channels_first".
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Tompson et al. (2015), Efficient object localization using convolutional networks, arXiv:1411.4280.
    """

    places = 3


class AlphaDropout(Noise):
    """Dropout for selu networks: dropped inputs become selu's limit, then all are scaled so that mean 0 and variance 1
    stay as they are.

        y = a * (x where kept, else p) + b;  p = -1.7581 (selu's limit for very negative inputs)
        a = 1 / sqrt((1 - rate) * (1 + rate * p**2));  b = -a * p * rate

    Parameters
    ----------
    rate : share that is dropped, in [0, 1).
    noise_shape : as of `Dropout`.
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Klambauer et al. (2017), Self-normalizing neural networks, arXiv:1706.02515.
    """

    def __init__(self, rate: float, noise_shape=None, seed: int | None = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.rate, self.noise_shape = self._share(rate), self._checked_noise_shape(noise_shape)

    def noisy(self, x):
        if self.rate == 0:
            return x
        p = -1.6732632423543772 * 1.0507009873554805
        a = 1 / math.sqrt((1 - self.rate) * (1 + self.rate * p * p))
        b = -a * p * self.rate
        kept = self._kept(x, tuple(x.shape) if self.noise_shape is None else self._noise_shape(x), self.rate)
        return where(kept, affine(x, scale=a, offset=b), np.asarray(a * p + b, x.dtype))

    def get_config(self) -> dict[str, Any]:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return {**super().get_config(), "rate": self.rate, "noise_shape": shape}


class GaussianDropout(Noise):
    """In training, multiply by normal noise of mean 1 and standard deviation ``sqrt(rate / (1 - rate))``.

    Parameters
    ----------
    rate : as of `Dropout` (the noise has the same mean and variance as a mask of it), in [0, 1).
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Srivastava et al. (2014), Dropout, section 10.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.rate = self._share(rate)

    def noisy(self, x):
        return multiply(x, self._normal(x, 1.0, math.sqrt(self.rate / (1 - self.rate)))) if self.rate else x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


class GaussianNoise(Noise):
    """In training, add normal noise of mean 0: to the inputs of a model, a simple augmentation of data.

    Parameters
    ----------
    stddev : standard deviation of the noise, a number of 0 or more. (Keras takes none above 1.)
    seed : int, or None to take the next of the package's seeds.

    References
    ----------
    Bishop (1995), Training with noise is equivalent to Tikhonov regularization.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        if not isinstance(stddev, int | float | np.number) or isinstance(stddev, bool) or not 0 <= stddev < math.inf:
            raise ValueError(f"GaussianNoise {self.name}: stddev is {stddev!r}; a finite number of 0 or more is "
                             "wanted.")
        self.stddev = float(stddev)

    def noisy(self, x):
        return add(x, self._normal(x, 0.0, self.stddev)) if self.stddev else x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev}


class ActivityRegularization(Layer):
    """Adds ``l1 * sum(abs(x)) + l2 * sum(x**2)``, divided by the batch's size, to the loss; x passes unchanged.

    Parameters
    ----------
    l1, l2 : the factors, numbers of 0 or more.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> model = fastnn.Sequential([fastnn.layers.ActivityRegularization(l1=0.5)])
    >>> model.compile("sgd", "mse")
    >>> model.evaluate(np.ones((4, 3)), np.ones((4, 3)), verbose=0)
    1.5
    """

    stepwise = True
    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = self.activity_regularizer.l1, self.activity_regularizer.l2
        self.built = True

    def call(self, x):
        return x

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "l1": self.l1, "l2": self.l2}
        del config["activity_regularizer"]
        return config
