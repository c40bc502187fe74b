"""Right and wrong decisions at one threshold or many: counts, precision and recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, ops
from ..losses.shapes import alike
from ..program.graph import Tensor
from .tally import Tally, divided, weighing

NOWHERE = -1e10  #: what a prediction that is not among the first k becomes, as in Keras


class Counts(Tally):
    """Weighted numbers of true and false, positive and negative decisions at each threshold.

    Base of the classes below. A prediction above the threshold says yes; a target other than 0 is a yes.

    Parameters
    ----------
    thresholds : a number in [0, 1] or a list of them; 0.5 by default.
    top_k : only the k largest predictions of a row can be a yes, without a threshold unless one is given. Predictions
        as large as the k-th count as well.
    class_id : only this column is looked at.
    """

    def __init__(self, name: str | None, thresholds=None, top_k: int | None = None, class_id: int | None = None,
                 dtype=None):
        super().__init__(name, dtype)
        self.init_thresholds, self.top_k, self.class_id = thresholds, top_k, class_id
        for what, value, least in (("top_k", top_k, 1), ("class_id", class_id, 0)):
            if value is not None and checks.count(self.name, what, value) < least:
                raise ValueError(f"{self.name}: {what} must be a whole number of at least {least}; got {value!r}.")
        several = isinstance(thresholds, Sequence | np.ndarray)
        given = list(thresholds) if several else [thresholds]
        if not given:
            raise ValueError(f"{self.name}: thresholds is an empty list.")
        self.thresholds = [(NOWHERE if top_k else 0.5) if t is None else _threshold(self.name, t) for t in given]

    def tally(self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> Sequence[Tensor]:
        t, y = alike(self.name, y_true, y_pred)
        if self.top_k is not None:
            y = first(self.name, y, self.top_k)
        if self.class_id is not None:
            if self.class_id >= y.shape[-1]:
                raise ValueError(f"{self.name}: class_id is {self.class_id}, but y_pred has {y.shape[-1]} columns.")
            t, y = (x[..., self.class_id : self.class_id + 1] for x in (t, y))
        return above(self.name, t, y, self.thresholds, weights)

    def value(self, total: np.ndarray) -> Any:
        found = self.of(*counts(total, len(self.thresholds)))[:, 0]
        return found[0] if len(self.thresholds) == 1 else found

    def of(self, tp, fp, tn, fn):
        """The result from the four counts, arrays (thresholds, columns)."""
        raise NotImplementedError(f"{type(self).__name__} must override of(tp, fp, tn, fn).")

    def get_config(self) -> dict[str, Any]:
        given = self.init_thresholds
        plain = [float(t) for t in given] if isinstance(given, Sequence | np.ndarray) else given
        return {**super().get_config(), "thresholds": plain, "top_k": self.top_k, "class_id": self.class_id}


def above(who: str, t: Tensor, y: Tensor, thresholds, weights: Tensor | None, apart: bool = False,
          column_weights=None) -> list[Tensor]:
    """What `counts` reads: true and false yeses by threshold, all that are and all that are not.

    With `apart` the columns of y are kept apart, else all elements are taken together.
    """
    ones = ops.ones_like(y)
    yes = ops.where(t, ones, 0.0)
    parts = [weighing(who, part, weights) for part in (yes, 1.0 - yes)]
    if column_weights is not None:
        parts = [part * y.graph.constant(column_weights, y.dtype) for part in parts]
    limits = y.graph.constant(np.asarray(thresholds), y.dtype)
    if not apart:
        said = ops.greater(y.reshape(1, y.size), limits.reshape(len(thresholds), 1))
        return [ops.matmul(said, part.reshape(y.size)) for part in parts] + [ops.sum(part) for part in parts]
    rows, columns = y.shape
    said = ops.greater(y.reshape(1, rows, columns), limits.reshape(len(thresholds), 1, 1))
    return [ops.sum(said * part.reshape(1, rows, columns), axis=1) for part in parts] + [
        ops.sum(part, axis=0) for part in parts]


def counts(total: np.ndarray, thresholds: int) -> tuple[np.ndarray, ...]:
    """(true positives, false positives, true negatives, false negatives), each (thresholds, columns)."""
    columns = len(total) // (2 * thresholds + 2)
    rows = total.reshape(2 * thresholds + 2, columns)
    tp, fp = rows[:thresholds], rows[thresholds : 2 * thresholds]
    are, are_not = rows[-2:]
    return tp, fp, np.maximum(are_not - fp, 0), np.maximum(are - tp, 0)


def first(who: str, y: Tensor, k: int) -> Tensor:
    """y where it is among the k largest of its row, else `NOWHERE`."""
    if k > y.shape[-1]:
        raise ValueError(f"{who}: top_k is {k}, but y_pred has {y.shape[-1]} columns.")
    rest, least = y, ops.max(y, axis=-1, keepdims=True)
    for _ in range(k - 1):
        rest = ops.where(ops.less(rest, least), rest, -3e38)
        least = ops.max(rest, axis=-1, keepdims=True)
    return ops.where(ops.less(y, least), NOWHERE, y)


def _threshold(who: str, value) -> float:
    found = checks.number(who, "a threshold", value)
    if not 0 <= found <= 1:
        raise ValueError(f"{who}: thresholds must be in [0, 1]; got {value!r}.")
    return found


class TruePositives(Counts):
    """How many yeses were right, with their weights.

    Examples
    --------
    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    def __init__(self, thresholds=None, name: str | None = None, dtype=None):
        super().__init__(name, thresholds, dtype=dtype)

    def of(self, tp, fp, tn, fn):
        return tp

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k not in ("top_k", "class_id")}


class FalsePositives(TruePositives):
    """How many yeses were wrong.

    Examples
    --------
    >>> FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
    2.0
    """

    def of(self, tp, fp, tn, fn):
        return fp


class TrueNegatives(TruePositives):
    """How many noes were right.

    Examples
    --------
    >>> TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    2.0
    """

    def of(self, tp, fp, tn, fn):
        return tn


class FalseNegatives(TruePositives):
    """How many noes were wrong.

    Examples
    --------
    >>> FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    2.0
    """

    def of(self, tp, fp, tn, fn):
        return fn


class Precision(Counts):
    """How many of the yeses are right: ``tp / (tp + fp)``, 0 if there are none. Arguments as for `Counts`.

    Examples
    --------
    >>> Precision()([0, 1, 1, 1], [1, 0, 1, 1])
    0.6666666666666666
    """

    def __init__(self, thresholds=None, top_k: int | None = None, class_id: int | None = None, name: str | None = None,
                 dtype=None):
        super().__init__(name, thresholds, top_k, class_id, dtype)

    def of(self, tp, fp, tn, fn):
        return divided(tp, tp + fp)


class Recall(Precision):
    """How many of what is a yes are found: ``tp / (tp + fn)``, 0 if there are none.

    Examples
    --------
    >>> Recall()([0, 1, 1, 1], [1, 0, 1, 1])
    0.6666666666666666
    """

    def of(self, tp, fp, tn, fn):
        return divided(tp, tp + fn)
