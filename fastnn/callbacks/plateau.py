"""A smaller learning rate when nothing is gained any more."""

from __future__ import annotations

from .. import checks
from .monitor import MonitorCallback


class ReduceLROnPlateau(MonitorCallback):
    """Multiply the learning rate by `factor` when the watched value has not become better for `patience` epochs.

    The rate stands in the logs of the epoch as ``learning_rate``, as in Keras.

    Parameters
    ----------
    monitor : str, the name in the logs.
    factor : in (0, 1).
    patience : int of at least 0, epochs without gain after which the rate falls.
    verbose : 0, or 1 to say so.
    mode : "auto", "min" or "max".
    min_delta : what must at least be gained to count.
    cooldown : int of at least 0, epochs after a reduction in which nothing is counted.
    min_lr : the rate does not fall below.

    Examples
    --------
    >>> ReduceLROnPlateau(monitor="loss", factor=0.5, patience=3).factor
    0.5
    >>> ReduceLROnPlateau(factor=1.5)
    Traceback (most recent call last):
    ValueError: ReduceLROnPlateau: factor must be above 0 and below 1, but is 1.5.
    """

    kept = ("best", "wait", "cooldown_counter")

    def __init__(self, monitor="val_loss", factor=0.1, patience=10, verbose=0, mode="auto", min_delta=1e-4, cooldown=0,
                 min_lr=0.0):
        super().__init__(monitor, mode, None, min_delta)
        who = "ReduceLROnPlateau"
        if not 0 < checks.number(who, "factor", factor) < 1:
            raise ValueError(f"{who}: factor must be above 0 and below 1, but is {factor!r}.")
        self.factor, self.patience, self.verbose = factor, checks.count(who, "patience", patience), verbose
        self.cooldown = checks.count(who, "cooldown", cooldown)
        self.min_lr = checks.at_least_zero(who, "min_lr", min_lr)
        self._reset()

    def _reset(self) -> None:
        self.best, self.wait, self.cooldown_counter = None, 0, 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        optimizer = self.model.optimizer
        if logs is not None:
            logs["learning_rate"] = float(optimizer.learning_rate)
        current = self.watched(logs)
        if current is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(current, self.best):
            self.best, self.wait = current, 0
        elif self.cooldown_counter == 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch, optimizer)

    def _reduce(self, epoch: int, optimizer) -> None:
        old = float(optimizer.learning_rate)
        if old <= self.min_lr:
            return
        optimizer.learning_rate = new = max(old * self.factor, self.min_lr)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter, self.wait = self.cooldown, 0
