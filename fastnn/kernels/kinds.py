"""The activations that are functions of one element and of at most one number, alpha: values and slopes in NumPy.

Each is one entry of `VALUES` and one of `SLOPES`; `fastnn.kernels.activation` is the kernel of them all, and `dense`
computes those in `FROM_OUTPUT` at the edges of its products.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

SELU_SCALE = 1.0507009873554805  # Klambauer et al. (2017), eq. 14
SELU_ALPHA = 1.6732632423543772

#: operations per element, one for each arithmetic sign or function in the formula; the keys stand in the order of
#: `enum fnn_activation` (csrc/elementwise.h)
FLOPS = dict(
    linear=0, relu=1, sigmoid=4, tanh=1, elu=3, selu=4, leaky_relu=2, relu6=2, celu=4, hard_sigmoid=4, hard_tanh=2,
    hard_shrink=2, soft_shrink=3, log_sigmoid=4, sparse_plus=4, sparse_sigmoid=4, squareplus=5, exponential=1,
    gelu=5, gelu_tanh=9, silu=5, softplus=3, softsign=3, mish=5, hard_silu=5, tanh_shrink=2,
)  # fmt: skip
KINDS = tuple(FLOPS)

#: kinds whose derivative is taken from the output y; the others need the input x
FROM_OUTPUT = frozenset(KINDS[: KINDS.index("gelu")])

#: kinds whose derivative is a choice, not a product: where it is 0, NaN and infinity end
CHOICES = frozenset({"relu", "relu6", "hard_sigmoid", "hard_tanh", "hard_shrink", "soft_shrink", "sparse_sigmoid"})

_erfc = np.frompyfunc(math.erfc, 1, 1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)), without overflow."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, x.dtype.type(1)) / (1 + e)


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def normal_cdf(x: np.ndarray) -> np.ndarray:
    """The standard normal distribution function, erfc(-x / sqrt 2) / 2."""
    return 0.5 * np.asarray(_erfc(x * -math.sqrt(0.5))).astype(x.dtype)


def finite(x: np.ndarray) -> np.ndarray:
    """x, but the least float in the place of -inf: times a factor that underflows to 0 it is not NaN."""
    return np.maximum(x, np.finfo(x.dtype).min)


def _gelu_tanh(x, alpha):
    x = np.maximum(x, -100)
    z = np.minimum(x, 100)
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _squareplus(x, alpha):
    """(x + root) / 2, root = sqrt(x^2 + alpha) by the larger of both, so that no square overflows; where x is negative
    as alpha / (2 (root - x)), which does not cancel."""
    a, b = np.abs(x), math.sqrt(alpha)
    large = np.maximum(np.maximum(a, b), np.finfo(x.dtype).tiny)
    half = 0.5 * a + 0.5 * large * np.sqrt(1 + (np.minimum(a, b) / large) ** 2)  # (|x| + root) / 2
    return np.where(x < 0, 0.25 * alpha / np.where(half > 0, half, 1), half)


def _softsign(x, alpha):
    a = np.minimum(np.abs(x), np.finfo(x.dtype).max)
    return np.copysign(a / (1 + a), x)


def _mish_parts(x):
    """tanh(softplus(x)) and 1 minus it, from exp(-|x|): with n = exp(x) it is n (n + 2) / (n (n + 2) + 2)."""
    e = np.exp(-np.abs(x))
    above, below = np.where(x < 0, e * (e + 2), 1 + 2 * e), np.where(x < 0, x.dtype.type(2), 2 * e * e)
    return above / (above + below), below / (above + below)


def _tanh_shrink(x, alpha):
    """x - tanh(x), near 0 by the series x^3 / 3 - 2 x^5 / 15 + ..., which does not cancel; odd."""
    s, p = np.square(np.clip(x, -0.3, 0.3)), np.zeros_like(x)
    for c in (18888466084 / 194896477400625, -443861162 / 1856156927625, 6404582 / 10854718875, -929569 / 638512875,
              21844 / 6081075, -1382 / 155925, 62 / 2835, -17 / 315, 2 / 15, -1 / 3):
        p = p * s + c
    return np.where(np.abs(x) < 0.3, -p * s * x, x - np.tanh(x))


#: kind -> f(x, alpha); at -inf the limit, at NaN NaN
VALUES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "linear": lambda x, a: np.array(x),
    "relu": lambda x, a: np.maximum(x, 0),
    "sigmoid": lambda x, a: sigmoid(x),
    "tanh": lambda x, a: np.tanh(x),
    "elu": lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
    "selu": lambda x, a: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
    "leaky_relu": lambda x, a: np.where(x > 0, x, a * np.minimum(x, 0)),
    "relu6": lambda x, a: np.clip(x, 0, 6),
    "celu": lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0) / a)),
    "hard_sigmoid": lambda x, a: np.clip(x + 3, 0, 6) / 6,
    "hard_tanh": lambda x, a: np.clip(x, -1, 1),
    "hard_shrink": lambda x, a: np.where(np.abs(x) <= a, x.dtype.type(0), x),
    "soft_shrink": lambda x, a: x - np.clip(x, -a, a),
    "log_sigmoid": lambda x, a: -softplus(-x),
    "sparse_plus": lambda x, a: np.where(x >= 1, x, np.clip(x + 1, 0, 2) ** 2 / 4),
    "sparse_sigmoid": lambda x, a: np.clip(x + 1, 0, 2) / 2,
    "squareplus": _squareplus,
    "exponential": lambda x, a: np.exp(x),
    "gelu": lambda x, a: np.maximum(x, -100) * normal_cdf(x),
    "gelu_tanh": _gelu_tanh,
    "silu": lambda x, a: finite(x) * sigmoid(a * finite(x)),
    "softplus": lambda x, a: softplus(x),
    "softsign": _softsign,
    "mish": lambda x, a: finite(x) * _mish_parts(x)[0],
    "hard_silu": lambda x, a: np.maximum(x, -3) * (np.clip(x + 3, 0, 6) / 6),
    "tanh_shrink": _tanh_shrink,
}


def _open(closed, y, value=1.0):
    """0 where the way is closed, else value."""
    return np.where(closed, y.dtype.type(0), y.dtype.type(value))


def _silu_slope(x, a):
    z = np.clip(a * finite(x), -1000, 1000)  # constant beyond; no inf * 0
    s = sigmoid(z)
    return s * (1 + z * (1 - s))


def _gelu_slope(x, a):
    x = np.clip(x, -100, 100)
    return normal_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh_slope(x, a):
    x, c = np.clip(x, -100, 100), math.sqrt(2 / math.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x)


def _mish_slope(x, a):
    x = np.clip(x, -1000, 1000)
    w, rest = _mish_parts(x)
    return w + x * sigmoid(x) * rest * (1 + w)


def _squareplus_slope(y, a):
    """y / root, root = y + alpha / (4 y)."""
    b = 0.5 * math.sqrt(a) / np.where(y == 0, y.dtype.type(1), y)
    return np.where(y <= 0, y.dtype.type(0), 1 / (1 + np.minimum(b, 1e18) ** 2))


#: kind -> f'; of (y, alpha) for those in `FROM_OUTPUT`, else of (x, alpha)
SLOPES: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "linear": lambda y, a: np.ones_like(y),
    "relu": lambda y, a: _open(y <= 0, y),
    "sigmoid": lambda y, a: y * (1 - y),
    "tanh": lambda y, a: 1 - y * y,
    "elu": lambda y, a: np.where(y > 0, y.dtype.type(1), y + a),
    "selu": lambda y, a: np.where(y > 0, y.dtype.type(SELU_SCALE), y + SELU_SCALE * SELU_ALPHA),
    "leaky_relu": lambda y, a: np.where(y > 0, y.dtype.type(1), y.dtype.type(a)),
    "relu6": lambda y, a: _open((y <= 0) | (y >= 6), y),
    "celu": lambda y, a: np.where(y > 0, y.dtype.type(1), 1 + y / a),
    "hard_sigmoid": lambda y, a: _open((y <= 0) | (y >= 1), y, 1 / 6),
    "hard_tanh": lambda y, a: _open((y <= -1) | (y >= 1), y),
    "hard_shrink": lambda y, a: _open(y == 0, y),
    "soft_shrink": lambda y, a: _open(y == 0, y),
    "log_sigmoid": lambda y, a: -np.expm1(y),
    "sparse_plus": lambda y, a: np.minimum(np.sqrt(np.maximum(y, 0)), 1),
    "sparse_sigmoid": lambda y, a: _open((y <= 0) | (y >= 1), y, 0.5),
    "squareplus": _squareplus_slope,
    "exponential": lambda y, a: y,
    "gelu": _gelu_slope,
    "gelu_tanh": _gelu_tanh_slope,
    "silu": _silu_slope,
    "softplus": lambda x, a: sigmoid(x),
    "softsign": lambda x, a: np.square(1 / (1 + np.abs(x))),
    "mish": _mish_slope,
    "hard_silu": lambda x, a: np.where(x < -3, x.dtype.type(0), np.where(x > 3, x.dtype.type(1), (2 * x + 3) / 6)),
    "tanh_shrink": lambda x, a: np.square(np.tanh(x)),
}


def value(kind: str, x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    """The function `kind` of each element; -inf gives the limit, NaN gives NaN."""
    return VALUES[kind](x, alpha)


def slope(kind: str, x: np.ndarray | None, y: np.ndarray | None, alpha: float = 1.0) -> np.ndarray:
    """The derivative of `kind`, from y where it is in `FROM_OUTPUT`, else from x."""
    return SLOPES[kind](y if kind in FROM_OUTPUT else x, alpha)


def through(kind: str, dy: np.ndarray, x: np.ndarray | None, y: np.ndarray | None, alpha: float = 1.0) -> np.ndarray:
    """dy f'(x)."""
    d = slope(kind, x, y, alpha)
    if kind in CHOICES:
        dy = np.where(d == 0, dy.dtype.type(0), dy)
    return (dy * d).astype(dy.dtype, copy=False)
