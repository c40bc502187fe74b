"""Layer: the base of all layers and models. Calling one on tensors emits kernel calls."""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import checks, constraints, initializers, regularizers
from ..program.graph import Graph, Tensor, current_graph
from ..program.variable import Variable
from ..spelling import nearest
from .masks import fill_masks, mask_names, pass_on, warn_of_lost_masks
from .shapes import infer
from .symbolic import KerasTensor, Node, flatten, map_tree

_counters: dict[str, itertools.count] = defaultdict(itertools.count)
_counter_lock = threading.Lock()


def unique_name(prefix: str) -> str:
    """dense, dense_1, dense_2 ... over the life of the process."""
    with _counter_lock:
        n = next(_counters[prefix])
    return prefix if n == 0 else f"{prefix}_{n}"


def _marking(build: Callable) -> Callable:
    """A layer's `build` that may be called by hand: the layer knows that it is built."""
    @functools.wraps(build)
    def marking(self, *args: Any, **kwargs: Any):
        build(self, *args, **kwargs)
        self.built = True
        if self._build_shape is None and args:
            self._build_shape = args[0]

    return marking


def forget_names() -> None:
    """Count from the beginning again."""
    with _counter_lock:
        _counters.clear()


def snake_case(name: str) -> str:
    """BatchNormalization -> batch_normalization, as Keras names layers."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


class Layer:
    """What every layer is: variables made by `build`, and `call`, which emits kernel calls.

    A subclass writes ``build(self, input_shape)`` with `add_weight`, and ``call(self, x)`` (with an
    argument ``training`` if it needs to know, and ``mask`` if it wants its input's mask). Layers set as attributes
    belong to it. One that leaves the steps of a sequence where they are sets ``supports_masking``; one that changes
    them, or makes a mask, writes ``compute_mask(self, inputs, previous_mask)``. One that sets ``stepwise`` says that
    its steps know of one another only by the layers inside: `fastnn.generate` may call it on one new step.

    Called on symbolic tensors of a program, a layer emits into that program; on `KerasTensor`, it
    becomes a node of a functional model; on NumPy arrays, it runs a small cached program.

    Examples
    --------
    >>> import numpy as np, fastnn
    >>> class Scale(fastnn.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="factor")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()(np.array([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    supports_masking = False  #: whether outputs have masks: those of the input, or what `compute_mask` gives
    _ends_masks = True  # without supporting them: not so where the layers inside deal with them
    _built_by_build = True  # not so where `build` builds layers inside, which say themselves when they are done
    stepwise = False  #: whether steps of a sequence know of one another only by the attention layers inside
    takes_integers = False  #: whether integers in arrays mean places, and not quantities to compute with

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__ and cls._built_by_build:
            cls.build = _marking(cls.build)

    def __init__(self, *, name: str | None = None, trainable: bool = True, dtype: str | None = None,
                 input_shape=None, input_dim: int | None = None, activity_regularizer=None, **unknown: Any):
        if unknown:
            raise self._strange(sorted(unknown)[0])
        object.__setattr__(self, "_sublayers", [])
        object.__setattr__(self, "_variables", [])
        if name is not None and (not isinstance(name, str) or not name):
            raise ValueError(f"{type(self).__name__}: name is {name!r}; a non-empty string is wanted.")
        self.name = name or unique_name(snake_case(type(self).__name__))
        if dtype not in (None, "float32", "float64"):
            raise ValueError(f"Layer {self.name}: dtype is {dtype!r}; float32 and float64 can be computed with.")
        self.dtype = dtype or "float32"
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = checks.flag(f"{type(self).__name__} {self.name}", "trainable", trainable)
        self.built = False
        self.nodes: list[Node] = []
        if input_dim is not None:
            input_shape = (input_dim,)
        if isinstance(input_shape, int | np.integer):
            input_shape = (input_shape,)
        self._given_shape = None if input_shape is None else (None, *input_shape)
        self._build_shape = None
        parameters = inspect.signature(self.call).parameters
        self._takes_training = "training" in parameters
        self._mask_names = mask_names(self.call)
        self.supports_masking = type(self).supports_masking or type(self).compute_mask is not Layer.compute_mask

    def _strange(self, name: str) -> TypeError:
        """The error for an argument that the class does not have."""
        classes = [c for c in type(self).__mro__ if issubclass(c, Layer)]
        known = {p for c in classes for p in inspect.signature(c.__init__).parameters} - {"self", "kwargs", "unknown"}
        close = nearest(name, sorted(known))
        hint = f": did you mean {close!r}?" if close else "."
        return TypeError(f"{type(self).__name__} takes no argument {name!r}{hint}")

    # ------------------------------------------------------------------ to be written by subclasses

    def build(self, input_shape) -> None:
        """Make the variables; input_shape starts with None for the batch."""

    def call(self, *args: Any, **kwargs: Any):
        """Emit the layer's kernel calls on tensors."""
        raise NotImplementedError(f"{type(self).__name__} has no call method.")

    def compute_mask(self, inputs, previous_mask=None):
        """The outputs' masks, from the first argument of `call` and its mask; the same one by default."""
        return previous_mask

    def get_config(self) -> dict[str, Any]:
        """The arguments that make the same layer again, as JSON can hold them."""
        config: dict[str, Any] = {"name": self.name, "trainable": self._trainable}
        if self.dtype != "float32":
            config["dtype"] = self.dtype
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        """A layer from what `get_config` gave."""
        return cls(**config)

    def compute_output_shape(self, input_shape):
        """Shape that comes out for a shape that goes in, both with None for the batch."""
        dtype = self.dtype
        inputs = map_shapes(lambda s: KerasTensor(s, dtype), input_shape)
        return map_tree(lambda t: t.shape, infer(self, (inputs,), {}))

    # ------------------------------------------------------------------ variables

    def add_weight(self, shape=None, initializer="glorot_uniform", dtype: str | None = None, trainable: bool = True,
                   name: str | None = None, regularizer=None, constraint=None) -> Variable:
        """Make a variable of this layer.

        Parameters
        ----------
        shape : tuple of ints; () by default.
        initializer : name, instance or function, see `fastnn.initializers`.
        regularizer : what of it is added to the loss, see `fastnn.regularizers`.
        constraint : what it is brought back to after each update, see `fastnn.constraints`.
        """
        name = name or f"weight_{len(self._variables)}"
        if any(s is None for s in shape or ()):
            raise ValueError(f"Layer {self.name}: its {name} would have the shape {tuple(shape)}; that axis of the "
                             "input must have a known size.")
        shape = tuple(int(s) for s in (shape or ()))
        value = initializers.get("glorot_uniform" if initializer is None else initializer)(shape, dtype or self.dtype)
        if np.shape(value) != shape:
            raise ValueError(f"Layer {self.name}: the initializer of {name} gave an array of shape {np.shape(value)}; "
                             f"{shape} is wanted.")
        v = Variable(value, name=name, trainable=trainable, dtype=dtype or self.dtype,
                     regularizer=regularizers.get(regularizer), constraint=constraints.get(constraint))
        v.path = f"{self.name}/{name}"
        self._variables.append(v)
        return v

    def __setattr__(self, key: str, value: Any) -> None:
        if not key.startswith("_"):
            for item in flatten(value) if isinstance(value, list | tuple | dict) else [value]:
                self._adopt(item)
        object.__setattr__(self, key, value)

    def _adopt(self, item: Any) -> None:
        """A layer or variable in an attribute belongs to this layer."""
        if isinstance(item, Layer | Variable) and "_sublayers" not in self.__dict__:
            raise RuntimeError(f"{type(self).__name__}: call super().__init__() before setting layers or variables.")
        for kind, mine in ((Layer, self._sublayers), (Variable, self._variables)):
            if isinstance(item, kind) and not any(item is known for known in mine):
                mine.append(item)

    def _children(self) -> list[Layer]:
        """The layers directly below, also those that were put later into lists and dicts among the attributes."""
        for key, value in self.__dict__.items():
            if not key.startswith("_") and key != "nodes" and isinstance(value, list | tuple | dict):
                for item in flatten(value):
                    self._adopt(item)
        return self._sublayers

    def _flatten_layers(self) -> list[Layer]:
        """This layer and all below it, each once, outermost first."""
        seen: dict[int, Layer] = {}
        todo = [self]
        while todo:
            layer = todo.pop(0)
            if id(layer) not in seen:
                seen[id(layer)] = layer
                todo = layer._children() + todo
        return list(seen.values())

    @property
    def variables(self) -> list[Variable]:
        """All variables, in the order in which the layers were made."""
        found: dict[int, Variable] = {}
        for layer in self._flatten_layers():
            for v in layer._variables:
                found.setdefault(id(v), v)
        return list(found.values())

    weights = variables

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._flatten_layers():
            layer._trainable = bool(value)
            layer.__dict__.pop("_eager_programs", None)

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that training changes: trainable ones of trainable layers."""
        if not self._trainable:
            return []
        found: dict[int, Variable] = {}
        todo: list[Layer] = [self]
        while todo:
            layer = todo.pop(0)
            if layer._trainable:
                found.update((id(v), v) for v in layer._variables if v.trainable)
                todo = layer._children() + todo
        order = {id(v): i for i, v in enumerate(self.variables)}
        return sorted(found.values(), key=lambda v: order[id(v)])

    trainable_weights = trainable_variables

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """All variables that training leaves alone."""
        moving = {id(v) for v in self.trainable_variables}
        return [v for v in self.variables if id(v) not in moving]

    non_trainable_weights = non_trainable_variables

    @property
    def compute_dtype(self) -> str:
        """The dtype of what the layer computes."""
        return self.dtype

    variable_dtype = compute_dtype

    def count_params(self) -> int:
        """How many numbers the variables hold."""
        if not self.built:
            raise ValueError(f"Layer {self.name} is not built yet: call it on data, or give it an input shape.")
        return sum(v.size for v in self.variables)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of all variables' values."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights) -> None:
        """Overwrite all variables; nothing changes unless every shape fits.

        Raises
        ------
        ValueError : another number of arrays, or another shape.
        """
        variables, weights = self.variables, [np.asarray(w) for w in weights]
        if not variables and weights and not self.built:
            raise ValueError(f"Layer {self.name} is not built yet, so it has no weights to set.")
        if len(weights) != len(variables):
            raise ValueError(f"{self.name} has {len(variables)} weight arrays; got {len(weights)}.")
        for v, w in zip(variables, weights):
            if v.shape != w.shape:
                raise ValueError(f"{v.path} has shape {v.shape}; got an array of shape {w.shape}.")
            if w.dtype.kind not in "fiub":
                raise ValueError(f"{v.path} takes numbers; got an array of dtype {w.dtype}.")
        for v, w in zip(variables, weights):
            v.assign(w)

    # ------------------------------------------------------------------ calling

    def __call__(self, *args: Any, **kwargs: Any):
        leaves = flatten((args, kwargs))
        if any(isinstance(x, KerasTensor) for x in leaves):
            return self._symbolic_call(args, kwargs)
        if any(isinstance(x, Tensor) for x in leaves):
            return self._emit(args, kwargs)
        return self._eager_call(args, kwargs)

    def _emit(self, args: tuple, kwargs: dict[str, Any]):
        """Emit into the graph of the tensors among the arguments."""
        if not self.built:
            with self._unbuilt_on_error():
                self._ensure_built(args)
                return self._emit_built(args, kwargs)
        return self._emit_built(args, kwargs)

    def _emit_built(self, args: tuple, kwargs: dict[str, Any]):
        graph = next(x.graph for x in flatten((args, kwargs)) if isinstance(x, Tensor))
        if self._takes_training and kwargs.get("training") is None:
            kwargs = {**kwargs, "training": getattr(graph, "training", False)}
        elif not self._takes_training and "training" in kwargs:
            before, training = getattr(graph, "training", False), kwargs["training"]
            kwargs = {k: v for k, v in kwargs.items() if k != "training"}
            graph.training = before if training is None else bool(training)
            try:
                return self._call_in(graph, args, kwargs)
            finally:
                graph.training = before
        return self._call_in(graph, args, kwargs)

    def _call_in(self, graph: Graph, args: tuple, kwargs: dict[str, Any]):
        with graph.note(self.name):
            if self._mask_names:
                kwargs = fill_masks(self, args, kwargs)
            outputs = self.call(*args, **kwargs)
            outputs = map_tree(lambda y: graph.variable(y) if isinstance(y, Variable) else y, outputs)
            pass_on(self, args, kwargs, outputs)
            if self.activity_regularizer is not None:
                for y in flatten(outputs):  # divided by the batch's size, as Keras does
                    self.add_loss(self.activity_regularizer(y) * (1 / max(y.shape[0], 1)))
        return outputs

    # ------------------------------------------------------------------ what is added to the loss

    def add_loss(self, loss) -> None:
        """Add a scalar tensor to the loss that is trained on and reported; for use inside `call`.

        Parameters
        ----------
        loss : a scalar tensor, or a list of them, made of the layer's inputs or weights.

        Examples
        --------
        >>> import numpy as np, fastnn
        >>> class Quiet(fastnn.layers.Layer):
        ...     def call(self, x):
        ...         self.add_loss(0.1 * fastnn.ops.mean(fastnn.ops.square(x)))
        ...         return x
        >>> model = fastnn.Sequential([Quiet()])
        >>> model.compile("sgd", "mse")
        >>> round(model.evaluate(np.ones((4, 1)), np.ones((4, 1)), verbose=0), 6)
        0.1
        """
        graph = current_graph()
        for one in loss if isinstance(loss, list | tuple) else [loss]:
            if graph is None or not isinstance(one, Tensor) or one.shape:
                raise ValueError(f"Layer {self.name}: add_loss takes scalar tensors, inside of call; got {one!r}.")
            graph.losses.append((self, one))

    @property
    def losses(self) -> list:
        """What this layer and those below add to the loss.

        Inside a program of one's own: tensors, those of `add_loss` and of activity regularizers first. Outside: the
        penalties of the trainable weights, as numbers.
        """
        graph, below = current_graph(), {id(layer) for layer in self._flatten_layers()}
        held = [v for v in self.trainable_variables if v.regularizer is not None]
        if graph is None:
            return [v.regularizer(v.numpy()) for v in held]
        return [one for layer, one in graph.losses if id(layer) in below] + [
            v.regularizer(graph.variable(v)) for v in held]

    def _ensure_built(self, args: tuple) -> None:
        if self.built:
            return
        first = args[0] if args else None

        def shape(x):
            return x.graph.declared.get(id(x)) or (None, *x.shape[1:])

        self._build(map_tree(shape, first) if first is not None else None)

    def _build(self, shape) -> None:
        """Run `build` once; on an error the layer is as it was."""
        with self._unbuilt_on_error():
            self.build(shape)
        self._build_shape = shape
        self.built = True

    @contextmanager
    def _unbuilt_on_error(self):
        """After an error inside, this layer and those below are as built, or not, as they were."""
        before = [(layer, list(layer._variables)) for layer in self._flatten_layers() if not layer.built]
        try:
            yield
        except BaseException:
            for layer, variables in before:
                layer._variables[:] = variables
                layer.built, layer._build_shape = False, None
            raise

    def _symbolic_call(self, args: tuple, kwargs: dict[str, Any]):
        outputs = infer(self, args, kwargs)
        if self._ends_masks and not self.supports_masking and not self._mask_names:
            warn_of_lost_masks(self, args)
        Node(self, args, kwargs, flatten(outputs))
        for t in flatten(outputs):
            t.name = self.name
        return outputs

    def _eager_call(self, args: tuple, kwargs: dict[str, Any]):
        from ..program.trace import run_eager

        if not args:
            raise TypeError(f"Layer {self.name} was called without data.")
        if not any(hasattr(x, "__array__") or isinstance(x, int | float) for x in flatten(args)):
            raise ValueError(f"Layer {self.name} takes arrays or symbolic tensors; got {args[0]!r:.60}.")
        return run_eager(self, args, kwargs, integers_as=None if self.takes_integers else self.dtype)

    # ------------------------------------------------------------------ looking

    @property
    def input(self):
        """The symbolic tensor that this layer was first called on, in a functional model."""
        self._one_node("input")
        parents = self.nodes[0].parents()
        return parents[0] if len(parents) == 1 else parents

    @property
    def output(self):
        """The symbolic tensor that this layer first gave, in a functional model."""
        self._one_node("output")
        outputs = self.nodes[0].outputs
        return outputs[0] if len(outputs) == 1 else outputs

    def _one_node(self, what: str) -> None:
        if not self.nodes:
            raise AttributeError(f"Layer {self.name} has no {what} yet: it was not called on symbolic tensors.")

    def __reduce__(self):
        """Copies and pickles are made anew from the config, with the same weights and without programs."""
        return remake, (type(self), self.get_config(), self._build_shape, self.get_weights())

    def __deepcopy__(self, memo):
        make, arguments = self.__reduce__()
        return make(*arguments)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def build_from(layer: Layer, shape) -> None:
    """Build a layer for the shape, or the nest of shapes, that it was built for before."""
    fixed = getattr(layer, "stateful", False)
    inputs = map_shapes(lambda s: KerasTensor((s[0] if fixed else None, *s[1:]), layer.dtype), shape)
    infer(layer, (inputs,), {})


def map_shapes(fn, shapes):
    """fn on each shape of a nest; a shape is a list or tuple of sizes, None for the batch."""
    if isinstance(shapes, dict):
        return {k: map_shapes(fn, s) for k, s in shapes.items()}
    if all(s is None or isinstance(s, int) for s in shapes):
        return fn(tuple(shapes))
    return [map_shapes(fn, s) for s in shapes]


def remake(kind: type[Layer], config: dict[str, Any], shape, weights: list[np.ndarray]) -> Layer:
    """The layer that was pickled or copied."""
    layer = kind.from_config(config)
    if not layer.built and shape is not None:
        build_from(layer, shape)
    layer.set_weights(weights)
    return layer
