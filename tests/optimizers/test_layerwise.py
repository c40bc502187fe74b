"""Steps by the norms of variables and layers, and clipping by the size of the weights."""

import numpy as np
import pytest

import fastnn
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


NEW = [lambda **more: optimizers.NormalizedSGD(0.1, "layer", momentum=0.5, **more),
       lambda **more: optimizers.LARS(1.0, trust_coefficient=0.02, weight_decay=0.1, **more),
       lambda **more: optimizers.Lamb(0.05, weight_decay=0.1, **more),
       lambda **more: optimizers.Adafactor(0.1, **more), lambda **more: optimizers.Muon(0.05, **more)]
IDS = ["NormalizedSGD", "LARS", "Lamb", "Adafactor", "Muon"]


def trained(make, backend="native", threads=1):
    """The weights of a small network after an epoch."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(96, 200)).astype(np.float32), rng.integers(0, 3, 96)
    fastnn.utils.set_random_seed(0)
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(threads)
        with fastnn.backend(backend):
            model = fastnn.Sequential([fastnn.Input((200,)), fastnn.layers.Dense(120, "relu"),
                                       fastnn.layers.BatchNormalization(), fastnn.layers.Dense(3)])
            model.compile(make(), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True))
            model.fit(x, y, batch_size=32, epochs=2, verbose=0)
    finally:
        fastnn.set_num_threads(before)
    return model


@pytest.mark.parametrize("make", NEW, ids=IDS)
def test_two_threads_give_the_bits_of_one(make):
    pytest.importorskip("fastnn.kernels.native.core")
    more = {"gradient_accumulation_steps": 2, "use_ema": True, "adaptive_clipnorm": 0.1}
    one, two = (trained(lambda: make(**more), threads=n).get_weights() for n in (1, 2))
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", ["native", "numba"])
@pytest.mark.parametrize("make", NEW, ids=IDS)
def test_backends_train_alike(make, backend):
    pytest.importorskip("fastnn.kernels.native.core" if backend == "native" else "numba")
    ours, meant = trained(make, backend), trained(make, "numpy")
    for a, b in zip(ours.get_weights(), meant.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-4)


@pytest.mark.parametrize("make", NEW, ids=IDS)
def test_accumulated_gradients_count_once(make):
    held, (values, grads) = variables(start()[0]), start()
    optimizer = make(gradient_accumulation_steps=2)
    for g in grads[:4]:
        optimizer.apply(g, held)
    single = variables(values)
    plain = make()
    for a, b in (grads[:2], grads[2:4]):
        plain.apply([(x + y) / 2 for x, y in zip(a, b)], single)
    for a, b in zip(held, single):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("make", NEW, ids=IDS)
def test_a_saved_model_goes_on(make, tmp_path):
    model = trained(make)
    model.save(tmp_path / "m.safetensors")
    again = fastnn.models.load_model(tmp_path / "m.safetensors")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(32, 200)).astype(np.float32), rng.integers(0, 3, 32)
    for m in (model, again):
        m.train_on_batch(x, y)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
