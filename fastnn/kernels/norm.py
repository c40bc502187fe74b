"""Batch normalisation, per column, and layer normalisation, per row, with their gradients.

x is a matrix of M rows and N columns. A tile is a block of columns where statistics are those of columns, and a group
of rows where they are those of rows.
"""

from __future__ import annotations

import numpy as np

from .activation import rows_per_tile
from .spec import Array, Call, Kernel, blocks, like, register

NARROW, WIDEST, LARGE = 64, 256, 1 << 19  #: columns of a tile; elements beyond which tiles are wide


def tile_width(rows: int, columns: int) -> int:
    """Columns of a tile: few while x is in cache, so that threads can share it, else long runs of memory."""
    if rows * columns <= LARGE:
        return NARROW
    even = blocks(columns, blocks(columns, WIDEST))
    return 16 * blocks(even, 16)


class BatchNorm(Kernel):
    """Base: checks that all slots but the first matrices are vectors of N."""

    dims = ("rows", "columns", "width")
    optional = ("gamma", "beta")
    matrices: tuple[str, ...] = ("x",)
    flops_per_element = 8

    def infer(self, *inputs: Array | None, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs, strict=True))
        x = slots[self.matrices[0]]
        if x.ndim != 2 or x.dtype.kind != "f" or x.shape[0] == 0:
            raise ValueError(f"{self.name} needs a float matrix of at least one row, got shape {x.shape} and "
                             f"dtype {x.dtype}.")
        for name, a in slots.items():
            shape = x.shape if name in self.matrices else x.shape[1:]
            if a is not None and (a.shape != shape or a.dtype.kind != "f"):
                raise ValueError(f"{self.name} needs {name} as floats of shape {shape} beside {self.matrices[0]} of "
                                 f"shape {x.shape}, got shape {a.shape} and dtype {a.dtype}.")
        return tuple(like(x) if name in ("y", "dx") else like(x, x.shape[1:]) for name in self.outputs)

    def sizes(self, call: Call) -> tuple[int, int, int]:
        rows, columns = call[self.matrices[0]].shape
        return rows, columns, tile_width(rows, columns)

    def tiles(self, call: Call) -> int:
        _, columns, width = self.sizes(call)
        return blocks(columns, width)

    def terms(self, call: Call) -> int:
        """Sums down the rows, 256 at a time and then over those; means, roots and products around them."""
        rows = call[self.matrices[0]].shape[0]
        return 16 + min(rows, 256) + blocks(rows, 256)

    def flops(self, call: Call) -> float:
        return float(self.flops_per_element * call[self.matrices[0]].size)


def needs(call: Call, *names: str) -> bool:
    """Whether somebody wants the gradient of one of these inputs."""
    wanted = call.extra.get("need")
    return wanted is None or any(n in wanted and call[n] is not None for n in names)


@register
class batch_norm(BatchNorm):
    """Batch normalisation in training: by the batch's own mean and (biased) variance.

        mean, var = x.mean(0), x.var(0)
        rstd = 1 / sqrt(var + epsilon)
        y = (x - mean) * rstd * gamma + beta
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var

    ``momentum`` is Keras's (PyTorch's is one minus it). The moving variance takes the biased variance
    too, as in Keras; ``unbiased_moving_variance=1`` takes ``var * M / (M - 1)``, as PyTorch does.
    mean and rstd are kept for the gradient.

    Slots: y (M,N), mean, rstd (N) written; moving_mean, moving_var (N) updated; x (M,N); gamma, beta
    (N), optional.

    References
    ----------
    Ioffe & Szegedy (2015), Batch normalization, arXiv:1502.03167. Statistics: Chan, Golub & LeVeque
    (1983), Algorithms for computing the sample variance.

    Examples
    --------
    >>> x = np.array([[1.0, 10.0], [3.0, 10.0]])
    >>> y, mean, rstd, moving_mean, moving_var = batch_norm(x, None, None, np.zeros(2), np.ones(2), epsilon=1.0)
    >>> y.round(3)
    array([[-0.707,  0.   ],
           [ 0.707,  0.   ]])
    >>> moving_mean.round(3)
    array([0.02, 0.1 ])
    """

    name = "batch_norm"
    outputs = ("y", "mean", "rstd", "moving_mean", "moving_var")
    inputs = ("x", "gamma", "beta", "moving_mean", "moving_var")
    attrs = {"momentum": 0.99, "epsilon": 1e-3, "unbiased_moving_variance": 0}

    def numpy(self, x, gamma, beta, moving_mean, moving_var, momentum, epsilon, unbiased_moving_variance):
        rows = len(x)
        mean = x.mean(0)
        var = np.square(x - mean).mean(0)
        rstd = 1 / np.sqrt(var + epsilon)
        y = (x - mean) * (rstd if gamma is None else rstd * gamma)
        if unbiased_moving_variance:
            var = var * (rows / max(rows - 1, 1))
        return (y if beta is None else y + beta, mean, rstd,
                moving_mean + (mean - moving_mean) * (1 - momentum), moving_var + (var - moving_var) * (1 - momentum))

    def units(self, x, gamma, beta, moving_mean, moving_var, momentum, epsilon, unbiased_moving_variance):
        scale = 1 / np.sqrt(x.var(0) + epsilon)  # the mean is rounded before it is subtracted
        return {"y": np.abs(x.mean(0)) * scale * (1 if gamma is None else np.abs(gamma))}

    def gradient(self, call: Call, y=None, **grads):
        if y is None:
            return {}
        x, gamma, mean, rstd = call["x"], call["gamma"], call["mean"], call["rstd"]
        if needs(call, "x"):
            dx, dgamma, dbeta = batch_norm_grad(y, x, gamma, mean, rstd)
            return {"x": dx, "gamma": dgamma, "beta": dbeta}
        if needs(call, "gamma", "beta"):
            dgamma, dbeta = batch_norm_grad_parameters(y, x, mean, rstd)
            return {"gamma": dgamma, "beta": dbeta}
        return {}


@register
class batch_norm_grad(BatchNorm):
    """Gradient of `batch_norm`, through mean and variance.

        xhat = (x - mean) * rstd
        dbeta = dy.sum(0);  dgamma = (dy * xhat).sum(0)
        dx = gamma * rstd * (dy - dbeta / M - xhat * dgamma / M)

    Slots: dx (M,N), dgamma, dbeta (N); dy, x (M,N), gamma (N), optional, mean, rstd (N).
    """

    name = "batch_norm_grad"
    outputs = ("dx", "dgamma", "dbeta")
    inputs = ("dy", "x", "gamma", "mean", "rstd")
    optional = ("gamma",)
    matrices = ("dy", "x")
    flops_per_element = 9

    def units(self, dy, x, gamma, mean, rstd):
        # Upstream gradients that are alike cancel to nothing but the roundings of these three.
        xhat = (x - mean) * rstd
        scale = np.abs(rstd if gamma is None else rstd * gamma)
        return {"dx": scale * (np.abs(dy) + np.abs(dy.mean(0)) + np.abs(xhat * (dy * xhat).mean(0)))}

    def numpy(self, dy, x, gamma, mean, rstd):
        dgamma, dbeta = batch_norm_grad_parameters.numpy(dy, x, mean, rstd)
        scale = rstd if gamma is None else rstd * gamma
        return scale * (dy - dbeta / len(x) - (x - mean) * rstd * (dgamma / len(x))), dgamma, dbeta


@register
class batch_norm_grad_parameters(BatchNorm):
    """The half of `batch_norm_grad` that a first layer needs: no gradient of the data.

    Slots: dgamma, dbeta (N); dy, x (M,N), mean, rstd (N).
    """

    name = "batch_norm_grad_parameters"
    outputs = ("dgamma", "dbeta")
    inputs = ("dy", "x", "mean", "rstd")
    optional = ()
    matrices = ("dy", "x")
    flops_per_element = 4

    def numpy(self, dy, x, mean, rstd):
        return (dy * ((x - mean) * rstd)).sum(0), dy.sum(0)


@register
class batch_norm_inference(BatchNorm):
    """Batch normalisation by the moving statistics: a row does not depend on the others.

        y = (x - moving_mean) * gamma / sqrt(moving_var + epsilon) + beta

    Slots: y (M,N); x (M,N), gamma, beta (N), optional, moving_mean, moving_var (N).

    Examples
    --------
    >>> batch_norm_inference(np.array([[5.0]]), None, np.array([1.0]), np.array([3.0]), np.array([4.0]), epsilon=0.0)
    array([[2.]])
    """

    name = "batch_norm_inference"
    inputs = ("x", "gamma", "beta", "moving_mean", "moving_var")
    attrs = {"epsilon": 1e-3}
    flops_per_element = 3

    def numpy(self, x, gamma, beta, moving_mean, moving_var, epsilon):
        scale = 1 / np.sqrt(moving_var + epsilon)
        y = (x - moving_mean) * (scale if gamma is None else scale * gamma)
        return y if beta is None else y + beta

    def gradient(self, call: Call, y=None):
        if y is None or not needs(call, "x", "gamma", "beta"):
            return {}
        dx, dgamma, dbeta = batch_norm_inference_grad(
            y, call["x"], call["gamma"], call["moving_mean"], call["moving_var"], epsilon=call.attr("epsilon"))
        return {"x": dx, "gamma": dgamma, "beta": dbeta}


@register
class fold_norm(BatchNorm):
    """A layer's kernel and bias with the `batch_norm_inference` behind it in them: ``norm(x @ w + b)`` is then
    ``x @ folded + offset``.

        scale = gamma / sqrt(moving_var + epsilon)
        folded = w * scale;  offset = (b - moving_mean) * scale + beta

    Slots: folded (K,N), offset (N); w (K,N), b, gamma, beta (N), optional, moving_mean, moving_var (N). The kernel of a
    convolution is the matrix of its taps and channels by its filters.

    Examples
    --------
    >>> one = np.array([1.0])
    >>> fold_norm(np.array([[2.0]]), one, None, np.array([5.0]), np.array([3.0]), np.array([4.0]), epsilon=0.0)
    (array([[1.]]), array([4.]))
    """

    name = "fold_norm"
    outputs = ("folded", "offset")
    inputs = ("w", "b", "gamma", "beta", "moving_mean", "moving_var")
    optional = ("b", "gamma", "beta")
    attrs = {"epsilon": 1e-3}
    matrices = ("w",)
    flops_per_element = 1

    def infer(self, w, *vectors, **attrs):
        super().infer(w, *vectors, **attrs)
        return like(w), like(w, w.shape[1:])

    def numpy(self, w, b, gamma, beta, moving_mean, moving_var, epsilon):
        scale = 1 / np.sqrt(moving_var + epsilon)
        scale = scale if gamma is None else scale * gamma
        offset = (-moving_mean if b is None else b - moving_mean) * scale
        return w * scale, offset if beta is None else offset + beta

    def terms(self, call: Call) -> int:
        return 8


@register
class batch_norm_inference_grad(BatchNorm):
    """Gradient of `batch_norm_inference`: a frozen layer passes it on, its gamma and beta may still learn.

        rstd = 1 / sqrt(moving_var + epsilon)
        dx = dy * gamma * rstd;  dgamma = (dy * (x - moving_mean) * rstd).sum(0);  dbeta = dy.sum(0)

    Slots: dx (M,N), dgamma, dbeta (N); dy, x (M,N), gamma (N), optional, moving_mean, moving_var (N).
    """

    name = "batch_norm_inference_grad"
    outputs = ("dx", "dgamma", "dbeta")
    inputs = ("dy", "x", "gamma", "moving_mean", "moving_var")
    optional = ("gamma",)
    attrs = {"epsilon": 1e-3}
    matrices = ("dy", "x")
    flops_per_element = 5

    def numpy(self, dy, x, gamma, moving_mean, moving_var, epsilon):
        rstd = 1 / np.sqrt(moving_var + epsilon)
        dgamma, dbeta = batch_norm_grad_parameters.numpy(dy, x, moving_mean, rstd)
        return dy * (rstd if gamma is None else rstd * gamma), dgamma, dbeta


# ---------------------------------------------------------------------- statistics of rows

KINDS = ("layer", "rms", "unit")  #: which mean is taken off, and what the sum of squares is divided by


def _rows(kind: str, x, epsilon: float):
    """(mean, rstd) of each row."""
    mean = x.mean(1) if kind == "layer" else np.zeros(len(x), x.dtype)
    squares = np.square(x - mean[:, None])
    return mean, 1 / np.sqrt((squares.sum(1) if kind == "unit" else squares.mean(1)) + epsilon)


class RowNorm(Kernel):
    """Base of the kernels on rows: x is (M, N), gamma and beta hold N numbers for each of P kinds of row.

    Row r takes part r % P of gamma: P is 1 in layer normalisation and the number of groups in group normalisation.
    """

    dims = ("M", "N", "P")
    attrs = {"kind": "layer"}
    choices = {"kind": KINDS}
    matrices: tuple[str, ...] = ("x",)
    flops_per_element = 7

    def infer(self, *inputs: Array | None, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs, strict=True))
        x = slots[self.matrices[0]]
        if x.ndim != 2 or x.dtype.kind != "f" or x.shape[1] == 0:
            raise ValueError(f"{self.name} needs a float matrix of at least one column, got shape {x.shape} and "
                             f"dtype {x.dtype}.")
        rows, columns = x.shape
        width = None
        for name, a in slots.items():
            if a is None:
                continue
            if name in ("gamma", "beta"):
                fits = a.ndim == 1 and a.size and a.size % columns == 0 and rows % (a.size // columns) == 0
                fits = fits and width in (None, a.size)
                width, wanted = a.size, f"a vector of {columns} floats for each kind of row, of which {rows} rows " \
                                        "are a multiple, as gamma and beta both have them"
            else:
                shape = x.shape if name in self.matrices else x.shape[:1]
                fits, wanted = a.shape == shape, f"floats of shape {shape}"
            if not fits or a.dtype.kind != "f":
                raise ValueError(f"{self.name} needs {name} as {wanted} beside {self.matrices[0]} of shape {x.shape}, "
                                 f"got shape {a.shape} and dtype {a.dtype}.")
        return self._outputs(x, attrs)

    def _outputs(self, x: Array, attrs) -> tuple[Array, ...]:
        return tuple(like(x) if name in ("y", "dx") else like(x, x.shape[:1]) for name in self.outputs)

    def sizes(self, call: Call) -> tuple[int, int, int]:
        rows, columns = call[self.matrices[0]].shape
        wide = next((a for a in (call[n] for n in self.inputs if n in ("gamma", "beta")) if a is not None), None)
        return rows, columns, 1 if wide is None else wide.size // columns

    def tiles(self, call: Call) -> int:
        rows, columns, _ = self.sizes(call)
        return blocks(rows, rows_per_tile(columns))

    def terms(self, call: Call) -> int:
        """Sums along the row in 16 lanes; means, roots and products around them."""
        return 24 + call[self.matrices[0]].shape[1] // 8

    def flops(self, call: Call) -> float:
        return float(self.flops_per_element * call[self.matrices[0]].size)


@register
class row_norm(RowNorm):
    """Normalise each row by its own statistics, then scale and shift it.

        layer  mean = x.mean(1);  rstd = 1 / sqrt(mean((x - mean)**2) + epsilon)
        rms    mean = 0;          rstd = 1 / sqrt(mean(x**2) + epsilon)
        unit   mean = 0;          rstd = 1 / sqrt(sum(x**2) + epsilon)
        y = (x - mean) * rstd * gamma + beta

    The mean is taken off before squares are summed: a row stays in cache between the two passes, and no digit is lost
    where the mean is large. Row r of x takes gamma[r % P], gamma seen as (P, N). mean and rstd are kept for the
    gradient.

    Slots: y (M,N), mean, rstd (M) written; x (M,N); gamma, beta (P*N), optional.

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450. Zhang & Sennrich (2019), Root mean square layer
    normalization, arXiv:1910.07467. Wu & He (2018), Group normalization, arXiv:1803.08494.

    Examples
    --------
    >>> y, mean, rstd = row_norm(np.array([[1.0, 3.0]]), None, None, kind="layer", epsilon=0.0)
    >>> y, mean
    (array([[-1.,  1.]]), array([2.]))
    """

    name = "row_norm"
    outputs = ("y", "mean", "rstd")
    inputs = ("x", "gamma", "beta")
    optional = ("gamma", "beta")
    attrs = {"kind": "layer", "epsilon": 1e-3}

    def numpy(self, x, gamma, beta, kind, epsilon):
        mean, rstd = _rows(kind, x, epsilon)
        y = (x - mean[:, None]) * rstd[:, None]
        if gamma is not None:
            y = (y.reshape(-1, gamma.size) * gamma).reshape(x.shape)
        if beta is not None:
            y = (y.reshape(-1, beta.size) + beta).reshape(x.shape)
        return y, mean, rstd

    def units(self, x, gamma, beta, kind, epsilon):
        mean, rstd = _rows(kind, x, epsilon)  # the mean is rounded before it is subtracted
        size = np.abs(mean * rstd)[:, None]
        if gamma is not None:
            size = (np.broadcast_to(size, x.shape).reshape(-1, gamma.size) * np.abs(gamma)).reshape(x.shape)
        return {"y": size}

    def gradient(self, call: Call, y=None, **grads):
        if y is None:
            return {}
        x, gamma, beta, mean, rstd = call["x"], call["gamma"], call["beta"], call["mean"], call["rstd"]
        found = {}
        if needs(call, "x"):
            found["x"] = row_norm_grad(y, x, gamma, mean, rstd, kind=call.attr("kind"))
        if needs(call, "gamma", "beta") and (gamma is not None or beta is not None):
            width = (gamma if gamma is not None else beta).size
            found["gamma"], found["beta"] = row_norm_grad_parameters(y, x, mean, rstd, width=width)
        return found


@register
class row_norm_grad(RowNorm):
    """Gradient of `row_norm` by x, through mean and rstd.

        g = dy * gamma;  xhat = (x - mean) * rstd
        layer  dx = rstd * (g - mean(g) - xhat * mean(g * xhat))
        rms    dx = rstd * (g - xhat * mean(g * xhat))
        unit   dx = rstd * (g - xhat * sum(g * xhat))

    Slots: dx (M,N); dy, x (M,N), gamma (P*N), optional, mean, rstd (M).
    """

    name = "row_norm_grad"
    outputs = ("dx",)
    inputs = ("dy", "x", "gamma", "mean", "rstd")
    optional = ("gamma",)
    matrices = ("dy", "x")
    flops_per_element = 11

    def numpy(self, dy, x, gamma, mean, rstd, kind):
        g = dy if gamma is None else (dy.reshape(-1, gamma.size) * gamma).reshape(dy.shape)
        r = rstd[:, None]
        xhat = (x - mean[:, None]) * r
        along = (g * xhat).sum(1, keepdims=True) / (1 if kind == "unit" else x.shape[1])
        return r * (g - (g.mean(1, keepdims=True) if kind == "layer" else 0) - xhat * along)

    def units(self, dy, x, gamma, mean, rstd, kind):
        g = np.abs(dy if gamma is None else (dy.reshape(-1, gamma.size) * gamma).reshape(dy.shape))
        xhat = np.abs(x - mean[:, None]) * rstd[:, None]
        along = (g * xhat).sum(1, keepdims=True) / (1 if kind == "unit" else x.shape[1])
        return {"dx": rstd[:, None] * (g + (g.mean(1, keepdims=True) if kind == "layer" else 0) + xhat * along)}


@register
class row_norm_grad_parameters(RowNorm):
    """Gradients of `row_norm` by gamma and beta: sums down the rows, 256 at a time.

        dgamma = (dy * (x - mean) * rstd).reshape(-1, width).sum(0);  dbeta = dy.reshape(-1, width).sum(0)

    A tile is 64 columns of the matrices seen with rows of `width` = P*N numbers.

    Slots: dgamma, dbeta (width); dy, x (M,N), mean, rstd (M).
    """

    name = "row_norm_grad_parameters"
    outputs = ("dgamma", "dbeta")
    inputs = ("dy", "x", "mean", "rstd")
    dims = ("M", "N", "width")
    attrs = {"width": ...}
    choices = {}
    hidden = ("width",)
    matrices = ("dy", "x")
    flops_per_element = 5

    def _outputs(self, x: Array, attrs) -> tuple[Array, ...]:
        width = attrs["width"]
        if width < 1 or width % x.shape[1] or x.size % width:
            raise ValueError(f"{self.name}: width is {width}; rows of {x.shape[1]} must make it up, and it the whole "
                             f"of shape {x.shape}.")
        return like(x, (width,)), like(x, (width,))

    def numpy(self, dy, x, mean, rstd, width):
        xhat = (x - mean[:, None]) * rstd[:, None]
        return (dy * xhat).reshape(-1, width).sum(0), dy.reshape(-1, width).sum(0)

    def sizes(self, call: Call) -> tuple[int, int, int]:
        return *call["x"].shape, call.attr("width")

    def tiles(self, call: Call) -> int:
        return blocks(call.attr("width"), NARROW)

    def terms(self, call: Call) -> int:
        rows = call["x"].size // call.attr("width")
        return 16 + min(rows, 256) + blocks(rows, 256)
