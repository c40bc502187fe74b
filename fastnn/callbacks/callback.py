"""What a callback is: the moments of training at which it is called."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fastnn import spelling

PHASES = ("train", "test", "predict")
ONCE = tuple(f"on_{phase}_{end}" for phase in PHASES for end in ("begin", "end"))
EPOCH = ("on_epoch_begin", "on_epoch_end")
BATCH = tuple(f"on_{phase}_batch_{end}" for phase in PHASES for end in ("begin", "end"))
MOMENTS = (*ONCE, *EPOCH, *BATCH, "on_batch_begin", "on_batch_end", "on_progress")  #: every moment by name


class Callback:
    """Base of all callbacks: override the moments that matter.

    ``logs`` is a dict of floats: the averages of loss and metrics so far, at the end of an epoch with
    the ``val_`` ones.

    A fit runs many steps as one native call. Whoever overrides a moment of the batches has it called at
    each batch, as in Keras, and pays for it: the calls are cut to one step each. `on_progress`, which
    Keras does not have, is called a few times per second instead and costs nothing.

    Attributes
    ----------
    model : the model being trained.
    params : dict with ``verbose``, ``epochs`` and ``steps`` (None while unknown).

    Examples
    --------
    >>> class Until(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         if logs["loss"] < 0.1:
    ...             self.model.stop_training = True
    >>> Until().wants_batches("train")
    False
    """

    kept: tuple[str, ...] = ()  #: attributes that `get_state` gives
    params: dict | None = None
    _model: Any = None

    def __init__(self):
        self.params = None
        self._model = None

    @property
    def model(self):
        return self._model

    def set_params(self, params: dict) -> None:
        self.params = params

    def set_model(self, model) -> None:
        self._model = model

    def wants_batches(self, phase: str = "train") -> bool:
        """Whether the moments of single batches must be called in ``"train"``, ``"test"`` or ``"predict"``.

        True if one of them is overridden. Override this to decide otherwise.
        """
        return overrides_batches(self, phase)

    def get_state(self) -> dict[str, Any]:
        """What must be remembered to go on after a crash: see `BackupAndRestore`.

        By default the attributes named in `kept`. Values are numbers, strings, None, arrays, and lists and dicts of
        them.
        """
        return {name: getattr(self, name) for name in self.kept}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over what `get_state` gave; called after `on_train_begin`."""
        for name in self.kept:
            setattr(self, name, state[name])

    # ------------------------------------------------------------------ the moments

    def on_train_begin(self, logs: dict | None = None) -> None: ...

    def on_train_end(self, logs: dict | None = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """After an epoch and its validation."""

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """An older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """An older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: dict | None = None) -> None: ...

    def on_test_end(self, logs: dict | None = None) -> None: ...

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None: ...

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None: ...

    def on_predict_begin(self, logs: dict | None = None) -> None: ...

    def on_predict_end(self, logs: dict | None = None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs: dict | None = None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs: dict | None = None) -> None: ...

    def on_progress(self, step: int, logs: dict | None = None) -> None:
        """A few times per second: `step` batches of this epoch (or test, or prediction) are done."""


def overrides_batches(callback: Any, phase: str) -> bool:
    """Whether a callback, derived from `Callback` or not, has a batch moment of its own for `phase`."""
    spelling.one_of("phase", phase, PHASES)
    names = [f"on_{phase}_batch_begin", f"on_{phase}_batch_end"]
    names += ["on_batch_begin", "on_batch_end"] if phase == "train" else []
    for name in names:
        method = getattr(callback, name, None)
        if method is not None and getattr(method, "__func__", method) is not getattr(Callback, name):
            return True
    return False


def file_name(who: str, name: str, path: Any) -> str:
    """The path of a file or folder as a string, or a sentence."""
    try:
        found = os.fspath(path)
    except TypeError:
        found = None
    if not isinstance(found, str) or not found:
        raise ValueError(f"{who}: {name} must be a path, but is {path!r}.")
    return found


class CallbackList(Callback):
    """Several callbacks as one, called in their order; what the trainer holds.

    Parameters
    ----------
    callbacks : callbacks, lists of them, or None.
    add_history, add_progbar : bool. Append a `History`, a `ProgressBar`, unless there is one.
    model : handed to each by `set_model`; its `history` becomes the `History`.
    params : handed to each by `set_params`: verbose, epochs, steps.

    Examples
    --------
    >>> calls = CallbackList([Callback()], add_history=True)
    >>> calls.wants_batches("train"), calls.history
    (False, History(0 epochs))
    """

    def __init__(self, callbacks=None, add_history=False, add_progbar=False, model=None, **params):
        from .history import History
        from .progress import ProgressBar

        super().__init__()
        self.callbacks = list(_flat(callbacks))
        self.history = next((c for c in self.callbacks if isinstance(c, History)), None)
        if add_history and self.history is None:
            self.history = History()
            self.callbacks.append(self.history)
        if add_progbar and not any(isinstance(c, ProgressBar) for c in self.callbacks):
            self.callbacks.append(ProgressBar())
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def append(self, callback) -> None:
        self.callbacks.extend(_flat([callback]))

    def __iter__(self):
        return iter(self.callbacks)

    def __len__(self) -> int:
        return len(self.callbacks)

    def set_params(self, params: dict) -> None:
        super().set_params(params)
        self._call("set_params", params)

    def set_model(self, model) -> None:
        super().set_model(model)
        if self.history is not None:
            model.history = self.history
        self._call("set_model", model)

    def wants_batches(self, phase: str = "train") -> bool:
        """Whether any callback must see the single batches of ``"train"``, ``"test"`` or ``"predict"``."""
        return any(
            c.wants_batches(phase) if hasattr(c, "wants_batches") else overrides_batches(c, phase)
            for c in self.callbacks
        )

    def _call(self, moment: str, *arguments) -> None:
        for callback in self.callbacks:
            method = getattr(callback, moment, None)
            if method is not None:
                method(*arguments)


def _forward(moment: str):
    if moment in ONCE:

        def call(self, logs=None):
            self._call(moment, plain(logs))
    else:

        def call(self, count, logs=None):
            self._call(moment, count, plain(logs))

    call.__name__ = moment
    call.__qualname__ = f"CallbackList.{moment}"
    return call


for _moment in MOMENTS:
    setattr(CallbackList, _moment, _forward(_moment))


def plain(logs: dict | None) -> dict:
    """A copy of `logs` with numbers as Python floats: callbacks share it at one moment and may add to it."""
    return {
        k: float(v) if isinstance(v, (np.generic, np.ndarray)) and np.ndim(v) == 0 else v
        for k, v in (logs or {}).items()
    }


def _flat(callbacks):
    if callbacks is None:
        return
    if not isinstance(callbacks, (list, tuple)):
        callbacks = callbacks.callbacks if isinstance(callbacks, CallbackList) else [callbacks]
    for callback in callbacks:
        if isinstance(callback, (list, tuple, CallbackList)):
            yield from _flat(callback)
        elif isinstance(callback, type):
            raise ValueError(f"callbacks: {callback.__name__} is a class; give an instance, {callback.__name__}().")
        elif isinstance(callback, Callback) or any(hasattr(callback, moment) for moment in MOMENTS):
            yield callback
        else:
            raise ValueError(f"callbacks: {callback!r} is no callback, it has none of the moments on_epoch_end etc.")
