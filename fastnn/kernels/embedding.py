"""Rows of a table by their numbers: the embedding of tokens, and its gradient as a sum in the order of the tokens.

The gradient is a whole table, of which a batch touches few rows where the table is large. Updates by rows never make
it: `token_order` sorts the places of the tokens by their rows, and each row that occurs is updated by the sum of what
stands at its places. (What is lazy in that is said in fastnn/optimizers/by_rows.py.)

A number that is none of a row of the table reads nothing: its result is NaN, so that it shows, and its gradient goes
nowhere. Layers refuse such data before it comes here.
"""

from __future__ import annotations

import math

import numpy as np

from . import moments, optim
from .dense import same_dtype
from .spec import Array, Call, Kernel, blocks, register

TOKENS = 16  #: tokens of a tile of `embedding`: its rows are whole cache lines
COLUMNS = 32  #: columns of a tile of `embedding_grad`: two cache lines of each row
PLACES = 16  #: sorted places of a tile of an update by rows
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


@register
class token_order(Kernel):
    """The places of tokens, sorted by the row that they name; equal ones stay in their order.

    Slots: ``order[N], rows[N] <- tokens[...]``, all int32: ``rows = tokens[order]``. Numbers that are none of the rows
    0..count-1 come last, as -1.

    Examples
    --------
    >>> token_order(np.array([2, 0, 7, 2], np.int32), count=3)
    (array([1, 0, 3, 2], dtype=int32), array([ 0,  2,  2, -1], dtype=int32))
    """

    name = "token_order"
    outputs = ("order", "rows")
    inputs = ("tokens",)
    dims = ("N",)
    attrs = {"count": ...}

    def infer(self, tokens, *, count):
        _check_tokens(self.name, tokens)
        if not 0 < count <= MOST:
            raise ValueError(f"token_order sorts the rows of a table of 1 to {MOST} rows; count is {count}.")
        made = Array((tokens.size,), np.dtype(np.int32))
        return made, made

    def numpy(self, tokens, *, count):
        tokens = tokens.ravel()
        keys = np.where((tokens >= 0) & (tokens < count), tokens, int(count))
        order = np.argsort(keys, kind="stable").astype(np.int32)
        return order, np.where(keys < count, keys, -1)[order].astype(np.int32)

    def sizes(self, call: Call):
        return (call["tokens"].size,)

    def scratch(self, call: Call):
        return 4 * (call["tokens"].size + (1 << digit_bits(int(call.attr("count")))))

    def nbytes(self, call: Call):
        """Two passes of a radix sort."""
        return 8 * call["tokens"].nbytes

    def terms(self, call: Call):
        return 0


def digit_bits(count: int) -> int:
    """Bits of a digit, of which two make the numbers up to `count`."""
    return max(1, -(-count.bit_length() // 2))


class RowUpdate(Kernel):
    """Base of the updates by rows: each row of w (and of what the rule keeps) that occurs in `rows` is updated as
    `rule` updates arrays, by the sum of dy over its places; the others are left alone.

    Slots: ``w[V,D]`` and others like it updated; ``dy[...,D]``, ``order[N]`` and ``rows[N]`` of `token_order`. A tile
    is 16 sorted places and does the rows that begin there: each sum has one order whatever the threads.
    """

    dims = ("N", "V", "D")
    rule: Kernel

    def infer(self, dy, order, rows, *rest, **attrs):
        scalars, tables = rest[: len(rest) - len(self.outputs)], rest[len(rest) - len(self.outputs) :]
        w = tables[0]
        if w.ndim != 2 or dy.ndim < 1 or dy.shape[-1] != w.shape[1] or any(t.shape != w.shape for t in tables):
            raise ValueError(f"{self.name} needs dy[...,D] and {', '.join(self.outputs)} of one shape [V,D], not "
                             f"dy{list(dy.shape)} and {', '.join(str(list(t.shape)) for t in tables)}.")
        places = dy.size // max(w.shape[1], 1)
        for name, x in (("order", order), ("rows", rows)):
            if x.dtype != np.int32 or x.shape != (places,):
                raise ValueError(f"{self.name} needs {name} as {places} int32 numbers, not {x.dtype} of shape "
                                 f"{list(x.shape)}.")
        for name, x in zip(self.inputs[3:], scalars):
            if x.shape != () or x.dtype.kind != "f":
                raise ValueError(f"{self.name} needs {name} as one float, not {x.dtype} of shape {list(x.shape)}.")
        same_dtype(self.name, dy, *tables)
        return tuple(Array(t.shape, t.dtype) for t in tables)

    def numpy(self, dy, order, rows, *rest, **attrs):
        scalars, tables = rest[: len(rest) - len(self.outputs)], rest[len(rest) - len(self.outputs) :]
        there = (rows >= 0) & (rows < len(tables[0]))
        touched, which = np.unique(rows[there], return_inverse=True)
        g = np.zeros((len(touched), dy.shape[-1]), dy.dtype)
        np.add.at(g, which, dy.reshape(-1, dy.shape[-1])[order[there]])
        made = self.rule.numpy(g, *scalars, *(t[touched] for t in tables), **attrs)
        out = tuple(t.copy() for t in tables)
        for t, new in zip(out, made if isinstance(made, tuple) else (made,)):
            t[touched] = new
        return out if len(out) > 1 else out[0]

    def sizes(self, call: Call):
        return (call["rows"].size, *call["w"].shape)

    def tiles(self, call: Call):
        return blocks(call["rows"].size, PLACES)

    def scratch(self, call: Call):
        return 4 * call["w"].shape[1]

    def flops(self, call: Call):
        return float(call["dy"].size * (1 + self.rule.flops_per_element))

    def nbytes(self, call: Call):
        """Of the tables the rows that may occur."""
        return call["dy"].nbytes * (1 + 2 * len(self.outputs)) + call["order"].nbytes + call["rows"].nbytes

    def terms(self, call: Call):
        return call["rows"].size + 8


@register
class row_sgd(RowUpdate):
    """`sgd` of the rows that occur: of all rows the same, for the gradient of the others is 0.

    Examples
    --------
    >>> order, rows = token_order(np.array([2, 0, 2], np.int32), count=3)
    >>> row_sgd(np.array([[1.0], [2.0], [4.0]]), order, rows, 0.5, np.array([[9.0], [9.0], [9.0]]))
    array([[8. ],
           [9. ],
           [6.5]])
    """

    name = "row_sgd"
    outputs = ("w",)
    inputs = ("dy", "order", "rows", "rate", "w")
    rule = optim.sgd


@register
class row_adagrad(RowUpdate):
    """`adagrad` of the rows that occur: of all rows the same, for the gradient of the others is 0."""

    name = "row_adagrad"
    outputs = ("w", "a")
    inputs = ("dy", "order", "rows", "rate", "w", "a")
    attrs = {"epsilon": 1e-7, "epsilon_inside": 1}
    rule = moments.adagrad


@register
class row_adam(RowUpdate):
    """Lazy `adam`: the rows that occur are updated, moments and weights; those of the others wait.

    What PyTorch calls SparseAdam.
    """

    name = "row_adam"
    outputs = ("w", "m", "v")
    inputs = ("dy", "order", "rows", "alpha", "epsilon", "w", "m", "v")
    attrs = {"beta_1": 0.9, "beta_2": 0.999}
    rule = optim.adam
