"""Kernels as one writes them by hand in NumPy, where that differs from the meaning.

Each function takes the kernel's inputs and attributes. What the kernel updates in place, it updates in place; what it
returns are the kernel's other outputs, in their order (the later ones may be missing).
"""

from __future__ import annotations

import math

import numpy as np

f4 = np.float32
_random = np.random.default_rng(0)


def decay_inplace(w, decay):
    if decay is not None:
        w *= f4(1 - float(decay))


def sgd(g, rate, w, decay=None):
    decay_inplace(w, decay)
    w -= f4(rate) * g


def momentum(g, rate, mu, w, v, decay=None, nesterov=0):
    decay_inplace(w, decay)
    v *= f4(mu)
    v -= f4(rate) * g
    w += f4(mu) * v - f4(rate) * g if nesterov else v


def rmsprop(g, rate, w, v, decay=None, rho=0.9, epsilon=1e-7, epsilon_inside=1):
    decay_inplace(w, decay)
    v += (g * g - v) * f4(1 - rho)
    w -= f4(rate) * g / (np.sqrt(v + f4(epsilon)) if epsilon_inside else np.sqrt(v) + f4(epsilon))


def adam(g, alpha, epsilon, w, m, v, beta_1, beta_2):
    m += (g - m) * f4(1 - beta_1)
    v += (g * g - v) * f4(1 - beta_2)
    w -= f4(alpha) * m / (np.sqrt(v) + f4(epsilon))


def adamw(g, alpha, epsilon, decay, w, m, v, beta_1, beta_2):
    w *= f4(1 - float(decay))
    adam(g, alpha, epsilon, w, m, v, beta_1, beta_2)


def scale_inplace(scale, g):
    g *= scale


def clip_inplace(g, limit):
    np.clip(g, f4(-limit), f4(limit), out=g)


def add_inplace(h, g):
    g += h


def l2_grad_inplace(w, g, coefficient):
    g += f4(coefficient) * w


def batch_norm(x, gamma, beta, moving_mean, moving_var, momentum, epsilon, unbiased_moving_variance):
    mean, var = x.mean(0), x.var(0)
    rstd = 1 / np.sqrt(var + f4(epsilon))
    y = (x - mean) * (rstd * gamma) + beta
    if unbiased_moving_variance:
        var = var * f4(len(x) / max(len(x) - 1, 1))
    moving_mean += (mean - moving_mean) * f4(1 - momentum)
    moving_var += (var - moving_var) * f4(1 - momentum)
    return y, mean, rstd


def batch_norm_grad(dy, x, gamma, mean, rstd):
    xhat = (x - mean) * rstd
    dgamma, dbeta = (dy * xhat).sum(0), dy.sum(0)
    n = f4(1 / len(x))
    return gamma * rstd * (dy - dbeta * n - xhat * (dgamma * n)), dgamma, dbeta


def dropout(x, step, rate, key0, key1):
    keep = _random.random(x.shape, f4) >= f4(rate)
    return x * keep * f4(1 / (1 - rate))


def random_uniform(step, key0, key1, low, high, shape, dtype):
    return f4(low) + _random.random(shape, f4) * f4(high - low)


def random_normal(step, key0, key1, mean, stddev, shape, dtype):
    return f4(mean) + f4(stddev) * _random.standard_normal(shape, f4)


def clip(x, low, high):
    return np.clip(x, f4(low), f4(high))


def dense(x, w, b, activation, alpha):
    z = x @ w + b
    if activation == "relu":
        return np.maximum(z, 0)
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-z))
    if activation == "tanh":
        return np.tanh(z)
    if activation in ("elu", "selu"):
        scale, slope = (1.0507009873554805, 1.6732632423543772) if activation == "selu" else (1.0, alpha)
        return f4(scale) * np.where(z > 0, z, f4(slope) * (np.exp(np.minimum(z, 0)) - 1))
    return z


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def softmax_cross_entropy(z, labels):
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return -np.log(p[np.arange(len(z)), labels]), p


def softmax_cross_entropy_grad(g, p, labels):
    dz = p * g[:, None]
    dz[np.arange(len(p)), labels] -= g
    return dz


def gather_rows(rows, index, /, scale, offset, source):
    return rows[index] * f4(scale) + f4(offset)


def erf(x):
    return np.array([math.erf(value) for value in x.ravel().tolist()], f4).reshape(x.shape)


BY_HAND = {f.__name__: f for f in (
    sgd, momentum, rmsprop, adam, adamw, scale_inplace, clip_inplace, add_inplace, l2_grad_inplace, batch_norm,
    batch_norm_grad, dropout, random_uniform, random_normal, clip, dense, softmax, softmax_cross_entropy,
    softmax_cross_entropy_grad, gather_rows, erf)}
#: kernels whose NumPy lines draw other random numbers
RANDOM = frozenset({"dropout", "random_uniform", "random_normal"})
