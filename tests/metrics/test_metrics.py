"""Metrics against numbers worked by hand and Keras, on arrays and inside programs."""

import os

import numpy as np
import pytest

from fastnn import losses, metrics
from fastnn.kernels import activation, elementwise
from fastnn.metrics import Metric, MetricFunction
from fastnn.program.graph import Graph, Tensor
from fastnn.program.program import Program

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")
RNG = np.random.default_rng(2)
LABELS = RNG.integers(0, 4, (6, 3))


def probabilities(*shape):
    p = RNG.uniform(0.05, 1.0, shape)
    return p / p.sum(-1, keepdims=True)


CASES = [  # class, arguments, y_true, y_pred
    ("Accuracy", {}, LABELS, RNG.integers(0, 4, (6, 3))),
    ("Accuracy", {}, LABELS[:, 0], RNG.integers(0, 4, (6, 1))),
    ("SparseCategoricalAccuracy", {}, LABELS[:, 0], probabilities(6, 4)),
    ("SparseCategoricalAccuracy", {}, LABELS[:, :1], probabilities(6, 4)),
    ("SparseCategoricalAccuracy", {}, LABELS, probabilities(6, 3, 4)),
    ("CategoricalAccuracy", {}, np.eye(4)[LABELS[:, 0]], probabilities(6, 4)),
    ("CategoricalAccuracy", {}, np.eye(4)[LABELS], probabilities(6, 3, 4)),
    ("BinaryAccuracy", {}, RNG.integers(0, 2, (6, 3)), RNG.uniform(0, 1, (6, 3))),
    ("BinaryAccuracy", {"threshold": 0.3}, RNG.integers(0, 2, (6,)), RNG.uniform(0, 1, (6, 1))),
    ("MeanSquaredError", {}, RNG.normal(0, 1, (6, 3)), RNG.normal(0, 1, (6, 3))),
    ("RootMeanSquaredError", {}, RNG.normal(0, 1, (6, 3)), RNG.normal(0, 1, (6, 3))),
    ("MeanAbsoluteError", {}, RNG.normal(0, 1, (6, 3, 2)), RNG.normal(0, 1, (6, 3, 2))),
    ("SparseCategoricalCrossentropy", {}, LABELS[:, 0], probabilities(6, 4)),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, RNG.normal(0, 1, (6, 3, 4))),
    ("CategoricalCrossentropy", {"label_smoothing": 0.1}, np.eye(4)[LABELS[:, 0]], probabilities(6, 4)),
    ("BinaryCrossentropy", {}, RNG.integers(0, 2, (6, 3)), RNG.uniform(0.1, 0.9, (6, 3))),
]
IDS = [f"{name}-{np.shape(p)}" for name, _, _, p in CASES]


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_is_kerass_over_two_batches(keras, case, weighted):
    name, arguments, y_true, y_pred = case
    theirs, ours = getattr(keras.metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    for rows in (slice(0, 4), slice(4, 6)):
        w = RNG.uniform(0.1, 2, 6)[rows] if weighted else None
        theirs.update_state(y_true[rows], y_pred[rows].astype(np.float32), w)
        ours.update_state(y_true[rows], y_pred[rows], w)
    np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-5)
    ours.reset_state()
    assert ours.result() == 0.0


def test_weights_of_steps(keras):
    p, w = probabilities(6, 3, 4), RNG.uniform(0, 2, (6, 3))
    theirs, ours = keras.metrics.SparseCategoricalAccuracy(), metrics.SparseCategoricalAccuracy()
    theirs.update_state(LABELS, p.astype(np.float32), w)
    np.testing.assert_allclose(ours(LABELS, p, w), theirs.result(), rtol=1e-5)


def test_mean(keras):
    theirs, ours = keras.metrics.Mean(), metrics.Mean()
    for values, w in (([1.0, 2.0, 6.0], None), (np.ones((2, 3)), [1.0, 3.0]), ([5.0], [0.5]), (3.0, None)):
        theirs.update_state(values, w)
        ours.update_state(values, w)
        np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-6)


def test_a_row_counts_once_however_long_it_is():
    m = metrics.Mean()
    m.update_state([[1.0, 1.0, 1.0, 1.0]])
    m.update_state([[3.0]], [1.0])
    m.update_state([[5.0, 5.0]], [[1.0, 1.0]])
    assert m.result() == 3.0 and m.count == 3.0


def test_by_hand():
    assert metrics.SparseCategoricalAccuracy()([2, 1, 0], [[0, 0, 1], [0, 1, 0], [0, 1, 0]], [1, 1, 2]) == 0.5
    assert metrics.Accuracy()([1.0, np.nan, 3.0, 4.0], [1.0, 2.0, np.nan, 4.0]) == 0.5
    m = metrics.RootMeanSquaredError()
    m.update_state([0.0], [3.0])
    m.update_state([0.0], [1.0])
    assert m.result() == np.sqrt(5.0)


# ---------------------------------------------------------------------- in programs


def emitted(metric, y_true, y_pred, through=lambda p: p, loss=None, weights=None):
    graph = Graph()
    p = through(graph.feed("p", y_pred.shape, np.float32))
    t = graph.feed("t", y_true.shape, np.int32 if metric.integer_labels else np.float32)
    w = None if weights is None else graph.constant(weights, np.float32)
    if loss is not None:
        graph.fetch("loss", loss(t, p, w))
    total, count = metric.emit(t, p, w)
    graph.fetch("total", total)
    if isinstance(count, Tensor):
        graph.fetch("count", count)
    program = Program(graph, backend="numpy")
    out = {n: np.empty((1, *f.shape), f.dtype) for n, f in graph.fetches.items()}
    program.run(1, {"p": y_pred.astype(np.float32)[None], "t": y_true.astype(t.dtype)[None]}, out)
    return program, out["total"], out.get("count", count)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_program_gives_what_arrays_give(case, weighted):
    name, arguments, y_true, y_pred = case
    metric, w = getattr(metrics, name)(**arguments), RNG.uniform(0.1, 2, 6) if weighted else None
    expected = metric(y_true, y_pred, w)
    metric.reset_state()
    _, total, count = emitted(metric, y_true, y_pred, weights=w)
    assert isinstance(count, float) != weighted and np.shape(total) == (1,)
    metric.update(total, count)
    assert metric.result() == pytest.approx(expected, rel=1e-6)


def test_many_steps_at_once():
    metric = metrics.MeanSquaredError()
    metric.update(np.array([4.0, 6.0], np.float32), np.full(2, 2.0))
    metric.update(2.0, 2.0)
    assert metric.result() == 2.0
    big = metrics.Mean()
    big.update(np.full(1000, 2.0**24, np.float32), np.ones(1000))  # in float32 the sum would stop growing
    big.update(1.0, 0.0)
    assert big.total == 1000 * 2.0**24 + 1


@pytest.mark.parametrize("name, loss", [("SparseCategoricalAccuracy", losses.SparseCategoricalCrossentropy()),
                                        ("CategoricalAccuracy", losses.CategoricalCrossentropy())])
def test_the_softmax_of_the_loss_is_used(name, loss):
    metric, z = getattr(metrics, name)(), RNG.normal(0, 2, (6, 4))
    y_true = LABELS[:, 0] if metric.integer_labels else np.eye(4)[LABELS[:, 0]]
    program, total, _ = emitted(metric, y_true, z, activation.softmax, loss)
    assert "softmax" not in {c.kernel.name for c in program.calls}
    assert total[0] == (z.argmax(1) == LABELS[:, 0]).sum()


# ---------------------------------------------------------------------- names, functions, errors


@pytest.mark.parametrize("identifier, kind, name", [
    ("mse", metrics.MeanSquaredError, "mse"), ("MeanSquaredError", metrics.MeanSquaredError, "MeanSquaredError"),
    (metrics.RootMeanSquaredError, metrics.RootMeanSquaredError, "root_mean_squared_error"),
    ("sparse_categorical_accuracy", metrics.SparseCategoricalAccuracy, "sparse_categorical_accuracy"),
    ("binary_accuracy", metrics.BinaryAccuracy, "binary_accuracy"),
    (losses.mean_absolute_error, metrics.MeanAbsoluteError, "mean_absolute_error"),
    ("categorical_crossentropy", metrics.CategoricalCrossentropy, "categorical_crossentropy"),
])
def test_get(identifier, kind, name):
    made = metrics.get(identifier)
    assert type(made) is kind and made.name == name


@pytest.mark.parametrize("y_shape, output_shape, kind", [
    ((8,), (8, 10), metrics.SparseCategoricalAccuracy), ((8, 1), (8, 10), metrics.SparseCategoricalAccuracy),
    ((8, 10), (8, 10), metrics.CategoricalAccuracy), ((8,), (8, 1), metrics.BinaryAccuracy),
    ((8, 1), (8, 1), metrics.BinaryAccuracy), ((8, 5), (8, 5, 10), metrics.SparseCategoricalAccuracy),
])
def test_accuracy_by_shapes(keras, y_shape, output_shape, kind):
    from keras.src.trainers.compile_utils import get_metric

    made = metrics.get("acc", y_shape=y_shape, output_shape=output_shape)
    assert type(made) is kind and made.name == "acc"
    assert type(get_metric("acc", np.zeros(y_shape), np.zeros(output_shape))).__name__ == kind.__name__


def test_accuracy_by_loss():
    assert type(metrics.get("accuracy", loss=losses.BinaryCrossentropy())) is metrics.BinaryAccuracy
    assert type(metrics.get("accuracy", loss=losses.get("sparse_categorical_crossentropy"))) is \
        metrics.SparseCategoricalAccuracy
    with pytest.raises(ValueError, match="depends on the shapes"):
        metrics.get("accuracy")


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_config_round_trip(case):
    name, arguments, y_true, y_pred = case
    made = getattr(metrics, name)(name="mine", **arguments)
    again = metrics.deserialize(metrics.serialize(made))
    assert type(again) is type(made) and again.name == "mine" and again.get_config() == made.get_config()
    assert again(y_true, y_pred) == made(y_true, y_pred)


def worst(y_true, y_pred):
    from fastnn.kernels.reduce import reduce_max

    return reduce_max(elementwise.absolute(elementwise.subtract(y_true, y_pred)), axes=(1,))


def test_a_python_function_is_traced():
    made = metrics.get(worst)
    assert isinstance(made, MetricFunction) and made.name == "worst"
    assert made([[0, 0], [0, 0]], [[1, 3], [2, 0]]) == 2.5
    assert metrics.deserialize(metrics.serialize(made), {"worst": worst}).name == "worst"
    with pytest.raises(ValueError, match="custom_objects"):
        metrics.deserialize(metrics.serialize(made))
    with pytest.raises(TypeError, match="must give a float tensor.*got str"):
        MetricFunction(lambda y_true, y_pred: "none")([1.0], [1.0])


@pytest.mark.parametrize("make, message", [
    (lambda: metrics.SparseCategoricalAccuracy()([4], [[1, 0, 0, 0]]), "class 4, but y_pred has 4 classes"),
    (lambda: metrics.CategoricalAccuracy()([0, 1], np.eye(2)), "sparse_categorical_accuracy"),
    (lambda: metrics.MeanSquaredError()(np.zeros((2, 3)), np.zeros((2, 2))), r"shape \(2, 3\) and y_pred \(2, 2\)"),
    (lambda: metrics.BinaryAccuracy(threshold="high"), "threshold must be a finite number"),
    (lambda: metrics.get("acuracy"), "did you mean 'accuracy'"),
    (lambda: metrics.get(3), "not 3"),
    (lambda: metrics.Mean()([1.0, 2.0], [1.0, 2.0, 3.0]), "sample_weight has shape"),
])
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
    with pytest.raises(NotImplementedError):
        Metric()([1.0], [1.0])
