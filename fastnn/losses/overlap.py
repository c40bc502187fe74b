"""Losses of how far two regions overlap, for segmentation: one number for the batch, or for each image."""

from __future__ import annotations

from typing import Any

from .. import checks, ops
from ..kernels.loss import LOW
from ..program.graph import Tensor
from .loss import Loss
from .losses import same_shape


class Dice(Loss):
    """``1 - 2 * sum(t * y) / (sum(t) + sum(y) + 1e-7)``.

    Parameters
    ----------
    axis : the axes that are summed; all of them by default, which gives one number for the batch, without sample
        weights. With ``axis=(1, 2, 3)`` each image has its own loss.

    References
    ----------
    Sudre et al. (2017), Generalised Dice overlap as a deep learning loss function for highly unbalanced
    segmentations, arXiv:1707.03237.

    Examples
    --------
    >>> Dice()([[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]).round(4)
    np.float32(0.5)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "dice", axis=None, dtype=None):
        super().__init__(name, reduction, dtype)
        self.axis = _axes(self.name, axis)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = same_shape(self.name, y_true, y_pred)
        both = ops.sum(t * y, axis=self.axis)
        return 1.0 - 2.0 * both / (ops.sum(t, axis=self.axis) + ops.sum(y, axis=self.axis) + LOW)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class Tversky(Loss):
    """``1 - s / (s + alpha * a + beta * b + 1e-7)`` with ``s = sum(t * y)``, ``a = sum(t * (1 - y))``,
    ``b = sum((1 - t) * y)``.

    Parameters
    ----------
    alpha : price of what is missed (Keras's documentation calls it that of false positives; its code does this).
    beta : price of what is found where nothing is. With both 0.5 this is `Dice`.
    axis : see `Dice`.

    References
    ----------
    Salehi, Erdogmus & Gholipour (2017), Tversky loss function for image segmentation using 3D fully convolutional
    deep networks, arXiv:1706.05721.

    Examples
    --------
    >>> Tversky(alpha=1.0, beta=0.0)([[1.0, 1.0]], [[1.0, 0.0]]).round(4)       # half is missed
    np.float32(0.5)
    """

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, reduction="sum_over_batch_size",
                 name: str | None = "tversky", axis=None, dtype=None):
        super().__init__(name, reduction, dtype)
        self.alpha = checks.at_least_zero(self.name, "alpha", alpha)
        self.beta = checks.at_least_zero(self.name, "beta", beta)
        self.axis = _axes(self.name, axis)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = same_shape(self.name, y_true, y_pred)
        both = ops.sum(t * y, axis=self.axis)
        missed = ops.sum(t * (1.0 - y), axis=self.axis)
        invented = ops.sum((1.0 - t) * y, axis=self.axis)
        return 1.0 - both / (both + self.alpha * missed + self.beta * invented + LOW)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta, "axis": self.axis}


def _axes(who: str, axis) -> int | list[int] | None:
    given = list(axis) if isinstance(axis, list | tuple) else [] if axis is None else [axis]
    if any(isinstance(a, bool) or not isinstance(a, int) for a in given):
        raise ValueError(f"{who}: axis must be None, an integer or several of them; got {axis!r}.")
    return given if isinstance(axis, list | tuple) else axis
