"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks, spelling
from ..kernels import embedding, moments, optim
from .optimizer import Optimizer


class Adam(Optimizer):
    """Steps by the mean of the gradients over the root of the mean of their squares.

        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        alpha = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)      t = 1, 2, ...
        w -= alpha * m / (sqrt(v) + epsilon)

    Parameters
    ----------
    learning_rate : number or schedule.
    beta_1, beta_2 : in [0, 1): what the two means keep.
    epsilon : above 0.
    amsgrad : divide by the root of the largest v so far, so that no weight's rate grows again.
    bias_correction : False leaves the correction away: ``alpha = rate``. (MLX's default; the textbook's first form.)
    epsilon_mode : "hat" is Keras's, the formula above: "epsilon hat" before section 2.1 of the paper.
        "outside" is Algorithm 1 of the paper and PyTorch: epsilon is added to the corrected root, which
        is ``epsilon * sqrt(1 - beta_2**t)`` in the formula above.
    others : see `Optimizer`; `weight_decay` makes it `AdamW`.

    Notes
    -----
    The table of an ``Embedding(sparse=True)`` is updated lazily, as by ``torch.optim.SparseAdam``: of rows whose tokens
    are not in the batch neither weights nor moments change.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980. AMSGrad: Reddi, Kale &
    Kumar (2018), arXiv:1904.09237.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0, 1.0])
    >>> Adam(0.1).apply([np.array([2.0, -0.5])], [w])     # the first step has the size of the rate
    >>> w.numpy().round(4)
    array([0.9, 1.1], dtype=float32)
    """

    slot_names: tuple[str, ...] = ("m", "v")
    decays = True
    lazy = True

    def __init__(self, learning_rate=0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 amsgrad: bool = False, weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None,
                 name: str | None = "adam", bias_correction: bool = True, epsilon_mode: str = "hat", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        who = type(self).__name__
        self.beta_1 = checks.share(who, "beta_1", beta_1)
        self.beta_2 = checks.share(who, "beta_2", beta_2)
        self.epsilon = checks.positive(who, "epsilon", epsilon)
        self.amsgrad = checks.flag(who, "amsgrad", amsgrad)
        if self.amsgrad:
            self.slot_names = ("m", "v", "top")
        self.bias_correction = checks.flag(who, "bias_correction", bias_correction)
        self.epsilon_mode = spelling.one_of("epsilon_mode", epsilon_mode, ("hat", "outside"))

    def alpha_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The rate with both bias corrections in it."""
        if not self.bias_correction:
            return rates
        return rates * np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)

    def epsilon_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Epsilon as it stands beside the uncorrected root."""
        if self.epsilon_mode == "outside" and self.bias_correction:
            return self.epsilon * np.sqrt(1 - self.beta_2**t)
        return np.full(len(t), self.epsilon)

    def update(self, g, w, slots, scalars) -> None:
        betas = {"beta_1": self.beta_1, "beta_2": self.beta_2}
        if self.amsgrad:
            moments.adam_amsgrad(g, scalars["alpha"], scalars["epsilon"], w, *slots, scalars.decay, **betas)
        elif scalars.decays:
            optim.adamw(g, scalars["alpha"], scalars["epsilon"], scalars.decay, w, *slots, **betas)
        else:
            optim.adam(g, scalars["alpha"], scalars["epsilon"], w, *slots, **betas)

    def _not_by_rows(self) -> str | None:
        return "amsgrad is not done by rows" if self.amsgrad else super()._not_by_rows()

    def update_rows(self, rows, w, slots, scalars) -> None:
        embedding.row_adam(*rows, scalars["alpha"], scalars["epsilon"], w, *slots, beta_1=self.beta_1,
                           beta_2=self.beta_2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon,
                "amsgrad": self.amsgrad, "bias_correction": self.bias_correction, "epsilon_mode": self.epsilon_mode}


class AdamW(Adam):
    """Adam with decoupled weight decay: ``w -= rate * weight_decay * w``, then the step of `Adam`.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization, arXiv:1711.05101.

    Examples
    --------
    >>> from fastnn.program.variable import Variable
    >>> w = Variable([1.0])
    >>> AdamW(0.1, weight_decay=0.5).apply([np.array([0.0])], [w])     # decay alone: 1 - 0.1 * 0.5
    >>> w.numpy()
    array([0.95], dtype=float32)
    """

    def __init__(self, learning_rate=0.001, weight_decay: float = 0.004, beta_1: float = 0.9, beta_2: float = 0.999,
                 epsilon: float = 1e-7, amsgrad: bool = False, clipnorm=None, clipvalue=None, global_clipnorm=None,
                 name: str | None = "adamw", bias_correction: bool = True, epsilon_mode: str = "hat", **later: Any):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, clipnorm, clipvalue,
                         global_clipnorm, name, bias_correction, epsilon_mode, **later)
        if self.weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number; for none use Adam.")
