"""Gradients that are kept small before an update: by value, by norm, and by the size of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import checks
from ..kernels import optim, segments
from ..program.graph import Graph, Memory, Tensor
from ..program.variable import Arena, Variable
from .segments import pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("clipnorm", "clipvalue", "global_clipnorm", "adaptive_clipnorm")
LEAST = 1e-3  #: what a unit's weights count at least in adaptive clipping, or units that are 0 could never grow


class Clipping:
    """The part of an optimizer that clips gradients."""

    arena: Arena | None
    _runs: Callable[[list[Variable]], list[tuple[int, int]]]
    _flat_gradient: Callable[[Graph, Memory, int, int], Tensor]

    def _clip_by(self, **limits: Any) -> None:
        """Take over the arguments: one kind at a time."""
        who = type(self).__name__
        for kind in KINDS:
            setattr(self, kind, checks.positive(who, kind, limits[kind], optional=True))
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) > 1:
            raise ValueError(f"{who} takes one kind of clipping at a time; got {' and '.join(given)}.")

    @property
    def _clips(self) -> float | None:
        return next((c for c in (getattr(self, kind) for kind in KINDS) if c is not None), None)

    def _clip(self, graph: Graph, memory: Memory, variables: list[Variable]) -> None:
        size = self.arena.array.size
        if self._clips is None or not size:
            return
        whole = self._flat_gradient(graph, memory, 0, size)
        if self.clipvalue is not None:
            for run in self._runs(variables):
                optim.clip_inplace(self._flat_gradient(graph, memory, *run), limit=self.clipvalue)
        elif self.clipnorm is not None:
            pieces = graph.constant(pieces_of(variables))
            ratio = segments.clip_ratios(segments.piece_squares(whole, pieces), pieces, segments=len(variables),
                                         limit=self.clipnorm)
            segments.scale_segments(whole, ratio, pieces)
        elif self.global_clipnorm is not None:
            # Where a variable got no gradient the memory is zero, so the whole is summed.
            scale, _ = optim.global_norm_scale(optim.sum_of_squares(whole), limit=self.global_clipnorm)
            for run in self._runs(variables):
                optim.scale_inplace(scale, self._flat_gradient(graph, memory, *run))
        else:
            for v in variables:
                units = v.shape[-1] if v.ndim > 1 else 1
                g = self._flat_gradient(graph, memory, v.offset, v.offset + v.size)
                w = graph.flat(self.arena.array, v.offset, v.offset + v.size, v.path)
                if v.size:
                    segments.clip_units(g.reshape(-1, units), w.reshape(-1, units), clipping=self.adaptive_clipnorm,
                                        epsilon=LEAST)

    def _clipping_config(self) -> dict[str, Any]:
        kinds = KINDS if self.adaptive_clipnorm is not None else KINDS[:3]
        return {kind: getattr(self, kind) for kind in kinds}
