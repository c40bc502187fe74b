"""The values of the rows as functions ``f(y_true, y_pred)``, of tensors or arrays; each is the class of its name before
the mean is taken."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from .. import ops
from ..losses import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from ..losses.eager import numbers, symbolic, within
from ..program.graph import Tensor
from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .correlation import ConcordanceCorrelation, PearsonCorrelation
from .metric import Metric

#: what Keras has in its metrics: functions of this module, and losses
__all__ = [
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_hinge",
    "concordance_correlation",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]


class _Elements(BinaryAccuracy):
    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return Accuracy.rows(self, y_true, ops.greater(y_pred, self.threshold))


@lru_cache(maxsize=32)
def _made(kind: type[Metric], **arguments: Any) -> Metric:
    return kind(**arguments)


def _rows(kind: type[Metric], y_true, y_pred, **arguments: Any):
    metric = _made(kind, **arguments)
    if symbolic(y_true, y_pred):
        return metric.rows(y_true, y_pred)
    y = numbers(metric.name, "y_pred", y_pred, "float32")
    t = numbers(metric.name, "y_true", y_true, metric.target_dtype)
    if metric.integer_labels and y.ndim:
        within(metric.name, t, y.shape[-1])
    return metric._eager(metric.name, lambda y_true, y_pred: [metric.rows(y_true, y_pred)],
                         {"y_true": t, "y_pred": y})[0]


def binary_accuracy(y_true, y_pred, threshold: float = 0.5):
    """See `BinaryAccuracy`; as in Keras there is a value for each element, not for each row.

    Examples
    --------
    >>> binary_accuracy([[1, 1], [0, 0]], [[0.98, 1.0], [0.0, 0.6]])
    array([[1., 1.],
           [1., 0.]], dtype=float32)
    """
    return _rows(_Elements, y_true, y_pred, threshold=threshold)


def categorical_accuracy(y_true, y_pred):
    """See `CategoricalAccuracy`."""
    return _rows(CategoricalAccuracy, y_true, y_pred)


def concordance_correlation(y_true, y_pred, axis: int = -1):
    """See `ConcordanceCorrelation`."""
    return _rows(ConcordanceCorrelation, y_true, y_pred, axis=axis)


def pearson_correlation(y_true, y_pred, axis: int = -1):
    """See `PearsonCorrelation`."""
    return _rows(PearsonCorrelation, y_true, y_pred, axis=axis)


def sparse_categorical_accuracy(y_true, y_pred):
    """See `SparseCategoricalAccuracy`."""
    return _rows(SparseCategoricalAccuracy, y_true, y_pred)


def sparse_top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """See `SparseTopKCategoricalAccuracy`."""
    return _rows(SparseTopKCategoricalAccuracy, y_true, y_pred, k=k)


def top_k_categorical_accuracy(y_true, y_pred, k: int = 5):
    """See `TopKCategoricalAccuracy`."""
    return _rows(TopKCategoricalAccuracy, y_true, y_pred, k=k)


#: function -> class, for those who give such a function as a metric
CLASS_OF = {binary_accuracy: BinaryAccuracy, categorical_accuracy: CategoricalAccuracy,
            concordance_correlation: ConcordanceCorrelation, pearson_correlation: PearsonCorrelation,
            sparse_categorical_accuracy: SparseCategoricalAccuracy,
            sparse_top_k_categorical_accuracy: SparseTopKCategoricalAccuracy,
            top_k_categorical_accuracy: TopKCategoricalAccuracy}
