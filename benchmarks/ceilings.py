"""Are the ceilings of the roofline right? The same two numbers measured by others' code, side by side.

    taskset -c 0 python benchmarks/ceilings.py [--threads 1] [--seconds 2] [--json]

The peak is held against the fastest of NumPy's and PyTorch's matrix products (of 256, 384 and 2048 squared; the small
ones fit between two turns of other processes on a busy core), the copies within L3 and
beyond all caches against NumPy's and PyTorch's copy of arrays of the same size. All take turns in one process, so that
other load on the machine meets all alike, and the best turn of each counts. NumPy copies on one thread only, so with
more it is left out. `off` is how far the ceiling lies above (+) or below (-) the best of the others; 15 % either way
is the goal. A product reaches some 90 % of what registers alone can do, so the peak is expected to lie above.
The C library behind NumPy and PyTorch spares some of the lines that a plain copy fetches before it overwrites them, and
a streaming copy spares all: theirs lie between ours.
PyTorch is left out where it is not installed.
"""

from __future__ import annotations

import itertools
import os
import sys

_threads = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv else "1"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, _threads)

import time
from collections.abc import Callable

import numpy as np
from common import Report, parser

from fastnn import machine

SIDES = (256, 384, 2048)  # of the matrices
LARGE, PIECES = 32 << 20, 4  # bytes beyond which a copy is timed in so many pieces: shorter turns


def torch_with(threads: int):
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(threads)
    return torch


def least(contenders: dict[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """The shortest time of each; they take turns of a few repetitions."""
    best = {name: float("inf") for name in contenders}
    for run in contenders.values():
        run()
    end = time.perf_counter() + seconds * len(contenders)
    while time.perf_counter() < end:
        for name, run in contenders.items():
            for _ in range(3):
                start = time.perf_counter()
                run()
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def peak(threads: int, seconds: float, torch) -> dict:
    """The row of the peak."""
    found: dict[str, float] = {}
    for side in SIDES:
        a, out = np.full((side, side), 0.5, np.float32), np.empty((side, side), np.float32)
        contenders: dict[str, Callable[[], object]] = {"numpy": lambda a=a, out=out: np.matmul(a, a, out=out)}
        if torch:
            x, y = torch.from_numpy(a), torch.empty(side, side)
            contenders["torch"] = lambda x=x, y=y: torch.mm(x, x, out=y)
        for name, t in least(contenders, seconds).items():
            found[name] = max(found.get(name, 0.0), 2e-9 * side**3 / t)
    return dict(ceiling="peak, GFLOP/s", fastnn=machine.measure_peak(threads), **found)


def in_turn(functions: list[Callable[[], object]]) -> Callable[[], object]:
    """A function that calls the next of these each time."""
    turn = itertools.cycle(functions)
    return lambda: next(turn)()


def copy(name: str, nbytes: int, threads: int, seconds: float, torch, stream: bool = False) -> dict:
    """The row of a copy whose source and destination take `nbytes` together."""
    x, z = machine.copy_memory(nbytes // 8)
    y = np.zeros(x.size, np.float32)
    part = x.size // (PIECES if nbytes > LARGE else 1) // 16 * 16
    parts = [slice(i, i + part) for i in range(0, x.size - part + 1, part)]
    contenders = {"fastnn": in_turn([machine.copy_probe(x[p], z[p], threads, stream=stream) for p in parts])}
    if threads == 1:
        contenders["numpy"] = in_turn([lambda p=p: np.copyto(y[p], x[p]) for p in parts])
    if torch:
        source, target = torch.from_numpy(x), torch.from_numpy(y)
        contenders["torch"] = in_turn([lambda p=p: target[p].copy_(source[p]) for p in parts])
    found = {who: 8 * part / t / 1e9 for who, t in least(contenders, seconds).items()}
    told = (machine.measure_stream if stream else machine.measure_copy)(nbytes, threads)
    return dict(ceiling=f"{'streaming ' * stream}copy in {name}, GB/s", MiB=nbytes / 2**20, told=told, **found)


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seconds", type=float, default=2.0, help="for each contender")
    args = p.parse_args(argv)
    torch = torch_with(args.threads)
    report = Report("ceilings", args.json, {"ceiling": "30s", "MiB": "6.0f", "told": "7.1f", "fastnn": "7.1f",
                                            "numpy": "7.1f", "torch": "7.1f", "off": "+5.0%"})
    row = peak(args.threads, args.seconds, torch)
    rows = [dict(row, told=row["fastnn"])]
    roof = machine.ceilings(args.threads)
    rows += [copy(roof.names[size], size, args.threads, args.seconds, torch) for size in sorted(roof.copy)
             if roof.names[size] in ("L3", "memory")]
    rows.append(copy("memory", max(roof.copy), args.threads, args.seconds, torch, stream=True))
    for row in rows:
        others = max(row[who] for who in ("numpy", "torch") if who in row) if len(row) > 3 else None
        report.add(**row, off=None if others is None else row["told"] / others - 1)
    report.say("told: what fastnn.machine says; fastnn: the same copy in turns with the others")


if __name__ == "__main__":
    main()
