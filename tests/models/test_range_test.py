"""lr_find: what it finds, and that it leaves no trace."""

import numpy as np
import pytest

import fastnn
from fastnn.optimizers.schedules import ExponentialDecay, OneCycle

from .conftest import network, state


@pytest.mark.parametrize("optimizer", ["sgd", "adam", lambda: fastnn.optimizers.Adam(ExponentialDecay(1e-3, 10, 0.5)),
                                       lambda: fastnn.optimizers.SGD(OneCycle(0.1, 40),
                                                                     momentum=OneCycle(0.1, 40).momentum)])
@pytest.mark.parametrize("trained", [False, True])
def test_leaves_no_trace(digits, optimizer, trained):
    states = []
    for looks in (False, True):
        fastnn.utils.set_random_seed(3)
        model = network(dropout=0.3, optimizer=optimizer() if callable(optimizer) else optimizer)
        if trained:
            model.fit(*digits, epochs=1, verbose=0)
        if looks:
            before, history = [w.tobytes() for w in model.get_weights()], model.history
            assert len(fastnn.lr_find(model, *digits, steps=30).rates) > 3
            assert [w.tobytes() for w in model.get_weights()] == before and model.history is history
        model.fit(*digits, epochs=2, verbose=0)
        names_left_away = [v[1] if isinstance(v, tuple) else v for v in state(model)]
        states.append((names_left_away, model.optimizer.learning_rate, model.history.history["loss"]))
    assert states[0] == states[1]


def test_what_it_finds():
    # on a parabola of curvature 2, descent falls fastest at a rate of 1/2 and diverges above 1
    x = np.ones((32, 1), np.float32)
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    found = fastnn.lr_find(model, x, x, start_lr=1e-3, end_lr=100.0, steps=200, batch_size=32, smoothing=0.0)
    np.testing.assert_allclose(found.rates, 1e-3 * 1e5 ** (np.arange(len(found.rates)) / 199))
    w, losses = 0.0, []
    for rate in found.rates:
        losses.append((w - 1) ** 2)
        w -= rate * 2 * (w - 1)
    np.testing.assert_allclose(found.losses[:60], losses[:60], rtol=1e-4)
    assert (found.smoothed == found.losses).all()
    assert 0.001 < found.steepest < 0.5 and found.minimum_tenth == found.rates[found.losses.argmin()] / 10
    assert found.suggestion == min(found.steepest, found.minimum_tenth)
    assert model.get_weights()[0].tolist() == [[0.0]] and model.optimizer.iterations == 0


def test_it_stops_where_the_loss_grows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3)).astype(np.float32)
    model = fastnn.Sequential([fastnn.Input((3,)), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    found = fastnn.lr_find(model, x, x.sum(1) + rng.normal(size=64), start_lr=1e-3, end_lr=1e6, steps=200)
    assert len(found.rates) < 150 and found.rates[-1] > 0.3 and np.isfinite(found.losses).all()
    assert found.smoothed[-1] > 4 * found.smoothed.min() or found.losses[-1] > 1e6


def test_smoothing_is_a_mean_with_its_bias_corrected(digits):
    found = fastnn.lr_find(network(), *digits, steps=12, smoothing=0.8, end_lr=0.1)
    weights = 0.8 ** np.arange(12)[::-1]
    for i in range(12):
        want = np.average(found.losses[: i + 1], weights=weights[11 - i :])
        assert found.smoothed[i] == pytest.approx(want)


def test_a_small_first_loss_does_not_stop_it(digits, monkeypatch):
    """The losses of a trained model differ several times from batch to batch."""
    from fastnn.models import range_test

    losses = [0.001, *([0.01, 0.02] * 20)]
    monkeypatch.setattr(range_test, "_losses", lambda model, batches, steps: iter(losses))
    assert fastnn.lr_find(network(), *digits, steps=41).losses.tolist() == losses
    losses[30:] = [10.0] * 11
    assert len(fastnn.lr_find(network(), *digits, steps=41).losses) == 31


def test_class_weights_count(digits):
    plain, weighted = (fastnn.lr_find(network(), *digits, steps=5, class_weight=w) for w in (None, {0: 9.0}))
    assert (plain.losses != weighted.losses).all()
    with pytest.raises(ValueError, match="class_weight names class 7"):
        fastnn.lr_find(network(), *digits, class_weight={7: 1.0})


def test_a_generator_is_enough(digits):
    x, y = digits
    with pytest.warns(UserWarning, match="x ran out of batches"):
        found = fastnn.lr_find(network(), ((x[i : i + 8], y[i : i + 8]) for i in range(0, 80, 8)),
                               steps=50, end_lr=1.0)
    assert len(found.rates) == 10


def test_a_picture(digits):
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot

    found = fastnn.lr_find(network(), *digits, steps=20, end_lr=1.0)
    ax = found.plot()
    assert ax.get_xscale() == "log" and len(ax.lines) == 4
    assert (ax.lines[0].get_xdata() == found.rates).all() and "RangeTest(" in repr(found)
    pyplot.close(ax.figure)


def test_refusals(digits):
    model = network()
    for given, sentence in (({"start_lr": 0}, "lr_find: start_lr must be above 0, but is 0"),
                            ({"end_lr": 1e-9}, "end_lr must be above start_lr"),
                            ({"steps": 1}, "lr_find: steps must be an integer of at least 2, but is 1"),
                            ({"smoothing": 1.0}, r"smoothing must be in \[0, 1\), but is 1.0"),
                            ({"diverged": 0.5}, "diverged must be above 1, but is 0.5")):
        with pytest.raises(ValueError, match=sentence):
            fastnn.lr_find(model, *digits, **given)
    with pytest.raises(RuntimeError, match="call compile before lr_find"):
        fastnn.lr_find(fastnn.Sequential([fastnn.Input((6,)), fastnn.layers.Dense(3)]), *digits)
