"""Metrics beyond means of accuracies and errors: against Keras over several batches, on arrays and inside programs."""

import os

import numpy as np
import pytest

import fastnn
from fastnn import losses, metrics
from tests.metrics.test_metrics import emitted, probabilities

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:keras", "ignore::DeprecationWarning:jax")
RNG = np.random.default_rng(7)
N = 60
ROWS = (slice(0, 25), slice(25, 26), slice(26, 60))
LABELS, P4 = RNG.integers(0, 4, N), probabilities(N, 4)
HOT = np.eye(4)[LABELS]
BITS, P = RNG.integers(0, 2, N).astype(float), RNG.uniform(0, 1, N)
GRID, PGRID = RNG.integers(0, 2, (N, 3)).astype(float), RNG.uniform(0, 1, (N, 3))
T, Y = RNG.normal(1, 2, (N, 3)), RNG.normal(1, 2, (N, 3))
IDS_T, IDS_P = RNG.integers(0, 4, N), RNG.integers(0, 4, N)

CASES = [  # class, arguments, y_true, y_pred
    ("TopKCategoricalAccuracy", {"k": 2}, HOT, P4), ("TopKCategoricalAccuracy", {}, HOT, P4),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, LABELS, P4), ("SparseTopKCategoricalAccuracy", {"k": 3}, LABELS, P4),
    *[(name, arguments, BITS, P) for name in ("TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives")
      for arguments in ({}, {"thresholds": [0.2, 0.7]})],
    ("Precision", {}, BITS, P), ("Precision", {"thresholds": 0.3}, GRID, PGRID),
    ("Precision", {"thresholds": [0.1, 0.45, 0.9]}, BITS, P), ("Precision", {"top_k": 2}, HOT, P4),
    ("Precision", {"class_id": 1}, HOT, P4), ("Recall", {}, BITS, P), ("Recall", {"top_k": 2, "class_id": 2}, HOT, P4),
    ("Recall", {"thresholds": [0.2, 0.6]}, GRID, PGRID),
    ("SensitivityAtSpecificity", {"specificity": 0.4}, BITS, P),
    ("SpecificityAtSensitivity", {"sensitivity": 0.4, "num_thresholds": 33}, BITS, P),
    ("PrecisionAtRecall", {"recall": 0.5}, BITS, P), ("RecallAtPrecision", {"precision": 0.5}, BITS, P),
    *[("AUC", {"curve": c, "summation_method": s}, BITS, P) for c in ("ROC", "PR", "PRGAIN")
      for s in ("interpolation", "minoring", "majoring")],
    ("AUC", {"num_thresholds": 11}, GRID, PGRID), ("AUC", {"thresholds": [0.1, 0.35, 0.8]}, BITS, P),
    ("AUC", {"multi_label": True}, GRID, PGRID), ("AUC", {"multi_label": True, "curve": "PR"}, GRID, PGRID),
    ("AUC", {"multi_label": True, "num_labels": 3, "label_weights": [0.2, 1.0, 3.0]}, GRID, PGRID),
    ("AUC", {"from_logits": True}, BITS, np.log(P / (1 - P))),
    *[("F1Score", {"average": a}, HOT, P4) for a in (None, "micro", "macro", "weighted")],
    ("FBetaScore", {"beta": 2.0, "threshold": 0.4}, GRID, PGRID),
    ("R2Score", {}, T, Y), ("R2Score", {"class_aggregation": None}, T, Y),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 4}, T, Y),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, IDS_T, IDS_P),
    ("MeanIoU", {"num_classes": 4, "ignore_class": 1}, IDS_T, IDS_P),
    ("MeanIoU", {"num_classes": 4, "sparse_y_pred": False}, IDS_T, P4),
    ("BinaryIoU", {"threshold": 0.4}, BITS, P), ("OneHotIoU", {"num_classes": 4, "target_class_ids": [3]}, HOT, P4),
    ("OneHotMeanIoU", {"num_classes": 4}, HOT, P4),
    *[(name, {}, GRID, Y) for name in ("Hinge", "SquaredHinge")], ("CategoricalHinge", {}, HOT, P4),
    ("KLDivergence", {}, P4[::-1], P4), ("Poisson", {}, abs(T), abs(Y)), ("LogCoshError", {}, T, Y),
    ("CosineSimilarity", {}, T, Y), ("MeanAbsolutePercentageError", {}, T, Y),
    ("MeanSquaredLogarithmicError", {}, abs(T), abs(Y)),
    ("PearsonCorrelation", {}, T, Y), ("ConcordanceCorrelation", {}, T, Y),
    ("ConcordanceCorrelation", {"axis": 1}, T.reshape(N, 3), Y),
]
ROW_FUNCTIONS = [
    ("binary_accuracy", {}, GRID, PGRID), ("binary_accuracy", {"threshold": 0.2}, GRID, PGRID),
    ("categorical_accuracy", {}, HOT, P4), ("sparse_categorical_accuracy", {}, LABELS, P4),
    ("top_k_categorical_accuracy", {"k": 2}, HOT, P4), ("sparse_top_k_categorical_accuracy", {"k": 2}, LABELS, P4),
    ("pearson_correlation", {}, T, Y), ("concordance_correlation", {}, T, Y),
    ("mean_squared_error", {}, T, Y), ("sparse_categorical_crossentropy", {}, LABELS, P4),
]
IDS = [f"{name}-{'-'.join(map(str, arguments.values()))}-{i}" for i, (name, arguments, *_) in enumerate(CASES)]


@pytest.fixture
def keras():
    os.environ.setdefault("KERAS_BACKEND", "jax")
    return pytest.importorskip("keras")


@pytest.mark.filterwarnings("ignore:You are passing weight as", "ignore:Explicitly requested dtype int64")
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_is_kerass_over_batches(keras, case, weighted):
    name, arguments, t, y = case
    theirs, ours = getattr(keras.metrics, name)(**arguments), getattr(metrics, name)(**arguments)
    y = y.astype(np.float32)
    weights = np.random.default_rng(0).integers(1, 4, N).astype(np.float32)  # whole: Keras cuts those of IoU
    for rows in ROWS:
        w = weights[rows] if weighted else None
        if theirs.name.startswith("auc") and weighted and y.ndim > 1 and not arguments.get("multi_label"):
            w = np.repeat(w[:, None], y.shape[1], 1)
        theirs.update_state(t[rows], y[rows], w)
        ours.update_state(t[rows], y[rows], w)
    np.testing.assert_allclose(ours.result(), np.asarray(theirs.result()), rtol=1e-5, atol=1e-6)
    if np.ndim(ours.result()) == 0:
        assert type(ours.result()) is float
    ours.reset_state()
    assert ours.result() == 0.0


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_program_gives_what_arrays_give(case, weighted):
    name, arguments, t, y = case
    metric, w = getattr(metrics, name)(**arguments), np.linspace(0.5, 2, N) if weighted else None
    expected = metric(t, y, w)
    metric.reset_state()
    _, total, count = emitted(metric, t, y, weights=w)
    metric.update(total, count)
    np.testing.assert_allclose(metric.result(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_config_round_trip(case):
    name, arguments, t, y = case
    made = getattr(metrics, name)(name="mine", **arguments)
    again = metrics.deserialize(metrics.serialize(made))
    assert type(again) is type(made) and again.name == "mine" and again.get_config() == made.get_config()
    np.testing.assert_array_equal(again(t, y), made(t, y))


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_kerass_config_is_read(keras, case):
    name, arguments, t, y = case
    theirs = getattr(keras.metrics, name)(**arguments)
    ours = metrics.deserialize({"class_name": name, "config": theirs.get_config()})
    np.testing.assert_allclose(ours(t, y), getattr(metrics, name)(**arguments)(t, y), rtol=1e-6)


@pytest.mark.parametrize("kind", ["AUC", "PR"])
def test_areas_are_near_scikit_learns(kind):
    sk = pytest.importorskip("sklearn.metrics")
    t = (P + RNG.normal(0, 0.3, N) > 0.5).astype(float)
    ours = metrics.AUC(4000, curve="ROC" if kind == "AUC" else "PR")(t, P)
    theirs = sk.roc_auc_score(t, P) if kind == "AUC" else sk.average_precision_score(t, P)
    assert ours == pytest.approx(theirs, abs=2e-3 if kind == "AUC" else 2e-2)


def test_perfect_and_no_predictions():
    assert metrics.AUC()([0, 0, 1, 1], [0, 0.1, 0.8, 1]) == pytest.approx(1)
    assert metrics.AUC(curve="PR")([0, 0, 1, 1], [0, 0.1, 0.8, 1]) == pytest.approx(1)
    assert metrics.Precision()([0, 1], [0.1, 0.2]) == 0 and metrics.Recall()([0, 0], [0.9, 0.8]) == 0
    assert metrics.TopKCategoricalAccuracy(1)(np.eye(2), [[np.nan, 0], [0, 1]]) == 0.5
    assert metrics.R2Score()([[2.0], [2.0]], [[1.0], [3.0]]) == 0


@pytest.mark.parametrize("case", ROW_FUNCTIONS, ids=lambda case: case[0])
def test_functions_of_rows_are_kerass(keras, case):
    name, arguments, t, y = case
    ours = getattr(metrics, name)(t, y.astype(np.float32), **arguments)
    theirs = getattr(keras.metrics, name)(t, y.astype(np.float32), **arguments)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("ignored", [-1, 2])
def test_ignored_classes_are_kerass(keras, ignored):
    labels = LABELS.copy()
    labels[::3] = ignored
    theirs, ours = (m.SparseCategoricalCrossentropy(ignore_class=ignored) for m in (keras.metrics, metrics))
    for rows in ROWS:
        theirs.update_state(labels[rows].astype("int32"), P4[rows].astype("float32"))
        ours.update_state(labels[rows], P4[rows])
    assert ours.result() == pytest.approx(float(theirs.result()), rel=1e-5)


def test_functions_of_rows_and_wrappers_in_fit():
    model = fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.Dense(4, "softmax")])

    def wrong(y_true, y_pred, by=1.0):
        return abs(y_true[..., None] - y_pred[..., :1]) * by

    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[
        metrics.sparse_categorical_accuracy, metrics.sparse_top_k_categorical_accuracy,
        metrics.MeanMetricWrapper(wrong, name="twice", by=2.0), metrics.MeanMetricWrapper(wrong, name="once")])
    logs = model.evaluate(P4, LABELS, verbose=0, return_dict=True)
    assert logs["sparse_top_k_categorical_accuracy"] == 1
    p = model.predict(P4)
    assert logs["sparse_categorical_accuracy"] == pytest.approx((p.argmax(1) == LABELS).mean())
    assert logs["twice"] == pytest.approx(2 * logs["once"]) == pytest.approx(2 * abs(LABELS - p[:, 0]).mean(), rel=1e-5)
    again = metrics.deserialize(metrics.serialize(metrics.MeanMetricWrapper(wrong, by=3.0)), {"wrong": wrong})
    assert type(again) is metrics.MeanMetricWrapper and again.arguments == {"by": 3.0} and again.name == "wrong"


@pytest.mark.parametrize("axis", [0, 2, -2, 1.0])
def test_correlations_run_along_what_is_there(axis):
    with pytest.raises(ValueError, match="axis"):
        metrics.PearsonCorrelation(axis=axis)(T, Y)


def test_sum(keras):
    theirs, ours = keras.metrics.Sum(), metrics.Sum()
    for values, w in (([1.0, 2.0, 6.0], None), (np.ones((2, 3)), [1.0, 3.0]), ([5.0], [0.5]), (3.0, None)):
        theirs.update_state(values, w)
        ours.update_state(values, w)
        np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-6)


# ---------------------------------------------------------------------- in fit


@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_fit_and_evaluate_gather_over_the_epoch(backend):
    before = fastnn.get_backend()
    fastnn.set_backend(backend)
    try:
        x, w = RNG.normal(0, 1, (N, 5)), RNG.uniform(0, 2, N)
        model = fastnn.Sequential([fastnn.Input((5,)), fastnn.layers.Dense(1, "sigmoid")])
        kinds = ["auc", metrics.Precision(thresholds=[0.3, 0.6]), "Recall", metrics.BinaryIoU()]
        model.compile("sgd", "hinge", metrics=kinds, weighted_metrics=[metrics.AUC(name="weighted")])
        history = model.fit(x, BITS, epochs=2, batch_size=16, sample_weight=w, verbose=0).history
        assert np.shape(history["precision"]) == (2, 2)
        logs = model.evaluate(x, BITS, batch_size=16, sample_weight=w, return_dict=True, verbose=0)
        p = model.predict(x)[:, 0]
        for key, metric, weights in (("auc", metrics.AUC(), None), ("weighted", metrics.AUC(), w),
                                     ("precision", metrics.Precision(thresholds=[0.3, 0.6]), None)):
            np.testing.assert_allclose(logs[key], metric(BITS, p, weights), rtol=1e-5)
    finally:
        fastnn.set_backend(before)


def test_a_loss_with_labels_as_metric_and_ignored_rows_in_fit():
    y = LABELS.copy()
    y[::5] = -1
    x = RNG.normal(0, 1, (N, 5))
    model = fastnn.Sequential([fastnn.Input((5,)), fastnn.layers.Dense(4, "softmax")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(ignore_class=-1))
    found = model.evaluate(x, y, batch_size=N, verbose=0)
    p = model.predict(x)
    assert found == pytest.approx(-np.log(p[np.arange(N), y])[y >= 0].mean(), rel=1e-5)
    model.fit(x, y, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[losses.NegativeLogLikelihood()])
    with pytest.raises(ValueError, match=r"y\[0\] is -1, but the labels of 4 classes are 0 to 3"):
        model.fit(x, y, verbose=0)
    model.evaluate(x, LABELS, verbose=0)


# ---------------------------------------------------------------------- names and errors


@pytest.mark.parametrize("name, kind", {
    "auc": "AUC", "AUC": "AUC", "precision": "Precision", "recall": "Recall", "true_positives": "TruePositives",
    "f1_score": "F1Score", "fbeta_score": "FBetaScore", "r2_score": "R2Score", "kl_divergence": "KLDivergence",
    "cosine_similarity": "CosineSimilarity", "hinge": "Hinge", "logcosh": "LogCoshError", "mape":
    "MeanAbsolutePercentageError", "top_k_categorical_accuracy": "TopKCategoricalAccuracy",
    "sparse_top_k_categorical_accuracy": "SparseTopKCategoricalAccuracy", "binary_io_u": "BinaryIoU"}.items())
def test_names(name, kind):
    assert type(metrics.get(name)).__name__ == kind


@pytest.mark.parametrize("make, message", [
    (lambda: metrics.AUC(curve="ROK"), "Unknown curve 'ROK': did you mean 'ROC'"),
    (lambda: metrics.AUC(num_thresholds=1), "num_thresholds must be above 1; got 1"),
    (lambda: metrics.AUC(thresholds=[0.2, 1.5]), r"thresholds must be in \[0, 1\]"),
    (lambda: metrics.AUC(num_labels=3), "only needed with multi_label"),
    (lambda: metrics.AUC(multi_label=True, num_labels=2)(GRID, PGRID), r"shape \(rows, 2\); got \(60, 3\)"),
    (lambda: metrics.Precision(thresholds=2), r"thresholds must be in \[0, 1\]; got 2"),
    (lambda: metrics.Precision(top_k=0), "top_k must be a whole number of at least 1; got 0"),
    (lambda: metrics.Precision(class_id=5)(HOT, P4), "class_id is 5, but y_pred has 4 columns"),
    (lambda: metrics.PrecisionAtRecall(1.5), r"recall must be in \[0, 1\]; got 1.5"),
    (lambda: metrics.F1Score(average="mean"), "average must be None, 'micro', 'macro' or 'weighted'; got 'mean'"),
    (lambda: metrics.FBetaScore(beta=0), "beta must be above 0"),
    (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation must be"),
    (lambda: metrics.IoU(2, [2]), r"target_class_ids must be classes from 0 to 1; got \[2\]"),
    (lambda: metrics.TopKCategoricalAccuracy(k=0), "k must be at least 1"),
    (lambda: metrics.TopKCategoricalAccuracy()(LABELS, P4), "sparse_top_k_categorical_accuracy"),
    (lambda: metrics.get("mean_io_u"), r"needs arguments: make it, as in metrics=\[MeanIoU"),
    (lambda: metrics.get("presicion"), "did you mean 'precision'"),
])
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
