"""The first lines of each Cython kernel against its spec.

One C signature serves all kernels, so no compiler tells a swapped pair of buffers. Each kernel therefore unpacks
``buf``, ``dim`` and ``attr`` by name in its first lines, and here those names are held against the spec's.
"""

import os
import re
from importlib import import_module
from pathlib import Path

import pytest

from fastnn.kernels.spec import KERNELS
from fastnn.kernels.tables import FAMILIES

REPOSITORY = Path(__file__).resolve().parents[2]
#: where the .pyx files may stand: named, beside the tests, or where `make test` copies them
PLACES = (os.environ.get("FASTNN_TEST_SOURCES", ""), REPOSITORY / "fastnn/kernels/native",
          REPOSITORY / "sources")
SOURCES = next((p for p in map(Path, filter(None, PLACES)) if (p / "core.pyx").exists()), None)

#: (kernel, its name of a number) -> the spec's name, where they differ for a reason
RENAMED = {
    ("gather_rows", "dtype"): "source",  # the spec names the dtype after the slot that has it
    ("gather_labels", "dtype"): "source",
}
#: Kernels that hand `dim` on whole: as many sizes as the arrays have axes, or helpers shared by several kernels.
DIMS_AS_A_WHOLE = {"add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "greater", "where",
                   "broadcast_to", "transpose", "reduce_sum", "reduce_mean", "reduce_max", "conv", "conv_grad_input",
                   "conv_grad_weight", "conv_transpose", "depthwise", "depthwise_grad_input", "depthwise_grad_weight",
                   "max_pool", "max_pool_grad", "average_pool", "average_pool_grad"}

FUNCTION = re.compile(r"^cdef void (\w+)\(void \*const \*buf, const int64_t \*dim, const double \*attr,\s+"
                      r"int64_t first,\s+int64_t last\) noexcept nogil:\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
UNPACKED = re.compile(r"(\w+) = (?:<[^<>]+> ?)?(buf|dim|attr)\[(\d+)\](?: != 0)?(?=,|$)", re.MULTILINE)
USED = re.compile(r"\b(buf|dim|attr)\[(\d+)\]")
TABLE = re.compile(r'^    "(\w+)": <uintptr_t> &(\w+),$', re.MULTILINE)


def wanted(kernel) -> dict[str, list[str]]:
    """The names of what the spec hands over, in C order."""
    return {"buf": [*kernel.outputs, *kernel.inputs], "dim": list(kernel.dims),
            "attr": [n for n in kernel.attrs if n not in kernel.hidden]}


def mismatches(text: str) -> list[str]:
    """A sentence for each place in which a module's kernels and their specs differ."""
    found = []
    bodies = dict(FUNCTION.findall(text))
    for name, function in TABLE.findall(text):
        if name != function:
            found.append(f"{name}: the table has the function {function}")
        if function not in bodies:
            found.append(f"{name}: there is no function {function} of the kernel signature")
            continue
        kernel, body = KERNELS[name], bodies[function]
        lines = "\n".join(line for line in body.splitlines() if line.startswith("    cdef "))
        slots = wanted(kernel)
        seen = {kind: {} for kind in slots}
        for own, kind, place in UNPACKED.findall(lines):
            names, at = slots[kind], int(place)
            seen[kind][at] = own
            means = names[at] if at < len(names) else "nothing"
            if RENAMED.get((name, own), own) != means and not (kind == "dim" and name in DIMS_AS_A_WHOLE):
                found.append(f"{name}: {own} = {kind}[{at}], which is {means} in the spec")
        for kind, names in slots.items():
            if kind == "dim" and name in DIMS_AS_A_WHOLE:
                continue
            for at, own in enumerate(names):
                # an array updated in place is unpacked as the output; its input slot holds the same address
                if at not in seen[kind] and not (kind == "buf" and names.index(own) < at):
                    found.append(f"{name}: {kind}[{at}], {own} in the spec, is not unpacked")
        for kind, place in USED.findall(body):
            if int(place) not in seen[kind] and not (kind == "dim" and name in DIMS_AS_A_WHOLE):
                found.append(f"{name}: {kind}[{place}] is used without a name")
    return found


def source(module: str) -> str:
    if SOURCES is None:
        pytest.skip("the sources of the compiled modules are not here (FASTNN_TEST_SOURCES says where they are)")
    import_module(f"fastnn.kernels.{module}")
    return (SOURCES / f"{module}.pyx").read_text()


@pytest.mark.parametrize("module", FAMILIES)
def test_names_and_order_are_those_of_the_spec(module):
    assert mismatches(source(module)) == []


@pytest.mark.parametrize("module", FAMILIES)
def test_all_kernels_of_the_module_are_seen(module):
    """What the expressions don't match is not checked, so they must match everything in the table."""
    text = source(module)
    native = pytest.importorskip(f"fastnn.kernels.native.{module}")
    assert [name for name, _ in TABLE.findall(text)] == list(native.KERNELS)
    assert {name for name, _ in FUNCTION.findall(text)} >= set(native.KERNELS)


@pytest.mark.parametrize("module, old, new, says", [
    ("activation", "dy = <const float *> buf[1]", "dy = <const float *> buf[2]", "dy = buf[2], which is x"),
    ("activation", "&softmax_grad,", "&log_softmax_grad,", "the table has the function log_softmax_grad"),
    ("optim", "beta_1 = attr[0]", "beta_2 = attr[0]", "beta_2 = attr[0], which is beta_1"),
    ("optim", "epsilon = <const double *> buf[5]", "epsilon = <const double *> buf[6]", "buf[5], epsilon"),
    ("norm", "cdef int64_t columns = dim[1]", "cdef int64_t rows_2 = dim[0]", "dim[1], columns in the spec, is not"),
    ("dense", "M = dim[0], K = dim[1]", "M = dim[1], K = dim[0]", "M = dim[1], which is K"),
    ("dropout", "stream(step[0], key0, key1)", "stream(step[0], attr[3], key1)", "attr[3] is used without a name"),
])
def test_a_swapped_slot_is_found(module, old, new, says):
    text = source(module)
    assert old in text
    assert any(says in sentence for sentence in mismatches(text.replace(old, new)))
