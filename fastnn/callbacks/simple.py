"""Small callbacks: one purpose each."""

from __future__ import annotations

import inspect
import math
import os

import numpy as np

from fastnn import checks, spelling

from .callback import MOMENTS, Callback, file_name


class LambdaCallback(Callback):
    """A callback made of functions.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end, ... : functions of what the moment of that name gets: ``(epoch, logs)``,
        ``(batch, logs)`` or ``(logs)``. Any moment of `Callback` may be named.

    Examples
    --------
    >>> said = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))
    >>> said.on_epoch_end(0, {"loss": 0.5})
    0 0.5
    >>> LambdaCallback(on_epoch_edn=print)
    Traceback (most recent call last):
    ValueError: Unknown moment 'on_epoch_edn': did you mean 'on_epoch_end'?
    """

    def __init__(
        self,
        on_epoch_begin=None,
        on_epoch_end=None,
        on_train_begin=None,
        on_train_end=None,
        on_train_batch_begin=None,
        on_train_batch_end=None,
        **kwargs,
    ):
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        for name in kwargs:
            spelling.one_of("moment", name, MOMENTS)
        for name, function in {**given, **kwargs}.items():
            if function is None:
                continue
            if not callable(function):
                raise ValueError(f"LambdaCallback: {name} must be a function, but is {function!r}.")
            setattr(self, name, function)


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch: ``schedule(epoch, learning_rate)``.

    The rate stands in the logs of the epoch as ``learning_rate``, as in Keras.

    Parameters
    ----------
    schedule : function of the epoch (from 0) and the rate so far, or of the epoch alone.
    verbose : 0, or 1 to print the rate.

    Examples
    --------
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)
    """

    def __init__(self, schedule, verbose=0):
        super().__init__()
        if not callable(schedule):
            raise ValueError(f"LearningRateScheduler: schedule must be a function, but is {schedule!r}.")
        self.schedule = schedule
        self.verbose = verbose
        try:
            inspect.signature(schedule).bind(0, 0.0)
            self._takes_rate = True
        except TypeError:
            self._takes_rate = False
        except ValueError:  # some builtins have no signature
            self._takes_rate = True

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        optimizer = self.model.optimizer
        rate = self.schedule(epoch, float(optimizer.learning_rate)) if self._takes_rate else self.schedule(epoch)
        if isinstance(rate, np.ndarray) and rate.ndim == 0:
            rate = rate.item()
        if isinstance(rate, (bool, np.bool_)) or not isinstance(rate, (int, float, np.integer, np.floating)):
            raise ValueError(f"LearningRateScheduler: schedule({epoch}) must be a number, but is {rate!r}.")
        if not math.isfinite(rate) or rate < 0:
            raise ValueError(
                f"LearningRateScheduler: schedule({epoch}) must be finite and at least 0, but is {rate!r}."
            )
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(Callback):
    """Stop training when the loss is NaN or infinite.

    The loss in the logs is an average: once it is NaN it stays so until the epoch ends. So this need
    not see each batch, and does not slow training down: it looks whenever there is progress to report,
    within a fraction of a second. (Where training goes batch by batch anyway, it looks at each.)

    Parameters
    ----------
    raise_error : bool. Raise RuntimeError in place of stopping.

    Examples
    --------
    >>> TerminateOnNaN().wants_batches("train")
    False
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = checks.flag("TerminateOnNaN", "raise_error", raise_error)
        self._found = False

    def wants_batches(self, phase: str = "train") -> bool:
        return False

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._found = False

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._look(f"Batch {batch}", logs)

    def on_progress(self, step: int, logs: dict | None = None) -> None:
        self._look(f"Batch {step - 1} or before", logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._look(f"Epoch {epoch + 1}", logs)

    def _look(self, when: str, logs: dict | None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"{when}: the loss is {loss}.")
        if not self._found:
            print(f"{when}: the loss is {loss}, terminating training")
        self._found = True
        self.model.stop_training = True


class CSVLogger(Callback):
    """Write the logs of each epoch as a line of a CSV file.

    The columns are ``epoch`` (from 0) and, sorted, the names in the logs of the first epoch; if none of
    them begins with ``val_``, a ``val_`` column for each is kept for epochs that are validated. What is
    missing is ``NA``.

    Parameters
    ----------
    filename : path.
    separator : str of one character.
    append : bool. Go on in a file that exists, in place of overwriting it; give it beside `BackupAndRestore`, and a
        fit that goes on takes back the lines of epochs that it does again.
    """

    def __init__(self, filename, separator=",", append=False):
        super().__init__()
        self.filename = file_name("CSVLogger", "filename", filename)
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger: separator must be a string of one character, but is {separator!r}.")
        self.sep = separator
        self.append = checks.flag("CSVLogger", "append", append)
        self.keys: list[str] | None = None
        self._file = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.on_train_end()
        self.keys = None
        self._header = True
        if self.append and os.path.exists(self.filename):
            self._header = os.path.getsize(self.filename) == 0
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115

    def get_state(self) -> dict:
        return {"keys": self.keys, "size": os.path.getsize(self.filename)}

    def set_state(self, state: dict) -> None:
        if self.append and os.path.getsize(self.filename) >= state["size"]:
            os.truncate(self.filename, state["size"])
            self.keys, self._header = state["keys"], state["size"] == 0

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        import csv  # only where it is used: it costs 6 ms of the package's import

        logs = logs or {}
        writer = csv.writer(self._file, delimiter=self.sep)
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            if self._header:
                writer.writerow(["epoch", *self.keys])
        writer.writerow([epoch, *(logs.get(key, "NA") for key in self.keys)])
        self._file.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
