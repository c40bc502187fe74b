"""fastnn.ops: on arrays against NumPy, and in programs against themselves on arrays."""

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.kernels.tables import native_available
from fastnn.program.graph import Graph
from fastnn.program.trace import run_eager, value_and_grad
from fastnn.program.variable import Variable

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)
RNG = np.random.default_rng(0)
X, Y, P = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.uniform(0.5, 2, (3, 4))
V, B = RNG.normal(size=4), RNG.normal(size=(2, 4, 5))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# function of ops, the same in NumPy, arguments
CASES = [
    (ops.add, np.add, (X, V)), (ops.subtract, np.subtract, (X, V)), (ops.multiply, np.multiply, (X, V)),
    (ops.divide, np.divide, (X, P)), (ops.power, np.power, (P, X)), (ops.maximum, np.maximum, (X, Y)),
    (ops.minimum, np.minimum, (X, V)), (ops.negative, np.negative, (X,)), (ops.absolute, np.abs, (X,)),
    (ops.abs, np.abs, (X,)), (ops.sign, np.sign, (X,)), (ops.square, np.square, (X,)), (ops.sqrt, np.sqrt, (P,)),
    (ops.rsqrt, lambda x: 1 / np.sqrt(x), (P,)), (ops.reciprocal, lambda x: 1 / x, (P,)), (ops.exp, np.exp, (X,)),
    (ops.expm1, np.expm1, (X,)), (ops.log, np.log, (P,)), (ops.log1p, np.log1p, (P,)),
    (ops.matmul, np.matmul, (X, B)), (ops.matmul, np.matmul, (B.swapaxes(1, 2), V)), (ops.matmul, np.matmul, (V, V)),
    (ops.matmul, np.matmul, (V, B[0])), (ops.matmul, np.matmul, (B[:, :, None], B[:, None].swapaxes(2, 3)[:, 0][
        :, None].swapaxes(1, 2)[:, :4])), (ops.dot, np.dot, (X, V)), (ops.dot, np.dot, (B.swapaxes(1, 2), V)),
    (ops.dot, np.dot, (X, B[0])), (ops.dot, np.dot, (B.swapaxes(1, 2), B[0])),
    (ops.tanh, np.tanh, (X,)), (ops.relu, lambda x: np.maximum(x, 0), (X,)),
    (ops.sigmoid, lambda x: 1 / (1 + np.exp(-x)), (X,)), (ops.softplus, lambda x: np.log1p(np.exp(x)), (X,)),
    (ops.silu, lambda x: x / (1 + np.exp(-x)), (X,)), (ops.swish, lambda x: x / (1 + np.exp(-x)), (X,)),
    (ops.elu, lambda x: np.where(x > 0, x, np.expm1(x)), (X,)),
    (ops.softmax, softmax, (X,)), (ops.log_softmax, lambda x: np.log(softmax(x)), (X,)),
    (ops.greater, lambda a, b: (a > b).astype(a.dtype), (X, V)),
    (ops.less, lambda a, b: (a < b).astype(a.dtype), (X, V)),
    (ops.zeros_like, np.zeros_like, (X,)), (ops.ones_like, np.ones_like, (X,)), (ops.stop_gradient, np.array, (X,)),
    (ops.transpose, np.transpose, (B,)), (ops.squeeze, np.squeeze, (X[:, None],)),
    (ops.sum, np.sum, (B,)), (ops.mean, np.mean, (B,)), (ops.max, np.max, (B,)), (ops.min, np.min, (B,)),
    (ops.var, np.var, (B,)), (ops.std, np.std, (B,)),
]
CASES = [c for c in CASES if not (c[0] is ops.matmul and c[2][0].ndim == 4)]
WITH = [  # the same with further arguments
    *[(lambda x, f=f, a=a, k=k: f(x, axis=a, keepdims=k), lambda x, g=g, a=a, k=k: g(x, axis=a, keepdims=k), (B,))
      for f, g in [(ops.sum, np.sum), (ops.mean, np.mean), (ops.max, np.max), (ops.min, np.min), (ops.var, np.var)]
      for a in (0, -1, (0, 2), (1,)) for k in (False, True)],
    (lambda x: ops.softmax(x, axis=1), lambda x: softmax(x, 1), (B,)),
    (lambda x: ops.softmax(x, axis=0), lambda x: softmax(x, 0), (B,)),
    (lambda x: ops.transpose(x, (1, 2, 0)), lambda x: x.transpose(1, 2, 0), (B,)),
    (lambda x: ops.reshape(x, (5, -1)), lambda x: x.reshape(5, -1), (B,)),
    (lambda x: ops.expand_dims(x, 1), lambda x: x[:, None], (X,)),
    (lambda x: ops.expand_dims(x, -1), lambda x: x[..., None], (X,)),
    (lambda x: ops.squeeze(x, 1), lambda x: x[:, 0], (X[:, None],)),
    (lambda x, y: ops.concatenate([x, y, x], axis=0), lambda x, y: np.concatenate([x, y, x], 0), (X, Y)),
    (lambda x, y: ops.concatenate([x, y]), lambda x, y: np.concatenate([x, y], -1), (X, Y)),
    (lambda x: ops.clip(x, -0.5, 0.5), lambda x: np.clip(x, -0.5, 0.5), (X,)),
    (lambda x, y: ops.clip(x, -0.5, y), lambda x, y: np.minimum(np.maximum(x, -0.5), y), (X, Y)),
    (lambda x, y: ops.where(ops.greater(x, y), x, y), np.maximum, (X, Y)),
    (lambda x: ops.where(ops.greater(x, 0.0), x, 0.0), lambda x: np.maximum(x, 0), (X,)),
    (lambda x: ops.where(ops.greater(x, 0.0), 1.0, -1.0), lambda x: np.where(x > 0, 1.0, -1.0), (X,)),
    (lambda x: ops.elu(x, alpha=0.3), lambda x: np.where(x > 0, x, 0.3 * np.expm1(x)), (X,)),
    (lambda x: ops.gelu(x), lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), (X,)),
    (lambda x: 2 * x + 1 - x / 4 - (1 - x) / 3, lambda x: 2 * x + 1 - x / 4 - (1 - x) / 3, (X,)),
    (lambda x: 2 / x + x**3 - x**2 + 2.0**x, lambda x: 2 / x + x**3 - x**2 + 2.0**x, (P,)),
    (lambda x: -x + abs(x) + (+x) + x @ x.T @ x, lambda x: np.abs(x) + x @ x.T @ x, (X,)),
    (lambda x: x > 0.25, lambda x: x > 0.25, (X,)), (lambda x: 0.25 > x, lambda x: 0.25 > x, (X,)),
    (lambda x: V.astype(x.dtype) * x, lambda x: V * x, (X,)), (lambda x: V @ B[0].astype(x.dtype) + x[0, :1],
                                                              lambda x: V @ B[0] + x[0, :1], (X,)),
    (lambda x: ops.square(x)[1:, :2], lambda x: (x**2)[1:, :2], (X,)),
    (lambda x: ops.square(x)[-1], lambda x: (x**2)[-1], (X,)),
    (lambda x: ops.square(x)[..., 0], lambda x: (x**2)[..., 0], (B,)),
    (lambda x: ops.square(x)[1, None, :, -2:], lambda x: (x**2)[1, None, :, -2:], (B,)),
    (lambda x: sum(row for row in x), lambda x: x.sum(0), (X,)),
]


T = (X > 0.3).astype(float)  # truth values
WITH += [  # what is made of other functions
    (lambda x, y: ops.equal(ops.sign(x), ops.sign(y)), lambda x, y: np.sign(x) == np.sign(y), (X, Y)),
    (lambda x: ops.greater_equal(x, 0.0), lambda x: x >= 0, (X,)), (ops.less_equal, np.less_equal, (X, V)),
    (ops.logical_and, np.logical_and, (T, T[:, ::-1])), (ops.logical_or, np.logical_or, (T, T[:, ::-1])),
    (ops.logical_not, np.logical_not, (T,)), (ops.isclose, np.isclose, (X, X + np.array([0, 1e-9, 1, 2]))),
    *[(lambda x, f=f, a=a: f(x, axis=a), lambda x, g=g, a=a: g(x, axis=a), (arg,))
      for f, g, arg in [(ops.all, np.all, T), (ops.any, np.any, T), (ops.count_nonzero, np.count_nonzero, T),
                        (ops.argmax, np.argmax, X), (ops.argmin, np.argmin, X), (ops.cumsum, np.cumsum, X),
                        (ops.prod, np.prod, X), (ops.logsumexp, lambda x, axis: np.log(np.exp(x).sum(axis)), X),
                        (ops.argmax, np.argmax, B)]
      for a in (None, 0, -1)],
    (lambda x: ops.argmax(x, axis=1, keepdims=True), lambda x: x.argmax(1)[:, None], (T,)),
    (lambda x: ops.logsumexp(1000 * x, 1, keepdims=True), lambda x: 1000 * x.max(1, keepdims=True), (X,)),
    (lambda x: ops.floor(3 * x), lambda x: np.floor(3 * x), (X,)),
    (lambda x: ops.ceil(3 * x), lambda x: np.ceil(3 * x), (X,)), (ops.log2, np.log2, (P,)), (ops.log10, np.log10, (P,)),
    (ops.logaddexp, np.logaddexp, (X, Y)),
    (ops.divide_no_nan, lambda a, b: np.divide(a, b, out=np.zeros_like(a), where=b != 0), (X, T)),
    (lambda x: ops.average(x, axis=1, weights=np.arange(4.0, dtype=x.dtype)),
     lambda x: np.average(x, axis=1, weights=np.arange(4.0)), (X,)),
    (lambda x, w: ops.average(x, weights=w), lambda x, w: np.average(x, weights=w), (X, P)),
    (lambda x: ops.norm(x, axis=1), lambda x: np.linalg.norm(x, axis=1), (X,)),
    (lambda x: ops.norm(x, ord=1, axis=0, keepdims=True), lambda x: np.linalg.norm(x, 1, axis=0, keepdims=True), (X,)),
    (ops.normalize, lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True), (X,)),
    (lambda x: ops.moments(x, 1)[1], lambda x: x.var(1), (X,)), (ops.ravel, np.ravel, (B,)),
    (lambda x: ops.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), (B,)),
    (lambda x: ops.moveaxis(x, [0, 2], [1, 0]), lambda x: np.moveaxis(x, [0, 2], [1, 0]), (B,)),
    (lambda x: ops.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1), (B,)),
    (lambda x: ops.broadcast_to(x, (2, 3, 4)), lambda x: np.broadcast_to(x, (2, 3, 4)), (X,)),
    *[(lambda x, y, a=a: ops.stack([x, y], axis=a), lambda x, y, a=a: np.stack([x, y], a), (X, Y)) for a in (0, 1, -1)],
    (lambda x: ops.split(x, 2, axis=1)[1], lambda x: np.split(x, 2, 1)[1], (X,)),
    (lambda x: ops.concatenate(ops.split(x, [1, 3], axis=-1)[::-1]), lambda x: x[:, [3, 1, 2, 0]], (X,)),
    (lambda x: ops.unstack(x, axis=1)[2], lambda x: x[:, 2], (X,)),
    (lambda x: ops.flip(x, axis=1), lambda x: x[:, ::-1], (X,)), (ops.flip, np.flip, (B,)),
    (lambda x: ops.roll(x, 3, axis=1), lambda x: np.roll(x, 3, 1), (X,)), (lambda x: ops.roll(x, 2),
                                                                          lambda x: np.roll(x, 2), (X,)),
    (lambda x: ops.repeat(x, 2, axis=1), lambda x: np.repeat(x, 2, 1), (X,)),
    (lambda x: ops.repeat(x, 3), lambda x: np.repeat(x, 3), (X,)),
    (lambda x: ops.tile(x, (2, 1, 3)), lambda x: np.tile(x, (2, 1, 3)), (X,)),
    (lambda x: ops.pad(x, ((1, 0), (0, 2)), constant_values=7),
     lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=7), (X,)),
    *[(lambda *a, e=e: ops.einsum(e, *a), lambda *a, e=e: np.einsum(e, *a), given) for e, given in (
        ("ij,kj->ik", (X, Y)), ("ij,kj", (X, Y)), ("ij->ji", (X,)), ("ij->j", (X,)), ("ij,j->i", (X, V)),
        ("ij,ij->", (X, Y)), ("bij,bjk->bik", (B, B.swapaxes(1, 2).copy())), ("ij,kj,j->ki", (X, Y, V)),
        ("i,j->ij", (V, V)), ("bij,kl->bl", (B, X)))],
    (ops.outer, np.outer, (X, V)), (lambda x: ops.tril(x, 1), lambda x: np.tril(x, 1), (X,)),
    (ops.triu, np.triu, (B,)), (lambda x: ops.full_like(x, 3), lambda x: np.full_like(x, 3), (X,)),
    (lambda x: ops.one_hot(ops.cast(x, "int32"), 3), lambda x: np.eye(3)[x.astype(int)], (T,)),
    (lambda x: ops.one_hot(ops.cast(x, "int32"), 3, axis=0),
     lambda x: np.moveaxis(np.eye(3)[x.astype(int)], -1, 0), (T,)),
    (lambda x: ops.cast(ops.cast(3 * x, "bool"), "int32"), lambda x: x.astype(bool).astype(int), (T,)),
]
SINGLE = [  # in float32 on arrays too
    (lambda t, x: ops.binary_crossentropy(t, x, from_logits=True), lambda t, x: np.log1p(np.exp(x)) - t * x, (T, X)),
    (lambda x: ops.sparse_categorical_crossentropy(np.array([0, 3, 1]), x, from_logits=True),
     lambda x: -np.log(softmax(x))[[0, 1, 2], [0, 3, 1]], (X,)),
    (lambda x: ops.categorical_crossentropy(np.eye(4, dtype=x.dtype)[:3], x, from_logits=True),
     lambda x: -np.log(softmax(x))[[0, 1, 2], [0, 1, 2]], (X,)),
    (lambda x: x + ops.eye(3, 4) + ops.ones((3, 4)) + ops.arange(4) + ops.linspace(0, 1, 4) + ops.full(4, 2),
     lambda x: x + np.eye(3, 4) + 3 + np.arange(4) + np.linspace(0, 1, 4), (X,)),
]


def agree(got, want, tolerance):
    got, want = np.asarray(got, float), np.asarray(want, float)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("function", "meant", "arrays"), CASES + WITH + SINGLE)
def test_on_arrays(function, meant, arrays):
    before = [a.copy() for a in arrays]
    agree(function(*arrays), meant(*arrays), 1e-6 if function in [case[0] for case in SINGLE] else 1e-12)
    for a, b in zip(arrays, before):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("function", "meant", "arrays"), CASES + WITH + SINGLE)
def test_in_programs(function, meant, arrays, backend):
    with fastnn.backend(backend):
        class Owner:
            def __call__(self, *xs):
                return function(*xs)

        narrow = [a.astype(np.float32) for a in arrays]
        agree(run_eager(Owner(), tuple(narrow)), meant(*(a.astype(float) for a in narrow)), 2e-5)


def test_variables_are_values_outside_and_symbols_inside():
    w = Variable([1.0, -2.0])
    np.testing.assert_array_equal(ops.square(w), [1, 4])
    np.testing.assert_array_equal(2 * w + np.ones(2, np.float32), [3, -3])
    np.testing.assert_array_equal(np.ones(2, np.float32) * w, [1, -2])
    assert isinstance(w[0], np.ndarray) and w[0] == 1
    loss, (g,) = value_and_grad(lambda: ops.sum(np.full(2, 3.0) * ops.square(w)), [w])()
    assert loss == 15
    np.testing.assert_array_equal(g, [6, -12])


def test_within_a_layer_variables_belong_to_its_program():
    graph, w = Graph(), Variable([1.0, -2.0])
    with graph.note("layer"):
        assert ops.square(w).graph is graph
    assert isinstance(ops.square(w), np.ndarray)


def test_numbers_become_one_call():
    from fastnn.kernels.spec import Array
    from fastnn.program.trace import trace

    graph, _ = trace(lambda x: 3 - x * 2, [Array((2,))])
    assert [c.kernel.name for c in graph.calls] == ["affine", "affine"]


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: ops.sum(x, axis=2), "no axis 2.*\\(3, 4\\)"),
    (lambda x: ops.sum(x, axis=(0, -2)), "twice"),
    (lambda x: ops.transpose(x, (0, 0)), "each axis"),
    (lambda x: ops.concatenate([x, x[:1]], axis=1), "concatenate along axis 1"),
    (lambda x: ops.concatenate([]), "at least one"),
    (lambda x: ops.squeeze(x, 0), "can't be squeezed"),
    (lambda x: ops.expand_dims(x, 4), "no place 4"),
    (lambda x: x @ x, "matmul"),
    (lambda x: x @ x[0, 0], "vectors or matrices"),
    (lambda x: ops.reshape(x, (5, 5)), "sizes differ"),
    (lambda x: x + np.ones(3), "broadcast"),
])
def test_errors(call, message):
    class Owner:
        def __call__(self, x):
            return call(x)

    with pytest.raises(ValueError, match=message):
        run_eager(Owner(), (X,))


@pytest.mark.parametrize(("index", "message"), [
    (7, "out of range"), (slice(0, 3, 2), "step 1"), ([0, 1], "step 1"), ((0, 0, 0), "Too many"), (True, "step 1")])
def test_what_can_not_be_an_index(index, message):
    class Owner:
        def __call__(self, x):
            return x[index]

    with pytest.raises(IndexError, match=message):
        run_eager(Owner(), (X,))
