"""Hits of predictions, one number per row: with `weighted_sum` they make an accuracy inside the program.

As in `loss`, p and t are (M,N), labels (M) int32, hits (M) floats between 0 and 1. No gradients.
"""

from __future__ import annotations

import numpy as np

from .loss import RowLoss
from .spec import register


@register
class sparse_categorical_hits(RowLoss):
    """1 where a row's largest element (the first, if there are several) stands at its label.

    Slots: hits (M); p (M,N) probabilities or logits, labels (M) int32.

    Examples
    --------
    >>> p = np.array([[0.2, 0.7, 0.1], [0.5, 0.5, 0.0]])
    >>> sparse_categorical_hits(p, np.array([1, 1], np.int32))
    array([1., 0.])
    """

    name = "sparse_categorical_hits"
    outputs = ("hits",)
    inputs = ("p", "labels")
    flops_per_element = 1

    def numpy(self, p, labels):
        return (np.argmax(p, 1) == labels).astype(p.dtype)

    def terms(self, call):
        return 0


@register
class categorical_hits(RowLoss):
    """1 where the largest elements of prediction and target stand in one column. Slots: hits (M); p, t (M,N)."""

    name = "categorical_hits"
    outputs = ("hits",)
    inputs = ("p", "t")
    flops_per_element = 2

    def numpy(self, p, t):
        return (np.argmax(p, 1) == np.argmax(t, 1)).astype(p.dtype)

    def terms(self, call):
        return 0


@register
class binary_hits(RowLoss):
    """Share of a row's elements where ``(p > threshold) == t``, as Keras: t is 0 or 1.

    Slots: hits (M); p, t (M,N).

    Examples
    --------
    >>> binary_hits(np.array([[0.2, 0.7]]), np.array([[0.0, 0.0]]))
    array([0.5])
    """

    name = "binary_hits"
    outputs = ("hits",)
    inputs = ("p", "t")
    attrs = {"threshold": 0.5}
    jumps = True
    flops_per_element = 3

    def numpy(self, p, t, threshold):
        return ((p > threshold) == t).mean(1, dtype=p.dtype)
