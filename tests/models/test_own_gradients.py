"""Gradient rules of the user's own, and gradients by the names of the weights."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers
from fastnn.kernels.tables import native_available

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)


@pytest.fixture(params=BACKENDS)
def backend(request):
    with fastnn.backend(request.param):
        yield request.param


def test_custom_gradients(backend):
    @fastnn.custom_gradient
    def reverse(x, factor):
        return x, lambda upstream: -factor * upstream

    @ops.custom_gradient
    def log1pexp(x):  # Keras's example
        e = ops.exp(x)

        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

        return ops.log(1 + e), grad

    @fastnn.custom_gradient
    def straight_through(x):
        return ops.sign(x), lambda upstream: upstream

    @fastnn.custom_gradient
    def swapped(a, b):
        return [a * b, a + b], lambda u, v: (10 * u, 100 * v)

    w, x = fastnn.Variable([1.0, -2.0]), np.array([0.5, 3.0])

    def grads(fn):
        value, found = fastnn.value_and_grad(fn, [w])(x)
        return float(value), found[0].tolist()

    assert grads(lambda x: ops.sum(x * reverse(w, 2.0))) == (-5.5, [-1.0, -6.0])
    assert grads(lambda x: ops.sum(x * straight_through(3 * w))) == (-2.5, [1.5, 9.0])
    value, found = grads(lambda x: ops.sum(log1pexp(w)))
    np.testing.assert_allclose(found, 1 / (1 + np.exp([-1, 2])), rtol=1e-6)
    assert value == pytest.approx(np.log1p(np.exp([1, -2])).sum(), rel=1e-6)
    assert grads(lambda x: ops.sum(swapped(w, x)[0]))[1] == [10, 10]
    assert grads(lambda x: ops.sum(swapped(w, x)[0] + 2 * swapped(x, w)[1]))[1] == [210, 210]
    assert grads(lambda x: ops.sum(swapped(w, x)[0]) + ops.sum(w))[1] == [11, 11]
    np.testing.assert_array_equal(reverse(x, 1.0), x)  # on arrays
    assert grads(lambda x: ops.sum(w * ops.stop_gradient(w)))[1] == [1, -2]
    with pytest.raises(TypeError, match="use it inside a layer's call"):
        straight_through(fastnn.Input((2,)))
    with pytest.raises(TypeError, match="returns a pair"):
        grads(lambda x: fastnn.custom_gradient(lambda x: x)(w))
    with pytest.raises(ValueError, match="2 gradients for 1"):
        grads(lambda x: ops.sum(fastnn.custom_gradient(lambda x: (x, lambda u: (u, u)))(w)))
    with pytest.raises(ValueError, match=r"shape \(\) for an argument of shape \(2,\)"):
        grads(lambda x: ops.sum(fastnn.custom_gradient(lambda x: (x, lambda u: ops.sum(u)))(w)))


def test_a_layer_that_reverses_gradients_trains_the_one_before_away():
    class Reverse(layers.Layer):
        def call(self, x):
            return fastnn.custom_gradient(lambda x: (x, lambda upstream: -upstream))(x)

    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(2), Reverse(), layers.Dense(1)])
    model.compile(optimizers.SGD(0.01), "mse")
    x, y = np.random.default_rng(0).normal(size=(8, 2)), np.ones((8, 1))
    plain = fastnn.Sequential([fastnn.Input((2,)), *(layers.Dense(n) for n in (2, 1))])
    plain.compile(optimizers.SGD(0.01), "mse")
    plain.set_weights(model.get_weights())
    first, second = model.gradients(x, y), plain.gradients(x, y)
    for i, (a, b) in enumerate(zip(first.values(), second.values())):
        np.testing.assert_allclose(a, -b if i < 2 else b, rtol=1e-5)
    model.fit(x, y, epochs=2, verbose=0)


def test_gradients_by_name(digits):
    x, y = digits[0][:20], digits[1][:20]
    inner = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(4, "tanh", kernel_regularizer="l2", name="first")],
                              name="body")
    model = fastnn.Sequential([inner, layers.Dense(3, "softmax", name="head")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    weights = np.linspace(0.1, 2, 20).astype(np.float32)
    for given in ({}, {"sample_weight": weights}):
        found = model.gradients(x, y, **given)
        assert list(found) == ["body/first/kernel", "body/first/bias", "head/kernel", "head/bias"]
        values, before = [], model.get_weights()
        model.compile(optimizers.SGD(1.0), "sparse_categorical_crossentropy")
        model.train_on_batch(x, y, **given)
        for old, new, g in zip(before, model.get_weights(), found.values()):
            np.testing.assert_allclose(old - new, g, rtol=1e-4, atol=1e-6)
        model.set_weights(before)
        kernel = inner.layers[0].kernel  # and by differences
        for sign in (1, -1):
            value = kernel.numpy()
            value[2, 1] += sign * 0.01
            kernel.assign(value)
            values.append(model.evaluate(x, y, verbose=0, **given))
            model.set_weights(before)
        assert found["body/first/kernel"][2, 1] == pytest.approx((values[0] - values[1]) / 0.02, rel=0.02, abs=1e-4)
    inner.trainable = False
    assert list(model.gradients(x, y)) == ["head/kernel", "head/bias"]
