"""Data, models of settings, and the run by itself that a replica must agree with to the bit."""

import numpy as np

import fastnn
from fastnn import layers, optimizers
from fastnn.seeds import undisturbed

RNG = np.random.default_rng(1)
X = RNG.normal(size=(70, 6)).astype(np.float32)
Y = ((X[:, 0] > 0) + (X[:, 1] > 0.5)).astype(np.int32)
XV, YV = X[::2][:23] + 0.25, Y[::2][:23]


def classifier(*hidden, optimizer, metrics=("accuracy",), loss="sparse_categorical_crossentropy"):
    model = fastnn.Sequential([fastnn.Input((6,)), *hidden, layers.Dense(3, "softmax")])
    model.compile(optimizer, loss, metrics=list(metrics))
    return model


def plain(learning_rate=0.1, units=5):
    return classifier(layers.Dense(units, "tanh"), optimizer=optimizers.SGD(learning_rate))


def alone(build, settings, x=X, y=Y, batch_size=None, **options):
    """(weights, history, model) of a single fit."""
    seed = settings.get("seed", 0)
    batch_size = settings.get("batch_size", batch_size)
    with undisturbed():
        fastnn.utils.set_random_seed(seed)
        model = build(**{n: v for n, v in settings.items() if n not in ("seed", "batch_size")})
        history = model.fit(x, y, batch_size=batch_size, seed=seed, verbose=0, **options)
    return model.get_weights(), history.history, model


def assert_same(result, k, weights, history):
    """Replica k has these bits."""
    for a, b in zip(result.models[k].get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert set(result.models[k].history.history) == set(history)
    for name, values in history.items():
        np.testing.assert_array_equal(result.models[k].history.history[name], values, err_msg=name)
        curve = result.history[name].reshape(len(result), *result.history[name].shape[len(result.shape):])[k]
        there = curve[~np.isnan(curve)] if curve.ndim == 1 else curve[: len(values)]
        np.testing.assert_array_equal(there, [v for v in values if not np.any(np.isnan(v))], err_msg=name)
