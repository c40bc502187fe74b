"""Layers, named and shaped as in Keras 3."""

from __future__ import annotations

import inspect
from typing import Any

from ..custom_objects import known_objects
from ..spelling import unknown
from .activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .core import Activation, Dense, Flatten, Input, InputLayer, Reshape
from .layer import Layer
from .merge import Add, Concatenate, add, concatenate
from .normalization import BatchNormalization
from .operation import Operation
from .preprocessing import Normalization, Rescaling
from .regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from .row_normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from .wrappers import SpectralNormalization, WeightNormalization, Wrapper

#: class name -> class: what a saved model may hold
KNOWN: dict[str, type[Layer]] = {c.__name__: c for c in (
    Activation, ActivityRegularization, Add, AlphaDropout, BatchNormalization, Concatenate, Dense, Dropout, ELU,
    Flatten, GaussianDropout, GaussianNoise, GroupNormalization, InputLayer, LayerNormalization, LeakyReLU,
    Normalization, Operation, PReLU, RMSNormalization, ReLU, Rescaling, Reshape, Softmax, SpatialDropout1D,
    SpatialDropout2D, SpectralNormalization, UnitNormalization, WeightNormalization)}

#: ends of the names of arguments that may be objects of classes of users
OWN_KINDS = ("_constraint", "_initializer", "_regularizer")


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as its class name and config."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(data: dict[str, Any], custom_objects: dict[str, type] | None = None) -> Layer:
    """The layer that `serialize` described; only known classes and the given custom ones are made."""
    from ..models import KNOWN_MODELS

    custom_objects = known_objects(custom_objects)
    known = {**KNOWN, **KNOWN_MODELS, **custom_objects}
    name = data.get("class_name")
    if name not in known:
        raise unknown("layer class", name, known)
    made, config = known[name], _with_functions(data["config"], custom_objects)
    if "custom_objects" in inspect.signature(made.from_config).parameters:  # it holds layers itself
        return made.from_config(config, custom_objects=custom_objects)
    return made.from_config(config)


def _with_functions(config: dict[str, Any], custom_objects: dict[str, Any]) -> dict[str, Any]:
    """A layer's config with functions of users in the place of their names."""
    found = dict(config)
    for key, value in config.items():
        if isinstance(value, dict) and value.get("class_name") == "function":
            name = value.get("config")
            if name not in custom_objects:
                raise ValueError(f"The {key} {name!r} of the layer {config.get('name', '?')!r} is a function that the "
                                 f"file does not hold; give it with custom_objects={{{name!r}: ...}}.")
            found[key] = custom_objects[name]
        elif isinstance(value, dict) and key.endswith(OWN_KINDS) and value.get("class_name") in custom_objects:
            found[key] = custom_objects[value["class_name"]].from_config(value.get("config") or {})
    return found


__all__ = ["Activation", "ActivityRegularization", "Add", "AlphaDropout", "BatchNormalization", "Concatenate", "Dense",
           "Dropout", "ELU", "Flatten", "GaussianDropout", "GaussianNoise", "GroupNormalization", "Input",
           "InputLayer", "Layer", "LayerNormalization", "LeakyReLU", "Normalization", "Operation", "PReLU",
           "RMSNormalization", "ReLU", "Rescaling", "Reshape", "Softmax", "SpatialDropout1D", "SpatialDropout2D",
           "SpectralNormalization", "UnitNormalization", "WeightNormalization", "Wrapper", "add", "concatenate",
           "deserialize", "serialize"]
