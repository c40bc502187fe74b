"""Layers that normalise each sample by its own statistics: training and inference are the same."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..kernels.norm import row_norm
from .layer import Layer
from .named_weights import NamedWeights


class _PerSample(NamedWeights):
    """Base: arguments of the layers below."""

    def __init__(self, epsilon: float, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(epsilon, bool | str) or not 0 < epsilon < math.inf:
            raise ValueError(f"{type(self).__name__} {self.name}: epsilon is {epsilon!r}; a positive number is wanted.")
        self.epsilon = float(epsilon)

    def _axes(self, shape) -> tuple[int, ...]:
        """The layer's `axis` counted from the front, without the batch."""
        return sample_axes(self, self.axis, shape)

    def _check_axis(self, axis) -> int | list[int]:
        many = isinstance(axis, list | tuple)
        if not all(isinstance(a, int | np.integer) and not isinstance(a, bool) for a in (axis if many else [axis])):
            raise TypeError(f"{type(self).__name__} {self.name}: axis is {axis!r}; a whole number or a list of them is "
                            "wanted.")
        if 0 in (axis if many else [axis]):
            raise ValueError(f"{type(self).__name__} {self.name}: axis is {axis!r}, but axis 0 is the batch.")
        return [int(a) for a in axis] if many else int(axis)


def sample_axes(layer: Layer, axis, shape) -> tuple[int, ...]:
    """Axes of a batch counted from the front and sorted; the batch itself is refused."""
    given = axis if isinstance(axis, list | tuple) else [axis]
    for a in given:
        if not -len(shape) <= a < len(shape) or a % len(shape) == 0:
            raise ValueError(f"{type(layer).__name__} {layer.name}: axis is {axis}; the shape {tuple(shape)} has the "
                             f"axes 1 to {len(shape) - 1} beside its batch.")
    found = sorted({a % len(shape) for a in given})
    if len(found) < len(given) or not found:
        raise ValueError(f"{type(layer).__name__} {layer.name}: axis is {axis}; different axes are wanted.")
    return tuple(found)


def along(x, axes: tuple[int, ...], gamma, beta, kind: str, epsilon: float):
    """`row_norm` over some axes of x, which are brought to the end and back where they are not there."""
    rest = [i for i in range(len(x.shape)) if i not in axes]
    perm = [*rest, *axes]
    moved = ops.transpose(x, perm)
    size = math.prod(x.shape[i] for i in axes)
    gamma, beta = (None if w is None else x.graph.tensor(w).reshape(size) for w in (gamma, beta))
    y = row_norm(moved.reshape(-1, size), gamma, beta, kind=kind, epsilon=epsilon)[0].reshape(moved.shape)
    return ops.transpose(y, [perm.index(i) for i in range(len(perm))])


def over_features(layer) -> bool:
    """Whether the layer's `axis` is the last one alone: each step of a sequence by itself."""
    return layer.axis in (-1, [-1])


class LayerNormalization(_PerSample):
    """Normalise each sample over its features, then scale and shift it.

    ``y = gamma * (x - mean) / sqrt(var + epsilon) + beta`` with mean and (biased) variance over `axis`, for each
    sample alone.

    Parameters
    ----------
    axis : the axis, or a list of axes, to normalise over; not the batch.
    epsilon : inside the root. 1e-3 as in Keras; PyTorch has 1e-5.
    center, scale : whether there is a beta, a gamma (with the shape of these axes).
    beta_initializer, gamma_initializer, beta_regularizer ... : of these weights, as for Dense.

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.LayerNormalization()(np.array([[1.0, 3.0], [0.0, 0.0]])).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """

    stepwise = property(over_features)
    supports_masking = True

    weight_names = {"gamma": "ones", "beta": "zeros"}

    def __init__(self, axis=-1, epsilon: float = 1e-3, center: bool = True, scale: bool = True, **kwargs: Any):
        super().__init__(epsilon, **kwargs)
        self.axis, self.center, self.scale = self._check_axis(axis), bool(center), bool(scale)

    def build(self, input_shape) -> None:
        shape = tuple(input_shape[a] for a in self._axes(input_shape))
        if self.scale:
            self._add("gamma", shape)
        if self.center:
            self._add("beta", shape)

    def call(self, x):
        axes = self._axes(x.shape)
        weight = self.gamma if self.gamma is not None else self.beta
        if weight is not None and weight.shape != tuple(x.shape[a] for a in axes):
            raise ValueError(f"{type(self).__name__} {self.name} was built for features of shape {weight.shape}; got "
                             f"the shape {x.shape}.")
        return along(x, axes, self.gamma, self.beta, "layer", self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon, "center": self.center,
                "scale": self.scale}


class RMSNormalization(_PerSample):
    """Divide each sample by its root mean square, then scale it: ``y = scale * x / sqrt(mean(x**2) + epsilon)``.

    Parameters
    ----------
    axis : the axis, or a list of axes, that the mean is over; not the batch.
    epsilon : inside the root.

    References
    ----------
    Zhang & Sennrich (2019), Root mean square layer normalization, arXiv:1910.07467.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.RMSNormalization()(np.array([[3.0, 4.0]])).round(4)
    array([[0.8485, 1.1314]], dtype=float32)
    """

    stepwise = property(over_features)
    supports_masking = True

    weight_names = {"scale": "ones"}
    only_made = True

    def __init__(self, axis=-1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(epsilon, **kwargs)
        self.axis = self._check_axis(axis)

    def build(self, input_shape) -> None:
        self._add("scale", tuple(input_shape[a] for a in self._axes(input_shape)))

    def call(self, x):
        axes = self._axes(x.shape)
        if self.scale.shape != tuple(x.shape[a] for a in axes):
            raise ValueError(f"RMSNormalization {self.name} was built for features of shape {self.scale.shape}; got "
                             f"the shape {x.shape}.")
        return along(x, axes, self.scale, None, "rms", self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}


class UnitNormalization(Layer):
    """Divide each sample by its Euclidean norm: ``y = x / sqrt(sum(x**2))``, 0 for a sample of zeros.

    Parameters
    ----------
    axis : the axis, or a list of axes, that the sum is over; not the batch.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.UnitNormalization()(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]], dtype=float32)
    """

    stepwise = property(over_features)
    supports_masking = True

    def __init__(self, axis=-1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = _PerSample._check_axis(self, axis)

    def call(self, x):
        return along(x, sample_axes(self, self.axis, x.shape), None, None, "unit", 1e-24)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


class GroupNormalization(_PerSample):
    """Normalise each sample over groups of its channels (and over all places), then scale and shift each channel.

    ``y = gamma * (x - mean) / sqrt(var + epsilon) + beta`` with mean and variance of one group of one sample. With one
    group for each channel this is instance normalisation, with a single one layer normalisation whose gamma and beta
    belong to channels.

    Parameters
    ----------
    groups : into how many groups the channels are parted, which must come out even; -1: one for each channel.
    axis : the channels' axis.
    epsilon : inside the root. 1e-3 as in Keras; PyTorch has 1e-5.
    center, scale : whether there is a beta, a gamma.
    beta_initializer, gamma_initializer, beta_regularizer ... : of these weights, as for Dense.

    References
    ----------
    Wu & He (2018), Group normalization, arXiv:1803.08494.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.GroupNormalization(2)(np.array([[1.0, 3.0, 10.0, 30.0]])).round(3)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    supports_masking = True

    weight_names = {"gamma": "ones", "beta": "zeros"}

    def __init__(self, groups: int = 32, axis: int = -1, epsilon: float = 1e-3, center: bool = True,
                 scale: bool = True, **kwargs: Any):
        super().__init__(epsilon, **kwargs)
        if isinstance(groups, bool) or not isinstance(groups, int | np.integer) or groups < 1 and groups != -1:
            raise ValueError(f"GroupNormalization {self.name}: groups is {groups!r}; a positive whole number is "
                             "wanted, or -1 for one group for each channel.")
        self.groups, self.axis = int(groups), self._check_axis(axis)
        if isinstance(self.axis, list):
            raise TypeError(f"GroupNormalization {self.name}: axis is {axis!r}; one whole number is wanted.")
        self.center, self.scale = bool(center), bool(scale)

    def _parts(self, shape) -> tuple[int, int, int]:
        """(the channels' axis, groups, channels of a group)."""
        (axis,) = self._axes(shape)
        groups = shape[axis] if self.groups == -1 else self.groups
        if shape[axis] % groups:
            raise ValueError(f"GroupNormalization {self.name}: {shape[axis]} channels can't be parted into {groups} "
                             "groups of one size.")
        return axis, groups, shape[axis] // groups

    def build(self, input_shape) -> None:
        axis, _, _ = self._parts(input_shape)
        if self.scale:
            self._add("gamma", (input_shape[axis],))
        if self.center:
            self._add("beta", (input_shape[axis],))

    def call(self, x):
        axis, groups, width = self._parts(x.shape)
        weight = self.gamma if self.gamma is not None else self.beta
        if weight is not None and weight.shape != (x.shape[axis],):
            raise ValueError(f"GroupNormalization {self.name} was built for {weight.shape[0]} channels; got the shape "
                             f"{x.shape}.")
        if len(x.shape) == 2:  # no places: a row of the matrix is one group of one sample
            y = row_norm(x.reshape(-1, width), self.gamma, self.beta, kind="layer", epsilon=self.epsilon)[0]
            return y.reshape(x.shape)
        perm = [0, axis, *(i for i in range(1, len(x.shape)) if i != axis)]
        moved = ops.transpose(x, perm)
        y = row_norm(moved.reshape(x.shape[0] * groups, -1), None, None, kind="layer", epsilon=self.epsilon)[0]
        y = ops.transpose(y.reshape(moved.shape), [perm.index(i) for i in range(len(perm))])
        channels = [n if i == axis else 1 for i, n in enumerate(x.shape)]
        if self.gamma is not None:
            y = y * x.graph.tensor(self.gamma).reshape(channels)
        return y if self.beta is None else y + x.graph.tensor(self.beta).reshape(channels)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "groups": self.groups, "axis": self.axis, "epsilon": self.epsilon,
                "center": self.center, "scale": self.scale}
