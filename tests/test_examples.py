"""The scripts in examples/, run for a shorter time."""

import importlib.util
from pathlib import Path

import numpy as np

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


def test_char_transformer():
    writer = example("char_transformer")
    _, letters, loss = writer.train("to be, or not to be: that is the question. " * 60, steps=40, batch=4)
    assert loss < 0.75 * np.log(len(letters))  # of chance; 2,000 steps of Shakespeare give 1.9 of 4.2
