"""RNN: a cell, taken through the steps of a sequence."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...kernels.elementwise import copy
from ...program.graph import Tensor
from ...program.variable import Variable
from ..layer import Layer
from ..symbolic import flatten, map_tree
from .cells import StackedRNNCells, check_cell, step, zeros


class RNN(Layer):
    """Takes a cell through the steps of sequences, (batch, steps, features).

    Parameters
    ----------
    cell : a layer with ``state_size`` whose ``call(inputs, states)`` gives the output of a step and the new states; or
        a list of cells, each fed by the one before.
    return_sequences : give the outputs of all steps, (batch, steps, units), and not the last one alone.
    return_state : give the last states too: ``output, *states``.
    go_backwards : take the steps from the last to the first; outputs of all steps come in that order, as in Keras.
    stateful : begin each batch with the states in which the one before ended, row by row. The batch must have a fixed
        size, ``Input(batch_shape=(rows, steps, features))``, and `fit` must not shuffle. Training then goes back to the
        beginning of each batch only: truncated backpropagation through time. `reset_state` sets the states to 0.
    unroll : as in Keras; has no effect, as programs have no loops anyway.
    zero_output_for_mask : outputs of steps that don't count are 0, and not those of the step before.

    Notes
    -----
    Called with ``initial_state=``, a tensor or a list of them, and ``mask=``, (batch, steps), which the mask of the
    sequence serves where none is given: in steps whose mask is 0 the states stay as they are.

    This class emits the cell's operations for each step. `LSTM`, `GRU` and `SimpleRNN` run a whole sequence in one
    kernel, which is many times faster.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> from fastnn import layers, ops
    >>> class Sum(layers.Layer):  # a running sum
    ...     state_size = 1
    ...     def call(self, inputs, states):
    ...         total = states[0] + ops.sum(inputs, axis=-1, keepdims=True)
    ...         return total, [total]
    >>> layers.RNN(Sum(), return_sequences=True)(np.ones((1, 3, 2)))[0, :, 0]
    array([2., 4., 6.], dtype=float32)
    """

    supports_masking = True
    stateful = False

    def __init__(self, cell, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
                 stateful: bool = False, unroll: bool = False, zero_output_for_mask: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        check_cell(f"{type(self).__name__} {self.name}", cell)
        self.cell = cell
        self.return_sequences, self.return_state = bool(return_sequences), bool(return_state)
        self.go_backwards, self.stateful = bool(go_backwards), bool(stateful)
        self.unroll, self.zero_output_for_mask = bool(unroll), bool(zero_output_for_mask)
        self._states: list[Variable] | None = None
        self._in_order = False  # outputs of a layer that goes backwards, in the order of the steps

    # ------------------------------------------------------------------ states

    @property
    def states(self) -> list[Variable] | None:
        """The states that a stateful layer keeps, once it has seen a batch; they are no weights."""
        return self._states

    def reset_state(self) -> None:
        """Let a stateful layer begin at 0 again."""
        if not self.stateful:
            raise ValueError(f"{self._who} is not stateful: it has no state to reset.")
        for v in self._states or ():
            v.assign(np.zeros(v.shape, v.dtype))

    reset_states = reset_state

    @property
    def _who(self) -> str:
        return f"{type(self).__name__} {self.name}"

    def _sizes(self) -> list:
        """The cell's state sizes, as a list that may hold lists."""
        size = self.cell.state_size
        return list(size) if isinstance(size, list | tuple) else [size]

    def get_initial_state(self, x) -> list:
        """What the states begin with for such a batch: what the cell says, else zeros."""
        graph, batch = x.graph, x.shape[0]
        own = getattr(self.cell, "get_initial_state", None)
        if own is None:
            return [map_tree(lambda n: zeros(graph, (batch, n), self.dtype), size) for size in self._sizes()]
        from .cells import Cell

        made = own(batch, graph) if isinstance(self.cell, Cell) else own(batch_size=batch)
        made = list(made) if isinstance(made, list | tuple) else [made]
        return map_tree(lambda s: s if isinstance(s, Tensor) else graph.constant(np.asarray(s), self.dtype), made)

    def _begin(self, x, given) -> list | None:
        """The states to begin with, or None for those of `get_initial_state`."""
        if given is None:
            return self._kept(x) if self.stateful else None
        given = list(given) if isinstance(given, list | tuple) else [given]
        sizes, found = flatten(self._sizes()), flatten(given)
        if len(found) != len(sizes):
            raise ValueError(f"{self._who} has {len(sizes)} states; initial_state holds {len(found)}.")
        for i, (n, s) in enumerate(zip(sizes, found)):
            if s.shape != (x.shape[0], n):
                raise ValueError(f"{self._who}: initial_state {i} has the shape {s.shape}; sequences of shape "
                                 f"{x.shape} want {(x.shape[0], n)}.")
        parts = iter(x.graph.tensor(s) for s in found)
        return map_tree(lambda _: next(parts), self._sizes())

    def _kept(self, x) -> list:
        """Copies of the states that the last batch left, as it is overwritten when this one ends."""
        graph, batch = x.graph, x.shape[0]
        if any(shape[0] is None for shape in graph.declared.values()):
            raise ValueError(f"{self._who} is stateful, and must know how many rows a batch has: give the model an "
                             "Input(batch_shape=(rows, steps, features)).")
        if self._states is None:
            first = map_tree(lambda n: Variable(np.zeros((batch, n)), name="state", trainable=False, dtype=self.dtype),
                             self._sizes())
            self._states = flatten(first)
            for i, v in enumerate(self._states):
                v.path = f"{self.name}/state_{i}"
        rows = self._states[0].shape[0]
        if rows != batch:
            raise ValueError(f"{self._who} is stateful and holds the states of {rows} rows; a batch of {batch} came. "
                             f"Give batches of {rows}, or make another layer for other ones.")
        parts = iter(copy(graph.variable(v)) for v in self._states)
        return map_tree(lambda _: next(parts), self._sizes())

    # ------------------------------------------------------------------ calling

    def build(self, input_shape) -> None:
        self._check(input_shape)

    def _check(self, shape) -> None:
        if len(shape) < 3:
            raise ValueError(f"{self._who} wants sequences (batch, steps, features); got the shape {tuple(shape)}.")

    def call(self, sequences, initial_state=None, mask=None, training=False):
        self._check(sequences.shape)
        if sequences.shape[1] < 1:
            raise ValueError(f"{self._who} wants at least one step; got the shape {sequences.shape}.")
        mask = self._mask(sequences, mask)
        begin = self._begin(sequences, initial_state)
        outputs, last, states = self.run(sequences, begin, mask, training)
        if self.stateful:
            for v, s in zip(self._states, flatten(states), strict=True):
                sequences.graph.assign(v, s)
        output = outputs if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def _mask(self, x, mask):
        mask = next((m for m in flatten(mask) if m is not None), None)
        if mask is None:
            return None
        mask = x.graph.tensor(mask)
        if mask.ndim == 3 and mask.shape[-1] == 1:
            mask = mask.reshape(mask.shape[:2])
        if mask.shape != x.shape[:2]:
            raise ValueError(f"{self._who}: the mask has the shape {mask.shape}; sequences of shape {x.shape} want "
                             f"{x.shape[:2]}.")
        if mask.dtype != x.dtype:
            mask = ops.cast(mask, x.dtype)
        return mask

    def compute_mask(self, inputs, previous_mask=None):
        mask = next((m for m in flatten(previous_mask) if m is not None), None)
        out = mask if self.return_sequences else None
        return [out, *[None] * len(flatten(self._sizes()))] if self.return_state else out

    def order(self, length: int) -> list[int]:
        """The steps in the order in which they are taken."""
        return list(range(length))[:: -1 if self.go_backwards else 1]

    def run(self, x, states, mask, training):
        """(outputs of all steps, last output, states), by the cell's operations for each step."""
        states = self.get_initial_state(x) if states is None else states
        outputs: list[Any] = []
        output = None
        for t in self.order(x.shape[1]):
            now, new = step(self.cell, x[:, t], states, training)
            if mask is not None:
                there = mask[:, t]
                now = self._where(there, now, self._before(output, states, now))
                new = map_pairs(lambda a, b, there=there: self._where(there, a, b), new, states)
            output, states = now, new
            outputs.append(now if mask is None or not self.zero_output_for_mask else
                           now * mask[:, t].reshape(x.shape[0], *[1] * (now.ndim - 1)))
        last = outputs[-1]
        if not self.return_sequences:
            return None, last, states
        if self.go_backwards and self._in_order:
            outputs.reverse()
        return ops.concatenate([o.reshape(o.shape[0], 1, *o.shape[1:]) for o in outputs], axis=1), last, states

    @staticmethod
    def _where(there, a, b):
        return ops.where(there.reshape(there.shape[0], *[1] * (a.ndim - 1)), a, b)

    @staticmethod
    def _before(output, states, now):
        """The output before: of the first step, the first state if it can be one."""
        if output is not None:
            return output
        first = flatten(states)[0]
        return first if first.shape == now.shape else now * 0.0

    def get_config(self) -> dict[str, Any]:
        from .. import serialize

        return {**super().get_config(), **self._own_config(), "cell": serialize(self.cell)}

    def _own_config(self) -> dict[str, Any]:
        return {n: getattr(self, n) for n in ("return_sequences", "return_state", "go_backwards", "stateful", "unroll",
                                              "zero_output_for_mask")}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> RNN:
        from .. import deserialize

        return cls(**{**config, "cell": deserialize(config["cell"], custom_objects=custom_objects)})


def map_pairs(fn, a, b):
    """fn on the leaves of two nests of one form."""
    others = iter(flatten(b))
    return map_tree(lambda x: fn(x, next(others)), a)

