"""The program as a table and as a picture."""

import sys
import types

import numpy as np
import pytest

import fastnn
from fastnn import ops
from fastnn.extras import need
from fastnn.kernels import optim
from fastnn.kernels.dense import dense
from fastnn.program import explain
from fastnn.program.explain import record
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from fastnn.program.variable import Variable


def small():
    """One dense layer's training step."""
    w, b = Variable(np.ones((784, 300)) / 784, name="h1/kernel"), Variable(np.zeros(300), name="h1/bias")
    graph = Graph("small")
    x = graph.feed("x", (32, 784), np.float32)
    with graph.active():
        with graph.note("h1"):
            h = dense(x, w, b, activation="relu")
        with graph.note("loss"):
            loss = ops.mean(h)
        dw, _ = gradients(loss, [w, b])
        optim.sgd(dw.reshape(-1), graph.constant(np.array(0.1)), graph.tensor(w).reshape(-1))
    graph.fetch("loss", loss)
    return Program(graph, "numpy"), w


def cells(line):
    return [c for c in line.split("  ") if c.strip()]


def test_rows_say_what_runs():
    program, _ = small()
    lines = program.explain().splitlines()
    assert lines[0] == f"small: {len(program.calls)} calls in {max(program.levels) + 1} levels, numpy"
    assert lines[1].split() == ["#", "level", "kernel", "buffers", "MFLOP", "KiB"]
    assert lines[2].split()[:3] == ["1", "0", "dense"]
    assert "h1[32,300] <- x h1/kernel h1/bias (relu)" in lines[2] and " 15.1" in lines[2]
    (joined,) = [line for line in lines if "dense_grad_weight + sgd" in line]
    update = next(c for c in program.calls if c.then).then
    mflop = 1e-6 * (2 * 32 * 784 * 300 + 32 * 300 + update.kernel.flops(update))
    assert f"{mflop:.1f}" in joined and "h1.dw[784,300]" in joined and "h1/kernel" in joined
    assert lines[-2].split()[0] == "total" and lines[-1].startswith("workspace ")


def test_numbers_are_aligned_right_and_rows_fit():
    program, _ = small()
    program.profile(2)
    for width in (None, 90):
        lines = program.explain(width=width, predict=False).splitlines()[1:-1]
        end = lines[0].index("KiB") + 3
        assert all(line[end - 1] != " " and line[end : end + 1] in ("", " ") for line in lines)
        assert width is None or max(map(len, lines)) <= width
    assert "..." in program.explain(width=90, predict=False)


def test_shares_are_those_of_the_roofline(monkeypatch):
    program, _ = small()
    roof = types.SimpleNamespace(peak=100.0, bandwidth=lambda nbytes: 10.0)
    monkeypatch.setattr(record, "ceilings", lambda threads: roof)
    program.times = [1e-3] * len(program.calls)
    first = program.explain(predict=False).splitlines()[2]
    assert first.endswith("15% flop") and "1.00 ms" in first  # 15.1 MFLOP take 151 us at 100 GFLOP/s
    program.times[0] = 1e-9
    assert program.explain(predict=False).splitlines()[2].split()[-1] == "flop"
    monkeypatch.setattr(record, "ceilings", lambda threads: None)
    assert "of peak" not in program.explain(predict=False)


def test_profiling_puts_the_weights_back():
    program, w = small()
    before = w.numpy()
    times = program.profile(3)
    assert len(times) == len(program.calls) and all(t > 0 for t in times)
    np.testing.assert_array_equal(w.numpy(), before)
    assert program.step == 0


def test_every_buffer_has_one_name():
    program, _ = small()
    names = explain.Names(program)
    by_place = {(id(t.memory), t.offset, t.nbytes): names.of(t) for c in program.calls for t in c.outputs
                if t.base.variable is None}
    assert len(set(by_place.values())) == len(by_place)


def test_an_empty_program():
    graph = Graph("nothing")
    text = Program(graph, "numpy").explain()
    assert text.startswith("nothing: 0 calls in 0 levels")


def test_the_picture_has_a_rectangle_for_each_buffer():
    pytest.importorskip("matplotlib")
    from matplotlib import pyplot

    program, _ = small()
    ax = program.draw_buffers()
    assert len(ax.patches) == len(program.plan.spans)
    assert ax.get_xlabel() == "level" and "workspace" in ax.get_ylabel()
    assert "h1.dw" in {t.get_text() for t in ax.texts}
    assert program.draw_buffers(ax=ax) is ax
    pyplot.close("all")


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    program, _ = small()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"matplotlib.*pip install fastnn\[plot\]"):
        program.draw_buffers()
    assert need("math", extra="none").pi > 3


def test_explaining_a_function():
    w = Variable(np.ones((4, 2)), name="w")
    text = fastnn.program(lambda x: ops.relu(x @ w)).explain(np.ones((3, 4)))
    assert "t1[3,2] <- x w" in text and "(relu)" in text
