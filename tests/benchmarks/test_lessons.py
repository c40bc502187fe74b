"""The experiments of benchmarks/lessons, in small, and the pages that they write into."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
if not (BENCHMARKS / "lessons/run.py").exists():
    pytest.skip("benchmarks/lessons is not beside these tests", allow_module_level=True)
sys.path.append(str(BENCHMARKS))

from lessons import LESSONS

import fastnn


def lesson(name: str):
    return importlib.import_module(f"lessons.{name}")


@pytest.mark.parametrize("name", LESSONS)
def test_each_page_has_its_table_and_its_picture(name):
    docs = BENCHMARKS.parent / "docs"
    page = (docs / f"{name}.md").read_text()
    table = page.split("<!-- measured: table -->\n")[1].split("<!-- end -->")[0]
    assert table.strip().startswith("| ")
    assert f"(img/{name}.svg)" in page
    assert (docs / f"img/{name}.svg").stat().st_size > 1000


def test_selu_keeps_a_signal_where_a_narrow_distribution_loses_it():
    from fastnn import initializers

    initialisers = lesson("initialisers")
    up, down = initialisers.propagate("selu", initializers.LecunNormal, seed=0)
    assert up[-1] == pytest.approx(up[0], rel=0.2)
    assert 0.1 < down[0] / down[-1] < 1000
    up, _ = initialisers.propagate("tanh", lambda: initializers.RandomUniform(-0.05, 0.05), seed=0)
    assert up[9] < 1e-4


def test_slopes_are_the_derivative():
    x = np.linspace(-3, 3, 7, dtype="float32")
    y, dy = lesson("activations").slopes("tanh", x)
    np.testing.assert_allclose(dy, 1 - np.tanh(x) ** 2, atol=1e-6)
    np.testing.assert_allclose(y, np.tanh(x), atol=1e-6)


def test_a_walk_ends_where_the_valley_does():
    optimizers = lesson("optimizers")
    places, losses = optimizers.walk(fastnn.optimizers.Adam(0.5), steps=1000)
    assert optimizers.arrival(losses) == len(places) < 1000
    np.testing.assert_allclose(places[-1], optimizers.BOTTOM, atol=0.2)
    assert optimizers.arrival(optimizers.walk(fastnn.optimizers.SGD(1e-4), steps=20)[1]) == np.inf


def test_the_rate_that_is_chosen_has_good_neighbours():
    optimizers = lesson("optimizers")
    steps = [np.inf] * len(optimizers.RATES)
    steps[3], steps[10:13] = 5, [300, 200, 300]
    assert optimizers.safest(steps) == optimizers.RATES[11]


def test_schedules_begin_and_end_as_the_table_says():
    for name, schedule in lesson("schedules").rates(70).items():
        table = schedule.table(0, 70)
        assert len(table) == 70 and np.isfinite(table).all() and (table >= 0).all(), name
        if name != "constant":
            assert table[-1] < table.max() / 5, name
