"""Tables and sentences as HTML for notebooks: inline styles, no scripts, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

CELL = "padding:1px 8px;white-space:nowrap;"
LEFT = {"kernel", "buffers", "verdict", "memory", "kind", "planned", ""}


def titled(kind: str, title: str, *parts: str) -> str:
    """Parts of HTML under a title, in an element of the class ``fastnn-<kind>``."""
    head = f'<div style="font-weight:bold;margin:4px 0;">{escape(title)}</div>'
    return f'<div class="fastnn-{kind}">' + "\n".join([head, *filter(None, parts)]) + "</div>"


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
