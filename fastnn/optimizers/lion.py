"""Lion."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..kernels import moments
from .optimizer import Optimizer


class Lion(Optimizer):
    """Steps of one size for all weights, along the signs of an average of the gradients.

        w -= rate * sign(beta_1 * m + (1 - beta_1) * g)
        m = beta_2 * m + (1 - beta_2) * g

    Parameters
    ----------
    learning_rate : number or schedule; 3 to 10 times smaller than Adam's, with as much more weight decay.
    beta_1, beta_2 : in [0, 1).
    others : see `Optimizer`.

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, arXiv:2302.06675.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0, 1.0])
    >>> Lion(0.25).apply([np.array([2.0, -0.001])], [w])
    >>> w.numpy()
    array([0.75, 1.25], dtype=float32)
    """

    slot_names = ("m",)
    decays = True

    def __init__(self, learning_rate=0.001, beta_1: float = 0.9, beta_2: float = 0.99, weight_decay=None,
                 clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "lion", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.beta_1 = checks.share("Lion", "beta_1", beta_1)
        self.beta_2 = checks.share("Lion", "beta_2", beta_2)

    def update(self, g, w, slots, scalars) -> None:
        moments.lion(g, scalars["rate"], w, *slots, scalars.decay, beta_1=self.beta_1, beta_2=self.beta_2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
