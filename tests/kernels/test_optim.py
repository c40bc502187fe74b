"""The optimizer updates against PyTorch over fifty steps, and hand-worked corners."""

import numpy as np
import pytest

from fastnn.kernels import optim as k
from fastnn.kernels import single, tables

STEPS, N = 50, 37
BACKENDS = ["numpy", *(["native"] if tables.native_available() else [])]


def follow(update, state, backend):
    """Fifty steps on a parabola with noisy gradients; `update(t)` gives kernel, scalars and attrs."""
    rng = np.random.default_rng(3)
    dtype = np.float32 if backend == "native" else np.float64
    w = rng.normal(size=N).astype(dtype)
    slots = [np.zeros(N, dtype) for _ in range(state)]
    start, gradients = w.copy(), []
    for t in range(1, STEPS + 1):
        g = (w * np.linspace(0.5, 2, N) + rng.normal(size=N)).astype(dtype)
        gradients.append(g)
        kernel, scalars, attrs = update(t)
        w, *slots = single.run(kernel, g, *map(np.float64, scalars), w, *slots, backend=backend, **attrs)
    return start, gradients, w


def torch_follow(torch, make, start, gradients):
    w = torch.tensor(start.astype(np.float64), requires_grad=True)
    optimizer = make([w])
    for g in gradients:
        w.grad = torch.tensor(g.astype(np.float64))
        optimizer.step()
    return w.detach().numpy()


def corrected(t, rate=0.02, beta_1=0.9, beta_2=0.999, eps=1e-8):
    """alpha and epsilon of PyTorch's Adam at step t."""
    root = np.sqrt(1 - beta_2**t)
    return rate * root / (1 - beta_1**t), eps * root


RULES = {
    "sgd": (lambda t: (k.sgd, [0.02], {}), 0, lambda o, p: o.SGD(p, lr=0.02)),
    "momentum": (lambda t: (k.momentum, [0.02, 0.9], {}), 1, lambda o, p: o.SGD(p, lr=0.02, momentum=0.9)),
    "nesterov": (lambda t: (k.momentum, [0.02, 0.9], {"nesterov": 1}), 1,
                 lambda o, p: o.SGD(p, lr=0.02, momentum=0.9, nesterov=True)),
    "rmsprop": (lambda t: (k.rmsprop, [0.02], {"rho": 0.99, "epsilon": 1e-8, "epsilon_inside": 0}), 1,
                lambda o, p: o.RMSprop(p, lr=0.02)),
    "rmsprop_momentum": (
        lambda t: (k.rmsprop_momentum, [0.02, 0.5], {"rho": 0.99, "epsilon": 1e-8, "epsilon_inside": 0}), 2,
        lambda o, p: o.RMSprop(p, lr=0.02, momentum=0.5)),
    "rmsprop_centered": (
        lambda t: (k.rmsprop_centered, [0.02, 0.5], {"rho": 0.99, "epsilon": 1e-3, "epsilon_inside": 0}), 3,
        lambda o, p: o.RMSprop(p, lr=0.02, momentum=0.5, centered=True, eps=1e-3)),
    "adam": (lambda t: (k.adam, corrected(t), {}), 2, lambda o, p: o.Adam(p, lr=0.02)),
    "adamw": (lambda t: (k.adamw, (*corrected(t), 0.02 * 0.1), {}), 2,
              lambda o, p: o.AdamW(p, lr=0.02, weight_decay=0.1)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("rule", RULES)
def test_fifty_steps_follow_torch(rule, backend):
    torch = pytest.importorskip("torch")
    update, state, make = RULES[rule]
    start, gradients, w = follow(update, state, backend)
    want = torch_follow(torch, lambda p: make(torch.optim, p), start, gradients)
    # in float32 each step rounds once or twice; RMSprop's first steps from zero moments amplify it
    np.testing.assert_allclose(w, want, rtol=0, atol=2e-5 if backend == "native" else 1e-12)


def test_adam_first_step_is_the_rate_in_the_sign_of_the_gradient():
    g = np.array([3.0, -0.001, 0.0])
    w, _, _ = k.adam(g, 0.1 * np.sqrt(0.001) / 0.1, 1e-30, np.zeros(3), np.zeros(3), np.zeros(3))
    np.testing.assert_allclose(w, [-0.1, 0.1, 0.0], rtol=1e-12)


def test_rmsprop_epsilon_inside_and_outside_differ_as_written():
    g, v, w = np.array([2.0]), np.array([4.0]), np.array([0.0])
    inside = k.rmsprop(g, 1.0, w, v, rho=0.5, epsilon=5.0, epsilon_inside=1)[0]
    outside = k.rmsprop(g, 1.0, w, v, rho=0.5, epsilon=5.0, epsilon_inside=0)[0]
    np.testing.assert_allclose([inside[0], outside[0]], [-2 / 3, -2 / 7])


def test_centered_variance_below_zero_counts_as_zero():
    """A constant gradient has v == mean**2 up to rounding; the root must not see a negative number."""
    g = np.full(64, np.float32(0.1))
    w = v = mean = mom = np.zeros(64, np.float32)
    for _ in range(300):
        w, v, mean, mom = single.run(k.rmsprop_centered, g, np.float64(1e-3), np.float64(0.0), w, v, mean, mom,
                                     backend=BACKENDS[-1], rho=0.5)
    assert np.isfinite(w).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_global_norm_clips_only_what_is_longer(backend):
    g = np.random.default_rng(0).normal(size=50000).astype(np.float32)
    norm = float(np.linalg.norm(g.astype(np.float64)))
    (partial,) = single.run(k.sum_of_squares, g, backend=backend)
    for limit, scale in [(1.0, 1.0 / norm), (norm * 1.01, 1.0)]:
        got = single.run(k.global_norm_scale, partial, backend=backend, limit=limit)
        np.testing.assert_allclose(got, [scale, norm], rtol=1e-6)
    got = single.run(k.global_norm_scale, np.array([1.0, np.nan], np.float32), backend=backend, limit=1.0)
    assert np.isnan(got).all()


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"adam needs float arrays of one shape, got v .*\(4,\).*\(3,\)"):
        single.describe(k.adam, [np.zeros(3), np.float64(1), np.float64(1), np.zeros(3), np.zeros(3), np.zeros(4)], {})
    with pytest.raises(ValueError, match="sgd needs rate as one float"):
        single.describe(k.sgd, [np.zeros(3), np.zeros(3), np.zeros(3)], {})
