"""Sequential: one layer after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..layers.core import Input, InputLayer
from ..layers.layer import Layer
from ..layers.symbolic import KerasTensor
from .functional import Functional
from .model import Model


class Sequential(Model):
    """A stack of layers, each fed by the one before.

    Parameters
    ----------
    layers : the layers, an `Input` first where the shape of the data is to be known at once.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    >>> model.output_shape
    (None, 2)
    """

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None, trainable: bool = True):
        super().__init__(name=name)
        self._input: KerasTensor | None = None
        self._functional: Functional | None = None
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._connect()
        if not trainable:
            self.trainable = False

    def add(self, layer: Layer | KerasTensor, rebuild: bool = True) -> None:
        """Put one more layer on top."""
        if isinstance(layer, KerasTensor):
            layer = layer.node.layer
        if isinstance(layer, type) or not isinstance(layer, Layer):
            raise TypeError(f"Sequential {self.name} takes layers; got {layer!r}.")
        if isinstance(layer, InputLayer):
            if self._sublayers or self._input is not None:
                raise ValueError(f"Sequential {self.name}: an Input can only stand first.")
            self._input = layer.nodes[0].outputs[0]
            return
        if any(layer.name == other.name for other in self._sublayers):
            raise ValueError(f"Sequential {self.name} has a layer named {layer.name!r} already; names must differ.")
        self._sublayers.append(layer)
        if rebuild:
            self._connect()

    def pop(self) -> Layer:
        """Take the top layer off and return it."""
        if not self._sublayers:
            raise ValueError(f"Sequential {self.name} has no layer to take off.")
        layer = self._sublayers.pop()
        self._connect()
        return layer

    def build(self, input_shape) -> None:
        """Build all layers for an input shape that starts with None."""
        if self._functional is None and self._sublayers:
            self._input = self._input or Input(tuple(input_shape)[1:])
            self._connect()

    def _connect(self) -> None:
        """Make the functional model underneath, as soon as the shape of the data is known."""
        self._functional = None
        self.built = False
        self._forget_programs()
        if not self._sublayers:
            return
        first = self._sublayers[0]
        if self._input is None:
            shape = first._given_shape or (first._build_shape if first.built else None)
            if isinstance(first, Sequential | Functional) and first.built:
                shape = first.input_shape
            if shape is None or isinstance(shape, list):
                return
            self._input = Input(shape[1:])
        x = self._input
        for layer in self._sublayers:
            x = layer(x)
        self._functional = Functional(self._input, x, name=self.name)
        self.built = True

    def call(self, x, training=None):
        if self._functional is not None:
            return self._functional.call(x, training=training)
        if not self._sublayers:
            raise ValueError(f"Sequential {self.name} has no layers.")
        for layer in self._sublayers:
            x = layer(x, training=training) if layer._takes_training else layer(x)
        return x

    def _known(self) -> Functional:
        if self._functional is None:
            raise AttributeError(f"Sequential {self.name} does not know the shape of its data yet: give it an Input, "
                                 "call build(input_shape) or call it on data.")
        return self._functional

    @property
    def inputs(self):
        return self._known().inputs

    @property
    def outputs(self):
        return self._known().outputs

    @property
    def input(self):
        return self._known().input

    @property
    def output(self):
        return self._known().output

    @property
    def input_shape(self):
        return self._known().input_shape

    @property
    def output_shape(self):
        return self._known().output_shape

    def get_config(self) -> dict[str, Any]:
        from ..layers import serialize

        shape = None if self._input is None else list(self._input.shape[1:])
        dtype = None if self._input is None else str(self._input.dtype)
        return {"name": self.name, "trainable": self._trainable, "input_shape": shape, "input_dtype": dtype,
                "layers": [serialize(layer) for layer in self._sublayers]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> Sequential:
        from ..layers import deserialize

        model = cls(name=config["name"])
        if config.get("input_shape") is not None:
            model.add(Input(config["input_shape"], dtype=config.get("input_dtype") or "float32"))
        for data in config["layers"]:
            model.add(deserialize(data, custom_objects), rebuild=False)
        model._connect()
        model._trainable = config.get("trainable", True)
        return model
