"""The record of a fit."""

from __future__ import annotations

from .callback import Callback

SHOWN = 20  # epochs in a notebook's table before the middle is left out


class History(Callback):
    """What `fit` returns: the logs of all epochs.

    Attributes
    ----------
    history : dict name -> list of values, one per epoch.
    epoch : list of the epochs' numbers, from 0.
    params : dict with ``verbose``, ``epochs``, ``steps``.

    Examples
    --------
    >>> history = History()
    >>> history.on_train_begin()
    >>> history.on_epoch_end(0, {"loss": 0.5}); history.on_epoch_end(1, {"loss": 0.25})
    >>> history.history, history.epoch
    ({'loss': [0.5, 0.25]}, [0, 1])
    >>> history
    History(2 epochs, loss 0.25)
    """

    kept = ("history", "epoch")

    def __init__(self):
        super().__init__()
        self.history: dict[str, list] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)

    def __repr__(self) -> str:
        last = "".join(f", {name} {values[-1]:.4g}" for name, values in self.history.items() if _is_number(values[-1]))
        return f"History({len(self.epoch)} epochs{last})"

    def _repr_html_(self) -> str:
        """A table for notebooks: one row per epoch, the middle left out where there are many."""
        import html

        count = len(self.epoch)
        rows = list(range(count))
        if count > SHOWN:
            rows = [*rows[: SHOWN // 2], None, *rows[-(SHOWN // 2) :]]
        lines = [["epoch", *self.history]]
        for row in rows:
            if row is None:
                lines.append(["&#8230;"] * len(lines[0]))
                continue
            cells = [str(self.epoch[row] + 1)]
            for values in self.history.values():
                # a metric that came later, or not at each epoch, cannot be told its epoch: leave it blank
                value = values[row] if len(values) == count else None
                cells.append(f"{value:.4g}" if _is_number(value) else "" if value is None else html.escape(str(value)))
            lines.append(cells)
        head = "".join(f"<th>{html.escape(name)}</th>" for name in lines[0])
        body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines[1:])
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _is_number(value) -> bool:
    return isinstance(value, (int, float))
