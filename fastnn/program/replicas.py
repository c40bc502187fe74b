"""Programs of one structure over different memory: the first is planned, the others take over its plan.

Many models of one architecture have programs that differ in where their arrays stand and in numbers. Tracing tells them
apart from models that differ in more; what follows it (rewrites, levels, the plan of buffers, the description for the
executor) is done once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..kernels.spec import Call
from .graph import Graph, Memory, Tensor
from .program import Program, step_table
from .variable import aligned_zeros


class Replica:
    """The program of a graph, ready to be run beside others; the graph itself is not kept.

    Attributes
    ----------
    program : the `Program` whose plan it has; its own one on the NumPy backend.
    executor : its own native executor, or None on the NumPy backend.
    fetches : name -> Tensor, of the program's graph.
    scalars : the (scalar, tensor) pairs of its own graph.
    touched, written : arrays that outlive its steps: those that they read or write, and those that they write.
    """

    def __init__(self, graph: Graph, program: Program, executor=None, workspace: np.ndarray | None = None):
        self.program, self.executor, self.workspace = program, executor, workspace
        self.fetches = program.fetches
        self.scalars, self._after = [(s, None) for s, _ in graph.scalars], graph.after
        self.written = _lasting(t for c in graph.calls for t in c.outputs)
        self.touched = _lasting(t for c in graph.calls for t in (*c.outputs, *c.inputs) if t is not None)

    def table(self, first: int, steps: int) -> np.ndarray:
        """The step table from step `first` on; see `Program.table`."""
        return step_table(self.scalars, first, steps)

    def advance(self, done: int) -> None:
        """Tell those who count that so many steps were done."""
        for tell in self._after:
            tell(done)


def _lasting(tensors) -> list[np.ndarray]:
    memories = {id(m): m for t in tensors if (m := t.base._memory).array is not None}
    return [m.array for m in memories.values()]


class Outline:
    """What of a graph decides how it is planned, and what is left to each replica.

    Attributes
    ----------
    key : equal for graphs that can share a plan.
    memories : in order of appearance; a memory of one graph stands for that of another at the same place.
    numbers : the attributes of each call that are plain numbers.
    """

    def __init__(self, graph: Graph):
        self.memories: list[Memory] = []
        self._places: dict[int, int] = {}
        place = self._place
        lines, self.numbers = [], []
        for c in graph.calls:
            own = tuple((n, v) for n, v in c.attrs.items() if _is_number(v))
            fixed = tuple((n, v if v.__hash__ else repr(v)) for n, v in c.attrs.items() if not _is_number(v))
            self.numbers.append(own)
            lines.append((id(c.kernel), tuple(map(place, c.outputs)), tuple(map(place, c.inputs)), place(c.gate), fixed,
                          tuple(n for n, _ in own)))
        ends = tuple(tuple((n, place(t)) for n, t in d.items()) for d in (graph.feeds, graph.fetches, graph.sources))
        scalars = tuple(place(t) for _, t in graph.scalars)
        kinds = tuple((m.name,) if m.source else (m.nbytes, m.array is None, m.kept) for m in self.memories)
        self.key = (tuple(lines), ends, scalars, kinds)

    def _place(self, t: Tensor | None):
        if t is None:
            return None
        base, memories = t.base, self.memories
        at = self._places.setdefault(id(base._memory), len(memories))
        if at == len(memories):
            memories.append(base._memory)
        return at, base._offset, t.shape, t.dtype


def _is_number(v: Any) -> bool:
    return isinstance(v, int | float | np.number) and not isinstance(v, bool)


class Template:
    """A planned program, and what it takes to make another one like it."""

    def __init__(self, graph: Graph, outline: Outline, program: Program):
        self.outline, self.program = outline, program
        self.calls, feeds, fetches = program._run.described()
        self.copies = len(feeds), [n for _, n in (*feeds, *fetches)]
        addresses: list[int] = []
        for call in self.calls:
            addresses += call[1] + (call[9][1] if call[9] else []) + [call[10]]
        self.addresses = np.array(addresses + [a for a, _ in (*feeds, *fetches)], np.int64)
        # Numbers of a traced call can be replaced where the plan has left its attributes as they were.
        traced = {id(c.attrs): i for i, c in enumerate(graph.calls)}
        self.sources = [(traced.get(id(c.attrs)), traced.get(id(c.then.attrs)) if c.then else None)
                        for c in program.calls]
        self.replaceable = {i for pair in self.sources for i in pair if i is not None}

    def differing(self, outline: Outline) -> set[int] | None:
        """The traced calls whose numbers differ, or None if they have gone into others by a rewrite."""
        mine, others = self.outline.numbers, outline.numbers
        found = set() if mine == others else {i for i, (a, b) in enumerate(zip(mine, others)) if a != b}
        return found if found <= self.replaceable else None

    def replica(self, graph: Graph, outline: Outline, differing: set[int]) -> Replica:
        """The same program over the memory of another graph."""
        from ..kernels.native import core

        workspace = aligned_zeros(self.program.plan.nbytes, np.uint8)
        addresses, at = self._moved(outline, workspace).tolist(), 0
        calls = []
        for i, call in enumerate(self.calls):
            if differing and not differing.isdisjoint(self.sources[i]):
                call = self._renumbered(i, graph)
            kernel, slots, dims, attrs, tiles, grain, level, scratch, seconds, then, gate = call
            slots, at = addresses[at : at + len(slots)], at + len(slots)
            if then:
                then, at = (then[0], addresses[at : at + len(then[1])], *then[2:]), at + len(then[1])
            gate, at = addresses[at], at + 1
            calls.append((kernel, slots, dims, attrs, tiles, grain, level, scratch, seconds, then, gate))
        feeds, sizes = self.copies
        ends = list(zip(addresses[at:], sizes))
        return Replica(graph, self.program, core.Executor(calls, ends[:feeds], ends[feeds:]), workspace)

    def _renumbered(self, i: int, graph: Graph) -> tuple:
        """Call i with the numbers of another graph; its addresses are still those of this one."""
        call: Call = self.program.calls[i]
        own, after = self.sources[i]
        then = call.then
        if after is not None:
            then = replace(then, attrs=graph.calls[after].attrs)
        attrs = call.attrs if own is None else graph.calls[own].attrs
        return self.program._run.describe(i, replace(call, attrs=attrs, then=then))

    def _moved(self, outline: Outline, workspace: np.ndarray) -> np.ndarray:
        """The addresses in the memory of another graph; what is in no memory of this one (the data) stays."""
        pairs = [(self.program.workspace, workspace)]
        pairs += [(a.array, b.array) for a, b in zip(self.outline.memories, outline.memories) if a.array is not None]
        old, new, sizes = (np.array(v, np.int64) for v in zip(*((a.ctypes.data, b.ctypes.data, a.nbytes)
                                                                for a, b in pairs)))
        order = np.argsort(old)
        old, new, sizes = old[order], new[order], sizes[order]
        which = np.maximum(np.searchsorted(old, self.addresses, "right") - 1, 0)
        inside = (self.addresses >= old[which]) & (self.addresses - old[which] <= sizes[which])
        return np.where(inside, self.addresses - old[which] + new[which], self.addresses)


class Templates:
    """Makes replicas over the same data, planning each structure once.

    Parameters
    ----------
    sources : name -> array, what the programs gather from.
    """

    def __init__(self, sources: Mapping[str, np.ndarray]):
        self.sources = sources
        self.known: dict[Any, list[Template]] = {}
        self.planned = 0  #: programs that were planned

    def make(self, graph: Graph) -> Replica:
        """The program of this graph."""
        outline = Outline(graph)
        templates = self.known.setdefault(outline.key, [])
        for template in templates:
            differing = template.differing(outline)
            if differing is not None:
                return template.replica(graph, outline, differing)
        program = Program(graph)
        self.planned += 1
        for name in program.sources:
            program.bind(name, self.sources[name])
        if program.backend == "numpy":
            return Replica(graph, program)
        templates.append(Template(graph, outline, program))
        return Replica(graph, program, program._run.executor, program.workspace)
