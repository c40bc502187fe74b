"""Where a call's data comes from: the cache level that still holds each operand, told from what ran before it.

A least-recently-used cache of C bytes holds what was touched during the last C distinct bytes (Mattson, Gecsei, Slutz,
Traiger: Evaluation techniques for storage hierarchies, 1970). So the calls of a program are walked in their order, each
piece of memory remembers how many other bytes were touched since it was, and that *reuse distance* says which cache it
is in. The walk goes through the step twice: a step follows another one, and weights that were updated at the end of the
last step are what the first call of this one finds in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..kernels.embedding import RowUpdate
from ..kernels.spec import Call
from .graph import Tensor

if TYPE_CHECKING:
    from .program import Program

LEVELS = ("L1", "L2", "L3", "memory")
STREAM = 1 << 40  #: reuse distance of data of unknown size
LINE, AHEAD = 64, 16  #: bytes of a cache line, and lines of an array that come before prefetching helps


@dataclass
class Fetched:
    """What a call finds where.

    Attributes
    ----------
    nbytes : level -> bytes that must come from there.
    starts : level -> lines that come from there before the prefetcher has seen what is wanted: at most `AHEAD` of
        each array.
    """

    nbytes: dict[str, float] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)

    def add(self, nbytes: float, levels: dict[str, float]) -> None:
        """Take in an array of so many bytes, of which each level holds a share."""
        lines = min(AHEAD, nbytes / LINE)
        for level, share in levels.items():
            self.nbytes[level] = self.nbytes.get(level, 0.0) + share * nbytes
            self.starts[level] = self.starts.get(level, 0.0) + share * lines


class Caches:
    """Sizes of the caches that hold a program's data.

    Parameters
    ----------
    sizes : "L1d", "L2", "L3" -> bytes, as `fastnn.machine.cache_sizes` gives them for one core; a level that the
        machine lacks may be missing.
    threads : so many cores' L1 and L2 are used.
    """

    def __init__(self, sizes: dict[str, int], threads: int = 1):
        self.levels = [(name, sizes[key] * (threads if shared is False else 1))
                       for name, key, shared in (("L1", "L1d", False), ("L2", "L2", False), ("L3", "L3", True))
                       if sizes.get(key)]
        self.threads = threads

    def split(self, distance: float) -> dict[str, float]:
        """Level -> share of the bytes of this reuse distance that it still holds.

        Real caches are neither fully associative nor ours alone: instead of a step at C, the share that is held falls
        from 1 at C / 2 to 0 at 3 C / 2.

        Examples
        --------
        >>> caches = Caches({"L1d": 32 << 10, "L2": 1 << 20})
        >>> caches.split(1000), caches.split(1 << 20)
        ({'L1': 1.0}, {'L2': 0.5, 'memory': 0.5})
        """
        found, held = {}, 0.0
        for name, size in self.levels:
            share = min(1.0, max(0.0, 1.5 - distance / size))
            if share > held:
                found[name] = share - held
                held = share
        if held < 1:
            found["memory"] = 1 - held
        return found


class Recent:
    """Pieces of memory in the order in which they were last touched."""

    def __init__(self):
        self.pieces: list[tuple[object, int, int]] = []  # (memory, start, stop), the latest last; none overlap

    def touch(self, memory: object, start: int, stop: int) -> list[tuple[int, float | None]]:
        """Touch a range; [(bytes, distance)] of its parts: how much else was touched since. None: never before."""
        found, left, since = [], stop - start, 0
        kept: list[tuple[object, int, int]] = []
        pieces = self.pieces
        at = len(pieces)
        while at and left > 0:
            at -= 1
            piece = pieces[at]
            m, s, e = piece
            if m is not memory or e <= start or stop <= s:
                since += e - s
                kept.append(piece)
                continue
            common = min(e, stop) - max(s, start)
            found.append((common, since))
            left -= common
            if e > stop:
                kept.append((m, stop, e))
                since += e - stop
            if s < start:
                kept.append((m, s, start))
                since += start - s
        del pieces[at:]
        pieces.extend(reversed(kept))
        pieces.append((memory, start, stop))
        if left > 0:
            found.append((left, None))
        return found

    @property
    def nbytes(self) -> int:
        return sum(e - s for _, s, e in self.pieces)


def fetched(program: Program, caches: Caches, rows: int | None = None) -> list[tuple[Fetched, ...]]:
    """For each call, and the update that runs on its tiles: what it must fetch from which level.

    A line that is only written is fetched as well (ordinary stores read what they overwrite), so each distinct byte
    that a call touches counts once.

    Parameters
    ----------
    rows : length of the user's data, where it is known; what is bound counts else, and data of unknown length is taken
        to come from memory.
    """
    recent = Recent()
    for call in program.calls:
        _walk(call, program, recent, caches, rows, 0)
    step = recent.nbytes
    return [_walk(call, program, recent, caches, rows, step) for call in program.calls]


def _walk(call: Call, program: Program, recent: Recent, caches: Caches, rows, step: int) -> tuple[Fetched, ...]:
    found = Fetched()
    seen: set[tuple] = set()
    for t in (*call.inputs, *call.outputs):
        if t is None:
            continue
        if t.memory.source:
            nbytes, distance = _source(t, call, program, rows, step)
            found.add(nbytes, caches.split(distance))
            continue
        memory, start = _place(t)
        key = (id(memory), start, t.nbytes)
        if key in seen or not t.nbytes or not _stored(call, t):
            continue
        seen.add(key)
        share = _share(call, t)
        if share < 1:  # rows of a table here and there, which were last looked at steps ago, if at all
            found.add(share * t.nbytes, caches.split(step + t.nbytes))
            continue
        for nbytes, distance in recent.touch(memory, start, start + t.nbytes):
            # Beside what came between, the piece's own bytes stand before its return.
            found.add(nbytes, caches.split(STREAM if distance is None else distance + t.nbytes))
    return (found, *(_walk(call.then, program, recent, caches, rows, step) if call.then else ()))


def picked_rows(call: Call) -> tuple[int, int] | None:
    """(rows that a call picks from a table, or updates there, and those that the table has); None for other calls."""
    if call.kernel.name == "embedding":
        return call["tokens"].size, call["table"].shape[0]
    if isinstance(call.kernel, RowUpdate):
        return call["rows"].size, call["w"].shape[0]
    return None


def _share(call: Call, t: Tensor) -> float:
    """The share of an operand that the call touches: of a table the rows that are picked, else all of it."""
    picked = picked_rows(call)
    tables = ("table",) if call.kernel.name == "embedding" else call.kernel.outputs
    if picked is None or not picked[1] or not any(t is call[name] for name in tables):
        return 1.0
    return min(1.0, picked[0] / picked[1])


def _place(t: Tensor) -> tuple[object, int]:
    """The memory that a tensor's bytes belong to, and where they begin: all of the workspace is one."""
    m = t.memory
    return (m, t.offset) if m.array is not None else (None, (m.offset or 0) + t.offset)


def _stored(call: Call, t: Tensor) -> bool:
    """Whether the call touches this operand in memory: a gradient that only the joined update reads is not stored."""
    return call.attrs.get("keep", 1) or t is not call.outputs[0]


def _source(t: Tensor, call: Call, program: Program, rows: int | None, step: int) -> tuple[float, float]:
    """Bytes that a gather reads of the user's data, and their reuse distance: one epoch."""
    row = t.nbytes / max(t.shape[0], 1) if t.shape else t.nbytes
    bound = program.bound.get(t.memory.name)
    n = rows if rows is not None else len(bound) if bound is not None else None
    taken = call.outputs[0].shape[0] if call.outputs and call.outputs[0].shape else 1
    return taken * row, STREAM if n is None else n * row + step


__all__ = ["LEVELS", "Caches", "Fetched", "Recent", "fetched", "picked_rows"]
