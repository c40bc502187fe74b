"""Kernels that move more than they compute: how near to a plain copy are they, and how far from NumPy?

    python benchmarks/kernels.py [adam sgd ...] [--sizes 16k 256k 4M 32M] [--threads 1 2] [--seconds 0.3] [--json]

For each kernel and size, the error against the float64 meaning comes first, then the times. Kernel, copy and NumPy
take turns in one process. `copy` is the share of the speed of a plain copy with the same working set and threads
(bytes that must be read and written, over time). An update in place can pass 100 % beyond the caches: it writes lines
that it has read, where a copy must first fetch those that it overwrites. `x numpy` is how many times faster than the
same lines in NumPy as one writes them by hand (`fastnn/race/by_hand.py`), on one thread. `fastnn race` shows the same
for any kernel, with all contenders and CPU paths.
"""

from __future__ import annotations

from common import Report, parser

import fastnn
from fastnn import machine
from fastnn.race.entries import entry
from fastnn.race.sizes import count, short

SIZES = ("16k", "256k", "4M", "32M")
KERNELS = ("adam", "sgd", "momentum", "rmsprop", "batch_norm", "batch_norm_grad", "dropout", "clip")
COLUMNS = 512  # of batch normalisation


def measure(name: str, n: int, threads: list[int], seconds: float):
    """One row for each number of threads."""
    columns = {"columns": COLUMNS} if "columns" in entry(name).size else {}
    path = machine.cpu_info()["path"]
    rows = fastnn.race(name, [n], threads=threads, backends=["numpy", "native"], paths=[path], seconds=seconds,
                       **columns).rows
    by_hand = next(row.minimum for row in rows if row.backend == "numpy")
    for row in rows:
        if row.backend == "native":
            yield {"kernel": name, "elements": short(n), "MiB": row.working_set / 2**20, "threads": row.threads,
                   "error": row.agreement.ulps, "us": row.minimum * 1e6, "median": row.median * 1e6,
                   "GB/s": row.bandwidth, "copy GB/s": row.copy, "copy": row.of_copy, "numpy us": by_hand * 1e6,
                   "x numpy": by_hand / row.minimum}


COLUMN_FORMATS = {"kernel": "15s", "elements": "5s", "MiB": "7.2f", "threads": "d", "error": "5.1f", "us": "9.1f",
                  "median": "9.1f", "GB/s": "6.1f", "copy GB/s": "6.1f", "copy": "5.0%", "numpy us": "9.1f",
                  "x numpy": "6.1f"}


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("kernels", nargs="*", help=f"{', '.join(KERNELS)} by default")
    p.add_argument("--sizes", nargs="+", default=SIZES, metavar="N", help="elements, also as 16k or 4M")
    p.add_argument("--threads", nargs="+", type=int, help="1 and all cores by default")
    p.add_argument("--seconds", type=float, default=0.3, help="for each contender")
    args = p.parse_args(argv)
    threads = args.threads or sorted({1, machine.physical_cores()})
    report = Report("kernels", args.json, COLUMN_FORMATS)
    for name in args.kernels or KERNELS:
        for size in args.sizes:
            for row in measure(name, count(size), threads, args.seconds):
                report.add(**row)


if __name__ == "__main__":
    main()
