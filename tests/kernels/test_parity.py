"""Every native kernel against its NumPy meaning in float64, on every CPU path, tile by tile."""

from contextlib import contextmanager

import numpy as np
import pytest

from fastnn.kernels import single, tables
from tests.cases import EPS, all_cases, widen

core = pytest.importorskip("fastnn.kernels.native.core")
CASES = all_cases()
FMA_PATHS = [p for p in core.paths() if p != "v2"]


@contextmanager
def on_path(name):
    """Inside, the kernels of this CPU path are in use."""
    core.select_path(name)
    try:
        yield
    finally:
        core.select_path(None)


def meaning(case, inputs):
    """The outputs in float64 (or float32 where the case asks for equal bits), as a tuple."""
    inputs = [x if case.exact or x is None else widen(x) for x in inputs]
    out = case.kernel.numpy(*inputs, **case.kernel.complete(case.attrs))
    return out if isinstance(out, tuple) else (out,)


def agree(case, got, meant, exact, where=""):
    """The outputs `got` are those of the meaning: to the bit where that is asked for, else within the case's bound."""
    for name, g, want in zip(case.kernel.outputs, got, meant, strict=True):
        want, name = np.asarray(want), f"{name} {where}"
        assert g.shape == want.shape, f"{name}: shape {g.shape}, meant {want.shape}"
        if exact and case.exact or not np.issubdtype(g.dtype, np.floating):
            np.testing.assert_array_equal(g, want, err_msg=name)
            continue
        finite = np.abs(want[np.isfinite(want)])
        bound = case.slack * case.terms * EPS * max(finite.max(initial=0.0), 1e-30)
        np.testing.assert_allclose(g, want, rtol=0, atol=bound, err_msg=name)


def same_bits(case, one, other, where):
    for name, a, b in zip(case.kernel.outputs, one, other, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"{name}, {where}")


def other_order(case, inputs):
    """The tiles of a case in a few pieces, the last one first."""
    n = case.kernel.tiles(single.describe(case.kernel, inputs, case.attrs))
    cuts = sorted({0, n, *np.random.default_rng(1).integers(0, n + 1, 5).tolist()})
    return list(zip(cuts, cuts[1:]))[::-1]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_native_agrees_with_the_meaning_on_every_path_with_tiles_in_any_order(case):
    """All at once: beside kernels as small as these, pytest itself takes half the time of a test."""
    inputs = case.inputs()
    meant, order, on_fma_paths = meaning(case, inputs), other_order(case, inputs), {}
    for path in core.paths():
        with on_path(path):
            whole = single.run(case.kernel, *inputs, **case.attrs)
            cut = single.run(case.kernel, *inputs, order=order, **case.attrs)
        agree(case, whole, meant, exact=True, where=f"on path {path}")
        same_bits(case, whole, cut, f"tiles in another order on path {path}")
        if path in FMA_PATHS:
            on_fma_paths[path] = whole
    first = next(iter(on_fma_paths.values()), ())
    for path, other in on_fma_paths.items():
        same_bits(case, first, other, f"path {path} beside {FMA_PATHS[0]}")


@pytest.mark.parametrize("backend", ["native", "numba"])
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_two_threads_give_the_bits_of_one(case, backend):
    if backend == "numba":
        pytest.importorskip("numba")
    inputs = case.inputs()
    same_bits(case, *(shared(case, inputs, backend, threads) for threads in (1, 2)), f"two threads, {backend}")


def shared(case, inputs, backend, threads):
    """The case in the executor: its tiles are handed out one by one, to so many threads."""
    kernel, call = case.kernel, single.describe(case.kernel, inputs, case.attrs)
    given = {n: None if x is None else np.array(x, order="C") for n, x in zip(kernel.inputs, inputs)}
    outputs = [given[n] if n in given else np.zeros(a.shape, a.dtype) for n, a in zip(kernel.outputs, call.outputs)]
    addresses = [0 if a is None else a.ctypes.data for a in (*outputs, *given.values())]
    program = core.Executor([(tables.form(backend, kernel), addresses, list(map(int, kernel.sizes(call))),
                              kernel.numbers(call.attrs), int(kernel.tiles(call)), 1, 0, int(kernel.scratch(call)),
                              1e-3, None)])  # a millisecond: worth a thread
    program.run(1, [], [], threads, 1.0)
    return outputs


def test_every_native_kernel_has_a_case():
    missing = set(tables.forms("native")) - {c.kernel.name for c in CASES}
    assert not missing
