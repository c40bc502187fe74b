"""Short readable names for the tensors of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...kernels.spec import Call
from ..graph import Tensor

if TYPE_CHECKING:
    from ..program import Program

MOST = 6  #: so many inputs of a call are named; of more, how many they are



class Names:
    """Short readable names for the tensors of a program, one for each place in memory."""

    def __init__(self, program: Program):
        self.numbers = {id(call): i + 1 for i, call in enumerate(program.calls)}
        self.known: dict[tuple, str] = {}
        self.taken: set[str] = set()
        for group in (program.feeds, program.sources):
            for name, t in group.items():
                self._keep(t, name)
        for _, t in program.scalars:
            self._keep(t, t.name)
        for call in program.calls:
            for slot, t in zip(call.kernel.outputs, call.outputs):
                if _key(t) not in self.known:
                    self._keep(t, t.variable.path if t.base.variable else self._made(call, slot, t))

    def _made(self, call: Call, slot: str, t: Tensor) -> str:
        """A name for what a call makes: of its layer, or the call's number."""
        if t.memory.array is not None:
            return t.name or t.memory.name
        number = self.numbers[id(call)]
        layer = call.note.removesuffix(" gradient").rpartition("/")[2]
        if not layer or layer == "gradient":
            return f"t{number}" if slot == "y" else f"{slot}{number}"
        if call.note.endswith("gradient"):
            return f"{layer}.d{number}" if slot == "y" else f"{layer}.{slot}"
        return layer if slot == "y" else f"{layer}.{slot}"

    def _keep(self, t: Tensor, name: str) -> None:
        base, n = name or "t", 2
        while name in self.taken:
            name, n = f"{base}.{n}", n + 1
        self.taken.add(name)
        self.known[_key(t)] = name

    def of(self, t: Tensor) -> str:
        """The name of a tensor."""
        if t.base.variable is not None:
            return t.base.variable.path
        key = _key(t)
        if key not in self.known:
            if t.memory.array is not None and t.name == "constant":
                return f"{t.memory.array.reshape(-1)[0]:.4g}" if t.size == 1 else "constant"
            self._keep(t, t.name or t.memory.name or "t")
        return self.known[key]

    def line(self, call: Call) -> str:
        """``outputs <- inputs (options)``"""
        outputs = [f"{self.of(t)}[{_shape(t)}]" for t in call.outputs]
        read = [t for n, t in zip(call.kernel.inputs, call.inputs) if t is not None and n not in call.kernel.outputs]
        inputs = [self.of(t) + (f"[{_dtype(t)}]" if t.shape and t.dtype != np.float32 else "") for t in read]
        if len(inputs) > MOST:
            inputs = [*inputs[: MOST - 1], f"and {len(inputs) - MOST + 1} more"]
        if call.then is not None:
            outputs += [f"{self.of(t)}[{_shape(t)}]" for t in call.then.outputs]
        text = ", ".join(outputs) + (" <- " + " ".join(inputs) if inputs else "")
        options = [str(call.attrs[n]) for n in call.kernel.choices if n in call.attrs and call.attrs[n] != "linear"]
        return text + (f" ({', '.join(options)})" if options else "")


def _key(t: Tensor) -> tuple:
    return id(t.memory), t.offset, t.nbytes


def _shape(t: Tensor) -> str:
    return ",".join(map(str, t.shape)) + ("" if t.dtype == np.float32 else (" " if t.shape else "") + _dtype(t))


def _dtype(t: Tensor) -> str:
    return f"{t.dtype.kind.replace('b', 'bool')}{'' if t.dtype.kind == 'b' else 8 * t.dtype.itemsize}"


def kernel_name(call: Call) -> str:
    """What runs: the kernel, and the update on its tiles."""
    return call.kernel.name + (f" + {kernel_name(call.then)}" if call.then else "")


