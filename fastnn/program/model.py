"""The cost model over a whole program: what each call and the step will take, before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import machine
from ..machine import Ceilings
from . import costs, residency, timeline

if TYPE_CHECKING:
    from .program import Program

#: GB/s at which a core gets what another one wrote, line by line and not ahead of time (benchmarks/plan.py --own)
ACROSS = 15.0


@dataclass
class Forecast:
    """What the cost model says of a program.

    Attributes
    ----------
    threads : how many it was made for.
    calls : a `fastnn.program.costs.Prediction` for each call, on one thread.
    fetched : for each call, bytes by the level that they come from, its update's included.
    levels : the `fastnn.program.timeline.Level` list for that many threads.
    seconds, alone : seconds of a step on these threads, and on one.
    """

    threads: int
    calls: list[costs.Prediction]
    fetched: list[dict[str, float]]
    levels: list[timeline.Level]
    seconds: float
    alone: float


def forecast(program: Program, threads: int | None = None, rows: int | None = None,
             roofs: dict[int, Ceilings] | None = None) -> Forecast:
    """Predict a step of a program from the measured ceilings of this machine; runs nothing of the program.

    Parameters
    ----------
    threads : the current number by default.
    rows : length of the user's data; of the data that is bound by default.
    roofs : ceilings by the number of threads, instead of measured ones.
    """
    threads = threads or machine.get_num_threads()
    lanes = costs.LANES.get(machine.cpu_info()["path"], 16)
    sizes = machine.cache_sizes()
    one = costs.Machine(_roof(1, roofs), lanes)
    fetched = residency.fetched(program, residency.Caches(sizes), rows)
    calls = [costs.predict(c, f, one) for c, f in zip(program.calls, fetched)]
    alone = [p.seconds for p in calls]
    single = timeline.step_seconds(timeline.timeline(program.calls, program.levels, alone, alone, 1))
    levels, seconds = timeline.timeline(program.calls, program.levels, alone, alone, 1), single
    if threads > 1:
        team = costs.Machine(_roof(threads, roofs), lanes)
        together = [_together(p, f, team) for p, f in
                    zip(calls, residency.fetched(program, residency.Caches(sizes, threads), rows))]
        levels = timeline.timeline(program.calls, program.levels, alone, together, threads)
        seconds = timeline.step_seconds(levels)
    return Forecast(threads, calls, [_sum(f) for f in fetched], levels, seconds, single)


def _roof(threads: int, roofs: dict[int, Ceilings] | None) -> Ceilings:
    return roofs[threads] if roofs else machine.ceilings(threads)


def _together(one: costs.Prediction, fetched, team: costs.Machine) -> float:
    """The least seconds of a call on all threads: its work divided, but no faster than memory gives to all of them.

    Of what is near, L1 and L2, all but one part in `threads` is near to another core, and each thread waits for its
    share of that.
    """
    nbytes, threads = _sum(fetched), team.roof.threads
    near = nbytes.pop("L1", 0.0) + nbytes.pop("L2", 0.0)
    waiting = near * (threads - 1) / threads**2 / (ACROSS * 1e9)
    return max(one.seconds / threads + waiting, sum(team.traffic(nbytes).values()))


def _sum(fetched) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in fetched:
        for level, n in part.nbytes.items():
            found[level] = found.get(level, 0.0) + n
    return found


__all__ = ["Forecast", "forecast"]
