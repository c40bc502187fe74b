"""How targets, predictions and weights are brought to fitting shapes; shared by losses and metrics.

Keras broadcasts where shapes differ by an axis of one; a target of shape (B,) beside a prediction of
shape (B, 1) would then give (B, B) values. Here the axis is added, and all else is refused.
"""

from __future__ import annotations

import numpy as np

from ..kernels import elementwise
from ..kernels.spec import KERNELS
from ..program.graph import Tensor


def alike(who: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Both with one shape of two axes or more; a missing or surplus last axis of one is mended."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.shape[-1] == 1:
        y_true, y_pred = _same_rank(y_true, y_pred)
    elif y_pred.ndim == y_true.ndim + 1 and y_pred.shape[-1] == 1:
        y_pred, y_true = _same_rank(y_pred, y_true)
    if y_true.shape != y_pred.shape or not y_pred.shape:
        raise ValueError(f"{who}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be the same, "
                         "with the rows first.")
    if y_true.dtype != y_pred.dtype:
        raise ValueError(f"{who}: y_true is {y_true.dtype} and y_pred {y_pred.dtype}; they must be the same.")
    if y_pred.ndim == 1:
        return y_true.reshape(-1, 1), y_pred.reshape(-1, 1)
    return y_true, y_pred


def _same_rank(longer: Tensor, shorter: Tensor) -> tuple[Tensor, Tensor]:
    if shorter.ndim == 1:
        return longer, shorter.reshape(*shorter.shape, 1)
    return longer.reshape(longer.shape[:-1]), shorter


def labels_for(who: str, y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Class numbers in the shape of y_pred without its last axis."""
    rows = y_pred.shape[:-1]
    if not y_pred.shape or y_true.shape not in (rows, (*rows, 1)):
        raise ValueError(f"{who}: y_pred has shape {y_pred.shape}, so y_true must hold class numbers in the shape "
                         f"{rows} or {(*rows, 1)}; got {y_true.shape}.")
    if y_true.dtype.kind != "i":
        raise ValueError(f"{who}: y_true must hold class numbers as integers; got {y_true.dtype}.")
    return y_true.reshape(rows)


def one_hot(labels: Tensor, classes: int, dtype) -> Tensor:
    """1 at each label along a new last axis, 0 elsewhere; NaN for a label that is no class."""
    from ..kernels.loss import softmax_cross_entropy_grad  # dz = (p - onehot) * g, with p = 0 and g = -1

    graph, flat = labels.graph, labels.reshape(labels.size)
    p, g = (graph.emit(KERNELS["fill"], (), dict(value=value, shape=shape, dtype=str(np.dtype(dtype))))
            for value, shape in ((0.0, (labels.size, classes)), (-1.0, (labels.size,))))
    return softmax_cross_entropy_grad(g, p, flat).reshape(*labels.shape, classes)


def flat_rows(x: Tensor) -> Tensor:
    """All axes but the last as one axis of rows."""
    return x.reshape(x.size // x.shape[-1] if x.shape[-1] else 0, x.shape[-1])


def weights_for(who: str, weights: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Weights with as many axes as the values, each of their size or one."""
    given = weights.shape
    if len(given) == len(shape) + 1 and given[-1] == 1:
        weights = weights.reshape(given[:-1])
    elif len(given) < len(shape):
        weights = weights.reshape(*given, *(1,) * (len(shape) - len(given)))
    if len(weights.shape) != len(shape) or any(w not in (s, 1) for w, s in zip(weights.shape, shape)):
        raise ValueError(f"{who}: sample_weight has shape {given}; the values to be weighted have {shape}.")
    return weights


def weighted(values: Tensor, weights: Tensor | None, scale: float) -> Tensor:
    """``scale * sum(values * weights)``, without axes."""
    from ..kernels.loss import weighted_sum

    if weights is not None and weights.shape != values.shape:
        values, weights = elementwise.multiply(values, weights), None
    flat = None if weights is None else weights.reshape(weights.size)
    return weighted_sum(values.reshape(values.size), flat, scale=scale)
