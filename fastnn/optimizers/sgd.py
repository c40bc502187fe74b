"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import optim
from . import checks, schedules
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent: ``w -= rate * g``; with momentum the steps are gathered in a velocity.

        v = momentum * v - rate * g
        w += v                          plain
        w += momentum * v - rate * g    nesterov

    Parameters
    ----------
    learning_rate : number or schedule.
    momentum : in [0, 1), 0 needs no slot; or a schedule of such numbers, as ``OneCycle(...).momentum``.
    nesterov : look ahead along the velocity, as Nesterov does.
    others : see `Optimizer`.

    Notes
    -----
    As in Keras the rate is inside the velocity. PyTorch keeps ``buf = momentum * buf + g`` and steps by
    ``rate * buf``: the same while the rate stays, another rule under a schedule.

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

    def __init__(self, learning_rate=0.01, momentum: float = 0.0, nesterov: bool = False, weight_decay=None,
                 clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "sgd", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        if isinstance(momentum, dict):
            momentum = schedules.deserialize(momentum)
        self.momentum = momentum if hasattr(momentum, "table") else checks.share("SGD", "momentum", momentum)
        self.nesterov = checks.flag("SGD", "nesterov", nesterov)
        self.slot_names = ("v",) if self.momentum else ()

    def momentum_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        if not hasattr(self.momentum, "table"):
            return np.full(len(t), self.momentum)
        values = self.momentum(t - 1)
        if not (0 <= values.min() and values.max() < 1):
            raise ValueError(f"SGD: momentum must be in [0, 1), but {self.momentum!r} gives {values.min()} to "
                             f"{values.max()}.")
        return values

    def update(self, g, w, slots, scalars) -> None:
        if self.momentum:
            optim.momentum(g, scalars["rate"], scalars["momentum"], w, *slots, nesterov=int(self.nesterov))
        else:
            optim.sgd(g, scalars["rate"], w)

    def get_config(self) -> dict[str, Any]:
        momentum = schedules.serialize(self.momentum) if hasattr(self.momentum, "table") else self.momentum
        return {**super().get_config(), "momentum": momentum, "nesterov": self.nesterov}
