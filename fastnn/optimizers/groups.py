"""Which variables decay, and by what each one's learning rate is multiplied."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from .. import checks
from ..program.variable import Variable


class Choice:
    """Variables that were named: themselves, or by patterns that their name or path has somewhere.

    Parameters
    ----------
    who, what : the optimizer's class and the method, for errors.
    var_list : variables.
    var_names : regular expressions, searched for in the name (``"kernel"``) and the path (``"dense_1/kernel"``).
    """

    def __init__(self, who: str, what: str, var_list: Iterable[Variable] | None, var_names: Iterable[str] | None):
        self.variables, names = list(var_list or ()), [var_names] if isinstance(var_names, str) else var_names
        for v in self.variables:
            if not isinstance(v, Variable):
                raise TypeError(f"{who}.{what}: var_list must hold variables; got {type(v).__name__}.")
        self.names = list(names or ())
        for name in self.names:
            try:
                re.compile(name)
            except (re.error, TypeError) as error:
                raise ValueError(f"{who}.{what}: {name!r} in var_names is not a pattern: {error}.") from None

    def __contains__(self, v: Variable) -> bool:
        return any(v is x for x in self.variables) or any(
            re.search(n, text) for n in self.names for text in (v.name or "", v.path or ""))


class Groups:
    """What the variables of one optimizer are sorted by."""

    def __init__(self, who: str):
        self.who = who
        self.excluded = Choice(who, "exclude_from_weight_decay", None, None)
        self.factors: list[tuple[float, Choice]] = []

    def exclude(self, var_list: Any, var_names: Any) -> None:
        self.excluded = Choice(self.who, "exclude_from_weight_decay", var_list, var_names)

    def multiply(self, factor: Any, var_list: Any, var_names: Any) -> None:
        factor = checks.at_least_zero(f"{self.who}.multiply_rate", "factor", factor)
        self.factors.append((factor, Choice(self.who, "multiply_rate", var_list, var_names)))

    def of(self, v: Variable) -> tuple[bool, float]:
        """(excluded from decay, factor of the rate): updates of variables with the same pair are one call."""
        factor = 1.0
        for value, choice in self.factors:
            factor *= value if v in choice else 1.0
        return v in self.excluded, factor


class Grouped:
    """The part of an optimizer in which its variables are sorted into groups."""

    _groups: Groups
    built: bool

    def exclude_from_weight_decay(self, var_list: Iterable[Variable] | None = None,
                                  var_names: Iterable[str] | None = None) -> None:
        """Let some variables not decay; to be said before `compile`, which builds the optimizer.

        Parameters
        ----------
        var_list : variables.
        var_names : patterns; each variable that has one of them in its name or path is left out.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.optimizers import AdamW
        >>> from fastnn.program.variable import Variable
        >>> kernel, bias = Variable([1.0], name="kernel"), Variable([1.0], name="bias")
        >>> optimizer = AdamW(0.1, weight_decay=0.5)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias"])
        >>> optimizer.apply([np.zeros(1), np.zeros(1)], [kernel, bias])
        >>> kernel.numpy(), bias.numpy()
        (array([0.95], dtype=float32), array([1.], dtype=float32))
        """
        self._not_built("exclude_from_weight_decay")
        self._groups.exclude(var_list, var_names)

    def multiply_rate(self, factor: float, var_list: Iterable[Variable] | None = None,
                      var_names: Iterable[str] | None = None) -> None:
        """Let some variables learn at `factor` times the rate; to be said before the optimizer is built.

        Weight decay follows the rate. 0 leaves the variables as they are. Where several calls name a variable, their
        factors multiply.

        Parameters
        ----------
        factor : 0 or more.
        var_list : variables, such as ``layer.trainable_variables``.
        var_names : patterns; each variable that has one of them in its name or path is meant.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn.optimizers import SGD
        >>> from fastnn.program.variable import Variable
        >>> old, new = Variable([0.0]), Variable([0.0])
        >>> optimizer = SGD(1.0)
        >>> optimizer.multiply_rate(0.25, [old])
        >>> optimizer.apply([np.ones(1), np.ones(1)], [old, new])
        >>> old.numpy(), new.numpy()
        (array([-0.25], dtype=float32), array([-1.], dtype=float32))
        """
        self._not_built("multiply_rate")
        self._groups.multiply(factor, var_list, var_names)

    def _not_built(self, what: str) -> None:
        if self.built:
            raise ValueError(f"{type(self).__name__}.{what} must be called before the optimizer is built: before "
                             "compile, or before its first apply.")
