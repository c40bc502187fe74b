"""Augmentation: images seen under random affine maps, boxes pasted into them, samples mixed with one another.

Random numbers come in as uniform draws (`random_uniform`, a row for each sample), so which picture comes of which
sample is a function of (key, step, row). Arithmetic is in float32, without fused operations: NumPy has none, and the
pictures shall be the same to the bit in every backend.
"""

from __future__ import annotations

import numpy as np

from .broadcast import float_dtype
from .dropout import sin_cos
from .spec import Call, Kernel, blocks, like, register

MODES = ("constant", "nearest", "reflect", "wrap")
DRAWS = 7  #: draws of a sample for `affine_matrix`
FAR = 1e9  #: coordinates beyond this are as good as this
CHUNK = 1024  #: elements that a tile has at least, if there are as many
f4 = np.float32


def _scaled(u, low, high):
    return f4(low) + u * f4(high - low)


@register
class affine_matrix(Kernel):
    """matrix = where in the input each pixel of the output is looked for, one 2 x 3 matrix a sample.

        row_in = matrix[0] * row + matrix[1] * column + matrix[2]
        column_in = matrix[3] * row + matrix[4] * column + matrix[5]

    About the image's centre: mirrored (columns, rows) with these probabilities, turned by uniform(turn_low, turn_high)
    of a whole turn, stretched by uniform zooms, shifted by uniform shares of height and width, and by whole pixels from
    0 to crop_rows and crop_columns. `before` is the matrix of a step that comes before this one: the result looks
    through both, so that pixels are interpolated once.

    Slots: matrix (N,6); u (N,7) uniform draws: mirror columns, mirror rows, turn, zoom rows, zoom columns, shift rows,
    shift columns (the last two serve the crop too); before (N,6), optional. ``same_zoom=1``: columns as rows.

    Examples
    --------
    >>> affine_matrix(np.zeros((1, 7)), None, height=4.0, width=5.0, mirror_columns=1.0)
    array([[ 1., -0.,  0.,  0., -1.,  4.]])
    """

    name = "affine_matrix"
    outputs = ("matrix",)
    inputs = ("u", "before")
    optional = ("before",)
    dims = ("N",)
    attrs = {"height": ..., "width": ..., "mirror_columns": 0.0, "mirror_rows": 0.0, "turn_low": 0.0, "turn_high": 0.0,
             "zoom_rows_low": 1.0, "zoom_rows_high": 1.0, "zoom_columns_low": 1.0, "zoom_columns_high": 1.0,
             "same_zoom": 0.0, "shift_rows_low": 0.0, "shift_rows_high": 0.0, "shift_columns_low": 0.0,
             "shift_columns_high": 0.0, "crop_rows": 0.0, "crop_columns": 0.0}

    def infer(self, u, before, **attrs):
        float_dtype(self.name, u, before)
        if u.ndim != 2 or u.shape[1] != DRAWS or before is not None and before.shape != (u.shape[0], 6):
            raise ValueError(f"affine_matrix needs {DRAWS} draws for each sample, and matrices of 6 numbers, not "
                             f"{list(u.shape)} and {None if before is None else list(before.shape)}.")
        return (like(u, (u.shape[0], 6)),)

    def numpy(self, u, before, *, height, width, **a):
        dtype = u.dtype
        u = u.astype(f4).T
        angle = f4(4) * _scaled(u[2], a["turn_low"], a["turn_high"])  # in quarters of a turn
        quarter = np.rint(angle)
        sin, cos = sin_cos(angle - quarter)
        q = quarter.astype(np.int64) & 3
        sin, cos = np.where(q & 1, cos, sin), np.where(q & 1, sin, cos)
        sin, cos = np.where(q & 2, -sin, sin), np.where((q + 1) & 2, -cos, cos)
        rows = _scaled(u[3], a["zoom_rows_low"], a["zoom_rows_high"])
        columns = rows if a["same_zoom"] else _scaled(u[4], a["zoom_columns_low"], a["zoom_columns_high"])
        down = np.where(u[1] < f4(a["mirror_rows"]), f4(-1), f4(1))
        across = np.where(u[0] < f4(a["mirror_columns"]), f4(-1), f4(1))
        m = [rows * cos * down, rows * sin * across, None, -(columns * sin) * down, columns * cos * across, None]
        middle, centre = f4((height - 1) / 2), f4((width - 1) / 2)
        shift = _scaled(u[5], a["shift_rows_low"], a["shift_rows_high"]) * f4(height)
        aside = _scaled(u[6], a["shift_columns_low"], a["shift_columns_high"]) * f4(width)
        top, left = (np.minimum(np.floor(v * f4(n + 1)), f4(n)) for v, n in ((u[5], a["crop_rows"]),
                                                                           (u[6], a["crop_columns"])))
        m[2] = middle - (m[0] * middle + m[1] * centre) - shift + top
        m[5] = centre - (m[3] * middle + m[4] * centre) - aside + left
        if before is not None:
            b = before.astype(f4).T
            m = [b[i] * m[j] + b[i + 1] * m[j + 3] + (b[i + 2] if j == 2 else f4(0)) for i in (0, 3) for j in (0, 1, 2)]
        return np.stack(m, 1).astype(dtype, copy=False)

    def sizes(self, call: Call):
        return (call["u"].shape[0],)

    def tiles(self, call: Call):
        return blocks(call["u"].shape[0])

    def flops(self, call: Call):
        return 80.0 * call["u"].shape[0]

    def gradient(self, call: Call, *, matrix):
        return {}


def _looked_up(at: np.ndarray, n: int, mode: str) -> np.ndarray:
    """Indices within 0..n-1; -1 where there is nothing."""
    if mode == "nearest":
        return np.clip(at, 0, n - 1)
    if mode == "wrap":
        return at % n
    if mode == "reflect":
        at = at % (2 * n)
        return np.where(at < n, at, 2 * n - 1 - at)
    return np.where((at >= 0) & (at < n), at, -1)


@register
class affine_sample(Kernel):
    """y = the images of x, each looked at through its own matrix (see `affine_matrix`).

    ``bilinear=1``: between the four pixels around the place; 0: the nearest pixel. What lies beyond the image is, by
    mode: constant ``value``; nearest a a|a b c|c c; reflect b a|a b c|c b; wrap b c|a b c|a b.

    Slots: y (N,OH,OW,C); x (N,H,W,C); matrix (N,6).

    Examples
    --------
    >>> x = np.arange(6.0).reshape(1, 2, 3, 1)
    >>> affine_sample(x, np.array([[1.0, 0, 0, 0, -1, 2]]), size=(2, 3))[0, :, :, 0]
    array([[2., 1., 0.],
           [5., 4., 3.]])
    """

    name = "affine_sample"
    inputs = ("x", "matrix")
    dims = ("N", "H", "W", "C", "OH", "OW", "rows")
    attrs = {"size": ..., "mode": "reflect", "bilinear": 1.0, "value": 0.0}
    choices = {"mode": MODES}
    hidden = ("size",)

    def infer(self, x, matrix, *, size, **attrs):
        float_dtype(self.name, x, matrix)
        if x.ndim != 4 or matrix.shape != (x.shape[0], 6) or min(*x.shape[1:3], *size) < 1:
            raise ValueError(f"affine_sample needs images of shape (N, H, W, C) and (N, 6) matrices, not "
                             f"{list(x.shape)} and {list(matrix.shape)}, for pictures of {tuple(size)}.")
        return (like(x, (x.shape[0], *size, x.shape[3])),)

    def numpy(self, x, matrix, *, size, mode, bilinear, value):
        m = matrix.astype(f4)[:, :, None, None]
        i, j = np.arange(size[0], dtype=f4)[None, :, None], np.arange(size[1], dtype=f4)[None, None]
        places = [(m[:, k] * i + m[:, k + 1] * j) + m[:, k + 2] for k in (0, 3)]
        places = [np.where(p < FAR, np.where(p > -FAR, p, f4(-FAR)), f4(FAR)) for p in places]
        images = np.arange(len(x))[:, None, None]

        def at(r, c):
            r, c = _looked_up(r, x.shape[1], mode), _looked_up(c, x.shape[2], mode)
            return np.where(((r < 0) | (c < 0))[..., None], x.dtype.type(value), x[images, r, c])

        if not bilinear:
            return at(*(np.floor(p + f4(0.5)).astype(np.int64) for p in places))
        (r, c), one = (np.floor(p) for p in places), x.dtype.type(1)
        down, across = ((p - low).astype(x.dtype)[..., None] for p, low in zip(places, (r, c)))
        r, c = r.astype(np.int64), c.astype(np.int64)
        above = at(r, c) * (one - across) + at(r, c + 1) * across
        below = at(r + 1, c) * (one - across) + at(r + 1, c + 1) * across
        return above * (one - down) + below * down

    def sizes(self, call: Call):
        (n, h, w, c), (_, oh, ow, _) = call["x"].shape, call["y"].shape
        return n, h, w, c, oh, ow, max(1, CHUNK // max(ow * c, 1))

    def tiles(self, call: Call):
        n, _, _, _, oh, _, rows = self.sizes(call)
        return blocks(n * oh, rows)

    def flops(self, call: Call):
        return 9.0 * call["y"].size


@register
class paste_boxes(Kernel):
    """y = x, but what is in each sample's box is taken from `other`, or is `value`.

    A pixel (r, c) is in the box (top, left, bottom, right) if top <= r < bottom and left <= c < right. With `turn`, a
    uniform draw, sample n takes it from another one of `other`: see `partner`.

    Slots: y, x (N,H,W,C); box (N,4); other (N,H,W,C), optional; turn (1), optional.

    Examples
    --------
    >>> paste_boxes(np.ones((1, 1, 4, 1)), np.array([[0.0, 1.0, 1.0, 3.0]]), None, None).ravel()
    array([1., 0., 0., 1.])
    """

    name = "paste_boxes"
    inputs = ("x", "box", "other", "turn")
    optional = ("other", "turn")
    dims = ("N", "H", "W", "C", "rows")
    attrs = {"value": 0.0}

    def infer(self, x, box, other, turn, *, value):
        float_dtype(self.name, x, box, other, turn)
        if x.ndim != 4 or box.shape != (x.shape[0], 4) or other is not None and other.shape != x.shape \
                or turn is not None and turn.shape != (1,):
            raise ValueError(f"paste_boxes needs images of shape (N, H, W, C), a box of 4 numbers for each of them and "
                             f"others of their shape, not {list(x.shape)}, {list(box.shape)} and "
                             f"{None if other is None else list(other.shape)}.")
        return (like(x),)

    def numpy(self, x, box, other, turn, *, value):
        b = box.astype(f4)[:, :, None, None]
        r, c = np.arange(x.shape[1], dtype=f4)[:, None], np.arange(x.shape[2], dtype=f4)
        inside = ((b[:, 0] <= r) & (r < b[:, 2]) & (b[:, 1] <= c) & (c < b[:, 3]))[..., None]
        if other is not None and turn is not None:
            other = other[partner(len(x), turn[0])]
        return np.where(inside, x.dtype.type(value) if other is None else other, x)

    def sizes(self, call: Call):
        n, h, w, c = call["x"].shape
        return n, h, w, c, max(1, CHUNK // max(w * c, 1))

    def tiles(self, call: Call):
        n, h, _, _, rows = self.sizes(call)
        return blocks(n * h, rows)

    def terms(self, call: Call):
        return 0


def partner(n: int, turn) -> np.ndarray:
    """Whom each of n samples is joined with: the one so many places on, from 1 to n - 1, by a uniform draw.

    Samples of a batch stand in random order already, so each pairing is as likely as by a permutation; and nobody is
    joined with himself.

    Examples
    --------
    >>> partner(4, 0.5)
    array([2, 3, 0, 1])
    """
    places = 1 + min(int(np.floor(f4(turn) * f4(n - 1))), n - 2) if n > 1 else 0
    return (np.arange(n) + places) % max(n, 1)


@register
class mix_rows(Kernel):
    """y[n] = weight[n] * x[n] + (1 - weight[n]) * x[partner of n], for samples of any shape; see `partner`.

    Slots: y, x (N,...); weight (N); turn (1), a uniform draw.

    Examples
    --------
    >>> mix_rows(np.array([[0.0], [10.0]]), np.array([1.0, 0.25]), np.array([0.0]))
    array([[0. ],
           [2.5]])
    """

    name = "mix_rows"
    inputs = ("x", "weight", "turn")
    dims = ("N", "features")

    def infer(self, x, weight, turn):
        float_dtype(self.name, x, weight, turn)
        if x.ndim < 1 or weight.shape != x.shape[:1] or turn.shape != (1,):
            raise ValueError(f"mix_rows needs a weight for each sample and one draw, not {list(weight.shape)} and "
                             f"{list(turn.shape)} for samples {list(x.shape)}.")
        return (like(x),)

    def numpy(self, x, weight, turn):
        w = weight.reshape(-1, *[1] * (x.ndim - 1))
        return w * x + (w.dtype.type(1) - w) * x[partner(len(x), turn[0])]

    def sizes(self, call: Call):
        n = call["x"].shape[0]
        return n, call["x"].size // max(n, 1)

    def tiles(self, call: Call):
        return call["x"].shape[0]

    def flops(self, call: Call):
        return 3.0 * call["x"].size


@register
class quantile(Kernel):
    """y = the table at u of its length, by linear interpolation: uniform draws become those of any distribution.

    The table holds quantiles, evenly spaced from 0 to 1.

    Slots: y, u of one shape, u in [0, 1]; table (K), K at least 2.

    Examples
    --------
    >>> quantile(np.array([0.0, 0.75]), np.array([1.0, 2.0, 4.0]))
    array([1., 3.])
    """

    name = "quantile"
    inputs = ("u", "table")
    dims = ("N", "K")

    def infer(self, u, table):
        float_dtype(self.name, u, table)
        if table.ndim != 1 or table.size < 2:
            raise ValueError(f"quantile needs a table of at least two numbers, not {list(table.shape)}.")
        return (like(u),)

    def numpy(self, u, table):
        at = u * u.dtype.type(len(table) - 1)
        low = np.clip(np.floor(at), 0, len(table) - 2).astype(np.int64)
        return table[low] + (at - low.astype(u.dtype)) * (table[low + 1] - table[low])

    def sizes(self, call: Call):
        return call["u"].size, call["table"].size

    def tiles(self, call: Call):
        return blocks(call["u"].size)

    def flops(self, call: Call):
        return 5.0 * call["u"].size

    def gradient(self, call: Call, *, y):
        return {}


def beta_quantiles(alpha: float, count: int = 1025) -> np.ndarray:
    """Quantiles of the beta distribution with both parameters `alpha`, evenly spaced.

    Of the lower half by the integral over s = x^alpha, in which the density has no pole; the upper half mirrors it.

    Examples
    --------
    >>> beta_quantiles(1.0, 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    s = np.linspace(0, 0.5**alpha, 20001)
    density = (1 - s ** (1 / alpha)) ** (alpha - 1)
    mass = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2)])
    lower = np.interp(np.linspace(0, 0.5, count // 2 + 1), 0.5 * mass / mass[-1], s) ** (1 / alpha)
    return np.concatenate([lower, 1 - lower[-2::-1]])
