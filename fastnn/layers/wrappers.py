"""Layers around a layer, which compute with another kernel than the one that is stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import initializers, ops
from .layer import Layer

EPSILON = 1e-12  #: the least norm that is divided by


class Wrapper(Layer):
    """Base: holds a layer as ``layer``; a subclass writes `weight`, the kernel that the layer computes with.

    Parameters
    ----------
    layer : a layer with a ``kernel``, such as `Dense`.
    """

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"{type(self).__name__} {self.name} wraps a layer; got {layer!r}.")
        self.layer = layer

    def build(self, input_shape) -> None:
        if not self.layer.built:
            self.layer._build(input_shape)
        if getattr(self.layer, "kernel", None) is None:
            raise ValueError(f"{type(self).__name__} {self.name}: {type(self.layer).__name__} {self.layer.name} has no "
                             "kernel to be normalised.")

    def weight(self, kernel, training: bool):
        """What stands in the kernel's place, a tensor of its shape."""
        raise NotImplementedError(f"{type(self).__name__} must override weight(self, kernel, training).")

    def call(self, x, training=False):
        stored = self.layer.kernel
        try:
            self.layer.kernel = self.weight(x.graph.tensor(stored), training)
            return self.layer(x, training=training)
        finally:
            self.layer.kernel = stored

    def get_config(self) -> dict[str, Any]:
        from . import serialize

        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Wrapper:
        from . import deserialize

        return cls(**{**config, "layer": deserialize(config["layer"], custom_objects=custom_objects)})


def normalized(x):
    """x over its Euclidean norm."""
    return x / ops.sqrt(ops.clip(ops.sum(ops.square(x)), EPSILON**2, np.inf))


class WeightNormalization(Wrapper):
    """Parts each unit's weights into a length and a direction that are trained apart: ``w = g * v / norm(v)``.

    v is the wrapped layer's kernel, g holds one number for each of its columns and starts as their norms, so that
    wrapping changes no output.

    Parameters
    ----------
    layer : a layer with a ``kernel``, such as `Dense`.

    References
    ----------
    Salimans & Kingma (2016), Weight normalization, arXiv:1602.07868, equation 2. (Keras 3 has no such layer; PyTorch
    has ``torch.nn.utils.parametrizations.weight_norm``.)

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.WeightNormalization(layers.Dense(2, kernel_initializer="ones"))
    >>> layer(np.ones((1, 4)))
    array([[4., 4.]], dtype=float32)
    >>> layer.g.numpy()
    array([2., 2.], dtype=float32)
    """

    def build(self, input_shape) -> None:
        super().build(input_shape)
        kernel = self.layer.kernel.numpy().astype(np.float64)
        norms = np.sqrt(np.square(kernel).sum(tuple(range(kernel.ndim - 1))))
        self.g = self.add_weight(norms.shape, norms, name="g")

    def weight(self, kernel, training: bool):
        squares = ops.sum(ops.square(kernel), axis=tuple(range(kernel.ndim - 1)), keepdims=True)
        return kernel * (kernel.graph.tensor(self.g) / ops.sqrt(ops.clip(squares, EPSILON**2, np.inf)))


class SpectralNormalization(Wrapper):
    """Divides the kernel by its largest singular value, so that the layer stretches no input by more than 1.

    The singular vector u is kept, and each training step goes on with it by a few turns of power iteration:
    ``v = W u / norm(W u)``, ``u = W' v / norm(W' v)``, ``sigma = v' W u``. Gradients pass through sigma, with u and v
    held. The stored kernel stays as the optimizer has it, as in the paper and in PyTorch; Keras overwrites it by the
    normalised one.

    Parameters
    ----------
    layer : a layer with a ``kernel``, such as `Dense`.
    power_iterations : turns in each training step.

    References
    ----------
    Miyato et al. (2018), Spectral normalization for generative adversarial networks, arXiv:1802.05957.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.SpectralNormalization(layers.Dense(2, kernel_initializer="identity", use_bias=False))
    >>> layer(np.array([[3.0, 4.0]]), training=True).round(3)
    array([[3., 4.]], dtype=float32)
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Any):
        super().__init__(layer, **kwargs)
        if isinstance(power_iterations, bool) or not isinstance(power_iterations, int | np.integer) \
                or power_iterations < 1:
            raise ValueError(f"SpectralNormalization {self.name}: power_iterations is {power_iterations!r}; a positive "
                             "whole number is wanted.")
        self.power_iterations = int(power_iterations)

    def build(self, input_shape) -> None:
        super().build(input_shape)
        self.vector_u = self.add_weight((1, self.layer.kernel.shape[-1]), initializers.TruncatedNormal(stddev=0.02),
                                        trainable=False, name="vector_u")

    def weight(self, kernel, training: bool):
        matrix = kernel.reshape(-1, kernel.shape[-1])
        held, u = ops.stop_gradient(matrix), kernel.graph.tensor(self.vector_u)
        turns = self.power_iterations if training else 0
        v = normalized(ops.matmul(u, ops.transpose(held)))
        for _ in range(turns):
            u = normalized(ops.matmul(v, held))
            v = normalized(ops.matmul(u, ops.transpose(held)))
        if turns:
            kernel.graph.assign(self.vector_u, u)
        sigma = ops.sum(ops.matmul(v, matrix) * normalized(u))
        return kernel / ops.where(sigma, sigma, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "power_iterations": self.power_iterations}
