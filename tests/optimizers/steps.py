"""Fifty steps of an optimizer on gradients that are drawn beforehand."""

import numpy as np

from fastnn.program.variable import Variable

SHAPES = [(5, 7), (7,), (3, 1, 2), (33,)]
STEPS = 50


def start(seed=0):
    rng = np.random.default_rng(seed)
    values = [rng.standard_normal(s).astype(np.float32) for s in SHAPES]
    grads = [[rng.standard_normal(s).astype(np.float32) * (1 + t % 3) for s in SHAPES] for t in range(STEPS)]
    return values, grads


def variables(values, dtype="float32"):
    made = [Variable(v, name=f"v{i}", dtype=dtype) for i, v in enumerate(values)]
    return made


def trajectory(optimizer, dtype="float32", seed=0):
    values, grads = start(seed)
    made = variables(values, dtype)
    for g in grads:
        optimizer.apply(g, made)
    assert optimizer.iterations == STEPS
    return [v.numpy() for v in made]


def close(a, b, tolerance=2e-5):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)
