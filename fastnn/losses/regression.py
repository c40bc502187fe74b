"""Losses of numbers: how far predictions are from targets, in different measures."""

from __future__ import annotations

from typing import Any

from .. import checks, ops
from ..kernels import errors
from ..kernels.loss import LOW
from ..program.graph import Tensor
from .loss import Loss
from .shapes import alike, flat_rows


class Paired(Loss):
    """Base of the losses of two tensors of one shape; a subclass writes `between`.

    Predictions of shape (B,) are taken as (B, 1): one loss for each row.
    """

    def __init__(self, name: str | None = None, reduction="sum_over_batch_size", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        """The losses of rows of targets and predictions of the same shape."""
        raise NotImplementedError(f"{type(self).__name__} must override between(t, y).")

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.between(*alike(self.name, y_true, y_pred))


class MeanAbsolutePercentageError(Paired):
    """``100 * mean(abs(y_true - y_pred) / max(abs(y_true), 1e-7))`` over the last axis.

    Examples
    --------
    >>> MeanAbsolutePercentageError()([[1.0, 2.0]], [[2.0, 2.0]])
    np.float32(50.0)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "mean_absolute_percentage_error",
                 dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return 100.0 * ops.mean(abs(t - y) / ops.maximum(abs(t), LOW), axis=-1)


class MeanSquaredLogarithmicError(Paired):
    """``mean((log(1 + y_true) - log(1 + y_pred))**2)`` over the last axis; numbers below 1e-7 count as 1e-7.

    Examples
    --------
    >>> MeanSquaredLogarithmicError()([[0.0, 1.0]], [[0.0, 3.0]]).round(4)       # log(2)**2 / 2
    np.float32(0.2402)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "mean_squared_logarithmic_error",
                 dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        d = ops.log1p(ops.maximum(y, LOW)) - ops.log1p(ops.maximum(t, LOW))
        return ops.mean(ops.square(d), axis=-1)


class Huber(Paired):
    """Squares of small errors, magnitudes of large ones; with ``d = y_pred - y_true``, the mean over the last axis of

        d**2 / 2                            where abs(d) <= delta,
        delta * abs(d) - delta**2 / 2       elsewhere.

    Parameters
    ----------
    delta : where the parabola goes over into straight lines, above 0.

    Notes
    -----
    With delta 1 this is PyTorch's ``SmoothL1Loss``; with another one that is ``Huber(delta) / delta``.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics 35(1).

    Examples
    --------
    >>> Huber()([[0.0, 0.0]], [[1.0, 3.0]])         # (0.5 + 2.5) / 2
    np.float32(1.5)
    """

    def __init__(self, delta: float = 1.0, reduction="sum_over_batch_size", name: str | None = "huber_loss",
                 dtype=None):
        super().__init__(name, reduction, dtype)
        self.delta = checks.positive("Huber", "delta", delta)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return errors.huber_error(flat_rows(y), flat_rows(t), delta=self.delta).reshape(y.shape[:-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "delta": self.delta}


class LogCosh(Paired):
    """``mean(log(cosh(y_pred - y_true)))`` over the last axis: about d**2 / 2 for small errors d, |d| - log(2) for
    large ones. Exact for the smallest errors, too, where Keras's formula has only rounding left.

    Examples
    --------
    >>> LogCosh()([[0.0, 0.0]], [[0.0, 1.0]]).round(4)
    np.float32(0.2169)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "log_cosh", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return errors.log_cosh_error(flat_rows(y), flat_rows(t)).reshape(y.shape[:-1])


class Poisson(Paired):
    """``mean(y_pred - y_true * log(y_pred + 1e-7))`` over the last axis: for counts, and predictions of their means.

    The term ``log(y_true!)`` is left out, as it does not depend on the predictions, which must not be negative.

    Examples
    --------
    >>> Poisson()([[2.0, 0.0]], [[1.0, 3.0]]).round(4)
    np.float32(2.0)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "poisson", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return ops.mean(y - t * ops.log(y + LOW), axis=-1)


class KLDivergence(Paired):
    """``sum(y_true * log(y_true / y_pred))`` over the last axis, with both brought into [1e-7, 1].

    References
    ----------
    Kullback & Leibler (1951), On information and sufficiency, Annals of Mathematical Statistics 22(1).

    Examples
    --------
    >>> KLDivergence()([[1.0, 0.0]], [[0.5, 0.5]]).round(4)         # log(2)
    np.float32(0.6931)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "kl_divergence", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        t, y = ops.clip(t, LOW, 1.0), ops.clip(y, LOW, 1.0)
        return ops.sum(t * ops.log(t / y), axis=-1)


class CosineSimilarity(Paired):
    """Minus the cosine of the angle between y_true and y_pred: -1 for one direction, 1 for opposite ones.

    Vectors shorter than 1e-7 count as of that length, so that a vector of zeros gives 0.

    Parameters
    ----------
    axis : along which the vectors lie.

    Examples
    --------
    >>> CosineSimilarity(reduction="none")([[0.0, 2.0], [1.0, 0.0]], [[0.0, 7.0], [0.0, 3.0]])
    array([-1., -0.], dtype=float32)
    """

    def __init__(self, axis: int = -1, reduction="sum_over_batch_size", name: str | None = "cosine_similarity",
                 dtype=None):
        super().__init__(name, reduction, dtype)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ValueError(f"{self.name}: axis must be an integer; got {axis!r}.")
        self.axis = axis

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return -ops.sum(unit(t, self.axis) * unit(y, self.axis), axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def unit(x: Tensor, axis: int) -> Tensor:
    """x over its length along an axis; large numbers are made small first, so that no square overflows."""
    x = x / ops.stop_gradient(ops.maximum(ops.max(abs(x), axis=axis, keepdims=True), 1.0))
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(squares, LOW * LOW))
