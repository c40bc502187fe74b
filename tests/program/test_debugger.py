"""The debugger by hand: stepping, looking, watching, what goes in, and how errors grow."""


import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.program.graph import Graph
from fastnn.program.program import Program, StaleProgram
from tests.program.networks import demo

pytest.importorskip("fastnn.kernels.native.core")


# ---------------------------------------------------------------------- by hand


def test_stepping_and_looking():
    model, x, y = demo()
    bug = model.training_program(x, y, 32).debug(threads=1)
    line = bug.step()
    assert repr(line).startswith("1 gather_rows: data 32x8x8 float32: ")
    np.testing.assert_array_equal(bug["data"], x[:32])
    assert not bug["data"].flags.writeable
    with pytest.raises(LookupError, match="dense has no value yet: call"):
        bug["dense"]
    bug.run_to("dense_1")
    assert bug.calls[bug.next].note.endswith("dense_1")
    assert (bug["dense"] == bug.look("dense.y")).all()
    with pytest.raises(ValueError, match="did you mean 'dense_1'"):
        bug.look("dens_1")
        bug.look("dense_11")
    marks = [line for line in bug.where().splitlines() if line.startswith(">")]
    assert max(map(len, bug.where(width=60).splitlines()[1:])) == 60
    assert len(marks) == 1 and marks[0].split()[1:3] == [str(bug.next + 1), "dense"]
    bug.run()
    with pytest.raises(RuntimeError, match=r"Step 1 is over.*next_step\(\)"):
        bug.step()
    assert "all calls have run" in bug.where()
    bug.next_step()
    assert bug.next == 0 and bug.steps == 2


def test_a_call_that_its_gate_leaves_out_says_so():
    model, x, y = demo(fastnn.optimizers.Adam(0.01, gradient_accumulation_steps=2))
    bug = model.training_program(x, y, 32).debug()
    assert str(bug.run_to(len(bug.calls))) and bug.step().text.endswith(": left out of this step by its gate")
    bug.next_step()
    bug.run_to(len(bug.calls))
    assert "left out" not in bug.step().text


def test_running_to_a_place():
    model, x, y = demo(optimizers.Adam(0.01))
    bug = model.training_program(x, y, 32).debug(threads=1)
    bug.run_to(4)
    assert bug.next == 3
    assert bug.run_to(4) is None
    with pytest.raises(ValueError, match="Call 2 has run already"):
        bug.run_to(2)
    with pytest.raises(ValueError, match="There is no call 99"):
        bug.run_to(99)
    bug.run_to("adam")
    assert bug.calls[bug.next].then.kernel.name == "adam"
    with pytest.raises(ValueError, match="softmax_cross_entropy is in call"):
        bug.run_to("softmax_cross_entropy")
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        bug.run_to("adaam")
    with pytest.raises(ValueError, match="at least one call"):
        bug.step(0)


def test_gradients_that_are_not_stored_can_be_kept():
    model, x, y = demo()
    program = model.training_program(x, y, 32)
    bug = program.debug()
    bug.run()
    with pytest.raises(LookupError, match=r"dense_1.dw is never stored: .*keep_gradients=True"):
        bug["dense_1.dw"]
    bug = program.debug(keep_gradients=True)
    bug.run_to("dense_grad_weight")
    inner = bug["norm_2"].T @ bug["loss.dz"]
    bug.step()
    np.testing.assert_allclose(bug["dense_2.dw"], inner, rtol=1e-5, atol=1e-7)
    assert bug.diff(2)


def test_memory_that_is_used_again_is_told():
    graph = Graph("long")
    t = graph.feed("x", (64,), np.float32)
    for _ in range(5):
        t = fastnn.ops.exp(-t)
    graph.fetch("y", t)
    bug = Program(graph, "native").debug({"x": np.ones(64)})
    bug.run()
    lost = 0
    for name in bug.buffers():
        try:
            bug[name]
        except LookupError as error:
            lost += "no value any more" in str(error)
    assert lost
    assert bug.diff()


def test_watching_for_nan():
    graph = Graph("nan")
    x = graph.feed("x", (4,), np.float32)
    graph.fetch("y", fastnn.ops.exp(fastnn.ops.log(x) * 2.0))
    bug = Program(graph, "native").debug({"x": [1.0, -1.0, 2.0, 3.0]})
    bug.watch()
    line = bug.run()
    assert line.number == 1 and "NaN or infinity in" in line.stopped and "1 NaN" in repr(line) and bug.next == 1
    bug.unwatch()
    assert bug.run().number == len(bug.calls)


def test_watching_a_buffer_change():
    model, x, y = demo()
    bug = model.training_program(x, y, 32).debug(threads=1)
    bug.watch("dense_1/kernel", change=True)
    line = bug.run()
    assert line.stopped == "dense_1/kernel changed" and line.call.then.kernel.name == "sgd"
    bug.unwatch()
    bug.watch("dense")
    assert not bug.run(2).stopped
    with pytest.raises(ValueError, match="needs the name of a buffer"):
        bug.watch(change=True)


def test_the_program_itself_is_left_alone():
    model, x, y = demo(optimizers.Adam(0.01))
    program = model.training_program(x, y, 32)
    workspace, step, iterations = program.workspace.copy(), program.step, model.optimizer.iterations
    before = [w.copy() for w in model.get_weights()]
    with program.debug() as bug:
        bug.run(3)
        bug.diff()
        assert any((bug[n] != t.variable.value).any() for t in program.graph.variables.values()
                   for n in [t.variable.path])
    np.testing.assert_array_equal(program.workspace, workspace)
    assert (program.step, model.optimizer.iterations) == (step, iterations)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


# ---------------------------------------------------------------------- what goes in


def test_feeds_are_those_of_the_last_run_or_given():
    double = fastnn.traced(lambda x: x * 2)
    program = double.program(np.ones(3, np.float32))
    with pytest.raises(ValueError, match="has not run yet, so there is nothing in x"):
        program.debug()
    double(np.array([1, 2, 3], np.float32))
    bug = program.debug()
    bug.run()
    assert bug["x"].tolist() == [1, 2, 3]
    bug = program.debug({"x": np.arange(6, dtype=np.float32).reshape(2, 3)})
    bug.run(2)
    assert bug["x"].tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="hold 2 rows of x: there is no step 3"):
        bug.next_step()
    with pytest.raises(ValueError, match=r"wants x of shape \(3,\)"):
        program.debug({"x": np.ones(4)})
    with pytest.raises(ValueError, match="wants x as float32; got complex"):
        program.debug({"x": np.ones(3, complex)})
    with pytest.raises(ValueError, match="feed 'xx'"):
        program.debug({"xx": np.ones(3)})


def test_an_index_out_of_range_is_refused_before_it_is_used():
    model, x, y = demo()
    program = model.training_program(x, y, 32)
    feeds = {"index": np.full(32, len(x))}
    report = program.diff(1, feeds)
    assert report.kind == "meaning" and "200 rows" in str(report)
    with pytest.raises(ValueError, match=r"gather_rows\) can't run"):
        program.debug(feeds).step()


def test_a_stale_program_says_so():
    w = fastnn.Variable(np.ones(4), name="w")
    program = fastnn.traced(lambda x: x * w).program(np.ones(4, np.float32))
    from fastnn.program.variable import pack
    pack([w])
    with pytest.raises(StaleProgram, match="w moved in memory"):
        program.debug({"x": np.ones(4)})


def test_data_that_is_not_bound_is_asked_for():
    from fastnn.kernels.data import gather_rows
    graph = Graph("rows")
    data, index = graph.source("data", (6, 3), np.uint8), graph.feed("index", (2,), np.int64)
    graph.fetch("y", gather_rows(data, index, source="uint8"))
    with pytest.raises(ValueError, match="has no data for data yet"):
        Program(graph, "native").debug()


def test_inference_and_traced_functions_agree():
    model, x, _ = demo()
    model.predict(x[:40].astype(np.float32), verbose=0)
    for step in list(model._step_programs.programs.values()):
        assert step.program.diff(1)
    w = fastnn.Variable(np.linspace(-1, 1, 12).reshape(4, 3), name="w")
    adam = optimizers.Adam(0.1)

    @fastnn.program
    def train(x):
        loss = fastnn.ops.mean(fastnn.ops.square(fastnn.ops.tanh(x @ w) - 0.5))
        adam.apply(fastnn.gradients(loss, [w]), [w])
        return loss

    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    train(x)
    report = train.program(x).diff(5)
    assert report, str(report)


def test_dropout_and_the_numpy_backend_agree():
    with fastnn.backend("numpy"):
        model, x, y = demo()
        report = model.training_program(x, y, 32).diff(2)
        assert report, str(report)
        assert report.backend == "numpy"
    fastnn.utils.set_random_seed(1)
    model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(30, "relu"), layers.Dropout(0.3), layers.Dense(1)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    report = model.training_program(rng.normal(size=(64, 20)), rng.normal(size=(64, 1)), 16).diff(3)
    assert report, str(report)


def test_a_float64_program_agrees_and_has_no_drift():
    w = fastnn.Variable(np.ones((3, 2)), name="w", dtype="float64")
    program = fastnn.traced(lambda x: x @ w).program(np.ones((2, 3)))
    bug = program.debug({"x": np.ones((2, 3))})
    assert bug.diff()
    with pytest.raises(ValueError, match="float64 already"):
        bug.drift()


def test_drift_shows_how_errors_grow():
    graph = Graph("cancel")
    x = graph.feed("x", (1000,), np.float32)
    graph.fetch("y", (x + 1000.0) - 1000.0)
    drift = Program(graph, "native").debug({"x": np.random.default_rng(0).uniform(0, 1, 1000)}).drift()
    first, second = drift.rows
    assert first["before"] == 0 and first["worst"] < 1e-7
    assert second["worst"] > 1e-5 and second["before"] == first["worst"]
    assert "in eps" in str(drift)
    bug = Program(graph, "native").debug({"x": np.ones(1000)})
    bug.drift()
    bug.next_step()
    bug.drift()
    bug.run()
    bug.next_step()
    bug.step()
    with pytest.raises(ValueError, match="without their float64 side"):
        bug.drift()
    model, images, y = demo()
    drift = model.training_program(images, y, 32).debug().drift(3)
    assert {r["step"] for r in drift.rows} == {1, 2, 3} and max(r["worst"] for r in drift.rows) < 1e-3
