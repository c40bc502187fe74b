"""Programs for people: a table of the calls with their cost and time, and a picture of the buffer plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels.spec import Call
from .graph import Tensor

if TYPE_CHECKING:
    from .program import Program

HEADS = ("#", "level", "kernel", "buffers", "MFLOP", "KiB", "time", "of peak")
LEFT = {"kernel", "buffers"}
MOST = 6  #: so many inputs of a call are named; of more, how many they are


def table(program: Program, width: int | None = None) -> str:
    """The program as text: one row per call with what it reads and writes, its cost and, after `profile`, its time.

    Parameters
    ----------
    width : the table is at most this wide: the column of buffers is cut. ``None``: as wide as it needs.

    Returns
    -------
    str
        A buffer is written ``name[shape dtype]`` (float32 is not said); ``<-`` stands between what a call writes and
        what it reads. ``+ adam`` is an update that runs on each tile of a gradient while it is in cache; its cost is
        in the row. ``of peak`` is the share of this machine's measured roofline, by the bound that binds: arithmetic
        ("flop") or bandwidth ("bw", which may exceed 100 % where data is in a nearer cache than assumed).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.program.program import Program
    >>> from fastnn.program.trace import trace
    >>> graph, y = trace(lambda x: x * 2 + 1, [np.zeros((4, 8), np.float32)], names=["x"], name="double")
    >>> graph.fetch("y", y)
    >>> print(table(Program(graph, backend="numpy")))  # doctest: +NORMALIZE_WHITESPACE
    double: 2 calls in 2 levels, numpy
     #  level  kernel  buffers          MFLOP    KiB
     1      0  affine  t1[4,8] <- x    <0.001  0.250
     2      1  affine  t2[4,8] <- t1   <0.001  0.250
        total                          <0.001  0.500
    workspace 0.438 KiB, without sharing 0.438 KiB
    """
    names = Names(program)
    times = program.times
    roof = _ceilings() if times else None
    rows = []
    for i, (call, level) in enumerate(zip(program.calls, program.levels)):
        seconds = times[i] if times else None
        rows.append([str(i + 1), str(level), _kernel(call), names.line(call),
                     *_cost(_flops(call), _nbytes(call), seconds, roof)])
    flops, nbytes = sum(map(_flops, program.calls)), sum(map(_nbytes, program.calls))
    total = ["", "total", "", "", *_cost(flops, nbytes, sum(times) if times else None, None)]
    text = _align([list(HEADS), *rows, total], width, shown=8 if roof else 7 if times else 6)
    count = max(program.levels, default=-1) + 1
    head = (f"{program.name}: {_plural(len(program.calls), 'call')} in {_plural(count, 'level')}, {program.backend}"
            + (f", {_plural(_threads(), 'thread')}" if program.backend != "numpy" else ""))
    plan = program.plan
    foot = f"workspace {_size(plan.nbytes)}, without sharing {_size(plan.sum_nbytes)}"
    return "\n".join([head, *text, foot])


# ---------------------------------------------------------------------- names

class Names:
    """Short readable names for the tensors of a program, one for each place in memory."""

    def __init__(self, program: Program):
        self.numbers = {id(call): i + 1 for i, call in enumerate(program.calls)}
        self.known: dict[tuple, str] = {}
        self.taken: set[str] = set()
        for group in (program.feeds, program.sources):
            for name, t in group.items():
                self._keep(t, name)
        for _, t in program.scalars:
            self._keep(t, t.name)
        for call in program.calls:
            for slot, t in zip(call.kernel.outputs, call.outputs):
                if _key(t) not in self.known:
                    self._keep(t, t.variable.path if t.base.variable else self._made(call, slot, t))

    def _made(self, call: Call, slot: str, t: Tensor) -> str:
        """A name for what a call makes: of its layer, or the call's number."""
        if t.memory.array is not None:
            return t.name or t.memory.name
        number = self.numbers[id(call)]
        layer = call.note.removesuffix(" gradient").rpartition("/")[2]
        if not layer or layer == "gradient":
            return f"t{number}" if slot == "y" else f"{slot}{number}"
        if call.note.endswith("gradient"):
            return f"{layer}.d{number}" if slot == "y" else f"{layer}.{slot}"
        return layer if slot == "y" else f"{layer}.{slot}"

    def _keep(self, t: Tensor, name: str) -> None:
        base, n = name or "t", 2
        while name in self.taken:
            name, n = f"{base}.{n}", n + 1
        self.taken.add(name)
        self.known[_key(t)] = name

    def of(self, t: Tensor) -> str:
        """The name of a tensor."""
        if t.base.variable is not None:
            return t.base.variable.path
        key = _key(t)
        if key not in self.known:
            if t.memory.array is not None and t.name == "constant":
                return f"{t.memory.array.reshape(-1)[0]:.4g}" if t.size == 1 else "constant"
            self._keep(t, t.name or t.memory.name or "t")
        return self.known[key]

    def line(self, call: Call) -> str:
        """``outputs <- inputs (options)``"""
        outputs = [f"{self.of(t)}[{_shape(t)}]" for t in call.outputs]
        read = [t for n, t in zip(call.kernel.inputs, call.inputs) if t is not None and n not in call.kernel.outputs]
        inputs = [self.of(t) + (f"[{_dtype(t)}]" if t.shape and t.dtype != np.float32 else "") for t in read]
        if len(inputs) > MOST:
            inputs = [*inputs[: MOST - 1], f"and {len(inputs) - MOST + 1} more"]
        if call.then is not None:
            outputs += [f"{self.of(t)}[{_shape(t)}]" for t in call.then.outputs]
        text = ", ".join(outputs) + (" <- " + " ".join(inputs) if inputs else "")
        options = [str(call.attrs[n]) for n in call.kernel.choices if n in call.attrs and call.attrs[n] != "linear"]
        return text + (f" ({', '.join(options)})" if options else "")


def _key(t: Tensor) -> tuple:
    return id(t.memory), t.offset, t.nbytes


def _shape(t: Tensor) -> str:
    return ",".join(map(str, t.shape)) + ("" if t.dtype == np.float32 else (" " if t.shape else "") + _dtype(t))


def _dtype(t: Tensor) -> str:
    return f"{t.dtype.kind.replace('b', 'bool')}{'' if t.dtype.kind == 'b' else 8 * t.dtype.itemsize}"


def _kernel(call: Call) -> str:
    return call.kernel.name + (f" + {_kernel(call.then)}" if call.then else "")


# ---------------------------------------------------------------------- numbers

def _flops(call: Call) -> float:
    return call.kernel.flops(call) + (_flops(call.then) if call.then else 0.0)


def _nbytes(call: Call) -> float:
    return call.kernel.nbytes(call) + (_nbytes(call.then) if call.then else 0.0)


def _cost(flops: float, nbytes: float, seconds: float | None, roof) -> list[str]:
    return [_digits(flops / 1e6), _digits(nbytes / 1024), _time(seconds), _share(flops, nbytes, seconds, roof)]


def _digits(x: float) -> str:
    """Three digits are enough, and a thousandth is."""
    if 0 < x < 0.001:
        return "<0.001"
    return f"{x:.0f}" if x >= 100 or x == 0 else f"{x:.1f}" if x >= 10 else f"{x:.2f}" if x >= 1 else f"{x:.3f}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{_digits(seconds * 1e6)} us"
    return f"{_digits(seconds * 1e3)} ms" if seconds < 1 else f"{seconds:.2f} s"


def _size(nbytes: float) -> str:
    return f"{_digits(nbytes / 1024)} KiB" if nbytes < 2**20 else f"{_digits(nbytes / 2**20)} MiB"


def _plural(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _share(flops: float, nbytes: float, seconds: float | None, roof) -> str:
    """Which bound of the roofline binds, and how near the call is to it."""
    if roof is None or not seconds or not (flops or nbytes):
        return ""
    arithmetic, traffic = flops / (roof.peak * 1e9), nbytes / (roof.bandwidth(nbytes) * 1e9)
    least, name = max((arithmetic, "flop"), (traffic, "bw"))
    return f"{100 * least / seconds:.0f}% {name}"


def _threads() -> int:
    try:
        from ..machine import get_num_threads
    except ImportError:
        return 1
    return get_num_threads()


def _ceilings():
    """This machine's roofline, or None where it can't be measured."""
    try:
        from ..machine import ceilings
    except ImportError:
        return None
    return ceilings(_threads())


def _align(rows: list[list[str]], width: int | None, shown: int) -> list[str]:
    rows = [row[:shown] for row in rows]
    heads = rows[0]
    widths = [max(len(row[c]) for row in rows) for c in range(shown)]
    spare = sum(widths) + 2 * (shown - 1) + 1 - (width or 10**9)
    if spare > 0:
        widths[3] = max(10, widths[3] - spare)
    lines = []
    for row in rows:
        cells = []
        for c, text in enumerate(row):
            if len(text) > widths[c]:
                text = text[: widths[c] - 3] + "..."
            cells.append(text.ljust(widths[c]) if heads[c] in LEFT else text.rjust(widths[c]))
        lines.append((" " + "  ".join(cells)).rstrip())
    return lines


# ---------------------------------------------------------------------- the picture

def draw_buffers(program: Program, ax=None):
    """The buffer plan as a picture: levels across, bytes of the workspace up, one rectangle per buffer.

    Parameters
    ----------
    ax : matplotlib Axes to draw on; a new figure's by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError : matplotlib is not installed.
    """
    from ..extras import need

    pyplot = need("matplotlib.pyplot", extra="plot")
    if ax is None:
        _, ax = pyplot.subplots(figsize=(10, 5), layout="constrained")
    names, label = Names(program), {}
    for call in program.calls:
        for t in call.outputs:
            label.setdefault(id(t.memory), names.of(t) if t.nbytes == t.memory.nbytes else t.memory.name)
    plan = program.plan
    unit, unit_name = (2**20, "MiB") if plan.nbytes >= 2**20 else (2**10, "KiB")
    levels = max(program.levels, default=0) + 1
    colours = pyplot.get_cmap("tab20").colors
    for i, (memory, (first, last)) in enumerate(plan.spans.items()):
        low, high = memory.offset / unit, memory.nbytes / unit
        ax.add_patch(pyplot.Rectangle((first - 0.5, low), last - first + 1, high, facecolor=colours[i % 20],
                                      edgecolor="black", linewidth=0.5, alpha=0.8))
        if memory.nbytes >= 0.03 * plan.nbytes:
            ax.text((first + last) / 2, low + high / 2, label.get(id(memory), memory.name), ha="center", va="center",
                    fontsize=7, clip_on=True)
    ax.set_xlim(-0.5, levels - 0.5)
    ax.set_ylim(0, max(plan.nbytes / unit, 1e-9))
    ax.set_xlabel("level")
    ax.set_ylabel(f"workspace, {unit_name}")
    ax.set_title(f"{program.name}: {_size(plan.nbytes)}, without sharing {_size(plan.sum_nbytes)}")
    return ax
