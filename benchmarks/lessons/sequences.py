"""How far back a recurrent network's gradient reaches before training, and how far back it can learn to remember."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import initializers, layers, optimizers
from fastnn.extras import need

UNITS, ROWS, STEPS, SEEDS = 64, 64, 100, 5
BACK = (1, 10, 30, 99)  #: steps before the last, in the table
DELAYS, BATCHES, RATE = (10, 30, 100), 600, 0.003
GLOROT = dict(recurrent_initializer="glorot_uniform")
CELLS = {
    "SimpleRNN, Glorot": lambda: layers.SimpleRNN(UNITS, **GLOROT),
    "SimpleRNN, orthogonal": lambda: layers.SimpleRNN(UNITS),
    "LSTM, forget bias 0": lambda: layers.LSTM(UNITS, unit_forget_bias=False),
    "LSTM, forget bias 1": lambda: layers.LSTM(UNITS),
    "LSTM, forget bias 4": lambda: layers.LSTM(UNITS, unit_forget_bias=False, bias_initializer=forget(4.0)),
    "GRU": lambda: layers.GRU(UNITS),
}


def forget(bias: float):
    """An initialiser of an LSTM's bias: this for the forget gate (the second quarter), zeros for the others."""
    return initializers.Constant(np.repeat(np.float32([0, bias, 0, 0]), UNITS))


def reach(name: str, seed: int) -> np.ndarray:
    """Size of the gradient of the last state at each step's input, relative to the last step's."""
    fastnn.utils.set_random_seed(seed)
    cell = CELLS[name]()
    rng = np.random.default_rng(seed)

    @fastnn.traced
    def signal(x, weight):
        return fastnn.gradients(fastnn.ops.sum(cell(x) * weight), [x])[0]

    x = rng.normal(size=(ROWS, STEPS, 8)).astype("float32")
    sizes = np.linalg.norm(signal(x, rng.normal(size=(ROWS, UNITS)).astype("float32")), axis=(0, 2))
    return sizes[::-1] / sizes[-1]


def recall(name: str, delay: int, seed: int, batches: int = BATCHES) -> float:
    """Share of sequences whose first symbol (one of four) is told right after `delay` steps of noise."""
    fastnn.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = fastnn.Sequential([fastnn.Input((delay + 1, 5)), CELLS[name](), layers.Dense(4)])
    model.compile(optimizers.Adam(RATE, clipnorm=1.0), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])

    def data(n):
        y = rng.integers(0, 4, n)
        x = np.zeros((n, delay + 1, 5), "float32")
        x[np.arange(n), 0, y] = 1
        x[:, 1:, 4] = rng.normal(size=(n, delay))
        return x, y

    model.fit(*data(32 * batches), batch_size=32, epochs=1, verbose=0)
    return model.evaluate(*data(2000), verbose=0)[1]


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, ax = plt.subplots(figsize=(5, 3.2))
    lines = ["| layer of 64 units | " + " | ".join(f"gradient, {n} back" for n in BACK) + " | "
             + " | ".join(f"recall over {n}" for n in DELAYS) + " |", "| --- |" + " --- |" * len(BACK + DELAYS)]
    for name in CELLS:
        sizes = np.median([reach(name, seed) for seed in range(SEEDS)], axis=0)
        ax.semilogy(range(STEPS), np.maximum(sizes, 1e-12), label=name)
        told = [np.median([recall(name, delay, seed) for seed in range(3)]) for delay in DELAYS]
        lines.append(f"| {name} | " + " | ".join(f"{sizes[n]:.2g}" for n in BACK) + " | "
                     + " | ".join(f"{share:.2f}" for share in told) + " |")
    ax.set(xlabel="steps back", ylabel="gradient, relative to the last step's", ylim=(1e-10, 1e2))
    ax.legend(fontsize=6)
    return "\n".join(lines), figure
