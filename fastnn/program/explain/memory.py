"""The memory of a program: what stands where, and how many bytes it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..fuse import operands

if TYPE_CHECKING:
    from ..program import Program


@dataclass
class Part:
    """A piece of memory that a program uses.

    Attributes
    ----------
    name : what stands there.
    nbytes : how large it is; of the user's data, what is bound.
    kind : "weights" (an arena of variables), "slots" (an optimizer's arrays), "workspace", "feeds" and "gradients"
        (parts of the workspace), "constants" or "data" (the user's arrays, which are only read).
    """

    name: str
    nbytes: int
    kind: str

    @property
    def inside(self) -> bool:
        """Whether it is a part of the workspace, whose size has it already."""
        return self.kind in ("feeds", "gradients")


def memory_map(program: Program) -> list[Part]:
    """What a program uses, the largest of each kind first; whole arenas, though it may touch a part of them."""
    arenas = {id(t.memory.array): t for t in program.graph.variables.values()}
    found, seen = [], set()
    constants, others = 0, []
    for t in (t for call in program.calls for t in operands(call)):
        m = t.memory
        if m.array is None or id(m.array) in seen:
            continue
        seen.add(id(m.array))
        if id(m.array) in arenas and len(arenas[id(m.array)].variable.arena.offsets) == 1:
            others.append(m.array.nbytes)
        elif id(m.array) in arenas or m.name == "weights":
            found.append(Part(_arena_name(program, m.array), m.array.nbytes, "weights"))
        elif m.name == "constant":
            constants += m.array.nbytes
        else:
            found.append(Part(m.name or "array", m.array.nbytes, "slots"))
    order = {"weights": 0, "slots": 1}
    found.sort(key=lambda p: (order[p.kind], -p.nbytes))
    if others:
        found.append(Part(f"{len(others)} single variable{'s' if len(others) > 1 else ''}", sum(others), "weights"))
    if constants:
        found.append(Part("constants", constants, "constants"))
    found.append(Part("workspace", program.plan.nbytes, "workspace"))
    for m in program.plan.spans:
        if m.name == "gradients":
            found.append(Part("gradients", m.nbytes, "gradients"))
    feeds = sum(t.nbytes for t in program.feeds.values())
    if feeds:
        found.append(Part("feeds", feeds, "feeds"))
    found += [Part(name, array.nbytes, "data") for name, array in program.bound.items()]
    return found


def _arena_name(program: Program, array) -> str:
    """How many variables of the program stand in an arena."""
    count = sum(t.memory.array is array for t in program.graph.variables.values())
    return f"weights ({count} variables)" if count > 1 else "weights"


def total(parts: list[Part]) -> int:
    """Bytes of all but the user's data."""
    return sum(p.nbytes for p in parts if p.kind != "data" and not p.inside)


__all__ = ["Part", "memory_map", "total"]
