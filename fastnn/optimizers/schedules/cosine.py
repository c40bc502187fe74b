"""Schedules that follow a cosine, with warm-up or with restarts."""

from __future__ import annotations

import math

import numpy as np

from .schedule import LearningRateSchedule, number


class CosineDecay(LearningRateSchedule):
    """Half a cosine from `initial_learning_rate` down to `alpha` times it, after an optional warm-up.

    Without `warmup_target`, with ``p = min(step, decay_steps) / decay_steps``::

        initial_learning_rate * ((1 - alpha) * (1 + cos(pi * p)) / 2 + alpha)

    With `warmup_target` the rate first rises in a straight line from `initial_learning_rate` to
    `warmup_target` during `warmup_steps`; then the cosine starts from `warmup_target` and takes
    `decay_steps` more.

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    decay_steps : number above 0.
    alpha : float in [0, 1], the share of the rate that is left at the end.
    name : str
    warmup_target : float of at least 0, or None for no warm-up (`warmup_steps` is then not looked at, as
        in Keras).
    warmup_steps : number of at least 0.

    References
    ----------
    Loshchilov & Hutter (2017), SGDR: stochastic gradient descent with warm restarts, arXiv:1608.03983.

    Examples
    --------
    >>> rate = CosineDecay(0.1, decay_steps=10)
    >>> rate(0), round(rate(5), 6), rate(10), rate(11)
    (0.1, 0.05, 0.0, 0.0)
    >>> CosineDecay(0.0, 10, warmup_target=0.2, warmup_steps=4)(np.array([0, 2, 4, 14]))
    array([0. , 0.1, 0.2, 0. ])
    """

    def __init__(
        self, initial_learning_rate, decay_steps, alpha=0.0, name="CosineDecay", warmup_target=None, warmup_steps=0
    ):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.decay_steps = number(self, "decay_steps", decay_steps, above=0)
        self.alpha = _share(self, alpha)
        self.warmup_target = None if warmup_target is None else number(self, "warmup_target", warmup_target, least=0)
        self.warmup_steps = number(self, "warmup_steps", warmup_steps, least=0)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        if self.warmup_target is None:
            return self._cosine(step, self.initial_learning_rate)
        rising = (self.warmup_target - self.initial_learning_rate) * (step / max(self.warmup_steps, 1e-300))
        falling = self._cosine(np.maximum(step - self.warmup_steps, 0), self.warmup_target)
        return np.where(step < self.warmup_steps, rising + self.initial_learning_rate, falling)

    def _cosine(self, step: np.ndarray, start: float) -> np.ndarray:
        p = np.minimum(step, self.decay_steps) / self.decay_steps
        return start * ((1 - self.alpha) * 0.5 * (1 + np.cos(math.pi * p)) + self.alpha)

    def get_config(self) -> dict:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosines one after the other, each `t_mul` times as long and `m_mul` times as high as the last.

    The i-th one (from 0) takes ``first_decay_steps * t_mul**i`` steps; at the share p of it the rate is::

        initial_learning_rate * ((1 - alpha) * m_mul**i * (1 + cos(pi * p)) / 2 + alpha)

    Parameters
    ----------
    initial_learning_rate : float of at least 0.
    first_decay_steps : number above 0.
    t_mul : float of at least 1.
    m_mul : float above 0.
    alpha : float in [0, 1], the share of the rate below which it does not fall.
    name : str

    References
    ----------
    Loshchilov & Hutter (2017), SGDR: stochastic gradient descent with warm restarts, arXiv:1608.03983.

    Examples
    --------
    >>> rate = CosineDecayRestarts(0.1, first_decay_steps=10, m_mul=0.5)
    >>> rate(0), round(rate(5), 6), rate(10), round(rate(20), 6), rate(30)
    (0.1, 0.05, 0.05, 0.025, 0.025)
    """

    def __init__(self, initial_learning_rate, first_decay_steps, t_mul=2.0, m_mul=1.0, alpha=0.0, name="SGDRDecay"):
        self.initial_learning_rate = number(self, "initial_learning_rate", initial_learning_rate, least=0)
        self.first_decay_steps = number(self, "first_decay_steps", first_decay_steps, above=0)
        self.t_mul = number(self, "t_mul", t_mul, least=1)
        self.m_mul = number(self, "m_mul", m_mul, above=0)
        self.alpha = _share(self, alpha)
        self.name = name

    def rate(self, step: np.ndarray) -> np.ndarray:
        done = step / self.first_decay_steps  # in lengths of the first cosine
        t = float(self.t_mul)
        if t == 1.0:
            i = np.floor(done)
            p = done - i
        else:
            i = np.floor(np.log1p(done * (t - 1)) / math.log(t))
            # the logarithm may round to the wrong side of a restart: put i where start(i) <= done < start(i + 1)
            i = np.where(done >= _start(i + 1, t), i + 1, np.where(done < _start(i, t), i - 1, i))
            p = (done - _start(i, t)) / t**i
        wave = self.m_mul**i * 0.5 * (1 + np.cos(math.pi * p))
        return self.initial_learning_rate * ((1 - self.alpha) * wave + self.alpha)

    def get_config(self) -> dict:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }


def _start(i: np.ndarray, t: float) -> np.ndarray:
    """Where the i-th cosine starts: ``1 + t + ... + t**(i - 1)``."""
    return (t**i - 1) / (t - 1)


def _share(who: object, alpha) -> float:
    alpha = number(who, "alpha", alpha, least=0)
    if alpha > 1:
        raise ValueError(f"{type(who).__name__}: alpha must be in [0, 1], but is {alpha!r}.")
    return alpha
