"""Kernels from a user's rule for one weight: the update of an optimizer, in one pass over memory."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import numpy as np

from ..numba.form import Form
from ..optim import Flat
from .function import COMPARABLE, Own, checks_bounds, operations

WHO = "fastnn.update_rule"
FIRST = ("w", "g")  # what a rule's first two parameters stand for


class UpdateKernel(Own, Flat):
    """One update of all weights: ``w, *slots = rule(w, g, *slots, scalars..., numbers...)``.

    Attributes
    ----------
    slots : names of the arrays beside the weights.
    scalars : names of what may change with each step.
    attrs : the numbers that stay, with their defaults.
    """

    def __init__(self, function: Callable, slots: Sequence[str], check_bounds: bool | None):
        if not inspect.isfunction(function):
            raise TypeError(f"{WHO} needs a Python function, not {type(function).__name__}.")
        self.name = function.__name__ if function.__name__.isidentifier() else "rule"
        self._own(function)
        self.slots = tuple(slots)
        parameters = list(inspect.signature(function).parameters.values())
        names = [p.name for p in parameters]
        wanted = [*FIRST, *self.slots]
        if names[: len(wanted)] != wanted:
            raise TypeError(f"{WHO}: {self.name} must begin with the parameters {', '.join(wanted)}: the weight, its "
                            f"gradient and the slots; it has {', '.join(names)}.")
        rest = parameters[len(wanted) :]
        self.attrs = {p.name: p.default for p in rest if p.default is not p.empty}
        for name, value in self.attrs.items():
            if not isinstance(value, COMPARABLE):
                raise TypeError(f"{WHO}: the default of {name} in {self.name} is {value!r}; it must be a number.")
        self.scalars = tuple(p.name for p in rest if p.default is p.empty)
        self.outputs = ("w", *self.slots)
        self.inputs = ("g", *self.scalars, "w", *self.slots)
        self.flops_per_element = operations(function)
        self._check_results()
        self._whole = self._takes_arrays()
        self.own_form = Form(function, self, {n: "f8" for n in self.scalars}, elementwise=True, guarded=True,
                             checked=checks_bounds(check_bounds))

    def _samples(self) -> list[np.ndarray]:
        rng = np.random.default_rng(5)
        return [rng.uniform(0.05, 1.0, 7) for _ in range(len(FIRST) + len(self.slots) + len(self.scalars))]

    @staticmethod
    def _tuple(made) -> tuple:
        return made if isinstance(made, tuple) else (made,)

    def _check_results(self) -> None:
        made = self._tuple(self.function(*(float(x[0]) for x in self._samples())))
        if len(made) != len(self.outputs) or not all(isinstance(x, int | float | np.number) for x in made):
            raise TypeError(f"{WHO}: {self.name} must return the new {', '.join(self.outputs)}; it gave "
                            f"{made if len(made) > 1 else made[0]!r}.")

    def _takes_arrays(self) -> bool:
        """Whether the rule gives the same on arrays as on elements; one with branches does not."""
        with np.errstate(all="ignore"):
            try:
                got = self._tuple(self.function(*self._samples()))
                want = [self._tuple(self.function(*x)) for x in zip(*self._samples())]
                return bool(np.allclose(np.array(got), np.transpose(want), rtol=1e-12, atol=0))
            except Exception:  # whatever a function of one number may say to an array
                return False

    def numpy(self, g, *others, **attrs):
        given = dict(zip(self.inputs, (g, *others)))
        dtype, shape = given["w"].dtype, given["w"].shape
        scalars = [dtype.type(float(given[n])) for n in self.scalars]
        arrays = [given["w"], np.asarray(g, dtype), *(given[n] for n in self.slots)]
        with np.errstate(all="ignore"):
            if self._whole:
                made = self._tuple(self.function(*arrays, *scalars, **attrs))
            else:
                rows = [self._tuple(self.function(*x, *scalars, **attrs)) for x in zip(*map(np.ravel, arrays))]
                made = list(zip(*rows)) or [()] * len(self.outputs)
        made = tuple(np.array(np.broadcast_to(np.reshape(x, np.shape(x) if self._whole else shape), shape), dtype)
                     for x in made)
        return made if len(made) > 1 else made[0]
