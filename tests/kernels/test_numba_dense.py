"""The Numba forms of the matrix products: what goes on with a gradient, empty sizes, and where they read and write."""

import ctypes
import mmap
import sys
from itertools import pairwise

import numpy as np
import pytest

from fastnn.kernels import single, tables
from fastnn.kernels.dense import (
    ACTIVATIONS,
    SCRATCH,
    dense,
    dense_grad_input,
    dense_grad_weight,
    matmul,
    norm_dense_grad,
)
from tests.cases import all_cases
from tests.kernels.test_dense import FnnCall, in_one_order
from tests.test_imports import python

core = pytest.importorskip("fastnn.kernels.native.core")
pytest.importorskip("numba")
from fastnn.kernels.numba import gemm
from fastnn.kernels.numba.build import python_form
from fastnn.kernels.numba.form import Form, forms

PRODUCTS = [dense, dense_grad_input, dense_grad_weight, norm_dense_grad, matmul]


def floats(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def inputs(kernel, m, k, n):
    """Arrays for a product of these sizes, without a continuation."""
    x, w, b, dz = floats(m, k), floats(k, n, seed=1), floats(n, seed=2), floats(m, n, seed=3)
    if kernel is norm_dense_grad:
        return x, x.mean(0), np.ones(k, np.float32), floats(k, seed=4), floats(k, seed=5), w, dz, dz.sum(0), None
    return {dense: (x, w, b), dense_grad_input: (dz, w, x), dense_grad_weight: (x, dz, None), matmul: (x, w)}[kernel]


def run_with(then, kernel, arrays, outputs, attrs, backend):
    """Run a gradient kernel with the call `then` in its last slot."""
    call = single.describe(kernel, arrays, attrs)
    addresses = [*(0 if a is None else a.ctypes.data for a in (*outputs, *arrays[:-1])), ctypes.addressof(then)]
    sizes, numbers, tiles = list(map(int, kernel.sizes(call))), kernel.numbers(call.attrs), kernel.tiles(call)
    if backend == "python":
        python_form(forms()[kernel.name])(addresses, sizes, numbers, 0, tiles)
    else:
        core.call(tables.form(backend, kernel), addresses, sizes, numbers, 0, tiles, kernel.scratch(call))


# ---------------------------------------------------------------------- the call that goes on with a gradient

@pytest.mark.parametrize("m, k, n, backend", [(32, 784, 300, "numba"), (5, 100, 7, "numba"), (3, 16, 1, "numba"),
                                              (1, 33, 10, "numba"), (64, 300, 100, "numba"), (2, 33, 10, "python")])
@pytest.mark.parametrize("keep", [1, 0])
@pytest.mark.parametrize("kernel", [dense_grad_weight, norm_dense_grad], ids=lambda k: k.name)
def test_then_sees_each_block_of_the_gradient_once_and_finished(kernel, m, k, n, backend, keep):
    arrays = inputs(kernel, m, k, n)
    want = single.run(kernel, *arrays, backend=backend)
    outputs = [np.full(a.shape, np.nan, np.float32) for a in want]
    seen, ranges = np.full(k * n, np.nan, np.float32), []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    def update(buf, dim, attr, first, last):
        ranges.append((first, last))
        # its one slot is the gradient, of which only this part need be there
        start, count = 16 * first, min(16 * last, k * n) - 16 * first
        g = ctypes.cast(buf, ctypes.POINTER(ctypes.c_void_p))[0] + 4 * start
        seen[start:start + count] = np.ctypeslib.as_array(ctypes.cast(g, ctypes.POINTER(ctypes.c_float)), (count,))

    slots = (ctypes.c_void_p * 1)(outputs[0].ctypes.data)
    then = FnnCall(ctypes.cast(update, ctypes.c_void_p).value, ctypes.addressof(slots), None, None)
    run_with(then, kernel, arrays, outputs, {"slots": 1, "keep": keep}, backend)
    np.testing.assert_array_equal(seen, want[0].reshape(-1))
    for got, w in list(zip(outputs, want))[0 if keep else 1:]:
        np.testing.assert_array_equal(got, w)
    assert keep or np.isnan(outputs[0]).all()
    edges = sorted(ranges)
    assert edges[0][0] == 0 and edges[-1][1] == -(-k * n // 16)
    assert all(a[1] == b[0] for a, b in pairwise(edges))


@pytest.mark.parametrize("keep", [1, 0])
@pytest.mark.parametrize("backend", ["native", "numba"])
def test_a_native_update_follows_a_gradient_of_either_backend(backend, keep):
    from fastnn.kernels.optim import momentum

    m, k, n = 20, 50, 33  # 1650 elements: the last block of 16 reaches beyond the gradient
    x, dz, w, v = floats(m, k), floats(m, n, seed=1), floats(k * n, seed=2), floats(k * n, seed=3)
    rate, mu = np.array(0.1), np.array(0.9)
    g, _ = single.run(dense_grad_weight, x, dz, None)
    want = single.run(momentum, g.reshape(-1), rate, mu, w, v)

    gap = np.zeros(16, np.float32)  # behind each array, as in a program
    w, v, dw = np.append(w, gap), np.append(v, gap), np.zeros(k * n + 16, np.float32)
    update = single.describe(momentum, (dw[: k * n], rate, mu, w[: k * n], v[: k * n], None), {})
    buf = np.array([*(a.ctypes.data for a in (w, v, dw, rate, mu, w, v)), 0], np.uint64)  # no decay
    dim, attr = np.array(momentum.sizes(update), np.int64), np.array(momentum.numbers(update.attrs))
    then = FnnCall(tables.form("native", momentum), buf.ctypes.data, dim.ctypes.data, attr.ctypes.data)
    outputs = dw[: k * n].reshape(k, n), np.zeros(n, np.float32)
    run_with(then, dense_grad_weight, (x, dz, None), outputs, {"ahead": 2, "slots": len(buf), "keep": keep}, backend)
    for got, whole in zip((w, v), want):
        np.testing.assert_allclose(got[: k * n], whole, rtol=1e-6, atol=1e-6)
        assert not got[k * n:].any()
    np.testing.assert_allclose(outputs[0], g if keep else np.zeros_like(g), rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------- numbers

@pytest.mark.parametrize("m, k, n", [(1, 900, 70), (5, 500, 40), (40, 1000, 90), (300, 1300, 290)])
def test_sums_run_over_k_in_order_whatever_the_blocks(m, k, n):
    x, w, b = floats(m, k), floats(k, n, seed=1), floats(n, seed=2)
    want = in_one_order(x, w)
    np.testing.assert_array_equal(single.run(dense, x, w, b, backend="numba")[0], want + b)
    np.testing.assert_array_equal(single.run(dense_grad_input, x, w.T, None, backend="numba")[0], want)
    np.testing.assert_array_equal(single.run(dense_grad_weight, x.T, w, None, backend="numba")[0], want)
    np.testing.assert_array_equal(single.run(matmul, x.T, w.T, transpose_a=1, transpose_b=1, backend="numba")[0], want)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_nan_and_infinity_reach_the_output(activation):
    x, w = np.ones((7, 20), np.float32), np.ones((20, 37), np.float32)
    x[3, 5], w[7, 30] = np.nan, np.inf
    y, = single.run(dense, x, w, None, activation=activation, backend="numba")
    assert np.isnan(y[3]).all() and not np.isnan(np.delete(y, 3, 0)).any()


@pytest.mark.parametrize("m, k, n", [(0, 5, 7), (5, 0, 7), (5, 7, 0), (0, 0, 0), (1, 0, 1)])
@pytest.mark.parametrize("backend", ["numba", "python"])
def test_empty_sizes(backend, m, k, n):
    for kernel in (dense, dense_grad_input, dense_grad_weight, matmul):
        arrays = inputs(kernel, m, k, n)
        got, want = single.run(kernel, *arrays, backend=backend), kernel.numpy(*arrays, **kernel.complete({}))
        for g, w in zip(got, want if isinstance(want, tuple) else (want,), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------------- memory

def test_copies_fit_the_scratch_memory_that_the_specs_ask_for():
    assert 4 * (gemm.COPY + gemm.DEPTH * gemm.STRIPE) <= SCRATCH
    for m in (1, 17, 64, 300):
        for k in (1, 16, 100, 392, 393, 1000):
            for n in (1, 64, 100, 300, 800, 2000):
                dz, w = np.empty((m, k), np.float32), np.empty((n, k), np.float32)  # dx = dz @ w.T
                call = single.describe(dense_grad_input, (dz, w, None), {})
                columns = min(dense_grad_input.tile(call)[1], n)
                assert min(k, gemm.DEPTH) * (-(-columns // 16) * 16 + 16) <= gemm.COPY


TURNED = """
import numpy as np
from fastnn.kernels import single
from fastnn.kernels.dense import matmul
from fastnn.kernels.numba.form import forms
a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.arange(12, dtype=np.float32).reshape(4, 3)
y, = single.run(matmul, a, b, transpose_b=1, backend="numba")
print(y.tolist() == (a @ b.T).tolist(), type(forms()["matmul"]._keep).__name__)
"""


def test_code_from_the_disk_finds_the_scratch_memory_of_another_process(tmp_path):
    assert python(TURNED, tmp_path, FASTNN_CACHE=str(tmp_path)) == ["True CFunc"]
    assert python(TURNED, tmp_path, FASTNN_CACHE=str(tmp_path)) == ["True JITCodeLibrary"]


@pytest.fixture
def fenced():
    """A function that copies an array to the end (or the beginning) of memory that nothing else may be read from."""
    if not sys.platform.startswith(("linux", "darwin")):
        pytest.skip("needs mprotect")
    libc, page, maps = ctypes.CDLL(None, use_errno=True), mmap.PAGESIZE, []

    def protect(address, access):
        assert libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(page), access) == 0

    def copy(a, at_end):
        room = -(-a.nbytes // page) * page
        memory = mmap.mmap(-1, room + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        for fence in (start, start + page + room):
            protect(fence, 0)
            maps.append((memory, fence))
        offset = page + (room - a.nbytes if at_end else 0)
        there = np.frombuffer(memory, a.dtype, a.size, offset).reshape(a.shape)
        there[...] = a
        return there

    yield copy
    for _, fence in maps:
        protect(fence, mmap.PROT_READ | mmap.PROT_WRITE)


@pytest.mark.parametrize("kernel", PRODUCTS, ids=lambda k: k.name)
@pytest.mark.parametrize("m, k, n", [(7, 9, 10), (33, 450, 70), (14, 100, 33), (64, 520, 530)])
@pytest.mark.parametrize("at_end", [True, False])
def test_nothing_is_read_or_written_beyond_the_arrays(kernel, m, k, n, at_end, fenced):
    arrays = inputs(kernel, m, k, n)
    want = single.run(kernel, *arrays, backend="numba")
    call = single.describe(kernel, arrays, {})
    inside = [None if a is None else fenced(a, at_end) for a in arrays]
    outputs = [fenced(np.full(a.shape, np.nan, np.float32), at_end) for a in want]
    core.call(tables.form("numba", kernel), [0 if a is None else a.ctypes.data for a in (*outputs, *inside)],
              list(map(int, kernel.sizes(call))), kernel.numbers(call.attrs), 0, kernel.tiles(call),
              kernel.scratch(call))
    for got, w in zip(outputs, want):
        np.testing.assert_array_equal(got, w)


@pytest.mark.parametrize("kernel", PRODUCTS, ids=lambda k: k.name)
def test_no_index_is_beyond_an_array(kernel):
    plain = forms()[kernel.name]
    checked = Form(plain.function, kernel, plain.views, guarded=True, checked=True)
    for case in [c for c in all_cases() if c.kernel is kernel]:
        arrays = [None if x is None else np.ascontiguousarray(x) for x in case.inputs()]
        call = single.describe(kernel, arrays, case.attrs)
        outputs = [np.zeros(a.shape, a.dtype) for a in call.outputs]
        core.call(checked.address(), [0 if a is None else a.ctypes.data for a in (*outputs, *arrays)],
                  list(map(int, kernel.sizes(call))), kernel.numbers(call.attrs), 0, kernel.tiles(call),
                  kernel.scratch(call))
        checked.check()
