"""Models in files: one safetensors file with the architecture as JSON, the weights and the optimizer's state."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import numpy as np

from ..activations import Activation
from ..custom_objects import known_objects
from ..layers.layer import build_from
from ..layers.symbolic import flatten
from ..warnings import FastnnWarning
from .state import named_variables, names_of

FORMAT = 1  #: version of what stands in the metadata


def save_model(model, filepath, overwrite: bool = True, include_optimizer: bool = True) -> None:
    """Write a model to one file; the old file stays until the new one is whole.

    Of a loss, metric or activation that is a user's function the file holds the name; `load_model` wants the function
    in `custom_objects`.

    Raises
    ------
    ValueError : the model is not built, or holds what no file can (a function without a name).
    FileExistsError : the file is there and `overwrite` is false.
    """
    from .. import files

    path = os.fspath(filepath)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path} is there already and overwrite is false.")
    tensors, metadata = _state(model, include_optimizer)
    files.write(path, tensors, metadata)


def to_bytes(model) -> bytes:
    """What `save_model` would write, for pickling and copying."""
    from .. import files

    return files.to_bytes(*_state(model, True))


def from_bytes(data: bytes, custom_objects: dict[str, type] | None = None):
    """The model that `to_bytes` gave."""
    from .. import files

    return _restore(*files.from_bytes(data), "these bytes", custom_objects, True)


def load_model(filepath, custom_objects: dict[str, type] | None = None, compile: bool = True, safe_mode: bool = True):
    """Read a model that `Model.save` wrote.

    Nothing in the file is executed: only known layer classes, and those given, are made.

    Parameters
    ----------
    custom_objects : name -> class or function, for layers, losses, metrics and so on of your own.
    compile : restore optimizer, loss and metrics too, if the file has them.
    safe_mode : taken for compatibility: no file can make anything run.

    Raises
    ------
    fastnn.files.FileError : the file is damaged, forged or not a model.
    """
    from .. import files

    path = os.fspath(filepath)
    tensors, metadata = files.read(path)
    return _restore(tensors, metadata, path, custom_objects, compile)


def save_weights(model, filepath, overwrite: bool = True) -> None:
    """Write the weights of a model alone."""
    from .. import files

    if not overwrite and os.path.exists(os.fspath(filepath)):
        raise FileExistsError(f"{os.fspath(filepath)} is there already and overwrite is false.")
    files.write(os.fspath(filepath), _weights(model), {"fastnn_weights": FORMAT})


def load_weights(model, filepath, skip_mismatch: bool = False, by_name: bool = False) -> None:
    """Read the weights of a file into a model. See `Model.load_weights`."""
    from .. import files

    path = os.fspath(filepath)
    tensors, _ = files.read(path)
    if not model.built and not model.variables:
        raise ValueError(f"Model {model.name} is not built yet, so it has no weights to load into: call it on data, or "
                         "build(input_shape), first.")
    if not skip_mismatch and not by_name:
        _set_weights(model, tensors, path)
        return
    found, variables = _numbered(tensors, "weight/"), model.variables
    if by_name or len(found) != len(variables):
        stored, names = {key.split("/", 2)[2]: tensors[key] for key in found}, named_variables(model)
        if len(stored) < len(found):
            raise files.FileError(f"{path} holds several weights of one name, so they can't be told by their names.")
        pairs = [(name, v, stored.get(name)) for name, v in names.items()]
    else:
        pairs = [(name, v, tensors[key]) for name, v, key in zip(names_of(model), variables, found)]
    left = [(name, v, a) for name, v, a in pairs if a is None or a.shape != v.shape]
    wrong = [f"{name} has shape {v.shape}, in the file {a.shape}" for name, v, a in left if a is not None]
    if wrong and not skip_mismatch:
        raise files.FileError(f"{path} does not fit model {model.name}: {wrong[0]}. With skip_mismatch=True such "
                              "weights are left as they are.")
    if len(left) == len(pairs):
        raise files.FileError(f"{path} holds nothing that fits model {model.name}.")
    for _, v, a in pairs:
        if a is not None and a.shape == v.shape:
            v.assign(a)
    if left:
        what = [f"{name} (not in the file)" for name, _, a in left if a is None] + wrong
        warnings.warn(f"Model {model.name}: these weights are as they were, the others come from {path}: "
                      f"{'; '.join(what)}.", FastnnWarning, stacklevel=3)


def own_objects(model) -> dict[str, Any]:
    """Classes and functions of the user's in a model, by the names that a file has for them."""
    leaves = flatten(list(model._asked.values()))
    held = [*model._flatten_layers(), *leaves, *([model.optimizer] if model.optimizer is not None else ())]
    held += [held[-1].schedule] if model.optimizer is not None and model.optimizer.schedule is not None else []
    found = {type(x).__name__: getattr(type(x), "written_as", type(x)) for x in held
             if not type(x).__module__.startswith("fastnn.")}
    found |= {x.function.__name__: x.function for x in leaves if hasattr(x, "function")}
    functions = [getattr(layer, name, None) for layer in model._flatten_layers() for name in ("activation", "function")]
    found |= {f.__name__: f for f in functions if callable(f) and not isinstance(f, Activation)}
    rules = [rule for v in model.variables for rule in (v.regularizer, v.constraint)]
    rules += [layer.activity_regularizer for layer in model._flatten_layers()]
    makers = (x if hasattr(x, "__name__") else type(x) for x in rules if x is not None)  # functions, classes
    found |= {x.__name__: x for x in makers if not x.__module__.startswith("fastnn.")}
    return {k: v for k, v in found.items() if k not in ("NoneType", "str", "float")}


# ------------------------------------------------------------------ parts


def _weights(model) -> dict[str, np.ndarray]:
    if not model.built and not model.variables:
        raise ValueError(f"Model {model.name} is not built yet: it has no weights to save.")
    return {f"weight/{i}/{name}": v.array for i, (name, v) in enumerate(zip(names_of(model), model.variables))}


def _state(model, include_optimizer: bool) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    tensors = _weights(model)
    metadata: dict[str, Any] = {"fastnn_model": FORMAT, "class_name": type(model).__name__,
                                "config": model.get_config(), "build_shape": model._build_shape}
    if include_optimizer and model.compiled:
        metadata["compile"] = model.compile_config()
        if model.optimizer is not None:
            for i, (name, value) in enumerate(model.optimizer.get_state().items()):
                tensors[f"optimizer/{i}/{name}"] = np.asarray(value)
    return tensors, metadata


def _restore(tensors, metadata, path, custom_objects, compile):
    from ..files import FileError
    from ..layers import deserialize

    custom_objects = known_objects(custom_objects)
    if metadata.get("fastnn_model") != FORMAT:
        raise FileError(f"{path} holds no fastnn model (format {metadata.get('fastnn_model')!r}; {FORMAT} is wanted).")
    try:
        model = deserialize({"class_name": metadata["class_name"], "config": metadata["config"]},
                            custom_objects=custom_objects)
        if not model.built and metadata.get("build_shape") is not None:
            build_from(model, metadata["build_shape"])
        _set_weights(model, tensors, path)
        if compile and metadata.get("compile"):
            model.compile_from_config(metadata["compile"], custom_objects)
            _set_optimizer_state(model, tensors, path)
    except FileError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError) as error:
        raise FileError(f"{path} describes a model that can't be made: {error}") from error
    return model


def _set_optimizer_state(model, tensors: dict[str, np.ndarray], path: str) -> None:
    """By place, like the weights: layers made inside a user's model have other names each time."""
    found = _numbered(tensors, "optimizer/")
    if not found:
        return
    if len(found) > 2:
        model._training_variables()
    names = list(model.optimizer.get_state())
    if [_kind(n) for n in names] != [_kind(k.split("/", 2)[2]) for k in found]:
        warnings.warn(f"The optimizer's state in {path} is for other variables than those that are trained now "
                      "(was trainable changed after compile?); it is left away.", FastnnWarning, stacklevel=4)
        return
    model.optimizer.set_state(dict(zip(names, (tensors[k] for k in found))))


def _kind(name: str) -> str:
    """What a name says of the slot: adam/m of adam/m/dense/kernel."""
    return "/".join(name.split("/")[:2])


def _numbered(tensors: dict[str, np.ndarray], prefix: str) -> list[str]:
    return sorted((k for k in tensors if k.startswith(prefix)), key=lambda k: int(k.split("/")[1]))


def _set_weights(model, tensors: dict[str, np.ndarray], path: str) -> None:
    from ..files import FileError

    found = _numbered(tensors, "weight/")
    variables = model.variables
    if len(found) != len(variables):
        raise FileError(f"{path} holds {len(found)} weight arrays; model {model.name} has {len(variables)}.")
    for key, v in zip(found, variables):
        if tensors[key].shape != v.shape or tensors[key].dtype != v.dtype:
            raise FileError(f"{path} holds {key} with shape {tensors[key].shape} and dtype {tensors[key].dtype}; "
                            f"{v.path} has {v.shape} and {v.dtype}.")
    for key, v in zip(found, variables):
        v.assign(tensors[key])


def model_from_json(json_string: str, custom_objects: dict[str, Any] | None = None):
    """The model that `Model.to_json` described, with fresh weights."""
    from ..layers import deserialize

    return deserialize(json.loads(json_string), custom_objects=custom_objects)
