"""Levels and the buffer plan: which calls may run side by side, and where their results stand."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..kernels.spec import Call
from .fuse import operands, written
from .graph import Memory
from .variable import ALIGN


def levels(calls: list[Call]) -> list[int]:
    """The level of each call: one more than the latest earlier call that it must wait for.

    A call waits for those that wrote what it reads or writes, and for those that read what it writes.
    Order in the list decides who is earlier, so in-place updates mean what they say.
    """
    history: dict[int, list[tuple[int, int, int, bool]]] = {}  # memory -> (start, stop, level, wrote)
    out = []
    for call in calls:
        writes = {id(t): t for t in written(call)}
        touched = [(t.memory, t.offset, t.offset + t.nbytes, id(t) in writes) for t in operands(call)]
        level = 0
        for memory, start, stop, wrote in touched:
            for s, e, l, w in history.get(id(memory), ()):
                if s < stop and start < e and (w or wrote):
                    level = max(level, l + 1)
        for memory, start, stop, wrote in touched:
            history.setdefault(id(memory), []).append((start, stop, level, wrote))
        out.append(level)
    return out


@dataclass
class BufferPlan:
    """Where each memory stands in the workspace, and from which to which level it is in use.

    Attributes
    ----------
    nbytes : size of the workspace.
    sum_nbytes : what it would be without sharing.
    spans : memory -> (first level, last level); kept memory spans the whole program.
    """

    nbytes: int = 0
    sum_nbytes: int = 0
    spans: dict[Memory, tuple[int, int]] = field(default_factory=dict)


def lay_out(calls: list[Call], level_of: list[int], kept: list[Memory]) -> BufferPlan:
    """Give every unbound memory an offset; two share bytes only if their levels are apart.

    Greedy by size: the largest first, each at the lowest place that is free over its levels.
    """
    plan = BufferPlan()
    last = max(level_of, default=0)
    for call, level in zip(calls, level_of):
        for t in operands(call):
            m = t.memory
            if m.array is None and not m.source:
                first, end = plan.spans.get(m, (level, level))
                plan.spans[m] = (min(first, level), max(end, level))
    for m in kept:
        plan.spans[m] = (0, last)
    for m in plan.spans:
        if m.kept:
            plan.spans[m] = (0, last)
    placed: list[Memory] = []
    for m in sorted(plan.spans, key=lambda m: -m.nbytes):
        first, end = plan.spans[m]
        busy = sorted((p.offset, p.offset + _round(p.nbytes)) for p in placed
                      if plan.spans[p][0] <= end and first <= plan.spans[p][1])
        at = 0
        for start, stop in busy:
            if at + _round(m.nbytes) <= start:
                break
            at = max(at, stop)
        m.offset = at
        placed.append(m)
        plan.nbytes = max(plan.nbytes, at + _round(m.nbytes))
        plan.sum_nbytes += _round(m.nbytes)
    return plan


def _round(nbytes: int) -> int:
    return -(-max(nbytes, 1) // ALIGN) * ALIGN
