"""Libraries that fastnn uses where they are installed and does without where they are not."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def need(module: str, extra: str) -> ModuleType:
    """The module, or ImportError saying how to get it.

    Parameters
    ----------
    module : its import name; a submodule (``"matplotlib.pyplot"``) is fine.
    extra : the extra of fastnn's distribution that brings it.

    Examples
    --------
    >>> need("json", extra="none").dumps([1])
    '[1]'
    >>> need("no_such_library", extra="plot")
    Traceback (most recent call last):
    ...
    ImportError: This needs no_such_library, which is not installed: pip install fastnn[plot]
    """
    library = module.partition(".")[0]
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise  # it is there, and something that it needs is not
        message = f"This needs {library}, which is not installed: pip install fastnn[{extra}]"
        raise ImportError(message, name=library) from None
