"""What 100 layers of 100 units make of a signal, on the way up and on the way down, before any training."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import initializers, layers, ops
from fastnn.extras import need

DEPTH, WIDTH, ROWS, SEEDS = 100, 100, 256, 5
SHOWN = (1, 10, 50, 100)  #: layers in the table
GELU = initializers.gain("gelu")
PAIRS = (  # activation, what the weights are drawn from (anew for each layer), how the picture names it
    ("tanh", lambda: initializers.RandomNormal(stddev=1.0), "tanh, N(0, 1)"),
    ("tanh", lambda: initializers.RandomUniform(-0.05, 0.05), "tanh, U(-0.05, 0.05)"),
    ("tanh", initializers.GlorotNormal, "tanh, Glorot"),
    ("sigmoid", initializers.GlorotNormal, "sigmoid, Glorot"),
    ("relu", initializers.GlorotNormal, "relu, Glorot"),
    ("relu", initializers.HeNormal, "relu, He"),
    ("selu", initializers.LecunNormal, "selu, LeCun"),
    ("gelu", lambda: initializers.VarianceScaling(GELU**2, "fan_in"), f"gelu, gain {GELU:.2f}"),
)


def propagate(activation, initializer, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean size of each layer's outputs, and there of the gradient of a random function of the last."""
    fastnn.utils.set_random_seed(seed)
    stack = [layers.Dense(WIDTH, activation, kernel_initializer=initializer()) for _ in range(DEPTH)]
    rng = np.random.default_rng(seed)

    @fastnn.traced
    def signals(x, weight):
        outputs = []
        for layer in stack:
            x = layer(x)
            outputs.append(x)
        down = fastnn.gradients(ops.sum(x * weight), outputs)
        return [ops.mean(ops.abs(y)) for y in outputs], [ops.mean(ops.abs(g)) for g in down]

    x, weight = (rng.normal(size=(ROWS, WIDTH)).astype("float32") for _ in range(2))
    up, down = signals(x, weight)
    return np.array(up), np.array(down)


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, (above, below) = plt.subplots(1, 2, figsize=(8, 3.4), sharex=True)
    lines = ["| activation, weights | " + " | ".join(f"layer {n}" for n in SHOWN) + " | gradient at layer 1 / at 100 |",
             "| --- |" + " --- |" * (len(SHOWN) + 1)]
    depth = np.arange(1, DEPTH + 1)
    for activation, initializer, name in PAIRS:
        runs = [propagate(activation, initializer, seed) for seed in range(SEEDS)]
        up, down = (np.median([run[i] for run in runs], axis=0) for i in range(2))
        lines.append(f"| {name} | " + " | ".join(f"{up[n - 1]:.2g}" for n in SHOWN) + f" | {down[0] / down[-1]:.2g} |")
        above.semilogy(depth, np.maximum(up, 1e-12), label=name)
        below.semilogy(depth, np.maximum(down / down[-1], 1e-12))
    above.set(title="size of the outputs", xlabel="layer", ylim=(1e-10, 1e6))
    below.set(title="size of the gradient, relative to the last layer's", xlabel="layer", ylim=(1e-10, 1e12))
    above.legend(fontsize=6, loc="lower left")
    return "\n".join(lines), figure
