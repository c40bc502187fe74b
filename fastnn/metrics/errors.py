"""Losses as metrics: means over all rows of an epoch."""

from __future__ import annotations

import math
from typing import Any

from .. import losses
from ..losses.loss import Loss
from ..program.graph import Tensor
from .metric import Metric


class LossMetric(Metric):
    """The mean of a loss over rows. Base of the classes below, and of nothing else."""

    loss_class: type[Loss]

    def __init__(self, name: str | None = None, dtype=None, **arguments: Any):
        super().__init__(name, dtype)
        self._loss = self.loss_class(name=self.name, reduction="none", **arguments)
        self.target_dtype = self._loss.target_dtype

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self._loss.rows(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        config = {k: v for k, v in self._loss.get_config().items() if k not in ("reduction", "ignore_class")}
        return config | {"name": self.name}


class MeanSquaredError(LossMetric):
    """The mean of squared differences.

    Examples
    --------
    >>> MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]])
    0.5
    """

    loss_class = losses.MeanSquaredError

    def __init__(self, name: str | None = "mean_squared_error", dtype=None):
        super().__init__(name, dtype)


class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of squared differences: over the whole epoch, then the root.

    Examples
    --------
    >>> RootMeanSquaredError()([[0.0, 0.0]], [[4.0, 4.0]])
    4.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype=None):
        super().__init__(name, dtype)

    def result(self) -> float:
        mean = super().result()
        return math.sqrt(mean) if mean >= 0 else math.nan


class MeanAbsoluteError(LossMetric):
    """The mean of absolute differences.

    Examples
    --------
    >>> MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]])
    1.5
    """

    loss_class = losses.MeanAbsoluteError

    def __init__(self, name: str | None = "mean_absolute_error", dtype=None):
        super().__init__(name, dtype)


class MeanAbsolutePercentageError(LossMetric):
    """The mean of absolute differences in percent of the targets, see `fastnn.losses.MeanAbsolutePercentageError`."""

    loss_class = losses.MeanAbsolutePercentageError

    def __init__(self, name: str | None = "mean_absolute_percentage_error", dtype=None):
        super().__init__(name, dtype)


class MeanSquaredLogarithmicError(LossMetric):
    """The mean of squared differences of logarithms, see `fastnn.losses.MeanSquaredLogarithmicError`."""

    loss_class = losses.MeanSquaredLogarithmicError

    def __init__(self, name: str | None = "mean_squared_logarithmic_error", dtype=None):
        super().__init__(name, dtype)


class KLDivergence(LossMetric):
    """The mean Kullback-Leibler divergence, see `fastnn.losses.KLDivergence`."""

    loss_class = losses.KLDivergence

    def __init__(self, name: str | None = "kl_divergence", dtype=None):
        super().__init__(name, dtype)


class Poisson(LossMetric):
    """The mean Poisson loss, see `fastnn.losses.Poisson`."""

    loss_class = losses.Poisson

    def __init__(self, name: str | None = "poisson", dtype=None):
        super().__init__(name, dtype)


class Hinge(LossMetric):
    """The mean hinge loss, see `fastnn.losses.Hinge`."""

    loss_class = losses.Hinge

    def __init__(self, name: str | None = "hinge", dtype=None):
        super().__init__(name, dtype)


class SquaredHinge(LossMetric):
    """The mean squared hinge loss, see `fastnn.losses.SquaredHinge`."""

    loss_class = losses.SquaredHinge

    def __init__(self, name: str | None = "squared_hinge", dtype=None):
        super().__init__(name, dtype)


class CategoricalHinge(LossMetric):
    """The mean hinge loss of one-hot targets, see `fastnn.losses.CategoricalHinge`."""

    loss_class = losses.CategoricalHinge

    def __init__(self, name: str | None = "categorical_hinge", dtype=None):
        super().__init__(name, dtype)


class LogCoshError(LossMetric):
    """The mean of the logarithm of the hyperbolic cosine of differences, see `fastnn.losses.LogCosh`."""

    loss_class = losses.LogCosh

    def __init__(self, name: str | None = "logcosh", dtype=None):
        super().__init__(name, dtype)


class CosineSimilarity(LossMetric):
    """The mean cosine of the angle between y_true and y_pred: 1 for one direction (the loss has -1).

    Examples
    --------
    >>> CosineSimilarity()([[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 3.0]])
    0.5
    """

    loss_class = losses.CosineSimilarity

    def __init__(self, name: str | None = "cosine_similarity", dtype=None, axis: int = -1):
        super().__init__(name, dtype, axis=axis)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return -super().rows(y_true, y_pred)


class SparseCategoricalCrossentropy(LossMetric):
    """The mean cross-entropy of class numbers, see `fastnn.losses.SparseCategoricalCrossentropy`.

    As in Keras rows of `ignore_class` add nothing to the sum and still count.
    """

    loss_class = losses.SparseCategoricalCrossentropy
    target_dtype = "int32"

    def __init__(self, name: str | None = "sparse_categorical_crossentropy", dtype=None, from_logits: bool = False,
                 ignore_class: int | None = None, axis: int = -1):
        super().__init__(name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)
        self.ignore_class = ignore_class

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"ignore_class": self.ignore_class}


class CategoricalCrossentropy(LossMetric):
    """The mean cross-entropy of target probabilities, see `fastnn.losses.CategoricalCrossentropy`."""

    loss_class = losses.CategoricalCrossentropy

    def __init__(self, name: str | None = "categorical_crossentropy", dtype=None, from_logits: bool = False,
                 label_smoothing: float = 0.0, axis: int = -1):
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class BinaryCrossentropy(LossMetric):
    """The mean cross-entropy of outputs that are each yes or no, see `fastnn.losses.BinaryCrossentropy`."""

    loss_class = losses.BinaryCrossentropy

    def __init__(self, name: str | None = "binary_crossentropy", dtype=None, from_logits: bool = False,
                 label_smoothing: float = 0.0):
        super().__init__(name, dtype, from_logits=from_logits, label_smoothing=label_smoothing)
