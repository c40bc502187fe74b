"""The tables of docs/optimizers.md: in each row, fifty steps of ours end where those of the library did."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import Adam, schedules
from tests.data import make_trajectories

from .steps import close, start, trajectory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")
RECORDED = json.loads(Path(make_trajectories.__file__).with_name("trajectories.json").read_text(encoding="utf-8"))
NAMES = {**vars(optimizers), "ExponentialDecay": schedules.ExponentialDecay}
ROWS = make_trajectories.rows() if make_trajectories.PAGE.exists() else []


def ours(text, dtype):
    return np.concatenate([w.ravel() for w in trajectory(eval(text, NAMES), dtype)])


@pytest.mark.skipif(not ROWS, reason="docs/optimizers.md is not beside these tests")
def test_every_optimizer_has_a_row_and_every_row_was_recorded():
    assert {text.partition("(")[0] for text, _ in ROWS} == {kind.__name__ for kind in optimizers.CLASSES}
    assert {theirs for _, theirs in ROWS} == set(RECORDED)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} = {row[1]}")
def test_trajectory_is_the_librarys(row, dtype, tolerance):
    np.testing.assert_allclose(ours(row[0], dtype), RECORDED[row[1]], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("theirs", [t for t in RECORDED if t.startswith("formula")])
def test_recorded_numbers_are_the_formulas(theirs):
    np.testing.assert_allclose(make_trajectories.steps(theirs), RECORDED[theirs], rtol=1e-12, atol=1e-12)


def test_rows_that_differ_lead_elsewhere():
    """A table whose numbers were all alike would prove nothing."""
    ends = np.array(list(RECORDED.values()))
    apart = np.abs(ends[:, None] - ends[None]).max(-1) + np.eye(len(ends))
    same = {tuple(sorted((list(RECORDED)[i], list(RECORDED)[j]))) for i, j in zip(*np.nonzero(apart < 1e-6))}
    assert same == {("keras.SGD(0.05)", "torch.SGD(lr=0.05)"),
                    ("keras.Adamax(0.02)", "torch.Adamax(lr=0.02, eps=1e-30)")}


@pytest.fixture
def torch64():
    """PyTorch, whose default dtype is put back."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    yield torch
    torch.set_default_dtype(before)


@pytest.mark.parametrize("theirs", [t for t in RECORDED if t.startswith("torch")])
def test_recorded_numbers_are_pytorchs(theirs, torch64):
    np.testing.assert_allclose(make_trajectories.steps(theirs), RECORDED[theirs], rtol=1e-10, atol=1e-10)


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("kind", sorted({t[6 : t.index("(")] for t in RECORDED if t.startswith("keras")}))
def test_kerass_config_is_read(keras, kind):
    theirs = keras.optimizers.serialize(getattr(keras.optimizers, kind)(learning_rate=0.25, clipnorm=2.0))
    ours = optimizers.deserialize(theirs)
    assert type(ours).__name__ == kind and ours.clipnorm == 2.0
    np.testing.assert_allclose(ours.learning_rate, 0.25)


def reference_adam(values, grads, rate, b1, b2, epsilon, outside, correct):
    """Algorithm 1 of Kingma & Ba, word for word, in float64."""
    out = []
    for i, w in enumerate(values):
        w = w.astype(float)
        m = v = np.zeros_like(w)
        for t, row in enumerate(grads, 1):
            g = row[i].astype(float)
            m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
            mc, vc = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
            if outside or not correct:
                w = w - rate * mc / (np.sqrt(vc) + epsilon)
            else:  # epsilon hat: beside the root that is not corrected
                w = w - rate * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)
        out.append(w)
    return out


@pytest.mark.parametrize("mode", ["hat", "outside"])
@pytest.mark.parametrize("correct", [True, False])
def test_adam_is_the_papers(mode, correct):
    made = Adam(0.02, 0.8, 0.95, epsilon=0.05, epsilon_mode=mode, bias_correction=correct)
    expected = reference_adam(*start(), 0.02, 0.8, 0.95, 0.05, mode == "outside", correct)
    close(trajectory(made, "float64"), expected, 1e-12)


def test_modes_differ():
    a, b = (trajectory(Adam(0.02, epsilon=0.05, epsilon_mode=m)) for m in ("hat", "outside"))
    assert abs(a[0] - b[0]).max() > 1e-3
