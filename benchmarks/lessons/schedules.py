"""Rates over a run of 1000 steps, and what each does for the same network."""

from __future__ import annotations

import fastnn
from fastnn.extras import need
from fastnn.optimizers import schedules as s

from . import fashion

STEPS, RATE, EPOCHS, SEEDS = 1000, 0.05, 5, 5


def rates(n: int) -> dict[str, object]:
    """Schedules over n steps from the same rate, by name."""
    return {
        "constant": s.ExponentialDecay(RATE, n, 1.0),
        "ExponentialDecay": s.ExponentialDecay(RATE, n, 0.01),
        "PowerDecay": s.PowerDecay(RATE, n / 10, 1.0),
        "PiecewiseConstantDecay": s.PiecewiseConstantDecay([n // 2, 3 * n // 4], [RATE, RATE / 10, RATE / 100]),
        "CosineDecay": s.CosineDecay(RATE, n),
        "CosineDecayRestarts": s.CosineDecayRestarts(RATE, -(-n // 7)),
        "Warmup + CosineDecay": s.Warmup(s.CosineDecay(RATE, n - n // 10), n // 10),
        "OneCycle": s.OneCycle(2 * RATE, n),
    }


def accuracy(name: str, seed: int) -> float:
    """On the test images, of the network of `fashion` after some epochs."""
    data, test = fashion.train(10_000), fashion.test()
    steps = EPOCHS * -(-len(data[0]) // 32)
    model = fashion.network(seed)
    rate = rates(steps)[name]
    momentum = rate.momentum if name == "OneCycle" else 0.9
    model.compile(fastnn.optimizers.SGD(rate, momentum=momentum), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    model.fit(*data, epochs=EPOCHS, verbose=0)
    return model.evaluate(*test, verbose=0)[1]


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, axes = plt.subplots(2, 4, figsize=(8, 3.2), sharex=True)
    lines = ["| schedule | first rate | highest | last | test accuracy after 5 epochs |", "| --- |" + " --- |" * 4]
    for (name, schedule), ax in zip(rates(STEPS).items(), axes.flat, strict=True):
        table = schedule.table(0, STEPS)
        ax.plot(table)
        ax.set(title=name, ylim=(0, None))
        found = [accuracy(name, seed) for seed in range(SEEDS)]
        lines.append(f"| `{name}` | {table[0]:.3g} | {table.max():.3g} | {table[-1]:.2g} | {fashion.spread(found)} |")
    figure.supxlabel("step")
    return "\n".join(lines), figure


