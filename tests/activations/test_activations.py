"""Activations as users call them: against Keras live, in models, by name, with wrong numbers."""

import inspect
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import activations, layers, ops

core = pytest.importorskip("fastnn.kernels.native.core")
NAMES = sorted(activations._KNOWN)
NUMBERS = {
    "relu": [{"negative_slope": 0.1}, {"max_value": 1.5}, {"max_value": 6.0}, {"threshold": 0.4},
             {"negative_slope": 0.1, "max_value": 1.0, "threshold": 0.4}],
    "leaky_relu": [{}, {"negative_slope": 0.01}, {"negative_slope": 0.0}], "elu": [{}, {"alpha": 0.3}],
    "celu": [{}, {"alpha": 0.3}], "gelu": [{}, {"approximate": True}, {"approximate": False}],
    "glu": [{}, {"axis": 0}, {"axis": 1}], "hard_shrink": [{}, {"threshold": 1.0}],
    "soft_shrink": [{}, {"threshold": 1.0}], "softmax": [{}, {"axis": 0}, {"axis": 1}],
    "log_softmax": [{}, {"axis": 0}, {"axis": -2}], "sparsemax": [{}, {"axis": 0}, {"axis": 1}],
    "squareplus": [{}, {"b": 0.5}], "threshold": [{"threshold": 0.5, "default_value": -2.0}],
}
CALLS = [(name, more) for name in NAMES for more in NUMBERS.get(name, [{}])]


def values():
    return np.random.default_rng(3).normal(0, 2, (4, 6, 8)).astype(np.float32)


# Keras 3.15's sparsemax adds up cumulative sums: its rows sum to 1 only where one element is left
@pytest.mark.parametrize(("name", "numbers"), [c for c in CALLS if c[0] != "sparsemax"], ids=str)
def test_values_and_gradients_are_keras_own(name, numbers, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras, jax = pytest.importorskip("keras"), pytest.importorskip("jax")
    theirs = getattr(keras.activations, "gelu" if name == "gelu_tanh" else name)
    more = {"approximate": True} if name == "gelu_tanh" else numbers
    x = values()
    want, back = jax.vjp(lambda x: theirs(x, **more), x)
    weigh = np.random.default_rng(4).normal(size=want.shape).astype(np.float32)
    ours = getattr(activations, name)
    v = fastnn.Variable(x, name="x")
    _, (gradient,) = fastnn.value_and_grad(lambda w: ops.sum(ours(v * 1.0, **numbers) * w), [v])(weigh)
    np.testing.assert_allclose(fastnn.traced(lambda x: ours(x, **numbers))(x), want, rtol=1e-5, atol=1e-6)
    # atol: at -5 the slope of gelu's approximation is left over from numbers near 1, in JAX farther off than here
    np.testing.assert_allclose(gradient, back(weigh)[0], rtol=1e-5, atol=4e-6)


def test_names_and_arguments_are_keras_own(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for name in dir(keras.activations):
        theirs = getattr(keras.activations, name)
        if not callable(theirs) or name in ("get", "serialize", "deserialize"):
            continue
        ours = inspect.signature(getattr(activations, name)).parameters
        for argument, p in inspect.signature(theirs).parameters.items():
            assert ours[argument].default == p.default, (name, argument)
        assert activations.get(name) is getattr(activations, name)
        assert name in ("exponential", "linear") or callable(getattr(ops, name))


@pytest.mark.parametrize(("name", "numbers"), CALLS, ids=str)
def test_arrays_tensors_and_symbols(name, numbers):
    x, f = values(), activations.get(name)
    y = f(x.astype(np.float64), **numbers)
    np.testing.assert_allclose(fastnn.traced(lambda x: f(x, **numbers))(x), y, rtol=1e-5, atol=1e-6)
    if numbers.get("axis") == 0 or name == "linear":
        return
    symbol = fastnn.Input(x.shape[1:])
    model = fastnn.Model(symbol, f(symbol, **numbers))
    np.testing.assert_allclose(model.predict(x, verbose=0), y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [n for n in NAMES if n != "threshold"])
def test_dense_applies_it_by_name_and_is_saved_with_it(name, tmp_path):
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(8, activation=name), layers.Activation(name)])
    x = values()[0, :, :5]
    z = x.astype(np.float64) @ model.layers[0].kernel.numpy()
    f = activations.get(name)
    np.testing.assert_allclose(model.predict(x, verbose=0), f(f(z)), rtol=2e-5, atol=2e-6)
    model.save(tmp_path / "m.safetensors")
    again = fastnn.models.load_model(tmp_path / "m.safetensors")
    assert again.layers[0].activation is f
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_dense_takes_a_layer_that_follows_to_the_edge_of_its_product():
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(8), layers.LeakyReLU(0.1), layers.Dense(3),
                               layers.ReLU(6.0)])
    model.compile("sgd", "mse")
    x = values()[0, :, :5]
    program = model.training_program(x, np.zeros((6, 3), np.float32), 6)
    names = [c.kernel.name for c in program.calls]
    assert "activation" not in names and "ramp" not in names
    kinds = [c.attrs["activation"] for c in program.calls if c.kernel.name in ("dense", "dense_grad_input")]
    assert sorted(kinds) == ["leaky_relu", "leaky_relu", "relu6"]


def test_the_same_object_comes_back():
    for name in NAMES:
        f = activations.get(name)
        assert pickle.loads(pickle.dumps(f)) is f and activations.get(activations.serialize(f)) is f
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    """By sorting, as the paper's algorithm 1 has it."""
    x = np.random.default_rng(0).normal(0, 2, (200, 37))
    z = -np.sort(-x, 1)
    sums, k = z.cumsum(1), np.arange(1, 38)
    count = (1 + k * z > sums).sum(1)
    tau = (sums[np.arange(200), count - 1] - 1) / count
    np.testing.assert_allclose(activations.sparsemax(x), np.maximum(x - tau[:, None], 0), atol=1e-14)
    native = fastnn.traced(activations.sparsemax)(x.astype(np.float32))
    np.testing.assert_allclose(native, np.maximum(x - tau[:, None], 0), atol=1e-6)
    np.testing.assert_array_equal(activations.sparsemax(np.array([[3.4e38, -3.4e38, 0.0]])), [[1, 0, 0]])


LAYERS = [("ReLU", {}), ("ReLU", {"max_value": 1.5, "negative_slope": 0.1, "threshold": 0.4}), ("LeakyReLU", {}),
          ("LeakyReLU", {"negative_slope": 0.1}), ("ELU", {"alpha": 0.5}), ("Softmax", {}), ("Softmax", {"axis": 1}),
          ("Softmax", {"axis": [1, 2]}), ("PReLU", {}), ("PReLU", {"shared_axes": [1]}), ("PReLU", {"shared_axes": 2})]


@pytest.mark.parametrize(("name", "arguments"), LAYERS, ids=str)
def test_layers_are_keras_own(name, arguments, monkeypatch):
    """Values, weights and configs, which are read both ways."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    theirs, ours = getattr(keras.layers, name)(**arguments), getattr(layers, name)(**arguments)
    x = values()
    theirs(x), ours(x)
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=v.shape).astype(np.float32) for v in theirs.variables]
    ours.set_weights(weights)
    for v, w in zip(theirs.variables, weights):
        v.assign(w)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-6)
    config = {k: v for k, v in theirs.get_config().items() if k not in ("name", "trainable", "dtype")}
    again = getattr(layers, name).from_config(config)
    assert {k: again.get_config()[k] for k in config}.keys() == config.keys()
    back = {k: v for k, v in ours.get_config().items() if k in config}
    assert getattr(keras.layers, name).from_config(back).get_config().keys() >= config.keys()


@pytest.mark.parametrize(("make", "sentence"), [
    (lambda: activations.get("rleu"), "Unknown activation 'rleu': did you mean 'relu'"),
    (lambda: activations.get(3), "a name or a function; got 3"),
    (lambda: activations.relu(np.ones(2), max_value=-1.0), "relu: max_value is -1.0; a finite number of at least 0"),
    (lambda: activations.relu(np.ones(2), threshold=np.nan), "relu: threshold is nan; a finite number is wanted"),
    (lambda: activations.elu(np.ones(2), alpha=-1), "elu: alpha is -1; a finite number of at least 0"),
    (lambda: activations.celu(np.ones(2), alpha=0), "celu: alpha is 0; a finite number above 0"),
    (lambda: activations.silu(np.ones(2), beta="1"), "silu: beta is '1'"),
    (lambda: activations.glu(np.ones((2, 3))), "glu halves axis -1, which is odd in the shape"),
    (lambda: activations.softmax(np.ones((2, 3)), axis=2), "no axis 2 in an array of shape"),
    (lambda: activations.softmax(np.ones((2, 3)), axis=[]), "softmax wants at least one axis"),
    (lambda: layers.ReLU(-1.0), "ReLU .*: max_value is -1.0"),
    (lambda: layers.ReLU(negative_slope=None), "negative_slope is None"),
    (lambda: layers.LeakyReLU(-0.1), "LeakyReLU .*: negative_slope is -0.1"),
    (lambda: layers.ELU(np.inf), "ELU .*: alpha is inf"),
    (lambda: layers.PReLU(shared_axes=[0]), "axis 0 is the batch"),
    (lambda: layers.Softmax(0), "axis 0 is the batch"),
])
def test_wrong_numbers_are_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
