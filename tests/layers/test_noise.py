"""Dropout in its forms, noise and preprocessing: statistics, gradients with the noise held, samples, the gather."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops, optimizers

BACKENDS = ("numpy", "native") if fastnn.get_backend() == "native" else ("numpy",)
NOISE = {
    "dropout": lambda: layers.Dropout(0.3, seed=1), "alpha": lambda: layers.AlphaDropout(0.2, seed=2),
    "spatial": lambda: layers.SpatialDropout1D(0.3, seed=3),
    "gaussian_dropout": lambda: layers.GaussianDropout(0.3, seed=4),
    "gaussian_noise": lambda: layers.GaussianNoise(0.5, seed=5),
}


@pytest.mark.parametrize("name", NOISE)
def test_the_same_bits_in_every_backend_and_the_gradient_of_the_same_noise(name):
    x = np.random.default_rng(0).normal(size=(6, 5, 7)).astype(np.float32)
    found = []
    for backend in BACKENDS:
        with fastnn.backend(backend):
            layer, given = NOISE[name](), fastnn.Variable(x, name="x")

            @fastnn.program
            def step(d, layer=layer, given=given):
                y = layer(given * 1.0)
                return y, fastnn.gradients(ops.sum(y * d), [given])[0]

            found.append([step(np.ones_like(x)) for _ in range(2)])
    for others in found[1:]:
        for pair, other in zip(found[0], others):
            np.testing.assert_array_equal(pair[1], other[1])
            np.testing.assert_allclose(pair[0], other[0], rtol=3e-7, atol=1e-7)
    (y, dx), (again, _) = found[-1]
    assert (y != again).any(), "another step has other noise"
    shift = {"gaussian_noise": y - x, "alpha": None}.get(name, 0)
    if shift is None:  # dropped: constant, with a gradient of 0; kept: a x + b
        assert len(np.unique(y[dx == 0])) == 1 and len(np.unique(dx)) == 2
    else:
        np.testing.assert_allclose(y, x * dx + shift, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name,mean,deviation", [
    ("alpha", 0, 1), ("gaussian_noise", 0, math.sqrt(1.25)), ("gaussian_dropout", 0, math.sqrt(1 + 0.3 / 0.7)),
    ("dropout", 0, math.sqrt(1 / 0.7))])
def test_moments(name, mean, deviation):
    """Of standard normal inputs: alpha dropout keeps both, the others the mean."""
    x = np.random.default_rng(0).normal(size=(1000, 200))
    y = NOISE[name]()(x, training=True).astype(np.float64)
    assert abs(y.mean() - mean) < 0.012 and abs(y.std() - deviation) < 0.012


def test_spatial_dropout_takes_whole_features():
    y = layers.SpatialDropout2D(0.5, seed=1)(np.ones((20, 3, 4, 8)), training=True)
    assert (y == y[:, :1, :1]).all() and 0.3 < (y == 0).mean() < 0.7
    y = layers.SpatialDropout2D(0.5, "channels_first", seed=1)(np.ones((20, 8, 3, 4)), training=True)
    assert (y == y[:, :, :1, :1]).all() and 0.3 < (y == 0).mean() < 0.7
    y = layers.SpatialDropout3D(0.5, seed=1)(np.ones((20, 2, 3, 4, 8)), training=True)
    assert (y == y[:, :1, :1, :1]).all() and 0.3 < (y == 0).mean() < 0.7
    y = layers.SpatialDropout3D(0.5, "channels_first", seed=1)(np.ones((20, 8, 2, 3, 4)), training=True)
    assert (y == y[:, :, :1, :1, :1]).all() and 0.3 < (y == 0).mean() < 0.7


def noisy_model():
    fastnn.utils.set_random_seed(3)
    return fastnn.Sequential([fastnn.Input((6,)), layers.BatchNormalization(), layers.Dense(40, "relu"),
                              layers.Dropout(0.5), layers.Dense(2)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_monte_carlo_samples(backend):
    x = np.random.default_rng(0).normal(size=(70, 6))
    with fastnn.backend(backend):
        model = noisy_model()
        before = model.get_weights()
        drawn = model.predict(x, mc=200, batch_size=32)
        assert drawn.shape == (200, 70, 2)
        calm = model.predict(x)
        np.testing.assert_allclose(drawn.mean(0), calm, atol=6 * drawn.std(0).max() / math.sqrt(200))
        assert (drawn.std(0) > 0).all()
        flat = drawn.reshape(200, -1)
        assert len(np.unique(flat, axis=0)) == 200, "each sample has noise of its own"
        assert (model.predict(x, mc=3)[0] != drawn[0]).any()
        np.testing.assert_array_equal(model.predict(x), calm)
        for a, b in zip(before, model.get_weights()):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(noisy_model().predict(x, mc=2, batch_size=32), drawn[:2])
    with pytest.raises(ValueError, match="mc must be an integer"):
        model.predict(x, mc=0)
    with pytest.raises(ValueError, match="must be arrays"):
        model.predict(iter([x]), mc=2)


def test_calls_in_training_mode():
    model = noisy_model()
    x = np.random.default_rng(0).normal(size=(30, 6))
    first, second = model(x, training=True), model(x, training=True)
    assert (first != second).any()
    np.testing.assert_array_equal(model(x), model(x))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", (np.uint8, np.float32))
def test_rescaling_is_done_by_the_gather(backend, dtype):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (50, 4, 3)).astype(dtype), rng.normal(size=(50, 2)).astype(np.float32)
    with fastnn.backend(backend):
        fastnn.utils.set_random_seed(1)
        model = fastnn.Sequential([fastnn.Input((4, 3)), layers.Flatten(), layers.Rescaling(1 / 255, -0.5),
                                   layers.Dense(2)])
        model.compile(optimizers.SGD(0.1), "mse")
        weights = model.get_weights()
        kernels = [c.kernel.name for c in model.training_program(x, y).calls]
        assert kernels.count("gather_rows") == 2 and "affine" not in kernels
        model.fit(x, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        other = fastnn.Sequential([fastnn.Input((12,)), layers.Dense(2)])
        other.set_weights(weights)
        other.compile(optimizers.SGD(0.1), "mse")
        scaled = x.reshape(50, 12).astype(np.float32) / 255 - np.float32(0.5)
        other.fit(scaled, y, batch_size=16, epochs=2, shuffle=False, verbose=0)
        np.testing.assert_allclose(model.get_weights()[0], other.get_weights()[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(model.predict(x), other.predict(scaled), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("axis", (-1, 1, (1, 2), None))
def test_adapt_as_numpy_and_in_batches(axis):
    x = (np.random.default_rng(0).gamma(2, size=(103, 3, 5)) * 1000 + 1e5).astype(np.float32)
    layer, other = layers.Normalization(axis=axis), layers.Normalization(axis=axis)
    layer.adapt(x)
    other.adapt(x[i : i + 10] for i in range(0, 103, 10))
    over = {-1: (0, 1), 1: (0, 2), (1, 2): (0,), None: (0, 1, 2)}[axis]
    wide = x.astype(np.float64)
    for one in (layer, other):
        np.testing.assert_allclose(one.mean.numpy(), wide.mean(over), rtol=1e-6)
        np.testing.assert_allclose(one.variance.numpy(), wide.var(over), rtol=1e-6)
    y = layer(x).astype(np.float64)
    np.testing.assert_allclose(y.mean(over), 0, atol=1e-3)
    np.testing.assert_allclose(y.std(over), 1, rtol=1e-3)
    layer.adapt(x * 0 + 7)
    np.testing.assert_array_equal(layer(x[:3] * 0 + 7), 0)


def test_normalization_in_a_model(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 3)) * 5 + 2
    scale = layers.Normalization()
    scale.adapt(x)
    model = fastnn.Sequential([scale, layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, x[:, :1], epochs=2, verbose=0)
    np.testing.assert_allclose(scale.mean.numpy(), x.mean(0), rtol=1e-6)
    model.save(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(fastnn.models.load_model(tmp_path / "m.safetensors").predict(x), model.predict(x))


def test_keras_normalization_and_rescaling():
    keras = pytest.importorskip("keras")
    x = (np.random.default_rng(0).normal(size=(30, 4, 5)) * 3 + 1).astype(np.float32)
    for arguments in ({}, {"axis": 1}, {"axis": None}, {"axis": (1, 2)}, {"invert": True}):
        ours, theirs = layers.Normalization(**arguments), keras.layers.Normalization(**arguments)
        ours.adapt(x), theirs.adapt(x)
        np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(layers.Rescaling(0.1, 2)(x), np.asarray(keras.layers.Rescaling(0.1, 2)(x)), rtol=1e-6,
                               atol=1e-6)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in Keras
def test_frozen_batch_normalization_as_in_keras():
    """Frozen when compiled: fit takes the moving statistics and leaves them; what lies below still learns."""
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 4)).astype(np.float32) + 1, rng.normal(size=(64, 2)).astype(np.float32)
    weights = None
    found = []
    for k in (fastnn, keras):
        model = k.Sequential([k.Input((4,)), k.layers.Dense(6), k.layers.BatchNormalization(), k.layers.Dense(2)])
        if weights is None:
            weights = [np.abs(rng.normal(size=w.shape)) + 0.2 for w in model.get_weights()]
        model.set_weights(weights)
        model.layers[-2].trainable = False
        model.compile(optimizer=k.optimizers.SGD(0.01), loss="mse")
        losses = model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
        found.append((losses, [np.asarray(w) for w in model.get_weights()]))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    for i in range(2, 6):
        np.testing.assert_array_equal(found[0][1][i], weights[i].astype(np.float32))
