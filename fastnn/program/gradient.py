"""Reverse mode: each call's gradient rule emits the calls that carry the gradient further down."""

from __future__ import annotations

from collections.abc import Sequence

from .graph import Graph, Tensor
from .variable import Variable


def gradients(loss: Tensor, wrt: Sequence[Tensor | Variable], upstream: Tensor | None = None) -> list[Tensor | None]:
    """Gradients of a scalar tensor with respect to others, emitted into the same graph.

    Parameters
    ----------
    loss : the tensor to differentiate; without axes unless `upstream` is given.
    wrt : tensors or variables.
    upstream : gradient of something else with respect to `loss`, of its shape; 1 by default.

    Returns
    -------
    list with one tensor of the same shape for each of `wrt`, ``None`` where the loss does not depend on it.
    """
    from ..kernels.elementwise import add, fill

    graph = loss.graph
    targets = [graph.tensor(t) for t in wrt]
    if upstream is None:
        if loss.shape:
            raise ValueError(f"Only a loss without axes can be differentiated; this one has shape {loss.shape}.")
        upstream = graph.emit(fill, (), dict(value=1.0, shape=loss.shape, dtype=str(loss.dtype)))
    depends = _depending(graph, targets)
    grads: dict[int, Tensor] = {id(loss.base): upstream.reshape(loss.base.shape)}
    for call in reversed(list(graph.calls)):
        rule = call.extra.get("rule")
        if rule is not None:
            if call.outputs[0] is rule.outputs[0]:  # the first: whoever reads any of its outputs comes later
                _through(rule, graph, call, grads, depends)
            continue
        upstreams = {n: grads[id(t.base)].reshape(t.shape) for n, t in zip(call.kernel.outputs, call.outputs)
                     if id(t.base) in grads and n not in call.kernel.inputs}
        need = {n for n, t in zip(call.kernel.inputs, call.inputs) if t is not None and id(t.base) in depends
                and t.dtype.kind == "f" and n not in call.kernel.outputs}
        if not upstreams or not need or call.extra.get("stop_gradient"):
            continue
        _refuse_overwritten(call)
        call.extra["need"] = need
        with graph.note((call.note + " " if call.note else "") + "gradient"):
            found = call.kernel.gradient(call, **{n: upstreams.get(n) for n in call.kernel.outputs})
            for name in need & set(found):
                t, g = call[name].base, found[name]
                if g is None:
                    continue
                g = g.reshape(t.shape)
                grads[id(t)] = add(grads[id(t)], g) if id(t) in grads else g
    return [grads[id(t.base)].reshape(t.shape) if id(t.base) in grads else None for t in targets]


def _through(rule, graph: Graph, call, grads: dict[int, Tensor], depends: set[int]) -> None:
    """Carry gradients past a function that has its own rule for them."""
    from ..kernels.elementwise import add
    from .custom_gradient import carry

    upstreams = [grads[id(y.base)].reshape(y.shape) if id(y.base) in grads else None for y in rule.outputs]
    if all(g is None for g in upstreams) or not any(id(x.base) in depends for x in rule.inputs):
        return
    with graph.note((call.note + " " if call.note else "") + "gradient"):
        for x, g in carry(rule, graph, upstreams):
            if id(x.base) in depends:
                t, g = x.base, g.reshape(x.base.shape)
                grads[id(t)] = add(grads[id(t)], g) if id(t) in grads else g


def _depending(graph: Graph, targets: Sequence[Tensor]) -> set[int]:
    """Ids of the base tensors whose value depends on the targets."""
    depends = {id(t.base) for t in targets}
    for call in graph.calls:
        if call.extra.get("stop_gradient"):
            continue
        inputs = call.extra["rule"].inputs if "rule" in call.extra else call.inputs
        if any(t is not None and id(t.base) in depends and t.dtype.kind == "f" for t in inputs):
            depends.update(id(t.base) for t in call.outputs if t.dtype.kind == "f")
    return depends


def _refuse_overwritten(call) -> None:
    """A gradient rule reads the call's inputs again; an update in between would make it wrong."""
    for name, t, seen in zip(call.kernel.inputs, call.inputs, call.extra["writes"]):
        if t is None or name in call.kernel.outputs or t.dtype.kind != "f":
            continue
        later = t.memory.writes[seen:]
        if any(start < t.offset + t.nbytes and t.offset < stop for start, stop in later):
            raise ValueError(
                f"{t.name or name} was updated after {call.kernel.name} read it and before its gradient was taken: "
                "take all gradients of a forward pass before applying an optimizer to it, or run the pass again.")
