"""Runs a program of compiled kernels: hands the plan to the native executor as addresses and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import machine
from ..kernels import tables
from ..kernels.spec import Call

if TYPE_CHECKING:
    from .program import Program

# Rough costs for deciding grains and whether threads are worth it; the cost model of `explain`
# measures. One core, float32.
FLOPS_PER_SECOND = 60e9
BYTES_PER_SECOND = 30e9
CLAIM_SECONDS = 1e-6  # least work in one claim of tiles: a claim costs about 0.1 us when contended


def estimate(call: Call) -> float:
    """Seconds that a call takes on one core, roughly."""
    own = max(call.kernel.flops(call) / FLOPS_PER_SECOND, call.kernel.nbytes(call) / BYTES_PER_SECOND)
    return own + (estimate(call.then) if call.then else 0.0)


class NativeRun:
    """A program's calls in the native executor, in the forms of the program's backend."""

    def __init__(self, program: Program):
        from ..kernels.native import core

        self.program = program
        self._places: dict[str, list[tuple[int, int]]] = {}  # source -> (call, slot)
        for i, call in enumerate(program.calls):
            for slot, t in enumerate((*call.outputs, *call.inputs)):
                if t is not None and t.memory.source:
                    self._places.setdefault(t.memory.name, []).append((i, slot))
        self.executor = core.Executor(*self.described())
        self._feed_names, self._fetch_names = list(program.feeds), list(program.fetches)
        own = (c.kernel.own_form for call in program.calls for c in (call, call.then) if c is not None)
        self._own_forms = {id(f): f for f in own if f is not None}.values()

    def described(self) -> tuple[list, list, list]:
        """The program as an `Executor` takes it: calls, feeds and fetches, in addresses and numbers."""
        program = self.program
        return ([self.describe(i, c) for i, c in enumerate(program.calls)],
                self._copies(program.feeds, scalars=True), self._copies(program.fetches))

    def describe(self, i: int, call: Call) -> tuple:
        """One call, at place i of the program, as an `Executor` takes it."""
        kernel, level = call.kernel, self.program.levels[i]
        seconds, tiles = estimate(call), int(kernel.tiles(call))
        grain = max(1, min(tiles, int(np.ceil(CLAIM_SECONDS * tiles / max(seconds, 1e-9)))))
        then = self._plain(call.then) if call.then else None
        return (*self._plain(call), tiles, grain, level, int(kernel.scratch(call)), seconds, then,
                self.program.address(call.gate) if call.gate is not None else 0)

    def _plain(self, call: Call):
        kernel = call.kernel
        addresses = [0 if t is None else self.program.address(t) for t in (*call.outputs, *call.inputs)]
        return (tables.form(self.program.backend, kernel), addresses, [int(d) for d in kernel.sizes(call)],
                kernel.numbers(call.attrs))

    def _copies(self, tensors, scalars=False):
        row = self.program._row
        first = [(self.program.workspace.ctypes.data + row.offset, row.nbytes)] if scalars else []
        return first + [(self.program.address(t), t.nbytes) for t in tensors.values()]

    def bind(self, name: str, array: np.ndarray) -> None:
        for call, slot in self._places.get(name, ()):
            self.executor.set_buffer(call, slot, array.ctypes.data)

    def _feed_addresses(self, table, feeds, offset):
        # The table starts at row 0 of this run while feeds start at `offset`.
        first = table.ctypes.data - offset * table.shape[1] * 8
        return [first] + [self._check(feeds.get(n), self.program.feeds[n], n) for n in self._feed_names]

    def _check(self, array, t, name) -> int:
        if array is None:
            return 0
        if array.dtype != t.dtype or array.shape[1:] != t.shape or not array.flags.c_contiguous:
            raise ValueError(f"{self.program.name}: {name} must be a C-contiguous array of {t.dtype} rows of shape "
                             f"{t.shape}; got {array.dtype} rows of shape {array.shape[1:]}.")
        return array.ctypes.data

    def calibrate(self, steps, table, feeds, offset) -> None:
        """Replace the estimates of what calls cost by measured times of one thread; results do not depend on them."""
        times = self.executor.profile(steps, self._feed_addresses(table, feeds, offset), [0] * len(self._fetch_names),
                                      1, offset)
        self.executor.set_costs([least * 1e-9 for least, _ in times])

    def run(self, steps, table, feeds, fetches, offset, budget, threads=None) -> int:
        out = [self._check(fetches.get(n), self.program.fetches[n], n) for n in self._fetch_names]
        done = self.executor.run(steps, self._feed_addresses(table, feeds, offset), out,
                                 threads or machine.get_num_threads(), budget, offset)
        self.check()
        return done

    def check(self) -> None:
        """Tell what went wrong inside kernels of users, which can't raise while a program runs."""
        for form in self._own_forms:
            form.check()

    def call(self, i: int, threads: int) -> None:
        """Run call i and nothing else, for looking at a program call by call."""
        self.executor.step_call(i, threads)
        self.check()

    def profile(self, steps, table, feeds, threads=None) -> list:
        times = self.executor.profile(steps, self._feed_addresses(table, feeds, 0),
                                      [0] * len(self._fetch_names), threads or machine.get_num_threads(), 0)
        return [least * 1e-9 for least, _ in times]
