"""The base of all optimizers: arenas of slots, clipping, weight decay, and one call for the whole update."""

from __future__ import annotations

import math
import threading
import warnings
import weakref
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from .. import checks, spelling
from ..kernels import optim
from ..program.graph import Graph, Memory, Tensor
from ..program.variable import Arena, Variable, aligned_zeros, pack, packed, padded
from ..warnings import FastnnWarning
from .averaging import Averaging
from .by_rows import ByRows
from .clipping import Clipping
from .groups import Grouped, Groups
from .schedules.schedule import Ahead
from .stepping import Rate, Scalars, Steps, movable
from .stored import Stored, schedule_from, snake

#: Keras arguments that exist here only in their neutral value, so that its configs can be read
NEUTRAL = {"loss_scale_factor": None}


class Optimizer(Averaging, ByRows, Clipping, Grouped, Stored):
    """Base of the update rules.

    A subclass names its slots in `slot_names`, and writes `update`, which emits the calls for one
    stretch of the arena. All variables lie side by side in one arena, and each slot is one array of the
    same layout: an update of everything is a single kernel call.

    Parameters
    ----------
    learning_rate : a number of 0 or more, or a schedule (an object with ``table(first, count)``).
    weight_decay : decoupled decay: ``w -= learning_rate * weight_decay * w`` before each update.
    clipnorm : each variable's gradient is scaled down to at most this Euclidean norm.
    clipvalue : each element of each gradient is brought into ``[-clipvalue, clipvalue]``.
    global_clipnorm : all gradients together are scaled down to at most this norm.
    adaptive_clipnorm : each unit's gradient (column of a matrix, last axis of a larger array, a vector as a whole) is
        scaled down to at most this share of the norm of the unit's weights (Brock et al., 2021, arXiv:2102.06171).
    name : for people and files.
    use_ema : keep the moving average of the weights, ``average = ema_momentum * average + (1 - ema_momentum) * w``
        after each step; `fit` ends with the weights set to it.
    ema_momentum : in [0, 1].
    ema_overwrite_frequency : the weights are set to their average after every so many updates, too.
    gradient_accumulation_steps : 2 or more: an update is by the mean gradient of so many steps.

    Attributes
    ----------
    iterations : updates done so far.
    steps_done : how often gradients were given; more than `iterations` where they are accumulated.
    slots : slot name -> 1-D array, laid out as `arena` or, where `slot_shape` says so, by `slot_places`.
    arena : where the variables stand; ``None`` before `build`.

    Notes
    -----
    Clipping overwrites the gradient tensors that were handed to `apply`.
    """

    slot_names: tuple[str, ...] = ()
    in_arena = False  #: whether `update` needs all gradients side by side
    decays = False  #: whether `update` takes care of weight decay itself, by ``scalars.decay``

    def __init__(self, learning_rate=0.01, weight_decay=None, clipnorm=None, clipvalue=None, global_clipnorm=None,
                 name: str | None = None, *, use_ema: bool = False, ema_momentum: float = 0.99,
                 ema_overwrite_frequency: int | None = None, gradient_accumulation_steps: int | None = None,
                 adaptive_clipnorm: float | None = None, **later: Any):
        self._refuse_unknown(later)
        who = type(self).__name__
        self._average_by(use_ema, ema_momentum, ema_overwrite_frequency, gradient_accumulation_steps)
        self.name = name or snake(who)
        self.weight_decay = checks.at_least_zero(who, "weight_decay", weight_decay, optional=True)
        self._clip_by(clipnorm=clipnorm, clipvalue=clipvalue, global_clipnorm=global_clipnorm,
                      adaptive_clipnorm=adaptive_clipnorm)
        self._rate = None
        self._ahead: Ahead | None = None
        self.learning_rate = learning_rate
        self.arena: Arena | None = None
        self.slots: dict[str, np.ndarray] = {}
        self._variables: list[Variable] = []
        self._groups = Groups(who)
        self._steps: weakref.WeakKeyDictionary[Graph, Steps] = weakref.WeakKeyDictionary()
        self._programs: dict[tuple, Any] = {}
        self._lock = threading.Lock()

    def _refuse_unknown(self, later: dict[str, Any]) -> None:
        import inspect

        who = type(self).__name__
        for name, value in later.items():
            if name not in NEUTRAL:
                known = [n for c in type(self).__mro__ if issubclass(c, Optimizer)
                         for n in inspect.signature(c.__init__).parameters if n not in ("self", "later", "common")]
                close = spelling.nearest(name, known)
                hint = f": did you mean {close!r}?" if close else f"; it takes {', '.join(dict.fromkeys(known))}."
                raise TypeError(f"{who} has no argument {name!r}{hint}")
            if value != NEUTRAL[name]:
                raise ValueError(f"{who} can't do {name}={value!r} yet; leave it at {NEUTRAL[name]!r}.")

    # ------------------------------------------------------------------ learning rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next update. A number or a schedule may be set between runs.

        Examples
        --------
        >>> from fastnn.optimizers import SGD
        >>> optimizer = SGD(0.5)
        >>> optimizer.learning_rate = 0.25
        >>> optimizer.learning_rate
        0.25
        """
        return Rate(self.rates(self.iterations, 1)[0], self)

    @learning_rate.setter
    def learning_rate(self, value) -> None:
        if hasattr(value, "table"):
            self._rate = value
            return
        if isinstance(value, dict):
            self.learning_rate = schedule_from(value)
            return
        if hasattr(self._rate, "table"):
            raise TypeError(f"{self.name} was made with a schedule as its learning rate, so a number can't be set; "
                            "make the optimizer with a number, or set another schedule.")
        self._rate = checks.at_least_zero(type(self).__name__, "learning_rate", value)

    @property
    def schedule(self):
        """The schedule of the learning rate, or ``None`` if it is a number."""
        return self._rate if hasattr(self._rate, "table") else None

    def rates(self, first: int, count: int) -> np.ndarray:
        """The learning rates of updates first..first+count-1, in float64."""
        if not hasattr(self._rate, "table"):
            return np.full(count, self._rate)
        if self._ahead is None or self._ahead.schedule is not self._rate:
            self._ahead = Ahead(self._rate)
        return self._ahead.rates(first, count)

    # ------------------------------------------------------------------ variables and slots

    @property
    def built(self) -> bool:
        return self.arena is not None

    @property
    def variables(self) -> list[Variable]:
        """The variables that this optimizer updates, in the order of the arena."""
        return list(self._variables)

    def build(self, variables: Iterable[Variable]) -> None:
        """Lay the variables side by side and make the slots; with the same variables again, keep the slots.

        Raises
        ------
        ValueError : other variables than those it was built for.
        """
        variables = list(variables)
        if self.built:
            if {id(v) for v in variables} != {id(v) for v in self._variables}:
                self._refuse_strangers(variables)
                raise ValueError(f"{self.name} was built for {len(self._variables)} variables and is now given "
                                 f"{len(variables)} of them; make a new optimizer for another set of variables.")
            self._settle(self._variables)
            return
        self._check_variables(variables)
        variables.sort(key=self._groups.of)  # each group is one stretch of the arena
        self._settle(variables)
        self._variables = variables

    def _settle(self, variables: list[Variable]) -> None:
        """Pack the variables if they are not (or no longer), and see to slots of that size."""
        if variables and packed(variables):
            arena = variables[0].arena
        else:
            size = sum(padded(v.size, v.dtype.itemsize) for v in variables)  # allocate before anything moves
            slots = self.slots or self._zeroed(size, variables)
            arena = pack(variables)
            self.slots = slots
        if len(self.slots) != len(self.all_slots):
            self.slots = self._zeroed(arena.array.size, variables)
        if arena is not self.arena:
            self._programs.clear()
        self.arena = arena

    def _zeroed(self, size: int, variables: list[Variable]) -> dict[str, np.ndarray]:
        dtype = variables[0].dtype if variables else np.float32
        slots = {name: aligned_zeros(size, dtype) for name in self.all_slots}
        if type(self).slot_shape is not Optimizer.slot_shape:
            for name in self.slot_names:
                ends = [start + math.prod(shape) for start, shape in self.slot_places(name, variables).values()]
                slots[name] = aligned_zeros(max(ends, default=0), dtype)
        for name in self.slot_names:
            slots[name] += self.slot_start(name)
        return slots

    def slot_start(self, name: str) -> float:
        """What a slot holds before the first update."""
        return 0.0

    def slot_shape(self, name: str, v: Variable) -> tuple[int, ...] | None:
        """The shape of a variable's part of a slot, its own by default; None if it has no part in it.

        A class that overrides this lays its slots out by `slot_places`, not as the arena.
        """
        return v.shape

    def slot_places(self, name: str, variables: list[Variable] | None = None) -> dict[int, tuple[int, tuple[int, ...]]]:
        """id of a variable -> (first element, shape) of its part of a slot."""
        variables = self._variables if variables is None else variables
        if name not in self.slot_names or type(self).slot_shape is Optimizer.slot_shape:
            return {id(v): (v.offset, v.shape) for v in variables}
        places, end = {}, 0
        for v in variables:
            shape = self.slot_shape(name, v)
            if shape is not None:
                places[id(v)] = (end, shape)
                end += padded(math.prod(shape), v.dtype.itemsize)
        return places

    def _check_variables(self, variables: list[Variable]) -> None:
        for v in variables:
            if not isinstance(v, Variable):
                raise TypeError(f"{self.name} updates variables; got {type(v).__name__}.")
            if v.dtype != variables[0].dtype or v.dtype.kind != "f":
                raise ValueError(f"{self.name} needs float variables of one dtype; {v.path} has {v.dtype} beside "
                                 f"{variables[0].dtype} of {variables[0].path}.")
        if len({id(v) for v in variables}) != len(variables):
            raise ValueError(f"{self.name} was given the same variable twice.")

    def _refuse_strangers(self, variables: Sequence[Variable]) -> None:
        known = {id(v) for v in self._variables}
        for v in variables:
            if id(v) not in known:
                raise ValueError(f"Unknown variable {getattr(v, 'path', v)}: {self.name} can only update the variables "
                                 "that it was built for; make a new optimizer for another set of variables.")

    # ------------------------------------------------------------------ applying gradients

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> int:
        """`apply` for (gradient, variable) pairs; returns `iterations`."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Update variables by their gradients.

        Given tensors, the update is emitted into their program; given arrays, one step is done at once.

        Parameters
        ----------
        grads : one gradient for each variable; ``None`` where there is none (warned about, and left as it is).
        trainable_variables : what the gradients belong to; by default all that it was built for.
        """
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            if not self.built:
                raise ValueError(f"{self.name} does not know its variables yet: give them with the gradients, or call "
                                 "build(variables) first.")
            trainable_variables = self._variables
        variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{self.name} got {len(grads)} gradients for {len(variables)} variables.")
        self._build_or_check(variables)
        pairs = self._present(grads, variables)
        graphs = {id(g.graph): g.graph for g, _ in pairs if isinstance(g, Tensor)}
        if len(graphs) > 1:
            raise ValueError(f"{self.name} got gradients from {len(graphs)} programs; they must be of one.")
        for g, v in pairs:
            shape = np.shape(g) if not isinstance(g, Tensor) else g.shape
            if shape != v.shape:
                raise ValueError(f"{self.name}: the gradient for {v.path} has shape {shape}; wanted {v.shape}.")
        if graphs:
            self._emit(next(iter(graphs.values())), pairs)
        else:
            self._run(pairs)

    def _build_or_check(self, variables: list[Variable]) -> None:
        if self.built:
            self._refuse_strangers(variables)
            if len({id(v) for v in variables}) != len(variables):
                raise ValueError(f"{self.name} was given the same variable twice.")
            self._settle(self._variables)
        else:
            self.build(variables)

    def _present(self, grads: list, variables: list[Variable]) -> list[tuple[Any, Variable]]:
        pairs = [(g, v) for g, v in zip(grads, variables) if g is not None]
        missing = [v.path for g, v in zip(grads, variables) if g is None]
        if not pairs:
            raise ValueError(f"{self.name} got no gradient for any variable; does the loss depend on them?")
        if missing:
            warnings.warn(f"{self.name} got no gradient for {', '.join(missing)}: the loss does not depend on "
                          f"{'it' if len(missing) == 1 else 'them'}, and no update is done.", FastnnWarning,
                          stacklevel=4)
        return sorted(pairs, key=lambda pair: pair[1].offset)

    def _emit(self, graph: Graph, pairs: list[tuple[Any, Variable]]) -> None:
        """Bring the gradients side by side, then emit the update."""
        from ..kernels.elementwise import copy

        self._follow(graph)
        rows = self._by_rows(pairs)
        variables, by_rows = [v for _, v in pairs], {id(v) for _, v in rows}
        pairs = [pair for pair in pairs if id(pair[1]) not in by_rows]
        as_they_are = self._clips is None and not self.gradient_accumulation_steps and not self.in_arena
        if as_they_are and all(isinstance(g, Tensor) and g.memory.array is not None for g, _ in pairs):
            self._update_each(graph, pairs, rows)
            self._constrain(graph, variables)
            return
        memory = self._gradient_memory()
        for g, v in pairs:
            g = graph.tensor(np.asarray(g, v.dtype) if not isinstance(g, Tensor) else g)
            if g.dtype != v.dtype:
                raise ValueError(f"{self.name}: the gradient for {v.path} is {g.dtype}; wanted {v.dtype}.")
            if not movable(graph, g):
                with graph.note(self.name):
                    g = copy(g)
            g.place(memory, v.offset * v.dtype.itemsize)
        self._update_all(graph, memory, [v for _, v in pairs], rows)
        self._constrain(graph, variables)

    @staticmethod
    def _constrain(graph: Graph, variables: list[Variable]) -> None:
        """Bring variables back to where their constraints want them."""
        for v in variables:
            if v.constraint is not None:
                with graph.note(f"{v.path} constraint"):
                    graph.assign(v, v.constraint(graph.variable(v)))

    def _follow(self, graph: Graph) -> None:
        """Variables that moved since the graph read them: its tensors go where they are now."""
        for v in self._variables:
            t = graph.variables.get(id(v))
            if t is None or t.memory.array is v.arena.array and t.offset == v.offset * v.dtype.itemsize:
                continue
            if t.memory.writes:
                raise ValueError(f"{v.path} is updated in this program at a place that it has left since: build all "
                                 "optimizers before tracing, over variables that do not overlap.")
            t.place(graph.bound(v.arena.array, v.path), v.offset * v.dtype.itemsize)

    def _gradient_memory(self) -> Memory:
        # Kept for the whole step and zeroed with the workspace: the gaps stay zero, as in the arena.
        return Memory(self.arena.array.nbytes, "gradients", kept=True)

    def _update_each(self, graph: Graph, pairs: list[tuple[Tensor, Variable]], rows: list = ()) -> None:
        """Gradients that stand in memory of their own are read there: one update for each variable."""
        scalars = self._step_scalars(graph)
        with graph.note(self.name):
            self._update_rows(graph, rows, scalars)
            for g, v in pairs:
                self._update_stretch(graph, g.reshape(v.size), v.offset, v.offset + v.size,
                                     scalars.of(*self._groups.of(v)))
            self._average(graph, scalars)

    def _step_scalars(self, graph: Graph) -> Scalars:
        if graph not in self._steps:
            self._steps[graph] = Steps(self)
            graph.after.append(self._steps[graph].advance)
        steps = self._steps[graph]
        return Scalars(self, graph, steps, steps.add())

    def _update_stretch(self, graph: Graph, g: Tensor, start: int, stop: int, scalars: Scalars) -> None:
        w = graph.flat(self.arena.array, start, stop, "weights")
        slots = [graph.flat(self.slots[n], start, stop, n) for n in self.slot_names]
        if scalars.decays and not self.decays:
            from ..kernels.elementwise import copy

            # There is no kernel for decay alone: it is descent along w itself.
            optim.sgd(copy(w), scalars["decay"], w)
        self.update(g, w, slots, scalars)

    def _update_all(self, graph: Graph, memory: Memory, variables: list[Variable], rows: list = ()) -> None:
        scalars = self._step_scalars(graph)
        with graph.note(self.name):
            self._update_rows(graph, rows, scalars)
            if self.gradient_accumulation_steps:
                self._gather(graph, ((self._flat_gradient(graph, memory, *run), *run) for run in self._runs(variables)),
                             scalars)
                with graph.gate(scalars.of_steps("updates", self._updates)):
                    self._clip_and_update(graph, memory, variables, scalars)
            else:
                self._clip_and_update(graph, memory, variables, scalars)
            self._average(graph, scalars)

    def _clip_and_update(self, graph: Graph, memory: Memory, variables: list[Variable], scalars: Scalars) -> None:
        self._clip(graph, memory, variables)
        for group, members in groupby(variables, self._groups.of):
            for start, stop in self._runs(list(members)):
                self._update_stretch(graph, self._flat_gradient(graph, memory, start, stop), start, stop,
                                     scalars.of(*group))

    def _runs(self, variables: list[Variable]) -> list[tuple[int, int]]:
        """The stretches of the arena that these variables fill, with the gaps behind them."""
        ends = dict(zip(self.arena.offsets, [*self.arena.offsets[1:], self.arena.array.size]))
        runs: list[tuple[int, int]] = []
        for v in variables:
            if runs and runs[-1][1] == v.offset:
                runs[-1] = (runs[-1][0], ends[v.offset])
            else:
                runs.append((v.offset, ends[v.offset]))
        return [(a, b) for a, b in runs if b > a]

    def _flat_gradient(self, graph: Graph, memory: Memory, start: int, stop: int) -> Tensor:
        dtype = self.arena.dtype
        return Tensor(graph, (stop - start,), dtype, memory, start * dtype.itemsize, name="gradients")

    def update(self, g: Tensor, w: Tensor, slots: list[Tensor], scalars: Scalars) -> None:
        """Emit the update of one stretch of the arena: all arguments are 1-D tensors of one size.

        ``scalars["rate"]`` is the step scalar whose values the method ``rate_table`` (or, in general,
        ``<name>_table``) gives: ``table(rates, t)`` with the learning rates and the numbers of the updates
        counted from 1, both float64 arrays. ``scalars.decay`` is the share of the weights that decays, or None;
        a class that heeds it sets ``decays = True``, for others the base does.
        """
        raise NotImplementedError(f"{type(self).__name__} must override update(g, w, slots, scalars).")

    def rate_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The learning rate itself."""
        return rates

    def decay_table(self, rates: np.ndarray, t: np.ndarray) -> np.ndarray:
        """The share of each weight that decays in an update."""
        return rates * (self.weight_decay or 0.0)

    def _run(self, pairs: list[tuple[np.ndarray, Variable]]) -> None:
        """One step with arrays as gradients, through a small program that is kept."""
        from ..program.backend import get_backend
        from ..program.program import Program

        self._by_rows(pairs)  # which refuses tables that must be updated by rows
        key = (get_backend(), tuple(id(v) for _, v in pairs))
        with self._lock:
            if key not in self._programs:
                graph = Graph(self.name)
                memory = self._gradient_memory()
                for i, (_, v) in enumerate(pairs):
                    graph.feed(f"gradient {i}", v.shape, v.dtype).place(memory, v.offset * v.dtype.itemsize)
                self._update_all(graph, memory, [v for _, v in pairs])
                self._constrain(graph, [v for _, v in pairs])
                if len(self._programs) > 7:
                    self._programs.pop(next(iter(self._programs)))
                self._programs[key] = Program(graph)
            feeds = {f"gradient {i}": np.ascontiguousarray(g, v.dtype).reshape(1, *v.shape)
                     for i, (g, v) in enumerate(pairs)}
            self._programs[key].run(1, feeds)
