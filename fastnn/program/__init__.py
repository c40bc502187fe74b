"""How a training step is put together and run; see `graph`, `gradient`, `plan`, `program` and `trace`.

The module itself can be called: ``@fastnn.program`` makes a native program of a function.
"""

import sys
from types import ModuleType


class _ProgramModule(ModuleType):
    def __call__(self, fn=None, *, training: bool = True):
        """Decorator: a training step of one's own as a native program, see `fastnn.program.trace.ProgramFunction`."""
        from .trace import traced

        return traced(fn, training=training)


sys.modules[__name__].__class__ = _ProgramModule
