"""PyTorch and JAX compute what our kernels do, for every kernel that has a form there."""

import numpy as np
import pytest

import fastnn
from fastnn.kernels.activation import KINDS
from fastnn.kernels.dense import ACTIVATIONS
from fastnn.race import jax_forms, torch_forms

pytest.importorskip("fastnn.kernels.native.core")
TINY = {"n": 300, "rows": 30, "columns": 20, "M": 17, "K": 20, "N": 30, "images": 2, "size": 6, "channels": 17}
MODULES = {"torch": torch_forms, "jax": jax_forms}
CASES = [(library, name, {}) for library, module in MODULES.items() for name in sorted(module.known())]
CASES += [(library, "activation", {"kind": kind, "alpha": 0.7}) for library in MODULES for kind in KINDS]
CASES += [("torch", "activation_grad", {"kind": kind, "alpha": 0.7}) for kind in KINDS]
CASES += [(library, name, {"activation": kind, "alpha": 0.7}) for library in MODULES for kind in ACTIVATIONS
          for name in ("dense", "dense_grad_input")]
CASES += [(library, "matmul", {"transpose_a": ta, "transpose_b": tb}) for library in MODULES
          for ta in (0, 1) for tb in (0, 1)]
CASES += [(library, *more) for library in MODULES for more in (
    ("momentum", {"nesterov": 1}), ("rmsprop", {"epsilon_inside": 0, "epsilon": 0.1}), ("rmsprop", {"epsilon": 0.1}),
    ("batch_norm", {"unbiased_moving_variance": 1, "momentum": 0.5}), ("batch_norm", {"momentum": 0.5}),
    ("reduce_sum", {"axes": None}), ("reduce_max", {"axes": (0,), "keepdims": True}), ("reduce_max", {"axes": None}),
    ("reduce_mean", {"axes": (0, 1)}), ("transpose", {"perm": (0, 1)}), ("gather_rows", {"scale": 1.0}))]


@pytest.mark.parametrize("library, name, attrs", CASES, ids=lambda x: x if isinstance(x, str) else str(x))
def test_agrees_with_the_meaning(library, name, attrs):
    pytest.importorskip(library)
    size = fastnn.race.entries.entry(name).size
    result = fastnn.race(name, backends=[library], threads=[1, 2], seconds=0.0, **{d: TINY[d] for d in size}, **attrs)
    assert not result.absent
    assert all(row.agreement.agrees for row in result.rows), [row.agreement for row in result.rows]
    assert [row.threads for row in result.rows] == ([1, 2] if library == "torch" else [None])


def test_a_kernel_without_a_form_is_a_line_in_the_report():
    pytest.importorskip("torch")
    result = fastnn.race("rmsprop_centered", n=100, backends=["numpy", "torch"], seconds=0.0)
    assert [a.name for a in result.absent] == ["torch"] and "no form of rmsprop_centered" in result.absent[0].reason


def test_the_threads_of_torch_are_restored():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()

    def stopped(x):
        raise KeyboardInterrupt

    for threads in (1, 2):
        torch.set_num_threads(threads)
        with pytest.raises(KeyboardInterrupt):
            fastnn.race("exp", n=100, backends=["torch"], threads=[3], seconds=0.0, opponents={"stopped": stopped})
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)


def test_random_numbers_are_said_to_be_others():
    pytest.importorskip("torch")
    (row,) = fastnn.race("dropout", n=10_000, backends=["torch"], threads=1, seconds=0.0).rows
    assert row.agreement.agrees and row.agreement.note.startswith("other random numbers")


def test_not_installed_is_a_line_in_the_report(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    monkeypatch.setitem(__import__("sys").modules, "jax", None)
    result = fastnn.race("exp", inputs=(np.ones(5),), seconds=0.0)
    assert "not there: torch: not installed" in str(result) and "not there: jax: not installed" in str(result)
