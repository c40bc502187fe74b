"""What a user's Python function says about the kernel that it shall become: its parameters, its cost, its meaning."""

from __future__ import annotations

import dis
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

COMPARABLE = (int, float, bool, np.floating, np.integer)
CALL = 10  # operations that a call counts for: about what exp and log take


class Own:
    """What all kernels made of a user's function share: they stand for the function, so copies are the same object."""

    def _own(self, function: Callable) -> None:
        self.function, self.__name__, self.__doc__ = function, function.__name__, function.__doc__
        self.__module__, self.__qualname__ = function.__module__, function.__qualname__

    @staticmethod
    def _graph(inputs) -> Any:
        """The program that is being traced, if one of the inputs is of it: a tensor, or a variable."""
        for x in inputs:
            if hasattr(x, "graph"):
                return x.graph
        if any(hasattr(x, "arena") for x in inputs):
            from ...program.graph import current_graph  # the one thing from above that kernels need

            return current_graph()
        return None

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self) -> str:
        return self.__qualname__  # pickled as functions are: by the name of the module's attribute


@dataclass(frozen=True)
class Signature:
    """A function's parameters: arrays come first and have no default, numbers have one.

    Attributes
    ----------
    name : of the function, as an identifier.
    arrays : names of the parameters without a default.
    numbers : name -> default of the others.
    """

    name: str
    arrays: tuple[str, ...]
    numbers: dict[str, Any]


def signature(function: Callable, what: str) -> Signature:
    """The parameters of a user's function, or TypeError in a sentence.

    Parameters
    ----------
    what : who asks, for the errors: "fastnn.elementwise".
    """
    if not inspect.isfunction(function):
        raise TypeError(f"{what} needs a Python function (def or lambda), not {type(function).__name__}.")
    name = function.__name__ if function.__name__.isidentifier() else "function"
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"{what}: {name} is a generator or coroutine; a kernel is a plain function.")
    arrays, numbers = [], {}
    for p in inspect.signature(function).parameters.values():
        if p.kind not in (p.POSITIONAL_OR_KEYWORD, p.POSITIONAL_ONLY):
            raise TypeError(f"{what}: {name} has the parameter {p}; a kernel takes a fixed number of parameters by "
                            "position.")
        if p.default is p.empty:
            arrays.append(p.name)
        elif isinstance(p.default, COMPARABLE):
            numbers[p.name] = p.default
        else:
            raise TypeError(f"{what}: the default of {p.name} in {name} is {p.default!r}; parameters with a default "
                            "are numbers that belong to the kernel.")
    if not arrays:
        raise TypeError(f"{what}: {name} has no parameter without a default, so no array to work on.")
    return Signature(name, tuple(arrays), numbers)


def operations(function: Callable) -> int:
    """How many operations a function of one element has, by its code: one per arithmetic sign, `CALL` per call."""
    count = 0
    for i in dis.get_instructions(function):
        if i.opname.startswith(("BINARY_", "UNARY_", "COMPARE_")) and i.opname != "BINARY_SUBSCR":
            count += 1
        elif i.opname in ("CALL", "CALL_FUNCTION", "CALL_METHOD"):
            count += CALL
    return max(count, 1)


def checks_bounds(asked: bool | None) -> bool:
    """Whether kernels are compiled with checks of array bounds: as asked, else by FASTNN_CHECK_BOUNDS."""
    return os.environ.get("FASTNN_CHECK_BOUNDS", "0") not in ("", "0") if asked is None else bool(asked)


def forgiving(function: Callable) -> Callable:
    """A function of one element that gives NaN or infinity where Python's math raises an exception."""
    def element(*x, **numbers):
        try:
            return function(*x, **numbers)
        except OverflowError:  # math.exp(1000)
            return np.inf
        except ZeroDivisionError:
            return np.nan
        except ValueError as error:
            if str(error).startswith(("math domain error", "expected a")):  # math.log(-1)
                return np.nan
            raise

    return element


def on_arrays(function: Callable, samples: list[np.ndarray]) -> Callable:
    """A function of one element as a function of arrays of one shape.

    The function itself where it gives the same on arrays as on elements (it does if it is made of arithmetic and
    NumPy's functions), else a loop over the elements.
    """
    element = forgiving(function)

    def on_elements(*x, **numbers):
        # Elements as NumPy's numbers: they divide by zero, and a float32 stays one.
        made = [element(*e, **numbers) for e in zip(*(np.ravel(a) for a in x))]
        return np.array(made, np.result_type(*x)).reshape(np.shape(x[0]))

    with np.errstate(all="ignore"):
        try:
            got, want = function(*samples), on_elements(*samples)
            same = np.shape(got) == want.shape and np.allclose(got, want, rtol=1e-12, atol=0, equal_nan=True)
        except Exception:  # whatever a function of one number may say to an array
            same = False
    return function if same else on_elements
