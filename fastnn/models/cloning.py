"""Copies of models with weights of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..layers.core import Input, InputLayer
from ..layers.layer import Layer
from ..layers.symbolic import KerasTensor, flatten, map_tree
from .functional import Functional
from .model import Model
from .saving import own_objects
from .sequential import Sequential


def clone_model(model: Model, input_tensors=None, clone_function: Callable[[Layer], Layer] | None = None) -> Model:
    """A model of the same layers, made anew: of the same names, with fresh weights, not compiled.

    Parameters
    ----------
    model : sequential, functional, or one of your own that has `get_config`.
    input_tensors : symbolic tensors to build the copy on, instead of new inputs.
    clone_function : gives the copy of a layer, or the layer itself where it is to be shared; by default it is made anew
        from its config. Inputs are not handed to it.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(2)])
    >>> copy = fastnn.models.clone_model(model)
    >>> copy.set_weights(model.get_weights())
    >>> copy.layers[0] is model.layers[0], bool((copy(np.eye(3)) == model(np.eye(3))).all())
    (False, True)
    """
    if not isinstance(model, Model):
        raise ValueError(f"clone_model takes a model; got {model!r}.")
    if not isinstance(model, Sequential | Functional):
        if input_tensors is not None or clone_function is not None:
            raise ValueError(f"Model {model.name} is a class of its own, so clone_model can only make it anew from its "
                             "config: input_tensors and clone_function are for sequential and functional models.")
        return type(model).from_config(model.get_config())
    made: dict[int, Layer] = {}

    def copy(layer: Layer) -> Layer:
        if id(layer) not in made:
            found = clone_function(layer) if clone_function is not None else _anew(model, layer)
            if not isinstance(found, Layer):
                raise TypeError(f"clone_model: clone_function must give a layer; for {layer.name} it gave {found!r}.")
            made[id(layer)] = found
        return made[id(layer)]

    given = None if input_tensors is None else flatten(input_tensors)
    if given is not None and not all(isinstance(t, KerasTensor) for t in given):
        raise ValueError("clone_model: input_tensors must be symbolic tensors, as Input and layers give them.")
    if isinstance(model, Sequential):
        return _sequential(model, given, copy)
    return _functional(model, given, copy)


def _anew(model: Model, layer: Layer) -> Layer:
    from ..layers import deserialize, serialize

    return deserialize(serialize(layer), custom_objects=own_objects(model))


def _sequential(model: Sequential, given: list[KerasTensor] | None, copy) -> Model:
    layers = [copy(layer) for layer in model.layers]
    if given is not None:
        if len(given) != 1:
            raise ValueError(f"clone_model: {model.name} has one input; got {len(given)} tensors.")
        if not isinstance(given[0].node.layer, InputLayer):
            x = given[0]
            for layer in layers:
                x = layer(x)
            return Functional(given[0], x, name=model.name)
        start: list[Any] = given
    else:
        start = [] if model._input is None else [_like(model._input)]
    found = type(model)([*start, *layers], name=model.name)
    found._trainable = model._trainable
    return found


def _functional(model: Functional, given: list[KerasTensor] | None, copy) -> Model:
    if given is None:
        given = [_like(t, t.name) for t in model.inputs]
    if len(given) != len(model.inputs):
        raise ValueError(f"clone_model: {model.name} has {len(model.inputs)} inputs; got {len(given)} tensors.")
    values = {id(t): new for t, new in zip(model.inputs, given)}
    for node in model.node_order:
        if all(id(t) in values for t in node.outputs):
            continue
        args, kwargs = map_tree(lambda v: values[id(v)] if isinstance(v, KerasTensor) else v, (node.args, node.kwargs))
        for t, new in zip(node.outputs, flatten(copy(node.layer)(*args, **kwargs))):
            values[id(t)] = new
    inputs, outputs = (map_tree(lambda t: values[id(t)], nest) for nest in (model._inputs, model._outputs))
    found = type(model)(inputs, outputs, name=model.name)
    found._trainable = model._trainable
    return found


def _like(t: KerasTensor, name: str | None = None) -> KerasTensor:
    """A new input of the same kind."""
    return Input(t.shape[1:], batch_size=t.shape[0], dtype=str(t.dtype), name=name)
