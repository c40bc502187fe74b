"""Learning rates that change with the step.

What Keras has, has Keras's names and arguments; of PyTorch's there are `OneCycle` (OneCycleLR), `Cyclical` (CyclicLR),
`StepDecay` (StepLR), `MultiStepDecay` (MultiStepLR) and `Joined` (SequentialLR).
"""

from __future__ import annotations

from fastnn import spelling

from .cosine import CosineDecay, CosineDecayRestarts
from .cycle import Cyclical, MomentumOf, OneCycle
from .decay import ExponentialDecay, InverseTimeDecay, PiecewiseConstantDecay, PolynomialDecay
from .joined import Joined, Warmup
from .schedule import LearningRateSchedule
from .steps import MultiStepDecay, PowerDecay, StepDecay

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "Cyclical",
    "ExponentialDecay",
    "InverseTimeDecay",
    "Joined",
    "LearningRateSchedule",
    "MomentumOf",
    "MultiStepDecay",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "PowerDecay",
    "StepDecay",
    "Warmup",
    "deserialize",
    "get",
    "serialize",
]

KNOWN: dict[str, type[LearningRateSchedule]] = {
    cls.__name__: cls
    for cls in (
        CosineDecay, CosineDecayRestarts, Cyclical, ExponentialDecay, InverseTimeDecay, Joined, MomentumOf,
        MultiStepDecay, OneCycle, PiecewiseConstantDecay, PolynomialDecay, PowerDecay, StepDecay, Warmup,
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
    cls, given = known[name], config.get("config") or {}
    if cls in (Joined, Warmup):  # those that hold schedules
        return cls.from_config(given, custom_objects)
    return cls.from_config(given)


def get(identifier) -> LearningRateSchedule:
    """`identifier` itself if it is a schedule, or the one that a config means."""
    if isinstance(identifier, LearningRateSchedule):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    raise ValueError(f"A schedule is a LearningRateSchedule or its config, not {identifier!r}.")
