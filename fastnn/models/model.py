"""Model: a layer that can be trained, saved and summarised."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.layer import Layer, build_from
from ..layers.symbolic import KerasTensor, flatten
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
    _built_by_build = False

    def __new__(cls, *args: Any, **kwargs: Any):
        if cls is Model and (args or "inputs" in kwargs):
            from .functional import Functional

            return Layer.__new__(Functional)
        return Layer.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any):
        if args or "inputs" in kwargs:  # a subclass that is handed symbolic tensors is functional, too
            if not any(isinstance(t, KerasTensor) for t in flatten((args, kwargs.get("inputs")))):
                raise TypeError(f"{type(self).__name__} takes no positional arguments but symbolic inputs and outputs; "
                                f"got {', '.join(type(a).__name__ for a in args) or 'other inputs'}.")
            self.__class__ = functional_kind(type(self))
            self.__class__._as_functional(self, *args, **kwargs)
            return
        super().__init__(**kwargs)
        self._building = False
        self._start_training_state()

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None):
        """A model from what `get_config` gave."""
        if {"layers", "calls", "inputs", "outputs"} <= set(config):
            return functional_kind(cls).from_config(config, custom_objects=custom_objects)
        return super().from_config(config)

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

    def summary(self, line_length: int | None = None, positions=None, print_fn=None, expand_nested: bool = False,
                show_trainable: bool = False, layer_range=None) -> None:
        """Print the layers with their output shapes and numbers of parameters.

        Parameters
        ----------
        line_length : characters of a line, 80 by default.
        positions : where columns end, as shares of the line (or in characters); the last is not needed.
        print_fn : what takes the text instead of `print`.
        expand_nested : list the layers of models inside, too.
        show_trainable : say of each layer with weights whether it is trained.
        layer_range : names of the first and the last layer to list.
        """
        from .summary import summary

        (print_fn or print)(summary(self, line_length or 80, positions, expand_nested, show_trainable, layer_range))

    def to_json(self, **kwargs: Any) -> str:
        """The architecture as JSON, for `fastnn.models.model_from_json`; arguments are those of ``json.dumps``."""
        import json

        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()}, **kwargs)

    def reset_metrics(self) -> None:
        """Forget what all metrics took in."""
        for metric in self.metrics:
            metric.reset_state()

    def get_compile_config(self) -> dict[str, Any]:
        """`compile_config` by Keras's name."""
        return self.compile_config()

    def save(self, filepath, overwrite: bool = True, include_optimizer: bool = True,
             zipped: bool | None = None) -> None:
        """Write architecture, weights and optimizer state into one safetensors file. See `save_model`."""
        from .saving import save_model

        save_model(self, filepath, overwrite=overwrite, include_optimizer=include_optimizer)

    def save_weights(self, filepath, overwrite: bool = True) -> None:
        """Write the weights alone."""
        from .saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath, skip_mismatch: bool = False, by_name: bool = False) -> None:
        """Read weights that `save_weights` or `save` wrote; by default nothing changes unless all of them fit.

        Parameters
        ----------
        skip_mismatch : weights of another shape, or that the file does not have, are left as they are, with a warning.
            Weights are matched by their place, and by their names where file and model hold another number of them.
        by_name : match them by the names that `state_dict` gives; those that the file does not have are left as they
            are, with a warning.
        """
        from .saving import load_weights

        load_weights(self, filepath, skip_mismatch, by_name)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all weights by name: the names of the layers from the outside in, then the weight's own.

        Examples
        --------
        >>> import fastnn
        >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2, name="head")])
        >>> {name: value.shape for name, value in model.state_dict().items()}
        {'head/kernel': (3, 2), 'head/bias': (2,)}
        """
        from .state import state_dict

        return state_dict(self)

    def load_state_dict(self, state_dict, strict: bool = True):
        """Overwrite weights by name; nothing changes unless all arrays fit.

        Parameters
        ----------
        state_dict : name -> array, as `state_dict` gives it.
        strict : refuse a dict that lacks a weight or holds one that the model does not have.

        Returns
        -------
        (missing_keys, unexpected_keys), as in PyTorch.
        """
        from .state import load_state_dict

        return load_state_dict(self, state_dict, strict)

    def gradients(self, x, y=None, sample_weight=None, training: bool = False) -> dict[str, np.ndarray]:
        """The gradients of the loss of a batch, penalties included, with respect to each trainable weight, by name.

        Parameters
        ----------
        x, y, sample_weight : one batch, as `train_on_batch` takes it.
        training : whether layers behave as in training: dropout drops, batch normalisation takes the batch's moments
            and moves its averages.

        Returns
        -------
        dict name -> array of the weight's shape, zeros where the loss does not depend on it; names as in `state_dict`.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1, kernel_initializer="ones", name="d")])
        >>> model.compile("sgd", "mse")
        >>> grads = model.gradients([[1.0, 2.0]], [[0.0]])
        >>> grads["d/kernel"].tolist(), {name: float(np.linalg.norm(g)) for name, g in grads.items()}["d/bias"]
        ([[6.0], [12.0]], 6.0)
        """
        from .custom import batch_gradients

        return batch_gradients(self, x, y, sample_weight, training)

    def __reduce__(self):
        """Copies and pickles hold what `save` would write, and the user's own classes and functions in it."""
        from .saving import from_bytes, own_objects, to_bytes

        return from_bytes, (to_bytes(self), own_objects(self))



_functional_kinds: dict[type, type] = {}


def functional_kind(cls: type) -> type:
    """The class that is `cls` and `Functional` at once, for subclasses of `Model` that are handed symbolic tensors."""
    from .functional import Functional

    if issubclass(cls, Functional):
        return cls
    if cls is Model:
        return Functional
    if cls not in _functional_kinds:
        _functional_kinds[cls] = type(cls.__name__, (cls, Functional), {
            "__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__, "written_as": cls})
    return _functional_kinds[cls]
