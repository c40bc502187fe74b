"""Kernels from functions over whole arrays, with a shapes rule and a gradient of their own."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..numba.form import TYPES, Form
from ..spec import Array, Call, Kernel
from .function import COMPARABLE, Own, checks_bounds

WHO = "fastnn.kernel"
ARRAY = re.compile(r"\s*(?:(\w+)\s+)?(\w+)\s*\[([^\]]*)\]\s*")


@dataclass(frozen=True)
class Slot:
    """One array of a shapes rule: ``f4 x[rows, columns]``."""

    name: str
    dtype: np.dtype
    sizes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.sizes)}]"


def parse(shapes: str) -> tuple[list[Slot], list[Slot]]:
    """Inputs and outputs of a shapes rule.

    Examples
    --------
    >>> inputs, outputs = parse("x[rows, columns], i4 labels[rows] -> y[rows]")
    >>> [str(slot) for slot in inputs], [slot.name for slot in outputs]
    (['x[rows, columns]', 'labels[rows]'], ['y'])
    """
    sides = shapes.split("->")
    if len(sides) != 2:
        raise ValueError(f'{WHO}: shapes must look like "x[rows, columns], b[columns] -> y[rows, columns]", not '
                         f"{shapes!r}.")
    return _side(sides[0]), _side(sides[1])


def _side(text: str) -> list[Slot]:
    slots, rest = [], text
    while rest.strip():
        match = ARRAY.match(rest)
        if not match:
            raise ValueError(f"{WHO}: {rest.strip()!r} in shapes is not an array such as x[rows, columns].")
        dtype, name, sizes = match[1] or "f4", match[2], tuple(s.strip() for s in match[3].split(",") if s.strip())
        if dtype not in TYPES:
            raise ValueError(f"{WHO}: {name} has the dtype {dtype!r}; known are {', '.join(TYPES)}.")
        if not all(s.isidentifier() for s in sizes):
            raise ValueError(f"{WHO}: the sizes of {name} must be names, not {match[3]!r}; one that is computed has "
                             "its function in sizes={...}.")
        slots.append(Slot(name, np.dtype(dtype), sizes))
        rest = rest[match.end() :].removeprefix(",")
    return slots


class GeneralKernel(Own, Kernel):
    """A kernel over whole arrays: what `kernel` makes. Called as `ElementwiseKernel` is."""

    def __init__(self, function: Callable, shapes: str, tiles, sizes, numpy, gradient, flops, check_bounds):
        self.name = function.__name__
        self._own(function)
        self.slots_in, self.slots_out = parse(shapes)
        self.inputs = tuple(s.name for s in self.slots_in)
        self.outputs = tuple(s.name for s in self.slots_out)
        self.computed = dict(sizes or {})
        self.dims = tuple(dict.fromkeys(n for s in self.slots_in for n in s.sizes)) + tuple(self.computed)
        self.attrs = _numbers(self, function)
        self._check_names()
        self._tiles, self._flops, self._rule = tiles, flops, gradient
        self._numpy = numpy
        views = {s.name: " ".join([s.dtype.str[1:], *s.sizes]) for s in self.slots_in}
        views |= {s.name: " ".join([s.dtype.str[1:], *(s.sizes or ["1"])]) for s in self.slots_out}
        self.own_form = Form(function, self, views, guarded=True, checked=checks_bounds(check_bounds))
        if not isinstance(tiles, int) and not callable(tiles) and tiles not in self.dims:
            raise ValueError(f"{WHO}: tiles of {self.name} must be a number, a function or one of its sizes "
                             f"({', '.join(self.dims)}), not {tiles!r}.")
        takes = inspect.signature(function).parameters
        if tiles != 1 and not {"first", "last"} <= set(takes):
            raise TypeError(f"{WHO}: {self.name} has several tiles, so it must take first and last and compute tiles "
                            "first..last-1.")

    def _check_names(self) -> None:
        if not self.outputs:
            raise ValueError(f"{WHO}: the shapes of {self.name} name no output.")
        unknown = {n for s in self.slots_out for n in s.sizes} - set(self.dims)
        if unknown:
            raise ValueError(f"{WHO}: nothing says how large {sorted(unknown)[0]} is, a size of an output of "
                             f"{self.name}: it must be a size of an input, or in sizes={{...}}.")
        known = {*self.inputs, *self.outputs, *self.dims, *self.attrs, "first", "last"}
        strange = [n for n in inspect.signature(self.function).parameters if n not in known]
        if strange:
            raise TypeError(f"{WHO}: {self.name} has a parameter {strange[0]!r}, which is neither an array nor a size "
                            f"of its shapes nor a number with a default; known are {', '.join(sorted(known))}.")

    # ------------------------------------------------------------------ the spec

    def infer(self, *inputs, **attrs):
        bound: dict[str, int] = {}
        for slot, a in zip(self.slots_in, inputs):
            if len(a.shape) != len(slot.sizes):
                raise ValueError(f"{self.name} needs {slot} with {len(slot.sizes)} axes; got the shape {a.shape}.")
            if a.dtype != slot.dtype and not (a.dtype.kind == slot.dtype.kind == "f"):
                raise ValueError(f"{self.name} needs {slot.name} of dtype {slot.dtype}; got {a.dtype}.")
            for name, n in zip(slot.sizes, a.shape):
                if bound.setdefault(name, n) != n:
                    raise ValueError(f"{self.name}: {name} is {bound[name]} before and {n} in {slot}, whose shape is "
                                     f"{a.shape}.")
        for name, rule in self.computed.items():
            bound[name] = int(rule(**_taken(rule, {**bound, **attrs})))
        floats = [a.dtype for a in inputs if a.dtype.kind == "f" and a.shape]
        return tuple(Array(tuple(bound[n] for n in s.sizes), floats[0] if floats and s.dtype.kind == "f" else s.dtype)
                     for s in self.slots_out)

    def sizes(self, call: Call):
        bound = {n: size for s in (*self.slots_in, *self.slots_out) for n, size in zip(s.sizes, call[s.name].shape)}
        for name, rule in self.computed.items():
            if name not in bound:
                bound[name] = int(rule(**_taken(rule, {**bound, **call.attrs})))
        return tuple(bound[n] for n in self.dims)

    def tiles(self, call: Call):
        named = dict(zip(self.dims, self.sizes(call)))
        if callable(self._tiles):
            return int(self._tiles(**_taken(self._tiles, {**named, **call.attrs})))
        return self._tiles if isinstance(self._tiles, int) else named[self._tiles]

    def flops(self, call: Call):
        if callable(self._flops):
            return float(self._flops(**_taken(self._flops, {**dict(zip(self.dims, self.sizes(call))), **call.attrs})))
        return float(self._flops)

    def numpy(self, *inputs, **attrs):
        if self._numpy is not None:
            return self._numpy(*inputs, **_taken(self._numpy, attrs, but=len(inputs)))
        return self._run(*inputs, **attrs)

    def _run(self, *inputs, **attrs):
        """The meaning by the function itself: run as Python over all tiles, in the inputs' dtype."""
        described = tuple(Array(np.shape(x), np.asarray(x).dtype) for x in inputs)
        call = Call(self, described, tuple(self.infer(*described, **attrs)), attrs)
        arrays = {n: np.array(x) for n, x in zip(self.inputs, inputs)}
        for name, a in zip(self.outputs, call.outputs):
            arrays.setdefault(name, np.full(a.shape, np.nan if a.dtype.kind == "f" else 0, a.dtype))
        seen = {n: a[()] if n in self.inputs and not a.ndim else a.reshape(a.shape or 1) for n, a in arrays.items()}
        given = {**seen, **attrs, "first": 0,
                 "last": self.tiles(call), **dict(zip(self.dims, self.sizes(call)))}
        with np.errstate(all="ignore"):
            self.function(**_taken(self.function, given))
        made = tuple(arrays[n] for n in self.outputs)
        return made if len(made) > 1 else made[0]

    def __call__(self, *inputs: Any, **attrs: Any):
        if len(inputs) != len(self.inputs):
            raise TypeError(f"{self.name} takes {', '.join(self.inputs)}; got {len(inputs)} arrays.")
        graph = self._graph(inputs)
        if graph is not None:
            return graph.emit(self, inputs, attrs)
        return super().__call__(*map(np.asarray, inputs), **attrs)

    @property
    def has_gradient(self) -> bool:
        return self._rule is not None

    def gradient(self, call: Call, **grads):
        if not self.has_gradient:
            raise TypeError(f"{self.name} has no gradient, so nothing may be trained through it: give a rule, "
                            f"{WHO}(gradient=...).")
        given = {**{n: call[n] for n in (*self.inputs, *self.outputs)}, **call.attrs,
                 **{f"d{n}": g for n, g in grads.items()}}
        found = self._rule(**_taken(self._rule, given))
        if not isinstance(found, dict):
            found = {self.inputs[0]: found}
        for name, g in found.items():
            if name not in self.inputs:
                raise ValueError(f"The gradient rule of {self.name} gives a gradient of {name!r}, which is no input; "
                                 f"it has {', '.join(self.inputs)}.")
            if g is not None and tuple(g.shape) != tuple(call[name].shape):
                raise ValueError(f"The gradient rule of {self.name} gives {name} a gradient of shape "
                                 f"{tuple(g.shape)}; its shape is {tuple(call[name].shape)}.")
        return found



def _numbers(kernel: GeneralKernel, function: Callable) -> dict[str, Any]:
    if not inspect.isfunction(function):
        raise TypeError(f"{WHO} needs a Python function, not {type(function).__name__}.")
    found = {}
    for p in inspect.signature(function).parameters.values():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY):
            raise TypeError(f"{WHO}: {kernel.name} has the parameter {p}; a kernel takes a fixed number of parameters.")
        if p.default is not p.empty:
            if not isinstance(p.default, COMPARABLE):
                raise TypeError(f"{WHO}: the default of {p.name} in {kernel.name} is {p.default!r}; parameters with a "
                                "default are numbers.")
            found[p.name] = p.default
    return found


def _taken(function: Callable, given: dict[str, Any], but: int = 0) -> dict[str, Any]:
    """Those of the given values for which a function has a parameter (beyond its first `but`)."""
    names = list(inspect.signature(function).parameters)[but:]
    return {n: given[n] for n in names if n in given}


def kernel(function: Callable | None = None, *, shapes: str | None = None, tiles: int | str | Callable = 1,
           sizes: dict[str, Callable] | None = None, numpy: Callable | None = None, gradient: Callable | None = None,
           flops: float | Callable = 0.0, check_bounds: bool | None = None):
    """Decorator: a kernel from a Python function over whole arrays.

    The function fills its outputs in place. Its parameters carry the names of the shapes rule; it takes those that it
    needs, in any order: arrays, sizes (ints), ``first`` and ``last`` (the tiles to compute), and numbers with a
    default. Numba compiles it when a program first uses it; tiles are handed to threads as those of the built-in
    kernels are.

    Parameters
    ----------
    shapes : ``"x[rows, columns], gain[columns] -> y[rows, columns]"``: inputs, then outputs. Arrays are float32
        unless a dtype stands before the name (``i4 labels[rows]``). A name on both sides is updated in place. An
        input without sizes (``rate[]``) is a number, an output without sizes an array of one element.
    tiles : into how many independent pieces the work is cut: a size's name, a number, or a function of sizes. No tile
        may write what another reads or writes; the result is then the same for any number of threads.
    sizes : name -> function of the other sizes and numbers, for sizes of outputs that no input has.
    numpy : the meaning: a function of the inputs (and numbers) that returns new outputs, in any float dtype. By
        default the function itself, run as Python, which is slow.
    gradient : rule that gets, by name, what it has parameters for: the outputs' gradients (``dy`` for ``y``), inputs,
        outputs, numbers, all as tensors of a program; it returns a dict from inputs to their gradients (or one
        tensor, the gradient of the first input), made with `fastnn.ops` and other kernels.
    flops : arithmetic operations, or a function of sizes that gives them, for ``explain``.
    check_bounds : compile with checks of indices, slower; by default as FASTNN_CHECK_BOUNDS says. An index that is out
        of bounds is then an error after the run; without, it is undefined behaviour, as in C.

    Returns
    -------
    GeneralKernel

    See Also
    --------
    fastnn.check_kernel : compares compiled form, meaning and gradient.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> def rule(dy, x, gain):
    ...     return {"x": dy * gain, "gain": fastnn.ops.sum(dy * x, axis=0)}
    >>> @fastnn.kernel(shapes="x[rows, columns], gain[columns] -> y[rows, columns]", tiles="rows", gradient=rule)
    ... def scale_columns(x, gain, y, first, last):
    ...     for r in range(first, last):
    ...         for c in range(len(gain)):
    ...             y[r, c] = x[r, c] * gain[c]
    >>> scale_columns(np.ones((2, 3)), np.array([1.0, 2.0, 3.0]))
    array([[1., 2., 3.],
           [1., 2., 3.]])
    """
    if function is None:
        return lambda f: kernel(f, shapes=shapes, tiles=tiles, sizes=sizes, numpy=numpy, gradient=gradient, flops=flops,
                                check_bounds=check_bounds)
    if shapes is None:
        raise TypeError(f'{WHO} needs shapes, such as "x[n] -> y[n]"; for functions of one element there is '
                        "fastnn.elementwise.")
    return GeneralKernel(function, shapes, tiles, sizes, numpy, gradient, flops, check_bounds)
