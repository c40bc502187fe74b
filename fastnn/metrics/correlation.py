"""How alike targets and outputs run, along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..losses.shapes import alike
from ..program.graph import Tensor
from .metric import Metric

EPSILON = 1e-7


class PearsonCorrelation(Metric):
    """``cov(y_true, y_pred) / (std(y_true) * std(y_pred))`` along an axis, and the mean of that over all rows.

    In [-1, 1]; where one of the two is constant it is NaN.

    Parameters
    ----------
    axis : int, the axis that is run along, the last one by default; not that of the batch.

    References
    ----------
    Pearson (1895), Notes on regression and inheritance in the case of two parents.

    Examples
    --------
    >>> metric = PearsonCorrelation()
    >>> round(metric([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 5)
    0.9967
    """

    def __init__(self, name: str | None = "pearson_correlation", dtype=None, axis: int = -1):
        super().__init__(name, dtype)
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
            raise ValueError(f"{type(self).__name__}: axis must be an integer; got {axis!r}.")
        self.axis = int(axis)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = self._centred(y_true, y_pred)
        scale = ops.std(t, axis=self.axis) * ops.std(y, axis=self.axis)
        return ops.mean(t * y, axis=self.axis) / scale

    def _centred(self, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
        t, y = alike(self.name, y_true, y_pred)
        if not -y.ndim < self.axis < y.ndim or self.axis % y.ndim == 0:
            raise ValueError(f"{self.name}: axis {self.axis} must be one behind the batch's of y_pred, whose shape is "
                             f"{y.shape}.")
        return tuple(x - ops.mean(x, axis=self.axis, keepdims=True) for x in (t, y))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class ConcordanceCorrelation(PearsonCorrelation):
    """``2 cov(y_true, y_pred) / (var(y_true) + var(y_pred) + (mean(y_true) - mean(y_pred))**2)``, the mean over rows.

    In [-1, 1], and 1 only where both are the same: unlike the correlation, it sees a shift and a scale.

    Parameters
    ----------
    axis : int, the axis that is run along, the last one by default; not that of the batch.

    Notes
    -----
    As in Keras 1e-7 is added to the divisor.

    References
    ----------
    Lin (1989), A concordance correlation coefficient to evaluate reproducibility, Biometrics 45.

    Examples
    --------
    >>> metric = ConcordanceCorrelation()
    >>> round(metric([[0, 1, 0.5], [1, 1, 0.2]], [[0.1, 0.9, 0.5], [1, 0.9, 0.2]]), 5)
    0.98163
    """

    def __init__(self, name: str | None = "concordance_correlation", dtype=None, axis: int = -1):
        super().__init__(name, dtype, axis)

    def rows(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        t, y = self._centred(y_true, y_pred)
        shift = ops.mean(y_true, axis=self.axis) - ops.mean(y_pred, axis=self.axis)
        spread = ops.mean(t * t, axis=self.axis) + ops.mean(y * y, axis=self.axis) + shift * shift
        return 2.0 * ops.mean(t * y, axis=self.axis) / (spread + EPSILON)
