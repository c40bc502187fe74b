"""Winograd's convolution F(2x2, 3x3): where it pays, what memory it needs, and how far roundings may carry it.

A tile of 2 x 2 outputs of a window of 3 x 3 takes 16 multiplications for each channel and filter instead of 36
(Winograd 1980; Lavin & Gray 2016). Patches of 4 x 4 pixels and the window are transformed first, and the sums over
channels of their products, 16 points to a tile, last; formulas and transforms are in csrc/winograd.inc. The gradient of
the window, F(3x3, 2x2), sums over tiles instead: the second half of this page.
"""

from __future__ import annotations

from .spec import blocks
from .windows import TILES, Geometry

LEAST = 16  #: channels and filters: a vector
GROUP = 6  #: tiles whose sums are in registers at once (csrc/winograd.h)
NEAR = 1 << 17  #: floats of a transformed window that stay in L2 while one group after the other meets them ...
TOGETHER = 8  #: ... beyond, so many groups meet a panel of it (14x14x256 to 256, batch 16: 16.0 ms instead of 16.3, and
#: 67 instead of 137 with 512)
LARGEST = 1 << 20  #: floats of a transformed window: each thread has one

# What a tile costs beside its 16 C F multiplications, as a share of them: TRANSFORMS (1 / C + 1 / F), from one core of
# a Zen 4 at batch 64, AVX-512 (products alone at the peak: 1): 28x28x16 1.45, 14x14x32 1.23, 7x7x64 1.12. The window's
# transform costs as much as 4 to 8 tiles, and nearly 30 where it leaves L2, for every piece of work that a thread
# takes: 16 at most. The direct form is taken to be at the peak, as it nearly is. Milliseconds, direct and so:
# 28x28x16 2.26 and 1.25, 14x14x32 2.15 and 1.06, 7x7x64 2.1 and 1.26, 26x26x32 to 24x24x64 12.6 and 6.3.
TRANSFORMS = 3.6
WINDOW, FAR_WINDOW = 8, 30

#: How much larger the bound of a sum's error is than that of the direct sum's, in proportion to their lengths. Along
#: one axis the magnitudes that an output adds up, |A'| (|G| |g|) (|B'| |d|), are at most 1*1*2 + 2 * 1*(3/2)*2 = 8
#: times max|g| max|d|, against 3 for the direct sum; along two axes it is the square.
GROWTH = (8 / 3) ** 2


def tiles(rows: int, columns: int) -> int:
    """Tiles that cover so many outputs."""
    return blocks(rows, 2) * blocks(columns, 2)


def pays(g: Geometry, rows: int, columns: int, channels: int, filters: int) -> bool:
    """Whether images whose outputs are cut into pieces of rows x columns are computed so; from shapes alone."""
    if (g.KH, g.KW, *g.strides, *g.dilation, g.groups) != (3, 3, 1, 1, 1, 1, 1) or min(channels, filters) < LEAST:
        return False
    if window(channels, filters) > LARGEST:
        return False
    images, once = max(1, g.N // TILES), WINDOW if window(channels, filters) <= NEAR else FAR_WINDOW
    here = 16 * (images * tiles(rows, columns) * (1 + TRANSFORMS / channels + TRANSFORMS / filters) + once)
    return here < 9 * images * rows * columns


def window(channels: int, filters: int) -> int:
    """Floats of the transformed window."""
    return 16 * channels * blocks(filters) * 16


def together(channels: int, filters: int) -> int:
    """Groups of tiles that are looked at together."""
    return 1 if window(channels, filters) <= NEAR else TOGETHER


def scratch(channels: int, filters: int) -> int:
    """Floats: the transformed window, and the transformed patches of some groups."""
    return window(channels, filters) + together(channels, filters) * GROUP * 16 * blocks(channels) * 16


def flops(g: Geometry, rows: int, columns: int, channels: int, filters: int) -> float:
    """Multiplications and additions: products, and the transforms of patches (32 additions) and of sums (24)."""
    return g.N * tiles(rows, columns) * (32.0 * channels * filters + 32 * channels + 24 * filters)


def terms(channels: int) -> int:
    """Roundings behind an output, as `fastnn.kernels.spec.Kernel.terms` counts them.

    Of a product: the patch's two, the window's four, the sum's over channels, and the four of the last transform; with
    one more for what follows. Taken times `GROWTH`, for what the transforms add up is larger than what comes out.
    """
    return round(GROWTH * (channels + 11))


# ---- the gradient of the window, csrc/winograd_grad.inc

POINTS = 1 << 16  #: floats that the transformed tiles of a block may take: a quarter of a 1 MiB L2
SUMS = 1 << 19  #: and that the sums of their products may take, where filters can be cut
TRANSFORM = 70  #: cycles to transform one vector of one tile

#: How much more than the direct sum adds up in magnitude, see `GROWTH`. Along one axis a tile gives up to
#: 2 * 1 + 2 * (1/2) * 2 * 2 = 6 times max|x| max|dz|, where the direct sum has 2 products.
GRADIENT_GROWTH = 3**2


def gradient_pays(g: Geometry) -> bool:
    """Whether the gradient of the window is summed over tiles of 2 x 2 pixels of dz; from shapes alone.

    A tile costs 16 FMAs for each channel and vector of filters, where pixel by pixel it costs 36, and so many cycles
    for each vector that is transformed; the last transform is one more such pass over a group's sums. Which is less
    agrees with what one core of a Zen 4 takes (64 images, ms, pixel by pixel and by tiles):

        28x28x16 to 16    2.30    1.50        7x7x64 to 64           2.10    1.50
        14x14x32 to 32    2.20    1.26        26x26x32 to 24x24x64   12.3    6.83
        14x14x8 to 16     0.28    0.26        3x3x16 to 16           0.030   0.032
    """
    if (g.KH, g.KW, *g.strides, *g.dilation, g.groups) != (3, 3, 1, 1, 1, 1, 1):
        return False
    c, f, many = blocks(g.C), blocks(g.F), g.N * tiles(g.OH, g.OW)
    return (16 * many + 80) * g.C * f + TRANSFORM * many * (c + f) < 9 * g.N * g.OH * g.OW * g.C * f


def gradient_cuts(g: Geometry) -> int:
    """Pieces of the filters of which the sums are not too large."""
    return blocks(g.C * g.F, SUMS // 16)


def width(filters: int, cuts: int) -> int:
    """Filters of a piece: whole vectors."""
    return 16 * blocks(blocks(filters, cuts))


def squares(channels: int, filters: int) -> int:
    """Tiles that are looked at together: with fewer, fetching and storing of sums would show."""
    return max(48, POINTS // (16 * (channels + filters)))


def gradient_scratch(channels: int, filters: int, count: int) -> int:
    """Floats for the points of so many tiles and for their sums, each point 16 floats on from where its rows end."""
    v, z = (roomy(n) for n in (channels, filters))
    return 16 * (count * v + 16 + count * z + 16 + channels * z + 16)


def roomy(n: int) -> int:
    """The floats that a row of n takes: whole lines, and an odd number of them where rows would share few sets."""
    n = 16 * blocks(n)
    return n + 16 if n % 256 == 0 else n


def gradient_flops(g: Geometry) -> float:
    """Multiplications and additions: products, and the transforms of patches (32 additions) and of tiles (12)."""
    return g.N * tiles(g.OH, g.OW) * (32.0 * g.C * g.F + 32 * g.C + 12 * g.F)


def gradient_terms(count: int) -> int:
    """Roundings behind an element: two of patches, two of tiles, the sum's over tiles, four of the last transform."""
    return GRADIENT_GROWTH * (count + 8)
