"""The demo's network learns alike on every backend: one seed, one loss curve.

Step by step the losses agree to rounding. Over whole epochs no two ways of rounding can: where a relu's input is within
rounding of 0, one of them lets a unit pass that the other does not, and the runs part. Weights that differ by 1e-7
at the start change an epoch's mean loss by up to 3e-4 on the native backend alone.
"""

import numpy as np
import pytest

import fastnn
from fastnn import demo, layers
from fastnn.datasets import DatasetNotFound
from fastnn.program.backend import available

ROWS, EPOCHS = 4000, 2


@pytest.fixture(scope="module")
def data():
    try:
        (x, y), _ = demo.load("fashion-mnist")
    except DatasetNotFound:
        pytest.importorskip("sklearn")
        (x, y), _ = demo.load("digits")
    return x[:ROWS], y[:ROWS]


def with_dropout(shape, optimizer):
    model = fastnn.Sequential([fastnn.Input(shape), layers.Flatten(), layers.BatchNormalization(),
                               layers.Dense(100, "elu"), layers.Dropout(0.2), layers.Dense(50, "gelu"),
                               layers.Dense(10)])
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    return model


class Losses(fastnn.callbacks.Callback):
    """The running mean of the loss after each step."""

    def __init__(self):
        super().__init__()
        self.values = []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(logs["loss"])


def curve(make, data, backend):
    with fastnn.backend(backend):
        fastnn.utils.set_random_seed(42)
        model, losses = make(data[0].shape[1:]), Losses()
        history = model.fit(*data, batch_size=32, epochs=EPOCHS, verbose=0, validation_split=0.1, callbacks=[losses])
        assert model.training_program(*data, 32).backend == backend
    return np.array(losses.values), history.history


@pytest.mark.parametrize("make", [
    lambda shape: demo.network(shape),
    lambda shape: with_dropout(shape, fastnn.optimizers.Adam(1e-3, global_clipnorm=1.0)),
], ids=["demo", "dropout and adam"])
def test_one_loss_curve_on_every_backend(make, data):
    curves = {backend: curve(make, data, backend) for backend in available()}
    steps, epochs = curves.pop("numpy")
    assert epochs["loss"][-1] < epochs["loss"][0]
    for backend, (own_steps, own_epochs) in curves.items():
        np.testing.assert_allclose(own_steps[:100], steps[:100], rtol=1e-4, err_msg=backend)
        for name in ("loss", "val_loss"):
            np.testing.assert_allclose(own_epochs[name], epochs[name], rtol=2e-3, err_msg=f"{backend} {name}")
