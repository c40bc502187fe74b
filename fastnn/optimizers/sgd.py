"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..kernels import embedding, optim
from . import schedules
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent: ``w -= rate * g``; with momentum the steps are gathered in a velocity.

        v = momentum * v - rate * (1 - dampening) * g
        w += v                          plain
        w += momentum * v - rate * g    nesterov

    or, with ``lr_in_velocity=False``, as PyTorch has it:

        v = momentum * v + (1 - dampening) * g
        w -= rate * v                   plain
        w -= rate * (g + momentum * v)  nesterov

    Parameters
    ----------
    learning_rate : number or schedule.
    momentum : in [0, 1), 0 needs no slot; or a schedule of such numbers, as ``OneCycle(...).momentum``.
    nesterov : look ahead along the velocity, as Nesterov does.
    dampening : in [0, 1]: how much less of each gradient than the whole goes into the velocity, but the first one, as
        in PyTorch. ``dampening=momentum`` makes the velocity an average of the gradients, as some textbooks write
        momentum: steps are then ``1 - momentum`` times as long.
    lr_in_velocity : True as in Keras; False as in PyTorch.
    others : see `Optimizer`.

    Notes
    -----
    With the rate inside or outside of the velocity steps are the same while the rate stays. When it falls, a velocity
    with the rate inside goes on as fast as before for a while; with the rate outside it slows down at once.

    References
    ----------
    Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum in deep learning.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([2.0, -4.0])
    >>> SGD(learning_rate=0.5).apply([np.array([1.0, 1.0])], [w])
    >>> w.numpy()
    array([ 1.5, -4.5], dtype=float32)
    """

    decays = True

    def __init__(self, learning_rate=0.01, momentum: float = 0.0, nesterov: bool = False, weight_decay=None,
                 clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "sgd", dampening: float = 0.0,
                 lr_in_velocity: bool = True, **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        if isinstance(momentum, dict):
            momentum = schedules.deserialize(momentum)
        self.momentum = momentum if hasattr(momentum, "table") else checks.share("SGD", "momentum", momentum)
        self.nesterov = checks.flag("SGD", "nesterov", nesterov)
        self.dampening = checks.up_to_one("SGD", "dampening", dampening)
        self.lr_in_velocity = checks.flag("SGD", "lr_in_velocity", lr_in_velocity)
        if self.dampening and (self.nesterov or not self.momentum):
            raise ValueError(f"SGD: dampening={dampening!r} needs momentum above 0 without nesterov.")
        self.slot_names = ("v",) if self.momentum else ()

    def momentum_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        if not hasattr(self.momentum, "table"):
            return np.full(len(t), self.momentum)
        values = self.momentum(t - 1)
        if not (0 <= values.min() and values.max() < 1):
            raise ValueError(f"SGD: momentum must be in [0, 1), but {self.momentum!r} gives {values.min()} to "
                             f"{values.max()}.")
        return values

    def gain_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The share of a gradient that goes into the velocity."""
        return np.where(t == 1, 1.0, 1 - self.dampening)

    def damped_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The rate that goes into the velocity."""
        return rates * self.gain_table(rates, t)

    def update(self, g, w, slots, scalars) -> None:
        nesterov = int(self.nesterov)
        if not self.momentum:
            optim.sgd(g, scalars["rate"], w, scalars.decay)
        elif self.lr_in_velocity:
            rate = scalars["damped" if self.dampening else "rate"]
            optim.momentum(g, rate, scalars["momentum"], w, *slots, scalars.decay, nesterov=nesterov)
        else:
            optim.momentum_outside(g, scalars["rate"], scalars["momentum"], scalars["gain"], w, *slots, scalars.decay,
                                   nesterov=nesterov)

    def _not_by_rows(self) -> str | None:
        return "momentum moves all rows" if self.momentum else super()._not_by_rows()

    def update_rows(self, rows, w, slots, scalars) -> None:
        embedding.row_sgd(*rows, scalars["rate"], w)

    def get_config(self) -> dict[str, Any]:
        momentum = schedules.serialize(self.momentum) if hasattr(self.momentum, "table") else self.momentum
        return {**super().get_config(), "momentum": momentum, "nesterov": self.nesterov, "dampening": self.dampening,
                "lr_in_velocity": self.lr_in_velocity}
