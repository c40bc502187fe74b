"""A program over a copy of all its memory, in one guarded piece: what the debugger runs."""

from __future__ import annotations

import threading
import zlib
from dataclasses import replace

import numpy as np

from .fuse import operands
from .meaning import slots
from .program import Program
from .variable import aligned_zeros, padded

GUARD = 4096  #: bytes before, between and behind the copies
POISON = 0xFF  #: in guards and in buffers that nothing has been written to: NaN in every float dtype, -1 in integers
NOBODY = -1


class Twin(Program):
    """The calls of a program over a private copy of the workspace, the variables and the constants.

    Nothing of the program itself is written to. All copies stand in one array, `block`, with guards between them, so
    one comparison shows whatever a call wrote. Data that is bound (sources) stays where it is; it is only read.

    Parameters
    ----------
    program : what to copy, as it stands now.
    keep_gradients : store those gradients too that the program hands to the update without storing them.

    Attributes
    ----------
    owner : for each byte of the workspace the number of the memory whose value stands there, or `NOBODY`.
    """

    def __init__(self, program: Program, keep_gradients: bool = False):  # not super: the plan is shared, memory is not
        self.__dict__.update(program.__dict__)
        self.lock, self.bound, self.times = threading.RLock(), dict(program.bound), None
        if keep_gradients:
            self.calls = [replace(c, attrs={**c.attrs, "keep": 1}) if "keep" in c.attrs else c for c in self.calls]
        tensors = [t for c in self.calls for t in operands(c)] + [*self.feeds.values(), *self.fetches.values()]
        lasting = {id(m.array): m for m in (t.memory for t in tensors) if m.array is not None and not m.source}
        parts = [("workspace", program.workspace)] + [(m.name, m.array) for m in lasting.values()]
        at, places = GUARD, []
        for _, array in parts:
            places.append(at)
            at += padded(array.nbytes, 1) + GUARD
        self.block = aligned_zeros(at, np.uint8)
        self.block[...] = POISON
        for (_, array), start in zip(parts, places):
            self.block[start : start + array.nbytes] = array.reshape(-1).view(np.uint8)
        self.parts = [(name, start, start + array.nbytes) for (name, array), start in zip(parts, places)]
        self._starts = {id(array): start for (_, array), start in zip(parts, places)}
        self._base = places[0]
        self.workspace = self.block[places[0] : places[0] + program.workspace.nbytes]
        self._memories = {id(m): i for i, m in enumerate(self.plan.spans)}
        self.owner = np.full(self.workspace.nbytes, NOBODY, np.int32)
        self._run = self._executor()

    # ------------------------------------------------------------------ memory

    def place(self, t) -> int:
        """Byte of `block` at which a tensor begins."""
        m = t.memory
        return (self._base + m.offset if m.array is None else self._starts[id(m.array)]) + t.offset

    def span(self, t) -> slice:
        """The bytes of `block` that a tensor takes."""
        start = self.place(t)
        return slice(start, start + t.nbytes)

    def address(self, t) -> int:
        return super().address(t) if t.memory.source else self.block.ctypes.data + self.place(t)

    def array(self, t) -> np.ndarray:
        return self.bound[t.memory.name] if t.memory.source else self.block[self.span(t)].view(t.dtype).reshape(t.shape)

    # ------------------------------------------------------------------ what stands where

    def fresh(self) -> None:
        """Before a step: what the step's calls will write is poisoned; what comes from outside has its value."""
        kept = np.zeros(self.workspace.nbytes, bool)
        for m in self.plan.spans:
            if m.kept:
                kept[m.offset : m.offset + m.nbytes] = True
                self.owner[m.offset : m.offset + m.nbytes] = self._memories[id(m)]
        self.workspace[~kept] = POISON
        self.owner[~kept] = NOBODY
        for call in self.calls:
            for slot in slots(call):
                if slot.name not in slot.call.kernel.inputs and slot.tensor.memory.array is None:
                    self.poison(slot.tensor)
        for t in (*self.feeds.values(), *(t for _, t in self.scalars)):
            self._claim(t)

    def poison(self, t) -> None:
        """Fill a tensor's place; nothing of value stands there."""
        self.block[self.span(t)] = POISON
        if t.memory.array is None:
            self.owner[self._inside(t)] = NOBODY

    def written(self, call) -> None:
        """Note that a call has run."""
        for slot in slots(call):
            if slot.stored:
                self._claim(slot.tensor)

    def lost(self, t) -> bool:
        """Whether a tensor's value is not, or no longer, where it should stand."""
        if t.memory.array is not None or t.memory.source or not t.nbytes:
            return False
        return bool((self.owner[self._inside(t)] != self._memories[id(t.memory)]).any())

    def _inside(self, t) -> slice:
        return slice(t.memory.offset + t.offset, t.memory.offset + t.offset + t.nbytes)

    def _claim(self, t) -> None:
        if t.memory.array is None and not t.memory.source:
            self.owner[self._inside(t)] = self._memories[id(t.memory)]

    # ------------------------------------------------------------------ running

    def open(self, call) -> bool:
        """Whether the gate of a call, if it has one, lets it run in this step."""
        return call.gate is None or bool(self.array(call.gate))

    def call(self, i: int, threads: int) -> None:
        """Run call i and nothing else; a closed gate leaves it out."""
        with np.errstate(all="ignore"):
            self._run.call(i, threads)
        if self.open(self.calls[i]):
            self.written(self.calls[i])

    def prints(self, call) -> dict[str, int]:
        """A checksum of the bound data that a call reads: it must not change."""
        sources = {t.memory.name for t in call.inputs if t is not None and t.memory.source}
        return {n: zlib.crc32(np.ascontiguousarray(self.bound[n]).reshape(-1).view(np.uint8)) for n in sources}
