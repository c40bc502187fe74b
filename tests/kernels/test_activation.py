"""Activations and softmax: hand-worked values, PyTorch's, extremes, and working in place."""

import numpy as np
import pytest

from fastnn.kernels import activation as a
from fastnn.kernels import single, tables
from fastnn.kernels.kinds import CHOICES

core = pytest.importorskip("fastnn.kernels.native.core")
BACKENDS = ("numpy", "native")


def relu_like(torch):
    f = torch.nn.functional
    return {
        "linear": lambda x: x * 1, "relu": f.relu, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
        "elu": lambda x: f.elu(x, 0.7), "selu": f.selu, "gelu": f.gelu,
        "gelu_tanh": lambda x: f.gelu(x, approximate="tanh"), "silu": lambda x: x * torch.sigmoid(0.7 * x),
        "softplus": lambda x: f.softplus(x, threshold=1000), "exponential": torch.exp,
        "leaky_relu": lambda x: f.leaky_relu(x, 0.7), "relu6": f.relu6,
        "celu": lambda x: torch.where(x > 0, x, 0.7 * torch.expm1(x / 0.7)),
        "hard_sigmoid": lambda x: (x + 3).clamp(0, 6) / 6, "hard_tanh": f.hardtanh,
        "hard_shrink": lambda x: f.hardshrink(x, 0.7),
        "soft_shrink": lambda x: f.softshrink(x, 0.7), "log_sigmoid": f.logsigmoid, "softsign": f.softsign,
        "mish": f.mish, "hard_silu": f.hardswish, "tanh_shrink": f.tanhshrink,
        "sparse_plus": lambda x: torch.where(x >= 1, x, torch.where(x <= -1, 0 * x, (x + 1) ** 2 / 4)),
        "sparse_sigmoid": lambda x: ((x + 1) / 2).clamp(0, 1),
        "squareplus": lambda x: (x + torch.sqrt(x * x + 0.7)) / 2,
    }


@pytest.mark.parametrize("kind", a.KINDS)
def test_values_and_slopes_are_torchs(kind):
    torch = pytest.importorskip("torch")
    x = np.concatenate([np.linspace(-20, 20, 802), [0.0]])
    at = torch.tensor(x, requires_grad=True)
    y = relu_like(torch)[kind](at)
    y.sum().backward()
    atol = 1e-14 if kind in ("squareplus", "tanh_shrink") else 1e-15  # what the plain formulas lose
    np.testing.assert_allclose(a.value(kind, x, 0.7), y.detach().numpy(), rtol=1e-12, atol=atol)
    np.testing.assert_allclose(a.slope(kind, x, y.detach().numpy(), 0.7), at.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("log", [False, True])
def test_softmax_and_its_gradient_are_torchs(log):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, dy = rng.normal(0, 3, (7, 33)), rng.normal(size=(7, 33))
    at = torch.tensor(x, requires_grad=True)
    y = (torch.log_softmax if log else torch.softmax)(at, -1)
    (y * torch.tensor(dy)).sum().backward()
    value, gradient = (a.log_softmax, a.log_softmax_grad) if log else (a.softmax, a.softmax_grad)
    np.testing.assert_allclose(value(x), y.detach().numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient(dy, value(x)), at.grad.numpy(), rtol=1e-9, atol=1e-14)


VALUES = [  # kind, x, y; worked by hand
    ("linear", -2.5, -2.5), ("relu", -2.5, 0.0), ("relu", 2.5, 2.5), ("sigmoid", 0.0, 0.5),
    ("sigmoid", np.log(3), 0.75), ("tanh", np.log(3) / 2, 0.5), ("elu", -np.log(2), -0.35), ("elu", 3.0, 3.0),
    ("selu", 1.0, 1.0507009873554805), ("selu", -np.log(2), -0.8790496704236883), ("gelu", 1.0, 0.8413447460685429),
    ("gelu", -1.0, -0.15865525393145707), ("gelu_tanh", 1.0, 0.8411919906082768),
    ("silu", np.log(3) / 0.7, 0.75 * np.log(3) / 0.7), ("leaky_relu", -2.0, -1.4), ("relu6", 7.0, 6.0),
    ("relu6", 5.5, 5.5), ("celu", -0.7 * np.log(2), -0.35), ("hard_sigmoid", 1.5, 0.75), ("hard_sigmoid", -3.0, 0.0),
    ("hard_tanh", -1.5, -1.0), ("hard_shrink", -0.75, -0.75), ("hard_shrink", 0.5, 0.0), ("soft_shrink", -1.7, -1.0),
    ("log_sigmoid", -np.log(3), -np.log(4)), ("log_sigmoid", -200.0, -200.0), ("sparse_plus", 0.0, 0.25),
    ("sparse_sigmoid", 0.5, 0.75), ("squareplus", 0.0, np.sqrt(0.7) / 2), ("squareplus", -1e4, 0.7 / 4e4),
    ("squareplus", -1e30, 0.7 / 4e30), ("softsign", -3.0, -0.75), ("softsign", 3e38, 1.0),
    ("mish", 0.0, 0.0), ("mish", np.log(2), 0.8 * np.log(2)), ("mish", -np.log(2), -np.log(2) * 5 / 13),
    ("hard_silu", 1.0, 2 / 3), ("tanh_shrink", 1e-3, 1e-9 / 3 * (1 - 0.4e-6)), ("tanh_shrink", 1e-6, 1e-18 / 3),
    ("softplus", 0.0, np.log(2)), ("softplus", 40.0, 40.0), ("exponential", 0.0, 1.0),
]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "x", "y"), VALUES)
def test_known_values(backend, kind, x, y):
    (got,) = single.run(a.activation, np.float32([x]), kind=kind, alpha=0.7, backend=backend)
    np.testing.assert_allclose(got, [y], rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", a.KINDS)
def test_extremes(backend, kind):
    x = np.float32([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e4, -1e4, 0.0, -0.0, 1e-40])
    with np.errstate(over="ignore", invalid="ignore"):
        (y,) = single.run(a.activation, x, kind=kind, backend=backend)
        from_output = kind in a.FROM_OUTPUT
        (dx,) = single.run(a.activation_grad, np.ones_like(x), None if from_output else x, y if from_output else None,
                           kind=kind, backend=backend)
    high = {"sigmoid": 1.0, "tanh": 1.0, "relu6": 6.0, "hard_sigmoid": 1.0, "hard_tanh": 1.0, "log_sigmoid": 0.0,
            "sparse_sigmoid": 1.0, "softsign": 1.0}.get(kind, np.inf)
    low = {"tanh": -1.0, "elu": -1.0, "celu": -1.0, "selu": -a.SELU_SCALE * a.SELU_ALPHA, "hard_tanh": -1.0,
           "softsign": -1.0, **dict.fromkeys(("linear", "leaky_relu", "hard_shrink", "soft_shrink", "log_sigmoid",
                                              "tanh_shrink"), -np.inf)}.get(kind, 0.0)
    assert np.isnan(y[0])
    np.testing.assert_allclose(y[1:3], [high, low], rtol=1e-6, atol=0)
    assert not np.isnan(y[1:]).any()
    assert not np.isnan(dx[1:]).any()
    assert kind in ("linear", "leaky_relu", *CHOICES) or np.isnan(dx[0])
    if kind == "relu":
        assert dx[7] == 0  # the slope at 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n", [3, 16, 40])
def test_softmax_of_extremes(backend, n):
    x = np.zeros((6, n), np.float32)
    x[0, 1] = 1e30
    x[1, 1] = -np.inf
    x[2, 1] = np.nan
    x[3] = np.inf
    x[4] = -np.inf
    x[5] = np.linspace(-1e4, 1e4, n)
    (y,) = single.run(a.softmax, x, backend=backend)
    with np.errstate(divide="ignore"):
        (z,) = single.run(a.log_softmax, x, backend=backend)
    want = np.zeros((6, n))
    want[0, 1] = 1
    want[1] = np.where(np.arange(n) == 1, 0, 1 / (n - 1))
    want[2:5] = np.nan
    want[5, -1] = 1
    np.testing.assert_allclose(y, want, rtol=1e-6)
    np.testing.assert_array_equal(np.isnan(z), np.isnan(want))
    np.testing.assert_allclose(np.exp(z), want, rtol=1e-5)


def test_softmax_rows_sum_to_one_and_ignore_a_shift():
    x = np.random.default_rng(1).integers(-9, 9, (50, 37)).astype(np.float32)
    (y,) = single.run(a.softmax, x)
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(y, single.run(a.softmax, x + np.float32(64))[0])


@pytest.mark.parametrize("kernel", ["activation", "softmax", "log_softmax"])
@pytest.mark.parametrize("n", [5, 16, 333])
def test_output_may_take_the_place_of_the_input(kernel, n):
    kernel = {"activation": a.activation, "softmax": a.softmax, "log_softmax": a.log_softmax}[kernel]
    for kind in a.KINDS if kernel is a.activation else (None,):
        attrs = {"kind": kind} if kind else {}
        x = np.random.default_rng(2).normal(size=(3, n)).astype(np.float32)
        (want,) = single.run(kernel, x, **attrs)
        call = single.describe(kernel, (x,), attrs)
        core.call(tables.form("native", kernel.name), [x.ctypes.data] * 2, list(kernel.sizes(call)),
                  kernel.numbers(call.attrs), 0, kernel.tiles(call))
        np.testing.assert_array_equal(x, want)


def test_wrong_inputs_are_named():
    x = a.Array((2, 3))
    with pytest.raises(ValueError, match="activation needs floats of one shape, not int32"):
        a.activation.infer(a.Array((2,), np.dtype(np.int32)), kind="relu", alpha=1.0)
    with pytest.raises(ValueError, match=r"activation_grad .*\[2, 3\] and float32\[3\]"):
        a.activation_grad.infer(x, None, a.Array((3,)), kind="relu", alpha=1.0)
    with pytest.raises(ValueError, match="derivative of gelu from x, which is absent"):
        a.activation_grad.infer(x, None, x, kind="gelu", alpha=1.0)
    with pytest.raises(ValueError, match="alpha is -1"):
        a.activation.infer(x, kind="elu", alpha=-1.0)
    with pytest.raises(ValueError, match="known are linear, relu"):
        a.activation.complete({"kind": "rleu"})
    with pytest.raises(ValueError, match="last axis"):
        a.softmax.infer(a.Array(()))
