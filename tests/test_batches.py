"""Batches that come from elsewhere: generators, iterables, sequences by number."""

import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn
from fastnn.models.data import ArrayData, IterableData, adapt, training_data, validation


def numbered(count, first=0):
    return ((np.full((2, 3), i), np.array([i, i])) for i in range(first, first + count))


def seen(epoch):
    return [int(batch.y[0][0]) for batch in epoch]


class Sequence:
    """As Keras's PyDataset is written."""

    def __init__(self, length):
        self.length, self.moments = length, []

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        return np.full((2, 3), i), np.array([i, i])

    def on_epoch_begin(self):
        self.moments.append("begin")

    def on_epoch_end(self):
        self.moments.append("end")


class Again:
    """An iterable that can be gone through again, as a DataLoader."""

    def __init__(self, length):
        self.length, self.passes = length, 0

    def __iter__(self):
        self.passes += 1
        return iter([[np.full((2, 3), i), np.array([i, i])] for i in range(self.length)])


def test_generator_goes_on_from_epoch_to_epoch():
    source = adapt(numbered(10), steps=3)
    assert isinstance(source, IterableData) and source.num_batches == 3
    assert source.first().y[0].tolist() == [0, 0] and source.first().x[0].shape == (2, 3)
    assert [seen(source.epoch(e)) for e in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    with pytest.warns(UserWarning, match="ran out of batches in epoch 4, after 1 steps where 3 steps were wanted"):
        assert seen(source.epoch(3)) == [9]
    assert source.ran_out


def test_generator_without_steps_is_one_epoch():
    source = adapt(numbered(4))
    assert source.num_batches is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert seen(source.epoch(0)) == [0, 1, 2, 3]
    assert not source.ran_out and source.num_batches == 4
    with pytest.warns(UserWarning, match="ran out"):
        assert seen(source.epoch(1)) == []
    assert source.ran_out


@given(st.integers(1, 7), st.integers(1, 10), st.integers(1, 5), st.booleans())
def test_iterables_start_again(length, steps, epochs, peek):
    source = adapt(Again(length), steps=steps)
    if peek:
        assert source.first().n == 2
    got = [i for e in range(epochs) for i in seen(source.epoch(e))]
    assert got == [i % length for i in range(steps * epochs)] and not source.ran_out
    whole = adapt(Again(length))
    assert [seen(whole.epoch(e)) for e in range(3)] == [list(range(length))] * 3 and whole.source.passes == 3


@given(st.integers(1, 7), st.integers(1, 10), st.integers(1, 5))
def test_sequences(length, steps, epochs):
    assert [seen(adapt(Sequence(length)).epoch(e)) for e in range(2)] == [list(range(length))] * 2
    source = adapt(Sequence(length), steps=steps)
    got = [i for e in range(epochs) for i in seen(source.epoch(e))]
    assert got == [i % length for i in range(steps * epochs)]
    assert source.source.moments == ["begin", "end"] * epochs
    shuffled = [adapt(Sequence(length), shuffle=True, seed=4) for _ in range(2)]
    orders = [[seen(one.epoch(e)) for e in range(3)] for one in shuffled]
    assert orders[0] == orders[1] and all(sorted(order) == list(range(length)) for order in orders[0])
    assert shuffled[0].num_batches == length and shuffled[0].first().y[0].tolist() == [0, 0]


def test_sequences_are_shuffled_anew_each_epoch():
    source = adapt(Sequence(30), shuffle=True, seed=1)
    assert seen(source.epoch(0)) != seen(source.epoch(1))


def test_py_dataset_with_num_batches():
    class Dataset(Sequence):
        __len__ = None
        num_batches = 3

    assert seen(adapt(Dataset(0)).epoch(0)) == [0, 1, 2]

    class Endless(Dataset):
        num_batches = None

    assert seen(adapt(Endless(0), steps=2).epoch(1)) == [2, 3]
    with pytest.raises(ValueError, match="steps_per_epoch has to be given"):
        adapt(Endless(0))


def test_keras_py_dataset(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")

    class Dataset(keras.utils.PyDataset):
        num_batches = 3

        def __getitem__(self, i):
            return np.full((2, 3), i), np.array([i, i])

    assert seen(adapt(Dataset()).epoch(0)) == [0, 1, 2]


def test_forms_of_a_batch():
    x, y, w = np.zeros((2, 3)), np.array([0, 1]), np.array([1.0, 2.0])
    for batch, ys, ws in [
        (x, 0, 0),
        ((x,), 0, 0),
        ((x, y), 1, 0),
        ([x, y], 1, 0),
        ((x, y, w), 1, 1),
        ((x, None), 0, 0),
    ]:
        got = adapt(iter([batch])).first()
        assert isinstance(got, ArrayData) and len(got.y) == ys and len(got.sample_weight) == ws
    got = adapt(iter([({"a": x, "b": x}, y)])).first()
    assert got.x_names == ["a", "b"]
    assert len(adapt(iter([([x, x], y)])).first().x) == 2
    weighted = adapt(iter([(x, y)]), class_weight={1: 5.0}).first()
    assert weighted.sample_weight[0].tolist() == [1, 5]


def test_refused():
    x, y = np.zeros((2, 3)), np.array([0, 1])
    with pytest.raises(ValueError, match="Batch 1: x and y must have equally many rows"):
        list(adapt(iter([(x, y), (x, y[:1])])).epoch(0))
    with pytest.raises(ValueError, match="Batch 0: a batch is x, .*a tuple of 4 came"):
        adapt(iter([(x, y, y, y)])).first()
    with pytest.raises(ValueError, match=r"Batch 0: y\[0\] is nan"):
        adapt(iter([(x, np.array([np.nan, 1]))])).first()
    with pytest.raises(ValueError, match="class_weight='balanced' needs all of y"):
        adapt(iter([(x, y)]), class_weight="balanced")
    with pytest.raises(ValueError, match="gave no batch"):
        adapt(iter([])).first()
    with pytest.raises(ValueError, match="a Sequence, holds no batches"):
        adapt(Sequence(0))
    with pytest.raises(ValueError, match="y must not be given where x, a generator, gives batches"):
        adapt(numbered(1), y)
    with pytest.raises(ValueError, match="sample_weight must not be given"):
        adapt(numbered(1), None, y)
    with pytest.raises(ValueError, match="validation_split needs arrays, but x is a IterableData|x is a generator"):
        training_data(numbered(1), validation_split=0.1)
    with pytest.raises(ValueError, match="steps_per_epoch must be an integer of at least 1, but is 0"):
        adapt(numbered(1), steps=0)
    with pytest.warns(UserWarning, match="ran out"):
        assert seen(adapt(Again(0), steps=2).epoch(0)) == []


def test_validation_data():
    x, y = np.zeros((2, 3)), np.array([0, 1])
    assert validation((x, y)).n == 2 and validation([x, y, y]).sample_weight[0].tolist() == [0, 1]
    assert seen(validation(numbered(3), steps=2).epoch(0)) == [0, 1]
    made = validation((x, y))
    assert validation(made) is made
    with pytest.raises(ValueError, match="validation_data must be .* but has 1 parts"):
        validation((x,))
    with pytest.raises(ValueError, match="validation_data: x and y must have equally many rows"):
        validation((x, y[:1]))
    train, held = training_data(x, y, validation_data=(x, y), validation_split=0.5)
    assert train.n == held.n == 2  # as in Keras, validation_data goes first
    assert training_data(x, y)[1] is None


# ---------------------------------------------------------------------------------- asked for ahead


class Slow(fastnn.utils.PyDataset):
    """Notes who asked for what, and has later batches ready before earlier ones."""

    def __init__(self, length, **kwargs):
        super().__init__(**kwargs)
        self.length, self.asked, self.threads, self.ended = length, [], set(), 0

    def __len__(self):
        return self.length

    def __getitem__(self, i):
        self.asked.append(i)
        self.threads.add(threading.current_thread().name)
        if self.workers > 1 and i % 2 == 0:
            time.sleep(0.005)
        return np.full((2, 1), i), np.array([i, i])

    def on_epoch_end(self):
        self.ended += 1


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_order_does_not_depend_on_workers(workers):
    one = Slow(9, workers=workers, max_queue_size=4)
    source = adapt(one)
    assert [seen(source.epoch(e)) for e in range(2)] == [list(range(9))] * 2
    assert one.ended == 2 and sorted(one.asked) == sorted([*range(9)] * 2)
    assert (threading.current_thread().name in one.threads) == (workers == 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("fastnn-loader")]


def test_the_next_batches_are_asked_for_while_one_is_used():
    one = Slow(20, max_queue_size=3)
    epoch = adapt(one).epoch(0)
    next(epoch)
    for _ in range(500):
        if len(one.asked) == 4:
            break
        time.sleep(0.01)
    assert one.asked == [0, 1, 2, 3]  # and no more than that
    epoch.close()
    assert len(one.asked) == 4 and not [t for t in threading.enumerate() if t.name.startswith("fastnn-loader")]


def test_an_error_comes_where_its_batch_would():
    class Broken(Slow):
        def __getitem__(self, i):
            if i == 2:
                raise KeyError("no such file")
            return super().__getitem__(i)

    got = []
    with pytest.raises(KeyError, match="no such file"):
        for batch in adapt(Broken(9)).epoch(0):
            got.append(int(batch.y[0][0]))
    assert got == [0, 1]

    class Wrong(Slow):
        def __getitem__(self, i):
            return np.zeros((2, 1)), np.zeros(2 if i != 3 else 1)

    with pytest.raises(ValueError, match="Batch 3: x and y must have equally many rows"):
        list(adapt(Wrong(9)).epoch(0))


def test_a_fit_with_threads_has_the_bits_of_one_without():
    def weights(workers):
        fastnn.utils.set_random_seed(1)
        model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(3, "tanh"), fastnn.layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(Slow(6, workers=workers), epochs=3, verbose=0, validation_data=Slow(2, workers=workers))
        return [w.tobytes() for w in model.get_weights()]

    assert weights(0) == weights(1) == weights(2)


def test_a_py_dataset_says_what_it_needs():
    with pytest.raises(NotImplementedError, match="PyDataset must have a method __getitem__"):
        fastnn.utils.PyDataset()[0]
    with pytest.raises(NotImplementedError, match="__len__ or a property num_batches"):
        adapt(fastnn.utils.PyDataset())
    with pytest.raises(ValueError, match="Slow: workers must be an integer of at least 0, but is -1"):
        Slow(1, workers=-1)
    with pytest.raises(ValueError, match="max_queue_size must be an integer of at least 1, but is 0"):
        Slow(1, max_queue_size=0)
