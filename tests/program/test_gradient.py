"""Gradients of free compositions against central differences, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.kernels import optim
from fastnn.kernels.dense import dense
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph
from fastnn.program.kernel_check import compare
from fastnn.program.trace import value_and_grad
from fastnn.program.variable import Variable, pack

A, B, C = (3, 4), (4, 5), (5,)

COMPOSITIONS = {
    "arithmetic": lambda a, b, c: ops.mean((a @ b + c) * c - c / (2 + a[:, :1] ** 2)),
    "numbers": lambda a, b, c: ops.sum(3 * a - 1) + ops.mean(2 - b / 4) * ops.sum(1 / (c * c + 1)) - ops.sum(-c),
    "broadcast": lambda a, b, c: ops.sum(ops.square(a[:, :, None] * ops.reshape(b, (1, 4, 5)) - c)),
    "used twice": lambda a, b, c: ops.sum(ops.tanh(a @ b) * (a @ b)) + ops.sum(a * a),
    "softmax": lambda a, b, c: ops.sum(ops.softmax(a @ b + c) * ops.exp(c)) + ops.sum(ops.softmax(a, axis=0) * a),
    "log_softmax": lambda a, b, c: -ops.mean(ops.log_softmax(a @ b)[:, 1:3]),
    "activations": lambda a, b, c: ops.sum(ops.gelu(a) + ops.gelu(a, approximate=False) + ops.silu(a) + ops.elu(a, 0.5)
                                           + ops.selu(a) + ops.softplus(a) + ops.sigmoid(a) + ops.relu(a)),
    "elementary": lambda a, b, c: ops.sum(ops.log(ops.square(b) + 1) + ops.sqrt(ops.exp(b)) + abs(b)
                                          + (b * b + 1) ** 1.5),
    "var": lambda a, b, c: ops.sum((b - ops.mean(b, 0)) / ops.sqrt(ops.var(b, 0) + 1e-2) * c),
    "choice": lambda a, b, c: ops.sum(ops.where(b > 0.1, b * b, ops.maximum(b, c)) + ops.minimum(b, 0.3)
                                      + ops.clip(b, -0.5, 0.7)),
    "joined": lambda a, b, c: ops.sum(ops.square(ops.concatenate([a, b[:2, 1:], a[1:]], axis=0) @ b)),
    "extremes": lambda a, b, c: ops.sum(ops.max(a @ b, axis=1) * ops.min(b, axis=0)[:3]) + ops.max(c),
    "reshaped": lambda a, b, c: ops.sum(ops.transpose(ops.reshape(a, (2, 3, 2)), (2, 0, 1)) ** 2) * ops.mean(
        ops.squeeze(ops.expand_dims(c, 0))),
    "batched": lambda a, b, c: ops.sum(ops.reshape(a, (3, 2, 2)) @ ops.reshape(a, (3, 2, 2)) @ b[:2, :3]),
    "vectors": lambda a, b, c: ops.dot(a[0], b) @ c + ops.dot(c, c),
    "layer": lambda a, b, c: ops.mean(ops.square(dense(1.0 * a, b, c, activation="tanh"))),
}


def values(seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=s) for s in (A, B, C)]


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_composition_agrees_with_central_differences(name):
    fn, arrays = COMPOSITIONS[name], values()
    variables = [Variable(x, name=n, dtype="float64") for x, n in zip(arrays, "abc")]
    loss, grads = value_and_grad(lambda: fn(*variables) + 0 * ops.sum(variables[2]), variables)()
    assert loss.dtype == np.float64
    for i, (v, g) in enumerate(zip(variables, grads)):
        def value(x, i=i):
            moved = [x if j == i else y for j, y in enumerate(arrays)]
            return float(fn(*moved))

        compare(f"{name}, {v.name}", value, arrays[i], g)
    np.testing.assert_allclose(loss, fn(*arrays), rtol=1e-12)


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_backends_agree(name):
    if "native" not in available():
        pytest.skip("nothing is compiled")
    variables = [Variable(x, name=n) for x, n in zip(values(), "abc")]
    found = {}
    for backend in available():
        with fastnn.backend(backend):
            found[backend] = value_and_grad(lambda: COMPOSITIONS[name](*variables) + 0 * ops.sum(variables[2]),
                                            variables)()
    (loss, grads), (want, wanted) = found["native"], found["numpy"]
    np.testing.assert_allclose(loss, want, rtol=2e-5, atol=1e-5)
    for g, w in zip(grads, wanted):
        np.testing.assert_allclose(g, w, rtol=1e-4, atol=1e-5 * max(1, np.abs(w).max()))


def available():
    from fastnn.kernels.tables import native_available

    return ("native", "numpy") if native_available() else ("numpy",)


# ---------------------------------------------------------------------- what is refused, what is nothing

def test_only_a_scalar_can_be_differentiated():
    graph = Graph()
    x = graph.feed("x", (3,), np.float32)
    with pytest.raises(ValueError, match="without axes.*\\(3,\\)"):
        gradients(ops.square(x), [x])


def test_no_dependence_is_none_and_other_uses_add_up():
    graph = Graph()
    x, z = graph.feed("x", (3,), np.float32), graph.feed("z", (3,), np.float32)
    dx, dz = gradients(ops.sum(x * x + x), [x, z])
    assert dz is None and dx.shape == (3,)


def test_stop_gradient_stops():
    w = Variable([1.0, 2.0])
    _, (g,) = value_and_grad(lambda: ops.sum(w * ops.stop_gradient(w * w)), [w])()
    np.testing.assert_allclose(g, [1.0, 4.0])
    _, (g,) = value_and_grad(lambda: ops.sum(ops.stop_gradient(w)) + 0 * ops.sum(w), [w])()
    np.testing.assert_allclose(g, [0.0, 0.0])


def sgd(graph, g, w, rate=0.5):
    return optim.sgd(g.reshape(-1), graph.constant(np.array(rate)), graph.tensor(w).reshape(-1))


def test_the_gradient_of_an_overwritten_variable_is_refused():
    graph, w = Graph(), Variable(np.ones(16), name="layer/kernel")
    with graph.active():
        loss = ops.sum(w * w)
        (g,) = gradients(loss, [w])
        sgd(graph, g, w)
        with pytest.raises(ValueError, match="layer/kernel was updated after multiply read it"):
            gradients(loss, [w])


def test_a_reshaped_variable_counts_too():
    graph, w = Graph(), Variable(np.ones(16), name="layer/kernel")
    with graph.active():
        loss = ops.sum(ops.square(ops.reshape(w, (4, 4))))
        (g,) = gradients(loss, [w])
        sgd(graph, g, w)
        with pytest.raises(ValueError, match="layer/kernel was updated"):
            gradients(loss, [w])


def test_an_update_of_its_neighbour_in_the_arena_does_no_harm():
    a, b = Variable(np.ones(16), name="a"), Variable(np.full(16, 2.0), name="b")
    pack([a, b])
    graph = Graph()
    with graph.active():
        loss = ops.sum(a * a) + ops.sum(b * b)
        (g,) = gradients(loss, [a])
        sgd(graph, g, a)
        (g,) = gradients(loss, [b])
        assert g.shape == (16,)


def test_the_pass_may_be_run_again_after_an_update():
    w = Variable(np.full(4, 2.0), name="w")

    @fastnn.program
    def step():
        graph = fastnn.program.graph.current_graph()
        first = ops.sum(w * w)
        sgd(graph, gradients(first, [w])[0], w, 0.25)
        second = ops.sum(w * w)
        sgd(graph, gradients(second, [w])[0], w, 0.25)
        return first, second

    first, second = step()
    assert (first, second) == (16.0, 4.0)
    np.testing.assert_allclose(w.numpy(), 0.5)
