"""Masks travel with tensors from layer to layer, into the loss and the metrics; axes of unknown size."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops

LENGTHS = (5, 3, 1, 5)


def sequences(features=3, steps=5, seed=0):
    """Rows of these lengths, zeros behind them."""
    x = np.random.default_rng(seed).normal(size=(len(LENGTHS), steps, features)).astype(np.float32)
    there = np.arange(steps) < np.array(LENGTHS)[:, None]
    return np.where(there[..., None], x, 0), there


class Seen(layers.Layer):
    """Its input's mask."""

    def call(self, x, mask=None):
        return x if mask is None else mask


def mask_behind(*stack, shape=(None, 3)):
    x = fastnn.Input(shape)
    y = x
    for layer in stack:
        y = layer(y)
    return fastnn.Model(x, Seen()(y)).predict(sequences()[0])


@pytest.mark.parametrize("layer", [
    lambda: layers.Dense(4), lambda: layers.Dropout(0.5), lambda: layers.Activation("tanh"),
    lambda: layers.LayerNormalization(), lambda: layers.BatchNormalization(), lambda: layers.LeakyReLU(),
    lambda: layers.Rescaling(2.0), lambda: layers.GaussianNoise(1.0), lambda: layers.SpatialDropout1D(0.5),
    lambda: fastnn.Sequential([layers.Dense(2), layers.Dropout(0.1)])])
def test_layers_that_hand_a_mask_on(layer):
    there = sequences()[1]
    np.testing.assert_array_equal(mask_behind(layers.Masking(), layer()), there)
    np.testing.assert_array_equal(mask_behind(layers.Masking(), layer(), shape=(5, 3)), there)


@pytest.mark.parametrize("layer", [lambda: layers.Flatten(), lambda: layers.Reshape((3, 5))])
def test_layers_that_end_a_mask_say_so(layer):
    made = layer()
    with pytest.warns(fastnn.FastnnWarning, match=f"{made.name} got an input with a mask"):
        assert mask_behind(layers.Masking(), made, shape=(5, 3)).shape != (4, 5)


def test_masking_hides_steps_in_which_all_features_are_the_value():
    x = np.array([[[1.0, 2.0], [7.0, 7.0], [7.0, 1.0]]])
    a = fastnn.Input((3, 2))
    y = layers.Masking(7.0)(a)
    values, mask = fastnn.Model(a, [y, Seen()(y)]).predict(x)
    assert values.tolist() == [[[1, 2], [0, 0], [7, 1]]] and mask.tolist() == [[1, 0, 1]]
    with pytest.raises(ValueError, match="wants sequences"):
        layers.Masking()(np.ones(3))
    with pytest.raises(ValueError, match="mask_value is 'a'"):
        layers.Masking("a")


def test_own_layers_make_masks_and_ask_for_those_of_several_inputs():
    class Embed(layers.Layer):
        def call(self, x):
            return ops.expand_dims(x, -1)

        def compute_mask(self, inputs, previous_mask=None):
            return ops.not_equal(inputs, 0.0)

    class Attend(layers.Layer):
        def call(self, query, value, query_mask=None, value_mask=None):
            return ops.concatenate([query_mask, value_mask], axis=-1)

    a, b = fastnn.Input((None,)), fastnn.Input((3,))
    model = fastnn.Model([a, b], Attend()(Embed()(a), value=Embed()(b)))
    got = model.predict([np.array([[1.0, 0.0], [2.0, 3.0]]), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 5.0]])])
    assert got.tolist() == [[1, 0, 0, 1, 0], [1, 1, 0, 0, 1]]
    assert Embed().supports_masking and not Attend().supports_masking


def test_an_explicit_mask_goes_before_that_of_the_tensor():
    a, m = fastnn.Input((5, 3)), fastnn.Input((5,))
    x, there = sequences()
    got = fastnn.Model([a, m], Seen()(layers.Masking()(a), mask=m)).predict([x, 1.0 - there])
    np.testing.assert_array_equal(got, ~there)
    model = fastnn.Sequential([fastnn.Input((5, 3)), layers.Dense(2), Seen()])
    np.testing.assert_array_equal(model(x, mask=there.astype(np.float32)), there)
    with pytest.raises(ValueError, match="1 inputs; got 2 masks"):
        model(x, mask=[there * 1.0, there * 1.0])


def test_merging_layers():
    x, there = sequences()
    other = np.roll(x, 1, axis=0)
    a, b = fastnn.Input((None, 3)), fastnn.Input((None, 3))
    m, n = layers.Masking()(a), layers.Masking()(b)
    outs = [Seen()(layers.Add()([m, n])), Seen()(layers.Concatenate()([m, n])),
            Seen()(layers.Concatenate(axis=1)([m, n])), Seen()(layers.Concatenate(axis=1)([a, n]))]
    got = fastnn.Model([a, b], outs).predict([x, other])
    both = np.roll(there, 1, axis=0)
    for g, want in zip(got, (there | both, there | both, np.concatenate([there, both], 1),
                             np.concatenate([there | True, both], 1)), strict=True):
        np.testing.assert_array_equal(g, want)


def weighed():
    """A model, data and what only the steps that count give: (loss, mae)."""
    fastnn.utils.set_random_seed(3)
    x, there = sequences()
    y = np.random.default_rng(1).normal(size=(4, 5, 1)).astype(np.float32)
    model = fastnn.Sequential([fastnn.Input((None, 3)), layers.Masking(), layers.Dense(1)])
    return model, x, y, there


def test_loss_and_metrics_leave_out_what_is_hidden():
    model, x, y, there = weighed()
    model.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    off = (model.predict(x) - y)[..., 0]
    weights = np.array([1.0, 2.0, 0.5, 0.0])
    loss, mae, mse = model.evaluate(x, y, verbose=0, sample_weight=weights)
    w = there * weights[:, None]
    np.testing.assert_allclose((mae, mse), (abs(off)[there].mean(), (off**2 * w).sum() / w.sum()), rtol=1e-5)
    np.testing.assert_allclose(loss, (off**2 * w).sum() / there.sum(), rtol=1e-5)
    y2 = np.where(there[..., None], y, 1e3)  # and no gradient comes from there
    start = model.get_weights()
    model.train_on_batch(x, y)
    first = model.get_weights()
    model.set_weights(start)
    model.train_on_batch(x, y2)
    for a, b in zip(first, model.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras under a new NumPy
def test_against_keras(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    _, x, y, _ = weighed()
    fastnn.utils.set_random_seed(5)
    stack = [layers.Masking(), layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(1)]
    model = fastnn.Sequential([fastnn.Input((None, 3)), *stack])
    peer = keras.Sequential([keras.Input((None, 3)), keras.layers.Masking(), keras.layers.Dense(4, "tanh"),
                             keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    weights = np.linspace(0.5, 2, 20).reshape(4, 5).astype(np.float32)
    for m, optimizer in ((model, fastnn.optimizers.SGD(0.1)), (peer, keras.optimizers.SGD(0.1))):
        m.compile(optimizer, "mse", metrics=["mae"], weighted_metrics=["mse"])
    peer.set_weights(model.get_weights())
    for _ in range(3):
        got, want = (m.train_on_batch(x, y, sample_weight=weights, return_dict=True) for m in (model, peer))
        np.testing.assert_allclose(got["loss"], want["loss"], rtol=1e-5)
    for a, b in zip(model.get_weights(), peer.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    got, want = (m.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True) for m in (model, peer))
    for key in got:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5)


# ---------------------------------------------------------------------- axes of unknown size


def test_sequences_of_any_length(tmp_path):
    fastnn.utils.set_random_seed(1)
    x = fastnn.Input((None, 3))
    y = layers.Dense(2)(layers.Add()([layers.Dense(3)(x), x]))
    model = fastnn.Model(x, y)
    assert y.shape == (None, None, 2) and model.output_shape == (None, None, 2)
    data = np.random.default_rng(0).normal(size=(2, 7, 3))
    whole = model.predict(data)
    for steps in (1, 4, 7):
        np.testing.assert_array_equal(model.predict(data[:, :steps]), whole[:, :steps])
    model.save(tmp_path / "any.fastnn")
    again = fastnn.models.load_model(tmp_path / "any.fastnn")
    assert again.input_shape == (None, None, 3)
    np.testing.assert_array_equal(again.predict(data), whole)
    lines = []
    model.summary(print_fn=lines.append)
    assert "(None, None, 2)" in lines[0]


def test_only_what_differs_is_unknown():
    x = fastnn.Input((None, None, 3))
    assert layers.Flatten()(x).shape == (None, None)
    assert layers.Concatenate(axis=1)([x, x]).shape == (None, None, None, 3)
    assert ops.mean(x, axis=1).shape == (None, None, 3)


def test_a_size_that_must_be_known_is_asked_for():
    with pytest.raises(ValueError, match=r"dense.*kernel would have the shape \(None, 2\)"):
        layers.Dense(2)(layers.Flatten()(fastnn.Input((None, 3))))
    with pytest.raises(ValueError, match="can't become"):
        layers.Reshape((7, -1))(fastnn.Input((None, 3)))
    model = fastnn.Sequential([fastnn.Input((None, 3)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"wants samples of shape \(None, 3\); got \(4, 2\)"):
        model.predict(np.ones((1, 4, 2)))
    with pytest.raises(ValueError, match="sizes of at least 1"):
        fastnn.Input((0, 3))
    with pytest.raises(ValueError, match="shape and batch_size, or batch_shape"):
        fastnn.Input((3,), batch_shape=(2, 3))


def test_a_fixed_batch():
    x = fastnn.Input(batch_shape=(4, None, 3))
    assert layers.Dense(2)(x).shape == (4, None, 2)
    model = fastnn.Sequential([x, layers.Dense(2)])
    again = fastnn.Sequential.from_config(model.get_config())
    assert again.input_shape == (4, None, 3)
