"""A tagger: a bidirectional GRU says of each letter of a word whether it stands there before, behind, or both.

The words are random, of 4 to 20 letters out of 8, and the answer for a letter is one of four tags: it occurs nowhere
else in the word ("once"), only further on ("first"), on both sides ("between"), or only before ("last"). Reading from
the left tells what was there before, reading from the right what is still to come: the forward GRU alone can never be
sure whether a letter will be seen again.

Shorter words are filled up with 0, which ``Embedding(mask_zero=True)`` hides: the mask goes along through all layers,
and neither loss nor accuracy counts what it hides.

Run it::

    python examples/tagger_gru.py

It takes half a minute on two cores, and ends with more than 99 % of the tags of new words right; with only the
forward GRU (``--forward``) it is 6 in 10.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import fastnn
from fastnn import layers

LETTERS, LONGEST = 8, 20
TAGS = ("once", "first", "between", "last")


def words(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, LONGEST) letters from 1 on, 0 behind the end, and their tags."""
    rng = np.random.default_rng(seed)
    there = np.arange(LONGEST) < rng.integers(4, LONGEST + 1, n)[:, None]
    x = rng.integers(1, LETTERS + 1, (n, LONGEST)) * there
    same = (x[:, :, None] == x[:, None, :]) & there[:, :, None] & there[:, None, :]
    before = np.tril(same, -1).any(2)  # the letter at i stands at some j < i
    behind = np.triu(same, 1).any(2)
    return x, np.where(before, np.where(behind, 2, 3), np.where(behind, 1, 0))


def tagger(units: int = 32, both: bool = True) -> fastnn.Sequential:
    """Letters in, the probabilities of the tags of each out."""
    gru = layers.GRU(units, return_sequences=True)
    return fastnn.Sequential([
        fastnn.Input((None,)),
        layers.Embedding(LETTERS + 1, 16, mask_zero=True),
        layers.Bidirectional(gru) if both else gru,
        layers.Dense(len(TAGS), "softmax"),
    ])


def train(epochs: int = 40, n: int = 4000, both: bool = True, verbose: int = 0) -> fastnn.Sequential:
    """A tagger that has seen n words so many times."""
    fastnn.utils.set_random_seed(1)
    model = tagger(both=both)
    model.compile(fastnn.optimizers.Adam(0.005), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*words(n, seed=0), batch_size=32, epochs=epochs, verbose=verbose)
    return model


def show(model: fastnn.Sequential, word: str) -> str:
    """A word with its tags, letter by letter."""
    x = np.array([[ord(c) - ord("a") + 1 for c in word]])
    return " ".join(f"{c}:{TAGS[k]}" for c, k in zip(word, model.predict(x, verbose=0)[0].argmax(-1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--forward", action="store_true", help="read from the left only")
    parser.add_argument("--epochs", type=int, default=40)
    given = parser.parse_args()
    start = time.perf_counter()
    model = train(given.epochs, both=not given.forward, verbose=2)
    loss, accuracy = model.evaluate(*words(2000, seed=1), verbose=0)
    print(f"{time.perf_counter() - start:.0f} s; of the tags of 2000 new words {accuracy:.2%} are right")
    print(show(model, "abacabad"))


if __name__ == "__main__":
    main()
