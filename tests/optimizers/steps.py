"""Fifty steps of an optimizer on gradients that are drawn beforehand."""

import numpy as np

from fastnn.program.variable import Variable
from tests.data.make_trajectories import SHAPES, STEPS, start

__all__ = ["SHAPES", "STEPS", "close", "start", "trajectory", "variables"]


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
