"""SimpleRNN, LSTM and GRU: a whole sequence in one kernel, where the cell is one that the kernels know."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...kernels.dense import ACTIVATIONS, dense
from ...kernels.recurrent import gru, lstm, simple_rnn
from .cells import Cell, GRUCell, LSTMCell, SimpleRNNCell
from .rnn import RNN

#: arguments of a layer that its cell takes
OF_THE_CELL = ("activation", "recurrent_activation", "use_bias", "unit_forget_bias", "reset_after", "dropout",
               "recurrent_dropout", "seed", *(f"{w}_{kind}" for w in ("kernel", "recurrent", "bias")
                                              for kind in ("initializer", "regularizer", "constraint")))
OF_THE_LAYER = ("name", "trainable", "dtype", "activity_regularizer")


def kind_of(activation) -> str:
    """Which of the kernels' activations it is."""
    return getattr(activation, "kind", None) or ""


class FusedRNN(RNN):
    """Base: an `RNN` with a cell of its own, and a kernel for it."""

    cell_class: type[Cell] = Cell

    def __init__(self, units: int, *positional: Any, **kwargs: Any):
        for gone in ("implementation", "use_cudnn"):  # which way Keras computes; there is one here
            kwargs.pop(gone, None)
        own = {k: kwargs.pop(k) for k in OF_THE_CELL if k in kwargs}
        cell = self.cell_class(units, *positional, dtype=kwargs.get("dtype"), trainable=kwargs.get("trainable", True),
                               **own)
        super().__init__(cell, **kwargs)
        self.units = cell.units

    def __getattr__(self, name: str):
        """The cell's arguments and weights are the layer's too."""
        if name in (*OF_THE_CELL, "kernel", "recurrent_kernel", "bias") and "cell" in self.__dict__:
            return getattr(self.cell, name)
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}.")

    def build(self, input_shape) -> None:
        super().build(input_shape)
        if len(input_shape) != 3:
            raise ValueError(f"{self._who} wants sequences (batch, steps, features); got the shape "
                             f"{tuple(input_shape)}.")
        if not self.cell.built:
            self.cell._build((None, input_shape[2]))

    def known(self) -> bool:
        """Whether the cell's functions are those of the kernel."""
        return kind_of(self.cell.activation) == "tanh" and kind_of(self.cell.recurrent_activation) == "sigmoid"

    def run(self, x, states, mask, training):
        features = self.cell.kernel.shape[0]
        if x.ndim != 3 or x.shape[2] != features:
            raise ValueError(f"{self._who} was built for sequences of {features} features; got the shape {x.shape}.")
        if not self.known():
            return super().run(x, states, mask, training)
        dropped = [x] * self.cell.gates  # for each gate; all of one mask, unless states are dropped, too
        kept = self.cell.masks(x[:, 0], "inputs", training)
        if kept is not None:
            dropped = [x * m.reshape(x.shape[0], 1, x.shape[2]) for m in kept]
            dropped = dropped if len(kept) > 1 else dropped * self.cell.gates
        of_states = self.cell.masks_of_states(x, training)
        ordered = self._in_order or self.zero_output_for_mask and mask is not None
        way = (2 if ordered else 1) if self.go_backwards else 0
        y, last, new = self.fused(dropped, states, mask, of_states,
                                  {"backwards": way, "sequence": int(self.return_sequences)})
        if mask is not None and self.zero_output_for_mask:
            end = 0 if self.go_backwards else x.shape[1] - 1
            last = last * mask[:, end].reshape(x.shape[0], 1)
            if self.return_sequences:
                y = y * mask.reshape(*mask.shape, 1)
                if way and not self._in_order:
                    y = ops.concatenate([y[:, t : t + 1] for t in self.order(x.shape[1])], axis=1)
        return y if self.return_sequences else None, last, new

    def projected(self, xs: list, bias):
        """What the inputs of all steps give to the gates: one product where they are the same for all gates."""
        x, n = xs[0], self.cell.units
        if all(other is x for other in xs):
            flat = x.reshape(x.shape[0] * x.shape[1], x.shape[2])
            return dense(flat, self.cell.kernel, bias).reshape(*x.shape[:2], self.cell.kernel.shape[1])
        parts = [self.cell.part(v.reshape(v.shape[0] * v.shape[1], v.shape[2]), self.cell.kernel, i, bias)
                 for i, v in enumerate(xs)]
        return ops.concatenate(parts, axis=1).reshape(*x.shape[:2], len(xs) * n)

    def fused(self, xs: list, states, mask, keep, way: dict[str, int]):
        """(outputs of all steps, last output, states), by the kernel, from the inputs for each gate; no states are
        zeros, `keep` is the dropout of the states."""
        raise NotImplementedError(f"{type(self).__name__} must override fused(self, xs, states, mask, keep, way).")

    def get_config(self) -> dict[str, Any]:
        cell = {k: v for k, v in self.cell.get_config().items() if k not in OF_THE_LAYER}
        config = super().get_config()
        del config["cell"]
        return {**config, **cell}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FusedRNN:
        return cls(**config)


class SimpleRNN(FusedRNN):
    """The simple recurrent layer: ``h = activation(x @ kernel + h @ recurrent_kernel + bias)`` at each step.

    Parameters
    ----------
    units : width of the state and of the output.
    activation : name or function.
    use_bias : whether there is a bias.
    kernel_initializer, recurrent_initializer, bias_initializer : see `fastnn.initializers`.
    kernel_regularizer, recurrent_regularizer, bias_regularizer, activity_regularizer : see `fastnn.regularizers`.
    kernel_constraint, recurrent_constraint, bias_constraint : see `fastnn.constraints`.
    dropout, recurrent_dropout : shares of the inputs and of the states that are zeroed in training, the same ones at
        all steps of a batch (Gal & Ghahramani 2016, arXiv:1512.05287).
    seed : int, or None to take the next of the package's seeds.
    return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask : see `RNN`.

    Notes
    -----
    Input (batch, steps, n), kernel (n, units), recurrent_kernel (units, units), bias (units,). Output (batch, units),
    or (batch, steps, units) with `return_sequences`; state (batch, units).

    References
    ----------
    Elman (1990), Finding structure in time.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.SimpleRNN(1, activation="linear", kernel_initializer="ones", recurrent_initializer="ones",
    ...                          return_sequences=True)
    >>> layer(np.array([[[1.0], [2.0], [3.0]]])).ravel()  # a running sum
    array([1., 3., 6.], dtype=float32)
    """

    cell_class = SimpleRNNCell

    def known(self) -> bool:
        return kind_of(self.cell.activation) in ACTIVATIONS

    def fused(self, xs, states, mask, keep, way):
        f = self.cell.activation
        y, end, _ = simple_rnn(self.projected(xs, self.cell.bias), self.cell.recurrent_kernel,
                               states[0] if states else None, mask, keep, activation=f.kind, alpha=f.alpha, **way)
        return y, end, [end]


class LSTM(FusedRNN):
    """Long short-term memory: a state c that gates let in, keep and let out.

    At each step, with ``[i, f, g, o] = x @ kernel + h @ recurrent_kernel + bias``::

        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    Parameters
    ----------
    units : width of the states and of the output.
    activation : of g and of c; name or function.
    recurrent_activation : of the gates. With another pair than tanh and sigmoid the layer emits the operations of each
        step, which is several times slower.
    use_bias : whether there is a bias.
    unit_forget_bias : the forget gate's bias begins at 1 (Jozefowicz et al. 2015).
    kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer ... : see `SimpleRNN`.
    dropout, recurrent_dropout, seed : see `SimpleRNN`.
    return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask : see `RNN`.

    Notes
    -----
    Input (batch, steps, n), kernel (n, 4 units), recurrent_kernel (units, 4 units), bias (4 units,), in the order i, f,
    g, o (Keras calls g the gate c). Output (batch, units), or (batch, steps, units) with `return_sequences`; states h
    and c, (batch, units).

    References
    ----------
    Hochreiter & Schmidhuber (1997), Long short-term memory. Gers, Schmidhuber & Cummins (2000), Learning to forget.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> x = np.random.default_rng(0).normal(size=(2, 5, 3))
    >>> output, h, c = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    >>> output.shape, (output[:, -1] == h).all()
    ((2, 5, 4), np.True_)
    """

    cell_class = LSTMCell

    def fused(self, xs, states, mask, keep, way):
        h0, c0 = states or (None, None)
        y, end, end_c, *_ = lstm(self.projected(xs, self.cell.bias), self.cell.recurrent_kernel, h0, c0, mask, keep,
                                 **way)
        return y, end, [end, end_c]


class GRU(FusedRNN):
    """Gated recurrent units: one state, and gates for how much of it is seen and how much is kept.

    At each step::

        z, r = sigmoid(x @ kernel + h @ recurrent_kernel + bias)
        n = tanh(x @ kernel + r * (h @ recurrent_kernel + recurrent bias) + bias)      reset_after=True
        n = tanh(x @ kernel + (r * h) @ recurrent_kernel + bias)                       reset_after=False
        h = z * h + (1 - z) * n

    Parameters
    ----------
    units : width of the state and of the output.
    activation : of n; name or function.
    recurrent_activation : of the gates. With another pair than tanh and sigmoid the layer emits the operations of each
        step, which is several times slower.
    use_bias : whether there is a bias.
    reset_after : whether r is applied after the product, as PyTorch and cuDNN do, or before, as the paper does.
    kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer ... : see `SimpleRNN`.
    dropout, recurrent_dropout, seed : see `SimpleRNN`.
    return_sequences, return_state, go_backwards, stateful, unroll, zero_output_for_mask : see `RNN`.

    Notes
    -----
    Input (batch, steps, n), kernel (n, 3 units), recurrent_kernel (units, 3 units), in the order z, r, n; bias
    (2, 3 units) of inputs and states, or (3 units,) with ``reset_after=False``. Output (batch, units), or
    (batch, steps, units) with `return_sequences`; state (batch, units). PyTorch has the gates in the order r, z, n.

    References
    ----------
    Cho et al. (2014), Learning phrase representations using RNN encoder-decoder, arXiv:1406.1078.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.GRU(4)(np.ones((2, 5, 3))).shape
    (2, 4)
    """

    cell_class = GRUCell

    def fused(self, xs, states, mask, keep, way):
        bias, recurrent = self.cell.biases(xs[0].graph)
        y, end, *_ = gru(self.projected(xs, bias), self.cell.recurrent_kernel, recurrent, states[0] if states else None,
                         mask, keep, reset_after=int(self.cell.reset_after), **way)
        return y, end, [end]
