"""Regularizers in a training step: what they add to the loss, and to the gradients of the weights.

The penalty of a weight does not depend on the data. Where it is ``l1 * sum(abs(w)) + l2 * sum(w**2)`` its gradient is
known, so it is added to the gradient that the data gave, in place: one pass over both for each of the two terms,
instead of a gradient program of its own and one more sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..kernels import optim
from ..kernels.elementwise import copy, sign
from ..kernels.reduce import reduce_sum
from ..optimizers.stepping import movable
from ..program.gradient import gradients
from ..program.graph import Graph, Tensor
from ..program.variable import Variable


def is_plain(regularizer) -> bool:
    """Whether l1 and l2 say all of it."""
    return getattr(regularizer, "l1", None) is not None and getattr(regularizer, "l2", None) is not None


def penalty(graph: Graph, v: Variable) -> Tensor:
    """What the regularizer of a variable adds to the loss; not to be differentiated where it `is_plain`."""
    w, rule = graph.variable(v), v.regularizer
    if is_plain(rule) and rule.l2 and not rule.l1:
        return reduce_sum(optim.sum_of_squares(w.reshape(v.size))) * rule.l2
    found = rule(w)
    if not isinstance(found, Tensor) or found.shape:
        raise ValueError(f"The regularizer of {v.path} must give a scalar made of the weight by fastnn.ops; it gave "
                         f"{found!r}.")
    return found


def add_gradients(grads: Sequence[Tensor | None], variables: Sequence[Variable]) -> list[Tensor | None]:
    """The gradients with those of the plain penalties added to them."""
    bases = [id(g.base) for g in grads if g is not None]
    out = list(grads)
    for i, (g, v) in enumerate(zip(grads, variables)):
        rule = v.regularizer
        if not is_plain(rule) or not (rule.l1 or rule.l2):
            continue
        graph = next(x.graph for x in grads if x is not None)
        if g is None:  # the data does not reach it
            w = graph.variable(v)
            (out[i],) = gradients(rule(w), [w])
            continue
        if not movable(graph, g) or bases.count(id(g.base)) > 1:
            g = copy(g)
        out[i], flat, w = g, g.reshape(v.size), graph.variable(v).reshape(v.size)
        if rule.l2:
            optim.l2_grad_inplace(w, flat, coefficient=2 * rule.l2)
        if rule.l1:
            optim.l2_grad_inplace(sign(w), flat, coefficient=rule.l1)
    return out
