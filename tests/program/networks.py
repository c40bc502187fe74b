"""The demo's network, small, for tests of programs."""

import numpy as np

import fastnn
from fastnn import layers, optimizers


def demo(optimizer=None, rows=200):
    """The network of the demo, small, with elu."""
    fastnn.utils.set_random_seed(3)
    norm, dense = layers.BatchNormalization, layers.Dense
    model = fastnn.Sequential([fastnn.Input((8, 8)), layers.Flatten(),
                               norm(name="norm"), dense(48, activation="elu", name="dense"),
                               norm(name="norm_1"), dense(20, activation="elu", name="dense_1"),
                               norm(name="norm_2"), dense(10, activation="softmax", name="dense_2")], name="demo")
    model.compile(optimizer or optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    return model, rng.integers(0, 255, (rows, 8, 8)).astype(np.uint8), rng.integers(0, 10, rows)
