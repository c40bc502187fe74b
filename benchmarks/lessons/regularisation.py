"""A network that is too large for a thousand images, and what keeps it from learning them by heart."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import callbacks, layers, losses, optimizers, regularizers
from fastnn.extras import need

from . import fashion

IMAGES, EPOCHS, SEEDS = 1000, 60, 5
CROSS_ENTROPY = "sparse_categorical_crossentropy"


def dropped(seed: int):
    """The network with dropout behind each hidden layer."""
    plain = fashion.network(seed)
    return fastnn.Sequential([fastnn.Input((784,)), plain.layers[0], layers.Dropout(0.5), plain.layers[1],
                              layers.Dropout(0.5), plain.layers[2]])


def normalised(seed: int):
    """The network with batch normalisation before each dense layer."""
    plain = fashion.network(seed)
    return fastnn.Sequential([fastnn.Input((784,))] + [part for layer in plain.layers
                                                       for part in (layers.BatchNormalization(), layer)])


def penalised(penalty):
    """Maker of the network with this penalty on its weights."""
    return lambda seed: fashion.network(seed, kernel_regularizer=penalty)


def stopped():
    return [callbacks.EarlyStopping(patience=5, restore_best_weights=True)]


#: name -> network, further arguments of the optimizer, loss, callbacks
WAYS = {
    "nothing": (fashion.network, {}, CROSS_ENTROPY, list),
    "L2, 0.0001": (penalised(regularizers.L2(1e-4)), {}, CROSS_ENTROPY, list),
    "L1, 0.0001": (penalised(regularizers.L1(1e-4)), {}, CROSS_ENTROPY, list),
    "weight decay, 0.1": (fashion.network, dict(weight_decay=0.1), CROSS_ENTROPY, list),
    "dropout, 0.5": (dropped, {}, CROSS_ENTROPY, list),
    "label smoothing, 0.1": (fashion.network, {}, losses.CategoricalCrossentropy(label_smoothing=0.1), list),
    "batch normalisation": (normalised, {}, CROSS_ENTROPY, list),
    "early stopping": (fashion.network, {}, CROSS_ENTROPY, stopped),
    "averaged weights (EMA)": (fashion.network, dict(use_ema=True, ema_momentum=0.99), CROSS_ENTROPY, list),
}


def train(way: str, seed: int):
    """History, and the accuracy on the test images."""
    network, given, loss, watching = WAYS[way]
    (x, y), held, (test_x, test_y) = fashion.train(IMAGES), fashion.train(1000, first=50_000), fashion.test()
    coded = not isinstance(loss, str)

    def code(labels):
        return np.eye(10, dtype="float32")[labels] if coded else labels

    model = network(seed)
    model.compile(optimizers.Adam(1e-3, **given), loss, metrics=["accuracy"])
    history = model.fit(x, code(y), epochs=EPOCHS, validation_data=(held[0], code(held[1])), callbacks=watching(),
                        verbose=0)
    return history.history, model.evaluate(test_x, code(test_y), verbose=0)[1]


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, axes = plt.subplots(3, 3, figsize=(8, 5.5), sharex=True, sharey=True)
    lines = ["| | accuracy on the 1000 | on 1000 others, at the end | best epoch | on the 10,000 test images |",
             "| --- |" + " --- |" * 4]
    for way, ax in zip(WAYS, axes.flat, strict=True):
        runs = [train(way, seed) for seed in range(SEEDS)]
        first = runs[0][0]
        ax.plot(first["loss"], label="training loss")
        ax.plot(first["val_loss"], label="validation loss")
        ax.set(title=way, ylim=(0, 1.5))
        best = np.median([1 + int(np.argmin(h["val_loss"])) for h, _ in runs])
        lines.append(f"| {way} | {np.mean([h['accuracy'][-1] for h, _ in runs]):.3f} | "
                     f"{fashion.spread([h['val_accuracy'][-1] for h, _ in runs])} | {best:.0f} | "
                     f"{fashion.spread([a for _, a in runs])} |")
    axes[0, 0].legend(fontsize=6)
    figure.supxlabel("epoch")
    return "\n".join(lines), figure
