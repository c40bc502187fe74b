"""Relatives of Adam: Adamax, Nadam and RAdam."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..kernels import moments
from .optimizer import Optimizer

LOOKED_AHEAD = 0.96  #: how fast Nadam's momentum rises, once for each step


class Moments(Optimizer):
    """Base of the relatives of Adam: what they have in common of its arguments."""

    slot_names = ("m", "v")
    decays = True

    def __init__(self, learning_rate=0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = None,
                 **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        who = type(self).__name__
        self.beta_1 = checks.share(who, "beta_1", beta_1)
        self.beta_2 = checks.share(who, "beta_2", beta_2)
        self.epsilon = checks.positive(who, "epsilon", epsilon)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


class Adamax(Moments):
    """Adam by the largest gradient, slowly forgotten, in the place of the root mean square.

        m = beta_1 * m + (1 - beta_1) * g
        u = max(beta_2 * u, |g|)
        w -= rate / (1 - beta_1**t) * m / (u + epsilon)      t = 1, 2, ...

    Parameters
    ----------
    learning_rate : number or schedule.
    beta_1, beta_2 : in [0, 1).
    epsilon : above 0, as in Keras; PyTorch adds it to ``|g|``.
    others : see `Optimizer`.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980, section 7.1.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0, 1.0])
    >>> Adamax(0.1).apply([np.array([2.0, -0.5])], [w])     # the first step has the size of the rate
    >>> w.numpy().round(4)
    array([0.9, 1.1], dtype=float32)
    """

    slot_names = ("m", "u")

    def alpha_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return rates / (1 - self.beta_1**t)

    def update(self, g, w, slots, scalars) -> None:
        moments.adamax(g, scalars["alpha"], w, *slots, scalars.decay, beta_1=self.beta_1, beta_2=self.beta_2,
                       epsilon=self.epsilon)


class Nadam(Moments):
    """Adam with Nesterov's look ahead, its momentum rising from half of beta_1 to the whole.

        mu_t = beta_1 * (1 - 0.96**(t * momentum_decay) / 2)      t = 1, 2, ...
        P_t = mu_1 * ... * mu_t
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        step = mu_(t+1) * m / (1 - P_(t+1)) + (1 - mu_t) * g / (1 - P_t)
        w -= rate * step / (sqrt(v / (1 - beta_2**t)) + epsilon)

    Parameters
    ----------
    learning_rate : number or schedule.
    beta_1, beta_2 : in [0, 1).
    epsilon : above 0.
    momentum_decay : above 0; 1 is Keras, 0.004 PyTorch and the paper's experiments.
    others : see `Optimizer`.

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0])
    >>> Nadam(0.1).apply([np.array([2.0])], [w])
    >>> w.numpy() < 0.9
    array([ True])
    """

    def __init__(self, learning_rate=0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "nadam",
                 momentum_decay: float = 1.0, **later: Any):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, weight_decay, clipnorm, clipvalue, global_clipnorm,
                         name, **later)
        self.momentum_decay = checks.positive("Nadam", "momentum_decay", momentum_decay)
        self._risen: np.ndarray | None = None

    def momentum_at(self, t: np.ndarray) -> np.ndarray:
        """mu_t."""
        return self.beta_1 * (1 - 0.5 * LOOKED_AHEAD ** (t * self.momentum_decay))

    def product_at(self, t: np.ndarray) -> np.ndarray:
        """mu_1 * ... * mu_t, by the product of what follows beta_1, which soon stays as it is."""
        if self._risen is None:
            settled = int(np.ceil(np.log(1e-18) / np.log(LOOKED_AHEAD) / self.momentum_decay)) + 1
            steps = np.arange(1, min(settled, 10**7) + 1)
            self._risen = np.cumprod([1.0, *(1 - 0.5 * LOOKED_AHEAD ** (steps * self.momentum_decay))])
        return self.beta_1**t * self._risen[np.minimum(t, len(self._risen) - 1).astype(np.int64)]

    def alpha_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """What m is multiplied by."""
        return rates * np.sqrt(1 - self.beta_2**t) * self.momentum_at(t + 1) / (1 - self.product_at(t + 1))

    def gamma_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """What the gradient is multiplied by."""
        return rates * np.sqrt(1 - self.beta_2**t) * (1 - self.momentum_at(t)) / (1 - self.product_at(t))

    def epsilon_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Epsilon as it stands beside the uncorrected root."""
        return self.epsilon * np.sqrt(1 - self.beta_2**t)

    def update(self, g, w, slots, scalars) -> None:
        moments.nadam(g, scalars["alpha"], scalars["gamma"], scalars["epsilon"], w, *slots, scalars.decay,
                      beta_1=self.beta_1, beta_2=self.beta_2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum_decay": self.momentum_decay}


class RAdam(Moments):
    """Adam that waits with its division until it has seen enough gradients: no warm-up is needed.

        m, v as in `Adam`
        longest = 2 / (1 - beta_2) - 1
        length = longest - 2 * t * beta_2**t / (1 - beta_2**t)      t = 1, 2, ...
        w -= rate * m / (1 - beta_1**t)                             length <= 5
        w -= alpha * m / (sqrt(v) + epsilon)                        length > 5, with
        alpha = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * sqrt(r(length) / r(longest))
        r(x) = (x - 4) * (x - 2) / x

    Parameters
    ----------
    learning_rate : number or schedule.
    beta_1, beta_2 : in [0, 1).
    epsilon : above 0, beside the uncorrected root, as in PyTorch.
    others : see `Optimizer`. Keras has no RAdam; arguments and defaults are those of its Adam.

    References
    ----------
    Liu et al. (2020), On the variance of the adaptive learning rate and beyond, arXiv:1908.03265, Algorithm 2.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0])
    >>> RAdam(0.1).apply([np.array([2.0])], [w])     # at first a step along the gradient
    >>> w.numpy().round(4)
    array([0.8], dtype=float32)
    """

    def length(self, t: np.ndarray) -> np.ndarray:
        """How many gradients v is of, as it were."""
        past = self.beta_2**t
        return 2 / (1 - self.beta_2) - 1 - 2 * t * past / (1 - past)

    def adaptive_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Whether to divide by the root of v."""
        return (self.length(t) > 5).astype(np.float64)

    def alpha_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        def spread(x):
            return (x - 4) * (x - 2) / x

        longest, length = 2 / (1 - self.beta_2) - 1, np.maximum(self.length(t), 5)
        rectified = np.sqrt(spread(length) / spread(longest) * (1 - self.beta_2**t)) if longest > 5 else 1.0
        return rates / (1 - self.beta_1**t) * np.where(self.length(t) > 5, rectified, 1.0)

    def epsilon_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.full(len(t), self.epsilon)

    def update(self, g, w, slots, scalars) -> None:
        moments.radam(g, scalars["alpha"], scalars["epsilon"], scalars["adaptive"], w, *slots, scalars.decay,
                      beta_1=self.beta_1, beta_2=self.beta_2)
