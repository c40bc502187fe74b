"""The learning rate range test: one short run with a rate that grows, which shows what rates a model takes."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass

import numpy as np

from ..optimizers.schedules import LearningRateSchedule
from ..optimizers.schedules.cycle import whole
from ..optimizers.schedules.schedule import number
from .data import ArrayData, training_data
from .passes import Pass

PIECE = 8  # steps between two looks at the loss


class Sweep(LearningRateSchedule):
    """From `start_lr` to `end_lr` in equal factors over `steps` steps, counted from step `first`."""

    def __init__(self, start_lr: float, end_lr: float, steps: int, first: int = 0):
        self.start_lr, self.end_lr, self.steps, self.first = start_lr, end_lr, steps, first

    def rate(self, step: np.ndarray) -> np.ndarray:
        return self.start_lr * (self.end_lr / self.start_lr) ** ((step - self.first) / (self.steps - 1))


@dataclass
class RangeTest:
    """What `lr_find` saw.

    Attributes
    ----------
    rates, losses : float64 arrays, the rate of each step and the loss of its batch before the step.
    smoothed : the exponential mean of the losses, with its bias corrected.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest against the logarithm of the rate, before its minimum."""
        last = int(np.argmin(self.smoothed))
        if last < 1:
            return float(self.rates[0])
        slopes = np.gradient(self.smoothed, np.log(self.rates))
        return float(self.rates[int(np.argmin(slopes[: last + 1]))])

    @property
    def minimum_tenth(self) -> float:
        """A tenth of the rate at which the smoothed loss is least."""
        return float(self.rates[int(np.argmin(self.smoothed))]) / 10

    @property
    def suggestion(self) -> float:
        """The smaller of `steepest` and `minimum_tenth`; the curve itself says more, so look at `plot`."""
        return min(self.steepest, self.minimum_tenth)

    def plot(self, ax=None):
        """Loss over rate on a logarithmic axis, with both rates marked; a matplotlib Axes.

        Raises
        ------
        ImportError : matplotlib is not installed.
        """
        from ..extras import need

        pyplot = need("matplotlib.pyplot", extra="plot")
        if ax is None:
            _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
        ax.plot(self.rates, self.losses, color="0.8", label="loss of a batch")
        ax.plot(self.rates, self.smoothed, label="smoothed")
        for name, rate, style in (("steepest", self.steepest, "--"), ("minimum / 10", self.minimum_tenth, ":")):
            ax.axvline(rate, color="black", linestyle=style, linewidth=1, label=f"{name}: {rate:.2g}")
        ax.set_xscale("log")
        low, high = float(self.smoothed.min()), float(self.smoothed[0])
        ax.set_ylim(low - 0.1 * abs(high - low), high + max(high - low, 0.1 * abs(high), 1e-12))
        ax.set_xlabel("learning rate")
        ax.set_ylabel("loss")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        return (f"RangeTest({len(self.rates)} steps, rates {self.rates[0]:.2g} to {self.rates[-1]:.2g}, "
                f"steepest {self.steepest:.2g}, minimum / 10 {self.minimum_tenth:.2g})")


def lr_find(model, x, y=None, *, start_lr: float = 1e-7, end_lr: float = 10.0, steps: int = 100,
            batch_size: int | None = None, sample_weight=None, class_weight=None, smoothing: float = 0.9,
            diverged: float = 4.0, seed: int = 0) -> RangeTest:
    """Train for some steps with a rate that grows exponentially, and leave everything as it was.

    Weights, moving averages, the optimizer's slots, count and rate (a schedule too: it is switched off meanwhile) and
    the package's stream of seeds are afterwards what they were: a fit has the same bits with and without it.

    Parameters
    ----------
    model : compiled.
    x, y, sample_weight, class_weight, batch_size : as for ``fit``; a generator is used up as far as it is read.
    start_lr, end_lr : the first and the last rate.
    steps : int of at least 2, the steps in all; shuffled data begin anew where they end.
    smoothing : in [0, 1), what the mean of the losses keeps.
    diverged : number above 1; the run stops when the smoothed loss is so many times what it was at the beginning (where
        it first was a mean over enough batches), or when it is not finite.
    seed : for the order of the rows.

    Returns
    -------
    RangeTest : the curve as arrays, with `suggestion` and `plot`.

    References
    ----------
    Smith (2017), Cyclical learning rates for training neural networks, section 3.3, arXiv:1506.01186.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, kernel_initializer="ones")])
    >>> model.compile("sgd", "mse")
    >>> found = fastnn.lr_find(model, x, 3 * x, batch_size=64, end_lr=100.0)
    >>> 0.01 < found.suggestion < 1.5, float(model.optimizer.learning_rate)
    (True, 0.01)
    """
    who = _Name()
    start_lr, end_lr = number(who, "start_lr", start_lr, above=0), number(who, "end_lr", end_lr, above=0)
    if end_lr <= start_lr:
        raise ValueError(f"lr_find: end_lr must be above start_lr, but they are {end_lr!r} and {start_lr!r}.")
    steps, diverged = whole(who, "steps", steps, least=2), number(who, "diverged", diverged, above=1)
    if not 0 <= number(who, "smoothing", smoothing) < 1:
        raise ValueError(f"lr_find: smoothing must be in [0, 1), but is {smoothing!r}.")
    model._need_compiled("lr_find")
    if model._own("train"):
        raise ValueError(f"Model {model.name} has a training step of its own, and which of its optimizers lr_find "
                         "should vary, by which loss, it can't know.")
    data, _ = training_data(x, y, sample_weight, shuffle=True, seed=seed)
    if class_weight is not None:
        data.weigh_classes(class_weight, model._classes(data if isinstance(data, ArrayData) else data.first()))
    batches = Pass(model, data, batch_size, True, seed, None)
    rates, losses, means, mean = [], [], [], 0.0
    settled = round(1 / (1 - smoothing))
    with _undone(model):
        optimizer = model.optimizer
        optimizer.learning_rate = sweep = Sweep(start_lr, end_lr, steps, optimizer.iterations)
        for rate, loss in zip(sweep.table(optimizer.iterations, steps), _losses(model, batches, steps)):
            mean = mean * smoothing + loss * (1 - smoothing)
            rates.append(rate)
            losses.append(loss)
            means.append(mean / (1 - smoothing ** len(losses)))
            first = (means[settled:] or means[-1:])[0]  # the means before are of few batches: noise
            if not math.isfinite(loss) or means[-1] > first + (diverged - 1) * abs(first):
                break
    keep = len(losses) if math.isfinite(losses[-1]) else len(losses) - 1
    if keep < 2:
        raise ValueError(f"lr_find: the loss is {losses[-1]} after {len(losses)} steps; give a smaller start_lr than "
                         f"{start_lr!r}, or look at the data.")
    return RangeTest(*(np.array(values[:keep], np.float64) for values in (rates, losses, means)))


def _losses(model, batches: Pass, steps: int):
    """The loss of each of so many training steps."""
    done = epoch = 0
    while done < steps:
        before = done
        for piece, rows in batches.runs(epoch):
            for at in range(0, len(rows), PIECE):
                part = np.ascontiguousarray(rows[at : at + min(PIECE, steps - done)])
                step = model._step_program(piece, part.shape[1], True)
                out, n = step.buffers(len(part)), 0
                while n < len(part):
                    n += model._run(step, piece, len(part) - n, part, out, n, True)
                yield from out["loss"][:n].astype(np.float64).tolist()
                done += n
                if done >= steps:
                    return
        if done == before:
            return
        epoch += 1


@contextlib.contextmanager
def _undone(model):
    """Whatever is trained inside, the model and its optimizer are afterwards as they were."""
    model._training_variables()
    optimizer, weights = model.optimizer, model.get_weights()
    rate, state = optimizer._rate, optimizer.get_state()
    try:
        yield
    finally:
        model.set_weights(weights)
        optimizer._rate = rate
        optimizer.set_state(state)


class _Name:
    """What errors call `lr_find`."""


_Name.__name__ = "lr_find"
