"""Layers that join several inputs, and each as a function of a list."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from .layer import Layer
from .row_normalization import along


class _Merge(Layer):
    """Takes a list of at least two tensors. A step counts in the output if it counts in any of the inputs."""

    stepwise = True

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.built = True

    def call(self, inputs):
        if not isinstance(inputs, list | tuple) or len(inputs) < 2:
            raise ValueError(f"{type(self).__name__} {self.name} takes a list of at least two inputs.")
        try:
            return self.merge(list(inputs))
        except ValueError as error:
            told = str(error).startswith(type(self).__name__)
            raise ValueError(str(error) if told else f"{type(self).__name__} {self.name}: {error}") from None

    def merge(self, inputs):
        """What comes of the inputs, one after another where a subclass says no more than `pair`."""
        total = inputs[0]
        for x in inputs[1:]:
            total = type(self).pair(total, x)
        return total

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

    pair = staticmethod(ops.add)


class Subtract(_Merge):
    """The first of two inputs minus the second.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Subtract()([np.ones((1, 2)), np.array([[0.0, 3.0]])])
    array([[ 1., -2.]], dtype=float32)
    """

    pair = staticmethod(ops.subtract)

    def merge(self, inputs):
        if len(inputs) != 2:
            raise ValueError(f"Subtract {self.name} takes two inputs; got {len(inputs)}.")
        return super().merge(inputs)


class Multiply(_Merge):
    """The product of its inputs, element by element.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Multiply()([np.array([[2.0, 3.0]])] * 3)
    array([[ 8., 27.]], dtype=float32)
    """

    pair = staticmethod(ops.multiply)


class Average(Add):
    """The mean of its inputs, element by element.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Average()([np.array([[2.0, 3.0]]), np.array([[4.0, 4.0]])])
    array([[3. , 3.5]], dtype=float32)
    """

    def merge(self, inputs):
        return ops.multiply(super().merge(inputs), 1 / len(inputs))


class Maximum(_Merge):
    """The largest of its inputs, element by element; where two are equal the gradient goes to the first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Maximum()([np.array([[2.0, 3.0]]), np.array([[4.0, 1.0]])])
    array([[4., 3.]], dtype=float32)
    """

    pair = staticmethod(ops.maximum)


class Minimum(_Merge):
    """The smallest of its inputs, element by element; where two are equal the gradient goes to the first.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Minimum()([np.array([[2.0, 3.0]]), np.array([[4.0, 1.0]])])
    array([[2., 1.]], dtype=float32)
    """

    pair = staticmethod(ops.minimum)


class Concatenate(_Merge):
    """Its inputs one after another along an axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Concatenate()([np.zeros((1, 2)), np.ones((1, 1))])
    array([[0., 0., 1.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or axis == 0:
            raise ValueError(f"Concatenate {self.name}: axis is {axis!r}; a whole number is wanted, and axis 0 is the "
                             "batch, along which inputs can't be joined.")
        self.axis = int(axis)

    @property
    def stepwise(self) -> bool:
        """Along the features, each step by itself."""
        return self.axis == -1

    def merge(self, inputs):
        if self.axis == -len(inputs[0].shape):
            raise ValueError(f"Concatenate {self.name}: axis {self.axis} is the batch, along which inputs can't be "
                             "joined.")
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


class Dot(_Merge):
    """Products of two inputs' samples, summed over one axis of each.

    For samples of shapes (a, s) and (b, s) with ``axes=2`` the result has the shape (batch, a, b); for two vectors it
    is (batch, 1).

    Parameters
    ----------
    axes : the axis that is summed over, or one for each input; not the batch.
    normalize : divide each vector along these axes by its length first: the result then is the cosine of their angle.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    array([[11.]], dtype=float32)
    """

    stepwise = False

    def __init__(self, axes, normalize: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        both = [axes] * 2 if isinstance(axes, int | np.integer) else axes
        if not isinstance(both, list | tuple) or len(both) != 2 or any(
                isinstance(a, bool) or not isinstance(a, int | np.integer) for a in both):
            raise ValueError(f"Dot {self.name}: axes is {axes!r}; a whole number or two of them are wanted.")
        self.axes = int(axes) if isinstance(axes, int | np.integer) else [int(a) for a in axes]
        self.normalize = bool(normalize)

    def merge(self, inputs):
        if len(inputs) != 2:
            raise ValueError(f"Dot {self.name} takes two inputs; got {len(inputs)}.")
        axes = [self.axes] * 2 if isinstance(self.axes, int) else self.axes
        for x, a in zip(inputs, axes):
            if not -len(x.shape) < a < len(x.shape) or a == 0:
                raise ValueError(f"Dot {self.name}: axes is {self.axes}; the shape {x.shape} has the axes 1 to "
                                 f"{len(x.shape) - 1} beside its batch.")
        (x, y), (a, b) = inputs, [a % len(x.shape) for x, a in zip(inputs, axes)]
        if x.shape[a] != y.shape[b] or x.shape[0] != y.shape[0]:
            raise ValueError(f"Dot {self.name}: axis {a} of {x.shape} and axis {b} of {y.shape} differ in length.")
        if self.normalize:
            x, y = (along(v, (k,), None, None, "unit", 1e-24) for v, k in ((x, a), (y, b)))
        left, right = ([v.shape[i] for i in range(1, len(v.shape)) if i != k] for v, k in ((x, a), (y, b)))
        x, y = ops.moveaxis(x, a, -1), ops.moveaxis(y, b, 1)
        n = x.shape[-1]
        z = ops.matmul(x.reshape(x.shape[0], -1, n), y.reshape(y.shape[0], n, -1))
        return z.reshape(z.shape[0], *(left + right or [1]))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axes": self.axes, "normalize": self.normalize}


def add(inputs, **kwargs):
    """`Add` as a function of a list."""
    return Add(**kwargs)(inputs)


def subtract(inputs, **kwargs):
    """`Subtract` as a function of a list."""
    return Subtract(**kwargs)(inputs)


def multiply(inputs, **kwargs):
    """`Multiply` as a function of a list."""
    return Multiply(**kwargs)(inputs)


def average(inputs, **kwargs):
    """`Average` as a function of a list."""
    return Average(**kwargs)(inputs)


def maximum(inputs, **kwargs):
    """`Maximum` as a function of a list."""
    return Maximum(**kwargs)(inputs)


def minimum(inputs, **kwargs):
    """`Minimum` as a function of a list."""
    return Minimum(**kwargs)(inputs)


def concatenate(inputs, axis: int = -1, **kwargs):
    """`Concatenate` as a function of a list."""
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs, axes=-1, **kwargs):
    """`Dot` as a function of a list."""
    return Dot(axes=axes, **kwargs)(inputs)
