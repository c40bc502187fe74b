"""Every Numba form against its NumPy meaning in float64, compiled and as plain Python; and what is special to them."""

import numpy as np
import pytest

from fastnn.kernels import single, tables
from fastnn.kernels.numba.form import forms
from fastnn.kernels.spec import KERNELS
from tests.cases import all_cases
from tests.kernels.test_parity import agree, meaning, other_order, same_bits

pytest.importorskip("fastnn.kernels.native.core")
pytest.importorskip("numba")
CASES = [c for c in all_cases() if c.kernel.name in forms()]
LEAST = {}  # the smallest case with elements of each kernel: plain Python is slow
for case in CASES:
    sizes = [np.size(x) for x in case.inputs() if x is not None and np.ndim(x)]
    if case.kernel.name not in LEAST or 0 < sum(sizes) < LEAST[case.kernel.name][0]:
        LEAST[case.kernel.name] = sum(sizes), case


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_compiled_form_agrees_with_the_meaning_with_tiles_in_any_order(case):
    inputs = case.inputs()
    whole = single.run(case.kernel, *inputs, backend="numba", **case.attrs)
    agree(case, whole, meaning(case, inputs), exact=False)
    cut = single.run(case.kernel, *inputs, backend="numba", order=other_order(case, inputs), **case.attrs)
    same_bits(case, whole, cut, "tiles in another order")


@pytest.mark.parametrize("case", [c for _, c in LEAST.values()], ids=lambda c: c.id)
def test_plain_python_agrees_with_the_meaning(case):
    inputs = case.inputs()
    agree(case, single.run(case.kernel, *inputs, backend="python", **case.attrs), meaning(case, inputs), exact=False)


def test_every_native_kernel_has_a_form():
    assert not set(tables.forms("native")) - set(forms())


@pytest.mark.parametrize("n", [1, 5, 16, 17, 64, 100, 1000])
def test_a_maximum_is_nan_wherever_the_nan_stands(n):
    x = np.random.default_rng(n).normal(size=(4, n)).astype(np.float32)
    x[2], x[3] = -np.inf, -np.abs(x[3])
    for place in {0, n // 2, n - 1}:
        for nan in (np.nan, -np.nan):
            x[1] = x[0]
            x[1, place] = nan
            for axis in (0, 1):
                (y,) = single.run(KERNELS["reduce_max"], x, backend="numba", axes=(axis,))
                np.testing.assert_array_equal(y, x.max(axis))


def test_gathering_keeps_the_sign_of_zero():
    (y,) = single.run(KERNELS["gather_rows"], np.array([[-0.0, 0.0]], np.float32), np.zeros(1, np.int64),
                      backend="numba", source="float32")
    np.testing.assert_array_equal(np.signbit(y), [[True, False]])
