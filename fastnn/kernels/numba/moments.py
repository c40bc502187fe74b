"""Optimizer updates that know the sizes of past gradients, or only their signs."""

from __future__ import annotations

import numpy as np

from .elementwise import real_power
from .form import form, helper
from .math import fma, larger, smaller
from .optim import average, average_square, decayed

f4 = np.float32


@form(rate="f8", decay="f8")
def adagrad(w, a, g, rate, decay, epsilon, epsilon_inside):
    """a += g*g; w -= rate * g / (sqrt(a + epsilon) if epsilon_inside else sqrt(a) + epsilon)"""
    r, dec = f4(rate), f4(decay)
    inside, outside = (epsilon, f4(0)) if epsilon_inside != 0.0 else (f4(0), epsilon)
    for i in range(len(w)):
        a[i] = fma(g[i], g[i], a[i])
        w[i] = decayed(w[i], dec) - r * g[i] / (np.sqrt(a[i] + inside) + outside)


@form(rate="f8", decay="f8", rho="f8")
def adadelta(w, v, d, g, rate, decay, rho, epsilon):
    """step = g * sqrt(d + epsilon) / sqrt(v + epsilon); w -= rate * step; v and d average the squares of g and step"""
    r, dec, c = f4(rate), f4(decay), f4(1 - rho)
    for i in range(len(w)):
        v[i] = average_square(v[i], g[i], c)
        step = np.sqrt(d[i] + epsilon) / np.sqrt(v[i] + epsilon) * g[i]
        d[i] = average_square(d[i], step, c)
        w[i] = fma(-r, step, decayed(w[i], dec))


@form(alpha="f8", epsilon="f8", decay="f8", beta_1="f8", beta_2="f8")
def adam_amsgrad(w, m, v, top, g, alpha, epsilon, decay, beta_1, beta_2):
    """m, v as in adam; top = max(top, v); w -= alpha * m / (sqrt(top) + epsilon)"""
    a, e, dec, c1, c2 = f4(alpha), f4(epsilon), f4(decay), f4(1 - beta_1), f4(1 - beta_2)
    for i in range(len(w)):
        m[i] = average(m[i], g[i], c1)
        v[i] = average_square(v[i], g[i], c2)
        top[i] = top[i] if v[i] < top[i] else v[i]
        w[i] = decayed(w[i], dec) - a * m[i] / (np.sqrt(top[i]) + e)


@form(alpha="f8", decay="f8", beta_1="f8")
def adamax(w, m, u, g, alpha, decay, beta_1, beta_2, epsilon):
    """m as in adam; u = max(beta_2 * u, abs(g)); w -= alpha * m / (u + epsilon)"""
    a, dec, c1 = f4(alpha), f4(decay), f4(1 - beta_1)
    for i in range(len(w)):
        size, kept = abs(g[i]), beta_2 * u[i]
        m[i] = average(m[i], g[i], c1)
        u[i] = kept if size < kept else size
        w[i] = decayed(w[i], dec) - a * m[i] / (u[i] + epsilon)


@form(alpha="f8", gamma="f8", epsilon="f8", decay="f8", beta_1="f8", beta_2="f8")
def nadam(w, m, v, g, alpha, gamma, epsilon, decay, beta_1, beta_2):
    """m, v as in adam; w -= (alpha * m + gamma * g) / (sqrt(v) + epsilon)"""
    a, b, e, dec, c1, c2 = f4(alpha), f4(gamma), f4(epsilon), f4(decay), f4(1 - beta_1), f4(1 - beta_2)
    for i in range(len(w)):
        m[i] = average(m[i], g[i], c1)
        v[i] = average_square(v[i], g[i], c2)
        w[i] = decayed(w[i], dec) - fma(a, m[i], b * g[i]) / (np.sqrt(v[i]) + e)


@form(alpha="f8", epsilon="f8", adaptive="f8", decay="f8", beta_1="f8", beta_2="f8")
def radam(w, m, v, g, alpha, epsilon, adaptive, decay, beta_1, beta_2):
    """m, v as in adam; w -= alpha * m / (sqrt(v) + epsilon if adaptive else 1)"""
    a, e, dec, c1, c2 = f4(alpha), f4(epsilon), f4(decay), f4(1 - beta_1), f4(1 - beta_2)
    if adaptive != 0.0:
        for i in range(len(w)):
            m[i] = average(m[i], g[i], c1)
            v[i] = average_square(v[i], g[i], c2)
            w[i] = decayed(w[i], dec) - a * m[i] / (np.sqrt(v[i]) + e)
    else:
        for i in range(len(w)):
            m[i] = average(m[i], g[i], c1)
            v[i] = average_square(v[i], g[i], c2)
            w[i] = decayed(w[i], dec) - a * m[i]


@form(rate="f8", decay="f8", beta_1="f8", beta_2="f8")
def lion(w, m, g, rate, decay, beta_1, beta_2):
    """w -= rate * sign(m + (g - m) * (1 - beta_1)); m += (g - m) * (1 - beta_2)"""
    r, dec, c1, c2 = f4(rate), f4(decay), f4(1 - beta_1), f4(1 - beta_2)
    for i in range(len(w)):
        c = average(m[i], g[i], c1)
        sign = f4(1) if c > f4(0) else f4(-1) if c < f4(0) else c  # NaN stays
        w[i] = fma(-r, sign, decayed(w[i], dec))
        m[i] = average(m[i], g[i], c2)


@helper
def leader(z, l1, steepness):
    """(clip(z, -l1, l1) - z) / steepness, the weight that l1 leaves."""
    return (larger(smaller(z, l1), -l1) - z) / steepness


@form(rate="f8", l2="f8", decay="f8")
def ftrl(w, a, z, g, rate, l2, decay, power, l1, shrinkage):
    """z += g + 2 * shrinkage * w - ((a + g*g)**-power - a**-power) / rate * w; a += g*g; then w minimizes"""
    per_rate, dec, ridge, shrink = f4(1 / rate), f4(decay), f4(2 * l2), f4(2) * shrinkage
    for i in range(len(w)):
        x, square = decayed(w[i], dec), g[i] * g[i]
        if power == f4(-0.5):
            before, after = np.sqrt(a[i]), np.sqrt(a[i] + square)
            both = before + after
            grown = f4(0) if both == f4(0) else square / both  # after - before, without its cancellation
        else:
            before, after = real_power(a[i], -power), real_power(a[i] + square, -power)
            grown = after - before
        a[i] += square
        z[i] += fma(shrink, x, g[i]) - grown * per_rate * x
        w[i] = leader(z[i], l1, fma(after, per_rate, ridge))
