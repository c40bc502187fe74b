"""Tokens that follow: by the likeliest, by chance, within a window."""

import numpy as np
import pytest

import fastnn
from fastnn import layers


def counter(vocabulary=5, window=4, sure=50.0):
    """A model whose next token is the last one plus one."""
    table = sure * np.eye(vocabulary)[np.roll(np.arange(vocabulary), -1)]
    return fastnn.Sequential([fastnn.Input((window,)), layers.Embedding(vocabulary, vocabulary, weights=table)])


def test_it_counts_beyond_its_window():
    want = np.arange(3, 14) % 5
    for temperature in (0, 1.0):
        found = fastnn.generate(counter(), [3], 10, temperature=temperature, seed=1)
        assert found.tolist() == want.tolist() and found.dtype == np.int64
    both = fastnn.generate(counter(), [[0, 1], [4, 2]], 3, temperature=0)
    assert both.tolist() == [[0, 1, 2, 3, 4], [4, 2, 3, 4, 0]]


def test_draws_follow_the_softmax():
    model = counter(sure=np.log(4.0))  # the next one has 4 / 8, each other 1 / 8
    tokens = fastnn.generate(model, np.zeros((4000, 1), int), 1, seed=0)[:, 1]
    np.testing.assert_allclose(np.bincount(tokens, minlength=5) / 4000, [1 / 8, 1 / 2, 1 / 8, 1 / 8, 1 / 8], atol=0.03)
    same = fastnn.generate(model, np.zeros((4000, 1), int), 1, seed=0)[:, 1]
    np.testing.assert_array_equal(tokens, same)
    assert set(fastnn.generate(model, np.zeros((50, 1), int), 1, top_k=1, seed=0)[:, 1]) == {1}


def test_what_stands_behind_does_not_count():
    tokens = fastnn.Input((6,))
    x = layers.TokenAndPositionEmbedding(7, 6, 8)(tokens)
    model = fastnn.Model(tokens, layers.Dense(7)(layers.TransformerDecoder(16, 2)(x)))
    found = fastnn.generate(model, [1, 2], 3, temperature=0)
    for n in (2, 3, 4):
        seen = np.full((1, 6), 5)
        seen[0, :n] = found[:n]
        assert model.predict(seen, verbose=0)[0, n - 1].argmax() == found[n]


@pytest.mark.parametrize("arguments,words", [
    (([0.5], 1), "whole numbers"), (([], 1), "whole numbers"), (([0], -1), "count is -1"),
    (([0], 1, -1.0), "temperature is -1.0"), (([0], 1, 1.0, 0), "top_k is 0"), (([7], 1), "has 5 rows")])
def test_refusals(arguments, words):
    with pytest.raises(ValueError, match=words):
        fastnn.generate(counter(), *arguments)


def test_models_of_other_shapes_are_refused():
    model = fastnn.Sequential([fastnn.Input((4,)), layers.Embedding(5, 2), layers.Flatten()])
    with pytest.raises(ValueError, match=r"gives the shape \(1, 8\)"):
        fastnn.generate(model, [0], 1)
    with pytest.raises(ValueError, match="window must say"):
        fastnn.generate(fastnn.Sequential([layers.Embedding(5, 5)]), [0], 1)
