"""Every native kernel against its NumPy meaning in float64, on every CPU path, tile by tile."""

import numpy as np
import pytest

from fastnn.kernels import single, tables
from tests.cases import EPS, all_cases, widen

core = pytest.importorskip("fastnn.kernels.native.core")
CASES = all_cases()
FMA_PATHS = [p for p in core.paths() if p != "v2"]


@pytest.fixture(params=core.paths())
def path(request):
    core.select_path(request.param)
    yield request.param
    core.select_path(None)


def meaning(case):
    """The outputs in float64 (or float32 where the case asks for equal bits), as a tuple."""
    inputs = [x if case.exact or x is None else widen(x) for x in case.inputs()]
    out = case.kernel.numpy(*inputs, **case.kernel.complete(case.attrs))
    return out if isinstance(out, tuple) else (out,)


def agree(case, got, exact):
    """The outputs `got` are those of the meaning: to the bit where that is asked for, else within the case's bound."""
    for name, g, want in zip(case.kernel.outputs, got, meaning(case), strict=True):
        want = np.asarray(want)
        assert g.shape == want.shape, f"{name}: shape {g.shape}, meant {want.shape}"
        if exact and case.exact or not np.issubdtype(g.dtype, np.floating):
            np.testing.assert_array_equal(g, want, err_msg=name)
            continue
        finite = np.abs(want[np.isfinite(want)])
        bound = case.slack * case.terms * EPS * max(finite.max(initial=0.0), 1e-30)
        np.testing.assert_allclose(g, want, rtol=0, atol=bound, err_msg=name)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_native_agrees_with_the_meaning(case, path):
    agree(case, single.run(case.kernel, *case.inputs(), **case.attrs), exact=True)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_tiles_in_any_order_give_the_same_bits(case, path):
    whole = single.run(case.kernel, *case.inputs(), **case.attrs)
    n = case.kernel.tiles(single.describe(case.kernel, case.inputs(), case.attrs))
    cuts = sorted({0, n, *np.random.default_rng(1).integers(0, n + 1, 5).tolist()})
    parts = list(zip(cuts, cuts[1:]))[::-1]
    for a, b in zip(whole, single.run(case.kernel, *case.inputs(), order=parts, **case.attrs), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", ["native", "numba"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_two_threads_give_the_bits_of_one(case, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    for a, b in zip(*(shared(case, backend, threads) for threads in (1, 2)), strict=True):
        np.testing.assert_array_equal(a, b)


def shared(case, backend, threads):
    """The case in the executor: its tiles are handed out one by one, to so many threads."""
    kernel, call = case.kernel, single.describe(case.kernel, case.inputs(), case.attrs)
    given = {n: None if x is None else np.array(x, order="C") for n, x in zip(kernel.inputs, case.inputs())}
    outputs = [given[n] if n in given else np.zeros(a.shape, a.dtype) for n, a in zip(kernel.outputs, call.outputs)]
    addresses = [0 if a is None else a.ctypes.data for a in (*outputs, *given.values())]
    program = core.Executor([(tables.form(backend, kernel), addresses, list(map(int, kernel.sizes(call))),
                              kernel.numbers(call.attrs), int(kernel.tiles(call)), 1, 0, int(kernel.scratch(call)),
                              1e-3, None)])  # a millisecond: worth a thread
    program.run(1, [], [], threads, 1.0)
    return outputs


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_all_fma_paths_give_the_same_bits(case):
    results = []
    for path in FMA_PATHS:
        core.select_path(path)
        results.append(single.run(case.kernel, *case.inputs(), **case.attrs))
    core.select_path(None)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_native_kernel_has_a_case():
    missing = set(tables.forms("native")) - {c.kernel.name for c in CASES}
    assert not missing
