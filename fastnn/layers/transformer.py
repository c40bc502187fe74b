"""Blocks of transformers: attention and two dense layers, each with a residual addition and a normalisation."""

from __future__ import annotations

from typing import Any

from .. import activations, initializers, ops
from .core import Dense
from .embedding import positive
from .layer import Layer
from .multi_head_attention import MultiHeadAttention
from .regularization import Dropout
from .row_normalization import LayerNormalization


class _Block(Layer):
    """Base: arguments of both blocks, and the half that they share."""

    supports_masking = True

    def __init__(self, intermediate_dim: int, num_heads: int, dropout: float = 0.0, activation="relu",
                 layer_norm_epsilon: float = 1e-5, kernel_initializer="glorot_uniform", bias_initializer="zeros",
                 normalize_first: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.intermediate_dim = positive(self, "intermediate_dim", intermediate_dim)
        self.num_heads = positive(self, "num_heads", num_heads)
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.normalize_first, self.layer_norm_epsilon = bool(normalize_first), float(layer_norm_epsilon)
        self.dropout = Dropout(dropout).rate  # checked as the layer's own

    def _start(self) -> dict[str, Any]:
        return {"kernel_initializer": self.kernel_initializer, "bias_initializer": self.bias_initializer,
                "dtype": self.dtype}

    def _add_attention(self, name: str, width: int, shape, value_shape) -> None:
        if width % self.num_heads:
            raise ValueError(f"{type(self).__name__} {self.name}: {self.num_heads} heads can't share {width} features "
                             "evenly.")
        attention = MultiHeadAttention(self.num_heads, width // self.num_heads, dropout=self.dropout, name=name,
                                       **self._start())
        setattr(self, name, attention)
        attention.build(shape, value_shape)
        attention._build_shape, attention.built = [shape, value_shape], True

    def _add_norm(self, name: str, shape) -> None:
        setattr(self, name, LayerNormalization(epsilon=self.layer_norm_epsilon, name=name, dtype=self.dtype))
        getattr(self, name)._build(shape)

    def _add_dropout(self, name: str) -> None:
        setattr(self, name, Dropout(self.dropout, name=name, dtype=self.dtype))

    def _add_feedforward(self, shape) -> None:
        inner = (*shape[:-1], self.intermediate_dim)
        for name, units, activation, before in (("feedforward_intermediate", self.intermediate_dim, self.activation,
                                                 shape), ("feedforward_output", shape[-1], None, inner)):
            setattr(self, name, Dense(units, activation, name=name, **self._start()))
            getattr(self, name)._build(before)
        self._add_norm("feedforward_layer_norm", shape)
        self._add_dropout("feedforward_dropout")

    def _residual(self, x, norm, fn):
        """x + fn(x), normalised before fn or after the sum."""
        if self.normalize_first:
            return ops.add(x, fn(norm(x)))
        return norm(ops.add(x, fn(x)))

    def _feedforward(self, x, training):
        return self._residual(x, self.feedforward_layer_norm, lambda h: self.feedforward_dropout(
            self.feedforward_output(self.feedforward_intermediate(h)), training=training))

    def _check(self, x, what: str = "inputs") -> None:
        if x.ndim != 3:
            raise ValueError(f"{type(self).__name__} {self.name} wants {what} (batch, steps, features); got the shape "
                             f"{tuple(x.shape)}.")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "intermediate_dim": self.intermediate_dim, "num_heads": self.num_heads,
                "dropout": self.dropout, "activation": activations.serialize(self.activation),
                "layer_norm_epsilon": self.layer_norm_epsilon,
                "kernel_initializer": initializers.serialize(self.kernel_initializer),
                "bias_initializer": initializers.serialize(self.bias_initializer),
                "normalize_first": self.normalize_first}


class TransformerEncoder(_Block):
    """An encoder block: self-attention and two dense layers, named as in KerasHub.

    Parameters
    ----------
    intermediate_dim : width between the two dense layers.
    num_heads : heads of the attention; they share the features evenly.
    dropout : of attention weights, and behind attention and dense layers.
    activation : between the dense layers.
    layer_norm_epsilon : of both normalisations.
    kernel_initializer, bias_initializer : of all projections and dense layers.
    normalize_first : normalise what goes into attention and dense layers (pre-norm) instead of each sum (post-norm).

    Notes
    -----
    Called as ``layer(inputs, padding_mask=None, attention_mask=None)`` with inputs (batch, steps, features), a padding
    mask (batch, steps) and a mask of pairs (batch, steps, steps), 1 where something may be seen. Pre-norm trains
    without warm-up, post-norm is the original: Xiong et al. (2020), On layer normalization in the transformer
    architecture, arXiv:2002.04745.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.TransformerEncoder(intermediate_dim=32, num_heads=2)(np.ones((2, 5, 16))).shape
    (2, 5, 16)
    """

    def build(self, input_shape) -> None:
        if len(input_shape) != 3:
            raise ValueError(f"TransformerEncoder {self.name} wants inputs (batch, steps, features); got the shape "
                             f"{input_shape}.")
        self._add_attention("self_attention", input_shape[-1], input_shape, input_shape)
        self._add_norm("self_attention_layer_norm", input_shape)
        self._add_dropout("self_attention_dropout")
        self._add_feedforward(input_shape)

    def call(self, inputs, padding_mask=None, attention_mask=None, training=False):
        self._check(inputs)
        x = self._residual(inputs, self.self_attention_layer_norm, lambda h: self.self_attention_dropout(
            self.self_attention(h, h, value_mask=padding_mask, attention_mask=attention_mask, training=training),
            training=training))
        return self._feedforward(x, training)


class TransformerDecoder(_Block):
    """A decoder block: causal self-attention, attention on an encoder's output if there is one, two dense layers.

    Parameters
    ----------
    intermediate_dim, num_heads, dropout, activation, layer_norm_epsilon, kernel_initializer, bias_initializer,
    normalize_first : as of `TransformerEncoder`.

    Notes
    -----
    Called as ``layer(decoder_sequence, encoder_sequence=None, decoder_padding_mask=None, decoder_attention_mask=None,
    encoder_padding_mask=None, encoder_attention_mask=None, use_causal_mask=True)``. Whether there is an encoder is
    settled by the first call.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.TransformerDecoder(intermediate_dim=32, num_heads=2, normalize_first=True)
    >>> layer(np.ones((2, 5, 16)), np.ones((2, 7, 12))).shape
    (2, 5, 16)
    """

    stepwise = True

    def build(self, input_shape, encoder_shape=None) -> None:
        if isinstance(input_shape, list):  # of both
            input_shape, encoder_shape = input_shape
        if len(input_shape) != 3 or encoder_shape is not None and len(encoder_shape) != 3:
            raise ValueError(f"TransformerDecoder {self.name} wants sequences (batch, steps, features); got the shapes "
                             f"{input_shape} and {encoder_shape}.")
        width = input_shape[-1]
        self._add_attention("self_attention", width, input_shape, input_shape)
        self._add_norm("self_attention_layer_norm", input_shape)
        self._add_dropout("self_attention_dropout")
        if encoder_shape is not None:
            self._add_attention("cross_attention", width, input_shape, encoder_shape)
            self._add_norm("cross_attention_layer_norm", input_shape)
            self._add_dropout("cross_attention_dropout")
        self._add_feedforward(input_shape)

    def _emit(self, args: tuple, kwargs: dict[str, Any]):
        self._given = kwargs
        return super()._emit(args, kwargs)

    def _ensure_built(self, args: tuple) -> None:
        if self.built:
            return
        both = args[0] if isinstance(args[0], list | tuple) else (args[0], *args[1:2])
        encoder = both[1] if len(both) > 1 else self._given.get("encoder_sequence")
        shapes = [(None, *x.shape[1:]) for x in (both[0], encoder) if x is not None]
        with self._unbuilt_on_error():
            self.build(*shapes)
        self._build_shape = shapes if len(shapes) > 1 else shapes[0]
        self.built = True

    def call(self, decoder_sequence, encoder_sequence=None, decoder_padding_mask=None, decoder_attention_mask=None,
             encoder_padding_mask=None, encoder_attention_mask=None, use_causal_mask=True, training=False):
        if isinstance(decoder_sequence, list | tuple):  # as a list, when it is built for shapes alone
            decoder_sequence, encoder_sequence = decoder_sequence
        self._check(decoder_sequence, "decoder_sequence")
        crossed = hasattr(self, "cross_attention")
        if crossed != (encoder_sequence is not None):
            raise ValueError(f"TransformerDecoder {self.name} was built {'with' if crossed else 'without'} an encoder; "
                             f"got {'none' if crossed else 'one'}.")
        x = self._residual(decoder_sequence, self.self_attention_layer_norm, lambda h: self.self_attention_dropout(
            self.self_attention(h, h, value_mask=decoder_padding_mask, attention_mask=decoder_attention_mask,
                                use_causal_mask=use_causal_mask, training=training), training=training))
        if crossed:
            x = self._residual(x, self.cross_attention_layer_norm, lambda h: self.cross_attention_dropout(
                self.cross_attention(h, encoder_sequence, value_mask=encoder_padding_mask,
                                     attention_mask=encoder_attention_mask, training=training), training=training))
        return self._feedforward(x, training)
