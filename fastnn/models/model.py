"""Model: a layer that can be trained, saved and summarised."""

from __future__ import annotations

from typing import Any

from ..layers.layer import Layer, build_from
from .training import Trainer


class Model(Trainer, Layer):
    """A network.

    ``Model(inputs, outputs)`` with symbolic tensors makes a functional model; a subclass makes its
    layers in ``__init__`` and uses them in ``call``.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Input((4,))
    >>> model = fastnn.Model(x, fastnn.layers.Dense(2)(x))
    >>> model.count_params()
    10
    """

    _ends_masks = False

    def __new__(cls, *args: Any, **kwargs: Any):
        if cls is Model and (args or "inputs" in kwargs):
            from .functional import Functional

            return Layer.__new__(Functional)
        return Layer.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any):
        if args:
            raise TypeError(f"{type(self).__name__} takes no positional arguments; symbolic inputs and outputs go to "
                            "fastnn.Model.")
        super().__init__(**kwargs)
        self._building = False
        self._start_training_state()

    @property
    def layers(self) -> list[Layer]:
        """The layers directly in this model, in order."""
        return list(self._children())

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by name or by index."""
        if (name is None) == (index is None):
            raise ValueError("get_layer takes a name or an index, one of them.")
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"Model {self.name} has {len(self.layers)} layers; there is no index {index}.")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"Model {self.name} has no layer {name!r}; it has "
                         f"{', '.join(layer.name for layer in self.layers)}.")

    def build(self, input_shape) -> None:
        """Build the layers for an input shape that starts with None, by tracing `call`."""
        if not self._building:
            build_from(self, input_shape)

    def _build(self, shape) -> None:
        self._building = True  # the call that asks for it goes on to build the layers itself
        try:
            super()._build(shape)
        finally:
            self._building = False

    def summary(self, print_fn=print, line_length: int = 80) -> None:
        """Print the layers with their output shapes and numbers of parameters."""
        from .summary import summary

        print_fn(summary(self, line_length))

    def save(self, filepath, overwrite: bool = True, include_optimizer: bool = True) -> None:
        """Write architecture, weights and optimizer state into one safetensors file. See `save_model`."""
        from .saving import save_model

        save_model(self, filepath, overwrite=overwrite, include_optimizer=include_optimizer)

    def save_weights(self, filepath) -> None:
        """Write the weights alone."""
        from .saving import save_weights

        save_weights(self, filepath)

    def load_weights(self, filepath) -> None:
        """Read weights that `save_weights` or `save` wrote; nothing changes unless all of them fit."""
        from .saving import load_weights

        load_weights(self, filepath)

    def __reduce__(self):
        """Copies and pickles hold what `save` would write, and the user's own classes and functions in it."""
        from .saving import from_bytes, own_objects, to_bytes

        return from_bytes, (to_bytes(self), own_objects(self))

