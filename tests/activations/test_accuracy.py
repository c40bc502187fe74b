"""The error of each activation's native form in units in the last place, over all kinds of floats, against float64.

The bounds are those that fastnn/activations/elementwise.py states.
"""

import numpy as np
import pytest

from fastnn.kernels import activation, single
from fastnn.kernels.kinds import KINDS

core = pytest.importorskip("fastnn.kernels.native.core")
special = pytest.importorskip("scipy.special")
LEAST = 2.0**-126


@pytest.fixture(params=core.paths())
def path(request):
    core.select_path(request.param)
    yield request.param
    core.select_path(None)


def sample():
    """Every 4001st of all finite floats, and 300001 of those between -20 and 20."""
    bits = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32).view(np.float32)
    ends = np.float32([0, 1, 3, 6, 0.7, 0.5, 88.72, 103.97, 104, 17.4, 1e-45, 1.1754944e-38, 3.4028235e38])
    return np.concatenate([bits[np.isfinite(bits)], ends, -ends, np.linspace(-20, 20, 300001).astype(np.float32)])


def tanh_shrink(x):
    s = np.minimum(x * x, 0.04)
    rest = 62 / 2835 - s * (1382 / 155925 - s * 21844 / 6081075)
    series = s * x * (1 / 3 - s * (2 / 15 - s * (17 / 315 - s * rest)))
    return np.where(np.abs(x) < 0.2, series, x - np.tanh(x))


def mish(x):
    n = np.exp(np.minimum(x, 40))
    return x * (n * (n + 2) / (n * (n + 2) + 2))


def softplus(x):
    return np.logaddexp(0, x)


#: kind -> the function in float64 by other means than the meaning's where that matters, the bound, alpha
FUNCTIONS = {
    "relu": (lambda x: np.where(x > 0, x, 0), 0, 1),
    "leaky_relu": (lambda x: np.where(x > 0, x, np.float64(np.float32(0.2)) * x), 0.5, 0.2),
    "relu6": (lambda x: np.where(x > 0, np.where(x < 6, x, 6), 0), 0, 1),
    "hard_tanh": (lambda x: np.where(np.abs(x) < 1, x, np.sign(x)), 0, 1),
    "hard_shrink": (lambda x: np.where(np.abs(x) > 0.5, x, 0), 0, 0.5),
    "soft_shrink": (lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0), 0.5, 0.5),
    "sparse_sigmoid": (lambda x: np.clip((x + 1) / 2, 0, 1), 0.5, 1),
    "hard_sigmoid": (lambda x: np.clip((x + 3) / 6, 0, 1), 1.5, 1),
    "softsign": (lambda x: x / (1 + np.abs(x)), 1.5, 1),
    "elu": (lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0))), 2, 0.7),
    "celu": (lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0) / 0.7)), 2, 0.7),
    "selu": (lambda x: activation.SELU_SCALE * np.where(
        x > 0, x, activation.SELU_ALPHA * np.expm1(np.minimum(x, 0))), 2, 1),
    "exponential": (np.exp, 2, 1),
    "tanh": (np.tanh, 2, 1),
    "sparse_plus": (lambda x: np.where(x >= 1, x, np.where(x <= -1, 0, (x + 1) ** 2 / 4)), 2, 1),
    "squareplus": (lambda x: np.where(x > 0, (x + np.hypot(x, 2)) / 2, 2 / (np.hypot(x, 2) - x)), 3, 4),
    "sigmoid": (special.expit, 3, 1),
    "log_sigmoid": (lambda x: -softplus(-x), 2, 1),
    "softplus": (softplus, 2, 1),
    "silu": (lambda x: x * special.expit(x), 4, 1),
    "mish": (mish, 4, 1),
    "hard_silu": (lambda x: x * np.clip((x + 3) / 6, 0, 1), 3, 1),
    "tanh_shrink": (tanh_shrink, 4, 1),
}


def errors(kind, exact, alpha):
    """x, y and the error in units in the last place, where what is meant is a normal number or 0."""
    x = sample()
    (y,) = single.run(activation.activation, x, kind=kind, alpha=alpha)
    with np.errstate(all="ignore"):
        want = exact(x.astype(np.float64))
        fits = np.isfinite(want.astype(np.float32))
    assert not np.isnan(y).any()
    np.testing.assert_array_equal(np.abs(y[~fits]) >= 3.4e38, True)
    x, y, want = x[fits], y[fits], want[fits]
    unit = 2.0 ** (np.maximum(np.frexp(want)[1], -125) - 24)
    error = np.abs(y - want)
    return x, y, np.where(error < LEAST, 0, error / unit)


def test_every_kind_has_a_bound():
    assert {*FUNCTIONS, "linear", "gelu", "gelu_tanh"} == set(KINDS)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_error_in_units_in_the_last_place(kind, path):
    exact, bound, alpha = FUNCTIONS[kind]
    x, y, error = errors(kind, exact, alpha)
    worst = error.argmax()
    assert error[worst] <= bound, f"{error[worst]:.2f} ulp at x = {x[worst]!r}, allowed {bound}"


@pytest.mark.parametrize(("kind", "bound"), [("gelu", 1.1e-7), ("gelu_tanh", 2e-7)])
def test_error_of_gelu(kind, bound, path):
    x = sample()
    (y,) = single.run(activation.activation, x, kind=kind)
    z = x.astype(np.float64)
    inner = np.sqrt(2 / np.pi) * (np.clip(z, -100, 100) + 0.044715 * np.clip(z, -100, 100) ** 3)
    want = z * special.ndtr(z) if kind == "gelu" else z * special.expit(2 * inner)
    assert (np.abs(y - want) / np.maximum(np.abs(z), 1)).max() <= bound
