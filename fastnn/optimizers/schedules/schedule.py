"""The base of all learning rate schedules: a schedule is a pure function of the step."""

from __future__ import annotations

import math

import numpy as np

TIMES, MOST = 16, 1 << 16  #: so many times the steps that are asked for are tabulated, up to so many steps


class LearningRateSchedule:
    """A learning rate for each step: ``schedule(step)``.

    Being a pure function it can be tabulated for a thousand steps ahead (`table`), plotted and tested.
    What depends on history (plateaus) is a callback.

    A subclass writes either `rate`, which maps a float64 array of steps to rates, or, as in Keras,
    `__call__` for one step; and `get_config` to be saved with a model.

    Examples
    --------
    >>> class Halving(LearningRateSchedule):
    ...     def rate(self, step):
    ...         return 0.5 ** step
    >>> halving = Halving()
    >>> halving(2), halving(np.arange(3)), halving.table(3, 2)
    (0.25, array([1.  , 0.5 , 0.25]), array([0.125 , 0.0625]))
    """

    def rate(self, step: np.ndarray) -> np.ndarray:
        """The rates at a float64 array of steps."""
        raise NotImplementedError(f"{type(self).__name__} must override rate(self, step) or __call__(self, step).")

    def __call__(self, step):
        """The rate at one step (a float), or at each of an array of steps (a float64 array)."""
        steps = np.asarray(step)
        if steps.dtype.kind not in "iuf":
            raise ValueError(f"{type(self).__name__}: step must be a number or an array of numbers, but is {step!r}.")
        if steps.size and not steps.min() >= 0:
            raise ValueError(f"{type(self).__name__}: step must be at least 0, but {steps.min()} was given.")
        # one step goes through the array's arithmetic too, so that a table has the same bits
        rates = np.asarray(self.rate(np.atleast_1d(steps).astype(np.float64)), np.float64)
        return rates if steps.ndim else float(rates[0])

    def table(self, first: int, count: int) -> np.ndarray:
        """The rates at steps ``first .. first + count - 1`` as a float64 array."""
        if first < 0 or count < 0:
            raise ValueError(
                f"{type(self).__name__}.table: first and count must be at least 0, not {first} and {count}."
            )
        if type(self).__call__ is LearningRateSchedule.__call__:
            return self(np.arange(first, first + count))
        return np.array([float(self(step)) for step in range(first, first + count)], np.float64)

    def plot(self, steps: int, ax=None):
        """The rates at steps 0 to ``steps - 1`` as a line.

        Parameters
        ----------
        steps : int of at least 1.
        ax : matplotlib Axes to draw on; a new figure's by default.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError : matplotlib is not installed.
        """
        from ...extras import need

        pyplot = need("matplotlib.pyplot", extra="plot")
        rates = self.table(0, steps)
        if ax is None:
            _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
        ax.plot(np.arange(steps), rates, label=getattr(self, "name", None) or type(self).__name__)
        ax.set_xlabel("step")
        ax.set_ylabel("learning rate")
        return ax

    def get_config(self) -> dict:
        raise NotImplementedError(f"{type(self).__name__} must override get_config(self) to be saved.")

    @classmethod
    def from_config(cls, config: dict) -> LearningRateSchedule:
        return cls(**config)

    def __repr__(self) -> str:
        try:
            config = self.get_config()
        except NotImplementedError:
            config = {}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in config.items() if k != 'name')})"


class Ahead:
    """The rates of a schedule, tabulated for more steps than are asked for: most epochs only look them up.

    Attributes
    ----------
    schedule : a pure function of the step, with a method `table`.

    Examples
    --------
    >>> from fastnn.optimizers.schedules import ExponentialDecay
    >>> ahead = Ahead(ExponentialDecay(1.0, 1, 0.5))
    >>> ahead.rates(0, 2), ahead.rates(2, 2)
    (array([1. , 0.5]), array([0.25 , 0.125]))
    """

    def __init__(self, schedule):
        self.schedule = schedule
        self._first, self._known = 0, np.zeros(0)

    def rates(self, first: int, count: int) -> np.ndarray:
        """The rates at steps ``first .. first + count - 1`` as a float64 array, which is not to be changed."""
        start = first - self._first
        if start < 0 or start + count > len(self._known):
            start, self._first, self._known = 0, first, self._tabulate(first, count)
        return self._known[start : start + count]

    def _tabulate(self, first: int, count: int) -> np.ndarray:
        more = max(count, min(TIMES * count, MOST))
        try:
            return np.asarray(self.schedule.table(first, more), np.float64)
        except Exception:  # a user's own may not know what comes later
            return np.asarray(self.schedule.table(first, count), np.float64)


def number(who: object, name: str, value, above: float | None = None, least: float | None = None):
    """`value`, a finite real number in its range; else ValueError with the value in it."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise ValueError(f"{type(who).__name__}: {name} must be a number, but is {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"{type(who).__name__}: {name} must be finite, but is {value!r}.")
    if above is not None and not value > above:
        raise ValueError(f"{type(who).__name__}: {name} must be above {above}, but is {value!r}.")
    if least is not None and not value >= least:
        raise ValueError(f"{type(who).__name__}: {name} must be at least {least}, but is {value!r}.")
    return value.item() if isinstance(value, np.generic) else value


def flag(who: object, name: str, value) -> bool:
    """`value`, True or False; else ValueError with the value in it."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{type(who).__name__}: {name} must be True or False, but is {value!r}.")
    return bool(value)


def several(who: object, name: str, value) -> list:
    """`value`, a list or what makes one; else ValueError with the value in it."""
    if isinstance(value, str | bytes | dict) or not hasattr(value, "__iter__"):
        raise ValueError(f"{type(who).__name__}: {name} must be a list, but is {value!r}.")
    return list(value)
