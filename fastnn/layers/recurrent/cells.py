"""What a recurrent layer does in one step: cells, of single operations. `RNN` takes any of them through a sequence."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from ... import activations, ops
from ...kernels.dense import dense
from ...kernels.dropout import dropout
from ...kernels.elementwise import fill
from ...seeds import child, from_config, key_pair, seed_sequence, to_config
from ..layer import Layer
from ..named_weights import NamedWeights


def zeros(graph, shape: tuple[int, ...], dtype: str):
    """A tensor of zeros."""
    return graph.emit(fill, (), dict(value=0.0, shape=tuple(shape), dtype=str(np.dtype(dtype))))


class Cell(NamedWeights):
    """Base of the three cells: weights, dropout, config. A subclass writes `step`.

    Attributes
    ----------
    kernel : (features, gates * units). recurrent_kernel : (units, gates * units). bias : as the cell has it, or None.
    state_size, output_size : units; of the LSTM, whose states are two, a list.
    """

    weight_names = {"kernel": "glorot_uniform", "recurrent": "orthogonal", "bias": "zeros"}
    gates = 1

    def __init__(self, units: int, activation="tanh", use_bias: bool = True, dropout: float = 0.0,
                 recurrent_dropout: float = 0.0, seed=None, **kwargs: Any):
        super().__init__(**kwargs)
        self.recurrent_kernel = None
        if isinstance(units, bool) or not isinstance(units, int | np.integer) or units < 1:
            raise ValueError(f"{type(self).__name__} {self.name}: units is {units!r}; a positive whole number is "
                             "wanted.")
        self.units, self.use_bias = int(units), bool(use_bias)
        self.activation = activations.get(activation)
        self.dropout, self.recurrent_dropout = self._share("dropout", dropout), self._share("recurrent_dropout",
                                                                                           recurrent_dropout)
        self.seed = seed_sequence(from_config(seed))
        self.state_size: Any = self.units
        self.output_size = self.units
        self._kept: tuple[Any, dict] = (lambda: None, {})

    def _share(self, name: str, rate) -> float:
        if not isinstance(rate, int | float | np.number) or isinstance(rate, bool) or not 0 <= rate < 1:
            raise ValueError(f"{type(self).__name__} {self.name}: {name} is {rate!r}; a number in [0, 1) is wanted.")
        return float(rate)

    def build(self, input_shape) -> None:
        if len(input_shape) < 2:
            raise ValueError(f"{type(self).__name__} {self.name} wants steps (batch, features); got the shape "
                             f"{input_shape}.")
        wide = self.gates * self.units
        self._add("kernel", (input_shape[-1], wide))
        initializer, regularizer, constraint = self._given_weights["recurrent"]
        self.recurrent_kernel = self.add_weight((self.units, wide), initializer, name="recurrent_kernel",
                                                regularizer=regularizer, constraint=constraint)
        if self.use_bias:
            self._add_bias(wide)

    def _add_bias(self, wide: int) -> None:
        self._add("bias", (wide,))

    def get_initial_state(self, batch_size: int, graph):
        """Zeros for each state."""
        return zeros(graph, (batch_size, self.units), self.dtype)

    # ------------------------------------------------------------------ dropout

    def masks(self, x, which: str, training) -> list | None:
        """Ones scaled by 1 / (1 - rate) with a share of zeros, in the shape of x; for the inputs or the states.

        They depend on the cell's seed and on the step of training, not on the place in the sequence, so all steps of
        a sequence have the same (Gal & Ghahramani 2016, arXiv:1512.05287). As in Keras each gate has its own if there
        is recurrent dropout, else all share one. None where nothing is dropped.
        """
        rate = self.dropout if which == "inputs" else self.recurrent_dropout
        if not rate or not (training or x.graph.sampling):
            return None
        graph, made = self._kept
        if graph() is not x.graph:
            self._kept = (weakref.ref(x.graph), made := {})
        count = self.gates if self.recurrent_dropout else 1
        if (which, x.shape) not in made:
            ones = x.graph.emit(fill, (), dict(value=1.0, shape=x.shape, dtype=str(x.dtype)))
            keys = (key_pair(child(self.seed, int(which != "inputs"), i)) for i in range(count))
            made[which, x.shape] = [dropout(ones, x.graph.step(), rate=rate, key0=a, key1=b) for a, b in keys]
        return made[which, x.shape]

    def masks_of_states(self, x, training):
        """Those of the states for all gates, (batch, gates, units), for a kernel; None where nothing is dropped."""
        if not self.recurrent_dropout or not (training or x.graph.sampling):
            return None
        shape = (x.shape[0], self.units)
        made = self.masks(zeros(x.graph, shape, self.dtype), "states", training)
        return ops.concatenate([m.reshape(shape[0], 1, shape[1]) for m in made], axis=1)

    def dropped(self, x, which: str, training) -> list:
        """x for each gate, with dropout."""
        masks = self.masks(x, which, training)
        if masks is None:
            return [x] * self.gates
        return [x * m for m in masks] if len(masks) > 1 else [x * masks[0]] * self.gates

    # ------------------------------------------------------------------ a step

    def call(self, inputs, states, training=False):
        states = list(states) if isinstance(states, list | tuple) else [states]
        wanted = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        if len(states) != len(wanted) or any(s.shape != (inputs.shape[0], n) for s, n in zip(states, wanted)):
            raise ValueError(f"{type(self).__name__} {self.name}: states of the shapes {[s.shape for s in states]} "
                             f"came with inputs of shape {inputs.shape}; they want "
                             f"{[(len(inputs), n) for n in wanted]}.")
        found = self.step(self.dropped(inputs, "inputs", training), self.dropped(states[0], "states", training), states)
        return found[0], found

    def step(self, xs: list, hs: list, states: list) -> list:
        """The new states, the output first, from what each gate gets of the inputs and of the state before."""
        raise NotImplementedError(f"{type(self).__name__} must override step(self, xs, hs, states).")

    def gate(self, x, h, i: int, bias=None):
        """``x @ kernel + h @ recurrent_kernel + bias`` of gate i."""
        bias = self.bias if bias is None else bias
        return self.part(x, self.kernel, i, bias) + self.part(h, self.recurrent_kernel, i)

    def part(self, x, weights, i: int, bias=None):
        """``x @ weights + bias`` of gate i."""
        graph, a, b = x.graph, i * self.units, (i + 1) * self.units
        w = graph.tensor(weights)
        bias = None if bias is None else graph.tensor(bias)
        if self.gates > 1:
            w, bias = w[:, a:b], None if bias is None else bias[a:b]
        return dense(x, w, bias)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "activation": activations.serialize(self.activation),
                "use_bias": self.use_bias, "dropout": self.dropout, "recurrent_dropout": self.recurrent_dropout,
                "seed": to_config(self.seed)}


class SimpleRNNCell(Cell):
    """One step of `SimpleRNN`: ``h = activation(x @ kernel + h @ recurrent_kernel + bias)``.

    Its arguments are those of `SimpleRNN` that belong to the step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> output, states = layers.SimpleRNNCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape
    (2, 4)
    """

    def step(self, xs, hs, states):
        return [self.activation(self.gate(xs[0], hs[0], 0))]


class LSTMCell(Cell):
    """One step of `LSTM`. Its arguments are those of `LSTM` that belong to the step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> output, (h, c) = layers.LSTMCell(4)(np.ones((2, 3)), [np.zeros((2, 4)), np.zeros((2, 4))])
    >>> output.shape, c.shape
    ((2, 4), (2, 4))
    """

    gates = 4

    def __init__(self, units: int, activation="tanh", recurrent_activation="sigmoid", use_bias: bool = True,
                 unit_forget_bias: bool = True, **kwargs: Any):
        super().__init__(units, activation, use_bias, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.unit_forget_bias = bool(unit_forget_bias)
        self.state_size = [self.units, self.units]

    def _add_bias(self, wide: int) -> None:
        self._add("bias", (wide,))
        if self.unit_forget_bias:
            made, n = self._given_weights["bias"][0], self.units
            self.bias.assign(np.concatenate([np.asarray(made((n,), self.dtype)), np.ones(n, self.dtype),
                                             np.asarray(made((2 * n,), self.dtype))]))

    def get_initial_state(self, batch_size: int, graph):
        return [super(LSTMCell, self).get_initial_state(batch_size, graph) for _ in range(2)]

    def step(self, xs, hs, states):
        gate, f = self.recurrent_activation, self.activation
        i, forget, c, o = (self.gate(x, h, n) for n, (x, h) in enumerate(zip(xs, hs)))
        c = gate(forget) * states[1] + gate(i) * f(c)
        return [gate(o) * f(c), c]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "recurrent_activation": activations.serialize(self.recurrent_activation),
                "unit_forget_bias": self.unit_forget_bias}


class GRUCell(Cell):
    """One step of `GRU`. Its arguments are those of `GRU` that belong to the step.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> output, states = layers.GRUCell(4)(np.ones((2, 3)), [np.zeros((2, 4))])
    >>> output.shape
    (2, 4)
    """

    gates = 3

    def __init__(self, units: int, activation="tanh", recurrent_activation="sigmoid", use_bias: bool = True,
                 reset_after: bool = True, **kwargs: Any):
        super().__init__(units, activation, use_bias, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)
        self.reset_after = bool(reset_after)

    def _add_bias(self, wide: int) -> None:
        self._add("bias", (2, wide) if self.reset_after else (wide,))

    def biases(self, graph):
        """Of the inputs and of the states; None for those that are not there."""
        if not self.use_bias:
            return None, None
        bias = graph.tensor(self.bias)
        return (bias[0], bias[1]) if self.reset_after else (bias, None)

    def step(self, xs, hs, states):
        bias, recurrent = self.biases(xs[0].graph)
        x = [self.part(v, self.kernel, i, bias) for i, v in enumerate(xs)]
        update, r = (self.recurrent_activation(x[i] + self.part(hs[i], self.recurrent_kernel, i, recurrent))
                     for i in range(2))
        if self.reset_after:
            inner = r * self.part(hs[2], self.recurrent_kernel, 2, recurrent)
        else:
            inner = self.part(r * hs[2], self.recurrent_kernel, 2)
        return [update * states[0] + (1.0 - update) * self.activation(x[2] + inner)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "recurrent_activation": activations.serialize(self.recurrent_activation),
                "reset_after": self.reset_after}


class StackedRNNCells(Layer):
    """Several cells as one: each gets the output of the one before.

    Parameters
    ----------
    cells : the cells, in order; the states are a list with those of each.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])  # a list is stacked by itself
    >>> layer(np.ones((4, 5, 2))).shape
    (4, 2)
    """

    def __init__(self, cells, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(cells, list | tuple) or not cells:
            raise ValueError(f"StackedRNNCells {self.name}: cells is {cells!r}; a list of cells is wanted.")
        for cell in cells:
            check_cell(f"StackedRNNCells {self.name}", cell)
        self.cells = list(cells)

    @property
    def state_size(self) -> list:
        """The state sizes of the cells."""
        return [c.state_size for c in self.cells]

    @property
    def output_size(self) -> int:
        """Width of the last cell's output."""
        return size_of_output(self.cells[-1])

    def call(self, inputs, states, training=False):
        new = []
        for cell, state in zip(self.cells, states, strict=True):
            inputs, after = step(cell, inputs, state if isinstance(state, list | tuple) else [state], training)
            new.append(after if isinstance(cell.state_size, list | tuple) else after[0])
        return inputs, new

    def get_config(self) -> dict[str, Any]:
        from .. import serialize

        return {**super().get_config(), "cells": [serialize(c) for c in self.cells]}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> StackedRNNCells:
        from .. import deserialize

        return cls(**{**config, "cells": [deserialize(c, custom_objects=custom_objects) for c in config["cells"]]})


def check_cell(who: str, cell) -> None:
    """Refuse what can't be taken through a sequence."""
    if not isinstance(cell, Layer) or not hasattr(cell, "state_size"):
        raise ValueError(f"{who}: a cell is a layer with a state_size whose call takes inputs and states; got "
                         f"{cell!r}.")


def size_of_output(cell) -> int:
    """Width of a cell's output: its first state's, if it does not say so."""
    size = getattr(cell, "output_size", None)
    while size is None or isinstance(size, list | tuple):
        size = size[0] if size is not None else cell.state_size
    return int(size)


def step(cell, inputs, states: list, training) -> tuple[Any, list]:
    """One step of any cell: (output, list of new states)."""
    more = {"training": training} if cell._takes_training else {}
    output, new = cell(inputs, states, **more)
    return output, list(new) if isinstance(new, list | tuple) else [new]

