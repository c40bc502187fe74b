"""The statistics of batch normalisation (Ioffe & Szegedy 2015): mean and variance of each column of a tall matrix.

    mean[c] = sum_r x[r, c] / M
    var[c] = sum_r (x[r, c] - mean[c])^2 / M

Numerics: Welford (1962), Note on a method for calculating corrected sums of squares and products; Chan, Golub &
LeVeque (1983), Algorithms for computing the sample variance.
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels.norm import tile_width

from .build import FLAGS
from .ladder import Ladder, Rung, lists, show_size

CHUNK = 512  # rows that NumPy takes at a time: 512 KiB at 256 columns, and few calls
BLOCK = 512  # rows of a tile of the threaded rung; batch_norm.c has the same



def problem(size, rng):
    rows, columns = size
    x = rng.standard_normal((rows, columns)).astype(np.float32) + rng.random(columns, np.float32)
    return {"mean": np.zeros(columns, np.float32), "var": np.zeros(columns, np.float32), "x": x}


# Errors of a sum of M numbers grow with sqrt(M) eps where roundings fall at random; 16 sqrt(4099) is allowed.
LADDER = Ladder("batch_norm", problem, outputs=("mean", "var"), flops=lambda size: 4 * size[0] * size[1],
                nbytes=lambda size: 4 * size[0] * size[1] + 8 * size[1],
                sizes=((512, 256), (8192, 256), (65536, 256)),
                check_sizes=((1, 1), (3, 17), (255, 16), (257, 33), (64, 300), (4099, 71)), tolerance=1024)


def column_lists(arrays):
    return lists({**arrays, "x": arrays["x"].T})


@LADDER.rung("plain Python", "the formula, column by column", prepare=column_lists, largest=(256, 256))
def plain_python(mean, var, columns):
    for c, column in enumerate(columns):
        mean[c] = sum(column) / len(column)
        var[c] = sum((value - mean[c]) ** 2 for value in column) / len(column)


@LADDER.rung("NumPy", "the formula in whole arrays")
def numpy(mean, var, x):
    mean = x.mean(0)
    return mean, ((x - mean) ** 2).mean(0)


@LADDER.rung("NumPy, no temporaries", "one scratch matrix for the differences, used again",
             prepare=lambda arrays: {**arrays, "d": np.zeros_like(arrays["x"])})
def numpy_in_place(mean, var, x, d):
    np.mean(x, axis=0, out=mean)
    np.subtract(x, mean, out=d)
    np.multiply(d, d, out=d)
    np.mean(d, axis=0, out=var)


@LADDER.rung("NumPy, E[x^2] - E[x]^2", "no differences to store, but wrong where the mean is large")
def numpy_naive(mean, var, x):
    mean = x.mean(0)
    return mean, np.einsum("rc,rc->c", x, x) / np.float32(len(x)) - mean * mean


@LADDER.rung("NumPy, in chunks", f"two passes over {CHUNK} rows at a time, while they are in cache, then merged",
             prepare=lambda arrays: {**arrays, "d": np.zeros((CHUNK, arrays["x"].shape[1]), np.float32)})
def numpy_chunks(mean, var, x, d):
    mean[:], var[:] = 0, 0
    for r in range(0, len(x), CHUNK):
        part = x[r:r + CHUNK]
        own = part.mean(0)
        apart = np.subtract(part, own, out=d[:len(part)])
        var += np.einsum("rc,rc->c", apart, apart)
        share = np.float32(len(part) / (r + len(part)))
        var += np.square(own - mean) * (np.float32(r) * share)
        mean += (own - mean) * share
    var /= np.float32(len(x))


@LADDER.numba("Numba", "the two passes along the rows, compiled")
def numba(mean, var, x):
    mean[:] = 0
    var[:] = 0
    rows, columns = x.shape
    for r in range(rows):
        for c in range(columns):
            mean[c] += x[r, c]
    mean /= np.float32(rows)
    for r in range(rows):
        for c in range(columns):
            var[c] += (x[r, c] - mean[c]) * (x[r, c] - mean[c])
    var /= np.float32(rows)


def dims(arrays):
    return arrays["x"].shape


def with_sums(arrays):
    return {**arrays, "s": np.zeros_like(arrays["mean"]), "q": np.zeros_like(arrays["mean"])}


def tiles(arrays) -> int:
    return -(-arrays["x"].shape[1] // 64)


def fastnn_dims(arrays):
    return (*arrays["x"].shape, tile_width(*arrays["x"].shape))


def fastnn_tiles(arrays) -> int:
    return -(-arrays["x"].shape[1] // tile_width(*arrays["x"].shape))


def blocks_of_rows(ahead):
    """A program of two calls: the blocks in any order, then what joins them."""
    flags = f"{FLAGS} -DAHEAD={ahead}"

    def bind(arrays):
        rows, columns = arrays["x"].shape
        blocks = -(-rows // BLOCK)
        arrays = {**arrays, "part": np.zeros((blocks, 4, columns), np.float32)}
        sums = LADDER.c_call("batch_norm_blocks", arrays, (rows, columns), tiles=blocks, flags=flags)
        return LADDER.bind_calls([sums, LADDER.c_call("batch_norm_join", arrays, (rows, columns), flags=flags)], arrays)
    return bind


LADDER.cython("Cython", "batch_norm", "the same, typed")
LADDER.c("C, column by column", "batch_norm_columns", "as the formula is written: a stride of a whole row", dims=dims)
LADDER.c("C, row by row", "batch_norm_rows", "loops exchanged: as memory lies", dims=dims)
LADDER.c("C, Welford", "batch_norm_welford", "one pass; the mean so far is corrected by every row", dims=dims)
LADDER.c("C, chunks", "batch_norm_chunks", "two passes over 64 rows while they are in cache, then merged", dims=dims,
         prepare=with_sums)
LADDER.c("C with vectors", "batch_norm_vectors", "64 columns' sums in registers; one pass about a shift", dims=dims,
         tiles=tiles)
for name, idea, ahead, threaded in (
        ("C, four rows at a time", "in the order of memory; parts of 512 rows joined", 0, False),
        ("C, prefetch", "asks for the rows 64 further on, into L2", 64, False),
        ("C, threads", "blocks of 512 rows, taken by threads, joined in order", 64, True)):
    LADDER.rungs.append(Rung(name, idea, blocks_of_rows(ahead), threaded=threaded,
                             binary=("batch_norm.c", "batch_norm_blocks", f"{FLAGS} -DAHEAD={ahead}")))
for name, threaded in (("fastnn", False), ("fastnn, threads", True)):
    LADDER.c(name, "batch_norm_fastnn", "its micro-kernels, which prefetch and carry what merging rounds off",
             dims=fastnn_dims, tiles=fastnn_tiles, source="batch_norm_fastnn.c", threaded=threaded)


def lesson() -> str:
    """What each way loses when the mean is large beside the deviation: the error of the variance, relative."""
    ways = ("NumPy", "NumPy, E[x^2] - E[x]^2", "C, row by row", "C, Welford", "C, chunks", "C with vectors",
            "C, four rows at a time", "fastnn")
    rungs = {r.name: r for r in LADDER.rungs}
    rows, columns = 8192, 64
    offsets = (0, 10, 100, 1000, 10000, 100000)
    lines = [f"largest relative error of the variance; {show_size((rows, columns))} values of deviation 1 about a mean",
             f"{'mean':>26}" + "".join(f"{m:>10}" for m in offsets)]
    noise = np.random.default_rng(0).standard_normal((rows, columns))
    for way in ways:
        cells = []
        for offset in offsets:
            arrays = LADDER.arrays((rows, columns))
            arrays["x"][...] = noise + offset
            want = arrays["x"].astype(np.float64).var(0)  # of the float32 numbers, as they are
            bound = rungs[way].bind(arrays)
            bound.run(1, 1)
            cells.append(np.abs(bound.outputs()["var"] / want - 1).max())
        lines.append(f"{way:>26}" + "".join(f"{c:10.1e}" for c in cells))
    return "\n".join(lines)
