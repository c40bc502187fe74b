"""Layers that join samples of a batch with one another, inputs and targets alike."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..kernels.augment import beta_quantiles, mix_rows, paste_boxes, quantile
from ..kernels.dropout import random_uniform
from .augmentation import number
from .erasing import boxes
from .regularization import Noise


class Mixing(Noise):
    """Base: in training each sample is joined with another one of its batch, and its targets with the other's.

    As a layer of a model that `fit` trains, it mixes the targets of the step too: they must be numbers to be mixed,
    class numbers are refused. Called on ``{"images": x, "labels": y}`` it gives such a dict back, both mixed.
    """

    def call(self, inputs, training=False):
        x = inputs["images"] if isinstance(inputs, dict) else inputs
        self._check(x)
        if not training:
            return inputs
        y, mix = self.mixed(x)
        if isinstance(inputs, dict):
            return {**inputs, "images": y, "labels": mix(inputs["labels"])}
        x.graph.mixes.append((self, mix))
        return y

    def mixed(self, x):
        """The mixed x, and the function that mixes targets in the same way."""
        raise NotImplementedError(f"{type(self).__name__} must override mixed(self, x).")

    def _alpha(self, what: str, value: Any) -> float:
        if not number(value) or not 0 < value < math.inf:
            raise ValueError(f"{type(self).__name__} {self.name}: {what} is {value!r}; a positive number is wanted.")
        return float(value)

    def _uniform(self, x, shape: tuple[int, ...], key: int = 0):
        """Uniform draws; the numbers of another `key` are others."""
        return random_uniform(x.graph.step(), key0=self.keys[0], key1=(self.keys[1] + key) % 2**32, shape=shape,
                              dtype=str(x.dtype))

    def _beta(self, x, alpha: float):
        """A draw of the beta distribution for each sample."""
        table = beta_quantiles(alpha).astype(x.dtype)
        return quantile(self._uniform(x, (x.shape[0],)), table)


class MixUp(Mixing):
    """Each sample becomes ``w * x + (1 - w) * x_other``, and its target likewise, w from Beta(alpha, alpha).

    Put it first in a model, after what scales the data. Targets must be one-hot or probabilities (or numbers to
    regress on), with a loss such as "categorical_crossentropy".

    Parameters
    ----------
    alpha : of the beta distribution: below 1 most samples stay nearly what they are.
    seed : int, or None to take the next of the package's seeds.

    Notes
    -----
    The other one is that so many places on in the batch, 1 to n - 1, drawn anew at each step: batches are shuffled, and
    nobody meets himself.

    References
    ----------
    Zhang, Cisse, Dauphin & Lopez-Paz (2017), mixup: beyond empirical risk minimization, arXiv:1710.09412.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> mixed = layers.MixUp(1.0, seed=3)({"images": np.eye(2), "labels": np.eye(2)}, training=True)
    >>> bool((mixed["images"] == mixed["labels"]).all()), mixed["labels"].sum(1)
    (True, array([1., 1.], dtype=float32))
    """

    def __init__(self, alpha: float = 0.2, seed=None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.alpha = self._alpha("alpha", alpha)

    def mixed(self, x):
        weight, turn = self._beta(x, self.alpha), self._uniform(x, (1,), 1)
        return mix_rows(x, weight, turn), lambda t: mix_rows(t, weight, turn)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class CutMix(Mixing):
    """A rectangle of each image comes from another image, and the same share of its target from that one's.

    Parameters
    ----------
    factor : alpha of the distribution Beta(alpha, alpha) of the share that stays; 1 for uniform shares. (Keras 3 draws
        alpha itself, from 0 to `factor`.)
    seed : int, or None to take the next of the package's seeds.

    Notes
    -----
    Images (batch, rows, columns, channels); targets as of `MixUp`.

    References
    ----------
    Yun et al. (2019), CutMix: regularization strategy to train strong classifiers, arXiv:1905.04899.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> x = np.eye(2)[:, :, None, None] * np.ones((1, 1, 8, 8))
    >>> mixed = layers.CutMix(seed=3)({"images": x.transpose(0, 2, 3, 1), "labels": np.eye(2)}, training=True)
    >>> bool(np.allclose(mixed["images"].mean((1, 2)), mixed["labels"], atol=0.15))
    True
    """

    def __init__(self, factor: float = 1.0, seed=None, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self.factor = self._alpha("factor", factor)

    def _check(self, x) -> None:
        if len(x.shape) != 4:
            raise ValueError(f"CutMix {self.name} wants images (batch, rows, columns, channels); got the shape "
                             f"{x.shape}.")

    def mixed(self, x):
        stays, turn = self._beta(x, self.factor), self._uniform(x, (1,), 1)
        side = ops.sqrt(1.0 - stays).reshape(-1, 1)
        box = boxes(x, ops.concatenate([side, side], 1), self._uniform(x, (x.shape[0], 2), 2))
        return paste_boxes(x, box, x, turn), lambda t: mix_rows(t, stays, turn)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}
