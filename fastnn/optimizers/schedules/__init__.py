"""Learning rates that change with the step, with Keras's names."""

from __future__ import annotations

from fastnn import spelling

from .cosine import CosineDecay, CosineDecayRestarts
from .decay import ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay
from .schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "get",
    "serialize",
]

KNOWN: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (
        CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay,
    )
}  # fmt: skip


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict:
    """``{"class_name": ..., "config": ...}``, which JSON can hold and `deserialize` reads.

    Examples
    --------
    >>> deserialize(serialize(ExponentialDecay(0.1, 10, 0.5)))(10)
    0.05
    """
    if not isinstance(learning_rate_schedule, LearningRateSchedule):
        raise ValueError(f"Only a LearningRateSchedule can be written as a config, not {learning_rate_schedule!r}.")
    return {"class_name": type(learning_rate_schedule).__name__, "config": learning_rate_schedule.get_config()}


def deserialize(config: dict, custom_objects: dict | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` (or Keras's own function) wrote."""
    name, known = config.get("class_name"), {**KNOWN, **(custom_objects or {})}
    if not isinstance(name, str) or name not in known:
        raise spelling.unknown("schedule", name, known)
    return known[name].from_config(config.get("config") or {})


def get(identifier) -> LearningRateSchedule:
    """`identifier` itself if it is a schedule, or the one that a config means."""
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    raise ValueError(f"A schedule is a LearningRateSchedule or its config, not {identifier!r}.")
