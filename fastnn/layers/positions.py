"""Where in a sequence a step stands: learned, sinusoidal and rotary positions, named as in KerasHub."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import initializers, ops
from .embedding import Embedding, positive
from .layer import Layer
from .past import rows_for, steps_of


def _wavelength(layer: Layer, value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 1 < value < math.inf:
        raise ValueError(f"{type(layer).__name__} {layer.name}: max_wavelength is {value!r}; a number above 1 is "
                         "wanted.")
    return float(value)


def sinusoidal_positions(length: int, width: int, max_wavelength: float = 10000.0, start: int = 0) -> np.ndarray:
    """Sines (even columns) and cosines (odd ones) of positions, in waves from 2 pi to 2 pi max_wavelength long.

        table[t, 2 i] = sin(t / max_wavelength**(2 i / width));  table[t, 2 i + 1] = cos(the same)

    Vaswani et al. (2017), Attention is all you need, section 3.5.

    Examples
    --------
    >>> sinusoidal_positions(2, 2).round(4)
    array([[0.    , 1.    ],
           [0.8415, 0.5403]], dtype=float32)
    """
    column = np.arange(width)
    angle = np.arange(start, start + length)[:, None] / max_wavelength ** (column // 2 * 2 / width)
    return np.where(column % 2, np.cos(angle), np.sin(angle)).astype(np.float32)


class SinePositionEncoding(Layer):
    """The sines and cosines of `sinusoidal_positions` in the shape of the input, to be added to it.

    Parameters
    ----------
    max_wavelength : the longest wave has 2 pi times as many steps.

    Notes
    -----
    Called as ``layer(x, start_index=0)`` with x (batch, steps, features).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.SinePositionEncoding()(np.zeros((1, 2, 2))).round(4)[0]
    array([[0.    , 1.    ],
           [0.8415, 0.5403]], dtype=float32)
    """

    stepwise = True

    def __init__(self, max_wavelength: float = 10000, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_wavelength = _wavelength(self, max_wavelength)

    def call(self, x, start_index: int = 0):
        if x.ndim != 3:
            raise ValueError(f"SinePositionEncoding {self.name} wants (batch, steps, features); got the shape "
                             f"{x.shape}.")
        table = sinusoidal_positions(steps_of(x), x.shape[2], self.max_wavelength, start_index)
        return ops.add(ops.zeros_like(x), rows_for(x, x.graph.constant(table.astype(x.dtype))))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_wavelength": self.max_wavelength}


class PositionEmbedding(Layer):
    """A vector for each position, learned, in the shape of the input, to be added to it.

    Parameters
    ----------
    sequence_length : the most steps that a sequence may have.
    initializer : of the table (sequence_length, features).

    Notes
    -----
    Called as ``layer(x, start_index=0)`` with x (batch, steps, features).

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.PositionEmbedding(8, initializer="ones")(np.zeros((2, 3, 4))).shape
    (2, 3, 4)
    """

    stepwise = True

    def __init__(self, sequence_length: int, initializer="glorot_uniform", **kwargs: Any):
        super().__init__(**kwargs)
        self.sequence_length = positive(self, "sequence_length", sequence_length)
        self.initializer = initializers.get(initializer)
        self.position_embeddings = None

    def build(self, input_shape) -> None:
        self.position_embeddings = self.add_weight((self.sequence_length, input_shape[-1]), self.initializer,
                                                   name="embeddings")

    def rows(self, x, start_index: int = 0):
        """The rows for the steps of x, (steps, features)."""
        steps = steps_of(x)
        if x.ndim != 3 or start_index + steps > self.sequence_length:
            raise ValueError(f"PositionEmbedding {self.name} wants (batch, steps, features) of at most "
                             f"{self.sequence_length} steps; got the shape {x.shape}, from step {start_index} on.")
        table = x.graph.tensor(self.position_embeddings)
        return rows_for(x, table if steps == self.sequence_length else table[start_index : start_index + steps])

    def call(self, x, start_index: int = 0):
        return ops.add(ops.zeros_like(x), self.rows(x, start_index))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sequence_length": self.sequence_length,
                "initializer": initializers.serialize(self.initializer)}


class TokenAndPositionEmbedding(Layer):
    """The sum of an `Embedding` of tokens and a `PositionEmbedding` of their places.

    Parameters
    ----------
    vocabulary_size, sequence_length, embedding_dim : rows of both tables, and their width.
    embeddings_initializer : of both.
    mask_zero : as of `Embedding`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.TokenAndPositionEmbedding(10, 4, 8)(np.array([[1, 2, 3]])).shape
    (1, 3, 8)
    """

    stepwise = True
    takes_integers = True

    def __init__(self, vocabulary_size: int, sequence_length: int, embedding_dim: int,
                 embeddings_initializer="uniform", mask_zero: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.token_embedding = Embedding(vocabulary_size, embedding_dim, embeddings_initializer, mask_zero=mask_zero,
                                         name="token_embedding", dtype=self.dtype)
        self.position_embedding = PositionEmbedding(sequence_length, embeddings_initializer, name="position_embedding",
                                                    dtype=self.dtype)
        self.supports_masking = bool(mask_zero)

    def build(self, input_shape) -> None:
        self.token_embedding._build(input_shape)
        self.position_embedding._build((*input_shape, self.token_embedding.output_dim))

    def call(self, x, start_index: int = 0):
        y = self.token_embedding(x)
        return ops.add(y, self.position_embedding.rows(y, start_index))

    def compute_mask(self, inputs, previous_mask=None):
        """That of the tokens."""
        return self.token_embedding.compute_mask(inputs)

    def get_config(self) -> dict[str, Any]:
        token, place = self.token_embedding, self.position_embedding
        return {**super().get_config(), "vocabulary_size": token.input_dim, "sequence_length": place.sequence_length,
                "embedding_dim": token.output_dim, "mask_zero": token.mask_zero,
                "embeddings_initializer": initializers.serialize(token.embeddings_initializer)}


class RotaryEmbedding(Layer):
    """Turns pairs of features by an angle that grows with the position: products of two turned vectors depend on how
    far apart they stand.

        a, b = the two halves of the features;  y = [a cos - b sin, a sin + b cos],
        angle[t, i] = t / max_wavelength**(2 i / width)

    Parameters
    ----------
    max_wavelength : the longest wave has 2 pi times as many steps.
    scaling_factor : positions are divided by it, for sequences longer than those that were trained on.

    Notes
    -----
    Called as ``layer(x, start_index=0)`` with x (batch, steps, ..., width), width even: queries or keys by heads.
    Features i and i + width / 2 are a pair, as in KerasHub (in the paper 2 i and 2 i + 1: other columns, same idea).

    References
    ----------
    Su et al. (2021), RoFormer: enhanced transformer with rotary position embedding, arXiv:2104.09864.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import layers
    >>> layers.RotaryEmbedding()(np.array([[[1.0, 0.0], [1.0, 0.0]]])).round(4)[0]
    array([[1.    , 0.    ],
           [0.5403, 0.8415]], dtype=float32)
    """

    stepwise = True

    def __init__(self, max_wavelength: float = 10000, scaling_factor: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.max_wavelength = _wavelength(self, max_wavelength)
        if isinstance(scaling_factor, bool) or not isinstance(scaling_factor, int | float) or not scaling_factor > 0:
            raise ValueError(f"RotaryEmbedding {self.name}: scaling_factor is {scaling_factor!r}; a positive number is "
                             "wanted.")
        self.scaling_factor = float(scaling_factor)

    def call(self, x, start_index: int = 0):
        width = x.shape[-1]
        if x.ndim < 3 or width % 2:
            raise ValueError(f"RotaryEmbedding {self.name} wants (batch, steps, ..., features) with an even number of "
                             f"features; got the shape {x.shape}.")
        place = np.arange(start_index, start_index + steps_of(x)) / self.scaling_factor
        angle = place[:, None] / self.max_wavelength ** (np.arange(0, width, 2) / width)
        shape = (x.shape[1], *[1] * (x.ndim - 3), width // 2)
        cos, sin = (rows_for(x, x.graph.constant(f(angle).astype(x.dtype))).reshape(shape) for f in (np.cos, np.sin))
        a, b = x[..., : width // 2], x[..., width // 2 :]
        return ops.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_wavelength": self.max_wavelength, "scaling_factor": self.scaling_factor}
