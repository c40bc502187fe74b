"""Adafactor: mean squares of a matrix's gradients kept as one number for each row and one for each column.

A matrix takes three passes over its gradient: sums of squares of rows and columns, the length of the step that follows
from them, and the step. Between passes stand small kernels of one tile. Tiles of the passes are stripes of `STRIPE`
rows; g is (B, K, N), B matrices, for kernels of convolutions.
"""

from __future__ import annotations

import numpy as np

from .optim import decayed
from .spec import Array, Call, Kernel, blocks, like, register

STRIPE = 64  #: rows of a tile


class Factored(Kernel):
    """Base: checks shapes by name, sizes are those of g."""

    dims = ("B", "K", "N")

    def shapes(self, g: Array) -> dict[str, tuple[int, ...]]:
        b, k, n = g.shape
        t = blocks(k, STRIPE)
        return {"g": g.shape, "w": g.shape, "rows": (b, k), "columns": (b, t, n), "r": (b, k), "c": (b, n),
                "row": (b, k), "column": (b, n), "u2": (b * t,), "w2": (b * t,), "scale": (1,), "keep": (),
                "rate": (), "decay": ()}

    def infer(self, *inputs: Array | None, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs))
        g = slots["g"]
        if g.ndim != 3:
            raise ValueError(f"{self.name} needs g of shape (B, K, N), got {g.shape}.")
        known = self.shapes(g)
        for name, x in slots.items():
            if x is not None and (x.shape != known[name] or x.dtype.kind != "f"):
                raise ValueError(f"{self.name} needs {name} as floats of shape {known[name]} beside g of shape "
                                 f"{g.shape}, got shape {x.shape} and dtype {x.dtype}.")
        return tuple(like(g, known[name]) for name in self.outputs)

    def sizes(self, call: Call) -> tuple[int, ...]:
        return call["g"].shape

    def tiles(self, call: Call) -> int:
        b, k, _ = call["g"].shape
        return b * blocks(k, STRIPE)

    def terms(self, call: Call) -> int:
        return 16 + STRIPE + call["g"].shape[-1] // 64

    def flops(self, call: Call) -> float:
        return 4.0 * call["g"].size


def stripes(x):
    """Sums over stripes of rows of (B, K, N): (B, T, N)."""
    return np.stack([x[:, i : i + STRIPE].sum(1) for i in range(0, x.shape[1], STRIPE)], 1) if x.shape[1] else (
        np.zeros((x.shape[0], 0, x.shape[2]), x.dtype))


@register
class factored_squares(Factored):
    """Sums of squares along rows, and down the columns of each stripe of 64 rows.

    Slots: rows (B,K), columns (B,T,N) <- g (B,K,N).

    Examples
    --------
    >>> factored_squares(np.array([[[1.0, 2.0], [3.0, 0.0]]]))
    (array([[5., 9.]]), array([[[10.,  4.]]]))
    """

    name = "factored_squares"
    outputs = ("rows", "columns")
    inputs = ("g",)

    def numpy(self, g):
        return np.square(g).sum(-1), stripes(np.square(g))


@register
class factored_average(Kernel):
    """Moving averages of mean squares of rows and columns, and what a gradient's rows and columns are multiplied by.

        r += (rows / N + epsilon - r) * (1 - keep);   row = sqrt(mean(r) / r)
        c += (columns.sum() / K + epsilon - c) * (1 - keep);   column = 1 / sqrt(c)

    so that ``row * column`` is one over the root of the mean square that r and c stand for.
    Slots: r, row (B,K), c, column (B,N), r and c updated; rows (B,K); columns (B,T,N); keep 0-d.

    References
    ----------
    Shazeer & Stern (2018), Adafactor: adaptive learning rates with sublinear memory cost, arXiv:1804.04235, Alg. 4.

    Examples
    --------
    >>> start = np.zeros((1, 2))
    >>> out = factored_average(np.array([[2.0, 8.0]]), np.array([[[5.0, 5.0]]]), 0.0, start, start,
    ...                        epsilon=0.0)
    >>> [x.round(3).tolist() for x in out]      # r, c, row, column
    [[[1.0, 4.0]], [[2.5, 2.5]], [[1.581, 0.791]], [[0.632, 0.632]]]
    """

    name = "factored_average"
    outputs = ("r", "c", "row", "column")
    inputs = ("rows", "columns", "keep", "r", "c")
    dims = ("B", "K", "N", "T")
    attrs = {"epsilon": 1e-30}

    def infer(self, rows, columns, keep, r, c, *, epsilon=1e-30):
        wanted = {"r": (rows, r), "c": (like(columns, (columns.shape[0], columns.shape[-1])), c)}
        for name, (want, x) in wanted.items():
            if x.shape != want.shape:
                raise ValueError(f"factored_average needs {name} of shape {want.shape}, got {x.shape}.")
        return like(r), like(c), like(r), like(c)

    def numpy(self, rows, columns, keep, r, c, epsilon=1e-30):
        change = 1 - float(keep)
        r = r + (rows / columns.shape[-1] + epsilon - r) * change
        c = c + (columns.sum(1) / rows.shape[-1] + epsilon - c) * change
        row = np.sqrt(r.mean(-1, keepdims=True) / r)
        return r, c, row.astype(r.dtype), 1 / np.sqrt(c)

    def sizes(self, call: Call) -> tuple[int, ...]:
        b, t, n = call["columns"].shape
        return b, call["rows"].shape[1], n, t

    def tiles(self, call: Call) -> int:
        return call["rows"].shape[0]

    def terms(self, call: Call) -> int:
        return 32 + call["columns"].shape[1]

    def flops(self, call: Call) -> float:
        return 10.0 * (call["r"].size + call["c"].size)


@register
class factored_lengths(Factored):
    """Sums of squares of the step ``u = g * row * column`` and of the weights, over stripes of 64 rows.

    Slots: u2, w2 (B*T) <- g, w (B,K,N); row (B,K); column (B,N).

    Examples
    --------
    >>> factored_lengths(np.array([[[1.0, 2.0]]]), np.array([[[3.0, 4.0]]]), np.array([[0.5]]), np.array([[2.0, 1.0]]))
    (array([2.]), array([25.]))
    """

    name = "factored_lengths"
    outputs = ("u2", "w2")
    inputs = ("g", "w", "row", "column")

    def numpy(self, g, w, row, column):
        u = g * row[..., None] * column[:, None]
        return stripes(np.square(u)).sum(-1).ravel(), stripes(np.square(w)).sum(-1).ravel()


@register
class factored_scale(Kernel):
    """How long Adafactor's step is: in proportion to the weights, and clipped.

        size = max(epsilon, rms(w));   scale = rate * size / max(1, rms(u) / threshold)

    Slots: scale (1) <- u2, w2 (T) sums of squares; rate, decay 0-d, decay optional: w is meant as that leaves it.
    `count` is how many elements the sums are of.

    Examples
    --------
    >>> factored_scale(np.array([8.0, 8.0]), np.array([4.0, 0.0]), 0.5, count=4, threshold=1.0)    # 0.5 * 1 / 2
    array([0.25])
    """

    name = "factored_scale"
    outputs = ("scale",)
    inputs = ("u2", "w2", "rate", "decay")
    optional = ("decay",)
    dims = ("T",)
    attrs = {"count": ..., "epsilon": 1e-3, "threshold": 1.0}

    def infer(self, u2, w2, rate, decay=None, **attrs):
        if u2.shape != w2.shape or u2.ndim != 1:
            raise ValueError(f"factored_scale needs two vectors of one size, got {u2.shape} and {w2.shape}.")
        return (like(u2, (1,)),)

    def numpy(self, u2, w2, rate, decay=None, *, count, epsilon=1e-3, threshold=1.0):
        kept = 1 - (0.0 if decay is None else float(decay))
        size = np.maximum(epsilon, abs(kept) * np.sqrt(w2.astype(np.float64).sum() / count))
        rms = np.sqrt(u2.astype(np.float64).sum() / count)
        return np.array([float(rate) * size / np.maximum(1, rms / threshold)], u2.dtype)

    def sizes(self, call: Call) -> tuple[int]:
        return (call["u2"].size,)

    def terms(self, call: Call) -> int:
        return 16


@register
class factored_sgd(Factored):
    """The step: ``w -= scale * g * row * column``.

    Slots: w (B,K,N) updated; g (B,K,N); scale (1); row (B,K); column (B,N); decay 0-d, what w loses before.

    Examples
    --------
    >>> factored_sgd(np.array([[[1.0, 2.0]]]), np.array([0.5]), np.array([[2.0]]), np.array([[1.0, 2.0]]),
    ...              np.array([[[3.0, 3.0]]]))
    array([[[ 2., -1.]]])
    """

    name = "factored_sgd"
    outputs = ("w",)
    inputs = ("g", "scale", "row", "column", "w", "decay")
    optional = ("decay",)

    def numpy(self, g, scale, row, column, w, decay=None):
        return decayed(w, decay) - scale[0] * (g * row[..., None] * column[:, None])


@register
class adafactor(Kernel):
    """Adafactor for a vector, whose mean squares are kept one by one; one tile.

        v += (g*g + epsilon - v) * (1 - keep);   u = g / sqrt(v)
        w -= scale * u                           scale as in `factored_scale`

    Slots: w, v (n) updated; g (n); keep, rate, decay 0-d.

    Examples
    --------
    >>> adafactor(np.array([2.0, -4.0]), 0.0, 0.5, np.array([3.0, 1.0]), np.zeros(2))    # w's root mean square is 2.236
    (array([1.88196601, 2.11803399]), array([ 4., 16.]))
    """

    name = "adafactor"
    outputs = ("w", "v")
    inputs = ("g", "keep", "rate", "w", "v", "decay")
    optional = ("decay",)
    dims = ("n",)
    attrs = {"epsilon": 1e-30, "least": 1e-3, "threshold": 1.0}

    def infer(self, g, keep, rate, w, v, decay=None, **attrs):
        if not (g.shape == w.shape == v.shape) or g.ndim != 1:
            raise ValueError(f"adafactor needs vectors of one size, got g {g.shape}, w {w.shape}, v {v.shape}.")
        return like(w), like(v)

    def numpy(self, g, keep, rate, w, v, decay=None, epsilon=1e-30, least=1e-3, threshold=1.0):
        v = v + (g * g + epsilon - v) * (1 - float(keep))
        u = g / np.sqrt(v)
        if not g.size:
            return w, v
        scale = factored_scale.numpy(np.square(u).sum(keepdims=True), np.square(w).sum(keepdims=True), rate, decay,
                                     count=g.size, epsilon=least, threshold=threshold)
        return decayed(w, decay) - scale[0] * u, v

    def sizes(self, call: Call) -> tuple[int]:
        return (call["g"].size,)

    def scratch(self, call: Call) -> int:
        return 4 * call["g"].size

    def terms(self, call: Call) -> int:
        return 32 + call["g"].size // 16

    def flops(self, call: Call) -> float:
        return 14.0 * call["g"].size
