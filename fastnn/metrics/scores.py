"""Scores of whole columns: F, and how much of the targets' variance is explained."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, ops
from ..losses.shapes import alike
from ..program.graph import Tensor
from ..warnings import FastnnWarning
from .tally import Tally, divided, weighing

EPSILON = 1e-7


class FBetaScore(Tally):
    """``(1 + beta**2) * precision * recall / (beta**2 * precision + recall)``, for one-hot targets.

    Parameters
    ----------
    average : None (a score for each class), "micro" (all counts together), "macro" (their mean) or "weighted" (their
        mean by how often each class is there).
    beta : above 0; the larger, the more recall counts.
    threshold : what a prediction must be above to be a yes; None: the largest of its row.

    Examples
    --------
    >>> score = FBetaScore(beta=2.0, threshold=0.5)
    >>> score([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]).round(4)
    array([0.3846, 0.9091, 0.8333])
    """

    def __init__(self, average: str | None = None, beta: float = 1.0, threshold: float | None = None,
                 name: str | None = "fbeta_score", dtype=None):
        super().__init__(name, dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ValueError(f"{self.name}: average must be None, 'micro', 'macro' or 'weighted'; got {average!r}.")
        self.average, self.beta = average, checks.positive(self.name, "beta", beta)
        self.threshold = None if threshold is None else checks.number(self.name, "threshold", threshold)
        if threshold is not None and not 0 < self.threshold <= 1:
            raise ValueError(f"{self.name}: threshold must be in (0, 1]; got {threshold!r}.")

    def tally(self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> Sequence[Tensor]:
        t, y = two_axes(self.name, y_true, y_pred)
        if self.threshold is not None:
            yes = ops.greater(y, self.threshold)
        else:  # not where all are 0
            ones = ops.ones_like(y)
            largest = ops.where(ops.less(y, ops.max(y, axis=-1, keepdims=True)), 0.0, ones)
            yes = largest * ops.greater(abs(y), 1e-9)
        parts = yes * t, yes * (1.0 - t), (1.0 - yes) * t, t
        return [ops.sum(weighing(self.name, part, weights), axis=0) for part in parts]

    def value(self, total: np.ndarray):
        rows = total.reshape(4, -1)
        tp, fp, fn, are = rows.sum(1, keepdims=True) if self.average == "micro" else rows
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta**2
        scores = (1 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            return (scores * are).sum() / (are.sum() + EPSILON)
        return scores if self.average is None else scores.mean()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "average": self.average, "beta": self.beta, "threshold": self.threshold}


class F1Score(FBetaScore):
    """``2 * precision * recall / (precision + recall)``: `FBetaScore` with beta 1.

    Examples
    --------
    >>> score = F1Score(average="macro", threshold=0.5)
    >>> round(score([[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]), 4)
    0.6556
    """

    def __init__(self, average: str | None = None, threshold: float | None = None, name: str | None = "f1_score",
                 dtype=None):
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "beta"}


class R2Score(Tally):
    """``1 - sum((t - y)**2) / sum((t - mean(t))**2)``: the share of the targets' variance that is explained.

    Parameters
    ----------
    class_aggregation : None (a score for each column), "uniform_average" or "variance_weighted_average".
    num_regressors : how many variables explain; not 0 gives the adjusted score.

    Notes
    -----
    The sums of a step are formed in float32: targets far from 0 (by a thousand times their spread) are better shifted.

    Examples
    --------
    >>> round(R2Score()([[1], [4], [3]], [[2], [4], [4]]), 4)
    0.5714
    """

    def __init__(self, class_aggregation: str | None = "uniform_average", num_regressors: int = 0,
                 name: str | None = "r2_score", dtype=None):
        super().__init__(name, dtype)
        if class_aggregation not in (None, "uniform_average", "variance_weighted_average"):
            raise ValueError(f"{self.name}: class_aggregation must be None, 'uniform_average' or "
                             f"'variance_weighted_average'; got {class_aggregation!r}.")
        self.class_aggregation = class_aggregation
        self.num_regressors = checks.count(self.name, "num_regressors", num_regressors)

    def tally(self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> Sequence[Tensor]:
        t, y = two_axes(self.name, y_true, y_pred)
        parts = ops.ones_like(t), t, ops.square(t), ops.square(t - y)
        return [ops.sum(weighing(self.name, part, weights), axis=0) for part in parts]

    def value(self, total: np.ndarray):
        count, sums, squares, residual = total.reshape(4, -1)
        spread = squares - divided(sums**2, count)
        scores = np.where(spread == 0, 0.0, 1 - divided(residual, spread))
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation == "variance_weighted_average":
            scores = divided((spread * scores).sum(), spread.sum())
        if not self.num_regressors:
            return scores
        if self.num_regressors >= self.count - 1:
            warnings.warn(f"{self.name}: {self.num_regressors} regressors and {self.count:.0f} values leave nothing to "
                          "adjust; this is the plain score.", FastnnWarning, stacklevel=3)
            return scores
        return 1 - (1 - scores) * (self.count - 1) / (self.count - self.num_regressors - 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "class_aggregation": self.class_aggregation,
                "num_regressors": self.num_regressors}


def two_axes(who: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one shape (rows, columns)."""
    t, y = alike(who, y_true, y_pred)
    if y.ndim != 2:
        raise ValueError(f"{who}: y_pred must have the shape (rows, columns); got {y_pred.shape}.")
    return t, y
