"""The table that `Model.summary` prints."""

from __future__ import annotations

import numpy as np


def summary(model, width: int = 80, positions=None, expand_nested: bool = False, show_trainable: bool = False,
            layer_range=None) -> str:
    """Layers, output shapes and numbers of parameters, as text; see `Model.summary`."""
    columns = _columns(width, positions, show_trainable)

    def row(*cells):
        texts = [f"{str(c)[: w - 1]:<{w}}" for c, w in zip(cells, columns)]
        texts[2] = f"{cells[2]:>{columns[2]}}"
        return "".join(texts[: len(cells)]).rstrip()

    rule = "-" * width
    heads = ("Layer (type)", "Output shape", "Parameters") + (("  Trained",) if show_trainable else ())
    lines = [f'Model: "{model.name}"', rule, row(*heads), rule]
    for depth, layer in _listed(model, expand_nested, layer_range):
        try:
            shape = layer.output.shape if not isinstance(layer.output, list) else [t.shape for t in layer.output]
        except AttributeError:
            shape = "?"
        count = f"{layer.count_params():,}" if layer.built else "not built"
        trained = (("  yes" if layer.trainable else "  no") if layer.variables else "  -",) if show_trainable else ()
        lines.append(row("  " * depth + f"{layer.name} ({type(layer).__name__})", shape, count, *trained))
    trainable = sum(v.size for v in model.trainable_variables)
    total = sum(v.size for v in model.variables)
    nbytes = sum(v.size * np.dtype(v.dtype).itemsize for v in model.variables)
    lines += [rule, f"Parameters: {total:,} ({nbytes / 1024:,.1f} KiB), trainable {trainable:,}, "
                    f"not trainable {total - trainable:,}"]
    return "\n".join(lines)


def _columns(width: int, positions, show_trainable: bool) -> list[int]:
    if positions is None:
        positions = (0.45, 0.7, 0.87, 1.0) if show_trainable else (0.5, 0.8, 1.0)
    ends = [int(p if p > 1 else p * width) for p in positions]
    ends = (ends + [width] * 4)[: 4 if show_trainable else 3]
    return [b - a for a, b in zip([0, *ends], ends)]


def _listed(model, nested: bool, layer_range, depth: int = 0):
    """(depth, layer) pairs."""
    from .model import Model

    layers = model.layers
    if layer_range is not None:
        names = [layer.name for layer in layers]
        for name in layer_range:
            model.get_layer(name)  # refuses what is not there
        layers = layers[names.index(layer_range[0]) : names.index(layer_range[1]) + 1]
    for layer in layers:
        yield depth, layer
        if nested and isinstance(layer, Model):
            yield from _listed(layer, nested, None, depth + 1)
