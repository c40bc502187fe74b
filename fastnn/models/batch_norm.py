"""The statistics of batch normalisation, computed anew for weights that were not trained themselves."""

from __future__ import annotations

import numpy as np

from ..layers import BatchNormalization
from .array_data import ArrayData
from .order import check_batch_size
from .step import InferenceProgram, shaped_like


def normalizing(model) -> list[BatchNormalization]:
    """The layers of a model whose moving statistics training would change."""
    return [layer for layer in model._flatten_layers() if isinstance(layer, BatchNormalization) and layer.trainable]


def update_batch_norm(model, x, batch_size: int | None = None) -> None:
    """Set the moving statistics of batch normalisation to the means over the batches of x.

    What PyTorch's ``torch.optim.swa_utils.update_bn`` does: the model is called with ``training=True`` on each batch,
    and all batches count alike. Everything else stays as it is.

    Parameters
    ----------
    model : built, or a `Sequential` that its first call builds.
    x : inputs, as for ``fit``; the rows are read in their order.
    batch_size : 32 by default.

    References
    ----------
    Izmailov et al. (2018), Averaging weights leads to wider optima and better generalization, arXiv:1803.05407,
    section 3.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.BatchNormalization()])
    >>> update_batch_norm(model, [[1.0], [3.0], [5.0], [7.0]], batch_size=2)
    >>> model.layers[-1].moving_mean.numpy(), model.layers[-1].moving_variance.numpy()
    (array([4.], dtype=float32), array([1.], dtype=float32))
    """
    data = model._arrange_inputs(x if isinstance(x, ArrayData) else ArrayData(x))
    model._symbolic_outputs(data)  # which builds it
    layers, size = normalizing(model), check_batch_size(batch_size)
    if not layers:
        return
    moving = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
    sums, programs = [np.zeros(v.shape) for v in moving], {}
    starts = range(0, data.n, size)
    momenta = [layer.momentum for layer in layers]
    others = [(v, v.numpy()) for v in model.non_trainable_variables if not any(v is m for m in moving)]
    try:
        for layer in layers:
            layer.momentum = 0.0  # from zeros, so that after each batch the statistics are its own to the bit
        for number, start in enumerate(starts):
            rows = [np.ascontiguousarray(a[start : start + size], np.float32) for a in data.x]
            shapes = tuple(a.shape for a in rows)
            if shapes not in programs:
                programs[shapes] = _program(model, shapes, data.x_names)
            program = programs[shapes]
            program.step = number
            for v in moving:
                v.array[...] = 0
            outs = {name: np.empty((1, *t.shape), t.dtype) for name, t in program.fetches.items()}
            program.run(1, {f"x{i}": a[None] for i, a in enumerate(rows)}, outs, 0)
            for total, v in zip(sums, moving):
                total += v.array
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
        for v, value in others:
            v.assign(value)
    for total, v in zip(sums, moving):
        v.assign(total / len(starts))


def _program(model, shapes: tuple, names: list[str] | None):
    return InferenceProgram(lambda tensors: model(shaped_like(names, tensors), training=True), shapes,
                            [np.float32] * len(shapes), f"{model.name} statistics", training=True).program
