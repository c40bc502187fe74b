"""Activations: functions of one element (their table is in kinds.py), of rows (softmax, sparsemax, glu), of weights."""

from __future__ import annotations

import math

import numpy as np

from . import curvature
from .kinds import FLOPS, FROM_OUTPUT, KINDS, SELU_ALPHA, SELU_SCALE, sigmoid, slope, through, value
from .reduce import reduce_sum
from .spec import Array, Call, Kernel, blocks, like, register

__all__ = ["FROM_OUTPUT", "KINDS", "SELU_ALPHA", "SELU_SCALE", "sigmoid", "slope", "value"]


def _check(name: str, *arrays: Array | None) -> Array:
    """The one shape and dtype that all of these have."""
    given = [a for a in arrays if a is not None]
    for a in given:
        if a.shape != given[0].shape or a.dtype != given[0].dtype or a.dtype.kind != "f":
            met = " and ".join(f"{g.dtype}{list(g.shape)}" for g in given)
            raise ValueError(f"{name} needs floats of one shape, not {met}.")
    return given[0]


def check_alpha(name: str, kind: str, alpha: float) -> None:
    """Raise unless `kind` can do with this alpha: its derivative is found from its output, which asks for 0 or more."""
    if not 0 <= alpha < math.inf or (kind == "celu" and alpha == 0):
        least = "above" if kind == "celu" else "of at least"
        raise ValueError(f"{name}: alpha is {alpha}; {kind} wants a number {least} 0.")


@register
class activation(Kernel):
    """y = f(x) for each element.

    ==============  =================================================================================
    kind            f(x)
    ==============  =================================================================================
    linear          x
    relu            max(x, 0)
    sigmoid         1 / (1 + exp(-x))
    tanh            tanh(x)
    elu             x for x > 0, else alpha (exp(x) - 1): Clevert, Unterthiner & Hochreiter (2016)
    selu            1.0507 times elu with alpha 1.6733: Klambauer et al. (2017)
    leaky_relu      x for x > 0, else alpha x: Maas, Hannun & Ng (2013)
    relu6           min(max(x, 0), 6): Krizhevsky (2010)
    celu            x for x > 0, else alpha (exp(x / alpha) - 1): Barron (2017)
    hard_sigmoid    min(max(x + 3, 0), 6) / 6
    hard_tanh       min(max(x, -1), 1)
    hard_shrink     x for abs(x) > alpha, else 0
    soft_shrink     x - min(max(x, -alpha), alpha)
    log_sigmoid     -log(1 + exp(-x))
    sparse_plus     0 for x <= -1, x for x >= 1, (x + 1)^2 / 4 between
    sparse_sigmoid  min(max(x + 1, 0), 2) / 2
    squareplus      (x + sqrt(x^2 + alpha)) / 2: Barron (2021)
    exponential     exp(x)
    gelu            x times the normal distribution function, erf exact: Hendrycks & Gimpel (2016)
    gelu_tanh       x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: the same, approximated
    silu            x sigmoid(alpha x), also called swish: Hendrycks & Gimpel (2016); Ramachandran et al. (2017)
    softplus        log(1 + exp(x))
    softsign        x / (1 + abs(x))
    mish            x tanh(log(1 + exp(x))): Misra (2019)
    hard_silu       x min(max(x + 3, 0), 6) / 6, also called hard swish: Howard et al. (2019)
    tanh_shrink     x - tanh(x)
    ==============  =================================================================================

    NaN stays NaN. y and x have one shape, any.

    Examples
    --------
    >>> import numpy as np
    >>> activation(np.array([-2.0, 0.0, 3.0]), kind="relu")
    array([0., 0., 3.])
    """

    name = "activation"
    dims = ("N",)
    attrs = {"kind": ..., "alpha": 1.0}
    choices = {"kind": KINDS}
    flat = True

    def infer(self, x, *, kind, alpha):
        check_alpha(self.name, kind, alpha)
        return (like(_check(self.name, x)),)

    def numpy(self, x, *, kind, alpha):
        return value(kind, np.asarray(x), alpha).astype(x.dtype, copy=False)

    def sizes(self, call: Call):
        return (call["x"].size,)

    def tiles(self, call: Call):
        return blocks(call["x"].size)

    def flops(self, call: Call):
        return FLOPS[call.attr("kind")] * call["x"].size

    def units(self, x, *, kind, alpha):
        return {"y": 1.0} if kind.startswith("gelu") else {}  # the normal distribution function is good to 1e-7 of 1

    def gradient(self, call: Call, *, y):
        from_output = call.attr("kind") in FROM_OUTPUT
        x, out = (None, call["y"]) if from_output else (call["x"], None)
        return {"x": activation_grad(y, x, out, **call.attrs)}


@register
class activation_grad(Kernel):
    """dx = dy f'(x): the gradient of `activation`.

    f' is found from y for the kinds in `FROM_OUTPUT` (x may be absent), from x for the others (y may
    be absent). At a kink it is the one of the flatter side: relu's at 0 is 0. All arrays have one shape.

    Examples
    --------
    >>> import numpy as np
    >>> activation_grad(np.ones(3), None, np.array([0.0, 0.5, 1.0]), kind="sigmoid")
    array([0.  , 0.25, 0.  ])
    """

    name = "activation_grad"
    outputs = ("dx",)
    inputs = ("dy", "x", "y")
    optional = ("x", "y")
    dims = ("N",)
    attrs = {"kind": ..., "alpha": 1.0}
    choices = {"kind": KINDS}
    flat = True

    def infer(self, dy, x, y, *, kind, alpha):
        wanted = "y" if kind in FROM_OUTPUT else "x"
        if (y if wanted == "y" else x) is None:
            raise ValueError(f"{self.name} finds the derivative of {kind} from {wanted}, which is absent.")
        check_alpha(self.name, kind, alpha)
        return (like(_check(self.name, dy, x, y)),)

    def numpy(self, dy, x, y, *, kind, alpha):
        return np.array(dy) if kind == "linear" else through(kind, dy, x, y, alpha)

    def sizes(self, call: Call):
        return (call["dy"].size,)

    def tiles(self, call: Call):
        return blocks(call["dy"].size)

    def flops(self, call: Call):
        return (2 + FLOPS[call.attr("kind")]) * call["dy"].size

    def units(self, dy, x, y, *, kind, alpha):
        return {"dx": np.abs(dy)} if kind.startswith("gelu") else {}

    def gradient(self, call: Call, *, dx):
        return curvature.of_activation(call, dx)


def rows_per_tile(n: int) -> int:
    """Rows of length n that make one tile: short rows go in groups, so that tiles share no cache line."""
    return 1 if n >= 256 else 16


class _Rows(Kernel):
    """Kernels on the rows of the last axis: M rows of N (the first input says which)."""

    dims = ("M", "N")
    operations = 1  # per element

    def infer(self, *arrays):
        x = _check(self.name, *arrays)
        if x.ndim == 0:
            raise ValueError(f"{self.name} works on the last axis, and a shape () has none.")
        return (like(x),)

    def sizes(self, call: Call):
        x = call.inputs[0]
        n = x.shape[-1]
        return (x.size // n if n else 0, n)

    def tiles(self, call: Call):
        m, n = self.sizes(call)
        return blocks(m, rows_per_tile(n))

    def terms(self, call: Call):
        """A sum along the row in 16 lanes."""
        return 12 + call.inputs[0].shape[-1] // 16

    def flops(self, call: Call):
        return self.operations * call.inputs[0].size


@register
class softmax(_Rows):
    """y = exp(x) / sum(exp(x)) over the last axis, from x - max(x), so that nothing overflows.

    NaN anywhere in a row makes the row NaN, and so does a maximum of +inf or -inf.

    Examples
    --------
    >>> import numpy as np
    >>> softmax(np.array([[0.0, np.log(3.0)]])).round(6)
    array([[0.25, 0.75]])
    """

    name = "softmax"
    operations = 5

    def numpy(self, x):
        with np.errstate(invalid="ignore"):  # inf - inf
            e = np.exp(x - x.max(-1, keepdims=True)) if x.size else np.array(x)
        return e / e.sum(-1, keepdims=True)

    def gradient(self, call: Call, *, y):
        return {"x": softmax_grad(y, call["y"])}


@register
class softmax_grad(_Rows):
    """dx = y (dy - sum(dy y)) over the last axis: the gradient of `softmax` from its output y."""

    name = "softmax_grad"
    outputs = ("dx",)
    inputs = ("dy", "y")
    operations = 4

    def numpy(self, dy, y):
        return y * (dy - (dy * y).sum(-1, keepdims=True))

    def gradient(self, call: Call, *, dx):
        return curvature.of_softmax(call, dx)


@register
class log_softmax(_Rows):
    """y = x - log(sum(exp(x))) over the last axis, from x - max(x), so that nothing overflows.

    Examples
    --------
    >>> import numpy as np
    >>> np.exp(log_softmax(np.array([[0.0, np.log(3.0)]]))).round(6)
    array([[0.25, 0.75]])
    """

    name = "log_softmax"
    operations = 5

    def units(self, x):
        return {"y": 1.0}  # the logarithm of a sum that is near 1 where one x is far above the others

    def numpy(self, x):
        with np.errstate(invalid="ignore"):
            z = x - x.max(-1, keepdims=True) if x.size else np.array(x)
        return z - np.log(np.exp(z).sum(-1, keepdims=True)) if x.size else z

    def gradient(self, call: Call, *, y):
        return {"x": log_softmax_grad(y, call["y"])}


@register
class log_softmax_grad(_Rows):
    """dx = dy - exp(y) sum(dy) over the last axis: the gradient of `log_softmax` from its output y."""

    name = "log_softmax_grad"
    outputs = ("dx",)
    inputs = ("dy", "y")
    operations = 4

    def numpy(self, dy, y):
        return dy - np.exp(y) * dy.sum(-1, keepdims=True)


@register
class sparsemax(_Rows):
    """y = max(x - tau, 0) over the last axis, tau such that it sums to 1: the nearest point of the simplex.

    tau is found by Newton's method from max(x) - 1, from where it only rises (Michelot 1986), so nothing is sorted.
    NaN anywhere in a row makes NaN of each element that is not 0.

    References
    ----------
    Martins & Astudillo (2016), From softmax to sparsemax, arXiv:1602.02068.

    Examples
    --------
    >>> import numpy as np
    >>> sparsemax(np.array([[1.0, 0.5, -1.0]]))
    array([[0.75, 0.25, 0.  ]])
    """

    name = "sparsemax"
    operations = 12

    def units(self, x):
        return {"y": 1.0}  # the differences of numbers between 0 and 1

    def numpy(self, x):
        if not x.size:
            return np.array(x)
        with np.errstate(invalid="ignore", divide="ignore"):
            z = x - x.max(-1, keepdims=True)
            tau = np.full_like(z[..., :1], -1)
            for _ in range(x.shape[-1]):
                above = z > tau
                following = (np.where(above, z, 0).sum(-1, keepdims=True) - 1) / above.sum(-1, keepdims=True)
                if not (following > tau).any():
                    break
                tau = np.fmax(tau, following).astype(x.dtype)
            return np.where(z - tau <= 0, x.dtype.type(0), z - tau)

    def gradient(self, call: Call, *, y):
        return {"x": sparsemax_grad(y, call["y"])}


@register
class sparsemax_grad(_Rows):
    """dx = dy - mean(dy where y > 0) where y > 0, else 0: the gradient of `sparsemax` from its output y."""

    name = "sparsemax_grad"
    outputs = ("dx",)
    inputs = ("dy", "y")
    operations = 4

    def numpy(self, dy, y):
        above = y > 0
        mean = np.where(above, dy, 0).sum(-1, keepdims=True) / np.maximum(above.sum(-1, keepdims=True), 1)
        return np.where(above, dy - mean, 0).astype(dy.dtype, copy=False)


@register
class glu(_Rows):
    """y = a sigmoid(b), a and b the two halves of the last axis of x.

    References
    ----------
    Dauphin et al. (2017), Language modeling with gated convolutional networks, arXiv:1612.08083.

    Examples
    --------
    >>> import numpy as np
    >>> glu(np.array([[1.0, 2.0, 0.0, np.log(3.0)]]))
    array([[0.5, 1.5]])
    """

    name = "glu"
    operations = 3

    def infer(self, x):
        (y,) = super().infer(x)
        if x.shape[-1] % 2:
            raise ValueError(f"{self.name} halves the last axis, which is odd in the shape {list(x.shape)}.")
        return (Array((*y.shape[:-1], y.shape[-1] // 2), y.dtype),)

    def numpy(self, x):
        a, b = np.split(x, 2, -1)
        return a * sigmoid(b)

    def sizes(self, call: Call):
        m, n = super().sizes(call)
        return m, n // 2

    def terms(self, call: Call):
        return 8

    def gradient(self, call: Call, *, y):
        return {"x": glu_grad(y, call["x"])}


@register
class glu_grad(_Rows):
    """dx = (dy s, dy s a (1 - s)), s = sigmoid(b): the gradient of `glu` from its input x = (a, b)."""

    name = "glu_grad"
    outputs = ("dx",)
    inputs = ("dy", "x")
    operations = 7

    def infer(self, dy, x):
        if dy.dtype != x.dtype or x.ndim == 0 or dy.shape != (*x.shape[:-1], x.shape[-1] / 2):
            raise ValueError(f"{self.name} needs dy of half the last axis of x, not {dy.dtype}{list(dy.shape)} and "
                             f"{x.dtype}{list(x.shape)}.")
        return (like(x),)

    def numpy(self, dy, x):
        a, b = np.split(x, 2, -1)
        da = dy * sigmoid(b)
        return np.concatenate([da, da * a * sigmoid(-b)], -1)

    def terms(self, call: Call):
        return 8


@register
class prelu(_Rows):
    """y = x where x > 0, else alpha x, with an alpha for each place of the last axis.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852, eq. 1.

    Examples
    --------
    >>> import numpy as np
    >>> prelu(np.array([[-4.0, -4.0], [1.0, 2.0]]), np.array([0.25, 0.5]))
    array([[-1., -2.],
           [ 1.,  2.]])
    """

    name = "prelu"
    inputs = ("x", "alpha")
    operations = 2

    def infer(self, x, alpha):
        if x.dtype != alpha.dtype or x.dtype.kind != "f" or not x.ndim or alpha.shape != x.shape[-1:]:
            raise ValueError(f"{self.name} needs floats x[..., N] and alpha[N], not {x.dtype}{list(x.shape)} and "
                             f"{alpha.dtype}{list(alpha.shape)}.")
        return (like(x),)

    def numpy(self, x, alpha):
        return np.where(x > 0, x, alpha * x)

    def terms(self, call: Call):
        return 1

    def gradient(self, call: Call, *, y):
        dx, dz = prelu_grad(y, call["x"], call["alpha"])
        rows = tuple(range(len(dz.shape) - 1))
        return {"x": dx, "alpha": reduce_sum(dz, axes=rows, keepdims=False) if rows else dz}


@register
class prelu_grad(_Rows):
    """dx = dy where x > 0, else alpha dy; dz = dy min(x, 0): the gradients of `prelu`.

    dz is alpha's before it is summed over all rows.
    """

    name = "prelu_grad"
    outputs = ("dx", "dz")
    inputs = ("dy", "x", "alpha")
    operations = 4

    def infer(self, dy, x, alpha):
        prelu.infer(x, alpha)
        _check(self.name, dy, x)
        return like(x), like(x)

    def numpy(self, dy, x, alpha):
        return np.where(x > 0, dy, alpha * dy), np.where(x > 0, x.dtype.type(0), dy * x)

    def terms(self, call: Call):
        return 1


@register
class ramp(Kernel):
    """y = min(x, top) where x > threshold, else slope (x - threshold) + value.

    One kernel for Keras's relu with all its numbers (value 0) and PyTorch's and Keras's threshold (slope 0).

    Examples
    --------
    >>> import numpy as np
    >>> ramp(np.array([-1.0, 0.5, 2.0, 9.0]), threshold=1.0, slope=0.5, top=6.0)
    array([-1.  , -0.25,  2.  ,  6.  ])
    """

    name = "ramp"
    dims = ("N",)
    attrs = {"threshold": 0.0, "slope": 0.0, "top": math.inf, "value": 0.0}
    flat = True

    def infer(self, x, *, threshold, slope, top, value):
        return (like(_check(self.name, x)),)

    def numpy(self, x, *, threshold, slope, top, value):
        below = slope * np.maximum(x - threshold, np.finfo(x.dtype).min) + value  # 0 times -inf would be NaN
        return np.where(x > threshold, np.minimum(x, top), below)

    def sizes(self, call: Call):
        return (call["x"].size,)

    def tiles(self, call: Call):
        return blocks(call["x"].size)

    def flops(self, call: Call):
        return 4 * call["x"].size

    def gradient(self, call: Call, *, y):
        return {"x": ramp_grad(y, call["x"], **{n: call.attr(n) for n in ("threshold", "slope", "top")})}


@register
class ramp_grad(Kernel):
    """dx = dy where threshold < x < top, 0 from top on, slope dy elsewhere: the gradient of `ramp`."""

    name = "ramp_grad"
    outputs = ("dx",)
    inputs = ("dy", "x")
    dims = ("N",)
    attrs = {"threshold": 0.0, "slope": 0.0, "top": math.inf}
    flat = True

    def infer(self, dy, x, *, threshold, slope, top):
        return (like(_check(self.name, dy, x)),)

    def numpy(self, dy, x, *, threshold, slope, top):
        d = np.where(x > threshold, x < top, dy.dtype.type(slope))
        return np.where(d == 0, dy.dtype.type(0), dy) * d

    def sizes(self, call: Call):
        return (call["dy"].size,)

    def tiles(self, call: Call):
        return blocks(call["dy"].size)

    def flops(self, call: Call):
        return 3 * call["dy"].size

    def terms(self, call: Call):
        return 1
