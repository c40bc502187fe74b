"""Which kernel has which forms: the table that ``fastnn race --list`` prints."""

from __future__ import annotations

from dataclasses import dataclass

from .. import kernels  # noqa: F401  (fills KERNELS)
from ..kernels import tables
from ..kernels.spec import KERNELS, Kernel

COLUMNS = ("numpy", "numba", "native", "user", "torch", "jax")


@dataclass(frozen=True)
class Forms:
    """Kernels and their forms; print it.

    Attributes
    ----------
    rows : kernel name -> the forms that it has, of "numpy", "numba", "native", "user" (brought along by a kernel of
        a user's own), "torch" and "jax" (the same operation in these libraries, for races).
    """

    rows: dict[str, frozenset[str]]

    def __str__(self) -> str:
        width = max(map(len, self.rows))
        lines = [f"{'kernel':<{width}}  {'  '.join(COLUMNS)}"]
        for name, there in self.rows.items():
            cells = (f"{'x' if column in there else '-':^{len(column)}}" for column in COLUMNS)
            lines.append(f"{name:<{width}}  {'  '.join(cells)}".rstrip())
        counts = ", ".join(f"{sum(c in there for there in self.rows.values())} {c}" for c in COLUMNS)
        return "\n".join([*lines, f"{len(self.rows)} kernels: {counts}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ..present.html import html_table

        body = ([name, *("x" * (c in there) for c in COLUMNS)] for name, there in self.rows.items())
        return html_table(("kernel", *COLUMNS), body)


def forms(*own: Kernel) -> Forms:
    """Which kernel has which forms; nothing is compiled or imported to find out.

    Parameters
    ----------
    own : kernels of one's own, which then stand at the end.

    Examples
    --------
    >>> sorted(forms().rows["exp"] & {"numpy", "jax"})
    ['jax', 'numpy']
    """
    from . import jax_forms, torch_forms

    every = {**KERNELS, **{kernel.name: kernel for kernel in own}}
    native = tables.forms("native") if tables.native_available() else {}
    has = {"numpy": lambda k: True, "numba": lambda k: tables.has_form("numba", k.name) and not k.own_form,
           "native": lambda k: k.name in native, "user": lambda k: k.own_form is not None,
           "torch": lambda k: k.name in torch_forms.known(), "jax": lambda k: k.name in jax_forms.known()}
    return Forms({name: frozenset(c for c in COLUMNS if has[c](kernel)) for name, kernel in every.items()})
