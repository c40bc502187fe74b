"""What a sweep gives back: curves as arrays, models, and ways to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import spelling
from ..callbacks.monitor import MonitorCallback
from ..present.html import html_table, titled
from ..present.numbers import digits, duration, plural

SHOWN = 10  #: replicas in a printed table


class Best(NamedTuple):
    """A replica that was asked for."""

    index: int  #: its number
    settings: dict[str, Any]
    value: float
    epoch: int  #: from 1
    model: Any


class Sweep:
    """What `fastnn.sweep` gives.

    Attributes
    ----------
    axes : name -> values, the axes of the results; empty where the settings came as a list.
    settings : a dict for each replica.
    shape : one size for each axis; where the settings came as a list, their number.
    history : name -> array of the shape and one more axis for the epochs; NaN for an epoch that a replica did not train
        or was not validated after.
    epochs : array of the shape, how many epochs each replica trained.
    models : the trained models, in the order of `settings`; each has its own `history` too.
    times : seconds of the whole and of what came before the first step ("set up"); how many programs were planned, for
        how many groups of one structure.
    """

    def __init__(self, axes: dict[str, list], settings: list[dict[str, Any]], shape: tuple[int, ...],
                 history: dict[str, np.ndarray], epochs: np.ndarray, models: list, times: dict[str, float]):
        self.axes, self.settings, self.shape, self.history = axes, settings, shape, history
        self.epochs, self.models, self.times = epochs, models, times

    def __len__(self) -> int:
        return len(self.models)

    def index(self, **settings: Any) -> int:
        """The number of the only replica with these settings.

        Raises
        ------
        ValueError : none has them, or several have.
        """
        for name in settings:
            self._known(name, self.settings[0], "a setting")
        found = [k for k, s in enumerate(self.settings) if all(_same(s[n], v) for n, v in settings.items())]
        if len(found) != 1:
            text = ", ".join(f"{n}={v!r}" for n, v in settings.items())
            raise ValueError(f"{len(found) or 'No'} replicas have {text or 'no settings in particular'}; "
                             f"one is wanted, of {len(self)}.")
        return found[0]

    def model(self, number: int | None = None, **settings: Any):
        """The model of a replica, by its number or its settings."""
        return self.models[self.index(**settings) if number is None else number]

    # ------------------------------------------------------------------ values

    def _known(self, name: str, known, what: str) -> str:
        if name not in known:
            close = spelling.nearest(str(name), known)
            hint = f"did you mean {close!r}?" if close else f"there are {', '.join(known) or 'none'}."
            raise ValueError(f"{name!r} is not {what} of this sweep; {hint}")
        return name

    def _name(self, name: str | None) -> str:
        if name is not None:
            return self._known(name, self.history, "a result")
        return next(n for n in ("val_loss", *self.history) if n in self.history)

    def _sign(self, name: str, mode: str) -> int:
        """1 if less is better, -1 if more is."""
        judge = MonitorCallback(name, mode)
        judge.set_model(self.models[0])
        judge.better(0.0, 0.0)
        return judge._sign

    def final(self, name: str | None = None, at: str = "last", mode: str = "auto") -> np.ndarray:
        """A value for each replica, an array of the sweep's shape: that after its last epoch, or its best.

        Parameters
        ----------
        name : of `history`; the validation's loss by default, else the loss.
        at : "last" or "best".
        mode : "min" if less is better, "max" if more is, "auto" to tell from the name.
        """
        name = self._name(name)
        spelling.one_of("at", at, ("last", "best"))
        curves = self.history[name]
        if curves.ndim != len(self.shape) + 1:
            raise ValueError(f"{name!r} gives several numbers at each epoch; look at history[{name!r}].")
        flat = curves.reshape(len(self), -1)
        if at == "best":
            sign = self._sign(name, mode)
            return (sign * np.where(np.isnan(flat), np.inf, sign * flat).min(1)).reshape(self.shape)
        return np.array([_last(c) for c in flat]).reshape(self.shape)

    def best(self, name: str | None = None, at: str = "last", mode: str = "auto") -> Best:
        """The replica with the best value after its last epoch, or (``at="best"``) after any; arguments as of `final`.

        With ``at="best"`` the epoch is told; the model has the weights of its last epoch all the same.
        """
        name = self._name(name)
        values = self.final(name, at, mode).reshape(-1)
        sign = self._sign(name, mode)
        k = int(np.argmin(np.where(np.isnan(values), np.inf, sign * values)))
        curve = self.history[name].reshape(len(self), -1)[k]
        where = np.flatnonzero(curve == values[k]) if at == "best" else np.flatnonzero(~np.isnan(curve))[-1:]
        epoch = int(where[0]) + 1 if where.size else int(self.epochs.reshape(-1)[k])
        return Best(k, self.settings[k], float(values[k]), epoch, self.models[k])

    def predict(self, x, replicas: Sequence[int] | None = None, **options: Any):
        """The mean of what the models predict: an ensemble.

        Means are over what the models give: where that is logits, add a softmax to the models for means of
        probabilities (Hansen & Salamon 1990, Neural network ensembles).

        Parameters
        ----------
        replicas : numbers of the models that count; all by default.
        options : as for ``predict`` of a model.
        """
        chosen = range(len(self)) if replicas is None else list(replicas)
        if not len(chosen):
            raise ValueError("predict needs at least one replica.")
        total: Any = None
        for k in chosen:
            y = self.models[k].predict(x, verbose=0, **options)
            if not isinstance(y, np.ndarray):
                raise ValueError("predict of a sweep takes models with one output; use predict of `models` themselves.")
            total = y.astype(np.float64) if total is None else total + y
        return (total / len(chosen)).astype(np.float32)

    # ------------------------------------------------------------------ tables

    def to_frame(self, epochs: bool = False):
        """A pandas frame: a row for each replica with its last values, or one for each replica and epoch.

        Raises
        ------
        ImportError : pandas is not installed.
        """
        from ..extras import need

        pandas = need("pandas", extra="pandas")
        plain = [n for n, v in self.history.items() if v.ndim == len(self.shape) + 1]
        if not epochs:
            rows = [{**s, "epochs": int(e)} for s, e in zip(self.settings, self.epochs.reshape(-1))]
            for name in plain:
                for row, value in zip(rows, self.final(name).reshape(-1)):
                    row[name] = value
            return pandas.DataFrame(rows)
        curves = {n: self.history[n].reshape(len(self), -1) for n in plain}
        rows = [{**s, "epoch": e + 1, **{n: c[k, e] for n, c in curves.items()}}
                for k, s in enumerate(self.settings) for e in range(int(self.epochs.reshape(-1)[k]))]
        return pandas.DataFrame(rows)

    def _table(self) -> tuple[str, list[str], list[list[str]]]:
        """(what the rows are sorted by, heads, rows), the best first."""
        name = self._name(None)
        plain = [n for n, v in self.history.items() if v.ndim == len(self.shape) + 1]
        values = {n: self.final(n).reshape(-1) for n in plain}
        try:
            key = self._sign(name, "auto") * values[name]
        except (ValueError, KeyError):
            key = np.arange(len(self))
        order = np.argsort(np.where(np.isnan(key), np.inf, key), kind="stable")
        heads = [*self.settings[0], *plain]
        rows = [[_shown(v) for v in self.settings[k].values()] + [_shown(values[n][k]) for n in plain] for k in order]
        return name, heads, rows

    def summary(self) -> str:
        """One line."""
        sizes = " x ".join(f"{len(v)} {n}" for n, v in self.axes.items())
        bad = int(np.sum(~np.isfinite(self.final("loss"))))
        groups = self.times["groups"]
        return (f"Sweep: {plural(len(self), 'replica')}{f' ({sizes})' if len(self.axes) > 1 else ''}, "
                f"{plural(int(self.epochs.max()), 'epoch')}, {duration(self.times['seconds'])}"
                f"{f', {groups} structures' if groups > 1 else ''}{f', {bad} diverged' if bad else ''}")

    def __repr__(self) -> str:
        name, heads, rows = self._table()
        shown = [heads, *rows[:SHOWN]]
        widths = [max(len(r[i]) for r in shown) for i in range(len(heads))]
        lines = ["  ".join(t.rjust(w) for t, w in zip(r, widths)) for r in shown]
        more = [f"... {len(rows) - SHOWN} more, by {name}"] if len(rows) > SHOWN else []
        return "\n".join([self.summary(), *lines, *more])

    def _repr_html_(self) -> str:
        _, heads, rows = self._table()
        return titled("sweep", self.summary(), html_table(heads, rows[:SHOWN]))

    # ------------------------------------------------------------------ pictures

    def heatmap(self, name: str | None = None, x: str | None = None, y: str | None = None, at: str = "last",
                mode: str = "auto", ax=None, **options: Any):
        """A picture of a value over two axes of the grid; over all others it is averaged. Needs matplotlib.

        Parameters
        ----------
        name, at, mode : as of `final`.
        x, y : names of axes; by default the first is `y` and the second `x`. With one axis alone there is one row.
        ax : matplotlib Axes to draw into.
        options : for ``Axes.imshow``, such as ``cmap`` and ``vmin``.

        Returns
        -------
        matplotlib Axes.
        """
        from .picture import heatmap

        return heatmap(self, self._name(name), x, y, at, mode, ax, options)

    def plot(self, name: str | None = None, by: str | None = None, ax=None):
        """The curves of all replicas, coloured by a setting (the first axis by default). Needs matplotlib."""
        from .picture import curves

        return curves(self, self._name(name), by, ax)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, int | float | np.number):
        return bool(np.isclose(a, float(b), rtol=1e-9, atol=0.0))
    return bool(np.all(a == b))


def _last(curve: np.ndarray) -> float:
    """The last value that is there; where the very last epoch is not a number, that is the answer."""
    there = np.flatnonzero(~np.isnan(curve))
    return float(curve[there[-1]]) if there.size else float("nan")


def _shown(value: Any) -> str:
    if isinstance(value, float | np.floating):
        return digits(float(value)) if np.isfinite(value) else str(float(value))
    return value if isinstance(value, str) else repr(value)
