"""What attention keeps of the steps that a model has read, so that a new step need not read them again.

A causal model gives a step the same value whatever comes behind it. So its programs for sequences that grow are two:
one reads a whole window and keeps the keys and values of its attention layers, one takes a single step and attends to
what is kept. Both are the model traced with a `Past` on the graph; the layers that know of other steps ask for it.
"""

from __future__ import annotations

import numpy as np

from .. import ops
from ..kernels.attention import attention, attention_step
from ..kernels.embedding import embedding
from ..program.variable import Variable


class Past:
    """The keys and values of a sequence in a program that reads a window of it (`position` None), or its next step.

    Parameters
    ----------
    length : steps of the window.
    kept : a (keys, values) pair of variables for each call of an attention layer, in their order; filled by the
        program that reads.
    position : where the step stands, an int32 tensor of shape (1,).
    """

    def __init__(self, length: int, kept: list[tuple[Variable, Variable]], position=None):
        self.length, self.kept, self.position = length, kept, position
        self._calls = 0

    def attend(self, layer, q, k, v, mask, scale: float, causal: bool):
        """Attention of q[B,T,H,D] on k[B,T,G,D] and v[B,T,G,E] and what was there before them."""
        who = f"{type(layer).__name__} {layer.name}"
        if not causal:
            raise ValueError(f"{who} is not causal: what a step gives depends on those behind it.")
        if mask is not None:
            raise ValueError(f"{who} has a mask.")
        steps = self.length if self.position is None else 1
        if q.shape[1] != steps or k.shape[1] != steps:
            raise ValueError(f"{who} has {q.shape[1]} queries and {k.shape[1]} keys for {steps} steps.")
        number, self._calls = self._calls, self._calls + 1
        if self.position is None:
            self._keep(number, k, v)
            return attention(q, k, v, None, None, scale=scale, causal=1)[0]
        y = attention_step(*(x.reshape(x.shape[0], *x.shape[2:]) for x in (q, k, v)), *self.kept[number],
                           self.position, scale=scale)[0]
        return y.reshape(q.shape[0], 1, *y.shape[1:])

    def _keep(self, number: int, k, v) -> None:
        turned = [ops.transpose(x, (0, 2, 1, 3)) for x in (k, v)]
        if number == len(self.kept):
            self.kept.append(tuple(Variable(np.zeros(x.shape, x.dtype), name, False, x.dtype)
                                   for x, name in zip(turned, ("keys", "values"))))
        for held, x in zip(self.kept[number], turned):
            held.assign(x)


def steps_of(x) -> int:
    """How many steps a table of positions must have for x (batch, steps, ...)."""
    past = x.graph.past
    return x.shape[1] if past is None or past.position is None else past.length


def rows_for(x, table):
    """The rows of a table (steps, width) of all positions that belong to the steps of x."""
    past = x.graph.past
    if past is None or past.position is None:
        return table
    if x.shape[1] != 1:
        raise ValueError(f"{x.shape[1]} steps came where one is wanted.")
    return embedding(past.position, table)


def without_past(graph, layer) -> None:
    """Refuse to go on step by step in a layer that makes a matrix of scores."""
    if graph.past is not None:
        raise ValueError(f"{type(layer).__name__} {layer.name} makes a matrix of scores, of all steps at once.")
