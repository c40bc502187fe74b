"""The functions of one element of activation.py, and their derivatives: csrc/activation.inc in Python."""

from __future__ import annotations

import numpy as np

from ..kinds import SELU_ALPHA, SELU_SCALE
from .form import helper
from .math import copysign, exp, expm1, fma, larger, normal_cdf, sigmoid, smaller, softplus, tanh

f4 = np.float32
SELU_SLOPE = SELU_SCALE * SELU_ALPHA
GELU_C, GELU_A = f4(np.sqrt(2 / np.pi)), f4(0.044715)
DENSITY = f4(1 / np.sqrt(2 * np.pi))  # of the normal distribution, at 0
LARGEST, TINY = np.finfo(f4).max, np.finfo(f4).tiny
SIXTH, THIRD = f4(1 / 6), f4(1 / 3)


# ---------------------------------------------------------------------- functions of one element

@helper
def relu(x):
    """np.maximum(x, 0)"""
    return larger(x, 0.0)


@helper
def elu(x, alpha):
    """x for x > 0, else alpha * np.expm1(x)"""
    return x if x > 0.0 else alpha * expm1(x)


@helper
def selu(x):
    """SELU_SCALE * elu(x, SELU_ALPHA)"""
    return SELU_SCALE * x if x > 0.0 else SELU_SLOPE * expm1(x)


# At -inf the product with a factor that underflows to 0 would be NaN: x stops where the factor does.

@helper
def gelu(x):
    """x * normal_cdf(x)"""
    return larger(x, -100.0) * normal_cdf(x)[0]


@helper
def gelu_tanh(x):
    """0.5 * x * (1 + np.tanh(GELU_C * (x + GELU_A * x**3)))"""
    t = tanh(GELU_C * fma(GELU_A * x * x, x, x))
    return larger(x, -100.0) * fma(f4(0.5), t, f4(0.5))


@helper
def silu(x, beta):
    """x * sigmoid(beta * x)"""
    x = larger(x, -LARGEST)
    return x * sigmoid(beta * x)


@helper
def mish_parts(e, negative):
    """tanh(softplus(x)) is above / (above + below): n * (n + 2) / (n * (n + 2) + 2), n = exp(x), e = exp(-abs(x))"""
    above = fma(e, e, f4(2.0) * e) if negative else fma(f4(2.0), e, f4(1.0))
    below = f4(2.0) if negative else f4(2.0) * e * e
    return above, below


@helper
def mish(x):
    """x * np.tanh(softplus(x))"""
    above, below = mish_parts(exp(-abs(x)), x < f4(0.0))
    return larger(x, -LARGEST) * (above / (above + below))


@helper
def softsign(x):
    """x / (1 + abs(x))"""
    a = smaller(abs(x), LARGEST)
    return copysign(a / (f4(1.0) + a), x)


@helper
def squareplus(x, alpha):
    """(x + np.sqrt(x * x + alpha)) / 2, without overflow, and without cancellation where x is negative"""
    a, b = abs(x), f4(np.sqrt(alpha))
    large = larger(larger(a, b), TINY)
    t = smaller(a, b) / large
    half = fma(f4(0.5) * large, np.sqrt(fma(t, t, f4(1.0))), f4(0.5) * a)
    return f4(0.25) * alpha / half if x < f4(0.0) else half


@helper
def tanh_shrink(x):
    """x - tanh(x), up to 1 by a polynomial"""
    s = x * x
    p = f4(0.000421066856)
    p = fma(p, s, f4(-0.00251164776))
    p = fma(p, s, f4(0.00822037831))
    p = fma(p, s, f4(-0.0216609668))
    p = fma(p, s, f4(0.0539350286))
    p = fma(p, s, f4(-0.133331314))
    p = fma(p, s, f4(0.333333313))
    return p * s * x if abs(x) < f4(1.0) else x - tanh(x)


# Those in pieces.

@helper
def leaky_relu(x, alpha):
    """x for x > 0, else alpha * x"""
    return x if x > f4(0.0) else alpha * x


@helper
def relu6(x):
    """np.clip(x, 0, 6)"""
    return smaller(larger(x, f4(0.0)), f4(6.0))


@helper
def celu(x, alpha):
    """x for x > 0, else alpha * np.expm1(x / alpha)"""
    return x if x > f4(0.0) else alpha * expm1(x / alpha)


@helper
def hard_sigmoid(x):
    """np.clip(x + 3, 0, 6) / 6"""
    return relu6(x + f4(3.0)) * SIXTH


@helper
def hard_silu(x):
    """x * hard_sigmoid(x)"""
    return larger(x, f4(-3.0)) * hard_sigmoid(x)


@helper
def hard_tanh(x):
    """np.clip(x, -1, 1)"""
    return smaller(larger(x, f4(-1.0)), f4(1.0))


@helper
def hard_shrink(x, alpha):
    """x for abs(x) > alpha, else 0"""
    return f4(0.0) if abs(x) <= alpha else x


@helper
def soft_shrink(x, alpha):
    """x - np.clip(x, -alpha, alpha)"""
    return x - smaller(larger(x, -alpha), alpha)


@helper
def log_sigmoid(x):
    """-softplus(-x)"""
    return -softplus(-x)


@helper
def sparse_plus(x):
    """0 for x <= -1, x for x >= 1, (x + 1) ** 2 / 4 between"""
    c = smaller(larger(x + f4(1.0), f4(0.0)), f4(2.0))
    return x if x >= f4(1.0) else f4(0.25) * c * c


@helper
def sparse_sigmoid(x):
    """np.clip(x + 1, 0, 2) / 2"""
    return f4(0.5) * smaller(larger(x + f4(1.0), f4(0.0)), f4(2.0))


# ---------------------------------------------------------------------- their derivatives
# At a clamped place: beyond it they do not change, and nothing overflows to inf * 0.

@helper
def gelu_slope(x):
    """normal_cdf(x) + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)"""
    x = smaller(larger(x, -100.0), 100.0)
    p, e = normal_cdf(x)
    return fma(x * DENSITY, e, p)


@helper
def gelu_tanh_slope(x):
    """0.5 * (1 + t) + 0.5 * x * (1 - t * t) * GELU_C * (1 + 3 * GELU_A * x * x), t the tanh of `gelu_tanh`"""
    x = smaller(larger(x, -100.0), 100.0)
    a = GELU_A * x * x
    t = tanh(GELU_C * fma(a, x, x))
    inner = GELU_C * fma(f4(3.0), a, f4(1.0))
    return fma(0.5 * x * fma(-t, t, f4(1.0)), inner, fma(f4(0.5), t, f4(0.5)))


@helper
def silu_slope(x, beta):
    """s * (1 + z * (1 - s)), z = beta * x, s = sigmoid(z)"""
    x = smaller(larger(beta * larger(x, -LARGEST), -1000.0), 1000.0)
    s = sigmoid(x)
    return s * fma(x, 1.0 - s, f4(1.0))


@helper
def mish_slope(x):
    """w + x * sigmoid(x) * (1 - w * w), w = np.tanh(softplus(x))"""
    x = smaller(larger(x, f4(-1000.0)), f4(1000.0))
    e = exp(-abs(x))
    s = (e if x < f4(0.0) else f4(1.0)) / (f4(1.0) + e)
    above, below = mish_parts(e, x < f4(0.0))
    w, rest = above / (above + below), below / (above + below)
    return fma(x * s * rest, f4(1.0) + w, w)


@helper
def softsign_slope(x):
    """(1 + abs(x)) ** -2"""
    r = f4(1.0) / (f4(1.0) + abs(x))
    return r * r


@helper
def tanh_shrink_slope(x):
    """tanh(x) ** 2"""
    t = tanh(x)
    return t * t


@helper
def hard_silu_slope(x):
    """0 for x < -3, 1 for x > 3, (2 * x + 3) / 6 between"""
    y = (larger(x, f4(-3.0)) + f4(1.5)) * THIRD
    return f4(0.0) if x < f4(-3.0) else f4(1.0) if x > f4(3.0) else y


# From the output y.

@helper
def leaky_relu_slope(y, alpha):
    """1 for y > 0, else alpha"""
    return f4(1.0) if y > f4(0.0) else alpha


@helper
def celu_slope(y, alpha):
    """1 for y > 0, else 1 + y / alpha"""
    return f4(1.0) if y > f4(0.0) else y / alpha + f4(1.0)


@helper
def log_sigmoid_slope(y):
    """-np.expm1(y)"""
    return -expm1(y)


@helper
def sparse_plus_slope(y):
    """np.clip(np.sqrt(y), 0, 1)"""
    return smaller(f4(np.sqrt(larger(y, f4(0.0)))), f4(1.0))


@helper
def squareplus_slope(y, alpha):
    """y / (y + alpha / (4 * y))"""
    b = smaller(f4(0.5) * f4(np.sqrt(alpha)) / (f4(1.0) if y == f4(0.0) else y), f4(1e18))
    return f4(0.0) if y <= f4(0.0) else f4(1.0) / fma(b, b, f4(1.0))


# Choices, not products: where the way is closed, NaN and infinity end.

@helper
def through_relu6(dy, y):
    """dy for 0 < y < 6, else 0"""
    return f4(0.0) if (y <= f4(0.0)) | (y >= f4(6.0)) else dy


@helper
def through_hard_sigmoid(dy, y):
    """dy / 6 for 0 < y < 1, else 0"""
    return f4(0.0) if (y <= f4(0.0)) | (y >= f4(1.0)) else dy * SIXTH


@helper
def through_sparse_sigmoid(dy, y):
    """dy / 2 for 0 < y < 1, else 0"""
    return f4(0.0) if (y <= f4(0.0)) | (y >= f4(1.0)) else dy * f4(0.5)


@helper
def through_hard_tanh(dy, y):
    """dy for abs(y) < 1, else 0"""
    return f4(0.0) if abs(y) >= f4(1.0) else dy


@helper
def through_shrink(dy, y):
    """dy for y != 0, else 0"""
    return f4(0.0) if y == f4(0.0) else dy
