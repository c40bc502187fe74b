"""Do the experiments of the pages on training, and write their tables and pictures into the pages.

    python benchmarks/lessons/run.py                              # show the tables of all pages
    python benchmarks/lessons/run.py initialisers                 # of one
    python benchmarks/lessons/run.py initialisers --docs docs     # write table and picture into docs/initialisers.md

Needs matplotlib, and for `regularisation` and `transfer` the images of Fashion-MNIST (`fastnn.datasets`).
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

BENCHMARKS = str(Path(__file__).resolve().parents[1])
if BENCHMARKS not in sys.path:
    sys.path.insert(0, BENCHMARKS)

import common

from fastnn.extras import need
from lessons import LESSONS


def main(argv=None) -> int:
    p = common.parser(__doc__)
    p.add_argument("lessons", nargs="*", metavar="lesson", help=f"of {', '.join(LESSONS)}; all by default")
    p.add_argument("--docs", type=Path, metavar="FOLDER", help="write tables and pictures into its pages")
    args = p.parse_args(argv)
    unknown = set(args.lessons) - set(LESSONS)
    if unknown:
        p.error(f"there is no lesson {sorted(unknown)[0]!r}; there are {', '.join(LESSONS)}")
    matplotlib = need("matplotlib", extra="plot")
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "fastnn", "figure.constrained_layout.use": True, "font.size": 8})
    for name in args.lessons or LESSONS:
        table, figure = importlib.import_module(f"lessons.{name}").experiment()
        print(f"{name}\n\n{table}\n")
        if args.docs:
            common.into_page(args.docs / f"{name}.md", "table", table, fenced=False)
            (args.docs / "img").mkdir(exist_ok=True)
            figure.savefig(args.docs / "img" / f"{name}.svg", metadata={"Date": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
