"""Programs as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...present.html import html_table, paragraphs, titled
from ...present.numbers import duration, percent, size
from .text import advice_lines, heading, path_lines, rows

if TYPE_CHECKING:
    from .record import Report

#: one hue for each verdict; text stays readable on light and dark pages, since only a bar is coloured
COLOURS = {"arithmetic": "#3b7dd8", "L1": "#2a9d8f", "L2": "#6a994e", "L3": "#e9a03b", "memory": "#d1495b",
           "latency": "#8d8d8d"}


def report_html(found: Report) -> str:
    """A `Report` as HTML: the table with a bar for each call's share of the time, then what follows from it."""
    heads, *body, last = rows(found)
    times = [c.seconds if c.seconds is not None else c.predicted or 0.0 for c in found.calls]
    whole = max(times, default=0.0) or 1.0
    bars = [(t / whole, COLOURS.get(c.verdict, "#8d8d8d")) if t else None for t, c in zip(times, found.calls)]
    parts = [html_table(heads, [*body, last], bars), legend(found), memory_html(found)]
    if found.levels and found.step is not None:
        parts += [paragraphs(path_lines(found)), levels_html(found)]
    if found.step is not None or found.advice:
        parts.append(paragraphs(advice_lines(found)))
    return titled("report", heading(found), *parts)


def legend(found: Report) -> str:
    """What the colours of the bars mean."""
    used = [v for v in COLOURS if any(c.verdict == v for c in found.calls)]
    if not used:
        return ""
    marks = " ".join(f'<span style="background:{COLOURS[v]}55;padding:0 6px;">{v}</span>' for v in used)
    return f'<div style="font-size:12px;margin:4px 0;">bars: share of the slowest call\'s time; bound by {marks}</div>'


def memory_html(found: Report) -> str:
    """The memory map as a table."""
    body = [(p.name, p.kind + (" (of the workspace)" if p.inside else ""), size(p.nbytes)) for p in found.memory]
    return html_table(("memory", "kind", "bytes"), body)


def levels_html(found: Report) -> str:
    """The critical path, level by level, folded away until it is asked for."""
    whole = sum(level.seconds for level in found.levels) or 1.0
    body = [(str(level.number), str(len(level.calls)), found.calls[level.longest].kernel, duration(level.work),
             duration(level.seconds), percent(level.seconds / whole), "all" if level.shared else "1")
            for level in found.levels]
    longest = max((level.seconds for level in found.levels), default=1.0)
    bars = [(level.seconds / longest, COLOURS["arithmetic"]) for level in found.levels]
    heads = ("level", "calls", "kernel", "one thread", "here", "share", "threads")
    return f"<details><summary>levels</summary>\n{html_table(heads, body, bars)}\n</details>"


__all__ = ["report_html"]
