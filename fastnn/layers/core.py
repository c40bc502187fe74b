"""Dense, Activation, and the layers that only change shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import activations, checks, constraints, initializers, regularizers
from ..kernels.dense import ACTIVATIONS, dense
from .layer import Layer
from .symbolic import KerasTensor, Node

FUSED = frozenset(ACTIVATIONS)  # what `dense` computes at its edges


class InputLayer(Layer):
    """Where data enters a model; made by `Input`."""

    stepwise = True

    def __init__(self, shape, dtype: str = "float32", batch_size: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        sizes = (*shape, batch_size)
        if any(s is not None and (isinstance(s, bool) or not isinstance(s, int | np.integer) or s < 1) for s in sizes):
            raise ValueError(f"Input {self.name}: the shape is {tuple(shape)} and the batch size {batch_size}; sizes "
                             "of at least 1 are wanted, or None for one that is not known.")
        self.shape, self.input_dtype = tuple(None if s is None else int(s) for s in shape), dtype
        self.batch_size = None if batch_size is None else int(batch_size)
        self.built = True
        Node(self, (), {}, [KerasTensor((self.batch_size, *self.shape), dtype, self.name)])

    def get_config(self) -> dict[str, Any]:
        batch = {} if self.batch_size is None else {"batch_size": self.batch_size}
        return {**super().get_config(), "shape": list(self.shape), "dtype": self.input_dtype, **batch}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputLayer:
        return cls(**config)


def Input(shape=None, batch_size: int | None = None, dtype: str = "float32", name: str | None = None,  # noqa: N802
          batch_shape=None) -> KerasTensor:
    """A symbolic tensor for the data of one model input.

    Parameters
    ----------
    shape : shape of one sample, without the batch. None stands for a size that may differ from batch to batch: the
        length of sequences; a program is made for each size that comes.
    batch_size : rows of every batch, where a layer must know them (recurrent ones with ``stateful=True``).
    batch_shape : both in one, in their place.

    Examples
    --------
    >>> from fastnn import layers
    >>> layers.Input((28, 28)).shape
    (None, 28, 28)
    >>> layers.Input((None, 28)).shape  # sequences of any length
    (None, None, 28)
    """
    if batch_shape is not None:
        if shape is not None or batch_size is not None:
            raise ValueError("Input takes shape and batch_size, or batch_shape in their place.")
        batch_size, *shape = batch_shape
    if shape is None:
        raise ValueError("Input needs a shape.")
    shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    return InputLayer(shape, dtype=dtype, batch_size=batch_size, name=name).nodes[0].outputs[0]


class Dense(Layer):
    """A fully connected layer: ``activation(x @ kernel + bias)``.

    Parameters
    ----------
    units : width of the output.
    activation : name or function; computed at the edge of the product where it can be.
    use_bias : whether there is a bias.
    kernel_initializer, bias_initializer : see `fastnn.initializers`.
    kernel_regularizer, bias_regularizer, activity_regularizer : see `fastnn.regularizers`; the penalty of the
        activity, which is the output, is divided by the batch's size.
    kernel_constraint, bias_constraint : see `fastnn.constraints`.

    Notes
    -----
    Input (..., n), kernel (n, units), output (..., units).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Dense(2, activation="relu", kernel_initializer="ones")
    >>> layer(np.array([[1.0, 2.0], [-3.0, 1.0]]))
    array([[3., 3.],
           [0., 0.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    def __init__(self, units: int, activation=None, use_bias: bool = True, kernel_initializer="glorot_uniform",
                 bias_initializer="zeros", kernel_regularizer=None, bias_regularizer=None, activity_regularizer=None,
                 kernel_constraint=None, bias_constraint=None, **kwargs: Any):
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if isinstance(units, bool) or not isinstance(units, int | np.integer) or units < 1:
            raise ValueError(f"Dense {self.name}: units is {units!r}; a positive whole number is wanted.")
        self.units, self.use_bias = int(units), checks.flag(f"Dense {self.name}", "use_bias", use_bias)
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = map(regularizers.get, (kernel_regularizer, bias_regularizer))
        self.kernel_constraint, self.bias_constraint = map(constraints.get, (kernel_constraint, bias_constraint))
        self.kernel = self.bias = None

    def build(self, input_shape) -> None:
        if len(input_shape) < 2:
            raise ValueError(f"Dense {self.name} wants samples with at least one axis; got the shape {input_shape}.")
        self.kernel = self.add_weight((input_shape[-1], self.units), self.kernel_initializer, name="kernel",
                                      regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        if self.use_bias:
            beside = getattr(self.bias_initializer, "beside", None)  # PyTorch's bias is drawn as its kernel is
            self.bias = self.add_weight((self.units,), beside(self.kernel.shape) if beside else self.bias_initializer,
                                        name="bias", regularizer=self.bias_regularizer, constraint=self.bias_constraint)

    def call(self, x):
        if x.shape[-1] != self.kernel.shape[0]:
            raise ValueError(f"Dense {self.name} was built for inputs of width {self.kernel.shape[0]}; "
                             f"got the shape {x.shape}.")
        kind = getattr(self.activation, "kind", None)
        fused = kind in FUSED
        y = dense(x.reshape(-1, x.shape[-1]), self.kernel, self.bias,
                  activation=kind if fused else "linear", alpha=self.activation.alpha if fused else 1.0)
        y = y.reshape(*x.shape[:-1], self.units)
        return y if fused else self.activation(y)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "activation": activations.serialize(self.activation),
                "use_bias": self.use_bias, "kernel_initializer": initializers.serialize(self.kernel_initializer),
                "bias_initializer": initializers.serialize(self.bias_initializer),
                "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
                "bias_regularizer": regularizers.serialize(self.bias_regularizer),
                "kernel_constraint": constraints.serialize(self.kernel_constraint),
                "bias_constraint": constraints.serialize(self.bias_constraint)}


class Activation(Layer):
    """An activation function as a layer of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Activation("relu")(np.array([[-1.0, 2.0]]))
    array([[0., 2.]], dtype=float32)
    """

    stepwise = True
    supports_masking = True

    def __init__(self, activation, **kwargs: Any):
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, x):
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Flatten(Layer):
    """Samples as vectors: (batch, a, b, ...) to (batch, a * b * ...). Free: no data moves.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Flatten()(np.zeros((2, 28, 28))).shape
    (2, 784)
    """

    def call(self, x):
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))


class Identity(Layer):
    """Its input as it is: a place to look at, or where something may be put later.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Identity()(np.ones((1, 2)))
    array([[1., 1.]], dtype=float32)
    """

    stepwise = True

    def call(self, x):
        return x


class Reshape(Layer):
    """Samples in another shape; one size may be -1. Free: no data moves."""

    def __init__(self, target_shape, **kwargs: Any):
        super().__init__(**kwargs)
        sizes = target_shape if isinstance(target_shape, list | tuple) else (target_shape,)
        whole = all(isinstance(s, int | np.integer) and not isinstance(s, bool) for s in sizes)
        if not whole or any(s < 1 and s != -1 for s in sizes) or list(sizes).count(-1) > 1:
            raise ValueError(f"Reshape {self.name}: target_shape is {target_shape!r}; sizes of at least 1 are wanted, "
                             "and -1 for one that follows from the others.")
        self.target_shape = tuple(int(s) for s in sizes)

    def call(self, x):
        try:
            return x.reshape(x.shape[0], *self._target(math.prod(x.shape[1:])))
        except ValueError:
            raise ValueError(f"Reshape {self.name}: samples of shape {x.shape[1:]} can't become "
                             f"{self.target_shape}: the sizes differ.") from None

    def _target(self, size: int) -> tuple[int, ...]:
        known = math.prod(s for s in self.target_shape if s != -1)
        if self.target_shape.count(-1) > 1 or known == 0 or size % known:
            raise ValueError
        return tuple(size // known if s == -1 else s for s in self.target_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": list(self.target_shape)}
