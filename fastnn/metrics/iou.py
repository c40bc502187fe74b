"""Intersection over union: how far the regions of classes overlap, from the matrix of all confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import checks, ops
from ..losses.losses import last_axis
from ..losses.shapes import weights_for
from ..program.graph import Tensor
from .tally import Tally


class IoU(Tally):
    """``true positives / (true positives + false positives + false negatives)``, the mean over the target classes.

    Classes that are neither there nor predicted don't count.

    Parameters
    ----------
    num_classes : how many classes there are; rows with a target or prediction beyond them don't count.
    target_class_ids : the classes whose mean is taken.
    ignore_class : rows with this target don't count.
    sparse_y_true, sparse_y_pred : whether targets and predictions are class numbers, and not one-hot or probabilities
        along the last axis, of which the largest counts (the first, if there are several).

    Examples
    --------
    >>> round(IoU(2, [0])([0, 0, 1, 1], [0, 1, 0, 1]), 4)       # 1 / (1 + 1 + 1)
    0.3333
    """

    def __init__(self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype=None,
                 ignore_class: int | None = None, sparse_y_true: bool = True, sparse_y_pred: bool = True,
                 axis: int = -1):
        super().__init__(name, None if str(dtype) in ("int", "int32") else dtype)  # as Keras writes it
        last_axis(self.name, axis)
        if checks.count(self.name, "num_classes", num_classes) < 1:
            raise ValueError(f"{self.name}: num_classes must be above 0; got {num_classes!r}.")
        self.num_classes = int(num_classes)
        self.target_class_ids = [checks.count(self.name, "a target class", c) for c in target_class_ids]
        if not self.target_class_ids or max(self.target_class_ids) >= self.num_classes:
            raise ValueError(f"{self.name}: target_class_ids must be classes from 0 to {num_classes - 1}; got "
                             f"{list(target_class_ids)}.")
        self.left_out = ignore_class
        self.sparse_y_true, self.sparse_y_pred = bool(sparse_y_true), bool(sparse_y_pred)

    def tally(self, y_true: Tensor, y_pred: Tensor, weights: Tensor | None) -> Sequence[Tensor]:
        t = y_true if self.sparse_y_true else largest(y_true)
        p = self.decided(y_pred if self.sparse_y_pred else largest(y_pred))
        if t.size != p.size:
            raise ValueError(f"{self.name}: y_true has shape {y_true.shape} and y_pred {y_pred.shape}, which are not "
                             "equally many classes.")
        if weights is not None:
            weights = ops.ones_like(t) * weights_for(self.name, weights, t.shape)
        rows = one_hot(t, self.num_classes)
        if self.left_out is not None:
            rows = ops.where(t.reshape(t.size, 1) - float(self.left_out), rows, 0.0)
        if weights is not None:
            rows = rows * weights.reshape(t.size, 1)
        return [ops.matmul(ops.transpose(rows), one_hot(p, self.num_classes))]

    def decided(self, y: Tensor) -> Tensor:
        """Predicted class numbers."""
        return y

    def value(self, total: np.ndarray) -> float:
        matrix = total.reshape(self.num_classes, self.num_classes)
        both = np.diag(matrix)
        either = matrix.sum(0) + matrix.sum(1) - both
        both, either = both[self.target_class_ids], either[self.target_class_ids]
        there = either > 1e-9
        return np.where(there, both / (either + 1e-7), 0.0).sum() / (there.sum() + 1e-7)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "target_class_ids": self.target_class_ids,
                "ignore_class": self.left_out, "sparse_y_true": self.sparse_y_true,
                "sparse_y_pred": self.sparse_y_pred}


def largest(x: Tensor) -> Tensor:
    """The place of the first largest number along the last axis, as a float."""
    places = x.graph.constant(np.arange(x.shape[-1], 0, -1), x.dtype)
    top = ops.where(ops.less(x, ops.max(x, axis=-1, keepdims=True)), 0.0, places)
    return x.shape[-1] - ops.max(top, axis=-1)


def one_hot(numbers: Tensor, classes: int) -> Tensor:
    """Rows with 1 at each of these class numbers (floats); 0 everywhere for one that is no class."""
    places = numbers.graph.constant(np.arange(classes), numbers.dtype)
    off = numbers.reshape(numbers.size, 1) - places.reshape(1, classes)
    return ops.where(off, 0.0, ops.ones_like(off))


class MeanIoU(IoU):
    """`IoU` as the mean over all classes.

    Examples
    --------
    >>> round(MeanIoU(2)([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype=None, ignore_class: int | None = None,
                 sparse_y_true: bool = True, sparse_y_pred: bool = True, axis: int = -1):
        super().__init__(num_classes, range(checks.count("MeanIoU", "num_classes", num_classes)), name, dtype,
                         ignore_class, sparse_y_true, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "target_class_ids"}


class BinaryIoU(IoU):
    """`IoU` of predictions that are yes from a threshold on, for classes 0 and 1.

    Examples
    --------
    >>> round(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
    0.3333
    """

    def __init__(self, target_class_ids: Sequence[int] = (0, 1), threshold: float = 0.5, name: str | None = None,
                 dtype=None):
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = checks.number(self.name, "threshold", threshold)

    def decided(self, y: Tensor) -> Tensor:
        return ops.where(ops.less(y, self.threshold), 0.0, ops.ones_like(y))

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "target_class_ids": self.target_class_ids, "threshold": self.threshold}


class OneHotIoU(IoU):
    """`IoU` of one-hot targets and probabilities.

    Examples
    --------
    >>> round(OneHotIoU(2, [0])([[1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), 4)
    0.5
    """

    def __init__(self, num_classes: int, target_class_ids: Sequence[int], name: str | None = None, dtype=None,
                 ignore_class: int | None = None, sparse_y_pred: bool = False, axis: int = -1):
        super().__init__(num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "sparse_y_true"}


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets and probabilities.

    Examples
    --------
    >>> round(OneHotMeanIoU(2)([[1, 0], [1, 0], [0, 1]], [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]), 4)
    0.5
    """

    def __init__(self, num_classes: int, name: str | None = None, dtype=None, ignore_class: int | None = None,
                 sparse_y_pred: bool = False, axis: int = -1):
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        return {k: v for k, v in super().get_config().items() if k != "sparse_y_true"}
