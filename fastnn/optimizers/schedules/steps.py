"""Schedules that fall by powers and in stairs."""

from __future__ import annotations

import numpy as np

from .cycle import whole
from .schedule import LearningRateSchedule, flag, number, several


class PowerDecay(LearningRateSchedule):
    """``initial_learning_rate / (1 + step / decay_steps) ** power``.

    `InverseTimeDecay` is the case of power 1.

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    decay_steps : number above 0: after so many steps the rate has been divided by ``2 ** power``.
    power : float of at least 0.
    staircase : bool. If True, ``step / decay_steps`` is rounded down.
    name : str

    References
    ----------
    Robbins & Monro (1951), A stochastic approximation method: powers in (0.5, 1] make the sum of the rates diverge
    and that of their squares converge.

    Examples
    --------
    >>> rate = PowerDecay(0.1, decay_steps=10, power=2)
    >>> rate(0), rate(10), round(rate(90), 6)
    (0.1, 0.025, 0.001)
    """

    def __init__(self, initial_learning_rate, decay_steps, power=1.0, staircase=False, name="PowerDecay"):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number(self, "decay_steps", decay_steps, above=0)
        self.power = number(self, "power", power, least=0)
        self.staircase = flag(self, "staircase", staircase)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        p = step / self.decay_steps
        return self.initial_learning_rate / (1 + (np.floor(p) if self.staircase else p)) ** self.power

    def get_config(self) -> dict:
        return {name: getattr(self, name)
                for name in ("initial_learning_rate", "decay_steps", "power", "staircase", "name")}


class StepDecay(LearningRateSchedule):
    """``initial_learning_rate * gamma ** (step // step_size)``: PyTorch's ``StepLR``.

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    step_size : int of at least 1.
    gamma : float above 0.
    name : str

    Examples
    --------
    >>> StepDecay(1.0, step_size=2, gamma=0.5).table(0, 5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """

    def __init__(self, initial_learning_rate, step_size, gamma=0.1, name="StepDecay"):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.step_size = whole(self, "step_size", step_size)
        self.gamma = number(self, "gamma", gamma, above=0)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        return self.initial_learning_rate * self.gamma ** np.floor(step / self.step_size)

    def get_config(self) -> dict:
        return {name: getattr(self, name) for name in ("initial_learning_rate", "step_size", "gamma", "name")}


class MultiStepDecay(LearningRateSchedule):
    """The rate is multiplied by `gamma` at each milestone: PyTorch's ``MultiStepLR``.

    A milestone's own step has the smaller rate already; with `PiecewiseConstantDecay` it has the larger one still.

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    milestones : ints of at least 0 that do not fall; one that stands twice counts twice.
    gamma : float above 0.
    name : str

    Examples
    --------
    >>> MultiStepDecay(1.0, milestones=[2, 3], gamma=0.5).table(0, 5)
    array([1.  , 1.  , 0.5 , 0.25, 0.25])
    """

    def __init__(self, initial_learning_rate, milestones, gamma=0.1, name="MultiStepDecay"):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.milestones = [whole(self, f"milestones[{i}]", m, least=0) for i, m in
                           enumerate(several(self, "milestones", milestones))]
        if not self.milestones:
            raise ValueError("MultiStepDecay: milestones must hold at least one step, but is empty.")
        if any(a > b for a, b in zip(self.milestones, self.milestones[1:])):
            raise ValueError(f"MultiStepDecay: milestones must not fall, but are {self.milestones}.")
        self.gamma = number(self, "gamma", gamma, above=0)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        return self.initial_learning_rate * self.gamma ** np.searchsorted(self.milestones, step, side="right")

    def get_config(self) -> dict:
        return {name: getattr(self, name) for name in ("initial_learning_rate", "milestones", "gamma", "name")}
