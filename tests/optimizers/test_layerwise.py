"""Steps by the norms of variables and layers, and clipping by the size of the weights."""

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.program.variable import Variable

from .steps import start, variables


def made(names):
    """Variables of 3 numbers and their gradients."""
    rng = np.random.default_rng(0)
    held = [Variable(rng.normal(size=3), name=name.rpartition("/")[2]) for name in names]
    for v, name in zip(held, names):
        v.path = name
    return held, list(rng.normal(size=(len(names), 3)))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("scope, groups", [("global", [[0, 1, 2]]), ("layer", [[0, 2], [1]]),
                                           ("tensor", [[0], [1], [2]])])
def test_scopes_of_normalized_descent(scope, groups, momentum):
    held, grads = made(["a/kernel", "b/kernel", "a/bias"])
    before = [v.numpy() for v in held]
    optimizer = optimizers.NormalizedSGD(0.5, scope, momentum)
    optimizer.multiply_rate(2.0, [held[1]])  # groups of rates are apart in the arena, not in the norm
    optimizer.apply(grads, held)
    for group in groups:
        norm = np.linalg.norm(np.concatenate([grads[i] for i in group]))
        for i in group:
            want = before[i] - 0.5 * (2.0 if i == 1 else 1.0) * grads[i] / norm
            np.testing.assert_allclose(held[i].numpy(), want, rtol=1e-5)


@pytest.mark.parametrize("scope", ["global", "layer", "tensor"])
def test_a_gradient_of_zero_is_no_step(scope):
    held, _ = made(["a/kernel"])
    before = held[0].numpy()
    optimizers.NormalizedSGD(0.5, scope, epsilon=0.0).apply([np.zeros(3)], held)
    np.testing.assert_array_equal(held[0].numpy(), before)


@pytest.mark.parametrize("make", [optimizers.LARS, optimizers.Lamb])
def test_what_is_excluded_from_adaptation_takes_the_plain_step(make):
    held, grads = made(["a/kernel", "a/bias"])
    before = [v.numpy() for v in held]
    optimizer = make(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.exclude_from_adaptation(var_names=["bias"])
    optimizer.apply(grads, held)
    plain = grads[1] if make is optimizers.LARS else np.sign(grads[1])
    np.testing.assert_allclose(held[1].numpy(), before[1] - 0.5 * plain, rtol=1e-5)
    assert np.abs(held[0].numpy() - before[0] + 0.5 * grads[0]).max() > 0.1
    with pytest.raises(ValueError, match="exclude_from_adaptation must be called before"):
        optimizer.exclude_from_adaptation(var_names=["kernel"])


@pytest.mark.parametrize("make", [optimizers.LARS, optimizers.Lamb])
def test_weights_of_zero_can_leave_it(make):
    w = Variable(np.zeros(4))
    make(0.5).apply([np.ones(4)], [w])
    np.testing.assert_allclose(w.numpy(), -0.5, rtol=1e-5)


def test_adaptive_clipping_is_by_unit():
    held, grads = variables(start()[0]), start()[1][0]
    before = [v.numpy() for v in held]
    optimizers.SGD(1.0, adaptive_clipnorm=0.1).apply(grads, held)
    for v, w, g in zip(held, before, grads):
        axes = tuple(range(v.ndim - 1)) or (0,)
        limit = 0.1 * np.maximum(np.sqrt(np.square(w).sum(axes, keepdims=True)), 1e-3)
        want = g * np.minimum(1, limit / np.sqrt(np.square(g).sum(axes, keepdims=True)))
        np.testing.assert_allclose(w - v.numpy(), want, rtol=1e-4, atol=1e-6)


def test_one_kind_of_clipping_at_a_time():
    with pytest.raises(ValueError, match="one kind of clipping at a time; got clipnorm and adaptive_clipnorm"):
        optimizers.Adam(clipnorm=1.0, adaptive_clipnorm=0.1)
    config = optimizers.Adam(adaptive_clipnorm=0.1).get_config()
    assert optimizers.Adam.from_config(config).adaptive_clipnorm == 0.1
    assert "adaptive_clipnorm" not in optimizers.Adam().get_config()  # Keras would not know it


def test_which_variables_muon_makes_orthogonal():
    held, _ = made(["dense/kernel", "out/kernel", "token_embedding/w", "dense/bias"])
    square = [Variable(np.zeros((4, 4))) if v.path != "dense/bias" else v for v in held]
    for v, old in zip(square, held):
        v.path = old.path
    optimizer = optimizers.Muon(0.1, exclude_layers=["out/"])
    assert [optimizer.takes_adam(v) for v in square] == [False, True, True, True]
    g = np.random.default_rng(0).normal(size=(4, 4))
    optimizer.apply([g, g, g, np.ones(3)], square)
    step = -square[0].numpy() / (0.1 * 0.2 * 2)
    assert 0.6 < np.linalg.svd(step, compute_uv=False).min() and np.linalg.svd(step, compute_uv=False).max() < 1.3
    np.testing.assert_allclose(np.abs(square[1].numpy()), 0.1, rtol=1e-3)
    names = [n for n in optimizer.get_state() if n.startswith("muon/v")]
    assert names == ["muon/v/out/kernel", "muon/v/token_embedding/w", "muon/v/dense/bias"]
    again = optimizers.Muon(0.1, exclude_layers=["out/"])
    again.build(square)
    again.set_state(optimizer.get_state())
    for name, value in optimizer.get_state().items():
        np.testing.assert_array_equal(again.get_state()[name], value)
    with pytest.raises(ValueError, match="is not a pattern"):
        optimizers.Muon(exclude_layers=["("])
