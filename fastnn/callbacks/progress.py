"""How far it is: a bar while an epoch runs, one line when it is done."""

from __future__ import annotations

import sys
import time

from .callback import Callback

INTERVAL = 0.05  # seconds between two drawings of the bar


def check_verbose(verbose) -> int:
    """`verbose` as 0 (nothing), 1 (a bar) or 2 (lines); "auto" is a bar where somebody sees it move.

    Examples
    --------
    >>> check_verbose(2), check_verbose(False)
    (2, 0)
    """
    if isinstance(verbose, str) and verbose == "auto":
        notebook = "ipykernel" in sys.modules
        return 1 if notebook or getattr(sys.stdout, "isatty", lambda: False)() else 2
    if verbose in (0, 1, 2):
        return int(verbose)
    raise ValueError(f"verbose must be 0, 1, 2 or 'auto', but is {verbose!r}.")


class ProgressBar(Callback):
    """The progress of fit, evaluate and predict, on the standard output.

    While an epoch runs, with ``verbose=1``, a bar of `tqdm` moves, drawn at `on_progress`; when the
    epoch is done a line with all its values stays::

        Epoch 1/20 - 1719/1719 - 0.4s 0.2ms/step - loss: 0.5012 - accuracy: 0.8231 - val_loss: 0.4021

    Parameters
    ----------
    verbose : 0, 1 (bar and lines), 2 (lines), "auto", or None for what `fit` was given.
    stream : a file to write to, or None for the standard output.

    Examples
    --------
    >>> bar = ProgressBar(verbose=2)
    >>> bar.set_params({"verbose": 1, "epochs": 2, "steps": 10})
    >>> bar.line("Epoch 1/2", 10, 0.025, {"loss": 0.51234, "learning_rate": 1e-4})
    'Epoch 1/2 - 10/10 - 0.0s 2.5ms/step - loss: 0.5123 - learning_rate: 1.0000e-04'
    """

    def __init__(self, verbose: int | str | None = None, stream=None):
        super().__init__()
        self._given = verbose
        self.verbose = check_verbose("auto" if verbose is None else verbose)
        self.stream = stream
        self._bar = None
        self._phase = None  # "epoch", "test", "predict", or None: nothing to show
        self._fitting = False

    def set_params(self, params: dict) -> None:
        super().set_params(params)
        if self._given is None:
            self.verbose = check_verbose(params.get("verbose", "auto"))

    def _steps(self, name: str = "steps") -> int | None:
        return (self.params or {}).get(name)

    # ------------------------------------------------------------------ moments

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._fitting = True

    def on_train_end(self, logs: dict | None = None) -> None:
        self._fitting = False
        self._close()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        epochs = self._steps("epochs")
        self._start("epoch", f"Epoch {epoch + 1}/{epochs}" if epochs else f"Epoch {epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._finish("epoch", logs)

    def on_test_begin(self, logs: dict | None = None) -> None:
        if self._fitting:
            self._phase = None  # the validation of a fit is silent
        else:
            self._start("test", "")

    def on_test_end(self, logs: dict | None = None) -> None:
        if self._fitting:
            self._phase = "epoch"
        else:
            self._finish("test", logs)

    def on_predict_begin(self, logs: dict | None = None) -> None:
        self._start("predict", "")

    def on_predict_end(self, logs: dict | None = None) -> None:
        self._finish("predict", None)

    def on_progress(self, step: int, logs: dict | None = None) -> None:
        if self._phase is None:
            return
        self.seen = step
        now = time.monotonic()
        if self._bar is None or (now - self._drawn < INTERVAL and step != self._bar.total):
            return
        self._drawn = now
        self._bar.n = step
        self._bar.set_postfix_str(values(logs), refresh=False)
        self._bar.refresh()

    # ------------------------------------------------------------------ drawing

    def _start(self, phase: str, title: str) -> None:
        self._close()
        self._phase, self._title, self.seen = phase, title, 0
        self._began = time.monotonic()
        self._drawn = 0.0
        if self.verbose == 1:
            self._bar = make_bar(self._title, self._steps(), self._stream())

    def _stream(self):
        return self.stream if self.stream is not None else sys.stdout

    def _finish(self, phase: str, logs: dict | None) -> None:
        if self._phase != phase:
            return
        self._close()
        if self.verbose:
            text = self.line(self._title, self._steps() or self.seen, time.monotonic() - self._began, logs)
            print(text, file=self._stream(), flush=True)

    def _close(self) -> None:
        self._phase = None
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def line(self, title: str, steps: int, seconds: float, logs: dict | None) -> str:
        """What stays when `steps` steps took `seconds`."""
        parts = [title] if title else []
        if steps:
            parts.append(f"{steps}/{steps}")
        parts.append(f"{seconds:.1f}s" + (f" {per_step(seconds / steps)}" if steps else ""))
        text = values(logs)
        return " - ".join([*parts, text] if text else parts)


def values(logs: dict | None) -> str:
    """``loss: 0.5000 - accuracy: 0.9000``.

    Examples
    --------
    >>> values({"loss": 0.5, "learning_rate": 1e-5})
    'loss: 0.5000 - learning_rate: 1.0000e-05'
    """
    parts = []
    for name, value in (logs or {}).items():
        if not isinstance(value, (int, float)):
            parts.append(f"{name}: {value}")
        elif value and abs(value) <= 1e-3:
            parts.append(f"{name}: {value:.4e}")
        else:
            parts.append(f"{name}: {value:.4f}")
    return " - ".join(parts)


def per_step(seconds: float) -> str:
    """
    >>> per_step(2.0), per_step(0.0042), per_step(0.00013)
    ('2.0s/step', '4.2ms/step', '130us/step')
    """
    if seconds >= 1:
        return f"{seconds:.1f}s/step"
    return f"{seconds * 1e3:.1f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def make_bar(title: str, total: int | None, stream):
    """A `tqdm` bar, or None where tqdm is missing: then there are lines alone."""
    try:
        from tqdm import tqdm  # takes 30 ms, so only when a bar is wanted
    except ImportError:
        return None

    class Bar(tqdm):
        monitor_interval = 0  # no thread beside ours: `on_progress` comes often enough

    left = "{desc} " if title else ""
    shape = "{bar:25} {n_fmt}/{total_fmt} {elapsed}{postfix}" if total else "{n_fmt} steps {elapsed}{postfix}"
    return Bar(desc=title or None, total=total, file=stream, leave=False, dynamic_ncols=True, bar_format=left + shape)
