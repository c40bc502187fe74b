"""Functions whose gradient is what their author says, not what follows from the calls that they emit."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .graph import Graph, Tensor
from .variable import Variable


@dataclass
class Rule:
    """How gradients pass one call of such a function: handed to the call that makes its first output."""

    function: str
    inputs: list[Tensor]  #: the tensors among the arguments
    outputs: list[Tensor]
    gradient: Callable


def custom_gradient(fn: Callable) -> Callable:
    """Decorator: a function with its own gradient rule.

    Parameters
    ----------
    fn : takes tensors (and anything else), returns a pair: its value (a tensor or a list of them), and a function
        ``grad(upstream)`` that gives the gradients with respect to the tensors and variables among the arguments, in
        their order: one alone, or a list; None where there is none. For several outputs `grad` takes a gradient for
        each. A `grad` with a parameter named ``upstream`` is given it by that name, as Keras's documentation has it.

    Returns
    -------
    function of the same arguments that gives the value alone. On NumPy arrays it just computes it.

    Notes
    -----
    Gradients reach the arguments only: a variable that `fn` uses without being given it is a constant to it. The value
    is copied, which costs one pass over it. As in ``keras.ops.custom_gradient``.

    Examples
    --------
    Gradient reversal (Ganin & Lempitsky 2015, arXiv:1409.7495):

    >>> import numpy as np, fastnn
    >>> @fastnn.custom_gradient
    ... def reverse(x):
    ...     return x, lambda upstream: -upstream
    >>> w = fastnn.Variable([1.0, 2.0])
    >>> value, (dw,) = fastnn.value_and_grad(lambda: fastnn.ops.sum(3 * reverse(w)))()
    >>> float(value), dw.tolist()
    (9.0, [-3.0, -3.0])
    """
    name = getattr(fn, "__name__", "function")

    @functools.wraps(fn)
    def call(*args, **kwargs):
        from ..kernels.elementwise import copy
        from .graph import current_graph

        leaves = [*args, *kwargs.values()]
        if any(hasattr(x, "node") for x in leaves):
            raise TypeError(f"{name} has a gradient rule of its own, so it can't be a node of a functional model by "
                            "itself: use it inside a layer's call.")
        graph = next((x.graph for x in leaves if isinstance(x, Tensor)), None) or current_graph()
        if graph is None:
            return _pair(name, fn(*args, **kwargs))[0]
        inputs = [graph.tensor(x) for x in leaves if isinstance(x, Tensor | Variable)]
        first = len(graph.calls)
        with graph.active():
            value, gradient = _pair(name, fn(*args, **kwargs))
        for made in graph.calls[first:]:
            made.extra["stop_gradient"] = True
        several = isinstance(value, list | tuple)
        outputs = [copy(graph.tensor(y)) for y in (value if several else [value])]
        rule = Rule(name, inputs, outputs, gradient)
        for y in outputs:
            y.call.extra["rule"] = rule
        return type(value)(outputs) if several else outputs[0]

    return call


def _pair(name: str, found):
    if not isinstance(found, tuple) or len(found) != 2 or not callable(found[1]):
        raise TypeError(f"{name}: a function with a custom gradient returns a pair, its value and a function that "
                        f"gives the gradients; got {found!r:.80}.")
    return found


def carry(rule: Rule, graph: Graph, upstreams: Sequence[Tensor | None]) -> list[tuple[Tensor, Tensor]]:
    """(input, gradient) pairs of one call, for the gradients of its outputs."""
    from ..kernels.elementwise import fill

    given = [graph.emit(fill, (), dict(value=0.0, shape=y.shape, dtype=str(y.dtype))) if g is None else g
             for g, y in zip(upstreams, rule.outputs)]
    try:
        by_name = "upstream" in inspect.signature(rule.gradient).parameters
    except (TypeError, ValueError):
        by_name = False
    with graph.active():
        if by_name:
            found = rule.gradient(upstream=given[0] if len(given) == 1 else given)
        else:
            found = rule.gradient(*given)
    found = list(found) if isinstance(found, list | tuple) else [found]
    if len(found) != len(rule.inputs):
        raise ValueError(f"{rule.function}: its gradient function gave {len(found)} gradients for "
                         f"{len(rule.inputs)} arguments.")
    pairs = []
    for x, g in zip(rule.inputs, found):
        if g is None:
            continue
        g = graph.tensor(g)
        if g.shape != x.shape:
            raise ValueError(f"{rule.function}: its gradient function gave a gradient of shape {g.shape} for an "
                             f"argument of shape {x.shape}.")
        pairs.append((x, g))
    return pairs
