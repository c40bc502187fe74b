"""What the experiments on Fashion-MNIST share: parts of the data, and a network."""

from __future__ import annotations

import functools

import numpy as np

import fastnn
from fastnn import layers


@functools.cache
def _all():
    (x, y), (test_x, test_y) = fastnn.datasets.fashion_mnist.load_data()
    return (x.reshape(-1, 784) / np.float32(255), y), (test_x.reshape(-1, 784) / np.float32(255), test_y)


def train(n: int, first: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n training images, (n, 784) from 0 to 1, and their labels."""
    x, y = _all()[0]
    return x[first:first + n], y[first:first + n]


def test() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test images and their labels."""
    return _all()[1]


def network(seed: int, hidden=(300, 100), outputs: int = 10, **dense) -> fastnn.Sequential:
    """Dense relu layers with He initialisation, not yet compiled."""
    fastnn.utils.set_random_seed(seed)
    he = dict(kernel_initializer="he_normal", **dense)
    return fastnn.Sequential([fastnn.Input((784,)), *(layers.Dense(n, "relu", **he) for n in hidden),
                              layers.Dense(outputs, "softmax")])


def spread(found) -> str:
    """Mean and standard deviation of accuracies, for a table."""
    return f"{np.mean(found):.3f} ± {np.std(found, ddof=1):.3f}"
