"""Training that goes on where it was killed, with the bits that it would have had."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

from .callback import Callback, file_name

FORMAT = 1  #: version of what stands in the metadata
NAME = "backup.safetensors"


class BackupAndRestore(Callback):
    """Save where a fit is, and let the same fit of a new process go on there.

    Run the script again after a crash: ``fit`` finds the backup and goes on after the last batch that it holds, with
    the bits of a run that was never disturbed: weights, moving averages, the optimizer, the order of the rows, the
    masks of dropout, the averages of the logs and what `EarlyStopping`, `ReduceLROnPlateau`, `ModelCheckpoint`,
    `History` and others remember (see `Callback.get_state`).

    A backup is one file that is replaced as a whole, so a kill while it is written leaves the one before.

    Parameters
    ----------
    backup_dir : path of a folder, made if it is missing; one for each fit.
    save_freq : "epoch", or int: save after so many batches too. They still run many at a time between two saves.
    double_checkpoint : taken for compatibility: Keras keeps the backup before the last one too, against a kill while
        it writes, which here leaves the old file anyway.
    delete_checkpoint : bool. Delete the backup when training has ended, early or not, but not by an error.

    Notes
    -----
    Data from a generator is read from its beginning and skipped up to the place where the fit was.

    Examples
    --------
    >>> import numpy as np, tempfile, fastnn
    >>> def run(folder, stop):
    ...     fastnn.utils.set_random_seed(1)
    ...     model = fastnn.Sequential([fastnn.Input((2,)), fastnn.layers.Dense(1)])
    ...     model.compile("adam", "mse")
    ...     keep = BackupAndRestore(folder)
    ...     x = np.linspace(0, 1, 80).reshape(40, 2)
    ...     fail = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: 1 / (epoch - stop))
    ...     try:
    ...         model.fit(x, x[:, 0], epochs=4, callbacks=[keep, fail], verbose=0)
    ...     except ZeroDivisionError:
    ...         return None
    ...     return model.get_weights()[0].ravel().tolist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run(folder, stop=2), run(folder, stop=9) == run(folder + "/new", stop=9)
    (None, True)
    """

    def __init__(self, backup_dir, save_freq="epoch", double_checkpoint=False, delete_checkpoint=True):
        super().__init__()
        if save_freq != "epoch" and (isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1):
            raise ValueError(
                f"BackupAndRestore: save_freq must be 'epoch' or a number of batches, but is {save_freq!r}."
            )
        self.backup_dir = file_name("BackupAndRestore", "backup_dir", backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint, self.delete_checkpoint = bool(double_checkpoint), bool(delete_checkpoint)
        self._unsaved = 0

    @property
    def path(self) -> str:
        """The file of the backup."""
        return os.path.join(self.backup_dir, NAME)

    # ------------------------------------------------------------------ what the trainer asks for

    def on_train_begin(self, logs: dict | None = None) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        place = self.model._place
        if place.keeper is not None:
            raise ValueError("BackupAndRestore: a fit can have only one of them.")
        place.keeper, self._unsaved = self, 0
        if os.path.exists(self.path):
            self._find(place)

    def room(self) -> int | None:
        """Batches that may run until the next backup; None for any number."""
        return None if self.save_freq == "epoch" else self.save_freq - self._unsaved

    def batches_done(self, place, count: int) -> None:
        """So many batches of the epoch are done, and all callbacks have seen it."""
        self._unsaved += count
        if self.save_freq != "epoch" and self._unsaved >= self.save_freq:
            self._save(place, place.epoch, place.meter.batches)

    def epoch_done(self, place) -> None:
        """An epoch is done, and all callbacks have seen it."""
        self._save(place, place.epoch + 1, 0)

    def on_train_end(self, logs: dict | None = None) -> None:
        if self.delete_checkpoint and not self.model._place.failed:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)

    # ------------------------------------------------------------------ writing

    def _save(self, place, epoch: int, batch: int) -> None:
        from .. import seeds
        from ..models.saving import _weights

        tensors, model = dict(_weights(self.model)), self.model
        own = model._optimizers() if model._own("train") else {}
        for key, optimizer in (own or {"optimizer": model.optimizer}).items():
            for i, (name, value) in enumerate(optimizer.get_state().items()):
                tensors[f"{key}/{i}/{name}"] = np.asarray(value)
        order = {id(v): i for i, v in enumerate(model.variables)}
        remembered = []
        for i, callback in enumerate(place.run):
            state = callback.get_state() if isinstance(callback, Callback) else {}
            remembered.append([type(callback).__name__, _put(state, f"callback/{i}", tensors)])
        metadata = {
            "fastnn_backup": FORMAT,
            "epoch": epoch,
            "batch": batch,
            "seed": seeds.to_config(place.seed),
            "layers": [seeds.to_config(layer.seed) for layer in _drawing(model)],
            "stop_training": bool(model.stop_training),
            "own": {key: [order[id(v)] for v in optimizer.variables] for key, optimizer in own.items()},
            "own_steps": model._own_steps,
            "noise": seeds.to_config(model._noise_seed) if own else None,
            "meter": _put(place.meter.get_state(), "meter", tensors) if batch else None,
            "callbacks": remembered,
        }
        from .. import files

        files.write(self.path, tensors, metadata)
        self._unsaved = 0

    # ------------------------------------------------------------------ reading

    def _find(self, place) -> None:
        """Tell the trainer where to go on; `_take_up` comes when all callbacks have begun."""
        from .. import files, seeds

        tensors, metadata = files.read(self.path)
        if metadata.get("fastnn_backup") != FORMAT:
            raise files.FileError(f"{self.path} is no backup of a fit (format {metadata.get('fastnn_backup')!r}; "
                                  f"{FORMAT} is wanted).")
        place.seed = seeds.from_config(metadata["seed"])
        place.epoch, place.batch = metadata["epoch"], metadata["batch"]
        place.meter_state = _get(metadata["meter"], tensors) if place.batch else None
        place.resume = lambda: self._take_up(place, tensors, metadata)

    def _take_up(self, place, tensors: dict[str, np.ndarray], metadata: dict[str, Any]) -> None:
        from .. import files, seeds
        from ..models.saving import _set_optimizer_state, _set_weights

        model = self.model
        callbacks = list(place.run)
        names, known = [type(c).__name__ for c in callbacks], [name for name, _ in metadata["callbacks"]]
        if names != known:
            raise ValueError(f"BackupAndRestore: the fit in {self.path} had the callbacks {', '.join(known)}, and this "
                             f"one has {', '.join(names)}: give the same, or delete the file to begin anew.")
        _set_weights(model, tensors, self.path)
        own = model._optimizers() if model._own("train") else {}
        if sorted(own) != sorted(metadata.get("own", {})):
            raise ValueError(f"BackupAndRestore: the fit in {self.path} had {len(metadata.get('own', {}))} optimizers "
                             f"in steps of the model's own, and this one has {len(own)}: give the same, or delete the "
                             "file.")
        if own:
            variables = model.variables
            for key, optimizer in own.items():
                if metadata["own"][key]:
                    optimizer.build([variables[i] for i in metadata["own"][key]])
                found = sorted((k for k in tensors if k.startswith(f"{key}/")), key=lambda k: int(k.split("/")[1]))
                optimizer.set_state({k.split("/", 2)[2]: tensors[k] for k in found})
            model._own_steps, model._noise = metadata["own_steps"], seeds.from_config(metadata["noise"])
        else:
            model._training_variables()
            _set_optimizer_state(model, tensors, self.path)
        drawing = _drawing(model)
        if len(drawing) != len(metadata["layers"]):
            raise files.FileError(f"{self.path} holds the seeds of {len(metadata['layers'])} layers; model "
                                  f"{model.name} has {len(drawing)} that draw numbers.")
        for layer, config in zip(drawing, metadata["layers"]):
            layer.seed = seeds.from_config(config)
            layer.keys = seeds.key_pair(layer.seed)
        model._step_programs.clear()  # which hold the keys that the layers had
        for callback, (_, state) in zip(callbacks, metadata["callbacks"]):
            if isinstance(callback, Callback):
                callback.set_state(_get(state, tensors))
        model.stop_training = metadata["stop_training"]


def _drawing(model) -> list:
    """The layers that draw random numbers while training, in order."""
    return [x for x in model._flatten_layers() if isinstance(getattr(x, "seed", None), np.random.SeedSequence)
            and hasattr(x, "keys")]


def _put(value: Any, name: str, tensors: dict[str, np.ndarray]) -> Any:
    """`value` as JSON can hold it; its arrays go into `tensors`."""
    if isinstance(value, np.ndarray):
        tensors[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {"dict": [[k, _put(v, f"{name}/{k}", tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_put(v, f"{name}/{i}", tensors) for i, v in enumerate(value)]
    return value


def _get(value: Any, tensors: dict[str, np.ndarray]) -> Any:
    """What `_put` was given."""
    if isinstance(value, list):
        return [_get(v, tensors) for v in value]
    if isinstance(value, dict):
        return tensors[value["array"]] if "array" in value else {k: _get(v, tensors) for k, v in value["dict"]}
    return value
