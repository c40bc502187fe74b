"""Schedules that rise and fall, for the rate and, the other way round, for the momentum."""

from __future__ import annotations

import math

import numpy as np

from fastnn import spelling

from .schedule import LearningRateSchedule, flag, number

ANNEAL = ("cos", "linear")
MODES = ("triangular", "triangular2", "exp_range")


class MomentumOf(LearningRateSchedule):
    """The momentum that goes with a cycle: high where its rate is low. Made by ``cycle.momentum``.

    Parameters
    ----------
    schedule : `OneCycle` or `Cyclical`, or its config.

    Examples
    --------
    >>> cycle = OneCycle(0.1, total_steps=11, pct_start=0.5, anneal_strategy="linear")
    >>> from fastnn.optimizers import SGD
    >>> SGD(cycle, momentum=cycle.momentum).momentum.table(0, 3).round(3)
    array([0.95 , 0.928, 0.906])
    """

    def __init__(self, schedule):
        from . import get

        schedule = get(schedule)
        if not hasattr(schedule, "momentum_at"):
            raise ValueError(f"MomentumOf: schedule must be a OneCycle or a Cyclical, but is {schedule!r}.")
        self.schedule = schedule

    def rate(self, step: np.ndarray) -> np.ndarray:
        return self.schedule.momentum_at(step)

    def get_config(self) -> dict:
        from . import serialize

        return {"schedule": serialize(self.schedule)}


class OneCycle(LearningRateSchedule):
    """One cycle: the rate rises, falls, and ends far below where it began; PyTorch's ``OneCycleLR``.

    From ``max_lr / div_factor`` to ``max_lr`` at step ``pct_start * total_steps - 1``, then down to
    ``max_lr / div_factor / final_div_factor`` at step ``total_steps - 1``, where it stays. With `three_phase`
    it first falls to where it began, as fast as it rose, and then to its end.

    Parameters
    ----------
    max_lr : float of at least 0, the highest rate.
    total_steps : int of at least 2; or None, and `epochs` times `steps_per_epoch` says it.
    epochs, steps_per_epoch : ints.
    pct_start : in [0, 1], the share of the steps in which the rate rises.
    anneal_strategy : "cos" (half a cosine in each phase) or "linear" (the paper).
    base_momentum, max_momentum : in [0, 1): the momentum at the highest and at the lowest rate.
    div_factor, final_div_factor : numbers above 0.
    three_phase : bool; the paper has three phases.
    name : str

    Attributes
    ----------
    momentum : the schedule of the momentum, for ``SGD(cycle, momentum=cycle.momentum)``.

    References
    ----------
    Smith & Topin (2018), Super-convergence: very fast training of neural networks using large learning rates,
    arXiv:1708.07120.

    Examples
    --------
    >>> cycle = OneCycle(1.0, total_steps=11, pct_start=0.5, anneal_strategy="linear")
    >>> cycle(np.array([0, 4, 5, 10])).round(4)
    array([0.04  , 0.8933, 0.9091, 0.    ])
    """

    def __init__(self, max_lr, total_steps=None, epochs=None, steps_per_epoch=None, pct_start=0.3,
                 anneal_strategy="cos", base_momentum=0.85, max_momentum=0.95, div_factor=25.0, final_div_factor=1e4,
                 three_phase=False, name="OneCycle"):
        self.max_lr = number(self, "max_lr", max_lr, least=0)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycle: give total_steps, or epochs and steps_per_epoch.")
            total_steps = whole(self, "epochs", epochs) * whole(self, "steps_per_epoch", steps_per_epoch)
        self.total_steps = whole(self, "total_steps", total_steps, least=2)
        self.pct_start = share(self, "pct_start", pct_start, closed=True)
        self.anneal_strategy = spelling.one_of("anneal_strategy", anneal_strategy, ANNEAL)
        self.base_momentum = share(self, "base_momentum", base_momentum)
        self.max_momentum = share(self, "max_momentum", max_momentum)
        self.div_factor = number(self, "div_factor", div_factor, above=0)
        self.final_div_factor = number(self, "final_div_factor", final_div_factor, above=0)
        self.three_phase = flag(self, "three_phase", three_phase)
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError(f"OneCycle: pct_start must be at most 0.5 with three_phase, but is {pct_start!r}.")
        self.name = name

    @property
    def momentum(self) -> MomentumOf:
        return MomentumOf(self)

    def rate(self, step: np.ndarray) -> np.ndarray:
        first = self.max_lr / self.div_factor
        return self._along(step, first, self.max_lr, first / self.final_div_factor)

    def momentum_at(self, step: np.ndarray) -> np.ndarray:
        return self._along(step, self.max_momentum, self.base_momentum, self.max_momentum)

    def _along(self, step: np.ndarray, low: float, high: float, end: float) -> np.ndarray:
        """`low`, `high`, (`low` again with three phases,) `end` at the ends of the phases."""
        top, last = self.pct_start * self.total_steps - 1, float(self.total_steps - 1)
        ends, values = [top, last], [low, high, end]
        if self.three_phase:
            ends, values = [top, 2 * top, last], [low, high, low, end]
        phase = np.minimum(np.searchsorted(ends, step, side="left"), len(ends) - 1)
        starts, ends, values = np.array([0.0, *ends[:-1]]), np.array(ends), np.array(values)
        length = ends[phase] - starts[phase]
        # a phase without length is over at once; beyond the end the last value stays
        p = np.where(length > 0, (step - starts[phase]) / np.where(length > 0, length, 1.0), 1.0).clip(0.0, 1.0)
        if self.anneal_strategy == "cos":
            p = (1 - np.cos(math.pi * p)) / 2
        return values[phase] + (values[phase + 1] - values[phase]) * p

    def get_config(self) -> dict:
        names = ("max_lr", "total_steps", "pct_start", "anneal_strategy", "base_momentum", "max_momentum",
                 "div_factor", "final_div_factor", "three_phase", "name")
        return {name: getattr(self, name) for name in names}


class Cyclical(LearningRateSchedule):
    """Between `base_lr` and `max_lr` in straight lines, again and again; PyTorch's ``CyclicLR``.

    The height above `base_lr` is multiplied by 1 ("triangular"), by ``0.5 ** cycle`` ("triangular2", cycles
    counted from 0) or by ``gamma ** step`` ("exp_range").

    Parameters
    ----------
    base_lr, max_lr : floats of at least 0.
    step_size_up : int, steps of the rise.
    step_size_down : int, steps of the fall; None for as many as of the rise.
    mode : "triangular", "triangular2" or "exp_range".
    gamma : number above 0, for "exp_range".
    base_momentum, max_momentum : in [0, 1): the momentum at the highest and at the lowest rate.
    name : str

    Attributes
    ----------
    momentum : the schedule of the momentum, for ``SGD(cycle, momentum=cycle.momentum)``.

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks, arXiv:1506.01186.

    Examples
    --------
    >>> Cyclical(0.0, 1.0, step_size_up=2, mode="triangular2").table(0, 9)
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 , 0.25, 0.  ])
    """

    def __init__(self, base_lr, max_lr, step_size_up=2000, step_size_down=None, mode="triangular", gamma=1.0,
                 base_momentum=0.8, max_momentum=0.9, name="Cyclical"):
        self.base_lr = number(self, "base_lr", base_lr, least=0)
        self.max_lr = number(self, "max_lr", max_lr, least=self.base_lr)
        self.step_size_up = whole(self, "step_size_up", step_size_up)
        self.step_size_down = None if step_size_down is None else whole(self, "step_size_down", step_size_down)
        self.mode = spelling.one_of("mode", mode, MODES)
        self.gamma = number(self, "gamma", gamma, above=0)
        self.base_momentum = share(self, "base_momentum", base_momentum)
        self.max_momentum = share(self, "max_momentum", max_momentum)
        self.name = name

    @property
    def momentum(self) -> MomentumOf:
        return MomentumOf(self)

    def rate(self, step: np.ndarray) -> np.ndarray:
        return self.base_lr + (self.max_lr - self.base_lr) * self._height(step)

    def momentum_at(self, step: np.ndarray) -> np.ndarray:
        return self.max_momentum - (self.max_momentum - self.base_momentum) * self._height(step)

    def _height(self, step: np.ndarray) -> np.ndarray:
        up, down = self.step_size_up, self.step_size_down or self.step_size_up
        cycle = np.floor(step / (up + down))
        place = step - cycle * (up + down)
        height = np.where(place <= up, place / up, (up + down - place) / down)
        if self.mode == "triangular2":
            return height * 0.5**cycle
        return height * self.gamma**step if self.mode == "exp_range" else height

    def get_config(self) -> dict:
        names = ("base_lr", "max_lr", "step_size_up", "step_size_down", "mode", "gamma", "base_momentum",
                 "max_momentum", "name")
        return {name: getattr(self, name) for name in names}


def whole(who: object, name: str, value, least: int = 1) -> int:
    """`value` as an int of at least `least`; else ValueError."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{type(who).__name__}: {name} must be an integer of at least {least}, but is {value!r}.")
    return int(value)


def share(who: object, name: str, value, closed: bool = False) -> float:
    """`value`, a number in [0, 1), or with `closed` in [0, 1]; else ValueError."""
    value = number(who, name, value, least=0)
    if value > 1 or (value == 1 and not closed):
        raise ValueError(f"{type(who).__name__}: {name} must be in [0, 1{']' if closed else ')'}, but is {value!r}.")
    return value
