"""Losses that are nil once a margin is kept: hinges, and distances of pairs and triplets."""

from __future__ import annotations

from typing import Any

from .. import checks, ops
from ..program.graph import Tensor
from .loss import Loss
from .regression import Paired


class Hinge(Paired):
    """``mean(max(1 - y_true * y_pred, 0))`` over the last axis, for targets of -1 and 1.

    A batch of targets that are all 0 or 1 is taken as -1 and 1, as in Keras.

    Examples
    --------
    >>> Hinge()([[1.0, -1.0]], [[0.5, 0.5]])        # (0.5 + 1.5) / 2
    np.float32(1.0)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "hinge", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return ops.mean(ops.maximum(1.0 - signs(t) * y, 0.0), axis=-1)


class SquaredHinge(Paired):
    """``mean(max(1 - y_true * y_pred, 0)**2)`` over the last axis; targets as for `Hinge`.

    Examples
    --------
    >>> SquaredHinge()([[1.0, -1.0]], [[0.5, 0.5]])         # (0.25 + 2.25) / 2
    np.float32(1.25)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "squared_hinge", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        return ops.mean(ops.square(ops.maximum(1.0 - signs(t) * y, 0.0)), axis=-1)


class CategoricalHinge(Paired):
    """``max(1 + max((1 - y_true) * y_pred) - sum(y_true * y_pred), 0)``, for one-hot targets.

    Examples
    --------
    >>> CategoricalHinge()([[0.0, 1.0]], [[0.5, 1.0]])
    np.float32(0.5)
    """

    def __init__(self, reduction="sum_over_batch_size", name: str | None = "categorical_hinge", dtype=None):
        super().__init__(name, reduction, dtype)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        right = ops.sum(t * y, axis=-1)
        wrong = ops.max((1.0 - t) * y, axis=-1)
        return ops.maximum(wrong - right + 1.0, 0.0)


def signs(t: Tensor) -> Tensor:
    """Targets of 0 and 1 as -1 and 1, if there are no others in the batch; else as they are."""
    others = ops.max(abs(t * (t - 1.0)))
    return ops.where(others, t, 2.0 * t - 1.0)


class Contrastive(Paired):
    """Distances d of pairs: ``mean(y_true * d**2 + (1 - y_true) * max(margin - d, 0)**2)`` over the last axis.

    Parameters
    ----------
    margin : how far apart unlike pairs (y_true 0) shall be; like ones (y_true 1) are drawn together.

    Notes
    -----
    y_pred holds the distances, of the shape of y_true. The paper has half of it, and labels the other way round.

    References
    ----------
    Hadsell, Chopra & LeCun (2006), Dimensionality reduction by learning an invariant mapping, CVPR, eq. 4.

    Examples
    --------
    >>> Contrastive()([1.0, 0.0], [0.5, 0.5])
    np.float32(0.25)
    """

    def __init__(self, margin: float = 1.0, reduction="sum_over_batch_size", name: str | None = "contrastive",
                 dtype=None):
        super().__init__(name, reduction, dtype)
        self.margin = checks.positive("Contrastive", "margin", margin)

    def between(self, t: Tensor, y: Tensor) -> Tensor:
        apart = ops.maximum(self.margin - y, 0.0)
        return ops.mean(t * ops.square(y) + (1.0 - t) * ops.square(apart), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


class Triplet(Loss):
    """``max(d(anchor, positive) - d(anchor, negative) + margin, 0)``, with d the length of the difference.

    Parameters
    ----------
    margin : how much further the negative shall be from the anchor than the positive, above 0.

    Notes
    -----
    y_pred has the shape (..., 3, D): anchor, positive and negative of each triplet; y_true is not looked at. The
    function `triplet` takes the three by themselves. As in PyTorch 1e-6 is added to each coordinate of a difference,
    so that there is a gradient where two points meet.

    References
    ----------
    Balntas et al. (2016), Learning local feature descriptors with triplets and shallow convolutional neural
    networks, BMVC; Schroff, Kalenichenko & Philbin (2015), FaceNet, arXiv:1503.03832 (with squared distances).

    Examples
    --------
    >>> Triplet()([0.0], [[[0.0, 0.0], [3.0, 4.0], [0.0, 5.5]]]).round(4)       # 5 - 5.5 + 1
    np.float32(0.5)
    """

    def __init__(self, margin: float = 1.0, reduction="sum_over_batch_size", name: str | None = "triplet", dtype=None):
        super().__init__(name, reduction, dtype)
        self.margin = checks.positive("Triplet", "margin", margin)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        if y_pred.ndim < 2 or y_pred.shape[-2] != 3:
            raise ValueError(f"{self.name}: y_pred must have the shape (..., 3, D), with anchor, positive and "
                             f"negative; got {y_pred.shape}.")
        return self.of(*(y_pred[..., i, :] for i in range(3)))

    def of(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The losses of triplets given as three tensors (..., D)."""
        return ops.maximum(_distance(anchor, positive) - _distance(anchor, negative) + self.margin, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "margin": self.margin}


def _distance(x: Tensor, y: Tensor) -> Tensor:
    return ops.sqrt(ops.sum(ops.square(x - y + 1e-6), axis=-1))


def triplet(anchor, positive, negative, margin: float = 1.0):
    """The losses of triplets (..., D), of tensors or arrays: see `Triplet`."""
    return Triplet(margin).of(anchor, positive, negative)
