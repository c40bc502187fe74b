"""Each loss of a table: against Keras in float32, PyTorch and plain formulas in float64, central differences, and at
the ends of what floats can hold."""

import os

import numpy as np
import pytest

from fastnn import losses
from fastnn.program.gradient import gradients
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from tests.losses.test_losses import differences, one_hot, probabilities, traced

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")
RNG = np.random.default_rng(5)
Y, T = RNG.normal(0, 2, (4, 3)), RNG.normal(0, 2, (4, 3))
P, Q = probabilities(4, 5), probabilities(4, 5)
LABELS = RNG.integers(0, 5, 4)
BITS, UNIT = RNG.integers(0, 2, (4, 3)).astype(float), RNG.uniform(0.1, 0.9, (4, 3))
EPS = 1e-7


def share(p):
    return p / p.sum(-1, keepdims=True)


def softmax(z):
    return share(np.exp(z - z.max(-1, keepdims=True)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def signs(t):
    return 2 * t - 1 if np.isin(t, (0, 1)).all() else t


def binary_focal(t, p, gamma=2.0, alpha=None, smooth=0.0):
    t = t * (1 - smooth) + smooth / 2
    losses = -(t * np.log(p) + (1 - t) * np.log(1 - p)) * (1 - (t * p + (1 - t) * (1 - p))) ** gamma
    return (losses if alpha is None else losses * (t * alpha + (1 - t) * (1 - alpha))).mean(-1)


def categorical_focal(t, p, gamma=2.0, alpha=0.25, smooth=0.0):
    t = t * (1 - smooth) + smooth / t.shape[-1]
    return -(np.asarray(alpha) * (1 - p) ** gamma * t * np.log(p)).sum(-1)


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def label(x, t):
    return np.take_along_axis(x, t.astype(int).reshape(-1, 1), 1)[:, 0]


CASES = [  # class, arguments, y_true, y_pred, the losses of the rows by a plain formula of (t, y)
    ("MeanAbsolutePercentageError", {}, T, Y, lambda t, y: 100 * (abs(t - y) / abs(t)).mean(-1)),
    ("MeanSquaredLogarithmicError", {}, T, Y,
     lambda t, y: ((np.log1p(np.maximum(t, EPS)) - np.log1p(np.maximum(y, EPS))) ** 2).mean(-1)),
    ("Huber", {}, T, Y, lambda t, y: np.where(abs(t - y) <= 1, (t - y) ** 2 / 2, abs(t - y) - 0.5).mean(-1)),
    ("Huber", {"delta": 2.5}, T, Y,
     lambda t, y: np.where(abs(t - y) <= 2.5, (t - y) ** 2 / 2, 2.5 * abs(t - y) - 3.125).mean(-1)),
    ("LogCosh", {}, T, Y, lambda t, y: np.log(np.cosh(y - t)).mean(-1)),
    ("Poisson", {}, abs(T), abs(Y), lambda t, y: (y - t * np.log(y + EPS)).mean(-1)),
    ("KLDivergence", {}, P, Q, lambda t, y: (t * np.log(t / y)).sum(-1)),
    ("CosineSimilarity", {}, T, Y, lambda t, y: -(unit(t) * unit(y)).sum(-1)),
    ("Hinge", {}, BITS, Y, lambda t, y: np.maximum(1 - signs(t) * y, 0).mean(-1)),
    ("Hinge", {}, T, Y, lambda t, y: np.maximum(1 - signs(t) * y, 0).mean(-1)),
    ("SquaredHinge", {}, BITS, Y, lambda t, y: (np.maximum(1 - signs(t) * y, 0) ** 2).mean(-1)),
    ("CategoricalHinge", {}, one_hot(LABELS, 5), RNG.normal(0, 1, (4, 5)),
     lambda t, y: np.maximum(1 + ((1 - t) * y).max(-1) - (t * y).sum(-1), 0)),
    ("BinaryFocalCrossentropy", {}, BITS, UNIT, binary_focal),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1},
     BITS, UNIT, lambda t, y: binary_focal(t, y, 1.5, 0.3, 0.1)),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 0.0}, BITS, Y,
     lambda t, y: binary_focal(t, sigmoid(y), 0.0)),
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 1.0}, BITS, Y,
     lambda t, y: binary_focal(t, sigmoid(y), 1.0)),
    ("CategoricalFocalCrossentropy", {}, one_hot(LABELS, 5), P, categorical_focal),
    ("CategoricalFocalCrossentropy", {"gamma": 0.5, "alpha": [0.1, 0.2, 0.3, 0.4, 0.5], "label_smoothing": 0.2},
     one_hot(LABELS, 5), P, lambda t, y: categorical_focal(t, y, 0.5, [0.1, 0.2, 0.3, 0.4, 0.5], 0.2)),
    ("CategoricalFocalCrossentropy", {"from_logits": True}, P, RNG.normal(0, 2, (4, 5)),
     lambda t, y: categorical_focal(t, softmax(y))),
    ("Dice", {}, BITS, UNIT, lambda t, y: 1 - 2 * (t * y).sum() / (t.sum() + y.sum() + EPS)),
    ("Dice", {"axis": 1}, BITS, UNIT, lambda t, y: 1 - 2 * (t * y).sum(1) / (t.sum(1) + y.sum(1) + EPS)),
    ("Tversky", {"alpha": 0.3, "beta": 0.9, "axis": [1]}, BITS, UNIT, lambda t, y: 1 - (t * y).sum(1) / (
        (t * y).sum(1) + 0.3 * (t * (1 - y)).sum(1) + 0.9 * ((1 - t) * y).sum(1) + EPS)),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.7}, LABELS, P, lambda t, y: (1 - label(y, t) ** 0.7) / 0.7),
    ("NegativeLogLikelihood", {}, LABELS, np.log(P), lambda t, y: -label(y, t)),
    ("Contrastive", {"margin": 2.0}, BITS, UNIT * 3,
     lambda t, y: (t * y**2 + (1 - t) * np.maximum(2 - y, 0) ** 2).mean(-1)),
    ("Triplet", {"margin": 1.5}, np.zeros(4), RNG.normal(0, 1, (4, 3, 6)),
     lambda t, y: np.maximum(np.linalg.norm(y[:, 0] - y[:, 1] + 1e-6, axis=-1)
                             - np.linalg.norm(y[:, 0] - y[:, 2] + 1e-6, axis=-1) + 1.5, 0)),
]
IDS = [f"{c}-{'-'.join(a)}-{i}" for i, (c, a, *_) in enumerate(CASES)]
OURS = ("NegativeLogLikelihood", "Contrastive", "Triplet")  # Keras has none of them


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_is_kerass(keras, case, reduction):
    name, arguments, t, y, _ = case
    if name in OURS:
        pytest.skip("Keras has no such loss")
    theirs = getattr(keras.losses, name)(reduction=reduction, **arguments)
    ours = getattr(losses, name)(reduction=reduction, **arguments)
    y = y.astype(np.float32)
    np.testing.assert_allclose(ours(t, y), np.asarray(theirs(t, y)), rtol=1e-5, atol=1e-6)
    if name != "Dice" or arguments:
        w = np.linspace(0.5, 2, 4)
        np.testing.assert_allclose(ours(t, y, w), np.asarray(theirs(t, y, w)), rtol=1e-5, atol=1e-6)


def natural(kind, t):
    return t.astype(np.int32) if kind.target_dtype == "int32" else t.astype(np.float64)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_the_meaning_is_the_formula(case):
    name, arguments, t, y, formula = case
    kind = getattr(losses, name)
    run, _ = traced(kind(reduction="sum", **arguments), natural(kind, t), y)
    np.testing.assert_allclose(run(y)[0], formula(t, y).sum(), rtol=1e-10)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 2, 4)], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_gradient(case, weights):
    name, arguments, t, y, _ = case
    if name == "Dice" and not arguments and weights is not None:
        with pytest.raises(ValueError, match="one number for the whole batch"):
            losses.Dice()(t, y, weights)
        return
    kind = getattr(losses, name)
    run, _ = traced(kind(**arguments), natural(kind, t), y, weights)
    np.testing.assert_allclose(run(y)[1], differences(run, y), rtol=1e-7, atol=1e-9)


TORCH = {
    "Huber": lambda f, t, y: f.huber_loss(y, t), "KLDivergence": lambda f, t, y: f.kl_div(y.log(), t, reduction="none")
    .sum(-1).mean(), "Poisson": lambda f, t, y: f.poisson_nll_loss(y, t, log_input=False, eps=1e-7),
    "CosineSimilarity": lambda f, t, y: -f.cosine_similarity(y, t).mean(),
    "NegativeLogLikelihood": lambda f, t, y: f.nll_loss(y, t.long()),
    "Triplet": lambda f, t, y: f.triplet_margin_loss(y[:, 0], y[:, 1], y[:, 2], margin=1.5),
}


@pytest.mark.parametrize("case", [c for c in CASES if c[0] in TORCH and "delta" not in c[1]], ids=lambda c: c[0])
def test_is_pytorchs_with_its_gradient(case):
    torch = pytest.importorskip("torch")
    name, arguments, t, y, _ = case
    kind = getattr(losses, name)
    theirs = torch.tensor(y, requires_grad=True)
    value = TORCH[name](torch.nn.functional, torch.tensor(t), theirs)
    value.backward()
    ours, g = traced(kind(**arguments), natural(kind, t), y)[0](y)
    np.testing.assert_allclose(ours, value.item(), rtol=1e-10)
    np.testing.assert_allclose(g, theirs.grad, rtol=1e-9, atol=1e-12)


EXTREME = [  # class, arguments, y_true, y_pred: all finite
    ("BinaryFocalCrossentropy", {"from_logits": True, "gamma": 0.5}, [[0.0, 1.0, 0.0, 1.0]], [[3e38, 3e38, -3e38, 0]]),
    ("BinaryFocalCrossentropy", {"from_logits": True}, [[0.0, 1.0, 0.0, 1.0]], [[1e4, 1e4, -1e4, -1e4]]),
    ("BinaryFocalCrossentropy", {"gamma": 0.5}, [[0.0, 1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0, 0.0]]),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "gamma": 0.5}, [[0.0, 1.0, 0.0]], [[1e30, 1e30, -1e30]]),
    ("CategoricalFocalCrossentropy", {"gamma": 0.5}, [[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]),
    ("CategoricalGeneralizedCrossEntropy", {}, [0, 1], [[0.0, 1.0], [0.0, 1.0]]),
    ("CosineSimilarity", {}, [[1e30, 1e30], [1.0, 0.0]], [[1e30, -1e20], [0.0, 0.0]]),
    ("Dice", {"axis": 1}, [[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]),
    ("Huber", {}, [[0.0, 0.0, 0.0]], [[1e30, 0.0, 1e-30]]),
    ("KLDivergence", {}, [[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]),
    ("LogCosh", {}, [[0.0, 0.0, 0.0]], [[1e30, 0.0, -1e-3]]),
    ("MeanAbsolutePercentageError", {}, [[0.0, 1.0]], [[1.0, 1.0]]),
    ("MeanSquaredLogarithmicError", {}, [[0.0, -1.0]], [[-5.0, 0.0]]),
    ("NegativeLogLikelihood", {}, [1], [[-3e38, -1.0]]),
    ("Poisson", {}, [[0.0, 3.0]], [[0.0, 0.0]]),
    ("SparseCategoricalCrossentropy", {"from_logits": True, "ignore_class": -1}, [1, -1], [[1e30, -1e30], [1e38, 0.0]]),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0}, [1, 0], [[1.0, 0.0], [0.0, 1.0]]),
    ("Triplet", {}, [0.0], [[[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]]),
    ("Tversky", {"axis": 1}, [[0.0, 0.0], [1.0, 1.0]], [[0.0, 0.0], [1.0, 0.0]]),
]


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("case", EXTREME, ids=lambda c: c[0])
def test_ends_of_the_floats(case, backend):
    name, arguments, t, y = case
    kind = getattr(losses, name)
    graph, y = Graph(), np.asarray(y, np.float32)
    t = np.asarray(t, kind.target_dtype)
    p = graph.feed("p", y.shape, np.float32)
    loss = kind(**arguments)(graph.feed("t", t.shape, t.dtype), p)
    graph.fetch("loss", loss)
    graph.fetch("g", gradients(loss, [p])[0])
    out = {"loss": np.empty(1, np.float32), "g": np.empty((1, *y.shape), np.float32)}
    Program(graph, backend=backend).run(1, {"p": y[None], "t": t[None]}, out)
    assert np.isfinite(out["loss"]).all() and np.isfinite(out["g"]).all(), out


# ---------------------------------------------------------------------- ignore_class


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("ignored", [2, -1, 255])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", "none"])
def test_ignore_class_is_kerass(keras, reduction, ignored, from_logits):
    t, z = RNG.integers(0, 5, (4, 3)), RNG.normal(0, 2, (4, 3, 5)).astype(np.float32)
    t[0, 0] = t[1, 1] = t[3, 2] = ignored
    y = z if from_logits else softmax(z)
    arguments = dict(ignore_class=ignored, from_logits=from_logits, reduction=reduction)
    theirs = keras.losses.SparseCategoricalCrossentropy(**arguments)
    ours = losses.SparseCategoricalCrossentropy(**arguments)
    np.testing.assert_allclose(ours(t, y), np.asarray(theirs(t, y)), rtol=1e-5, atol=1e-6)
    w = RNG.uniform(0.5, 2, (4, 3))
    if reduction != "mean_with_sample_weight":
        np.testing.assert_allclose(ours(t, y, w), np.asarray(theirs(t, y, w)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ignored", [1, -1])
def test_ignored_rows_have_no_gradient_and_do_not_count(ignored):
    z, t = RNG.normal(0, 1, (4, 3)), np.array([0, ignored, 2, ignored], np.int32)
    run, _ = traced(losses.SparseCategoricalCrossentropy(True, ignore_class=ignored), t, z)
    value, g = run(z)
    kept, _ = traced(losses.SparseCategoricalCrossentropy(True), t[::2].copy(), z[::2].copy())
    np.testing.assert_allclose([value, *g[::2].ravel()], [kept(z[::2])[0], *kept(z[::2])[1].ravel()], rtol=1e-6)
    assert not g[1::2].any()
    none = np.full(4, ignored, np.int32)
    assert losses.SparseCategoricalCrossentropy(True, ignore_class=ignored)(none, z) == 0


# ---------------------------------------------------------------------- small errors, names, errors


def test_log_cosh_of_small_errors_is_exact():
    d = np.array([1e-3, 1e-4, 1e-6], np.float32)
    np.testing.assert_allclose(losses.LogCosh(reduction="none")(np.zeros(3), d), d.astype(float) ** 2 / 2, rtol=1e-6)


def test_triplets_by_themselves():
    a, p, n = RNG.normal(0, 1, (3, 4, 6))
    np.testing.assert_allclose(losses.triplet(a, p, n, 1.5), losses.Triplet(1.5, "none")(
        np.zeros(4), np.stack([a, p, n], 1)), rtol=1e-5)


NAMES = {"mape": "MeanAbsolutePercentageError", "MSLE": "MeanSquaredLogarithmicError", "huber": "Huber",
         "huber_loss": "Huber", "logcosh": "LogCosh", "log_cosh": "LogCosh", "kld": "KLDivergence",
         "kullback_leibler_divergence": "KLDivergence", "poisson": "Poisson", "hinge": "Hinge", "nll":
         "NegativeLogLikelihood", "cosine_similarity": "CosineSimilarity", "tversky": "Tversky", "triplet": "Triplet"}


@pytest.mark.parametrize("name, kind", NAMES.items())
def test_names(name, kind):
    assert type(losses.get(name)).__name__ == kind


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_config_round_trip(case):
    name, arguments, t, y, _ = case
    made = getattr(losses, name)(reduction="sum", name="mine", **arguments)
    again = losses.deserialize(losses.serialize(made))
    assert type(again) is type(made) and again.get_config() == made.get_config()
    assert again(t, y) == made(t, y)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] not in OURS and "delta" not in c[1]], ids=lambda c: c[0])
def test_kerass_config_is_read(keras, case):
    made = getattr(keras.losses, case[0])(reduction="sum", **case[1])  # but for delta of Huber, which Keras leaves out
    ours = losses.deserialize(keras.losses.serialize(made))
    expected = {k: v for k, v in getattr(losses, case[0])(reduction="sum", **case[1]).get_config().items()}
    assert {k: v for k, v in ours.get_config().items() if k in expected} == expected


@pytest.mark.parametrize("case", [c for c in CASES if c[0] != "Triplet"], ids=lambda c: c[0])
def test_functions_give_rows(case):
    name, arguments, t, y, formula = case
    function = next(f for f, kind in losses.FUNCTIONS.items() if kind.__name__ == name)
    np.testing.assert_allclose(function(t, y, **arguments), formula(t, y), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make, message", [
    (lambda: losses.Huber(delta=0), "delta must be above 0; got 0"),
    (lambda: losses.BinaryFocalCrossentropy(alpha=2), r"alpha must be in \[0, 1\]; got 2"),
    (lambda: losses.BinaryFocalCrossentropy(gamma=-1), "gamma must be 0 or more; got -1"),
    (lambda: losses.CategoricalFocalCrossentropy(alpha=[1, 2])(np.eye(3), np.eye(3)), "2 weights.*3 classes"),
    (lambda: losses.CategoricalGeneralizedCrossEntropy(1.0), r"q must be in \(0, 1\); got 1.0"),
    (lambda: losses.CosineSimilarity(axis="last"), "axis must be an integer; got 'last'"),
    (lambda: losses.Dice(axis="all"), "axis must be None, an integer"),
    (lambda: losses.Dice()(np.zeros((2, 1)), np.zeros((2, 2))), r"y_true has shape \(2, 1\)"),
    (lambda: losses.Tversky(alpha=-0.5), "alpha must be 0 or more"),
    (lambda: losses.Triplet(margin=-1), "margin must be above 0"),
    (lambda: losses.Triplet()([0.0], [[1.0, 2.0]]), r"shape \(..., 3, D\).*got \(1, 2\)"),
    (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0.5), "ignore_class must be a whole number"),
    (lambda: losses.SparseCategoricalCrossentropy(ignore_class=255)([7, 255], np.ones((2, 3)) / 3), "class 7"),
    (lambda: losses.get("hubber"), "did you mean 'huber'"),
])
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
