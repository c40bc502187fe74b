"""Activations with numbers or weights of their own, as layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..activations.elementwise import _number
from ..kernels.activation import prelu
from .layer import Layer
from .named_weights import NamedWeights


class ReLU(Layer):
    """min(x, max_value) where x > threshold, else negative_slope (x - threshold): max(x, 0) by default.

    Parameters
    ----------
    max_value : the largest value, at least 0; None for no limit.
    negative_slope, threshold : at least 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.ReLU(max_value=8.0, negative_slope=0.5)(np.array([[-10.0, 0.0, 5.0, 10.0]]))
    array([[-5.,  0.,  5.,  8.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0,
                 **kwargs: Any):
        super().__init__(**kwargs)
        who = f"ReLU {self.name}"
        self.max_value = None if max_value is None else _number(who, "max_value", max_value, 0)
        self.negative_slope = _number(who, "negative_slope", negative_slope, 0)
        self.threshold = _number(who, "threshold", threshold, 0)

    def call(self, x):
        return ops.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_value": self.max_value, "negative_slope": self.negative_slope,
                "threshold": self.threshold}


class LeakyReLU(Layer):
    """x where x > 0, else negative_slope x.

    Parameters
    ----------
    negative_slope : at least 0; 0.3 as in Keras's layer, where the function `leaky_relu` has 0.2 and PyTorch 0.01.

    References
    ----------
    Maas, Hannun & Ng (2013), Rectifier nonlinearities improve neural network acoustic models.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.LeakyReLU(0.5)(np.array([[-10.0, 5.0]]))
    array([[-5.,  5.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        super().__init__(**kwargs)
        self.negative_slope = _number(f"LeakyReLU {self.name}", "negative_slope", negative_slope, 0)

    def call(self, x):
        return ops.leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


class ELU(Layer):
    """x where x > 0, else alpha (exp(x) - 1).

    Parameters
    ----------
    alpha : at least 0.

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2016), arXiv:1511.07289.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.ELU(2.0)(np.array([[-np.log(2), 3.0]]))
    array([[-1.,  3.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = _number(f"ELU {self.name}", "alpha", alpha, 0)

    def call(self, x):
        return ops.elu(x, self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


class PReLU(NamedWeights):
    """x where x > 0, else alpha x, alpha learned: one for each element of a sample, or shared along axes.

    Parameters
    ----------
    alpha_initializer : zeros as in Keras; the paper and PyTorch begin with 0.25.
    alpha_regularizer, alpha_constraint : see `fastnn.regularizers` and `fastnn.constraints`.
    shared_axes : axes (from 1 on) along which one alpha serves all; ``[1, 2]`` for one for each channel of images.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852, eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import initializers, layers
    >>> layers.PReLU(initializers.Constant(0.25))(np.array([[-4.0, 5.0]]))
    array([[-1.,  5.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    weight_names = {"alpha": "zeros"}

    def __init__(self, alpha_initializer="zeros", alpha_regularizer=None, alpha_constraint=None, shared_axes=None,
                 **kwargs: Any):
        super().__init__(alpha_initializer=alpha_initializer, alpha_regularizer=alpha_regularizer,
                         alpha_constraint=alpha_constraint, **kwargs)
        given = shared_axes if isinstance(shared_axes, list | tuple) or shared_axes is None else [shared_axes]
        for axis in given or ():
            if isinstance(axis, bool) or not isinstance(axis, int) or axis < 1:
                raise ValueError(f"PReLU {self.name}: shared_axes is {shared_axes!r}; whole numbers from 1 on are "
                                 "wanted (axis 0 is the batch).")
        self.shared_axes = None if given is None else list(given)

    def build(self, input_shape) -> None:
        shape = [*input_shape[1:]]
        for axis in self.shared_axes or ():
            if axis > len(shape):
                raise ValueError(f"PReLU {self.name}: there is no axis {axis} to share in the shape {input_shape}.")
            shape[axis - 1] = 1
        self._add("alpha", tuple(shape))

    def call(self, x):
        shape, own = x.shape, tuple(self.alpha.shape)
        if len(own) != len(shape) - 1 or any(a not in (1, n) for a, n in zip(own, shape[1:])):
            raise ValueError(f"PReLU {self.name} was built for alphas of shape {own}; got inputs of shape {shape}.")
        first = next((i for i, a in enumerate(own) if a != 1), len(own) - 1)
        if own[first:] == tuple(shape[1 + first:]) and own:  # shared along leading axes at most: rows of one length
            columns = math.prod(own)
            return prelu(x.reshape(-1, columns), ops.reshape(self.alpha, (columns,))).reshape(*shape)
        return ops.relu(x) + self.alpha * ops.minimum(x, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "shared_axes": self.shared_axes}


class Softmax(Layer):
    """exp(x) over its sum along an axis, or several.

    Parameters
    ----------
    axis : whole number, or a list of them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Softmax()(np.array([[0.0, np.log(3)]]))
    array([[0.25, 0.75]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis=-1, **kwargs: Any):
        super().__init__(**kwargs)
        for a in axis if isinstance(axis, list | tuple) else [axis]:
            if isinstance(a, bool) or not isinstance(a, int) or a == 0:
                raise ValueError(f"Softmax {self.name}: axis is {axis!r}; a whole number or a list of them is wanted, "
                                 "and axis 0 is the batch.")
        self.axis = list(axis) if isinstance(axis, list | tuple) else axis

    @property
    def stepwise(self) -> bool:
        """Over the features alone, each step by itself."""
        return self.axis in (-1, [-1])

    def call(self, x, mask=None):
        """Softmax of x; where a `mask` of its shape (or one that broadcasts to it) is 0 the result is 0."""
        if mask is not None and not (mask.ndim < x.ndim and mask.shape == x.shape[: mask.ndim]):  # not one of steps
            x = ops.where(ops.broadcast_to(mask, x.shape), x, float(np.finfo(np.float32).min) / 2)
        for a in self.axis if isinstance(self.axis, list) else [self.axis]:
            if not -len(x.shape) < a < len(x.shape):
                raise ValueError(f"Softmax {self.name}: there is no axis {a} for it in inputs of shape {x.shape}.")
        return ops.softmax(x, self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}
