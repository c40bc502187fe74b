"""What the thread team costs, and what it does when another process wants a core.

    python benchmarks/team.py            # calls, meetings, wakes
    python benchmarks/team.py --burn     # a 300 us step beside a process that burns a core

Kernels are empty or a chain of integer multiplications of known length, so that all else is the executor's. Both
sides of each comparison run in turns; "best" is the shortest time, "median" the one to expect.
"""

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time

import numpy as np
from fastnn.kernels.native.machine import KERNELS

from fastnn.kernels.native import core

FOREVER = 1e12


def steps_of(levels: int, tiles: int, work: int, cost: float):
    """A program of `levels` levels of `tiles` tiles with `work` dependent multiplications each, and its array."""
    x = np.ones((levels + 1, tiles), np.uint64)
    calls = [(KERNELS["probe_mix"], [x[i + 1].ctypes.data, x[i].ctypes.data, 0], [tiles, work], [], tiles, 1, i, 0,
              cost, None) for i in range(levels)]
    return core.Executor(calls), x


def empty(levels: int):
    return core.Executor([(KERNELS["probe_nothing"], [], [], [], 1, 1, i, 0, 0.0, None) for i in range(levels)])


def times(program, threads: int, steps: int, repeats: int, gap: float = 0.0) -> list[float]:
    """Seconds per step of `repeats` runs, each at least `gap` after the one before."""
    result = []
    for _ in range(repeats):
        start = time.perf_counter() + gap
        while time.perf_counter() < start:
            pass
        start = time.perf_counter()
        program.run(steps, [], [], threads, FOREVER)
        result.append((time.perf_counter() - start) / steps)
    return result


def multiplications_per_us() -> float:
    program, _x = steps_of(1, 1, 100_000, 1.0)
    return 100_000 / (min(times(program, 1, 1, 50)) * 1e6)


def costs() -> None:
    rate = multiplications_per_us()
    print(f"a run from Python, one empty call: {min(times(empty(1), 1, 1, 3000)) * 1e9:.0f} ns")
    print(f"one more empty call in a program:  {min(times(empty(100), 1, 1000, 50)) * 1e7:.1f} ns")
    print("\nmeeting of two threads: level of n tiles, one after another")
    for tiles, us in ((2, 1), (2, 5), (4, 1), (8, 1), (16, 0.5)):
        program, _x = steps_of(20, tiles, int(us * rate), 1e-3)
        one, two = [], []
        for _ in range(10):
            one += times(program, 1, 10, 20)
            two += times(program, 2, 10, 60)
        one, best, median = min(one) / 20e-6, min(two) / 20e-6, statistics.median(two) / 20e-6
        print(f"{tiles:4d} tiles of {us} us: 1 thread {one:.2f} us, 2 threads best {best:.2f}, median {median:.2f}; "
              f"best is half and {best - one / 2:.2f} us")
    print("\none step per run, from Python: seldom (workers sleep) and every 15 us (workers spin)")
    for us in (5, 10, 20, 40, 80, 160):
        program, _x = steps_of(1, 20, int(us / 20 * rate), us * 1e-6)
        line = f"{us:4d} us:"
        for name, gap in (("seldom", 1e-3), ("often", 15e-6)):
            one = statistics.median(times(program, 1, 1, 400, gap)) * 1e6
            two = statistics.median(times(program, 2, 1, 400, gap)) * 1e6
            line += f"   {name}: 1 thread {one:.1f}, 2 threads {two:.1f}"
        print(line)


def burner(cpu: int | None) -> subprocess.Popen:
    """A process that burns a core for at most 20 seconds."""
    code = "import time\nend = time.time() + 20\nwhile time.time() < end:\n  for _ in range(100000): pass"
    pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
    return subprocess.Popen([*pin, sys.executable, "-c", code])


def burn() -> None:
    program, _x = steps_of(15, 64, int(300 / 15 / 64 * multiplications_per_us()), 20e-6)
    cases = [("nobody", ()), ("any core", (None,))]
    if shutil.which("taskset"):
        cases[1:1] = [(f"core {c}", (c,)) for c in sorted(os.sched_getaffinity(0))[:2]]
    for name, cpus in cases:
        others = [burner(c) for c in cpus]
        try:
            time.sleep(0.5)
            before = core.team_counts()
            one, two = [], []
            for _ in range(30):
                one.append(statistics.mean(times(program, 1, 16, 16)))
                two.append(statistics.mean(times(program, 2, 16, 16)))
            counts = {k: v - before[k] for k, v in core.team_counts().items()}
            one, two = statistics.mean(one) * 1e6, statistics.mean(two) * 1e6
            print(f"burning {name}: mean step with 1 thread {one:.0f} us, with 2 threads {two:.0f} us, "
                  f"ratio {two / one:.2f}; {counts}")
        finally:
            for p in others:
                p.send_signal(signal.SIGTERM)
                p.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--burn", action="store_true", help="measure beside a process that burns a core")
    burn() if parser.parse_args().burn else costs()
