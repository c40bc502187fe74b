"""Many models at once: a grid of settings of one way to build a model, trained side by side."""

from .result import Best, Sweep
from .sweeping import sweep

__all__ = ["Best", "Sweep", "sweep"]
