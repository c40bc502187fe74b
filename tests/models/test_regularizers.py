"""Regularizers, constraints and `add_loss` in training: against Keras, against the formulas, and in any backend."""

import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import constraints, layers, ops, optimizers, regularizers
from fastnn.models import load_model

BACKENDS = ("numpy", "native") if fastnn.get_backend() == "native" else ("numpy",)
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras
RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 6)).astype(np.float32)
Y = RNG.normal(size=(24, 3)).astype(np.float32)
WEIGHTS = [RNG.normal(size=s).astype(np.float32) for s in ((6, 5), (5,), (5, 3), (3,))]

REGULARIZERS = {
    "l1": lambda k: k.regularizers.L1(0.02), "l2": lambda k: k.regularizers.L2(0.03),
    "both": lambda k: k.regularizers.L1L2(l1=0.01, l2=0.02), "name": lambda k: "l2",
    "rows": lambda k: k.regularizers.OrthogonalRegularizer(0.3),
    "columns": lambda k: k.regularizers.OrthogonalRegularizer(0.3, mode="columns"),
    "function": lambda k: (lambda w: 0.05 * k.ops.sum(k.ops.square(w) * k.ops.square(w))),
}
CONSTRAINTS = {
    "max": lambda k: k.constraints.MaxNorm(1.2), "max_rows": lambda k: k.constraints.MaxNorm(1.2, axis=1),
    "unit": lambda k: k.constraints.UnitNorm(), "both_axes": lambda k: k.constraints.UnitNorm(axis=[0, 1]),
    "nonneg": lambda k: "non_neg", "minmax": lambda k: k.constraints.MinMaxNorm(0.5, 1.1, rate=0.7),
    "function": lambda k: (lambda w: k.ops.clip(w, -0.5, 0.5)),
}


def trained(k, options, fit, steps=5, optimizer="SGD"):
    """Losses and weights after each of some steps over all of the data."""
    one, two = options
    model = k.Sequential([k.Input((6,)), k.layers.Dense(5, activation="tanh", **one), k.layers.Dense(3, **two)])
    model.set_weights(WEIGHTS)
    model.compile(optimizer=getattr(k.optimizers, optimizer)(0.05), loss="mse")
    history = fit(model, steps)
    return history, [np.asarray(w) for w in model.get_weights()], model


def fit_all(model, steps):
    found = model.fit(X, Y, epochs=steps, batch_size=24, shuffle=False, verbose=0)
    return found.history["loss"]


def agree(ours, theirs):
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    for a, b in zip(ours[1], theirs[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers_as_in_keras(name):
    keras = pytest.importorskip("keras")

    def options(k):
        rule = REGULARIZERS[name](k)
        second = {"kernel_regularizer": rule, "activity_regularizer": k.regularizers.L2(0.1)}
        if name not in ("rows", "columns"):
            second["bias_regularizer"] = rule
        return {"kernel_regularizer": rule}, second

    for optimizer in ("SGD", "Adam"):
        ours, theirs = (trained(k, options(k), fit_all, optimizer=optimizer) for k in (fastnn, keras))
        agree(ours, theirs)
        np.testing.assert_allclose(ours[2].evaluate(X, Y, verbose=0), theirs[2].evaluate(X, Y, verbose=0), rtol=1e-5)
        np.testing.assert_allclose(np.sum(ours[2].losses), sum(float(x) for x in theirs[2].losses[-len(
            ours[2].losses):]), rtol=1e-5)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_as_in_keras(name):
    keras = pytest.importorskip("keras")

    def options(k):
        rule = CONSTRAINTS[name](k)
        return {"kernel_constraint": rule}, {"kernel_constraint": rule, "bias_constraint": k.constraints.NonNeg()}

    for optimizer in ("SGD", "Adam"):
        agree(*(trained(k, options(k), fit_all, optimizer=optimizer) for k in (fastnn, keras)))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("clip", ({}, {"clipnorm": 1.0}, {"global_clipnorm": 0.5}))
def test_one_step_by_hand(backend, clip):
    """w - rate * clipped(dw + l1 sign(w) + 2 l2 w), then the constraint; the loss holds the penalty before it."""
    with fastnn.backend(backend):
        layer = layers.Dense(3, use_bias=False, kernel_regularizer=regularizers.L1L2(0.1, 0.2),
                             kernel_constraint=constraints.MaxNorm(1.5))
        model = fastnn.Sequential([fastnn.Input((6,)), layer])
        w = RNG.normal(size=(6, 3)).astype(np.float32)
        model.set_weights([w])
        model.compile(optimizers.SGD(0.1, **clip), "mse")
        loss = model.train_on_batch(X, Y)
    w, x, y = (a.astype(np.float64) for a in (w, X, Y))
    residual = x @ w - y
    want = np.mean(residual**2) + 0.1 * np.abs(w).sum() + 0.2 * np.square(w).sum()
    assert math.isclose(loss, want, rel_tol=1e-5)
    g = x.T @ residual * 2 / residual.size + 0.1 * np.sign(w) + 0.4 * w
    g *= min(1, next(iter(clip.values()), np.inf) / np.sqrt(np.square(g).sum()))
    moved = w - 0.1 * g
    norm = np.sqrt(np.square(moved).sum(0))
    np.testing.assert_allclose(layer.kernel.numpy(), moved * np.minimum(norm, 1.5) / norm, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_that_share_memory_are_not_regularized_twice(backend):
    class Twice(layers.Layer):
        def build(self, shape):
            self.a = self.add_weight((6,), "ones", name="a", regularizer="l2")
            self.b = self.add_weight((6,), "ones", name="b")

        def call(self, x):
            return x + (self.a + self.b)

    with fastnn.backend(backend):
        model = fastnn.Sequential([Twice()])
        model.compile(optimizers.SGD(1.0), "mse")
        model.fit(X, X, batch_size=24, epochs=1, verbose=0)
        a, b = model.get_weights()
    np.testing.assert_allclose(a, 1 - 4 / 6 - 0.02, rtol=1e-5)
    np.testing.assert_allclose(b, 1 - 4 / 6, rtol=1e-5)


def test_frozen_weights_are_not_penalized():
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3, kernel_regularizer="l2", name="d")])
    model.compile("sgd", "mse")
    with_penalty = model.evaluate(X, Y, verbose=0)
    penalty = float(model.losses[0])
    model.add(layers.Dense(3, kernel_initializer="identity"))
    model.get_layer("d").trainable = False
    model.compile("sgd", "mse")
    assert math.isclose(model.evaluate(X, Y, verbose=0), with_penalty - penalty, rel_tol=1e-5)
    assert model.losses == []


def test_a_weight_that_the_loss_does_not_depend_on_decays():
    class Idle(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight((4,), "ones", name="w", regularizer=regularizers.L2(0.1))
            self.b = self.add_weight((6,), "zeros", name="b")

        def call(self, x):
            return x + self.b

    model = fastnn.Sequential([Idle()])
    model.compile(optimizers.SGD(0.5), "mse")
    model.fit(X, X, batch_size=24, verbose=0)
    np.testing.assert_allclose(model.get_weights()[0], 0.9, rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_add_loss(backend):
    class Quiet(layers.Layer):
        def call(self, x):
            self.add_loss(0.1 * ops.mean(ops.square(x)))
            return x

    with fastnn.backend(backend):
        dense = layers.Dense(3)
        model = fastnn.Sequential([fastnn.Input((6,)), dense, Quiet()])
        model.compile(optimizers.SGD(0.1), "mse")
        w = dense.kernel.numpy().astype(np.float64)
        loss = model.train_on_batch(X, Y)
        out = X @ w
        assert math.isclose(loss, np.mean((out - Y) ** 2) + 0.1 * np.mean(out**2), rel_tol=1e-5)
        g = X.T @ ((out - Y) + 0.1 * out) * 2 / out.size
        np.testing.assert_allclose(dense.kernel.numpy(), w - 0.1 * g, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="scalar tensors"):
        dense.add_loss(1.0)


def test_losses_within_a_program_of_ones_own():
    layer = layers.Dense(3, kernel_regularizer="l1", activity_regularizer="l2")
    layer(X)

    @fastnn.program
    def total(x):
        layer(x)
        first, second = layer.losses
        return first, second

    activity, weight = total(X)
    y = layer(X)
    np.testing.assert_allclose(activity, 0.01 * np.square(y).sum() / len(X), rtol=1e-5)
    np.testing.assert_allclose(weight, 0.01 * np.abs(layer.kernel.numpy()).sum(), rtol=1e-5)


def cube(w):
    return ops.sum(ops.absolute(w) * ops.square(w)) * 0.01


class Cap(constraints.Constraint):
    def __init__(self, cap=0.5):
        self.cap = cap

    def __call__(self, w):
        return ops.minimum(w, self.cap)

    def get_config(self):
        return {"cap": self.cap}


def test_saved_with_what_is_the_users_own(tmp_path):
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(
        3, kernel_regularizer=cube, kernel_constraint=Cap(0.25), bias_regularizer="l1_l2",
        activity_regularizer=regularizers.L1(0.5))])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors", custom_objects={"cube": cube, "Cap": Cap})
    assert again.get_config() == model.get_config()
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    with pytest.raises(Exception, match="cube"):
        load_model(tmp_path / "m.safetensors")
    other = pickle.loads(pickle.dumps(model))
    for m in (model, other):
        m.fit(X, Y, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])
    assert model.get_weights()[0].max() <= 0.25


@pytest.mark.parametrize("make,words", [
    (lambda: layers.Dense(2, kernel_regularizer="l3"), "known are 'L1'"),
    (lambda: layers.Dense(2, kernel_constraint="max_nrm"), "did you mean 'max_norm'"),
    (lambda: regularizers.L2(-1), "l2 is -1"), (lambda: regularizers.L1(math.nan), "l1 is nan"),
    (lambda: regularizers.OrthogonalRegularizer(mode="row"), "did you mean 'rows'"),
    (lambda: constraints.MaxNorm(-1), "max_value is -1"), (lambda: constraints.MinMaxNorm(2, 1), "min_value is 2"),
    (lambda: constraints.MinMaxNorm(rate=1.5), "rate is 1.5"), (lambda: constraints.UnitNorm("0"), "axis is '0'"),
    (lambda: layers.ActivityRegularization(l1="a"), "l1 is 'a'"),
    (lambda: layers.Dense(2, kernel_regularizer=3), "a regularizer is"),
])
def test_wrong_arguments(make, words):
    with pytest.raises(ValueError) as caught:
        make()
    assert words.lower() in str(caught.value).lower()


@pytest.mark.parametrize("what", (regularizers, constraints))
def test_keras_configs_are_read(what):
    for name, made in what.REGISTRY.known.items():
        item = what.get(name)
        assert isinstance(item, made)
        again = what.deserialize({"module": "keras", "class_name": made.__name__, "config": item.get_config(),
                                  "registered_name": None})
        assert again.get_config() == item.get_config()


def test_weights_of_other_layers_have_them_too():
    """Each weight of these layers takes a regularizer and a constraint, in its config as well."""
    both = ("gamma", "beta")
    for made, names in ((layers.BatchNormalization, both), (layers.LayerNormalization, both),
                        (layers.PReLU, ("alpha",))):
        layer = made(**{f"{n}_regularizer": "l2" for n in names}, **{f"{n}_constraint": Cap(0.25) for n in names})
        model = fastnn.Sequential([fastnn.Input((6,)), layer])
        model.compile(optimizers.SGD(0.5), "mse")
        model.fit(X, X + 2, batch_size=24, epochs=3, verbose=0)
        assert len(model.losses) == len(names)
        assert all(getattr(layer, n).numpy().max() <= 0.25 for n in names)
        again = layers.deserialize(layers.serialize(layer), custom_objects={"Cap": Cap})
        assert again.get_config() == layer.get_config()
    with pytest.raises(TypeError, match="gama_regularizer"):
        layers.LayerNormalization(gama_regularizer="l2")
