"""Reports as data, text and HTML: verdicts, critical path, threads, memory, advice."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.present.html import html_table
from fastnn.program import costs
from fastnn.program.explain import advice, record
from fastnn.program.graph import Graph
from fastnn.program.program import Program

from .machines import made_up, roof  # noqa: F401

pytestmark = pytest.mark.usefixtures("made_up")
VOID = {"br", "hr", "img", "input", "meta", "link"}


def built(*stack, shape=(64,), optimizer="sgd", loss="mse", batch=64, name="net", **kwargs):
    """The program of a training step of these layers."""
    model = fastnn.Sequential([fastnn.Input(shape), *stack], name=name)
    model.compile(optimizer, loss)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4 * batch, *shape)).astype(kwargs.get("dtype", np.float32))
    return model.training_program(x, np.zeros((4 * batch, *model.output_shape[1:]), np.float32), batch)


def feeds(program, steps=3):
    return {"index": np.zeros((steps, *program.feeds["index"].shape), np.int64)}


def measured(program, factor=1.0, threads=(1,), gained=1.0):
    """Times as the model predicts them, times a factor, in the place of a profile."""
    predicted = [c.predicted * factor for c in program.report(threads=1).calls]
    for t in threads:
        program.call_times[t] = [s / (gained if t > 1 else 1) for s in predicted]
        program.step_times[t] = sum(program.call_times[t])
    program.times = program.call_times[max(threads)]
    return program


def rules(program, threads=1):
    return [a.rule for a in program.report(threads=threads).advice]


# ---------------------------------------------------------------------- the record

def test_a_report_before_anything_ran():
    program = built(layers.Dense(128, "relu"), layers.Dense(16))
    found = program.report(threads=1)
    assert len(found.calls) == len(program.calls) and found.threads == 1
    assert all(c.predicted > 0 and c.seconds is None and c.verdict for c in found.calls)
    assert found.step == pytest.approx(sum(c.predicted for c in found.calls), rel=0.01)
    assert found.measured == {} and found.gained is None
    assert [c.level for c in found.critical_path] == list(range(max(program.levels) + 1))
    assert {c.verdict for c in found.calls} <= {"arithmetic", "L1", "L2", "L3", "memory", "latency"}
    assert all(c.working_set > 0 for c in found.calls)


def test_a_report_of_a_profile():
    program = built(layers.Dense(128, "relu"), layers.Dense(16))
    before = [v.variable.numpy() for v in program.graph.variables.values()]
    times = program.profile(3, feeds(program), threads=2)
    assert set(program.call_times) == set(program.step_times) == {1, 2}
    assert times == program.call_times[2]
    for v, w in zip(program.graph.variables.values(), before):
        np.testing.assert_array_equal(v.variable.numpy(), w)
    found = program.report(threads=2)
    assert found.gained == pytest.approx(program.step_times[1] / program.step_times[2])
    assert [c.alone for c in found.calls] == program.call_times[1]
    assert [c.seconds for c in found.calls] == program.call_times[2]
    assert found.floor <= sum(level.work for level in found.levels)
    with pytest.raises(ValueError, match="number of threads"):
        program.profile(2, feeds(program), threads=0)


def test_reports_are_plain_data():
    program = measured(built(layers.Dense(32)), threads=(1, 2), gained=1.5)
    found = program.report(threads=2)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["gained"] == pytest.approx(1.5)
    assert data["calls"][0]["number"] == 1 and data["memory"] and data["levels"]


def test_numpy_programs_have_no_prediction():
    with fastnn.backend("numpy"):
        program = built(layers.Dense(8))
    found = program.report()
    assert found.step is None and found.threads == 1
    assert all(c.predicted is None and c.verdict == "" for c in found.calls)
    assert "verdict" not in program.explain() and "critical" not in program.explain()
    program.profile(2, feeds(program))
    assert all(c.verdict for c in program.report().calls)


# ---------------------------------------------------------------------- text

def test_the_verdict_is_a_column_before_and_after_a_profile():
    program = built(layers.Dense(128, "relu"), layers.Dense(16))
    before = program.explain().splitlines()
    assert before[1].split()[-4:] == ["MFLOP", "KiB", "predicted", "verdict"]
    measured(program)
    after = program.explain().splitlines()
    assert after[1].split()[-5:] == ["KiB", "time", "of", "peak", "verdict"] and " us" in after[2]


def test_what_follows_from_the_table_is_said():
    program = measured(built(layers.Dense(512, "relu"), layers.Dense(512)), threads=(1, 2), gained=1.6)
    text = str(program.report(threads=2))
    assert "critical path" in text and "2 threads gained a factor of 1.60" in text
    assert "no number of threads gets below" in text
    assert "step measured" in text and "predicted" in text
    assert "memory " in text and "beside it the data: x0" in text
    assert "would help" in text


# ---------------------------------------------------------------------- memory

def test_the_memory_map_is_complete():
    program = built(layers.Dense(64, "relu"), layers.BatchNormalization(), layers.Dense(8), optimizer="adam")
    found = program.report(threads=1).memory
    by_name = {p.name: p for p in found}
    weights = by_name["weights (6 variables)"]
    assert weights.kind == "weights" and weights.nbytes == 4 * (64 * 64 + 64 + 64 + 64 + 64 * 8 + 16)
    assert by_name["m"].nbytes == by_name["v"].nbytes == weights.nbytes
    assert by_name["gradients"].inside and by_name["gradients"].nbytes == weights.nbytes
    assert by_name["2 single variables"].nbytes == 2 * 64 * 4  # the moving mean and variance
    assert by_name["workspace"].nbytes == program.plan.nbytes
    assert by_name["feeds"].nbytes == 64 * 8
    assert by_name["x0"].kind == "data" and by_name["x0"].nbytes == 256 * 64 * 4


# ---------------------------------------------------------------------- HTML

class Checker(HTMLParser):
    """Complains about tags that are not closed in order, and about anything that would be loaded or run."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "link", "iframe", "img", "style")
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(html):
    checker = Checker()
    checker.feed(html)
    checker.close()
    assert checker.open == []
    return "".join(checker.text)


def test_html_is_well_formed_and_escaped():
    graph = Graph("<script>alert('net')</script> & more")
    x = graph.feed("<b>x</b>", (64, 64), np.float32)
    with graph.active():
        y = x * 2 + 1
    graph.fetch("y", y)
    program = Program(graph)
    text = checked(program._repr_html_())
    assert "<script>alert('net')</script> & more" in text and "<b>x</b>" in text
    text = checked(measured(program).report()._repr_html_())
    assert "critical path" in text and "verdict" in text


def test_html_of_ceilings_and_of_tables():
    text = checked(roof(2)._repr_html_())
    assert "2 threads" in text and "200 GFLOP/s" in text and "copy in L3" in text
    assert checked(html_table(("a", "b"), [("<", "&")], [(2.0, "#123456")])) == "\nab\n\n<&\n"
    assert checked(html_table(("a",), [])).strip() == "a"


def test_html_of_an_empty_program():
    assert "nothing: 0 calls" in checked(Program(Graph("nothing")).report()._repr_html_())


# ---------------------------------------------------------------------- advice

def test_small_steps_want_larger_batches():
    assert rules(built(layers.Dense(2, "relu"), layers.Dense(1), shape=(2,), batch=4))[0] == "batch"


def test_widths_that_fill_no_vectors():
    program = built(layers.Dense(33, "relu", name="odd"), layers.Dense(256), shape=(512,), batch=512)
    (found,) = [a for a in program.report(threads=1).advice if a.rule == "width"]
    assert "odd: 33 columns take as long as 48" in found.text and "32 would cost 3% less" in found.text
    assert 0.05 < found.gain < 0.32
    assert "width" not in rules(built(layers.Dense(256, "relu"), layers.Dense(256), shape=(512,), batch=512))


def test_levels_that_are_too_small_to_share():
    stack = [layers.Dense(512, "relu"), *(layers.Dense(16, "relu") for _ in range(60)), layers.Dense(512)]
    assert "levels" in rules(built(*stack, shape=(512,), batch=64), threads=2)
    assert "levels" not in rules(built(*stack, shape=(512,), batch=64), threads=1)


def test_slots_that_come_from_memory():
    stack = [layers.Dense(2048), layers.Dense(2048)]
    adam = built(*stack, shape=(2048,), batch=8, optimizer="adam").report(threads=1).advice
    (found,) = [a for a in adam if a.rule == "slots"]
    assert "adam streams 2 arrays" in found.text
    assert "slots" not in rules(built(*stack, shape=(2048,), batch=8, optimizer="sgd"))


def test_threads_that_gain_nothing():
    program = measured(built(layers.Dense(256)), threads=(1, 2), gained=0.7)
    (found,) = [a for a in program.report(threads=2).advice if a.rule == "threads"]
    assert "set_num_threads(1)" in found.text and found.gain == pytest.approx(0.3)
    assert "threads" not in rules(measured(built(layers.Dense(256)), threads=(1, 2), gained=1.5), threads=2)


def test_calls_that_are_far_from_their_roof():
    program = measured(built(layers.Dense(512, "relu"), layers.Dense(512), batch=256))
    assert "roof" not in rules(program)
    slow = max(range(len(program.times)), key=program.times.__getitem__)
    program.call_times[1][slow] *= 5
    (found,) = [a for a in program.report(threads=1).advice if a.rule == "roof"]
    assert f"call {slow + 1} " in found.text and found.gain > 0.1


def test_data_that_is_normalised_in_every_step():
    program = built(layers.BatchNormalization(name="inputs"), layers.Dense(16), shape=(512,), batch=256)
    (found,) = [a for a in program.report(threads=1).advice if a.rule == "input_norm"]
    assert found.text.startswith("inputs normalises the data itself")
    later = built(layers.Dense(16), layers.BatchNormalization(), layers.Dense(16), shape=(512,), batch=256)
    assert "input_norm" not in rules(later)


def test_data_of_eight_bytes():
    program = built(layers.Dense(1), shape=(4096,), dtype=np.int64)
    assert "data" in rules(program)
    assert "data" not in rules(built(layers.Dense(1), shape=(4096,)))


def test_activations_that_take_long():
    program = built(layers.Dense(512, "gelu"), shape=(16,), batch=256)
    (found,) = [a for a in program.report(threads=1).advice if a.rule == "activation"]
    assert found.text.startswith("relu in place of gelu")
    assert "activation" not in rules(built(layers.Dense(512, "relu"), shape=(16,), batch=256))


def test_float64_runs_on_numpy():
    graph = Graph("wide")
    x = graph.feed("x", (64, 64), np.float64)
    with graph.active():
        y = x * 2.0
    graph.fetch("y", y)
    program = Program(graph)
    program.profile(2)
    (found,) = program.report().advice
    assert found.rule == "backend" and found.text.startswith("float64 arithmetic runs on the NumPy meaning")


def test_programs_on_the_numpy_backend():
    with fastnn.backend("numpy"):
        program = built(layers.Dense(8))
    program.profile(2, feeds(program))
    (found,) = program.report().advice
    assert "set_backend('native')" in found.text


def test_near_the_roof_nothing_is_advised():
    program = measured(built(layers.Dense(512, "relu"), layers.Dense(512), shape=(512,), batch=1024))
    assert program.report(threads=1).advice == []
    assert "nothing simple would help much: the step is near the roof" in program.explain()


def test_advice_is_sorted_and_worth_it():
    found = built(layers.BatchNormalization(), layers.Dense(3, "gelu"), layers.Dense(1), batch=8).report(threads=1)
    gains = [a.gain for a in found.advice]
    assert gains == sorted(gains, reverse=True) and min(gains) >= advice.WORTH


def test_every_backend_but_numpy_is_treated_alike(monkeypatch):
    program = built(layers.Dense(32))
    program.backend = "other"
    found = record.report(program, threads=1)
    assert found.step is not None and all(c.verdict for c in found.calls)
    assert str(found).splitlines()[0].endswith("other, 1 thread")
    assert costs.LANES
