"""Levels, the buffer plan and the rewrites, on programs made at random."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn
from fastnn import ops
from fastnn.kernels import optim
from fastnn.kernels.dense import dense
from fastnn.kernels.tables import native_available
from fastnn.program import fuse
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph, Memory, Tensor
from fastnn.program.plan import lay_out, levels
from fastnn.program.program import Program
from fastnn.program.variable import Variable, pack

N = 24
BACKENDS = ("native", "numpy") if native_available() else ("numpy",)


@st.composite
def programs(draw):
    """A graph of calls on vectors: new values, values in parts of one memory, updates in place of both kinds."""
    graph = Graph("random")
    variable = Variable(np.linspace(-1, 1, N), name="w")
    shared = Memory(8 * N * 4, "shared")
    tensors = [graph.feed("x", (N,), np.float32), graph.tensor(variable)]
    parts = list(draw(st.permutations(range(8))))
    for _ in range(draw(st.integers(1, 14))):
        a, b = (tensors[draw(st.integers(0, len(tensors) - 1))] for _ in range(2))
        kind = draw(st.sampled_from(["unary", "binary", "placed", "scale", "sgd"]))
        if kind == "unary":
            tensors.append(ops.tanh(a))
        elif kind == "binary":
            tensors.append(a + b)
        elif kind == "placed" and parts:
            t = ops.tanh(a - b)
            t.place(shared, 4 * N * parts.pop())
            tensors.append(t)
        elif kind == "scale" and a.call is not None:
            optim.scale_inplace(graph.constant(np.float32(0.5)), a)
        elif kind == "sgd":
            optim.sgd(ops.tanh(b), graph.constant(np.array(0.25)), graph.tensor(variable))
    for i, t in enumerate(draw(st.lists(st.sampled_from(tensors), min_size=1, max_size=3, unique_by=id))):
        graph.fetch(f"y{i}", t)
    return graph, variable


def spelled_out(graph, variable, x):
    """The calls one after another, with an array for each memory and no plan."""
    memories = {id(variable.arena.array): variable.arena.array.copy()}

    def view(t):
        key = id(t.memory.array) if t.memory.array is not None else id(t.memory)
        if key not in memories:
            memories[key] = t.memory.array.copy() if t.memory.array is not None else np.zeros(t.memory.nbytes, np.uint8)
        raw = memories[key].reshape(-1).view(np.uint8)[t.offset : t.offset + t.nbytes]
        return raw.view(t.dtype).reshape(t.shape)

    view(graph.feeds["x"])[...] = x
    for call in graph.calls:
        given = (None if t is None else float(view(t)) if t.dtype == np.float64 else view(t) for t in call.inputs)
        made = call.kernel.numpy(*given, **call.attrs)
        for t, value in zip(call.outputs, made if isinstance(made, tuple) else (made,)):
            view(t)[...] = value
    return [view(t).copy() for t in graph.fetches.values()], memories[id(variable.arena.array)][:N]


def conflicts(a, b):
    """Whether one of two calls writes what the other touches."""
    def meet(s, t):
        return s.memory is t.memory and s.offset < t.offset + t.nbytes and t.offset < s.offset + s.nbytes

    return any(meet(s, t) for s in fuse.written(a) for t in fuse.operands(b)) or any(
        meet(s, t) for s in fuse.operands(a) for t in fuse.written(b))


@given(programs())
@settings(max_examples=150, deadline=None)
def test_levels_keep_the_order_of_calls_that_conflict(made):
    graph, _ = made
    level = levels(graph.calls)
    for j, later in enumerate(graph.calls):
        before = [level[i] for i, earlier in enumerate(graph.calls[:j]) if conflicts(earlier, later)]
        assert level[j] == max(before, default=-1) + 1  # and no later than they must


@given(programs())
@settings(max_examples=150, deadline=None)
def test_memories_that_live_at_once_do_not_overlap(made):
    graph, _ = made
    calls = fuse.prune(graph.calls, list(graph.fetches.values()))
    kept = [t.memory for t in graph.fetches.values() if t.memory.array is None]
    level = levels(calls)
    plan = lay_out(calls, level, kept)
    assert {t.memory for c in calls for t in fuse.operands(c) if t.memory.array is None} <= set(plan.spans)
    spans = list(plan.spans.items())
    for i, (a, (a0, a1)) in enumerate(spans):
        assert a.offset % 64 == 0 and a.offset + a.nbytes <= plan.nbytes
        for b, (b0, b1) in spans[:i]:
            if a0 <= b1 and b0 <= a1:
                assert a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset, (a.name, b.name)
    for call, at in zip(calls, level):
        for t in fuse.operands(call):
            if t.memory in plan.spans:
                first, last = plan.spans[t.memory]
                assert first <= at <= last


@pytest.mark.parametrize("backend", BACKENDS)
@given(programs(), st.integers(0, 2**31))
@settings(max_examples=80, deadline=None)
def test_a_program_gives_what_its_calls_give_one_by_one(backend, made, seed):
    graph, variable = made
    x = np.random.default_rng(seed).normal(size=N).astype(np.float32)
    want, want_variable = spelled_out(graph, variable, x)
    program = Program(graph, backend)
    fetches = {n: np.zeros((1, N), np.float32) for n in graph.fetches}
    program.run(1, {"x": x[None]}, fetches)
    for n, w in zip(fetches, want):
        np.testing.assert_allclose(fetches[n][0], w, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(variable.numpy(), want_variable, rtol=1e-5, atol=1e-5)


def test_memory_is_shared_along_a_chain():
    graph = Graph()
    y = graph.feed("x", (1000,), np.float32)
    for _ in range(20):
        y = ops.tanh(y)
    graph.fetch("y", y)
    plan = Program(graph, "numpy").plan
    assert plan.nbytes < 5 * 4096 < 20 * 4000 < plan.sum_nbytes


# ---------------------------------------------------------------------- rewrites

def network(sizes, rng, optimizer="adam", clip=False, arena=True):
    """A dense network's training step; all gradients side by side, one flat update."""
    variables = []
    for i, (m, n) in enumerate(zip(sizes, sizes[1:])):
        variables += [Variable(rng.normal(size=(m, n)) * 0.3, name=f"w{i}"), Variable(np.zeros(n), name=f"b{i}")]
    place = pack(variables)
    graph = Graph("network")
    x, y = graph.feed("x", (7, sizes[0]), np.float32), graph.feed("y", (7, sizes[-1]), np.float32)
    with graph.active():
        h = x
        for i in range(len(sizes) - 1):
            last = i == len(sizes) - 2
            h = dense(h, variables[2 * i], variables[2 * i + 1],
                      activation="linear" if last else "tanh")
        loss = ops.mean(ops.square(h - y))
        grads = gradients(loss, variables)
        memory = Memory(place.array.nbytes, "gradients", kept=True)
        for v, g in zip(variables, grads):
            g.place(memory, v.offset * 4)
        n = place.array.size
        flat = Tensor(graph, (n,), np.float32, memory, 0, name="gradients")
        if clip:
            optim.scale_inplace(graph.constant(np.float32(0.5)), flat)
        w = graph.flat(place.array, 0, n, "weights")
        slots = [graph.flat(np.zeros(n, np.float32), 0, n, s) for s in "mv"]
        rate, epsilon = graph.constant(np.array(0.01)), graph.constant(np.array(1e-7))
        if optimizer == "adam":
            optim.adam(flat, rate, epsilon, w, *slots, beta_1=0.9, beta_2=0.999)
        else:
            optim.sgd(flat, rate, w)
    graph.fetch("loss", loss)
    return graph, place


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("sizes", [(3, 5), (17, 33, 16), (20, 64, 31, 10), (1, 1, 1)])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_joined_updates_give_the_same_bits(backend, sizes, optimizer, clip):
    found = {}
    for join in (True, False):
        rng = np.random.default_rng(3)
        graph, place = network(sizes, rng, optimizer, clip)
        program = Program(graph, backend, join=join)
        assert any(c.then for c in program.calls) == (join and not clip)
        feeds = {"x": rng.normal(size=(5, 7, sizes[0])).astype(np.float32),
                 "y": rng.normal(size=(5, 7, sizes[-1])).astype(np.float32)}
        losses = np.zeros(5, np.float32)
        done = 0
        while done < 5:
            done += program.run(5 - done, feeds, {"loss": losses}, offset=done)
        found[join] = losses, place.array.copy()
    for a, b in zip(found[True], found[False]):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(found[True][1]).all() and np.ptp(found[True][0]) > 0


def test_every_gradient_that_an_update_reads_is_kept():
    graph, _ = network((4, 8, 2), np.random.default_rng(0))
    calls = fuse.prune(graph.calls, [])
    assert [c.kernel.name for c in calls].count("dense_grad_weight") == 2
    assert "reduce_mean" not in [c.kernel.name for c in calls]  # the loss itself, which nobody asked for


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_may_read_what_the_rest_of_its_update_overwrites(backend):
    """x.T @ dy with x a variable of the same update: its own part is joined, and the rest comes later."""
    results = []
    for join in (True, False):
        rng = np.random.default_rng(0)
        a, b = Variable(rng.normal(size=(16, 16)), name="a"), Variable(rng.normal(size=(16, 16)), name="b")
        place = pack([a, b])
        graph = Graph()
        with graph.active():
            loss = ops.sum(ops.square(dense(graph.tensor(a), b, None)))
            grads = gradients(loss, [a, b])
            memory = Memory(place.array.nbytes, "gradients", kept=True)
            for v, g in zip((a, b), grads):
                g.place(memory, v.offset * 4)
            n = place.array.size
            optim.sgd(Tensor(graph, (n,), np.float32, memory, 0), graph.constant(np.array(0.01)),
                      graph.flat(place.array, 0, n))
        program = Program(graph, backend, join=join)
        assert any(c.then for c in program.calls) == join
        program.run(3)
        results.append(place.array.copy())
    np.testing.assert_array_equal(*results)


def test_a_call_whose_other_output_is_read_before_the_update_is_not_joined():
    rng = np.random.default_rng(0)
    w, b = Variable(rng.normal(size=(16, 4)), name="w"), Variable(np.zeros(4), name="b")
    found = []
    for join in (True, False):
        w.assign(np.ones((16, 4)))
        graph = Graph()
        x = graph.feed("x", (8, 16), np.float32)
        with graph.active():
            dw, db = gradients(ops.sum(ops.square(dense(x, w, b))), [w, b])
            graph.fetch("twice", db + db)
            optim.sgd(dw.reshape(-1), graph.constant(np.array(0.1)), graph.tensor(w).reshape(-1))
        program = Program(graph, join=join)
        out = np.zeros((1, 4), np.float32)
        program.run(1, {"x": np.ones((1, 8, 16), np.float32)}, {"twice": out})
        found.append(out)
    np.testing.assert_array_equal(*found)
    assert found[0].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_first_normalised_layer_makes_one_product_and_the_same_gradients(backend, monkeypatch):
    from fastnn.kernels.norm import batch_norm

    def gradients_of(detours):
        if detours:
            monkeypatch.setattr(fuse, "skip_detours", lambda calls, wanted: calls)
        rng = np.random.default_rng(3)
        v = {n: Variable(rng.normal(size=s), name=n) for n, s in dict(
            gamma=(20,), beta=(20,), mean=(20,), w=(20, 7), b=(7,)).items()}
        variance = Variable(np.ones(20), name="variance")
        graph = Graph()
        with graph.active():
            x = graph.constant(rng.normal(2, 3, (9, 20)).astype(np.float32))
            y = batch_norm(x, v["gamma"], v["beta"], v["mean"], variance)[0]
            z = dense(y, v["w"], v["b"], activation="tanh")
            loss = ops.sum(z * graph.constant(rng.normal(size=(9, 7)).astype(np.float32)))
            wanted = ("gamma", "beta", "w", "b")
            for name, g in zip(wanted, gradients(loss, [v[n] for n in wanted])):
                graph.fetch(name, g)
        program = Program(graph, backend)
        assert any(c.kernel.name == "norm_dense_grad" for c in program.calls) != detours
        out = {n: np.zeros((1, *t.shape), np.float32) for n, t in program.fetches.items()}
        program.run(1, {}, out)
        return out

    short, long = gradients_of(False), gradients_of(True)
    for name in short:
        np.testing.assert_allclose(short[name], long[name], rtol=0, atol=2e-5 * np.abs(long[name]).max(), err_msg=name)


@pytest.mark.parametrize("kinds", [("relu", "gelu"), ("elu", "silu"), ("tanh", "relu"), ("gelu", "softplus")])
def test_activations_one_after_another_have_their_gradients(kinds, monkeypatch):
    """The derivative of the second is no part of the first one's, whichever of x and y they are found from."""
    def gradient():
        w = fastnn.Variable(np.linspace(-1, 1, 20).reshape(4, 5), name="w")

        @fastnn.program
        def step(x):
            y = x @ w
            for kind in kinds:
                y = fastnn.activations.get(kind)(y)
            return fastnn.gradients(ops.mean(y * y), [w])[0]

        return step(np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4))

    joined = gradient()
    monkeypatch.setattr(fuse, "join_slopes", lambda calls, wanted: calls)
    np.testing.assert_array_equal(joined, gradient())
