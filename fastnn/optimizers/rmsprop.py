"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..kernels import optim
from .optimizer import Optimizer


class RMSprop(Optimizer):
    """Each weight has a rate of its own, by the root mean square of its gradients.

        v = rho * v + (1 - rho) * g**2
        w -= rate * g / sqrt(v + epsilon)

    Parameters
    ----------
    learning_rate : number or schedule.
    rho : in [0, 1): what the mean of squares keeps.
    momentum : in [0, 1): steps are gathered in ``mom = momentum * mom + step``.
    epsilon : above 0.
    centered : subtract the squared mean gradient from v: the step is by the standard deviation.
    epsilon_inside_sqrt : True as in Keras; False as in PyTorch, ``sqrt(v) + epsilon``.
    others : see `Optimizer`.

    References
    ----------
    Tieleman & Hinton (2012), Lecture 6.5: RMSProp, Coursera. Centered: Graves (2013), arXiv:1308.0850.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([3.0])
    >>> RMSprop(0.1, rho=0.75).apply([np.array([2.0])], [w])     # v = 1, so the step is 0.1 * 2 / 1
    >>> w.numpy().round(4)
    array([2.8], dtype=float32)
    """

    decays = True

    def __init__(self, learning_rate=0.001, rho: float = 0.9, momentum: float = 0.0, epsilon: float = 1e-7,
                 centered: bool = False, weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None,
                 name: str | None = "rmsprop", epsilon_inside_sqrt: bool = True, **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.rho = checks.share("RMSprop", "rho", rho)
        self.momentum = checks.share("RMSprop", "momentum", momentum)
        self.epsilon = checks.positive("RMSprop", "epsilon", epsilon)
        self.centered = checks.flag("RMSprop", "centered", centered)
        self.epsilon_inside_sqrt = checks.flag("RMSprop", "epsilon_inside_sqrt", epsilon_inside_sqrt)
        if self.centered:
            self.slot_names = ("v", "mean", "mom")
        else:
            self.slot_names = ("v", "mom") if self.momentum else ("v",)

    def momentum_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.full(len(t), self.momentum)

    def update(self, g, w, slots, scalars) -> None:
        attrs = {"rho": self.rho, "epsilon": self.epsilon, "epsilon_inside": int(self.epsilon_inside_sqrt)}
        if self.centered:
            optim.rmsprop_centered(g, scalars["rate"], scalars["momentum"], w, *slots, scalars.decay, **attrs)
        elif self.momentum:
            optim.rmsprop_momentum(g, scalars["rate"], scalars["momentum"], w, *slots, scalars.decay, **attrs)
        else:
            optim.rmsprop(g, scalars["rate"], w, *slots, scalars.decay, **attrs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon,
                "centered": self.centered, "epsilon_inside_sqrt": self.epsilon_inside_sqrt}
