"""Optimizers from a rule for one weight, written by the user."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..kernels.user.update import WHO, UpdateKernel
from .optimizer import Optimizer


class RuleOptimizer(Optimizer):
    """Base of the optimizers that `update_rule` makes: the rule's numbers are arguments, with its defaults."""

    rule: UpdateKernel

    def __init__(self, learning_rate=0.01, weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None,
                 name: str | None = None, **numbers: Any):
        own = {n: numbers.pop(n) for n in self.rule.attrs if n in numbers}
        super().__init__(learning_rate, weight_decay, clipnorm, clipvalue, global_clipnorm, name, **numbers)
        self.numbers = {**self.rule.attrs, **{n: checks.number(type(self).__name__, n, v) for n, v in own.items()}}

    def update(self, g, w, slots, scalars) -> None:
        self.rule(g, *(scalars[n] for n in self.rule.scalars), w, *slots, **self.numbers)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.numbers}


def update_rule(function: Callable | None = None, *, slots: Sequence[str] = (),
                scalars: dict[str, Callable] | None = None, check_bounds: bool | None = None):
    """Decorator: an optimizer from the rule that updates one weight.

    The rule runs as one kernel over all weights, in one pass over memory, and in a program it may run on each panel
    of a gradient as soon as that is finished, as the built-in rules do. Numba compiles it when it is first used.

    Parameters
    ----------
    function : ``rule(w, g, *slots, scalars..., number=default...)``: gives the new ``w``, or a tuple of it and the new
        slots. Parameters without a default after the slots are step scalars, those with one are constants.
    slots : names of what the optimizer keeps beside each weight, zero at first.
    scalars : name -> function of the learning rate, the number of the update from 1 (``t``; both float64 arrays) and
        the rule's numbers by name: what changes from step to step, tabulated before a run. ``rate`` is the
        learning rate.

    Returns
    -------
    a subclass of `Optimizer`, whose arguments are `learning_rate`, `weight_decay` (of its own if the rule has none),
    clipping, `name` and the rule's numbers.

    Raises
    ------
    TypeError : the parameters or what the rule returns are not as above.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> @fastnn.update_rule(slots=["v"])
    ... def signed_momentum(w, g, v, rate, keep=0.9):
    ...     v = keep * v + (1 - keep) * g
    ...     return w - rate * np.sign(v), v
    >>> optimizer = signed_momentum(learning_rate=0.1)
    >>> w = fastnn.Variable([1.0, 1.0])
    >>> optimizer.apply([np.array([3.0, -0.2])], [w])
    >>> w.numpy()
    array([0.9, 1.1], dtype=float32)
    """
    if function is None:
        return lambda f: update_rule(f, slots=slots, scalars=scalars, check_bounds=check_bounds)
    rule = UpdateKernel(function, slots, check_bounds)
    scalars = dict(scalars or {})
    tables: dict[str, Callable] = {}
    for name in rule.scalars:
        if name not in scalars and name != "rate":
            raise TypeError(f"{WHO}: {rule.name} has the step scalar {name!r}, of which nothing is known: give "
                            f"scalars={{{name!r}: function of rate and t}}, or give it a default.")
        if name in scalars:
            tables[f"{name}_table"] = _table(name, scalars[name])
    unused = sorted(set(scalars) - set(rule.scalars))
    if unused:
        raise TypeError(f"{WHO}: scalars has {unused[0]!r}, which {rule.name} takes no parameter for.")
    members = {"rule": rule, "slot_names": rule.slots, "__doc__": function.__doc__, "__module__": function.__module__}
    return type(rule.name, (RuleOptimizer,), {**members, **tables})


def _table(name: str, formula: Callable) -> Callable:
    wanted = list(inspect.signature(formula).parameters)

    def table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        given = {"rate": rates, "t": t, **self.numbers}
        values = np.asarray(formula(**{n: given[n] for n in wanted if n in given}), np.float64)
        return np.broadcast_to(values, t.shape)

    return table
