"""Initializers: distributions against their formulas and scipy, seeds, names, configs, errors."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn.utils
from fastnn import initializers, seeds

SCALED = {  # name: (distribution, variance times n, n from fans)
    "GlorotNormal": ("normal", 1.0, lambda i, o: (i + o) / 2),
    "GlorotUniform": ("uniform", 1.0, lambda i, o: (i + o) / 2),
    "HeNormal": ("normal", 2.0, lambda i, o: i),
    "HeUniform": ("uniform", 2.0, lambda i, o: i),
    "LecunNormal": ("normal", 1.0, lambda i, o: i),
    "LecunUniform": ("uniform", 1.0, lambda i, o: i),
}
RANDOM = [*SCALED, "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Orthogonal"]
ALL_RANDOM = [*RANDOM, "TorchLinear"]  # the last is not Keras's


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("shape", [(300, 700), (3, 5, 40, 60)])
def test_scaled_by_fans(name, shape):
    window = math.prod(shape[:-2])
    distribution, scale, n_of = SCALED[name]
    deviation = math.sqrt(scale / n_of(shape[-2] * window, shape[-1] * window))
    w = getattr(initializers, name)(seed=4)(shape)
    assert w.shape == shape and w.dtype == np.float32 and w.flags.c_contiguous and w.flags.writeable
    w = w.astype(np.float64)
    # the deviation of an estimate from n values is below sigma / sqrt(n); five of them are allowed
    assert abs(w.mean()) < 5 * deviation / math.sqrt(w.size)
    assert abs(w.std() / deviation - 1) < 5 / math.sqrt(w.size)
    bound = deviation * math.sqrt(3) if distribution == "uniform" else 2 * deviation / 0.87962566103423978
    assert 0.99 * bound < np.abs(w).max() <= bound * (1 + 1e-6)


def test_distributions_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    n = 20000
    for initializer, distribution in [
        (initializers.RandomNormal(0.5, 2.0, seed=1), stats.norm(0.5, 2.0)),
        (initializers.TruncatedNormal(0.5, 2.0, seed=2), stats.truncnorm(-2, 2, 0.5, 2.0)),
        (initializers.RandomUniform(-1.0, 3.0, seed=3), stats.uniform(-1, 4)),
        (initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal", seed=4), stats.norm(0, math.sqrt(3 / n))),
    ]:
        assert stats.kstest(initializer((n,), "float64"), distribution.cdf).pvalue > 1e-3
    assert stats.truncnorm(-2, 2).std() == pytest.approx(0.87962566103423978, abs=1e-12)


def test_as_keras_has_it(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for name in RANDOM + ["Zeros", "Ones", "Constant", "Identity"]:
        theirs, ours = getattr(keras.initializers, name)(), getattr(initializers, name)()
        assert ours.get_config().items() >= theirs.get_config().items()  # Keras 3.15 loses the gain of Identity
        assert type(initializers.get(keras.initializers.serialize(theirs))) is type(ours)
        a, b = np.asarray(theirs((60, 50))), ours((60, 50))
        assert a.dtype == b.dtype and abs(a.std() - b.std()) <= 0.05 * a.std()
    from keras.src.initializers import ALL_OBJECTS_DICT

    assert set(initializers.KNOWN) >= {k for k in ALL_OBJECTS_DICT if "stft" not in k.lower() and "nitializer" not in k}


@pytest.mark.parametrize("name", ALL_RANDOM)
def test_seeds(name):
    make = getattr(initializers, name)
    a = make(seed=1)
    assert (a((6, 5)) == a((6, 5))).all() and (a((6, 5)) == make(seed=1)((6, 5))).all()
    assert (a((6, 5)) != make(seed=2)((6, 5))).any()
    assert (make()((6, 5)) != make()((6, 5))).any()
    sequence = np.random.SeedSequence(9, spawn_key=(1, 2))
    assert (make(seed=sequence)((6, 5)) == make(seed=sequence)((6, 5))).all()
    drawing_on = make(seed=np.random.default_rng(3))
    assert (drawing_on((6, 5)) != drawing_on((6, 5))).any()
    fastnn.utils.set_random_seed(5)
    first = make()((6, 5)), make()((6, 5))
    fastnn.utils.set_random_seed(5)
    assert (first[0] == make()((6, 5))).all() and (first[1] == make()((6, 5))).all()
    for seed in (1, None, sequence, np.random.default_rng(0)):
        config = json.loads(json.dumps(initializers.serialize(make(seed=seed))))
        again = initializers.deserialize(config)
        assert again.get_config() == config["config"]
        if seed == 1 or seed is sequence:
            assert (again((6, 5)) == make(seed=seed)((6, 5))).all()
    assert (a.clone()((6, 5)) == a((6, 5))).all()


@pytest.mark.parametrize("name", ALL_RANDOM)
def test_dtypes_round_the_same_values(name):
    shape = (70000, 3) if name != "Orthogonal" else (70, 3)  # more than one chunk
    values = getattr(initializers, name)(seed=1)(shape, "float64")
    for dtype in ("float32", "float16"):
        w = getattr(initializers, name)(seed=1)(shape, dtype)
        assert w.dtype == dtype
        np.testing.assert_allclose(w, values, rtol=2 * np.finfo(dtype).eps, atol=1e-7)
    with pytest.raises(ValueError, match="asked for dtype int32"):
        getattr(initializers, name)(seed=1)((2, 2), "int32")


@given(st.floats(-1e3, 1e3), st.floats(1e-6, 1e3), st.sampled_from(["float16", "float32", "float64"]))
def test_uniform_never_reaches_its_open_end(low, width, dtype):
    high = low + width
    w = initializers.RandomUniform(low, high, seed=0)((500,), dtype)
    if np.dtype(dtype).type(low) < np.dtype(dtype).type(high):
        assert (w < np.dtype(dtype).type(high)).all() and (w >= np.dtype(dtype).type(low)).all()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (2, 3, 4), (1, 9)])
def test_orthogonal(shape):
    q = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64").reshape(-1, shape[-1])
    small = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_is_evenly_spread():
    # QR alone gives a positive diagonal of R; evenly spread matrices have a trace of mean 0 and variance 1
    traces = [np.trace(initializers.Orthogonal(seed=s)((3, 3), "float64")) for s in range(2000)]
    assert abs(np.mean(traces)) < 5 / math.sqrt(2000) and abs(np.var(traces) - 1) < 0.2


def test_constants():
    assert initializers.Zeros()((2, 0)).shape == (2, 0)
    assert initializers.Ones()((), "int32") == 1
    assert initializers.Constant([1, 2])((3, 2)).tolist() == [[1, 2]] * 3
    assert initializers.Constant([1, 2])((3, 2)).flags.writeable
    assert initializers.Identity(2.0)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]
    assert initializers.Constant(np.float32(0.5)).get_config() == {"value": 0.5}
    assert initializers.Zeros()(3).shape == (3,)


def test_get():
    for name, cls in initializers.KNOWN.items():
        assert type(initializers.get(name)) is cls
        assert name in ("zero", "one", "normal", "uniform") or getattr(initializers, name) is cls
    assert isinstance(initializers.get(initializers.Ones), initializers.Ones)
    one = initializers.Ones()
    assert initializers.get(one) is one and initializers.get(None) is None
    assert initializers.get(np.zeros)((2,)).tolist() == [0, 0]
    given_array = initializers.get(np.arange(3))
    assert given_array((3,)).tolist() == [0, 1, 2] and given_array((3,)).dtype == np.float32
    with pytest.raises(ValueError, match=r"shape \(3,\), the weight \(4,\)"):
        given_array((4,))


def test_torch_linear_is_what_torch_draws_from():
    w = initializers.TorchLinear(seed=1)((400, 300), "float64")
    assert 0.0499 < abs(w).max() <= 0.05 and w.std() == pytest.approx(0.05 / math.sqrt(3), rel=0.01)
    layer = fastnn.layers.Dense(300, kernel_initializer="torch_linear", bias_initializer="TorchLinear")
    layer.build((None, 400))
    kernel, bias = layer.get_weights()
    again = fastnn.layers.deserialize(fastnn.layers.serialize(layer))
    again.build((None, 100))
    assert 0.099 < abs(again.get_weights()[0]).max() <= 0.1 and 0.09 < abs(again.get_weights()[1]).max() <= 0.1
    torch = pytest.importorskip("torch")
    theirs = torch.nn.Linear(400, 300)
    stats = pytest.importorskip("scipy.stats")
    for ours, their in ((kernel, theirs.weight), (bias, theirs.bias)):
        assert stats.ks_2samp(ours.ravel(), their.detach().numpy().ravel()).pvalue > 1e-3
        assert abs(ours).max() <= 0.05


def normal(x):
    return math.erfc(-x / math.sqrt(2)) / 2


GAINS = {  # name: the mean square in closed form
    "linear": 1.0, "relu": 0.5, "leaky_relu": (1 + 0.2**2) / 2, "exponential": math.exp(2),
    "gelu": 1 / 3 + 1 / (2 * math.pi * math.sqrt(3)),
    "hard_tanh": normal(1) - normal(-1) - 2 * math.exp(-0.5) / math.sqrt(2 * math.pi) + 2 * normal(-1),
    "hard_shrink": 2 * (normal(-0.5) + 0.5 * math.exp(-0.125) / math.sqrt(2 * math.pi)),
    "selu": 1.0,
}


@pytest.mark.parametrize("name", GAINS)
def test_gains_are_those_of_the_textbooks(name):
    assert initializers.gain(name) == pytest.approx(GAINS[name] ** -0.5, rel=1e-11)


def test_gains_of_functions():
    integrate, special = pytest.importorskip("scipy.integrate"), pytest.importorskip("scipy.special")
    for name, f in {"tanh": np.tanh, "sigmoid": special.expit, "silu": lambda x: x * special.expit(x),
                    "softplus": lambda x: np.logaddexp(0, x)}.items():
        square = integrate.quad(lambda z, f=f: f(z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -13, 13,
                                epsabs=1e-14, epsrel=1e-13)[0]
        assert initializers.gain(name) == pytest.approx(square**-0.5, rel=1e-10)
        assert initializers.gain(f) == pytest.approx(square**-0.5, rel=1e-10)
    assert initializers.gain(lambda x: np.maximum(x - 0.3, 0)) == pytest.approx(
        ((1 + 0.09) * normal(-0.3) - 0.3 * math.exp(-0.045) / math.sqrt(2 * math.pi)) ** -0.5, rel=1e-5)
    assert initializers.gain(lambda x: fastnn.ops.relu(x) * 2) == pytest.approx(math.sqrt(0.5), rel=1e-12)


def test_gain_keeps_the_mean_square_over_many_layers():
    x = np.random.default_rng(0).normal(size=(200, 300))
    for name in ("relu", "tanh", "gelu", "mish", "selu"):
        f, y = fastnn.activations.get(name), x
        draw = initializers.VarianceScaling(initializers.gain(name) ** 2, "fan_in", seed=np.random.default_rng(1))
        first = np.square(y).mean()
        for _ in range(5):
            y = f(y) @ draw((300, 300), "float64")
        assert 0.7 < np.square(y).mean() / first < 1.4, name


def test_compute_fans():
    assert initializers.compute_fans(()) == (1, 1)
    assert initializers.compute_fans((4, 5, 6), [0, 1], [2]) == (20, 6)
    w = initializers.HeNormal(seed=1, input_axes=[0, 1], output_axes=[2])((30, 20, 50))
    assert w.std() == pytest.approx(math.sqrt(2 / 600), rel=0.03)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: initializers.get("he_norml"), "Unknown initializer 'he_norml': did you mean 'he_normal'"),
        (lambda: initializers.get("HeNorml"), "did you mean 'HeNormal'"),
        (lambda: initializers.get("xyzzy"), "known are 'Zeros'"),
        (lambda: initializers.get(3.0), "not 3.0"),
        (lambda: initializers.get({"class_name": "Heer"}), "Unknown initializer 'Heer'"),
        (lambda: initializers.HeNormal(seed="a"), "seed must be an integer"),
        (lambda: initializers.HeNormal(seed=True), "seed must be an integer"),
        (lambda: initializers.HeNormal(seed=-1), "at least 0, but is -1"),
        (lambda: initializers.HeNormal(seed=1)((2, -1)), "shape must hold integers"),
        (lambda: initializers.HeNormal(seed=1)((2.0, 1)), "shape must hold integers"),
        (lambda: initializers.HeNormal(input_axes=[0]), "must be given together"),
        (lambda: initializers.VarianceScaling(scale=0), "scale must be above 0"),
        (lambda: initializers.VarianceScaling(mode="fan_inn"), "did you mean 'fan_in'"),
        (lambda: initializers.VarianceScaling(distribution="unifrom"), "did you mean 'uniform'"),
        (lambda: initializers.RandomNormal(stddev=float("nan")), "stddev must be finite"),
        (lambda: initializers.RandomUniform(1.0, 0.0), "maxval 0.0 is below minval 1.0"),
        (lambda: initializers.Orthogonal()((3,)), "two axes or more"),
        (lambda: initializers.Identity()((3,)), "must be a matrix"),
        (lambda: initializers.TorchLinear()((3,)), r"shape \(3,\) does not tell .*; give fan_in"),
        (lambda: initializers.TorchLinear(0), "fan_in must be a positive whole number, but is 0"),
        (lambda: initializers.gain("tahn"), "did you mean 'tanh'"),
        (lambda: initializers.gain("softmax"), "each element by itself, and softmax is none"),
        (lambda: initializers.gain(lambda x: x * 0), "mean square of <lambda> is 0"),
        (lambda: initializers.Constant("a"), "value must be numbers"),
        (lambda: initializers.Constant([1, 2, 3])((2,)), r"shape \(3,\) cannot fill a weight of shape \(2,\)"),
        (lambda: initializers.Zeros()((2,), "complex64"), "asked for dtype complex64"),
        (lambda: initializers.serialize(np.zeros), "Only an Initializer"),
        (lambda: seeds.from_config({"entropy": 1}), "'entropy' and 'spawn_key'"),
    ],
)
def test_wrong_arguments(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
