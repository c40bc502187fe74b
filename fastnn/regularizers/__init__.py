"""Penalties that are added to the loss, with Keras's names: ``L2(1e-4)``, ``"l2"``, or a function of the weight.

Three libraries mean three things by one number. The penalty here is Keras's, ``l2 * sum(w**2)``: twice that of
PyTorch's ``weight_decay`` (which adds ``weight_decay * w`` to the gradient), and scikit-learn divides its
``alpha / 2 * sum(w**2)`` by the number of samples.

Examples
--------
>>> get("l2")
L2(l2=0.01)
"""

from __future__ import annotations

from typing import Any

from ..registry import Registry
from .regularizers import L1, L1L2, L2, OrthogonalRegularizer, Regularizer

# Keras documents 0.01 and 0.01 for the name alone; its code makes both 0, a penalty of nothing.
REGISTRY = Registry("regularizer", Regularizer, (L1, L2, L1L2, OrthogonalRegularizer),
                    {name: lambda: L1L2(0.01, 0.01) for name in ("L1L2", "l1_l2", "l1l2")})
REGISTRY.known |= {"l1_l2": L1L2, "l1l2": L1L2}

l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer


def get(identifier: Any):
    """The regularizer that `identifier` means: a name, class, instance, config, or a function of the weight."""
    return REGISTRY.get(identifier)


def serialize(regularizer: Any) -> dict[str, Any] | None:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads."""
    return REGISTRY.serialize(regularizer)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None):
    """The regularizer that `serialize`, or Keras, wrote."""
    return REGISTRY.deserialize(config, custom_objects)


__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2",
           "orthogonal_regularizer", "serialize"]
