"""The programs on the pages about images, sequences and generation run, and do what the text beside says."""

import re
from pathlib import Path

import numpy as np
import pytest

DOCS = Path(__file__).parents[1] / "docs"
if not DOCS.exists():
    pytest.skip("docs is not beside these tests", allow_module_level=True)


def run(name: str) -> dict:
    """What all programs of a page leave behind."""
    space = {"__name__": "page"}
    for block in re.findall(r"```python\n(.*?)```", (DOCS / f"{name}.md").read_text(), re.S):
        exec(compile(block, f"docs/{name}.md", "exec"), space)
    return space


def test_images():
    space = run("images")
    sizes = [layer.output.shape[1:] for layer in space["model"].layers if "conv" in layer.name or "pool" in layer.name]
    assert sizes == [(26, 26, 32), (24, 24, 64), (12, 12, 64)]
    x = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    y = np.arange(64) % 10
    history = space["model"].fit(x, y, epochs=3, batch_size=32, verbose=0).history["loss"]
    assert np.isfinite(history).all()
    image = np.ones((2, 32, 32, 3), "float32")
    assert space["resnet"].predict(image, verbose=0).shape == (2, 10)
    assert space["features"].predict(image, verbose=0).shape == (2, 32, 32, 16)
    assert space["small"].predict(image, verbose=0).shape == (2, 5)


@pytest.mark.parametrize(("n", "k", "d", "s"),
                         [(28, 3, 1, 1), (28, 3, 1, 2), (29, 3, 2, 1), (7, 5, 1, 3), (9, 2, 1, 4)])
def test_sizes_are_those_of_the_formulas(n, k, d, s):
    import fastnn
    from fastnn import layers

    x, e = fastnn.Input((n, n, 1)), d * (k - 1) + 1
    options = {"strides": s} if d == 1 else {"dilation_rate": d}
    assert layers.Conv2D(2, k, **options)(x).shape[1] == (n - e) // s + 1
    assert layers.Conv2D(2, k, padding="same", **options)(x).shape[1] == -(-n // s)
    if d == 1 and k >= s:
        assert layers.Conv2DTranspose(2, k, strides=s)(x).shape[1] == (n - 1) * s + e
        assert layers.Conv2DTranspose(2, k, strides=s, padding="same")(x).shape[1] == n * s


def test_sequences():
    space = run("sequences")
    x = np.random.default_rng(0).normal(size=(32, 28, 28)).astype("float32")
    assert np.isfinite(space["model"].fit(x, np.arange(32) % 10, verbose=0).history["loss"][0])
    assert space["tags"].shape == (2, 5, 4)
    # what stands behind the end is as good as not there
    shorter = space["tagger"].predict(space["words"][:1, :3], verbose=0)
    np.testing.assert_allclose(space["tags"][:1, :3], shorter, rtol=1e-5, atol=1e-6)
    assert space["reader"].predict(np.arange(64)[None], verbose=0).shape == (1, 64, 65)


def test_generation():
    space = run("generation")  # its last line asks for keys and values that are kept
    assert [type(layer).__name__ for layer in space["model"].layers].count("Rotary") == 2


@pytest.mark.parametrize(("name", "count"), [("SimpleRNN", lambda n, h: h * (n + h + 1)),
                                             ("GRU", lambda n, h: 3 * h * (n + h + 2)),
                                             ("LSTM", lambda n, h: 4 * h * (n + h + 1))])
def test_recurrent_layers_have_as_many_weights_as_the_table_says(name, count):
    import fastnn

    model = fastnn.Sequential([fastnn.Input((4, 3)), getattr(fastnn.layers, name)(5)])
    assert model.count_params() == count(3, 5)
