"""A model of sequences, one step at a time: what its attention layers keep of the steps before is not read again."""

from __future__ import annotations

import threading

import numpy as np

from ..layers.layer import Layer
from ..layers.past import Past
from ..layers.symbolic import flatten
from ..utils.packing import pack_x_y_sample_weight
from .step import InferenceProgram


class NotByStep(ValueError):
    """A model can't be called on one new step; the sentence says why."""


class Steps:
    """A model's programs for sequences that grow: one reads a window, one goes on by a step.

    Parameters
    ----------
    model : takes (rows, steps) tokens, gives (rows, steps, vocabulary).
    rows, window : how many sequences, and how many steps there is room for.

    Raises
    ------
    NotByStep : in a sentence, where the model's layers don't allow it.
    """

    def __init__(self, model, rows: int, window: int):
        _check(model)
        self.rows, self.window, self.kept = rows, window, []
        self.lock, self._owner, self._count = threading.RLock(), None, 0
        try:
            self._reading = self._program(model, [(rows, window)], [np.float32])
            self._going_on = self._program(model, [(rows, 1), (1,)], [np.float32, np.int32])
        except ValueError as error:
            raise NotByStep(str(error)) from error

    def _program(self, model, shapes, dtypes) -> InferenceProgram:
        def called(tensors):
            tokens, *position = tensors
            tokens.graph.past = Past(self.window, self.kept, *position)
            return model.predict_step(pack_x_y_sample_weight(tokens))

        made = InferenceProgram(called, shapes, dtypes, f"{model.name} by steps of")
        outputs = flatten(made.nest)
        if len(outputs) != 1 or outputs[0].shape[:-1] != shapes[0]:
            raise ValueError(f"it gives {', '.join(str(t.shape) for t in outputs)} for tokens {shapes[0]}.")
        return made

    def check_layout(self) -> None:
        for made in (self._reading, self._going_on):
            made.check_layout()

    def logits(self, tokens: np.ndarray, owner) -> np.ndarray:
        """What the model gives at the last of these tokens (rows, n), n of at most the window's steps.

        It is one step where the last call was this owner's, for all but the last of them; else they are read anew.
        """
        with self.lock:
            n = tokens.shape[1]
            if self._owner is owner and self._count == n - 1:
                y = self._run(self._going_on, tokens[:, -1:], np.array([n - 1], np.int32))[:, 0]
            else:
                window = np.zeros((self.rows, self.window), np.float32)
                window[:, :n] = tokens
                y = self._run(self._reading, window)[:, n - 1]
            self._owner, self._count = owner, n
            return y

    def _run(self, made: InferenceProgram, *arrays: np.ndarray) -> np.ndarray:
        self._owner = None  # until it has run
        shape, dtype = made.shapes[0]
        y = np.empty((1, *shape), dtype)
        feeds = {name: a[None].astype(t.dtype) for (name, t), a in zip(made.program.feeds.items(), arrays)}
        made.program.run(1, feeds, {"y0": y})
        return y[0]


def _check(model) -> None:
    """Refuse models in which steps know of one another other than by attention."""
    if model._own("predict"):
        raise NotByStep(f"{model.name} has a predict_step of its own.")
    for layer in model._flatten_layers():
        if not _is_stepwise(layer):
            raise NotByStep(f"the layer {layer.name} ({type(layer).__name__}) does not say that it may be called step "
                            "by step (stepwise).")


def _is_stepwise(layer: Layer) -> bool:
    """What the layer's class says, unless a subclass has a `call` of its own and does not say it again."""
    for kind in type(layer).__mro__:
        if "stepwise" in kind.__dict__:
            return bool(layer.stepwise)
        if "call" in kind.__dict__:
            return False
    return False
