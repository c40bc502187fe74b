"""Climb the ladders: every rung of a kernel checked against the first, then timed; `make ladders` runs this.

    python benchmarks/ladders/run.py                              # all ladders, at their own sizes
    python benchmarks/ladders/run.py adam --sizes 64k 4M          # one of them, elsewhere
    python benchmarks/ladders/run.py gemm --sizes 256x256x256 --picture pictures --json
    python benchmarks/ladders/run.py adam --assembly "C, fused"   # the inner loop that your compiler made
    python benchmarks/ladders/run.py adam --docs docs/kernels     # put what is measured into the ladder's page

Errors are in eps of float32 (2^-23) times the largest magnitude of the output. `peak` is the share of this machine's
measured float32 peak, `copy` the share of the speed of a plain copy within the same working set, both on as many
threads. A name with ~ was timed at a smaller size, and its time multiplied by the work. NumPy's BLAS has one thread
here, unless OPENBLAS_NUM_THREADS or its like says otherwise.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when NumPy is imported

BENCHMARKS = str(Path(__file__).resolve().parents[1])
if BENCHMARKS not in sys.path:
    sys.path.insert(0, BENCHMARKS)

import common

from fastnn import machine
from ladders import LADDERS, build
from ladders.assembly import inner_loop
from ladders.ladder import COLUMNS, Ladder, parse_size, show_size


def load(name: str) -> Ladder:
    """The ladder of a module of this folder."""
    return importlib.import_module(f"ladders.{name}").LADDER


def available() -> list[str]:
    """The ladders that stand in this folder."""
    return [n for n in LADDERS if (Path(__file__).parent / f"{n}.py").exists()]


def draw(folder: Path, name: str, rows: list[dict], threads: int) -> Path:
    """The rungs under this machine's roofline, as an SVG file in `folder`."""
    from fastnn.extras import need
    from fastnn.roofline import draw_roofline

    need("matplotlib", extra="plot").use("Agg")
    pyplot = need("matplotlib.pyplot", extra="plot")
    points = [(row["rung"], row["flops"], row["bytes"], row["us"] / 1e6) for row in rows]
    roofs = [machine.ceilings(t) for t in sorted({1, threads})]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    with pyplot.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        ax = draw_roofline(points, roofs, title=f"{name.replace('-', ' ')} on {machine.cpu_info()['model']}")
        ax.figure.savefig(path, metadata={"Date": None})
        pyplot.close(ax.figure)
    return path


def markdown(ladder: Ladder, tables: dict[str, list[dict]]) -> str:
    """One table for a page: rungs down, sizes across; in each cell the time and the share of the roofline.

    That share is the larger of `peak` and `copy`. ~ as above; - stands for a rung that could not run.
    """
    lines = [["rung", "what it adds", *tables], ["---", "---", *["--:"] * len(tables)]]
    for rung in ladder.rungs:
        found = [next((r for r in rows if r["rung"].removesuffix(" ~") == rung.name), None) for rows in tables.values()]
        lines.append([rung.name, rung.idea, *("-" if row is None else _cell(row) for row in found)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(row: dict) -> str:
    us, share = row["us"], max(row["peak"], row["copy"])
    unit, scale = next((u, s) for u, s in (("s", 1e6), ("ms", 1e3), ("µs", 1), ("ns", 1e-3)) if us >= s or u == "ns")
    scaled = " ~" if row["rung"].endswith(" ~") else ""
    percent = format(100 * share, ".0f" if share >= 0.1 else ".2g")
    return f"{us / scale:.3g} {unit}{scaled}, {percent} %"


def climb(ladder: Ladder, size, args, picture: str | None = None, tables: dict[str, list[dict]] | None = None) -> bool:
    """Measure, print and draw one ladder at one size; whether all rungs were right. `tables` gets the rows."""
    report = common.Report(f"{ladder.name} {show_size(size)}", args.json, COLUMNS)
    rows, remarks = ladder.measure(size, args.threads, args.seconds)
    if tables is not None:
        tables[show_size(size)] = rows
    for row in rows:
        report.add(**row)
    for text in remarks:
        report.say(text)
    if picture:
        path = draw(args.picture, picture, rows, args.threads)
        if not args.docs:
            report.say(f"Picture: {path}")
    report.say("")
    return not any(" is wrong " in text for text in remarks)


def lesson(name: str) -> str:
    """The further measurements of a ladder's page."""
    function = getattr(sys.modules[f"ladders.{name}"], "lesson", None)
    return function() if function else f"{name} has no lesson."


def disassemble(ladder: Ladder, name: str) -> str:
    """The inner loop of one rung; a sentence if there is none."""
    for rung in ladder.rungs:
        if rung.name == name:
            try:
                return inner_loop(rung)
            except build.Missing as why:
                raise SystemExit(f"No assembly: {why}.") from None
    raise SystemExit(f"{ladder.name} has no rung {name!r}; in C are "
                     f"{', '.join(repr(r.name) for r in ladder.rungs if r.binary)}.")


def document(name: str, args) -> bool:
    """Measure a ladder and write its tables and its picture (of the middle size) into its page.

    A ladder whose module names another's page in PAGE puts its name before its marks there, and draws nothing. A page
    has a place for a `summary` (one table over all sizes), for the `table` of each size with all columns, or for both.
    """
    ladder, module = load(name), sys.modules[f"ladders.{name}"]
    args.picture, owner = args.docs / "img", getattr(module, "PAGE", name)
    page, prefix = args.docs / f"{owner}.md", "" if owner == name else f"{name} "
    printed, right, tables = io.StringIO(), True, {}
    for size in ladder.sizes:
        picture = name if owner == name and size == ladder.sizes[len(ladder.sizes) // 2] else None
        with contextlib.redirect_stdout(printed):
            right &= climb(ladder, size, args, picture, tables)
    text = page.read_text()
    summary = f"{prefix}summary"
    if f"<!-- measured: {summary} -->" in text:
        common.into_page(page, summary, markdown(ladder, tables), fenced=False)
    if f"<!-- measured: {prefix}table -->" in text or f"<!-- measured: {summary} -->" not in text:
        common.into_page(page, f"{prefix}table", printed.getvalue())
    if hasattr(module, "lesson"):
        common.into_page(page, f"{prefix}lesson", lesson(name))
    print(printed.getvalue())
    return right


def main(argv=None) -> int:
    p = common.parser(__doc__)
    p.add_argument("ladders", nargs="*", metavar="ladder", help=f"of {', '.join(available())}; all by default")
    p.add_argument("--sizes", nargs="+", type=parse_size, metavar="N", help="such as 64k, 8192x64; the ladder's own "
                   "by default")
    p.add_argument("--threads", type=int, default=machine.physical_cores(), help="of the threaded rungs; all cores by "
                   "default")
    p.add_argument("--seconds", type=float, default=0.5, help="for each rung")
    p.add_argument("--picture", type=Path, metavar="FOLDER", help="draw the roofline of each ladder and size there")
    p.add_argument("--lesson", action="store_true", help="instead, the further measurements of a ladder's page")
    p.add_argument("--assembly", metavar="RUNG", help="instead, the inner loop of this rung in C, as compiled here")
    p.add_argument("--docs", type=Path, metavar="FOLDER", help="instead, write tables and pictures into its pages")
    args = p.parse_args(argv)
    unknown = set(args.ladders) - set(available())
    if unknown:
        p.error(f"there is no ladder {sorted(unknown)[0]!r}; there are {', '.join(available())}")
    right = True
    for name in args.ladders or available():
        ladder = load(name)
        if args.docs:
            right &= document(name, args)
        elif args.assembly:
            print(disassemble(ladder, args.assembly))
        elif args.lesson:
            print(lesson(name), end="\n\n")
        else:
            for size in args.sizes or ladder.sizes:
                right &= climb(ladder, size, args, f"{name}-{show_size(size)}" if args.picture else None)
    return int(not right)


if __name__ == "__main__":
    sys.exit(main())
