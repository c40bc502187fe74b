"""Races: every kernel, agreement first, everything restored, results as text, HTML, JSON and picture."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import machine
from fastnn.kernels import tables
from fastnn.kernels.spec import KERNELS, Kernel
from fastnn.machine import Ceilings
from fastnn.race.by_hand import BY_HAND
from fastnn.race.contenders import native
from fastnn.race.entries import ENTRIES
from fastnn.race.timing import take_turns
from tests.race.tiny import TINY

core = pytest.importorskip("fastnn.kernels.native.core")
OURS = ["numpy", "numba", "native"]


def race(kernel, **options):
    return fastnn.race(kernel, **{"seconds": 0.0, "backends": ["numpy", "native"], **options})


@pytest.fixture
def same_path():
    before = core.path()
    yield
    core.select_path(before)


def test_every_kernel_has_an_entry():
    own = {name for name, kernel in KERNELS.items() if kernel.own_form is None}
    assert own == set(ENTRIES)
    assert set(BY_HAND) <= own


@pytest.mark.parametrize("name", ENTRIES)
def test_every_kernel_races_and_agrees(name):
    result = race(name, backends=OURS, threads=[1, 2], **{d: TINY[d] for d in ENTRIES[name].size})
    native_rows = {(row.path, row.threads) for row in result.rows if row.backend == "native"}
    assert native_rows == {(path, t) for path in core.paths() for t in (1, 2)}
    assert {row.backend for row in result.rows} >= {"numpy", "native"}
    wrong = [(row.label, row.agreement) for row in result.rows if not row.agreement.agrees]
    assert not wrong
    for row in result.rows:
        assert 0 < row.minimum <= row.median and row.peak > 0 and row.copy > 0 and row.working_set > 0
    assert name in str(result) and "GFLOP/s" in str(result)
    json.loads(result.to_json())


@pytest.mark.parametrize("name", [n for n, e in ENTRIES.items() if set(e.kernel.inputs) & set(e.kernel.outputs)])
def test_what_is_updated_in_place_does_not_drift_away(name):
    """Over many repetitions nothing becomes infinite, NaN or so small that the arithmetic gets slow."""
    entry = ENTRIES[name]
    size = {d: TINY[d] for d in entry.size}
    attrs = entry.attributes(size, {})
    inputs = entry.inputs(size, attrs)
    run, call = native(entry.kernel, inputs, **attrs)
    run(20_000, 1)
    for a in call.extra["arrays"][0]:
        assert np.isfinite(a).all()
        assert not ((a != 0) & (np.abs(a) < np.finfo(np.float32).tiny)).any()


# ---------------------------------------------------------------------- agreement

def test_a_contender_that_errs_is_told_with_the_place_and_not_ranked():
    def wrong(x):
        y = x * x
        y[123] += 0.01
        return y

    result = race("square", n=300, opponents={"wrong": wrong, "right": np.square})
    (row,) = [r for r in result.rows if r.contender == "wrong"]
    assert not row.agreement.agrees
    assert row.agreement.place == "y[123]"
    assert row not in result.ranking and "right, 1 thread" in [r.label for r in result.ranking]
    assert result.groups()[0][-1] == row
    line = next(line for line in str(result).splitlines() if line.startswith("wrong"))
    assert "DISAGREES" in line and "y[123]" in line
    assert "(wrong)" in str(result)


def test_a_wrong_compiled_form_is_found(monkeypatch):
    address = tables.form("native", "absolute")
    monkeypatch.setitem(tables._forms["native"], "square", address)
    result = race("square", n=300)
    assert {(row.backend, row.agreement.agrees) for row in result.rows} == {("numpy", True), ("native", False)}


def test_wrong_beyond_a_million_elements_is_found_on_a_smaller_race(monkeypatch):
    monkeypatch.setattr("fastnn.race.racing.CHECKED", 1000)
    seen = []

    def halved(x):
        seen.append(len(x))
        return x / 2

    result = race("negative", n=5000, opponents={"halved": halved}, threads=1)
    assert {row.contender for row in result.rows if not row.agreement.agrees} == {"halved"}
    assert set(seen) == {1000, 5000}


def test_shapes_that_are_attributes_are_checked_smaller_too(monkeypatch):
    monkeypatch.setattr("fastnn.race.racing.CHECKED", 1000)
    assert all(row.agreement.agrees for row in race("random_normal", n=5000, threads=1).rows)


def test_an_opponent_that_raises_is_a_line_in_the_report():
    def broken(x):
        raise RuntimeError("no battery")

    result = race("square", n=300, opponents={"broken": broken})
    assert "not there: broken: it raised RuntimeError: no battery" in str(result)
    assert result.rows


def test_kernels_as_opponents():
    result = race("activation", n=300, kind="silu", opponents={"exact": ("activation", {"kind": "gelu"}),
                                                              "same": ("activation", {"kind": "silu"})})
    agrees = {row.contender: row.agreement.agrees for row in result.rows}
    assert agrees["same (native)"] and not agrees["exact (native)"]


# ---------------------------------------------------------------------- kernels of users

class Twice(Kernel):
    """y = 2 x, in NumPy only."""

    name = "twice_for_a_race"
    dims = ("N",)

    def infer(self, x):
        return (x,)

    def numpy(self, x):
        return x + x

    def sizes(self, call):
        return (call["x"].size,)

    def flops(self, call):
        return float(call["x"].size)


def test_a_kernel_of_ones_own_races_on_its_own_arrays():
    x = np.linspace(-1, 1, 100)
    result = race(Twice(), inputs=(x,), opponents={"times 2": lambda x: 2 * x, "native negative": "negative"})
    agrees = {row.contender: row.agreement.agrees for row in result.rows}
    assert agrees["numpy"] and agrees["times 2"] and not agrees["native negative (native)"]
    assert result.rows[0].size == {"N": 100} and result.rows[0].flops == 100
    assert any(a.name == "native" for a in result.absent)
    x_before = np.linspace(-1, 1, 100)
    np.testing.assert_array_equal(x, x_before)


def test_an_op_with_a_kernel_is_raced_as_its_kernel():
    class Op:
        kernel = Twice()

    assert race(Op(), inputs=(np.ones(5, np.float32),)).rows[0].kernel == "twice_for_a_race"


def test_kernels_made_by_decorators_race_beside_their_twins():
    pytest.importorskip("numba")

    @fastnn.elementwise
    def swish(x, beta=1.0):
        return x / (1 + np.exp(-beta * x))

    x = np.linspace(-3, 3, 300)
    result = race(swish, inputs=(x,), opponents={"silu": ("activation", {"kind": "silu"})}, threads=[1, 2],
                  paths=[core.path()])
    assert {(r.contender, r.threads) for r in result.rows} >= {("user", 1), ("user", 2), ("silu (native)", 2)}
    assert all(row.agreement.agrees for row in result.rows)
    assert fastnn.race.forms(swish).rows["swish"] == {"numpy", "user"}
    worse = race(swish, inputs=(x,), beta=2.0, opponents={"silu": ("activation", {"kind": "silu"})})
    assert {row.agreement.agrees for row in worse.rows if row.contender == "user"} == {True}
    assert {row.agreement.agrees for row in worse.rows if row.contender == "silu (native)"} == {False}


def test_rules_of_ones_own_race():
    pytest.importorskip("numba")

    @fastnn.update_rule(slots=["v"])
    def heavy_ball(w, g, v, rate, keep=0.9):
        v = keep * v - rate * g
        return w + v, v

    rng = np.random.default_rng(0)
    slots = {"g": rng.normal(size=99), "w": rng.normal(size=99), "v": rng.normal(size=99), "rate": np.float64(0.1)}
    kernel = heavy_ball.rule
    result = race(heavy_ball, inputs=[slots[n] for n in kernel.inputs], threads=1)
    assert {row.contender: row.agreement.agrees for row in result.rows} == {"numpy": True, "user": True}


def test_a_form_of_ones_own_is_raced():
    numba = pytest.importorskip("numba")
    from numba import types

    floats = types.CPointer(types.CPointer(types.float32))
    abi = types.void(floats, types.CPointer(types.int64), types.CPointer(types.float64), types.int64, types.int64)

    @numba.cfunc(abi)
    def twice(buf, dim, attr, first, last):
        n = dim[0]
        y, x = numba.carray(buf[0], n), numba.carray(buf[1], n)
        for i in range(n):
            y[i] = x[i] + x[i]

    tables.add_form("native", "twice_for_a_race", twice.address)
    try:
        result = race(Twice(), inputs=(np.arange(7.0),), paths=[core.path()], threads=1)
    finally:
        del tables._forms["native"]["twice_for_a_race"]
    assert [(r.backend, r.agreement.agrees) for r in result.rows] == [("numpy", True), ("native", True)]


@pytest.mark.parametrize("x", [np.ones(9, np.float16), np.ones(9, ">f8"), np.ones((9, 2))[:, 0], np.ones(9)[::-1],
                               np.float64(2), np.ones(0)], ids=lambda x: f"{x.dtype}{x.shape}")
def test_arrays_of_any_float_and_layout(x):
    assert all(row.agreement.agrees for row in race("exp", inputs=x if isinstance(x, np.ndarray) else (x,)).rows)


def test_single_numbers_get_the_dtype_that_the_kernel_reads():
    g = np.ones(20)
    for rate in (0.5, np.float32(0.5)):
        assert all(row.agreement.agrees for row in race("sgd", inputs=(g, rate, 2 * g)).rows)
    assert all(row.agreement.agrees for row in race("scale_inplace", inputs=(0.5, g)).rows)


# ---------------------------------------------------------------------- sizes and attributes

def test_sizes_and_dimensions():
    result = race("softmax", sizes=["8x5", {"rows": 4}, 1024], columns=16, threads=1, paths=[core.path()])
    assert list(dict.fromkeys(tuple(r.size.values()) for r in result.rows)) == [(8, 5), (4, 16), (64, 16)]
    assert race("dense", M=3, K=4, N=5).rows[0].size == {"M": 3, "K": 4, "N": 5}
    assert race("matmul", sizes=[8], threads=1).rows[0].size == {"M": 8, "K": 8, "N": 8}


@pytest.mark.parametrize("kernel, options, words", [
    ("adm", {}, "did you mean 'adam'"), ("zzz", {}, "fastnn race --list"),
    ("adam", {"n": 0}, "0 is no size"), ("adam", {"n": "many"}, "'many' is no size"), ("adam", {"n": 1.5}, "no size"),
    ("adam", {"rows": 5}, "can't be raced with rows=5: it has n, beta_1, beta_2"),
    ("softmax", {"sizes": [{"n": 5}]}, "no dimension 'n'; its sizes are rows, columns"),
    ("max_pool", {"sizes": [16384]}, "sizes images, size, channels; 16384 is one number: give all, as in 64x24x64"),
    ("dense", {"sizes": ["3x4"]}, "are 2 numbers"), ("adam", {"backends": ["nativ"]}, "did you mean 'native'"),
    ("adam", {"backends": []}, "Nobody can race adam"),
    ("adam", {"paths": ["v9"]}, "Unknown CPU path 'v9'"), ("adam", {"threads": [0]}, "not 0"),
    ("adam", {"threads": []}, "threads is empty"), ("adam", {"threads": True}, "not True"),
    ("adam", {"seconds": -1.0}, "at least 0, not -1"), ("adam", {"seconds": float("nan")}, "not nan"),
    ("activation", {"kind": "relo"}, "kind is 'relo'"), ("fill", {"shape": (3,)}, "can't be raced with shape"),
    ("reduce_sum", {"axes": (7,)}, "axis 7 is out of range"),
    ("exp", {"inputs": (np.ones(3), np.ones(3))}, "has 1 inputs"), ("exp", {"inputs": (None,)}, "array for x"),
    ("exp", {"inputs": (np.array(["a"], object),)}, "array of numbers"),
    ("copy", {"inputs": (np.array(["abc"]),)}, "array of numbers"), ("exp", {"sizes": []}, "sizes is empty"),
    ("exp", {"paths": []}, "paths is empty"), ("exp", {"opponents": {"numpy": np.exp}}, "can't be called 'numpy'"),
    ("gather_rows", {"inputs": (np.zeros((4, 3), np.uint8), np.array([0, 4])), "source": "uint8"}, "index goes from 0"),
    ("gather_rows", {"inputs": (np.zeros((4, 3), np.uint8), np.array([0, -1])), "source": "uint8"}, "from -1 to 0"),
    ("dense_grad_weight", {"inputs": (np.ones((2, 3)), np.ones((2, 3)), np.ones(3))}, "then is None"),
    ("dense_grad_weight", {"ahead": 3}, "raced by itself"), ("norm_dense_grad", {"keep": 0}, "raced by itself"),
    ("dense", {"opponents": {"no": "dense_grad_weight"}}, "then is None"),
    ("exp", {"inputs": (np.ones(3, np.int32),)}, "exp"),
    ("exp", {"inputs": (np.ones(3),), "sizes": [3]}, "either inputs or sizes"),
    ("exp", {"opponents": {"sum": "add"}}, "which has the inputs a, b"), (Twice(), {}, "needs inputs"),
])
def test_mistakes_are_refused_in_a_sentence(kernel, options, words):
    with pytest.raises(ValueError, match=words):
        race(kernel, **options)


def test_what_is_no_kernel_is_refused():
    with pytest.raises(TypeError, match="not int"):
        race(5)
    with pytest.raises(TypeError, match="the opponent|The opponent 'five' must be a function"):
        race("exp", n=5, opponents={"five": 5})
    with pytest.raises(TypeError, match="opponents is a dict"):
        race("exp", n=5, opponents=[np.exp])


# ---------------------------------------------------------------------- restored

class Stop(Exception):
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("late", [False, True])
def test_the_path_and_the_threads_are_restored(error, late, same_path):
    path = core.paths()[0]
    core.select_path(path)
    threads = machine.get_num_threads()
    calls = []

    def stopped(x):
        calls.append(core.path())
        if late == (len(calls) > 1):
            raise error
        return np.negative(x)

    if error is MemoryError and not late:  # the opponent is left out, the race goes on
        assert race("negative", n=300, backends=["native"], opponents={"stopped": stopped}).absent
    else:
        with pytest.raises(error):
            race("negative", n=300, backends=["native"], opponents={"stopped": stopped})
    assert path == core.paths()[0] and calls[0] != path  # the race was on other paths when it was stopped
    assert core.path() == path
    assert machine.get_num_threads() == threads


def test_the_path_is_restored_after_a_race(same_path):
    core.select_path(core.paths()[0])
    race("exp", n=100)
    assert core.path() == core.paths()[0]


def test_cold_caches():
    result = race("exp", n=1000, cold=True, threads=1, paths=[core.path()], backends=["native"])
    assert "cold caches" in str(result) and result.to_dict()["cold"] is True


def test_all_take_turns_and_each_is_timed_three_times():
    order = []
    times = take_turns({"a": lambda n: order.append("a"), "b": lambda n: order.append("b")}, 0.0)
    assert len(times["a"]) >= 3 and len(times["b"]) >= 3
    assert order[-8:] == ["a", "a", "b", "b", "a", "a", "b", "b"]  # once to warm up, once by the clock
    flushed = []
    take_turns({"a": lambda n: flushed.append(n)}, 0.0, before=lambda: flushed.append("flush"))
    assert flushed[-4:] == ["flush", 1, "flush", 1]


def test_without_the_compiled_modules(monkeypatch):
    monkeypatch.setattr(tables, "native_available", lambda: False)
    monkeypatch.setattr(machine, "_core", lambda: None)  # which measures with NumPy then
    result = race("exp", n=100, backends=["numpy", "native"])
    assert [row.backend for row in result.rows] == ["numpy"]
    assert "compiled modules" in result.absent[0].reason


# ---------------------------------------------------------------------- results

def test_json_has_every_row():
    result = race("adam", n=300)
    data = json.loads(result.to_json())
    assert len(data["rows"]) == len(result.rows)
    first = data["rows"][0]
    assert first["kernel"] == "adam" and first["size"] == {"n": 300} and first["agrees"] is True
    assert first["gflops"] == pytest.approx(first["flops"] / first["minimum"] / 1e9)
    assert first["of_copy"] == pytest.approx(first["nbytes"] / first["minimum"] / 1e9 / first["copy"])
    assert "NumPy" in data["about"]


def test_html_escapes():
    html = race("exp", n=100, opponents={"<b>": np.exp})._repr_html_()
    assert "&lt;b&gt;" in html and "<b>" not in html


def test_races_can_be_joined():
    both = race("exp", n=100) + race("log", n=100)
    assert [g[0].kernel for g in both.groups()] == ["exp", "log"]
    assert "log" in str(both)
    with pytest.raises(TypeError):
        both + 1


def roofs(threads):
    return Ceilings(threads, 100.0 * threads, {1 << 15: 200.0, 1 << 26: 20.0}, {1 << 15: "L1", 1 << 26: "memory"})


@pytest.mark.parametrize("kernel, axis", [("adam", "FLOP per byte"), ("copy", "GB/s")])
def test_the_picture_has_all_that_agree(kernel, axis, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    monkeypatch.setattr(machine, "ceilings", roofs)
    result = race(kernel, n=300, threads=[1, 2])
    ax = result.draw()
    texts = {t.get_text() for t in [*ax.texts, *ax.get_yticklabels()]}
    assert {row.label for row in result.rows} <= texts
    assert axis in ax.get_xlabel() and ax.get_title() == f"{kernel}, n=300"
    plt.close(ax.figure)


def test_the_table_of_forms():
    table = fastnn.race.forms()
    assert set(table.rows) == set(KERNELS)
    assert {"numpy", "native"} <= table.rows["adam"]
    lines = str(table).splitlines()
    assert lines[0].split() == ["kernel", "numpy", "numba", "native", "user", "torch", "jax"]
    adam = next(line.split() for line in lines if line.startswith("adam "))
    assert [cell == "x" for cell in adam[1:]] == [c in table.rows["adam"] for c in lines[0].split()[1:]]
    assert f"{len(KERNELS)} numpy" in lines[-1]
    assert ">adam</td>" in table._repr_html_()
