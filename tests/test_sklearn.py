"""fastnn.sklearn beside scikit-learn's own estimators, and inside its tools."""

import inspect
import pickle
import warnings

import numpy as np
import pytest

import fastnn

sklearn = pytest.importorskip("sklearn")
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastnn.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def expected(estimator):
    return {"check_sample_weight_equivalence_on_dense_data":
            "weights and repeated rows fall into batches in another order, and float32 rounds above 1e-7"}


if "expected_failed_checks" in parametrize_with_checks.__code__.co_varnames:

    @pytest.mark.filterwarnings("ignore")
    @parametrize_with_checks([MLPClassifier(), MLPRegressor()], expected_failed_checks=expected)
    def test_as_an_estimator(estimator, check):
        check(estimator)


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    return rng.normal(size=(120, 5)) + np.eye(3, 5)[y] * 3, np.array(["a", "b", "c"])[y]


@pytest.fixture
def values():
    X = np.random.default_rng(1).normal(size=(100, 4))
    return X, X @ [1.0, -2.0, 0.5, 0.0] + 0.3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["binary", "classes", "labels", "value", "values"])
def test_steps_as_scikit_learn(kind, weighted, classes, values):
    """From the same weights, plain descent over whole batches takes the same steps, penalty and weights included."""
    X, y = values if "value" in kind else classes
    y = {"binary": lambda: y == "a", "classes": lambda: y, "labels": lambda: np.stack([y == "a", y != "c"], 1) * 1,
         "value": lambda: y, "values": lambda: np.stack([y, 2 - y], 1)}[kind]()
    name = "MLPRegressor" if "value" in kind else "MLPClassifier"
    given = {"hidden_layer_sizes": (7, 4), "activation": "tanh", "solver": "sgd", "momentum": 0.0, "alpha": 3.0,
             "learning_rate_init": 0.1, "batch_size": len(X), "shuffle": False, "random_state": 0}
    ours, theirs = (getattr(m, name)(**given) for m in (fastnn.sklearn, neural_network))
    more = {} if "value" in kind else {"classes": np.arange(2) if kind == "labels" else np.unique(y)}
    if weighted:
        more["sample_weight"] = np.random.default_rng(3).uniform(0.2, 3, len(X))
        import inspect

        if "sample_weight" not in inspect.signature(theirs.partial_fit).parameters:
            pytest.skip("this scikit-learn has no weights here")
    theirs.partial_fit(X, y, **more)
    ours.partial_fit(X, y, **more)
    for layer, w, b in zip(ours._dense(), theirs.coefs_, theirs.intercepts_):
        layer.kernel.assign(w)
        layer.bias.assign(b)
    for _ in range(10):
        theirs.partial_fit(X, y, **more)
        ours.partial_fit(X, y, **more)
        if kind != "values":  # of several outputs scikit-learn reports the mean, and descends along the sum
            assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-5)
    for mine, own in zip(ours.coefs_ + ours.intercepts_, theirs.coefs_ + theirs.intercepts_, strict=True):
        np.testing.assert_allclose(mine, own, rtol=1e-4, atol=1e-5)
    if "value" in kind:
        np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4, atol=1e-5)
    else:
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-4, atol=1e-5)
        assert (ours.predict(X) == theirs.predict(X)).all()
    assert (ours.n_layers_, ours.n_outputs_, ours.out_activation_, ours.n_iter_, ours.t_) == (
        theirs.n_layers_, theirs.n_outputs_, theirs.out_activation_, theirs.n_iter_, theirs.t_)


def test_as_good_as_scikit_learn(classes, values):
    for name, (X, y) in (("MLPClassifier", classes), ("MLPRegressor", values)):
        given = {"hidden_layer_sizes": (20,), "random_state": 0, "max_iter": 150, "learning_rate_init": 0.01}
        ours, theirs = (getattr(m, name)(**given).fit(X, y) for m in (fastnn.sklearn, neural_network))
        assert ours.score(X, y) > theirs.score(X, y) - 0.02
        assert len(ours.loss_curve_) == ours.n_iter_ and ours.best_loss_ == min(ours.loss_curve_)
        fitted = {n for n in vars(theirs) if n.endswith("_") and not n.startswith("_")}
        assert not [n for n in fitted if not hasattr(ours, n)]


def test_the_same_seed_gives_the_same_bits_and_leaves_the_package_alone(classes):
    fastnn.utils.set_random_seed(1)
    untouched = fastnn.seeds.next_seed().generate_state(2).tolist()
    fastnn.utils.set_random_seed(1)
    a, b = (MLPClassifier(random_state=5, max_iter=5, dropout=0.2).fit(*classes) for _ in range(2))
    assert all((v == w).all() for v, w in zip(a.coefs_, b.coefs_))
    assert fastnn.seeds.next_seed().generate_state(2).tolist() == untouched
    other = MLPClassifier(random_state=6, max_iter=5).fit(*classes)
    assert (other.coefs_[0] != a.coefs_[0]).any()


def test_in_the_tools(classes, values):
    X, y = classes
    grid = GridSearchCV(MLPClassifier((8,), max_iter=30, learning_rate_init=0.02, random_state=0),
                        {"dropout": [0.0, 0.2], "activation": ["relu", "tanh"]}, n_jobs=2, cv=3).fit(X, y)
    assert grid.best_score_ > 0.8 and set(grid.best_params_) == {"dropout", "activation"}
    pipeline = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(16,), max_iter=200,
                                                            learning_rate_init=0.02, random_state=0))
    assert cross_val_score(pipeline, *values, cv=3).min() > 0.7
    assert clone(grid.best_estimator_).get_params() == grid.best_estimator_.get_params()


def test_pickles(classes):
    X, y = classes
    net = MLPClassifier((8,), max_iter=5, warm_start=True, random_state=0, alpha=0.1).fit(X, y)
    again = pickle.loads(pickle.dumps(net))
    assert (again.predict_proba(X) == net.predict_proba(X)).all()
    net.partial_fit(X, y)
    again.partial_fit(X, y)  # with the optimizer's state, too
    assert all((v == w).all() for v, w in zip(net.coefs_, again.coefs_))


def test_warm_start_goes_on(classes):
    net = MLPClassifier((8,), max_iter=5, warm_start=True, random_state=0).fit(*classes)
    first = net.loss_
    net.fit(*classes)
    assert net.n_iter_ == 5 and len(net.loss_curve_) == 10 and net.loss_ < first
    assert net.model_.optimizer.iterations == 10 and net.t_ == 1200
    with pytest.raises(ValueError, match="classes that the classifier was not made for"):
        net.fit(classes[0], np.full(120, "z"))


def test_early_stopping_and_a_validation_set(classes):
    X, y = classes
    rng = np.random.default_rng(0)
    given = {"hidden_layer_sizes": (8,), "max_iter": 60, "random_state": 0, "n_iter_no_change": 4,
             "learning_rate_init": 0.02}
    own = MLPClassifier(**given).fit(X[:90], rng.permutation(y[:90]), validation_data=(X[90:], y[90:]))
    assert own.best_validation_score_ == max(own.validation_scores_) and len(own.validation_scores_) == own.n_iter_ < 60
    assert own.score(X[90:], y[90:]) == own.best_validation_score_  # the best weights are back
    cut = MLPClassifier(**given, early_stopping=True).fit(X, y)
    assert cut.best_loss_ is None and cut.t_ == 108 * cut.n_iter_


def test_what_scikit_learn_has_not(classes, values):
    X, y = classes
    net = MLPClassifier((8, 6), ["relu", "gelu"], dropout=[0.1, 0.0], class_weight={"a": 50.0}, max_iter=40,
                        learning_rate_init=0.02, random_state=0).fit(X, y)
    assert [layer.activation.__name__ for layer in net._dense()] == ["relu", "gelu", "softmax"]
    plain = MLPClassifier((8, 6), max_iter=40, learning_rate_init=0.02, random_state=0).fit(X, y)
    assert (net.predict(X) == "a").sum() > (plain.predict(X) == "a").sum()
    outliers = values[1].copy()
    outliers[:10] += 100
    robust = MLPRegressor("mae", (16,), max_iter=300, learning_rate_init=0.02, random_state=0).fit(values[0], outliers)
    assert np.median(np.abs(robust.predict(values[0]) - values[1])) < 0.5
    solver = fastnn.optimizers.RMSprop(0.01)
    assert MLPRegressor(solver=solver, max_iter=2).fit(*values).model_.optimizer is not solver


def test_lbfgs_finds_scikit_learns_minimum(classes, values):
    """A linear network with a penalty has one minimum but for rotations, so the predictions must be equal."""
    for name, (X, y) in (("MLPClassifier", classes), ("MLPRegressor", values)):
        given = {"hidden_layer_sizes": (4,), "activation": "identity", "solver": "lbfgs", "alpha": 1.0,
                 "random_state": 0, "tol": 1e-7, "max_iter": 500}
        weights = np.random.default_rng(3).uniform(0.2, 3, len(X)) if "sample_weight" in inspect.signature(
            getattr(neural_network, name).fit).parameters else None
        ours, theirs = (getattr(m, name)(**given).fit(X, y, **({} if weights is None else {"sample_weight": weights}))
                        for m in (fastnn.sklearn, neural_network))
        assert ours.loss_ == pytest.approx(theirs.loss_, rel=1e-5) and 0 < ours.n_iter_ < 500
        answer = "predict" if name == "MLPRegressor" else "predict_proba"
        np.testing.assert_allclose(getattr(ours, answer)(X), getattr(theirs, answer)(X), atol=5e-3)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge after 2 iterations"):
        assert MLPClassifier(solver="lbfgs", max_iter=2).fit(*classes).n_iter_ == 2
    with pytest.raises(ValueError, match="dropout must be 0"):
        MLPClassifier(solver="lbfgs", dropout=0.1).fit(*classes)
    with pytest.raises(ValueError, match="partial_fit takes steps"):
        MLPClassifier(solver="lbfgs").partial_fit(*classes, classes=["a", "b", "c"])


@pytest.mark.parametrize("how", ["invscaling", "adaptive"])
def test_rates_of_sgd(values, how):
    net = MLPRegressor(solver="sgd", learning_rate=how, max_iter=30, learning_rate_init=0.01, n_iter_no_change=1,
                       random_state=0, tol=10.0).fit(*values)
    rate = net.model_.optimizer.learning_rate
    if how == "invscaling":
        assert rate == pytest.approx(0.01 / (net.t_ + 1) ** 0.5)
    else:
        assert rate == pytest.approx(0.01 / 5 ** 6) and net.n_iter_ < 30  # below 1e-6 it stops


def test_refusals(classes):
    for given, sentence in (({"solver": "lbgfs"}, "solver must be 'adam', 'sgd', 'lbfgs' or an optimizer"),
                            ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes must be integers of at least 1"),
                            ({"activation": ["relu"] * 3}, "activation has 3 entries for 1 hidden layers"),
                            ({"activation": "rleu"}, "did you mean 'relu'"),
                            ({"alpha": -1}, "alpha must be a number of at least 0, got -1"),
                            ({"learning_rate": "cosine"}, "learning_rate must be 'constant', 'invscaling'"),
                            ({"max_iter": 0}, "max_iter must be an integer of at least 1, got 0")):
        with pytest.raises(ValueError, match=sentence):
            MLPClassifier(**given).fit(*classes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
            MLPClassifier(max_iter=2).fit(*classes)
