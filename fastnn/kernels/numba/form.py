"""What a Numba form of a kernel is: a Python function, and how its parameters are found in the C signature.

The function's parameters carry the names of the kernel's spec; it takes those that it needs, in any order:

- a slot (``x``) is a NumPy array over the kernel's memory; of what shape and dtype, `form` is told as text:
  ``x="f4 rows columns"``; sizes are names of the spec's ``dims`` or expressions of them without blanks. ``"f8"``
  alone is a number: the 0-d array's value. ``"address"`` is the memory's address, for `view`. An absent optional
  slot is an array of no elements (the address 0, the number 0).
- a size (``rows``) is an int,
- a number (``epsilon``) is a float32; told ``epsilon="f8"``, a float64; of a choice, the place of the string, an int,
- ``first`` and ``last`` are the tiles to compute; ``buf``, ``dim`` and ``attr`` the C arrays themselves.

For a flat kernel arrays need no text: they are float32, cut to the tiles' elements. `elementwise` makes a form from a
function of one element, for kernels of equal shapes and for those of two broadcast inputs (`broadcast`).

This module does not import Numba; `build` does.
"""

from __future__ import annotations

import inspect
import textwrap
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..broadcast import Broadcast
from ..spec import BLOCK, KERNELS, Kernel

MODULES = ("elementwise", "reduce", "dense", "activation", "norm", "dropout", "loss", "optim", "moments", "data",
           "pool")
TYPES = ("f4", "f8", "i4", "i8", "u1", "u2", "u4", "u8", "i1", "i2", "f2")
ABI = ("buf", "dim", "attr", "first", "last")

_forms: dict[str, Form] = {}
_lock = threading.RLock()


class KernelFault(RuntimeError):
    """A kernel of a user raised an exception while a program ran."""


class Form:
    """One kernel's Python function, and its compiled form once somebody asked for the address.

    Parameters
    ----------
    function : the body.
    kernel : its name in `KERNELS`, or the kernel itself.
    views : what the slots and numbers are handed over as; see the module.
    elementwise : the function is of one element: wrapped in a loop.
    guarded : exceptions raised in it are caught and told after the run (for functions of users).
    checked : compiled with checks of array bounds.
    """

    def __init__(self, function: Callable, kernel: str | Kernel, views: dict[str, str] | None = None,
                 elementwise: bool = False, guarded: bool = False, checked: bool = False):
        self.function, self.views = function, dict(views or {})
        self.elementwise, self.guarded, self.checked = elementwise, guarded, checked
        self._kernel = kernel
        self._address: int | None = None
        self._keep: Any = None  # what owns the compiled code
        self.fault: Any = None  # where the compiled code says that an exception was raised

    @property
    def kernel(self) -> Kernel:
        """The kernel's spec."""
        return self._kernel if isinstance(self._kernel, Kernel) else KERNELS[self._kernel]

    @property
    def name(self) -> str:
        return self._kernel if isinstance(self._kernel, str) else self._kernel.name

    @property
    def broadcast(self) -> bool:
        """Whether it is a function of one element of each of two inputs that are broadcast together."""
        return self.elementwise and isinstance(self.kernel, Broadcast)

    def source(self) -> str:
        """The function as it is written, without its decorator."""
        text = textwrap.dedent(inspect.getsource(self.function))
        return text[text.index("def ") :] if "def " in text else text

    def address(self) -> int:
        """Address of the compiled form; compiles it, or takes it from the cache on disk, at the first call.

        Raises
        ------
        ImportError : Numba is not installed.
        CompileError : Numba can't compile the function.
        """
        with _lock:
            if self._address is None:
                from .build import build

                self._address, self._keep = build(self)
            return self._address

    def check(self) -> None:
        """Raise `KernelFault` if the function raised an exception since the last check."""
        if self.fault is not None and self.fault[0]:
            self.fault[0] = 0
            raise KernelFault(self._explain_fault())

    def _explain_fault(self) -> str:
        if self.checked:
            return (f"The kernel {self.name!r} raised an exception while its program ran; being compiled with checks, "
                    "most likely an index beyond an array.")
        return (f"The kernel {self.name!r} raised an exception while its program ran; what it should have written is "
                "undefined. fastnn.kernels.single.run(kernel, ..., backend='python') shows where.")

    @property
    def compiled(self) -> bool:
        """Whether the address is known already."""
        return self._address is not None

    def wrapper(self) -> str:
        """Source of the function of the C signature: unpacks the slots by name and calls the form."""
        kernel = self.kernel
        slots = [*kernel.outputs, *kernel.inputs]
        numbers = [n for n in kernel.attrs if n not in kernel.hidden]
        names = list(inspect.signature(self.function).parameters)
        lines = [f"{d} = dim[{i}]" for i, d in enumerate(kernel.dims) if d.isidentifier()]
        if kernel.flat or self.elementwise and not self.broadcast:
            size = kernel.dims[0]
            lines.append(f"start, stop = first * {BLOCK}, min(last * {BLOCK}, {size})")
        wanted = self._array_names(kernel) if self.elementwise else names
        for name in wanted:
            if name in slots:
                lines.append(f"{name} = {self._slot(kernel, name, slots.index(name))}")
            elif name in numbers:
                lines.append(f"{name} = {self._number(kernel, name, numbers.index(name))}")
            elif name not in kernel.dims and name not in ABI:
                raise TypeError(f"The form of {kernel.name} has a parameter {name!r}; the kernel has "
                                f"{', '.join([*slots, *kernel.dims, *numbers, 'first', 'last'])}.")
        call = f"form({', '.join(wanted)})"
        body = "\n    ".join([*lines, call])
        return f"def {kernel.name}(buf, dim, attr, first, last):\n    {body}\n"

    def _array_names(self, kernel: Kernel) -> list[str]:
        """Parameters of the loop around a function of one element."""
        names = list(inspect.signature(self.function).parameters)
        others = [n for n in names if n not in kernel.outputs]
        return [*kernel.outputs, *others, *(("dim", "first", "last") if self.broadcast else ())]

    def is_number(self, name: str) -> bool:
        """Whether a slot is one number for all elements."""
        return len(self.views.get(name, "f4 n").split()) == 1

    def _slot(self, kernel: Kernel, name: str, at: int) -> str:
        dtype, *shape = self.views.get(name, "address" if self.broadcast else "f4 " + kernel.dims[0]).split()
        if dtype == "address":
            return f"buf[{at}]"
        if dtype not in TYPES:
            raise TypeError(f"The form of {kernel.name} hands over {name} as {dtype!r}; known are {', '.join(TYPES)}.")
        there = f" * (buf[{at}] != 0)" if name in kernel.optional else ""
        if not shape:
            value = f"number(buf[{at}], {dtype})" if there else f"view(buf[{at}], 1, {dtype})[0]"
            return f"f4({value})" if self.elementwise else value  # a float64 would make all of the arithmetic wide
        sizes = ", ".join([f"({shape[0]}){there}", *shape[1:]])
        array = f"view(buf[{at}], ({sizes},), {dtype})"
        if name in self.views or not kernel.flat and not self.elementwise:
            return array
        return f"{array}[start:stop]"

    def _number(self, kernel: Kernel, name: str, at: int) -> str:
        kind = self.views.get(name, "i8" if name in kernel.choices else "f4")
        return f"{kind}(attr[{at}])"

    def __repr__(self) -> str:
        return f"<numba form of {self.name}{', compiled' if self.compiled else ''}>"


def form(**views: str) -> Callable[[Callable], Callable]:
    """Decorator: this function is the Numba form of the kernel of its name.

    Parameters
    ----------
    views : what slots and numbers are handed over as; see the module.
    """
    def take(function: Callable) -> Callable:
        _add(Form(function, function.__name__, views))
        return function

    return take


def elementwise(function: Callable) -> Callable:
    """Decorator: this function of one element (and the kernel's numbers) is the form of the kernel of its name."""
    _add(Form(function, function.__name__, elementwise=True))
    return function


def _add(made: Form) -> None:
    if made.name in _forms:
        raise ValueError(f"There is already a Numba form of {made.name!r}.")
    _forms[made.name] = made


def forms() -> dict[str, Form]:
    """Every Numba form by its kernel's name; nothing is compiled by this."""
    with _lock:
        for module in MODULES:
            import_module(f"{__package__}.{module}")
        return _forms


class Helper:
    """A function that forms call: plain Python here, compiled along with the form that uses it.

    Parameters
    ----------
    function : its meaning, and what is compiled.
    intrinsic : makes what stands in its place in compiled code, when Numba is there.
    options : for Numba's compiler, such as ``fastmath``.
    """

    def __init__(self, function: Callable, intrinsic: Callable[[], Any] | None = None, options: dict | None = None):
        self.function, self.intrinsic, self.options = function, intrinsic, options or {}
        self.__name__, self.__doc__ = function.__name__, function.__doc__

    def __call__(self, *args):
        return self.function(*args)

    def __repr__(self) -> str:
        return f"<helper {self.__name__}>"


def helper(function: Callable | None = None, **options: Any):
    """Decorator: a function that forms may call.

    ``fastmath={"reassoc"}`` lets its sums be vectorized. ``noalias=True`` says that what it writes through one array it
    reads through no other, so that LLVM need not ask that before each loop (or, with many arrays, give up).
    """
    if function is None:
        return lambda f: Helper(f, options=options)
    return Helper(function)
