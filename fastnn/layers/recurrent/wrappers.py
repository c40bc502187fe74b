"""Layers around a layer: both directions of a sequence, and the same layer at each step."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...spelling import one_of
from ..layer import Layer
from .rnn import RNN

MERGES = ("sum", "mul", "ave", "concat")


class Bidirectional(Layer):
    """Two recurrent layers over the same sequences, one from each end, their outputs put together step by step.

    Parameters
    ----------
    layer : a recurrent layer; a copy of it goes forward.
    merge_mode : "concat", "sum", "mul", "ave", or None for a list of both.
    backward_layer : the layer that goes backward (``go_backwards=True``); by default another copy of `layer`.

    Notes
    -----
    States, where `layer` returns them, come those of the forward layer first; so does an ``initial_state``. Outputs of
    steps that a mask hides are 0 if sequences are returned, as in Keras.

    References
    ----------
    Schuster & Paliwal (1997), Bidirectional recurrent neural networks.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.Bidirectional(layers.GRU(4, return_sequences=True))(np.ones((2, 5, 3))).shape
    (2, 5, 8)
    """

    supports_masking = True

    def __init__(self, layer: RNN, merge_mode: str | None = "concat", weights=None,
                 backward_layer: RNN | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        who = f"Bidirectional {self.name}"
        for what, given in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(given, RNN) and not (what == "backward_layer" and given is None):
                raise ValueError(f"{who}: {what} is {given!r}; a recurrent layer is wanted.")
        self.merge_mode = None if merge_mode is None else one_of("merge_mode", merge_mode, MERGES)
        self.forward_layer = _copied(layer, "forward")
        self.backward_layer = backward_layer or _copied(layer, "backward", go_backwards=not layer.go_backwards)
        first, second = self.forward_layer, self.backward_layer
        if first.go_backwards == second.go_backwards:
            raise ValueError(f"{who}: both layers go {'backwards' if first.go_backwards else 'forwards'}; one of them "
                             "must have go_backwards=True.")
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(first, name) != getattr(second, name):
                raise ValueError(f"{who}: {name} is {getattr(first, name)} for the forward layer and "
                                 f"{getattr(second, name)} for the backward layer; they must be the same.")
        for one in (first, second):
            one.zero_output_for_mask = one.return_sequences
            one._in_order = True
        self.stateful, self.return_sequences = first.stateful, first.return_sequences
        self.return_state = first.return_state
        self._first_weights = weights

    def build(self, input_shape) -> None:
        if len(input_shape) < 3:
            raise ValueError(f"Bidirectional {self.name} wants sequences (batch, steps, features); got the shape "
                             f"{tuple(input_shape)}.")
        for one in (self.forward_layer, self.backward_layer):
            if not one.built:
                one._build(input_shape)
        if self._first_weights:
            self.set_weights(self._first_weights)

    def call(self, sequences, initial_state=None, mask=None, training=False):
        states: tuple[Any, Any] = (None, None)
        if initial_state is not None:
            given = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
            if len(given) % 2:
                raise ValueError(f"Bidirectional {self.name}: initial_state holds {len(given)} states; those of both "
                                 "directions are wanted, an even number.")
            states = given[: len(given) // 2], given[len(given) // 2 :]
        outs = [one(sequences, initial_state=s, mask=mask, training=training)
                for one, s in zip((self.forward_layer, self.backward_layer), states)]
        after: list[Any] = []
        if self.return_state:
            after = [s for out in outs for s in out[1:]]
            outs = [out[0] for out in outs]
        output = self._merged(*outs)
        if self.merge_mode is None:
            return (*output, *after)
        return (output, *after) if after else output

    def _merged(self, a, b):
        if self.merge_mode is None:
            return a, b
        if self.merge_mode == "concat":
            return ops.concatenate([a, b], axis=-1)
        return {"sum": lambda: a + b, "mul": lambda: a * b, "ave": lambda: (a + b) * 0.5}[self.merge_mode]()

    def compute_mask(self, inputs, previous_mask=None):
        mask = self.forward_layer.compute_mask(inputs, previous_mask)
        mask = mask[0] if isinstance(mask, list) else mask
        if mask is None:
            return None
        states = [None] * 8 if self.return_state else []
        return [mask, mask, *states] if self.merge_mode is None else [mask, *states]

    @property
    def states(self):
        """The states that both layers keep, if they are stateful and have seen a batch."""
        first, second = self.forward_layer.states, self.backward_layer.states
        return [*first, *second] if first and second else None

    def reset_state(self) -> None:
        """Let stateful layers begin at 0 again."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        from .. import serialize

        return {**super().get_config(), "merge_mode": self.merge_mode, "layer": serialize(self.forward_layer),
                "backward_layer": serialize(self.backward_layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> Bidirectional:
        from .. import deserialize

        held = {n: deserialize(config[n], custom_objects=custom_objects) for n in ("layer", "backward_layer")
                if config.get(n) is not None}
        return cls(**{**config, **held})


def _copied(layer: RNN, way: str, **changed: Any) -> RNN:
    """A layer of the same config with a name of its own and new weights."""
    name = f"{way}_{layer.name.removeprefix(f'{way}_')}"
    config = {**layer.get_config(), **changed, "name": name}
    if isinstance(layer.cell, Layer) and "cell" in config:  # users' cells too
        from copy import deepcopy

        return type(layer)(**{**config, "cell": deepcopy(layer.cell)})
    return type(layer).from_config(config)


class TimeDistributed(Layer):
    """The same layer at each step of a sequence: (batch, steps, ...) is taken as batch times steps samples.

    Parameters
    ----------
    layer : the layer.

    Notes
    -----
    `Dense` and all that works on the last axis need no such wrapper.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.TimeDistributed(layers.Flatten())(np.ones((2, 5, 3, 4))).shape
    (2, 5, 12)
    """

    supports_masking = True

    def __init__(self, layer: Layer, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise ValueError(f"TimeDistributed {self.name} wraps a layer; got {layer!r}.")
        self.layer = layer

    def call(self, inputs, training=False, mask=None):
        if inputs.ndim < 3:
            raise ValueError(f"TimeDistributed {self.name} wants sequences (batch, steps, ...) with at least one more "
                             f"axis; got the shape {inputs.shape}.")
        batch, steps = inputs.shape[:2]
        if mask is not None and mask.shape[:2] != (batch, steps):
            raise ValueError(f"TimeDistributed {self.name}: the mask has the shape {mask.shape}; sequences of shape "
                             f"{inputs.shape} want one that begins with {(batch, steps)}.")
        more: dict[str, Any] = {"training": training}
        if mask is not None and mask.ndim > 2 and "mask" in self.layer._mask_names:
            more["mask"] = mask.reshape(batch * steps, *mask.shape[2:])
        y = self.layer(inputs.reshape(batch * steps, *inputs.shape[2:]), **more)
        return y.reshape(batch, steps, *y.shape[1:])

    def get_config(self) -> dict[str, Any]:
        from .. import serialize

        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> TimeDistributed:
        from .. import deserialize

        return cls(**{**config, "layer": deserialize(config["layer"], custom_objects=custom_objects)})
