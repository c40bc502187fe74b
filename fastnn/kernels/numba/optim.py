"""Optimizer updates and gradient arithmetic over flat arrays.

Step scalars and the constants made from betas are float64 and rounded to float32 once, here at the start of a form.
"""

from __future__ import annotations

import math

import numpy as np

from .form import form, helper
from .math import fma, larger, smaller

f4 = np.float32
SQUARES = 16384  # elements of a tile of sum_of_squares, as in the kernel's spec
PART = 1024  # elements that stay in the first cache between two loops over them


@helper
def average(a, x, c):
    """a + (x - a) c, the exponential moving average."""
    return fma(x - a, c, a)


@helper
def average_square(v, g, c):
    """v + (g g - v) c; what is not below 0 stays so."""
    return fma(fma(g, g, -v), c, v)


@helper
def decayed(w, d):
    """w - d w, what the decay leaves of a weight; 0 leaves it as it is."""
    return fma(-d, w, w)


# ---------------------------------------------------------------------- updates


@form(rate="f8", decay="f8")
def sgd(w, g, rate, decay):
    """w -= rate * g"""
    r, d = f4(rate), f4(decay)
    for i in range(len(w)):
        w[i] = fma(-r, g[i], decayed(w[i], d))


@form(rate="f8", mu="f8", decay="f8")
def momentum(w, v, g, rate, mu, decay, nesterov):
    """v = mu * v - rate * g; w += mu * v - rate * g if nesterov else v"""
    r, m, d = f4(rate), f4(mu), f4(decay)
    if nesterov != 0.0:
        for i in range(len(w)):
            step = r * g[i]
            v[i] = fma(m, v[i], -step)
            w[i] = decayed(w[i], d) + fma(m, v[i], -step)
    else:
        for i in range(len(w)):
            v[i] = fma(m, v[i], -(r * g[i]))
            w[i] = decayed(w[i], d) + v[i]


@form(rate="f8", mu="f8", gain="f8", decay="f8")
def momentum_outside(w, v, g, rate, mu, gain, decay, nesterov):
    """v = mu * v + gain * g; w -= rate * (g + mu * v if nesterov else v)"""
    r, m, d, c = f4(rate), f4(mu), f4(decay), f4(gain)
    ahead, along = (f4(1), m) if nesterov != 0.0 else (f4(0), f4(1))
    for i in range(len(w)):
        v[i] = fma(m, v[i], c * g[i])
        w[i] = fma(-r, fma(along, v[i], ahead * g[i]), decayed(w[i], d))


@form(rate="f8", decay="f8", rho="f8")
def rmsprop(w, v, g, rate, decay, rho, epsilon, epsilon_inside):
    """v += (g*g - v) * (1 - rho); w -= rate * g / (sqrt(v + epsilon) if epsilon_inside else sqrt(v) + epsilon)"""
    r, d, c = f4(rate), f4(decay), f4(1 - rho)
    inside, outside = (epsilon, f4(0)) if epsilon_inside != 0.0 else (f4(0), epsilon)
    for i in range(len(w)):
        v[i] = average_square(v[i], g[i], c)
        w[i] = decayed(w[i], d) - r * g[i] / (np.sqrt(v[i] + inside) + outside)


@form(rate="f8", mu="f8", decay="f8", rho="f8")
def rmsprop_momentum(w, v, mom, g, rate, mu, decay, rho, epsilon, epsilon_inside):
    """mom = mu * mom + the step of rmsprop; w -= mom"""
    r, m, d, c = f4(rate), f4(mu), f4(decay), f4(1 - rho)
    inside, outside = (epsilon, f4(0)) if epsilon_inside != 0.0 else (f4(0), epsilon)
    for i in range(len(w)):
        v[i] = average_square(v[i], g[i], c)
        mom[i] = fma(m, mom[i], r * g[i] / (np.sqrt(v[i] + inside) + outside))
        w[i] = decayed(w[i], d) - mom[i]


@helper
def averages(v, mean, g, c):
    """The moving averages of g*g and of g."""
    for i in range(len(v)):
        v[i] = average_square(v[i], g[i], c)
        mean[i] = average(mean[i], g[i], c)


@helper
def centered_step(w, mom, v, mean, g, rate, mu, d, inside, outside):
    """mom = mu * mom + the step of rmsprop by the variance v - mean*mean; w -= mom"""
    for i in range(len(mom)):
        variance = larger(fma(-mean[i], mean[i], v[i]), f4(0))  # a rounding may fall below 0
        mom[i] = fma(mu, mom[i], rate * g[i] / (np.sqrt(variance + inside) + outside))
        w[i] = decayed(w[i], d) - mom[i]


@form(rate="f8", mu="f8", decay="f8", rho="f8")
def rmsprop_centered(w, v, mean, mom, g, rate, mu, decay, rho, epsilon, epsilon_inside):
    """mean += (g - mean) * (1 - rho); then as rmsprop_momentum, with v - mean*mean in the place of v"""
    r, m, d, c = f4(rate), f4(mu), f4(decay), f4(1 - rho)
    inside, outside = (epsilon, f4(0)) if epsilon_inside != 0.0 else (f4(0), epsilon)
    # Two loops over short parts: for five arrays in one loop the compiler does not check that they lie apart.
    for i in range(0, len(w), PART):
        part = slice(i, min(i + PART, len(w)))
        averages(v[part], mean[part], g[part], c)
        centered_step(w[part], mom[part], v[part], mean[part], g[part], r, m, d, inside, outside)


@form(alpha="f8", epsilon="f8", beta_1="f8", beta_2="f8")
def adam(w, m, v, g, alpha, epsilon, beta_1, beta_2):
    """m += (g - m) * (1 - beta_1); v += (g*g - v) * (1 - beta_2); w -= alpha * m / (sqrt(v) + epsilon)"""
    a, e, c1, c2 = f4(alpha), f4(epsilon), f4(1 - beta_1), f4(1 - beta_2)
    for i in range(len(w)):
        m[i] = average(m[i], g[i], c1)
        v[i] = average_square(v[i], g[i], c2)
        w[i] -= a * m[i] / (np.sqrt(v[i]) + e)


@form(alpha="f8", epsilon="f8", decay="f8", beta_1="f8", beta_2="f8")
def adamw(w, m, v, g, alpha, epsilon, decay, beta_1, beta_2):
    """w -= decay * w; then as adam"""
    a, e, d, c1, c2 = f4(alpha), f4(epsilon), f4(decay), f4(1 - beta_1), f4(1 - beta_2)
    for i in range(len(w)):
        m[i] = average(m[i], g[i], c1)
        v[i] = average_square(v[i], g[i], c2)
        w[i] = decayed(w[i], d) - a * m[i] / (np.sqrt(v[i]) + e)


# ---------------------------------------------------------------------- gradients: their norm, and arithmetic in place


@helper(fastmath={"reassoc"})
def row_squares(x):
    """sum(x * x)"""
    total = f4(0)
    for i in range(len(x)):
        total += x[i] * x[i]
    return total


@form(partial="f4 last", g="f4 n")
def sum_of_squares(partial, g, first, last):
    """partial = sums of g*g over pieces of 16384 elements"""
    for t in range(first, last):
        partial[t] = row_squares(g[t * SQUARES : (t + 1) * SQUARES])


@form(scale="f4 1", norm="f4 1", partial="f4 n", limit="f8")
def global_norm_scale(scale, norm, partial, limit, first, last):
    """norm = sqrt(sum(partial)); scale = 1 if norm <= limit else limit / norm"""
    if first >= last:
        return
    total = np.float64(0)
    for i in range(len(partial)):
        total += np.float64(partial[i])
    total = math.sqrt(total)
    norm[0] = f4(total)
    scale[0] = f4(1) if total <= limit else f4(limit / total)  # a NaN stays NaN


@form(scale="f4")
def scale_inplace(g, scale):
    """g *= scale"""
    for i in range(len(g)):
        g[i] *= scale


@form()
def clip_inplace(g, limit):
    """g = np.clip(g, -limit, limit)"""
    for i in range(len(g)):
        g[i] = larger(smaller(g[i], limit), -limit)


@form()
def add_inplace(g, h):
    """g += h"""
    for i in range(len(g)):
        g[i] += h[i]


@form(keep="f8")
def accumulate(g, acc, keep, factor):
    """g = acc = keep * acc + factor * g, without what acc was where keep is 0"""
    if keep != 0.0:
        for i in range(len(g)):
            acc[i] = fma(factor, g[i], acc[i])
            g[i] = acc[i]
    else:
        for i in range(len(g)):
            acc[i] = factor * g[i]
            g[i] = acc[i]


@form(mu="f8", overwrite="f8")
def moving_average(average, w, mu, overwrite):
    """average += (w - average) * (1 - mu); w = average if overwrite"""
    c = f4(1 - mu)
    for i in range(len(w)):
        average[i] = w[i] if c == f4(1) else fma(w[i] - average[i], c, average[i])
    if overwrite != 0.0:
        for i in range(len(w)):
            w[i] = average[i]


@form()
def l2_grad_inplace(g, w, coefficient):
    """g += coefficient * w"""
    for i in range(len(g)):
        g[i] = fma(coefficient, w[i], g[i])
