"""The roofline picture."""

import numpy as np
import pytest

from fastnn.machine import Ceilings
from fastnn.roofline import Point, _spread, draw_roofline

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

ONE = Ceilings(1, 100.0, {1 << 15: 200.0, 1 << 19: 100.0, 1 << 26: 20.0},
               {1 << 15: "L1", 1 << 19: "L2", 1 << 26: "memory"})
TWO = Ceilings(2, 190.0, {1 << 15: 400.0, 1 << 26: 30.0}, {1 << 15: "L1", 1 << 26: "memory"})


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def texts(ax):
    return [t.get_text() for t in ax.texts if t.get_text()]


def test_points_stand_at_intensity_and_speed():
    ax = draw_roofline([("a", 4e9, 2e9, 0.5), Point("b", 3e9, 30e9, 1.0)], ONE, title="t")
    dots = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots, [(2, 8), (0.1, 3)])
    assert ax.get_title() == "t" and {"a", "b", "peak 100 GFLOP/s"} <= set(texts(ax))
    ax.figure.savefig("/dev/null", format="png")


def test_slanted_roofs_end_at_the_peak():
    ax = draw_roofline([("a", 1e9, 1e9, 1.0)], ONE)
    ends = [tuple(line.get_xydata()[-1]) for line in ax.lines if line.get_marker() != "o"]
    assert {(0.5, 100.0), (1.0, 100.0), (5.0, 100.0)} <= set(ends)


def test_several_ceilings_and_the_axes_given():
    import matplotlib.pyplot as plt

    figure, ax = plt.subplots()
    assert draw_roofline([("a", 1e9, 1e9, 1.0)], [ONE, TWO], ax=ax) is ax
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "1 thread: L1 200, L2 100, memory 20 GB/s", "2 threads: L1 400, memory 30 GB/s"]


def test_pure_movement_is_drawn_as_bars():
    ax = draw_roofline([("a", 0, 2e9, 0.5), ("b", 1e9, 3e9, 1.0)], [ONE, TWO], title="copies")
    assert [bar.get_width() for bar in ax.patches] == [4, 3]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]


def test_labels_of_points_at_one_place_do_not_overlap():
    ax = draw_roofline([(f"rung {i}", 1e9, 1e9, 0.1 + i / 1000) for i in range(12)], ONE)
    ax.figure.canvas.draw()
    boxes = sorted((t.get_window_extent().y0, t.get_window_extent().y1) for t in ax.texts if "rung" in t.get_text())
    assert len(boxes) == 12
    assert all(below[1] <= above[0] + 2 for below, above in zip(boxes, boxes[1:]))


def test_spread_moves_only_what_is_near():
    assert _spread([0.0, 50.0, 52.0], 10, 0, 100) == [0.0, 46.0, 56.0]
    assert _spread([1.0, 1.0, 99.0], 10, 0, 100) == [0.0, 10.0, 99.0]


@pytest.mark.parametrize("point, words", [
    (("a", 1.0, 1.0, 0.0), "positive seconds, not 0.0"), (("a", 1.0, 0, 1.0), "positive bytes, not 0"),
    (("a", -1.0, 1.0, 1.0), "-1.0 flops"), (("a", 1.0, 1.0, float("nan")), "positive seconds, not nan"),
])
def test_points_that_make_no_sense_are_refused(point, words):
    with pytest.raises(ValueError, match=words):
        draw_roofline([point], ONE)


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="at least one point"):
        draw_roofline([], ONE)
