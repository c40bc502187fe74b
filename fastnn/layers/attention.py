"""Attention without projections: of queries on keys and values as they come."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..spelling import one_of
from .attention_base import Attending


class _Inputs(Attending):
    """Base: a list [query, value] or [query, value, key], and a list of masks for the first two."""

    def _unpack(self, inputs, mask):
        if not isinstance(inputs, list | tuple) or len(inputs) not in (2, 3):
            raise ValueError(f"{type(self).__name__} {self.name} takes a list [query, value] or [query, value, key].")
        query, value = inputs[:2]
        key = inputs[2] if len(inputs) == 3 else value
        shapes = f"query {tuple(query.shape)}, value {tuple(value.shape)} and key {tuple(key.shape)}"
        if any(x.ndim != 3 for x in (query, value, key)) or query.shape[0] != value.shape[0]:
            raise ValueError(f"{type(self).__name__} {self.name} wants sequences (batch, steps, features) of one "
                             f"batch; got {shapes}.")
        if key.shape[:2] != value.shape[:2] or key.shape[2] != query.shape[2]:
            raise ValueError(f"{type(self).__name__} {self.name} wants keys as wide as queries and as many as values; "
                             f"got {shapes}.")
        masks = [None, None] if mask is None else [*mask, None][:2] if isinstance(mask, list | tuple) else [None, mask]
        b, t, s = *query.shape[:2], key.shape[1]
        return (query, key, value, self._side_mask(masks[0], b, t, "the query's mask"),
                self._side_mask(masks[1], b, s, "the value's mask"))

    def _scores(self, query, key):
        """The scores [B,T,S] of queries and keys."""
        raise NotImplementedError(f"{type(self).__name__} must override _scores(self, query, key).")

    def _with_matrix(self, query, key, value, side, causal, training):
        """The result and the weights [B,T,S], by way of the matrix of scores."""
        side = None if side is None else side.reshape(side.shape[0], 1, side.shape[1])
        z = self._scores(query, key)
        weights = self._softmax(z, side, causal)
        return ops.matmul(self._dropped(weights, self._noise(query, training)), value), weights

    def call(self, inputs, mask=None, training=False, return_attention_scores=False, use_causal_mask=False):
        query, key, value, query_mask, side = self._unpack(inputs, mask)
        y, weights = self._result(query, key, value, side, use_causal_mask, training, return_attention_scores)
        if query_mask is not None:
            y = y * query_mask.reshape(*query_mask.shape, 1)
        return (y, weights) if return_attention_scores else y

    def _result(self, query, key, value, side, causal, training, scores):
        return self._with_matrix(query, key, value, side, causal, training)

    def compute_mask(self, inputs, previous_mask=None):
        """That of the query."""
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else None


class Attention(_Inputs):
    """Dot-product attention, Luong's: ``softmax(query @ key.T) @ value``.

    Parameters
    ----------
    use_scale : whether the scores are multiplied by a number that is learned.
    score_mode : "dot", or "concat" for ``sum(tanh(query + key))`` (scaled inside and weighed by a learned number).
    dropout : share of weights that is dropped in training.
    seed : int, or None to take the next of the package's seeds.

    Notes
    -----
    Called as ``layer([query, value, key], mask=[query_mask, value_mask], return_attention_scores=False,
    use_causal_mask=False)`` with query (B, T, D), value (B, S, E), key (B, S, D), the value by default, and masks
    (B, T) and (B, S). A query that sees nothing gives zeros.

    References
    ----------
    Luong, Pham & Manning (2015), Effective approaches to attention-based neural machine translation, arXiv:1508.04025.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> query, value = np.zeros((1, 1, 2)), np.array([[[1.0, 2.0], [3.0, 4.0]]])
    >>> layers.Attention()([query, value])
    array([[[2., 3.]]], dtype=float32)
    """

    def __init__(self, use_scale: bool = False, score_mode: str = "dot", dropout: float = 0.0, seed=None,
                 **kwargs: Any):
        super().__init__(dropout=dropout, seed=seed, **kwargs)
        self.use_scale, self.score_mode = bool(use_scale), one_of("score_mode", score_mode, ("dot", "concat"))
        self.scale = self.concat_score_weight = None

    @property
    def stepwise(self) -> bool:
        """Whether its scores are products, which need no matrix."""
        return self.score_mode == "dot"

    def build(self, input_shape) -> None:
        if self.use_scale:
            self.scale = self.add_weight((), "ones", name="scale")
        if self.score_mode == "concat":
            self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight")

    def _scores(self, query, key):
        if self.score_mode == "dot":
            z = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
            return z if self.scale is None else z * self.scale
        (b, t, d), s = query.shape, key.shape[1]
        z = query.reshape(b, t, 1, d) + key.reshape(b, 1, s, d)
        z = ops.tanh(z if self.scale is None else z * self.scale)
        return ops.sum(z, axis=-1) * self.concat_score_weight

    def _result(self, query, key, value, side, causal, training, scores):
        if scores or self.score_mode == "concat":
            return self._with_matrix(query, key, value, side, causal, training)
        (b, t, d), (s, e) = query.shape, value.shape[1:]
        query = query if self.scale is None else query * self.scale
        y, _ = self._attend(query.reshape(b, t, 1, d), key.reshape(b, s, 1, d), value.reshape(b, s, 1, e),
                            None if side is None else side.reshape(b, 1, 1, s), 1.0, causal, training)
        return y.reshape(b, t, e), None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale, "score_mode": self.score_mode}


class AdditiveAttention(_Inputs):
    """Additive attention, Bahdanau's: ``softmax(sum(scale * tanh(query + key), -1)) @ value``.

    Parameters
    ----------
    use_scale : whether scale, a vector as wide as a query, is learned; else it is 1.
    dropout : share of weights that is dropped in training.
    seed : int, or None to take the next of the package's seeds.

    Notes
    -----
    Called as `Attention` is. Every pair of a query and a key has a vector of its own, so memory grows with T S D.

    References
    ----------
    Bahdanau, Cho & Bengio (2015), Neural machine translation by jointly learning to align and translate,
    arXiv:1409.0473.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> query, value = np.zeros((1, 1, 2)), np.array([[[1.0, 2.0], [1.0, 2.0]]])
    >>> layers.AdditiveAttention()([query, value])
    array([[[1., 2.]]], dtype=float32)
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, seed=None, **kwargs: Any):
        super().__init__(dropout=dropout, seed=seed, **kwargs)
        self.use_scale, self.scale = bool(use_scale), None

    def build(self, input_shape) -> None:
        if self.use_scale and isinstance(input_shape, list):
            self.scale = self.add_weight((input_shape[0][-1],), "glorot_uniform", name="scale")

    def _scores(self, query, key):
        (b, t, d), s = query.shape, key.shape[1]
        z = ops.tanh(query.reshape(b, t, 1, d) + key.reshape(b, 1, s, d))
        if self.scale is None:
            return ops.sum(z, axis=-1)
        return ops.matmul(z.reshape(b * t * s, d), ops.reshape(self.scale, (d, 1))).reshape(b, t, s)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_scale": self.use_scale}
