"""Schedules made of schedules: a warm-up before another, and several one after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .cycle import whole
from .schedule import LearningRateSchedule, number, several


class Joined(LearningRateSchedule):
    """Schedules one after the other, each counting from 0 where it begins; PyTorch's ``SequentialLR``.

    Schedule i holds from step ``boundaries[i - 1]`` on and before step ``boundaries[i]``.

    Parameters
    ----------
    schedules : schedules (or their configs), and numbers for rates that stay; at least one.
    boundaries : increasing ints of at least 1, one fewer than there are schedules.
    name : str

    Examples
    --------
    >>> from fastnn.optimizers.schedules import ExponentialDecay
    >>> Joined([0.5, ExponentialDecay(0.1, 1, 0.1)], [2]).table(0, 4)
    array([0.5 , 0.5 , 0.1 , 0.01])
    """

    def __init__(self, schedules: Sequence, boundaries: Sequence[int], name="Joined"):
        schedules, boundaries = several(self, "schedules", schedules), several(self, "boundaries", boundaries)
        if not schedules or len(boundaries) != len(schedules) - 1:
            raise ValueError(f"Joined: boundaries must be one fewer than schedules, but there are {len(boundaries)} "
                             f"boundaries and {len(schedules)} schedules.")
        self.schedules = [part(self, f"schedules[{i}]", s) for i, s in enumerate(schedules)]
        self.boundaries = [whole(self, f"boundaries[{i}]", b) for i, b in enumerate(boundaries)]
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:])):
            raise ValueError(f"Joined: boundaries must increase, but are {boundaries}.")
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        which, rates = np.searchsorted(self.boundaries, step, side="right"), np.empty(step.shape)
        for i, (schedule, start) in enumerate(zip(self.schedules, [0, *self.boundaries])):
            here = which == i
            if here.any():
                rates[here] = rates_of(schedule, step[here] - start)
        return rates

    def get_config(self) -> dict:
        return {"schedules": [config_of(s) for s in self.schedules], "boundaries": self.boundaries, "name": self.name}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Joined:
        config = dict(config)
        config["schedules"] = [from_part(s, custom_objects) for s in config["schedules"]]
        return cls(**config)


class Warmup(LearningRateSchedule):
    """A straight line up to where a schedule begins, then the schedule, which counts from 0 there.

    Parameters
    ----------
    schedule : a schedule (or its config), or a number for a rate that stays.
    warmup_steps : int of at least 1.
    initial_learning_rate : float of at least 0, the rate at step 0.
    name : str

    References
    ----------
    Goyal et al. (2017), Accurate, large minibatch SGD: training ImageNet in 1 hour, arXiv:1706.02677.

    Examples
    --------
    >>> from fastnn.optimizers.schedules import CosineDecay
    >>> Warmup(CosineDecay(0.4, 2), warmup_steps=4).table(0, 7)
    array([0. , 0.1, 0.2, 0.3, 0.4, 0.2, 0. ])
    """

    def __init__(self, schedule, warmup_steps: int, initial_learning_rate=0.0, name="Warmup"):
        self.schedule = part(self, "schedule", schedule)
        self.warmup_steps = whole(self, "warmup_steps", warmup_steps)
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        first, target = self.initial_learning_rate, rates_of(self.schedule, np.zeros(1))[0]
        rising = first + (target - first) * (step / self.warmup_steps)
        after = rates_of(self.schedule, np.maximum(step - self.warmup_steps, 0))
        return np.where(step < self.warmup_steps, rising, after)

    def get_config(self) -> dict:
        return {"schedule": config_of(self.schedule), "warmup_steps": self.warmup_steps,
                "initial_learning_rate": self.initial_learning_rate, "name": self.name}

    @classmethod
    def from_config(cls, config: dict, custom_objects: dict | None = None) -> Warmup:
        return cls(**{**config, "schedule": from_part(config["schedule"], custom_objects)})


def part(who: object, name: str, value):
    """A schedule, its config or a number, as a schedule or a number."""
    from . import deserialize

    if isinstance(value, dict):
        return deserialize(value)
    return value if isinstance(value, LearningRateSchedule) else number(who, name, value, least=0)


def from_part(value, custom_objects: dict | None):
    from . import deserialize

    return deserialize(value, custom_objects) if isinstance(value, dict) else value


def config_of(value):
    from . import serialize

    return serialize(value) if isinstance(value, LearningRateSchedule) else value


def rates_of(schedule, step: np.ndarray) -> np.ndarray:
    """The rates at an array of steps; a schedule of the user's may take single steps only."""
    if not isinstance(schedule, LearningRateSchedule):
        return np.full(step.shape, schedule, np.float64)
    if type(schedule).__call__ is LearningRateSchedule.__call__:
        return schedule(step)
    return np.array([float(schedule(s)) for s in step], np.float64)
