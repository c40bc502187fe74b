"""Updates of a large table by the rows that a batch touches.

The gradient of an `Embedding` is a table that is 0 but for the rows whose tokens occur. Where a rule leaves a weight
alone whose gradient is 0 (plain SGD, Adagrad, neither with weight decay), updating the other rows alone is the same to
the bit, and is done wherever a batch has fewer tokens than the table has rows. Adam's moments fade in each step, and
weights go on by them: leaving rows alone is then another rule, lazy Adam (`torch.optim.SparseAdam`), which is done for
an ``Embedding(sparse=True)`` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..kernels.embedding import embedding_grad, token_order
from ..program.graph import Graph, Tensor
from ..program.variable import Variable

if TYPE_CHECKING:
    from ..kernels.spec import Call
    from .stepping import Scalars

KNOWN = "SGD without momentum, Adagrad and Adam without amsgrad can, none of them with weight decay"


class ByRows:
    """The part of an optimizer that updates tables by rows."""

    lazy = False  #: whether `update_rows` is another rule than `update`, because that moves weights without gradients

    def update_rows(self, rows: tuple[Tensor, ...], w: Tensor, slots: list[Tensor], scalars: Scalars) -> None:
        """Emit the update of a table w[V,D] and its slots by `rows`: dy, order and rows of `token_order`.

        A class that can't do without it as it was made says why in `_not_by_rows`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no update by rows.")

    def _not_by_rows(self) -> str | None:
        """Why the rule can't be done row by row; None if it can."""
        for kind in type(self).__mro__:
            if kind is ByRows or "update" in kind.__dict__ and "update_rows" not in kind.__dict__:
                return f"{type(self).__name__} has no update by rows ({KNOWN})"
            if "update_rows" in kind.__dict__:
                return None
        return None

    def _by_rows(self, pairs: list[tuple[Any, Variable]]) -> list[tuple[Call, Variable]]:
        """Those of the (gradient, variable) pairs that are updated by rows, each with the call of `embedding_grad`.

        Raises
        ------
        ValueError : a variable must be, by its layer's ``sparse=True``, and can't.
        """
        found, never = [], self._not_by_rows()
        for g, v in pairs:
            call, must = _table_gradient(g), v.sparse
            decays = f"weight decay moves all rows ({KNOWN})" if self._decays(v) else None
            ever, now = never or decays, self._only_whole(call)
            reason = ever or (now if self.lazy else None)
            if must and reason:
                raise ValueError(f"{v.path} is the table of an Embedding with sparse=True, and {self.name} can't "
                                 f"update it by rows: {reason}.")
            if not ever and not now and (must or not self.lazy and call["tokens"].size < v.shape[0]):
                found.append((call, v))
        return found

    def _decays(self, v: Variable) -> bool:
        return bool(self.weight_decay) and not self._groups.of(v)[0]

    def _only_whole(self, call: Call | None) -> str | None:
        """Why this time the gradient has to be a whole table; None if it has not."""
        if call is None:
            return ("its gradient is not that of one embedding alone: the table is used more than once, has a penalty, "
                    "or its gradient is an array")
        if self._clips is not None:
            return "gradients are clipped"
        if self.gradient_accumulation_steps:
            return "gradients are accumulated"
        return None

    def _update_rows(self, graph: Graph, found: list[tuple[Call, Variable]], scalars: Scalars) -> None:
        for call, v in found:
            dy, tokens = call["dy"], call["tokens"]
            tables = [graph.flat(a, v.offset, v.offset + v.size, n).reshape(v.shape)
                      for n, a in (("weights", self.arena.array), *((n, self.slots[n]) for n in self.slot_names))]
            order = token_order(tokens, count=v.shape[0])
            self.update_rows((dy, *order), tables[0], tables[1:], scalars.of(*self._groups.of(v)))


def _table_gradient(g: Any) -> Call | None:
    """The call of `embedding_grad` whose result the gradient g is and still is; else None."""
    if not isinstance(g, Tensor):
        return None
    call = g.base.call
    if call is None or call.kernel is not embedding_grad or g.size != g.base.size or g.memory.version:
        return None
    return call
