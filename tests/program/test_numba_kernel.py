"""A kernel of one's own, written in Python with Numba, inside a native training program."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.kernels import single, tables
from fastnn.kernels.activation import sigmoid
from fastnn.kernels.spec import BLOCK, Kernel, blocks, like
from fastnn.program.check import check_rule
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from tests.cases import EPS


class BentSwish(Kernel):
    """y = x sigmoid(beta x) + bend x^2: no kernel of fastnn."""

    name = "test_bent_swish"
    dims = ("N",)
    attrs = {"beta": 1.0, "bend": 0.0}
    flat = True

    def infer(self, x, *, beta, bend):
        return (like(x),)

    def numpy(self, x, *, beta, bend):
        return x * sigmoid(beta * x) + bend * x * x

    def sizes(self, call):
        return (call["x"].size,)

    def tiles(self, call):
        return blocks(call["x"].size)

    def flops(self, call):
        return 8.0 * call["x"].size

    def gradient(self, call, *, y):
        return {"x": bent_swish_grad(y, call["x"], **call.attrs)}


class BentSwishGrad(BentSwish):
    """dx = dy (s + beta x s (1 - s) + 2 bend x) with s = sigmoid(beta x)."""

    name = "test_bent_swish_grad"
    outputs = ("dx",)
    inputs = ("dy", "x")

    def infer(self, dy, x, *, beta, bend):
        return (like(x),)

    def numpy(self, dy, x, *, beta, bend):
        s = sigmoid(beta * x)
        return dy * (s + beta * x * s * (1 - s) + 2 * bend * x)


bent_swish, bent_swish_grad = BentSwish(), BentSwishGrad()
ATTRS = {"beta": 1.5, "bend": 0.25}


class Bent(layers.Layer):
    def call(self, x):
        return bent_swish(x, **ATTRS)


@pytest.fixture(scope="module")
def compiled():
    """Both kernels as Numba cfuncs of the kernel ABI; they live as long as the fixture."""
    pytest.importorskip("fastnn.kernels.native.core")
    numba = pytest.importorskip("numba")
    from numba import types

    # void k(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last)
    floats = types.CPointer(types.CPointer(types.float32))
    abi = types.void(floats, types.CPointer(types.int64), types.CPointer(types.float64), types.int64, types.int64)
    f4 = np.float32

    @numba.cfunc(abi)
    def forward(buf, dim, attr, first, last):
        n = dim[0]
        y, x = numba.carray(buf[0], n), numba.carray(buf[1], n)
        beta, bend = f4(attr[0]), f4(attr[1])
        for i in range(first * BLOCK, min(last * BLOCK, n)):
            y[i] = x[i] / (f4(1) + np.exp(-beta * x[i])) + bend * x[i] * x[i]

    @numba.cfunc(abi)
    def backward(buf, dim, attr, first, last):
        n = dim[0]
        dx, dy, x = numba.carray(buf[0], n), numba.carray(buf[1], n), numba.carray(buf[2], n)
        beta, bend = f4(attr[0]), f4(attr[1])
        for i in range(first * BLOCK, min(last * BLOCK, n)):
            s = f4(1) / (f4(1) + np.exp(-beta * x[i]))
            dx[i] = dy[i] * (s + beta * x[i] * s * (f4(1) - s) + f4(2) * bend * x[i])

    return {"test_bent_swish": forward, "test_bent_swish_grad": backward}


@pytest.fixture
def forms(compiled, monkeypatch):
    monkeypatch.setitem(tables._forms, "native", tables.forms("native"))  # put back afterwards
    for name, cfunc in compiled.items():
        tables.add_form("native", name, cfunc.address)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(request.param)
    yield request.param
    fastnn.set_num_threads(before)


def trained(backend, data, epochs=3):
    """Losses and weights of a small network with the kernel in its middle; and the program of its step."""
    with fastnn.backend(backend):
        fastnn.utils.set_random_seed(5)
        # wide enough that two threads share the kernel's tiles
        model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(512), Bent(), layers.Dense(1)])
        model.compile(fastnn.optimizers.SGD(0.01), "mse")
        history = model.fit(*data, batch_size=128, epochs=epochs, verbose=0)
        program = model.training_program(*data, 128)
    return history.history["loss"], model.get_weights(), program


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(512, 20)).astype(np.float32)
    return x, np.tanh(x[:, :1]) + x[:, 1:2] ** 2


def test_rule_agrees_with_central_differences():
    check_rule(bent_swish, (np.random.default_rng(2).normal(size=(4, 9)),), ATTRS, ("x",))


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 1000])
def test_compiled_forms_agree_with_the_meaning(forms, n):
    dy, x = np.random.default_rng(3).normal(0, 3, (2, n)).astype(np.float32)
    for kernel, inputs in ((bent_swish, (x,)), (bent_swish_grad, (dy, x))):
        (got,) = single.run(kernel, *inputs, **ATTRS)
        want = kernel.numpy(*(a.astype(float) for a in inputs), **ATTRS)
        np.testing.assert_allclose(got, want, rtol=0, atol=16 * EPS * abs(want).max(initial=1.0))
        parts = single.run(kernel, *inputs, order=[(blocks(n) // 2, blocks(n)), (0, blocks(n) // 2)], **ATTRS)
        np.testing.assert_array_equal(parts[0], got)


def test_trains_as_its_meaning_does(forms, threads, data):
    losses, weights, program = trained("native", data)
    want_losses, want_weights, _ = trained("numpy", data)
    assert program.backend == "native"
    assert {"test_bent_swish", "test_bent_swish_grad"} < {c.kernel.name for c in program.calls}
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, want_losses, rtol=1e-5)
    for w, want in zip(weights, want_weights, strict=True):
        np.testing.assert_allclose(w, want, rtol=0, atol=1e-5 * abs(want).max(initial=1.0))


def test_number_of_threads_changes_no_bit(forms, data):
    results, before = [], fastnn.get_num_threads()
    for n in (1, 2):
        fastnn.set_num_threads(n)
        results.append(trained("native", data)[1])
    fastnn.set_num_threads(before)
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_explain_shows_it_like_any_other(forms, data):
    assert "test_bent_swish" in trained("native", data, epochs=1)[2].explain()


def test_without_a_form_building_the_program_says_so():
    pytest.importorskip("fastnn.kernels.native.core")
    graph = Graph("own")
    graph.fetch("y", bent_swish(graph.feed("x", (3,), np.float32)))
    with pytest.raises(tables.MissingForm) as error:
        Program(graph, backend="native")
    assert str(error.value) == "The backend 'native' has no form of the kernel 'test_bent_swish'."


def test_its_meaning_alone_is_enough_for_the_numpy_backend(data):
    losses, _, program = trained("numpy", data)
    assert program.backend == "numpy" and losses[-1] < losses[0]
