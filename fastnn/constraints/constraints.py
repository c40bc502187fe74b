"""The constraints. An axis is the one along which a norm is taken: 0 for the inputs of each unit of a Dense kernel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops

EPSILON = 1e-7  #: added to norms before they divide, as Keras does


class Constraint:
    """Base: ``constraint(w)`` gives what the weight w shall be, made of `fastnn.ops`; done after each update.

    Examples
    --------
    >>> class Half(Constraint):
    ...     def __call__(self, w):
    ...         return ops.minimum(w, 0.5)
    >>> Half()(np.array([0.25, 1.0]))
    array([0.25, 0.5 ])
    """

    def __call__(self, w):
        raise NotImplementedError(f"{type(self).__name__} must override __call__(self, w).")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make it again."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        return cls(**config)

    def _number(self, name: str, value: Any, top: float = math.inf) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= top:
            wanted = "a number of 0 or more" if top == math.inf else f"a number in [0, {top:g}]"
            raise ValueError(f"{type(self).__name__}: {name} is {value!r}; {wanted} is wanted.")
        return value

    def _checked_axis(self, axis):
        many = list(axis) if isinstance(axis, list | tuple) else [axis]
        if not many or not all(isinstance(a, int | np.integer) and not isinstance(a, bool) for a in many):
            raise ValueError(f"{type(self).__name__}: axis is {axis!r}; a whole number or a list of them is wanted.")
        return many if isinstance(axis, list | tuple) else axis

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


def norms(w, axis):
    """Euclidean norms along an axis or several, which stay as 1."""
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


class NonNeg(Constraint):
    """No number below 0: ``max(w, 0)``.

    Examples
    --------
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w):
        return ops.clip(w, 0.0, math.inf)


class UnitNorm(Constraint):
    """Each norm along `axis` is 1: ``w / (1e-7 + norm)``.

    Examples
    --------
    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(4)
    array([[0.6],
           [0.8]])
    """

    def __init__(self, axis=0):
        self.axis = self._checked_axis(axis)

    def __call__(self, w):
        return w / (norms(w, self.axis) + EPSILON)

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MaxNorm(Constraint):
    """No norm along `axis` above `max_value`: ``w * min(norm, max_value) / (1e-7 + norm)``.

    Srivastava et al. (2014), Dropout, section 5.1.

    Examples
    --------
    >>> MaxNorm(1.0)(np.array([[3.0, 0.3], [4.0, 0.4]])).round(4)
    array([[0.6, 0.3],
           [0.8, 0.4]])
    """

    def __init__(self, max_value: float = 2, axis=0):
        self.max_value, self.axis = self._number("max_value", max_value), self._checked_axis(axis)

    def __call__(self, w):
        found = norms(w, self.axis)
        return w * (ops.clip(found, 0.0, self.max_value) / (found + EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class MinMaxNorm(Constraint):
    """Each norm along `axis` is moved by the share `rate` of its way into ``[min_value, max_value]``.

    ``w * (rate * clip(norm, min_value, max_value) + (1 - rate) * norm) / (1e-7 + norm)``

    Examples
    --------
    >>> MinMaxNorm(1.0, 2.0, rate=0.5)(np.array([3.0, 4.0])).round(4)
    array([2.1, 2.8])
    """

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis=0):
        self.min_value, self.max_value = self._number("min_value", min_value), self._number("max_value", max_value)
        if self.min_value > self.max_value:
            raise ValueError(f"MinMaxNorm: min_value is {min_value!r} and max_value {max_value!r}; the first may not "
                             "be the larger one.")
        self.rate, self.axis = self._number("rate", rate, top=1), self._checked_axis(axis)

    def __call__(self, w):
        found = norms(w, self.axis)
        wanted = ops.clip(found, self.min_value, self.max_value) * self.rate + found * (1 - self.rate)
        return w * (wanted / (found + EPSILON))

    def get_config(self) -> dict[str, Any]:
        return {"min_value": self.min_value, "max_value": self.max_value, "rate": self.rate, "axis": self.axis}
