"""Gradients gathered over several steps, and the moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..kernels import optim
from ..program.graph import Graph, Tensor
from ..program.variable import Arena, Variable

if TYPE_CHECKING:
    from .stepping import Scalars

GATHERED, AVERAGE = "accumulator", "average"  #: names of the slots


class Averaging:
    """The part of an optimizer that averages gradients before an update and weights after it.

    Attributes
    ----------
    steps_done : how often gradients were given; `iterations` counts the updates, of which there is one for each
        `gradient_accumulation_steps` of these.
    """

    arena: Arena | None
    slots: dict[str, np.ndarray]
    swapped = False  #: whether the average stands in the weights and they in its place, see `swap_average`

    def _average_by(self, use_ema: Any, ema_momentum: Any, ema_overwrite_frequency: Any, steps: Any) -> None:
        """Take over the arguments."""
        who = type(self).__name__
        self.use_ema = checks.flag(who, "use_ema", use_ema)
        self.ema_momentum = checks.up_to_one(who, "ema_momentum", ema_momentum)
        self.ema_overwrite_frequency = checks.count_from_one(who, "ema_overwrite_frequency", ema_overwrite_frequency)
        self.gradient_accumulation_steps = checks.count_from_one(who, "gradient_accumulation_steps", steps)
        if self.gradient_accumulation_steps == 1:
            raise ValueError(f"{who}: gradient_accumulation_steps must be 2 or more; for none leave it at None.")
        self.steps_done = 0

    @property
    def iterations(self) -> int:
        """Updates done so far."""
        return self.steps_done // (self.gradient_accumulation_steps or 1)

    @iterations.setter
    def iterations(self, value: int) -> None:
        self.steps_done = int(value) * (self.gradient_accumulation_steps or 1)

    @property
    def all_slots(self) -> tuple[str, ...]:
        """Names of the rule's own slots and of those kept here."""
        return (*self.slot_names, *((GATHERED,) if self.gradient_accumulation_steps else ()),
                *((AVERAGE,) if self.use_ema else ()))

    def _gather(self, graph: Graph, gradients: Iterable[tuple[Tensor, int, int]], scalars: Scalars) -> None:
        """Add gradients to those of the steps before and put the mean so far in their place."""
        for g, start, stop in gradients:
            gathered = graph.flat(self.slots[GATHERED], start, stop, GATHERED)
            optim.accumulate(g, scalars.of_steps("keep", self._keeps), gathered,
                             factor=1 / self.gradient_accumulation_steps)

    def _keeps(self, steps: np.ndarray) -> np.ndarray:
        """Whether gradients are added to those before: not at the first of the steps behind one update."""
        return (steps % self.gradient_accumulation_steps != 0).astype(np.float64)

    def _updates(self, steps: np.ndarray) -> np.ndarray:
        """Whether a step is one that updates."""
        return ((steps + 1) % self.gradient_accumulation_steps == 0).astype(np.float64)

    def ema_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """What the average of the weights keeps; at first it is the weights."""
        return np.where(t == 1, 0.0, self.ema_momentum)

    def overwrite_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Whether the weights are set to their average."""
        return (t % self.ema_overwrite_frequency == 0) if self.ema_overwrite_frequency else np.zeros(len(t))

    def _average(self, graph: Graph, scalars: Scalars) -> None:
        """Move the average towards the weights, once in a while the weights to the average."""
        if self.use_ema and self.arena.array.size:
            average, w = (graph.flat(a, 0, self.arena.array.size, n)
                          for a, n in ((self.slots[AVERAGE], AVERAGE), (self.arena.array, "weights")))
            optim.moving_average(scalars["ema"], scalars["overwrite"], average, w)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """Set variables to their average, if it is kept; `fit` does this at its end.

        Examples
        --------
        >>> from fastnn.optimizers import SGD
        >>> w = Variable([0.0])
        >>> optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
        >>> for _ in range(2):
        ...     optimizer.apply([np.ones(1)], [w])
        >>> optimizer.finalize_variable_values([w])
        >>> w.numpy()     # the average of -1 and -2
        array([-1.25], dtype=float32)
        """
        if self.swapped:  # the weights are the average already
            self.slots[AVERAGE][...] = self.arena.array
            self.swapped = False
        elif self.use_ema and self.steps_done:
            known = {id(v) for v in self._variables}
            for v in var_list:
                if id(v) in known:
                    v.assign(self.slots[AVERAGE][v.offset : v.offset + v.size].reshape(v.shape))

    def swap_average(self) -> None:
        """Exchange the trained weights and their average; once more, and all is as it was. Before a first step nothing.

        Examples
        --------
        >>> from fastnn.optimizers import SGD
        >>> w = Variable([0.0])
        >>> optimizer = SGD(1.0, use_ema=True, ema_momentum=0.75)
        >>> for _ in range(2):
        ...     optimizer.apply([np.ones(1)], [w])
        >>> optimizer.swap_average(); w.numpy()
        array([-1.25], dtype=float32)
        >>> optimizer.swap_average(); w.numpy()
        array([-2.], dtype=float32)
        """
        if self.use_ema and self.iterations:
            weights, average = self.arena.array, self.slots[AVERAGE]
            weights[...], average[...] = average.copy(), weights.copy()
            self.swapped = not self.swapped

    def _averaging_config(self) -> dict[str, Any]:
        return {"use_ema": self.use_ema, "ema_momentum": self.ema_momentum,
                "ema_overwrite_frequency": self.ema_overwrite_frequency,
                "gradient_accumulation_steps": self.gradient_accumulation_steps}
