"""Which kernel has which form, and forms made elsewhere."""

import numpy as np
import pytest

import fastnn
from fastnn.kernels import single, tables
from fastnn.kernels.broadcast import Flat
from fastnn.program.graph import Graph
from fastnn.program.program import Program

pytest.importorskip("fastnn.kernels.native.core")


class Copy2(Flat):
    """A kernel whose compiled form is somebody else's C function."""

    name = "test_copy2"

    def numpy(self, x):
        return np.array(x)


copy2 = Copy2()


@pytest.fixture
def own_table(monkeypatch):
    for backend in ("native", "numba"):
        monkeypatch.setitem(tables._forms, backend, tables.forms(backend))  # put back afterwards


def program(backend):
    graph = Graph("own")
    graph.fetch("y", copy2(graph.feed("x", (3,), np.float32)))
    return Program(graph, backend=backend)


@pytest.mark.parametrize("backend", ["native", "numba"])
def test_a_form_made_elsewhere_joins_a_table(own_table, backend):
    tables.add_form(backend, "test_copy2", tables.form("native", "square"))
    assert tables.has_form(backend, "test_copy2")
    np.testing.assert_array_equal(single.run(copy2, np.float32([3, 4]), backend=backend)[0], [9, 16])
    y = np.empty((1, 3), np.float32)
    program(backend).run(1, {"x": np.float32([[1, 2, 3]])}, {"y": y})
    assert y.tolist() == [[1, 4, 9]]


@pytest.mark.parametrize("backend", ["native", "numba"])
def test_without_a_form_building_a_program_says_so(backend):
    if backend == "numba":
        pytest.importorskip("numba")
    with pytest.raises(tables.MissingForm) as error:
        program(backend)
    assert str(error.value) == f"The backend '{backend}' has no form of the kernel 'test_copy2'."


def test_the_meaning_alone_is_enough_for_the_numpy_backend():
    y = np.empty((1, 3), np.float32)
    program("numpy").run(1, {"x": np.float32([[1, 2, 3]])}, {"y": y})
    assert y.tolist() == [[1, 2, 3]]


def test_has_form_compiles_nothing():
    before = tables.forms("numba")
    assert all(tables.has_form(backend, "expm1") for backend in ("native", "numba", "numpy"))
    assert not tables.has_form("numba", "test_copy2") and not tables.has_form("numpy", "test_copy2")
    assert tables.forms("numba") == before


def test_backends_that_are_there():
    from fastnn.program.backend import available

    assert {"native", "numpy"} <= set(available())
    with pytest.raises(ValueError, match="no backend 'cuda'; there are native, numba, numpy"):
        fastnn.set_backend("cuda")
