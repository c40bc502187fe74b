"""Attention with several heads, each with projections of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .attention_base import HeadWeights
from .embedding import positive


class Heads(HeadWeights):
    """Base: queries of some heads on keys and values of as many or fewer, and an output projection."""

    stepwise = True
    heads = groups = key_width = value_width = 0

    def _output_shape(self, query_shape) -> tuple[int, ...]:
        return (query_shape[-1],)

    def build(self, query_shape, value_shape=None, key_shape=None) -> None:
        value_shape = query_shape if value_shape is None else value_shape
        key_shape = value_shape if key_shape is None else key_shape
        if any(len(s) != 3 for s in (query_shape, value_shape, key_shape)):
            raise ValueError(f"{type(self).__name__} {self.name} wants sequences (batch, steps, features); got query "
                             f"{query_shape}, value {value_shape} and key {key_shape}.")
        out = self._output_shape(query_shape)
        for name, width, heads, dim in (("query", query_shape[-1], self.heads, self.key_width),
                                        ("key", key_shape[-1], self.groups, self.key_width),
                                        ("value", value_shape[-1], self.groups, self.value_width)):
            self._add_projection(name, (width, heads, dim), (heads, dim))
        self._add_projection("output", (self.heads, self.value_width, *out), out)

    def _emit(self, args: tuple, kwargs: dict[str, Any]):
        self._given = kwargs
        return super()._emit(args, kwargs)

    def _ensure_built(self, args: tuple) -> None:
        if self.built:
            return
        given = dict(zip(("query", "value", "key"), args[0] if isinstance(args[0], list | tuple) else args))
        given = {**self._given, **given}
        shapes = [(None, *given[n].shape[1:]) for n in ("query", "value", "key") if given.get(n) is not None]
        with self._unbuilt_on_error():
            self.build(*shapes)
        self._build_shape = shapes
        self.built = True

    def call(self, query, value=None, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
             return_attention_scores=False, training=False, use_causal_mask=False):
        if isinstance(query, list | tuple) and value is None:  # as a list, when it is built for shapes alone
            query, value, key = (*query, None, None)[:3]
        if value is None:
            raise ValueError(f"{type(self).__name__} {self.name} wants a query and a value, which may be the same.")
        if key is None:
            key, key_mask = value, None
        self._sequences(query=query, value=value, key=key)
        shape = (query.shape[0], self.heads, query.shape[1], value.shape[1])
        query_mask, mask = self._masks(shape, query_mask, value_mask, key_mask, attention_mask)
        q, k, v = self._project("query", query), self._project("key", key), self._project("value", value)
        y, scores = self._attend(q, k, v, mask, self.key_width**-0.5, use_causal_mask, training,
                                 return_attention_scores)
        if query_mask is not None:
            y = y * query_mask.reshape(*query_mask.shape, 1, 1)
        y = self._project("output", y, axes=2)
        return (y, scores) if return_attention_scores else y

    def compute_mask(self, inputs, previous_mask=None):
        """That of the query."""
        return previous_mask


class MultiHeadAttention(Heads):
    """Attention in several heads: ``concat_h(softmax(q_h @ k_h.T / sqrt(key_dim)) @ v_h) @ W + b``.

    q_h, k_h and v_h are projections of query, key and value, one set for each head. No matrix of scores is stored
    unless it is asked for: memory is linear in the sequences' lengths, in training too.

    Parameters
    ----------
    num_heads : how many heads.
    key_dim, value_dim : width of a head's queries and keys, and of its values (key_dim by default).
    dropout : share of attention weights that is dropped in training.
    use_bias : whether the projections have biases.
    output_shape : width of the output, that of the query by default; or several sizes.
    attention_axes : the steps, axis 1, are the only ones that can be attended over.
    kernel_initializer, bias_initializer, kernel_regularizer ... : of all four projections.
    seed : int, or None to take the next of the package's seeds.

    Notes
    -----
    Called as ``layer(query, value, key=None, query_mask=None, value_mask=None, key_mask=None, attention_mask=None,
    return_attention_scores=False, training=None, use_causal_mask=False)`` with query (B, T, features), key and value
    (B, S, features), masks of steps (B, T) and (B, S), and a mask of pairs (T, S), (B, T, S) or (B, heads, T, S) that
    is 1 where a query may see a key. A query that may see none, or is masked itself, gives zeros before the output
    projection (in Keras the mean of all values). Weights are laid out as in Keras and move between the two.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762, section 3.2.2. Without a matrix of scores: Dao
    et al. (2022), FlashAttention, arXiv:2205.14135.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.MultiHeadAttention(num_heads=2, key_dim=8)
    >>> x = np.ones((4, 10, 16))
    >>> layer(x, x, use_causal_mask=True).shape
    (4, 10, 16)
    >>> layer(x, np.ones((4, 3, 5)), return_attention_scores=True)[1].shape
    Traceback (most recent call last):
    ValueError: MultiHeadAttention multi_head_attention was built for a key of width 16; got the shape (4, 3, 5).
    """

    def __init__(self, num_heads: int, key_dim: int, value_dim: int | None = None, dropout: float = 0.0,
                 use_bias: bool = True, output_shape=None, attention_axes=None, flash_attention=None, seed=None,
                 **kwargs: Any):
        super().__init__(dropout=dropout, use_bias=use_bias, seed=seed, **kwargs)
        self.num_heads, self.key_dim = positive(self, "num_heads", num_heads), positive(self, "key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive(self, "value_dim", value_dim)
        self.heads = self.groups = self.num_heads
        self.key_width, self.value_width = self.key_dim, self.value_dim
        sizes = [output_shape] if isinstance(output_shape, int | np.integer) else output_shape
        self.output_sizes = None if sizes is None else tuple(positive(self, "output_shape", n) for n in sizes)
        axes = [attention_axes] if isinstance(attention_axes, int) else attention_axes
        if axes is not None and list(axes) != [1]:
            raise ValueError(f"MultiHeadAttention {self.name}: attention_axes is {attention_axes!r}; only axis 1, the "
                             "steps of (batch, steps, features), can be attended over.")

    def _output_shape(self, query_shape) -> tuple[int, ...]:
        return (query_shape[-1],) if self.output_sizes is None else self.output_sizes

    def get_config(self) -> dict[str, Any]:
        sizes = None if self.output_sizes is None else list(self.output_sizes)
        return {**super().get_config(), "num_heads": self.num_heads, "key_dim": self.key_dim,
                "value_dim": self.value_dim, "output_shape": sizes}


class GroupQueryAttention(Heads):
    """Attention whose heads of queries share heads of keys and values in groups: a smaller key/value cache.

    Parameters
    ----------
    head_dim : width of a head.
    num_query_heads, num_key_value_heads : how many heads; the first is a multiple of the second.
    dropout, use_bias, kernel_initializer ... seed : as of `MultiHeadAttention`, which also says how it is called.

    References
    ----------
    Ainslie et al. (2023), GQA: Training generalized multi-query transformer models, arXiv:2305.13245.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.GroupQueryAttention(head_dim=8, num_query_heads=4, num_key_value_heads=2)
    >>> x = np.ones((2, 5, 16))
    >>> layer(x, x).shape, layer.key_kernel.shape
    ((2, 5, 16), (16, 2, 8))
    """

    def __init__(self, head_dim: int, num_query_heads: int, num_key_value_heads: int, dropout: float = 0.0,
                 use_bias: bool = True, flash_attention=None, seed=None, **kwargs: Any):
        super().__init__(dropout=dropout, use_bias=use_bias, seed=seed, **kwargs)
        self.head_dim = positive(self, "head_dim", head_dim)
        self.num_query_heads = positive(self, "num_query_heads", num_query_heads)
        self.num_key_value_heads = positive(self, "num_key_value_heads", num_key_value_heads)
        if self.num_query_heads % self.num_key_value_heads:
            raise ValueError(f"GroupQueryAttention {self.name}: {num_query_heads} heads of queries can't share "
                             f"{num_key_value_heads} heads of keys and values evenly.")
        self.heads, self.groups = self.num_query_heads, self.num_key_value_heads
        self.key_width = self.value_width = self.head_dim

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "head_dim": self.head_dim, "num_query_heads": self.num_query_heads,
                "num_key_value_heads": self.num_key_value_heads}
