"""The ladders of benchmarks/ladders: every rung agrees with the first, and the check notices one that does not.

Nothing is timed. A rung whose tool (compiler, Cython, Numba) is missing is left out, and its test skipped.
"""

import importlib
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn.kernels import tables

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
if not (BENCHMARKS / "ladders/ladder.py").exists():
    pytest.skip("benchmarks/ladders is not beside these tests", allow_module_level=True)
if not tables.native_available():
    pytest.skip("the ladders are run by the compiled modules, which are not there", allow_module_level=True)
sys.path.append(str(BENCHMARKS))

import common
from ladders import LADDERS, assembly, build
from ladders.ladder import Ladder, Rung, error, lists, parse_size, show_size

NAMES = [n for n in LADDERS if (BENCHMARKS / f"ladders/{n}.py").exists()]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    """Built files go into a folder of the tests' own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def load(name: str) -> Ladder:
    return importlib.import_module(f"ladders.{name}").LADDER


def cases():
    for name in NAMES:
        for size in load(name).check_sizes:
            yield pytest.param(name, size, id=f"{name}-{show_size(size)}")


@pytest.mark.parametrize("name, size", list(cases()))
def test_every_rung_agrees_with_the_first(name, size):
    verdicts = load(name).check(size)
    assert verdicts[0].error is not None
    wrong = [f"{v.rung.name}: {v.error:.3g} eps, allowed {v.tolerance:g}" for v in verdicts if not v.passed]
    assert not wrong
    for v in verdicts:  # left out only for a reason that is one
        assert v.error is not None or any(word in v.why for word in ("not installed", "there is no C compiler",
                                                                     "is not there", "Linux and macOS"))


@pytest.mark.parametrize("name", NAMES)
def test_threads_do_not_change_the_bits(name):
    ladder = load(name)
    for rung in (r for r in ladder.rungs if r.threaded):
        results = []
        for threads in (1, 2, 3):
            try:
                bound = rung.bind(ladder.arrays(ladder.check_sizes[-1]))
            except build.Missing as why:
                pytest.skip(str(why))
            bound.run(1, threads)
            results.append({n: np.array(a) for n, a in bound.outputs().items()})
        for other in results[1:]:
            assert all(np.array_equal(results[0][n], other[n]) for n in other), rung.name


@pytest.mark.parametrize("name", NAMES)
def test_each_rung_says_what_it_does(name):
    rungs = load(name).rungs
    assert len({r.name for r in rungs}) == len(rungs)
    assert all(r.idea for r in rungs)


# ---------------------------------------------------------------------- the framework

def small() -> Ladder:
    ladder = Ladder("planted", lambda n, rng: {"y": np.zeros(n, np.float32), "x": rng.random(n, np.float32)},
                    outputs=("y",), flops=lambda n: n, nbytes=lambda n: 8 * n, sizes=(64,), check_sizes=(3, 64),
                    tolerance=1)

    @ladder.rung("plain Python", "the meaning", prepare=lists, largest=32)
    def plain(y, x):
        for i in range(len(x)):
            y[i] = 3 * x[i]

    return ladder


def test_a_planted_fault_is_caught_and_not_timed():
    ladder = small()

    @ladder.rung("right", "whole arrays")
    def right(y, x):
        return np.float32(3) * x

    @ladder.rung("last element", "forgets the tail")
    def forgets(y, x):
        y[:-1] = 3 * x[:-1]

    @ladder.rung("low bits", "rounds to ten bits")
    def rounds(y, x):
        y[:] = np.float16(3 * x)

    @ladder.rung("nan", "one value is not a number")
    def spoils(y, x):
        y[:] = 3 * x
        y[0] = np.nan

    @ladder.rung("shape", "gives one element more")
    def longer(y, x):
        return np.append(3 * x, x[0])

    passed = {v.rung.name: v.passed for v in ladder.check(64)}
    assert passed == {"plain Python": True, "right": True, "last element": False, "low bits": False, "nan": False,
                      "shape": False}
    rows, remarks = ladder.measure(64, threads=1, seconds=0.0)
    assert [row["rung"] for row in rows] == ["plain Python ~", "right"]
    assert sum("is wrong and not timed" in text for text in remarks) == 4
    assert any("timed at 32" in text for text in remarks)


def test_a_rung_that_updates_does_not_spoil_the_next_ones_input():
    ladder = small()

    @ladder.rung("spoils x", "writes into what it reads")
    def spoils(y, x):
        y[:] = 3 * x
        x[:] = 0

    @ladder.rung("after it", "reads x again")
    def after(y, x):
        y[:] = 3 * x

    assert all(v.passed for v in ladder.check(64))


def test_what_cannot_be_built_is_left_out_with_a_sentence(monkeypatch):
    ladder = small()
    ladder.c("C", "planted_plain", "from a file that is not there")
    ladder.cython("Cython", "planted", "from a file that is not there")
    found = {v.rung.name: v for v in ladder.check(3)}
    for name in ("C", "Cython"):
        assert found[name].error is None and found[name].passed
        assert found[name].why
    monkeypatch.setenv("CC", "no-such-compiler-here")
    build.compiler.cache_clear()
    try:
        with pytest.raises(build.Missing, match="there is no C compiler"):
            build.compiler()
    finally:
        build.compiler.cache_clear()


def test_a_source_that_does_not_compile_says_what_the_compiler_said(tmp_path, monkeypatch):
    try:
        build.compiler()
    except build.Missing as why:
        pytest.skip(str(why))
    (tmp_path / "broken.c").write_text("int broken(void) { return nonsense; }")
    monkeypatch.setattr(build, "HERE", tmp_path)
    with pytest.raises(build.Missing, match=r"(?s)did not compile broken\.c: .*nonsense"):
        build.shared_object.__wrapped__("broken.c")


def test_builds_are_kept_and_made_anew_when_the_source_or_a_flag_changes(tmp_path, monkeypatch):
    try:
        build.compiler()
    except build.Missing as why:
        pytest.skip(str(why))
    monkeypatch.setattr(build, "HERE", tmp_path)
    make = build.shared_object.__wrapped__
    source = tmp_path / "kept.c"
    source.write_text("int number(void) { return 1; }")
    first = make("kept.c")
    stamp = first.stat().st_mtime_ns
    assert make("kept.c") == first and first.stat().st_mtime_ns == stamp
    assert make("kept.c", "-O1") != first
    source.write_text("int number(void) { return 2; }")
    assert make("kept.c") != first


def test_error_is_relative_to_the_largest_magnitude():
    eps = float(np.finfo(np.float32).eps)
    want = {"y": np.array([1e-3, 2.0])}
    assert error({"y": np.array([1e-3 + 4 * eps, 2.0])}, want) == pytest.approx(2, rel=1e-6)
    assert error({"y": np.array([1e-3, np.inf])}, want) == np.inf
    assert error({"y": np.zeros(3)}, want) == np.inf
    assert error({"y": np.zeros((0,))}, {"y": np.zeros((0,))}) == 0


@pytest.mark.parametrize("text, size", [("7", 7), ("64k", 1 << 16), ("2M", 1 << 21), ("32x784x300", (32, 784, 300)),
                                        ("8kx64", (8192, 64))])
def test_sizes_are_read_and_shown(text, size):
    assert parse_size(text) == size
    assert show_size(size) == text


# ---------------------------------------------------------------------- pages and assembly

LISTING = [(0, "vmovups (%rdi),%zmm0"), (4, "add $1,%rax"), (8, "jne    4 <f+0x4>"),  # scalar, inside the outer loop
           (12, "vaddps %zmm0,%zmm1,%zmm1"), (16, "vmulps %zmm0,%zmm1,%zmm1"), (20, "jl     c <f+0xc>"),  # vectors
           (24, "jmp    0 <f>"), (28, "vaddss %xmm0,%xmm1,%xmm1"), (32, "jne    1c <f+0x1c>"), (36, "ret")]


def test_inner_loops_are_found():
    bodies = assembly.loops(LISTING)
    assert [len(body) for body in bodies] == [2, 3, 2]
    assert bodies[1][0].startswith("vaddps")


def test_the_widest_loop_is_shown(monkeypatch):
    monkeypatch.setattr(assembly, "_disassembled", lambda path, function: LISTING)
    monkeypatch.setattr(build, "shared_object", lambda source, flags: None)
    rung = Rung("C", "", lambda arrays: None, binary=("x.c", "f", ""))
    assert assembly.inner_loop(rung).splitlines()[0].startswith("vaddps")
    with pytest.raises(build.Missing, match="NumPy is not in C"):
        assembly.inner_loop(Rung("NumPy", "", lambda arrays: None))


def test_measured_text_goes_between_its_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "adam.md"
    page.write_text("before\n<!-- measured: table -->\nold\n<!-- end -->\nafter\n"
                    "<!-- measured: lesson -->\n<!-- end -->\n")
    common.into_page(page, "table", "  new \\1\n")
    assert page.read_text() == ("before\n<!-- measured: table -->\n```text\nnew \\1\n```\n<!-- end -->\nafter\n"
                                "<!-- measured: lesson -->\n<!-- end -->\n")
    with pytest.raises(SystemExit, match="no place marked"):
        common.into_page(page, "picture", "x")


def test_code_in_the_pages_is_the_ladders_code():
    """Each block of code in docs/kernels says its lines as the ladder's files have them; sketches are plain text."""
    pages = BENCHMARKS.parent / "docs/kernels"
    if not pages.is_dir():
        pytest.skip("docs/kernels is not beside these tests")
    for name in NAMES:
        page = pages / f"{name}.md"
        if not page.exists():
            continue
        sources = "\n".join(file.read_text() for file in sorted((BENCHMARKS / "ladders").glob(f"{name}*")))
        known = {line.strip() for line in sources.splitlines()}
        for language, block in re.findall(r"```(python|c|cython)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in filter(str.strip, block.splitlines()):
                assert line.strip() in known, f"{page.name}, {language}: {line!r} is in no file of the ladder"


# ---------------------------------------------------------------------- what single ladders promise

def outputs_of(ladder: Ladder, rung, arrays, threads: int = 1):
    """What a rung makes of these arrays, or None if it can't be built here."""
    try:
        bound = rung.bind(arrays)
    except build.Missing:
        return None
    with np.errstate(all="ignore"):
        bound.run(1, threads)
    return {n: np.array(a) for n, a in bound.outputs().items()}


def test_only_the_naive_softmax_overflows():
    ladder = load("softmax")
    for shift in (100, -200):
        for size in ((17, 10), (3, 40)):
            arrays = ladder.arrays(size)
            arrays["z"] += np.float32(shift)
            want = outputs_of(ladder, ladder.rungs[0], arrays)
            for rung in ladder.rungs[1:]:
                got = outputs_of(ladder, rung, {n: a.copy() for n, a in arrays.items()})
                if rung.name == "NumPy, naive":
                    assert np.isnan(got["losses"]).any()
                elif got is not None:
                    assert error(got, want) <= ladder.tolerance, rung.name


def test_softmax_across_rows_leaves_every_row_its_own_label_and_gradient():
    ladder = load("softmax")
    arrays = ladder.arrays((35, 10))
    arrays["labels"][:] = np.arange(35) % 10
    arrays["g"][:] = np.arange(35) - 5
    want = outputs_of(ladder, ladder.rungs[0], arrays)
    for rung in ladder.rungs[1:]:
        got = outputs_of(ladder, rung, {n: a.copy() for n, a in arrays.items()}, threads=2)
        assert got is None or error(got, want) <= ladder.tolerance, rung.name


@pytest.mark.parametrize("name, size", [("gemm", (13, 300, 200)), ("dense", (7, 290, 130)), ("softmax", (50, 10))])
def test_many_tiles_give_the_same_bits_on_any_number_of_threads(name, size):
    ladder = load(name)
    for rung in (r for r in ladder.rungs if r.threaded):
        results = [outputs_of(ladder, rung, ladder.arrays(size), threads) for threads in (1, 2, 3)]
        if results[0] is not None:
            assert all(np.array_equal(results[0][n], other[n]) for other in results[1:] for n in other), rung.name


def test_the_fused_layer_keeps_what_relu_must_keep():
    """NaN stays NaN, in whole tiles and in the columns beyond them; what is negative becomes 0."""
    ladder = load("dense")
    arrays = ladder.arrays((13, 20, 70))
    arrays["x"][3] = np.nan
    arrays["b"][:35] = -1000
    for rung in ladder.rungs[1:]:
        got = outputs_of(ladder, rung, {n: a.copy() for n, a in arrays.items()})
        if got is not None:
            assert np.isnan(got["y"][3]).all(), rung.name
            assert (np.delete(got["y"], 3, axis=0)[:, :35] == 0).all(), rung.name


def test_attention_with_scores_in_the_hundreds_does_not_overflow():
    """What a softmax without its maximum could not do; exponents beyond 100 are themselves off by 100 eps and more."""
    ladder = load("attention")
    arrays = ladder.arrays((1, 70, 2, 32))
    arrays["q"] *= np.float32(100)
    want = outputs_of(ladder, ladder.rungs[0], arrays)
    assert np.abs(want["log_sum"]).max() > 200
    for rung in ladder.rungs[1:]:
        got = outputs_of(ladder, rung, {n: a.copy() for n, a in arrays.items()})
        assert got is None or error(got, want) <= 5000, rung.name


def test_the_scores_that_attention_keeps_serve_its_gradient():
    forward, backward = load("attention"), load("attention_grad")
    size = (1, 150, 2, 64)
    rung = next(r for r in forward.rungs if r.name == "C, scores kept")
    try:
        bound = rung.bind(forward.arrays(size))
    except build.Missing as why:
        pytest.skip(str(why))
    bound.run(1, 1)
    arrays = {**backward.arrays(size), "kept": bound.keep["kept"]}
    assert all(np.array_equal(arrays[n], bound.keep[n]) for n in "qkv")
    want = outputs_of(backward, backward.rungs[0], backward.arrays(size))
    module = sys.modules["ladders.attention_grad"]
    again = backward.bind_c("attention_grad_kept", arrays, size, tiles=2, flags=module.FLAGS, source="attention.c")
    again.run(1, 1)
    assert error(again.outputs(), want) <= backward.tolerance


def test_a_table_over_all_sizes_has_a_line_for_each_rung():
    from ladders.run import markdown

    ladder = small()
    rows, _ = ladder.measure(64, threads=1, seconds=0.0)
    lines = markdown(ladder, {"64": rows, "128": []}).splitlines()
    assert lines[0] == "| rung | what it adds | 64 | 128 |"
    assert lines[2].startswith("| plain Python | the meaning | ") and " ~, " in lines[2] and lines[2].endswith("| - |")
