"""Picking a batch: rows of the user's arrays, converted and scaled while they are copied.

The arrays stay as the user has them (images as uint8); nothing else is ever made of the whole set.
"""

from __future__ import annotations

import math

import numpy as np

from .spec import Array, Call, Kernel, blocks, register

SOURCES = ("uint8", "int8", "int16", "int32", "int64", "float32", "float64")  #: as FNN_SOURCES in csrc/data.h
TILE = 16384  #: elements that a tile has at least, if there are as many


class Gather(Kernel):
    """Base: ``y[b] = source[index[b]]`` over rows of any shape."""

    inputs = ("source", "index")
    dims = ("batch", "features", "rows")
    result = np.dtype(np.float32)

    def infer(self, rows: Array, index: Array, source: str, **attrs) -> tuple[Array]:
        if rows.ndim < 1 or index.ndim != 1 or index.dtype != np.int64:
            raise ValueError(f"{self.name} needs an array of rows and an int64 vector of their numbers, got shapes "
                             f"{rows.shape} and {index.shape}, dtypes {rows.dtype} and {index.dtype}.")
        if rows.dtype != source and not (rows.dtype == bool and source == "uint8"):
            raise ValueError(f"{self.name} was told that its rows are {source}, but they are {rows.dtype}.")
        return (Array(index.shape + rows.shape[1:], self.result),)

    def sizes(self, call: Call) -> tuple[int, int, int]:
        features = math.prod(call["source"].shape[1:])
        return call["index"].size, features, max(1, TILE // max(features, 1))

    def tiles(self, call: Call) -> int:
        batch, _, rows = self.sizes(call)
        return blocks(batch, rows)

    def nbytes(self, call: Call) -> float:
        """The picked rows, their numbers and the copy; not the whole source."""
        y = call["y"]
        return y.nbytes + y.size * call["source"].dtype.itemsize + call["index"].nbytes


@register
class gather_rows(Gather):
    """``y = source[index] * scale + offset``, in floats.

    Slots: y (B,...) float32; source (N,...) of the dtype `source` names (bool counts as uint8); index
    (B) int64, trusted to be within 0..N-1.

    Examples
    --------
    >>> images = np.array([[0, 255], [51, 102]], np.uint8)
    >>> gather_rows(images, np.array([1, 0, 1]), scale=1 / 255, source="uint8")
    array([[0.2, 0.4],
           [0. , 1. ],
           [0.2, 0.4]])
    """

    name = "gather_rows"
    attrs = {"scale": 1.0, "offset": 0.0, "source": ...}
    choices = {"source": SOURCES}

    def numpy(self, rows, index, scale, offset, source):
        picked = rows[index]
        if picked.dtype.kind != "f":
            picked = picked.astype(np.float64)
        return picked if scale == 1 and offset == 0 else picked * scale + offset

    def terms(self, call: Call) -> int:
        return 0 if call.attr("scale") == 1 and call.attr("offset") == 0 else 3

    def flops(self, call: Call) -> float:
        return 0.0 if call.attr("scale") == 1 and call.attr("offset") == 0 else 2.0 * call["y"].size


@register
class gather_labels(Gather):
    """``y = source[index]`` as int32: class numbers.

    Slots: y (B,...) int32; source (N,...) of the dtype `source` names; index (B) int64, trusted.

    Examples
    --------
    >>> gather_labels(np.array([7, 8, 9], np.uint8), np.array([2, 0]), source="uint8")
    array([9, 7], dtype=int32)
    """

    name = "gather_labels"
    attrs = {"source": ...}
    choices = {"source": SOURCES}
    result = np.dtype(np.int32)

    def numpy(self, rows, index, source):
        return rows[index].astype(np.int32)

    def terms(self, call: Call) -> int:
        return 0
