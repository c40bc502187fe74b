"""The table that `Model.summary` prints."""

from __future__ import annotations

import numpy as np


def summary(model, width: int = 80) -> str:
    """Layers, output shapes and numbers of parameters, as text."""
    columns = (int(width * 0.5), int(width * 0.3), width - int(width * 0.5) - int(width * 0.3))

    def row(*cells):
        return "".join(f"{str(c)[: w - 1]:<{w}}" for c, w in zip(cells[:2], columns)) + f"{cells[2]:>{columns[2]}}"

    rule = "-" * width
    lines = [f'Model: "{model.name}"', rule, row("Layer (type)", "Output shape", "Parameters"), rule]
    for layer in model.layers:
        try:
            shape = layer.output.shape if not isinstance(layer.output, list) else [t.shape for t in layer.output]
        except AttributeError:
            shape = "?"
        count = f"{layer.count_params():,}" if layer.built else "not built"
        lines.append(row(f"{layer.name} ({type(layer).__name__})", shape, count))
    trainable = sum(v.size for v in model.trainable_variables)
    total = sum(v.size for v in model.variables)
    nbytes = sum(v.size * np.dtype(v.dtype).itemsize for v in model.variables)
    lines += [rule, f"Parameters: {total:,} ({nbytes / 1024:,.1f} KiB), trainable {trainable:,}, "
                    f"not trainable {total - trainable:,}"]
    return "\n".join(lines)
