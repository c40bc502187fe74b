"""Masks: which steps of a sequence count. A mask travels with its tensor from layer to layer, as in Keras.

A mask is a tensor of ones and zeros with the leading axes of the tensor that it belongs to, ``(batch, steps)`` for
``(batch, steps, features)``; it hangs on the tensor as ``x.mask``. A layer whose `call` has an argument ``mask``, or
``query_mask`` beside ``query``, is given it; what the outputs' masks are says the layer's ``compute_mask``.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from ..program.graph import Tensor
from ..warnings import FastnnWarning
from .symbolic import flatten, map_tree


def mask_of(tree):
    """The mask of a tensor, or the masks of a nest of them; None where there is none."""
    return map_tree(lambda x: getattr(x, "mask", None), tree)


def mask_names(call) -> tuple[str, ...]:
    """The arguments of a layer's `call` that are masks: `mask`, and `a_mask` where there is an argument `a`."""
    names = inspect.signature(call).parameters
    return tuple(n for n in names if n == "mask" or n.endswith("_mask") and n[:-5] in names)


def fill_masks(layer, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
    """`kwargs` with the masks that the caller left out: those that hang on the tensors they belong to.

    `mask` is that of the first argument. (Keras fills it only if there is one tensor argument: initial states beside a
    sequence would make it forget the sequence's mask.)
    """
    if not any(x.mask is not None for x in flatten((args, kwargs)) if isinstance(x, Tensor)):
        return kwargs
    signature = inspect.signature(layer.call)
    given = signature.bind_partial(*args, **{k: v for k, v in kwargs.items() if k in signature.parameters}).arguments
    first = next(iter(signature.parameters))
    found = dict(kwargs)
    for name in layer._mask_names:
        masks = mask_of(given.get(first if name == "mask" else name[:-5]))
        if given.get(name) is None and any(m is not None for m in flatten(masks)):
            found[name] = masks
    return found


def pass_on(layer, args: tuple, kwargs: dict[str, Any], outputs) -> None:
    """Hang masks on the outputs that have none yet, as the layer's `compute_mask` says."""
    if not args and not kwargs:
        return
    first = args[0] if args else next(iter(kwargs.values()))
    previous = kwargs.get("mask")
    previous = mask_of(first) if previous is None else previous
    if not layer.supports_masking:
        return
    flat = [y for y in flatten(outputs) if isinstance(y, Tensor)]
    if all(y.mask is not None for y in flat):
        return
    masks = layer.compute_mask(first, previous)
    if masks is None:
        return
    for y, mask in zip(flat, flatten(masks)):
        if y.mask is None and mask is not None:
            y.mask = y.graph.tensor(mask)


def with_mask(x: Tensor, mask: Tensor | None) -> Tensor:
    """The same tensor with this mask; x itself keeps its own."""
    if mask is None or x.mask is mask:
        return x
    seen = Tensor(x.graph, x.shape, x.dtype, name=x.name, call=x.call, base=x.base)
    seen.mask = mask
    return seen


def warn_of_lost_masks(layer, args: tuple) -> None:
    """A mask ends where a layer does not know of masks; a model shall not lose one unseen."""
    first = flatten(args[0]) if args else ()
    if any(getattr(x, "mask_shape", None) is not None for x in first):
        warnings.warn(f"{type(layer).__name__} {layer.name} got an input with a mask and does not support masks: the "
                      "layers behind it will not see it.", FastnnWarning, stacklevel=4)
