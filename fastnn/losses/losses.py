"""The losses: classes for `compile`, functions for the losses of the rows."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from .. import checks, ops
from ..kernels import errors
from ..kernels import loss as kernels
from ..program.graph import Tensor
from ..warnings import FastnnWarning
from .loss import Loss
from .shapes import alike, flat_rows, labels_for, one_hot


class SparseCategoricalCrossentropy(Loss):
    """``-log(p[label])``: cross-entropy of class numbers.

    Parameters
    ----------
    from_logits : whether y_pred holds logits, and not probabilities. Where y_pred comes straight from a
        softmax, its logits are found and used anyway: more exact, and cheaper.
    ignore_class : a label whose rows have no loss and no gradient, such as -1 or 255; it need not be a class. Rows
        that are left out don't count in the mean, either.

    Notes
    -----
    y_pred has the shape (..., C), y_true (...) or (..., 1).

    Examples
    --------
    >>> SparseCategoricalCrossentropy()([1], [[0.5, 0.25, 0.25]]).round(4)      # -log(0.25)
    np.float32(1.3863)
    """

    target_dtype = "int32"

    def __init__(self, from_logits: bool = False, ignore_class=None, reduction="sum_over_batch_size", axis: int = -1,
                 name: str | None = "sparse_categorical_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype)
        if ignore_class is not None and (isinstance(ignore_class, bool) or not isinstance(ignore_class, int)):
            raise ValueError(f"{self.name}: ignore_class must be a whole number or None; got {ignore_class!r}.")
        last_axis(self.name, axis)
        self.from_logits, self.ignore_class = checks.flag(self.name, "from_logits", from_logits), ignore_class

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        labels = labels_for(self.name, y_true, y_pred)
        rows = labels.shape
        z = y_pred if self.from_logits else logits(y_pred)
        if self.ignore_class is not None:
            return self._of_some(labels, y_pred if z is None else z, z is not None)
        labels = labels.reshape(labels.size)
        if z is not None:
            losses, _ = kernels.softmax_cross_entropy(flat_rows(z), labels)
        else:
            losses = kernels.cross_entropy(flat_rows(y_pred), labels)
        return losses.reshape(rows)

    def _of_some(self, labels: Tensor, y: Tensor, from_logits: bool) -> Tensor:
        """The losses where rows are left out: those whose targets are 0 for all classes."""
        t = flat_rows(one_hot(labels, y.shape[-1], y.dtype))
        t = ops.where(self.counted(labels, y).reshape(labels.size, 1), t, 0.0)
        if from_logits:
            losses, _ = kernels.softmax_cross_entropy_dense(flat_rows(y), t)
        else:
            losses = kernels.cross_entropy_dense(flat_rows(y), t)
        return losses.reshape(labels.shape)

    def counted(self, labels: Tensor, y: Tensor) -> Tensor:
        """1 where a row counts, 0 where its label is that to be ignored.

        Of labels that are no classes only the one to be ignored gets past the checks of data: the row of any of them is
        NaN, and so not greater than anything.
        """
        classes = y.shape[-1]
        column = self.ignore_class if 0 <= self.ignore_class < classes else None
        marks = one_hot(labels, classes, y.dtype)[..., column or 0]
        return ops.greater(1.0 - marks, 0.5) if column is not None else ops.greater(1.0 + marks, 0.5)

    def mask(self, y_true: Tensor, y_pred: Tensor) -> Tensor | None:
        if self.ignore_class is None:
            return None
        return self.counted(labels_for(self.name, y_true, y_pred), y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits, "ignore_class": self.ignore_class}


class CategoricalCrossentropy(Loss):
    """``-sum(t * log(p))``: cross-entropy of target probabilities, such as one-hot rows.

    Parameters
    ----------
    from_logits : see `SparseCategoricalCrossentropy`.
    label_smoothing : s in [0, 1]: targets become ``t * (1 - s) + s / C``.

    References
    ----------
    Smoothing: Szegedy et al. (2016), Rethinking the Inception architecture, arXiv:1512.00567.

    Examples
    --------
    >>> CategoricalCrossentropy()([[0, 1, 0]], [[0.5, 0.25, 0.25]]).round(4)
    np.float32(1.3863)
    """

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction="sum_over_batch_size", name: str | None = "categorical_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype)
        last_axis(self.name, axis)
        self.from_logits = checks.flag(self.name, "from_logits", from_logits)
        self.label_smoothing = smoothing(self.name, label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = same_shape(self.name, y_true, y_pred)
        if y.shape[-1] == 1:
            warnings.warn(f"{self.name} of a single class is always 0; for one output use binary_crossentropy.",
                          FastnnWarning, stacklevel=2)
        z = y if self.from_logits else logits(y)
        if z is not None:
            losses, _ = kernels.softmax_cross_entropy_dense(flat_rows(z), flat_rows(t),
                                                            label_smoothing=self.label_smoothing)
        else:
            losses = kernels.cross_entropy_dense(flat_rows(y), flat_rows(t), label_smoothing=self.label_smoothing)
        return losses.reshape(y.shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class BinaryCrossentropy(Loss):
    """``mean(-t * log(p) - (1 - t) * log(1 - p))`` over the last axis: for outputs that are each yes or no.

    Parameters
    ----------
    from_logits : whether y_pred holds logits, and not probabilities. Where y_pred comes from a sigmoid
        activation of its own, its logits are found and used anyway.
    label_smoothing : s in [0, 1]: targets become ``t * (1 - s) + s / 2``.

    Notes
    -----
    Predictions of shape (B,) are taken as (B, 1): one loss for each row.

    Examples
    --------
    >>> BinaryCrossentropy()([1.0, 0.0], [0.5, 0.5]).round(4)       # -log(0.5)
    np.float32(0.6931)
    """

    def __init__(self, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1,
                 reduction="sum_over_batch_size", name: str | None = "binary_crossentropy", dtype=None):
        super().__init__(name, reduction, dtype)
        last_axis(self.name, axis)
        self.from_logits = checks.flag(self.name, "from_logits", from_logits)
        self.label_smoothing = smoothing(self.name, label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = alike(self.name, y_true, y_pred)
        z = y if self.from_logits else logits(y, "sigmoid")
        if z is not None:
            losses, _ = kernels.sigmoid_cross_entropy(flat_rows(z), flat_rows(t), label_smoothing=self.label_smoothing)
        else:
            losses = kernels.binary_cross_entropy(flat_rows(y), flat_rows(t), label_smoothing=self.label_smoothing)
        return losses.reshape(y.shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class MeanSquaredError(Loss):
    """``mean((y_true - y_pred)**2)`` over the last axis.

    Predictions of shape (B,) are taken as (B, 1): one loss for each row.

    Examples
    --------
    >>> MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]])
    np.float32(0.5)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "mean_squared_error", dtype=None):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = alike(self.name, y_true, y_pred)
        return errors.squared_error(flat_rows(y), flat_rows(t)).reshape(y.shape[:-1])


class MeanAbsoluteError(Loss):
    """``mean(abs(y_true - y_pred))`` over the last axis.

    Predictions of shape (B,) are taken as (B, 1): one loss for each row.

    Examples
    --------
    >>> MeanAbsoluteError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [3.0, 0.0]])
    np.float32(1.0)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "mean_absolute_error", dtype=None):
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = alike(self.name, y_true, y_pred)
        return errors.absolute_error(flat_rows(y), flat_rows(t)).reshape(y.shape[:-1])


# ---------------------------------------------------------------------- functions


def sparse_categorical_crossentropy(y_true, y_pred, from_logits: bool = False, ignore_class=None, axis: int = -1):
    """The losses of the rows, of tensors or arrays: see `SparseCategoricalCrossentropy`."""
    return of_rows(SparseCategoricalCrossentropy, from_logits=from_logits, ignore_class=ignore_class,
                    axis=axis)(y_true, y_pred)


def categorical_crossentropy(y_true, y_pred, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1):
    """The losses of the rows, of tensors or arrays: see `CategoricalCrossentropy`."""
    return of_rows(CategoricalCrossentropy, from_logits=from_logits, label_smoothing=label_smoothing,
                    axis=axis)(y_true, y_pred)


def binary_crossentropy(y_true, y_pred, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1):
    """The losses of the rows, of tensors or arrays: see `BinaryCrossentropy`."""
    return of_rows(BinaryCrossentropy, from_logits=from_logits, label_smoothing=label_smoothing,
                    axis=axis)(y_true, y_pred)


def mean_squared_error(y_true, y_pred):
    """The losses of the rows, of tensors or arrays: see `MeanSquaredError`.

    Examples
    --------
    >>> mean_squared_error([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]])
    array([0.5, 1. ], dtype=float32)
    """
    return of_rows(MeanSquaredError)(y_true, y_pred)


def mean_absolute_error(y_true, y_pred):
    """The losses of the rows, of tensors or arrays: see `MeanAbsoluteError`."""
    return of_rows(MeanAbsoluteError)(y_true, y_pred)


@lru_cache(maxsize=32)
def of_rows(kind: type[Loss], **arguments: Any) -> Loss:
    return kind(reduction="none", **arguments)


# ---------------------------------------------------------------------- looking for logits


def logits(y_pred: Tensor, kind: str = "softmax") -> Tensor | None:
    """What went into the softmax (or the sigmoid activation) that made y_pred, if one did."""
    call = y_pred.base.call
    if call is None:
        return None
    if kind == "softmax":
        same_rows = y_pred.ndim and y_pred.shape[-1] == y_pred.base.shape[-1:][0]
        return call["x"].reshape(y_pred.shape) if call.kernel.name == "softmax" and same_rows else None
    if call.kernel.name == "activation" and call.attr("kind") == "sigmoid":
        return call["x"].reshape(y_pred.shape)
    return None


def same_shape(who: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    if y_true.shape != y_pred.shape or not y_pred.shape:
        hint = ""
        if y_true.ndim < y_pred.ndim or y_true.shape[-1:] == (1,):
            hint = " (for class numbers use sparse_categorical_crossentropy)"
        raise ValueError(f"{who}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be the "
                         f"same{hint}.")
    if y_true.dtype != y_pred.dtype:
        raise ValueError(f"{who}: y_true is {y_true.dtype} and y_pred {y_pred.dtype}; they must be the same.")
    return y_true, y_pred


def last_axis(who: str, axis: int) -> None:
    if isinstance(axis, bool) or axis != -1:
        raise ValueError(f"{who} runs over the last axis, axis=-1; got axis={axis!r}.")


def smoothing(who: str, value: float) -> float:
    if isinstance(value, bool | str) or not 0 <= value <= 1:
        raise ValueError(f"{who}: label_smoothing must be in [0, 1]; got {value!r}.")
    return float(value)
