"""Layers that join several inputs."""

from __future__ import annotations

from typing import Any

from .. import ops
from .layer import Layer


class _Merge(Layer):
    """Takes a list of at least two tensors. A step counts in the output if it counts in any of the inputs."""

    def call(self, inputs):
        if not isinstance(inputs, list | tuple) or len(inputs) < 2:
            raise ValueError(f"{type(self).__name__} {self.name} takes a list of at least two inputs.")
        return self.merge(list(inputs))

    def compute_mask(self, inputs, previous_mask=None):
        masks = previous_mask
        if not isinstance(masks, list | tuple) or any(m is None for m in masks):
            return None
        joined = masks[0]
        for m in masks[1:]:
            joined = ops.maximum(joined, m)
        return joined


class Add(_Merge):
    """The sum of its inputs, which have one shape (or shapes that broadcast).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Add()([np.ones((1, 2)), np.ones((1, 2))])
    array([[2., 2.]], dtype=float32)
    """

    def merge(self, inputs):
        total = inputs[0]
        for x in inputs[1:]:
            try:
                total = ops.add(total, x)
            except ValueError as error:
                raise ValueError(f"Add {self.name}: {error}") from None
        return total


class Concatenate(_Merge):
    """Its inputs one after another along an axis."""

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = int(axis)

    def merge(self, inputs):
        if self.axis == 0:
            raise ValueError(f"Concatenate {self.name}: axis 0 is the batch, along which inputs can't be joined.")
        try:
            return ops.concatenate(inputs, axis=self.axis)
        except ValueError as error:
            raise ValueError(f"Concatenate {self.name}: {error}") from None

    def compute_mask(self, inputs, previous_mask=None):
        """Masks one after another as the inputs are; along the features, a step counts where it does in any input."""
        masks = previous_mask
        if not isinstance(masks, list | tuple) or all(m is None for m in masks):
            return None
        axes = next(m.ndim for m in masks if m is not None)
        masks = [ops.ones_like(ops.max(x, axis=tuple(range(axes, x.ndim)))) if m is None else m
                 for x, m in zip(inputs, masks)]
        if self.axis % inputs[0].ndim < axes:
            return ops.concatenate(masks, axis=self.axis % inputs[0].ndim)
        return super().compute_mask(inputs, masks)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


def add(inputs, **kwargs):
    """`Add` as a function of a list."""
    return Add(**kwargs)(inputs)


def concatenate(inputs, axis: int = -1, **kwargs):
    """`Concatenate` as a function of a list."""
    return Concatenate(axis=axis, **kwargs)(inputs)
