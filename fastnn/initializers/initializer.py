"""The base of all initializers, and what they share: checks of shape and dtype, fans, drawing."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from fastnn import seeds

CHUNK = 1 << 16  # values drawn at a time: in float64, then rounded, so that no dtype changes the stream


class Initializer:
    """Gives the first values of a weight: ``initializer(shape, dtype)`` returns a new array.

    A subclass writes `__call__` and, to be saved with a model, `get_config`: the arguments that make it
    again.

    Examples
    --------
    >>> class Sevens(Initializer):
    ...     def __call__(self, shape, dtype="float32"):
    ...         return np.full(shape, 7, dtype)
    >>> Sevens()((2,))
    array([7., 7.], dtype=float32)
    """

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        raise NotImplementedError(f"{type(self).__name__} must override __call__(self, shape, dtype).")

    def beside(self, shape) -> Initializer:
        """What to draw a bias from that stands beside a kernel of this shape; mostly this one itself."""
        return self

    def get_config(self) -> dict:
        return {}

    @classmethod
    def from_config(cls, config: dict) -> Initializer:
        return cls(**config)

    def clone(self) -> Initializer:
        """A new one from the same arguments."""
        return self.from_config(self.get_config())

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items() if value is not None)
        return f"{type(self).__name__}({arguments})"


class RandomInitializer(Initializer):
    """Base of those that draw.

    As in Keras, an initializer has its seed from the moment it is made: two calls of one object give
    the same values, two objects without a seed give different ones. With a `numpy.random.Generator` as
    seed each call draws on.
    """

    def __init__(self, seed: seeds.Seed = None):
        seed = seeds.from_config(seed)
        self.seed = seed
        self._source = seed if isinstance(seed, np.random.Generator) else seeds.seed_sequence(seed)

    def generator(self) -> np.random.Generator:
        """A generator at the start of this initializer's values."""
        return np.random.Generator(np.random.PCG64(seeds.seed_sequence(self._source)))

    def get_config(self) -> dict:
        return {"seed": seeds.to_config(self.seed)}


def draw(shape, dtype, some: Callable[[int], np.ndarray], who: object) -> np.ndarray:
    """An array filled by calls of `some(count)`, which gives that many float64 values."""
    shape, dtype = check_shape(shape), check_dtype(dtype, who)
    out = np.empty(math.prod(shape), dtype)
    for start in range(0, out.size, CHUNK):
        part = out[start : start + CHUNK]
        part[...] = some(part.size)
    return out.reshape(shape)


def truncated_normal(generator: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal values; those beyond two deviations are thrown away and drawn again.

    Their deviation is 0.8796..., not 1: see `VarianceScaling`.
    """
    values = generator.standard_normal(count)
    beyond = np.flatnonzero(np.abs(values) > 2)
    while beyond.size:
        values[beyond] = generator.standard_normal(beyond.size)
        beyond = beyond[np.abs(values[beyond]) > 2]
    return values


def check_shape(shape) -> tuple[int, ...]:
    """`shape` as a tuple of ints; a single int is a shape of one axis."""
    axes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    for axis in axes:
        if isinstance(axis, (bool, np.bool_)) or not isinstance(axis, (int, np.integer)) or axis < 0:
            raise ValueError(f"shape must hold integers of at least 0, but is {shape!r}.")
    return tuple(int(axis) for axis in axes)


def check_dtype(dtype, who: object) -> np.dtype:
    """`dtype` as a float dtype (None: float32)."""
    dtype = np.dtype("float32" if dtype is None else dtype)
    if dtype.kind != "f":
        raise ValueError(f"{type(who).__name__} gives floats, but was asked for dtype {dtype}.")
    return dtype


def check_number(value, name: str, who: object) -> float:
    """`value` as a finite Python float."""
    if (
        isinstance(value, (bool, np.bool_))
        or not np.isscalar(value)
        or not isinstance(value, (int, float, np.integer, np.floating))
    ):
        raise ValueError(f"{type(who).__name__}: {name} must be a number, but is {value!r}.")
    if not math.isfinite(value):
        raise ValueError(f"{type(who).__name__}: {name} must be finite, but is {value!r}.")
    return float(value)


def compute_fans(shape, input_axes=None, output_axes=None) -> tuple[int, int]:
    """How many inputs each output has, and how many outputs each input reaches.

    A matrix is [in, out]; a convolution's kernel is [*window, in, out] and counts its window on both
    sides; a vector of n has n and n; a scalar 1 and 1. `input_axes` and `output_axes`, given together,
    name the axes instead.

    Examples
    --------
    >>> compute_fans((300, 100)), compute_fans((3, 3, 16, 32)), compute_fans((7,))
    ((300, 100), (144, 288), (7, 7))
    """
    shape = tuple(shape)
    if (input_axes is None) != (output_axes is None):
        raise ValueError("input_axes and output_axes must be given together.")
    if input_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window
