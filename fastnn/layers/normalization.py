"""Batch normalisation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import checks, ops
from ..kernels.norm import batch_norm, batch_norm_inference
from .named_weights import NamedWeights


class BatchNormalization(NamedWeights):
    """Normalise each feature over the batch, then scale and shift it.

    In training ``y = gamma * (x - mean) / sqrt(var + epsilon) + beta`` with the batch's mean and
    (biased) variance, and ``moving = momentum * moving + (1 - momentum) * batch``; in inference, and
    while the layer is frozen (``trainable = False``), with the moving averages.

    Parameters
    ----------
    axis : the features' axis; -1 (the last) is supported.
    momentum : of the moving averages; 1 minus what PyTorch calls momentum.
    epsilon : inside the root. 1e-3 as in Keras; PyTorch has 1e-5.
    center, scale : whether there is a beta, a gamma.
    beta_initializer, gamma_initializer, beta_regularizer ... : of the weights, as for Dense.
    unbiased_moving_variance : multiply the batch variance by n/(n-1) before averaging it, as the
        paper's Algorithm 2 and PyTorch do; Keras does not.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization, arXiv:1502.03167.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.BatchNormalization()
    >>> layer(np.array([[1.0], [3.0]]), training=True).round(3)
    array([[-1.],
           [ 1.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    weight_names = {"beta": "zeros", "gamma": "ones", "moving_mean": "zeros", "moving_variance": "ones"}

    def __init__(self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
                 scale: bool = True, unbiased_moving_variance: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        who = f"BatchNormalization {self.name}"
        if isinstance(axis, bool) or not isinstance(axis, int | np.integer) or axis == 0:
            raise ValueError(f"{who}: axis is {axis!r}; a whole number is wanted, and axis 0 is the batch.")
        if isinstance(momentum, bool | str) or not 0 <= momentum <= 1:
            raise ValueError(f"{who}: momentum is {momentum!r}; a number in [0, 1] is wanted.")
        if isinstance(epsilon, bool | str) or not 0 < epsilon < math.inf:
            raise ValueError(f"{who}: epsilon is {epsilon!r}; a positive number is wanted.")
        self.axis, self.momentum, self.epsilon = int(axis), float(momentum), float(epsilon)
        self.center, self.scale = checks.flag(who, "center", center), checks.flag(who, "scale", scale)
        self.unbiased_moving_variance = checks.flag(who, "unbiased_moving_variance", unbiased_moving_variance)

    def build(self, input_shape) -> None:
        if len(input_shape) < 2:
            raise ValueError(f"BatchNormalization {self.name} wants samples with at least one axis; "
                             f"got the shape {input_shape}.")
        if self.axis not in (-1, len(input_shape) - 1):
            raise ValueError(f"BatchNormalization {self.name}: axis is {self.axis}; only the last axis of "
                             f"{input_shape} can hold the features.")
        n = (input_shape[-1],)
        if self.scale:
            self._add("gamma", n)
        if self.center:
            self._add("beta", n)
        self._add("moving_mean", n, trainable=False)
        self._add("moving_variance", n, trainable=False)

    def call(self, x, training=False, mask=None):
        if x.shape[-1] != self.moving_mean.shape[0]:
            raise ValueError(f"BatchNormalization {self.name} was built for {self.moving_mean.shape[0]} features; "
                             f"got the shape {x.shape}.")
        rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
        frozen = getattr(x.graph, "frozen", None)
        trains = training and (self.trainable if frozen is None else id(self) not in frozen)
        if trains and mask is not None:
            y = self._masked(rows, mask.reshape(mask.size, 1))
        elif trains:
            y = batch_norm(rows, self.gamma, self.beta, self.moving_mean, self.moving_variance,
                           momentum=self.momentum, epsilon=self.epsilon,
                           unbiased_moving_variance=float(self.unbiased_moving_variance))[0]
        else:
            y = batch_norm_inference(rows, self.gamma, self.beta, self.moving_mean, self.moving_variance,
                                     epsilon=self.epsilon)
        return y.reshape(x.shape)

    def _masked(self, rows, mask):
        """`batch_norm` over the rows that the mask leaves, in single operations."""
        if mask.shape[0] != rows.shape[0]:
            raise ValueError(f"BatchNormalization {self.name}: the mask holds {mask.shape[0]} values for "
                             f"{rows.shape[0]} rows.")
        count = ops.sum(mask) + 1e-7
        mean = ops.sum(rows * mask, axis=0) / count
        off = rows - mean
        variance = ops.sum(ops.square(off) * mask, axis=0) / count
        y = off * ops.rsqrt(variance + self.epsilon)
        y = y * self.gamma if self.scale else y
        unbiased = variance * (count / ops.maximum(count - 1.0, 1.0)) if self.unbiased_moving_variance else variance
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, unbiased)):
            rows.graph.assign(moving, rows.graph.tensor(moving) * self.momentum + new * (1 - self.momentum))
        return y + self.beta if self.center else y

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in ("moving_mean", "moving_variance"):  # Keras has no such arguments for what is not trained
            del config[f"{name}_regularizer"], config[f"{name}_constraint"]
        return {**config, "axis": self.axis, "momentum": self.momentum, "epsilon": self.epsilon,
                "center": self.center, "scale": self.scale, "unbiased_moving_variance": self.unbiased_moving_variance}
