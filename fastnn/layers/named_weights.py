"""Arguments for each of a layer's weights: ``gamma_initializer``, ``gamma_regularizer``, ``gamma_constraint``."""

from __future__ import annotations

from typing import Any

from .. import constraints, initializers, regularizers
from .layer import Layer


class NamedWeights(Layer):
    """Base of layers with a few weights by name; a weight that there is not is None.

    A subclass says in `weight_names` what each weight's initializer is by default, and makes a weight in `build` by
    ``self._add(name, shape)``. With `only_made` there are no arguments: the weights are as they are made.
    """

    weight_names: dict[str, Any] = {}
    only_made = False

    def __init__(self, **kwargs: Any):
        given = {}
        for name, initializer in self.weight_names.items():
            asked = {} if self.only_made else kwargs
            given[name] = (initializers.get(asked.pop(f"{name}_initializer", initializer)),
                           regularizers.get(asked.pop(f"{name}_regularizer", None)),
                           constraints.get(asked.pop(f"{name}_constraint", None)))
        super().__init__(**kwargs)
        self._given_weights = given
        for name in self.weight_names:
            setattr(self, name, None)

    def _add(self, name: str, shape: tuple[int, ...], trainable: bool = True) -> None:
        initializer, regularizer, constraint = self._given_weights[name]
        setattr(self, name, self.add_weight(shape, initializer, trainable=trainable, name=name,
                                            regularizer=regularizer, constraint=constraint))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.only_made:
            return config
        for name, (initializer, regularizer, constraint) in self._given_weights.items():
            config |= {f"{name}_initializer": initializers.serialize(initializer),
                       f"{name}_regularizer": regularizers.serialize(regularizer),
                       f"{name}_constraint": constraints.serialize(constraint)}
        return config
