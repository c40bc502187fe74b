"""Masking: where the mask of a sequence begins."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from .layer import Layer


class Masking(Layer):
    """Hides the steps of sequences in which all features are `mask_value`: padding that is not to count.

    Those steps come out as 0 and get a mask, which layers behind hand on: recurrent layers carry their state over
    them, attention does not look at them, and the loss and the metrics leave them out.

    Parameters
    ----------
    mask_value : what stands in the steps that are left out.

    Notes
    -----
    Input and output (batch, steps, ...), the mask (batch, steps, ...) without the last axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> x = np.array([[[1.0], [2.0], [-1.0]]])  # one sequence of two steps and one of padding
    >>> layers.Masking(-1.0)(x)[0, :, 0]
    array([1., 2., 0.], dtype=float32)
    """

    def __init__(self, mask_value: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(mask_value, bool) or not isinstance(mask_value, int | float | np.number) or not math.isfinite(
                mask_value):
            raise ValueError(f"Masking {self.name}: mask_value is {mask_value!r}; a finite number is wanted.")
        self.mask_value = float(mask_value)
        self.built = True

    def compute_mask(self, inputs, previous_mask=None):
        return ops.max(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, x):
        if x.ndim < 2:
            raise ValueError(f"Masking {self.name} wants sequences (batch, steps, ...); got the shape {x.shape}.")
        kept = ops.max(ops.not_equal(x, self.mask_value), axis=-1, keepdims=True)
        y = ops.where(kept, x, 0.0)
        y.mask = ops.reshape(kept, x.shape[:-1])
        return y

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
