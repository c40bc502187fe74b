"""Times of contenders that take turns, and what is fair to them: aligned memory, cold caches."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Mapping

import numpy as np

from ..machine import cache_sizes

TURN = 2e-3  #: seconds of one turn in a race


def take_turns(contenders: Mapping[Hashable, Callable[[int], object]], seconds: float,
               before: Callable[[], object] | None = None,
               clock: Callable[[], float] = time.perf_counter) -> dict[Hashable, list[float]]:
    """Times of each contender per repetition. They take turns, so that other load on the machine meets all alike.

    Each turn begins with a repetition that is not timed: it brings the arrays into the caches, and wakes the threads
    of libraries that have threads of their own.

    Parameters
    ----------
    contenders : functions of the number of repetitions; short ones are timed many at a time.
    seconds : for each contender, roughly; each gets three timings at least.
    before : called before each timing, outside of the clock; repetitions are then timed one by one.
    clock : what is read before and after a timing; `time.thread_time` leaves out when others had the core, for
        contenders on one thread that take longer than the system lets them run.

    Returns
    -------
    dict : seconds of one repetition, a list for each contender.

    Examples
    --------
    >>> times = take_turns({"sum": lambda n: [sum(range(100)) for _ in range(n)]}, seconds=0.0)
    >>> len(times["sum"]) >= 3
    True
    """
    turn = min(TURN, seconds / 4)
    repeats, times = {}, {name: [] for name in contenders}
    for name, run in contenders.items():
        run(1)  # first touch of memory, lazy starts
        once = max(min(_clocked(run, 1, clock) for _ in range(2)), 1e-8)
        repeats[name] = 1 if before else max(1, min(100_000, round(turn / 4 / once)))
    end = time.perf_counter() + seconds * len(contenders)
    while contenders and (time.perf_counter() < end or len(next(iter(times.values()))) < 3):
        for name, run in contenders.items():
            if not before:
                run(1)
            stop = time.perf_counter() + turn
            while True:
                if before:
                    before()
                times[name].append(_clocked(run, repeats[name], clock) / repeats[name])
                if time.perf_counter() >= stop:
                    break
    return times


def _clocked(run: Callable[[int], object], n: int, clock: Callable[[], float]) -> float:
    start = clock()
    run(n)
    return clock() - start


def minimum_and_median(times: Iterable[float]) -> tuple[float, float]:
    """Of the times of one contender.

    Examples
    --------
    >>> minimum_and_median([3.0, 1.0, 2.0])
    (1.0, 2.0)
    """
    times = list(times)
    return min(times), statistics.median(times)


def aligned(a: np.ndarray) -> np.ndarray:
    """A copy whose data starts at a multiple of 64 bytes, as the arrays of a program do.

    Examples
    --------
    >>> aligned(np.arange(3.0)).ctypes.data % 64
    0
    """
    a = np.asarray(a)
    raw = np.empty(a.nbytes + 64, np.uint8)
    shift = -raw.ctypes.data % 64
    out = raw[shift:shift + a.nbytes].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def cache_flusher() -> Callable[[], object]:
    """A function after which no cache holds anything of use: it writes twice the largest cache."""
    memory = np.zeros(min(max(2 * max(cache_sizes().values(), default=0), 32 << 20), 512 << 20) // 8)

    def flush() -> None:
        np.add(memory, 1.0, out=memory)

    return flush
