"""Areas under curves of decisions, and points on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, ops, spelling
from ..losses.shapes import alike
from ..program.graph import Tensor
from .confusion import Counts, above, counts
from .tally import Tally, divided

CURVES = ("ROC", "PR", "PRGAIN")
SUMMATIONS = ("interpolation", "minoring", "majoring")


class AUC(Tally):
    """Area under the ROC or the precision-recall curve, from counts at a number of thresholds.

    Parameters
    ----------
    num_thresholds : how many there are, equally far apart in [0, 1]; more are more exact.
    curve : "ROC" (true positive rate by false positive rate), "PR" (precision by recall) or "PRGAIN".
    summation_method : "interpolation" (trapezoids; for PR the interpolation of Davis and Goadrich), "minoring" or
        "majoring" (the lower or higher end of each piece).
    thresholds : a list of thresholds in [0, 1] to use instead; one below 0 and one above 1 are added.
    multi_label : whether each column of y_pred is a question of its own; the areas are averaged.
    num_labels : the number of columns, if `multi_label`; it need not be given.
    label_weights : weights of the columns.
    from_logits : whether y_pred holds logits, of which the sigmoid is taken.

    References
    ----------
    Davis & Goadrich (2006), The relationship between precision-recall and ROC curves, ICML. Flach & Kull (2015),
    Precision-recall-gain curves, NeurIPS.

    Examples
    --------
    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.75
    """

    def __init__(self, num_thresholds: int = 200, curve: str = "ROC", summation_method: str = "interpolation",
                 name: str | None = None, dtype=None, thresholds: Sequence[float] | None = None,
                 multi_label: bool = False, num_labels: int | None = None, label_weights=None,
                 from_logits: bool = False):
        super().__init__(name, dtype)
        self.curve = spelling.one_of("curve", {"PR-GAIN": "PRGAIN"}.get(str(curve).upper(), str(curve).upper()), CURVES)
        self.summation_method = spelling.one_of("summation_method", str(summation_method).lower(), SUMMATIONS)
        self.given = thresholds
        if thresholds is None:
            if checks.count(self.name, "num_thresholds", num_thresholds) < 2:
                raise ValueError(f"{self.name}: num_thresholds must be above 1; got {num_thresholds!r}.")
            between = [i / (num_thresholds - 1) for i in range(1, num_thresholds - 1)]
        else:
            between = sorted(checks.number(self.name, "a threshold", t) for t in thresholds)
            if between and not 0 <= between[0] <= between[-1] <= 1:
                raise ValueError(f"{self.name}: thresholds must be in [0, 1]; got {list(thresholds)}.")
        self.thresholds = [-1e-7, *between, 1 + 1e-7]
        self.num_thresholds = len(self.thresholds)
        if num_labels and not multi_label:
            raise ValueError(f"{self.name}: num_labels is only needed with multi_label=True.")
        self.multi_label, self.num_labels, self.from_logits = bool(multi_label), num_labels, bool(from_logits)
        self.label_weights = None if label_weights is None else [
            checks.at_least_zero(self.name, "a label weight", w) for w in label_weights]

    def tally(self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> Sequence[Tensor]:
        t, y = alike(self.name, y_true, y_pred)
        wanted = self.num_labels or (len(self.label_weights) if self.label_weights is not None else y.shape[-1])
        if y.shape[-1] != wanted or (self.multi_label and y.ndim != 2):
            raise ValueError(f"{self.name}: y_pred must have the shape (rows, {wanted}); got {y_pred.shape}.")
        y = ops.sigmoid(y) if self.from_logits else y
        columns = None if self.multi_label else self.label_weights
        return above(self.name, t, y, self.thresholds, weights, self.multi_label, columns)

    def value(self, total: np.ndarray) -> float:
        tp, fp, tn, fn = counts(total, self.num_thresholds)
        if self.curve == "PR" and self.summation_method == "interpolation":
            areas = _interpolated(tp, fp, fn)
        else:
            x, y = self._curve(tp, fp, tn, fn)
            heights = {"interpolation": (y[:-1] + y[1:]) / 2, "minoring": np.minimum(y[:-1], y[1:]),
                       "majoring": np.maximum(y[:-1], y[1:])}[self.summation_method]
            areas = ((x[:-1] - x[1:]) * heights).sum(0)
        weights = self.label_weights if self.multi_label else None
        return areas.mean() if weights is None else divided((areas * weights).sum(), np.sum(weights))

    def _curve(self, tp, fp, tn, fn):
        recall = divided(tp, tp + fn)
        if self.curve == "ROC":
            return divided(fp, fp + tn), recall
        if self.curve == "PR":
            return recall, divided(tp, tp + fp)
        factor = divided(tp + fn, tn + fp)
        recall_gain = np.where(tp == 0, 0.0, 1 - factor * divided(fn, tp))
        precision_gain = np.where(tp == 0, 1.0, 1 - factor * divided(fp, tp))
        return np.maximum(recall_gain, 0), precision_gain

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_thresholds": self.num_thresholds, "curve": self.curve,
                "summation_method": self.summation_method, "multi_label": self.multi_label,
                "num_labels": self.num_labels, "label_weights": self.label_weights, "from_logits": self.from_logits,
                "thresholds": None if self.given is None else self.thresholds[1:-1]}


def _interpolated(tp, fp, fn):
    """Areas under the curves of precision by recall: between two thresholds wrong yeses grow in line with right."""
    found = tp + fp
    gained, steps = tp[:-1] - tp[1:], found[:-1] - found[1:]
    slope = divided(gained, np.maximum(steps, 0))
    intercept = tp[1:] - slope * found[1:]
    both = (found[:-1] > 0) & (found[1:] > 0)
    ratio = np.where(both, divided(found[:-1], found[1:]), 1.0)
    return divided(slope * (gained + intercept * np.log(ratio)), tp[1:] + fn[1:]).sum(0)


class AtPoint(Counts):
    """The best of one rate among the thresholds at which another one is at least so large. Base of those below."""

    limit = ""  #: the argument that names the rate

    def __init__(self, limit: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype=None):
        if checks.count(type(self).__name__, "num_thresholds", num_thresholds) < 1:
            raise ValueError(f"{type(self).__name__}: num_thresholds must be above 0; got {num_thresholds!r}.")
        even = [i / (num_thresholds - 1) for i in range(num_thresholds)] if num_thresholds > 1 else [0.5]
        super().__init__(name, even, class_id=class_id, dtype=dtype)
        self.num_thresholds, self.least = int(num_thresholds), checks.number(self.name, self.limit, limit)
        if not 0 <= self.least <= 1:
            raise ValueError(f"{self.name}: {self.limit} must be in [0, 1]; got {limit!r}.")

    def rates(self, tp, fp, tn, fn):
        """(what must be large enough, what is wanted) at each threshold."""
        raise NotImplementedError(f"{type(self).__name__} must override rates(tp, fp, tn, fn).")

    def value(self, total: np.ndarray) -> float:
        limited, wanted = self.rates(*counts(total, len(self.thresholds)))
        return np.where(limited >= self.least, wanted, 0.0).max()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, self.limit: self.least, "num_thresholds": self.num_thresholds,
                "class_id": self.class_id}


class SensitivityAtSpecificity(AtPoint):
    """The best ``tp / (tp + fn)`` where ``tn / (tn + fp)`` is at least `specificity`.

    Examples
    --------
    >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    limit = "specificity"

    def __init__(self, specificity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype=None):
        super().__init__(specificity, num_thresholds, class_id, name, dtype)

    def rates(self, tp, fp, tn, fn):
        return divided(tn, tn + fp), divided(tp, tp + fn)


class SpecificityAtSensitivity(AtPoint):
    """The best ``tn / (tn + fp)`` where ``tp / (tp + fn)`` is at least `sensitivity`.

    Examples
    --------
    >>> round(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    limit = "sensitivity"

    def __init__(self, sensitivity: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype=None):
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)

    def rates(self, tp, fp, tn, fn):
        return divided(tp, tp + fn), divided(tn, tn + fp)


class PrecisionAtRecall(AtPoint):
    """The best precision where the recall is at least `recall`.

    Examples
    --------
    >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    limit = "recall"

    def __init__(self, recall: float, num_thresholds: int = 200, class_id: int | None = None, name: str | None = None,
                 dtype=None):
        super().__init__(recall, num_thresholds, class_id, name, dtype)

    def rates(self, tp, fp, tn, fn):
        return divided(tp, tp + fn), divided(tp, tp + fp)


class RecallAtPrecision(AtPoint):
    """The best recall where the precision is at least `precision`.

    Examples
    --------
    >>> RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.5
    """

    limit = "precision"

    def __init__(self, precision: float, num_thresholds: int = 200, class_id: int | None = None,
                 name: str | None = None, dtype=None):
        super().__init__(precision, num_thresholds, class_id, name, dtype)

    def rates(self, tp, fp, tn, fn):
        return divided(tp, tp + fp), divided(tp, tp + fn)
