"""Layers, named and shaped as in Keras 3."""

from __future__ import annotations

import inspect
from typing import Any

from ..custom_objects import known_objects
from ..spelling import unknown
from .activation import ELU, LeakyReLU, PReLU, ReLU, Softmax
from .attention import AdditiveAttention, Attention
from .augmentation import (
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
)
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
from .erasing import Cutout, RandomErasing
from .keras_configs import from_keras
from .layer import Layer
from .masking import Masking
from .merge import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .mixing import CutMix, MixUp
from .multi_head_attention import GroupQueryAttention, MultiHeadAttention
from .normalization import BatchNormalization
from .operation import Lambda, Operation
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AvgPool1D,
    AvgPool2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAvgPool1D,
    GlobalAvgPool2D,
    GlobalMaxPool1D,
    GlobalMaxPool2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPool1D,
    MaxPool2D,
    MaxPooling1D,
    MaxPooling2D,
)
from .positions import PositionEmbedding, RotaryEmbedding, SinePositionEncoding, TokenAndPositionEmbedding
from .preprocessing import Normalization, Rescaling
from .recurrent import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    GRUCell,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNNCells,
    TimeDistributed,
)
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
from .spatial import (
    CenterCrop,
    Cropping1D,
    Cropping2D,
    Permute,
    RepeatVector,
    Resizing,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from .transformer import TransformerDecoder, TransformerEncoder
from .wrappers import SpectralNormalization, WeightNormalization, Wrapper

__all__ = [
    "Activation",
    "ActivityRegularization",
    "Add",
    "add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "Average",
    "average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AvgPool1D",
    "AvgPool2D",
    "BatchNormalization",
    "Bidirectional",
    "CenterCrop",
    "Concatenate",
    "concatenate",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping1D",
    "Cropping2D",
    "CutMix",
    "Cutout",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "deserialize",
    "dot",
    "Dot",
    "Dropout",
    "ELU",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "GroupQueryAttention",
    "GRU",
    "GRUCell",
    "Identity",
    "Input",
    "InputLayer",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LSTM",
    "LSTMCell",
    "Masking",
    "Maximum",
    "maximum",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "Minimum",
    "minimum",
    "MixUp",
    "MultiHeadAttention",
    "Multiply",
    "multiply",
    "Normalization",
    "Operation",
    "Permute",
    "PositionEmbedding",
    "PReLU",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "RMSNormalization",
    "RNN",
    "RotaryEmbedding",
    "SeparableConv1D",
    "SeparableConv2D",
    "serialize",
    "SimpleRNN",
    "SimpleRNNCell",
    "SinePositionEncoding",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "Subtract",
    "subtract",
    "TimeDistributed",
    "TokenAndPositionEmbedding",
    "TransformerDecoder",
    "TransformerEncoder",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "WeightNormalization",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
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

    custom_objects = known_objects(custom_objects)
    known = {**KNOWN, **KNOWN_MODELS, **custom_objects}
    name = data.get("class_name")
    if name not in known:
        raise unknown("layer class", name, known)
    made = known[name]
    config = from_keras(made, _with_functions(data["config"], custom_objects))
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
