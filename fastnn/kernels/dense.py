"""Matrix products: fully connected layers with bias and activation, their two gradients, and matmul.

All are one product of ours (`csrc/gemm.h`) with different edges. Each element of a product is summed
over k = 0, 1, 2, ... with one rounding per term (FMA), from zero, and the bias is added last; so the
bits depend neither on tiles nor on threads nor, where there is FMA, on the CPU path.
"""

from __future__ import annotations

import math

import numpy as np

from .kinds import FROM_OUTPUT, KINDS, through, value
from .reduce import broadcast_to
from .spec import BLOCK, Array, Call, Kernel, blocks, register

ACTIVATIONS = tuple(kind for kind in KINDS if kind in FROM_OUTPUT)  #: those that the edges of a product can compute

ROWS, COLUMNS = 256, 256  #: largest tile: its block of B, 416 x 256 floats, is 416 KiB of a 1 MiB L2
PANEL = 64  #: columns of a tile are a multiple of this: four AVX-512 vectors
TILE = 5e5  #: FLOPs that a tile should have: 4 to 5 microseconds, against about 0.1 for handing it out
SMALL = 4e6  #: up to so many FLOPs it matters more that two threads finish together: tiles are cut by `halves`
MEDIUM = 3e7  #: up to so many, panels of 48 rows: a rest of a larger one would keep one thread waiting
SMALLEST = 6e5  #: below so many FLOPs (5 us) a product is one tile: to share it would cost what it saves
FAR = 1 << 17  #: floats of a dz that fills half of L2
TILES = 16  #: as many are enough: the last tile then makes a few percent, and larger ones pack less
SCRATCH = 4 * 416 * (8 * 6 + COLUMNS)  #: bytes: a stripe of A and a block of B (csrc/gemm.h)


def grid(m: int, n: int, k: int, transposed: bool = False) -> tuple[int, int]:
    """Rows and columns of the tiles that cut an m x n product over k terms.

    Tiles of all columns read A once, tiles of all rows read B once. A small B is in L1 or L2 anyway, so
    the rows are cut first, down to 16; a large one is cut into columns first, down to 64. A transposed B
    is turned around once per tile: its rows are cut only where there are many.
    """
    if 16 <= m <= ROWS and SMALLEST < 2 * m * n * k <= SMALL and n * k <= 2**15:
        return halves(m, n, transposed)
    down, across = blocks(max(m, 1), ROWS), blocks(max(n, 1), COLUMNS)
    # a product of few rows is bound by reading B: count it as if it had 8 rows
    want = min(TILES, int(2 * max(m, 8) * n * k / TILE))
    small = k * n <= 2**15 and not transposed
    while True:
        rows, columns = max(1, blocks(m, down)), max(1, blocks(blocks(n, across), PANEL)) * PANEL
        if blocks(m, rows) * blocks(n, columns) >= want:
            return rows, columns
        cut_rows, cut_columns = rows >= (128 if transposed else 32), columns > PANEL
        if cut_rows and (small or columns <= 2 * PANEL <= rows or not cut_columns):
            down *= 2
        elif cut_columns:
            across += 1
        else:
            return rows, columns


def halves(m: int, n: int, transposed: bool) -> tuple[int, int]:
    """Two tiles for a product of a few microseconds: two threads finish together, and nothing is packed twice.

    Of rows, B being small enough to be read by each; of columns where B has to be turned around.
    """
    if transposed:
        return m, max(1, blocks(n, PANEL)) * PANEL // 2
    return blocks(m, 2), max(1, blocks(n, PANEL)) * PANEL


def activate(z: np.ndarray, activation: str, alpha: float = 1.0) -> np.ndarray:
    """activation(z)."""
    return z if activation == "linear" else value(activation, z, alpha).astype(z.dtype, copy=False)


def wanted(call: Call, *names: str) -> list[bool]:
    """Which of these inputs want a gradient."""
    need = call.extra.get("need", call.kernel.inputs)
    return [n in need for n in names]


def same_dtype(name: str, *arrays: Array | None) -> None:
    kinds = {a.dtype for a in arrays if a is not None}
    if len(kinds) > 1 or any(d.kind != "f" for d in kinds):
        raise ValueError(f"{name} needs floats of one dtype, not {', '.join(sorted(map(str, kinds)))}.")


class Product(Kernel):
    """What the three kernels of a dense layer share: M rows, K inputs, N outputs, and tiles."""

    dims = ("M", "K", "N", "rows", "columns")

    def tile(self, call: Call) -> tuple[int, int]:
        """Rows and columns of a tile."""
        (m, n), k = call.outputs[0].shape, call.inputs[0].shape[1]
        return grid(m, n, k, transposed=self.name == "dense_grad_input")

    def tiles(self, call: Call) -> int:
        (m, n), (rows, columns) = call.outputs[0].shape, self.tile(call)
        return blocks(m, rows) * blocks(n, columns)

    def scratch(self, call: Call) -> int:
        return SCRATCH

    def terms(self, call: Call) -> int:
        """One rounding for each product that is added, and the edges: bias, activation."""
        return self.depth(call) + 8

    def depth(self, call: Call) -> int:
        """How many products make one element."""
        return call.inputs[0].shape[1]


@register
class dense(Product):
    """A fully connected layer: ``y = activation(x @ w + b)``.

    Slots: ``y[M,N] <- x[M,K], w[K,N], b[N]`` (optional). Bias and activation are applied to each tile
    of the product before it leaves the core.

    Parameters
    ----------
    activation : "linear", "relu", "sigmoid", "tanh", "elu" (Clevert et al., 2016) or "selu"
        (Klambauer et al., 2017).
    alpha : elu's limit at minus infinity is -alpha; positive.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.dense import dense
    >>> x, w, b = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [3.0, 0.5]]), np.array([0.5, -4.0])
    >>> dense(x, w, b, activation="relu").tolist()  # max(0, [7, 0] + [0.5, -4])
    [[7.5, 0.0]]
    """

    name = "dense"
    outputs = ("y",)
    inputs = ("x", "w", "b")
    optional = ("b",)
    attrs = {"activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def infer(self, x, w, b=None, *, activation="linear", alpha=1.0):
        if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0]:
            raise ValueError(f"dense needs x[M,K] and w[K,N], not x{list(x.shape)} and w{list(w.shape)}.")
        if b is not None and b.shape != w.shape[1:]:
            raise ValueError(f"dense with w{list(w.shape)} needs b[{w.shape[1]}], not b{list(b.shape)}.")
        same_dtype("dense", x, w, b)
        return (Array((x.shape[0], w.shape[1]), x.dtype),)

    def numpy(self, x, w, b=None, *, activation="linear", alpha=1.0):
        z = x @ w
        return activate(z if b is None else z + b, activation, alpha)

    def sizes(self, call):
        return (*call["x"].shape, call["w"].shape[1], *self.tile(call))

    def flops(self, call):
        (m, k), n = call["x"].shape, call["w"].shape[1]
        return 2.0 * m * k * n + m * n * ((call["b"] is not None) + (call.attr("activation") != "linear"))

    def gradient(self, call, y=None):
        if y is None:
            return {}
        dz, activation, alpha = y, call.attr("activation"), call.attr("alpha")
        if activation != "linear":
            from .activation import activation_grad

            dz = activation_grad(dz, None, call["y"], kind=activation, alpha=alpha)
        need_x, need_w, need_b = wanted(call, "x", "w", "b")
        grads = {}
        if need_x:
            grads["x"] = dense_grad_input(dz, call["w"], None)
        if need_w or (need_b and call["b"] is not None):
            grads["w"], grads["b"] = dense_grad_weight(call["x"], dz, None)
            if call["b"] is None:
                del grads["b"]
        return grads


@register
class dense_grad_input(Product):
    """Gradient of a dense layer's input: ``dx = dz @ w.T``, where y is given ``* activation'(y)``.

    Slots: ``dx[M,K] <- dz[M,N], w[K,N], y[M,K]`` (optional). y is the *output* of the activation that
    made the layer's input: its derivative is told from it (relu: y > 0; sigmoid: y (1 - y); tanh:
    1 - y^2; elu: 1 or y + alpha; selu: lambda or y + lambda alpha), so that dx is the gradient before
    that activation. w is transposed block by block while it is packed.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.dense import dense_grad_input
    >>> dz, w, y = np.array([[1.0, 2.0]]), np.array([[1.0, -1.0], [3.0, 0.5]]), np.array([[0.0, 5.0]])
    >>> dense_grad_input(dz, w, None).tolist()
    [[-1.0, 4.0]]
    >>> dense_grad_input(dz, w, y, activation="relu").tolist()
    [[0.0, 4.0]]
    """

    name = "dense_grad_input"
    outputs = ("dx",)
    inputs = ("dz", "w", "y")
    optional = ("y",)
    attrs = {"activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}

    def infer(self, dz, w, y=None, *, activation="linear", alpha=1.0):
        if dz.ndim != 2 or w.ndim != 2 or dz.shape[1] != w.shape[1]:
            raise ValueError(f"dense_grad_input needs dz[M,N] and w[K,N], not dz{list(dz.shape)} and w{list(w.shape)}.")
        shape = (dz.shape[0], w.shape[0])
        if y is not None and y.shape != shape:
            raise ValueError(f"dense_grad_input needs y{list(shape)}, not y{list(y.shape)}.")
        same_dtype("dense_grad_input", dz, w, y)
        return (Array(shape, dz.dtype),)

    def numpy(self, dz, w, y=None, *, activation="linear", alpha=1.0):
        dx = dz @ w.T
        return dx if y is None else through(activation, dx, None, y, alpha)

    def sizes(self, call):
        return (call["dz"].shape[0], *call["w"].shape, *self.tile(call))

    def flops(self, call):
        m, (k, n) = call["dz"].shape[0], call["w"].shape
        return 2.0 * m * k * n + (m * k if call["y"] is not None else 0)

    def gradient(self, call, *, dx):
        if call["y"] is not None:
            raise TypeError("dense_grad_input with an activation in it has no gradient.")
        need_dz, need_w = wanted(call, "dz", "w")
        grads = {"dz": dense(dx, call["w"], None)} if need_dz else {}
        return {**grads, "w": dense_grad_weight(dx, call["dz"], None)[0]} if need_w else grads


@register
class dense_grad_weight(Product):
    """Gradients of a dense layer's parameters: ``dw = x.T @ dz``, ``db = dz.sum(0)`` in the order of rows.

    Slots: ``dw[K,N], db[N] <- x[M,K], dz[M,N], then`` (optional). Tiles are panels of rows of dw, a
    multiple of 6. `then` is no array: in a program it may be another call, a flat kernel over the K N
    elements of the weight (an optimizer's update), which is run on each finished panel while that is
    in cache.

    Parameters
    ----------
    ahead : how many arrays (the first slots of `then`) that call updates. The slot behind them is its gradient;
        `slots` counts all of its slots.
    keep : 0 if nobody but `then` reads dw: then dw is not written, its panels exist in scratch memory only.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.dense import dense_grad_weight
    >>> dw, db = dense_grad_weight(np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([[3.0], [4.0]]), None)
    >>> dw.tolist(), db.tolist()
    ([[3.0], [10.0]], [7.0])
    """

    name = "dense_grad_weight"
    outputs = ("dw", "db")
    inputs = ("x", "dz", "then")
    optional = ("then",)
    dims = ("M", "K", "N", "rows", "columns", "panel")
    attrs = {"ahead": 0, "slots": 0, "keep": 1}

    def infer(self, x, dz, then=None, *, ahead=0, slots=0, keep=1):
        if x.ndim != 2 or dz.ndim != 2 or x.shape[0] != dz.shape[0]:
            raise ValueError(f"dense_grad_weight needs x[M,K] and dz[M,N], not {list(x.shape)} and {list(dz.shape)}.")
        same_dtype("dense_grad_weight", x, dz)
        return Array((x.shape[1], dz.shape[1]), x.dtype), Array(dz.shape[1:], x.dtype)

    def numpy(self, x, dz, then=None, *, ahead=0, slots=0, keep=1):
        return x.T @ dz, dz.sum(0)

    def sizes(self, call):
        return (*call["x"].shape, call["dz"].shape[1], *self.tile(call), SCRATCH // 4)

    def depth(self, call):
        return call["x"].shape[0]

    def scratch(self, call):
        return SCRATCH + 4 * (self.tile(call)[0] * call["dz"].shape[1] + BLOCK)

    def nbytes(self, call):
        return super().nbytes(call) - (0 if call.attr("keep") else call["dw"].nbytes)

    def tile(self, call):
        # Panels of all columns, for `then`, in multiples of six rows (the micro-kernel's) whose elements make whole
        # blocks of `then`; 48 rows are whole cache lines of x besides. As many as the tile size asks for, but no more
        # than leave the panel in L2, and, unless there is little to do at all, at least 4 and at most 32 tiles.
        (m, k), n = call["x"].shape, max(call["dz"].shape[1], 1)
        rows = max(TILE / max(2 * m * n, 1), k / TILES)
        rows = min(rows, k / 4 if 2 * m * n * k > SMALLEST else k, ROWS)
        if m * n > FAR:  # each panel reads all of dz, mostly from beyond L2: fewer panels, where a few are enough
            rows = max(rows, min(24, k / 2), min(48, k / 4))
        if k >= 192 and 2 * m * n * k <= MEDIUM:
            rows = min(rows, 48)
        unit = math.lcm(6, BLOCK // math.gcd(n, BLOCK)) if rows < 40 else 48
        rows = max(1, round(rows / unit)) * unit
        return rows, max(1, blocks(blocks(n, blocks(n, COLUMNS)), PANEL)) * PANEL

    def tiles(self, call):
        # one at least: db is written even where dw has no rows
        return max(1, blocks(call["dw"].shape[0], self.tile(call)[0]))

    def flops(self, call):
        (m, k), n = call["x"].shape, call["dz"].shape[1]
        return 2.0 * m * k * n + m * n

    def gradient(self, call, dw=None, db=None):
        x, dz = call["x"], call["dz"]
        need_x, need_dz = wanted(call, "x", "dz")
        grads = {}
        if need_x and dw is not None:
            grads["x"] = dense_grad_input(dz, dw, None)
        if need_dz:
            rows = None if db is None else broadcast_to(db, shape=tuple(dz.shape))
            grads["dz"] = rows if dw is None else dense(x, dw, db)
        return grads


@register
class norm_dense_grad(Product):
    """Gradients of a normalisation followed by a dense layer, where nobody wants the gradient of the data.

    With ``n = (x - mean) * rstd``, ``y = gamma n + beta`` and ``z = y @ w + b``, the detour over
    ``dy = dz @ w.T`` is not needed, because gamma and beta only scale and shift whole columns of n::

        g = n.T @ dz                           (K,N), of which everything follows:
        dw     = gamma g + beta db             row by row
        dgamma = (w * g).sum(1)                equal to (dy * n).sum(0)
        dbeta  = (w * db).sum(1)               equal to dy.sum(0)

    One product instead of two. Slots: ``dw[K,N], dgamma[K], dbeta[K] <- x[M,K], mean[K], rstd[K],
    gamma[K], beta[K]`` (both optional) ``, w[K,N], dz[M,N], db[N], then``. `then`, `ahead` and `keep` are
    those of `dense_grad_weight`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.dense import norm_dense_grad
    >>> x, w, dz = np.array([[1.0], [3.0]]), np.array([[2.0]]), np.array([[1.0], [0.5]])
    >>> norm_dense_grad(x, np.array([2.0]), np.array([1.0]), None, None, w, dz, dz.sum(0), None)
    (array([[-0.5]]), array([-1.]), array([3.]))
    """

    name = "norm_dense_grad"
    outputs = ("dw", "dgamma", "dbeta")
    inputs = ("x", "mean", "rstd", "gamma", "beta", "w", "dz", "db", "then")
    optional = ("gamma", "beta", "then")
    dims = ("M", "K", "N", "rows", "columns", "panel")
    attrs = {"ahead": 0, "slots": 0, "keep": 1}

    def infer(self, x, mean, rstd, gamma, beta, w, dz, db, then=None, *, ahead=0, slots=0, keep=1):
        if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0] or dz.shape != (x.shape[0], w.shape[1]):
            raise ValueError(f"norm_dense_grad needs x[M,K], w[K,N] and dz[M,N], not x{list(x.shape)}, "
                             f"w{list(w.shape)} and dz{list(dz.shape)}.")
        columns = Array(x.shape[1:], x.dtype)
        for name, a, n in (("mean", mean, 1), ("rstd", rstd, 1), ("gamma", gamma, 1), ("beta", beta, 1), ("db", db, 0)):
            if a is not None and a.shape != (x.shape[1:] if n else w.shape[1:]):
                raise ValueError(f"norm_dense_grad with w{list(w.shape)} can't use {name}{list(a.shape)}.")
        same_dtype("norm_dense_grad", x, mean, rstd, gamma, beta, w, dz, db)
        return Array(w.shape, x.dtype), columns, columns

    def numpy(self, x, mean, rstd, gamma, beta, w, dz, db, then=None, *, ahead=0, slots=0, keep=1):
        g = ((x - mean) * rstd).T @ dz
        dw = g if gamma is None else gamma[:, None] * g
        return dw if beta is None else dw + beta[:, None] * db, (w * g).sum(1), (w * db).sum(1)

    def tile(self, call):
        return dense_grad_weight.tile(Call(dense_grad_weight, (call["x"], call["dz"], None), (), {}))

    def sizes(self, call):
        return (*call["x"].shape, call["dz"].shape[1], *self.tile(call), SCRATCH // 4)

    def tiles(self, call):
        return blocks(call["w"].shape[0], self.tile(call)[0])

    def depth(self, call):
        return sum(call["dz"].shape)  # the product over the rows, then a sum over the columns

    def scratch(self, call):
        return SCRATCH + 4 * ((call["x"].shape[0] + call["dz"].shape[1]) * self.tile(call)[0] + BLOCK)

    def flops(self, call):
        (m, k), n = call["x"].shape, call["dz"].shape[1]
        return 2.0 * m * k * n + 7.0 * k * n + 2.0 * m * k


@register
class matmul(Kernel):
    """Matrix product ``y = op(a) @ op(b)``, where op transposes the last two axes if asked to.

    Slots: ``y <- a, b``; each is a matrix or a batch of matrices (3-D). A matrix is used with every
    matrix of the other's batch. With `sum_batch` the products of two batches are added up: one matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.kernels.dense import matmul
    >>> a, b = np.arange(6.0).reshape(2, 3), np.ones((2, 4))
    >>> matmul(a, b, transpose_a=1).tolist()
    [[3.0, 3.0, 3.0, 3.0], [5.0, 5.0, 5.0, 5.0], [7.0, 7.0, 7.0, 7.0]]
    """

    name = "matmul"
    outputs = ("y",)
    inputs = ("a", "b")
    dims = ("batch", "M", "K", "N", "a_step", "b_step", "rows", "columns")
    attrs = {"transpose_a": 0, "transpose_b": 0, "sum_batch": 0}

    def infer(self, a, b, *, transpose_a=0, transpose_b=0, sum_batch=0):
        met = f"a{list(a.shape)}{'.T' if transpose_a else ''} and b{list(b.shape)}{'.T' if transpose_b else ''}"
        if a.ndim not in (2, 3) or b.ndim not in (2, 3):
            raise ValueError(f"matmul needs matrices or batches of them (2-D or 3-D), not {met}.")
        (m, k), (k_b, n) = a.shape[-2:][:: -1 if transpose_a else 1], b.shape[-2:][:: -1 if transpose_b else 1]
        if k != k_b:
            raise ValueError(f"matmul needs as many columns on the left as rows on the right, not {met}.")
        if a.ndim == b.ndim == 3 and a.shape[0] != b.shape[0]:
            raise ValueError(f"matmul needs batches of one size, not {met}.")
        if sum_batch and not a.ndim == b.ndim == 3:
            raise ValueError(f"matmul sums over two batches (3-D), not {met}.")
        same_dtype("matmul", a, b)
        batch = () if sum_batch or a.ndim == b.ndim == 2 else a.shape[:-2] or b.shape[:-2]
        return (Array((*batch, m, n), a.dtype),)

    def numpy(self, a, b, *, transpose_a=0, transpose_b=0, sum_batch=0):
        y = (a.swapaxes(-1, -2) if transpose_a else a) @ (b.swapaxes(-1, -2) if transpose_b else b)
        return y.sum(0) if sum_batch else y

    def sizes(self, call):
        a, b, y, inner = call["a"], call["b"], call["y"], -2 if call.attr("transpose_a") else -1
        (m, n), k = y.shape[-2:], a.shape[inner]
        batch = a.shape[0] if a.ndim == 3 else b.shape[0] if b.ndim == 3 else 1
        a_step, b_step = (m * k if a.ndim == 3 else 0), (k * n if b.ndim == 3 else 0)
        if a.ndim == 3 and b.ndim == 2 and not call.attr("transpose_a"):
            batch, m = 1, batch * m  # the rows of all matrices, one below the other
        terms = k * batch if call.attr("sum_batch") else k
        return (batch, m, k, n, a_step, b_step, *grid(m, n, terms, bool(call.attr("transpose_b"))))

    def tiles(self, call):
        batch, m, _, n, _, _, rows, columns = self.sizes(call)
        return (1 if call.attr("sum_batch") else batch) * blocks(m, rows) * blocks(n, columns)

    def scratch(self, call):
        return SCRATCH

    def terms(self, call):
        batch, _, k = self.sizes(call)[:3]
        return k * (batch if call.attr("sum_batch") else 1) + 4

    def flops(self, call):
        batch, m, k, n = self.sizes(call)[:4]
        return 2.0 * batch * m * k * n

    def gradient(self, call, y=None):
        if y is None:
            return {}
        a, b, ta, tb = call["a"], call["b"], call.attr("transpose_a"), call.attr("transpose_b")
        need_a, need_b = wanted(call, "a", "b")
        grads = {}
        if need_a:
            left, right = ((b, tb), (y, 1)) if ta else ((y, 0), (b, 1 - tb))
            grads["a"] = self._product(left, right, len(a.shape))
        if need_b:
            left, right = ((y, 1), (a, ta)) if tb else ((a, 1 - ta), (y, 0))
            grads["b"] = self._product(left, right, len(b.shape))
        return grads

    def _product(self, left, right, ndim):
        (a, ta), (b, tb) = left, right
        both = len(a.shape) == len(b.shape) == 3
        return self(a, b, transpose_a=int(ta), transpose_b=int(tb), sum_batch=int(both and ndim == 2))
