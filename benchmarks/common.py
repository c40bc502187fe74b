"""What the benchmarks share: contenders that take turns, tables, JSON lines, what machine it was."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np

import fastnn
from fastnn import machine
from fastnn.kernels import single, tables
from fastnn.kernels.spec import Call, Kernel
from fastnn.program.run_native import CLAIM_SECONDS, estimate

EPS = float(np.finfo(np.float32).eps)
TURN = 2e-3  # seconds of one turn in a race


def parser(description: str) -> argparse.ArgumentParser:
    """With the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    return made


def count(text: str) -> int:
    """A whole number, also as 16k or 4M (powers of two)."""
    scale = {"k": 1 << 10, "M": 1 << 20}.get(text[-1:], 1)
    return int(text[:-1] if scale > 1 else text) * scale


def short(n: int) -> str:
    """The reverse of `count`."""
    for unit, scale in (("M", 1 << 20), ("k", 1 << 10)):
        if n >= scale and n % scale == 0:
            return f"{n // scale}{unit}"
    return str(n)


def load() -> float | None:
    """Processes that ran or wanted to in the last minute, on average, where the system says so."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


class Report:
    """Rows as they come: as a table with one heading, or as JSON lines.

    columns : name -> format of the value, for instance ``"8.2f"``; what has no column is in the JSON alone.
    """

    def __init__(self, benchmark: str, as_json: bool, columns: dict[str, str]):
        self.benchmark, self.as_json, self.columns = benchmark, as_json, columns
        self.rows: list[dict] = []
        info = machine.cpu_info()
        about = dict(cpu=info["model"], path=info["path"], cores=info["physical_cores"], fastnn=fastnn.__version__,
                     numpy=np.__version__, load=load())
        if as_json:
            print(json.dumps(dict(benchmark=benchmark, **about)), flush=True)
        else:
            print(f"{benchmark}: {about['cpu']}, {about['cores']} cores, path {about['path']}, "
                  f"fastnn {about['fastnn']}, NumPy {about['numpy']}")
            if about["load"] and about["load"] > 0.5:
                print(f"The machine was busy in the last minute (load {about['load']:.1f}): trust minima, not medians.")

    def add(self, **row) -> None:
        self.rows.append(row)
        if self.as_json:
            print(json.dumps(dict(benchmark=self.benchmark, **row)), flush=True)
            return
        if len(self.rows) == 1:
            print(" ".join(f"{name:>{self._width(name)}}" for name in self.columns))
        print(" ".join(self._cell(name, row.get(name)) for name in self.columns), flush=True)

    def say(self, text: str) -> None:
        """A sentence for people; JSON has the numbers already."""
        if not self.as_json:
            print(text, flush=True)

    def _width(self, name: str) -> int:
        width = self.columns[name].lstrip("<>").partition(".")[0]
        return max(len(name), int("".join(c for c in width if c.isdigit()) or 0))

    def _cell(self, name: str, value) -> str:
        kind = self.columns[name]
        text = "-" if value is None else value if isinstance(value, str) else format(value, kind)
        return f"{text:>{self._width(name)}}"


# ---------------------------------------------------------------------- racing

def race(contenders: dict[str, Callable[[int], object]], seconds: float) -> dict[str, list[float]]:
    """Times of each contender per repetition. They take turns, so that other load on the machine meets all alike.

    A contender is a function of the number of repetitions; short ones are timed many at a time.
    """
    repeats, times = {}, {name: [] for name in contenders}
    for name, run in contenders.items():
        run(1)  # first touch of memory, lazy starts
        once = max(min(_clocked(run, 1) for _ in range(2)), 1e-8)
        repeats[name] = max(1, min(100_000, round(TURN / 4 / once)))
    end = time.perf_counter() + seconds * len(contenders)
    while time.perf_counter() < end or len(next(iter(times.values()))) < 3:
        for name, run in contenders.items():
            turn = time.perf_counter() + TURN
            while True:
                times[name].append(_clocked(run, repeats[name]) / repeats[name])
                if time.perf_counter() >= turn:
                    break
    return times


def _clocked(run: Callable[[int], object], n: int) -> float:
    start = time.perf_counter()
    run(n)
    return time.perf_counter() - start


def minimum_and_median(times: Iterable[float]) -> tuple[float, float]:
    times = list(times)
    return min(times), statistics.median(times)


# ---------------------------------------------------------------------- kernels of programs

def aligned(a: np.ndarray) -> np.ndarray:
    """A copy whose data starts at a multiple of 64 bytes, as the arrays of a program do."""
    a = np.asarray(a)
    raw = np.empty(a.nbytes + 64, np.uint8)
    shift = -raw.ctypes.data % 64
    out = raw[shift:shift + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def native(kernel: Kernel, inputs, **attrs) -> tuple[Callable[[int, int], int], Call]:
    """One kernel as a program of one call: a function (repetitions, threads), and the call with its arrays.

    What the kernel updates in place is updated in `inputs`.
    """
    from fastnn.kernels.native import core

    described = single.describe(kernel, inputs, attrs)
    given = dict(zip(kernel.inputs, inputs))
    outputs = [given[n] if n in given else aligned(np.zeros(a.shape, a.dtype))
               for n, a in zip(kernel.outputs, described.outputs)]
    addresses = [0 if a is None else a.ctypes.data for a in (*outputs, *inputs)]
    tiles, cost = int(kernel.tiles(described)), estimate(described)
    grain = max(1, min(tiles, int(np.ceil(CLAIM_SECONDS * tiles / max(cost, 1e-9)))))
    program = core.Executor([(tables.form("native", kernel.name), addresses, list(map(int, kernel.sizes(described))),
                              kernel.numbers(described.attrs), tiles, grain, 0, int(kernel.scratch(described)), cost,
                              None)])
    described.extra["arrays"] = (outputs, inputs)  # keeps them alive
    return (lambda n, threads: program.run(n, [], [], threads, 1e9)), described


def copier(nbytes: int) -> tuple[Callable[[int, int], int], int]:
    """A plain copy whose source and destination take `nbytes` together, as `fastnn.machine` measures it.

    A function (repetitions, threads), and the bytes that one repetition reads and writes.
    """
    from fastnn.kernels.native import core
    from fastnn.kernels.native import machine as probes

    n = max(1024, nbytes // 8)
    memory = np.ones(2 * n + 1024, np.float32)
    start = -memory.ctypes.data % 64 // 4
    x, y = memory[start:], memory[start + (n + 31) // 16 * 16 + 16 * 21:]
    programs = {}

    def run(repetitions: int, threads: int) -> int:
        if threads not in programs:
            block = -(-n // (16 * (threads if n < 1 << 22 else 16 * threads))) * 16
            copy = (probes.KERNELS["machine_copy"], [y.ctypes.data, x.ctypes.data], [n, block, 1], [],
                    -(-n // block), 1, 0, 0, 8 * n / 30e9, None)
            programs[threads] = core.Executor([copy])
        return programs[threads].run(repetitions, [], [], threads, 1e9)

    run.memory = memory
    return run, 8 * n
