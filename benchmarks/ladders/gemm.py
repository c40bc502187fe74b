"""C = A @ B, float32: C (M,N), A (M,K), B (K,N). docs/kernels/gemm.md climbs this ladder.

A size is MxKxN. `gemm_tiles` compares shapes of register tiles, `dense` goes on with a bias and relu.
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels import dense as kernels

from . import build
from .ladder import Ladder, lists

#: as `build.FLAGS`, but a product and a sum may become one FMA
FLAGS = build.FLAGS.replace("-ffp-contract=off", "-ffp-contract=fast")


def problem(size, rng):
    m, k, n = size
    a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
    return {"c": np.zeros((m, n), np.float32), "a": a, "b": b}


def dims(arrays):
    """M, K, N"""
    return (*arrays["a"].shape, arrays["b"].shape[1])


def strips(arrays):
    """How many strips of columns there are: what threads share out."""
    return -(-arrays["b"].shape[1] // build.library("gemm.c", FLAGS).gemm_columns())


def flops(size):
    return 2 * size[0] * size[1] * size[2]


def nbytes(size):
    m, k, n = size
    return 4 * (m * k + k * n + m * n)


SMALL = (64, 128, 128)  # the largest on which plain Python is timed
LADDER = Ladder("gemm", problem, outputs=("c",), flops=flops, nbytes=nbytes,
                sizes=((32, 784, 300), SMALL, (1024, 1024, 1024), (2048, 2048, 2048)),
                check_sizes=((1, 1, 1), (5, 3, 2), (7, 1, 33), (6, 17, 64), (13, 300, 70), (31, 64, 600),
                             (20, 530, 90)), tolerance=32)


# ---------------------------------------------------------------------- Python and NumPy

@LADDER.rung("Python ijk", "the meaning: one dot product after the other", prepare=lists, largest=SMALL)
def python_ijk(c, a, b):
    for i in range(len(a)):
        for j in range(len(b[0])):
            total = 0.0
            for k in range(len(b)):
                total += a[i][k] * b[k][j]
            c[i][j] = total


@LADDER.rung("Python ikj", "the same sums in another order: along the rows of b", prepare=lists, largest=SMALL)
def python_ikj(c, a, b):
    for i in range(len(a)):
        row = [0.0] * len(b[0])
        for k in range(len(b)):
            x, b_row = a[i][k], b[k]
            for j in range(len(row)):
                row[j] += x * b_row[j]
        c[i] = row


@LADDER.rung("NumPy, one dot at a time", "a call for each element; b[:, j] is strided", largest=(32, 784, 300))
def numpy_dots(c, a, b):
    for i in range(len(a)):
        for j in range(b.shape[1]):
            c[i, j] = a[i] @ b[:, j]


@LADDER.rung("NumPy, row by row", "a call for each row: a vector times a matrix")
def numpy_rows(c, a, b):
    for i in range(len(a)):
        np.matmul(a[i], b, out=c[i])


@LADDER.rung("np.matmul", "the yardstick: the BLAS behind NumPy, one call")
def numpy_matmul(c, a, b):
    np.matmul(a, b, out=c)


# ---------------------------------------------------------------------- Numba and Cython

@LADDER.numba("Numba ijk", "the first rung, compiled", options={"fastmath": {"contract"}}, largest=(256, 256, 256))
def numba_ijk(c, a, b):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = np.float32(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@LADDER.numba("Numba ikj", "the inner loop along rows, so that it vectorizes", options={"fastmath": {"contract"}})
def numba_ikj(c, a, b):
    for i in range(a.shape[0]):
        c[i] = 0
        for k in range(a.shape[1]):
            x = a[i, k]
            for j in range(b.shape[1]):
                c[i, j] += x * b[k, j]


LADDER.cython("Cython ijk", "loops_ijk", "typed memoryviews", flags=FLAGS, largest=(256, 256, 256))
LADDER.cython("Cython ikj", "loops_ikj", "the inner loop along rows", flags=FLAGS)


# ---------------------------------------------------------------------- C

LADDER.c("C ijk", "gemm_ijk", "three plain loops", dims=dims, flags=FLAGS, largest=(256, 256, 256))
LADDER.c("C ikj", "gemm_ikj", "the inner loop along rows; the compiler vectorizes it", dims=dims, flags=FLAGS)
LADDER.c("C, tile in memory", "gemm_trap", "a tile of sums whose rows only the run knows: the trap", dims=dims,
         flags=FLAGS)
LADDER.c("C, tile in registers", "gemm_tiled", "6 rows by 4 vectors (AVX2: 2) of sums stay in registers", dims=dims,
         flags=FLAGS)
LADDER.c("C, blocked", "gemm_blocked", "blocks of 256 k's and 512 columns: B comes from L2", dims=dims, flags=FLAGS)
LADDER.c("C, packed", "gemm_packed", "each block of B copied into the order in which it is read", dims=dims,
         flags=FLAGS)
LADDER.c("C, threads", "gemm_strips", "strips of columns, handed out to the thread team", dims=dims, flags=FLAGS,
         tiles=strips, threaded=True)
LADDER.kernel("fastnn, one thread", kernels.dense, "packs only where it pays; masks at the edges",
              inputs=lambda x: (x["a"], x["b"], None), renamed={"c": "y"})
LADDER.kernel("fastnn, threads", kernels.dense, "tiles of rows and columns, handed out", threaded=True,
              inputs=lambda x: (x["a"], x["b"], None), renamed={"c": "y"})
