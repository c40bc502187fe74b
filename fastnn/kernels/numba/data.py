"""Picking the rows of a batch out of the user's arrays, whatever their dtype."""

from __future__ import annotations

import numpy as np

from .form import Helper, form, helper
from .math import fma
from .memory import view

f4 = np.float32
AHEAD = 2  # rows are asked for so many rows before they are read
LINE, MOST = 64, 4096  # bytes of a cache line; bytes asked for, the rest is fetched as it is read


def _prefetch():
    from llvmlite import ir
    from numba.core import cgutils
    from numba.core import types as nb
    from numba.extending import intrinsic

    @intrinsic
    def prefetch(context, address):
        """llvm.prefetch for reading, into the second cache."""
        def generate(target, builder, signature, args):
            i4 = ir.IntType(32)
            function = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, i4, i4, i4])
            function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], function)
            builder.call(function, [builder.inttoptr(args[0], cgutils.voidptr_t), i4(0), i4(2), i4(1)])

        return nb.void(nb.int64), generate

    return prefetch


#: prefetch(address): ask for a cache line; in Python nothing
prefetch = Helper(lambda address: None, _prefetch)


@helper(forceinline=False)
def ask_for(row, size):
    """Rows are drawn at random, so the hardware does not see the next one coming."""
    for i in range(0, min(size, MOST), LINE):
        prefetch(row + i)
    prefetch(row + size - 1)  # rows need not start where a cache line does


@helper
def rows_of(y, source, index, features, scale, offset, dtype, size):
    """y = source[index] * scale + offset of one dtype, whose elements have `size` bytes."""
    size *= features
    for b in range(len(index)):
        x, out = view(source + index[b] * size, features, dtype), view(y + b * features * 4, features, f4)
        if b + AHEAD < len(index):
            ask_for(source + index[b + AHEAD] * size, size)
        for i in range(features):
            out[i] = fma(f4(x[i]), scale, offset)


@form(y="address", source="address", index="i8 batch")
def gather_rows(y, source, index, features, rows, scale, offset, attr, first, last):
    """y = source[index] * scale + offset"""
    index, dtype = index[first * rows : last * rows], int(attr[2])  # `source` is a slot and a choice
    y, source = np.int64(y) + first * rows * features * 4, np.int64(source)
    offset = offset if offset != 0.0 else -f4(0)  # which, added, changes nothing, not even the sign of a zero
    if dtype == 0:
        rows_of(y, source, index, features, scale, offset, np.uint8, 1)
    elif dtype == 1:
        rows_of(y, source, index, features, scale, offset, np.int8, 1)
    elif dtype == 2:
        rows_of(y, source, index, features, scale, offset, np.int16, 2)
    elif dtype == 3:
        rows_of(y, source, index, features, scale, offset, np.int32, 4)
    elif dtype == 4:
        rows_of(y, source, index, features, scale, offset, np.int64, 8)
    elif dtype == 5:
        rows_of(y, source, index, features, scale, offset, np.float32, 4)
    else:
        rows_of(y, source, index, features, scale, offset, np.float64, 8)


@helper
def labels_of(y, source, index, features, dtype, size):
    """y = source[index] as int32"""
    for b in range(len(index)):
        x = view(source + index[b] * features * size, features, dtype)
        out = view(y + b * features * 4, features, np.int32)
        for i in range(features):
            out[i] = np.int32(x[i])


@form(y="address", source="address", index="i8 batch")
def gather_labels(y, source, index, features, rows, attr, first, last):
    """y = source[index].astype(np.int32)"""
    index, dtype = index[first * rows : last * rows], int(attr[0])
    y, source = np.int64(y) + first * rows * features * 4, np.int64(source)
    if dtype == 0:
        labels_of(y, source, index, features, np.uint8, 1)
    elif dtype == 1:
        labels_of(y, source, index, features, np.int8, 1)
    elif dtype == 2:
        labels_of(y, source, index, features, np.int16, 2)
    elif dtype == 3:
        labels_of(y, source, index, features, np.int32, 4)
    elif dtype == 4:
        labels_of(y, source, index, features, np.int64, 8)
    elif dtype == 5:
        labels_of(y, source, index, features, np.float32, 4)
    else:
        labels_of(y, source, index, features, np.float64, 8)
