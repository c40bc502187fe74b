"""How deep a network of convolutions may be before it learns less: alone, with batch normalisation, with shortcuts."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import datasets, layers, optimizers
from fastnn.extras import need

from .fashion import spread

DEPTHS = (2, 8, 20, 40)  #: convolutions behind the first
CHANNELS, EPOCHS, SEEDS, RATE = 16, 15, 3, 0.003
#: name -> (batch normalisation, shortcuts)
WAYS = {"plain": (False, False), "batch normalisation": (True, False), "shortcuts": (False, True),
        "both": (True, True)}


def network(depth: int, norm: bool, shortcuts: bool) -> fastnn.Model:
    """Pairs of 3 x 3 convolutions at full size, each with a shortcut around it or without; not yet compiled."""
    def conv(x):
        x = layers.BatchNormalization(momentum=0.9)(x) if norm else x
        return layers.Conv2D(CHANNELS, 3, padding="same", kernel_initializer="he_normal")(layers.ReLU()(x))

    image = fastnn.Input((8, 8, 1))
    x = layers.Conv2D(CHANNELS, 3, padding="same")(image)
    for _ in range(depth // 2):
        y = conv(conv(x))
        x = layers.add([x, y]) if shortcuts else y
    return fastnn.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(layers.ReLU()(x))))


def train(way: str, depth: int, seed: int, epochs: int = EPOCHS) -> tuple[list[float], float]:
    """Loss by epoch, and the accuracy on the test images at the end."""
    (x, y), (test_x, test_y) = datasets.digits.load_data()
    fastnn.utils.set_random_seed(seed)
    model = network(depth, *WAYS[way])
    model.compile(optimizers.Adam(RATE), fastnn.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    loss = model.fit(x[..., None] / 16, y, epochs=epochs, verbose=0).history["loss"]
    return loss, model.evaluate(test_x[..., None] / 16, test_y, verbose=0)[1]


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    figure, axes = plt.subplots(1, len(WAYS), figsize=(8, 2.6), sharey=True)
    lines = ["| | " + " | ".join(f"{depth} layers" for depth in DEPTHS) + " |", "| --- |" + " --- |" * len(DEPTHS)]
    for ax, way in zip(axes, WAYS):
        found = []
        for depth in DEPTHS:
            runs = [train(way, depth, seed) for seed in range(SEEDS)]
            found.append(spread([accuracy for _, accuracy in runs]))
            ax.semilogy(range(1, EPOCHS + 1), np.median([loss for loss, _ in runs], axis=0), label=f"{depth}")
        ax.set(title=way, xlabel="epoch")
        lines.append(f"| {way} | " + " | ".join(found) + " |")
    axes[0].set(ylabel="training loss")
    axes[0].legend(title="layers", fontsize=6)
    return "\n".join(lines), figure
