"""Losses against numbers worked by hand, Keras, and central differences."""

import os

import numpy as np
import pytest

from fastnn import losses
from fastnn.kernels import activation, elementwise
from fastnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    LossFunction,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph
from fastnn.program.program import Program

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")
RNG = np.random.default_rng(1)


def probabilities(*shape):
    p = RNG.uniform(0.1, 1.0, shape)
    return p / p.sum(-1, keepdims=True)


def one_hot(labels, classes):
    return np.eye(classes)[labels]


LABELS = RNG.integers(0, 5, (4, 3))
CASES = [  # class, arguments, y_true, y_pred
    (SparseCategoricalCrossentropy, {}, LABELS[:, 0], probabilities(4, 5)),
    (SparseCategoricalCrossentropy, {}, LABELS[:, :1], probabilities(4, 5)),
    (SparseCategoricalCrossentropy, {}, LABELS, probabilities(4, 3, 5)),
    (SparseCategoricalCrossentropy, {"from_logits": True}, LABELS[:, 0], RNG.normal(0, 3, (4, 5))),
    (SparseCategoricalCrossentropy, {"from_logits": True}, LABELS, RNG.normal(0, 3, (4, 3, 5))),
    (CategoricalCrossentropy, {}, one_hot(LABELS[:, 0], 5), probabilities(4, 5)),
    (CategoricalCrossentropy, {"label_smoothing": 0.2}, probabilities(4, 3, 5), probabilities(4, 3, 5)),
    (CategoricalCrossentropy, {"from_logits": True}, one_hot(LABELS[:, 0], 5), RNG.normal(0, 3, (4, 5))),
    (CategoricalCrossentropy, {"from_logits": True, "label_smoothing": 0.2}, probabilities(4, 5),
     RNG.normal(0, 3, (4, 5))),
    (BinaryCrossentropy, {}, RNG.integers(0, 2, (4, 3)), RNG.uniform(0.1, 0.9, (4, 3))),
    (BinaryCrossentropy, {"label_smoothing": 0.1}, RNG.integers(0, 2, (4, 1)), RNG.uniform(0.1, 0.9, (4, 1))),
    (BinaryCrossentropy, {"from_logits": True}, RNG.integers(0, 2, (4, 1)), RNG.normal(0, 3, (4, 1))),
    (BinaryCrossentropy, {"from_logits": True, "label_smoothing": 0.1}, RNG.integers(0, 2, (4, 3, 2)),
     RNG.normal(0, 3, (4, 3, 2))),
    (MeanSquaredError, {}, RNG.normal(0, 1, (4, 3)), RNG.normal(0, 1, (4, 3))),
    (MeanSquaredError, {}, RNG.normal(0, 1, (4,)), RNG.normal(0, 1, (4, 1))),
    (MeanSquaredError, {}, RNG.normal(0, 1, (4, 3)), RNG.normal(0, 1, (4, 3, 1))),
    (MeanAbsoluteError, {}, RNG.normal(0, 1, (4, 3, 2)), RNG.normal(0, 1, (4, 3, 2))),
    (MeanAbsoluteError, {}, RNG.normal(0, 1, (4, 1)), RNG.normal(0, 1, (4,))),
]
IDS = [f"{c.__name__}-{'-'.join(map(str, a))}-{np.shape(p)}" for c, a, _, p in CASES]
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none"]


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_is_kerass(keras, case, reduction):
    kind, arguments, y_true, y_pred = case
    theirs = getattr(keras.losses, kind.__name__)(reduction=reduction, **arguments)
    ours = kind(reduction=reduction, **arguments)
    expected = np.asarray(theirs(y_true, y_pred.astype(np.float32)))
    np.testing.assert_allclose(ours(y_true, y_pred), expected, rtol=2e-5, atol=2e-6)
    rows = np.asarray(theirs.call(keras.ops.convert_to_tensor(y_true), y_pred.astype(np.float32)))
    w = RNG.uniform(0, 2, rows.shape)
    if rows.ndim:
        expected = np.asarray(theirs(y_true, y_pred.astype(np.float32), w))
        np.testing.assert_allclose(ours(y_true, y_pred, w), expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_functions_give_rows(keras, case):
    kind, arguments, y_true, y_pred = case
    name = kind().name
    theirs = getattr(keras.losses, name)(keras.ops.convert_to_tensor(y_true), y_pred.astype(np.float32), **arguments)
    ours = getattr(losses, name)(y_true, y_pred, **arguments)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    assert ours.dtype == np.float32


def traced(loss, y_true, y_pred, weights=None, through=lambda x: x):
    """(loss, gradient with respect to y_pred) in float64."""
    graph = Graph()
    p = graph.feed("p", y_pred.shape, np.float64)
    t = graph.feed("t", y_true.shape, y_true.dtype)
    w = None if weights is None else graph.constant(weights, np.float64)
    value = loss(t, through(p), w)
    g, = gradients(value, [p])
    graph.fetch("loss", value)
    graph.fetch("g", g)
    program = Program(graph, backend="numpy")

    def run(y):
        out = {"loss": np.empty((1,)), "g": np.empty((1, *y_pred.shape))}
        program.run(1, {"p": y[None], "t": y_true[None]}, out)
        return out["loss"][0], out["g"][0]

    return run, program


def differences(run, y, step=1e-5):
    """Central differences of fourth order, for each coordinate."""
    g = np.empty(y.size)
    for i in range(y.size):
        d = np.zeros(y.size)
        d[i] = step
        d = d.reshape(y.shape)
        far, near = run(y + 2 * d)[0] - run(y - 2 * d)[0], run(y + d)[0] - run(y - d)[0]
        g[i] = (8 * near - far) / (12 * step)
    return g.reshape(y.shape)


def natural(kind, y_true):
    return y_true.astype(np.int32 if kind is SparseCategoricalCrossentropy else np.float64)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradient(case, reduction, weighted):
    kind, arguments, y_true, y_pred = case
    weights = RNG.uniform(0.5, 2, 4) if weighted else None
    run, _ = traced(kind(reduction=reduction, **arguments), natural(kind, y_true), y_pred, weights)
    np.testing.assert_allclose(run(y_pred)[1], differences(run, y_pred), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind, arguments", [(SparseCategoricalCrossentropy, {}),
                                             (CategoricalCrossentropy, {"label_smoothing": 0.1})])
def test_logits_of_a_softmax_are_used(kind, arguments):
    z = RNG.normal(0, 3, (4, 5))
    y_true = LABELS[:, 0].astype(np.int32) if kind is SparseCategoricalCrossentropy else one_hot(LABELS[:, 0], 5)
    run, program = traced(kind(**arguments), y_true, z, through=activation.softmax)
    names = {c.kernel.name for c in program.calls}
    assert any(n.startswith("softmax_cross_entropy") for n in names) and "softmax" not in names
    direct, _ = traced(kind(from_logits=True, **arguments), y_true, z)
    np.testing.assert_array_equal(run(z)[1], direct(z)[1])
    z[0] = [0, 800, 0, 0, 0]  # probabilities of 0: the logits stay exact
    y_true[0] = 0 if y_true.ndim == 1 else one_hot(0, 5)
    run, _ = traced(kind(**arguments), y_true, z, through=activation.softmax)
    assert run(z)[0] > 100


def test_logits_of_a_sigmoid_are_used():
    z = RNG.normal(0, 3, (4, 2))
    t = RNG.integers(0, 2, (4, 2)).astype(np.float64)
    run, program = traced(BinaryCrossentropy(), t, z, through=lambda x: activation.activation(x, kind="sigmoid"))
    assert "sigmoid_cross_entropy" in {c.kernel.name for c in program.calls}
    np.testing.assert_array_equal(run(z)[1], traced(BinaryCrossentropy(from_logits=True), t, z)[0](z)[1])


def test_logits_are_not_taken_from_another_axis():
    z = RNG.normal(0, 1, (2, 6))
    run, program = traced(SparseCategoricalCrossentropy(), np.array([0, 1, 2, 0], np.int32), z,
                          through=lambda x: activation.softmax(x).reshape(4, 3))
    assert "cross_entropy" in {c.kernel.name for c in program.calls}


# ---------------------------------------------------------------------- by hand


def test_by_hand():
    y, t = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[0.0, 2.0], [3.0, 1.0]])
    assert MeanSquaredError()(t, y) == (0.5 + 8) / 2
    assert MeanSquaredError(reduction="sum")(t, y) == 8.5
    assert MeanAbsoluteError(reduction=None)(t, y).tolist() == [0.5, 2.0]
    assert MeanSquaredError()(t, y, [2.0, 0.0]) == 0.5  # the divisor stays 2
    assert MeanSquaredError(reduction="mean_with_sample_weight")(t, y, [2.0, 0.0]) == 0.5
    assert MeanSquaredError(reduction="mean_with_sample_weight")(t, y, [0.0, 0.0]) == 0.0
    assert MeanSquaredError()(t, y, [[1.0], [1.0]]) == 4.25
    np.testing.assert_allclose(SparseCategoricalCrossentropy()([0, 1], [[0.5, 0.5], [0.75, 0.25]]), np.log(8) / 2,
                               rtol=1e-6)
    np.testing.assert_allclose(BinaryCrossentropy(from_logits=True)([1.0], [0.0]), np.log(2), rtol=1e-6)


def test_steps_of_a_row_are_elements_of_the_mean():
    y, t = np.array([[[1.0], [2.0], [3.0]], [[0.0], [0.0], [2.0]]]), np.zeros((2, 3, 1))
    assert MeanSquaredError()(t, y) == 3.0  # (1 + 4 + 9 + 4) / 6
    assert MeanSquaredError(reduction="sum")(t, y) == 18.0
    assert MeanSquaredError(reduction="mean_with_sample_weight")(t, y, [3.0, 0.0]) == np.float32(14 / 3)


def test_a_weight_of_two_is_the_row_twice():
    y, t = RNG.normal(0, 1, (3, 2)), RNG.normal(0, 1, (3, 2))
    twice = [0, 0, 1, 2]
    for reduction in ("sum", "mean_with_sample_weight"):
        loss = MeanSquaredError(reduction=reduction)
        np.testing.assert_allclose(loss(t, y, [2, 1, 1]), loss(t[twice], y[twice]), rtol=1e-6)


def test_weights_of_rows_count_for_each_of_their_steps():
    y, t, w = RNG.normal(0, 1, (3, 4, 2)), RNG.normal(0, 1, (3, 4, 2)), np.array([1.0, 0.0, 3.0])
    full = np.repeat(w[:, None], 4, axis=1)
    for reduction in REDUCTIONS:
        loss = MeanSquaredError(reduction=reduction)
        np.testing.assert_allclose(loss(t, y, w), loss(t, y, full), rtol=1e-6)


@pytest.mark.parametrize("make, message", [
    (lambda: MeanSquaredError()(np.zeros((3, 1)), np.zeros((3, 2))), r"y_true has shape \(3, 1\) and y_pred \(3, 2\)"),
    (lambda: MeanSquaredError()(np.zeros(4), np.zeros(3)), r"y_true has shape \(4,\)"),
    (lambda: CategoricalCrossentropy()([0, 1], np.ones((2, 2))), "sparse_categorical_crossentropy"),
    (lambda: SparseCategoricalCrossentropy()([[0, 1]], np.ones((1, 2))), "must hold class numbers in the shape"),
    (lambda: SparseCategoricalCrossentropy()([0, 2], np.ones((2, 2))), "class 2, but y_pred has 2 classes"),
    (lambda: SparseCategoricalCrossentropy()([0, -1], np.ones((2, 2))), "values from -1 to 0"),
    (lambda: SparseCategoricalCrossentropy()([0, 0.5], np.ones((2, 2))), "class numbers"),
    (lambda: SparseCategoricalCrossentropy()([0, np.nan], np.ones((2, 2))), "class numbers"),
    (lambda: MeanSquaredError()(["a"], [1.0]), "y_true must hold numbers"),
    (lambda: MeanSquaredError()([1j], [1.0]), "y_true must hold numbers"),
    (lambda: MeanSquaredError()([1.0, 2.0], [1.0, 2.0], [1.0, 2.0, 3.0]), r"sample_weight has shape \(3,\)"),
    (lambda: MeanSquaredError(reduction="men"), "did you mean 'mean'"),
    (lambda: CategoricalCrossentropy(label_smoothing=2), r"label_smoothing must be in \[0, 1\]; got 2"),
    (lambda: BinaryCrossentropy(axis=1), "axis=1"),
    (lambda: losses.get("mze"), "Unknown loss 'mze'"),
    (lambda: losses.get(3), "not 3"),
    (lambda: losses.get("crossentropy"), "depends on the shapes"),
])
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_one_class_warns():
    with pytest.warns(UserWarning, match="binary_crossentropy"):
        CategoricalCrossentropy()(np.ones((2, 1)), np.ones((2, 1)))


# ---------------------------------------------------------------------- names and functions


@pytest.mark.parametrize("identifier, kind", [
    ("mse", MeanSquaredError), ("MSE", MeanSquaredError), ("mean_squared_error", MeanSquaredError),
    ("MeanSquaredError", MeanSquaredError), (losses.mean_squared_error, MeanSquaredError),
    (MeanAbsoluteError, MeanAbsoluteError), ("mae", MeanAbsoluteError),
    ("sparse_categorical_crossentropy", SparseCategoricalCrossentropy),
    ("categorical_crossentropy", CategoricalCrossentropy), ("binary_crossentropy", BinaryCrossentropy),
    ("bce", BinaryCrossentropy),
])
def test_get(identifier, kind):
    assert type(losses.get(identifier)) is kind


def test_get_by_shapes():
    assert type(losses.get("crossentropy", (None,), (None, 10))) is SparseCategoricalCrossentropy
    assert type(losses.get("ce", (None, 10), (None, 10))) is CategoricalCrossentropy
    assert type(losses.get("crossentropy", (None,), (None, 1))) is BinaryCrossentropy
    assert losses.get(None) is None


def test_config_round_trip():
    made = CategoricalCrossentropy(from_logits=True, label_smoothing=0.25, reduction="sum", name="mine")
    again = losses.deserialize(losses.serialize(made))
    assert again.get_config() == made.get_config() and type(again) is CategoricalCrossentropy
    assert losses.get(made) is made


@pytest.mark.parametrize("kind", [SparseCategoricalCrossentropy, CategoricalCrossentropy, BinaryCrossentropy,
                                  MeanSquaredError, MeanAbsoluteError])
def test_kerass_config_is_read(keras, kind):
    made = getattr(keras.losses, kind.__name__)(reduction="sum")
    assert losses.deserialize(keras.losses.serialize(made)).reduction == "sum"


def fourth(y_true, y_pred):
    d = elementwise.subtract(y_pred, y_true)
    return elementwise.square(elementwise.square(d))


def test_a_python_function_is_traced():
    loss = losses.get(fourth)
    assert isinstance(loss, LossFunction) and loss.name == "fourth"
    assert loss([0.0, 0.0], [1.0, 2.0]) == 8.5
    run, _ = traced(loss, np.zeros(3), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(run(np.array([1.0, 2.0, 3.0]))[1], 4 * np.array([1, 8, 27]) / 3)
    again = losses.deserialize(losses.serialize(loss), {"fourth": fourth})
    assert again([0.0], [2.0]) == 16.0
    with pytest.raises(ValueError, match="custom_objects"):
        losses.deserialize(losses.serialize(loss))


def test_a_function_that_gives_no_tensor():
    with pytest.raises(TypeError, match="<lambda> must give a float tensor.*got int"):
        losses.get(lambda y_true, y_pred: 3)([1.0], [1.0])


def test_subclass():
    class Halved(Loss):
        def call(self, y_true, y_pred):
            return elementwise.affine(losses.mean_squared_error(y_true, y_pred), scale=0.5)

    assert Halved()([[1.0, 3.0]], [[0.0, 0.0]]) == 2.5
    with pytest.raises(NotImplementedError, match="must override call"):
        Loss()([1.0], [1.0])


def test_copies():
    import copy
    import pickle

    loss = MeanSquaredError()
    assert loss([1.0], [3.0]) == 4.0
    assert copy.deepcopy(loss)([1.0], [3.0]) == 4.0
    assert pickle.loads(pickle.dumps(loss))([1.0], [3.0]) == 4.0
