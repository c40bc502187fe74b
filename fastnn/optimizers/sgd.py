"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import optim
from . import checks
from .optimizer import Optimizer


class SGD(Optimizer):
    """Gradient descent: ``w -= rate * g``; with momentum the steps are gathered in a velocity.

        v = momentum * v - rate * g
        w += v                          plain
        w += momentum * v - rate * g    nesterov

    Parameters
    ----------
    learning_rate : number or schedule.
    momentum : in [0, 1); 0 needs no slot.
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
        self.momentum = checks.share("SGD", "momentum", momentum)
        self.nesterov = checks.flag("SGD", "nesterov", nesterov)
        self.slot_names = ("v",) if self.momentum else ()

    def momentum_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.full(len(t), self.momentum)

    def update(self, g, w, slots, scalars) -> None:
        if self.momentum:
            optim.momentum(g, scalars["rate"], scalars["momentum"], w, *slots, nesterov=int(self.nesterov))
        else:
            optim.sgd(g, scalars["rate"], w)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
