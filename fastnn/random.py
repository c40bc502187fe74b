"""Random arrays, as in ``keras.random``: inside a program new ones in each step, else NumPy arrays at once.

A program's numbers come from Philox4x32-10 (see `fastnn.kernels.dropout`): they follow from a key, the step and the
place alone, so threads, backends and resuming don't change them. The key of a function that was given no seed follows
from the seed of its program (or model) and from its place among such functions there.

Examples
--------
>>> import numpy as np, fastnn
>>> @fastnn.program
... def noisy(x):
...     return x + fastnn.random.normal(fastnn.ops.shape(x), stddev=0.1)
>>> first, second = noisy(np.zeros(3)), noisy(np.zeros(3))
>>> first.shape, bool((first != second).all())
((3,), True)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import ops
from .kernels.dropout import dropout as _dropout
from .kernels.dropout import random_normal, random_uniform
from .program.graph import Graph, Tensor, current_graph
from .seeds import child, from_config, key_pair, next_seed, seed_sequence, to_config

__all__ = ["SeedGenerator", "categorical", "dropout", "normal", "randint", "shuffle", "truncated_normal", "uniform"]


class SeedGenerator:
    """A source of seeds to be handed to several functions: each call that it is given to draws other numbers.

    Parameters
    ----------
    seed : int, or None to take the next of the package's seeds.

    Examples
    --------
    >>> seeds = SeedGenerator(1)
    >>> bool((normal((3,), seed=seeds) == normal((3,), seed=seeds)).any())
    False
    """

    def __init__(self, seed=None, name: str | None = None):
        self.seed, self.name, self._count = seed_sequence(from_config(seed)), name or "seed_generator", 0

    def next(self) -> np.random.SeedSequence:
        """The next seed."""
        self._count += 1
        return child(self.seed, self._count)

    def get_config(self) -> dict[str, Any]:
        return {"seed": to_config(self.seed), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        return cls(**config)


def normal(shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed=None):
    """Normally distributed numbers of this shape.

    Parameters
    ----------
    seed : int, `SeedGenerator`, or None. In a program the same seed still gives other numbers in each step.
    """
    return _draw(random_normal, shape, dtype, seed, mean=float(mean), stddev=float(stddev))


def uniform(shape, minval: float = 0.0, maxval: float = 1.0, dtype: str | None = None, seed=None):
    """Numbers from [minval, maxval), each as likely as any other.

    Parameters
    ----------
    seed : int, `SeedGenerator`, or None. In a program the same seed still gives other numbers in each step.
    """
    return _draw(random_uniform, shape, dtype, seed, low=float(minval), high=float(maxval))


def truncated_normal(shape, mean: float = 0.0, stddev: float = 1.0, dtype: str | None = None, seed=None):
    """Normally distributed numbers, without those more than two deviations from the mean.

    By the inverse of the distribution function: a uniform number u goes to ``sqrt(2) erfinv(u)``, by the approximation
    of Giles (2012), Approximating the erfinv function, for single precision, central branch.
    """
    edge = 0.9544997361036416  # erf(sqrt(2)), two deviations
    u = uniform(shape, -edge, edge, dtype, seed)
    w = ops.negative(ops.log((1.0 - u) * (1.0 + u))) - 2.5
    p = 2.81022636e-08
    for c in (3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
              0.246640727, 1.50140941):
        p = p * w + c
    return p * u * (stddev * math.sqrt(2)) + mean


def randint(shape, minval: int, maxval: int, dtype: str = "int32", seed=None):
    """Whole numbers from minval to maxval - 1, each as likely as any other; a range of at most 2**24."""
    if not 0 < maxval - minval <= 2**24:
        raise ValueError(f"randint: the range from {minval} to {maxval} holds {maxval - minval} numbers; 1 to 2**24 "
                         "are possible.")
    whole = ops.cast(uniform(shape, 0.0, 1.0, seed=seed) * float(maxval - minval), "int32")
    found = ops.cast(whole, "float32") + float(minval)
    return ops.cast(found, dtype)


def categorical(logits, num_samples: int, dtype: str = "int32", seed=None):
    """Class numbers, each drawn with the probability ``softmax(logits)``: shape (rows, num_samples).

    By the largest of ``logits + g`` with g from the Gumbel distribution.
    """
    logits = logits if hasattr(logits, "shape") else np.asarray(logits, np.float32)
    rows, classes = logits.shape
    u = uniform((rows, num_samples, classes), 2.0**-25, 1.0, seed=seed)
    noise = ops.negative(ops.log(ops.clip(ops.negative(ops.log(u)), 1e-20, math.inf)))
    return ops.cast(ops.argmax(ops.expand_dims(logits, 1) + noise, axis=-1), dtype)


def shuffle(x, axis: int = 0, seed=None) -> np.ndarray:
    """An array with its parts along an axis in another order; a program's tensors can't be shuffled."""
    if isinstance(x, Tensor):
        raise TypeError("random.shuffle takes arrays; the rows of a program's tensors keep their order.")
    sequence = seed.next() if isinstance(seed, SeedGenerator) else seed_sequence(seed)
    return np.random.Generator(np.random.PCG64(sequence)).permutation(np.asarray(x), axis=axis)


def dropout(inputs, rate: float, noise_shape=None, seed=None):
    """The inputs, a share `rate` of them zeroed and the rest scaled by 1 / (1 - rate)."""
    graph = getattr(inputs, "graph", None)
    key0, key1 = _keys(graph, seed)
    step = 0.0 if graph is None else graph.step()
    if graph is None:
        inputs = np.asarray(inputs, np.float32)
    if noise_shape is None:
        return _dropout(inputs, step, rate=rate, key0=key0, key1=key1)
    sizes = tuple(n if m is None else m for m, n in zip(noise_shape, inputs.shape, strict=True))
    ones = np.ones(sizes, np.float32)
    return inputs * _dropout(ones if graph is None else graph.constant(ones), step, rate=rate, key0=key0, key1=key1)


def _draw(kernel, shape, dtype, seed, **attrs):
    graph = current_graph()
    key0, key1 = _keys(graph, seed)
    attrs.update(key0=key0, key1=key1, shape=_shape(shape), dtype=str(np.dtype(dtype or "float32")))
    return kernel(0.0, **attrs) if graph is None else kernel(graph.step(), **attrs)


def _keys(graph: Graph | None, seed) -> tuple[int, int]:
    if isinstance(seed, SeedGenerator):
        return key_pair(seed.next())
    if seed is None:
        return key_pair(next_seed()) if graph is None else graph.keys()
    return key_pair(seed_sequence(seed))


def _shape(shape) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    if any(isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0 for n in sizes):
        raise ValueError(f"The shape of a random array holds whole numbers of 0 or more; got {shape!r}. (Inside a "
                         "layer's call the batch is known: take it from ops.shape(x).)")
    return tuple(int(n) for n in sizes)
