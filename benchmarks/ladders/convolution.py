"""A convolution of images by windows of 3 x 3, without padding. docs/kernels/convolution.md climbs this ladder.

    y[n,i,j,f] = sum over h, v, c of x[n, i + h, j + v, c] * w[h,v,c,f]

A size is NxHxWxCxF: images x (N,H,W,C), kernel w (3,3,C,F), outputs y (N,H-2,W-2,F).
"""

from __future__ import annotations

import numpy as np

from fastnn.kernels import conv as kernels

from . import build
from .ladder import Ladder, lists

#: as `build.FLAGS`, but a product and a sum may become one FMA
FLAGS = build.FLAGS.replace("-ffp-contract=off", "-ffp-contract=fast")


def problem(size, rng):
    n, h, w, c, f = size
    return {"y": np.zeros((n, h - 2, w - 2, f), np.float32), "x": rng.standard_normal((n, h, w, c), np.float32),
            "w": rng.standard_normal((3, 3, c, f), np.float32)}


def dims(arrays):
    """N, H, W, C, F"""
    return (*arrays["x"].shape, arrays["w"].shape[3])


def images(arrays):
    """A tile is an image."""
    return len(arrays["x"])


def flops(size):
    n, h, w, c, f = size
    return 2 * n * (h - 2) * (w - 2) * 9 * c * f


def nbytes(size):
    n, h, w, c, f = size
    return 4 * (n * h * w * c + 9 * c * f + n * (h - 2) * (w - 2) * f)


SMALL = (1, 8, 8, 8, 16)  # the largest on which plain Python is timed
LADDER = Ladder("convolution", problem, outputs=("y",), flops=flops, nbytes=nbytes,
                sizes=((8, 28, 28, 1, 32), (8, 28, 28, 16, 16), (8, 26, 26, 32, 64)),
                check_sizes=((1, 3, 3, 1, 16), (2, 5, 4, 3, 16), (1, 9, 12, 5, 48), (2, 7, 11, 16, 64),
                             (1, 6, 15, 20, 80)), tolerance=32)


# ---------------------------------------------------------------------- Python and NumPy

@LADDER.rung("seven loops", "the meaning, in plain Python", prepare=lists, largest=SMALL)
def seven_loops(y, x, w):
    for n, image in enumerate(y):
        for i, row in enumerate(image):
            for j, pixel in enumerate(row):
                for f in range(len(pixel)):
                    total = 0.0
                    for h in range(3):
                        for v in range(3):
                            for c in range(len(w[h][v])):
                                total += x[n][i + h][j + v][c] * w[h][v][c][f]
                    pixel[f] = total


@LADDER.rung("NumPy, nine products", "a product for each tap of the window, all pixels at once")
def numpy_taps(y, x, w):
    height, width = y.shape[1:3]
    return sum(x[:, h : h + height, v : v + width] @ w[h, v] for h in range(3) for v in range(3))


@LADDER.rung("NumPy, im2col", "a matrix of all windows, then one product of the BLAS")
def numpy_patches(y, x, w):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # (N, H-2, W-2, C, 3, 3)
    patches = np.ascontiguousarray(windows.transpose(0, 1, 2, 4, 5, 3)).reshape(-1, 9 * x.shape[3])
    return (patches @ w.reshape(-1, w.shape[3])).reshape(y.shape)


@LADDER.numba("Numba", "seven loops, compiled; the filters innermost", options={"fastmath": {"contract"}})
def numba_loops(y, x, w):
    for n in range(y.shape[0]):
        for i in range(y.shape[1]):
            for j in range(y.shape[2]):
                y[n, i, j] = 0
                for h in range(3):
                    for v in range(3):
                        for c in range(x.shape[3]):
                            a = x[n, i + h, j + v, c]
                            for f in range(y.shape[3]):
                                y[n, i, j, f] += a * w[h, v, c, f]


# ---------------------------------------------------------------------- C

def _rung(name, function, idea, **more):
    LADDER.c(name, function, idea, dims=dims, flags=FLAGS, tiles=images, **more)


_rung("C, the formula", "conv_formula", "seven loops in the order in which they are written")
_rung("C, filters innermost", "conv_filters", "the inner loop vectorizes; the sums are in memory")
_rung("C, im2col", "conv_patches", "a matrix of all windows; a tile of pixels and filters in registers")
_rung("C, im2col by image", "conv_patches_by_image", "the matrix of one image at a time stays in the cache")
_rung("C, nine products", "conv_taps", "no matrix: the image itself, once for each tap")
_rung("C, three products", "conv_rows", "taps of a row are neighbours: once for each row of the window")
_rung("C, runs", "conv_runs", "the sums stay in registers over all rows of the window")
_rung("C, threads", "conv_runs", "image by image, handed out", threaded=True)
_rung("C, Winograd by image", "conv_winograd_by_image", "16 multiplications for four outputs instead of 36")
_rung("C, Winograd", "conv_winograd", "twelve tiles at a time, whose points stay in L1")


# ---------------------------------------------------------------------- fastnn

LADDER.kernel("fastnn, one thread", kernels.conv,
              "any stride, padding, dilation and groups; bias and activation; Winograd where it pays",
              inputs=lambda a: (a["x"], a["w"], None))
LADDER.kernel("fastnn, threads", kernels.conv, "tiles of rows of images, handed out",
              inputs=lambda a: (a["x"], a["w"], None), threaded=True)


# ---------------------------------------------------------------------- more for the page

def lesson() -> str:
    """What the matrix of patches costs in memory, beside the images and the outputs."""
    lines = ["layer                         images    outputs    patches"]
    for text, size in (("28x28x1 to 32, batch 64", (64, 28, 28, 1, 32)),
                       ("26x26x32 to 64, batch 64", (64, 26, 26, 32, 64)),
                       ("224x224x64 to 64, batch 1", (1, 224, 224, 64, 64))):
        n, h, w, c, f = size
        pixels = n * (h - 2) * (w - 2)
        lines.append(f"{text:26} {_mib(n * h * w * c)} {_mib(pixels * f)} {_mib(pixels * 9 * c)}")
    return "\n".join(lines)


def _mib(floats: int) -> str:
    return f"{4 * floats / 2**20:6.1f} MiB"
