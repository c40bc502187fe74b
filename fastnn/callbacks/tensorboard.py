"""Logs for TensorBoard, written by tensorboardX."""

from __future__ import annotations

import os

from ..extras import need
from .callback import Callback


class TensorBoard(Callback):
    """Write the logs as TensorBoard reads them: ``tensorboard --logdir logs``.

    As in Keras, what was trained on stands in the run ``train`` and what was validated in ``validation``, under
    ``epoch_loss`` and so on, and with `update_freq` under ``batch_loss`` and so on.

    Parameters
    ----------
    log_dir : path of a folder.
    histogram_freq : int; 0, or each so many epochs a histogram of each weight.
    write_graph, write_images, write_steps_per_second, profile_batch, embeddings_freq, embeddings_metadata : taken for
        compatibility. Of these only `write_steps_per_second` does something; `Program.explain` and
        `model.summary` show what graph and profile would.
    update_freq : "epoch", "batch" (each batch), or int: after each so many batches, which then run one by one.

    Raises
    ------
    ImportError : tensorboardX is not installed (``pip install fastnn[tensorboard]``).

    Examples
    --------
    >>> board = TensorBoard("logs")                                      # doctest: +SKIP
    >>> model.fit(x, y, callbacks=[board])                               # doctest: +SKIP
    """

    def __init__(self, log_dir="logs", histogram_freq=0, write_graph=True, write_images=False,
                 write_steps_per_second=False, update_freq="epoch", profile_batch=0, embeddings_freq=0,
                 embeddings_metadata=None):
        super().__init__()
        if isinstance(histogram_freq, bool) or not isinstance(histogram_freq, int) or histogram_freq < 0:
            raise ValueError(f"TensorBoard: histogram_freq must be an integer of at least 0, but is "
                             f"{histogram_freq!r}.")
        number = isinstance(update_freq, int) and not isinstance(update_freq, bool) and update_freq > 0
        if update_freq not in ("epoch", "batch") and not number:
            raise ValueError(f"TensorBoard: update_freq must be 'epoch', 'batch' or a number of batches, but is "
                             f"{update_freq!r}.")
        self._library = need("tensorboardX", extra="tensorboard")
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_steps_per_second = bool(write_steps_per_second)
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, object] = {}

    def wants_batches(self, phase: str = "train") -> bool:
        return phase == "train" and self.update_freq != "epoch"

    def _writer(self, run: str):
        if run not in self._writers:
            self._writers[run] = self._library.SummaryWriter(os.path.join(self.log_dir, run))
        return self._writers[run]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        import time

        self._began, self._first = time.monotonic(), self.model.optimizer.iterations

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = self.model.optimizer.iterations
        if self.update_freq != "epoch" and step % self.update_freq == 0:
            for name, value in (logs or {}).items():
                self._writer("train").add_scalar(f"batch_{name}", value, step)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        import time

        train = self._writer("train")
        for name, value in (logs or {}).items():
            where = self._writer("validation") if name.startswith("val_") else train
            where.add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if "learning_rate" not in (logs or {}):
            train.add_scalar("epoch_learning_rate", float(self.model.optimizer.learning_rate), epoch)
        if self.write_steps_per_second:
            steps = self.model.optimizer.iterations - self._first
            train.add_scalar("epoch_steps_per_second", steps / max(time.monotonic() - self._began, 1e-9), epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for v in self.model.variables:
                train.add_histogram(f"{v.path}/histogram", v.numpy(), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}
