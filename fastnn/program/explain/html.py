"""Programs, plans and ceilings as HTML for notebooks: plain tables with inline styles, no scripts, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from .numbers import duration, percent, plural, size
from .text import advice_lines, heading, path_lines, rows

if TYPE_CHECKING:
    from ...machine import Ceilings
    from ...models.plan import Plan
    from .record import Report

#: one hue for each verdict; text stays readable on light and dark pages, since only a bar is coloured
COLOURS = {"arithmetic": "#3b7dd8", "L1": "#2a9d8f", "L2": "#6a994e", "L3": "#e9a03b", "memory": "#d1495b",
           "latency": "#8d8d8d"}
CELL = "padding:1px 8px;white-space:nowrap;"
LEFT = {"kernel", "buffers", "verdict", "memory", "kind", "planned", ""}


def html_table(heads: Sequence[str], body: Iterable[Sequence[str]],
               bars: Sequence[tuple[float, str] | None] = ()) -> str:
    """A table whose cells are text (escaped here); `bars` are (share of the width, colour) drawn behind rows."""
    def cell(tag: str, head: str, text: str, style: str = "") -> str:
        align = "left" if head in LEFT else "right"
        return f'<{tag} style="{CELL}text-align:{align};{style}">{escape(text)}</{tag}>'

    lines = ['<table style="border-collapse:collapse;font-family:monospace;font-size:12px;">',
             "<thead><tr>" + "".join(cell("th", h, h) for h in heads) + "</tr></thead>", "<tbody>"]
    for i, row in enumerate(body):
        bar = bars[i] if i < len(bars) else None
        style = ""
        if bar:
            share = 100 * min(max(bar[0], 0.0), 1.0)
            style = (f"background:linear-gradient(to right,{bar[1]}55 {share:.1f}%,transparent {share:.1f}%);"
                     "background-repeat:no-repeat;")
        lines.append(f'<tr style="{style}">' + "".join(cell("td", h, t) for h, t in zip(heads, row)) + "</tr>")
    return "\n".join([*lines, "</tbody></table>"])


def paragraphs(lines: Iterable[str]) -> str:
    """Sentences, one below the other."""
    return "\n".join(f'<div style="font-size:13px;margin:2px 0;">{escape(line)}</div>' for line in lines)


def report_html(found: Report) -> str:
    """A `Report` as HTML: the table with a bar for each call's share of the time, then what follows from it."""
    heads, *body, last = rows(found)
    times = [c.seconds if c.seconds is not None else c.predicted or 0.0 for c in found.calls]
    whole = max(times, default=0.0) or 1.0
    bars = [(t / whole, COLOURS.get(c.verdict, "#8d8d8d")) if t else None for t, c in zip(times, found.calls)]
    parts = [f'<div style="font-weight:bold;margin:4px 0;">{escape(heading(found))}</div>',
             html_table(heads, [*body, last], bars), legend(found), memory_html(found)]
    if found.levels and found.step is not None:
        parts += [paragraphs(path_lines(found)), levels_html(found)]
    if found.step is not None or found.advice:
        parts.append(paragraphs(advice_lines(found)))
    return '<div class="fastnn-report">' + "\n".join(p for p in parts if p) + "</div>"


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


def ceilings_html(roof: Ceilings) -> str:
    """The ceilings of a machine as a table."""
    body = [("multiply-adds in registers", f"{roof.peak:.0f} GFLOP/s", "")]
    body += [(f"copy in {roof.names[n]}", f"{roof.copy[n]:.0f} GB/s", size(n)) for n in sorted(roof.copy)]
    title = plural(roof.threads, "thread")
    return (f'<div class="fastnn-ceilings"><div style="font-weight:bold;margin:4px 0;">{escape(title)}</div>'
            + html_table(("", "measured", "working set"), body) + "</div>")


def plan_html(plan: Plan) -> str:
    """A plan as a table."""
    title = f'<div style="font-weight:bold;margin:4px 0;">{escape(plan.heading)}</div>'
    return f'<div class="fastnn-plan">{title}\n' + html_table(("", "planned"), plan.lines()) + "</div>"


__all__ = ["ceilings_html", "html_table", "paragraphs", "plan_html", "report_html"]
