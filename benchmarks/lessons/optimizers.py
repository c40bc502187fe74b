"""Optimizers in a curved valley: Rosenbrock's function, from the same start."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import optimizers
from fastnn.extras import need

START, BOTTOM, STEPS = (-1.2, 1.0), (1.0, 1.0), 8000
CLOSE = 1e-3  #: a loss that counts as arrived
RATES = np.logspace(-5, 0, 26)
RULES = {
    "SGD": lambda rate: optimizers.SGD(rate),
    "momentum 0.9": lambda rate: optimizers.SGD(rate, momentum=0.9),
    "Nesterov 0.9": lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "Adagrad": lambda rate: optimizers.Adagrad(rate),
    "RMSprop": lambda rate: optimizers.RMSprop(rate),
    "Adam": lambda rate: optimizers.Adam(rate),
    "Nadam": lambda rate: optimizers.Nadam(rate),
    "Lion": lambda rate: optimizers.Lion(rate),
}


def walk(optimizer, steps: int = STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Places and losses, one for each step."""
    w = fastnn.Variable(START, name="w")

    @fastnn.traced
    def step():
        x, y = w[0:1], w[1:2]
        loss = fastnn.ops.sum((1.0 - x) ** 2 + 100.0 * (y - x * x) ** 2)
        optimizer.apply(fastnn.gradients(loss, [w]), [w])
        return loss

    places, losses = [], []
    for _ in range(steps):
        places.append(w.numpy())
        losses.append(float(step()))
        if not np.isfinite(losses[-1]) or losses[-1] < CLOSE:
            break
    return np.array(places), np.array(losses)


def arrival(losses: np.ndarray) -> float:
    """Steps until the loss was small; infinite if it never was."""
    return len(losses) if losses[-1] < CLOSE else np.inf


def safest(arrivals: list[float]) -> float:
    """The rate that is best on average with its neighbours on the grid: a lucky throw does not count."""
    counted = np.minimum(arrivals, 2 * STEPS)
    return RATES[1 + int(np.argmin(counted[:-2] + counted[1:-1] + counted[2:]))]


def experiment():
    """Table and figure: each rule at a rate with which it arrives soon."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, axes = plt.subplots(2, 4, figsize=(8, 4), sharex=True, sharey=True)
    grid = np.meshgrid(np.linspace(-2, 2, 81), np.linspace(-1, 3, 81))
    height = np.log10((1 - grid[0]) ** 2 + 100 * (grid[1] - grid[0] ** 2) ** 2 + 1e-6)
    lines = ["| rule | rate | steps to a loss of 0.001 | at half that rate | at twice that rate |",
             "| --- |" + " --- |" * 4]
    for (name, make), ax in zip(RULES.items(), axes.flat, strict=True):
        with np.errstate(all="ignore"):
            best = safest([arrival(walk(make(rate))[1]) for rate in RATES])
            places, losses = walk(make(best))
            near = [arrival(walk(make(best * factor))[1]) for factor in (0.5, 2.0)]
        shown = [f"{n:.0f}" if np.isfinite(n) else "never" for n in (arrival(losses), *near)]
        lines.append(f"| {name} | {best:.2g} | " + " | ".join(shown) + " |")
        ax.contour(*grid, height, levels=8, linewidths=0.4, cmap="Greys")
        ax.plot(*places[:: max(1, len(places) // 400)].T, lw=0.8)
        ax.plot(*BOTTOM, "k*", ms=5)
        ax.set(title=f"{name}, {shown[0]} steps", xlim=(-2, 2), ylim=(-1, 3))
    return "\n".join(lines), figure
