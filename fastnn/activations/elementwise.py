"""Activations of one element, as functions: of tensors, variables, NumPy arrays and symbolic tensors.

Largest error of the native forms in units in the last place, on every CPU path, found over every 4001st float32 and
300001 of them between -20 and 20, against float64 (`tests/activations/test_accuracy.py` holds these numbers):

====================================================================================  =====
relu, relu6, hard_tanh, hard_shrink                                                   0
leaky_relu, soft_shrink, sparse_sigmoid                                               0.5
hard_sigmoid, softsign                                                                1.5
elu, celu, selu, exponential, tanh, sparse_plus, log_sigmoid, softplus                2
sigmoid, squareplus, hard_silu                                                        3
silu, mish, tanh_shrink                                                               4
====================================================================================  =====

Errors below 1.2e-38, the least normal number, are not counted: there float32 has fewer places. gelu is right to 1.1e-7
of ``max(abs(x), 1)``, and relatively to 1.1e-5 down to x = -4; gelu_tanh to 2e-7 of it.
"""

from __future__ import annotations

import math

import numpy as np

from ..ops.calling import apply, function


def _number(who: str, name: str, value, least: float = -math.inf, open_end: bool = False) -> float:
    """value as a float, of at least `least`."""
    good = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not good or not (value > least if open_end else value >= least) or not math.isfinite(value):
        bound = "" if least == -math.inf else f" {'above' if open_end else 'of at least'} {least:g}"
        raise ValueError(f"{who}: {name} is {value!r}; a finite number{bound} is wanted.")
    return float(value)


def _activate(x, kind: str, **attrs):
    return apply("activation", x, kind=kind, **attrs)


def linear(x):
    """x itself."""
    return x


# ---------------------------------------------------------------------- of the family of relu

@function
def relu(x, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0):
    """min(x, max_value) where x > threshold, else negative_slope (x - threshold): max(x, 0) by default.

    Its gradient at 0 is 0.

    Parameters
    ----------
    x : tensor or array.
    negative_slope : the slope up to the threshold.
    max_value : the largest value, at least 0; None for no limit.
    threshold : up to here x is damped.

    Raises
    ------
    ValueError : a number is not finite, or max_value is below 0.

    References
    ----------
    Nair & Hinton (2010), Rectified linear units improve restricted Boltzmann machines.

    Examples
    --------
    >>> relu(np.array([-10.0, 0.0, 5.0, 10.0]), negative_slope=0.5, max_value=8.0)
    array([-5.,  0.,  5.,  8.])
    """
    slope = _number("relu", "negative_slope", negative_slope)
    threshold = _number("relu", "threshold", threshold)
    top = math.inf if max_value is None else _number("relu", "max_value", max_value, 0)
    if threshold == 0 and slope >= 0 and top == math.inf:
        return _activate(x, "leaky_relu", alpha=slope) if slope else _activate(x, "relu")
    if threshold == 0 and slope == 0 and top == 6:
        return _activate(x, "relu6")
    return apply("ramp", x, threshold=threshold, slope=slope, top=top)


@function
def relu6(x):
    """min(max(x, 0), 6).

    References
    ----------
    Krizhevsky (2010), Convolutional deep belief networks on CIFAR-10.

    Examples
    --------
    >>> relu6(np.array([-1.0, 3.0, 7.0]))
    array([0., 3., 6.])
    """
    return _activate(x, "relu6")


@function
def leaky_relu(x, negative_slope: float = 0.2):
    """x where x > 0, else negative_slope x.

    The slope is 0.2 here as in Keras's function, 0.3 in Keras's and our layer `LeakyReLU`, 0.01 in the paper and
    PyTorch.

    References
    ----------
    Maas, Hannun & Ng (2013), Rectifier nonlinearities improve neural network acoustic models.

    Examples
    --------
    >>> leaky_relu(np.array([-10.0, 1.0]))
    array([-2.,  1.])
    """
    return relu(x, negative_slope=negative_slope)


@function
def threshold(x, threshold: float, default_value: float):
    """x where x > threshold, else default_value.

    Examples
    --------
    >>> threshold(np.array([-1.0, 0.5, 2.0]), 1.0, -3.0)
    array([-3., -3.,  2.])
    """
    return apply("ramp", x, threshold=_number("threshold", "threshold", threshold),
                  value=_number("threshold", "default_value", default_value))


@function
def elu(x, alpha: float = 1.0):
    """x where x > 0, else alpha (exp(x) - 1).

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2016), Fast and accurate deep network learning by exponential linear units,
    arXiv:1511.07289.

    Examples
    --------
    >>> elu(np.array([-np.log(2), 3.0]), alpha=2.0)
    array([-1.,  3.])
    """
    return _activate(x, "elu", alpha=_number("elu", "alpha", alpha, 0))


@function
def selu(x):
    """scale x where x > 0, else scale alpha (exp(x) - 1): scale 1.0507009873554805, alpha 1.6732632423543772.

    It keeps mean 0 and variance 1 in plain feed-forward networks with LeCun-normal weights.

    References
    ----------
    Klambauer et al. (2017), Self-normalizing neural networks, arXiv:1706.02515, eq. 2 and 14.

    Examples
    --------
    >>> selu(np.array([-np.log(2), 1.0])).round(4)
    array([-0.879 ,  1.0507])
    """
    return _activate(x, "selu")


@function
def celu(x, alpha: float = 1.0):
    """x where x > 0, else alpha (exp(x / alpha) - 1): its slope is continuous for any alpha above 0.

    References
    ----------
    Barron (2017), Continuously differentiable exponential linear units, arXiv:1704.07483.

    Examples
    --------
    >>> celu(np.array([-2 * np.log(2), 3.0]), alpha=2.0)
    array([-1.,  3.])
    """
    return _activate(x, "celu", alpha=_number("celu", "alpha", alpha, 0, open_end=True))


# ---------------------------------------------------------------------- smooth ones

@function
def sigmoid(x):
    """1 / (1 + exp(-x)), from exp(-abs(x)), so that nothing overflows.

    Examples
    --------
    >>> sigmoid(np.array([0.0, np.log(3)]))
    array([0.5 , 0.75])
    """
    return _activate(x, "sigmoid")


@function
def log_sigmoid(x):
    """log(1 / (1 + exp(-x))), which is -softplus(-x) and does not overflow.

    Examples
    --------
    >>> log_sigmoid(np.array([-1000.0, 0.0]))
    array([-1.00000000e+03, -6.93147181e-01])
    """
    return _activate(x, "log_sigmoid")


@function
def tanh(x):
    """The hyperbolic tangent.

    Examples
    --------
    >>> tanh(np.array([0.0, np.log(3) / 2]))
    array([0. , 0.5])
    """
    return _activate(x, "tanh")


@function
def exponential(x):
    """exp(x); above 88.72 float32 has no room for it.

    Examples
    --------
    >>> exponential(np.array([0.0, np.log(3)]))
    array([1., 3.])
    """
    return _activate(x, "exponential")


@function
def softplus(x):
    """log(1 + exp(x)), as max(x, 0) + log1p(exp(-abs(x))).

    References
    ----------
    Dugas et al. (2001), Incorporating second-order functional knowledge for better option pricing.

    Examples
    --------
    >>> softplus(np.array([0.0, 1000.0])).round(4)
    array([6.931e-01, 1.000e+03])
    """
    return _activate(x, "softplus")


@function
def softsign(x):
    """x / (1 + abs(x)).

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks, section 2.

    Examples
    --------
    >>> softsign(np.array([-3.0, 1.0]))
    array([-0.75,  0.5 ])
    """
    return _activate(x, "softsign")


@function
def squareplus(x, b: float = 4):
    """(x + sqrt(x^2 + b)) / 2; for negative x as b / (2 (sqrt(x^2 + b) - x)), which does not cancel.

    References
    ----------
    Barron (2021), Squareplus: a softplus-like algebraic rectifier, arXiv:2112.11687.

    Examples
    --------
    >>> squareplus(np.array([-1.5, 0.0, 1.5]))
    array([0.5, 1. , 2. ])
    """
    return _activate(x, "squareplus", alpha=_number("squareplus", "b", b, 0))


@function
def gelu(x, approximate: bool = True):
    """x P(x), P the normal distribution function: exact by erf, or approximated by tanh.

    The approximation is x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2. It is the default of `fastnn.ops.gelu` and
    `keras.ops.gelu`; `fastnn.activations.gelu`, Keras's and PyTorch's are exact unless told otherwise.

    References
    ----------
    Hendrycks & Gimpel (2016), Gaussian error linear units, arXiv:1606.08415.

    Examples
    --------
    >>> gelu(np.array([-1.0, 1.0]), approximate=False).round(4)
    array([-0.1587,  0.8413])
    """
    return _activate(x, "gelu_tanh" if approximate else "gelu")


@function
def silu(x, beta: float = 1.0):
    """x sigmoid(beta x), also called swish.

    References
    ----------
    Hendrycks & Gimpel (2016), arXiv:1606.08415; Ramachandran, Zoph & Le (2017), Searching for activation functions,
    arXiv:1710.05941 (with beta).

    Examples
    --------
    >>> silu(np.array([0.0, 2.0]), beta=np.log(3) / 2)
    array([0. , 1.5])
    """
    return _activate(x, "silu", alpha=_number("silu", "beta", beta, 0))


@function
def mish(x):
    """x tanh(log(1 + exp(x))).

    References
    ----------
    Misra (2019), Mish: a self regularized non-monotonic activation function, arXiv:1908.08681.

    Examples
    --------
    >>> mish(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8651])
    """
    return _activate(x, "mish")


# ---------------------------------------------------------------------- in straight pieces, and shrinking ones

@function
def hard_sigmoid(x):
    """min(max(x + 3, 0), 6) / 6.

    Keras 2 had min(max(0.2 x + 0.5, 0), 1).

    Examples
    --------
    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5]))
    array([0.  , 0.5 , 0.75])
    """
    return _activate(x, "hard_sigmoid")


@function
def hard_silu(x):
    """x hard_sigmoid(x), also called hard swish.

    References
    ----------
    Howard et al. (2019), Searching for MobileNetV3, arXiv:1905.02244.

    Examples
    --------
    >>> hard_silu(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """
    return _activate(x, "hard_silu")


@function
def hard_tanh(x):
    """min(max(x, -1), 1).

    Examples
    --------
    >>> hard_tanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])
    """
    return _activate(x, "hard_tanh")


@function
def hard_shrink(x, threshold: float = 0.5):
    """x where abs(x) > threshold, else 0.

    Examples
    --------
    >>> hard_shrink(np.array([-2.0, 0.5, 2.0]))
    array([-2.,  0.,  2.])
    """
    return _activate(x, "hard_shrink", alpha=_number("hard_shrink", "threshold", threshold, 0))


@function
def soft_shrink(x, threshold: float = 0.5):
    """x - threshold where x > threshold, x + threshold where x < -threshold, else 0.

    Examples
    --------
    >>> soft_shrink(np.array([-2.0, 0.5, 2.0]))
    array([-1.5,  0. ,  1.5])
    """
    return _activate(x, "soft_shrink", alpha=_number("soft_shrink", "threshold", threshold, 0))


@function
def tanh_shrink(x):
    """x - tanh(x), up to 1 by a polynomial, so that nothing cancels.

    Examples
    --------
    >>> tanh_shrink(np.array([1e-6, 1.0]))
    array([3.33333333e-19, 2.38405844e-01])
    """
    return _activate(x, "tanh_shrink")


@function
def sparse_plus(x):
    """0 where x <= -1, x where x >= 1, (x + 1)^2 / 4 between.

    Examples
    --------
    >>> sparse_plus(np.array([-2.0, 0.0, 2.0]))
    array([0.  , 0.25, 2.  ])
    """
    return _activate(x, "sparse_plus")


@function
def sparse_sigmoid(x):
    """min(max((x + 1) / 2, 0), 1): the slope of `sparse_plus`.

    Examples
    --------
    >>> sparse_sigmoid(np.array([-2.0, 0.5, 2.0]))
    array([0.  , 0.75, 1.  ])
    """
    return _activate(x, "sparse_sigmoid")


swish, hard_swish = silu, hard_silu
