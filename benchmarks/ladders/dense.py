"""y = max(0, x @ w + b), float32: what is left to gain at the edges of a matrix product. See docs/kernels/gemm.md.

A size is MxKxN: y (M,N), x (M,K), w (K,N), b (N).
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels import dense as kernels

from . import gemm
from .gemm import FLAGS
from .ladder import Ladder, lists

#: on whose page this ladder stands
PAGE = "gemm"


def problem(size, rng):
    y, x, w = gemm.problem(size, rng).values()
    return {"y": y, "x": x, "w": w, "b": rng.standard_normal(size[2], np.float32)}


def dims(arrays):
    """M, K, N"""
    return (*arrays["x"].shape, arrays["w"].shape[1])


LADDER = Ladder("dense", problem, outputs=("y",), flops=lambda s: gemm.flops(s) + 2 * s[0] * s[2],
                nbytes=lambda s: gemm.nbytes(s) + 4 * s[2],
                sizes=((32, 784, 300), (64, 128, 128), (1024, 64, 1024)),
                check_sizes=gemm.LADDER.check_sizes, tolerance=gemm.LADDER.tolerance)


@LADDER.rung("plain Python", "the meaning", prepare=lists, largest=gemm.SMALL)
def plain_python(y, x, w, b):
    gemm.python_ikj(y, x, w)
    for row in y:
        for j in range(len(row)):
            row[j] = max(0.0, row[j] + b[j])


@LADDER.rung("NumPy", "as one writes it: two temporaries of the size of y")
def numpy(y, x, w, b):
    return np.maximum(x @ w + b, 0)


@LADDER.rung("NumPy, no temporaries", "out= and in place: still three passes over y")
def numpy_in_place(y, x, w, b):
    np.matmul(x, w, out=y)
    np.add(y, b, out=y)
    np.maximum(y, 0, out=y)


def _rung(name, function, idea, **more):
    LADDER.c(name, function, idea, dims=dims, flags=FLAGS, source="gemm.c", **more)


_rung("C, three passes", "dense_passes", "the packed product, then the bias, then relu")
_rung("C, fused", "dense_fused", "bias and relu while the tile is still in registers")
_rung("C, fused, threads", "dense_strips", "strips of columns", threaded=True,
      tiles=lambda x: gemm.strips({"b": x["w"]}))
LADDER.kernel("fastnn, one thread", kernels.dense, "as it ships", inputs=lambda a: (a["x"], a["w"], a["b"]),
              attrs={"activation": "relu"})
LADDER.kernel("fastnn, threads", kernels.dense, "as it ships", inputs=lambda a: (a["x"], a["w"], a["b"]),
              attrs={"activation": "relu"}, threaded=True)
