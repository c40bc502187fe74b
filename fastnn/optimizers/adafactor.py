"""Adafactor."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..kernels import factored
from ..program.graph import Graph, Memory
from ..program.variable import Variable
from .optimizer import Optimizer
from .stepping import Scalars


class Adafactor(Optimizer):
    """Steps by mean squares that a matrix keeps for its rows and columns only: slots of K + N numbers, not K * N.

        keep = 1 - t**beta_2_decay                                   t = 1, 2, ...
        r = keep * r + (1 - keep) * mean of (g**2 + epsilon_1) along each row
        c = keep * c + (1 - keep) * mean of (g**2 + epsilon_1) down each column
        v = r * c / mean(r)                                          of a vector: its own average, as in `RMSprop`
        u = g / sqrt(v)
        w -= min(rate, 1 / sqrt(t)) * max(epsilon_2, rms(w)) * u / max(1, rms(u) / clip_threshold)

    Of arrays with more axes the last two are the matrix. rms is the root mean square of all elements.

    Parameters
    ----------
    learning_rate : number or schedule.
    beta_2_decay : below 0: how the averages grow longer.
    epsilon_1 : above 0: added to the squares.
    epsilon_2 : above 0: what the size of the weights counts at least.
    clip_threshold : above 0.
    relative_step : as in Keras, whose formula has the minimum with ``1 / sqrt(t)`` either way; kept for its configs.
    others : see `Optimizer`.

    Notes
    -----
    Three passes over the gradient and two over the weights, six words for each weight where Adam moves seven: the
    averages of rows and columns must be complete before the step is known, and the step before its length.

    References
    ----------
    Shazeer & Stern (2018), Adafactor: adaptive learning rates with sublinear memory cost, arXiv:1804.04235.

    Examples
    --------
    >>> w = Variable([[2.0, 2.0], [2.0, 2.0]])
    >>> Adafactor(0.25).apply([np.array([[1.0, 2.0], [-1.0, -2.0]])], [w])     # of rank 1: all steps are of one size
    >>> w.numpy()
    array([[1.5, 1.5],
           [2.5, 2.5]], dtype=float32)
    """

    slot_names = ("r", "c", "v")
    in_arena = True
    decays = True

    def __init__(self, learning_rate=0.001, beta_2_decay: float = -0.8, epsilon_1: float = 1e-30,
                 epsilon_2: float = 1e-3, clip_threshold: float = 1.0, relative_step: bool = True, weight_decay=None,
                 clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "adafactor", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.beta_2_decay = checks.number("Adafactor", "beta_2_decay", beta_2_decay)
        if self.beta_2_decay >= 0:
            raise ValueError(f"Adafactor: beta_2_decay must be below 0; got {beta_2_decay!r}.")
        self.epsilon_1 = checks.positive("Adafactor", "epsilon_1", epsilon_1)
        self.epsilon_2 = checks.positive("Adafactor", "epsilon_2", epsilon_2)
        self.clip_threshold = checks.positive("Adafactor", "clip_threshold", clip_threshold)
        self.relative_step = checks.flag("Adafactor", "relative_step", relative_step)

    def slot_shape(self, name: str, v: Variable) -> tuple[int, ...] | None:
        if name == "v":
            return v.shape if v.ndim < 2 else None
        if v.ndim < 2:
            return None
        return v.shape[:-1] if name == "r" else (*v.shape[:-2], v.shape[-1])

    def rate_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.minimum(rates, 1 / np.sqrt(t))

    def keep_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """What the averages keep."""
        return 1 - t**self.beta_2_decay

    def _clip_and_update(self, graph: Graph, memory: Memory, variables: list[Variable], scalars: Scalars) -> None:
        self._clip(graph, memory, variables)
        places = {name: self.slot_places(name) for name in self.slot_names}
        for v in variables:
            if not v.size:
                continue
            of, end = scalars.of(*self._groups.of(v)), v.offset + v.size
            g = self._flat_gradient(graph, memory, v.offset, end)
            w = graph.flat(self.arena.array, v.offset, end, v.path)
            slots = {}
            for name in self.slot_names:
                if id(v) in places[name]:
                    start, shape = places[name][id(v)]
                    slots[name] = graph.flat(self.slots[name], start, start + int(np.prod(shape)), name)
            if "v" in slots:
                factored.adafactor(g, of["keep"], of["rate"], w, slots["v"], of.decay, epsilon=self.epsilon_1,
                                   least=self.epsilon_2, threshold=self.clip_threshold)
                continue
            rows, columns = v.shape[-2:]
            g, w = g.reshape(-1, rows, columns), w.reshape(-1, rows, columns)
            r, c = slots["r"].reshape(-1, rows), slots["c"].reshape(-1, columns)
            _, _, row, column = factored.factored_average(*factored.factored_squares(g), of["keep"], r, c,
                                                          epsilon=self.epsilon_1)
            u2, w2 = factored.factored_lengths(g, w, row, column)
            scale = factored.factored_scale(u2, w2, of["rate"], of.decay, count=v.size, epsilon=self.epsilon_2,
                                            threshold=self.clip_threshold)
            factored.factored_sgd(g, scale, row, column, w, of.decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_2_decay": self.beta_2_decay, "epsilon_1": self.epsilon_1,
                "epsilon_2": self.epsilon_2, "clip_threshold": self.clip_threshold,
                "relative_step": self.relative_step}
