"""Rows of a table by their numbers: the embedding of tokens, and its gradient as a sum in the order of the tokens.

A number that is none of a row of the table reads nothing: its result is NaN, so that it shows, and its gradient goes
nowhere. Layers refuse such data before it comes here.
"""

from __future__ import annotations

import math

import numpy as np

from .dense import same_dtype
from .spec import Array, Call, Kernel, blocks, register

TOKENS = 16  #: tokens of a tile of `embedding`: its rows are whole cache lines
COLUMNS = 32  #: columns of a tile of `embedding_grad`: two cache lines of each row
NUMBERS = 1024  #: numbers of a tile of `whole_numbers`
MOST = 2**24  #: whole numbers up to here are the same in float32


def _check_tokens(name: str, tokens: Array) -> None:
    if tokens.dtype != np.int32:
        raise ValueError(f"{name} needs int32 tokens, not {tokens.dtype}.")


@register
class whole_numbers(Kernel):
    """y = x as int32 where x is a whole number from 0 to 2**24, else -1: tokens that came among floats.

    Examples
    --------
    >>> whole_numbers(np.array([3.0, 0.5, -1.0, np.nan]))
    array([ 3, -1, -1, -1], dtype=int32)
    """

    name = "whole_numbers"
    dims = ("N",)
    jumps = True

    def infer(self, x):
        same_dtype(self.name, x)
        return (Array(x.shape, np.dtype(np.int32)),)

    def numpy(self, x):
        right = (x >= 0) & (x <= MOST) & (x == np.floor(x))
        return np.where(right, x, -1).astype(np.int32)

    def sizes(self, call: Call):
        return (call["x"].size,)

    def tiles(self, call: Call):
        return blocks(call["x"].size, NUMBERS)

    def terms(self, call: Call):
        return 0


@register
class embedding(Kernel):
    """y = table[tokens]: the rows of a table at these places; NaN where there is no such row.

    Slots: ``y[...,D] <- tokens[...]`` int32, ``table[V,D]``.

    Examples
    --------
    >>> embedding(np.array([2, 0, 2], np.int32), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    array([[5., 6.],
           [1., 2.],
           [5., 6.]])
    """

    name = "embedding"
    inputs = ("tokens", "table")
    dims = ("N", "V", "D")

    def infer(self, tokens, table):
        _check_tokens(self.name, tokens)
        if table.ndim != 2:
            raise ValueError(f"embedding needs a table[V,D], not table{list(table.shape)}.")
        same_dtype(self.name, table)
        return (Array((*tokens.shape, table.shape[1]), table.dtype),)

    def numpy(self, tokens, table):
        there = (tokens >= 0) & (tokens < len(table))
        y = np.full((*tokens.shape, table.shape[1]), np.nan, table.dtype)
        y[there] = table[tokens[there]]
        return y

    def sizes(self, call: Call):
        return (call["tokens"].size, *call["table"].shape)

    def tiles(self, call: Call):
        return blocks(call["tokens"].size, TOKENS)

    def nbytes(self, call: Call):
        """The picked rows and their copy; not the whole table."""
        return 2 * call["y"].nbytes + call["tokens"].nbytes

    def terms(self, call: Call):
        return 0

    def gradient(self, call: Call, *, y):
        return {"table": embedding_grad(y, call["tokens"], rows=call["table"].shape[0])}


@register
class embedding_grad(Kernel):
    """dtable[v] = the sum of dy over the places where tokens is v, in their order.

    Slots: ``dtable[V,D] <- dy[...,D], tokens[...]`` int32. A tile is a block of columns of the whole table: each sum
    has one order whatever the threads. Numbers that are none of a row are left out.

    Examples
    --------
    >>> embedding_grad(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2], np.int32), rows=3)
    array([[2.],
           [0.],
           [5.]])
    """

    name = "embedding_grad"
    outputs = ("dtable",)
    inputs = ("dy", "tokens")
    dims = ("N", "V", "D")
    attrs = {"rows": ...}

    def infer(self, dy, tokens, *, rows):
        _check_tokens(self.name, tokens)
        if dy.ndim < 1 or dy.shape[:-1] != tokens.shape:
            raise ValueError(f"embedding_grad needs dy[...,D] and tokens[...], not dy{list(dy.shape)} and "
                             f"tokens{list(tokens.shape)}.")
        same_dtype(self.name, dy)
        return (Array((int(rows), dy.shape[-1]), dy.dtype),)

    def numpy(self, dy, tokens, *, rows):
        there = (tokens >= 0) & (tokens < rows)
        dtable = np.zeros((int(rows), dy.shape[-1]), dy.dtype)
        np.add.at(dtable, tokens[there], dy[there])
        return dtable

    def sizes(self, call: Call):
        return (call["tokens"].size, *call["dtable"].shape)

    def tiles(self, call: Call):
        return blocks(call["dtable"].shape[1], COLUMNS)

    def flops(self, call: Call):
        return float(math.prod(call["dy"].shape))

    def terms(self, call: Call):
        return call["tokens"].size
