"""The buffer plan as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...present.numbers import size
from .names import Names

if TYPE_CHECKING:
    from ..program import Program


def draw_buffers(program: Program, ax=None):
    """The buffer plan as a picture: levels across, bytes of the workspace up, one rectangle per buffer.

    Parameters
    ----------
    ax : matplotlib Axes to draw on; a new figure's by default.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError : matplotlib is not installed.
    """
    from ...extras import need

    pyplot = need("matplotlib.pyplot", extra="plot")
    if ax is None:
        _, ax = pyplot.subplots(figsize=(10, 5), layout="constrained")
    names, label = Names(program), {}
    for call in program.calls:
        for t in call.outputs:
            label.setdefault(id(t.memory), names.of(t) if t.nbytes == t.memory.nbytes else t.memory.name)
    plan = program.plan
    unit, unit_name = (2**20, "MiB") if plan.nbytes >= 2**20 else (2**10, "KiB")
    levels = max(program.levels, default=0) + 1
    colours = pyplot.get_cmap("tab20").colors
    for i, (memory, (first, last)) in enumerate(plan.spans.items()):
        low, high = memory.offset / unit, memory.nbytes / unit
        ax.add_patch(pyplot.Rectangle((first - 0.5, low), last - first + 1, high, facecolor=colours[i % 20],
                                      edgecolor="black", linewidth=0.5, alpha=0.8))
        if memory.nbytes >= 0.03 * plan.nbytes:
            ax.text((first + last) / 2, low + high / 2, label.get(id(memory), memory.name), ha="center", va="center",
                    fontsize=7, clip_on=True)
    ax.set_xlim(-0.5, levels - 0.5)
    ax.set_ylim(0, max(plan.nbytes / unit, 1e-9))
    ax.set_xlabel("level")
    ax.set_ylabel(f"workspace, {unit_name}")
    ax.set_title(f"{program.name}: {size(plan.nbytes)}, without sharing {size(plan.sum_nbytes)}")
    return ax
