"""What an epoch costs in Python: as many calls for any number of steps, and none more for a schedule."""

import sys

import numpy as np
import pytest

import fastnn
from fastnn.optimizers import schedules

SCHEDULES = {
    "exponential": lambda: schedules.ExponentialDecay(0.1, 10, 0.9),
    "cosine": lambda: schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=10),
    "restarts": lambda: schedules.CosineDecayRestarts(0.1, 10),
    "one cycle": lambda: schedules.OneCycle(0.1, 2000),
    "piecewise": lambda: schedules.PiecewiseConstantDecay([10, 20], [0.1, 0.2, 0.3]),
    "warm-up": lambda: schedules.Warmup(schedules.PowerDecay(0.1, 10), 5),
}


def calls(model, data, **given):
    """Python functions that a fit calls after a first one, which makes the programs.

    The least of three: on a busy machine a run of steps may be interrupted, and there is one more.
    """
    def seen(frame, event, argument):
        nonlocal count
        count += event == "call"

    model.fit(*data, batch_size=8, epochs=2, verbose=0, **given)
    counts = []
    for _ in range(3):
        count = 0
        sys.setprofile(seen)
        try:
            model.fit(*data, batch_size=8, epochs=4, verbose=0, **given)
        finally:
            sys.setprofile(None)
        counts.append(count)
    return min(counts)


def network(optimizer, metrics=()):
    model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(3), fastnn.layers.Dropout(0.1)])
    model.compile(optimizer, "mse", metrics=list(metrics))
    return model


def rows(steps):
    return np.zeros((8 * steps, 4), np.float32), np.zeros((8 * steps, 3), np.float32)


@pytest.mark.parametrize("optimizer", [fastnn.optimizers.SGD, fastnn.optimizers.Adam])
def test_a_schedule_costs_no_call(optimizer):
    plain = calls(network(optimizer(0.1)), rows(100))
    for make in SCHEDULES.values():
        assert calls(network(optimizer(make())), rows(100)) <= plain


def test_steps_cost_no_call():
    makers = [lambda: network("adam"), lambda: network(fastnn.optimizers.Adam(0.01, clipnorm=1.0, use_ema=True)),
              lambda: network("sgd", ["mae", "mse"])]
    for make in makers:
        assert calls(make(), rows(20)) == calls(make(), rows(200))
    balanced = {"sampling": np.ones(160)}, {"sampling": np.ones(1600)}
    assert calls(makers[0](), rows(20), **balanced[0]) == calls(makers[0](), rows(200), **balanced[1])


def test_who_asks_for_batches_pays_for_them():
    """So the counting counts."""
    look = fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)
    few = calls(network("sgd"), rows(20), callbacks=[look])
    assert calls(network("sgd"), rows(200), callbacks=[look]) > few + 4 * 180
