"""Rows drawn by class or weight, and shuffled in windows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn
from fastnn.models.order import PIECES, epoch_order, epoch_runs
from fastnn.models.sampling import ClassSampler, RowSampler, sampler_of


def seeded(seed):
    return np.random.default_rng(seed)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 9), st.data())
def test_each_batch_has_its_shares(labels, size, seed, data):
    y = np.array(labels)
    classes = np.unique(y)
    shares = data.draw(st.none() | st.fixed_dictionaries({int(c): st.floats(0.1, 5) for c in classes}))
    rows = ClassSampler(y, shares).draw(len(y), size, seeded(seed))
    assert rows.dtype == np.int64 and rows.shape == y.shape
    part = {c: (shares or dict.fromkeys(classes, 1.0))[int(c)] for c in classes}
    total = sum(part.values())
    for start in range(0, len(y), size):
        batch = y[rows[start : start + size]]
        for c in classes:
            want, got = len(batch) * part[c] / total, (batch == c).sum()
            assert np.floor(want - 1e-9) <= got <= np.ceil(want + 1e-9)
    for c in classes:  # every row of a class before any comes again
        counts = np.bincount(rows, minlength=len(y))[y == c]
        assert counts.max() - counts.min() <= 1


def test_draws_are_right_in_the_mean():
    y = np.array([0, 0, 0, 1, 2])
    sampler = ClassSampler(y, {0: 0.2, 1: 0.5, 2: 0.3})
    rows = np.concatenate([sampler.draw(5, 3, seeded(i)) for i in range(4000)])
    np.testing.assert_allclose(np.bincount(y[rows]) / len(rows), [0.2, 0.5, 0.3], atol=0.005)
    np.testing.assert_allclose(np.bincount(rows)[:3] / len(rows), [0.2 / 3] * 3, atol=0.003)


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50).filter(any), st.integers(0, 9))
def test_rows_by_weight(weights, seed):
    w = np.array(weights)
    rows = RowSampler(w).draw(len(w), 7, seeded(seed))
    want, got = len(w) * w / w.sum(), np.bincount(rows, minlength=len(w))
    assert (got >= np.floor(want - 1e-6)).all() and (got <= np.ceil(want + 1e-6)).all() and not got[w == 0].any()


@given(st.integers(1, 400), st.integers(1, 500), st.integers(0, 5))
def test_windows(n, window, epoch):
    order = epoch_order(n, window, 3, epoch)
    assert order.dtype == np.int64 and sorted(order) == list(range(n))
    assert (order == epoch_order(n, window, 3, epoch)).all()
    piece = max(1, window // PIECES)
    for start in range(0, n, window):  # few runs of neighbours, some cut where the data or a window ends
        rows = np.sort(order[start : start + window])
        assert (np.diff(rows) > 1).sum() <= -(-window // piece) + 2


def test_windows_mix_and_differ_from_epoch_to_epoch():
    a, b = (epoch_order(10_000, 640, 0, epoch) for epoch in (0, 1))
    assert (a != b).mean() > 0.99
    assert len(np.unique(a[:64] // 40)) > 10 and abs(a[:640].mean() - 5000) < 2500


def test_an_epoch_is_as_long_as_without():
    y = np.arange(25) % 2
    runs = epoch_runs(25, 10, True, 0, 1, sampler=ClassSampler(y))
    assert [(len(rows), size) for rows, size in runs] == [(20, 10), (5, 5)]
    assert [(y[rows].reshape(-1, size).sum(1)).tolist() for rows, size in runs][0] == [5, 5]


@pytest.mark.parametrize("sampling", ["balanced", {0: 1, 1: 1}])
@pytest.mark.parametrize("split", [0, 0.2])
def test_fit_trains_on_what_was_drawn(sampling, split):
    """A network of one bias, with a mean as its loss: its gradient says which targets came."""
    fastnn.utils.set_random_seed(0)
    y = np.array([0] * 95 + [1] * 5, np.float32)[np.random.default_rng(0).permutation(100)]
    x = np.zeros((100, 1), np.float32)
    before = x.copy(), y.copy()
    seen = []
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    keep = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs["loss"]))
    model.fit(x, y, batch_size=10, epochs=2, sampling=sampling, validation_split=split, verbose=0, callbacks=[keep])
    assert seen == [0.5, 0.5]  # half of the rows have the error 1
    assert (x == before[0]).all() and (y == before[1]).all()


def test_weights_for_all_rows_and_a_validation_split():
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(fastnn.optimizers.SGD(0.0), "mse")
    x, y = np.zeros((10, 1)), np.arange(10.0)
    for weights in (y == 3, (y == 3)[:8]):
        history = model.fit(x, y, sampling=weights.astype(float), validation_split=0.2, verbose=0)
        assert history.history["loss"] == [9.0] and history.history["val_loss"] == [(64 + 81) / 2]


@pytest.mark.parametrize(("sampling", "y", "sentence"), [
    ("balancd", [0, 1], "Unknown sampling 'balancd': did you mean 'balanced'"),
    ({0: 1.0}, [0, 1], "sampling says nothing of class 1"),
    ({0: 1.0, 1: 1.0, 2: 1.0}, [0, 1], "names class 2, of which y has no row"),
    ({0: 1.0, 1: 1.0, 9: 0.0}, [0, 1], "names class 9, but the classes are 0 to 2"),
    ({0: -1.0, 1: 1.0}, [0, 1], "the share of class 0 must be a finite number of at least 0, but is -1.0"),
    ({0: "a", 1: 1.0}, [0, 1], "the share of class 0"), ({"a": 1.0}, [0, 1], "a class is an integer"),
    ({0: 0.0, 1: 0.0}, [0, 1], "every class the share 0"), ([1.0, -1.0], [0, 1], "must be at least 0"),
    ([0.0, 0.0], [0, 1], "must be at least 0, and one above"), ([1.0], [0, 1], r"has shape \(1,\)"),
    ([1.0, np.nan], [0, 1], r"sampling\[1\] is nan"), ("balanced", [0.5, 1], r"y\[0\] is 0.5"),
])  # fmt: skip
def test_refused(sampling, y, sentence):
    with pytest.raises(ValueError, match=sentence):
        sampler_of(sampling, [np.array(y)], 2, classes=3)


def test_refused_by_fit():
    model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.zeros((4, 1))
    with pytest.raises(ValueError, match="shuffle must not be False"):
        model.fit(x, [0, 1, 1, 1], sampling="balanced", shuffle=False, verbose=0)
    with pytest.raises(ValueError, match="sampling needs arrays"):
        model.fit(iter([(x, x)]), sampling="balanced", verbose=0)
    with pytest.raises(ValueError, match="shuffle must be True, False or a number of rows, but is 'yes'"):
        model.fit(x, x, shuffle="yes", verbose=0)
