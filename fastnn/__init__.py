"""fastnn: neural networks on CPUs, fast enough to use and open enough to learn from.

A training step is a program: a flat list of kernel calls over memory that was laid out beforehand,
run many steps at a time without Python in between. ``fastnn.layers``, ``fastnn.models`` and the rest
follow Keras 3; ``fastnn.program`` and ``fastnn.kernels`` are what happens underneath.

Examples
--------
>>> import numpy as np, fastnn
>>> fastnn.utils.set_random_seed(0)
>>> x = np.linspace(-1, 1, 64, dtype="float32")[:, None]
>>> model = fastnn.Sequential([fastnn.Input((1,)), fastnn.layers.Dense(16, "tanh"), fastnn.layers.Dense(1)])
>>> model.compile("adam", "mse")
>>> history = model.fit(x, x**2, epochs=60, verbose=0)
>>> history.history["loss"][-1] < history.history["loss"][0]
True
"""

from __future__ import annotations

from . import (
    activations,
    callbacks,
    constraints,
    initializers,
    kernels,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    program,
    random,
    regularizers,
    utils,
)
from .kernels.user import elementwise, kernel
from .layers import Input
from .machine import cpu_info, get_num_threads, set_num_threads
from .models import Model, Sequential, generate
from .models.range_test import lr_find
from .optimizers.rule import update_rule
from .program.backend import backend, get_backend, set_backend
from .program.custom_gradient import custom_gradient
from .program.gradient import gradients
from .program.kernel_check import check_kernel
from .program.trace import traced, value_and_grad
from .program.variable import Variable
from .warnings import FastnnWarning

__version__ = "0.1.0"

_LAZY = ("applications", "config", "datasets", "files", "race", "roofline", "saving", "sklearn")
#: what Keras has at its top besides: the bases of its kinds
_BASES = {"Initializer": "initializers", "Layer": "layers", "Loss": "losses", "Metric": "metrics",
          "Optimizer": "optimizers", "Regularizer": "regularizers"}


def version() -> str:
    """The version of the package."""
    return __version__


def __getattr__(name: str):
    if name in _LAZY:
        from importlib import import_module

        return import_module(f"{__name__}.{name}")
    if name == "sweep":
        from .sweeps import sweep

        return sweep
    if name in _BASES:
        return getattr(globals()[_BASES[name]], name)
    if name == "keras":  # `from fastnn import keras`, and `tf.keras` after `import fastnn as tf`
        import sys

        return sys.modules[__name__]
    if name == "KerasTensor":
        from .layers.symbolic import KerasTensor

        return KerasTensor
    raise AttributeError(f"module 'fastnn' has no attribute {name!r}")


__all__ = ["FastnnWarning", "Input", "Model", "Sequential", "Variable", "activations", "applications", "backend",
           "callbacks", "check_kernel", "constraints", "cpu_info", "custom_gradient", "datasets", "elementwise",
           "files", "generate", "get_backend", "get_num_threads", "gradients", "initializers", "kernel", "kernels",
           "layers", "losses", "lr_find", "metrics", "models", "ops", "optimizers", "program", "race", "random",
           "regularizers", "roofline", "set_backend", "set_num_threads", "sklearn", "sweep", "traced", "update_rule",
           "utils", "value_and_grad"]
