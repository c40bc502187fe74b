"""Muon: momentum whose steps are made orthogonal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import checks
from ..kernels import dense, optim, segments
from ..program.graph import Graph, Memory, Tensor
from ..program.variable import Variable
from .groups import Choice
from .optimizer import Optimizer
from .stepping import Scalars

LEAST = 1e-7  #: added to the norm that a matrix is divided by


class Muon(Optimizer):
    """Momentum for matrices, each step brought near to the nearest orthogonal matrix; AdamW for all other variables.

        m = momentum * m + g
        x = g + momentum * m                      x = m without nesterov
        x = x / (|x| + 1e-7)
        ns_steps times:  a = x @ x.T
                         x = muon_a * x + (muon_b * a + muon_c * a @ a) @ x
        w -= rate * rms_rate * sqrt(max(rows, columns)) * x

    The iteration (Newton and Schulz) drives all singular values of x to about 1, so rare directions of the gradient
    count as much as frequent ones. Of a matrix with more rows than columns the smaller product ``x.T @ x`` is taken.

    Parameters
    ----------
    learning_rate : number or schedule.
    adam_beta_1, adam_beta_2, epsilon : of `Adam`, for variables that are not matrices or are excluded.
    adam_weight_decay : decoupled decay of those; `weight_decay` is that of the matrices.
    exclude_layers : patterns; variables with one of them in their path take AdamW: the last layer, most often.
    exclude_embeddings : variables with "embedding" in their path take AdamW.
    muon_a, muon_b, muon_c : coefficients of the iteration.
    adam_lr_ratio : above 0: what AdamW's rate is multiplied by.
    momentum : in [0, 1).
    ns_steps : how many iterations, 1 or more.
    nesterov : look ahead along the momentum.
    rms_rate : makes steps as large as Adam's (Liu et al., 2025); None leaves that factor away.
    others : see `Optimizer`.

    Notes
    -----
    Most of the time goes into ``3 * ns_steps`` products for each matrix, which do not depend on the batch. PyTorch's
    `Muon` with ``adjust_lr_fn="match_rms_adamw"`` is this rule with its iteration in bfloat16.

    References
    ----------
    Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks; Liu et al. (2025), Muon is scalable
    for LLM training, arXiv:2502.16982.

    Examples
    --------
    >>> w = Variable(np.zeros((2, 2)))
    >>> Muon(1.0, rms_rate=None).apply([np.array([[3.0, 0.0], [0.0, 0.1]])], [w])     # both directions count alike
    >>> w.numpy().diagonal().round(1)
    array([-0.7, -1.1], dtype=float32)
    """

    slot_names = ("m", "v")
    in_arena = True
    decays = True

    def __init__(self, learning_rate=0.001, adam_beta_1: float = 0.9, adam_beta_2: float = 0.999,
                 adam_weight_decay: float | None = 0.004, epsilon: float = 1e-7, weight_decay=0.004, clipnorm=None,
                 clipvalue=None, global_clipnorm=None, name: str | None = "muon",
                 exclude_layers: Iterable[str] | None = None, exclude_embeddings: bool = True, muon_a: float = 3.4445,
                 muon_b: float = -4.7750, muon_c: float = 2.0315, adam_lr_ratio: float = 1, momentum: float = 0.95,
                 ns_steps: int = 5, nesterov: bool = True, rms_rate: float | None = 0.2, **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.adam_beta_1 = checks.share("Muon", "adam_beta_1", adam_beta_1)
        self.adam_beta_2 = checks.share("Muon", "adam_beta_2", adam_beta_2)
        self.adam_weight_decay = checks.at_least_zero("Muon", "adam_weight_decay", adam_weight_decay, optional=True)
        self.epsilon = checks.positive("Muon", "epsilon", epsilon)
        if exclude_layers is not None and (isinstance(exclude_layers, str) or not hasattr(exclude_layers, "__iter__")):
            raise ValueError(f"Muon: exclude_layers must be a list of patterns; got {exclude_layers!r}.")
        self.exclude_layers = list(exclude_layers or ())
        Choice("Muon", "exclude_layers", None, self.exclude_layers)  # says so if one is not a pattern
        self.exclude_embeddings = checks.flag("Muon", "exclude_embeddings", exclude_embeddings)
        self.muon_a = checks.number("Muon", "muon_a", muon_a)
        self.muon_b = checks.number("Muon", "muon_b", muon_b)
        self.muon_c = checks.number("Muon", "muon_c", muon_c)
        self.adam_lr_ratio = checks.positive("Muon", "adam_lr_ratio", adam_lr_ratio)
        self.momentum = checks.share("Muon", "momentum", momentum)
        self.ns_steps = checks.count_from_one("Muon", "ns_steps", ns_steps)
        if self.ns_steps is None:
            raise ValueError("Muon: ns_steps must be a whole number of 1 or more; got None.")
        self.nesterov = checks.flag("Muon", "nesterov", nesterov)
        self.rms_rate = checks.positive("Muon", "rms_rate", rms_rate, optional=True)

    def takes_adam(self, v: Variable) -> bool:
        """Whether a variable is updated by AdamW."""
        path = v.path or ""
        return (v.ndim != 2 or v in Choice("Muon", "exclude_layers", None, self.exclude_layers)
                or self.exclude_embeddings and "embedding" in path.lower())

    def slot_shape(self, name: str, v: Variable) -> tuple[int, ...] | None:
        return v.shape if name == "m" or self.takes_adam(v) else None

    def alpha_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """AdamW's rate with both bias corrections in it."""
        return rates * self.adam_lr_ratio * np.sqrt(1 - self.adam_beta_2**t) / (1 - self.adam_beta_1**t)

    def epsilon_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.full(len(t), self.epsilon)

    def adam_decay_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The share of the weights that decays where AdamW updates."""
        return rates * self.adam_weight_decay

    def _clip_and_update(self, graph: Graph, memory: Memory, variables: list[Variable], scalars: Scalars) -> None:
        self._clip(graph, memory, variables)
        places = {name: self.slot_places(name) for name in self.slot_names}
        for v in variables:
            if not v.size:
                continue
            excluded, factor = self._groups.of(v)
            g, w = (self._flat_gradient(graph, memory, v.offset, v.offset + v.size),
                    graph.flat(self.arena.array, v.offset, v.offset + v.size, v.path))
            slots = [graph.flat(self.slots[n], places[n][id(v)][0], places[n][id(v)][0] + v.size, n)
                     for n in self.slot_names if id(v) in places[n]]
            of = scalars.of(excluded, factor)
            if len(slots) == 2:
                betas = {"beta_1": self.adam_beta_1, "beta_2": self.adam_beta_2}
                if self.adam_weight_decay and not excluded:
                    optim.adamw(g, of["alpha"], of["epsilon"], of["adam_decay"], w, *slots, **betas)
                else:
                    optim.adam(g, of["alpha"], of["epsilon"], w, *slots, **betas)
                continue
            x = self._orthogonal(graph, self._gathered(graph, g, *slots), v.shape)
            size = 1.0 if self.rms_rate is None else self.rms_rate * max(v.shape) ** 0.5
            optim.sgd(x.reshape(v.size), scalars.of(excluded, factor * size)["rate"], w, of.decay)

    def _gathered(self, graph: Graph, g: Tensor, m: Tensor) -> Tensor:
        """The momentum and, with nesterov, a look ahead along it; the gradient is overwritten."""
        from ..kernels.elementwise import copy

        optim.scale_inplace(graph.constant(np.asarray(self.momentum, m.dtype)), m)
        optim.add_inplace(g, m)
        if not self.nesterov:
            return copy(m)
        optim.l2_grad_inplace(m, g, coefficient=self.momentum)
        return g

    def _orthogonal(self, graph: Graph, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """x as a matrix whose singular values are all near 1."""
        pieces = graph.constant(np.array(segments.cut(0, x.size, 0), np.int64))
        ratio = segments.trust_ratios(segments.piece_squares(x, pieces), None, pieces, None, segments=1, epsilon=LEAST)
        segments.scale_segments(x, ratio, pieces)
        x, tall = x.reshape(shape), shape[0] > shape[1]
        for _ in range(self.ns_steps):
            a = dense.matmul(x, x, transpose_a=int(tall), transpose_b=int(not tall))
            b = a * self.muon_b + dense.matmul(a, a) * self.muon_c
            x = x * self.muon_a + (dense.matmul(x, b) if tall else dense.matmul(b, x))
        return x

    def get_config(self) -> dict[str, Any]:
        names = ("adam_beta_1", "adam_beta_2", "adam_weight_decay", "epsilon", "exclude_layers", "exclude_embeddings",
                 "muon_a", "muon_b", "muon_c", "adam_lr_ratio", "momentum", "ns_steps", "nesterov", "rms_rate")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
