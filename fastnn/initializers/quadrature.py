"""The gain of an activation: what its output must be multiplied with to have a mean square of 1 again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

REACH, PANELS, NODES = 13, 8, 16  # the normal density beyond 13 is below 1e-37; panels per unit; nodes per panel


def nodes() -> tuple[np.ndarray, np.ndarray]:
    """Points and weights for means over the standard normal distribution.

    Gauss-Legendre on each eighth of [-13, 13] under the density. Gauss-Hermite quadrature knows no such places: a kink
    or a jump anywhere but at 0 costs it all but three digits (hard tanh with 100 nodes), while those at multiples of
    1/8 fall between two panels here.
    """
    at, weight = np.polynomial.legendre.leggauss(NODES)
    starts = np.arange(-REACH * PANELS, REACH * PANELS) / PANELS
    z = (starts[:, None] + (at + 1) / (2 * PANELS)).ravel()
    return z, np.tile(weight / (2 * PANELS), len(starts)) * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def gain(activation: str | Callable) -> float:
    """1 / sqrt(E f(z)^2) for z of the standard normal distribution: what keeps the mean square from layer to layer.

    Weights of variance ``gain(f)**2 / fan_in``, as ``VarianceScaling(gain(f)**2, "fan_in")`` draws them, make the next
    layer's inputs as large as this one's: 1 for a linear layer (LeCun 1998), 2 for relu (He et al. 2015, eq. 10),
    2 / (1 + a^2) for leaky relu (eq. 15). The mean is found by quadrature, to 12 digits for functions that are smooth
    but at multiples of 1/8, else to 5 or so (fewer where there is a jump).

    Parameters
    ----------
    activation : name, or function of arrays (each element by itself).

    Raises
    ------
    ValueError : it is no function of one element, is nil, or gives NaN or infinity.

    Notes
    -----
    `torch.nn.init.calculate_gain` has rules of thumb where this has means: 5/3 for tanh and 3/4 for selu.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, arXiv:1502.01852, section 2.2.

    Examples
    --------
    >>> round(gain("relu") ** 2, 6), round(gain("tanh"), 4)
    (2.0, 1.5925)
    >>> round(gain(lambda x: 3 * x), 6)
    0.333333
    """
    from .. import activations

    f = activations.get(activation)
    name = getattr(f, "__name__", repr(f))
    z, weight = nodes()
    y, part = (np.asarray(f(x), np.float64) for x in (z, z[::3].copy()))
    if y.shape != z.shape or part.shape != z[::3].shape or not np.allclose(y[::3], part, rtol=1e-5, equal_nan=True):
        raise ValueError(f"gain wants a function of each element by itself, and {name} is none.")
    square = float(weight @ np.square(y))
    if not 0 < square < math.inf:
        raise ValueError(f"gain: the mean square of {name} is {square:g}; a finite one above 0 is wanted.")
    return 1 / math.sqrt(square)
