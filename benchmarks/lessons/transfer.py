"""Two kinds of clothing, few images: a network of its own against the lower layers of one that knows eight others."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import layers, optimizers
from fastnn.extras import need

from . import fashion

PULLOVER, T_SHIRT = 2, 0  #: the two classes that the second task has to tell apart
COUNTS = (20, 50, 100, 200, 500)  #: images of the second task
SEEDS = 10
HEADS, TUNED = 4, 16  #: epochs with the reused layers frozen, and after


def of_two(x, y):
    """The images of the second task, and whether each is a pullover."""
    two = np.isin(y, (PULLOVER, T_SHIRT))
    return x[two], (y[two] == PULLOVER).astype("float32")


def first_task():
    """A network trained on the other eight classes."""
    x, y = fashion.train(50_000)
    others = ~np.isin(y, (PULLOVER, T_SHIRT))
    names = np.setdiff1d(np.arange(10), (PULLOVER, T_SHIRT))
    model = fashion.network(0, hidden=(100, 100, 100), outputs=8)
    model.compile(optimizers.SGD(1e-2, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[others], np.searchsorted(names, y[others]), epochs=5, verbose=0)
    return model


def compile_(model, rate: float):
    model.compile(optimizers.SGD(rate, momentum=0.9), "binary_crossentropy", metrics=["accuracy"])


def from_scratch(seed: int, data):
    """The same layers, from random weights."""
    fresh = fashion.network(seed, hidden=(100, 100, 100), outputs=8)
    model = fastnn.Sequential([*fresh.layers[:-1], layers.Dense(1, "sigmoid")])
    model.build((None, 784))
    compile_(model, 1e-2)
    model.fit(*data, epochs=HEADS + TUNED, batch_size=16, verbose=0)
    return model


def reused(seed: int, data, taught):
    """All but the last layer of `taught`, copied: first frozen, then trained along at a smaller rate."""
    fastnn.utils.set_random_seed(seed)
    copied = fashion.network(seed, hidden=(100, 100, 100), outputs=8)
    copied.set_weights(taught.get_weights())
    model = fastnn.Sequential([*copied.layers[:-1], layers.Dense(1, "sigmoid")])
    model.build((None, 784))
    for layer in model.layers[:-1]:
        layer.trainable = False
    compile_(model, 1e-2)
    model.fit(*data, epochs=HEADS, batch_size=16, verbose=0)
    for layer in model.layers[:-1]:
        layer.trainable = True
    compile_(model, 1e-3)
    model.fit(*data, epochs=TUNED, batch_size=16, verbose=0)
    return model


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    taught, (x, y), test = first_task(), of_two(*fashion.train(50_000)), of_two(*fashion.test())
    found = {"from scratch": [], "reused": []}
    for n in COUNTS:
        runs = []
        for seed in range(SEEDS):
            chosen = np.random.default_rng(seed).choice(len(x), n, replace=False)
            data = x[chosen], y[chosen]
            runs.append([m.evaluate(*test, verbose=0)[1] for m in (from_scratch(seed, data),
                                                                   reused(seed, data, taught))])
        for name, values in zip(found, np.array(runs).T, strict=True):
            found[name].append(values)
    lines = ["| images | from scratch | reused | difference, same images |", "| --- | --- | --- | --- |"]
    for n, own, other in zip(COUNTS, *found.values(), strict=True):
        lines.append(f"| {n} | {fashion.spread(own)} | {fashion.spread(other)} | {fashion.spread(other - own)} |")
    figure, ax = plt.subplots(figsize=(5, 3))
    for name, values in found.items():
        ax.errorbar(COUNTS, np.mean(values, axis=1), np.std(values, axis=1, ddof=1), label=name, capsize=2, marker="o")
    ax.set(xscale="log", xlabel="images of the second task", ylabel="test accuracy")
    ax.legend()
    return "\n".join(lines), figure
