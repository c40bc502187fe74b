"""What the benchmarks share: tables, JSON lines, what machine it was. Contenders take turns by `fastnn.race.timing`."""

from __future__ import annotations

import argparse
import json
import os
import re
from pathlib import Path

import numpy as np

import fastnn
from fastnn import machine


def parser(description: str) -> argparse.ArgumentParser:
    """With the options that all benchmarks have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", action="store_true", help="one JSON object per line instead of a table")
    return made


def load() -> float | None:
    """Processes that ran or wanted to in the last minute, on average, where the system says so."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


class Report:
    """Rows as they come: as a table with one heading, or as JSON lines.

    columns : name -> format of the value, for instance ``"8.2f"``; what has no column is in the JSON alone.
    """

    def __init__(self, benchmark: str, as_json: bool, columns: dict[str, str]):
        self.benchmark, self.as_json, self.columns = benchmark, as_json, columns
        self.rows: list[dict] = []
        info = machine.cpu_info()
        about = dict(cpu=info["model"], path=info["path"], cores=info["physical_cores"], fastnn=fastnn.__version__,
                     numpy=np.__version__, load=load())
        if as_json:
            print(json.dumps(dict(benchmark=benchmark, **about)), flush=True)
        else:
            print(f"{benchmark}: {about['cpu']}, {about['cores']} cores, path {about['path']}, "
                  f"fastnn {about['fastnn']}, NumPy {about['numpy']}")
            if about["load"] and about["load"] > 0.5:
                print(f"The machine was busy in the last minute (load {about['load']:.1f}): trust minima, not medians.")

    def add(self, **row) -> None:
        self.rows.append(row)
        if self.as_json:
            print(json.dumps(dict(benchmark=self.benchmark, **row)), flush=True)
            return
        if len(self.rows) == 1:
            print(" ".join(f"{name:>{self._width(name)}}" for name in self.columns))
        print(" ".join(self._cell(name, row.get(name)) for name in self.columns), flush=True)

    def say(self, text: str) -> None:
        """A sentence for people; JSON has the numbers already."""
        if not self.as_json:
            print(text, flush=True)

    def _width(self, name: str) -> int:
        width = self.columns[name].lstrip("<>").partition(".")[0]
        return max(len(name), int("".join(c for c in width if c.isdigit()) or 0))

    def _cell(self, name: str, value) -> str:
        kind = self.columns[name]
        text = "-" if value is None else value if isinstance(value, str) else format(value, kind)
        return f"{text:>{self._width(name)}}"


def into_page(page: Path, what: str, text: str, fenced: bool = True) -> None:
    """Put text between the page's two marks for it."""
    before = page.read_text()
    marked = re.compile(rf"(<!-- measured: {what} -->\n).*?(<!-- end -->)", re.DOTALL)
    if not marked.search(before):
        raise SystemExit(f"{page} has no place marked <!-- measured: {what} --> ... <!-- end -->.")
    block = f"```text\n{text.strip()}\n```\n" if fenced else f"\n{text.strip()}\n\n"
    page.write_text(marked.sub(lambda found: found[1] + block + found[2], before))
