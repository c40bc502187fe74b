"""Functional: a model made of the layer calls between symbolic inputs and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.core import InputLayer
from ..layers.masks import with_mask
from ..layers.symbolic import KerasTensor, Node, flatten, map_tree
from .model import Model


class Functional(Model):
    """A graph of layers; made by ``Model(inputs, outputs)``."""

    stepwise = True

    def __init__(self, inputs, outputs, name: str | None = None, trainable: bool = True, **kwargs: Any):
        super().__init__(name=name, trainable=True, **kwargs)
        self._connect_graph(inputs, outputs, trainable)

    def _as_functional(self, inputs, outputs, name: str | None = None, trainable: bool = True, **kwargs: Any) -> None:
        """`__init__` of a subclass of `Model` that turns out to be functional."""
        Model.__init__(self, name=name, trainable=True, **kwargs)
        self._connect_graph(inputs, outputs, trainable)

    def _connect_graph(self, inputs, outputs, trainable: bool) -> None:
        for what, tree in (("inputs", inputs), ("outputs", outputs)):
            for t in flatten(tree):
                if not isinstance(t, KerasTensor):
                    raise ValueError(f"Model {self.name}: {what} holds {type(t).__name__}; symbolic tensors are wanted "
                                     "(from Input and from layers called on it).")
        self._inputs, self._outputs = inputs, outputs
        self.node_order = self._sort()
        self._sublayers[:] = self._by_depth()
        names = [layer.name for layer in self._sublayers]
        for name_ in names:
            if names.count(name_) > 1:
                raise ValueError(f"Model {self.name} has two layers named {name_!r}; names must differ within a model.")
        self.built = True
        if not trainable:
            self.trainable = False

    @property
    def inputs(self) -> list[KerasTensor]:
        return flatten(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        return flatten(self._outputs)

    @property
    def input_names(self) -> list[str]:
        """The names by which a dict of data gives the inputs."""
        return list(self._inputs) if isinstance(self._inputs, dict) else [t.name for t in self.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names by which a dict of targets, losses or metrics is read."""
        return list(self._outputs) if isinstance(self._outputs, dict) else [t.node.layer.name for t in self.outputs]

    @property
    def input(self):
        return self._inputs

    @property
    def output(self):
        return self._outputs

    @property
    def input_shape(self):
        return map_tree(lambda t: t.shape, self._inputs)

    @property
    def output_shape(self):
        return map_tree(lambda t: t.shape, self._outputs)

    def _sort(self) -> list[Node]:
        """The nodes between inputs and outputs, each after those it depends on."""
        entries = {id(t) for t in flatten(self._inputs)}
        order: list[Node] = []
        state: dict[int, str] = {}
        todo: list[tuple[KerasTensor, bool]] = [(t, False) for t in reversed(flatten(self._outputs))]
        while todo:
            t, ready = todo.pop()
            node = t.node
            if ready:
                if state.get(id(node)) != "done":
                    state[id(node)] = "done"
                    order.append(node)
                continue
            if id(t) in entries or state.get(id(node)) == "done":
                continue
            if isinstance(node.layer, InputLayer):
                raise ValueError(f"Model {self.name}: an output depends on {t.name!r}, which is not among the inputs.")
            todo.append((t, True))
            todo.extend((p, False) for p in reversed(node.parents()))
        # A tensor inside a larger model may be an input, too; the layer that makes it is then none of this model's.
        return [t.node for t in flatten(self._inputs) if isinstance(t.node.layer, InputLayer)] + order

    def _by_depth(self) -> list[Any]:
        """The layers in Keras's order: the furthest from the outputs first, among equals as the outputs lead there."""
        outputs = self._outputs
        if isinstance(outputs, dict):
            outputs = [outputs[name] for name in sorted(outputs)]
        inside, place = {id(node) for node in self.node_order}, {}

        def parents(node: Node) -> list[Node]:
            return [t.node for t in node.parents() if id(t.node) in inside]

        todo = [t.node for t in reversed(flatten(outputs)) if id(t.node) in inside]
        while todo:
            node = todo.pop()
            if id(node.layer) not in place or id(node) not in place:
                place.setdefault(id(node.layer), len(place))
                place[id(node)] = len(place)
                todo += reversed(parents(node))
        depths: dict[int, int] = {}
        of_layer: dict[int, int] = {}
        for node in reversed(self.node_order):
            depth = max(depths.get(id(node), 0), of_layer.get(id(node.layer), 0))
            depths[id(node)] = of_layer[id(node.layer)] = depth
            for parent in parents(node):
                depths[id(parent)] = max(depth + 1, depths.get(id(parent), 0))
        layers = list({id(node.layer): node.layer for node in self.node_order}.values())
        return sorted(layers, key=lambda layer: (-of_layer[id(layer)], place.get(id(layer), -1)))

    def call(self, inputs, training=None, mask=None):
        values: dict[int, Any] = {}
        given = flatten(inputs)
        if isinstance(inputs, dict):
            given = [self._named(inputs, name) for name in self.input_names]
        if len(given) != len(self.inputs):
            raise ValueError(f"Model {self.name} has {len(self.inputs)} inputs; got {len(given)}.")
        masks = flatten(mask) if mask is not None else [None] * len(given)
        if len(masks) != len(given):
            raise ValueError(f"Model {self.name} has {len(self.inputs)} inputs; got {len(masks)} masks.")
        for t, x, m in zip(self.inputs, given, masks):
            values[id(t)] = with_mask(self._fit_shape(t, x), m)
        for node in self.node_order:
            if all(id(t) in values for t in node.outputs):
                continue
            args, kwargs = map_tree(lambda v: values[id(v)] if isinstance(v, KerasTensor) else v,
                                    (node.args, node.kwargs))
            if node.layer._takes_training and kwargs.get("training") is None:
                kwargs = {**kwargs, "training": training}
            for t, x in zip(node.outputs, flatten(node.layer(*args, **kwargs))):
                values[id(t)] = x
        return map_tree(lambda t: values[id(t)], self._outputs)

    def _named(self, inputs: dict, name: str):
        if name not in inputs:
            raise ValueError(f"Model {self.name} wants an input named {name!r}; got {', '.join(map(str, inputs))}.")
        return inputs[name]

    def _fit_shape(self, t: KerasTensor, x):
        """The data's tensor as the input layer declared it; (batch,) may stand for (batch, 1)."""
        if _fits(x.shape[1:], t.shape[1:]) or x.graph.past is not None:  # where one step may stand for a sequence
            return x
        if _fits((*x.shape[1:], 1), t.shape[1:]):
            return x.reshape(*x.shape, 1)
        if _fits(x.shape[1:], (*t.shape[1:], 1)):
            return x.reshape(x.shape[:-1])
        raise ValueError(f"Model {self.name}: input {t.name!r} wants samples of shape {t.shape[1:]}; "
                         f"got {x.shape[1:]}.")

    # ------------------------------------------------------------------ configs

    def get_config(self) -> dict[str, Any]:
        from ..layers import serialize

        def link(v):
            if isinstance(v, np.ndarray):
                return {"array": v.tolist(), "dtype": str(v.dtype)}
            if not isinstance(v, KerasTensor):
                return v
            return {"tensor": within[id(v)] if id(v) in within else [v.node.layer.name, kept[id(v.node)], v.position]}

        layers, calls = [serialize(x) for x in self._sublayers], []
        within: dict[int, list] = {}  # inputs that are made by layers outside: read again as inputs proper
        for t in self.inputs:
            if not isinstance(t.node.layer, InputLayer):
                name = f"{t.name}_{len(within)}_input"
                within[id(t)] = [name, 0, 0]
                layers.append({"class_name": "InputLayer", "config": {
                    "name": name, "shape": list(t.shape[1:]), "dtype": str(t.dtype), "batch_size": t.shape[0]}})
                calls.append({"layer": name, "args": [], "kwargs": {}})
        kept: dict[int, int] = {}
        count: dict[int, int] = {}
        for node in self.node_order:
            kept[id(node)] = count.get(id(node.layer), 0)
            count[id(node.layer)] = kept[id(node)] + 1
        calls += [{"layer": node.layer.name, "args": map_tree(link, list(node.args)),
                   "kwargs": map_tree(link, node.kwargs)} for node in self.node_order]
        return {"name": self.name, "trainable": self._trainable, "layers": layers,
                "calls": calls, "inputs": map_tree(link, self._inputs), "outputs": map_tree(link, self._outputs)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> Functional:
        from ..layers import deserialize

        layers = {d["config"]["name"]: deserialize(d, custom_objects=custom_objects) for d in config["layers"]}
        nodes: dict[tuple[str, int], list[KerasTensor]] = {}

        def unlink(tree):
            if isinstance(tree, dict) and set(tree) == {"tensor"}:
                name, index, position = tree["tensor"]
                return nodes[name, index][position]
            if isinstance(tree, dict) and set(tree) == {"array", "dtype"}:
                return np.array(tree["array"], tree["dtype"])
            if isinstance(tree, list):
                return [unlink(v) for v in tree]
            if isinstance(tree, dict):
                return {k: unlink(v) for k, v in tree.items()}
            return tree

        count: dict[str, int] = {}
        for call in config["calls"]:
            layer = layers[call["layer"]]
            if isinstance(layer, InputLayer):
                made = layer.nodes[0].outputs
            else:
                made = flatten(layer(*unlink(call["args"]), **unlink(call["kwargs"])))
            index = count.get(call["layer"], 0)
            count[call["layer"]] = index + 1
            nodes[call["layer"], index] = made
        return cls(unlink(config["inputs"]), unlink(config["outputs"]), name=config["name"],
                   trainable=config.get("trainable", True))


def _fits(shape: tuple, declared: tuple) -> bool:
    """Whether sizes are as declared, where those are known."""
    return len(shape) == len(declared) and all(d is None or s == d for s, d in zip(shape, declared))
