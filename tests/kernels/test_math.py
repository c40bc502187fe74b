"""The functions of csrc/math.inc over all kinds of floats, in units in the last place against float64."""

import numpy as np
import pytest

from fastnn.kernels import activation, elementwise, single

core = pytest.importorskip("fastnn.kernels.native.core")
special = pytest.importorskip("scipy.special")


@pytest.fixture(params=core.paths())
def path(request):
    core.select_path(request.param)
    yield request.param
    core.select_path(None)


def sample():
    """Every 4001st of all floats, NaN and infinities with them, and the ends of all ranges."""
    bits = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32)
    ends = np.float32([0, 1, 88.7228, 88.7229, 88.73, 89, 103.97, 103.98, 104, 17.4, 9.1, 0.55, 0.92, 4, 10, 20, 1e-45,
                       1.1754944e-38, 3.4028235e38, np.inf, np.nan, 0.9999999, 0.6666667, 1.3333334])
    return np.concatenate([bits.view(np.float32), ends, -ends])


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


#: kernel, its attributes, the function in float64, the largest error in units of the last place (as
#: csrc/math.inc states it) with FMA and without
FUNCTIONS = [
    (elementwise.exp, {}, np.exp, 0.9, 1.2),
    (elementwise.expm1, {}, np.expm1, 1.5, 1.5),
    (elementwise.log, {}, np.log, 1.0, 1.1),
    (elementwise.log1p, {}, np.log1p, 1.5, 1.7),
    (activation.activation, {"kind": "sigmoid"}, special.expit, 2.4, 2.4),
    (activation.activation, {"kind": "tanh"}, np.tanh, 1.6, 1.6),
    (elementwise.erf, {}, special.erf, 1.0, 1.2),
    (activation.activation, {"kind": "softplus"}, softplus, 1.9, 2.0),
    (elementwise.sqrt, {}, np.sqrt, 0.5, 0.5),
]


@pytest.mark.parametrize(("kernel", "attrs", "exact", "fused", "unfused"), FUNCTIONS,
                         ids=lambda v: getattr(v, "__name__", None) or getattr(v, "name", None))
def test_error_in_units_of_the_last_place(kernel, attrs, exact, fused, unfused, path):
    x = sample()
    (y,) = single.run(kernel, x, **attrs)
    with np.errstate(all="ignore"):
        want = exact(x.astype(np.float64))
        rounded = want.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(rounded))
    finite = np.isfinite(rounded)
    # where the rounded value is infinite the largest float is one unit away
    np.testing.assert_array_equal(y[~finite & ~np.isnan(y) & (np.abs(y) < 3.4e38)], [])
    assert np.all(np.isfinite(y[finite]))
    unit = 2.0 ** (np.maximum(np.frexp(want[finite])[1], -125) - 24)
    error = np.abs(y[finite] - want[finite]) / unit
    worst = error.argmax()
    allowed = unfused if path == "v2" else fused
    assert error[worst] <= allowed, f"{error[worst]:.2f} ulp at x = {x[finite][worst]!r}, allowed {allowed}"


def test_gelu_keeps_its_left_tail(path):
    x = np.linspace(-4, 4, 100001).astype(np.float32)
    (y,) = single.run(activation.activation, x, kind="gelu")
    np.testing.assert_allclose(y, x * special.ndtr(x.astype(np.float64)), rtol=1.1e-5, atol=0)


@pytest.mark.parametrize("base", [0.0, -0.0, 1e-45, 1e-39, 0.5, 1.0, 1.5, 3.4e38, np.inf, np.nan])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_power_takes_the_special_cases_of_pow(base, sign, path):
    a = np.full(23, sign * base, np.float32)
    b = np.float32([0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, 1e-3, 127, -127, 150, -149, 1e9, 16777217, 1e30,
                    np.inf, -np.inf, np.nan, 2.0**-30])
    (y,) = single.run(elementwise.power, a, b)
    with np.errstate(all="ignore"):
        want = np.power(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(want))
    np.testing.assert_array_equal(np.signbit(y)[~np.isnan(y)], np.signbit(want)[~np.isnan(y)])
    finite = np.isfinite(want)
    np.testing.assert_allclose(y[finite], want[finite], rtol=1.2e-7, atol=1.5e-45)


def test_power_is_right_to_the_last_place(path):
    rng = np.random.default_rng(3)
    a = np.exp(rng.uniform(-20, 20, 200000)).astype(np.float32)
    b = rng.uniform(-4, 4, a.size).astype(np.float32)
    (y,) = single.run(elementwise.power, a, b)
    np.testing.assert_allclose(y, a.astype(np.float64) ** b.astype(np.float64), rtol=0.51 * 2**-23, atol=1e-38)
