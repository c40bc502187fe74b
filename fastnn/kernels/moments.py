"""Optimizer updates that know the sizes of past gradients, or only their signs: flat kernels, as in `optim`.

Each weight has a rate of its own in all but Lion. Those that are Adam with one thing changed come after Adagrad, the
first of the kind, and Adadelta.
"""

from __future__ import annotations

import numpy as np

from .optim import Flat, adam, decayed, rms_step
from .spec import Call, register


@register
class adagrad(Flat):
    """Adagrad: each weight's rate falls with the sum of its squared gradients.

        a += g*g
        w -= rate * g / sqrt(a + epsilon)        epsilon_inside=1, as Keras
        w -= rate * g / (sqrt(a) + epsilon)      epsilon_inside=0, as PyTorch

    Slots: w, a (n) updated; g (n); rate, decay 0-d.

    References
    ----------
    Duchi, Hazan & Singer (2011), Adaptive subgradient methods for online learning and stochastic optimization.

    Examples
    --------
    >>> adagrad(np.array([3.0]), 0.5, np.array([1.0]), np.array([16.0]), epsilon=0.0)
    (array([0.7]), array([25.]))
    """

    name = "adagrad"
    outputs = ("w", "a")
    inputs = ("g", "rate", "w", "a", "decay")
    optional = ("decay",)
    attrs = {"epsilon": 1e-7, "epsilon_inside": 1}
    scalars = ("rate", "decay")
    flops_per_element = 8

    def numpy(self, g, rate, w, a, decay=None, epsilon=1e-7, epsilon_inside=1):
        a = a + g * g
        return decayed(w, decay) - rms_step(float(rate), g, a, epsilon, epsilon_inside), a


@register
class adadelta(Flat):
    """Adadelta: steps in the units of the weights, by the ratio of two root mean squares.

        v += (g*g - v) * (1 - rho)
        step = g * sqrt(d + epsilon) / sqrt(v + epsilon)
        d += (step*step - d) * (1 - rho)
        w -= rate * step

    Slots: w, v, d (n) updated; g (n); rate, decay 0-d.

    References
    ----------
    Zeiler (2012), ADADELTA: an adaptive learning rate method, arXiv:1212.5701, Algorithm 1 (rate = 1).

    Examples
    --------
    >>> adadelta(np.array([2.0]), 1.0, np.array([5.0]), np.array([3.0]), np.array([0.0]), epsilon=1.0, rho=0.0)
    (array([4.10557281]), array([4.]), array([0.8]))
    """

    name = "adadelta"
    outputs = ("w", "v", "d")
    inputs = ("g", "rate", "w", "v", "d", "decay")
    optional = ("decay",)
    attrs = {"rho": 0.95, "epsilon": 1e-7}
    scalars = ("rate", "decay")
    flops_per_element = 17

    def numpy(self, g, rate, w, v, d, decay=None, rho=0.95, epsilon=1e-7):
        v = v + (g * g - v) * (1 - rho)
        step = np.sqrt(d + epsilon) / np.sqrt(v + epsilon) * g
        return decayed(w, decay) - float(rate) * step, v, d + (step * step - d) * (1 - rho)


@register
class adam_amsgrad(Flat):
    """Adam that divides by the root of the largest v so far, so that no weight's rate grows again.

        m, v as in `adam`
        top = max(top, v)
        w -= alpha * m / (sqrt(top) + epsilon)

    Slots: w, m, v, top (n) updated; g (n); alpha, epsilon, decay 0-d, as `adam` and `adamw` have them.

    References
    ----------
    Reddi, Kale & Kumar (2018), On the convergence of Adam and beyond, arXiv:1904.09237, Algorithm 2.
    """

    name = "adam_amsgrad"
    outputs = ("w", "m", "v", "top")
    inputs = ("g", "alpha", "epsilon", "w", "m", "v", "top", "decay")
    optional = ("decay",)
    attrs = {"beta_1": 0.9, "beta_2": 0.999}
    scalars = ("alpha", "epsilon", "decay")
    flops_per_element = 15

    def numpy(self, g, alpha, epsilon, w, m, v, top, decay=None, beta_1=0.9, beta_2=0.999):
        m = m + (g - m) * (1 - beta_1)
        v = v + (g * g - v) * (1 - beta_2)
        top = np.maximum(top, v)
        return decayed(w, decay) - float(alpha) * m / (np.sqrt(top) + float(epsilon)), m, v, top


@register
class adamax(Flat):
    """Adam by the largest gradient, slowly forgotten, in the place of the root mean square.

        m += (g - m) * (1 - beta_1)
        u = max(beta_2 * u, |g|)
        w -= alpha * m / (u + epsilon)          alpha = rate / (1 - beta_1**t)

    Slots: w, m, u (n) updated; g (n); alpha, decay 0-d.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980, Algorithm 2.

    Examples
    --------
    >>> adamax(np.array([-2.0]), 0.5, np.zeros(1), np.zeros(1), np.array([1.0]), beta_1=0.0, epsilon=0.0)
    (array([0.5]), array([-2.]), array([2.]))
    """

    name = "adamax"
    outputs = ("w", "m", "u")
    inputs = ("g", "alpha", "w", "m", "u", "decay")
    optional = ("decay",)
    attrs = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
    scalars = ("alpha", "decay")
    flops_per_element = 11

    def numpy(self, g, alpha, w, m, u, decay=None, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
        m = m + (g - m) * (1 - beta_1)
        u = np.maximum(beta_2 * u, np.abs(g))
        return decayed(w, decay) - float(alpha) * m / (u + epsilon), m, u


@register
class nadam(Flat):
    """Adam with Nesterov's look ahead: a part of the step goes along the gradient itself.

        m, v as in `adam`
        w -= (alpha * m + gamma * g) / (sqrt(v) + epsilon)

    Slots: w, m, v (n) updated; g (n); alpha, gamma, epsilon, decay 0-d. `fastnn.optimizers.Nadam` says what alpha and
    gamma are.

    References
    ----------
    Dozat (2016), Incorporating Nesterov momentum into Adam.
    """

    name = "nadam"
    outputs = ("w", "m", "v")
    inputs = ("g", "alpha", "gamma", "epsilon", "w", "m", "v", "decay")
    optional = ("decay",)
    attrs = {"beta_1": 0.9, "beta_2": 0.999}
    scalars = ("alpha", "gamma", "epsilon", "decay")
    flops_per_element = 16

    def numpy(self, g, alpha, gamma, epsilon, w, m, v, decay=None, beta_1=0.9, beta_2=0.999):
        m = m + (g - m) * (1 - beta_1)
        v = v + (g * g - v) * (1 - beta_2)
        step = (float(alpha) * m + float(gamma) * g) / (np.sqrt(v) + float(epsilon))
        return decayed(w, decay) - step, m, v


@register
class radam(Flat):
    """Adam that divides by the root of v only when v is of enough gradients.

        m, v as in `adam`
        w -= alpha * m / (sqrt(v) + epsilon)     adaptive
        w -= alpha * m                           adaptive == 0

    Slots: w, m, v (n) updated; g (n); alpha, epsilon, adaptive, decay 0-d. `fastnn.optimizers.RAdam` says what
    alpha is.

    References
    ----------
    Liu et al. (2020), On the variance of the adaptive learning rate and beyond, arXiv:1908.03265, Algorithm 2.
    """

    name = "radam"
    outputs = ("w", "m", "v")
    inputs = ("g", "alpha", "epsilon", "adaptive", "w", "m", "v", "decay")
    optional = ("decay",)
    attrs = {"beta_1": 0.9, "beta_2": 0.999}
    scalars = ("alpha", "epsilon", "adaptive", "decay")
    flops_per_element = 14

    def numpy(self, g, alpha, epsilon, adaptive, w, m, v, decay=None, beta_1=0.9, beta_2=0.999):
        w = decayed(w, decay)
        if float(adaptive):
            return adam.numpy(g, alpha, epsilon, w, m, v, beta_1, beta_2)
        m = m + (g - m) * (1 - beta_1)
        return w - float(alpha) * m, m, v + (g * g - v) * (1 - beta_2)


@register
class lion(Flat):
    """Lion: steps of one size, along the signs of an average of the gradients.

        w -= rate * sign(m + (g - m) * (1 - beta_1))
        m += (g - m) * (1 - beta_2)

    Slots: w, m (n) updated; g (n); rate, decay 0-d.

    References
    ----------
    Chen et al. (2023), Symbolic discovery of optimization algorithms, arXiv:2302.06675, Algorithm 2.

    Examples
    --------
    >>> lion(np.array([3.0, -1e-9]), 0.25, np.ones(2), np.zeros(2), beta_2=0.5)
    (array([0.75, 1.25]), array([ 1.5e+00, -5.0e-10]))
    """

    name = "lion"
    outputs = ("w", "m")
    inputs = ("g", "rate", "w", "m", "decay")
    optional = ("decay",)
    attrs = {"beta_1": 0.9, "beta_2": 0.99}
    scalars = ("rate", "decay")
    flops_per_element = 11
    jumps = True

    def numpy(self, g, rate, w, m, decay=None, beta_1=0.9, beta_2=0.99):
        step = np.sign(m + (g - m) * (1 - beta_1))
        return decayed(w, decay) - float(rate) * step, m + (g - m) * (1 - beta_2)


@register
class ftrl(Flat):
    """Follow the regularized leader: each weight is the minimum of all past gradients' planes and a parabola.

        sigma = ((a + g*g)**-power - a**-power) / rate
        a += g*g
        z += g + 2 * shrinkage * w - sigma * w
        w = (clip(z, -l1, l1) - z) / (a**-power / rate + 2 * l2)

    Slots: w, a, z (n) updated; g (n); rate, l2, decay 0-d. Weights of small z are exactly 0.

    References
    ----------
    McMahan et al. (2013), Ad click prediction: a view from the trenches, Algorithm 1 (power = -1/2).
    """

    name = "ftrl"
    outputs = ("w", "a", "z")
    inputs = ("g", "rate", "l2", "w", "a", "z", "decay")
    optional = ("decay",)
    attrs = {"power": -0.5, "l1": 0.0, "shrinkage": 0.0}
    scalars = ("rate", "l2", "decay")
    flops_per_element = 20

    def terms(self, call: Call) -> int:
        return 16

    def numpy(self, g, rate, l2, w, a, z, decay=None, power=-0.5, l1=0.0, shrinkage=0.0):
        w, rate, new = decayed(w, decay), float(rate), a + g * g
        sigma = (new**-power - a**-power) / rate
        z = z + g + 2 * shrinkage * w - sigma * w
        return (np.clip(z, -l1, l1) - z) / (new**-power / rate + 2 * float(l2)), new, z
