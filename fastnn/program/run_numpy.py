"""Runs a program on the NumPy meaning of each call: the reference, and all there is without a compiler."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .program import Program


class NumpyRun:
    """The calls of a program over views of its memory, one after another."""

    def __init__(self, program: Program):
        self.program = program
        self.lines = [self._line(call) for call in program.calls]
        self.row = program.workspace[program._row.offset :][: program._row.nbytes].view(np.float64)

    def _line(self, call):
        """(function, inputs, outputs) with views; step scalars and sources are looked up at each run."""
        calls = [call, call.then] if call.then else [call]
        return [self._single(c) for c in calls]

    def _single(self, call):
        look, row = self.program.array, self.program._row
        inputs = [None if t is None else t if t.memory.source or t.memory is row else look(t) for t in call.inputs]
        return call, inputs, [look(t) for t in call.outputs]

    def bind(self, name, array):
        pass

    def _value(self, x):
        if hasattr(x, "graph"):
            array = self.program.array(x)
            return array if x.memory.source or self.program.wide and x.memory is not self.program._row else float(array)
        return x

    def step(self) -> None:
        for line in self.lines:
            for call, inputs, outputs in line:
                self.apply(call, inputs, outputs)

    def call(self, i: int, threads: int) -> None:
        """Run call i and nothing else, for looking at a program call by call."""
        for line in self.lines[i]:
            self.apply(*line)

    def apply(self, call, inputs, outputs) -> None:
        if call.gate is not None and not self.program.array(call.gate):
            return
        made = call.kernel.numpy(*map(self._value, inputs), **call.attrs)
        for out, value in zip(outputs, made if isinstance(made, tuple) else (made,), strict=True):
            out[...] = value

    def run(self, steps, table, feeds, fetches, offset, budget, threads=None) -> int:
        p, stop = self.program, time.perf_counter() + budget
        with np.errstate(all="ignore"):
            for s in range(steps):
                self.row[...] = table[s]
                for name, rows in feeds.items():
                    p.array(p.feeds[name])[...] = rows[offset + s]
                self.step()
                for name, rows in fetches.items():
                    rows[offset + s] = p.array(p.fetches[name])
                if time.perf_counter() > stop:
                    return s + 1
        return steps

    def profile(self, steps, table, feeds, threads=None) -> list:
        best = [float("inf")] * len(self.lines)
        with np.errstate(all="ignore"):
            for s in range(steps):
                self.row[...] = table[s]
                for name, rows in feeds.items():
                    self.program.array(self.program.feeds[name])[...] = rows[s]
                for i, line in enumerate(self.lines):
                    start = time.perf_counter()
                    for call, inputs, outputs in line:
                        self.apply(call, inputs, outputs)
                    best[i] = min(best[i], time.perf_counter() - start)
        return best
