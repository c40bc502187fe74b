"""Programs for people: a table of the calls with cost, time and verdict, a report as text and HTML, a picture.

`report` gathers what there is to say as data; `text`, `html` and `picture` show it.
"""

from __future__ import annotations

from .memory import memory_map
from .names import Names
from .picture import draw_buffers
from .record import CallRecord, Report, report
from .text import table

__all__ = ["CallRecord", "Names", "Report", "draw_buffers", "memory_map", "report", "table"]
