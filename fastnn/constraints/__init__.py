"""What weights are brought back to after each update, with Keras's names: ``MaxNorm(3)``, ``"non_neg"``, a function.

Examples
--------
>>> get("max_norm")
MaxNorm(max_value=2, axis=0)
"""

from __future__ import annotations

from typing import Any

from ..registry import Registry
from .constraints import Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm

REGISTRY = Registry("constraint", Constraint, (MaxNorm, MinMaxNorm, NonNeg, UnitNorm))

max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm


def get(identifier: Any):
    """The constraint that `identifier` means: a name, class, instance, config, or a function of the weight."""
    return REGISTRY.get(identifier)


def serialize(constraint: Any) -> dict[str, Any] | None:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads."""
    return REGISTRY.serialize(constraint)


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None):
    """The constraint that `serialize`, or Keras, wrote."""
    return REGISTRY.deserialize(config, custom_objects)


__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm",
           "min_max_norm", "non_neg", "serialize", "unit_norm"]
