"""The base of metrics that are no means over rows: each step of a program gives a vector, and the vectors are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..losses.shapes import weights_for
from ..program.graph import Tensor
from .metric import Metric


class Tally(Metric):
    """A metric made of sums: programs give a vector for each step, `result` makes one number (or several) of their sum.

    A subclass writes `tally`, on tensors, and `value`, on the sum.

    Attributes
    ----------
    total : the sum of all vectors since `reset_state`, in float64; 0.0 before the first.
    count : how many numbers y_pred held.
    """

    def tally(self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> Sequence[Tensor]:
        """Tensors of any shape that are to be summed over all batches."""
        raise NotImplementedError(f"{type(self).__name__} must override tally(y_true, y_pred, weights).")

    def value(self, total: np.ndarray) -> Any:
        """The result from the sum of what `tally` gave, flat and one after another."""
        raise NotImplementedError(f"{type(self).__name__} must override value(total).")

    def emit(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> tuple[Tensor, float]:
        parts = self.tally(y_true, y_pred, sample_weight)
        return ops.concatenate([p.reshape(p.size) for p in parts], axis=0), float(y_pred.size)

    def update(self, total, count) -> None:
        self.total = self.total + np.atleast_2d(np.asarray(total, np.float64)).sum(0)
        self.count += float(np.sum(count, dtype=np.float64))

    def result(self) -> Any:
        """What came in as one number, or an array where there are several; 0 if nothing came in."""
        if not np.ndim(self.total):
            return 0.0
        found = np.asarray(self.value(self.total))
        return found if found.ndim else float(found)


def divided(a, b):
    """a / b, and 0 where b is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), b)
    return np.divide(a, b, out=np.zeros(a.shape), where=b != 0)


def weighing(who: str, x: Tensor, weights: Tensor | None) -> Tensor:
    """x times the sample weights, if there are any."""
    return x if weights is None else x * weights_for(who, weights, x.shape)
