"""Learning rate against momentum on the digits: what a grid shows that single runs do not."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn.extras import need

RATES = np.logspace(-3, 1, 9).round(5).tolist()
MOMENTA = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98]
SEEDS, EPOCHS = 4, 15


def build(learning_rate: float, momentum: float):
    model = fastnn.Sequential([fastnn.Input((64,)), fastnn.layers.Dense(32, "relu"),
                               fastnn.layers.Dense(10, "softmax")])
    model.compile(fastnn.optimizers.SGD(learning_rate, momentum=momentum), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    return model


def experiment(rates=RATES, momenta=MOMENTA, seeds: int = SEEDS, epochs: int = EPOCHS):
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    (x, y), test = fastnn.datasets.digits.load_data()
    x, xt = (a.reshape(-1, 64).astype("float32") / 16 for a in (x, test[0]))
    result = fastnn.sweep(build, x, y, {"learning_rate": rates, "momentum": momenta, "seed": range(seeds)},
                          epochs=epochs, validation_data=(xt, test[1]), verbose=0)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=(3, 2))
    result.heatmap("val_accuracy", x="learning_rate", y="momentum", ax=left, vmin=0.8)
    still = result.history["val_loss"][:, momenta.index(0.0)].mean(axis=1)
    for rate, curve in zip(rates, still):
        if np.isfinite(curve).all() and curve.max() < 3:
            right.plot(np.arange(1, epochs + 1), curve, label=f"{rate:.3g}",
                       color=plt.cm.viridis(np.log10(rate) / 4 + 0.75))
    right.set(xlabel="epoch", ylabel="val_loss, without momentum", yscale="log")
    right.legend(title="learning_rate", fontsize=6)
    found = result.final("val_accuracy")
    lines = ["| momentum | best rate | accuracy there | rate / (1 - momentum) | diverged or at chance, of all |",
             "| --- | --- | --- | --- | --- |"]
    for j, momentum in enumerate(momenta):
        mean = found[:, j].mean(axis=1)
        k, lost = int(np.argmax(mean)), float(np.mean(~(found[:, j] > 0.2)))
        lines.append(f"| {momentum:g} | {rates[k]:.3g} | {mean[k]:.3f} ± {found[k, j].std():.3f} | "
                     f"{rates[k] / (1 - momentum):.2g} | {100 * lost:.0f} % |")
    return "\n".join(lines), figure
