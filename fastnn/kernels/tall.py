"""Batch normalisation of tall matrices: many rows and few columns, as images leave them, in tiles of whole rows.

The kernels of `fastnn.kernels.norm` cut columns into tiles, and 64 columns make one tile however many rows there are.
Here each of the two ways is two kernels: the first takes the sums of each block of rows, the second merges them, each
tile for itself and in the order of the blocks, and goes over its rows. So all threads have work, and the bits depend
on shapes alone. `fastnn.program.fuse.split_tall` puts them in the place of `batch_norm` and `batch_norm_grad`.
"""

from __future__ import annotations

import numpy as np

from .activation import check_alpha
from .dense import ACTIVATIONS, activate
from .norm import WIDEST, BatchNorm, batch_norm
from .spec import Array, Call, blocks, like, register

CHUNK = 256  #: rows of a block are a multiple of it: those whose sums are formed at once
FULL = 1 << 14  #: elements of a block, or one chunk: 64 KiB, which stay in L2 between two passes
LEAST = 1 << 16  #: elements from which on two calls are worth more than one


def block_rows(rows: int, columns: int) -> int:
    """Rows of a block, which is a tile."""
    return CHUNK * max(1, FULL // (CHUNK * max(columns, 1)))


def is_tall(rows: int, columns: int) -> bool:
    """Whether these kernels are the better ones: tiles of columns would be too few to be shared."""
    return 0 < columns <= WIDEST and rows * columns >= LEAST and blocks(rows, block_rows(rows, columns)) >= 8


def cut(x: np.ndarray) -> list[np.ndarray]:
    """The blocks of rows of x."""
    block = block_rows(*x.shape)
    return [x[i : i + block] for i in range(0, len(x), block)]


class Tall(BatchNorm):
    """Base: ``parts`` are the slots that hold a row of N for each block of rows."""

    dims = ("rows", "columns", "block")
    parts: tuple[str, ...] = ()
    widest = WIDEST  #: columns

    def infer(self, *inputs: Array | None, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs, strict=True))
        x = slots[self.matrices[0]]
        if x.ndim != 2 or x.dtype.kind != "f" or not x.shape[0] or x.shape[1] > WIDEST:
            raise ValueError(f"{self.name} needs a float matrix of at least one row and at most {WIDEST} columns, got "
                             f"shape {x.shape} and dtype {x.dtype}.")
        if "activation" in attrs:
            check_alpha(self.name, attrs["activation"], attrs["alpha"])
        part = (blocks(x.shape[0], block_rows(*x.shape)), x.shape[1])
        for name, a in slots.items():
            shape = x.shape if name in self.matrices else part if name in self.parts else x.shape[1:]
            if a is not None and (a.shape != shape or a.dtype != x.dtype):
                raise ValueError(f"{self.name} needs {name} as {x.dtype} of shape {shape} beside {self.matrices[0]} of "
                                 f"shape {x.shape}, got shape {a.shape} and dtype {a.dtype}.")
        return tuple(like(x, x.shape if name in ("y", "dx") else part if name in self.parts else x.shape[1:])
                     for name in self.outputs)

    def sizes(self, call: Call) -> tuple[int, int, int]:
        rows, columns = call[self.matrices[0]].shape
        return rows, columns, block_rows(rows, columns)

    def tiles(self, call: Call) -> int:
        rows, _, block = self.sizes(call)
        return blocks(rows, block)


@register
class batch_norm_moments(Tall):  # noqa: N801
    """Mean and sum of squares about it, of the columns of each block of rows.

        means[i] = block[i].mean(0);  squares[i] = ((block[i] - means[i])**2).sum(0)

    Slots: means, squares (P,N); x (M,N). A block has `block_rows` rows, the last one what is left.

    Examples
    --------
    >>> batch_norm_moments(np.array([[1.0], [3.0]]))
    (array([[2.]]), array([[2.]]))
    """

    name = "batch_norm_moments"
    outputs = ("means", "squares")
    inputs = ("x",)
    optional = ()
    parts = ("means", "squares")
    flops_per_element = 5

    def numpy(self, x):
        means = np.stack([b.mean(0) for b in cut(x)])
        return means, np.stack([np.square(b - m).sum(0) for b, m in zip(cut(x), means)])


@register
class batch_norm_rows(Tall):  # noqa: N801
    """`batch_norm` from the moments of blocks, with what often follows it: a sum and an activation.

        y = activation((x - mean) * rstd * gamma + beta + plus)

    Slots: those of `batch_norm`, then means, squares (P,N) of `batch_norm_moments` and plus (M,N), optional.

    References
    ----------
    Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance.

    Examples
    --------
    >>> x = np.array([[1.0], [3.0]])
    >>> moving = np.zeros(1), np.ones(1)
    >>> batch_norm_rows(x, None, None, *moving, *batch_norm_moments(x), None, epsilon=0.0, activation="relu")[0]
    array([[0.],
           [1.]])
    """

    name = "batch_norm_rows"
    outputs = batch_norm.outputs
    inputs = (*batch_norm.inputs, "means", "squares", "plus")
    optional = ("gamma", "beta", "plus")
    attrs = {**batch_norm.attrs, "activation": "linear", "alpha": 1.0}
    choices = {"activation": ACTIVATIONS}
    matrices = ("x", "plus")
    parts = ("means", "squares")
    flops_per_element = 4

    def numpy(self, x, gamma, beta, moving_mean, moving_var, means, squares, plus, momentum, epsilon,
              unbiased_moving_variance, activation, alpha):
        rows = len(x)
        counts = np.array([len(b) for b in cut(x)], x.dtype)[:, None]
        mean = (means * counts).sum(0) / rows
        var = (squares + counts * np.square(means - mean)).sum(0) / rows
        rstd = 1 / np.sqrt(var + epsilon)
        y = (x - mean) * (rstd if gamma is None else rstd * gamma)
        y = y if beta is None else y + beta
        y = activate(y if plus is None else y + plus, activation, alpha)
        if unbiased_moving_variance:
            var = var * (rows / max(rows - 1, 1))
        return (y, mean, rstd, moving_mean + (mean - moving_mean) * (1 - momentum),
                moving_var + (var - moving_var) * (1 - momentum))

    def units(self, x, gamma, beta, moving_mean, moving_var, means, squares, plus, momentum, epsilon,
              unbiased_moving_variance, activation, alpha):
        scale = 1 / np.sqrt(x.var(0) + epsilon)
        size = np.abs(x - x.mean(0)) + np.abs(x.mean(0))  # before anything is added, or cut off by the activation
        size = size * scale * (1 if gamma is None else np.abs(gamma))
        return {"y": size + (0 if beta is None else np.abs(beta)) + (0 if plus is None else np.abs(plus))}


@register
class batch_norm_grad_sums(Tall):  # noqa: N801
    """The sums over rows behind `batch_norm_grad`, of each block of rows.

        s[i] = dy[i].sum(0);  q[i] = (dy[i] * (x[i] - mean)).sum(0)

    Slots: s, q (P,N); dy, x (M,N), mean (N).
    """

    name = "batch_norm_grad_sums"
    outputs = ("s", "q")
    inputs = ("dy", "x", "mean")
    optional = ()
    matrices = ("dy", "x")
    parts = ("s", "q")
    flops_per_element = 4

    def numpy(self, dy, x, mean):
        return (np.stack([d.sum(0) for d in cut(dy)]),
                np.stack([(d * (b - mean)).sum(0) for d, b in zip(cut(dy), cut(x))]))


@register
class batch_norm_grad_rows(Tall):  # noqa: N801
    """`batch_norm_grad` from the sums of blocks.

        dbeta = s.sum(0);  dgamma = q.sum(0) * rstd;  xhat = (x - mean) * rstd
        dx = gamma * rstd * (dy - dbeta / M - xhat * dgamma / M)

    Slots: those of `batch_norm_grad`, then s, q (P,N) of `batch_norm_grad_sums`.
    """

    name = "batch_norm_grad_rows"
    outputs = ("dx", "dgamma", "dbeta")
    inputs = ("dy", "x", "gamma", "mean", "rstd", "s", "q")
    optional = ("gamma",)
    matrices = ("dy", "x")
    parts = ("s", "q")
    flops_per_element = 5

    def units(self, dy, x, gamma, mean, rstd, s, q):
        xhat, rows = (x - mean) * rstd, len(x)
        scale = np.abs(rstd if gamma is None else rstd * gamma)
        return {"dx": scale * (np.abs(dy) + np.abs(s.sum(0) / rows) + np.abs(xhat * (q.sum(0) * rstd / rows)))}

    def numpy(self, dy, x, gamma, mean, rstd, s, q):
        dgamma, dbeta = q.sum(0) * rstd, s.sum(0)
        scale = rstd if gamma is None else rstd * gamma
        return scale * (dy - dbeta / len(x) - (x - mean) * rstd * (dgamma / len(x))), dgamma, dbeta
