"""Schedules that fall steadily: exponential, piecewise constant, polynomial, inverse time."""

from __future__ import annotations

import numpy as np

from .schedule import LearningRateSchedule, flag, number, several


class ExponentialDecay(LearningRateSchedule):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    decay_steps : number above 0: after so many steps the rate has been multiplied by `decay_rate` once.
    decay_rate : float above 0.
    staircase : bool. If True, the exponent is rounded down: the rate falls in stairs.
    name : str

    Examples
    --------
    >>> rate = ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)
    >>> rate(0), rate(10), rate(20)
    (0.1, 0.05, 0.025)
    >>> ExponentialDecay(0.1, 10, 0.5, staircase=True)(np.array([9, 10, 19]))
    array([0.1 , 0.05, 0.05])
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="ExponentialDecay"):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number(self, "decay_steps", decay_steps, above=0)
        self.decay_rate = number(self, "decay_rate", decay_rate, above=0)
        self.staircase = flag(self, "staircase", staircase)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        p = step / self.decay_steps
        p = np.floor(p) if self.staircase else p
        return self.initial_learning_rate * self.decay_rate**p

    def get_config(self) -> dict:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


class InverseTimeDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    decay_steps : number above 0.
    decay_rate : float of at least 0.
    staircase : bool. If True, ``step / decay_steps`` is rounded down.
    name : str

    Examples
    --------
    >>> rate = InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)
    >>> rate(0), rate(10), rate(30)
    (0.1, 0.05, 0.025)
    """

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name="InverseTimeDecay"):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number(self, "decay_steps", decay_steps, above=0)
        self.decay_rate = number(self, "decay_rate", decay_rate, least=0)
        self.staircase = flag(self, "staircase", staircase)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        p = step / self.decay_steps
        p = np.floor(p) if self.staircase else p
        return self.initial_learning_rate / (1 + self.decay_rate * p)

    get_config = ExponentialDecay.get_config


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and including step ``boundaries[0]``, then ``values[1]``, and so on.

    Parameters
    ----------
    boundaries : increasing numbers of at least 0.
    values : rates of at least 0, one more than there are boundaries.
    name : str

    Examples
    --------
    >>> rate = PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
    >>> rate(0), rate(100), rate(101), rate(200), rate(201)
    (0.1, 0.1, 0.01, 0.01, 0.001)
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
        boundaries, values = several(self, "boundaries", boundaries), several(self, "values", values)
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                f"PiecewiseConstantDecay: values must be one more than boundaries, but there are {len(values)} "
                f"values and {len(boundaries)} boundaries."
            )
        self.boundaries = [number(self, f"boundaries[{i}]", b, least=0) for i, b in enumerate(boundaries)]
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:])):
            raise ValueError(f"PiecewiseConstantDecay: boundaries must increase, but are {boundaries}.")
        self.values = [number(self, f"values[{i}]", v, least=0) for i, v in enumerate(values)]
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        return np.array(self.values, np.float64)[np.searchsorted(self.boundaries, step, side="left")]

    def get_config(self) -> dict:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}


class PolynomialDecay(LearningRateSchedule):
    """From `initial_learning_rate` to `end_learning_rate` along a power of the remaining time.

    With ``p = min(step, decay_steps) / decay_steps`` the rate is
    ``(initial_learning_rate - end_learning_rate) * (1 - p) ** power + end_learning_rate``.

    Parameters
    ----------
    initial_learning_rate, end_learning_rate : floats of at least 0.
    decay_steps : number above 0, the steps until the end.
    power : float above 0; 1 is a straight line.
    cycle : bool. If True the rate does not stay at its end: there, `decay_steps` is stretched to the next
        multiple beyond the step, so the rate rises and falls again, each time from lower.
    name : str

    Examples
    --------
    >>> rate = PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)
    >>> rate(0), rate(5), rate(10), rate(11)
    (0.1, 0.05, 0.0, 0.0)
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number(self, "decay_steps", decay_steps, above=0)
        self.end_learning_rate = number(self, "end_learning_rate", end_learning_rate, least=0)
        self.power = number(self, "power", power, above=0)
        self.cycle = flag(self, "cycle", cycle)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        if self.cycle:
            length = self.decay_steps * np.maximum(1, np.ceil(step / self.decay_steps))
        else:
            length, step = self.decay_steps, np.minimum(step, self.decay_steps)
        p = step / length
        return (self.initial_learning_rate - self.end_learning_rate) * (1 - p) ** self.power + self.end_learning_rate

    def get_config(self) -> dict:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }
