"""How long a step takes: its levels one after the other, each shared by the threads where that is worth a meeting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kernels.spec import Call

MEETING = 2.5e-7  #: seconds that threads take to meet at the end of a level
CLAIM = 2e-8  #: seconds of one claim of tiles
SHARED_FROM = 6e-6  #: seconds of work from which on a level is shared (`LEVEL_NS` of csrc/run.c)
STEP = 3e-8  #: seconds of a step beside its calls


@dataclass
class Level:
    """One level of a program.

    Attributes
    ----------
    number : from 0.
    calls : indices of its calls.
    work : seconds of all of them on one thread.
    longest : index of the slowest call.
    shared : whether the threads share it; else the calling thread runs it alone.
    seconds : what it takes with the given number of threads.
    floor : what it would take with any number of threads: its longest tile, and one meeting.
    """

    number: int
    calls: list[int]
    work: float
    longest: int
    shared: bool
    seconds: float
    floor: float


def timeline(calls: Sequence[Call], levels: Sequence[int], alone: Sequence[float], together: Sequence[float],
             threads: int) -> list[Level]:
    """The levels of a program with their times.

    A shared level takes ``max(longest tile, sum / threads) + meeting``, where a call is cut into as many equal tiles
    as its kernel says and a thread takes whole tiles.

    Parameters
    ----------
    alone : seconds of each call on one thread.
    together : the least seconds of each call on all threads, at the best possible division of its work; not below
        ``alone / threads`` where memory is the bound.
    """
    grouped: dict[int, list[int]] = {}
    for i, level in enumerate(levels):
        grouped.setdefault(level, []).append(i)
    found = []
    for number, members in sorted(grouped.items()):
        work = sum(alone[i] for i in members)
        tiles = {i: max(1, int(calls[i].kernel.tiles(calls[i]))) for i in members}
        tile = max(alone[i] / tiles[i] for i in members)
        shared = threads > 1 and work >= SHARED_FROM and sum(tiles.values()) > 1
        seconds = work
        if shared:
            seconds = max(_divided(members, together, tiles, threads), tile)
            seconds = min(work, seconds + MEETING + 8 * CLAIM)
        found.append(Level(number, members, work, max(members, key=lambda i: alone[i]), shared, seconds,
                           min(work, tile + (MEETING if work > tile else 0.0))))
    return found


def _divided(members: list[int], together: Sequence[float], tiles: dict[int, int], threads: int) -> float:
    """Seconds of calls that the threads share: whole tiles, so that the last round may leave some without work."""
    if len(members) > 1:
        return sum(together[i] for i in members)
    (i,) = members
    rounds = -(-tiles[i] // threads)
    return together[i] * rounds * threads / tiles[i] if tiles[i] < 8 * threads else together[i]


def step_seconds(levels: Sequence[Level]) -> float:
    """Seconds of a step."""
    return sum(level.seconds for level in levels) + STEP
