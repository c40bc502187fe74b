"""What the list of cases can't say about attention: PyTorch's results, rows that see nothing, memory, refusals."""

import numpy as np
import pytest

import fastnn
from fastnn.kernels import attention as k
from fastnn.kernels import single, tables
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph
from fastnn.program.program import Program

BACKENDS = ["numpy", *(["native"] if tables.native_available() else [])]
SHAPES = [(2, 5, 7, 2, 2, 4, 3), (1, 1, 9, 4, 2, 8, 8), (3, 70, 1, 2, 1, 6, 5), (1, 130, 100, 2, 2, 16, 20),
          (2, 64, 64, 4, 4, 32, 32)]


def inputs(shape, seed=0):
    b, t, s, h, g, d, e = shape
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n).astype(np.float32) for n in ((b, t, h, d), (b, s, g, d), (b, s, g, e), (b, t, h, e))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", ["plain", "causal", "padding", "pairs"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_gradients_are_those_of_pytorch(shape, kind, backend):
    torch = pytest.importorskip("torch")
    b, t, s, h, g, d, e = shape
    q, key, v, dy = inputs(shape)
    mask = None
    if kind in ("padding", "pairs"):
        mask = np.random.default_rng(1).random((b, 1, 1, s) if kind == "padding" else (b, h, t, s)) < 0.6
        mask[..., 0] = True  # PyTorch gives NaN where nothing is seen
    attrs = {"scale": d**-0.5, "causal": int(kind == "causal")}
    given = (q, key, v, None if mask is None else mask.astype(np.float32), None)
    y, log_sum = single.run(k.attention, *given, backend=backend, **attrs)
    found = [y, *single.run(k.attention_grad, dy, q, key, v, y, log_sum, *given[3:], backend=backend, **attrs)]

    leaves = [torch.tensor(x, requires_grad=True) for x in (q, key, v)]
    turned = [x.transpose(1, 2) for x in leaves]
    want = torch.nn.functional.scaled_dot_product_attention(
        *turned, attn_mask=None if mask is None else torch.tensor(mask), is_causal=kind == "causal",
        enable_gqa=h != g).transpose(1, 2)
    want.backward(torch.tensor(dy))
    for got, other in zip(found, (want.detach(), *(x.grad for x in leaves)), strict=True):
        other = other.numpy()
        np.testing.assert_allclose(got, other, rtol=1e-5, atol=2e-5 * max(1, np.abs(other).max()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_queries_that_see_nothing_give_zeros(backend):
    q, key, v, dy = inputs((1, 3, 4, 1, 1, 2, 2))
    mask = np.ones((1, 1, 3, 4), np.float32)
    mask[0, 0, 1] = 0
    y, log_sum = single.run(k.attention, q, key, v, mask, None, backend=backend, scale=1.0)
    assert not y[0, 1].any() and np.isposinf(log_sum[0, 0, 1])
    dq, dk, dv = single.run(k.attention_grad, dy, q, key, v, y, log_sum, mask, None, backend=backend, scale=1.0)
    assert not dq[0, 1].any() and np.isfinite(dk).all() and np.isfinite(dv).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", [1e3, 1e8])
def test_large_scores_do_not_overflow(backend, size):
    q, key, v, dy = inputs((1, 3, 80, 1, 1, 2, 2))
    given = (q * np.float32(size), key * np.float32(size), v, None, None)
    y, log_sum = single.run(k.attention, *given, backend=backend, scale=1.0)
    assert np.isfinite(y).all() and np.isin(y, v).all()  # one key has all the weight
    found = single.run(k.attention_grad, dy, *given[:3], y, log_sum, None, None, backend=backend, scale=1.0)
    assert all(np.isfinite(g).all() for g in found)
    np.testing.assert_allclose(found[2].sum(1), dy.sum(1), rtol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_stays(backend):
    q, key, v, _ = inputs((1, 3, 5, 1, 1, 2, 2))
    q[0, 1] = np.nan
    y, _ = single.run(k.attention, q, key, v, None, None, backend=backend, scale=1.0)
    assert np.isnan(y[0, 1]).all() and np.isfinite(y[0, [0, 2]]).all()


def test_dropout_keeps_the_mean():
    q, key, v, _ = inputs((1, 40, 300, 2, 2, 4, 4))
    whole, _ = k.attention(q, key, v, None, None, scale=0.1)
    drawn = [k.attention(q, key, v, None, np.float64(step), scale=0.1, rate=0.3, key0=1, key1=2)[0]
             for step in range(60)]
    assert not np.array_equal(drawn[0], drawn[1])
    assert np.abs(np.mean(drawn, 0) - whole).max() < 5 * np.std(drawn, 0).max() / 60**0.5


def workspace(length):
    """Bytes that a program of attention and its gradients plans for."""
    graph = Graph("attention")
    q, key, v, dy = (graph.feed(n, (1, length, 2, 16), np.float32) for n in ("q", "k", "v", "dy"))
    y, _ = k.attention(q, key, v, None, None, scale=0.25, causal=1)
    for name, g in zip("qkv", gradients(y, [q, key, v], dy)):
        graph.fetch(f"d{name}", g)
    program = Program(graph)
    return program.plan.nbytes + sum(int(c.kernel.scratch(c)) for c in program.calls)


def test_memory_is_linear_in_the_length():
    short, long = workspace(256), workspace(2048)
    assert long < 8.1 * short
    assert long < 2048 * 2048 * 4  # less than one matrix of scores


@pytest.mark.parametrize("shapes,attrs,words", [
    (((1, 2, 3, 4), (1, 2, 2, 4), (1, 2, 2, 4), None), {}, "3 heads of queries can't share 2 heads of keys"),
    (((1, 2, 2, 4), (1, 3, 2, 4), (1, 4, 2, 4), None), {}, "of equal B, S, G and D"),
    (((1, 2, 2, 4), (1, 3, 2, 5), (1, 3, 2, 4), None), {}, "of equal B, S, G and D"),
    (((2, 4), (2, 4), (2, 4), None), {}, "needs q[B,T,H,D]"),
    (((1, 0, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4), None), {}, "at least one of everything"),
    (((1, 2, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4), (1, 1, 3, 3)), {}, "a mask of shape [1 or 1, 2 or 1, 2 or 1, 3]"),
    (((1, 2, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4), None), {"rate": 0.5}, "needs the step's number"),
    (((1, 2, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4), None), {"rate": 1.0}, "rate is 1.0"),
    (((1, 2, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4), None), {"offset": -1}, "offset is -1"),
])
def test_refusals(shapes, attrs, words):
    given = [None if s is None else np.ones(s, np.float32) for s in shapes]
    with pytest.raises(ValueError) as error:
        single.describe(k.attention, [*given, None], {"scale": 1.0, **attrs})
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_program_gives_the_bits_of_any_number_of_threads(threads):
    @fastnn.traced
    def step(q, key, v):
        y, _ = k.attention(q, key, v, None, None, scale=0.3, causal=1)
        return (y, *gradients(y, [q, key, v], y * 0.5))

    given = inputs((3, 70, 70, 2, 1, 8, 8))[:3]
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(1)
        want = step(*given)
        fastnn.set_num_threads(threads)
        for a, b in zip(want, step(*given), strict=True):
            np.testing.assert_array_equal(a, b)
    finally:
        fastnn.set_num_threads(before)
