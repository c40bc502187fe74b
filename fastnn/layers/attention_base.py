"""What the attention layers share: heads, masks, and the product of scores and values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import constraints, initializers, ops, regularizers
from ..kernels.attention import attention
from ..kernels.dense import dense
from ..kernels.dropout import dropout
from ..seeds import from_config, key_pair, seed_sequence, to_config
from .layer import Layer
from .past import without_past

LOWEST = -3e38  #: the score of what is not seen, on the path that makes a matrix of scores


class Attending(Layer):
    """Base of layers with attention: dropout of the weights, and scores on demand.

    Weights are dropped with numbers made by Philox from the layer's seed, the step and the weight's place, as
    `Dropout` does.
    """

    def __init__(self, dropout: float = 0.0, seed=None, **kwargs: Any):
        super().__init__(**kwargs)
        if not isinstance(dropout, int | float | np.number) or isinstance(dropout, bool) or not 0 <= dropout < 1:
            raise ValueError(f"{type(self).__name__} {self.name}: dropout is {dropout!r}; a number in [0, 1) is "
                             "wanted.")
        self.dropout = float(dropout)
        self.seed = seed_sequence(from_config(seed))
        self.keys = key_pair(self.seed)

    def _noise(self, x, training) -> dict[str, Any]:
        """What `dropout` and `attention` take in training; nothing where no weight is dropped."""
        if not self.dropout or not (training or x.graph.sampling):
            return {}
        return {"rate": self.dropout, "key0": self.keys[0], "key1": self.keys[1]}

    def _attend(self, q, k, v, mask, scale: float, causal: bool, training, scores: bool = False):
        """Attention of q[B,T,H,D] on k[B,S,G,D], v[B,S,G,E], and the weights [B,H,T,S] if `scores`, else None.

        Without scores memory is linear in the lengths; with them the whole matrix is made.
        """
        noise = self._noise(q, training)
        if q.graph.past is not None and not scores:
            return q.graph.past.attend(self, q, k, v, mask, scale, causal), None
        if not scores:
            step = q.graph.step() if noise else None
            return attention(q, k, v, mask, step, scale=scale, causal=int(causal), **noise)[0], None
        heads, groups = q.shape[2], k.shape[2]
        q, k, v = (ops.transpose(x, (0, 2, 1, 3)) for x in (q, k, v))
        if heads != groups:
            k, v = (shared(x, heads // groups) for x in (k, v))
        weights = self._softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * scale, mask, causal)
        y = ops.matmul(self._dropped(weights, noise), v)
        return ops.transpose(y, (0, 2, 1, 3)), weights

    def _softmax(self, z, mask, causal: bool):
        """Weights of scores z[..., T, S]; rows that see nothing are 0."""
        without_past(z.graph, self)
        seen = causal_mask(z) if causal else None
        seen = both(seen, mask)
        if seen is None:
            return ops.softmax(z, axis=-1)
        return ops.multiply(ops.softmax(ops.where(seen, z, LOWEST), axis=-1), seen)

    def _dropped(self, weights, noise):
        return dropout(weights, weights.graph.step(), **noise) if noise else weights

    def _whole_mask(self, mask, shape: tuple[int, int, int, int], what: str = "attention_mask"):
        """A mask of [T,S], [B,T,S] or [B,H,T,S] (1 for any of B, H and T) as one of four axes."""
        if mask is None:
            return None
        given = tuple(mask.shape)
        if mask.ndim == 2:
            mask = mask.reshape(1, 1, *given)
        elif mask.ndim == 3:
            mask = mask.reshape(given[0], 1, *given[1:])
        if mask.ndim != 4 or mask.shape[3] != shape[3] or any(m not in (1, n) for m, n in zip(mask.shape, shape)):
            b, h, t, s = shape
            raise ValueError(f"{type(self).__name__} {self.name}: {what} has the shape {given}; ({t}, {s}), ({b}, {t}, "
                             f"{s}) or ({b}, {h}, {t}, {s}) is wanted.")
        return mask

    def _side_mask(self, mask, rows: int, length: int, what: str):
        """A mask of steps, checked: [B, length]."""
        if mask is not None and tuple(mask.shape) != (rows, length):
            raise ValueError(f"{type(self).__name__} {self.name}: {what} has the shape {tuple(mask.shape)}; "
                             f"({rows}, {length}) is wanted.")
        return mask

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dropout": self.dropout, "seed": to_config(self.seed)}


def shared(x, times: int):
    """[B,G,S,E] with each head so many times: [B, G * times, S, E]."""
    b, g, s, e = x.shape
    spread = ops.multiply(x.reshape(b, g, 1, s, e), np.ones((1, 1, times, 1, 1), x.dtype))
    return spread.reshape(b, g * times, s, e)


def causal_mask(z):
    """Ones where query t may see key s <= t, a constant [1, ..., T, S] for scores z[..., T, S]."""
    queries, keys = z.shape[-2:]
    seen = np.arange(keys) <= np.arange(queries)[:, None]
    return z.graph.constant(seen.astype(z.dtype).reshape((1,) * (z.ndim - 2) + seen.shape))


def both(a, b):
    """Where both masks are not 0; either may be None."""
    return b if a is None else a if b is None else ops.multiply(a, b)


class HeadWeights(Attending):
    """Base of layers with kernels of heads, laid out as Keras's EinsumDense has them.

    Kernels are (features, heads, dim) with biases (heads, dim), and (heads, dim, features) with biases (features) for
    the output.
    """

    def __init__(self, use_bias: bool = True, kernel_initializer="glorot_uniform", bias_initializer="zeros",
                 kernel_regularizer=None, bias_regularizer=None, kernel_constraint=None, bias_constraint=None,
                 **kwargs: Any):
        super().__init__(**kwargs)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer, self.bias_regularizer = map(regularizers.get, (kernel_regularizer, bias_regularizer))
        self.kernel_constraint, self.bias_constraint = map(constraints.get, (kernel_constraint, bias_constraint))

    def _add_projection(self, name: str, shape: tuple[int, ...], biases: tuple[int, ...]) -> None:
        kernel = self.add_weight(shape, self.kernel_initializer, name=f"{name}_kernel",
                                 regularizer=self.kernel_regularizer, constraint=self.kernel_constraint)
        bias = self.add_weight(biases, self.bias_initializer, name=f"{name}_bias", regularizer=self.bias_regularizer,
                               constraint=self.bias_constraint) if self.use_bias else None
        setattr(self, f"{name}_kernel", kernel), setattr(self, f"{name}_bias", bias)

    def _project(self, name: str, x, axes: int = 1):
        """x times a kernel over the last `axes` axes of x."""
        kernel, bias = getattr(self, f"{name}_kernel"), getattr(self, f"{name}_bias")
        if x.shape[-axes:] != kernel.shape[:axes]:
            raise ValueError(f"{type(self).__name__} {self.name} was built for a {name} of width "
                             f"{kernel.shape[0]}; got the shape {x.shape}.")
        inner, outer = math.prod(kernel.shape[:axes]), kernel.shape[axes:]
        w = x.graph.tensor(kernel).reshape(inner, math.prod(outer))
        b = None if bias is None else x.graph.tensor(bias).reshape(math.prod(outer))
        return dense(x.reshape(-1, inner), w, b).reshape(*x.shape[:-axes], *outer)

    def _sequences(self, **inputs) -> None:
        """Refuse what is not (batch, steps, features), or of different batches."""
        shapes = {n: tuple(x.shape) for n, x in inputs.items()}
        if any(len(s) != 3 for s in shapes.values()) or len({s[0] for s in shapes.values()}) > 1:
            raise ValueError(f"{type(self).__name__} {self.name} wants sequences (batch, steps, features) of one "
                             f"batch; got {', '.join(f'{n} {s}' for n, s in shapes.items())}.")
        if inputs["key"].shape[1] != inputs["value"].shape[1]:
            raise ValueError(f"{type(self).__name__} {self.name} wants as many keys as values; got key "
                             f"{shapes['key']} and value {shapes['value']}.")

    def _masks(self, shape, query_mask, value_mask, key_mask, attention_mask):
        """(the mask of queries [B,T], what the kernel takes): padding masks stay [B,1,1,S]."""
        b, _, t, s = shape
        query_mask = self._side_mask(query_mask, b, t, "query_mask")
        side = both(self._side_mask(value_mask, b, s, "value_mask"), self._side_mask(key_mask, b, s, "key_mask"))
        side = None if side is None else side.reshape(b, 1, 1, s)
        return query_mask, both(side, self._whole_mask(attention_mask, shape))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "use_bias": self.use_bias,
                "kernel_initializer": initializers.serialize(self.kernel_initializer),
                "bias_initializer": initializers.serialize(self.bias_initializer),
                "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
                "bias_regularizer": regularizers.serialize(self.bias_regularizer),
                "kernel_constraint": constraints.serialize(self.kernel_constraint),
                "bias_constraint": constraints.serialize(self.bias_constraint)}
