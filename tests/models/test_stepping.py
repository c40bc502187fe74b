"""Keys and values that are kept: what a model gives step by step is what it gives for the whole window."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.models.stepping import NotByStep, Steps
from fastnn.program.variable import pack

WINDOW, VOCABULARY = 7, 11


@pytest.fixture
def rng():
    fastnn.utils.set_random_seed(4)
    return np.random.default_rng(4)


def learned():
    x = tokens = fastnn.Input((WINDOW,))
    x = layers.TokenAndPositionEmbedding(VOCABULARY, WINDOW, 12, "glorot_uniform")(x)
    for first in (True, False):
        x = layers.TransformerDecoder(20, 3, activation="gelu", normalize_first=first, dropout=0.5)(x)
    return fastnn.Model(tokens, layers.Dense(VOCABULARY)(layers.LayerNormalization()(x)))


def sines_and_shared_heads():
    """Attention called on several things at once, one layer twice."""
    tokens = fastnn.Input((WINDOW,))
    x = layers.Embedding(VOCABULARY, 8, "glorot_uniform")(tokens)
    x = x + layers.SinePositionEncoding()(x)
    twice = layers.GroupQueryAttention(head_dim=6, num_query_heads=4, num_key_value_heads=2)
    for _ in range(2):
        value = layers.Dense(8, "tanh")(x)
        x = layers.Add()([x, twice(x, value, x * 0.5, use_causal_mask=True)])
    return fastnn.Model(tokens, layers.Dense(VOCABULARY)(layers.RMSNormalization()(x)))


class Turned(layers.Layer):
    """Rotary attention of several heads, as users write it."""

    stepwise = True

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.query, self.key, self.value = (layers.Dense(8, dtype=self.dtype) for _ in range(3))
        self.turn = layers.RotaryEmbedding(max_wavelength=50, dtype=self.dtype)
        self.attention = layers.Attention(use_scale=True, dtype=self.dtype)

    def call(self, x):
        q, k = (self.turn(f(x).reshape(*x.shape[:2], 2, 4)).reshape(*x.shape[:2], 8) for f in (self.query, self.key))
        return x + self.attention([q, self.value(x), k], use_causal_mask=True)


def rotary(length=None, dtype="float32"):
    """Of sequences of any length."""
    return fastnn.Sequential([fastnn.Input((length,)), layers.Embedding(VOCABULARY, 8, "glorot_uniform", dtype=dtype),
                              Turned(dtype=dtype), Turned(dtype=dtype), layers.Dense(VOCABULARY, dtype=dtype),
                              layers.Softmax()])


@pytest.mark.parametrize("make", [learned, sines_and_shared_heads, rotary])
@pytest.mark.parametrize("prompt", [1, 3])
def test_every_position_is_what_the_whole_window_gives(make, prompt, rng):
    model, me = make(), object()
    tokens = rng.integers(0, VOCABULARY, (3, WINDOW))
    want = model.predict(tokens, verbose=0)
    steps = Steps(model, 3, WINDOW)
    for n in range(prompt, WINDOW + 1):
        before = steps._going_on.program.step
        found = steps.logits(tokens[:, :n], me)
        assert steps._going_on.program.step - before == (n > prompt)  # one step, not the window
        np.testing.assert_allclose(found, want[:, n - 1], atol=2e-6)


def test_two_who_take_turns_do_not_meet(rng):
    model = learned()
    steps = Steps(model, 1, WINDOW)
    tokens = rng.integers(0, VOCABULARY, (2, WINDOW))
    want = model.predict(tokens, verbose=0)
    for n in range(1, WINDOW + 1):
        for i, owner in enumerate("ab"):
            np.testing.assert_allclose(steps.logits(tokens[i : i + 1, :n], owner)[0], want[i, n - 1], atol=2e-6)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_other_backends(backend, rng):
    tokens, me = rng.integers(0, VOCABULARY, (2, WINDOW)), object()
    model = sines_and_shared_heads()
    want = model.predict(tokens, verbose=0)
    with fastnn.backend(backend):
        steps = Steps(model, 2, WINDOW)
        for n in (2, 3, 4):
            np.testing.assert_allclose(steps.logits(tokens[:, :n], me), want[:, n - 1], atol=2e-6)


@pytest.mark.parametrize("make", [learned, rotary])
def test_the_same_tokens_beyond_the_window_too(make, rng):
    model = make()
    start, more = np.array([[1, 2, 3], [4, 5, 6]]), {"window": WINDOW, "seed": 3}
    found = fastnn.generate(model, start, 12, use_cache=True, **more)
    np.testing.assert_array_equal(found, fastnn.generate(model, start, 12, use_cache=False, **more))
    np.testing.assert_array_equal(found, fastnn.generate(model, start, 12, **more))
    np.testing.assert_array_equal(found[0, :3], start[0])


def test_weights_that_change_and_move(rng):
    model = learned()
    first = fastnn.generate(model, [1], 5, seed=0, use_cache=True)
    model.set_weights([w + rng.normal(0, 0.5, w.shape) for w in model.get_weights()])
    changed = fastnn.generate(model, [1], 5, seed=0, use_cache=True)
    assert changed.tolist() != first.tolist()
    assert changed.tolist() == fastnn.generate(model, [1], 5, seed=0, use_cache=False).tolist()
    pack(model.variables)
    assert changed.tolist() == fastnn.generate(model, [1], 5, seed=0, use_cache=True).tolist()


def test_a_float64_model(rng):
    model, tokens, me = rotary(WINDOW, "float64"), rng.integers(0, VOCABULARY, (2, WINDOW)), object()
    want, steps = model.predict(tokens, verbose=0), Steps(model, 2, WINDOW)
    for n in (1, 2, 3):
        found = steps.logits(tokens[:, :n], me)
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, want[:, n - 1], atol=1e-14)


class Unknown(Turned):
    def call(self, x):
        return super().call(ops.flip(x, axis=1))


def masked():
    tokens = fastnn.Input((WINDOW,))
    x = layers.Embedding(VOCABULARY, 8, mask_zero=True)(tokens)
    return fastnn.Model(tokens, layers.Dense(VOCABULARY)(layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)))


def looking_ahead():
    tokens = fastnn.Input((WINDOW,))
    x = layers.Embedding(VOCABULARY, 8)(tokens)
    return fastnn.Model(tokens, layers.Dense(VOCABULARY)(layers.MultiHeadAttention(2, 4)(x, x)))


def fixed_places():
    """A constant for each step, which is no layer of positions."""
    tokens = fastnn.Input((WINDOW,))
    x = layers.Embedding(VOCABULARY, 8)(tokens) + np.ones((WINDOW, 8), np.float32)
    return fastnn.Model(tokens, layers.Dense(VOCABULARY)(x))


def of(*inner):
    return lambda: fastnn.Sequential([fastnn.Input((WINDOW,)), layers.Embedding(VOCABULARY, 8), *inner,
                                      layers.Dense(VOCABULARY)])


@pytest.mark.parametrize("make,words", [
    (masked, "has a mask"), (looking_ahead, "is not causal"), (fixed_places, "it gives"),
    (of(layers.TransformerEncoder(8, 2)), r"\(TransformerEncoder\) does not say"),
    (of(layers.LSTM(8, return_sequences=True)), r"\(LSTM\) does not say"),
    (of(Unknown()), r"\(Unknown\) does not say"),
    (of(layers.LayerNormalization(axis=[1, 2])), r"\(LayerNormalization\) does not say"),
])
def test_models_that_can_not_are_read_whole_or_refused(make, words):
    model = make()
    assert fastnn.generate(model, [1], 2, seed=0).shape == (3,)
    with pytest.raises(ValueError, match=f"generate: model {model.name} can't keep keys and values: .*{words}"):
        fastnn.generate(model, [1], 2, use_cache=True)
    with pytest.raises(NotByStep):
        Steps(model, 1, WINDOW)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="use_cache is 'no'"):
        fastnn.generate(learned(), [1], 2, use_cache="no")
    with pytest.raises(ValueError, match="window is 0"):
        fastnn.generate(learned(), [1], 2, window=0)
    with pytest.raises(ValueError, match="has 11 rows"):
        fastnn.generate(learned(), [VOCABULARY], 2, use_cache=True)
