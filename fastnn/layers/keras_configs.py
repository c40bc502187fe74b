"""Configs of layers as Keras writes them, in the words that fastnn's layers take."""

from __future__ import annotations

import inspect
from typing import Any

from .layer import Layer

#: arguments of Keras's that fastnn's layers lack, and the values with which they change nothing
NEUTRAL: dict[str, tuple] = {
    "autocast": (True, None), "data_format": ("channels_last", None), "lora_alpha": (None,), "lora_rank": (None,),
    "optional": (False,), "quantization_config": (None,), "ragged": (False,), "renorm": (False,),
    "rms_scaling": (False,), "sliding_window": (None,), "sparse": (False,), "synchronized": (False,),
    "use_gate": (False,),
}
WITH_RENORM = ("renorm_clipping", "renorm_momentum")  # without `renorm` they mean nothing


def from_keras(made: type[Layer], config: dict[str, Any]) -> dict[str, Any]:
    """A layer's config without what only Keras has; what would change something is left, for the layer to refuse.

    Examples
    --------
    >>> from fastnn.layers import Dense
    >>> policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}
    >>> from_keras(Dense, {"units": 3, "dtype": policy, "quantization_config": None})
    {'units': 3, 'dtype': 'float32'}
    """
    known = {p for c in made.__mro__ if issubclass(c, Layer) for p in inspect.signature(c.__init__).parameters}
    found = {}
    for key, value in config.items():
        if key == "dtype" and isinstance(value, dict):
            value = (value.get("config") or {}).get("name")
        elif key == "batch_shape" and "shape" in known and value is not None:
            batch, *shape = value
            found |= {"shape": shape} | ({} if batch is None else {"batch_size": batch})
            continue
        elif key not in known and value in NEUTRAL.get(key, ()):
            continue
        elif key in WITH_RENORM and not config.get("renorm"):
            continue
        found[key] = value
    return found
