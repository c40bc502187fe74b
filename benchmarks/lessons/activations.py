"""Activations with their derivatives, and what their slopes do to a gradient in a stack of layers."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import activations, initializers, ops
from fastnn.extras import need

KINDS = ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "hard_sigmoid",
         "softsign")
X = np.linspace(-5, 5, 1001, dtype="float32")


def slopes(kind: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and derivative at each x."""
    f = activations.get(kind)

    @fastnn.traced
    def both(x):
        y = f(x)
        return y, fastnn.gradients(ops.sum(y), [x])[0]

    return both(x)


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, axes = plt.subplots(3, 4, figsize=(8, 5), sharex=True, sharey=True)
    drawn = np.random.default_rng(0).normal(size=200_000).astype("float32")
    columns = ("largest slope", "slope at 0", "at -3", "at 3", "mean of f(z)", "mean square of f'(z)", "gain")
    lines = ["| activation | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for kind, ax in zip(KINDS, axes.flat, strict=True):
        y, dy = slopes(kind, X)
        ax.plot(X, y, label="f")
        ax.plot(X, dy, "--", label="f'")
        ax.axhline(0, lw=0.4, color="gray")
        ax.set(title=kind, ylim=(-2, 4))
        at = slopes(kind, np.array([-3, 0, 3], "float32"))[1]
        value, slope = slopes(kind, drawn)
        lines.append(f"| `{kind}` | {dy.max():.2f} | {at[1]:.2f} | {at[0]:.3f} | {at[2]:.3f} | {value.mean():.2f} | "
                     f"{np.square(slope).mean():.2f} | {initializers.gain(kind):.2f} |")
    axes[0, 0].legend(fontsize=6)
    return "\n".join(lines), figure
