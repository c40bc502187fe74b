"""Pictures of a sweep, with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..extras import need


def heatmap(sweep, name: str, x: str | None, y: str | None, at: str, mode: str, ax, options: dict[str, Any]):
    """`Sweep.heatmap`."""
    if not sweep.axes:
        raise ValueError("A heat map needs a grid, but the settings came as a list: plot what to_frame gives.")
    pyplot = need("matplotlib.pyplot", extra="plot")
    axes = list(sweep.axes)
    for given in (x, y):
        if given is not None:
            sweep._known(given, axes, "an axis")
    if x is None:
        free = [a for a in axes if a != y]
        x = free[1] if y is None and len(free) > 1 else free[0] if free else None
    if y is None:
        y = next((a for a in axes if a != x), None)
    if x == y:
        raise ValueError(f"A heat map needs two axes, but x and y are both {x!r}.")
    values = sweep.final(name, at, mode)
    keep = [axes.index(a) for a in (y, x) if a is not None]
    others = tuple(i for i in range(len(axes)) if i not in keep)
    image = values.mean(axis=others) if others else values
    image = image.T if len(keep) == 2 and keep[0] > keep[1] else np.atleast_2d(image)
    if ax is None:
        _, ax = pyplot.subplots(figsize=(1.8 + 0.7 * image.shape[1], 1.6 + 0.5 * image.shape[0]), layout="constrained")
    picture = ax.imshow(image, **{"aspect": "auto", "origin": "lower", "cmap": "viridis", **options})
    ax.figure.colorbar(picture, ax=ax, label=name)
    for axis, which in ((ax.xaxis, x), (ax.yaxis, y)):
        if which is None:
            axis.set_visible(False)
            continue
        labels = [f"{v:.3g}" if isinstance(v, float) else str(v) for v in sweep.axes[which]]
        axis.set_ticks(range(len(labels)), labels)
        axis.set_label_text(which)
    low, high = picture.get_clim()
    for (i, j), v in np.ndenumerate(image):
        dark = np.isfinite(v) and (v - low) < 0.55 * (high - low)
        ax.text(j, i, f"{v:.3g}", ha="center", va="center", fontsize=8, color="white" if dark else "black")
    if others:
        ax.set_title(f"mean over {', '.join(axes[i] for i in others)}", fontsize=9)
    return ax


def curves(sweep, name: str, by: str | None, ax):
    """`Sweep.plot`."""
    pyplot = need("matplotlib.pyplot", extra="plot")
    by = sweep._known(by, sweep.settings[0], "a setting") if by is not None else next(iter(sweep.settings[0]))
    if ax is None:
        _, ax = pyplot.subplots(figsize=(7, 4), layout="constrained")
    kinds = list(dict.fromkeys(map(repr, (s[by] for s in sweep.settings))))
    colours = pyplot.get_cmap("viridis")(np.linspace(0, 0.9, len(kinds)))
    flat, labelled = sweep.history[name].reshape(len(sweep), -1), set()
    for k, s in enumerate(sweep.settings):
        kind = kinds.index(repr(s[by]))
        value = f"{s[by]:.3g}" if isinstance(s[by], float) else str(s[by])
        ax.plot(np.arange(1, flat.shape[1] + 1), flat[k], color=colours[kind], linewidth=1,
                label=None if kind in labelled else value)
        labelled.add(kind)
    ax.set_xlabel("epoch")
    ax.set_ylabel(name)
    ax.legend(title=by, fontsize=8)
    return ax
