"""The IDX format, in which MNIST and its successors come.

Two zero bytes, a code for the dtype, the number of dimensions, the sizes as big-endian 32-bit integers, and
then the values, big endian, the last index fastest (Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database
of handwritten digits", 1998).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def parse(data: Any, name: str = "The data") -> np.ndarray:
    """The array that an IDX file holds; it shares the memory of `data`, any buffer of bytes.

    Raises
    ------
    ValueError : the bytes are not exactly one array; `name` is what the sentence calls them.

    Examples
    --------
    >>> parse(bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]))
    array([[1, 2, 3],
           [4, 5, 6]], dtype=uint8)
    """
    data = memoryview(data).cast("B")
    if len(data) < 4 or data[0] or data[1]:
        raise ValueError(f"{name} is not an IDX file: it begins with {bytes(data[:4])!r}, not with two zeros.")
    if data[2] not in DTYPES:
        raise ValueError(f"{name} has the unknown IDX dtype {data[2]:#04x}.")
    dtype, start = np.dtype(DTYPES[data[2]]), 4 + 4 * data[3]
    if data[3] > 32 or len(data) < start:  # 32: what every NumPy can have
        raise ValueError(f"{name} says it has {data[3]} dimensions, and ends after {len(data)} bytes.")
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    wanted = start + math.prod(shape) * dtype.itemsize
    if len(data) != wanted:
        raise ValueError(f"{name} should have {wanted} bytes for the shape {shape}, and has {len(data)}.")
    return np.frombuffer(data, dtype, offset=start).reshape(shape) if 0 not in shape else np.zeros(shape, dtype)
