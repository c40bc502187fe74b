"""`diff`: a fault planted in any one kernel is found at that kernel, and sound programs pass."""

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
from fastnn.program.program import Program
from tests.cases import all_cases
from tests.program.networks import demo

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


def first_output(name):
    case = pick(name)
    return single.describe(case.kernel, case.inputs(), case.attrs).outputs[0]


FLOATS = [n for n in NATIVE if first_output(n).dtype.kind == "f"]  # that can hold a NaN


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
def test_a_byte_written_behind_the_output_is_found_at_its_kernel(name, plant):
    case = pick(name)
    a, _ = place_in(case, 0)

    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        # Where another output stands right behind, it is the byte of the first number's sign and exponent.
        ctypes.memset(buf[0] + a.nbytes + 3, 0x5A, 1)

    plant(name, fault)
    program, feeds, number = chain(case)
    report = program.diff(1, feeds, 1)
    assert not report and (report.number, report.kernel) == (number, name)
    assert report.kind in ("outside", "value")  # "value" where another output stands right behind


@pytest.mark.parametrize("name", FLOATS)
def test_nan_is_found_at_its_kernel(name, plant):
    case = pick(name)
    a, index = place_in(case, 0)
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


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1), "nesterov": lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(0.01), "adamw": lambda: optimizers.AdamW(0.01),
    "rmsprop": lambda: optimizers.RMSprop(0.01), "clipped": lambda: optimizers.Adam(0.01, global_clipnorm=0.1),
}


GATED = {
    "accumulated": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "accumulated and clipped": lambda: optimizers.AdamW(0.01, global_clipnorm=0.1, gradient_accumulation_steps=2),
    "accumulated and averaged": lambda: optimizers.SGD(0.01, momentum=0.9, use_ema=True, gradient_accumulation_steps=2),
}


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("kind", GATED)
def test_calls_that_a_gate_leaves_out_change_nothing(kind, backend):
    with fastnn.backend(backend):
        model, x, y = demo(GATED[kind]())
        program = model.training_program(x, y, 32)
        assert any(c.gate is not None for c in program.calls)
        for threads in (1, 2):
            report = program.diff(7, threads=threads)
            assert report, str(report)
            assert report.checked == 7 * len(program.calls)
        rows = program.debug().drift(4).rows
    gated = {i + 1 for i, c in enumerate(program.calls) if c.gate is not None}
    assert {r["step"] for r in rows if r["number"] in gated} < {1, 2, 3, 4}
    assert max(r["worst"] for r in rows) < 1e-3


def test_a_fault_behind_a_gate_is_found_in_the_step_that_runs_it(plant):
    def fault(true, buf, dim, attr, first, last):
        true(buf, dim, attr, first, last)
        array(buf, 0, np.zeros(16, np.float32))[3] += 1

    plant("adam", fault)
    model, x, y = demo(GATED["accumulated"]())
    report = model.training_program(x, y, 32).diff(4)
    assert (report.kernel, report.step) == ("adam", 3)


def test_a_call_that_ignores_its_gate_is_found(monkeypatch):
    model, x, y = demo(GATED["accumulated"]())
    with fastnn.backend("numpy"):
        program = model.training_program(x, y, 32)
        monkeypatch.setattr("fastnn.program.run_numpy.NumpyRun.apply", ungated)
        report = program.diff(1)
    assert report.kind == "outside" and "leaves it out of this step" in str(report)


def ungated(self, call, inputs, outputs):
    made = call.kernel.numpy(*map(self._value, inputs), **call.attrs)
    for out, value in zip(outputs, made if isinstance(made, tuple) else (made,), strict=True):
        out[...] = value


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
