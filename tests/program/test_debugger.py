"""The debugger: stepping, looking, watching, and diff, which finds a fault planted in any one kernel at that kernel."""

import ctypes
import json

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.kernels import single, tables
from fastnn.kernels.data import Gather
from fastnn.kernels.elementwise import copy
from fastnn.kernels.norm import batch_norm
from fastnn.kernels.reduce import broadcast_to
from fastnn.program import meaning as m
from fastnn.program.difference import rerun
from fastnn.program.graph import Graph
from fastnn.program.program import Program, StaleProgram
from tests.cases import all_cases

pytest.importorskip("fastnn.kernels.native.core")
CASES = all_cases()
ABI = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_int64),
                       ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.c_int64)


# ---------------------------------------------------------------------- faults


@pytest.fixture
def plant(monkeypatch):
    """Put a faulty form of a kernel in place of the true one: ``plant(name, fault, backend)``.

    `fault` gets the true form and the arguments of the call (buf, dim, attr, first, last).
    """
    alive = []

    def put(name, fault, backend="native"):
        true = ABI(tables.form(backend, name))
        wrong = ABI(lambda *args: fault(true, *args))
        alive.append((true, wrong))
        monkeypatch.setitem(tables._forms[backend], name, ctypes.cast(wrong, ctypes.c_void_p).value)

    yield put
    monkeypatch.undo()


def array(buf, slot, a):
    """The memory behind a slot, as an array like `a`."""
    raw = (ctypes.c_uint8 * a.nbytes).from_address(buf[slot])
    return np.frombuffer(raw, np.uint8).view(a.dtype).reshape(a.shape)


def spoil(slot, a, index, change, tiles):
    """A form that changes one element of an output: after the tile that makes it, or after all of them."""
    def fault(true, buf, dim, attr, first, last):
        out = array(buf, slot, a)
        before = out[index].tobytes()
        true(buf, dim, attr, first, last)
        if out[index].tobytes() != before or (first, last) == (0, tiles):
            out[index] = change(out[index])
    return fault


def by_one_percent(x):
    if x.dtype.kind == "f":
        return x * x.dtype.type(1.01) if x else x.dtype.type(1)
    return x ^ True if x.dtype.kind == "b" else x + x.dtype.type(1)


# ---------------------------------------------------------------------- one kernel within a chain


def pick(name):
    """A case of a kernel of middling size, without NaN and extremes."""
    def size(case):
        call = single.describe(case.kernel, case.inputs(), case.attrs)
        return min(a.size for a in call.outputs), max(a.size for a in call.outputs)

    calm = [c for c in CASES if c.kernel.name == name and not any(w in c.label for w in ("nan", "special", "hard"))]
    sized = sorted(((*size(c), i) for i, c in enumerate(calm)))
    fit = [i for least, most, i in sized if least >= 1 and most <= 20000]
    return calm[fit[-len(fit) // 3]]


def chain(case, backend="native"):
    """Copies of the inputs, the kernel, copies of its outputs: (program, feeds, number of the kernel's call)."""
    kernel = case.kernel
    graph = Graph(kernel.name)

    def duplicate(t):
        return copy(t) if kernel is not copy else broadcast_to(t, shape=t.shape)

    feeds, inputs = {}, []
    for name, x in zip(kernel.inputs, case.inputs()):
        if x is None:
            inputs.append(None)
        elif x.shape == () and x.dtype == np.float64:
            inputs.append(graph.constant(x))
        elif name == "source" and isinstance(kernel, Gather) or kernel.name.startswith("gather") and not inputs:
            inputs.append(graph.source("data", x.shape, x.dtype))
            feeds["data"] = x
        else:
            feeds[name] = x
            inputs.append(duplicate(graph.feed(name, x.shape, x.dtype)))
    made = graph.emit(kernel, inputs, case.attrs)
    for i, t in enumerate(made if isinstance(made, tuple) else (made,)):
        graph.fetch(f"y{i}", duplicate(t))
    program = Program(graph, backend)
    (number,) = [i + 1 for i, c in enumerate(program.calls) if c.kernel is kernel]
    return program, feeds, number


NATIVE = sorted(tables.forms("native"))
NUMBA = [n for n in NATIVE if tables.numba_available() and tables.has_form("numba", n)]
SLOTS = [(n, s) for n in NATIVE for s in range(len(next(c for c in CASES if c.kernel.name == n).kernel.outputs))]


def place_in(case, slot):
    """(a plain copy of an output, the index of its largest element)"""
    a = single.run(case.kernel, *case.inputs(), **case.attrs)[slot]
    return a, np.unravel_index(int(np.abs(a.astype(np.float64)).argmax()), a.shape)


def tiles(case):
    return case.kernel.tiles(single.describe(case.kernel, case.inputs(), case.attrs))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_what_kernels_compute_is_within_the_tolerance(case):
    inputs = case.inputs()
    call = single.describe(case.kernel, inputs, case.attrs)
    got = single.run(case.kernel, *inputs, **case.attrs)
    given = m.Inputs([None if x is None else np.asarray(x) for x in inputs])
    meant = m.meaning(call, given.widened())
    for g, want, allowed in zip(got, meant, m.tolerances(call, given, meant, [g.dtype for g in got]), strict=True):
        assert m.excess(g, want, allowed).max(initial=0) <= 1


@pytest.mark.parametrize("name", NATIVE)
def test_a_sound_kernel_passes(name):
    program, feeds, _ = chain(pick(name))
    for threads in (1, 2):
        report = program.diff(2, feeds, threads)
        assert report, str(report)
        assert report.checked == 2 * len(program.calls)


@pytest.mark.parametrize(("name", "slot"), SLOTS)
def test_an_element_off_by_one_percent_is_found_at_its_kernel(name, slot, plant):
    case = pick(name)
    a, index = place_in(case, slot)
    plant(name, spoil(slot, a, index, by_one_percent, tiles(case)))
    program, feeds, number = chain(case)
    for threads in (1, 2):
        report = program.diff(1, feeds, threads)
        assert not report and report.kind == "value"
        assert (report.number, report.kernel, report.slot) == (number, name, case.kernel.outputs[slot])
        assert report.index == tuple(map(int, index)) and report.count == 1
        assert name in str(report) and case.kernel.outputs[slot] in str(report)


@pytest.mark.parametrize("name", [n for n in NUMBA if n != "copy" or "broadcast_to" in NUMBA])
def test_a_fault_of_a_numba_kernel_is_found_too(name, plant):
    case = pick(name)
    program, feeds, number = chain(case, "numba")
    report = program.diff(1, feeds, 2)
    assert report and report.backend == "numba", str(report)
    a, index = place_in(case, 0)
    plant(name, spoil(0, a, index, by_one_percent, tiles(case)), "numba")
    report = chain(case, "numba")[0].diff(1, feeds, 2)
    assert (report.number, report.kernel, report.slot) == (number, name, case.kernel.outputs[0])
    assert report.index == tuple(map(int, index))


@pytest.mark.skipif("exp" not in NUMBA and "square" not in NUMBA, reason="no Numba form")
def test_a_numba_program_is_debugged_alike(plant):
    name = "square" if "square" in NUMBA else "exp"
    graph = Graph("numba")
    graph.fetch("y", getattr(fastnn.ops, name)(graph.feed("x", (300,), np.float32)))
    feeds = {"x": np.linspace(-1, 1, 300)}
    assert Program(graph, "numba").diff(1, feeds)
    plant(name, spoil(0, np.empty(300, np.float32), 7, by_one_percent, 19), "numba")
    report = Program(graph, "numba").diff(1, feeds, 1)
    assert (report.kernel, report.index, report.backend) == (name, (7,), "numba")


@pytest.mark.parametrize("name", NATIVE)
def test_a_number_written_behind_the_output_is_found_at_its_kernel(name, plant):
    case = pick(name)
    a, _ = place_in(case, 0)

    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        ctypes.memset(buf[0] + a.nbytes, 0x5A, 4)  # 1.5e16 as a float

    plant(name, fault)
    program, feeds, number = chain(case)
    report = program.diff(1, feeds, 1)
    assert not report and (report.number, report.kernel) == (number, name)
    assert report.kind in ("outside", "value")  # "value" where another output stands right behind


@pytest.mark.parametrize("name", NATIVE)
def test_nan_is_found_at_its_kernel(name, plant):
    case = pick(name)
    a, index = place_in(case, 0)
    if a.dtype.kind != "f":
        return
    plant(name, spoil(0, a, index, lambda x: np.nan, tiles(case)))
    program, feeds, number = chain(case)
    report = program.diff(1, feeds, 1)
    assert (report.number, report.slot, report.index) == (number, case.kernel.outputs[0], tuple(map(int, index)))
    assert np.isnan(report.got) and "nan" in str(report)


def test_a_tile_left_out_is_found(plant):
    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, max(first, 1), last)

    plant("exp", fault)
    graph = Graph("exp")
    graph.fetch("y", fastnn.ops.exp(graph.feed("x", (300,), np.float32)))
    report = Program(graph, "native").diff(1, {"x": np.ones(300)}, 1)
    assert report.kernel == "exp" and report.count == 16 and report.index[0] < 16


def test_swapped_slots_are_found(plant):
    def fault(true, buf, dim, attr, first, last):
        buf[1], buf[2] = buf[2], buf[1]
        true(buf, dim, attr, first, last)
        buf[1], buf[2] = buf[2], buf[1]

    plant("subtract", fault)
    graph = Graph("difference")
    a, b = graph.feed("a", (5, 7), np.float32), graph.feed("b", (5, 7), np.float32)
    graph.fetch("y", a * b - a)
    rng = np.random.default_rng(0)
    report = Program(graph, "native").diff(1, {"a": rng.normal(size=(5, 7)), "b": rng.normal(size=(5, 7))}, 1)
    assert (report.number, report.kernel, report.slot, report.count) == (2, "subtract", "y", 35)


def test_writing_into_an_input_is_found_and_named(plant):
    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        ctypes.memset(buf[1] + 8, 0, 1)

    plant("exp", fault)
    graph = Graph("exp")
    graph.fetch("y", fastnn.ops.exp(graph.feed("x", (300,), np.float32)))
    report = Program(graph, "native").diff(1, {"x": np.full(300, 0.7)}, 1)
    assert report.kind == "outside" and report.buffer == "x" and report.index == (2,)
    assert "wrote into x[2], which is not its output" in str(report)


def test_writing_into_the_callers_data_is_found(plant):
    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        ctypes.memset(buf[1], 7, 1)

    plant("gather_rows", fault)
    graph = Graph("rows")
    data, index = graph.source("data", (6, 3), np.uint8), graph.feed("index", (2,), np.int64)
    from fastnn.kernels.data import gather_rows
    graph.fetch("y", gather_rows(data, index, source="uint8"))
    report = Program(graph, "native").diff(1, {"data": np.zeros((6, 3), np.uint8)}, 1)
    assert report.kind == "outside" and report.buffer == "data" and "caller's data" in str(report)


def test_reading_beside_an_input_shows_as_nan(plant):
    """What nobody wrote is NaN: a sum that reads one element too many is NaN."""
    def fault(true, buf, dim, attr, first, last):
        dim[1] += 1
        true(buf, dim, attr, first, last)
        dim[1] -= 1

    plant("reduce_sum", fault)
    graph = Graph("sum")
    graph.fetch("y", fastnn.ops.sum(graph.feed("x", (17,), np.float32) * 2.0))
    report = Program(graph, "native").diff(1, {"x": np.ones(17)}, 1)
    assert report.kernel == "reduce_sum" and np.isnan(report.got) and report.meant == 34


def test_what_float32_can_not_hold_is_no_fault_of_a_kernel(plant):
    graph = Graph("range")
    x = graph.feed("x", (8, 40), np.float32)
    graph.fetch("y", fastnn.ops.sqrt(fastnn.ops.square(x)))
    graph.fetch("z", graph.emit(batch_norm, (x, None, None, np.zeros(40, np.float32), np.ones(40, np.float32)), {})[0])
    program = Program(graph, "native")
    for size in (1e30, 2e38, 1e-30):
        report = program.diff(1, {"x": size * np.random.default_rng(0).uniform(0.5, 1, (8, 40))})
        assert report, str(report)
    a = np.empty((8, 40), np.float32)
    plant("batch_norm", spoil(0, a, (3, 4), by_one_percent, 1))
    feeds = {"x": np.random.default_rng(0).normal(1e-30, 1e-31, (8, 40))}  # their squares underflow
    report = Program(graph, "native").diff(1, feeds)
    assert report.kernel == "batch_norm" and report.index == (3, 4)


def test_a_plan_that_shares_memory_too_early_is_found():
    graph = Graph("plan")
    x = graph.feed("x", (64,), np.float32)
    a = fastnn.ops.exp(x)
    b = fastnn.ops.square(x)
    graph.fetch("y", a + b)
    program = Program(graph, "native")
    assert program.diff(1, {"x": np.ones(64)})
    a.memory.offset = b.memory.offset  # what a wrong plan would do
    program._run = program._executor()
    report = program.diff(1, {"x": np.ones(64)}, 1)
    assert report.kind == "reads" and report.kernel == "add" and "memory is used again" in str(report)


# ---------------------------------------------------------------------- whole networks


def demo(optimizer=None, rows=200):
    """The network of the demo, small, with elu."""
    fastnn.utils.set_random_seed(3)
    norm, dense = layers.BatchNormalization, layers.Dense
    model = fastnn.Sequential([fastnn.Input((8, 8)), layers.Flatten(),
                               norm(name="norm"), dense(48, activation="elu", name="dense"),
                               norm(name="norm_1"), dense(20, activation="elu", name="dense_1"),
                               norm(name="norm_2"), dense(10, activation="softmax", name="dense_2")], name="demo")
    model.compile(optimizer or optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    return model, rng.integers(0, 255, (rows, 8, 8)).astype(np.uint8), rng.integers(0, 10, rows)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1), "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01), "adamw": lambda: optimizers.AdamW(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01), "clipped": lambda: optimizers.Adam(0.01, global_clipnorm=0.1),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_demo_network_agrees_over_several_steps(kind, threads):
    model, x, y = demo(OPTIMIZERS[kind]())
    program = model.training_program(x, y, 32)
    before = [w.copy() for w in model.get_weights()]
    report = program.diff(4, threads=threads)
    assert report, str(report)
    assert report.steps == 4 and report.checked == 4 * len(program.calls)
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_the_debugger_runs_the_bits_of_the_program():
    model, x, y = demo(optimizers.Adam(0.01))
    program = model.training_program(x, y, 32)
    rows = np.random.default_rng(1).integers(0, len(x), (3, 32))
    variables = {t.variable.path: t.variable for t in program.graph.variables.values()}
    results = []
    for threads in (1, 2):
        for keep in (False, True):
            bug = program.debug({"index": rows}, threads, keep_gradients=keep)
            bug.run(3)
            results.append({n: bug[n] for n in variables})
    program.run(3, {"index": rows})
    for found in results:
        for name, v in variables.items():
            np.testing.assert_array_equal(found[name], v.numpy(), err_msg=name)


def joined(program, kernel):
    return next(i + 1 for i, c in enumerate(program.calls) if c.then and kernel in (c.kernel.name, c.then.kernel.name))


def test_a_fault_in_an_update_that_runs_with_a_gradient_is_found(plant):
    model, x, y = demo(optimizers.Adam(0.01))

    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        if dim[0] > 900 and first == 0:  # one of the kernels, within its first panel
            array(buf, 1, np.zeros(5, np.float32))[4] *= 1.01

    plant("adam", fault)
    program = model.training_program(x, y, 32)
    report = program.diff()
    assert program.calls[report.number - 1].then.kernel.name == "adam"
    assert (report.kernel, report.slot, report.index) == ("adam", "m", (4,))


def test_a_fault_in_a_gradient_that_is_not_stored_is_found_in_the_gradient(plant):
    model, x, y = demo()

    def fault(true, buf, dim, attr, first, last):  # x of the layer, read one element too late
        buf[2] += 4
        true(buf, dim, attr, first, last)
        buf[2] -= 4

    plant("dense_grad_weight", fault)
    program = model.training_program(x, y, 32)
    report = program.diff(threads=1)
    assert report.number == joined(program, "dense_grad_weight")
    assert (report.kernel, report.slot) == ("dense_grad_weight", "dw")
    assert "demo/dense_2 gradient" in str(report)


def test_a_fault_in_the_update_names_the_variable(plant):
    model, x, y = demo()

    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        if dim[0] > 900 and first == 0:
            array(buf, 0, np.zeros(30, np.float32))[25] += 1

    plant("sgd", fault)
    report = model.training_program(x, y, 32).diff(threads=1)
    assert report.kernel == "sgd" and report.index == (25,) and "dense_1/kernel[1, 5]" in report.buffer
    assert report.slot == "w" and "g" not in report.inputs


# ---------------------------------------------------------------------- the report, and again alone


def faulty_demo(plant, kernel="batch_norm"):
    model, x, y = demo()
    case_tiles = 1

    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        if last == case_tiles:
            array(buf, 0, np.zeros(9, np.float32))[7] *= 1.01

    plant(kernel, fault)
    return model.training_program(x, y, 32)


def test_a_saved_call_runs_again_alone(plant, tmp_path, monkeypatch):
    program = faulty_demo(plant)
    report = program.diff(threads=1)
    assert report.kernel == "batch_norm" and report.slot == "y" and report.index == (0, 7)
    path = report.save(tmp_path / "call")
    assert path.endswith("call.npz") and path in str(report)
    again = rerun(path)
    assert not again and (again.slot, again.index) == (report.slot, report.index) and again.got == report.got
    monkeypatch.undo()  # the sound kernel
    assert rerun(path)


def test_a_saved_call_with_its_update_runs_again_alone(plant, tmp_path):
    model, x, y = demo(optimizers.Adam(0.01))

    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        if dim[0] > 900 and first == 0:
            array(buf, 1, np.zeros(5, np.float32))[4] *= 1.01

    plant("adam", fault)
    report = model.training_program(x, y, 32).diff()
    again = rerun(report.save(tmp_path / "joined.npz"))
    assert (again.kernel, again.slot, again.index) == ("adam", "m", (4,))


def test_the_report_says_what_is_needed(plant):
    report = faulty_demo(plant).diff(threads=1)
    text = str(report)
    for part in ("step 1, call", "batch_norm of demo/norm", "y (norm)", "[0, 7]", "got ",
                 "meant ", "ulps", "relative error", "is allowed", "read x", "rerun("):
        assert part in text, part
    assert report.relative == pytest.approx(0.01, rel=1e-3) and report.ulps > 1e4
    assert set(report.inputs) == {"x", "gamma", "beta", "moving_mean", "moving_var"}


def test_nothing_to_save_is_said():
    model, x, y = demo()
    with pytest.raises(ValueError, match="nothing differs"):
        model.training_program(x, y, 32).diff().save("nothing.npz")


def test_a_file_of_another_kind_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="not written by Comparison.save"):
        rerun(tmp_path / "a.npz")
    about = {"backend": "native", "kernel": "no_such", "attrs": {}, "outputs": []}
    np.savez(tmp_path / "b.npz", about=np.array(json.dumps(about)))
    with pytest.raises(ValueError, match="no_such"):
        rerun(tmp_path / "b.npz")


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


# ---------------------------------------------------------------------- kernels of users


@pytest.mark.skipif(not tables.numba_available(), reason="needs Numba")
def test_kernels_of_users_are_compared_too(tmp_path):
    def slope(x, beta=1.0):
        s = 1 / (1 + np.exp(-beta * x))
        return s + beta * x * s * (1 - s)

    @fastnn.elementwise(derivative=slope)
    def swish(x, beta=1.0):
        return x / (1 + np.exp(-beta * x))

    @fastnn.update_rule(slots=["m"])
    def my_momentum(w, g, m, rate, mu=0.9):
        m = mu * m - rate * g
        return w + m, m

    model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(48, activation=swish), layers.Dense(1)])
    model.compile(my_momentum(learning_rate=0.01), "mse")
    x = np.random.default_rng(0).normal(size=(100, 20)).astype(np.float32)
    report = model.training_program(x, x[:, :1], 32).diff(3)
    assert report, str(report)


@pytest.mark.skipif(not tables.numba_available(), reason="needs Numba")
def test_a_users_kernel_that_differs_from_its_meaning_or_raises(tmp_path):
    def doubled(x):
        return 2 * x

    @fastnn.kernel(shapes="x[n] -> y[n]", tiles="n", numpy=doubled)
    def twice(x, y, first, last):
        for i in range(first, last):
            y[i] = x[i] + x[i] if i != 5 else 0

    @fastnn.kernel(shapes="x[n] -> y[n]", tiles="n", numpy=doubled, check_bounds=True)
    def beyond(x, y, first, last):
        for i in range(first, last):
            y[i] = 2 * x[i + 1]

    x = np.linspace(1, 2, 40, dtype=np.float32)
    report = fastnn.traced(lambda x: twice(x)).program(x).diff(1, {"x": x}, 1)
    assert (report.kernel, report.index, report.got) == ("twice", (5,), 0)
    path = report.save(tmp_path / "twice.npz")
    assert f"rerun({path!r}, twice)" in str(report)
    with pytest.raises(ValueError, match="none of fastnn's"):
        rerun(path)
    assert rerun(path, twice).index == (5,)
    report = fastnn.traced(lambda x: beyond(x)).program(x).diff(1, {"x": x}, 1)
    assert (report.kind, report.kernel) == ("raised", "beyond") and "beyond an array" in str(report)
