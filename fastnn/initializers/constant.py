"""Initializers that draw nothing."""

from __future__ import annotations

import numpy as np

from .initializer import Initializer, check_number, check_shape


def _dtype(dtype) -> np.dtype:
    dtype = np.dtype("float32" if dtype is None else dtype)
    if dtype.kind not in "fiub":
        raise ValueError(f"An initializer gives numbers, but was asked for dtype {dtype}.")
    return dtype


class Zeros(Initializer):
    """All zeros.

    Examples
    --------
    >>> Zeros()((2, 2))
    array([[0., 0.],
           [0., 0.]], dtype=float32)
    """

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        return np.zeros(check_shape(shape), _dtype(dtype))


class Ones(Initializer):
    """All ones.

    Examples
    --------
    >>> Ones()((3,))
    array([1., 1., 1.], dtype=float32)
    """

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        return np.ones(check_shape(shape), _dtype(dtype))


class Constant(Initializer):
    """One value everywhere, or an array that is broadcast to the shape.

    Parameters
    ----------
    value : number, or numbers in nested lists or an array.

    Examples
    --------
    >>> Constant(3)((2,))
    array([3., 3.], dtype=float32)
    """

    def __init__(self, value=0.0):
        values = np.asarray(value)
        if values.dtype.kind not in "fiub":
            raise ValueError(f"Constant: value must be numbers, but is {value!r}.")
        self.value = value

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        shape, values = check_shape(shape), np.asarray(self.value)
        try:
            return np.array(np.broadcast_to(values, shape), dtype=_dtype(dtype), order="C")
        except ValueError:
            raise ValueError(
                f"Constant: a value of shape {values.shape} cannot fill a weight of shape {shape}."
            ) from None

    def get_config(self) -> dict:
        values = np.asarray(self.value)
        return {"value": values.tolist()}


class Identity(Initializer):
    """`gain` on the diagonal of a matrix, zeros elsewhere.

    Examples
    --------
    >>> Identity()((2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0):
        self.gain = check_number(gain, "gain", self)

    def __call__(self, shape, dtype="float32") -> np.ndarray:
        shape = check_shape(shape)
        if len(shape) != 2:
            raise ValueError(f"Identity: the weight must be a matrix, but its shape is {shape}.")
        dtype = _dtype(dtype)
        return np.eye(*shape, dtype=dtype) * dtype.type(self.gain)

    def get_config(self) -> dict:
        return {"gain": self.gain}
