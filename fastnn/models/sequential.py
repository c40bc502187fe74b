"""Sequential: one layer after another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..layers.core import Input, InputLayer
from ..layers.layer import Layer
from ..layers.masks import with_mask
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

    stepwise = True

    def __init__(self, layers: Iterable[Layer] | None = None, name: str | None = None, trainable: bool = True):
        super().__init__(name=name)
        self._input: KerasTensor | None = None
        self._functional: Functional | None = None
        if isinstance(layers, Layer | KerasTensor) or not isinstance(layers or (), Iterable):
            raise ValueError(f"Sequential {self.name} takes a list of layers; got {layers!r}.")
        for layer in layers or ():
            self.add(layer, rebuild=False)
        self._connect()
        if not trainable:
            self.trainable = False

    def add(self, layer: Layer | KerasTensor, rebuild: bool = True) -> None:
        """Put one more layer on top; if it does not fit, the model is as it was."""
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
        if not rebuild:
            return
        try:
            if self._functional is None:
                self._connect()
            else:
                self._settle(layer(self._functional.output))
        except BaseException:
            self._sublayers.pop()
            raise

    def pop(self) -> Layer:
        """Take the top layer off and return it."""
        if not self._sublayers:
            raise ValueError(f"Sequential {self.name} has no layer to take off.")
        layer = self._sublayers.pop()
        if self._functional is not None:
            node = self._functional.output.node
            layer.nodes[:] = [n for n in layer.nodes if n is not node]
            self._settle(node.parents()[0] if self._sublayers else None)
        return layer

    def build(self, input_shape) -> None:
        """Build all layers for an input shape that starts with None."""
        if self._functional is None and self._sublayers:
            before = self._input
            self._input = self._input or Input(tuple(input_shape)[1:])
            try:
                with self._unbuilt_on_error():
                    self._connect()
            except BaseException:
                self._input = before
                raise

    def _connect(self) -> None:
        """Make the functional model underneath, as soon as the shape of the data is known."""
        first = self._sublayers[0] if self._sublayers else None
        start = self._input
        if start is None and first is not None:
            shape = first._given_shape or (first._build_shape if first.built else None)
            if isinstance(first, Sequential | Functional) and first.built:
                shape = first.input_shape
            if shape is not None and not isinstance(shape, list | dict):
                start = Input(tuple(shape)[1:])
        if first is None or start is None:
            return
        x = start
        for layer in self._sublayers:
            x = layer(x)
        self._input = start
        self._settle(x)

    def _settle(self, output: KerasTensor | None) -> None:
        """Take over a chain of layers that ends here; what was known of another one is forgotten."""
        self._functional = None if output is None else Functional(self._input, output, name=self.name)
        self.built = output is not None
        self._forget_programs()

    def call(self, x, training=None, mask=None):
        if self._functional is not None:
            return self._functional.call(x, training=training, mask=mask)
        if not self._sublayers:
            raise ValueError(f"Sequential {self.name} has no layers.")
        x = with_mask(x, mask)
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
    def input_names(self) -> list[str]:
        return self._known().input_names

    @property
    def output_names(self) -> list[str]:
        return self._known().output_names

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
        batch = {} if self._input is None or self._input.shape[0] is None else {"batch_size": self._input.shape[0]}
        return {"name": self.name, "trainable": self._trainable, "input_shape": shape, "input_dtype": dtype, **batch,
                "layers": [serialize(layer) for layer in self._sublayers]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> Sequential:
        from ..layers import deserialize

        model = cls(name=config["name"])
        if config.get("input_shape") is not None:
            model.add(Input(config["input_shape"], batch_size=config.get("batch_size"),
                            dtype=config.get("input_dtype") or "float32"))
        for data in config["layers"]:
            model.add(deserialize(data, custom_objects=custom_objects), rebuild=False)
        model._connect()
        model._trainable = config.get("trainable", True)
        return model
