"""How an optimizer counts inside a program, and the step scalars that follow from the count."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..program.graph import Graph, Scalar, Tensor

if TYPE_CHECKING:
    from .optimizer import Optimizer


class Rate(float):
    """A learning rate as a number, which like Keras's variable can be assigned to.

    Examples
    --------
    >>> from fastnn.optimizers import SGD
    >>> optimizer = SGD(0.5)
    >>> optimizer.learning_rate.assign(0.25)
    >>> optimizer.learning_rate
    0.25
    """

    def __new__(cls, value, optimizer: Optimizer):
        made = super().__new__(cls, value)
        made.optimizer = optimizer
        return made

    def assign(self, value) -> None:
        """Set the rate of the optimizer that this is of."""
        self.optimizer.learning_rate = value

    def numpy(self) -> float:
        """The plain number."""
        return float(self)

    def __reduce__(self):
        return float, (float(self),)


class Steps:
    """How one optimizer counts within one graph.

    It may be applied several times in a step, so the number of each update depends on how many there are.
    """

    def __init__(self, optimizer: Optimizer):
        self.optimizer, self.count = optimizer, 0

    def add(self) -> int:
        self.count += 1
        return self.count - 1

    def advance(self, done: int) -> None:
        self.optimizer.steps_done += done * self.count

    def numbers(self, place: int, steps: int) -> tuple[int, int, int]:
        """(first step, steps in all, stride) of the apply that is number `place` of the program's step."""
        return self.optimizer.steps_done, steps * self.count, self.count


class Scalars:
    """The step scalars of one apply, made when asked for: ``scalars["alpha"]`` calls ``alpha_table``.

    Attributes
    ----------
    decay : the scalar "decay", or None for weights that do not decay.
    """

    def __init__(self, optimizer: Optimizer, graph: Graph, steps: Steps, place: int, decays: bool = False,
                 factor: float = 1.0):
        self.optimizer, self.graph, self.steps, self.place = optimizer, graph, steps, place
        self.decays, self.factor = decays, factor
        self.made: dict[str, Tensor] = {}
        self.groups: dict[tuple[bool, float], Scalars] = {}

    def of(self, excluded: bool, factor: float) -> Scalars:
        """Those of one group of variables: with or without decay, the rate multiplied."""
        decays = bool(self.optimizer.weight_decay) and not excluded
        if (decays, factor) not in self.groups:
            self.groups[decays, factor] = Scalars(self.optimizer, self.graph, self.steps, self.place, decays, factor)
        return self.groups[decays, factor]

    @property
    def decay(self) -> Tensor | None:
        return self["decay"] if self.decays else None

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.made:
            formula = getattr(self.optimizer, f"{name}_table")

            def values(steps: np.ndarray) -> np.ndarray:
                updates = steps // (self.optimizer.gradient_accumulation_steps or 1)
                begin = int(updates[0]) if len(updates) else 0
                rates = self.optimizer.rates(begin, int(updates[-1]) + 1 - begin) if len(updates) else np.zeros(0)
                return formula(self.factor * rates[updates - begin], updates + 1.0)

            self._make(name, values)
        return self.made[name]

    def of_steps(self, name: str, formula: Callable[[np.ndarray], np.ndarray]) -> Tensor:
        """A scalar by the numbers of the steps from 0, not of the updates."""
        if name not in self.made:
            self._make(name, formula)
        return self.made[name]

    def _make(self, name: str, values: Callable[[np.ndarray], np.ndarray]) -> None:
        def table(first: int, count: int) -> np.ndarray:
            # Its own count decides, not the program's: an optimizer may have run elsewhere before.
            begin, every, stride = self.steps.numbers(self.place, count)
            return values(begin + np.arange(self.place, every, stride))

        times = f" x {self.factor:g}" if self.factor != 1 else ""
        self.made[name] = self.graph.scalar(Scalar(f"{self.optimizer.name} {name}{times}", table))


def movable(graph: Graph, g: Tensor) -> bool:
    """Whether a gradient is alone in memory that the plan still has to lay out."""
    base, memory = g.base, g.memory
    alone = memory is not None and base.offset == 0 and memory.nbytes == base.nbytes
    own = alone and memory.array is None and not memory.kept and not memory.source
    return own and base.call is not None and base.size == g.size and not any(
        base is t.base for t in (*graph.feeds.values(), *graph.fetches.values()))
