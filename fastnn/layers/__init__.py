"""Layers, named and shaped as in Keras 3."""

from __future__ import annotations

import inspect
from typing import Any

from ..spelling import unknown
from .activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .attention import AdditiveAttention, Attention
from .convolution import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from .core import Activation, Dense, Flatten, Identity, Input, InputLayer, Reshape
from .embedding import Embedding
from .layer import Layer
from .masking import Masking
from .merge import Add, Concatenate, add, concatenate
from .multi_head_attention import GroupQueryAttention, MultiHeadAttention
from .normalization import BatchNormalization
from .operation import Operation
from .positions import PositionEmbedding, RotaryEmbedding, SinePositionEncoding, TokenAndPositionEmbedding
from .preprocessing import Normalization, Rescaling
from .regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from .row_normalization import GroupNormalization, LayerNormalization, RMSNormalization, UnitNormalization
from .transformer import TransformerDecoder, TransformerEncoder
from .wrappers import SpectralNormalization, WeightNormalization, Wrapper

__all__ = [
    "Activation",
    "ActivityRegularization",
    "add",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "BatchNormalization",
    "Concatenate",
    "concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "deserialize",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GroupNormalization",
    "GroupQueryAttention",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MultiHeadAttention",
    "Normalization",
    "Operation",
    "PositionEmbedding",
    "PReLU",
    "ReLU",
    "Rescaling",
    "Reshape",
    "RMSNormalization",
    "RotaryEmbedding",
    "SeparableConv1D",
    "SeparableConv2D",
    "serialize",
    "SinePositionEncoding",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "TokenAndPositionEmbedding",
    "TransformerDecoder",
    "TransformerEncoder",
    "UnitNormalization",
    "WeightNormalization",
    "Wrapper",
]

#: bases that no model holds as such
ABSTRACT = ("Layer", "Wrapper")

#: class name -> class: what a saved model may hold
KNOWN: dict[str, type[Layer]] = {
    n: c for n in __all__ if n not in ABSTRACT and isinstance(c := globals().get(n), type)}

#: ends of the names of arguments that may be objects of classes of users
OWN_KINDS = ("_constraint", "_initializer", "_regularizer")


def serialize(layer: Layer) -> dict[str, Any]:
    """A layer as its class name and config."""
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(data: dict[str, Any], custom_objects: dict[str, type] | None = None) -> Layer:
    """The layer that `serialize` described; only known classes and the given custom ones are made."""
    from ..models import KNOWN_MODELS

    known = {**KNOWN, **KNOWN_MODELS, **(custom_objects or {})}
    name = data.get("class_name")
    if name not in known:
        raise unknown("layer class", name, known)
    made, config = known[name], _with_functions(data["config"], custom_objects or {})
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
