"""What `diff` and `drift` report, and how one call is run again by itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..kernels import tables
from ..kernels.spec import KERNELS, Array, Call, Kernel
from ..present.numbers import plural
from .meaning import Inputs, excess, meaning, out_of_range, pardoned, slots, tolerances


def shape_of(a) -> str:
    """``32x784 float32``"""
    return f"{'x'.join(map(str, a.shape)) or 'one'} {a.dtype}"


def range_of(a: np.ndarray) -> str:
    """Least and largest of the finite numbers."""
    if not a.size:
        return "empty"
    if a.dtype.kind != "f":
        return f"{a.min()} to {a.max()}"
    good = a[np.isfinite(a)]
    return f"{good.min():.4g} to {good.max():.4g}" if good.size else "nothing finite"


def count_of(a: np.ndarray) -> str:
    """``, 3 NaN, 1 infinite``, or nothing."""
    if a.dtype.kind != "f":
        return ""
    nan, infinite = int(np.isnan(a).sum()), int(np.isinf(a).sum())
    return (f", {nan} NaN" if nan else "") + (f", {infinite} infinite" if infinite else "")


def title(call: Call) -> str:
    """The kernel's name, and that of the update that runs with it."""
    return call.kernel.name + (f" + {title(call.then)}" if call.then else "")


@dataclass
class Comparison:
    """What a diff found: nothing (``ok``), or the first call that does not do what its meaning says.

    Attributes
    ----------
    ok : whether all calls agreed; a report is also true or false by it.
    steps, checked : steps begun and calls compared.
    kind : "value" (an output differs), "outside" (bytes changed that are no output), "reads" (an input has no value
        where it stands), "meaning" (the meaning itself can't be computed from these inputs), or "raised" (a user's
        kernel raised an exception).
    number : the call, counted from 1 as `Program.explain` does; ``step`` counts from 1.
    kernel, note : its name and the layer that emitted it. In a call that runs an update besides, `kernel` is the one
        of the two at fault.
    slot, buffer, index : the output, its name in the program, the place of the worst element. Of a fault "outside",
        the buffer that was written to (no slot).
    got, meant, tolerance : the two numbers there, and what they may differ by.
    count, size : elements beyond tolerance, of how many.
    inputs : slot -> copy of what the call read.
    """

    program: str
    steps: int = 0
    checked: int = 0
    ok: bool = True
    kind: str = ""
    step: int = 0
    number: int = 0
    calls: int = 0
    kernel: str = ""
    note: str = ""
    slot: str = ""
    buffer: str = ""
    index: tuple[int, ...] = ()
    got: Any = None
    meant: Any = None
    tolerance: float = 0.0
    count: int = 0
    size: int = 0
    text: str = ""
    backend: str = ""
    threads: int = 1
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    call: Call | None = field(default=None, repr=False)
    given: Inputs | None = field(default=None, repr=False)
    path: str = ""

    def __bool__(self) -> bool:
        return self.ok

    @property
    def error(self) -> float:
        """Distance of the two numbers."""
        return abs(float(self.got) - float(self.meant)) if self.meant is not None else float("nan")

    @property
    def relative(self) -> float:
        """The error over what was meant."""
        return self.error / abs(float(self.meant)) if self.meant else float("inf")

    @property
    def ulps(self) -> float:
        """The error in units of the last place of what was meant, in the output's dtype."""
        if self.meant is None or np.asarray(self.got).dtype.kind != "f":
            return float("nan")
        with np.errstate(all="ignore"):
            return self.error / float(np.spacing(np.abs(np.asarray(self.meant).astype(np.asarray(self.got).dtype))))

    def __str__(self) -> str:
        how = f"{self.backend}, {plural(self.threads, 'thread')}"
        if self.ok:
            calls, steps = plural(self.checked, "call"), plural(self.steps, "step")
            agree = "agrees with its" if self.checked == 1 else "agree with their"
            return f"{self.program}: {calls} in {steps} {agree} meaning in float64 ({how})."
        where = f" of {self.note}" if self.note else ""
        lines = [f"{self.program} ({how}), step {self.step}, call {self.number} of {self.calls}: {self.kernel}{where}"]
        lines += ["  " + line for line in (self._what() if self.kind == "value" else [self.text])]
        width = max(map(len, self.inputs), default=0)
        lines += [f"  read {n:<{width}}  {shape_of(a)}: {range_of(a)}{count_of(a)}" for n, a in self.inputs.items()]
        if self.given is not None:
            path = self.path or f"call{self.number}.npz"
            save = "" if self.path else f"report.save({path!r}); "
            kernels = [c.kernel for c in (self.call, self.call.then) if c]
            own = [k.name for k in kernels if KERNELS.get(k.name) is not k]
            command = (f"fastnn.program.difference.rerun({path!r}, {', '.join(own)})" if own else
                       f"python -c \"from fastnn.program.difference import rerun; print(rerun('{path}'))\"")
            lines.append(f"  again, alone: {save}{command}")
        return "\n".join(lines)

    def _what(self) -> list[str]:
        place = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        first = (f"{self.slot} ({self.buffer}) is wrong in {self.count} of {self.size} elements, the worst at "
                 f"{self.slot}{place}:")
        if np.asarray(self.got).dtype.kind != "f":
            return [first, f"got {self.got}, meant {self.meant}"]
        allowed = self.tolerance / max(abs(float(self.meant)), 1e-300)
        return [first, f"got {float(self.got):.9g}, meant {float(self.meant):.9g}: {self.ulps:.3g} ulps, "
                       f"relative error {self.relative:.2g}; {allowed:.2g} is allowed"]

    def save(self, path: str) -> str:
        """Write the call with its inputs as an npz file (no pickle in it); `rerun` runs it by itself."""
        if self.given is None:
            raise ValueError("There is no call to save: " + ("nothing differs." if self.ok else self.text))
        arrays, about = {}, {"backend": self.backend}
        call, given, key = self.call, self.given, ""
        while call is not None:
            about[key + "kernel"], about[key + "attrs"] = call.kernel.name, call.attrs
            about[key + "outputs"] = [[list(t.shape), t.dtype.str] for t in call.outputs]
            arrays |= {f"{key}in{i}": x for i, x in enumerate(given.own) if x is not None}
            call, given, key = call.then, given.then, key + "then."
        self.path = str(path) if str(path).endswith(".npz") else f"{path}.npz"
        np.savez(self.path, about=np.array(json.dumps(about)), **arrays)
        return self.path


# ---------------------------------------------------------------------- one call by itself


def run_alone(call: Call, given: Inputs, form: str) -> list[np.ndarray]:
    """What the compiled forms of a call, and of the update with it, give for these inputs; in the order of `slots`."""
    from ..kernels.native import core

    def prepare(call, given, gradient=None):
        arrays = {n: None if x is None else np.array(x, order="C") for n, x in zip(call.kernel.inputs, given.own)}
        if gradient is not None:
            arrays["g"] = gradient
        made = [arrays[n] if n in arrays else np.full(t.shape, -1 if t.dtype.kind == "i" else 170, t.dtype)
                for n, t in zip(call.kernel.outputs, call.outputs)]
        return made, arrays

    def plain(call, made, arrays):
        buffers = [*made, *(arrays[n] for n in call.kernel.inputs)]
        return (tables.form(form, call.kernel), [0 if b is None else b.ctypes.data for b in buffers],
                [int(d) for d in call.kernel.sizes(call)], call.kernel.numbers(call.attrs))

    made, arrays = prepare(call, given)
    then, alive = None, [arrays]
    after: list[np.ndarray] = []
    if call.then:
        g = np.zeros(call.then["g"].shape, made[0].dtype)
        made[0] = g.reshape(-1)[: made[0].size].reshape(made[0].shape)
        after, more = prepare(call.then, given.then, g)
        then = plain(call.then, after, more)
        alive.append(more)
    tiles = int(call.kernel.tiles(call))
    grain, level, seconds = max(1, tiles), 0, 1e-6
    line = (*plain(call, made, arrays), tiles, grain, level, int(call.kernel.scratch(call)), seconds, then)
    core.Executor([line], [], []).step_call(0, 1)
    for kernel in (call.kernel, call.then and call.then.kernel):
        if kernel is not None and kernel.own_form is not None:
            kernel.own_form.check()
    return made + after


def without_update(call: Call) -> Call:
    """The same call, storing its gradient and running no update."""
    attrs = {**call.attrs, "ahead": 0, "slots": 0, "keep": 1} if "keep" in call.attrs else call.attrs
    return Call(call.kernel, call.inputs, call.outputs, attrs, call.note, None, call.extra, call.gate)


def blame(report: Comparison, call: Call, given: Inputs, got: list[np.ndarray], meant: list[np.ndarray]) -> None:
    """Write the worst element of the first wrong output into a report; `got` and `meant` in the order of `slots`."""
    allowed = tolerances(call, given, meant, [g.dtype for g in got])
    narrow = None
    for i, (slot, g, want, tolerance) in enumerate(zip(slots(call), got, meant, allowed)):
        if not slot.stored or not g.size:
            continue
        wrong = excess(g, want, tolerance)
        if wrong.max() > 1:
            narrow = narrow or out_of_range(call, given)
            wrong = pardoned(wrong, g, narrow[0][i], tolerance, narrow[1])
        if wrong.max() > 1:
            at = np.unravel_index(int(wrong.argmax()), wrong.shape)
            report.ok, report.kind, report.slot, report.kernel = False, "value", slot.name, slot.call.kernel.name
            report.index, report.got, report.meant = tuple(map(int, at)), g[at], want[at]
            report.tolerance, report.count, report.size = float(tolerance[at]), int((wrong > 1).sum()), g.size
            report.call, report.given = call, given
            return


def rerun(path: str, *kernels: Kernel) -> Comparison:
    """Run the call that `Comparison.save` wrote, by itself on one thread, and compare it with its meaning.

    Parameters
    ----------
    path : the file.
    kernels : those of a user's own that the call needs; the built-in ones are known.

    Raises
    ------
    ValueError : the file is none of `Comparison.save`, or names a kernel that is not there.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {n: file[n] for n in file.files}
    if "about" not in arrays:
        raise ValueError(f"{path} was not written by Comparison.save.")
    about = json.loads(str(arrays["about"]))
    known = KERNELS | {k.name: k for k in kernels}

    def read(key: str):
        if key + "kernel" not in about:
            return None, None
        name = about[key + "kernel"]
        if name not in known:
            raise ValueError(f"{path} holds a call of the kernel {name!r}, which is none of fastnn's: give it, "
                             "rerun(path, kernel).")
        kernel, attrs = known[name], about[key + "attrs"]
        attrs = {n: tuple(v) if isinstance(v, list) else v for n, v in attrs.items()}
        own = [arrays.get(f"{key}in{i}") for i in range(len(kernel.inputs))]
        outputs = tuple(Array(tuple(s), np.dtype(d)) for s, d in about[key + "outputs"])
        then, more = read(key + "then.")
        inputs = tuple(None if x is None else Array(x.shape, x.dtype) for x in own)
        return Call(kernel, inputs, outputs, attrs, then=then), Inputs(own, more)

    call, given = read("")
    report = Comparison(f"{title(call)} from {path}", steps=1, checked=1, step=1, number=1, calls=1, path=str(path),
                    backend=about["backend"])
    if about["backend"] == "numpy":
        got = [np.asarray(x) for x in meaning(call, given)]
    else:
        got = run_alone(call, given, about["backend"])
    blame(report, call, given, got, meaning(call, given.widened()))
    report.buffer = report.slot
    report.inputs = named(call, given)
    return report


def named(call: Call, given: Inputs) -> dict[str, np.ndarray]:
    """slot -> array, of the update too."""
    found = {n: x for n, x in zip(call.kernel.inputs, given.own) if x is not None}
    if call.then and given.then:
        found |= {f"{call.then.kernel.name}.{n}": x for n, x in zip(call.then.kernel.inputs, given.then.own)
                  if x is not None and n != "g"}
    return found


# ---------------------------------------------------------------------- errors that grow


@dataclass
class Drift:
    """How far a float32 step is from the same step in float64, output by output: what `Debugger.drift` returns.

    Attributes
    ----------
    rows : one for each stored float output of each call, in order: dicts with ``step``, ``number``, ``kernel``,
        ``buffer``, ``worst`` (largest error over the output's largest magnitude), ``typical`` (root mean square of
        the error over that of the output) and ``before`` (the largest ``worst`` of the call's inputs).
    """

    program: str
    rows: list[dict]

    def __str__(self) -> str:
        heads = ("step", "#", "kernel", "buffer", "worst", "typical", "in eps", "inputs' worst")
        eps = float(np.finfo(np.float32).eps)
        cells = [heads] + [(str(r["step"]), str(r["number"]), r["kernel"], r["buffer"], f"{r['worst']:.1e}",
                            f"{r['typical']:.1e}", f"{r['worst'] / eps:.3g}", f"{r['before']:.1e}") for r in self.rows]
        widths = [max(len(row[c]) for row in cells) for c in range(len(heads))]
        lines = ["  ".join(t.ljust(w) if heads[c] in ("kernel", "buffer") else t.rjust(w)
                           for c, (t, w) in enumerate(zip(row, widths))).rstrip() for row in cells]
        return "\n".join([f"{self.program}: float32 beside float64, errors relative to each output", *lines])
