"""Arrays over memory that is known by its address, in Python and in compiled code alike."""

from __future__ import annotations

import ctypes
import math

import numpy as np

from .form import Helper


def _view(address, shape, dtype):
    shape = shape if isinstance(shape, tuple) else (shape,)
    count = math.prod(shape)
    if count == 0:
        return np.empty(shape, dtype)
    raw = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(int(address))
    return np.frombuffer(raw, dtype).reshape(shape)


def _compiled_view():
    from numba import carray, njit

    from .build import OPTIONS, as_pointer

    @njit(**OPTIONS)
    def view(address, shape, dtype):
        return carray(as_pointer(address), shape, dtype)

    return view


#: view(address, shape, dtype): the array of this shape (a tuple, or a number of elements) that stands there
view = Helper(_view, _compiled_view)


def _number(address, dtype):
    return _view(address, 1, dtype)[0] if address else dtype(0)


def _compiled_number():
    from numba import carray, njit

    from .build import OPTIONS, as_pointer

    @njit(**OPTIONS)
    def number(address, dtype):
        return carray(as_pointer(address), 1, dtype)[0] if address != 0 else dtype(0)

    return number


#: number(address, dtype): the one number that stands there, or 0 for the address 0
number = Helper(_number, _compiled_number)


def _copied(y, x):
    y[:] = x


def _compiled_copied():
    from numba.core import cgutils
    from numba.core import types as nb
    from numba.extending import intrinsic

    @intrinsic
    def copied(context, y, x):
        """The C library's memcpy: a loop over bytes or short rows is not as fast as that."""
        def generate(target, builder, signature, args):
            to, source = (target.make_array(t)(target, builder, a) for t, a in zip(signature.args, args, strict=True))
            cgutils.raw_memcpy(builder, to.data, source.data, to.nitems, to.itemsize)

        return nb.void(y, x), generate

    return copied


#: copied(y, x): y[:] = x, for contiguous arrays of one dtype and length that don't overlap
copied = Helper(_copied, _compiled_copied)


def _compiled_local():
    from llvmlite import ir
    from numba.core import types
    from numba.extending import intrinsic

    @intrinsic(prefer_literal=True)
    def local(context, count, dtype):
        if not isinstance(count, types.IntegerLiteral):
            return None
        kind = types.Array(dtype.dtype, 1, "C")

        def generate(target, builder, signature, args):
            number = target.get_data_type(dtype.dtype)
            with builder.goto_entry_block():  # once, not in each turn of a loop
                memory = builder.alloca(ir.ArrayType(number, count.literal_value))
            memory.align = 64
            array = target.make_array(kind)(target, builder)
            size, step = (target.get_constant(types.intp, n)
                          for n in (count.literal_value, dtype.dtype.bitwidth // 8))
            target.populate_array(array, data=builder.bitcast(memory, number.as_pointer()), shape=(size,),
                                  strides=(step,), itemsize=step, meminfo=None)
            return array._getvalue()

        return kind(count, dtype), generate

    return local


#: local(count, dtype): room on the stack for as long as the function runs; count is a constant
local = Helper(lambda count, dtype: np.empty(count, dtype), _compiled_local)
local.__name__ = "local"


def _scratch(start, shape):
    return np.empty(shape, np.float32)


def _compiled_scratch():
    from llvmlite import ir
    from numba import carray, njit
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    from .build import OPTIONS

    @intrinsic
    def address(context):
        """void *fnn_scratch(void) of csrc/fastnn.h; `build` tells LLVM where that name stands."""
        def generate(target, builder, signature, args):
            function = ir.FunctionType(cgutils.voidptr_t, [])
            return builder.call(cgutils.get_or_insert_function(builder.module, function, "fnn_scratch"), [])

        return types.voidptr(), generate

    @intrinsic
    def behind(context, pointer, count):
        """The pointer to the float32 `count` further on."""
        def generate(target, builder, signature, args):
            return builder.gep(args[0], [builder.shl(args[1], ir.Constant(args[1].type, 2))])

        return types.voidptr(types.voidptr, types.int64), generate

    @njit(**OPTIONS)
    def scratch(start, shape):
        return carray(behind(address(), start), shape, np.float32)

    return scratch


#: scratch(start, shape): an array of float32 of undefined values in this thread's scratch memory, from its element
#: `start` on. A kernel's spec says how many bytes it needs. As plain Python it is new memory.
scratch = Helper(_scratch, _compiled_scratch)


def _call_kernel(kernel, buf, dim, attr, first, last):
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, *[ctypes.c_int64] * 2)
    signature(int(kernel))(int(buf), int(dim), int(attr), int(first), int(last))


def _compiled_call_kernel():
    from llvmlite import ir
    from numba.core import cgutils, types
    from numba.extending import intrinsic

    @intrinsic
    def call_kernel(context, kernel, buf, dim, attr, first, last):
        def generate(target, builder, signature, args):
            size = args[4].type
            function = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t] * 3 + [size] * 2)
            pointers = [builder.inttoptr(a, cgutils.voidptr_t) for a in args[1:4]]
            builder.call(builder.inttoptr(args[0], function.as_pointer()), [*pointers, *args[4:]])

        return types.void(types.uintp, types.uintp, types.uintp, types.uintp, types.int64, types.int64), generate

    return call_kernel


#: call_kernel(kernel, buf, dim, attr, first, last): run a kernel of the C signature; the first four are addresses
call_kernel = Helper(_call_kernel, _compiled_call_kernel)
