"""Schedules against what Keras gave, live and recorded, and at their corners."""

import json
import os
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.optimizers import schedules
from tests.data import make_schedules, make_torch_schedules

DATA = pathlib.Path(__file__).parent / "data"
RECORD = json.loads((DATA / "schedules.json").read_text())
TORCH = json.loads((DATA / "torch_schedules.json").read_text())
STEPS = np.arange(200)
IDS = [f"{i}-{case['class_name']}" for i, case in enumerate(RECORD["cases"])]
RTOL = 1e-5  # Keras computes in float32: a handful of roundings, more near a cosine's zero (ATOL)
ATOL = 1e-7


@pytest.mark.parametrize("case", RECORD["cases"], ids=IDS)
def test_as_keras_recorded(case):
    schedule = getattr(schedules, case["class_name"])(**case["config"])
    np.testing.assert_allclose(schedule(STEPS), case["rates"], rtol=RTOL, atol=ATOL)


def test_as_keras_live():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    some = STEPS[::13].tolist()  # Keras takes a millisecond or two for each
    for case in make_schedules.values(keras.optimizers.schedules, some):
        schedule = getattr(schedules, case["class_name"])(**case["config"])
        np.testing.assert_allclose(schedule(np.array(some)), case["rates"], rtol=RTOL, atol=ATOL)


def as_torch(case, rtol):
    schedule = schedules.deserialize(case)
    np.testing.assert_allclose(schedule(STEPS), case["rates"], rtol=rtol, atol=1e-12)
    if "momenta" in case:
        np.testing.assert_allclose(schedule.momentum.table(0, 200), case["momenta"], rtol=rtol)


TORCH_IDS = [f"{i}-{case['class_name']}" for i, case in enumerate(TORCH["cases"])]


@pytest.mark.parametrize("case", TORCH["cases"], ids=TORCH_IDS)
def test_as_torch_recorded(case):
    as_torch(case, 1e-9)  # both compute in float64; PyTorch multiplies step by step where we have powers


def test_as_torch_live():
    torch = pytest.importorskip("torch")
    for case in make_torch_schedules.values(torch):
        as_torch(case, 1e-9)


@pytest.mark.parametrize("case", RECORD["cases"] + TORCH["cases"], ids=IDS + TORCH_IDS)
def test_table_one_by_one_and_config(case):
    schedule = schedules.deserialize(case)
    table = schedule.table(3, 150)
    assert table.dtype == np.float64 and table.shape == (150,) and (table >= 0).all()
    assert table.tolist() == [schedule(step) for step in range(3, 153)]
    assert isinstance(schedule(7), float) and schedule(np.int32(7)) == schedule(7)
    assert schedule(np.arange(6).reshape(2, 3)).shape == (2, 3)
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    assert again.table(0, 50).tolist() == schedule.table(0, 50).tolist()
    given = {k: v for k, v in case["config"].items() if k in schedule.get_config()}  # epochs become total_steps
    if case["class_name"] not in ("Joined", "Warmup"):  # whose parts are written with all their arguments
        assert schedule.get_config().items() >= given.items()
    assert schedules.get(schedule) is schedule


def test_restarts_are_exactly_at_their_steps():
    # with float32 logarithms, some restarts come a step late; here each step at a restart has the full rate
    schedule = schedules.CosineDecayRestarts(1.0, 10, t_mul=3.0)
    starts = np.cumsum([0, 10, 30, 90, 270, 810, 2430, 7290])
    assert schedule(starts).tolist() == [1.0] * len(starts)
    assert (schedule(starts[1:] - 1) < 0.03).all()


@given(st.floats(1.0, 4.0), st.integers(1, 1000), st.integers(0, 10**6))
def test_restarts_stay_within_their_bounds(t_mul, first, step):
    rate = schedules.CosineDecayRestarts(0.5, first, t_mul=t_mul, alpha=0.1)(step)
    assert 0.05 - 1e-12 <= rate <= 0.5 + 1e-12


@given(st.lists(st.integers(0, 50), min_size=1, max_size=5, unique=True).map(sorted), st.integers(0, 60))
def test_piecewise_is_a_loop(boundaries, step):
    values = [1.0 / (i + 1) for i in range(len(boundaries) + 1)]
    want = next((v for b, v in zip(boundaries, values) if step <= b), values[-1])
    assert schedules.PiecewiseConstantDecay(boundaries, values)(step) == want


def test_a_schedule_of_ones_own_may_take_single_steps():
    class Mine(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 1.0 if step < 2 else 0.5

    assert Mine().table(0, 4).tolist() == [1.0, 1.0, 0.5, 0.5]
    with pytest.raises(NotImplementedError, match="get_config"):
        Mine().get_config()
    with pytest.raises(NotImplementedError, match="must override rate"):
        schedules.LearningRateSchedule()(0)


def test_one_cycle_at_its_ends():
    cycle = schedules.OneCycle(1.0, total_steps=100, pct_start=0.0)
    assert cycle(0) == pytest.approx(1.0, rel=1e-3) and cycle(99) == cycle(10**6) == pytest.approx(1 / 25 / 1e4)
    short = schedules.OneCycle(1.0, total_steps=2, pct_start=0.5)  # its first phase has no length
    assert short.table(0, 3).tolist() == [pytest.approx(v) for v in (1.0, 4e-6, 4e-6)]


def test_schedules_of_users_inside_others():
    class Mine(schedules.LearningRateSchedule):
        def __call__(self, step):
            return 1.0 / (1 + step)

        def get_config(self):
            return {}

    joined = schedules.Joined([0.5, schedules.Warmup(Mine(), 2)], [1])
    assert joined.table(0, 5).tolist() == [0.5, 0.0, 0.5, 1.0, 0.5]
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(joined))), {"Mine": Mine})
    assert again.table(0, 5).tolist() == joined.table(0, 5).tolist()
    with pytest.raises(ValueError, match="Unknown schedule 'Mine'"):
        schedules.deserialize(schedules.serialize(joined))


def test_momentum_that_cycles():
    import fastnn

    cycle = schedules.OneCycle(0.4, total_steps=8)
    optimizer = fastnn.optimizers.SGD(cycle, momentum=cycle.momentum, nesterov=True)
    config = json.loads(json.dumps(fastnn.optimizers.serialize(optimizer)))
    optimizer = fastnn.optimizers.deserialize(config)
    w, v, mine = fastnn.Variable([1.0]), 0.0, 1.0
    for step in range(10):
        g = np.sin(step + 1.0)
        optimizer.apply([np.array([g])], [w])
        rate, mu = cycle(step), cycle.momentum(step)
        v = mu * v - rate * g
        mine += mu * v - rate * g
        assert w.numpy()[0] == pytest.approx(mine, rel=1e-5)


def test_a_picture():
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    schedule = schedules.StepDecay(0.1, 10)
    ax = schedule.plot(25)
    assert ax.lines[0].get_ydata().tolist() == schedule.table(0, 25).tolist()
    assert schedules.PowerDecay(0.1, 10).plot(25, ax) is ax and len(ax.lines) == 2
    pyplot.close(ax.figure)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), "decay_steps must be above 0, but is 0"),
        (lambda: schedules.ExponentialDecay("0.1", 1, 0.9), "initial_learning_rate must be a number"),
        (lambda: schedules.ExponentialDecay(-0.1, 1, 0.9), "initial_learning_rate must be at least 0, but is -0.1"),
        (lambda: schedules.ExponentialDecay(0.1, 1, float("nan")), "decay_rate must be finite"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "2 values and 2 boundaries"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "must increase"),
        (lambda: schedules.CosineDecay(0.1, 10, alpha=2), "alpha must be in"),
        (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul must be at least 1, but is 0.5"),
        (lambda: schedules.CosineDecay(0.1, 10)(-1), "step must be at least 0, but -1"),
        (lambda: schedules.CosineDecay(0.1, 10)("a"), "step must be a number"),
        (lambda: schedules.CosineDecay(0.1, 10).table(-1, 2), "at least 0"),
        (lambda: schedules.deserialize({"class_name": "CosineDecoy"}), "did you mean 'CosineDecay'"),
        (lambda: schedules.get(0.1), "not 0.1"),
        (lambda: schedules.OneCycle(0.1), "give total_steps, or epochs and steps_per_epoch"),
        (lambda: schedules.OneCycle(0.1, 1), "total_steps must be an integer of at least 2, but is 1"),
        (lambda: schedules.OneCycle(0.1, 10, pct_start=1.5), r"pct_start must be in \[0, 1\], but is 1.5"),
        (lambda: schedules.OneCycle(0.1, 10, pct_start=0.6, three_phase=True), "at most 0.5 with three_phase"),
        (lambda: schedules.OneCycle(0.1, 10, base_momentum=1.0), r"base_momentum must be in \[0, 1\), but is 1.0"),
        (lambda: schedules.OneCycle(0.1, 10, anneal_strategy="cosine"), "Unknown anneal_strategy 'cosine'"),
        (lambda: schedules.Cyclical(0.1, 0.01), "max_lr must be at least 0.1, but is 0.01"),
        (lambda: schedules.Cyclical(0.1, 1.0, mode="triangle"), "did you mean 'triangular'"),
        (lambda: schedules.Cyclical(0.1, 1.0, step_size_up=0), "step_size_up must be an integer of at least 1"),
        (lambda: schedules.MultiStepDecay(0.1, []), "at least one step, but is empty"),
        (lambda: schedules.MultiStepDecay(0.1, [3, 2]), "must not fall"),
        (lambda: schedules.StepDecay(0.1, 1.5), "step_size must be an integer of at least 1, but is 1.5"),
        (lambda: schedules.PowerDecay(0.1, 10, power=-1), "power must be at least 0, but is -1"),
        (lambda: schedules.Joined([], []), "0 boundaries and 0 schedules"),
        (lambda: schedules.Joined([0.1, 0.2, 0.3], [5, 5]), "boundaries must increase"),
        (lambda: schedules.Joined([0.1, "x"], [5]), r"schedules\[1\] must be a number, but is 'x'"),
        (lambda: schedules.Warmup(0.1, 0), "warmup_steps must be an integer of at least 1, but is 0"),
        (lambda: schedules.ExponentialDecay(0.1, 1, 0.9, "no"), "staircase must be True or False, but is 'no'"),
        (lambda: schedules.PolynomialDecay(0.1, 1, cycle=None), "cycle must be True or False, but is None"),
        (lambda: schedules.OneCycle(0.1, 10, three_phase=2), "three_phase must be True or False, but is 2"),
        (lambda: schedules.PiecewiseConstantDecay(1, [0.1, 0.2]), "boundaries must be a list, but is 1"),
        (lambda: schedules.MultiStepDecay(0.1, 5), "milestones must be a list, but is 5"),
        (lambda: schedules.Joined(None, [5]), "schedules must be a list, but is None"),
        (lambda: schedules.MomentumOf(schedules.StepDecay(0.1, 1)), "must be a OneCycle or a Cyclical"),
    ],
)
def test_wrong_arguments(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
