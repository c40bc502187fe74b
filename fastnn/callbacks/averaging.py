"""Callbacks that average what was on the way: the weights of several epochs, or the outputs of several networks."""

from __future__ import annotations

import numpy as np

from .. import checks
from .callback import Callback


class StochasticWeightAveraging(Callback):
    """Stochastic weight averaging: at the end of training, set the mean of the weights of the last epochs.

    The moving statistics of batch normalisation belong to other weights, so they are computed anew, see
    `fastnn.models.update_batch_norm`.

    Parameters
    ----------
    start_epoch : int of at least 0, the first epoch (from 0) whose weights count.
    freq : int of at least 1: each so many epochs count.
    learning_rate : a rate to set from `start_epoch` on, high and constant as in the paper; None to leave it.
    x : inputs for the statistics of batch normalisation; None for those of the fit, which must be arrays then.
    batch_size : rows of a batch for these statistics; None for that of the fit.
    verbose : 0, or 1 to say so.

    Attributes
    ----------
    average : list of float64 arrays, the mean of `count` weights so far; None before the first.

    References
    ----------
    Izmailov, Podoprikhin, Garipov, Vetrov & Wilson (2018), Averaging weights leads to wider optima and better
    generalization, arXiv:1803.05407, algorithm 1.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1, use_bias=False)])
    >>> model.compile("sgd", "mse")
    >>> seen, swa = [], StochasticWeightAveraging(start_epoch=1)
    >>> keep = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(model.get_weights()[0]))
    >>> x = np.ones((8, 1))
    >>> history = model.fit(x, x, epochs=4, verbose=0, callbacks=[swa, keep])
    >>> np.allclose(model.get_weights()[0], np.mean(seen[1:], axis=0))
    True
    """

    kept = ("average", "count")

    def __init__(self, start_epoch, freq=1, learning_rate=None, x=None, batch_size=None, verbose=0):
        super().__init__()
        for name, value, least in (("start_epoch", start_epoch, 0), ("freq", freq, 1)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"StochasticWeightAveraging: {name} must be an integer of at least {least}, but is "
                                 f"{value!r}.")
        checks.at_least_zero("StochasticWeightAveraging", "learning_rate", learning_rate, optional=True)
        self.start_epoch, self.freq, self.learning_rate = int(start_epoch), int(freq), learning_rate
        self.x, self.batch_size, self.verbose = x, batch_size, verbose
        self.average, self.count = None, 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        from ..models.batch_norm import normalizing

        self.average, self.count = None, 0
        if self.x is None and self.model._place.arrays is None and normalizing(self.model):
            raise ValueError("StochasticWeightAveraging: x must be given where a model with batch normalisation is "
                             "trained on batches from elsewhere: they can't be read again for its statistics.")

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if epoch >= self.start_epoch and self.learning_rate is not None:
            self.model.optimizer.learning_rate = self.learning_rate

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if epoch < self.start_epoch or (epoch - self.start_epoch) % self.freq:
            return
        weights = [w.astype(np.float64) for w in self.model.get_weights()]
        self.count += 1
        if self.average is None:
            self.average = weights
            return
        self.average = [a + (w - a) / self.count for a, w in zip(self.average, weights)]

    def on_train_end(self, logs: dict | None = None) -> None:
        from ..models.batch_norm import normalizing, update_batch_norm

        model, place = self.model, self.model._place
        if self.average is None or place.failed:
            return
        model.set_weights([a.astype(w.dtype) for a, w in zip(self.average, model.get_weights())])
        if normalizing(model):
            update_batch_norm(model, place.arrays if self.x is None else self.x, self.batch_size or place.batch_size)
        if self.verbose > 0:
            print(f"Setting the mean of the weights of {self.count} epochs.")


class EMAWeights(Callback):
    """Keep an exponential mean of the trained weights, validate with it, and set it at the end of training.

        average = momentum * average + (1 - momentum) * w         after each batch; at the first, average = w

    Parameters
    ----------
    momentum : in [0, 1).
    batches : int of at least 1: look at the weights after each so many batches. Training runs batch by batch.

    Attributes
    ----------
    average : list of arrays, one for each trainable variable; None before the first batch.

    References
    ----------
    Polyak & Juditsky (1992), Acceleration of stochastic approximation by averaging; the exponential mean as in Keras's
    ``use_ema``.

    Examples
    --------
    >>> EMAWeights(momentum=0.999).wants_batches("train")
    True
    """

    kept = ("average", "_seen")

    def __init__(self, momentum=0.99, batches=1):
        super().__init__()
        momentum = checks.share("EMAWeights", "momentum", momentum)
        if isinstance(batches, bool) or not isinstance(batches, (int, np.integer)) or batches < 1:
            raise ValueError(f"EMAWeights: batches must be an integer of at least 1, but is {batches!r}.")
        self.momentum, self.batches = momentum, int(batches)
        self.average, self._seen, self._fitting = None, 0, False

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.average, self._seen, self._fitting = None, 0, True

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._seen += 1
        if self._seen % self.batches:
            return
        arrays = [v.array for v in self.model.trainable_variables]
        if self.average is None:
            self.average = [a.copy() for a in arrays]
        for mean, w in zip(self.average, arrays):
            mean += (w - mean) * w.dtype.type(1 - self.momentum)

    def _swap(self) -> None:
        for mean, v in zip(self.average or (), self.model.trainable_variables):
            own = v.numpy()
            v.assign(mean)
            mean[...] = own

    def on_test_begin(self, logs: dict | None = None) -> None:
        if self._fitting:
            self._swap()

    def on_test_end(self, logs: dict | None = None) -> None:
        if self._fitting:
            self._swap()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._fitting = False
        if self.average is not None and not self.model._place.failed:
            for mean, v in zip(self.average, self.model.trainable_variables):
                v.assign(mean)


class SwapEMAWeights(Callback):
    """Measure and predict with the average of the weights that an optimizer with ``use_ema=True`` keeps.

    While `fit` validates, and in `evaluate` and `predict` if they get this callback, the average stands in the model.
    Training goes on with the weights themselves.

    Parameters
    ----------
    swap_on_epoch : bool. Also between the end of an epoch and the beginning of the next, so that callbacks that come
        after this one, such as `ModelCheckpoint`, find the average.

    Raises
    ------
    ValueError : the optimizer keeps no average.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    >>> model.compile(fastnn.optimizers.SGD(0.1, use_ema=True), "mse")
    >>> x = np.linspace(0, 1, 32)[:, None]
    >>> history = model.fit(x, x, verbose=0, validation_data=(x, x), callbacks=[SwapEMAWeights()])
    >>> model.evaluate(x, x, verbose=0) == history.history["val_loss"][-1]    # which fit leaves in the model
    True
    """

    def __init__(self, swap_on_epoch=False):
        super().__init__()
        self.swap_on_epoch = checks.flag("SwapEMAWeights", "swap_on_epoch", swap_on_epoch)

    def set_model(self, model) -> None:
        if not getattr(model.optimizer, "use_ema", False):
            raise ValueError("SwapEMAWeights: the optimizer keeps no average of the weights: compile the model with "
                             "one that was made with use_ema=True.")
        super().set_model(model)

    def get_state(self) -> dict:
        return {"swapped": self.model.optimizer.swapped}

    def set_state(self, state: dict) -> None:
        self.model.optimizer.swapped = state["swapped"]

    def _swap(self, wanted: bool) -> None:
        if self.model.optimizer.swapped != wanted:
            self.model.optimizer.swap_average()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._swap(False)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._swap(self.swap_on_epoch)

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._swap(True)

    def on_test_end(self, logs: dict | None = None) -> None:
        self._swap(False)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._swap(True)

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._swap(False)

    def on_train_end(self, logs: dict | None = None) -> None:
        self._swap(False)  # after an error or Ctrl-C; else fit has set the weights to their average


class SnapshotEnsemble(Callback):
    """Keep the weights at the end of each cycle of the rate, and predict with the mean of all of them.

    Give the optimizer ``CosineDecayRestarts(rate, epochs_per_cycle * steps_per_epoch, t_mul=1.0)``: at the end of a
    cycle the network stands in a minimum, and the next one leads to another.

    Parameters
    ----------
    epochs_per_cycle : int of at least 1.
    last : int, how many of the latest snapshots to keep; None for all.

    Attributes
    ----------
    snapshots : list of what ``model.get_weights()`` gave.

    References
    ----------
    Huang, Li, Pleiss, Liu, Hopcroft & Weinberger (2017), Snapshot ensembles: train 1, get M for free,
    arXiv:1704.00109.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(1)])
    >>> rate = fastnn.optimizers.schedules.CosineDecayRestarts(0.5, 2, t_mul=1.0)
    >>> model.compile(fastnn.optimizers.SGD(rate), "mse")
    >>> x, ensemble = np.linspace(0, 1, 32)[:, None], SnapshotEnsemble(epochs_per_cycle=2)
    >>> history = model.fit(x, x**2, epochs=6, verbose=0, callbacks=[ensemble])
    >>> len(ensemble.snapshots), ensemble.predict(x).shape
    (3, (32, 1))
    """

    kept = ("snapshots",)

    def __init__(self, epochs_per_cycle, last=None):
        super().__init__()
        for name, value in (("epochs_per_cycle", epochs_per_cycle), ("last", last)):
            if value is None and name == "last":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"SnapshotEnsemble: {name} must be an integer of at least 1, but is {value!r}.")
        self.epochs_per_cycle, self.last = int(epochs_per_cycle), last
        self.snapshots: list[list[np.ndarray]] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.snapshots = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if (epoch + 1) % self.epochs_per_cycle == 0:
            self.snapshots.append(self.model.get_weights())
            if self.last is not None:
                del self.snapshots[: -self.last]

    def predict(self, x, **arguments):
        """The mean of the outputs of all snapshots; the model has its own weights again afterwards.

        Parameters
        ----------
        x, arguments : as for ``model.predict``.
        """
        if not self.snapshots:
            raise ValueError("SnapshotEnsemble: no cycle has come to its end yet, so there is nothing to predict with.")
        from ..layers.symbolic import flatten, map_tree

        own = self.model.get_weights()
        try:
            outputs = []
            for weights in self.snapshots:
                self.model.set_weights(weights)
                outputs.append(self.model.predict(x, **arguments))
        finally:
            self.model.set_weights(own)
        means = iter([np.mean(parts, axis=0) for parts in zip(*map(flatten, outputs))])
        return map_tree(lambda _: next(means), outputs[0])
