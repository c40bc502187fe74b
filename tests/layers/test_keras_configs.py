"""Configs that Keras wrote are read."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax",
                                        "ignore:__array__ implementation:DeprecationWarning")
POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
ARGUMENTS = {"Activation": ("relu",), "Dense": (3,), "Rescaling": (0.5,), "Reshape": ((3,),)} | {
    name: (0.5,) for name in ("AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D",
                              "SpatialDropout2D", "SpatialDropout3D")} | {
    name: (3, 3) for name in ("Conv1D", "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "SeparableConv1D",
                              "SeparableConv2D")} | {
    name: (3,) for name in ("AveragePooling1D", "AveragePooling2D", "DepthwiseConv1D", "DepthwiseConv2D", "GRU",
                            "GRUCell", "LSTM", "LSTMCell", "RepeatVector", "SimpleRNN", "SimpleRNNCell")} | {
    "Dot": (1,), "Embedding": (5, 3), "GroupQueryAttention": (2, 2, 1), "MultiHeadAttention": (2, 3),
    "Permute": ((2, 1),)}
SIMPLE = ["Activation", "ActivityRegularization", "Add", "AdditiveAttention", "AlphaDropout", "Attention", "Average",
          "AveragePooling1D", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv1D", "Conv1DTranspose",
          "Conv2D", "Conv2DTranspose", "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv1D", "DepthwiseConv2D",
          "Dot", "Dropout", "ELU", "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout", "GaussianNoise",
          "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
          "GroupNormalization", "GroupQueryAttention", "Identity", "LSTM", "LSTMCell", "LayerNormalization",
          "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D", "Maximum", "Minimum", "MultiHeadAttention",
          "Multiply", "Normalization", "PReLU", "Permute", "RMSNormalization", "ReLU", "RepeatVector", "Rescaling",
          "Reshape", "SeparableConv1D", "SeparableConv2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D",
          "SpatialDropout2D", "SpatialDropout3D", "Subtract", "UnitNormalization", "UpSampling1D", "UpSampling2D",
          "ZeroPadding1D", "ZeroPadding2D"]


@pytest.fixture
def keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("name", SIMPLE)
def test_layers(keras, name):
    theirs = getattr(keras.layers, name)(*ARGUMENTS.get(name, ()))
    ours = layers.deserialize({"class_name": name, "config": theirs.get_config()})
    plain = getattr(layers, name)(*ARGUMENTS.get(name, ()))
    drop = {"name", "seed"}
    assert {k: v for k, v in ours.get_config().items() if k not in drop} == \
        {k: v for k, v in plain.get_config().items() if k not in drop}
    assert ours.name == theirs.name


def test_a_sequential_model(keras):
    theirs = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.BatchNormalization(),
                               keras.layers.Dense(1, use_bias=False)])
    ours = fastnn.Sequential.from_config(theirs.get_config())
    ours.set_weights(theirs.get_weights())
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_without_keras():
    config = {"name": "d", "trainable": True, "dtype": POLICY, "units": 3, "activation": "relu", "use_bias": True,
              "kernel_initializer": {"module": "keras.initializers", "class_name": "GlorotUniform",
                                     "config": {"seed": None}, "registered_name": None},
              "quantization_config": None}
    made = layers.deserialize({"module": "keras.layers", "class_name": "Dense", "config": config})
    assert made.units == 3 and made.name == "d" and made.activation.name == "relu"
    start = layers.deserialize({"class_name": "InputLayer", "config": {
        "batch_shape": (None, 4), "dtype": "float32", "sparse": False, "ragged": False, "name": "x"}})
    assert start.shape == (4,)


@pytest.mark.parametrize(("name", "config", "sentence"), [
    ("BatchNormalization", {"renorm": True}, "takes no argument 'renorm'"),
    ("Dense", {"units": 3, "quantization_config": {"mode": "int8"}}, "takes no argument 'quantization_config'"),
    ("Flatten", {"data_format": "channels_first"}, "takes no argument 'data_format'"),
    ("Dense", {"units": 3, "dtype": {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}},
     "dtype is 'mixed_float16'"),
])  # fmt: skip
def test_what_would_change_something_is_refused(name, config, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        layers.deserialize({"class_name": name, "config": config})
