"""The demo's network learns alike on every backend: one seed, one loss curve."""

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


def curve(make, data, backend):
    with fastnn.backend(backend):
        fastnn.utils.set_random_seed(42)
        model = make(data[0].shape[1:])
        history = model.fit(*data, batch_size=32, epochs=EPOCHS, verbose=0, validation_split=0.1).history
        assert model.training_program(*data, 32).backend == backend
    return history


@pytest.mark.parametrize("make", [
    lambda shape: demo.network(shape),
    lambda shape: with_dropout(shape, fastnn.optimizers.Adam(1e-3, global_clipnorm=1.0)),
], ids=["demo", "dropout and adam"])
def test_one_loss_curve_on_every_backend(make, data):
    curves = {backend: curve(make, data, backend) for backend in available()}
    assert "numpy" in curves
    want = curves.pop("numpy")
    assert want["loss"][-1] < want["loss"][0]
    for backend, history in curves.items():
        for name in ("loss", "val_loss"):
            np.testing.assert_allclose(history[name], want[name], rtol=1e-4, err_msg=f"{backend} {name}")
