"""The package's stream of seeds, to_categorical and the help with names."""

import os
import random
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastnn import seeds, spelling, utils


def test_set_random_seed_seeds_everything():
    def draw():
        return random.random(), np.random.rand(), seeds.key_pair(seeds.next_seed()), seeds.key_pair(seeds.next_seed())

    seeds.set_random_seed(3)
    first = draw()
    seeds.set_random_seed(3)
    assert draw() == first and draw() != first and first[2] != first[3]
    seeds.set_random_seed(np.int64(3))
    assert draw() == first


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, "1", None, True])
def test_set_random_seed_refuses(seed):
    with pytest.raises(ValueError, match="seed must be"):
        utils.set_random_seed(seed)


@given(st.integers(0, 2**130), st.integers(1, 20))
def test_stream_is_numpys_spawn(seed, count):
    stream = seeds.SeedStream(seed)
    ours = [seeds.key_pair(stream.next()) for _ in range(count)]
    assert ours == [seeds.key_pair(s) for s in np.random.SeedSequence(seed).spawn(count)]
    assert len(set(ours)) == count
    assert all(isinstance(word, int) and 0 <= word < 2**32 for pair in ours for word in pair)


def test_threads_share_a_stream():
    stream, drawn = seeds.SeedStream(1), []

    def draw():
        drawn.extend(stream.next().spawn_key[0] for _ in range(500))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(drawn) == list(range(2000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_child_draws_though_the_lock_was_held():
    with seeds._stream._lock:
        pid = os.fork()
        if pid == 0:
            seeds.next_seed()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


def test_seed_sequence():
    sequence = np.random.SeedSequence(3)
    assert seeds.seed_sequence(sequence) is sequence
    assert seeds.key_pair(seeds.seed_sequence(3)) == seeds.key_pair(sequence)
    generator = np.random.default_rng(0)
    assert seeds.key_pair(seeds.seed_sequence(generator)) != seeds.key_pair(seeds.seed_sequence(generator))
    a, b = seeds.child(sequence, 1), seeds.child(sequence, 1)
    assert seeds.key_pair(a) == seeds.key_pair(b) != seeds.key_pair(seeds.child(sequence, 2))
    assert sequence.n_children_spawned == 0


def test_to_categorical():
    assert utils.to_categorical([[1], [0]]).tolist() == [[0, 1], [1, 0]]
    assert utils.to_categorical(np.array([[0, 1]], "uint8"), 3).shape == (1, 2, 3)
    assert utils.to_categorical([1.0, 0.0]).tolist() == [[0, 1], [1, 0]]
    assert utils.to_categorical([], 3).shape == (0, 3)
    for bad, sentence in [
        ([3], "label 3, but 2 classes are 0 to 1"), ([-1], "label -1"),
        ([0.5], "not integers"), (["a"], "class labels"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=sentence):
            utils.to_categorical(bad, 2)
    with pytest.raises(ValueError, match="num_classes has to be given"):
        utils.to_categorical(np.zeros(0, int))


def test_to_categorical_as_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    for x, n in [([0, 2, 1], None), ([[0], [3]], 5), ([[0, 1], [1, 1]], None)]:
        theirs, ours = keras.utils.to_categorical(x, n), utils.to_categorical(x, n)
        assert theirs.dtype == ours.dtype and theirs.tolist() == ours.tolist()


def test_spelling():
    assert spelling.nearest("Adamm", ["adam", "Adam", "adamw"]) == "Adam"
    assert spelling.nearest("relu6", ["relu", "elu"]) == "relu"
    assert spelling.nearest("", ["relu"]) is None
    assert "known are 1" not in str(spelling.unknown("x", 1, ["a"]))
    assert spelling.one_of("mode", "min", ("min", "max")) == "min"
    with pytest.raises(ValueError, match="Unknown mode 3: known are 'min', 'max'"):
        spelling.one_of("mode", 3, ("min", "max"))
