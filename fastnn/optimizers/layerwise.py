"""Steps that depend on the norms of whole variables, layers or all weights: LAMB, LARS, normalized descent."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import numpy as np

from .. import checks, spelling
from ..kernels import segments
from ..program.graph import Graph, Memory, Tensor
from ..program.variable import Variable
from .groups import Choice
from .optimizer import Optimizer
from .segments import pieces_of
from .stepping import Scalars


class Layerwise(Optimizer):
    """Base: gradients stand side by side, and `update_variables` sees whole arrays and which variables are meant."""

    in_arena = True
    decays = True

    def _clip_and_update(self, graph: Graph, memory: Memory, variables: list[Variable], scalars: Scalars) -> None:
        self._clip(graph, memory, variables)
        size = self.arena.array.size
        variables = [v for v in variables if v.size]
        if not variables:
            return
        g, w = self._flat_gradient(graph, memory, 0, size), graph.flat(self.arena.array, 0, size, "weights")
        slots = [graph.flat(self.slots[n], 0, size, n) for n in self.slot_names]
        seen = self.measure(graph, g, variables)
        for group, members in groupby(variables, self._groups.of):
            self.update_variables(graph, g, w, slots, scalars.of(*group), list(members), seen)

    def measure(self, graph: Graph, g: Tensor, variables: list[Variable]) -> Any:
        """What the updates of all groups of variables need to know of all gradients."""

    def update_variables(self, graph: Graph, g: Tensor, w: Tensor, slots: list[Tensor], scalars: Scalars,
                         variables: list[Variable], seen: Any) -> None:
        """Emit the update of these variables, which are treated alike, over whole arrays."""
        raise NotImplementedError(f"{type(self).__name__} must override update_variables.")


class Adaptive(Layerwise):
    """Base: each variable's step is multiplied by a ratio of norms, unless it is excluded from that."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._unadapted = Choice(type(self).__name__, "exclude_from_adaptation", None, None)

    def exclude_from_adaptation(self, var_list: Iterable[Variable] | None = None,
                                var_names: Iterable[str] | None = None) -> None:
        """Let some variables' steps not be multiplied by their ratio of norms: biases and normalisation, most often.

        Parameters
        ----------
        var_list : variables.
        var_names : patterns; each variable that has one of them in its name or path is left out.

        Examples
        --------
        >>> w = Variable([3.0, 4.0], name="bias")
        >>> optimizer = Lamb(0.5)
        >>> optimizer.exclude_from_adaptation(var_names=["bias"])
        >>> optimizer.apply([np.array([1.0, -1.0])], [w])     # as Adam
        >>> w.numpy().round(4)
        array([2.5, 4.5], dtype=float32)
        """
        self._not_built("exclude_from_adaptation")
        self._unadapted = Choice(type(self).__name__, "exclude_from_adaptation", var_list, var_names)

    def _adapts(self, graph: Graph, variables: list[Variable]) -> Tensor | None:
        """1 for each variable whose steps are adapted, 0 for the others; None if all are."""
        adapts = np.array([v not in self._unadapted for v in variables], self.arena.dtype)
        return None if adapts.all() else graph.constant(adapts)


class Lamb(Adaptive):
    """Adam whose step is as long, for each variable, as the variable's norm: for large batches.

        m, v as in `Adam`
        u = m / (1 - beta_1**t) / (sqrt(v / (1 - beta_2**t)) + epsilon)      t = 1, 2, ...
        w -= rate * |w| / |u| * u                                            1 for |w| / |u| where one is 0

    Parameters
    ----------
    learning_rate : number or schedule.
    beta_1, beta_2 : in [0, 1).
    epsilon : above 0.
    decay_in_ratio : False as in Keras: `weight_decay` is decoupled, ``w -= rate * weight_decay * w`` before all else.
        True as in the paper: u is ``u + weight_decay * w``, so decay and step together are as long as the weights.
    others : see `Optimizer`.

    Notes
    -----
    Two passes over memory: the length of the step is known only when all of it is. The first leaves it where the
    gradient was, so ten words move for each weight, where Adam's one pass moves seven.

    References
    ----------
    You et al. (2020), Large batch optimization for deep learning: training BERT in 76 minutes, arXiv:1904.00962,
    Algorithm 2.

    Examples
    --------
    >>> w = Variable([3.0, 4.0])
    >>> Lamb(0.1).apply([np.array([2.0, -0.5])], [w])     # a step of 0.1 * 5 along (1, -1) / sqrt(2)
    >>> w.numpy().round(4)
    array([2.6464, 4.3536], dtype=float32)
    """

    slot_names = ("m", "v")

    def __init__(self, learning_rate=0.001, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-7,
                 weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None, name: str | None = "lamb",
                 decay_in_ratio: bool = False, **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.beta_1 = checks.share("Lamb", "beta_1", beta_1)
        self.beta_2 = checks.share("Lamb", "beta_2", beta_2)
        self.epsilon = checks.positive("Lamb", "epsilon", epsilon)
        self.decay_in_ratio = checks.flag("Lamb", "decay_in_ratio", decay_in_ratio)

    def alpha_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Both bias corrections, without the rate."""
        return np.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)

    def epsilon_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Epsilon as it stands beside the uncorrected root."""
        return self.epsilon * np.sqrt(1 - self.beta_2**t)

    def update_variables(self, graph, g, w, slots, scalars, variables, seen) -> None:
        pieces = graph.constant(pieces_of(variables))
        decay = None if self.decay_in_ratio else scalars.decay
        pull = self.weight_decay if self.decay_in_ratio and scalars.decays else 0.0
        g, _, _, u2, w2 = segments.lamb(g, pieces, scalars["alpha"], scalars["epsilon"], w, *slots, decay,
                                        beta_1=self.beta_1, beta_2=self.beta_2, pull=pull)
        ratio = segments.trust_ratios(u2, w2, pieces, self._adapts(graph, variables), segments=len(variables))
        segments.scaled_sgd(g, ratio, pieces, scalars["rate"], w, decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon,
                "decay_in_ratio": self.decay_in_ratio}


class LARS(Adaptive):
    """Momentum with a rate for each variable, by the norms of its weights and of its gradient: for large batches.

        ratio = trust_coefficient * |w| / (|g| + weight_decay * |w| + epsilon)     1 where |w| or |g| is 0
        v = momentum * v + rate * ratio * (g + weight_decay * w)
        w -= v                                                                     nesterov: momentum * v + the step

    Parameters
    ----------
    learning_rate : number or schedule; large (the paper has up to 32), as `trust_coefficient` is small.
    momentum : in [0, 1).
    trust_coefficient : above 0: the step's length as a share of the weights', before rate and momentum.
    weight_decay : 0 or more; part of the step, as the paper has it, not decoupled as in other rules.
    nesterov : look ahead along the velocity.
    epsilon : 0 or more.
    others : see `Optimizer`.

    Notes
    -----
    Two passes over memory, one of which only reads: norms first, then the update, seven words for each weight where
    momentum alone moves five.

    References
    ----------
    You, Gitman & Ginsburg (2017), Large batch training of convolutional networks, arXiv:1708.03888, Algorithm 1.

    Examples
    --------
    >>> w = Variable([3.0, 4.0])
    >>> LARS(1.0, trust_coefficient=0.1).apply([np.array([0.0, 20.0])], [w])     # a tenth of its length
    >>> w.numpy().round(4)
    array([3. , 3.5], dtype=float32)
    """

    slot_names = ("v",)

    def __init__(self, learning_rate=0.01, momentum: float = 0.9, trust_coefficient: float = 0.001,
                 weight_decay=None, nesterov: bool = False, epsilon: float = 0.0, clipnorm=None, clipvalue=None,
                 global_clipnorm=None, name: str | None = "lars", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.momentum = checks.share("LARS", "momentum", momentum)
        self.trust_coefficient = checks.positive("LARS", "trust_coefficient", trust_coefficient)
        self.nesterov = checks.flag("LARS", "nesterov", nesterov)
        self.epsilon = checks.at_least_zero("LARS", "epsilon", epsilon)

    def momentum_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.full(len(t), self.momentum)

    def update_variables(self, graph, g, w, slots, scalars, variables, seen) -> None:
        pieces = graph.constant(pieces_of(variables))
        pull = self.weight_decay if scalars.decays else 0.0
        ratio = segments.trust_ratios(
            segments.piece_squares(g, pieces), segments.piece_squares(w, pieces), pieces,
            self._adapts(graph, variables), segments=len(variables), coefficient=self.trust_coefficient, pull=pull,
            epsilon=self.epsilon)
        segments.scaled_momentum(g, ratio, pieces, scalars["rate"], scalars["momentum"], w, *slots, None, pull=pull,
                                 nesterov=int(self.nesterov))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "trust_coefficient": self.trust_coefficient,
                "nesterov": self.nesterov, "epsilon": self.epsilon}


class NormalizedSGD(Layerwise):
    """Descent along the gradient over its norm: steps of one length, however steep the loss.

        w -= rate * g / (|g| + epsilon)                                    plain
        v = momentum * v + rate * g / (|g| + epsilon);   w -= v            with momentum

    Parameters
    ----------
    learning_rate : number or schedule: how long a step is.
    scope : whose norm |g| is: "global", of all gradients; "layer", of those of one layer (variables with one path but
        for its last part); "tensor", of each variable's.
    momentum : in [0, 1); 0 needs no slot.
    epsilon : 0 or more.
    others : see `Optimizer`.

    Notes
    -----
    Some texts call this Adagrad. That divides each *element* by the root of *its own* sum of squares over *time*;
    here one number divides all, and nothing is remembered.

    References
    ----------
    Nesterov (1984), Minimization methods for nonsmooth convex and quasiconvex functions; Hazan, Levy & Shalev-Shwartz
    (2015), Beyond convexity: stochastic quasi-convex optimization, arXiv:1507.02030.

    Examples
    --------
    >>> w = Variable([1.0, 1.0])
    >>> NormalizedSGD(0.5).apply([np.array([3.0, -4.0])], [w])
    >>> w.numpy().round(4)
    array([0.7, 1.4], dtype=float32)
    """

    def __init__(self, learning_rate=0.01, scope: str = "global", momentum: float = 0.0, epsilon: float = 1e-7,
                 weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None,
                 name: str | None = "normalizedsgd", **later: Any):
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **later)
        self.scope = spelling.one_of("scope", scope, ("global", "layer", "tensor"))
        self.momentum = checks.share("NormalizedSGD", "momentum", momentum)
        self.epsilon = checks.at_least_zero("NormalizedSGD", "epsilon", epsilon)
        self.slot_names = ("v",) if self.momentum else ()

    def momentum_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        return np.full(len(t), self.momentum)

    def _segment_of(self, variables: list[Variable]) -> dict[int, int]:
        """id of a variable -> number of what it is normalized with."""
        numbers: dict[Any, int] = {}

        def key(v: Variable) -> Any:
            if self.scope == "global":
                return None
            own_layer = self.scope == "layer" and v.path and "/" in v.path
            return v.path.rpartition("/")[0] if own_layer else id(v)

        return {id(v): numbers.setdefault(key(v), len(numbers)) for v in variables}

    def measure(self, graph: Graph, g: Tensor, variables: list[Variable]) -> tuple[Tensor, dict[int, int]]:
        segment = self._segment_of(variables)
        pieces = graph.constant(pieces_of(variables, segment))
        ratio = segments.trust_ratios(segments.piece_squares(g, pieces), None, pieces, None,
                                      segments=len(set(segment.values())), epsilon=self.epsilon)
        return ratio, segment

    def update_variables(self, graph, g, w, slots, scalars, variables, seen) -> None:
        ratio, segment = seen
        pieces = graph.constant(pieces_of(variables, segment))
        if self.momentum:
            segments.scaled_momentum(g, ratio, pieces, scalars["rate"], scalars["momentum"], w, *slots, scalars.decay)
        else:
            segments.scaled_sgd(g, ratio, pieces, scalars["rate"], w, scalars.decay)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scope": self.scope, "momentum": self.momentum, "epsilon": self.epsilon}
