"""The roofline picture: what kernels reach, under what this machine could do at their arithmetic intensity.

Williams, Waterman, Patterson: "Roofline: an insightful visual performance model for multicore architectures",
Communications of the ACM 52(4), 2009. Across: floating-point operations per byte moved. Up: GFLOP/s. The flat roof is
the peak arithmetic, each slanted one the copy speed of a level of memory; no point can be above the roof of the level
that its data lives in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import machine
from .extras import need
from .machine import Ceilings

_LINES = ("-", "--", ":", "-.")  # of the first, second, ... ceilings


@dataclass(frozen=True)
class Point:
    """One measurement in a roofline.

    Attributes
    ----------
    label : what stands beside the point.
    flops : floating-point operations of one run; 0 for pure movement.
    nbytes : bytes that one run reads and writes.
    seconds : of one run.
    """

    label: str
    flops: float
    nbytes: float
    seconds: float

    @property
    def intensity(self) -> float:
        """Operations per byte moved."""
        return self.flops / self.nbytes if self.nbytes else math.inf

    @property
    def gflops(self) -> float:
        """GFLOP/s reached."""
        return self.flops / self.seconds / 1e9

    @property
    def bandwidth(self) -> float:
        """GB/s reached."""
        return self.nbytes / self.seconds / 1e9


def draw_roofline(points: Iterable[Point | tuple[str, float, float, float]],
                  ceilings: Ceilings | Sequence[Ceilings] | None = None, ax: Any = None,
                  title: str | None = None) -> Any:
    """Draw measurements under this machine's roofline.

    A point stands at (flops / bytes, flops / seconds). If any of the points is pure movement (0 flops), which has no
    place on such axes, all are drawn as bars of GB/s instead, with the copy speeds as lines.

    Parameters
    ----------
    points : :class:`Point`, or tuples (label, flops, bytes, seconds).
    ceilings : what the machine can do, as :func:`fastnn.machine.ceilings` measures it, or several of them (for one
        thread and for all, say), drawn with different lines. None: measured now, for the threads in use.
    ax : matplotlib Axes to draw into; None makes a figure.
    title : above the picture.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        There is no point, or one without a positive time or number of bytes.

    References
    ----------
    Williams, Waterman, Patterson: Roofline, Communications of the ACM 52(4), 2009.

    Examples
    --------
    >>> import matplotlib; matplotlib.use("Agg")
    >>> from fastnn.machine import Ceilings
    >>> roofs = Ceilings(1, 100.0, {1 << 15: 200.0, 1 << 26: 20.0}, {1 << 15: "L1", 1 << 26: "memory"})
    >>> ax = draw_roofline([("naive", 2e9, 3e6, 1.0), ("tiled", 2e9, 3e6, 0.03)], roofs)
    >>> ax.get_xlabel()
    'arithmetic intensity, FLOP per byte'
    """
    points = [_checked(p) for p in points]
    if not points:
        raise ValueError("A roofline needs at least one point: (label, flops, bytes, seconds).")
    roofs = [machine.ceilings()] if ceilings is None else [ceilings] if isinstance(ceilings, Ceilings) else [*ceilings]
    if ax is None:
        pyplot = need("matplotlib.pyplot", extra="plot")
        ax = pyplot.subplots(figsize=(8, 5), layout="constrained")[1]
    if title:
        ax.set_title(title)
    (_draw_logarithmic if all(p.flops for p in points) else _draw_bars)(ax, points, roofs)
    return ax


def _checked(point) -> Point:
    point = point if isinstance(point, Point) else Point(*point)
    for name, value in (("seconds", point.seconds), ("bytes", point.nbytes)):
        if not 0 < value < math.inf:
            raise ValueError(f"The point {point.label!r} of a roofline needs positive {name}, not {value!r}.")
    if not 0 <= point.flops < math.inf:
        raise ValueError(f"The point {point.label!r} of a roofline has {point.flops!r} flops.")
    return point


# ---------------------------------------------------------------------- under the roof

def _draw_logarithmic(ax, points: list[Point], roofs: list[Ceilings]) -> None:
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(*_across(points, roofs))
    ax.set_ylim(*_up(points, roofs))
    ax.set_xlabel("arithmetic intensity, FLOP per byte")
    ax.set_ylabel("GFLOP/s")
    ax.grid(True, which="major", color="0.92", linewidth=0.8)
    ax.set_axisbelow(True)
    ax.figure.canvas.figure.draw_without_rendering()  # lays out the axes, which slopes and labels depend on
    for n, (roof, line) in enumerate(zip(roofs, _LINES)):
        _draw_roof(ax, roof, line, named=n == 0)
    if len(roofs) > 1:
        _explain_lines(ax, roofs)
    for i, p in enumerate(points):
        ax.plot([p.intensity], [p.gflops], "o", color=f"C{i % 10}", markersize=7, markeredgecolor="white", zorder=5)
    _label(ax, points)


def _across(points: list[Point], roofs: list[Ceilings]) -> tuple[float, float]:
    """From left of the leftmost point and ridge to right of the rightmost."""
    ridges = [roof.peak / speed for roof in roofs for speed in roof.copy.values()]
    marks = [*ridges, *(p.intensity for p in points)]
    return min(marks) / 6, max(marks) * 4


def _up(points: list[Point], roofs: list[Ceilings]) -> tuple[float, float]:
    return min(p.gflops for p in points) / 3, max([r.peak for r in roofs] + [p.gflops for p in points]) * 2.5


def _draw_roof(ax, roof: Ceilings, line: str, named: bool) -> None:
    left, right = ax.get_xlim()
    ax.plot([roof.peak / max(roof.copy.values()), right], [roof.peak] * 2, line, color="0.25", linewidth=1.4, zorder=2)
    for speed in roof.copy.values():
        ax.plot([left, roof.peak / speed], [left * speed, roof.peak], line, color="0.55", linewidth=1.1, zorder=2)
    ax.annotate(f"peak {roof.peak:.0f} GFLOP/s", (right, roof.peak), (-4, 3), textcoords="offset points",
                ha="right", va="bottom", fontsize=8, color="0.25")
    if named:
        _name_slants(ax, roof)


def _name_slants(ax, roof: Ceilings) -> None:
    """Write along the slanted roofs where they come into the picture; names of near neighbours do not start alike."""
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    box = ax.get_window_extent()
    rise, run = box.height / math.log10(high / low), box.width / math.log10(right / left)  # pixels of a decade
    upper, shift = math.inf, 0.0
    for size in sorted(roof.copy, key=lambda size: -roof.copy[size]):
        speed = roof.copy[size]
        near = rise * math.log10(upper / speed) < 20
        start = max(left, low / speed) * 10 ** ((shift if near else 0.0) / run) * 1.04
        if start * speed > roof.peak / 2:
            continue
        text = ax.annotate(f"{roof.names[size]} {speed:.0f} GB/s", (start, start * speed),
                           (2, -2 if near else 2), textcoords="offset points", fontsize=8, color="0.4", zorder=3,
                           rotation=math.degrees(math.atan2(rise, run)), rotation_mode="anchor", ha="left",
                           va="top" if near else "bottom")
        upper, shift = speed, (shift if near else 0.0) + text.get_window_extent().width + 8


def _label(ax, points: list[Point]) -> None:
    """Labels beside their points; those of points that stand near one another make a column, with lines to them."""
    marks = [tuple(ax.transData.transform((p.intensity, p.gflops))) for p in points]
    frame, dpi = ax.get_window_extent(), ax.figure.dpi / 72
    for column in _columns(marks, 40 * dpi):
        texts = {i: ax.annotate(points[i].label, (points[i].intensity, points[i].gflops), (0, 0), fontsize=9, zorder=6,
                                textcoords="offset points", color=f"C{i % 10}", va="center") for i in column}
        width = max(t.get_window_extent().width for t in texts.values())
        edge = max(marks[i][0] for i in column) + 16 * dpi
        left = edge + width > frame.x1
        if left:
            edge = min(marks[i][0] for i in column) - 16 * dpi
        heights = _spread([marks[i][1] for i in column], 12.5 * dpi, frame.y0 + 8 * dpi, frame.y1 - 8 * dpi)
        for i, height in zip(column, heights):
            offset = (edge - marks[i][0]) / dpi, (height - marks[i][1]) / dpi
            texts[i].xyann = offset
            texts[i].set_horizontalalignment("right" if left else "left")
            texts[i].set_bbox(dict(facecolor="white", edgecolor="none", alpha=0.75, pad=0.5))
            ax.annotate("", (points[i].intensity, points[i].gflops), offset, textcoords="offset points", zorder=4,
                        arrowprops=dict(arrowstyle="-", color=f"C{i % 10}", linewidth=0.8, shrinkA=0, shrinkB=0))


def _columns(marks: list[tuple[float, float]], near: float) -> list[list[int]]:
    """The points in groups whose neighbours across are `near`, each from the lowest to the highest."""
    groups: list[list[int]] = []
    for i in sorted(range(len(marks)), key=lambda i: marks[i]):
        if groups and marks[i][0] - marks[groups[-1][-1]][0] <= near:
            groups[-1].append(i)
        else:
            groups.append([i])
    return [sorted(group, key=lambda i: marks[i][1]) for group in groups]


def _spread(heights: list[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending heights moved as little as needed to be `gap` apart, within [low, high] where they fit."""
    clusters: list[list[float]] = []  # [middle, count]: neighbours that must share their room
    for height in heights:
        clusters.append([height, 1])
        while True:
            middle, count = clusters[-1]
            half = gap * (count - 1) / 2
            clusters[-1][0] = middle = max(min(middle, high - half), low + half)
            if len(clusters) < 2 or middle - half - clusters[-2][0] - gap * (clusters[-2][1] - 1) / 2 >= gap:
                break
            below, many = clusters[-2]
            clusters[-2:] = [[(below * many + middle * count) / (many + count), many + count]]
    return [middle + gap * (k - (count - 1) / 2) for middle, count in clusters for k in range(count)]


def _explain_lines(ax, roofs: list[Ceilings]) -> None:
    """Which line belongs to how many threads, where there are several."""
    lines = need("matplotlib.lines", extra="plot")
    handles = []
    for roof, line in zip(roofs, _LINES):
        speeds = ", ".join(f"{roof.names[size]} {roof.copy[size]:.0f}" for size in sorted(roof.copy))
        threads = "1 thread" if roof.threads == 1 else f"{roof.threads} threads"
        handles.append(lines.Line2D([], [], linestyle=line, color="0.4", label=f"{threads}: {speeds} GB/s"))
    ax.legend(handles=handles, fontsize=8, loc="lower right")


# ---------------------------------------------------------------------- pure movement

def _draw_bars(ax, points: list[Point], roofs: list[Ceilings]) -> None:
    """GB/s of each point as a bar, the copy speeds of the memory levels as lines across."""
    places = range(len(points))
    ax.barh(places, [p.bandwidth for p in points], height=0.6, color=[f"C{i % 10}" for i in places], zorder=3)
    ax.set_yticks(places, [p.label for p in points])
    ax.invert_yaxis()
    for i, p in zip(places, points):
        ax.annotate(f"{p.bandwidth:.1f}", (p.bandwidth, i), (4, 0), textcoords="offset points", va="center", fontsize=9,
                    zorder=4, bbox=dict(facecolor="white", edgecolor="none", alpha=0.8, pad=1))
    ax.set_xlabel("GB/s, read and written")
    ax.set_xlim(0, 1.12 * max([p.bandwidth for p in points] + [s for r in roofs for s in r.copy.values()]))
    for roof, line in zip(roofs, _LINES):
        for speed in roof.copy.values():
            ax.axvline(speed, linestyle=line, color="0.55", linewidth=1.1, zorder=2)
    if len(roofs) > 1:
        _explain_lines(ax, roofs)
    # The names of the first lines stand above the frame, the title above them.
    for size, speed in roofs[0].copy.items():
        ax.annotate(f"{roofs[0].names[size]} copy", (speed, 1), (0, 4), xycoords=("data", "axes fraction"),
                    textcoords="offset points", rotation=45, rotation_mode="anchor", fontsize=8, color="0.4")
    ax.set_title(ax.get_title(), pad=44)
