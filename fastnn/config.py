"""What Keras lets one set for all models, and what it is here.

Examples
--------
>>> floatx(), epsilon(), image_data_format()
('float32', 1e-07, 'channels_last')
"""

from __future__ import annotations

from .program.backend import get_backend

__all__ = ["backend", "epsilon", "floatx", "image_data_format", "set_floatx", "set_image_data_format"]


def backend() -> str:
    """Which kernels programs run on: "native", "numba" or "numpy"."""
    return get_backend()


def epsilon() -> float:
    """What probabilities are kept away from 0 and 1 by."""
    return 1e-7


def floatx() -> str:
    """The dtype of layers that are not told another."""
    return "float32"


def image_data_format() -> str:
    """Where images have their channels."""
    return "channels_last"


def set_floatx(value: str) -> None:
    """float32 is what there is; single layers and models take ``dtype="float64"``."""
    if value != floatx():
        raise ValueError(f"set_floatx: {value!r} can't be set for all layers; give those that need it "
                         "dtype='float64'.")


def set_image_data_format(data_format: str) -> None:
    """Channels stand last."""
    if data_format != image_data_format():
        raise ValueError(f"set_image_data_format: {data_format!r} can't be set; images are (rows, columns, channels).")
