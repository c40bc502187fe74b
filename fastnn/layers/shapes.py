"""What comes out of a layer for shapes that are partly unknown: found by tracing it for several sizes."""

from __future__ import annotations

from typing import Any

from ..program.graph import Graph
from .symbolic import KerasTensor, flatten, map_tree

BATCHES = (2, 3)  #: stand-ins for the batch
#: stand-ins for axes of unknown size (the same for all inputs, as those of one model mostly belong together): small
#: ones first, as a layer may do something for each step; others where those are refused, by a large kernel for instance
LENGTHS = ((24, 56), (640, 1312))
APART = 8  #: between the stand-ins of one axis and the next


def infer(layer, args: tuple, kwargs: dict[str, Any]):
    """Outputs as KerasTensors: the axes whose size differs with the stand-ins are unknown."""
    inputs = [x for x in flatten((args, kwargs)) if isinstance(x, KerasTensor)]
    unknown = any(None in x.shape[1:] for x in inputs)
    traced: list[Any] = []
    refused: list[str] = []
    for lengths in LENGTHS if unknown else LENGTHS[:1]:
        try:
            traced = [_trace(layer, args, kwargs, batch, length) for batch, length in zip(BATCHES, lengths)]
            break
        except ValueError as error:
            refused.append(str(error))
            if not unknown or len(refused) == len(LENGTHS) and len(set(refused)) == 1:
                raise
    if not traced:
        shapes = ", ".join(str(x.shape) for x in inputs)
        raise ValueError(f"Layer {layer.name} got the shape {shapes}, and can't be used for every size of the axes "
                         f"that are None. With a size in their place: {refused[0]}")
    first, second = (iter(flatten(t)) for t in traced)
    return map_tree(lambda _: _both(next(first), next(second)), traced[0])


def _both(t, u) -> KerasTensor:
    """What two tensors have in common."""
    def common(a, b):
        return tuple(None if m != n else m for m, n in zip(a, b))

    mask = None if t.mask is None else common(t.mask.shape, u.mask.shape)
    return KerasTensor(common(t.shape, u.shape), t.dtype, mask_shape=mask)


def _trace(layer, args: tuple, kwargs: dict[str, Any], batch: int, length: int):
    """What the layer gives for tensors with these sizes in the place of None."""
    graph = Graph(f"shape of {layer.name}")
    graph.training = False
    known: dict[int, Any] = {}

    def sized(shape):
        return tuple((batch if axis == 0 else length + APART * axis) if s is None else s
                     for axis, s in enumerate(shape))

    def stand_in(x):
        if not isinstance(x, KerasTensor):
            return x
        if id(x) not in known:
            known[id(x)] = t = graph.feed(f"x{len(graph.feeds)}", sized(x.shape), x.dtype)
            graph.declared[id(t)] = x.shape
            if x.mask_shape is not None:
                t.mask = graph.feed(f"x{len(graph.feeds)}", sized(x.mask_shape), layer.dtype)
        return known[id(x)]

    return layer._emit(map_tree(stand_in, args), map_tree(stand_in, kwargs))
