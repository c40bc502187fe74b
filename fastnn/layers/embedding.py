"""Embedding: a vector for each token."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks, constraints, initializers, regularizers
from ..kernels.data import gather_rows
from ..kernels.embedding import MOST, embedding, whole_numbers
from .layer import Layer


def positive(layer: Layer, name: str, value) -> int:
    """A whole number of 1 or more, or ValueError in a sentence."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{type(layer).__name__} {layer.name}: {name} is {value!r}; a positive whole number is "
                         "wanted.")
    return int(value)


def as_tokens(layer: Layer, x, rows: int):
    """x as int32 tokens, remembered in its program: data is refused that holds others than 0..rows-1."""
    made = x.base.call
    name = next((n for n, t in x.graph.feeds.items() if t.base is x.base), None)
    if made is not None and made.kernel is gather_rows and made.attrs["scale"] == 1 and made.attrs["offset"] == 0:
        name = made["source"].name
    if name is not None:
        x.graph.places.setdefault(name, []).append((f"{type(layer).__name__} {layer.name}", rows))
    return x if x.dtype == np.int32 else whole_numbers(x)


class Embedding(Layer):
    """A vector for each token: row ``t`` of a table that is learned, for each whole number t.

    Parameters
    ----------
    input_dim : rows of the table: tokens are 0 to input_dim - 1.
    output_dim : width of a row.
    embeddings_initializer, embeddings_regularizer, embeddings_constraint : of the table.
    mask_zero : whether token 0 is padding; the layers behind leave those steps out.
    weights : the table's values in the beginning, an array (input_dim, output_dim) or a list of it.
    sparse : update the rows alone whose tokens are in the batch, as PyTorch's argument of this name says: with plain
        `SGD` and `Adagrad` the same to the bit, with `Adam` (without clipping) its lazy form, PyTorch's SparseAdam.
        Other optimizers, momentum and weight decay refuse it.

    Notes
    -----
    Input (batch, ...) of whole numbers, output (batch, ..., output_dim). Tokens beyond the table are refused where
    data comes in; those that come about inside a program give rows of NaN. The gradient is a table of its own, summed
    in the order of the tokens: the same bits for any number of threads. Optimizers update all rows, as PyTorch's and
    Keras's do unless told otherwise; plain `SGD` and `Adagrad`, for which it is the same, leave out those without
    tokens where the table has more rows than the batch has tokens.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layer = layers.Embedding(3, 2, weights=np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
    >>> layer(np.array([[1, 2]]))
    array([[[1., 2.],
            [3., 4.]]], dtype=float32)
    """

    stepwise = True
    takes_integers = True

    def __init__(self, input_dim: int, output_dim: int, embeddings_initializer="uniform", embeddings_regularizer=None,
                 embeddings_constraint=None, mask_zero: bool = False, weights=None,
                 sparse: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.sparse = checks.flag(f"Embedding {self.name}", "sparse", sparse)
        self.input_dim, self.output_dim = (positive(self, n, v) for n, v in (("input_dim", input_dim),
                                                                            ("output_dim", output_dim)))
        if self.input_dim > MOST:
            raise ValueError(f"Embedding {self.name}: input_dim is {input_dim}; at most {MOST} rows can be told apart.")
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        if self.sparse and self.embeddings_regularizer is not None:
            raise ValueError(f"Embedding {self.name}: a penalty moves all rows of the table, so embeddings_regularizer "
                             "and sparse=True don't go together.")
        self.mask_zero = self.supports_masking = bool(mask_zero)
        self.embeddings = None
        if isinstance(weights, list | tuple) and len(weights) == 1 and np.ndim(weights[0]) == 2:
            weights = weights[0]
        self._start = None if weights is None else np.asarray(weights)
        if self._start is not None and self._start.shape != (self.input_dim, self.output_dim):
            raise ValueError(f"Embedding {self.name}: weights have the shape {self._start.shape}; "
                             f"({self.input_dim}, {self.output_dim}) is wanted.")

    def build(self, input_shape) -> None:
        self.embeddings = self.add_weight((self.input_dim, self.output_dim), self.embeddings_initializer,
                                          name="embeddings", regularizer=self.embeddings_regularizer,
                                          constraint=self.embeddings_constraint)
        self.embeddings.sparse = self.sparse
        if self._start is not None:
            self.embeddings.assign(self._start)

    def call(self, x):
        return embedding(as_tokens(self, x, self.input_dim), self.embeddings)

    def compute_mask(self, inputs, previous_mask=None):
        """1 where the token is not 0, if `mask_zero`."""
        if not self.mask_zero:
            return None
        kept = np.ones((self.input_dim, 1), self.dtype)
        kept[0] = 0
        return embedding(as_tokens(self, inputs, self.input_dim), kept).reshape(inputs.shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "input_dim": self.input_dim, "output_dim": self.output_dim,
                "embeddings_initializer": initializers.serialize(self.embeddings_initializer),
                "embeddings_regularizer": regularizers.serialize(self.embeddings_regularizer),
                "embeddings_constraint": constraints.serialize(self.embeddings_constraint),
                "mask_zero": self.mask_zero, **({"sparse": True} if self.sparse else {})}
