"""model.plan: what training will cost, told before anything runs."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import layers
from tests.program.machines import made_up, roof  # noqa: F401
from tests.program.test_report import checked

from .conftest import network

pytestmark = pytest.mark.usefixtures("made_up")


def test_a_built_model_needs_no_data():
    model = network()
    plan = model.plan(batch_size=32, threads=1)
    assert plan.step > 0 and plan.alone == plan.step and plan.threads == 1
    assert plan.epoch is plan.total is plan.steps is plan.data is None
    assert sum(plan.bounds.values()) == pytest.approx(1)
    assert "batch 32" in plan.name and plan.backend == "native"


def test_epochs_count_rows():
    plan = network().plan(batch_size=32, samples=1000, epochs=5)
    assert plan.steps == 32 and plan.epoch == pytest.approx(plan.step * 1000 / 32)
    assert plan.total == pytest.approx(5 * plan.epoch)
    assert plan.data == 1000 * (6 * 4 + 8)


def test_nothing_runs_and_fit_is_as_without_it(digits):
    x, y = digits

    def weights(planned):
        fastnn.utils.set_random_seed(3)
        model = network(dropout=0.3)
        if planned:
            before = [w.copy() for w in model.get_weights()]
            model.plan(batch_size=16)
            assert model.optimizer.iterations == 0
            for a, b in zip(model.get_weights(), before, strict=True):
                np.testing.assert_array_equal(a, b)
        model.fit(x, y, batch_size=16, epochs=2, verbose=0)
        return [w.tobytes() for w in model.get_weights()]

    assert weights(True) == weights(False)


def test_a_plan_leaves_open_what_fit_will_be_given(digits):
    x, y = digits
    model = network(loss="crossentropy", metrics=["accuracy"])
    model.plan()
    assert model._metrics is None
    history = model.fit(x, np.eye(3, dtype="float32")[y], epochs=1, verbose=0)  # one-hot rows, not what plan assumed
    assert "accuracy" in history.history


@pytest.mark.parametrize("loss, units", [
    ("sparse_categorical_crossentropy", 3), ("categorical_crossentropy", 3), ("mse", 2), ("crossentropy", 3),
    ("crossentropy", 1), (fastnn.losses.BinaryCrossentropy(from_logits=True), 4)])
def test_targets_are_told_from_the_loss(loss, units):
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(units)])
    model.compile("sgd", loss, metrics=["accuracy"])
    assert model.plan(batch_size=8).step > 0


def test_several_inputs_and_outputs():
    a, b = fastnn.Input((4,), name="a"), fastnn.Input((3,), name="b")
    one, two = layers.Dense(2, name="one")(a), layers.Dense(3, name="two")(layers.Concatenate()([a, b]))
    model = fastnn.Model([a, b], [one, two])
    model.compile("adam", ["mse", "sparse_categorical_crossentropy"], loss_weights=[1.0, 0.5])
    plan = model.plan(batch_size=8, samples=80)
    assert plan.steps == 10
    given = model.plan([np.zeros((80, 4), np.float32), np.zeros((80, 3), np.float32)],
                       [np.zeros((80, 2), np.float32), np.zeros(80, np.int64)], batch_size=8)
    assert given.steps == 10 and given.step == pytest.approx(plan.step)


def test_data_gives_shape_dtype_and_length():
    model = fastnn.Sequential([layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.zeros((70, 4, 4), np.uint8), np.zeros(70, np.uint8)
    plan = model.plan(x, y, batch_size=32)
    assert plan.samples == 70 and plan.steps == 3 and plan.data == 70 * 17
    assert model.built


def test_the_shape_of_a_row_is_enough():
    model = fastnn.Sequential([layers.Dense(3)])
    model.compile("sgd", "mse")
    assert model.plan((7,), batch_size=4, samples=8).steps == 2


def test_predicting_needs_no_loss():
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(16, "relu"), layers.Dense(3)])
    plan = model.plan(batch_size=1, training=False)
    assert plan.step > 0 and "inference" in plan.name
    assert plan.step < network().plan(batch_size=1).step


def test_more_rows_take_longer_and_more_memory():
    model = network()
    small, large = model.plan(batch_size=8, threads=1), model.plan(batch_size=512, threads=1)
    assert large.step > small.step and large.nbytes > small.nbytes
    assert large.step / 512 < small.step / 8


def test_memory_is_that_of_the_program(digits):
    x, y = digits
    model = network()
    plan = model.plan(x, y, batch_size=32)
    program = model.training_program(x, y, 32)
    by_kind = {}
    for part in plan.memory:
        by_kind.setdefault(part.kind, []).append(part.nbytes)
    assert by_kind["workspace"] == [program.plan.nbytes]
    assert sum(by_kind["slots"]) == sum(s.nbytes for s in model.optimizer.slots.values())
    outside = ("workspace", "slots", "weights", "constants")
    assert plan.nbytes == sum(sum(v) for k, v in by_kind.items() if k in outside)


def test_a_plan_prints_as_a_table_and_as_html():
    plan = network(name="<net>").plan(batch_size=16, samples=100, epochs=3, threads=2)
    text = str(plan)
    assert text.startswith("<net> training step, batch 16, native\n  step")
    for word in ("rows", "epoch", "3 epochs", "bound by", "memory", "workspace", "would help", "7 steps for 100 rows"):
        assert word in text
    html = plan._repr_html_()
    assert "<net>" not in html and "<net> training step" in checked(html)
    data = json.loads(json.dumps(plan.to_dict()))
    assert data["epoch"] == plan.epoch and data["nbytes"] == plan.nbytes


def test_the_numpy_backend_has_memory_but_no_times():
    with fastnn.backend("numpy"):
        plan = network().plan(batch_size=8, samples=80)
    assert plan.step is None and plan.epoch is None and plan.nbytes > 0
    assert "not known" in str(plan)
    checked(plan._repr_html_())


@pytest.mark.parametrize("arguments, message", [
    (dict(batch_size=0), "batch_size"), (dict(batch_size=2.5), "batch_size"), (dict(samples=0), "samples"),
    (dict(epochs=-1), "epochs"), (dict(threads=0), "number of threads"), (dict(x=np.float32(3)), "row for each")])
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        network().plan(**arguments)


def test_models_that_are_not_ready():
    model = fastnn.Sequential([layers.Dense(3)])
    with pytest.raises(RuntimeError, match="call compile before plan"):
        model.plan()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="plan needs x, or the shape of one row as a tuple of integers"):
        model.plan()
