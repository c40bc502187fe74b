"""Functions as layers: Operation, one of `fastnn.ops` in a functional model, and Lambda, one of the user's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from .layer import Layer, remake


class Operation(Layer):
    """Applies one function of `fastnn.ops`; made when such a function meets a symbolic tensor.

    Parameters
    ----------
    function : its name in `fastnn.ops`.
    """

    _ends_masks = False

    def __init__(self, function: str, **kwargs: Any):
        super().__init__(**kwargs)
        from .. import ops

        if not callable(getattr(ops, function, None)) or function.startswith("_"):
            raise ValueError(f"fastnn.ops has no function {function!r}.")
        self.function = function

    @property
    def stepwise(self) -> bool:
        """Whether it is a function of each element."""
        from .. import ops

        return getattr(ops, self.function).__module__.endswith(("ops.arithmetic", "activations.elementwise"))

    def call(self, *args: Any, **kwargs: Any):
        from .. import ops

        return getattr(ops, self.function)(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}


class Lambda(Layer):
    """A function of one's own as a layer; it is traced, so it works on symbolic tensors with `fastnn.ops`.

    A file holds the function's name alone, never its code: who loads the model gives the function in
    ``custom_objects={name: function}``, and a model with a nameless one (``lambda``) can't be saved. For anything with
    weights write a `Layer`.

    Parameters
    ----------
    function : takes the input (and `arguments`) and returns a tensor or several.
    output_shape : taken for Keras's sake; shapes are found by tracing.
    arguments : more keyword arguments for the function; what JSON can hold.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> fastnn.layers.Lambda(lambda x: fastnn.ops.square(x) + 1)(np.array([[2.0, 3.0]]))
    array([[ 5., 10.]], dtype=float32)
    """

    def __init__(self, function: Callable, output_shape=None, mask=None, arguments: dict[str, Any] | None = None,
                 **kwargs: Any):
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"Lambda {self.name}: function is {function!r}; something to call is wanted.")
        if mask is not None:
            raise ValueError(f"Lambda {self.name} passes no mask on; write a layer of your own for that.")
        self.function, self.arguments = function, dict(arguments or {})
        try:
            self._wants_training = "training" in inspect.signature(function).parameters
        except (TypeError, ValueError):  # functions written in C need not have a signature
            self._wants_training = False
        self.built = True

    def call(self, inputs, training=False):
        more = {"training": training} if self._wants_training and "training" not in self.arguments else {}
        return self.function(inputs, **self.arguments, **more)

    def get_config(self) -> dict[str, Any]:
        name = getattr(self.function, "__name__", "")
        if not name.isidentifier():
            raise ValueError(f"Lambda {self.name}: its function has no name under which a file could hold it; use a "
                             "function made with def, or write a layer of your own.")
        return {**super().get_config(), "function": {"class_name": "function", "config": name},
                "arguments": self.arguments}

    def __reduce__(self):
        config = {**super().get_config(), "function": self.function, "arguments": self.arguments}
        return remake, (type(self), config, self._build_shape, self.get_weights())
