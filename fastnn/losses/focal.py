"""Focal losses, which look away from what is already right, and other cross-entropies of probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, ops
from ..kernels.loss import HIGH, LOW
from ..program.graph import Tensor
from .loss import Loss
from .losses import last_axis, logits, same_shape, smoothing
from .shapes import alike, labels_for, one_hot

LEAST = 1e-30  #: smallest base of a power: the slope of x**gamma at 0 is infinite for gamma below 1


class BinaryFocalCrossentropy(Loss):
    """``mean((1 - p_t)**gamma * binary cross-entropy)`` over the last axis, ``p_t = t * p + (1 - t) * (1 - p)``.

    Parameters
    ----------
    apply_class_balancing : whether losses are also weighted by ``t * alpha + (1 - t) * (1 - alpha)``.
    alpha : weight of class 1 in [0, 1]; class 0 has ``1 - alpha``.
    gamma : how much the easy ones are turned down; 0 turns nothing down.
    from_logits, label_smoothing : see `BinaryCrossentropy`. From logits nothing is clipped.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection, arXiv:1708.02002, eq. 4 and 5.

    Examples
    --------
    >>> BinaryFocalCrossentropy()([1.0], [0.5]).round(4)        # 0.5**2 * log(2)
    np.float32(0.1733)
    """

    def __init__(self, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0,
                 from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction="sum_over_batch_size", name: str | None = "binary_focal_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype)
        last_axis(self.name, axis)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = checks.number(self.name, "alpha", alpha)
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"{self.name}: alpha must be in [0, 1]; got {alpha!r}.")
        self.gamma = checks.at_least_zero(self.name, "gamma", gamma)
        self.from_logits = checks.flag(self.name, "from_logits", from_logits)
        self.label_smoothing = smoothing(self.name, label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = alike(self.name, y_true, y_pred)
        if self.label_smoothing:
            t = t * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        z = y if self.from_logits else logits(y, "sigmoid")
        if z is not None:
            losses = t * ops.softplus(-z) + (1.0 - t) * ops.softplus(z)
            wrong = t * ops.sigmoid(-z) + (1.0 - t) * ops.sigmoid(z)  # 1 - p_t, exact where it is small
        else:
            p = ops.clip(y, LOW, HIGH)
            losses = -(t * ops.log(p) + (1.0 - t) * ops.log1p(-p))
            wrong = t * (1.0 - y) + (1.0 - t) * y
        losses = focus(wrong, self.gamma, losses)
        if self.apply_class_balancing:
            losses = losses * (t * (2.0 * self.alpha - 1.0) + (1.0 - self.alpha))
        return ops.mean(losses, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits, "label_smoothing": self.label_smoothing,
                "apply_class_balancing": self.apply_class_balancing, "alpha": self.alpha, "gamma": self.gamma}


class CategoricalFocalCrossentropy(Loss):
    """``-sum(alpha * (1 - p)**gamma * t * log(p))`` over the last axis, for target probabilities t.

    Parameters
    ----------
    alpha : a weight for all classes, or a list with one for each.
    gamma : how much the easy ones are turned down; 0 turns nothing down.
    from_logits, label_smoothing : see `CategoricalCrossentropy`. From logits nothing is clipped.

    References
    ----------
    Lin et al. (2017), Focal loss for dense object detection, arXiv:1708.02002.

    Examples
    --------
    >>> CategoricalFocalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]]).round(4)     # 0.25 * 0.5**2 * log(2)
    np.float32(0.0433)
    """

    def __init__(self, alpha: float | Sequence[float] = 0.25, gamma: float = 2.0, from_logits: bool = False,
                 label_smoothing: float = 0.0, axis: int = -1, reduction="sum_over_batch_size",
                 name: str | None = "categorical_focal_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype)
        last_axis(self.name, axis)
        several = isinstance(alpha, list | tuple | np.ndarray)
        self.alpha = ([checks.at_least_zero(self.name, "alpha", a) for a in alpha] if several else
                      checks.at_least_zero(self.name, "alpha", alpha))
        self.gamma = checks.at_least_zero(self.name, "gamma", gamma)
        self.from_logits = checks.flag(self.name, "from_logits", from_logits)
        self.label_smoothing = smoothing(self.name, label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = same_shape(self.name, y_true, y_pred)
        classes = y.shape[-1]
        if isinstance(self.alpha, list) and len(self.alpha) != classes:
            raise ValueError(f"{self.name}: alpha holds {len(self.alpha)} weights, but y_pred has {classes} classes.")
        if self.label_smoothing:
            t = t * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        z = y if self.from_logits else logits(y)
        if z is not None:
            logs = ops.log_softmax(z)
            wrong = -ops.expm1(logs)  # 1 - p, exact where p is near 1
        else:
            p = ops.clip(y / ops.sum(y, axis=-1, keepdims=True), LOW, HIGH)
            logs, wrong = ops.log(p), 1.0 - p
        losses = focus(wrong, self.gamma, -t * logs)
        alpha = self.alpha
        return ops.sum(losses * (y.graph.constant(alpha, y.dtype) if isinstance(alpha, list) else alpha), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits, "label_smoothing": self.label_smoothing,
                "alpha": self.alpha, "gamma": self.gamma}


def focus(wrong: Tensor, gamma: float, losses: Tensor) -> Tensor:
    """``wrong**gamma * losses``."""
    if gamma in (1.0, 2.0):
        return (wrong if gamma == 1 else ops.square(wrong)) * losses
    return ops.power(ops.maximum(wrong, LEAST), gamma) * losses if gamma else losses


class NegativeLogLikelihood(Loss):
    """``-y_pred[label]``, where y_pred holds logarithms of probabilities, as `log_softmax` gives them.

    Together with reduction "mean_with_sample_weight" this is PyTorch's ``NLLLoss`` with weights.

    Notes
    -----
    y_pred has the shape (..., C), y_true (...) or (..., 1). Probabilities of 0 (-inf) elsewhere do no harm.

    Examples
    --------
    >>> NegativeLogLikelihood()([1], np.log([[0.5, 0.25, 0.25]])).round(4)
    np.float32(1.3863)
    """

    target_dtype = "int32"

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "negative_log_likelihood", dtype=None):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels = labels_for(self.name, y_true, y_pred)
        return -ops.sum(ops.where(one_hot(labels, y_pred.shape[-1], y_pred.dtype), y_pred, 0.0), axis=-1)


class CategoricalGeneralizedCrossEntropy(Loss):
    """``(1 - p[label]**q) / q``: between cross-entropy (q near 0) and absolute error (q = 1), for noisy labels.

    Parameters
    ----------
    q : in (0, 1); the larger, the less wrong labels count.

    References
    ----------
    Zhang & Sabuncu (2018), Generalized cross entropy loss for training deep neural networks with noisy labels,
    arXiv:1805.07836, eq. 6.

    Examples
    --------
    >>> CategoricalGeneralizedCrossEntropy()([0], [[0.25, 0.75]])
    np.float32(1.0)
    """

    target_dtype = "int32"

    def __init__(self, q: float = 0.5, reduction="sum_over_batch_size",
                 name: str | None = "categorical_generalized_cross_entropy", dtype=None):
        super().__init__(name, reduction, dtype)
        self.q = checks.number(self.name, "q", q)
        if not 0 < self.q < 1:
            raise ValueError(f"{self.name}: q must be in (0, 1); got {q!r}.")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels = labels_for(self.name, y_true, y_pred)
        p = ops.sum(one_hot(labels, y_pred.shape[-1], y_pred.dtype) * y_pred, axis=-1)
        return (1.0 - ops.power(ops.maximum(p, LEAST), self.q)) / self.q

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "q": self.q}
