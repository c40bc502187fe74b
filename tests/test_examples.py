"""The scripts in examples/, run for a shorter time."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_gan():
    gan = example("gan")
    points = gan.train(epochs=10).generator.predict(np.random.default_rng(1).normal(size=(2000, gan.NOISE)), verbose=0)
    modes, share = gan.quality(points)
    assert modes >= 6 and share > 0.35  # 60 epochs give 8 and 0.95; noise alone less than 0.1


def test_tagger_gru():
    tagger = example("tagger_gru")
    x, tags = tagger.words(3, seed=5)
    for word, found in zip(x, tags):
        letters = [k for k in word if k]
        for i, k in enumerate(letters):
            before, behind = k in letters[:i], k in letters[i + 1 :]
            assert tagger.TAGS[found[i]] == {(0, 0): "once", (0, 1): "first", (1, 1): "between", (1, 0): "last"}[
                before, behind]
    accuracy = tagger.train(epochs=8, n=1000).evaluate(*tagger.words(500, seed=1), verbose=0)[1]
    assert accuracy > 0.5  # 40 epochs of 4000 words give 0.999; the most frequent tag alone 0.29


def test_char_transformer():
    writer = example("char_transformer")
    _, letters, loss = writer.train("to be, or not to be: that is the question. " * 60, steps=40, batch=4)
    assert loss < 0.75 * np.log(len(letters))  # of chance; 2,000 steps of Shakespeare give 1.9 of 4.2


def test_chorales_lstm():
    chorales = example("chorales_lstm")
    rng, scale = np.random.default_rng(0), [1, 3, 5, 6, 8, 10, 12]
    made = [np.array(scale * 20)[rng.integers(7) :][:132] for _ in range(12)]  # a scale, up and up again
    x, y = chorales.windows(made[:2])
    assert x.shape == y.shape == (2, 128)
    np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    model = chorales.train({"train": made, "valid": made[:2]}, units=24, epochs=10)
    assert model.evaluate(x, y, verbose=0)[0] < np.log(chorales.NOTES) - 0.1  # less than knowing nothing
    # the network that plays note by note, keeping its states, is the one that was trained
    player = chorales.network(24, batch=1, steps=1)
    player.set_weights(model.get_weights())
    whole = model.predict(x[:1, :6])[0]
    alone = [player.predict_on_batch(x[:1, i : i + 1].astype(np.float32))[0, 0] for i in range(6)]
    np.testing.assert_allclose(alone, whole, rtol=1e-5, atol=1e-7)
    follows = chorales.go_on(model, 24, x[0, :8], chords=2)
    assert len(follows) == 8 and all(0 <= n < chorales.NOTES for n in follows)
    assert [chorales.name(n) for n in (0, 25, 34)] == ["-", "C4", "A4"]


@pytest.mark.parametrize("name", ["lenet", "resnet8"])
def test_fashion_images(name):
    images = example("fashion_images")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 256)
    x = (rng.integers(0, 60, (256, 28, 28, 1)) + 150 * (y[:, None, None, None] == (np.arange(28) < 14)[:, None, None]))
    x = x.astype(np.uint8)  # bright above or below: flips and small moves leave it so
    model = images.train(name, (x, y), epochs=3)
    assert model.train_on_batch(x, y)[1] > 0.9
