"""Shares of rows that are right."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks, ops
from ..kernels import elementwise, metric
from ..losses.losses import logits
from ..losses.shapes import alike, flat_rows, labels_for, one_hot
from ..program.graph import Tensor
from .metric import Metric


class Accuracy(Metric):
    """How often y_pred equals y_true, element by element.

    Examples
    --------
    >>> Accuracy()([1, 2, 3, 4], [0, 2, 3, 4])
    0.75
    """

    def __init__(self, name: str | None = "accuracy", dtype=None):
        super().__init__(name, dtype)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = alike(self.name, y_true, y_pred)
        nought, one = (y.graph.constant(x, y.dtype) for x in (0.0, 1.0))
        return elementwise.where(elementwise.subtract(y, t), nought, one)


class SparseCategoricalAccuracy(Metric):
    """How often the largest output is that of the class number in y_true.

    y_pred has the shape (..., C), y_true (...) or (..., 1).

    Examples
    --------
    >>> SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0.0]])
    0.5
    """

    target_dtype = "int32"

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels = labels_for(self.name, y_true, y_pred)
        p = flat_rows(shared_softmax(y_pred))
        return metric.sparse_categorical_hits(p, labels.reshape(labels.size)).reshape(labels.shape)


class CategoricalAccuracy(Metric):
    """How often the largest output stands where the largest target does, for one-hot targets.

    Examples
    --------
    >>> CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]])
    0.5
    """

    def __init__(self, name: str | None = "categorical_accuracy", dtype=None):
        super().__init__(name, dtype)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_true.shape != y_pred.shape or not y_pred.shape:
            raise ValueError(f"{self.name}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be "
                             "the same (for class numbers use sparse_categorical_accuracy).")
        hits = metric.categorical_hits(flat_rows(shared_softmax(y_pred)), flat_rows(y_true))
        return hits.reshape(y_pred.shape[:-1])


class TopKCategoricalAccuracy(Metric):
    """How often fewer than k outputs are larger than that of the right class, for one-hot targets.

    Parameters
    ----------
    k : how many guesses there are.

    Examples
    --------
    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0, 0.95]])
    0.5
    """

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype=None):
        super().__init__(name, dtype)
        self.k = checks.count(self.name, "k", k)
        if self.k < 1:
            raise ValueError(f"{self.name}: k must be at least 1; got {k!r}.")

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_true.shape != y_pred.shape or not y_pred.shape:
            raise ValueError(f"{self.name}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be "
                             "the same (for class numbers use sparse_top_k_categorical_accuracy).")
        others = ops.less(y_true, ops.max(y_true, axis=-1, keepdims=True))
        return among(y_pred, ops.max(ops.where(others, -np.inf, y_pred), axis=-1, keepdims=True), self.k)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


class SparseTopKCategoricalAccuracy(Metric):
    """How often fewer than k outputs are larger than that of the class number in y_true.

    Parameters
    ----------
    k : how many guesses there are.

    Examples
    --------
    >>> SparseTopKCategoricalAccuracy(k=1)([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    target_dtype = "int32"

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype=None,
                 from_sorted_ids: bool = False):
        super().__init__(name, dtype)
        self.k = checks.count(self.name, "k", k)
        if self.k < 1:
            raise ValueError(f"{self.name}: k must be at least 1; got {k!r}.")
        if from_sorted_ids:
            raise ValueError(f"{self.name} takes outputs of all classes; from_sorted_ids=True is not known here.")

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels = labels_for(self.name, y_true, y_pred)
        right = ops.where(one_hot(labels, y_pred.shape[-1], y_pred.dtype), y_pred, 0.0)
        return among(y_pred, ops.sum(right, axis=-1, keepdims=True), self.k)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "k": self.k}


def among(y: Tensor, value: Tensor, k: int) -> Tensor:
    """1 where fewer than k of a row are larger than its value; a value of NaN is smaller than all."""
    value = ops.where(ops.greater(value, -np.inf), value, -np.inf)
    return ops.less(ops.sum(ops.greater(y, value), axis=-1), k - 0.5)


class BinaryAccuracy(Metric):
    """How often ``y_pred > threshold`` says what y_true does, element by element.

    Parameters
    ----------
    threshold : 0.5 for probabilities; 0 for logits.

    Examples
    --------
    >>> BinaryAccuracy()([1, 1, 0, 0], [0.98, 1.0, 0.0, 0.6])
    0.75
    """

    def __init__(self, name: str | None = "binary_accuracy", dtype=None, threshold: float = 0.5):
        super().__init__(name, dtype)
        self.threshold = checks.number("BinaryAccuracy", "threshold", 0.5 if threshold is None else threshold)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = alike(self.name, y_true, y_pred)
        return metric.binary_hits(flat_rows(y), flat_rows(t), threshold=self.threshold).reshape(y.shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


def shared_softmax(y_pred: Tensor) -> Tensor:
    """y_pred, or the same probabilities where a loss has computed them from the same logits already.

    With the loss on the logits, the softmax itself is then read by nobody and falls out of the program.
    """
    z = logits(y_pred)
    if z is not None:
        for call in reversed(y_pred.graph.calls):
            if call.kernel.name.startswith("softmax_cross_entropy") and "p" in call.kernel.outputs \
                    and call["z"].base is z.base and call["z"].shape[-1:] == y_pred.shape[-1:]:
                return call["p"].reshape(y_pred.shape)
    return y_pred
