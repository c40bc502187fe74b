"""The micro-kernel of the matrix product, as the instructions that a CPU gets for it.

LLVM's intermediate representation has registers without number, of which each is written once, and vectors of any
width. So a piece of C is 24 values of 16 floats; a loop is two blocks of instructions, `phi` says which value
a name has depending on the block that one comes from. Python's part is to write this down: its own loops over rows
and vectors run while the kernel is made and leave no trace but straight code, once for every size of piece.

This module needs Numba, and is imported when a form is compiled.
"""

from __future__ import annotations

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, njit
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

ROWS = (6, 4, 2, 1)


def _registers() -> tuple[int, int]:
    """Floats of a vector of the CPU that Numba compiles for, and vectors of the widest piece of C.

    6 x 4 sums, 4 vectors of B and a number of A need 29 of 32 registers; with 16 registers a piece has 6 x 2.
    """
    features = config.CPU_FEATURES
    if features is None:
        features = "" if config.CPU_NAME else llvm.get_host_cpu_features().flatten()
    if "+avx512vl" in features:
        return 16, 4
    arm = llvm.get_process_triple().startswith(("aarch64", "arm64"))
    return (8 if "+avx" in features else 4), (4 if arm else 2)


LANES, WIDEST = _registers()
VECTORS = tuple(n for n in (WIDEST, 1))

FLOAT, SIZE, INDEX, BIT, BYTE = ir.FloatType(), ir.IntType(64), ir.IntType(32), ir.IntType(1), ir.IntType(8)
VECTOR, MASK, INDEXES = (ir.VectorType(t, LANES) for t in (FLOAT, BIT, INDEX))
ZERO = ir.Constant(VECTOR, [0.0] * LANES)


@njit
def width(columns):
    """How many columns the next piece has if so many are left; only the one of a single vector need not be full."""
    return WIDEST * LANES if columns >= WIDEST * LANES else LANES


@intrinsic
def tile(context, c, a, b, add):
    """c = a @ b, or c += a @ b if `add`, for a c of the sizes above; b's rows are contiguous."""
    def generate(target, builder, signature, args):
        arrays = [make_array(kind)(target, builder, value) for kind, value in zip(signature.args[:3], args)]
        rows, columns = cgutils.unpack_tuple(builder, arrays[0].shape)
        depth = builder.extract_value(arrays[2].shape, 0)
        where = [_Matrix(builder, array) for array in arrays]
        vectors = builder.sdiv(builder.add(columns, SIZE(LANES - 1)), SIZE(LANES))
        there = builder.sub(columns, builder.mul(builder.sub(vectors, SIZE(1)), SIZE(LANES)))
        numbers = ir.Constant(INDEXES, list(range(LANES)))
        mask = builder.icmp_signed("<", numbers, _splat(builder, builder.trunc(there, INDEX)))
        # one stretch of code for each size of c
        done = builder.append_basic_block("done")
        switch = builder.switch(builder.add(builder.mul(rows, SIZE(8)), vectors), done)
        for r in ROWS:
            for v in VECTORS:
                with builder.goto_block(builder.append_basic_block(f"tile_{r}x{v}")):
                    switch.add_case(SIZE(8 * r + v), builder.block)
                    _sums(builder, r, v, *where, depth, mask if v == 1 else None, args[3])
                    builder.branch(done)
        builder.position_at_end(done)
        return target.get_dummy_value()

    return types.void(c, a, b, types.boolean), generate


class _Matrix:
    """Where the elements of an array stand."""

    def __init__(self, builder, array):
        self.builder = builder
        self.start = builder.bitcast(array.data, BYTE.as_pointer())
        self.down, self.right = cgutils.unpack_tuple(builder, array.strides)  # bytes from row to row, column to column

    def row(self, i: int):
        return self.builder.gep(self.start, [self.builder.mul(self.down, SIZE(i))])


def _sums(builder, rows: int, vectors: int, c, a, b, depth, mask, add) -> None:
    """The code for one piece of C: `rows` x `vectors` sums over k; `mask` says which lanes of the vectors exist."""
    pieces = [(i, j) for i in range(rows) for j in range(vectors)]
    c_rows, a_rows = [c.row(i) for i in range(rows)], [a.row(i) for i in range(rows)]
    start = [builder.select(add, _load(builder, c_rows[i], j, mask), ZERO) for i, j in pieces]

    before, test, body, after = builder.block, *(builder.append_basic_block(n) for n in ("test", "body", "after"))
    builder.branch(test)
    builder.position_at_end(test)
    k, a_offset, b_offset = builder.phi(SIZE), builder.phi(SIZE), builder.phi(SIZE)
    sums = [builder.phi(VECTOR) for _ in pieces]
    builder.cbranch(builder.icmp_signed("<", k, depth), body, after)

    builder.position_at_end(body)
    b_row = builder.gep(b.start, [b_offset])
    b_vectors = [_load(builder, b_row, j, mask) for j in range(vectors)]
    a_vectors = [_splat(builder, builder.load(_at(builder, p, a_offset, FLOAT))) for p in a_rows]
    more = [_fma(builder, a_vectors[i], b_vectors[j], s) for (i, j), s in zip(pieces, sums)]
    step = builder.add(k, SIZE(1)), builder.add(a_offset, a.right), builder.add(b_offset, b.down)
    builder.branch(test)
    for phi, first, then in zip((k, a_offset, b_offset, *sums), (SIZE(0), SIZE(0), SIZE(0), *start), (*step, *more)):
        phi.add_incoming(first, before)
        phi.add_incoming(then, body)

    builder.position_at_end(after)
    for (i, j), s in zip(pieces, sums):
        _store(builder, c_rows[i], j, mask, s)


def _splat(builder, x):
    """A vector of which each lane is x."""
    kind = ir.VectorType(x.type, LANES)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), x, INDEX(0))
    return builder.shuffle_vector(one, ir.Constant(kind, ir.Undefined), ir.Constant(INDEXES, [0] * LANES))


def _at(builder, pointer, offset, kind):
    """The pointer to a `kind` that stands `offset` bytes further on."""
    return builder.bitcast(builder.gep(pointer, [offset]), kind.as_pointer())


def _call(builder, name: str, result, *args):
    """Call one of LLVM's own functions on vectors."""
    kind = ir.FunctionType(result, [a.type for a in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)


def _fma(builder, a, b, c):
    return _call(builder, f"llvm.fma.v{LANES}f32", VECTOR, a, b, c)


def _load(builder, row, j: int, mask):
    """Vector j of a row; lanes that do not exist are 0 and not read."""
    place = _at(builder, row, SIZE(4 * LANES * j), VECTOR)
    if mask is None:
        return builder.load(place, align=4)
    return _call(builder, f"llvm.masked.load.v{LANES}f32.p0", VECTOR, place, INDEX(4), mask, ZERO)


def _store(builder, row, j: int, mask, value) -> None:
    place = _at(builder, row, SIZE(4 * LANES * j), VECTOR)
    if mask is None:
        builder.store(value, place, align=4)
    else:
        _call(builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(), value, place, INDEX(4), mask)
