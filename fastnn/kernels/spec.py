"""What a kernel is: slots, shapes rule, cost, gradient rule and NumPy meaning in one place.

A kernel of fastnn is one object of a :class:`Kernel` subclass. It says

- which arrays it reads and writes (``outputs``, ``inputs``), in the order of the C signature,
- which sizes and numbers it is handed (``dims``, ``attrs``),
- what it computes, in NumPy (``numpy``): the meaning, for any float dtype,
- what its outputs look like (``infer``), how many independent tiles it has (``tiles``), what it
  costs (``flops``, ``nbytes``), and which kernel calls make its gradient (``gradient``).

Its fast forms are found by name in :mod:`fastnn.kernels.tables`. A kernel called on symbolic tensors
emits itself into their graph; called on NumPy arrays it gives its NumPy meaning.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

BLOCK = 16  #: elements of one tile of a flat kernel; a multiple of the widest vector


@dataclass(frozen=True)
class Array:
    """Shape and dtype of an array that need not exist yet."""

    shape: tuple[int, ...]
    dtype: np.dtype = np.dtype(np.float32)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


@dataclass(eq=False)
class Call:
    """One kernel applied to arrays: a line of a program.

    ``inputs`` and ``outputs`` hold whatever stands for an array (symbolic tensors in a program, plain
    `Array` descriptions elsewhere); an absent optional input is ``None``. ``call["x"]`` is the slot
    of that name; where an array is updated in place, the name means the input.
    """

    kernel: Kernel
    inputs: tuple
    outputs: tuple
    attrs: dict[str, Any]
    note: str = ""  # the layer that emitted it, for people
    then: Call | None = None  # run on each finished tile while it is in cache (see fuse.py)
    extra: dict = field(default_factory=dict)
    gate: Any = None  # a step scalar that is 0 in the steps that leave the call out

    def __getitem__(self, name: str):
        kernel = self.kernel
        if name in kernel.inputs:
            return self.inputs[kernel.inputs.index(name)]
        return self.outputs[kernel.outputs.index(name)]

    def attr(self, name: str):
        return self.attrs[name]


class Kernel:
    """Base of all kernels; see the module's text for what a subclass declares.

    Class attributes
    ----------------
    name : the name in programs, tables and errors.
    outputs, inputs : slot names in C order. A name that stands in both is updated in place.
    optional : the input slots that may be ``None`` (NULL in C).
    dims : names of the sizes in ``dim``, the order of what :meth:`sizes` returns.
    attrs : name -> default (``...``: no default) of the numbers in ``attr``, in C order.
    choices : attr name -> tuple of strings; C sees the index.
    hidden : attr names that only Python sees (axes, shapes); not handed to C.
    flat : tiles are blocks of `BLOCK` elements of all array slots alike, so the kernel may be run
        on any aligned part of its arrays.
    own_form : the compiled form that it brings along, a `fastnn.kernels.numba.form.Form`: kernels of users.
    jumps : outputs jump where inputs meet (hits, signs) and nothing cancels: how far they move with their inputs
        says nothing about roundings.
    """

    name: str = ""
    outputs: tuple[str, ...] = ("y",)
    inputs: tuple[str, ...] = ("x",)
    optional: tuple[str, ...] = ()
    dims: tuple[str, ...] = ()
    attrs: dict[str, Any] = {}
    choices: dict[str, tuple[str, ...]] = {}
    hidden: tuple[str, ...] = ()
    flat: bool = False
    own_form: Any = None
    jumps: bool = False

    # ------------------------------------------------------------------ to be declared

    def infer(self, *inputs: Array | None, **attrs: Any) -> tuple[Array, ...]:
        """Shapes rule: the outputs that these inputs give, or ValueError in a sentence."""
        raise NotImplementedError(f"{type(self).__name__} must override infer.")

    def numpy(self, *inputs: np.ndarray | None, **attrs: Any):
        """The meaning: output array, or tuple of them in the order of ``outputs``."""
        raise NotImplementedError(f"{type(self).__name__} must override numpy.")

    def sizes(self, call: Call) -> tuple[int, ...]:
        """The values of ``dims``."""
        return ()

    def tiles(self, call: Call) -> int:
        """Number of independent tiles; may depend on shapes only."""
        return 1

    def flops(self, call: Call) -> float:
        """Floating-point operations, one per element and arithmetic sign; 0 for pure movement."""
        return 0.0

    def nbytes(self, call: Call) -> float:
        """Bytes that must move between memory and core if nothing is in cache."""
        return sum(a.nbytes for a in (*call.inputs, *call.outputs) if a is not None)

    def scratch(self, call: Call) -> int:
        """Bytes of scratch memory a native thread needs (`fnn_scratch`)."""
        return 0

    def terms(self, call: Call) -> int:
        """Most roundings behind one element of an output, the measure of the error that is allowed it.

        A sum of n products in any order is off by at most ``n * eps`` times the sum of the products' magnitudes, to
        first order (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. 2002, section 3.1), so for a
        kernel with sums this is the length of the longest chain of additions (n, or n / 16 where it has 16 lanes)
        and a few for what comes before and after. 0 promises that nothing is rounded: elements are moved, compared
        or change their sign, and must come out to the bit. The default serves formulas of one element: each of our
        functions (exp, tanh, ...) errs by at most 2 roundings, a formula holds a few of them.
        """
        return 8

    def units(self, *inputs: np.ndarray | None, **attrs: Any) -> dict[str, Any]:
        """Sizes of the numbers on the way of whose subtraction an output is what is left, by output.

        Roundings of that size are in order, however small the output: a cross-entropy near 0 is the logarithm of a
        sum near 1. Where what cancels are the inputs themselves nothing need be said: `fastnn.program.meaning` sees
        it. A number, or an array that broadcasts with the output.
        """
        return {}

    def gradient(self, call: Call, **grads: Any) -> dict[str, Any]:
        """Emit the calls that give the gradients of the inputs.

        ``grads`` maps each output to its upstream gradient, or ``None``. The result maps an input
        slot to its gradient; a missing slot has none. ``call.extra["need"]`` names the inputs whose
        gradient somebody wants.
        """
        raise TypeError(f"{self.name} has no gradient: nothing may be trained through it.")

    # ------------------------------------------------------------------ what all have

    @property
    def has_gradient(self) -> bool:
        """Whether there is a gradient rule."""
        return type(self).gradient is not Kernel.gradient

    def __call__(self, *inputs: Any, **attrs: Any):
        for x in inputs:
            if hasattr(x, "graph"):
                return x.graph.emit(self, inputs, attrs)
        return self.numpy(*inputs, **self.complete(attrs))

    def complete(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """These attributes with the defaults filled in, checked."""
        unknown = set(attrs) - set(self.attrs)
        if unknown:
            raise TypeError(f"{self.name} has no attribute {sorted(unknown)[0]!r}; it has {sorted(self.attrs)}.")
        full = {**self.attrs, **attrs}
        for name, value in full.items():
            if value is ...:
                raise TypeError(f"{self.name} needs the attribute {name!r}.")
            if name in self.choices and value not in self.choices[name]:
                raise ValueError(f"{self.name}: {name} is {value!r}; known are {', '.join(self.choices[name])}.")
        return full

    def numbers(self, attrs: dict[str, Any]) -> list[float]:
        """The attributes as C gets them."""
        shown = (n for n in self.attrs if n not in self.hidden)
        return [float(self.choices[n].index(attrs[n])) if n in self.choices else float(attrs[n]) for n in shown]

    def __repr__(self) -> str:
        return f"<kernel {self.name}({', '.join(self.inputs)}) -> {', '.join(self.outputs)}>"


#: every kernel by name; filled by `register`
KERNELS: dict[str, Kernel] = {}


def register(cls: type[Kernel]) -> Kernel:
    """Class decorator: put the one instance of a kernel class into `KERNELS` and return it."""
    if cls.name in KERNELS:
        raise ValueError(f"There is already a kernel {cls.name!r}.")
    KERNELS[cls.name] = kernel = cls()
    kernel.__doc__ = cls.__doc__
    return kernel


def blocks(n: int, block: int = BLOCK) -> int:
    """Tiles of `block` elements that cover n."""
    return -(-n // block)


def like(x: Array, shape: tuple[int, ...] | None = None, dtype=None) -> Array:
    """An `Array` as x, with another shape or dtype where given."""
    return Array(x.shape if shape is None else tuple(shape), x.dtype if dtype is None else np.dtype(dtype))
