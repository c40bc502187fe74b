"""Optimizer updates and gradient arithmetic over flat arrays.

All but the two kernels of the gradient norm are flat: a tile is 16 elements, arrays are updated in
place, and an update of two halves is the update of the whole. Numbers that change from step to step
(learning rate, momentum, epsilon with its bias correction) are step scalars: 0-d float64 inputs.
Sorted so that each rule adds one idea to the one before.
"""

from __future__ import annotations

import numpy as np

from .spec import Array, Call, Kernel, blocks, like, register

SQUARES = 16384  #: elements of one tile of `sum_of_squares`


class Flat(Kernel):
    """Base of the flat kernels: ``scalars`` are 0-d, all other slots have one shape.

    An update that can decay its weights has a last input ``decay``, optional, the share that each weight loses before
    the step; for decoupled weight decay it is ``rate * weight_decay``.
    """

    dims = ("n",)
    flat = True
    scalars: tuple[str, ...] = ()

    def infer(self, *inputs: Array, **attrs) -> tuple[Array, ...]:
        slots = dict(zip(self.inputs, inputs))
        first = slots[next(n for n in self.inputs if n not in self.scalars)]
        for name, x in slots.items():
            if x is None:
                continue
            if name in self.scalars:
                if x.shape != () or x.dtype.kind != "f":
                    raise ValueError(f"{self.name} needs {name} as one float, got shape {x.shape}, dtype {x.dtype}.")
            elif x.shape != first.shape or x.dtype.kind != "f":
                raise ValueError(f"{self.name} needs float arrays of one shape, got {name} with shape {x.shape} and "
                                 f"dtype {x.dtype} beside {first.shape}.")
        return tuple(like(slots[name]) for name in self.outputs)

    def sizes(self, call: Call) -> tuple[int]:
        return (call[self.outputs[0]].size,)

    def tiles(self, call: Call) -> int:
        return blocks(call[self.outputs[0]].size)

    def flops(self, call: Call) -> float:
        return float(self.flops_per_element * call[self.outputs[0]].size)

    def nbytes(self, call: Call) -> float:
        """An updated array is read and written; the rest is read."""
        return sum(x.nbytes for x in (*call.inputs, *call.outputs) if x is not None)

    flops_per_element = 2


def decayed(w, decay):
    """w without the share of it that decays."""
    return w if decay is None else w - float(decay) * w


@register
class sgd(Flat):
    """Gradient descent: ``w -= rate * g``.

    Slots: w (n) updated; g (n); rate, decay 0-d.

    Examples
    --------
    >>> sgd(np.array([2.0, -4.0]), 0.5, np.array([1.0, 1.0]))
    array([0., 3.])
    """

    name = "sgd"
    outputs = ("w",)
    inputs = ("g", "rate", "w", "decay")
    optional = ("decay",)
    scalars = ("rate", "decay")
    flops_per_element = 4

    def numpy(self, g, rate, w, decay=None):
        return decayed(w, decay) - float(rate) * g


@register
class momentum(Flat):
    """Gradient descent with momentum, as Keras writes it: the rate is inside the velocity.

        v = mu * v - rate * g
        w += v                        plain
        w += mu * v - rate * g        nesterov=1, with the new v

    Slots: w, v (n) updated; g (n); rate, mu, decay 0-d. PyTorch's ``buf`` is ``-v / rate`` while the rate stays.

    References
    ----------
    Sutskever, Martens, Dahl & Hinton (2013), On the importance of initialization and momentum in deep learning.

    Examples
    --------
    >>> momentum(np.array([2.0]), 0.5, 0.5, np.array([1.0]), np.array([4.0]))
    (array([2.]), array([1.]))
    >>> momentum(np.array([2.0]), 0.5, 0.5, np.array([1.0]), np.array([4.0]), nesterov=1)
    (array([0.5]), array([1.]))
    """

    name = "momentum"
    outputs = ("w", "v")
    inputs = ("g", "rate", "mu", "w", "v", "decay")
    optional = ("decay",)
    attrs = {"nesterov": 0}
    scalars = ("rate", "mu", "decay")
    flops_per_element = 7

    def numpy(self, g, rate, mu, w, v, decay=None, nesterov=0):
        rate, mu, w = float(rate), float(mu), decayed(w, decay)
        v = mu * v - rate * g
        return (w + mu * v - rate * g if nesterov else w + v), v


@register
class momentum_outside(Flat):
    """Gradient descent with momentum, as PyTorch writes it: the rate is outside of the velocity.

        v = mu * v + gain * g
        w -= rate * v                 plain
        w -= rate * (g + mu * v)      nesterov=1, with the new v

    Slots: w, v (n) updated; g (n); rate, mu, gain, decay 0-d. ``gain`` is 1 - dampening.

    References
    ----------
    Polyak (1964), Some methods of speeding up the convergence of iteration methods.

    Examples
    --------
    >>> momentum_outside(np.array([2.0]), 0.5, 0.5, 1.0, np.array([1.0]), np.array([4.0]))
    (array([-1.]), array([4.]))
    """

    name = "momentum_outside"
    outputs = ("w", "v")
    inputs = ("g", "rate", "mu", "gain", "w", "v", "decay")
    optional = ("decay",)
    attrs = {"nesterov": 0}
    scalars = ("rate", "mu", "gain", "decay")
    flops_per_element = 8

    def numpy(self, g, rate, mu, gain, w, v, decay=None, nesterov=0):
        rate, mu, w = float(rate), float(mu), decayed(w, decay)
        v = mu * v + float(gain) * g
        return w - rate * (g + mu * v if nesterov else v), v


def rms_step(rate, g, v, epsilon, inside):
    """The step of RMSprop: ``rate * g`` over the root of v, with epsilon inside or outside of the root."""
    return rate * g / (np.sqrt(v + epsilon) if inside else np.sqrt(v) + epsilon)


@register
class rmsprop(Flat):
    """RMSprop: each weight has a rate of its own, by the root mean square of its gradients.

        v += (g*g - v) * (1 - rho)
        w -= rate * g / sqrt(v + epsilon)        epsilon_inside=1, as Keras
        w -= rate * g / (sqrt(v) + epsilon)      epsilon_inside=0, as PyTorch

    Slots: w, v (n) updated; g (n); rate, decay 0-d.

    References
    ----------
    Tieleman & Hinton (2012), Lecture 6.5: RMSProp, Coursera, Neural Networks for Machine Learning.

    Examples
    --------
    >>> rmsprop(np.array([3.0]), 0.1, np.array([1.0]), np.array([9.0]), epsilon=0.0)
    (array([0.9]), array([9.]))
    """

    name = "rmsprop"
    outputs = ("w", "v")
    inputs = ("g", "rate", "w", "v", "decay")
    optional = ("decay",)
    attrs = {"rho": 0.9, "epsilon": 1e-7, "epsilon_inside": 1}
    scalars = ("rate", "decay")
    flops_per_element = 10

    def numpy(self, g, rate, w, v, decay=None, rho=0.9, epsilon=1e-7, epsilon_inside=1):
        v = v + (g * g - v) * (1 - rho)
        return decayed(w, decay) - rms_step(float(rate), g, v, epsilon, epsilon_inside), v


@register
class rmsprop_momentum(Flat):
    """RMSprop whose steps are gathered by momentum: ``mom = mu * mom + step; w -= mom``.

    As in Keras the rate is inside ``mom``; with a rate that stays this is PyTorch's rule too.
    Slots: w, v, mom (n) updated; g (n); rate, mu, decay 0-d. See `rmsprop` for the step.
    """

    name = "rmsprop_momentum"
    outputs = ("w", "v", "mom")
    inputs = ("g", "rate", "mu", "w", "v", "mom", "decay")
    optional = ("decay",)
    attrs = {"rho": 0.9, "epsilon": 1e-7, "epsilon_inside": 1}
    scalars = ("rate", "mu", "decay")
    flops_per_element = 12

    def numpy(self, g, rate, mu, w, v, mom, decay=None, rho=0.9, epsilon=1e-7, epsilon_inside=1):
        v = v + (g * g - v) * (1 - rho)
        mom = float(mu) * mom + rms_step(float(rate), g, v, epsilon, epsilon_inside)
        return decayed(w, decay) - mom, v, mom


@register
class rmsprop_centered(Flat):
    """RMSprop by the standard deviation of the gradients instead of their root mean square.

        v += (g*g - v) * (1 - rho);  mean += (g - mean) * (1 - rho)

    and then as `rmsprop_momentum` with ``max(v - mean*mean, 0)`` in the place of v (the libraries
    leave the maximum away and risk the root of a rounding below zero).
    Slots: w, v, mean, mom (n) updated; g (n); rate, mu, decay 0-d (mu = 0 for no momentum).

    References
    ----------
    Graves (2013), Generating sequences with recurrent neural networks, arXiv:1308.0850.
    """

    name = "rmsprop_centered"
    outputs = ("w", "v", "mean", "mom")
    inputs = ("g", "rate", "mu", "w", "v", "mean", "mom", "decay")
    optional = ("decay",)
    attrs = {"rho": 0.9, "epsilon": 1e-7, "epsilon_inside": 1}
    scalars = ("rate", "mu", "decay")
    flops_per_element = 18

    def terms(self, call: Call) -> int:
        return 16

    def numpy(self, g, rate, mu, w, v, mean, mom, decay=None, rho=0.9, epsilon=1e-7, epsilon_inside=1):
        v = v + (g * g - v) * (1 - rho)
        mean = mean + (g - mean) * (1 - rho)
        variance = np.maximum(v - mean * mean, 0)
        mom = float(mu) * mom + rms_step(float(rate), g, variance, epsilon, epsilon_inside)
        return decayed(w, decay) - mom, v, mean, mom


@register
class adam(Flat):
    """Adam, with both bias corrections inside its two step scalars.

        m += (g - m) * (1 - beta_1)
        v += (g*g - v) * (1 - beta_2)
        w -= alpha * m / (sqrt(v) + epsilon)

    Slots: w, m, v (n) updated; g (n); alpha, epsilon 0-d. With t counted from 1,
    ``alpha = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)``. A constant epsilon is Keras's, the
    "epsilon hat" before section 2.1 of the paper; Algorithm 1 and PyTorch have
    ``epsilon = eps * sqrt(1 - beta_2**t)``. ``alpha = rate`` is Adam without bias correction.

    References
    ----------
    Kingma & Ba (2015), Adam: a method for stochastic optimization, arXiv:1412.6980.

    Examples
    --------
    >>> w, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    >>> w, m, v = adam(np.array([2.0]), 0.1 * 0.001**0.5 / 0.1, 1e-7, w, m, v)    # rate 0.1, t = 1
    >>> w.round(4)
    array([0.9])
    """

    name = "adam"
    outputs = ("w", "m", "v")
    inputs = ("g", "alpha", "epsilon", "w", "m", "v")
    attrs = {"beta_1": 0.9, "beta_2": 0.999}
    scalars = ("alpha", "epsilon")
    flops_per_element = 12

    def numpy(self, g, alpha, epsilon, w, m, v, beta_1, beta_2):
        m = m + (g - m) * (1 - beta_1)
        v = v + (g * g - v) * (1 - beta_2)
        return w - float(alpha) * m / (np.sqrt(v) + float(epsilon)), m, v


@register
class adamw(Flat):
    """Adam with decoupled weight decay: ``w -= decay * w``, then the update of `adam`.

    Slots: w, m, v (n) updated; g (n); alpha, epsilon, decay 0-d; ``decay = rate * weight_decay``.

    References
    ----------
    Loshchilov & Hutter (2019), Decoupled weight decay regularization, arXiv:1711.05101.
    """

    name = "adamw"
    outputs = ("w", "m", "v")
    inputs = ("g", "alpha", "epsilon", "decay", "w", "m", "v")
    attrs = {"beta_1": 0.9, "beta_2": 0.999}
    scalars = ("alpha", "epsilon", "decay")
    flops_per_element = 14

    def numpy(self, g, alpha, epsilon, decay, w, m, v, beta_1, beta_2):
        return adam.numpy(g, alpha, epsilon, w - float(decay) * w, m, v, beta_1, beta_2)


@register
class sum_of_squares(Kernel):
    """Sums of squares over pieces of 16384 elements: the first half of a global norm.

    Slots: partial (T) with ``T = ceil(n / 16384)``; g (n).

    Examples
    --------
    >>> sum_of_squares(np.full(20000, 2.0))
    array([65536., 14464.])
    """

    name = "sum_of_squares"
    outputs = ("partial",)
    inputs = ("g",)
    dims = ("n",)

    def infer(self, g: Array) -> tuple[Array]:
        if g.dtype.kind != "f":
            raise ValueError(f"sum_of_squares needs floats, got shape {g.shape} and dtype {g.dtype}.")
        return (like(g, (blocks(g.size, SQUARES),)),)

    def numpy(self, g):
        squares = np.square(g.ravel())
        return np.array([squares[i:i + SQUARES].sum() for i in range(0, g.size, SQUARES)], g.dtype)

    def sizes(self, call: Call) -> tuple[int]:
        return (call["g"].size,)

    def tiles(self, call: Call) -> int:
        return blocks(call["g"].size, SQUARES)

    def terms(self, call: Call) -> int:
        return 8 + min(call["g"].size, SQUARES) // 16

    def flops(self, call: Call) -> float:
        return 2.0 * call["g"].size


@register
class global_norm_scale(Kernel):
    """The second half of a global norm, and the factor that clips to it.

        norm = sqrt(sum(partial))
        scale = limit / norm if norm > limit else 1        (NaN for a norm that is NaN)

    Slots: scale, norm 0-d; partial (T).

    References
    ----------
    Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, arXiv:1211.5063.

    Examples
    --------
    >>> scale, norm = global_norm_scale(np.array([9.0, 16.0]), limit=1.0)
    >>> float(scale), float(norm)
    (0.2, 5.0)
    """

    name = "global_norm_scale"
    outputs = ("scale", "norm")
    inputs = ("partial",)
    dims = ("n",)
    attrs = {"limit": ...}

    def infer(self, partial: Array, limit) -> tuple[Array, Array]:
        if partial.ndim != 1 or partial.dtype.kind != "f":
            raise ValueError(f"global_norm_scale needs a float vector, got shape {partial.shape}, {partial.dtype}.")
        return like(partial, ()), like(partial, ())

    def numpy(self, partial, limit):
        norm = np.sqrt(partial.sum())
        scale = np.where(norm <= limit, 1.0, limit / np.maximum(norm, limit))
        return scale.astype(partial.dtype), np.asarray(norm)

    def sizes(self, call: Call) -> tuple[int]:
        return (call["partial"].size,)

    def terms(self, call: Call) -> int:
        return 8 + call["partial"].size

    def flops(self, call: Call) -> float:
        return float(call["partial"].size)


@register
class scale_inplace(Flat):
    """``g *= scale``, scale being 0-d of the arrays' dtype (computed by another call).

    Examples
    --------
    >>> scale_inplace(np.array(0.5), np.array([2.0, 4.0]))
    array([1., 2.])
    """

    name = "scale_inplace"
    outputs = ("g",)
    inputs = ("scale", "g")
    scalars = ("scale",)
    flops_per_element = 1

    def numpy(self, scale, g):
        return g * np.asarray(scale, g.dtype)


@register
class clip_inplace(Flat):
    """Each element of g brought into ``[-limit, limit]``; NaN stays.

    Examples
    --------
    >>> clip_inplace(np.array([-3.0, 0.5, np.nan]), limit=1.0)
    array([-1. ,  0.5,  nan])
    """

    name = "clip_inplace"
    outputs = ("g",)
    inputs = ("g",)
    attrs = {"limit": ...}

    def numpy(self, g, limit):
        return np.clip(g, -limit, limit)


@register
class add_inplace(Flat):
    """``g += h``: two gradients of one array."""

    name = "add_inplace"
    outputs = ("g",)
    inputs = ("h", "g")
    flops_per_element = 1

    def numpy(self, h, g):
        return g + h


@register
class accumulate(Flat):
    """Gradients of several steps gathered: ``acc = keep * acc + factor * g``, and ``g = acc``.

    Slots: g, acc (n) updated; keep 0-d: 0 begins anew, whatever `acc` was, 1 goes on.

    Examples
    --------
    >>> accumulate(np.array([2.0]), 1.0, np.array([3.0]), factor=0.5)
    (array([4.]), array([4.]))
    """

    name = "accumulate"
    outputs = ("g", "acc")
    inputs = ("g", "keep", "acc")
    attrs = {"factor": 1.0}
    scalars = ("keep",)

    def numpy(self, g, keep, acc, factor):
        acc = (acc if float(keep) else 0) + factor * g
        return acc, acc


@register
class moving_average(Flat):
    """The moving average of the weights: ``average += (w - average) * (1 - mu)``, then ``w = average`` if overwrite.

    Slots: average, w (n) updated; mu, overwrite 0-d. ``mu = 0`` copies the weights.

    References
    ----------
    Polyak & Juditsky (1992), Acceleration of stochastic approximation by averaging.

    Examples
    --------
    >>> moving_average(0.75, 0.0, np.array([4.0]), np.array([8.0]))
    (array([5.]), array([8.]))
    """

    name = "moving_average"
    outputs = ("average", "w")
    inputs = ("mu", "overwrite", "average", "w")
    scalars = ("mu", "overwrite")
    flops_per_element = 3

    def numpy(self, mu, overwrite, average, w):
        average = average + (w - average) * (1 - float(mu)) if float(mu) else w
        return average, average if float(overwrite) else w


@register
class l2_grad_inplace(Flat):
    """``g += coefficient * w``: the gradient of ``coefficient / 2 * sum(w*w)``."""

    name = "l2_grad_inplace"
    outputs = ("g",)
    inputs = ("w", "g")
    attrs = {"coefficient": ...}

    def numpy(self, w, g, coefficient):
        return g + coefficient * w
