"""The losses of the rows as functions ``f(y_true, y_pred)``, of tensors or arrays; each is the class of its name with
reduction "none"."""

from __future__ import annotations

from .focal import (
    BinaryFocalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    NegativeLogLikelihood,
)
from .losses import of_rows
from .margin import CategoricalHinge, Contrastive, Hinge, SquaredHinge
from .overlap import Dice, Tversky
from .regression import (
    CosineSimilarity,
    Huber,
    KLDivergence,
    LogCosh,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Poisson,
)


def binary_focal_crossentropy(y_true, y_pred, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float
                              = 2.0, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1):
    """See `BinaryFocalCrossentropy`."""
    return of_rows(BinaryFocalCrossentropy, apply_class_balancing=apply_class_balancing, alpha=alpha, gamma=gamma,
                   from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)(y_true, y_pred)


def categorical_focal_crossentropy(y_true, y_pred, alpha=0.25, gamma: float = 2.0, from_logits: bool = False,
                                   label_smoothing: float = 0.0, axis: int = -1):
    """See `CategoricalFocalCrossentropy`."""
    return of_rows(CategoricalFocalCrossentropy, alpha=tuple(alpha) if isinstance(alpha, list) else alpha,
                   gamma=gamma, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)(y_true, y_pred)


def categorical_generalized_cross_entropy(y_true, y_pred, q: float = 0.5):
    """See `CategoricalGeneralizedCrossEntropy`."""
    return of_rows(CategoricalGeneralizedCrossEntropy, q=q)(y_true, y_pred)


def categorical_hinge(y_true, y_pred):
    """See `CategoricalHinge`."""
    return of_rows(CategoricalHinge)(y_true, y_pred)


def contrastive(y_true, y_pred, margin: float = 1.0):
    """See `Contrastive`."""
    return of_rows(Contrastive, margin=margin)(y_true, y_pred)


def cosine_similarity(y_true, y_pred, axis: int = -1):
    """See `CosineSimilarity`."""
    return of_rows(CosineSimilarity, axis=axis)(y_true, y_pred)


def dice(y_true, y_pred, axis=None):
    """See `Dice`."""
    return of_rows(Dice, axis=tuple(axis) if isinstance(axis, list) else axis)(y_true, y_pred)


def hinge(y_true, y_pred):
    """See `Hinge`."""
    return of_rows(Hinge)(y_true, y_pred)


def huber(y_true, y_pred, delta: float = 1.0):
    """See `Huber`.

    Examples
    --------
    >>> huber([[0.0, 0.0]], [[1.0, 3.0]])
    array([1.5], dtype=float32)
    """
    return of_rows(Huber, delta=delta)(y_true, y_pred)


def kl_divergence(y_true, y_pred):
    """See `KLDivergence`."""
    return of_rows(KLDivergence)(y_true, y_pred)


def log_cosh(y_true, y_pred):
    """See `LogCosh`."""
    return of_rows(LogCosh)(y_true, y_pred)


def mean_absolute_percentage_error(y_true, y_pred):
    """See `MeanAbsolutePercentageError`."""
    return of_rows(MeanAbsolutePercentageError)(y_true, y_pred)


def mean_squared_logarithmic_error(y_true, y_pred):
    """See `MeanSquaredLogarithmicError`."""
    return of_rows(MeanSquaredLogarithmicError)(y_true, y_pred)


def negative_log_likelihood(y_true, y_pred):
    """See `NegativeLogLikelihood`."""
    return of_rows(NegativeLogLikelihood)(y_true, y_pred)


def poisson(y_true, y_pred):
    """See `Poisson`."""
    return of_rows(Poisson)(y_true, y_pred)


def squared_hinge(y_true, y_pred):
    """See `SquaredHinge`."""
    return of_rows(SquaredHinge)(y_true, y_pred)


def tversky(y_true, y_pred, alpha: float = 0.5, beta: float = 0.5, axis=None):
    """See `Tversky`."""
    return of_rows(Tversky, alpha=alpha, beta=beta,
                   axis=tuple(axis) if isinstance(axis, list) else axis)(y_true, y_pred)
