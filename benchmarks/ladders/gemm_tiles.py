"""Which tile of C fits the registers? The product of gemm.py by tiles of different shapes, all else equal.

A tile of R rows by W vectors keeps R W sums, and needs W more registers for B and one for A. At the first size the
operands fit L2 and all shapes divide it, so that the inner loop alone decides. At 1024 the rows of B are a power of two
apart and share sets of the L1 cache; at 1040 they do not.
"""

from __future__ import annotations

import platform

import numpy as np

from .gemm import FLAGS, dims, flops, nbytes, numpy_matmul, problem
from .ladder import Ladder

#: on whose page this ladder stands
PAGE = "gemm"

SHAPES = {
    "1x1": "one chain of FMAs: each waits for the one before",
    "2x1": "two chains",
    "4x1": "four chains: enough for one FMA of 4 cycles per cycle",
    "8x1": "eight chains: enough for two per cycle, but 9 loads for 8 FMAs",
    "6x2": "12 sums + 2 of B + 1 of A: fits 16 registers (AVX2)",
    "6x4": "24 + 4 + 1: fits 32 registers (AVX-512)",
    "14x2": "28 + 2 + 1: fits them, too",
    "8x4": "32 + 4 + 1: does not fit; some sums spill",
}


def by_tiles(flags: str) -> Ladder:
    """The ladder of these shapes, compiled with these flags."""
    ladder = Ladder("gemm_tiles", problem, outputs=("c",), flops=flops, nbytes=nbytes,
                    sizes=((336, 256, 192), (1024, 1024, 1024), (1040, 1040, 1040)),
                    check_sizes=((1, 1, 1), (5, 3, 2), (17, 9, 100), (33, 130, 130)), tolerance=32)
    ladder.rung("np.matmul, float64", "what the others are checked against",
                prepare=lambda x: {n: v.astype(np.float64) for n, v in x.items()})(numpy_matmul)
    for shape, idea in SHAPES.items():
        ladder.c(f"{shape.replace('x', ' x ')} vectors", f"gemm_tile_{shape}", idea, dims=dims, flags=flags,
                 source="gemm.c")
    ladder.c("tile in memory", "gemm_trap", "6 x 4 (AVX2: 6 x 2), but the number of rows is known at run time only",
             dims=dims, flags=flags, source="gemm.c")
    return ladder


LADDER = by_tiles(FLAGS)


def lesson() -> str:
    """The same with the 16 shorter registers of AVX2, and without forced unrolling."""
    ways = {"-O2, loops not unrolled": FLAGS.replace("-O3", "-O2") + " -DUNROLL="}
    if platform.machine().lower() in ("x86_64", "amd64"):
        ways = {"AVX2": FLAGS.replace("native", "x86-64-v3"), **ways}
    lines = []
    for name, flags in ways.items():
        rows, remarks = by_tiles(flags).measure(LADDER.sizes[0], 1, 0.2)
        lines += [f"{name}:", *remarks]
        lines += [f"{r['rung']:20} {r['GFLOP/s']:6.1f} GFLOP/s {r['peak']:6.1%} of peak" for r in rows[1:]]
    return "\n".join(lines)
