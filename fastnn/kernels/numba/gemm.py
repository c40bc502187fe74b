"""The matrix product of the Numba forms: loops in Python around one micro-kernel that is written in LLVM's terms.

A product is fast if each number that is loaded serves many multiplications. The micro-kernel `tile` keeps a small
piece of C, at most 6 rows x 4 vectors of 16 floats, in the CPU's registers while k runs over its terms. For each k
it loads 4 vectors of B and 6 numbers of A and does 24 vector multiplications with them: the multipliers never wait.
The loops of `product` around it cut C into such pieces, and k into blocks whose part of B stays in the second cache.

No loop of Python code says "keep this in registers", so the micro-kernel is an `intrinsic` of Numba (`microkernel`):
Python that writes the instructions which stand in the place of the call. One core of a Zen 4 with a peak of 118
GFLOP/s: plain loops that LLVM vectorizes (four rows of C, in the first cache, and four of B at a time, copied) came
to 78 for 1024^3, where NumPy's OpenBLAS came to 100. With the micro-kernel it is 112 for 32x784x300, where OpenBLAS
comes to 86, and for 64x128x128, where it comes to 93.

Every element is summed by FMA over k = 0, 1, 2, ... from zero, and a product cut along k goes on from the stored C: the
bits depend neither on blocks nor on tiles, and are those of the native form.
"""

from __future__ import annotations

import numpy as np

from .form import Helper, helper
from .memory import scratch, view

f4 = np.float32
DEPTH = 392  # terms of a block: with 256 columns its part of B is 392 KiB of a 1 MiB second cache
COPY = DEPTH * 272  # floats of a copied block of B: 256 columns and a cache line, which spreads rows over the cache
STRIPE = 48  # rows of A whose columns are copied at once: whole cache lines of them
BIG = 2**20  # bytes of a B beyond the second cache: it is copied block by block if ...
USES = 36  # ... at least so many rows use the copy
FAR = 257  # terms from which columns of A are copied: they stand a row of A apart, and evict one another
NEW = np.False_  # for `add`. For Numba False itself is a type of its own, and `product` would be compiled once more


# ---------------------------------------------------------------------- the loops

@helper(forceinline=False)  # too long to stand in each form
def product(c, a, b, add):
    """c = a @ b, or c += a @ b if `add`. The rows of c are contiguous; of a and b the rows are, or the columns.

    What would be read in jumps is copied to the thread's scratch memory, to its first COPY + DEPTH * STRIPE floats;
    a c of more than 256 columns has so few terms that its B fits in there as well (`grid` of the kernels' specs).
    """
    (rows, columns), depth = c.shape, b.shape[0]
    turned = b.strides[1] != 4
    copied = turned or rows >= USES and depth * b.strides[0] >= BIG
    step, pitch = even(depth, DEPTH), -(-columns // 16) * 16 + 16
    for k in range(0, max(depth, 1), step):
        b_block = b[k : k + step, :]
        if copied:
            b_copy = scratch(0, (len(b_block), pitch))
            if turned:
                copy_turned(b_copy, b_block.T)
            else:
                copy(b_copy, b_block)
            b_block = b_copy[:, :columns]
        for i in range(0, rows, STRIPE):
            stripe(c[i : i + STRIPE, :], a[i : i + STRIPE, k : k + step], b_block, add or k > 0)


@helper
def even(count, most):
    """The size of parts of about one size, at most `most` of a count (multiples of 8)."""
    parts = max(1, -(-count // most))
    return max(8, -(-count // (8 * parts)) * 8)


@helper(inline="always")  # compiled once, with its only caller
def stripe(c, a, b, add):
    """c = a @ b, or c += a @ b if `add`, of up to STRIPE rows and DEPTH terms, by one micro-kernel after the other."""
    (rows, columns), depth = c.shape, b.shape[0]
    if a.strides[1] != 4 and depth >= FAR:
        a_copy = scratch(COPY, (depth, STRIPE))
        copy(a_copy, a.T)
        a = a_copy[:, :rows].T
    i = 0
    while i < rows:
        m = height(rows - i)
        j = 0
        while j < columns:
            n = width(columns - j)
            tile(c[i : i + m, j : j + n], a[i : i + m, :], b[:, j : j + n], add)
            j += n
        i += m


@helper
def copy(to, x):
    """to[:len(x), :x.shape[1]] = x, both of contiguous rows"""
    for i in range(len(x)):
        there, here = line(to, i), line(x, i)
        for j in range(len(here)):
            there[j] = here[j]


@helper
def copy_turned(to, x):
    """to[:x.shape[1], :len(x)] = x.T, both of contiguous rows"""
    for i in range(len(x)):
        here = line(x, i)
        for j in range(len(here)):
            to[j, i] = here[j]


@helper
def line(x, i):
    """x[i], which is contiguous: the compiler does not see that in the strides of a part of an array."""
    return view(x[i].ctypes.data, x.shape[1], f4)


# ---------------------------------------------------------------------- the micro-kernel

def _tile(c, a, b, add):
    if add:
        c += a @ b
    else:
        c[:] = a @ b


def _compiled_tile():
    from .microkernel import tile

    return tile


def _compiled_width():
    from .microkernel import width

    return width


#: tile(c, a, b, add): c = a @ b, or c += a @ b if `add`, for a c of 6, 4, 2 or 1 rows and at most `width` columns
tile = Helper(_tile, _compiled_tile)
#: width(columns): how many of so many columns the next piece of C has
width = Helper(lambda columns: 64, _compiled_width)


@helper
def height(rows):
    """How many of so many rows the next piece of C has."""
    return 6 if rows >= 6 else 4 if rows >= 4 else 2 if rows >= 2 else 1
