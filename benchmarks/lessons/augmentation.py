"""What augmentation makes of one picture, and what it gains where there are a thousand of them."""

from __future__ import annotations

import numpy as np

import fastnn
from fastnn import layers, optimizers
from fastnn.extras import need

from . import fashion

IMAGES, EPOCHS, SEEDS, COLUMNS = 1000, 20, 3, 8
TRIED = ("nothing", "flip, shift, zoom", "Cutout", "MixUp", "CutMix")  #: in the table

#: name -> layers; pixels go from 0 to 1
WAYS = {
    "nothing": lambda: [],
    "RandomFlip": lambda: [layers.RandomFlip("horizontal")],
    "RandomTranslation": lambda: [layers.RandomTranslation(0.1, 0.1, fill_mode="constant")],
    "RandomRotation": lambda: [layers.RandomRotation(0.05, fill_mode="constant")],
    "RandomZoom": lambda: [layers.RandomZoom(0.15, 0.15, fill_mode="constant")],
    "RandomContrast": lambda: [layers.RandomContrast(0.5, value_range=(0, 1))],
    "RandomErasing": lambda: [layers.RandomErasing((1.0, 1.0), fill_value=0.5, value_range=(0, 1))],
    "Cutout": lambda: [layers.Cutout(10)],
    "MixUp": lambda: [layers.MixUp(0.4)],
    "CutMix": lambda: [layers.CutMix(1.0)],
    "flip, shift, zoom": lambda: [layers.RandomFlip("horizontal"), layers.RandomZoom(0.1, 0.1, fill_mode="constant"),
                                  layers.RandomTranslation(0.07, 0.07, fill_mode="constant")],
}


def network(name: str, seed: int) -> fastnn.Sequential:
    """Convolutions, as small as they can be, behind this way of augmenting."""
    fastnn.utils.set_random_seed(seed)
    he = {"activation": "relu", "kernel_initializer": "he_normal"}
    return fastnn.Sequential([
        fastnn.Input((28, 28, 1)), *WAYS[name](), layers.Conv2D(16, 3, **he), layers.MaxPooling2D(),
        layers.Conv2D(32, 3, **he), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(64, **he),
        layers.Dense(10, activation="softmax")])


def accuracy(name: str, seed: int, n: int = IMAGES, epochs: int = EPOCHS) -> float:
    """On the test images, after some epochs on n images."""
    (x, y), (test_x, test_y) = fashion.train(n), fashion.test()
    model = network(name, seed)
    model.compile(optimizers.Adam(1e-3), "categorical_crossentropy", metrics=["accuracy"])
    one_hot = np.eye(10, dtype=np.float32)
    model.fit(x.reshape(-1, 28, 28, 1), one_hot[y], batch_size=32, epochs=epochs, verbose=0)
    return model.evaluate(test_x.reshape(-1, 28, 28, 1), one_hot[test_y], verbose=0)[1]


def pictures(name: str, seed: int = 0) -> np.ndarray:
    """One image, COLUMNS times, as this way of augmenting shows it; for those that mix, among others."""
    fastnn.utils.set_random_seed(seed)
    x = fashion.train(COLUMNS)[0].reshape(-1, 28, 28, 1)
    x = x if name in ("MixUp", "CutMix") else x[:1].repeat(COLUMNS, 0)
    for layer in WAYS[name]():
        x = layer(x, training=True)
    return x[..., 0]


def experiment():
    """Table and figure."""
    plt = need("matplotlib.pyplot", extra="plot")
    shown = [name for name in WAYS if name != "nothing"]
    figure, axes = plt.subplots(len(shown), 1, figsize=(6, 0.85 * len(shown)))
    for name, ax in zip(shown, axes, strict=True):
        ax.imshow(np.concatenate(list(pictures(name)), 1), cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        ax.set_axis_off()
        ax.set_title(name, fontsize=7)
    lines = ["| augmentation | test accuracy |", "| --- | --- |"]
    lines += [f"| {name} | {fashion.spread([accuracy(name, seed) for seed in range(SEEDS)])} |" for name in TRIED]
    return "\n".join(lines), figure
