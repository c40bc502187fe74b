"""Winograd's convolution: that it is taken where it pays, where its formulas hold exactly, and what its bound says."""

import numpy as np
import pytest

from fastnn.kernels import single, winograd
from fastnn.kernels.conv import conv, conv_grad_input, conv_transpose
from tests.cases.conv import CASES, WINOGRAD, label

pytest.importorskip("fastnn.kernels.native.core")
AROUND = {"padding": (1, 1, 1, 1)}


def native(kernel, *inputs, **attrs):
    return single.run(kernel, *inputs, **attrs)[0]


def taken(kernel, *inputs, **attrs):
    """Whether this call's sums are those of Winograd's algorithm, by its spec."""
    call = single.describe(kernel, inputs, kernel.complete(attrs))
    return kernel.winograd(kernel.geometry(call))


def witness(x, kernel, padding=(0, 0, 0, 0), strides=(1, 1), dilation=(1, 1), groups=1):
    """For output (0, 2) a pixel of 1 that meets the only tap that is not 0, and one of 2**40, two pixels further.

    In the direct sum 2**40 meets only zeros. The transform of the patch subtracts one from the other, and 1 is lost.
    """
    images, windows = np.zeros(x, np.float32), np.zeros(kernel, np.float32)
    row, column = dilation[0] - padding[0], 2 * strides[1] - padding[2]
    images[:, row, column], images[:, row, column + 2 * dilation[1]], windows[1, 0] = 1.0, 2.0**40, 1.0
    return images, windows


@pytest.mark.parametrize("x, kernel, attrs, expected", [
    ((64, 28, 28, 16), (3, 3, 16, 16), AROUND, True),
    ((64, 14, 14, 32), (3, 3, 32, 32), AROUND, True),
    ((64, 7, 7, 64), (3, 3, 64, 64), AROUND, True),
    ((4, 26, 26, 32), (3, 3, 32, 64), {}, True),
    ((64, 28, 28, 1), (3, 3, 1, 32), {}, False),  # one channel
    ((64, 28, 28, 16), (3, 3, 16, 8), AROUND, False),
    ((4, 28, 28, 16), (3, 3, 16, 32), {**AROUND, "strides": (2, 2)}, False),
    ((4, 28, 28, 16), (3, 3, 16, 32), {"dilation": (1, 2)}, False),
    ((4, 28, 28, 32), (3, 3, 16, 32), {**AROUND, "groups": 2}, False),
    ((4, 28, 28, 16), (5, 5, 16, 16), {}, False),
    ((64, 1, 28, 64), (3, 3, 64, 64), AROUND, False),  # one row of outputs: half of each tile for nothing
])
def test_it_is_taken_where_the_rule_says(x, kernel, attrs, expected):
    images, windows = witness(x, kernel, **attrs)
    assert taken(conv, images, windows, None, **attrs) == expected
    y = native(conv, images, windows, None, **attrs)
    lost = y[:, 0, 2] != kernel[2]
    assert lost.all() if expected else not lost.any()


def test_the_cases_that_are_meant_for_it_take_it():
    meant = {label(*case) for case in WINOGRAD}
    missed = [c.id for c in CASES if c.label in meant and c.kernel.name != "conv_grad_weight"
              and not taken(c.kernel, *c.inputs(), **c.attrs)]
    assert not missed


@pytest.mark.parametrize("kernel", [conv, conv_grad_input, conv_transpose])
def test_small_whole_numbers_come_out_exactly(kernel):
    """Halves of sums of three are exact too, so that any wrong sign or place shows."""
    rng = np.random.default_rng(3)
    x, w = rng.integers(-3, 4, (2, 11, 8, 16)).astype("f4"), rng.integers(-3, 4, (3, 3, 16, 19)).astype("f4")
    attrs, rest = dict(AROUND), (None,)
    if kernel is not conv:
        attrs["shape"] = (11, 8)
    if kernel is conv_grad_input:
        rest = (None, None)
    assert taken(kernel, x, w, *rest, **attrs)
    meant = kernel.numpy(x, w, *rest, **kernel.complete(attrs))
    np.testing.assert_array_equal(native(kernel, x, w, *rest, **attrs), meant)


@pytest.mark.parametrize("channels", [16, 64])
def test_no_error_is_larger_than_the_bound(channels):
    """Against the largest pixel and weight, as the bound is derived; signs such that the transforms add magnitudes."""
    rng, worst = np.random.default_rng(0), 0.0
    for _ in range(5):
        x = (1 - rng.random((2, 8, 8, channels)) * 1e-3).astype("f4") * rng.choice([-1, 1], (1, 8, 8, 1)).astype("f4")
        w = (1 - rng.random((3, 3, channels, 16)) * 1e-3).astype("f4") * rng.choice([-1, 1], (3, 3, 1, 16)).astype("f4")
        meant = conv.numpy(x.astype("f8"), w.astype("f8"), None, **conv.complete(AROUND))
        worst = max(worst, np.abs(native(conv, x, w, None, **AROUND) - meant).max())
    unit = np.finfo(np.float32).eps / 2
    assert 0 < worst <= winograd.terms(channels) * unit * 9 * channels


def test_the_bound_is_what_the_transforms_add_up():
    """`GROWTH` against the matrices themselves: the sum of magnitudes behind an output, beside the direct sum's."""
    pixels = np.abs([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]).sum(1)
    window = np.abs([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]).sum(1)
    sums = np.abs([[1, 1, 1, 0], [0, 1, -1, -1]])
    assert winograd.GROWTH == pytest.approx(np.max(sums @ (pixels * window) / 3) ** 2)
