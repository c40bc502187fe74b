"""Windows that go over images: how many outputs they give, which rows of the input a tile needs, and the meanings.

What the kernels of `fastnn.kernels.conv` and `fastnn.kernels.depthwise` have in common.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .spec import blocks

TILES = 16  #: as many are enough, see `fastnn.kernels.dense`
TILE = 1e6  #: FLOPs that a tile should have where there are many
STRIP = 1 << 17  #: floats that the padded rows of a tile may take: half of a 1 MiB L2
DIMS = ("N", "H", "W", "C", "OH", "OW", "F", "KH", "KW", "groups", "stride_h", "stride_w", "dilation_h", "dilation_w",
        "top", "left", "rows", "runs")  # fmt: skip


class Geometry(NamedTuple):
    """All sizes of one convolution: images (N,H,W,C), kernel (KH,KW,C/groups,F), outputs (N,OH,OW,F)."""

    N: int
    H: int
    W: int
    C: int
    OH: int
    OW: int
    F: int
    KH: int
    KW: int
    groups: int
    strides: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]  #: above, below, left, right

    @property
    def flops(self) -> float:
        """Multiplications and additions, those with zeros of the padding included."""
        return 2.0 * self.N * self.OH * self.OW * self.F * self.KH * self.KW * (self.C // self.groups)

    @property
    def sizes(self) -> tuple[int, ...]:
        """What `DIMS` names, without the last two."""
        top, _, left, _ = self.padding
        return (*self[:10], *self.strides, *self.dilation, top, left)

    def rows_of(self, rows: int, width: int, channels: int, turned: bool) -> int:
        """Rows of one image that make a tile, of `rows` in all.

        Whole images where there are enough of them; no more rows than whose input fits into a strip.
        """
        per_row = max(self.flops / max(self.N * rows, 1), 1.0)
        cut = 1
        while (self.N * cut < TILES and rows > 2 * cut and rows // cut * per_row > TILE
               or cut < rows and self.strip(blocks(rows, cut), width, channels, turned) > STRIP):
            cut *= 2
        return max(1, blocks(rows, cut))

    def strip(self, rows: int, width: int, channels: int, turned: bool) -> int:
        """Floats of the padded rows of input that so many rows of output need."""
        reach = (self.KH - 1) * self.dilation[0]
        if turned:  # rows of x, made of those of dz
            return ((rows + reach) // self.strides[0] + 2) * width * channels
        return ((rows - 1) * self.strides[0] + reach + 1) * width * channels

    @property
    def padded_width(self) -> int:
        """Pixels of a row that outputs read."""
        return max(0, (self.OW - 1) * self.strides[1] + (self.KW - 1) * self.dilation[1] + 1)

    @property
    def turned_width(self) -> int:
        """Pixels of a row of dz, with zeros around, that all pixels of x read."""
        return (self.W + (self.KW - 1) * self.dilation[1]) // self.strides[1] + 2


def out_size(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Outputs along an axis; `padding` on both sides together."""
    return max(0, (size + padding - dilation * (kernel - 1) - 1) // stride + 1)


def _check(name: str, shape, kernel, strides, dilation, padding, groups) -> None:
    """Sentences for numbers that describe no convolution of images of this shape (N,H,W,C) by this kernel."""
    if len(shape) != 4 or len(kernel) != 4:
        raise ValueError(f"{name} needs x[N,H,W,C] and w[KH,KW,C/groups,F], not x{list(shape)} and w{list(kernel)}.")
    numbers = [*strides, *dilation, groups]
    if len(strides) != 2 or len(dilation) != 2 or len(padding) != 4 or min(numbers) < 1 or min(padding) < 0:
        raise ValueError(f"{name} needs two strides, two dilations and groups of at least 1 and four paddings of at "
                         f"least 0, not {tuple(strides)}, {tuple(dilation)}, {groups} and {tuple(padding)}.")
    if min(kernel) < 1:
        raise ValueError(f"{name} needs a kernel with elements, not w{list(kernel)}.")
    if shape[3] != kernel[2] * groups or kernel[3] % groups:
        raise ValueError(f"{name} with {groups} groups needs x[N,H,W,C] and w[KH,KW,C/groups,F], F a multiple of the "
                         f"groups; x{list(shape)} and w{list(kernel)} do not fit.")


def geometry(name: str, shape, kernel, *, strides, dilation, padding, groups, **_) -> Geometry:
    """The sizes of a convolution of images of this shape by this kernel, or ValueError in a sentence."""
    _check(name, shape, kernel, strides, dilation, padding, groups)
    (n, h, w, c), (kh, kw, _, f), (top, bottom, left, right) = shape, kernel, padding
    oh = out_size(h, kh, strides[0], dilation[0], top + bottom)
    ow = out_size(w, kw, strides[1], dilation[1], left + right)
    if oh < 1 or ow < 1:
        raise ValueError(f"{name}: the kernel of {kh} x {kw} pixels (dilation {tuple(dilation)}) is larger than the "
                         f"image of {h} x {w} pixels with its padding {tuple(padding)}.")
    return Geometry(n, h, w, c, oh, ow, f, kh, kw, groups, tuple(strides), tuple(dilation), tuple(padding))


# ---------------------------------------------------------------------- the meanings

def taps(x: np.ndarray, g: Geometry):
    """For each tap (i, j) of the kernel: the pixels (N,OH,OW,C) of the padded images that it meets."""
    top, bottom, left, right = g.padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    for i in range(g.KH):
        for j in range(g.KW):
            yield i, j, x[place(i, j, g)]


def place(i: int, j: int, g: Geometry):
    """Where the pixels that tap (i, j) meets stand in padded images."""
    (sh, sw), (dh, dw) = g.strides, g.dilation
    return np.s_[:, i * dh : i * dh + (g.OH - 1) * sh + 1 : sh, j * dw : j * dw + (g.OW - 1) * sw + 1 : sw]


def convolved(x: np.ndarray, w: np.ndarray, g: Geometry) -> np.ndarray:
    """The sum over taps of pixels times weights."""
    y = np.zeros((g.groups, g.N, g.OH, g.OW, g.F // g.groups), x.dtype)
    for i, j, pixels in taps(x, g):
        for n, (part, weights) in enumerate(zip(np.split(pixels, g.groups, -1), np.split(w[i, j], g.groups, -1))):
            y[n] += part @ weights
    return np.concatenate(list(y), -1)


def spread(dz: np.ndarray, turned: np.ndarray, g: Geometry) -> np.ndarray:
    """What `convolved` does, transposed: each pixel of dz is spread over those that it was made of."""
    top, bottom, left, right = g.padding
    dx = np.zeros((g.N, g.H + top + bottom, g.W + left + right, g.C), dz.dtype)
    for i in range(g.KH):
        for j in range(g.KW):
            weights = np.split(turned[g.KH - 1 - i, g.KW - 1 - j], g.groups, 0)
            parts = [part @ w for part, w in zip(np.split(dz, g.groups, -1), weights)]
            dx[place(i, j, g)] += np.concatenate(parts, -1)
    return dx[:, top : top + g.H, left : left + g.W]
