"""Follow the regularized leader."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..kernels import moments
from .optimizer import Optimizer


class Ftrl(Optimizer):
    """Follow the regularized leader: Adagrad for weights most of which shall be exactly 0.

        sigma = ((a + g**2)**-power - a**-power) / rate
        a += g**2
        z += g + 2 * l2_shrinkage * w - sigma * w
        w = (clip(z, -l1, l1) - z) / (a**-power / rate + 2 * l2 + beta / rate)

    Parameters
    ----------
    learning_rate : number above 0, or a schedule that stays above 0.
    learning_rate_power : 0 or less.
    initial_accumulator_value : 0 or more: what `a` is at first.
    l1_regularization_strength, l2_regularization_strength, l2_shrinkage_regularization_strength : 0 or more.
    beta : 0 or more.
    others : see `Optimizer`.

    Notes
    -----
    The weights follow from `a` and `z` alone but for sigma: a model's initial weights are gone after the first update.

    References
    ----------
    McMahan et al. (2013), Ad click prediction: a view from the trenches, Algorithm 1.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([0.0, 0.0])
    >>> Ftrl(1.0, initial_accumulator_value=0.0, l1_regularization_strength=1.0).apply([np.array([0.5, -4.0])], [w])
    >>> w.numpy()     # the first gradient is too small to matter; the second gives (4 - 1) / 4
    array([0.  , 0.75], dtype=float32)
    """

    slot_names = ("a", "z")
    decays = True

    def __init__(self, learning_rate=0.001, learning_rate_power: float = -0.5, initial_accumulator_value: float = 0.1,
                 l1_regularization_strength: float = 0.0, l2_regularization_strength: float = 0.0,
                 l2_shrinkage_regularization_strength: float = 0.0, beta: float = 0.0, weight_decay=None,
                 clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "ftrl", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        if self.schedule is None:
            checks.positive("Ftrl", "learning_rate", self._rate)
        self.learning_rate_power = checks.number("Ftrl", "learning_rate_power", learning_rate_power)
        if self.learning_rate_power > 0:
            raise ValueError(f"Ftrl: learning_rate_power must be 0 or less; got {learning_rate_power!r}.")
        self.initial_accumulator_value = checks.at_least_zero("Ftrl", "initial_accumulator_value",
                                                              initial_accumulator_value)
        self.l1_regularization_strength = checks.at_least_zero("Ftrl", "l1_regularization_strength",
                                                               l1_regularization_strength)
        self.l2_regularization_strength = checks.at_least_zero("Ftrl", "l2_regularization_strength",
                                                               l2_regularization_strength)
        self.l2_shrinkage_regularization_strength = checks.at_least_zero(
            "Ftrl", "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength)
        self.beta = checks.at_least_zero("Ftrl", "beta", beta)

    def slot_start(self, name: str) -> float:
        return self.initial_accumulator_value if name == "a" else 0.0

    def l2_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return self.l2_regularization_strength + self.beta / (2 * rates)

    def update(self, g, w, slots, scalars) -> None:
        moments.ftrl(g, scalars["rate"], scalars["l2"], w, *slots, scalars.decay, power=self.learning_rate_power,
                     l1=self.l1_regularization_strength, shrinkage=self.l2_shrinkage_regularization_strength)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "learning_rate_power": self.learning_rate_power,
                "initial_accumulator_value": self.initial_accumulator_value,
                "l1_regularization_strength": self.l1_regularization_strength,
                "l2_regularization_strength": self.l2_regularization_strength,
                "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength, "beta": self.beta}
