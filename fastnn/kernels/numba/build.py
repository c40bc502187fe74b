"""From a `Form` to the address of a C function: Numba's part, and what is ours about it.

Three things are not as Numba does them by itself:

- **Literals are float32.** In NumPy ``x * 0.5`` of a float32 is a float32; in Numba the literal is a float64 and makes
  the whole expression wide, at half the speed. A pass over the function's intermediate code narrows every float
  literal and constant; ``np.float64(0.5)`` stays what it says.
- **exp, log, tanh and kin are ours** (`math`): what NumPy's and math's names mean in a function is taken out of
  its globals. Numba's own call the C library once per element, which keeps a loop from becoming vector code.
- **The cache** (`cache`) is keyed by what the code is made of, and holds machine code and no pickles.
"""

from __future__ import annotations

import ctypes
import dis
import inspect
import math
import os
import re
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from ...extras import need
from ..native import core
from . import cache
from .form import Form, Helper

numba = need("numba", extra="numba")

import llvmlite.binding as llvm  # noqa: E402
from numba.core import ir  # noqa: E402
from numba.core import types as nb  # noqa: E402
from numba.core.compiler import CompilerBase, DefaultPassBuilder  # noqa: E402
from numba.core.compiler_machinery import FunctionPass, register_pass  # noqa: E402
from numba.core.untyped_passes import IRProcessing  # noqa: E402
from numba.extending import intrinsic  # noqa: E402

#: void k(void *const *buf, const int64_t *dim, const double *attr, int64_t first, int64_t last)
ABI = nb.void(nb.CPointer(nb.uintp), nb.CPointer(nb.int64), nb.CPointer(nb.float64), nb.int64, nb.int64)
PYTHON_ABI = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_size_t), ctypes.POINTER(ctypes.c_int64),
                              ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.c_int64)
DTYPES = {name: getattr(np, kind) for name, kind in {
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64"}.items()}


llvm.add_symbol("fnn_scratch", core.SCRATCH_FUNCTION)  # where compiled code, also that of the cache, finds it


class CompileError(TypeError):
    """Numba can't compile a function; the message says which and why."""


# ---------------------------------------------------------------------- the compiler, with float32 literals

def _narrow(value, whole: bool):
    """The float32 that a literal means, or None to leave it."""
    return np.float32(value) if type(value) is float or whole and type(value) is int else None


class _Literals(FunctionPass):
    _name = "fastnn_literals"
    whole = False  # whether whole numbers are floats too: in functions of one element, which have no other use for them

    def __init__(self):  # abstract above
        super().__init__()

    def run_pass(self, state) -> bool:
        changed, exponents = False, self._exponents(state.func_ir) if self.whole else set()
        for block in state.func_ir.blocks.values():
            for statement in block.body:
                if isinstance(statement, ir.Assign) and isinstance(statement.value, ir.Const | ir.Global | ir.FreeVar):
                    whole = self.whole and statement.target.name not in exponents
                    narrow = _narrow(statement.value.value, whole)
                    if narrow is not None:
                        statement.value.value, changed = narrow, True
        return changed

    @staticmethod
    def _exponents(func_ir) -> set[str]:
        """Variables that stand right of ``**``: x**2 shall stay a product."""
        found = set()
        for block in func_ir.blocks.values():
            for statement in block.body:
                value = getattr(statement, "value", None)
                if isinstance(value, ir.Expr) and value.op == "binop" and value.fn.__name__ == "pow":
                    found.add(value.rhs.name)
        return found


@register_pass(mutates_CFG=False, analysis_only=False)
class FloatLiterals(_Literals):
    _name = "fastnn_float_literals"


@register_pass(mutates_CFG=False, analysis_only=False)
class AllLiterals(_Literals):
    _name = "fastnn_all_literals"
    whole = True


def _pipeline(literals: type, noalias: bool = False) -> type:
    class Pipeline(CompilerBase):
        def define_pipelines(self):
            self.state.flags.noalias = noalias
            passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
            passes.add_pass_after(literals, IRProcessing)
            passes.finalize()
            return [passes]

    return Pipeline


OPTIONS = {"error_model": "numpy", "pipeline_class": _pipeline(FloatLiterals)}
#: of helpers and functions of one element: a call that LLVM finds too long to put into the loop around it costs the
#: loop its vectors
INLINE = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
#: of helpers made with ``noalias``, which Numba has no decorator's option for
NOALIAS = {"pipeline_class": _pipeline(FloatLiterals, noalias=True)}
ELEMENT_OPTIONS = {"error_model": "numpy", "pipeline_class": _pipeline(AllLiterals)}


@intrinsic
def as_pointer(context, address):
    """An address as a pointer."""
    def generate(target, builder, signature, args):
        return builder.inttoptr(args[0], target.get_value_type(nb.voidptr))

    return nb.voidptr(nb.uintp), generate


# ---------------------------------------------------------------------- what a function's names mean

class Namespace:
    """Gives functions other globals: helpers compiled, NumPy's and math's functions replaced by ours.

    One for all forms, so that each helper is compiled once; one more for the functions of users of which each element
    is a float (`whole`).
    """

    def __init__(self, options: dict[str, Any]):
        self.options = options
        self._made: dict[tuple[int, bool], tuple[Any, Any]] = {}  # id -> (original, which stays alive; in its place)

    def function(self, f: Callable, checked: bool = False) -> Callable:
        """A copy of f whose globals and closure are those of compiled code."""
        names = _globals(f.__code__)
        scope = {n: self.value(v, checked) for n, v in f.__globals__.items() if n in names}
        cells = tuple(types.CellType(self.value(c.cell_contents, checked)) for c in f.__closure__ or ())
        return types.FunctionType(f.__code__, {"__builtins__": __builtins__, "__name__": f.__module__, **scope},
                                  f.__name__, f.__defaults__, cells)

    def dispatcher(self, f: Callable, checked: bool = False, **options: Any):
        """f for compiled code."""
        options |= NOALIAS if options.pop("noalias", False) else {}
        return numba.njit(**{**self.options, "boundscheck": checked or None, **options})(self.function(f, checked))

    def value(self, v: Any, checked: bool = False) -> Any:
        """What compiled code sees in place of a global."""
        if isinstance(v, Helper):
            return self._once(v, checked, lambda: v.intrinsic() if v.intrinsic else
                              SHARED.dispatcher(v.function, checked, **{**INLINE, **v.options}))
        if v is np or v is math:
            return self._once(v, checked, lambda: _library(v, self))
        try:
            if v in _OURS():
                return self.value(_OURS()[v])
        except TypeError:  # what has no hash is not a function
            return v
        if isinstance(v, types.FunctionType):
            return self._once(v, checked, lambda: self.dispatcher(v, checked))
        if isinstance(v, float) and type(v) is float:
            return np.float32(v)
        return v

    def _once(self, v: Any, checked: bool, make: Callable[[], Any]) -> Any:
        key = id(v), checked
        if key not in self._made:
            self._made[key] = v, None
            try:
                self._made[key] = v, make()
            except BaseException:
                del self._made[key]
                raise
        if self._made[key][1] is None:
            raise CompileError(f"The function {v.__name__!r} calls itself; kernels can't do that.")
        return self._made[key][1]


def _globals(code) -> set[str]:
    """Names of the globals that code reads, functions inside it too."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    own = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return own.union(*map(_globals, inner))


_ours: dict[Any, Helper] = {}


def _OURS() -> dict[Any, Helper]:  # noqa: N802
    """NumPy's and math's functions -> ours."""
    if not _ours:
        from . import math as own

        for name in own.__all__:
            for library in (np, math):
                if hasattr(library, name):
                    _ours[getattr(library, name)] = getattr(own, name)
    return _ours


def _library(module: types.ModuleType, space: Namespace) -> types.ModuleType:
    """A module as functions shall see it: with our functions, and constants in float32."""
    ours = types.ModuleType(module.__name__)
    for name, v in vars(module).items():
        if type(v) is float:
            v = np.float32(v)
        elif callable(v) and not isinstance(v, type) and (v in _OURS() if v.__hash__ else False):
            v = space.value(v)
        setattr(ours, name, v)
    return ours


SHARED = Namespace(OPTIONS)
ELEMENTS = Namespace(ELEMENT_OPTIONS)


# ---------------------------------------------------------------------- building

def build(form: Form) -> tuple[int, Any]:
    """The address of a form's C function, and what must stay alive for it."""
    if numba.config.DISABLE_JIT:
        return _in_python(form)
    kernel = form.kernel
    code = wrapper_code(form)
    key = None if form.guarded or form.checked else cache.key(form, code)
    if key and (found := cache.load(kernel.name, key)):
        return found
    try:
        made = numba.cfunc(ABI, **OPTIONS)(_wrapper(form, code, compiled=True))
    except Exception as error:  # Numba's own errors, and what its folding of constants may come upon
        raise CompileError(f"The kernel {kernel.name!r} can't be compiled by Numba: {_reason(error)}") from error
    if key:
        cache.save(kernel.name, key, made._library, made.native_name)
    return made.address, made


def wrapper_code(form: Form) -> str:
    """Python source of everything around the form's function."""
    text = form.wrapper()
    if form.elementwise:
        text = _loop(form) + text
    if form.guarded:
        lines = text.splitlines()
        lines[-1:] = ["    try:", f"    {lines[-1]}", "    except Exception:", "        view(FAULT, 1, i8)[0] = 1"]
        text = "\n".join(lines) + "\n"
    return text


def _loop(form: Form) -> str:
    """def form(y, x, low, high): for i in range(len(y)): y[i] = element(x[i], low, high)

    For broadcast inputs the loops stand in `broadcast`.
    """
    kernel = form.kernel
    if form.broadcast:
        (y,), (a, b) = kernel.outputs, kernel.inputs
        head = f"def form({', '.join(form._array_names(kernel))}):"
        return f"{head}\n    two(element, {y}, {a}, {b}, dim, first, last)\n\n"
    arrays = {*kernel.inputs, *kernel.outputs}
    element = ", ".join(f"{n}[i]" if n in arrays and not form.is_number(n) else n
                        for n in inspect.signature(form.function).parameters)
    outputs = ", ".join(f"{n}[i]" for n in kernel.outputs)
    return (f"def form({', '.join(form._array_names(kernel))}):\n    for i in range(len({kernel.outputs[0]})):\n"
            f"        {outputs} = element({element})\n\n")


def _wrapper(form: Form, code: str, compiled: bool) -> Callable:
    """The function of the C signature, for Numba or for Python."""
    from . import broadcast, memory

    def see(helper):
        return SHARED.value(helper) if compiled else helper

    scope: dict[str, Any] = {"view": see(memory.view), "number": see(memory.number), **DTYPES}
    if form.broadcast:
        scope["two"] = see(broadcast.two)
    if form.guarded:
        form.fault = np.zeros(1, np.int64)
        scope["FAULT"] = np.uintp(form.fault.ctypes.data)
    space = (ELEMENTS if form.elementwise else SHARED)
    inline = INLINE if form.elementwise else {}
    body = space.dispatcher(form.function, form.checked, **inline) if compiled else form.function
    scope["element" if form.elementwise else "form"] = body
    exec(compile(code, f"<numba form of {form.name}>", "exec"), scope)  # our own text, made from the kernel's spec
    if form.elementwise and compiled:
        scope["form"] = numba.njit(**OPTIONS)(scope["form"])
    return scope[form.kernel.name]


def python_form(form: Form) -> Callable:
    """The form as a Python function (buf, dim, attr, first, last) that takes addresses; for debuggers."""
    return _wrapper(form, wrapper_code(form), compiled=False)


def _in_python(form: Form) -> tuple[int, Any]:
    """A C function that calls back into Python: with the JIT off, whole programs can be stepped through."""
    function = python_form(form)

    def run(*args):
        with np.errstate(all="ignore"):  # whole numbers wrap around in hashes and bit patterns
            function(*args)

    callback = PYTHON_ABI(run)
    return ctypes.cast(callback, ctypes.c_void_p).value, callback


def _reason(error: Exception) -> str:
    """The line of Numba's message that says most."""
    place = re.search(r'File "(?!<numba form)[^"]*", line (\d+)', str(error))
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("Failed in", "During:", "File ", "<source"))]
    return " ".join(lines[:2] or [type(error).__name__]) + (f" (line {place[1]})" if place else "")


def reached(form: Form) -> list[Any]:
    """The function of a form and every function and constant that it leads to, in a fixed order."""
    found: list[Any] = []

    def visit(f: Callable) -> None:
        if f in found:
            return
        found.append(f)
        for name in sorted(_globals(f.__code__)):
            v = f.__globals__.get(name)
            v = _OURS().get(v, v) if callable(v) and v.__hash__ else v
            if v is np or v is math:
                for used in sorted(f.__code__.co_names):
                    ours = _OURS().get(getattr(v, used, None)) if callable(getattr(v, used, None)) else None
                    if ours is not None:
                        visit(ours.function)
            elif isinstance(v, Helper):
                visit(v.function)
                if v.intrinsic:
                    found.append(v.intrinsic)
            elif isinstance(v, types.FunctionType):
                visit(v)
            elif isinstance(v, int | float | tuple | str):
                found.append((name, v))
        for cell in f.__closure__ or ():
            found.append(repr(cell.cell_contents))

    visit(form.function)
    if form.broadcast:
        from . import broadcast

        visit(broadcast.two.function)
    return found


def environment() -> str:
    """What else the machine code depends on: versions, CPU and switches."""
    import platform

    import llvmlite

    return "\n".join([numba.__version__, llvmlite.__version__, np.__version__, platform.python_version(),
                      llvm.get_process_triple(), os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name(),
                      os.environ.get("NUMBA_CPU_FEATURES") or llvm.get_host_cpu_features().flatten(),
                      str(numba.config.OPT)])
