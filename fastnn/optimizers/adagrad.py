"""Adagrad and Adadelta."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..kernels import embedding, moments
from .optimizer import Optimizer


class Adagrad(Optimizer):
    """Each weight has a rate of its own, which falls with the sum of its squared gradients.

        a += g**2
        w -= rate * g / sqrt(a + epsilon)

    Parameters
    ----------
    learning_rate : number or schedule.
    initial_accumulator_value : 0 or more: what `a` is at first.
    epsilon : above 0.
    epsilon_inside_sqrt : True as in Keras; False as in PyTorch, ``sqrt(a) + epsilon``.
    others : see `Optimizer`.

    Notes
    -----
    `a` is a sum, not an average: the rates only fall, which suits convex problems and rare features. Some texts call by
    this name a step along the gradient over its norm; that is normalized gradient descent, another rule.

    References
    ----------
    Duchi, Hazan & Singer (2011), Adaptive subgradient methods for online learning and stochastic optimization.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0])
    >>> Adagrad(0.5, initial_accumulator_value=16.0).apply([np.array([3.0])], [w])     # 1 - 0.5 * 3 / 5
    >>> w.numpy()
    array([0.7], dtype=float32)
    """

    slot_names = ("a",)
    decays = True

    def __init__(self, learning_rate=0.001, initial_accumulator_value: float = 0.1, epsilon: float = 1e-7,
                 weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "adagrad",
                 epsilon_inside_sqrt: bool = True, **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.initial_accumulator_value = checks.at_least_zero("Adagrad", "initial_accumulator_value",
                                                              initial_accumulator_value)
        self.epsilon = checks.positive("Adagrad", "epsilon", epsilon)
        self.epsilon_inside_sqrt = checks.flag("Adagrad", "epsilon_inside_sqrt", epsilon_inside_sqrt)

    def slot_start(self, name: str) -> float:
        return self.initial_accumulator_value

    def update(self, g, w, slots, scalars) -> None:
        moments.adagrad(g, scalars["rate"], w, *slots, scalars.decay, epsilon=self.epsilon,
                        epsilon_inside=int(self.epsilon_inside_sqrt))

    def update_rows(self, rows, w, slots, scalars) -> None:
        embedding.row_adagrad(*rows, scalars["rate"], w, *slots, epsilon=self.epsilon,
                              epsilon_inside=int(self.epsilon_inside_sqrt))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial_accumulator_value": self.initial_accumulator_value,
                "epsilon": self.epsilon, "epsilon_inside_sqrt": self.epsilon_inside_sqrt}


class Adadelta(Optimizer):
    """Steps as large as past steps were, in proportion to the gradient over its root mean square.

        v = rho * v + (1 - rho) * g**2
        step = g * sqrt(d + epsilon) / sqrt(v + epsilon)
        d = rho * d + (1 - rho) * step**2
        w -= rate * step

    Parameters
    ----------
    learning_rate : number or schedule; the paper has 1.
    rho : in [0, 1): what the means of squares keep.
    epsilon : above 0; it sets the size of the first steps.
    others : see `Optimizer`.

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, arXiv:1212.5701.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0])
    >>> Adadelta(1.0, rho=0.0, epsilon=1.0).apply([np.array([2.0])], [w])     # 1 - 2 / sqrt(4 + 1)
    >>> w.numpy().round(4)
    array([0.1056], dtype=float32)
    """

    slot_names = ("v", "d")
    decays = True

    def __init__(self, learning_rate=0.001, rho: float = 0.95, epsilon: float = 1e-7, weight_decay=None, clipnorm=None,
                 clipvalue=None, global_clipnorm=None, name: str | None = "adadelta", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.rho = checks.share("Adadelta", "rho", rho)
        self.epsilon = checks.positive("Adadelta", "epsilon", epsilon)

    def update(self, g, w, slots, scalars) -> None:
        moments.adadelta(g, scalars["rate"], w, *slots, scalars.decay, rho=self.rho, epsilon=self.epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
