"""Climb the ladders: every rung of a kernel checked against the first, then timed; `make ladders` runs this.

    python benchmarks/ladders/run.py                              # all ladders, at their own sizes
    python benchmarks/ladders/run.py adam --sizes 64k 4M          # one of them, elsewhere
    python benchmarks/ladders/run.py gemm --sizes 256x256x256 --picture pictures --json

Errors are in eps of float32 (2^-23) times the largest magnitude of the output. `peak` is the share of this machine's
measured float32 peak, `copy` the share of the speed of a plain copy within the same working set, both on as many
threads. A name with ~ was timed at a smaller size, and its time multiplied by the work.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).resolve().parents[1])
if BENCHMARKS not in sys.path:
    sys.path.insert(0, BENCHMARKS)

import common

from fastnn import machine
from ladders import LADDERS
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
    args = p.parse_args(argv)
    unknown = set(args.ladders) - set(available())
    if unknown:
        p.error(f"there is no ladder {sorted(unknown)[0]!r}; there are {', '.join(available())}")
    failed = False
    for name in args.ladders or available():
        ladder = load(name)
        if args.lesson:
            lesson = getattr(sys.modules[f"ladders.{name}"], "lesson", None)
            print(lesson() if lesson else f"{name} has no lesson.", end="\n\n")
            continue
        for size in args.sizes or ladder.sizes:
            report = common.Report(f"{name} {show_size(size)}", args.json, COLUMNS)
            rows, remarks = ladder.measure(size, args.threads, args.seconds)
            for row in rows:
                report.add(**row)
            for text in remarks:
                report.say(text)
            failed |= any(" is wrong " in text for text in remarks)
            if args.picture:
                report.say(f"Picture: {draw(args.picture, f'{name}-{show_size(size)}', rows, args.threads)}")
            report.say("")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
