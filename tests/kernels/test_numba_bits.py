"""What the Numba forms promise about bits: random numbers as native has them, and nothing of where arrays stand."""

import numpy as np
import pytest

from fastnn.kernels import single, tables
from fastnn.kernels.numba.form import forms
from fastnn.kernels.spec import KERNELS
from tests.cases import all_cases

core = pytest.importorskip("fastnn.kernels.native.core")
pytest.importorskip("numba")
CASES = [c for c in all_cases() if c.kernel.name in forms()]


def run_packed(case, gap):
    """The outputs of a case's Numba form, with all its arrays in one piece of memory, `gap` bytes between them."""
    kernel, inputs = case.kernel, case.inputs()
    call = single.describe(kernel, inputs, case.attrs)
    given = {n: None if x is None else np.array(x, order="C") for n, x in zip(kernel.inputs, inputs)}
    slots = {n: given[n] if given.get(n) is not None else np.zeros(a.shape, a.dtype)
             for n, a in zip(kernel.outputs, call.outputs)}
    slots |= {n: x for n, x in given.items() if n not in slots}
    room = np.zeros(sum(x.nbytes + gap + 16 for x in slots.values() if x is not None) + 64, np.uint8)
    at, views = -room.ctypes.data % 64, {}
    for name, x in slots.items():
        views[name] = None
        if x is not None:
            views[name] = room[at : at + x.nbytes].view(x.dtype).reshape(x.shape)
            views[name][...] = x
            at += (x.nbytes + gap + 7) // 8 * 8  # a float64's alignment
    addresses = [0 if views[n] is None else views[n].ctypes.data for n in (*kernel.outputs, *kernel.inputs)]
    core.call(tables.form("numba", kernel), addresses, list(map(int, kernel.sizes(call))), kernel.numbers(call.attrs),
              0, kernel.tiles(call), kernel.scratch(call))
    return [views[n].copy() for n in kernel.outputs]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_bits_do_not_depend_on_where_arrays_stand(case):
    """LLVM asks at run time whether arrays are far enough apart for vectors; a sum must not depend on the answer."""
    near, far = run_packed(case, 0), run_packed(case, 4096)
    for name, a, b in zip(case.kernel.outputs, near, far, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1023, 1024, 1025, 2100, 5000])
@pytest.mark.parametrize("step", [0, 2**32 + 5])
def test_random_bits_are_those_of_native_and_numpy(n, step):
    step = np.float64(step)
    keys = {"key0": 2**32 - 1, "key1": 17}
    x = np.random.default_rng(n).normal(size=n).astype(np.float32)
    for name, inputs, attrs in (("dropout", (x, step), {"rate": 0.3}),
                                ("random_uniform", (step,), {"shape": (n,), "low": -0.3, "high": 0.7}),
                                ("random_normal", (step,), {"shape": (n,), "mean": 0.1, "stddev": 2.0})):
        results = [single.run(KERNELS[name], *inputs, backend=b, **keys, **attrs)[0].view(np.uint32)
                   for b in ("numba", "native", "numpy")]
        np.testing.assert_array_equal(results[0], results[1], err_msg=f"{name}, native")
        np.testing.assert_array_equal(results[0], results[2], err_msg=f"{name}, numpy")


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.99999, 0.999999])
def test_dropout_at_the_ends_of_its_rates(rate):
    x, step = np.arange(1.0, 1101.0, dtype=np.float32), np.float64(1)
    attrs = {"rate": rate, "key0": 1, "key1": 2}
    np.testing.assert_array_equal(single.run(KERNELS["dropout"], x, step, backend="numba", **attrs)[0],
                                  single.run(KERNELS["dropout"], x, step, **attrs)[0])


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("columns", [3, 10, 100, 784])
def test_rows_with_nan_or_infinity(name, bad, columns):
    x = np.random.default_rng(0).normal(size=(3, columns)).astype(np.float32)
    x[1, columns // 2] = bad
    with np.errstate(invalid="ignore", divide="ignore"):
        want = KERNELS[name].numpy(x.astype(np.float64))
    got = single.run(KERNELS[name], x, backend="numba")[0]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
