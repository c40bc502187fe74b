"""Embeddings: Keras's results, data that holds no token, training."""

import numpy as np
import pytest

import fastnn
from fastnn import layers

TOKENS = np.array([[1, 4, 0], [2, 2, 3]])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32", "float64"])
def test_tokens_of_any_dtype(dtype):
    layer = layers.Embedding(5, 3)
    y = layer(TOKENS.astype(dtype))
    np.testing.assert_array_equal(y, layer.get_weights()[0][TOKENS])


def test_weights_are_where_it_starts():
    table = np.arange(10.0).reshape(5, 2)
    for given in (table, [table]):
        np.testing.assert_array_equal(layers.Embedding(5, 2, weights=given)(TOKENS), table[TOKENS])
    with pytest.raises(ValueError, match=r"shape \(2, 5\); \(5, 2\) is wanted"):
        layers.Embedding(5, 2, weights=table.T.copy().reshape(2, 5))


@pytest.mark.parametrize("wrong", [5, -1, 2.5])
def test_what_is_no_token_is_refused_wherever_data_comes_in(wrong):
    layer = layers.Embedding(5, 2, name="words")
    model = fastnn.Sequential([layer, layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.array([[0.0, 1, wrong]]), np.zeros((1, 1))
    for call in (lambda: layer(x), lambda: model(x), lambda: model.predict(x, verbose=0), lambda: model.fit(
            x, y, verbose=0), lambda: model.predict_on_batch(x), lambda: model.train_on_batch(x, y)):
        for _ in range(2):
            with pytest.raises(ValueError, match=f"Embedding words has 5 rows .* 0 to 4; .* holds {wrong:g}"):
                call()


def test_wrong_arguments_are_refused_when_it_is_made():
    for arguments, words in (((0, 2), "input_dim is 0"), ((5, 2.0), "output_dim is 2.0"),
                             ((2**25, 1), "at most 16777216 rows")):
        with pytest.raises(ValueError, match=words):
            layers.Embedding(*arguments)


def test_training_moves_the_rows_that_occur_alone():
    model = fastnn.Sequential([fastnn.Input((3,)), layers.Embedding(6, 2), layers.Flatten(), layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(0.1), "mse")
    before = model.get_weights()[0]
    model.fit(TOKENS, np.ones((2, 1)), verbose=0)
    moved = (model.get_weights()[0] != before).any(1)
    assert moved.tolist() == [True] * 5 + [False]


def test_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    table, d = rng.normal(size=(5, 3)).astype(np.float32), rng.normal(size=(2, 3, 3)).astype(np.float32)
    layer = layers.Embedding(5, 3, weights=table)
    layer(TOKENS)
    _, (g,) = fastnn.value_and_grad(lambda t, d: fastnn.ops.sum(layer(t) * d), layer.trainable_variables)(TOKENS, d)
    w = torch.tensor(table, requires_grad=True)
    (torch.nn.functional.embedding(torch.tensor(TOKENS), w) * torch.tensor(d)).sum().backward()
    np.testing.assert_allclose(g, w.grad.numpy(), rtol=1e-6, atol=1e-6)


def test_keras_has_the_same_weights_and_config():
    keras = pytest.importorskip("keras")
    ours, theirs = layers.Embedding(5, 3), keras.layers.Embedding(5, 3)
    ours(TOKENS), theirs(TOKENS)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(ours(TOKENS), np.asarray(theirs(TOKENS)))
    assert set(ours.get_config()) <= set(theirs.get_config()) | {"activity_regularizer"}


def test_copies_and_configs():
    layer = layers.TokenAndPositionEmbedding(7, 4, 3)
    y = layer(TOKENS)
    token, place = layer.get_weights()
    np.testing.assert_allclose(y, token[TOKENS] + place[:3], rtol=1e-6)
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    with pytest.raises(ValueError, match="at most 4 steps"):
        layer(np.zeros((1, 5), int))
