"""Schedules against what Keras gave, live and recorded, and at their corners."""

import json
import os
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn.optimizers import schedules
from tests.data import make_schedules

RECORD = json.loads((pathlib.Path(__file__).parent / "data" / "schedules.json").read_text())
IDS = [f"{i}-{case['class_name']}" for i, case in enumerate(RECORD["cases"])]
RTOL = 1e-5  # Keras computes in float32: a handful of roundings, more near a cosine's zero (ATOL)
ATOL = 1e-7


@pytest.mark.parametrize("case", RECORD["cases"], ids=IDS)
def test_as_keras_recorded(case):
    schedule = getattr(schedules, case["class_name"])(**case["config"])
    np.testing.assert_allclose(schedule(np.array(case["steps"])), case["rates"], rtol=RTOL, atol=ATOL)


def test_as_keras_live():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for case in make_schedules.values(keras.optimizers.schedules):
        schedule = getattr(schedules, case["class_name"])(**case["config"])
        np.testing.assert_allclose(schedule(np.array(case["steps"])), case["rates"], rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("case", RECORD["cases"], ids=IDS)
def test_table_one_by_one_and_config(case):
    schedule = getattr(schedules, case["class_name"])(**case["config"])
    table = schedule.table(3, 150)
    assert table.dtype == np.float64 and table.shape == (150,) and (table >= 0).all()
    assert table.tolist() == [schedule(step) for step in range(3, 153)]
    assert isinstance(schedule(7), float) and schedule(np.int32(7)) == schedule(7)
    assert schedule(np.arange(6).reshape(2, 3)).shape == (2, 3)
    again = schedules.deserialize(json.loads(json.dumps(schedules.serialize(schedule))))
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    assert again.table(0, 50).tolist() == schedule.table(0, 50).tolist()
    assert schedule.get_config().items() >= case["config"].items()
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
    ],
)
def test_wrong_arguments(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
