"""A program under construction: symbolic tensors and the list of kernel calls that made them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..kernels.spec import Array, Call, Kernel
from .operators import Operators
from .variable import Variable

_current = threading.local()


def current_graph() -> Graph | None:
    """The graph that is being traced in this thread, or ``None``: where calls on variables alone belong."""
    stack = getattr(_current, "stack", ())
    return stack[-1] if stack else None


class Memory:
    """A piece of memory that tensors stand in.

    ``array`` is the user's or a variable's memory (bound), or ``None`` for memory that the plan lays
    out in the program's workspace. ``kept`` memory keeps its contents for the whole step (gradients
    side by side, what is fetched); the rest is shared by liveness.
    """

    __slots__ = ("name", "nbytes", "array", "kept", "offset", "writes", "source")

    def __init__(self, nbytes: int, name: str = "", array: np.ndarray | None = None, kept: bool = False):
        self.nbytes, self.name, self.array, self.kept = nbytes, name, array, kept
        self.offset: int | None = None  # in the workspace, set by the plan
        self.writes: list[tuple[int, int]] = []  # (start, stop) of each update in place, in order of emission
        self.source = False  # bound anew for each run (the user's data)

    @property
    def version(self) -> int:
        """How many calls have updated it in place so far."""
        return len(self.writes)


class Tensor(Operators):
    """A symbolic array in a `Graph`: a shape, a dtype, a place in some memory.

    Arithmetic with tensors, arrays and numbers emits kernel calls; ``reshape`` is free. ``mask`` is the tensor that
    says which steps of a sequence count, or None; layers hand it on (fastnn/layers/masks.py).
    """

    __slots__ = ("graph", "shape", "dtype", "call", "name", "base", "mask", "_memory", "_offset", "variable")
    __array_ufunc__ = None  # NumPy arrays on the left give way

    def __init__(self, graph: Graph, shape, dtype, memory: Memory | None = None, offset: int = 0, name: str = "",
                 call: Call | None = None, base: Tensor | None = None):
        self.graph, self.shape, self.dtype = graph, tuple(shape), np.dtype(dtype)
        self.call, self.name = call, name
        self.base = base if base is not None else self
        self.variable: Variable | None = None
        self.mask: Tensor | None = None
        self._memory, self._offset = memory, offset

    @property
    def memory(self) -> Memory:
        return self.base._memory

    @property
    def offset(self) -> int:
        """Bytes from the start of the memory."""
        return self.base._offset

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def reshape(self, *shape) -> Tensor:
        """The same memory seen in another shape; one size may be -1."""
        if len(shape) == 1 and not isinstance(shape[0], int | np.integer):
            if shape[0] == self.shape:
                return self
            shape = tuple(shape[0])
        shape = tuple(int(s) for s in shape)
        if shape.count(-1) == 1:
            rest = math.prod(s for s in shape if s != -1)
            if rest and self.size % rest == 0:
                shape = tuple(self.size // rest if s == -1 else s for s in shape)
        if math.prod(shape) != self.size or -1 in shape:
            raise ValueError(f"A tensor of shape {self.shape} can't be seen as {shape}: the sizes differ.")
        if shape == self.shape:
            return self
        return Tensor(self.graph, shape, self.dtype, name=self.name, call=self.call, base=self.base)

    def place(self, memory: Memory, offset: int) -> None:
        """Say where this tensor's value will stand; only before the graph is planned."""
        self.base._memory, self.base._offset = memory, offset

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("A tensor without axes has no length.")
        return self.shape[0]

    def __bool__(self):
        raise TypeError("A symbolic tensor has no truth value: a program has no branches that depend on data.")

    def __float__(self):
        raise TypeError("A symbolic tensor has no value before its program runs.")

    def __array__(self, dtype=None, copy=None):
        raise TypeError("A symbolic tensor can't become a NumPy array before its program runs.")

    def __repr__(self) -> str:
        return f"<Tensor {self.name or '?'}, shape={self.shape}, dtype={self.dtype}>"


class _Inside:
    """What `Graph.active` and `Graph.note` do. (A trace enters dozens; generators would be a tenth of its time.)"""

    __slots__ = ("graph", "text", "stack")

    def __init__(self, graph: Graph, text: str | None = None):
        self.graph, self.text = graph, text

    def __enter__(self) -> Graph:
        if self.text is not None:
            notes = self.graph._notes
            notes.append(f"{notes[-1]}/{self.text}" if notes else self.text)
        self.stack = _current.__dict__.setdefault("stack", [])
        self.stack.append(self.graph)
        return self.graph

    def __exit__(self, *error: Any) -> None:
        self.stack.pop()
        if self.text is not None:
            self.graph._notes.pop()


class Scalar:
    """A number that may change with each step: ``table(first, count)`` gives its values."""

    def __init__(self, name: str, table: Callable[[int, int], np.ndarray]):
        self.name, self.table = name, table


class Graph:
    """Collects kernel calls in the order in which they are emitted.

    Attributes
    ----------
    calls : the calls so far.
    scalars : (Scalar, Tensor) pairs, the columns of the step table.
    sources : name -> Tensor of data that is bound anew for each run.
    feeds : name -> Tensor whose value is copied in before each step.
    fetches : name -> Tensor whose value is copied out after each step.
    training : what layers take for ``training=None``.
    sampling : whether dropout and other noise are on without training: each step then is one sample of the output.
    losses : (layer, scalar tensor) pairs: what layers add to the loss.
    declared : id of a tensor -> its shape with None where the size is only a stand-in, while shapes are inferred.
    measured : (metric, total, count) triples: what metrics took in, in a program that gathers them; else None.
    seed : where functions of `fastnn.random` get their keys from, by their place among them; None until one asks.
    places : name of a feed or source -> (layer, rows) pairs: its whole numbers are rows of such tables, 0..rows-1.
    mixes : (layer, function) pairs: what layers that join samples do to targets.
    past : what attention layers keep from step to step of a sequence (fastnn/layers/past.py), or None.
    """

    def __init__(self, name: str = "program"):
        self.name = name
        self.training = False
        self.sampling = False
        self.calls: list[Call] = []
        self.scalars: list[tuple[Any, Tensor]] = []
        self.sources: dict[str, Tensor] = {}
        self.feeds: dict[str, Tensor] = {}
        self.fetches: dict[str, Tensor] = {}
        self.variables: dict[int, Tensor] = {}
        self.after: list[Callable[[int], None]] = []  # called with the number of steps done
        self.losses: list[tuple[Any, Tensor]] = []  # (layer, what it adds to the loss)
        self.declared: dict[int, tuple[int | None, ...]] = {}
        self.measured: list[tuple[Any, Tensor, Any]] | None = None
        self.seed: Any = None
        self._drawn = 0
        self.places: dict[str, list[tuple[str, int]]] = {}
        self.mixes: list[tuple[Any, Callable[[Tensor], Tensor]]] = []
        self.past: Any = None
        self._memories: dict[int, Memory] = {}
        self._notes: list[str] = []
        self._gate: Tensor | None = None
        self._step = None

    # ------------------------------------------------------------------ calls

    def emit(self, kernel: Kernel, inputs, attrs) -> Any:
        """Append one call; its output tensor, or the tuple of them."""
        attrs = kernel.complete(attrs)
        inputs = tuple(self.tensor(x) for x in inputs)
        if len(inputs) != len(kernel.inputs):
            given = len(inputs)
            if given > len(kernel.inputs) or set(kernel.inputs[given:]) - set(kernel.optional):
                raise TypeError(f"{kernel.name} takes {', '.join(kernel.inputs)}; got {given} inputs.")
            inputs += (None,) * (len(kernel.inputs) - given)
        for name, x in zip(kernel.inputs, inputs):
            if x is None and name not in kernel.optional:
                raise TypeError(f"{kernel.name} needs its input {name!r}.")
        described = [None if x is None else Array(x.shape, x.dtype) for x in inputs]
        made = kernel.infer(*described, **attrs)
        call = Call(kernel, inputs, (), attrs, note=self._notes[-1] if self._notes else "",
                    gate=self._gate)
        outputs = []
        for name, a in zip(kernel.outputs, made, strict=True):
            if name in kernel.inputs:  # updated in place
                target = inputs[kernel.inputs.index(name)]
                target.memory.writes.append((target.offset, target.offset + target.nbytes))
                outputs.append(target)
            else:
                t = Tensor(self, a.shape, a.dtype, Memory(a.nbytes, name), name=name, call=call)
                outputs.append(t)
        call.outputs = tuple(outputs)
        call.extra["writes"] = tuple(0 if x is None else len(x.memory.writes) for x in inputs)
        self.calls.append(call)
        return outputs[0] if len(outputs) == 1 else call.outputs

    def active(self) -> _Inside:
        """Inside a ``with`` block, this is the `current_graph` of this thread."""
        return _Inside(self)

    @contextmanager
    def gate(self, scalar: Tensor) -> Iterator[None]:
        """Inside, calls are emitted that run only in the steps in which `scalar`, a step scalar, is not 0."""
        before, self._gate = self._gate, scalar
        try:
            yield
        finally:
            self._gate = before

    def note(self, text: str) -> _Inside:
        """Calls emitted inside a ``with`` block carry this text: the name of the layer that they belong to.

        Inside, this is also the `current_graph`: a layer may work on its variables alone.
        """
        return _Inside(self, text)

    # ------------------------------------------------------------------ where tensors come from

    def tensor(self, x) -> Tensor | None:
        """x as a tensor of this graph: tensors, variables, arrays and numbers are understood."""
        if x is None:
            return None
        if isinstance(x, Tensor):
            if x.graph is not self:
                raise ValueError(f"{x} belongs to another program ({x.graph.name}); a value can't leave its program.")
            return x
        if isinstance(x, Variable):
            return self.variable(x)
        return self.constant(x)

    def variable(self, v: Variable) -> Tensor:
        """The tensor that stands for a variable's memory."""
        if id(v) not in self.variables:
            memory = self.bound(v.arena.array, v.path)
            t = Tensor(self, v.shape, v.dtype, memory, v.offset * v.dtype.itemsize, name=v.path)
            t.variable = v
            self.variables[id(v)] = t
        return self.variables[id(v)]

    def assign(self, v: Variable, value: Tensor) -> None:
        """Overwrite a variable by a tensor of its shape, at this place of the program."""
        from ..kernels.elementwise import copy

        if not isinstance(value, Tensor) or value.shape != v.shape or value.dtype != v.dtype:
            raise ValueError(f"Variable {v.path!r} has shape {v.shape} and dtype {v.dtype}; it can't become {value!r}.")
        target, written = self.variable(v), copy(value)
        written.place(target.memory, target.offset)
        target.memory.writes.append((target.offset, target.offset + target.nbytes))

    def bound(self, array: np.ndarray, name: str = "") -> Memory:
        """Memory of an array that lives elsewhere (one `Memory` for each array)."""
        if id(array) not in self._memories:
            self._memories[id(array)] = Memory(array.nbytes, name, array)
        return self._memories[id(array)]

    def flat(self, array: np.ndarray, start: int, stop: int, name: str = "") -> Tensor:
        """Elements start..stop-1 of a bound 1-D array, as a tensor."""
        return Tensor(self, (stop - start,), array.dtype, self.bound(array, name), start * array.itemsize, name=name)

    def constant(self, value, dtype=None) -> Tensor:
        """A tensor with a fixed value; Python floats become float32, NumPy's keep their dtype."""
        array = np.asarray(value)
        if dtype is None:
            own = isinstance(value, np.ndarray | np.generic)
            dtype = np.float32 if array.dtype.kind == "f" and not own else array.dtype
        array = np.array(array, dtype=dtype, order="C")
        t = Tensor(self, array.shape, array.dtype, Memory(array.nbytes, "constant", array.reshape(-1)), name="constant")
        return t

    def source(self, name: str, shape, dtype) -> Tensor:
        """Data that stays where the user has it: bound by `Program.bind`, read by gather kernels."""
        memory = Memory(0, name, None)
        memory.source = True
        self.sources[name] = Tensor(self, shape, dtype, memory, name=name)
        return self.sources[name]

    def feed(self, name: str, shape, dtype) -> Tensor:
        """A tensor whose value is copied in before each step."""
        t = Tensor(self, shape, dtype, None, name=name)
        t.place(Memory(t.nbytes, name, kept=True), 0)
        self.feeds[name] = t
        return t

    def fetch(self, name: str, t: Tensor) -> None:
        """Ask for a tensor's value after each step."""
        self.fetches[name] = t

    def scalar(self, scalar) -> Tensor:
        """A column of the step table: an object with ``name`` and ``table(first, count)``."""
        for known, t in self.scalars:
            if known is scalar:
                return t
        t = Tensor(self, (), np.float64, Memory(8, scalar.name, kept=True), name=scalar.name)
        self.scalars.append((scalar, t))
        return t

    def keys(self) -> tuple[int, int]:
        """The two words that key the next stream of random numbers of this program."""
        from .. import seeds

        if self.seed is None:
            self.seed = seeds.next_seed()
        self._drawn += 1
        return seeds.key_pair(seeds.child(self.seed, self._drawn))

    def step(self) -> Tensor:
        """The number of the step, counted over the program's (or its model's) whole life."""
        if self._step is None:
            self._step = Scalar("step", lambda first, count: np.arange(first, first + count, dtype=np.float64))
        return self.scalar(self._step)
