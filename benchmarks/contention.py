"""What a training step costs while another process burns one of the cores.

    python benchmarks/contention.py [--batch 32] [--seconds 1] [--json]

A batch-normalised network (784-300-100-10, as `make demo` trains) on one thread and on all cores, in turns: alone, then
beside a process that burns whatever core the system gives it, then one that is pinned to each core. `ratio` is the
time of a step over that of a step on one thread with nobody else there. Team threads that only spin would end at 4 and
more; the goal is at most 1.4. It needs a machine on which nobody else is at work: with a core busy already, a burner
takes the other one and everybody has half. Burners end by themselves after a while, whatever happens here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
from common import Report, parser

import fastnn
from fastnn import demo, machine
from fastnn.race.timing import minimum_and_median

GOAL = 1.4
STEPS = 16  # of one run, some milliseconds: `fit` makes such runs too, of up to 50 ms
BURN = """
import os, sys, time
if len(sys.argv) > 3:
    os.sched_setaffinity(0, {int(sys.argv[3])})
end, parent = time.monotonic() + float(sys.argv[1]), int(sys.argv[2])
while time.monotonic() < end and os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


class Burner:
    """A process that burns a core inside a ``with`` block; it ends by itself after `limit` seconds or without us."""

    def __init__(self, cpu: int | None, limit: float):
        self.arguments = [str(limit), str(os.getpid()), *([] if cpu is None else [str(cpu)])]

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, "-c", BURN, *self.arguments])
        time.sleep(0.3)
        return self

    def __exit__(self, *_):
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        if not alive:
            print("The burner had ended before the measurement did: raise --limit.", file=sys.stderr)


def program_of(batch: int):
    """The training step of the network over random images, and its indices for STEPS steps."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2000, 28, 28)).astype(np.uint8)
    y = rng.integers(0, 10, 2000).astype(np.int32)
    fastnn.utils.set_random_seed(0)
    program = demo.network((28, 28)).training_program(x, y, batch)
    return program, {"index": rng.integers(0, 2000, (STEPS, batch))}


def measure(program, index, counts: list[int], seconds: float) -> dict[int, list[float]]:
    """Seconds per step for each number of threads, in turns of a few runs each."""
    times = {n: [] for n in counts}
    end = time.perf_counter() + seconds * len(counts)
    while time.perf_counter() < end or len(times[counts[-1]]) < 10:
        for n in counts:
            fastnn.set_num_threads(n)
            for _ in range(5):
                start, done = time.perf_counter(), 0
                while done < STEPS:
                    done += program.run(STEPS - done, index, offset=done)
                times[n].append((time.perf_counter() - start) / STEPS)
    fastnn.set_num_threads(None)
    return times


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--seconds", type=float, default=1.0, help="for each number of threads beside each burner")
    p.add_argument("--limit", type=float, default=60.0, help="seconds after which a burner ends by itself")
    args = p.parse_args(argv)
    counts = sorted({1, max(2, machine.physical_cores())})
    burners: list[tuple[str, int | None] | None] = [None, ("any core", None)]
    if hasattr(os, "sched_setaffinity"):
        burners += [(f"core {cpu}", cpu) for cpu in sorted(os.sched_getaffinity(0))]
    program, index = program_of(args.batch)
    report = Report("contention", args.json, {"burner": "10s", "threads": "d", "us": "8.1f", "mean": "8.1f",
                                              "median": "8.1f", "worst": "8.1f", "ratio": "5.2f"})
    alone = 0.0
    for burner in burners:
        if burner is None:
            times = measure(program, index, counts, args.seconds)
            alone = float(np.mean(times[1]))
        else:
            with Burner(burner[1], args.limit):
                times = measure(program, index, counts, args.seconds)
        for n in counts:
            best, median = minimum_and_median(times[n])
            mean = float(np.mean(times[n]))
            report.add(burner=burner[0] if burner else "nobody", threads=n, us=best * 1e6, mean=mean * 1e6,
                       median=median * 1e6, worst=max(times[n]) * 1e6, ratio=mean / alone)
    worst = max(r["ratio"] for r in report.rows if r["threads"] > 1 and r["burner"] != "nobody")
    report.say(f"worst ratio of {counts[-1]} threads beside a burner: {worst:.2f} (goal: at most {GOAL}); means, "
               "since a few long waits matter too")


if __name__ == "__main__":
    main()
