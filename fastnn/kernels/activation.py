"""Activations: functions of one element, and softmax over the last axis."""

from __future__ import annotations

import math

import numpy as np

from .spec import Array, Call, Kernel, blocks, like, register

#: the functions of one element, in the order of `enum fnn_activation` (csrc/elementwise.h)
KINDS = ("linear", "relu", "sigmoid", "tanh", "elu", "selu", "gelu", "gelu_tanh", "silu", "softplus", "exponential")

#: kinds whose derivative is taken from the output y; the others need the input x
FROM_OUTPUT = frozenset({"linear", "relu", "sigmoid", "tanh", "elu", "selu", "exponential"})

SELU_SCALE = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772

#: operations per element, one for each arithmetic sign or function in the formula
FLOPS = dict(linear=0, relu=1, sigmoid=4, tanh=1, elu=3, selu=4, gelu=5, gelu_tanh=9, silu=5, softplus=3, exponential=1)

_erfc = np.frompyfunc(math.erfc, 1, 1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, x.dtype.type(1)) / (1 + e)


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """The standard normal distribution function, erfc(-x / sqrt 2) / 2."""
    return 0.5 * np.asarray(_erfc(x * -math.sqrt(0.5))).astype(x.dtype)


def value(kind: str, x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """The function `kind` of each element; -inf gives the limit, NaN gives NaN."""
    if kind == "linear":
        return np.array(x)
    if kind == "relu":
        return np.maximum(x, 0)
    if kind == "sigmoid":
        return sigmoid(x)
    if kind == "tanh":
        return np.tanh(x)
    if kind == "elu":
        return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    if kind == "selu":
        return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))
    if kind == "gelu":
        return np.maximum(x, -100) * normal_cdf(x)
    if kind == "gelu_tanh":
        x = np.maximum(x, -100)
        z = np.minimum(x, 100)
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
    if kind == "silu":
        return np.maximum(x, -1000) * sigmoid(x)
    if kind == "softplus":
        return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return np.exp(x)


def slope(kind: str, x: np.ndarray | None, y: np.ndarray | None, alpha: float = 1.0) -> np.ndarray:
    """The derivative of `kind`, from y where it is in `FROM_OUTPUT`, else from x."""
    if kind == "linear":
        return np.ones_like(y)
    if kind == "relu":
        return np.where(y <= 0, y.dtype.type(0), y.dtype.type(1))
    if kind == "sigmoid":
        return y * (1 - y)
    if kind == "tanh":
        return 1 - y * y
    if kind == "elu":
        return np.where(y > 0, y.dtype.type(1), y + alpha)
    if kind == "selu":
        return np.where(y > 0, y.dtype.type(SELU_SCALE), y + SELU_SCALE * SELU_ALPHA)
    if kind == "exponential":
        return y
    if kind == "softplus":
        return sigmoid(x)
    x = np.clip(x, -1000, 1000) if kind == "silu" else np.clip(x, -100, 100)  # constant beyond; no inf * 0
    if kind == "silu":
        s = sigmoid(x)
        return s * (1 + x * (1 - s))
    if kind == "gelu":
        return normal_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    c = math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)


def _check(name: str, alpha: float, *arrays: Array | None) -> Array:
    """The one shape and dtype that all of these have."""
    given = [a for a in arrays if a is not None]
    for a in given:
        if a.shape != given[0].shape or a.dtype != given[0].dtype or a.dtype.kind != "f":
            met = " and ".join(f"{g.dtype}{list(g.shape)}" for g in given)
            raise ValueError(f"{name} needs floats of one shape, not {met}.")
    if not alpha >= 0:
        raise ValueError(f"{name}: alpha is {alpha}; the derivative of elu is found from its output, "
                         "which needs alpha >= 0.")
    return given[0]


@register
class activation(Kernel):
    """y = f(x) for each element.

    ===========  ====================================================================================
    kind         f(x)
    ===========  ====================================================================================
    linear       x
    relu         max(x, 0)
    sigmoid      1 / (1 + exp(-x))
    tanh         tanh(x)
    elu          x for x > 0, else alpha (exp(x) - 1): Clevert, Unterthiner & Hochreiter (2016)
    selu         1.0507 times elu with alpha 1.6733: Klambauer et al. (2017)
    gelu         x times the normal distribution function, erf exact: Hendrycks & Gimpel (2016)
    gelu_tanh    x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: the same, approximated
    silu         x sigmoid(x), also called swish: Hendrycks & Gimpel (2016); Ramachandran et al. (2017)
    softplus     log(1 + exp(x))
    exponential  exp(x)
    ===========  ====================================================================================

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
        return (like(_check(self.name, alpha, x)),)

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
    be absent). relu's derivative at 0 is 0. All arrays have one shape.

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
        return (like(_check(self.name, alpha, dy, x, y)),)

    def numpy(self, dy, x, y, *, kind, alpha):
        if kind == "linear":
            return np.array(dy)
        if kind == "relu":
            return np.where(y <= 0, y.dtype.type(0), dy)
        return (dy * slope(kind, x, y, alpha)).astype(dy.dtype, copy=False)

    def sizes(self, call: Call):
        return (call["dy"].size,)

    def tiles(self, call: Call):
        return blocks(call["dy"].size)

    def flops(self, call: Call):
        return (2 + FLOPS[call.attr("kind")]) * call["dy"].size

    def units(self, dy, x, y, *, kind, alpha):
        return {"dx": np.abs(dy)} if kind.startswith("gelu") else {}


def rows_per_tile(n: int) -> int:
    """Rows of length n that make one tile: short rows go in groups, so that tiles share no cache line."""
    return 1 if n >= 256 else 16


class _Rows(Kernel):
    """Kernels on the rows of the last axis: M rows of N."""

    dims = ("M", "N")
    operations = 1  # per element

    def infer(self, *arrays):
        x = _check(self.name, 0.0, *arrays)
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
