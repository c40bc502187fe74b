"""Each call of a program against its NumPy meaning in float64: what `Debugger.diff` and `Debugger.drift` do."""

from __future__ import annotations

import numpy as np

from ..kernels.spec import Call
from .difference import Comparison, Drift, blame, named, run_alone, title, without_update
from .fuse import overlap
from .meaning import Inputs, meaning, slots, take


def diff(bug, steps: int) -> Comparison:
    """See `Debugger.diff`."""
    report = Comparison(bug.program.name, backend=bug.program.backend, threads=bug.threads, calls=len(bug.calls))
    for _ in range(steps):
        if bug.next == len(bug.calls):
            bug.next_step()
        report.steps += 1
        while bug.next < len(bug.calls):
            check(bug, report)
            report.checked += 1
            if not report.ok:
                return report
    return report


def check(bug, report: Comparison) -> None:
    """Run the next call and compare it; what is wrong goes into the report."""
    call, twin = bug.calls[bug.next], bug.twin
    about = {"step": bug.steps, "number": bug.next + 1, "note": call.note, "kernel": title(call)}
    if not twin.open(call):
        return left_out(bug, report, about)
    absent = unwritten(bug, call)
    if absent:
        return fault(report, about, kind="reads", text=absent)
    try:
        given = take(call, twin.array)
        meant = meaning(call, given.widened())
    except Exception as error:  # noqa: BLE001 - a user's meaning may raise anything; it becomes a finding
        return fault(report, about, kind="meaning", text=f"Its meaning can't be computed: {error}.")
    for s in slots(call):
        if s.stored and s.name not in s.call.kernel.inputs:
            twin.poison(s.tensor)
    before, prints = twin.block.copy(), twin.prints(call)
    about["inputs"] = named(call, given)
    try:
        twin.call(bug.next, bug.threads)
    except RuntimeError as error:  # an exception inside a user's kernel
        return fault(report, about, kind="raised", text=str(error), call=call, given=given)
    bug.next += 1
    elsewhere = outside(bug, call, before, prints)
    if elsewhere:
        buffer, index, text = elsewhere
        return fault(report, about, kind="outside", buffer=buffer, index=index, text=text, call=call, given=given)
    found = compare(bug, call, given, meant)
    if not found.ok:
        fault(report, about, **{n: getattr(found, n) for n in FOUND})


def left_out(bug, report: Comparison, about: dict) -> None:
    """Run a call whose gate is closed: nothing may change."""
    before = bug.twin.block.copy()
    bug.twin.call(bug.next, bug.threads)
    bug.next += 1
    count = int(np.count_nonzero(bug.twin.block != before))
    if count:
        fault(report, about, kind="outside", text=f"Its gate leaves it out of this step, yet {count} bytes changed.")


#: what `blame` finds out about a fault
FOUND = ("kind", "kernel", "slot", "buffer", "index", "got", "meant", "tolerance", "count", "size", "call", "given")


def fault(report: Comparison, *parts: dict, **more) -> None:
    """Write a fault into a report."""
    report.ok = False
    for part in (*parts, more):
        for name, value in part.items():
            setattr(report, name, value)


def unwritten(bug, call: Call) -> str:
    """A sentence if an input has no value where it stands."""
    for c in (call, call.then) if call.then else (call,):
        for name, t in zip(c.kernel.inputs, c.inputs):
            handed_on = c is call.then and name == "g" and overlap(t, call.outputs[0])
            if t is not None and not handed_on and bug.twin.lost(t):
                return f"Its input {name} has no value: {bug.missing(t)}"
    return ""


def outside(bug, call: Call, before: np.ndarray, prints: dict[str, int]):
    """(buffer, index, sentence) of the first byte that changed and is no output's; None if there is none."""
    twin = bug.twin
    for name, now in twin.prints(call).items():
        if now != prints[name]:
            return name, (), f"It wrote into {name}, which is the caller's data."
    changed = twin.block != before
    for s in slots(call):
        changed[twin.span(s.tensor)] = False
    if not changed.any():
        return None
    at, count = int(changed.argmax()), int(np.count_nonzero(changed))
    bytes_ = f"{count} byte{'' if count == 1 else 's'}"
    standing = [(n, t) for n, t in bug.tensors.items() if not t.memory.source and not twin.lost(t)]
    for name, t in standing:
        start = twin.place(t)
        if start <= at < start + t.nbytes:
            index = tuple(map(int, np.unravel_index((at - start) // t.dtype.itemsize, t.shape)))
            was = before[start : start + t.nbytes].view(t.dtype).reshape(t.shape)[index]
            return name, index, (f"It wrote into {name}{list(index) or ''}, which is not its output: {was} before, "
                                 f"{twin.array(t)[index]} after ({bytes_} changed).")
    ends = [(at - twin.span(t).stop, n) for n, t in standing if twin.span(t).stop <= at]
    distance, name = min(ends, default=(0, ""))
    where = f"byte {distance + 1} behind the end of {name}" if name else "before all buffers"
    return "", (), f"It wrote {bytes_} outside of its outputs, the first at {where}."


def compare(bug, call: Call, given: Inputs, meant: list[np.ndarray]) -> Comparison:
    """What the call wrote against its meaning."""
    found = Comparison(bug.program.name)
    blame(found, call, given, [np.array(bug.twin.array(s.tensor)) for s in slots(call)], meant)
    hidden = not found.ok and call.then is not None and call.attrs.get("keep") == 0
    if hidden and found.kernel == call.then.kernel.name and bug.program.backend != "numpy":
        # The gradient was not stored: is it the gradient that is wrong, or the update?
        inner, alone, own = Comparison(bug.program.name), without_update(call), Inputs(given.own)
        blame(inner, alone, own, run_alone(alone, own, bug.program.backend), meaning(alone, own.widened()))
        if not inner.ok:
            found = inner
            found.call, found.given = call, given
    if not found.ok:
        wrong = next(s for s in slots(call) if s.name == found.slot and s.call.kernel.name == found.kernel)
        found.buffer = in_words(bug, wrong.tensor, found.index)
    return found


def in_words(bug, t, index: tuple[int, ...]) -> str:
    """A buffer's name; of a place in an arena besides, which variable's element stands there."""
    name = bug.names.of(t)
    at = t.offset + int(np.ravel_multi_index(index, t.shape) if index else 0) * t.dtype.itemsize
    for v in bug.program.graph.variables.values():
        if t.base.variable is None and v.memory is t.memory and v.offset <= at < v.offset + v.nbytes:
            place = np.unravel_index((at - v.offset) // v.dtype.itemsize, v.shape)
            return f"{name}, there {v.variable.path}[{', '.join(str(int(i)) for i in place)}]"
    return name


# ---------------------------------------------------------------------- errors that grow


class Shadow:
    """The float64 side of a step: each float32 of the memory beside its double."""

    def __init__(self, bug):
        self.twin, self.done = bug.twin, done(bug)
        block = bug.twin.block
        with np.errstate(all="ignore"):  # poison is NaN
            self.values = block[: block.size // 4 * 4].view(np.float32).astype(np.float64)

    def __call__(self, t) -> np.ndarray:
        """A tensor on the float64 side; what is not float32 is the same on both."""
        if t.dtype != np.float32 or t.memory.source:
            return self.twin.array(t)
        start = self.twin.place(t) // 4
        return self.values[start : start + t.size].reshape(t.shape)


def done(bug) -> int:
    """How many calls have run."""
    return (bug.steps - 1) * len(bug.calls) + bug.next


def drift(bug, steps: int) -> Drift:
    """See `Debugger.drift`."""
    if bug.program.wide:
        raise ValueError(f"{bug.program.name} computes in float64 already: there is nothing to set beside it.")
    if bug._shadow is None:
        bug._shadow = Shadow(bug)
    rows: list[dict] = []
    for _ in range(steps):
        if bug._shadow.done != done(bug):
            raise ValueError("Calls have run since the last drift without their float64 side: begin with a new "
                             "debugger.")
        if bug.next == len(bug.calls):
            bug.next_step()
        if bug.next == 0:
            for t in bug.program.feeds.values():
                if t.dtype == np.float32:
                    bug._shadow(t)[...] = bug.twin.array(t)
        while bug.next < len(bug.calls):
            rows += drifted(bug, bug.calls[bug.next], bug._shadow)
        bug._shadow.done = done(bug)
    return Drift(bug.program.name, rows)


def drifted(bug, call: Call, shadow: Shadow) -> list[dict]:
    """Run the next call on both sides; a row for each output."""
    bug.check_index(call)
    twin = bug.twin
    if not twin.open(call):
        twin.call(bug.next, bug.threads)
        bug.next += 1
        return []
    reads = [t for c in ((call, call.then) if call.then else (call,)) for t in c.inputs
             if t is not None and t.dtype == np.float32 and not t.memory.source and t.size and not twin.lost(t)]
    before = max((gap(twin.array(t), shadow(t))[0] for t in reads), default=0.0)
    meant = meaning(call, take(call, shadow).widened())
    twin.call(bug.next, bug.threads)
    bug.next += 1
    rows = []
    for s, value in zip(slots(call), meant):
        if s.tensor.dtype != np.float32:
            continue
        shadow(s.tensor)[...] = value
        if s.stored and s.tensor.size:
            worst, typical = gap(twin.array(s.tensor), value)
            rows.append({"step": bug.steps, "number": bug.next, "kernel": s.call.kernel.name,
                         "buffer": bug.names.of(s.tensor), "worst": worst, "typical": typical, "before": before})
    return rows


def gap(got: np.ndarray, meant: np.ndarray) -> tuple[float, float]:
    """Largest error over the largest magnitude, and root mean square of the error over that of what is meant."""
    with np.errstate(all="ignore"):
        off, size = np.abs(got.astype(np.float64) - meant), np.abs(meant)
        off = np.where(got == meant, 0, off)  # infinities that agree
        largest, error, power = size.max(), np.sqrt(np.square(off).mean()), np.sqrt(np.square(size).mean())
        return (float(off.max() / largest) if largest else float(off.max()),
                float(error / power) if power else float(error))
