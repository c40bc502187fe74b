"""The result of a race: rows, as a table, as HTML, as JSON, and under the roofline."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .. import machine
from ..present.numbers import digits, duration, percent, plural
from .agreement import Agreement
from .contenders import Absent
from .sizes import describe, short


@dataclass(frozen=True)
class Row:
    """One contender at one size, on one number of threads and one CPU path.

    Attributes
    ----------
    kernel, size, contender, backend : what ran.
    path : the CPU path of a native form, else None.
    threads : None where a library chooses for itself (JAX, the BLAS behind NumPy's products).
    agreement : with the float64 meaning; see `Agreement`.
    minimum, median : seconds of one run.
    flops, nbytes : what one run computes, and must move if nothing is in a cache.
    working_set : bytes that one run touches; what is updated in place counts once.
    peak, copy : what so many threads could do, timed in the same turns: GFLOP/s of multiply-adds in registers, GB/s of
        a plain copy with the same working set.
    """

    kernel: str
    size: dict[str, int]
    contender: str
    backend: str
    path: str | None
    threads: int | None
    agreement: Agreement
    minimum: float
    median: float
    flops: float
    nbytes: float
    working_set: int
    peak: float
    copy: float

    @property
    def label(self) -> str:
        """Contender, CPU path and threads."""
        name = f"{self.contender} {self.path}" if self.path else self.contender
        return name if self.threads is None else f"{name}, {plural(self.threads, 'thread')}"

    @property
    def gflops(self) -> float:
        """GFLOP/s in the shortest run."""
        return self.flops / self.minimum / 1e9

    @property
    def bandwidth(self) -> float:
        """GB/s in the shortest run."""
        return self.nbytes / self.minimum / 1e9

    @property
    def of_peak(self) -> float:
        """Share of the peak."""
        return self.gflops / self.peak

    @property
    def of_copy(self) -> float:
        """Share of the copy's speed; an update in place can pass 1 beyond the caches."""
        return self.bandwidth / self.copy

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON has them; what is not finite becomes None."""
        a = self.agreement
        compared = dict(agrees=a.agrees, ulps=a.ulps, element_ulps=a.element_ulps, relative=a.relative, worst=a.place,
                        note=a.note)
        names = ("kernel", "size", "contender", "backend", "path", "threads", "minimum", "median", "flops", "nbytes",
                 "working_set", "gflops", "bandwidth", "peak", "copy", "of_peak", "of_copy")
        values = {name: getattr(self, name) for name in names} | compared
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


FOOT = ("Times of native and numba forms are those of the executor, as inside of a program; all others contain "
        "their calls from Python. PyTorch writes into given arrays where it has a way to; NumPy as the lines are "
        "written; JAX is compiled and waited for. of copy: GB/s beside a plain copy with the same working set and "
        "threads, in the same turns. Errors are in units of float32's last place: at the output's largest magnitude, "
        "and at the element itself.")


@dataclass(frozen=True)
class Race:
    """What a race found; print it, draw it, or take its rows.

    Attributes
    ----------
    rows : a :class:`Row` for each contender, size, number of threads and CPU path.
    absent : contenders that are not there, with the reason.
    about : the machine and the versions.
    cold : whether the caches were emptied before each run.
    """

    rows: tuple[Row, ...]
    absent: tuple[Absent, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    cold: bool = False

    def groups(self) -> list[list[Row]]:
        """The rows of each kernel and size; the fastest that agrees comes first, who disagrees last."""
        found: dict[tuple, list[Row]] = {}
        for row in self.rows:
            found.setdefault((row.kernel, *row.size.items()), []).append(row)
        return [sorted(rows, key=lambda r: (not r.agreement.agrees, r.minimum)) for rows in found.values()]

    @property
    def ranking(self) -> list[Row]:
        """All that agree, the fastest first (of the first size, then of the second, ...)."""
        return [row for rows in self.groups() for row in rows if row.agreement.agrees]

    # ------------------------------------------------------------------ text

    def tables(self) -> str:
        """Agreement and times of each size, without the foot that explains them."""
        blocks = []
        for rows in self.groups():
            blocks += [_heading(rows, self.cold), _machine(rows), "", *_lines(_agreement(rows)), "",
                       *_lines(_times(rows)), ""]
        return "\n".join([*blocks, *(f"not there: {a.name}: {a.reason}" for a in self.absent)]).rstrip()

    def __str__(self) -> str:
        return "\n".join([self.tables(), "", *_wrapped(self.machine), *_wrapped(FOOT)])

    @property
    def machine(self) -> str:
        """The machine and the versions, as one line."""
        return ", ".join(f"{k} {v}" for k, v in self.about.items())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ..present.html import html_table, paragraphs

        parts = []
        for rows in self.groups():
            parts.append(paragraphs([_heading(rows, self.cold), _machine(rows)]))
            parts += [html_table(heads, body) for heads, *body in (_agreement(rows), _times(rows))]
        notes = [f"not there: {a.name}: {a.reason}" for a in self.absent]
        notes += [self.machine, FOOT]
        return "\n".join([*parts, paragraphs(notes)])

    # ------------------------------------------------------------------ data and picture

    def __add__(self, other: Race) -> Race:
        """Both races in one, for one picture or one JSON document."""
        if not isinstance(other, Race):
            return NotImplemented
        absent = dict.fromkeys([*self.absent, *other.absent])
        return Race(self.rows + other.rows, tuple(absent), {**self.about, **other.about}, self.cold or other.cold)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return {"about": dict(self.about), "cold": self.cold, "rows": [row.to_dict() for row in self.rows],
                "absent": [{"name": a.name, "reason": a.reason} for a in self.absent]}

    def to_json(self, indent: int | None = None) -> str:
        """As `to_dict`, in JSON."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def draw(self, ax: Any = None, title: str | None = None) -> Any:
        """All rows that agree under the roofline of this machine, see :func:`fastnn.roofline.draw_roofline`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ImportError
            matplotlib is not installed.
        """
        from ..roofline import Point, draw_roofline

        kernels, sizes = {row.kernel for row in self.rows}, {tuple(row.size.items()) for row in self.rows}
        points = []
        for row in self.ranking:
            size = "x".join(map(short, row.size.values()))
            words = [row.kernel] * (len(kernels) > 1) + [size] * (len(sizes) > 1) + [row.label]
            points.append(Point(" ".join(words), row.flops, row.nbytes, row.minimum))
        threads = sorted({row.threads or machine.get_num_threads() for row in self.rows})
        if title is None and len(kernels) == len(sizes) == 1:
            title = f"{self.rows[0].kernel}, {describe(self.rows[0].size)}"
        return draw_roofline(points, [machine.ceilings(t) for t in threads], ax, title)


# ---------------------------------------------------------------------- tables

def _heading(rows: list[Row], cold: bool) -> str:
    r = rows[0]
    size = describe(r.size)
    work = f"{r.flops / 1e6:.3g} MFLOP, " if r.flops else ""
    return f"{r.kernel}{', ' * bool(size)}{size}: {work}{r.nbytes / 1e6:.3g} MB{', cold caches' if cold else ''}"


def _machine(rows: list[Row]) -> str:
    """What this machine could do, for each number of threads."""
    found = {row.threads or machine.get_num_threads(): row for row in rows}
    speeds = (f"{plural(t, 'thread')} {found[t].peak:.0f} GFLOP/s, copy {digits(found[t].copy)} GB/s"
              for t in sorted(found))
    return f"this machine: {'; '.join(speeds)}"


def _agreement(rows: list[Row]) -> list[list[str]]:
    """Heading and cells; runs of one contender that err alike share a line."""
    alike: dict[tuple, list[Row]] = {}
    for row in rows:
        alike.setdefault((row.contender, row.agreement), []).append(row)
    table = [["agreement", "ulps", "of element", "relative", "worst at", ""]]
    for (name, a), same in alike.items():
        paths = " ".join(sorted({row.path for row in same if row.path}))
        verdict = a.note if a.agrees else f"DISAGREES: {a.note}" if a.note else "DISAGREES"
        compared = [digits(a.ulps), digits(a.element_ulps), f"{a.relative:.1e}", a.place]
        # Numbers that cannot agree, or nothing to compare: the note says it.
        table.append([f"{name} {paths}".strip(), *(compared if a.ulps or not a.note else ["-"] * 4), verdict])
    return table


def _times(rows: list[Row]) -> list[list[str]]:
    by_numpy = next((r.minimum for name in ("numpy, by hand", "numpy") for r in rows if r.contender == name), None)
    table = [["time", "threads", "min", "median", "GFLOP/s", "of peak", "GB/s", "of copy", "x numpy"]]
    for r in rows:
        name = f"{r.contender} {r.path}" if r.path else r.contender
        table.append([
            name if r.agreement.agrees else f"({name})", str(r.threads or "own"),
            duration(r.minimum), duration(r.median),
            digits(r.gflops) if r.flops else "-", percent(r.of_peak) if r.flops else "-", digits(r.bandwidth),
            percent(r.of_copy), digits(by_numpy / r.minimum) if by_numpy else "-"])
    return table


def _lines(table: list[list[str]]) -> Iterable[str]:
    """Aligned; text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table)]
    left = {i for i, name in enumerate(table[0]) if name in ("agreement", "time", "worst at", "")}
    for cells in table:
        yield "  ".join(f"{c:<{w}}" if i in left else f"{c:>{w}}"
                        for i, (c, w) in enumerate(zip(cells, widths))).rstrip()


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 118)
