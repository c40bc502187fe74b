"""A generative adversarial network on points in the plane: eight Gaussians on a circle.

Two networks, two optimizers, one step: the discriminator learns to tell points of the data from points that the
generator makes of noise, the generator to be taken for the data (Goodfellow et al. 2014, arXiv:1406.2661; the loss of
the generator is the non-saturating one of section 3). `fit` runs that step natively, the noise included, thousands of
them with a few calls from Python.

Run it::

    python examples/gan.py [--plot ring.png]

It takes some seconds on two cores, and ends with all 8 modes found and more than 90 % of the generated points within
three standard deviations of one of them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import fastnn
from fastnn import layers, losses, metrics, ops, optimizers

MODES, RADIUS, SPREAD, NOISE = 8, 2.0, 0.1, 8


def ring(n: int, seed: int = 0) -> np.ndarray:
    """n points from the eight Gaussians."""
    rng = np.random.default_rng(seed)
    return (centres()[rng.integers(0, MODES, n)] + SPREAD * rng.normal(size=(n, 2))).astype(np.float32)


def centres() -> np.ndarray:
    angles = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


class GAN(fastnn.Model):
    """Generator and discriminator, trained against each other."""

    def __init__(self):
        super().__init__()
        self.generator = fastnn.Sequential([
            fastnn.Input((NOISE,)), layers.Dense(64, "relu"), layers.Dense(64, "relu"), layers.Dense(2)],
            name="generator")
        self.discriminator = fastnn.Sequential([
            fastnn.Input((2,)), layers.Dense(64, "leaky_relu"), layers.Dense(64, "leaky_relu"), layers.Dense(1)],
            name="discriminator")
        self.loss_of_discriminator = metrics.Mean(name="d_loss")
        self.loss_of_generator = metrics.Mean(name="g_loss")

    def compile(self, d_optimizer, g_optimizer):
        super().compile()
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.cross_entropy = losses.BinaryCrossentropy(from_logits=True)

    def train_step(self, data):
        n = ops.shape(data)[0]
        fake = self.generator(fastnn.random.normal((n, NOISE)), training=True)
        real_logits = self.discriminator(data, training=True)
        fake_logits = self.discriminator(ops.stop_gradient(fake), training=True)
        d_loss = (self.cross_entropy(0.9 * np.ones((n, 1)), real_logits)  # one-sided smoothing
                  + self.cross_entropy(np.zeros((n, 1)), fake_logits))
        weights = self.discriminator.trainable_variables
        self.d_optimizer.apply(fastnn.gradients(d_loss, weights), weights)

        fake = self.generator(fastnn.random.normal((n, NOISE)), training=True)
        g_loss = self.cross_entropy(np.ones((n, 1)), self.discriminator(fake, training=True))
        weights = self.generator.trainable_variables
        self.g_optimizer.apply(fastnn.gradients(g_loss, weights), weights)

        self.loss_of_discriminator.update_state(d_loss)
        self.loss_of_generator.update_state(g_loss)
        return {"d_loss": self.loss_of_discriminator.result(), "g_loss": self.loss_of_generator.result()}


def quality(points: np.ndarray) -> tuple[int, float]:
    """How many modes are found (by 1 % of the points or more), and the share of points within three deviations."""
    distances = np.linalg.norm(points[:, None] - centres(), axis=2)
    near = distances.min(1) < 3 * SPREAD
    found = np.bincount(distances.argmin(1)[near], minlength=MODES)
    return int((found >= 0.01 * len(points)).sum()), float(near.mean())


def train(epochs: int = 60, seed: int = 0, verbose: int = 0) -> GAN:
    """A trained GAN."""
    fastnn.utils.set_random_seed(seed)
    gan = GAN()
    gan.compile(optimizers.Adam(1e-3, beta_1=0.5), optimizers.Adam(1e-3, beta_1=0.5))
    gan.fit(ring(25_600), batch_size=256, epochs=epochs, verbose=verbose)
    return gan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE", help="a picture of data and generated points")
    asked = parser.parse_args()
    begin = time.perf_counter()
    gan = train(asked.epochs, asked.seed, verbose=1)
    seconds = time.perf_counter() - begin
    points = gan.generator.predict(np.random.default_rng(1).normal(size=(5000, NOISE)), verbose=0)
    modes, share = quality(points)
    print(f"{100 * asked.epochs} steps of both networks in {seconds:.1f} s: {modes} of {MODES} modes, "
          f"{share:.1%} of the points near one")
    if asked.plot:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(5, 5), layout="constrained")
        ax.scatter(*ring(2000).T, s=3, color="0.7", label="data")
        ax.scatter(*points[:2000].T, s=3, label="generated")
        ax.set_aspect("equal")
        ax.legend()
        plt.savefig(asked.plot, dpi=120)


if __name__ == "__main__":
    main()
