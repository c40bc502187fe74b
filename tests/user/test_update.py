"""Optimizers made of a rule for one weight, against their built-in twins."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.kernels.numba.form import KernelFault

pytest.importorskip("numba")
pytest.importorskip("fastnn.kernels.native.core")


def corrected(rate, t, beta_1, beta_2):
    return rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)


@fastnn.update_rule(slots=["m", "v"], scalars={"alpha": corrected})
def my_adamw(w, g, m, v, rate, alpha, decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = m + (g - m) * (1 - beta_1)
    v = v + (g * g - v) * (1 - beta_2)
    return w - rate * decay * w - alpha * m / (np.sqrt(v) + epsilon), m, v


@fastnn.update_rule
def clipped_descent(w, g, rate, limit=0.05):
    if g > limit:
        g = limit
    elif g < -limit:
        g = -limit
    return w - rate * g


def trained(optimizer, backend="native", threads=1):
    rng = np.random.default_rng(3)
    x = rng.normal(size=(256, 20)).astype(np.float32)
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(threads)
    try:
        with fastnn.backend(backend):
            fastnn.utils.set_random_seed(5)
            model = fastnn.Sequential([fastnn.Input((20,)), layers.Dense(300, "tanh"), layers.Dense(1)])
            model.compile(optimizer(), "mse")
            history = model.fit(x, np.tanh(x[:, :1]), batch_size=32, epochs=4, verbose=0)
            return history.history["loss"], model.get_weights(), model.training_program(x, x[:, :1], 32)
    finally:
        fastnn.set_num_threads(before)


TWINS = [
    (lambda: my_adamw(0.002, decay=0.01), lambda: fastnn.optimizers.AdamW(0.002, weight_decay=0.01)),
    (lambda: clipped_descent(0.1), lambda: fastnn.optimizers.SGD(0.1, clipvalue=0.05)),
]


@pytest.mark.parametrize("mine, twin", TWINS, ids=["adamw", "clipped"])
def test_trains_as_its_built_in_twin(mine, twin):
    losses, weights, program = trained(mine)
    want, wanted, _ = trained(twin)
    np.testing.assert_allclose(losses, want, rtol=1e-5)
    for a, b in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5)


def test_it_runs_on_panels_of_the_gradient_as_built_in_rules_do():
    _, _, program = trained(TWINS[0][0])
    assert "my_adamw" in {c.then.kernel.name for c in program.calls if c.then is not None}


@pytest.mark.parametrize("mine", [m for m, _ in TWINS], ids=["adamw", "clipped"])
def test_backends_and_threads_agree(mine):
    losses, weights, _ = trained(mine)
    np.testing.assert_allclose(trained(mine, "numpy")[0], losses, rtol=1e-5)
    for a, b in zip(weights, trained(mine, threads=2)[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_schedules_and_clipping_are_those_of_all_optimizers():
    schedule = fastnn.optimizers.schedules.CosineDecay(0.01, 30)
    losses, *_ = trained(lambda: my_adamw(schedule, global_clipnorm=0.5, decay=0.0))
    want, *_ = trained(lambda: fastnn.optimizers.Adam(schedule, global_clipnorm=0.5))
    np.testing.assert_allclose(losses, want, rtol=1e-5)


def test_configs_and_saved_models_hold_the_numbers(tmp_path):
    optimizer = my_adamw(0.002, beta_1=0.8)
    again = my_adamw.from_config(optimizer.get_config())
    assert again.numbers == {"decay": 0.004, "beta_1": 0.8, "beta_2": 0.999, "epsilon": 1e-7}
    model = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(1)])
    model.compile(optimizer, "mse")
    x = np.ones((8, 2), np.float32)
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "m.fastnn")
    again = fastnn.models.load_model(tmp_path / "m.fastnn", custom_objects={"my_adamw": my_adamw})
    for a in (model, again):
        a.fit(x, x[:, :1], verbose=0)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("rule, options, says", [
    (lambda g, w, rate: w, {}, "must begin with the parameters w, g"),
    (lambda w, g, rate: w, {"slots": ["m"]}, "must begin with the parameters w, g, m"),
    (lambda w, g, m, rate: w, {"slots": ["m"]}, "must return the new w, m"),
    (lambda w, g, rate: None, {}, "must return the new w; it gave None"),
    (lambda w, g, speed: w, {}, "step scalar 'speed', of which nothing is known"),
    (lambda w, g, rate: w, {"scalars": {"speed": lambda t: t}}, "scalars has 'speed'"),
    (lambda w, g, rate, k="a": w, {}, "must be a number"),
    (len, {}, "needs a Python function"),
])
def test_rules_that_can_not_be(rule, options, says):
    with pytest.raises(TypeError, match=says):
        fastnn.update_rule(**options)(rule)


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="beta_1 must be a finite number"):
        my_adamw(beta_1="high")
    with pytest.raises(TypeError, match="no argument 'gamma'"):
        my_adamw(gamma=1.0)


def test_an_exception_inside_is_told():
    @fastnn.update_rule
    def picky(w, g, rate):
        if g > 1e6:
            raise ValueError("too steep")
        return w - rate * g

    w = fastnn.Variable([1.0])
    optimizer = picky(0.1)
    optimizer.apply([np.array([1.0])], [w])
    with pytest.raises(KernelFault, match="'picky' raised an exception"):
        optimizer.apply([np.array([1e7])], [w])
