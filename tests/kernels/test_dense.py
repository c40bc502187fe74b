"""The dense family against hand-worked numbers, PyTorch and its own promises about bits, NaN and tiles."""

import ctypes
from itertools import pairwise

import numpy as np
import pytest

from fastnn.kernels import single, tables
from fastnn.kernels.dense import ACTIVATIONS, dense, dense_grad_input, dense_grad_weight, grid, matmul
from fastnn.kernels.spec import Array, Call
from tests.kernels.test_activation import relu_like

core = pytest.importorskip("fastnn.kernels.native.core")


def call_on(kernel, *inputs, **attrs):
    """A call whose slots hold arrays, so that its gradient rule gives numbers."""
    attrs = kernel.complete(attrs)
    out = kernel.numpy(*inputs, **attrs)
    return Call(kernel, inputs, out if isinstance(out, tuple) else (out,), attrs)


def slope(f, x, direction, step=1e-6):
    """Derivative of the number f(x) in a direction, by central differences."""
    return (f(x + step * direction) - f(x - step * direction)) / (2 * step)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dense_means_what_torch_computes(activation):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(9, 7)), rng.normal(size=(7, 5)), rng.normal(size=5)
    z = torch.from_numpy(x) @ torch.from_numpy(w) + torch.from_numpy(b)
    want = relu_like(torch)[activation]
    got = dense(x, w, b, activation=activation, alpha=0.7)
    np.testing.assert_allclose(got, want(z).numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_input_gradient_goes_through_the_activation_before(activation):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    z, w, dz = (torch.from_numpy(rng.normal(size=s)) for s in [(6, 4), (4, 3), (6, 3)])
    z.requires_grad_()
    y = relu_like(torch)[activation](z)
    (y @ w).backward(dz)
    got = dense_grad_input(dz.numpy(), w.numpy(), y.detach().numpy(), activation=activation, alpha=0.7)
    np.testing.assert_allclose(got, z.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_weight_gradient_by_hand():
    x, dz = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, 0.0, 2.0], [-1.0, 4.0, 0.5]])
    dw, db = dense_grad_weight(x, dz, None)
    np.testing.assert_array_equal(dw, [[-2, 12, 3.5], [3, -4, 3.5]])
    np.testing.assert_array_equal(db, [0, 4, 2.5])


@pytest.mark.parametrize("shapes", [((5, 3), (3, 4)), ((2, 5, 3), (2, 3, 4)), ((2, 5, 3), (3, 4)), ((5, 3), (2, 3, 4)),
                                    ((2, 5, 3), (2, 3, 4), 1)], ids=str)
@pytest.mark.parametrize("transpose", [(0, 0), (0, 1), (1, 0), (1, 1)], ids=str)
def test_matmul_gradients(shapes, transpose):
    rng = np.random.default_rng(2)
    attrs = dict(zip(("transpose_a", "transpose_b"), transpose), sum_batch=int(len(shapes) > 2))
    a, b = (np.swapaxes(rng.normal(size=s), -1, -2).copy() if t else rng.normal(size=s)
            for s, t in zip(shapes, transpose))
    call = call_on(matmul, a, b, **attrs)
    dy = rng.normal(size=call["y"].shape)
    grads = matmul.gradient(call, y=dy)
    u, v = rng.normal(size=a.shape), rng.normal(size=b.shape)
    assert grads["a"].shape == a.shape and grads["b"].shape == b.shape
    by_a = slope(lambda a: (matmul(a, b, **attrs) * dy).sum(), a, u)
    by_b = slope(lambda b: (matmul(a, b, **attrs) * dy).sum(), b, v)
    np.testing.assert_allclose((grads["a"] * u).sum(), by_a, rtol=1e-6)
    np.testing.assert_allclose((grads["b"] * v).sum(), by_b, rtol=1e-6)


def test_dense_gradient_gives_only_what_is_needed():
    rng = np.random.default_rng(3)
    x, w, b, dy = (rng.normal(size=s) for s in [(6, 4), (4, 3), 3, (6, 3)])
    call = call_on(dense, x, w, b)
    grads = dense.gradient(call, y=dy)
    np.testing.assert_allclose(grads["x"], dy @ w.T)
    np.testing.assert_allclose(grads["w"], x.T @ dy)
    np.testing.assert_allclose(grads["b"], dy.sum(0))
    call.extra["need"] = {"w", "b"}
    assert set(dense.gradient(call, y=dy)) == {"w", "b"}
    call.extra["need"] = {"x"}
    assert set(dense.gradient(call, y=dy)) == {"x"}
    assert set(dense.gradient(call_on(dense, x, w, None), y=dy)) == {"x", "w"}


def in_one_order(a, b):
    """a @ b in float32, each element summed over k from zero with one rounding per term.

    A product of two floats is exact in float64, and rounding its sum twice (to 53 bits, then to 24)
    differs from an FMA only in ties of the first rounding, which random numbers do not meet.
    """
    y = np.zeros((a.shape[0], b.shape[1]), np.float32)
    for k in range(a.shape[1]):
        y = (a[:, k:k + 1].astype(np.float64) * b[k].astype(np.float64) + y).astype(np.float32)
    return y


@pytest.mark.parametrize("m, k, n", [(1, 900, 70), (5, 500, 40), (40, 1000, 90), (300, 1300, 290)])
def test_sums_run_over_k_in_order_whatever_the_blocks(m, k, n):
    rng = np.random.default_rng(4)
    x, w, b = (rng.normal(size=s).astype(np.float32) for s in [(m, k), (k, n), n])
    path = core.path()
    if path == "v2":
        pytest.skip("v2 has no FMA")
    want = in_one_order(x, w)
    np.testing.assert_array_equal(single.run(dense, x, w, b)[0], want + b)
    np.testing.assert_array_equal(single.run(dense_grad_input, x, w.T, None)[0], want)
    np.testing.assert_array_equal(single.run(dense_grad_weight, x.T, w, None)[0], want)


@pytest.mark.parametrize("path", core.paths())
def test_nan_and_infinity_reach_the_output(path):
    core.select_path(path)
    try:
        x, w = np.ones((7, 20), np.float32), np.ones((20, 37), np.float32)
        x[3, 5], w[7, 30] = np.nan, np.inf
        for activation in ACTIVATIONS:
            y, = single.run(dense, x, w, None, activation=activation)
            assert np.isnan(y[3]).all() and not np.isnan(np.delete(y, 3, 0)).any()
    finally:
        core.select_path(None)


class FnnCall(ctypes.Structure):
    """`fnn_call` of csrc/fastnn.h."""

    _fields_ = [("kernel", ctypes.c_void_p), ("buf", ctypes.c_void_p), ("dim", ctypes.c_void_p),
                ("attr", ctypes.c_void_p)]


@pytest.mark.parametrize("m, k, n", [(32, 784, 300), (5, 100, 7), (3, 16, 1), (1, 33, 10), (64, 300, 100)])
@pytest.mark.parametrize("keep", [1, 0])
def test_then_sees_each_block_of_the_weight_gradient_once_and_finished(m, k, n, keep):
    rng = np.random.default_rng(5)
    x, dz = rng.normal(size=(m, k)).astype(np.float32), rng.normal(size=(m, n)).astype(np.float32)
    want, _ = single.run(dense_grad_weight, x, dz, None)
    dw, db = np.full((k, n), np.nan, np.float32), np.zeros(n, np.float32)
    seen = np.full(k * n, np.nan, np.float32)
    ranges = []

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    def update(buf, dim, attr, first, last):
        ranges.append((first, last))
        # its one slot is the gradient, of which only this part need be there
        start, count = 16 * first, min(16 * last, k * n) - 16 * first
        g = ctypes.cast(buf, ctypes.POINTER(ctypes.c_void_p))[0] + 4 * start
        seen[start:start + count] = np.ctypeslib.as_array(ctypes.cast(g, ctypes.POINTER(ctypes.c_float)), (count,))

    slots = (ctypes.c_void_p * 1)(dw.ctypes.data)
    then = FnnCall(ctypes.cast(update, ctypes.c_void_p).value, ctypes.addressof(slots), None, None)
    call = single.describe(dense_grad_weight, (x, dz, None), {"slots": 1, "keep": keep})
    addresses = [*(a.ctypes.data for a in (dw, db, x, dz)), ctypes.addressof(then)]
    core.call(tables.form("native", "dense_grad_weight"), addresses, list(dense_grad_weight.sizes(call)),
              dense_grad_weight.numbers(call.attrs), 0, dense_grad_weight.tiles(call), dense_grad_weight.scratch(call))
    np.testing.assert_array_equal(seen, want.reshape(-1))
    assert np.isnan(dw).all() != keep
    edges = sorted(ranges)
    assert edges[0][0] == 0 and edges[-1][1] == -(-k * n // 16)
    assert all(a[1] == b[0] for a, b in pairwise(edges))


@pytest.mark.parametrize("m, k, n", [(1, 784, 300), (32, 784, 300), (64, 128, 128), (1024, 1024, 1024), (7, 3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_tiles_fit_their_scratch_and_occupy_a_team(m, k, n, transposed):
    rows, columns = grid(m, n, k, transposed)
    assert 1 <= rows <= 256 and 64 <= columns <= 256 and columns % 64 == 0
    if m >= 32 and 2 * m * k * n > 5e6 and not transposed:
        assert -(-m // rows) * -(-n // columns) >= 8


@pytest.mark.parametrize("kernel, shapes, attrs, words", [
    (dense, ((2, 3), (4, 5), None), {}, r"dense.*x\[2, 3\].*w\[4, 5\]"),
    (dense, ((2, 3), (3, 5), (4,)), {}, r"dense.*b\[5\].*b\[4\]"),
    (dense_grad_input, ((2, 3), (4, 5), None), {}, r"dense_grad_input.*dz\[2, 3\].*w\[4, 5\]"),
    (dense_grad_input, ((2, 5), (4, 5), (2, 5)), {}, r"y\[2, 4\].*y\[2, 5\]"),
    (dense_grad_weight, ((2, 3), (4, 5), None), {}, r"dense_grad_weight.*\[2, 3\].*\[4, 5\]"),
    (matmul, ((2, 3), (4, 5)), {}, r"matmul.*a\[2, 3\].*b\[4, 5\]"),
    (matmul, ((3,), (3, 5)), {}, r"matmul.*a\[3\]"),
    (matmul, ((2, 4, 3), (5, 3, 4)), {}, r"one size.*a\[2, 4, 3\].*b\[5, 3, 4\]"),
    (matmul, ((4, 3), (5, 3, 4)), {"sum_batch": 1}, r"two batches"),
])
def test_shapes_that_do_not_fit_are_refused_by_name(kernel, shapes, attrs, words):
    arrays = [None if s is None else Array(s) for s in shapes]
    with pytest.raises(ValueError, match=words):
        kernel.infer(*arrays, **kernel.complete(attrs))


def test_dtypes_must_be_one_float():
    with pytest.raises(ValueError, match="float32, float64"):
        dense.infer(Array((2, 3)), Array((3, 4), np.dtype(np.float64)), None)
    with pytest.raises(ValueError, match="int64"):
        matmul.infer(Array((2, 3), np.dtype(np.int64)), Array((3, 4), np.dtype(np.int64)))


def test_nothing_comes_back_through_a_dead_unit_not_even_nan():
    """relu's derivative is a choice in every form, as in `activation_grad`: NaN * 0 would be NaN."""
    dz, w = np.full((1, 2), np.nan, np.float32), np.ones((3, 2), np.float32)
    y = np.array([[0.0, 1.0, np.nan]], np.float32)
    for backend in ("native", "numpy"):
        (dx,) = single.run(dense_grad_input, dz, w, y, backend=backend, activation="relu")
        assert dx[0, 0] == 0 and np.isnan(dx[0, 1:]).all()
