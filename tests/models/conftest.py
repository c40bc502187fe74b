"""A small problem and a small network, which all tests of models share."""

import numpy as np
import pytest

import fastnn
from fastnn import layers


@pytest.fixture(autouse=True)
def seeded():
    fastnn.utils.set_random_seed(7)


@pytest.fixture
def digits():
    """Rows of three classes that a small network can tell apart."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 150)
    return rng.normal(size=(150, 6)) + np.eye(3, 6)[y] * 3, y


def network(dropout=0.0, name=None, **compiled):
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(16, "relu", kernel_initializer="he_normal"),
                               layers.BatchNormalization(), layers.Dropout(dropout, seed=1),
                               layers.Dense(3, "softmax")], name=name)
    model.compile(**{"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"],
                     **compiled})
    return model


def state(model):
    """Everything that training changes, as bytes."""
    found = [w.tobytes() for w in model.get_weights()]
    if model.optimizer is not None:
        found += [(k, v.tobytes()) for k, v in model.optimizer.get_state().items()]
    return [*found, model.compiled, model.built, model.stop_training]
