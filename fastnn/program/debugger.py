"""A debugger for programs: call by call, with a look at any buffer, and against the NumPy meaning in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import machine, spelling
from ..kernels.data import Gather
from ..kernels.spec import Call
from .difference import Comparison, Drift, count_of, range_of, shape_of, title
from .explain import Names
from .fuse import operands, overlap
from .meaning import slots, take
from .program import Program
from .twin import Twin


@dataclass
class Line:
    """A call that has run: its number (from 1), the call, and in ``text`` what it wrote. Printed, it is the text.

    ``stopped`` says which watch stopped the run here, if one did.
    """

    number: int
    call: Call
    text: str
    stopped: str = ""

    def __repr__(self) -> str:
        return self.text + (f"\n  stopped: {self.stopped}" if self.stopped else "")


class Debugger:
    """A program under the lens: what `Program.debug` returns.

    It works on a private copy of all memory of the program: weights, optimizer state and workspace of the program
    itself stay as they are, whatever is run here. Calls are counted from 1, as `Program.explain` shows them.

    Parameters
    ----------
    program : the program, of any backend.
    feeds : name -> array for its feeds, of the tensor's shape, or with an axis of steps before it; and for data that
        is not bound yet. By default the data of the program's last run; of a program that has not run, `index` takes
        the first rows.
    threads : as many as `fastnn.get_num_threads` says by default.
    keep_gradients : store those gradients too that the program leaves to the optimizer's update tile by tile, so
        that they can be looked at. No other bit changes.

    Raises
    ------
    StaleProgram : a variable moved since the program was planned.
    ValueError : a feed has no value, is unknown, or does not fit.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> w = fastnn.Variable([[1.0], [2.0]], name="w")
    >>> @fastnn.program
    ... def loss(x):
    ...     return fastnn.ops.mean(fastnn.ops.relu(x @ w))
    >>> x = np.array([[1.0, 1.0], [-1.0, 0.0]], np.float32)
    >>> bug = loss.program(x).debug(feeds={"x": x}, threads=1)
    >>> bug.step()
    1 matmul: t1 2x1 float32: -1 to 3, mean 1
    >>> bug["t1"].tolist()
    [[3.0], [-1.0]]
    >>> print(bug.diff())
    loss: 2 calls in 1 step agree with their meaning in float64 (native, 1 thread).
    """

    def __init__(self, program: Program, feeds: Mapping[str, np.ndarray] | None = None, threads: int | None = None,
                 keep_gradients: bool = False):
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}; at least 1 is wanted.")
        with program.lock:
            program.check_layout()
            self._feeds = self._accept(program, dict(feeds or {}))
            self.twin = Twin(program, keep_gradients)
        self.program = program
        self.threads = 1 if program.backend == "numpy" else machine.get_num_threads() if threads is None else threads
        for name in program.sources:
            if name in self._feeds:
                self.twin.bind(name, np.ascontiguousarray(self._feeds.pop(name)))
            elif name not in self.twin.bound:
                raise ValueError(f"{program.name} has no data for {name} yet: give it as feeds={{{name!r}: array}}.")
        self._complete()
        if self.threads > 1 and program.backend != "numpy":  # share every call out, however short
            self.twin._run.executor.set_costs([1e-3] * len(self.calls))
        self._name()
        self._watched: dict[str, tuple] = {}
        self._shadow = None  # the float64 side of `drift`
        self.steps = 0
        self.next_step()

    def __enter__(self) -> Debugger:
        return self

    def __exit__(self, *error) -> None:
        """Nothing has to be put back: the program's own memory was never touched."""

    @property
    def calls(self) -> list[Call]:
        """The calls, in the order in which they run."""
        return self.twin.calls

    # ------------------------------------------------------------------ what goes in

    @staticmethod
    def _accept(program: Program, feeds: dict) -> dict:
        known = {**program.feeds, **program.sources}
        for name, value in feeds.items():
            if name not in known:
                raise spelling.unknown("feed", name, known)
            t, array = known[name], np.asarray(value)
            if name in program.sources:
                continue
            if array.shape != t.shape and array.shape[1:] != t.shape:
                raise ValueError(f"{program.name} wants {name} of shape {t.shape}, or (steps, *{t.shape}); got "
                                 f"{array.shape}.")
            if not np.can_cast(array.dtype, t.dtype, "same_kind"):
                raise ValueError(f"{program.name} wants {name} as {t.dtype}; got {array.dtype}.")
            feeds[name] = np.ascontiguousarray(array, t.dtype).reshape(array.shape)
        return feeds

    def _complete(self) -> None:
        """Feeds that were not given: those of the last run; the first rows where there was none."""
        for name, t in self.program.feeds.items():
            if name in self._feeds or not t.size:
                continue
            last = self.twin.array(t)
            if last.view(np.uint8).any() if last.shape else last.any():
                self._feeds[name] = last.copy()
                continue
            rows = [self.twin.bound[c["source"].memory.name] for c in self.calls
                    if isinstance(c.kernel, Gather) and c["index"].base is t.base and c["source"].memory.source]
            if not rows:
                raise ValueError(f"{self.program.name} has not run yet, so there is nothing in {name}: give it as "
                                 f"feeds={{{name!r}: array}}.")
            self._feeds[name] = np.arange(t.size).reshape(t.shape) % min(map(len, rows))

    def next_step(self) -> Debugger:
        """Begin the next step: its step scalars and feeds are in place, no call has run."""
        for name, array in self._feeds.items():
            t = self.program.feeds[name]
            if array.shape != t.shape and self.steps >= len(array):
                raise ValueError(f"The feeds hold {len(array)} rows of {name}: there is no step {self.steps + 1}.")
        twin = self.twin
        twin.fresh()
        row = twin.table(self.steps + 1)[self.steps]
        twin.workspace[twin._row.offset :][: twin._row.nbytes].view(np.float64)[...] = row
        for name, array in self._feeds.items():
            t = self.program.feeds[name]
            twin.array(t)[...] = array if array.shape == t.shape else array[self.steps]
        self.steps += 1
        self.next = 0
        return self

    # ------------------------------------------------------------------ running

    def step(self, count: int = 1) -> Line:
        """Run the next call, or so many; returns the last one with what it wrote."""
        line = None
        for _ in range(count):
            self._need_next()
            line = self._one()
            if line.stopped:
                break
        if line is None:
            raise ValueError(f"step runs at least one call, not {count}.")
        return line

    def run(self, steps: int = 1) -> Line:
        """Run to the end of this step, and so many in all; a watch may stop it before."""
        line = None
        for _ in range(steps):
            if self.next == len(self.calls):
                self.next_step()
            while self.next < len(self.calls):
                line = self._one()
                if line.stopped:
                    return line
        return line

    def run_to(self, target: int | str) -> Line | None:
        """Run until the call `target` is the next: a number, a kernel's name or a layer's; or until a watch stops.

        Returns the last call that ran; None if the target was the next call already.
        """
        stop, line = self._find(target), None
        while self.next < stop:
            line = self._one()
            if line.stopped:
                return line
        return line

    def _one(self) -> Line:
        i, call = self.next, self.calls[self.next]
        before = {n: self._value(n).copy() for n, (change, _) in self._watched.items() if change and self._there(n)}
        self.check_index(call)
        self.twin.call(i, self.threads)
        self.next += 1
        if not self.twin.open(call):
            return Line(i + 1, call, f"{i + 1} {title(call)}: left out of this step by its gate", "")
        wrote = "; ".join(f"{self.names.of(s.tensor)} {self._sum(s)}" for s in slots(call))
        return Line(i + 1, call, f"{i + 1} {title(call)}: {wrote}", self._stopped(call, before))

    def check_index(self, call: Call) -> None:
        """Raise if a call would gather rows that are not there: the compiled form trusts its index."""
        if isinstance(call.kernel, Gather):
            try:
                take(call, self.twin.array)
            except IndexError as error:
                raise ValueError(f"Call {self.next + 1} ({call.kernel.name}) can't run: {error}.") from None

    def _need_next(self) -> None:
        if self.next == len(self.calls):
            raise RuntimeError(f"Step {self.steps} is over: all {len(self.calls)} calls have run. next_step() begins "
                               "the next.")

    def _find(self, target) -> int:
        """The place of the call that a number, a kernel or a layer names, from the next call on."""
        if isinstance(target, int | np.integer) and not isinstance(target, bool):
            if not 1 <= target <= len(self.calls):
                raise ValueError(f"There is no call {target}: the calls are 1 to {len(self.calls)}.")
            if target <= self.next:
                raise ValueError(f"Call {target} has run already (the next is {self.next + 1}); next_step() begins "
                                 "anew.")
            return int(target) - 1
        named = {}
        for i, call in enumerate(self.calls):
            note = call.note.removesuffix(" gradient")
            for name in (call.kernel.name, call.then and call.then.kernel.name, call.note, note, *note.split("/")):
                if name:
                    named.setdefault(name, []).append(i)
        if target not in named:
            raise spelling.unknown("kernel or layer", target, named)
        ahead = [i for i in named[target] if i >= self.next]
        if not ahead:
            raise ValueError(f"{target} is in call {named[target][-1] + 1}, which has run already (the next is "
                             f"{self.next + 1}); next_step() begins anew.")
        return ahead[0]

    # ------------------------------------------------------------------ looking

    def _name(self) -> None:
        """Names of all buffers, as `Program.explain` shows them; and ``layer.slot`` where that is free."""
        self.names, self.tensors = Names(self.twin), {}
        for call in self.calls:
            self.names.line(call)  # in this order, so that equal names are numbered alike
        groups = (self.program.feeds.values(), self.program.sources.values(), (t for _, t in self.program.scalars),
                  (t for c in self.calls for t in operands(c)))
        for group in groups:
            for t in group:
                self.tensors.setdefault(self.names.of(t), t)
        self._aliases: dict[str, str] = {}
        for call in self.calls:
            layer = call.note.removesuffix(" gradient").rpartition("/")[2]
            for s in slots(call):
                if layer and f"{layer}.{s.name}" not in self.tensors:
                    self._aliases.setdefault(f"{layer}.{s.name}", self.names.of(s.tensor))

    def buffers(self) -> list[str]:
        """The names of all buffers."""
        return list(self.tensors)

    def look(self, name: str) -> np.ndarray:
        """A read-only copy of a buffer.

        Parameters
        ----------
        name : as `Program.explain` and `where` show it, or ``layer.slot``.

        Raises
        ------
        ValueError : no buffer has this name (the nearest one is offered).
        LookupError : its value is not there: not made yet in this step, its memory used again, or never stored.
        """
        name = self._known(name)
        t = self.tensors[name]
        if self.twin.lost(t):
            raise LookupError(self.missing(t))
        copy = np.array(self.twin.array(t))
        copy.flags.writeable = False
        return copy

    __getitem__ = look

    def _known(self, name) -> str:
        name = self._aliases.get(name, name)
        if name not in self.tensors:
            raise spelling.unknown("buffer", name, [*self.tensors, *self._aliases])
        return name

    def _value(self, name: str) -> np.ndarray:
        return self.twin.array(self.tensors[name])

    def _there(self, name: str) -> bool:
        return not self.twin.lost(self.tensors[name])

    def missing(self, t) -> str:
        """Why a tensor's value is not there."""
        name = self.names.of(t)
        makers = [(i, s) for i, c in enumerate(self.calls) for s in slots(c)
                  if s.tensor.memory is t.memory and s.tensor.offset < t.offset + t.nbytes
                  and t.offset < s.tensor.offset + s.tensor.nbytes]
        made = [i for i, _ in makers]
        if any(not s.stored for _, s in makers):
            i = made[0]
            return (f"{name} is never stored: call {i + 1} hands it to {self.calls[i].then.kernel.name} tile by tile. "
                    "debug(keep_gradients=True) stores it.")
        if not made or made[0] >= self.next:
            return f"{name} has no value yet: call {made[0] + 1} makes it, the next call is {self.next + 1}."
        return (f"{name} has no value any more: its memory is used again. Look at it after call {made[-1] + 1}, which "
                "makes it.")

    def where(self, width: int | None = None) -> str:
        """The calls as a table, with a mark at the next one.

        Parameters
        ----------
        width : lines are at most this long; ``None``: as long as they need.
        """
        rows = [(str(i + 1), title(c), c.note, self.names.line(c)) for i, c in enumerate(self.calls)]
        widths = [max((len(r[k]) for r in rows), default=0) for k in range(4)]
        lines = [f"{self.program.name}: step {self.steps}" + ("" if self.next < len(rows) else ", all calls have run")]
        for i, (number, name, note, line) in enumerate(rows):
            mark = ">" if i == self.next else " "
            text = f"{mark} {number:>{widths[0]}}  {name:<{widths[1]}}  {note:<{widths[2]}}  {line}".rstrip()
            lines.append(text if width is None or len(text) <= width else text[: max(0, width - 3)] + "...")
        return "\n".join(lines)

    # ------------------------------------------------------------------ watching

    def watch(self, name: str | None = None, change: bool = False) -> None:
        """Stop after the call that leaves NaN or infinity in a buffer, or that changes it.

        Parameters
        ----------
        name : the buffer; by default whatever a call writes is watched for NaN and infinity.
        change : stop when it changes.
        """
        if name is None and change:
            raise ValueError("watch(change=True) needs the name of a buffer: every call changes some buffer.")
        self._watched["" if name is None else self._known(name)] = (change, name)

    def unwatch(self) -> None:
        """Forget all watches."""
        self._watched.clear()

    def _stopped(self, call: Call, before: dict[str, np.ndarray]) -> str:
        written = [s for s in slots(call) if s.stored]
        for name, (change, _) in self._watched.items():
            if not name:
                bad = [s for s in written if _bad(self.twin.array(s.tensor))]
                if bad:
                    return f"NaN or infinity in {self.names.of(bad[0].tensor)}"
                continue
            t = self.tensors[name]
            if not any(overlap(t, s.tensor) for s in written) or self.twin.lost(t):
                continue
            value = self.twin.array(t)
            if change and (name not in before or before[name].tobytes() != value.tobytes()):
                return f"{name} changed"
            if not change and _bad(value):
                return f"NaN or infinity in {name}"
        return ""

    def _sum(self, slot) -> str:
        """What an output holds, in a few words."""
        if not slot.stored:
            return "(not stored)"
        a = self.twin.array(slot.tensor)
        if not a.size:
            return shape_of(a)
        good = a[np.isfinite(a)] if a.dtype.kind == "f" else a
        mean = f", mean {good.mean(dtype=np.float64):.4g}" if good.size and a.dtype.kind == "f" else ""
        return f"{shape_of(a)}: {range_of(good) if good.size else 'nothing finite'}{mean}{count_of(a)}"

    # ------------------------------------------------------------------ against the meaning

    def diff(self, steps: int = 1) -> Comparison:
        """Run on, each call compared with its NumPy meaning in float64 on the very inputs that it had.

        Errors do not add up from call to call, so the call that differs is the one at fault. Each call is checked for

        - what it reads: every input has the value that an earlier call, a feed or a variable gave it;
        - what it writes: each output is within its tolerance (`fastnn.program.meaning.tolerances`). Outputs are filled
          with NaN before, so a part left out shows. A gradient that is not stored is compared through the update that
          it feeds;
        - what it leaves alone: no other byte of the workspace, the variables, the constants or the guards around
          them has changed, nor bound data.

        Parameters
        ----------
        steps : to the end of this step (of the next, if this one is over), and so many in all.

        Returns
        -------
        Comparison
            Of the first call that differs; the debugger stands behind it. Or that all agree.
        """
        from .checking import diff

        return diff(self, steps)

    def drift(self, steps: int = 1) -> Drift:
        """Run on, with the same steps in float64 beside: how errors grow from call to call.

        Unlike in `diff`, the float64 side goes on with its own results. Both begin with the same numbers; a second
        `drift` goes on with what the first left on both sides.

        Returns
        -------
        Drift
            Prints as a table; its ``rows`` hold the numbers.

        Raises
        ------
        ValueError : the program computes in float64 itself, or part of this step has run without its float64 side.
        """
        from .checking import drift

        return drift(self, steps)




def _bad(a: np.ndarray) -> bool:
    return a.dtype.kind == "f" and not np.isfinite(a).all()
