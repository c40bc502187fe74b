"""Programs as text: a table of the calls with cost, time and verdict, and what follows from it in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...present.numbers import digits, duration, percent, plural, size
from .memory import total
from .record import CallRecord, Report, report

if TYPE_CHECKING:
    from ..program import Program

LEFT = {"kernel", "buffers", "verdict"}
SLOWEST = 3  #: so many levels of the critical path are named


def table(program: Program, width: int | None = None, predict: bool | None = None) -> str:
    """The program as text: one row per call with what it reads and writes, its cost, its time and what bounds it.

    Parameters
    ----------
    width : the table is at most this wide: the column of buffers is cut. ``None``: as wide as it needs.
    predict : whether to ask the cost model for times and verdicts; by default it is asked where the program runs on
        compiled kernels. It measures the ceilings of this machine once in a process, which takes below a second.

    Returns
    -------
    str
        A buffer is written ``name[shape dtype]`` (float32 is not said); ``<-`` stands between what a call writes and
        what it reads. ``+ adam`` is an update that runs on each tile of a gradient while it is in cache; its cost is
        in the row. Before `Program.profile`, ``predicted`` is the time that the cost model expects on one thread;
        afterwards ``time`` is what was measured. ``of peak`` is the share of this machine's measured roofline, by the
        bound that binds: arithmetic ("flop") or bandwidth ("bw", which may exceed 100 % where data is in a nearer
        cache than assumed). ``verdict`` says what bounds the call: arithmetic, a level of memory (L1, L2, L3,
        memory), or latency (see `fastnn.program.costs.Prediction.bound` for how it is told). Below the table stand
        the critical path, what threads gained, the memory and the change that would help most.

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
    return report_text(report(program, predict=predict), width)


def report_text(found: Report, width: int | None = None) -> str:
    """A `Report` as text."""
    lines = [heading(found), *_align(rows(found), width)]
    lines.append(f"workspace {size(found.workspace)}, without sharing {size(found.unshared)}")
    return "\n".join(lines + conclusions(found))


def heading(found: Report) -> str:
    """How much there is, and where it runs."""
    levels = max((c.level for c in found.calls), default=-1) + 1
    threads = f", {plural(found.threads, 'thread')}" if found.backend != "numpy" else ""
    return f"{found.name}: {plural(len(found.calls), 'call')} in {plural(levels, 'level')}, {found.backend}{threads}"


def rows(found: Report) -> list[list[str]]:
    """The table, its heads first and the total last."""
    measured = any(c.seconds is not None for c in found.calls)
    predicted = not measured and any(c.predicted is not None for c in found.calls)
    shares, verdicts = any(c.roof for c in found.calls), any(c.verdict for c in found.calls)
    heads = ["#", "level", "kernel", "buffers", "MFLOP", "KiB"]
    heads += ["time"] * measured + ["of peak"] * (measured and shares) + ["predicted"] * predicted
    heads += ["verdict"] * verdicts

    def row(c: CallRecord) -> list[str]:
        cells = {"#": str(c.number), "level": str(c.level), "kernel": c.kernel, "buffers": c.buffers,
                 "MFLOP": digits(c.flops / 1e6), "KiB": digits(c.nbytes / 1024), "time": duration(c.seconds),
                 "predicted": duration(c.predicted), "verdict": c.verdict,
                 "of peak": f"{percent(c.share)} {c.roof}" if c.share is not None else ""}
        return [cells[h] for h in heads]

    sums = {"level": "total", "MFLOP": digits(sum(c.flops for c in found.calls) / 1e6),
            "KiB": digits(sum(c.nbytes for c in found.calls) / 1024),
            "time": duration(sum(c.seconds or 0 for c in found.calls)),
            "predicted": duration(sum(c.predicted or 0 for c in found.calls))}
    return [heads, *map(row, found.calls), [sums.get(h, "") for h in heads]]


def conclusions(found: Report) -> list[str]:
    """What follows from the table, in sentences; nothing where the cost model was not asked."""
    if found.step is None and not found.advice:
        return []
    lines = [memory_line(found)]
    if found.levels and found.step is not None:
        lines += path_lines(found)
    return lines + advice_lines(found)


def memory_line(found: Report) -> str:
    """The memory map in one line."""
    parts = [f"{p.name} {size(p.nbytes)}" + (" (of the workspace)" if p.inside else "") for p in found.memory
             if p.kind != "data"]
    data = [f"{p.name} {size(p.nbytes)}" for p in found.memory if p.kind == "data"]
    return (f"memory {size(total(found.memory))}: {', '.join(parts)}"
            + (f"; beside it the data: {', '.join(data)}" if data else ""))


def path_lines(found: Report) -> list[str]:
    """The critical path, the step's time, and what threads gained."""
    slow = sorted(found.levels, key=lambda level: -level.seconds)[:SLOWEST]
    by_levels = sum(level.seconds for level in found.levels)
    named = ", ".join(f"{level.number} ({found.calls[level.longest].kernel}, {duration(level.seconds)})"
                      for level in slow)
    lines = [f"critical path {duration(by_levels)} over {plural(len(found.levels), 'level')}; the slowest: {named}"]
    if found.measured:
        steps = ", ".join(f"{duration(s)} on {plural(t, 'thread')}" for t, s in sorted(found.measured.items()))
        lines.append(f"step measured {steps}; predicted {duration(found.step)} on {plural(found.threads, 'thread')}")
    else:
        lines.append(f"step predicted {duration(found.step)} on {plural(found.threads, 'thread')}")
    if found.gained is not None:
        shared = sum(level.work for level in found.levels if level.shared)
        work = sum(level.work for level in found.levels) or 1.0
        lines.append(f"{plural(found.threads, 'thread')} gained a factor of {found.gained:.2f}: "
                     f"{percent(shared / work)} of the work is in levels that they share; no number of threads gets "
                     f"below {duration(found.floor)}")
    return lines


def advice_lines(found: Report) -> list[str]:
    """The change that would help most."""
    if not found.advice:
        return ["nothing simple would help much: the step is near the roof"]
    first = found.advice[0]
    return [f"would help most: {first.text}"]


def _align(table: list[list[str]], width: int | None) -> list[str]:
    heads = table[0]
    widths = [max(len(row[c]) for row in table) for c in range(len(heads))]
    spare = sum(widths) + 2 * (len(heads) - 1) + 1 - (width or 10**9)
    if spare > 0:
        widths[3] = max(10, widths[3] - spare)
    lines = []
    for row in table:
        cells = []
        for c, text in enumerate(row):
            if len(text) > widths[c]:
                text = text[: widths[c] - 3] + "..."
            cells.append(text.ljust(widths[c]) if heads[c] in LEFT else text.rjust(widths[c]))
        lines.append((" " + "  ".join(cells)).rstrip())
    return lines


__all__ = ["report_text", "table"]
