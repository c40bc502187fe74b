"""Operation: a free function of `fastnn.ops` as a node of a functional model."""

from __future__ import annotations

from typing import Any

from .layer import Layer


class Operation(Layer):
    """Applies one function of `fastnn.ops`; made when such a function meets a symbolic tensor.

    Parameters
    ----------
    function : its name in `fastnn.ops`.
    """

    _ends_masks = False

    def __init__(self, function: str, **kwargs: Any):
        super().__init__(**kwargs)
        from .. import ops

        if not callable(getattr(ops, function, None)) or function.startswith("_"):
            raise ValueError(f"fastnn.ops has no function {function!r}.")
        self.function = function

    def call(self, *args: Any, **kwargs: Any):
        from .. import ops

        return getattr(ops, self.function)(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}
