"""Callbacks that compare a value of the logs with the best one so far, and what they share."""

from __future__ import annotations

import math
import os
import string
import warnings

from fastnn import checks, spelling

from .callback import Callback, file_name

# last words of the names of metrics; models may have metrics of other names, which say `_direction`
RISING = ("accuracy", "acc", "auc", "precision", "recall", "score", "iou", "similarity", "specificity", "sensitivity")
FALLING = (
    "loss",
    "error",
    "mse",
    "mae",
    "mape",
    "msle",
    "rmse",
    "crossentropy",
    "divergence",
    "hinge",
    "poisson",
    "logcosh",
)


class MonitorCallback(Callback):
    """Base of callbacks that watch one value.

    Parameters
    ----------
    monitor : str, the name in the logs.
    mode : "min" if less is better, "max" if more is, "auto" to tell from the metric or its name.
    baseline : the value to beat first, or None.
    min_delta : what must at least be gained to count.
    """

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        who = type(self).__name__
        if not isinstance(monitor, str) or not monitor:
            raise ValueError(f"{who}: monitor must be a name in the logs, but is {monitor!r}.")
        self.monitor = monitor
        self.mode = spelling.one_of("mode", mode, ("auto", "min", "max"))
        self.best = None if baseline is None else checks.number(who, "the value to beat first", baseline)
        self.min_delta = abs(checks.number(who, "min_delta", min_delta))
        self._sign = {"auto": 0, "min": 1, "max": -1}[mode]

    def better(self, value: float, reference: float | None) -> bool:
        """Whether `value` beats `reference` by `min_delta`; NaN never does, and anything else beats None."""
        self._sign = self._sign or self._direction()
        if math.isnan(value):
            return False
        if reference is None:
            return True
        return self._sign * value + self.min_delta < self._sign * reference

    def _direction(self) -> int:
        name = self.monitor.removeprefix("val_")
        for metric in getattr(self.model, "metrics", None) or ():
            direction = getattr(metric, "_direction", None)
            if getattr(metric, "name", None) == name and direction in ("up", "down"):
                return -1 if direction == "up" else 1
        last = name.rsplit("_", 1)[-1]
        if last in RISING:
            return -1
        if last in FALLING:
            return 1
        raise ValueError(
            f"{type(self).__name__}: whether more or less of {self.monitor!r} is better cannot be told from its name: "
            "give mode='max' or mode='min'."
        )

    def watched(self, logs: dict | None) -> float | None:
        """The value that is watched, or None, with a warning, if the logs have it not."""
        logs = logs or {}
        value = logs.get(self.monitor)
        if value is None:
            close = spelling.nearest(self.monitor, logs)
            hint = f"did you mean {close!r}?" if close else f"there are {', '.join(map(repr, logs)) or 'none'}."
            warnings.warn(f"{type(self).__name__}: the logs hold no {self.monitor!r}; {hint}", stacklevel=3)
            return None
        return float(value)


class EarlyStopping(MonitorCallback):
    """Stop when the watched value has not become better for `patience` epochs.

    Parameters
    ----------
    monitor : str, the name in the logs.
    min_delta : what must at least be gained to count.
    patience : int, epochs without gain after which training stops.
    verbose : 0, or 1 to say so.
    mode : "auto", "min" or "max".
    baseline : a value that must be beaten too before patience starts anew.
    restore_best_weights : bool. At the end of training, stopped early or not, set the weights of the best
        epoch again.
    start_from_epoch : int, epochs at the start that are not watched.

    Attributes
    ----------
    best, best_epoch, best_weights, wait, stopped_epoch

    Examples
    --------
    >>> stopping = EarlyStopping(patience=3, restore_best_weights=True)
    >>> stopping.monitor
    'val_loss'
    """

    kept = ("best", "best_epoch", "best_weights", "wait", "stopped_epoch")

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__(monitor, mode, None, min_delta)
        self.patience = checks.count("EarlyStopping", "patience", patience)
        self.verbose = verbose
        self.baseline = None if baseline is None else checks.number("EarlyStopping", "baseline", baseline)
        self.restore_best_weights = checks.flag("EarlyStopping", "restore_best_weights", restore_best_weights)
        self.start_from_epoch = checks.count("EarlyStopping", "start_from_epoch", start_from_epoch)
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._reset()  # one object may serve several fits

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        current = self.watched(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        gained = self.better(current, self.best)
        if self.restore_best_weights and (gained or self.best_weights is None):
            self.best_weights = self.model.get_weights()
            self.best_epoch = epoch
        self.wait += 1
        if gained:
            self.best, self.best_epoch = current, epoch
            if self.baseline is None or self.better(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights, at each epoch or whenever the watched value has become better.

    Parameters
    ----------
    filepath : path, which may hold ``{epoch}`` (from 1), ``{batch}`` and names of the logs with a format:
        ``"m-{epoch:02d}-{val_loss:.3f}.safetensors"``.
    monitor, mode : which value to watch, see `MonitorCallback`.
    verbose : 0, or 1 to say so.
    save_best_only : bool. Save only when `monitor` has become better.
    save_weights_only : bool. Use the model's `save_weights` in place of its `save`.
    save_freq : "epoch", or int: save after so many batches. Training then runs batch by batch.
    initial_value_threshold : the value to beat first, or None.

    Examples
    --------
    >>> ModelCheckpoint("best.safetensors", save_best_only=True).wants_batches("train")
    False
    >>> ModelCheckpoint("m-{epoch}.safetensors", save_freq=100).wants_batches("train")
    True
    """

    kept = ("best", "_unsaved")

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
    ):
        super().__init__(monitor, mode, initial_value_threshold)
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"ModelCheckpoint: save_freq must be 'epoch' or a number of batches, but is {save_freq!r}."
            )
        self.filepath = file_name("ModelCheckpoint", "filepath", filepath)
        try:
            list(string.Formatter().parse(self.filepath))
        except ValueError as error:
            raise ValueError(f"ModelCheckpoint: filepath {self.filepath!r} is no format: {error}.") from None
        self.verbose = verbose
        self.save_best_only = checks.flag("ModelCheckpoint", "save_best_only", save_best_only)
        self.save_weights_only = checks.flag("ModelCheckpoint", "save_weights_only", save_weights_only)
        self.save_freq = save_freq
        self._unsaved = 0  # batches since the last save
        self._epoch = 0

    def set_model(self, model) -> None:
        method = "save_weights" if self.save_weights_only else "save"
        if not hasattr(model, method):
            raise ValueError(
                f"ModelCheckpoint needs a model with the method {method}, but {type(model).__name__} has none."
            )
        super().set_model(model)

    def wants_batches(self, phase: str = "train") -> bool:
        return phase == "train" and self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._unsaved += 1
        if self._unsaved >= self.save_freq:
            self._unsaved = 0
            self._save(self._epoch, logs, batch)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: dict | None, batch: int | None = None) -> None:
        values = {**({} if batch is None else {"batch": batch + 1}), **(logs or {}), "epoch": epoch + 1}
        try:
            path = self.filepath.format(**values)
        except (KeyError, IndexError) as error:
            raise ValueError(
                f"ModelCheckpoint: filepath {self.filepath!r} asks for {error}, but there are {', '.join(values)}."
            ) from None
        if not self._due(epoch, logs, path):
            return
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)

    def _due(self, epoch: int, logs: dict | None, path: str) -> bool:
        said = f"Epoch {epoch + 1}: saving model to {path}"
        if self.save_best_only:
            current = self.watched(logs)
            if current is not None:
                if not self.better(current, self.best):
                    if self.verbose > 0:
                        print(f"Epoch {epoch + 1}: {self.monitor} did not improve from {self.best}")
                    return False
                before = "None" if self.best is None else f"{self.best:.5f}"
                said = (
                    f"Epoch {epoch + 1}: {self.monitor} improved from {before} to {current:.5f}, saving model to {path}"
                )
                self.best = current
        if self.verbose > 0:
            print(said)
        return True
