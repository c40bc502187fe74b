"""What of an optimizer is stored, and the configuration it is made from."""

from __future__ import annotations

import math
import re
import threading
import weakref
from typing import Any

import numpy as np

from .. import checks
from ..program.variable import Variable


class Stored:
    """The part of an optimizer that goes into files, copies and text."""

    _variables: list[Variable]
    iterations: int
    steps_done: int
    slots: dict[str, np.ndarray]

    def _places(self) -> dict[str, tuple[str, int, tuple[int, ...]]]:
        """Name in files -> (slot, first element, shape)."""
        kind, names, seen = snake(type(self).__name__), [], set()
        for v in self._variables:
            path, n = v.path, 1
            while path in seen:
                path, n = f"{v.path}_{n}", n + 1
            seen.add(path)
            names.append(path)
        found = {}
        for slot in self.all_slots:
            places = self.slot_places(slot)
            found |= {f"{kind}/{slot}/{path}": (slot, *places[id(v)]) for path, v in zip(names, self._variables)
                      if id(v) in places}
        return found

    def get_state(self) -> dict[str, np.ndarray]:
        """What must be stored to go on later: slots per variable, `iterations`, the rate if it is a number.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.optimizers import SGD
        >>> SGD(0.5).get_state()
        {'iterations': array(0), 'learning_rate': array(0.5)}
        """
        state = {"iterations": np.array(self.iterations, np.int64)}
        if self.gradient_accumulation_steps:
            state["accumulated"] = np.array(self.steps_done % self.gradient_accumulation_steps, np.int64)
        if self.schedule is None:
            state["learning_rate"] = np.array(self._rate, np.float64)
        for name, (slot, start, shape) in self._places().items():
            state[name] = self.slots[slot][start : start + math.prod(shape)].reshape(shape).copy()
        return state

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `get_state` gave; everything is checked before anything changes.

        Raises
        ------
        ValueError : an entry is missing, unknown or of another shape.
        """
        places = self._places()
        wanted = {"iterations", *places} | ({"learning_rate"} if self.schedule is None else set())
        wanted |= {"accumulated"} if self.gradient_accumulation_steps else set()
        missing, unknown = sorted(wanted - {"learning_rate"} - set(state)), sorted(set(state) - wanted)
        if unknown and unknown != ["learning_rate"]:
            built = "" if self.built else " (it is not built yet: call build(variables) first)"
            raise ValueError(f"{self.name} has no place for {unknown[0]!r} of the state{built}.")
        if missing:
            raise ValueError(f"The state for {self.name} lacks {missing[0]!r}.")
        values = {}
        for name, (slot, _, shape) in places.items():
            value = np.asarray(state[name])
            if value.shape != shape or value.dtype.kind not in "fiu":
                raise ValueError(f"{name} has shape {value.shape} and dtype {value.dtype} in the state; "
                                 f"{self.name} needs {shape} and {self.slots[slot].dtype}.")
            values[name] = value
        iterations = checks.count(self.name, "iterations", state["iterations"])
        accumulated = checks.count(self.name, "accumulated", state.get("accumulated", 0))
        rate = self._rate
        if self.schedule is None and "learning_rate" in state:
            rate = checks.at_least_zero(self.name, "learning_rate", state["learning_rate"])
        for name, (slot, start, shape) in places.items():
            self.slots[slot][start : start + math.prod(shape)] = values[name].reshape(-1)
        self.iterations, self._rate = iterations, rate
        self.steps_done += accumulated

    # ------------------------------------------------------------------ configuration

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this optimizer again, as JSON can hold them."""
        rate = self._rate
        if self.schedule is not None:
            rate = {"class_name": type(rate).__name__, "config": rate.get_config()}
        return {"name": self.name, "learning_rate": rate, "weight_decay": self.weight_decay,
                **self._clipping_config(), **self._averaging_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict | None = None) -> Stored:
        """A new optimizer from `get_config`; configs written by Keras are understood."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = schedule_from(config["learning_rate"], custom_objects)
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        # Copies and pickles count anew in programs of their own.
        hidden = ("_steps", "_programs", "_lock")
        return {k: v for k, v in self.__dict__.items() if k not in hidden}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._steps, self._programs, self._lock = weakref.WeakKeyDictionary(), {}, threading.Lock()

    def __repr__(self) -> str:
        config = {**self.get_config(), "learning_rate": self._rate}
        hidden = {"name"} if self.use_ema else {"name", "use_ema", "ema_momentum"}
        shown = ", ".join(f"{k}={v!r}" for k, v in config.items() if v is not None and k not in hidden)
        return f"{type(self).__name__}({shown})"


def snake(name: str) -> str:
    known = {"AdamW": "adamw", "LARS": "lars", "NormalizedSGD": "normalizedsgd", "RAdam": "radam", "RMSprop": "rmsprop"}
    return known.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def schedule_from(config: dict[str, Any], custom_objects: dict | None = None):
    from . import schedules

    return schedules.deserialize(config, custom_objects) if custom_objects else schedules.deserialize(config)
