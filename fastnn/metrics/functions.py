"""Shares of rows that are right as functions ``f(y_true, y_pred)`` of tensors or arrays: a number for each row."""

from __future__ import annotations

from .. import ops
from ..losses.eager import numbers, symbolic
from .accuracy import (
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .metric import Metric


def _rows(metric: Metric, y_true, y_pred):
    if symbolic(y_true, y_pred):
        return metric.rows(ops.cast(y_true, metric.target_dtype), y_pred)
    y_pred = numbers(metric.name, "y_pred", y_pred, "float32")
    y_true = numbers(metric.name, "y_true", y_true, metric.target_dtype)
    return metric._eager(metric.name, lambda y_true, y_pred: [metric.rows(y_true, y_pred)],
                         {"y_true": y_true, "y_pred": y_pred})[0]


def binary_accuracy(y_true, y_pred, threshold: float = 0.5):
    """See `BinaryAccuracy`; a number for each element of y_pred."""
    if not symbolic(y_true, y_pred):
        y_true = numbers("binary_accuracy", "y_true", y_true, "float32")
        y_pred = numbers("binary_accuracy", "y_pred", y_pred, "float32")
    return ops.cast(ops.equal(ops.cast(y_true, "float32"), ops.greater(y_pred, threshold)), "float32")


def categorical_accuracy(y_true, y_pred):
    """See `CategoricalAccuracy`.

    Examples
    --------
    >>> categorical_accuracy([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0.0]])
    array([0., 1.], dtype=float32)
    """
    return _rows(CategoricalAccuracy(), y_true, y_pred)


def sparse_categorical_accuracy(y_true, y_pred):
    """See `SparseCategoricalAccuracy`."""
    return _rows(SparseCategoricalAccuracy(), y_true, y_pred)


def top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """See `TopKCategoricalAccuracy`."""
    return _rows(TopKCategoricalAccuracy(k), y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """See `SparseTopKCategoricalAccuracy`."""
    return _rows(SparseTopKCategoricalAccuracy(k), y_true, y_pred)
