"""Training with losses, class weights and several outputs, step by step beside Keras."""

import os

import numpy as np
import pytest

import fastnn
from fastnn import ops

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")
RNG = np.random.default_rng(3)
N, X = 40, RNG.normal(0, 1, (40, 6)).astype(np.float32)
LABELS = RNG.integers(0, 3, N)
HOT, REAL, BITS = np.eye(3)[LABELS], RNG.normal(0, 1, (N, 3)), RNG.integers(0, 2, (N, 3)).astype(float)


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


def trained(lib, activation, compiled, weights, y, **arguments):
    """Weights after two epochs without shuffling, and the history."""
    model = lib.Sequential([lib.Input((6,)), lib.layers.Dense(3, activation)])
    model.set_weights([w.copy() for w in weights])
    model.compile(lib.optimizers.SGD(0.05), **compiled)
    history = model.fit(X, y, batch_size=16, epochs=2, shuffle=False, verbose=0, **arguments).history
    return [np.asarray(w) for w in model.get_weights()], history


@pytest.mark.parametrize("loss, activation, y, arguments", [
    ("huber", None, REAL, {}), ("log_cosh", None, REAL, {"sample_weight": np.linspace(0, 2, N)}),
    ("hinge", "tanh", BITS, {}), ("squared_hinge", "tanh", BITS, {}), ("poisson", "softplus", abs(REAL), {}),
    ("cosine_similarity", None, REAL, {}), ("kl_divergence", "softmax", HOT * 0.9 + 0.05, {}),
    ("mean_squared_logarithmic_error", "softplus", abs(REAL), {}), ("tversky", "sigmoid", BITS, {}),
    ("binary_focal_crossentropy", "sigmoid", BITS, {}), ("categorical_hinge", None, HOT, {}),
    ("categorical_focal_crossentropy", "softmax", HOT, {"class_weight": {0: 2.0, 2: 0.5}}),
    ("sparse_categorical_crossentropy", "softmax", LABELS, {"class_weight": {0: 2.0, 2: 0.5}}),
])
def test_weights_after_training_are_kerass(keras, loss, activation, y, arguments):
    weights = [RNG.normal(0, 0.5, (6, 3)).astype(np.float32), np.full(3, 0.1, np.float32)]
    compiled = {"loss": loss, "metrics": ["auc"] if np.ndim(y) > 1 and activation == "sigmoid" else []}
    ours, history = trained(fastnn, activation, compiled, weights, y, **arguments)
    theirs, expected = trained(keras, activation, {**compiled, "metrics": [m.upper() for m in compiled["metrics"]]},
                               weights, y.astype(np.float32), **arguments)
    for a, b in zip(ours, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-4)
    for name, other in zip(list(history)[1:], list(expected)[:1]):
        np.testing.assert_allclose(history[name], expected[other], rtol=1e-4)


def two(lib):
    x = lib.Input((6,))
    a, b = lib.layers.Dense(3, name="a")(x), lib.layers.Dense(3, "softmax", name="b")(x)
    return lib.Model(x, [a, b])


def test_several_outputs_with_loss_weights_are_kerass(keras):
    made, weights = {}, None
    for lib in (fastnn, keras):
        model = two(lib)
        weights = weights or [np.asarray(w) for w in model.get_weights()]
        model.set_weights(weights)
        model.compile(lib.optimizers.SGD(0.05), loss={"a": "huber", "b": "kl_divergence"}, metrics={"b": ["mape"]},
                      loss_weights={"a": 0.25, "b": 2.0})
        y = {"a": REAL.astype(np.float32), "b": (HOT * 0.9 + 0.05).astype(np.float32)}
        model.fit(X, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        made[lib] = [np.asarray(w) for w in model.get_weights()]
    for a, b in zip(made[fastnn], made[keras]):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def quantile(y_true, y_pred):
    d = y_true - y_pred
    return ops.mean(ops.maximum(0.9 * d, -0.1 * d), axis=-1)


def test_a_python_function_is_loss_and_metric():
    model = fastnn.Sequential([fastnn.Input((6,)), fastnn.layers.Dense(3)])
    model.compile("sgd", quantile, metrics=[quantile])
    logs = model.evaluate(X, REAL, batch_size=16, verbose=0, return_dict=True)
    d = REAL - model.predict(X)
    assert logs["loss"] == pytest.approx(np.maximum(0.9 * d, -0.1 * d).mean(), rel=1e-5)
    assert logs["quantile"] == pytest.approx(logs["loss"], rel=1e-5)
    before = logs["loss"]
    model.fit(X, REAL, epochs=30, verbose=0)
    assert model.evaluate(X, REAL, verbose=0, return_dict=True)["loss"] < before
