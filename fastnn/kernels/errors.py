"""Losses of ``d = y - t``, the mean over each row: squares, magnitudes and what is between them; slots as in `loss`."""

from __future__ import annotations

import math

import numpy as np

from . import curvature
from .activation import activation, activation_grad
from .elementwise import clip_grad, subtract
from .loss import RowLoss
from .spec import Array, Call, Kernel, register

FAR = 20.0  #: from here on log(cosh(d)) is abs(d) - log(2) to the last bit, also in float64


def both_sides(kernel: Kernel, call: Call, g):
    """Gradients of a loss of y - t with respect to y and to t, as far as somebody wants them."""
    if g is None:
        return {}
    wanted = call.extra.get("need", {"y"})
    grads = {}
    if "y" in wanted:
        grads["y"] = kernel(g, call["y"], call["t"])
    if "t" in wanted:
        grads["t"] = kernel(g, call["t"], call["y"])
    return grads


@register
class squared_error(RowLoss):
    """Mean of ``(y - t)**2`` over each row. Slots: losses (M); y, t (M,N); both have a gradient.

    Examples
    --------
    >>> squared_error(np.array([[1.0, 5.0]]), np.array([[0.0, 2.0]]))
    array([5.])
    """

    name = "squared_error"
    inputs = ("y", "t")
    flops_per_element = 3

    def numpy(self, y, t):
        return np.square(y - t).mean(1)

    def gradient(self, call: Call, losses=None):
        return both_sides(squared_error_grad, call, losses)


@register
class squared_error_grad(RowLoss):
    """``dy = 2 * (y - t) * g / N``. Slots: dy (M,N); g (M), y, t (M,N)."""

    name = "squared_error_grad"
    outputs = ("dy",)
    inputs = ("g", "y", "t")
    flops_per_element = 2

    def numpy(self, g, y, t):
        return (y - t) * (g[:, None] * (2 / y.shape[1]))

    def gradient(self, call: Call, *, dy):
        def along(sign):
            return lambda: curvature.times_g(call, dy, sign * 2 / call["y"].shape[1])

        return curvature.of_rows(call, dy, {"y": along(1), "t": along(-1)})


@register
class absolute_error(RowLoss):
    """Mean of ``abs(y - t)`` over each row. Slots: losses (M); y, t (M,N); both have a gradient."""

    name = "absolute_error"
    inputs = ("y", "t")
    flops_per_element = 2

    def numpy(self, y, t):
        return np.abs(y - t).mean(1)

    def gradient(self, call: Call, losses=None):
        return both_sides(absolute_error_grad, call, losses)


@register
class absolute_error_grad(RowLoss):
    """``dy = sign(y - t) * g / N``, with sign(0) = 0. Slots: dy (M,N); g (M), y, t (M,N)."""

    jumps = True

    name = "absolute_error_grad"
    outputs = ("dy",)
    inputs = ("g", "y", "t")
    flops_per_element = 2

    def numpy(self, g, y, t):
        return np.sign(y - t) * (g[:, None] / y.shape[1])

    def gradient(self, call: Call, *, dy):
        return curvature.of_rows(call, dy, {})


@register
class huber_error(RowLoss):
    """Mean over each row of ``d**2 / 2`` where ``abs(d) <= delta``, else of ``delta * abs(d) - delta**2 / 2``.

    Slots: losses (M); y, t (M,N); both have a gradient.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter, Annals of Mathematical Statistics 35(1).

    Examples
    --------
    >>> huber_error(np.array([[1.0, 3.0]]), np.array([[0.0, 0.0]]), delta=1.0)
    array([1.5])
    """

    name = "huber_error"
    inputs = ("y", "t")
    attrs = {"delta": 1.0}
    flops_per_element = 6

    def infer(self, *inputs: Array, delta: float) -> tuple[Array, ...]:
        if not 0 < delta < math.inf:
            raise ValueError(f"{self.name} needs a finite delta above 0, got {delta}.")
        return super().infer(*inputs)

    def numpy(self, y, t, delta):
        far = np.abs(y - t)
        near = np.minimum(far, delta)
        return (near * (far - near / 2)).mean(1)

    def gradient(self, call: Call, losses=None):
        def grad(g, y, t):
            return huber_error_grad(g, y, t, delta=call.attr("delta"))

        return both_sides(grad, call, losses)


@register
class huber_error_grad(RowLoss):
    """``dy = clip(y - t, -delta, delta) * g / N``. Slots: dy (M,N); g (M), y, t (M,N)."""

    name = "huber_error_grad"
    outputs = ("dy",)
    inputs = ("g", "y", "t")
    attrs = {"delta": 1.0}

    def numpy(self, g, y, t, delta):
        return np.clip(y - t, -delta, delta) * (g[:, None] / y.shape[1])

    def gradient(self, call: Call, *, dy):
        def along(sign):
            delta, d = call.attr("delta"), subtract(call["y"], call["t"])
            return lambda: clip_grad(curvature.times_g(call, dy, sign / call["y"].shape[1]), d, low=-delta, high=delta)

        return curvature.of_rows(call, dy, {"y": along(1), "t": along(-1)})


@register
class log_cosh_error(RowLoss):
    """Mean over each row of ``log(cosh(d))``, as ``log1p(expm1(abs(d))**2 / (2 * exp(abs(d))))``: exact for small d.

    Slots: losses (M); y, t (M,N); both have a gradient.

    Examples
    --------
    >>> log_cosh_error(np.array([[1.0, 1000.0]]), np.zeros((1, 2))).round(4)
    array([499.8703])
    """

    name = "log_cosh_error"
    inputs = ("y", "t")
    flops_per_element = 40

    def numpy(self, y, t):
        far = np.abs(y - t)
        e = np.expm1(np.minimum(far, FAR))
        return np.where(far < FAR, np.log1p(e * e / (2 + 2 * e)), far - math.log(2)).mean(1, dtype=y.dtype)

    def gradient(self, call: Call, losses=None):
        return both_sides(log_cosh_error_grad, call, losses)


@register
class log_cosh_error_grad(RowLoss):
    """``dy = tanh(y - t) * g / N``. Slots: dy (M,N); g (M), y, t (M,N)."""

    name = "log_cosh_error_grad"
    outputs = ("dy",)
    inputs = ("g", "y", "t")
    flops_per_element = 24

    def numpy(self, g, y, t):
        return np.tanh(y - t) * (g[:, None] / y.shape[1])

    def gradient(self, call: Call, *, dy):
        def along(sign):
            slope = activation(subtract(call["y"], call["t"]), kind="tanh")
            back = curvature.times_g(call, dy, sign / call["y"].shape[1])
            return lambda: activation_grad(back, None, slope, kind="tanh")

        return curvature.of_rows(call, dy, {"y": along(1), "t": along(-1)})
