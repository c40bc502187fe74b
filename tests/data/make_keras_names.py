"""Record which public names Keras has: writes keras_names.json.

Run where Keras is installed: ``KERAS_BACKEND=jax python tests/data/make_keras_names.py``.
"""

import importlib
import inspect
import json
from pathlib import Path

MODULES = ("activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "optimizers",
           "optimizers.schedules", "regularizers")


def listing() -> dict[str, list[str]]:
    """Module -> its public classes and functions."""
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"keras.{name}")
        found[name] = [n for n in dir(module) if not n.startswith("_") and not inspect.ismodule(getattr(module, n))]
    return found


if __name__ == "__main__":
    import keras

    names = {"version": keras.__version__, **listing()}
    Path(__file__).with_name("keras_names.json").write_text(json.dumps(names, indent=1) + "\n")
