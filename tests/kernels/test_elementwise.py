"""Arithmetic, reductions and movement: NaN, bounds of memory, wrong inputs, and the examples of all four families."""

import doctest
from importlib import import_module

import numpy as np
import pytest

from fastnn.kernels import broadcast, elementwise, reduce, single, tables
from fastnn.kernels.spec import KERNELS, Array

core = pytest.importorskip("fastnn.kernels.native.core")
MINE = ("elementwise", "reduce", "activation", "dropout")
CASES = [c for m in MINE for c in import_module(f"tests.cases.{m}").CASES]
MODULES = {m: import_module(f"fastnn.kernels.{m}") for m in (*MINE, "broadcast")}


@pytest.mark.parametrize("name", [k.name for k in KERNELS.values() if type(k).__module__.rpartition(".")[2] in MINE])
def test_examples_of_kernels(name):
    kernel = KERNELS[name]
    module = import_module(type(kernel).__module__)
    for test in doctest.DocTestFinder().find(type(kernel), name, module=False, globs=dict(vars(module))):
        failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
        assert failed == 0


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_examples_of_modules(module):
    assert doctest.testmod(module).failed == 0


def odd(array, pad=128):
    """The array's bytes in the middle of more, aligned to one element and no better; and where they start."""
    array = np.asarray(array)
    whole = np.full(array.nbytes + 2 * pad, 0xAB, np.uint8)
    start = pad // 2 + (array.itemsize - whole.ctypes.data - pad // 2) % 64
    whole[start:start + array.nbytes] = np.frombuffer(array.tobytes(), np.uint8)
    return whole, start


@pytest.mark.parametrize("path", core.paths())
def test_nothing_is_written_beyond_the_outputs(path):
    core.select_path(path)
    for case in CASES:
        inputs = case.inputs()
        want = single.run(case.kernel, *inputs, **case.attrs)
        call = single.describe(case.kernel, inputs, case.attrs)
        held = [odd(np.zeros(a.shape, a.dtype)) for a in call.outputs] + [None if x is None else odd(x) for x in inputs]
        addresses = [0 if h is None else h[0].ctypes.data + h[1] for h in held]
        core.call(tables.form("native", case.kernel.name), addresses, list(map(int, case.kernel.sizes(call))),
                  case.kernel.numbers(call.attrs), 0, case.kernel.tiles(call))
        for (whole, start), w in zip(held, want, strict=False):
            assert (whole[:start] == 0xAB).all() and (whole[start + w.nbytes:] == 0xAB).all(), case.id
            assert whole[start:start + w.nbytes].tobytes() == w.tobytes(), case.id
    core.select_path(None)


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("n", [3, 33])
def test_nan_stays(backend, n):
    x, ones = np.ones((2, n), np.float32), np.ones((2, n), np.float32)
    x[0, n - 1] = np.nan
    for kernel in (elementwise.add, elementwise.maximum, elementwise.minimum, elementwise.divide, elementwise.multiply):
        for pair in ((x, ones), (ones, x), (x, ones[:1]), (ones[:, :1], x)):
            assert np.isnan(single.run(kernel, *pair, backend=backend)[0][0, n - 1]), kernel
    for name in "negative exp log sqrt square absolute sign reciprocal log1p expm1 erf".split():
        assert np.isnan(single.run(KERNELS[name], x, backend=backend)[0][0, n - 1]), name
    assert np.isnan(single.run(elementwise.clip, x, low=0.0, high=1.0, backend=backend)[0][0, n - 1])
    for kernel in (reduce.reduce_sum, reduce.reduce_mean, reduce.reduce_max):
        for axes in ((0,), (1,), None):
            got = single.run(kernel, x, axes=axes, backend=backend)[0]
            assert np.isnan(got).sum() == 1, (kernel, axes)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_domain_edges(backend):
    x = np.float32([0.0, -1.0, np.inf, -np.inf])
    inf, nan = np.inf, np.nan
    for name, want in {"log": [-inf, nan, inf, nan], "sqrt": [0, nan, inf, nan], "reciprocal": [inf, -1, 0, 0],
                       "log1p": [0, -inf, inf, nan], "exp": [1, np.exp(-1), inf, 0], "sign": [0, -1, 1, -1]}.items():
        np.testing.assert_allclose(single.run(KERNELS[name], x, backend=backend)[0], np.float32(want), rtol=1e-6)


def test_collapse_finds_the_fewest_loops():
    assert broadcast.loops((2, 3, 4), (2, 3, 4), (2, 3, 4)) == (1, 24, 1, 1)
    assert broadcast.loops((2, 3, 4), (2, 3, 4), (1,)) == (1, 24, 1, 0)
    assert broadcast.loops((2, 3, 4), (2, 3, 4), (3, 1)) == (3, 2, 3, 4, 12, 4, 1, 0, 1, 0)
    assert broadcast.loops((), (), ()) == (1, 1, 0, 0)
    assert broadcast.loops((0, 4), (4,), None) == (1, 0, 0, 0)


def test_sums_over_rows_are_as_exact_as_their_order_allows():
    x = np.full((1 << 16, 3), 0.1, np.float32)
    (y,) = single.run(reduce.reduce_sum, np.ascontiguousarray(x.T), axes=(1,))
    np.testing.assert_allclose(y, x.astype(np.float64).sum(0), rtol=(1 << 16) / 16 * 2**-24)  # terms in a lane


@pytest.mark.parametrize(("kernel", "inputs", "attrs", "message"), [
    (elementwise.add, ((2, 3), (4,)), {}, r"add: the shapes \[2, 3\] and \[4\] do not broadcast"),
    (elementwise.clip, ((2,),), {"low": 1.0, "high": 0.0}, "low <= high"),
    (elementwise.clip_grad, ((2,), (3,)), {}, r"clip_grad needs arrays of one shape, not \[2\] and \[3\]"),
    (reduce.reduce_sum, ((2, 3),), {"axes": (2,)}, "axis 2 is out of range"),
    (reduce.reduce_sum, ((2, 3),), {"axes": (1, -1)}, "one axis twice"),
    (reduce.reduce_max, ((2, 0),), {"axes": (1,)}, "reduce_max of nothing"),
    (reduce.reduce_mean, ((0,),), {}, "reduce_mean of nothing"),
    (reduce.transpose, ((2, 3),), {"perm": (0, 0)}, "no order of the axes"),
    (reduce.concat, ((2, 3), (3, 3)), {"axis": 1}, "agree in all else"),
    (reduce.slice_axis, ((2, 3),), {"axis": 1, "start": 2, "stop": 4}, "not within axis 1"),
    (reduce.pad_axis, ((2,),), {"axis": 0, "before": -1}, "takes none away"),
    (reduce.broadcast_to, ((2, 3),), {"shape": (3,)}, "can't be repeated"),
    (reduce.broadcast_to, ((2,),), {"shape": (3,)}, "do not broadcast"),
])
def test_wrong_inputs_are_named(kernel, inputs, attrs, message):
    with pytest.raises(ValueError, match=message):
        kernel.infer(*(Array(s) for s in inputs), **kernel.complete(attrs))


def test_mixed_dtypes_are_refused():
    with pytest.raises(ValueError, match="one float dtype, not float32 and float64"):
        elementwise.add.infer(Array((2,)), Array((2,), np.dtype(np.float64)))
    with pytest.raises(ValueError, match="one float dtype, not int32"):
        elementwise.exp.infer(Array((2,), np.dtype(np.int32)))
