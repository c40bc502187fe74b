"""Losses: one number per row, their gradients, and the weighted sum that makes one number of them.

z are logits, p probabilities, t targets, all (M,N); labels (M) int32 class numbers; losses (M); g (M)
is the gradient of whatever follows with respect to the losses. A label outside 0..N-1 makes NaN.
The forms from probabilities follow Keras: rows are divided by their sum, and all is kept within
[1e-7, 1 - 1e-7]; where that clips, the gradient is zero.
"""

from __future__ import annotations

import math

import numpy as np

from . import curvature
from .activation import activation_grad, softmax_grad
from .elementwise import add, affine, multiply
from .reduce import reduce_sum
from .spec import Array, Call, Kernel, blocks, like, register

TILE = 4096  #: elements that a tile has at least, if there are as many
#: Keras's bounds of a probability, 1e-7 and 1 - 1e-7, the upper one as float32 has it: log(1 - HIGH) is -15.94, not
#: -16.12, in every dtype
LOW, HIGH = 1e-7, float(np.float32(1 - 1e-7))


class RowLoss(Kernel):
    """Base of all kernels over rows: matrices (M,N) and vectors (M), told apart by their names."""

    outputs = ("losses",)
    dims = ("rows", "columns", "group")
    vectors = ("losses", "g", "labels", "hits")
    flops_per_element = 4

    def infer(self, *inputs: Array, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs, strict=True))
        x = next(a for name, a in slots.items() if name not in self.vectors)
        if x.ndim != 2 or x.shape[1] == 0:
            raise ValueError(f"{self.name} needs a matrix with at least one column, got shape {x.shape}.")
        for name, a in slots.items():
            shape = x.shape[:1] if name in self.vectors else x.shape
            if a.shape != shape:
                raise ValueError(f"{self.name} needs {name} of shape {shape}, got shape {a.shape}.")
            if (a.dtype != np.int32) if name == "labels" else a.dtype.kind != "f":
                wanted = "int32" if name == "labels" else "floats"
                raise ValueError(f"{self.name} needs {name} as {wanted}, got dtype {a.dtype} of shape {a.shape}.")
        return tuple(like(x, x.shape[:1]) if name in self.vectors else like(x) for name in self.outputs)

    def matrix(self, call: Call):
        return next(call[name] for name in self.inputs if name not in self.vectors)

    def sizes(self, call: Call) -> tuple[int, int, int]:
        rows, columns = self.matrix(call).shape
        return rows, columns, max(1, TILE // columns)

    def tiles(self, call: Call) -> int:
        rows, _, group = self.sizes(call)
        return blocks(rows, group)

    def terms(self, call: Call) -> int:
        """Sums along a row in 16 lanes; exp, log, quotient."""
        return 16 + self.matrix(call).shape[1] // 16

    def flops(self, call: Call) -> float:
        return float(self.flops_per_element * self.matrix(call).size)


def both(found: list):
    """The gradient of z from its parts: through the losses, and through the probabilities where they are used, too."""
    found = [g for g in found if g is not None]
    if not found:
        return {}
    return {"z": found[0] if len(found) == 1 else add(*found)}


# ---------------------------------------------------------------------------------------- helpers of the meanings


def onehot(labels, like):
    """1 at each row's label, 0 elsewhere; a row of NaN for a label that is no column."""
    columns = like.shape[1]
    out = (np.arange(columns) == labels[:, None]).astype(like.dtype)
    out[(labels < 0) | (labels >= columns)] = np.nan
    return out


def at(x, labels):
    """x at each row's label, or NaN."""
    known = (labels >= 0) & (labels < x.shape[1])
    return np.where(known, x[np.arange(len(x)), np.where(known, labels, 0)], np.nan).astype(x.dtype)


def log_softmax(z):
    shifted = z - z.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def smooth(t, label_smoothing, towards):
    return t * (1 - label_smoothing) + label_smoothing * towards


def share(p):
    """p over its row's sum, unclipped, and where it would be clipped."""
    q = p / p.sum(1, keepdims=True)
    return q, (q < LOW) | (q > HIGH)


# ---------------------------------------------------------------------------------------- softmax and cross-entropy


@register
class softmax_cross_entropy(RowLoss):
    """Cross-entropy of softmax with class numbers: ``losses = -log softmax(z)[label]``.

    Slots: losses (M), p (M,N) = softmax(z), kept for the gradient; z (M,N), labels (M) int32.
    Computed from ``log(sum(exp(z - max)))``, so that nothing overflows.

    Examples
    --------
    >>> losses, p = softmax_cross_entropy(np.log([[1.0, 3.0]]), np.array([1], np.int32))
    >>> p, np.exp(-losses)
    (array([[0.25, 0.75]]), array([0.75]))
    """

    name = "softmax_cross_entropy"
    outputs = ("losses", "p")
    inputs = ("z", "labels")
    flops_per_element = 20

    def numpy(self, z, labels):
        logs = log_softmax(z)
        return -at(logs, labels), np.exp(logs)

    def units(self, z, labels):
        return {"losses": 1.0}  # the logarithm of a sum that is near 1 where the label is all but certain

    def gradient(self, call: Call, losses=None, p=None):
        return both([None if losses is None else softmax_cross_entropy_grad(losses, call["p"], call["labels"]),
                     None if p is None else softmax_grad(p, call["p"])])


@register
class softmax_cross_entropy_grad(RowLoss):
    """Gradient of `softmax_cross_entropy`: ``dz = (p - onehot(labels)) * g``.

    Slots: dz (M,N); g (M), p (M,N), labels (M) int32.
    """

    name = "softmax_cross_entropy_grad"
    outputs = ("dz",)
    inputs = ("g", "p", "labels")
    flops_per_element = 2

    def numpy(self, g, p, labels):
        return (p - onehot(labels, p)) * g[:, None]

    def gradient(self, call: Call, *, dz):
        return curvature.of_rows(call, dz, {"p": lambda: curvature.times_g(call, dz)})


@register
class softmax_cross_entropy_dense(RowLoss):
    """Cross-entropy of softmax with a target for each class: ``losses = -sum(t * log softmax(z))``.

    With ``label_smoothing`` s the targets are ``t * (1 - s) + s / N``.

    Slots: losses (M), p (M,N) = softmax(z); z, t (M,N). t has no gradient.

    References
    ----------
    Szegedy et al. (2016), Rethinking the Inception architecture, arXiv:1512.00567 (label smoothing).
    """

    name = "softmax_cross_entropy_dense"
    outputs = ("losses", "p")
    inputs = ("z", "t")
    attrs = {"label_smoothing": 0.0}
    flops_per_element = 24

    def numpy(self, z, t, label_smoothing):
        logs = log_softmax(z)
        return -(smooth(t, label_smoothing, 1 / z.shape[1]) * logs).sum(1), np.exp(logs)

    def units(self, z, t, label_smoothing):
        return {"losses": np.abs(t).sum(1)}

    def gradient(self, call: Call, losses=None, p=None):
        return both([None if losses is None else softmax_cross_entropy_dense_grad(
                        losses, call["p"], call["t"], label_smoothing=call.attr("label_smoothing")),
                     None if p is None else softmax_grad(p, call["p"])])


@register
class softmax_cross_entropy_dense_grad(RowLoss):
    """Gradient of `softmax_cross_entropy_dense`: ``dz = (p * sum(t) - t) * g``, also where sum(t) is not 1.

    Slots: dz (M,N); g (M), p, t (M,N).
    """

    name = "softmax_cross_entropy_dense_grad"
    outputs = ("dz",)
    inputs = ("g", "p", "t")
    attrs = {"label_smoothing": 0.0}

    def numpy(self, g, p, t, label_smoothing):
        t = smooth(t, label_smoothing, 1 / p.shape[1])
        return (p * t.sum(1, keepdims=True) - t) * g[:, None]

    def gradient(self, call: Call, *, dz):
        s = call.attr("label_smoothing")
        total = affine(reduce_sum(call["t"], axes=(1,), keepdims=True), scale=1 - s, offset=s)
        return curvature.of_rows(call, dz, {"p": lambda: multiply(curvature.times_g(call, dz), total)})


# ---------------------------------------------------------------------------------------- cross-entropy alone


@register
class cross_entropy(RowLoss):
    """Cross-entropy of probabilities with class numbers, as Keras: ``losses = -log clip(p / sum(p))[label]``.

    Slots: losses (M); p (M,N), labels (M) int32.

    Examples
    --------
    >>> np.exp(-cross_entropy(np.array([[1.0, 3.0]]), np.array([1], np.int32)))
    array([0.75])
    """

    name = "cross_entropy"
    inputs = ("p", "labels")

    def numpy(self, p, labels):
        return -np.log(np.clip(at(share(p)[0], labels), LOW, HIGH))

    def gradient(self, call: Call, losses=None):
        return {} if losses is None else {"p": cross_entropy_grad(losses, call["p"], call["labels"])}


@register
class cross_entropy_grad(RowLoss):
    """Gradient of `cross_entropy`: ``dp = (1 - onehot / q) * g / sum(p)``, zero where ``q[label]`` is clipped.

    Slots: dp (M,N); g (M), p (M,N), labels (M) int32; ``q = p / sum(p)``.
    """

    name = "cross_entropy_grad"
    outputs = ("dp",)
    inputs = ("g", "p", "labels")

    def numpy(self, g, p, labels):
        q, clipped = share(p)
        used = np.where(at(clipped.astype(p.dtype), labels) == 1, 0, g)[:, None]
        return (1 - onehot(labels, p) / np.where(clipped, 1, q)) * used / p.sum(1, keepdims=True)


@register
class cross_entropy_dense(RowLoss):
    """Cross-entropy of probabilities with a target for each class: ``losses = -sum(t * log clip(p / sum(p)))``.

    Slots: losses (M); p, t (M,N). Label smoothing as in `softmax_cross_entropy_dense`; t has no gradient.
    """

    name = "cross_entropy_dense"
    inputs = ("p", "t")
    attrs = {"label_smoothing": 0.0}
    flops_per_element = 20

    def numpy(self, p, t, label_smoothing):
        logs = np.log(np.clip(share(p)[0], LOW, HIGH))
        return -(smooth(t, label_smoothing, 1 / p.shape[1]) * logs).sum(1)

    def gradient(self, call: Call, losses=None):
        if losses is None:
            return {}
        return {"p": cross_entropy_dense_grad(losses, call["p"], call["t"],
                                              label_smoothing=call.attr("label_smoothing"))}


@register
class cross_entropy_dense_grad(RowLoss):
    """Gradient of `cross_entropy_dense`, through the division by the sum and through the clipping.

        u = t / q, or 0 where q is clipped;  dp = (sum(u * q) - u) * g / sum(p)

    Slots: dp (M,N); g (M), p, t (M,N).
    """

    name = "cross_entropy_dense_grad"
    outputs = ("dp",)
    inputs = ("g", "p", "t")
    attrs = {"label_smoothing": 0.0}
    flops_per_element = 8

    def numpy(self, g, p, t, label_smoothing):
        q, clipped = share(p)
        t = np.where(clipped, 0, smooth(t, label_smoothing, 1 / p.shape[1]))
        u = t / np.where(clipped, 1, q)
        return (t.sum(1, keepdims=True) - u) * (g[:, None] / p.sum(1, keepdims=True))


# ---------------------------------------------------------------------------------------- binary cross-entropy


@register
class sigmoid_cross_entropy(RowLoss):
    """Binary cross-entropy of the sigmoid, the mean over a row.

        losses = mean(max(z, 0) - z * t + log(1 + exp(-abs(z))))

    With ``label_smoothing`` s the targets are ``t * (1 - s) + s / 2``.
    Slots: losses (M), p (M,N) = sigmoid(z), kept for the gradient; z, t (M,N). t has no gradient.

    Examples
    --------
    >>> losses, p = sigmoid_cross_entropy(np.array([[0.0, 1000.0]]), np.array([[1.0, 1.0]]))
    >>> losses.round(4), p
    (array([0.3466]), array([[0.5, 1. ]]))
    """

    name = "sigmoid_cross_entropy"
    outputs = ("losses", "p")
    inputs = ("z", "t")
    attrs = {"label_smoothing": 0.0}
    flops_per_element = 32

    def numpy(self, z, t, label_smoothing):
        e = np.exp(-np.abs(z))
        losses = np.maximum(z, 0) - z * smooth(t, label_smoothing, 0.5) + np.log1p(e)
        return losses.mean(1), np.where(z < 0, e, 1) / (1 + e)

    def gradient(self, call: Call, losses=None, p=None):
        return both([None if losses is None else sigmoid_cross_entropy_grad(
                        losses, call["p"], call["t"], label_smoothing=call.attr("label_smoothing")),
                     None if p is None else activation_grad(p, None, call["p"], kind="sigmoid")])


@register
class sigmoid_cross_entropy_grad(RowLoss):
    """Gradient of `sigmoid_cross_entropy`: ``dz = (p - t) * g / N``. Slots: dz (M,N); g (M), p, t (M,N)."""

    name = "sigmoid_cross_entropy_grad"
    outputs = ("dz",)
    inputs = ("g", "p", "t")
    attrs = {"label_smoothing": 0.0}

    def numpy(self, g, p, t, label_smoothing):
        return (p - smooth(t, label_smoothing, 0.5)) * (g[:, None] / p.shape[1])

    def gradient(self, call: Call, *, dz):
        return curvature.of_rows(call, dz, {"p": lambda: curvature.times_g(call, dz, 1 / call["p"].shape[1])})


@register
class binary_cross_entropy(RowLoss):
    """Binary cross-entropy of probabilities, as Keras: the mean over a row of ``-t*log(q) - (1-t)*log(1-q)``.

    Slots: losses (M); p, t (M,N); ``q = clip(p, 1e-7, 1 - 1e-7)``. Label smoothing as in
    `sigmoid_cross_entropy`; t has no gradient.
    """

    name = "binary_cross_entropy"
    inputs = ("p", "t")
    attrs = {"label_smoothing": 0.0}
    flops_per_element = 36

    def numpy(self, p, t, label_smoothing):
        t, q = smooth(t, label_smoothing, 0.5), np.clip(p, LOW, HIGH)
        return -(t * np.log(q) + (1 - t) * np.log1p(-q)).mean(1)

    def gradient(self, call: Call, losses=None):
        if losses is None:
            return {}
        return {"p": binary_cross_entropy_grad(losses, call["p"], call["t"],
                                               label_smoothing=call.attr("label_smoothing"))}


@register
class binary_cross_entropy_grad(RowLoss):
    """Gradient of `binary_cross_entropy`: ``dp = (p - t) / (p * (1 - p)) * g / N``, zero where p is clipped.

    Slots: dp (M,N); g (M), p, t (M,N).
    """

    name = "binary_cross_entropy_grad"
    outputs = ("dp",)
    inputs = ("g", "p", "t")
    attrs = {"label_smoothing": 0.0}
    flops_per_element = 7

    def numpy(self, g, p, t, label_smoothing):
        clipped = (p < LOW) | (p > HIGH)
        q = np.where(clipped, 0.5, p)
        slope = (q - smooth(t, label_smoothing, 0.5)) / (q * (1 - q))
        return np.where(clipped, 0, slope * (g[:, None] / p.shape[1]))


# ---------------------------------------------------------------------------------------- one number


@register
class weighted_sum(Kernel):
    """``total = scale * sum(weights * values)``: losses and sample weights become the loss.

    Slots: total 0-d; values (M), weights (M), optional. A weight of 2 equals the row twice. One tile.

    Examples
    --------
    >>> float(weighted_sum(np.array([1.0, 2.0]), np.array([2.0, 1.0]), scale=0.5))
    2.0
    """

    name = "weighted_sum"
    outputs = ("total",)
    inputs = ("values", "weights")
    optional = ("weights",)
    dims = ("n",)
    attrs = {"scale": 1.0}

    def infer(self, values: Array, weights: Array | None, scale: float) -> tuple[Array]:
        if values.dtype.kind != "f" or (weights is not None and weights.dtype.kind != "f"):
            raise ValueError(f"weighted_sum needs floats, got values of dtype {values.dtype}"
                             f"{'' if weights is None else f' and weights of dtype {weights.dtype}'}.")
        if weights is not None and weights.shape != values.shape:
            raise ValueError(f"weighted_sum needs weights of the values' shape {values.shape}, got {weights.shape}.")
        return (like(values, ()),)

    def numpy(self, values, weights, scale):
        return np.asarray((values if weights is None else weights * values).sum() * scale)

    def sizes(self, call: Call) -> tuple[int]:
        return (call["values"].size,)

    def terms(self, call: Call) -> int:
        return 8 + call["values"].size // 16

    def flops(self, call: Call) -> float:
        return 2.0 * call["values"].size

    def gradient(self, call: Call, total=None):
        if total is None:
            return {}
        values, weights, scale = call["values"], call["weights"], call.attr("scale")
        grads = {"values": weighted_sum_grad(total, weights, scale=scale, shape=tuple(values.shape))}
        if weights is not None and "weights" in call.extra.get("need", ()):
            grads["weights"] = weighted_sum_grad(total, values, scale=scale, shape=tuple(values.shape))
        return grads


@register
class weighted_sum_grad(Kernel):
    """``dv = g * scale * weights``. Slots: dv (M); g 0-d, weights (M), optional; ``shape`` is that of dv."""

    name = "weighted_sum_grad"
    outputs = ("dv",)
    inputs = ("g", "weights")
    optional = ("weights",)
    dims = ("n",)
    attrs = {"scale": 1.0, "shape": ...}
    hidden = ("shape",)

    def infer(self, g: Array, weights: Array | None, scale: float, shape: tuple[int, ...]) -> tuple[Array]:
        if g.shape != () or g.dtype.kind != "f":
            raise ValueError(f"weighted_sum_grad needs g as one float, got shape {g.shape} and dtype {g.dtype}.")
        if weights is not None and weights.shape != tuple(shape):
            raise ValueError(f"weighted_sum_grad needs weights of shape {tuple(shape)}, got {weights.shape}.")
        return (like(g, shape),)

    def numpy(self, g, weights, scale, shape):
        return np.full(shape, g * scale, np.asarray(g).dtype) if weights is None else g * scale * weights

    def sizes(self, call: Call) -> tuple[int]:
        return (math.prod(call.attr("shape")),)

    def flops(self, call: Call) -> float:
        return float(math.prod(call.attr("shape")))

    def gradient(self, call: Call, *, dv):
        weights, scale = call["weights"], call.attr("scale")
        grads = {"g": weighted_sum(dv, weights, scale=scale)}
        if weights is not None and "weights" in call.extra.get("need", ("weights",)):
            grads["weights"] = affine(multiply(dv, call["g"]), scale=scale)
        return grads
