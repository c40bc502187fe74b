"""One kernel from naive to fast: rungs that are checked against the first, then timed in turns.

A ladder file (adam.py is one) says what the problem is and holds the rungs, each a few lines:

    LADDER = Ladder("scale", problem, outputs=("y",), flops=lambda n: n, nbytes=lambda n: 8 * n, sizes=(1 << 14,))

    @LADDER.rung("plain Python", "the meaning, one number at a time", prepare=lists, largest=1 << 12)
    def plain_python(y, x):
        for i in range(len(x)):
            y[i] = 2 * x[i]

    @LADDER.rung("NumPy", "whole arrays")
    def numpy(y, x):
        return 2 * x

    @LADDER.numba("Numba", "the plain loop, compiled")
    def numba(y, x): ...

    LADDER.cython("Cython", "scale", "typed")                   # def scale(y, x) in scale.pyx
    LADDER.c("C", "scale_plain", "the same in C")               # in scale.c, with fastnn's kernel ABI
    LADDER.c("C, threads", "scale_plain", "in tiles", tiles=lambda a: a["x"].size // 1024, threaded=True)
    LADDER.kernel("fastnn", activation.scale, "as it ships", inputs=lambda a: (a["x"],), threaded=True)

A rung's function gets the problem's arrays in the problem's order. It writes its outputs into them, or returns new
ones (a tuple in the order of ``outputs``, or one array).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastnn import machine
from fastnn.kernels.spec import Kernel
from fastnn.race.contenders import native_call
from fastnn.race.sizes import count, short
from fastnn.race.timing import aligned, minimum_and_median, take_turns

from . import build

Arrays = dict[str, Any]
EPS = float(np.finfo(np.float32).eps)


@dataclass
class Bound:
    """A rung with its arrays: ``run(repetitions, threads)``, and ``outputs()`` after a run, by name.

    keep : what must live as long, such as arrays that C knows by their address.
    """

    run: Callable[[int, int], object]
    outputs: Callable[[], Arrays]
    keep: Any = None


@dataclass(frozen=True)
class Rung:
    """One step of a ladder.

    Attributes
    ----------
    name, idea : what it is called, and in a few words what it does that the one before did not.
    bind : from the problem's arrays to what can be run; raises `build.Missing` if its tool is not there.
    largest : the largest size at which it is run; the time of a larger one is scaled up by the work, and marked.
    tolerance : of this rung, where it differs from the ladder's.
    judge : function (arrays before the run, outputs) -> error in eps, for a rung that may differ from the first.
    threaded : whether it runs on as many threads as asked for, or on one.
    binary : (source, function, flags) of a rung in C, for looking at what the compiler made of it.
    """

    name: str
    idea: str
    bind: Callable[[Arrays], Bound]
    largest: Any = None
    tolerance: float | None = None
    judge: Callable[[Arrays, Arrays], float] | None = None
    threaded: bool = False
    binary: tuple[str, str, str] | None = None


@dataclass(frozen=True)
class Verdict:
    """What the check said of one rung: its error in eps (None: it could not run, and `why`)."""

    rung: Rung
    error: float | None
    tolerance: float
    why: str = ""

    @property
    def passed(self) -> bool:
        return self.error is None or self.error <= self.tolerance


# ---------------------------------------------------------------------- what rungs are handed

def lists(arrays: Arrays) -> Arrays:
    """The arrays as lists of Python's floats, which are float64: what the first rung reckons with."""
    return {n: a.tolist() if isinstance(a, np.ndarray) and a.ndim else a for n, a in arrays.items()}


def like(*names: str) -> Callable[[Arrays], Arrays]:
    """Scratch arrays of the shape of these, after the problem's own: for rungs that make no temporaries."""
    return lambda arrays: {**arrays, **{f"scratch {i}": aligned(np.zeros_like(arrays[n])) for i, n in enumerate(names)}}


def error(got: Arrays, want: Arrays) -> float:
    """The largest error of any output, in eps of float32 times that output's largest magnitude; inf if one is not
    finite or has another shape."""
    worst = 0.0
    for name, w in want.items():
        g, w = np.asarray(got[name], np.float64), np.asarray(w, np.float64)
        if g.shape != w.shape or not np.isfinite(g).all():
            return float("inf")
        if w.size:
            worst = max(worst, float(np.abs(g - w).max() / (EPS * max(np.abs(w).max(), 1e-30))))
    return worst


def parse_size(text: str):
    """``"64k"`` or ``"32x784x300"``: a whole number, or a tuple of them."""
    parts = tuple(count(p) for p in str(text).split("x"))
    return parts if len(parts) > 1 else parts[0]


def show_size(size) -> str:
    """The reverse of `parse_size`."""
    return "x".join(map(short, size)) if isinstance(size, tuple) else short(size)


# ---------------------------------------------------------------------- the ladder

class Ladder:
    """A problem and its rungs.

    Parameters
    ----------
    name : the kernel; its C and Cython rungs stand in ``name.c`` and ``name.pyx``.
    problem : function (size, random generator) -> arrays by name (float32, C order), outputs first. A rung may be run
        thousands of times on the same arrays: choose values that stay ordinary.
    outputs : names of what is compared with the first rung.
    flops, nbytes : functions of the size: operations, and bytes that must move if nothing is computed or moved twice.
    sizes : those measured by default: a whole number or a tuple each.
    check_sizes : those at which all rungs are compared with the first, awkward ones among them, the largest last.
    tolerance : largest error that a rung may have, in eps of float32 (`error`).
    """

    def __init__(self, name: str, problem: Callable[[Any, np.random.Generator], Arrays], *, outputs: Sequence[str],
                 flops: Callable[[Any], float], nbytes: Callable[[Any], float], sizes: Sequence[Any],
                 check_sizes: Sequence[Any], tolerance: float):
        self.name, self.problem, self.outputs = name, problem, tuple(outputs)
        self.flops, self.nbytes = flops, nbytes
        self.sizes, self.check_sizes, self.tolerance = tuple(sizes), tuple(check_sizes), tolerance
        self.rungs: list[Rung] = []

    # ------------------------------------------------------------------ how rungs are added

    def rung(self, name: str, idea: str, *, prepare: Callable[[Arrays], Arrays] = dict, **more):
        """Decorator: a rung in Python. `prepare` makes of the arrays what the function takes, in order."""
        def add(function):
            self.rungs.append(Rung(name, idea, lambda arrays: self._python(function, prepare(arrays)), **more))
            return function
        return add

    def numba(self, name: str, idea: str, *, prepare: Callable[[Arrays], Arrays] = dict, options: dict | None = None,
              **more):
        """Decorator: a rung that Numba compiles (``njit`` with these options) when it is first run."""
        def add(function):
            compiled = []

            def bind(arrays):
                if not compiled:
                    compiled.append(build.numba().njit(function, **(options or {})))
                return self._python(compiled[0], prepare(arrays))
            self.rungs.append(Rung(name, idea, bind, **more))
            return function
        return add

    def cython(self, name: str, function: str, idea: str, *, prepare: Callable[[Arrays], Arrays] = dict,
               flags: str = build.FLAGS, **more) -> None:
        """A rung in this ladder's .pyx: a function of the arrays, as one in Python is."""
        self.rungs.append(Rung(name, idea, lambda arrays: self._python(
            getattr(build.module(f"{self.name}.pyx", flags), function), prepare(arrays)), **more))

    def c(self, name: str, function: str, idea: str, *, prepare: Callable[[Arrays], Arrays] = dict,
          dims: Callable[[Arrays], Sequence[int]] | None = None, attrs: Sequence[float] = (),
          tiles: Callable[[Arrays], int] = lambda arrays: 1, flags: str = build.FLAGS, source: str | None = None,
          **more) -> None:
        """A rung in this ladder's .c (or `source`), with fastnn's kernel ABI (csrc/fastnn.h), run by its executor.

        ``buf`` holds the arrays in order, ``dim`` the sizes of the first of them unless `dims` says otherwise; tiles
        0..tiles-1 are run, by one thread in one call, by several in parts.
        """
        def bind(arrays):
            taken = prepare(arrays)
            sizes = dims(taken) if dims else next(iter(taken.values())).shape
            return self.bind_c(function, taken, sizes, attrs, tiles(taken), flags, source)
        self.rungs.append(Rung(name, idea, bind, binary=(source or f"{self.name}.c", function, flags), **more))

    def kernel(self, name: str, kernel: Kernel, idea: str, *, inputs: Callable[[Arrays], Sequence],
               attrs: dict | None = None, renamed: dict[str, str] | None = None, **more) -> None:
        """The rung that is fastnn's own kernel. `renamed`: the ladder's name of an output -> the kernel's."""
        names = {n: (0, (renamed or {}).get(n, n)) for n in self.outputs}
        self.kernels(name, idea, lambda arrays: [(kernel, inputs(arrays), attrs or {})], names, **more)

    def kernels(self, name: str, idea: str, calls: Callable[[Arrays], list[tuple]],
                outputs: dict[str, tuple[int, str]], **more) -> None:
        """A rung of several of fastnn's kernels, one after another: [(kernel, inputs, attrs)].

        outputs : the ladder's name of an output -> (which call, the kernel's name of it).
        """
        def bind(arrays):
            from fastnn.kernels.native import core

            made = [native_call(kernel, tuple(inputs), **attrs) for kernel, inputs, attrs in calls(arrays)]
            # A level each: they run one after another.
            program = core.Executor([(*call[:6], level, *call[7:]) for level, (call, _) in enumerate(made)])
            written = [dict(zip(described.kernel.outputs, described.extra["arrays"][0])) for _, described in made]
            return Bound(lambda n, threads=1: program.run(n, [], [], threads, 1e9),
                         lambda: {n: written[i][own] for n, (i, own) in outputs.items()}, keep=made)
        self.rungs.append(Rung(name, idea, bind, **more))

    def _python(self, function, taken: Arrays) -> Bound:
        values, returned = list(taken.values()), [None]

        def run(repetitions: int, threads: int = 1) -> None:
            for _ in range(repetitions):
                returned[0] = function(*values)

        def outputs() -> Arrays:
            if returned[0] is None:
                return {n: np.asarray(taken[n]) for n in self.outputs}
            new = returned[0] if isinstance(returned[0], tuple) else (returned[0],)
            return {n: np.asarray(a) for n, a in zip(self.outputs, new, strict=True)}
        return Bound(run, outputs)

    def bind_c(self, function: str, arrays: Arrays, dims: Sequence[int], attrs: Sequence[float] = (), tiles: int = 1,
               flags: str = build.FLAGS, source: str | None = None) -> Bound:
        """A C function with these arguments, in fastnn's executor; also for measurements that are no rung."""
        return self.bind_calls([self.c_call(function, arrays, dims, attrs, tiles, flags, source)], arrays)

    def c_call(self, function: str, arrays: Arrays, dims: Sequence[int], attrs: Sequence[float] = (), tiles: int = 1,
               flags: str = build.FLAGS, source: str | None = None) -> tuple:
        """One C function with these arguments, as a call of fastnn's executor."""
        address = ctypes.cast(getattr(build.library(source or f"{self.name}.c", flags), function), ctypes.c_void_p)
        # A cost of a millisecond tells the executor that sharing the tiles out is worth its while.
        return (address.value, [a.ctypes.data for a in arrays.values()], [int(d) for d in dims],
                [float(a) for a in attrs], int(tiles), 1, 0, 0, 1e-3, None)

    def bind_calls(self, calls: Sequence[tuple], arrays: Arrays) -> Bound:
        """Several of them, one after another: each starts when all tiles of the one before are done."""
        from fastnn.kernels.native import core

        program = core.Executor([(*call[:6], level, *call[7:]) for level, call in enumerate(calls)])
        return Bound(lambda n, threads=1: program.run(n, [], [], threads, 1e9),
                     lambda: {n: arrays[n] for n in self.outputs}, keep=arrays)

    # ------------------------------------------------------------------ check

    def arrays(self, size, seed: int = 0) -> Arrays:
        """The problem at a size; the same for the same seed."""
        made = self.problem(size, np.random.default_rng(seed))
        return {n: aligned(a) if isinstance(a, np.ndarray) else a for n, a in made.items()}

    def check(self, size, threads: int = 2) -> list[Verdict]:
        """Run every rung once at this size and compare it with the first, which reckons in float64."""
        reference = self.rungs[0].bind(self.arrays(size))
        reference.run(1, 1)
        want = {n: np.array(a, np.float64) for n, a in reference.outputs().items()}
        return [self._verdict(rung, size, want, threads) for rung in self.rungs]

    def _verdict(self, rung: Rung, size, want: Arrays, threads: int) -> Verdict:
        tolerance = self.tolerance if rung.tolerance is None else rung.tolerance
        try:
            bound = rung.bind(self.arrays(size))
        except build.Missing as why:
            return Verdict(rung, None, tolerance, str(why))
        with np.errstate(all="ignore"):
            bound.run(1, threads if rung.threaded else 1)
        got = bound.outputs()
        return Verdict(rung, rung.judge(self.arrays(size), got) if rung.judge else error(got, want), tolerance)

    # ------------------------------------------------------------------ measure

    def measure(self, size, threads: int, seconds: float) -> tuple[list[dict], list[str]]:
        """Rows of the table, one for each rung, and sentences about those left out.

        Errors come from the last check size. A rung that fails its check is not timed. What the machine can do, in
        arithmetic and in a plain copy within the same working set, takes its turns among the rungs.
        """
        verdicts = self.check(self.check_sizes[-1], threads)
        shared = self.arrays(size)
        working_set = sum({a.ctypes.data: a.nbytes for a in shared.values() if isinstance(a, np.ndarray)}.values())
        remarks, contenders, measured_at = [], {}, {}
        for v in verdicts:
            if v.error is None:
                remarks.append(f"{v.rung.name} is left out: {v.why}.")
            elif not v.passed:
                remarks.append(f"{v.rung.name} is wrong and not timed: its error is {v.error:.3g} eps, allowed are "
                               f"{v.tolerance:g}.")
            else:
                at = size if v.rung.largest is None or self._work(size) <= self._work(v.rung.largest) else \
                    v.rung.largest
                bound, used = v.rung.bind(shared if at == size else self.arrays(at)), threads if v.rung.threaded else 1
                contenders[v.rung.name] = lambda k, bound=bound, used=used: bound.run(k, used)
                measured_at[v.rung.name] = at
        probes = _probes(working_set, {1, *(threads for v in verdicts if v.rung.threaded)})
        with np.errstate(all="ignore"):
            times = take_turns({**contenders, **probes}, seconds)
        speed = {key: probe.work / min(times[key]) / 1e9 for key, probe in probes.items()}
        rows = []
        for v in verdicts:
            if v.rung.name in times:
                scale = self._work(size) / self._work(measured_at[v.rung.name])
                if scale > 1:
                    remarks.append(f"{v.rung.name} was timed at {show_size(measured_at[v.rung.name])} and its time "
                                   f"multiplied by {scale:.4g}.")
                best, median = (t * scale for t in minimum_and_median(times[v.rung.name]))
                used = threads if v.rung.threaded else 1
                roof = speed["peak", used], speed["copy", used]
                rows.append(self._row(v, size, used, roof, best, median, scale > 1))
        for row, before in zip(rows, [rows[0], *rows]):
            row["x before"], row["x first"] = before["us"] / row["us"], rows[0]["us"] / row["us"]
        return rows, remarks

    def _work(self, size) -> float:
        return self.flops(size) or self.nbytes(size)

    def _row(self, v: Verdict, size, threads: int, roof: tuple[float, float], best: float, median: float,
             scaled: bool) -> dict:
        flops, moved = self.flops(size) / best / 1e9, self.nbytes(size) / best / 1e9
        return {"ladder": self.name, "size": show_size(size), "rung": v.rung.name + (" ~" if scaled else ""),
                "threads": threads, "error": v.error, "us": best * 1e6, "median": median * 1e6, "GFLOP/s": flops,
                "GB/s": moved, "peak": flops / roof[0], "copy": moved / roof[1],
                "peak GFLOP/s": roof[0], "copy GB/s": roof[1], "flops": self.flops(size), "bytes": self.nbytes(size)}


def _probes(working_set: int, threads: set[int]) -> dict[tuple[str, int], machine.Probe]:
    """What the rungs are held against: multiply-adds in registers, and a plain copy within the same working set."""
    x, y = machine.copy_memory(max(1024, working_set // 8))
    seconds = 8 * x.size / 30e9  # which tells the executor whether waking its team is worth it
    return {("peak", t): machine.fma_probe(t) for t in threads} | {
        ("copy", t): machine.copy_probe(x, y, t, seconds=seconds) for t in threads}


COLUMNS = {"rung": "30s", "threads": "d", "error": "6.1f", "us": "11.1f", "median": "11.1f", "GFLOP/s": "7.2f",
           "GB/s": "6.1f", "peak": "5.1%", "copy": "5.0%", "x before": "6.2f", "x first": "7.1f"}
