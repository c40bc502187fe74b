"""Bach's chorales, note by note: an LSTM learns which note comes next, and goes on with a chorale by itself.

The data are 382 chorales in four voices, a chord for each sixteenth (Boulanger-Lewandowski et al. 2012; the archive of
229 + 76 + 77 files that Géron's book uses, jsb_chorales.tgz, of which the SHA-256 is checked). A chorale is read as one
sequence of notes, soprano, alto, tenor, bass and the next chord; the network predicts each note from those before.

Run it::

    python examples/chorales_lstm.py jsb_chorales.tgz [--continue-with 16]

It takes some minutes on two cores, and ends with more than 82 % of the notes of the test chorales right. (Most chords
are held, so the note of four places before is right in 77.6 %: the rest is what there is to learn.)
"""

from __future__ import annotations

import argparse
import io
import tarfile
import time

import numpy as np

import fastnn
from fastnn import layers
from fastnn.datasets.store import Part

ARCHIVE = Part("jsb_chorales.tgz", 1423360, "8b55f5c4e5176035679649036824bd42fd7abae7b232f60772d3b79f6fbd45d1")
LOWEST = 36  #: the lowest note but silence, which is 0
NOTES = 47  #: silence, and 36 to 81
NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


def load(path: str) -> dict[str, list[np.ndarray]]:
    """Chorales as sequences of notes from 0 to 46, by part: train, valid, test."""
    with open(path, "rb") as f:
        unpacked = ARCHIVE.unpack(f)
    found: dict[str, list[np.ndarray]] = {"train": [], "valid": [], "test": []}
    with tarfile.open(fileobj=io.BytesIO(unpacked.tobytes())) as archive:
        for member in sorted(archive.getmembers(), key=lambda m: m.name):
            part = member.name.split("/")[0]
            if part in found and member.isfile():
                notes = np.loadtxt(archive.extractfile(member), np.int64, delimiter=",", skiprows=1)
                found[part].append(np.where(notes == 0, 0, notes - LOWEST + 1).ravel())
    return found


def windows(chorales: list[np.ndarray], chords: int = 32, step: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Stretches of so many chords, and the same one note later."""
    parts = [c[i : i + 4 * chords + 1] for c in chorales for i in range(0, len(c) - 4 * chords, 4 * step)]
    x = np.stack([p for p in parts if len(p) == 4 * chords + 1])
    return x[:, :-1], x[:, 1:]


def network(units: int, batch: int | None = None, steps: int | None = None) -> fastnn.Sequential:
    """Notes in, the probabilities of the next one at each place out; with a batch, it keeps its states."""
    kept = {"stateful": batch is not None, "return_sequences": True}
    return fastnn.Sequential([
        fastnn.Input((steps,), batch_size=batch),
        layers.Embedding(NOTES, 16),
        layers.LSTM(units, **kept),
        layers.LSTM(units, **kept),
        layers.Dense(NOTES, "softmax"),
    ])


def train(chorales: dict[str, list[np.ndarray]], units: int = 128, epochs: int = 15, verbose: int = 0):
    """The network, trained; the best epoch on the validation chorales is kept."""
    fastnn.utils.set_random_seed(1)
    model = network(units)
    model.compile(fastnn.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = fastnn.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    model.fit(*windows(chorales["train"]), batch_size=32, epochs=epochs, validation_data=windows(chorales["valid"]),
              callbacks=[best], verbose=verbose)
    return model


def go_on(model: fastnn.Sequential, units: int, start: np.ndarray, chords: int, seed: int = 0) -> list[int]:
    """Notes that follow a beginning, drawn one after another: the states hold all that was before."""
    player = network(units, batch=1, steps=1)
    player.set_weights(model.get_weights())
    rng, drawn = np.random.default_rng(seed), []
    for i in range(len(start) + 4 * chords - 1):
        note = start[i] if i < len(start) else drawn[-1]
        p = np.float64(player.predict_on_batch(np.array([[note]], np.float32))[0, 0]) ** 1.25  # a little surer
        if i >= len(start) - 1:
            drawn.append(int(rng.choice(NOTES, p=p / p.sum())))
    return drawn


def name(note: int) -> str:
    """A note as people write it: C4 is the middle one."""
    return "-" if note == 0 else f"{NAMES[(note + LOWEST - 1) % 12]}{(note + LOWEST - 1) // 12 - 1}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", help="jsb_chorales.tgz")
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--continue-with", type=int, default=16, metavar="CHORDS")
    given = parser.parse_args()
    start, chorales = time.perf_counter(), load(given.archive)
    x, y = windows(chorales["test"])
    print(f"the note of the chord before is right in {np.mean(x[:, :-3] == y[:, 3:]):.1%}")
    model = train(chorales, given.units, given.epochs, verbose=2)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    print(f"{time.perf_counter() - start:.0f} s; {accuracy:.1%} of the notes of the test chorales are right")
    notes = go_on(model, given.units, chorales["test"][0][:32], given.continue_with)
    for voice, place in (("soprano", 0), ("alto", 1), ("tenor", 2), ("bass", 3)):
        print(f"{voice:8}", " ".join(f"{name(n):3}" for n in notes[place::4]))


if __name__ == "__main__":
    main()
