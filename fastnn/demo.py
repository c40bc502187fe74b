"""The main job on real data: a batch-normalised network on Fashion-MNIST, trained, tested and explained.

The network is that of chapter 11 of Géron, Hands-On Machine Learning (2nd and 3rd edition).
"""

from __future__ import annotations

import os
import shutil
import time

import numpy as np

from . import Input, Sequential, datasets, layers, optimizers, utils
from .datasets import DatasetNotFound
from .program.backend import available, backend

VALIDATION = 5000  # the last images of the training set, as in the book


def load(dataset: str):
    """(x, y), (x_test, y_test) of "fashion-mnist" or "digits", pixels as they come."""
    return (datasets.fashion_mnist if dataset == "fashion-mnist" else datasets.digits).load_data()


def network(shape, optimizer="sgd") -> Sequential:
    """Flatten, BN, Dense 300 relu, BN, Dense 100 relu, BN, Dense 10 softmax; He initialisation; compiled."""
    dense = dict(activation="relu", kernel_initializer="he_normal")
    model = Sequential([Input(shape), layers.Flatten(),
                        layers.BatchNormalization(), layers.Dense(300, **dense),
                        layers.BatchNormalization(), layers.Dense(100, **dense),
                        layers.BatchNormalization(), layers.Dense(10, activation="softmax")], name="fashion")
    model.compile(optimizers.get(optimizer), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def split(x: np.ndarray, y: np.ndarray):
    """Training part and validation part (the last tenth, at most 5000 rows)."""
    n = len(x) - min(VALIDATION, len(x) // 10)
    return (x[:n], y[:n]), (x[n:], y[n:])


def train(dataset: str, epochs: int, batch_size: int = 32, optimizer="sgd", seed: int = 42, out: str | None = None):
    """Train and test; returns (model, history, training data)."""
    utils.set_random_seed(seed)
    (x, y), test = load(dataset)
    data, held_out = split(x, y)
    model = network(x.shape[1:], optimizer)
    start = time.perf_counter()
    history = model.fit(*data, batch_size=batch_size, epochs=epochs, validation_data=held_out)
    seconds = time.perf_counter() - start
    loss, accuracy = model.evaluate(*test, verbose=0)
    print(f"{epochs} epochs in {seconds:.1f} s; test set: loss {loss:.4f}, accuracy {accuracy:.4f}")
    if out:
        os.makedirs(out, exist_ok=True)
        path = os.path.join(out, "model.safetensors")
        model.save(path)
        print(f"The model is in {path}.")
        picture = _draw(history, out)
        print(f"The learning curve is in {picture}." if picture else
              "No learning curve was drawn: matplotlib is missing (pip install fastnn[plot]).")
    return model, history, data


def _draw(history, out: str) -> str | None:
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.5))
    epochs = np.arange(1, len(history.history["loss"]) + 1)
    for name, style in (("loss", "C0-"), ("val_loss", "C0--"), ("accuracy", "C1-"), ("val_accuracy", "C1--")):
        if name in history.history:
            ax.plot(epochs, history.history[name], style, label=name)
    ax.set_xlabel("epoch")
    ax.set_ylim(0, 1)
    ax.grid(alpha=0.3)
    ax.legend()
    path = os.path.join(out, "learning-curve.png")
    fig.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(fig)
    return path


def explain(model, x, y, batch_size: int = 32) -> None:
    """Print the training step's program with times, and the same step's time on each backend that is there."""
    times = {}
    for name in available():
        with backend(name):
            times[name] = step_time(model, x, y, batch_size, show=not times)
    for name, seconds in times.items():
        print(f"one step of {batch_size} rows on the {name} backend: {seconds * 1e6:8.1f} us")
    if "native" in times:
        print(f"native is {times['numpy'] / times['native']:.1f} times as fast")


def step_time(model, x, y, batch_size: int, show: bool = False) -> float:
    """Seconds of one training step on the current backend: the minimum over rounds. The model is left as it was."""
    weights = model.get_weights()
    state = model.optimizer.get_state() if model.optimizer.iterations else None
    program = model.training_program(x, y, batch_size)
    steps = 20 if program.backend == "numpy" else 200
    index = np.random.default_rng(0).integers(0, len(x), (steps, batch_size))
    times = []
    for _ in range(5):
        start, done = time.perf_counter(), 0
        while done < steps:
            done += program.run(steps - done, {"index": index}, offset=done)
        times.append((time.perf_counter() - start) / steps)
    if show:
        program.profile(steps, {"index": index})
        print(program.explain(width=shutil.get_terminal_size((160, 24)).columns))
    model.set_weights(weights)
    if state is not None:
        model.optimizer.set_state(state)
    return min(times)


def main(out: str = "demo-output", epochs: int = 20) -> None:
    """What ``make demo`` shows."""
    dataset = "fashion-mnist"
    try:
        load(dataset)
    except DatasetNotFound as error:
        print(f"{error}\nTraining on scikit-learn's handwritten digits instead.")
        dataset = "digits"
    model, _, (x, y) = train(dataset, epochs, out=out)
    model.summary()
    explain(model, x, y)


__all__ = ["explain", "load", "main", "network", "split", "step_time", "train"]
