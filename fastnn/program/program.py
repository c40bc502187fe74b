"""Program: a planned list of kernel calls that runs many steps in one go."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from .. import machine
from ..kernels.spec import Call
from . import fuse
from .backend import get_backend
from .graph import Graph, Memory, Tensor
from .plan import BufferPlan, lay_out, levels
from .variable import aligned_zeros, layout_epoch

CALIBRATE = 16  #: a run of so many steps is worth timing its calls first ...
TIMED = 5  #: ... over so many
PIECE = 3e-3  #: seconds of one run of steps while whole steps are timed
FOREVER = 1e9  #: a budget that does not end
BUDGET = 0.05  #: seconds after which a native run returns to Python, for Ctrl-C and callbacks


class StaleProgram(RuntimeError):
    """A variable of the program moved in memory since it was planned: build the program again."""


def step_table(scalars: list, first: int, steps: int) -> np.ndarray:
    """The values of a graph's (scalar, tensor) pairs in steps first..first+steps-1, one row for each step."""
    table = np.empty((steps, max(1, len(scalars))))
    for i, (scalar, _) in enumerate(scalars):
        table[:, i] = scalar.table(first, steps)
    return table


class Program:
    """The calls of a graph, in levels, over memory that was laid out beforehand.

    Parameters
    ----------
    graph : what was traced; its feeds, sources, fetches and scalars become the program's.
    backend : "native", "numba" or "numpy"; the current one by default. Float64 programs take "numpy".
    join : hand optimizer updates to the gradients' calls (never changes a result).

    Attributes
    ----------
    calls : the `Call` list in execution order.
    levels : the level of each call.
    plan : the `BufferPlan`.
    workspace : the memory of everything that does not outlive a step.
    step : number of the next step; the trainer sets it, `run` advances it.
    lock : held while the program runs, since it has one workspace; take it to bind, run and look in one go.
    wide : whether it computes in float64.
    times : seconds of each call, after `profile`; `call_times` and `step_times` hold those of the calls and of whole
        steps by the number of threads.
    """

    def __init__(self, graph: Graph, backend: str | None = None, join: bool = True):
        self.graph, self.name = graph, graph.name
        self.backend = backend or get_backend()
        self.feeds, self.fetches, self.sources = graph.feeds, graph.fetches, graph.sources
        self.scalars = graph.scalars
        self.step = 0
        self.lock = threading.RLock()
        self._calibrated = False
        self.epoch = -1
        self.check_layout()
        self._row = Memory(8 * max(1, len(self.scalars)), "step scalars", kept=True)
        for i, (_, t) in enumerate(self.scalars):
            t.place(self._row, 8 * i)
        wanted = list(self.fetches.values())
        calls = fuse.skip_detours(fuse.prune(graph.calls, wanted), wanted)
        calls = fuse.split_tall(graph, fuse.fold_norms(graph, calls, wanted))
        if join:
            calls = fuse.join_activations(fuse.join_sums(calls, wanted), wanted)
            calls = fuse.join_slopes(calls, wanted)
            calls = fuse.join_updates(graph, fuse.save_nothing(graph, calls, wanted), wanted)
        order = levels(calls)
        by_level = sorted(range(len(calls)), key=lambda i: (order[i], i))
        self.calls: list[Call] = [calls[i] for i in by_level]
        self.levels = [order[i] for i in by_level]
        kept = [t.memory for t in (*wanted, *self.feeds.values()) if t.memory.array is None]
        self.plan: BufferPlan = lay_out(self.calls, self.levels, [self._row, *kept])
        self.workspace = aligned_zeros(self.plan.nbytes, np.uint8)
        self.bound: dict[str, np.ndarray] = {}
        inside = (t for c in self.calls for t in fuse.operands(c) if not t.memory.source)
        self.wide = any(t.dtype == np.float64 and t.shape for t in inside) or any(
            t.dtype == np.float64 for t in self.feeds.values())
        if self.wide:
            self.backend = "numpy"
        self.times: list[float] | None = None
        self.call_times: dict[int, list[float]] = {}
        self.step_times: dict[int, float] = {}
        self._run = self._executor()

    # ------------------------------------------------------------------ memory

    def address(self, t: Tensor) -> int:
        """Where a tensor stands in memory (0 for a source that is not bound yet)."""
        m = t.memory
        if m.source:
            array = self.bound.get(m.name)
            return 0 if array is None else array.ctypes.data
        base = self.workspace.ctypes.data + m.offset if m.array is None else m.array.ctypes.data
        return base + t.offset

    def array(self, t: Tensor) -> np.ndarray:
        """The memory of a tensor, as a NumPy view."""
        m = t.memory
        if m.source:
            return self.bound[m.name]
        if m.array is None:
            raw = self.workspace[m.offset + t.offset : m.offset + t.offset + t.nbytes]
        else:
            raw = m.array.reshape(-1).view(np.uint8)[t.offset : t.offset + t.nbytes]
        return raw.view(t.dtype).reshape(t.shape)

    # ------------------------------------------------------------------ running

    def bind(self, name: str, array: np.ndarray) -> None:
        """Point a source at the user's array (C-contiguous, of the traced row shape and dtype); only read."""
        t = self.sources[name]
        if array.dtype != t.dtype or array.shape[1:] != t.shape[1:]:
            raise ValueError(f"{self.name} was built for {name} with rows of shape {t.shape[1:]} and dtype {t.dtype}; "
                             f"got {array.shape[1:]} and {array.dtype}.")
        if self.bound.get(name) is not array:
            self._check_places(name, array)
            self.bound[name] = array
            self._run.bind(name, array)

    def _check_places(self, name: str, array: np.ndarray) -> None:
        """Refuse whole numbers that are none of a row of the table that they are for, and what is no whole number."""
        for layer, rows in self.graph.places.get(name, ()):
            wrong = ~((array >= 0) & (array < rows))
            if array.dtype.kind == "f":
                wrong |= array != np.trunc(array)
            if wrong.any():
                first = array.reshape(-1)[int(np.argmax(wrong))]
                raise ValueError(f"{layer} has {rows} rows and takes the whole numbers 0 to {rows - 1}; {name} holds "
                                 f"{first:g}.")

    def run(self, steps: int = 1, feeds: Mapping[str, np.ndarray] | None = None,
            fetches: Mapping[str, np.ndarray] | None = None, offset: int = 0, budget: float = BUDGET) -> int:
        """Run up to `steps` steps; returns how many were done before the budget was spent (at least one).

        Parameters
        ----------
        feeds : name -> array of shape (offset + steps or more, *tensor shape), C-contiguous; row
            ``offset + s`` is copied in before step s.
        fetches : name -> array of that form to be filled, for those fetches that are wanted.
        offset : where in the feeds and fetches to begin.
        budget : seconds.
        """
        with self.lock:
            self.check_layout()
            for name in self.graph.places:
                if feeds and name in feeds:
                    self._check_places(name, feeds[name][offset : offset + steps])
            table = self.table(steps)
            if not self._calibrated and steps >= CALIBRATE:
                self._calibrate(table, feeds or {}, offset)
            done = self._run.run(steps, table, feeds or {}, fetches or {}, offset, budget)
            self.step += done
            for advance in self.graph.after:
                advance(done)
            return done

    def table(self, steps: int) -> np.ndarray:
        """The step table: one row of scalars for each of the next steps, shape (steps, scalars)."""
        return step_table(self.scalars, self.step, steps)

    def _calibrate(self, table, feeds, offset) -> None:
        """Let the executor time a few of these steps, so that it knows which calls are worth sharing out."""
        self._calibrated = True
        if self.backend != "numpy":
            with self._left_alone():
                self._run.calibrate(min(len(table), TIMED), table, feeds, offset)

    def check_layout(self) -> None:
        """Raise `StaleProgram` if a variable moved in memory since the plan was made."""
        if self.epoch != layout_epoch():
            self._compare_layout()

    def _compare_layout(self) -> None:
        for t in self.graph.variables.values():
            v = t.variable
            if v.arena.array is not t.memory.array or v.offset * v.dtype.itemsize != t.offset:
                raise StaleProgram(f"{v.path} moved in memory since {self.name} was planned.")
        self.epoch = layout_epoch()

    def _executor(self):
        if self.backend == "numpy":
            from .run_numpy import NumpyRun

            return NumpyRun(self)
        from .run_native import NativeRun

        return NativeRun(self)

    # ------------------------------------------------------------------ looking

    def explain(self, **options) -> str:
        """The program as a table; with times after `profile`. See `fastnn.program.explain.table`."""
        from .explain import table

        return table(self, **options)

    def report(self, **options):
        """What `explain` says as data: a `fastnn.program.explain.Report`, which a notebook shows as HTML."""
        from .explain import report

        return report(self, **options)

    def _repr_html_(self) -> str:
        return self.report(predict=bool(self.times))._repr_html_()

    def profile(self, steps: int = 20, feeds=None, threads: int | None = None) -> list:
        """Time every call, and whole steps; `explain` then shows the times. Returns seconds per call (minimum).

        The steps are real ones, so what they overwrite (weights, optimizer state) is put back afterwards.

        Parameters
        ----------
        steps : how many steps each time is the minimum over; feeds hold as many rows.
        threads : the current number by default. More than one: everything is timed on one thread too, so that
            `explain` can say what the others gained.
        """
        threads = machine.get_num_threads() if threads is None else machine.check_num_threads(threads)
        if self.backend == "numpy":
            threads = 1
        with self.lock:
            self.check_layout()
            table = self.table(steps)
            with self._left_alone():
                for n in sorted({1, threads}):
                    self.call_times[n] = self._run.profile(steps, table, feeds or {}, n)
                    self.step_times[n] = self._time_steps(steps, table, feeds or {}, n)
            self.times = self.call_times[threads]
            return self.times

    def _time_steps(self, steps: int, table, feeds, threads: int) -> float:
        """Seconds of a step in a run of several; the shortest of many runs, each short so that others disturb few."""
        piece = max(1, min(steps, int(PIECE / max(sum(self.call_times[threads]), 1e-9))))
        times = []
        for first in [*range(0, steps - piece + 1, piece)] * TIMED:
            start = time.perf_counter()
            self._run.run(piece, table[first:], feeds, {}, first, FOREVER, threads)
            times.append((time.perf_counter() - start) / piece)
        return min(times)

    @contextmanager
    def _left_alone(self) -> Iterator[None]:
        """What steps inside overwrite beyond the workspace (weights, optimizer state) is put back."""
        lasting = {id(t.memory): t.memory.array for c in self.calls for t in fuse.written(c)
                   if t.memory.array is not None}
        before = [(array, array.copy()) for array in lasting.values()]
        try:
            yield
        finally:
            for array, value in before:
                array[...] = value

    def debug(self, feeds: Mapping[str, np.ndarray] | None = None, threads: int | None = None,
              keep_gradients: bool = False):
        """Run the program call by call and look at any buffer, on a copy of its memory.

        See `fastnn.program.debugger.Debugger` for the parameters and all that can be done.
        """
        from .debugger import Debugger

        return Debugger(self, feeds, threads, keep_gradients)

    def diff(self, steps: int = 1, feeds: Mapping[str, np.ndarray] | None = None, threads: int | None = None):
        """Compare each call of some steps with its NumPy meaning in float64; a report of the first that differs.

        The program's own memory is left as it is. See `fastnn.program.debugger.Debugger.diff`.

        Examples
        --------
        >>> import fastnn
        >>> half = fastnn.traced(lambda x: x * 0.5)
        >>> x = np.arange(4, dtype=np.float32)
        >>> bool(half.program(x).diff(feeds={"x": x}))
        True
        """
        return self.debug(feeds, threads).diff(steps)

    def draw_buffers(self, **options):
        """A picture of the buffer plan: levels across, workspace bytes up. Needs matplotlib; returns Axes."""
        from .explain import draw_buffers

        return draw_buffers(self, **options)

    def __repr__(self) -> str:
        return (f"<Program {self.name}: {len(self.calls)} calls, {max(self.levels, default=-1) + 1} levels, "
                f"{self.plan.nbytes / 1024:.0f} KiB workspace, {self.backend}>")
