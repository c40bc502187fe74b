"""What a sweep gives, what it refuses, and what an interruption leaves."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.seeds import key_pair, next_seed

from .networks import XV, YV, X, Y, alone, plain

native = pytest.mark.skipif("native" not in fastnn.program.backend.available(), reason="needs the compiled modules")


@pytest.fixture(scope="module")
def result():
    return fastnn.sweep(plain, X, Y, {"learning_rate": [0.01, 0.1, 1.0], "seed": [0, 1]}, epochs=3, batch_size=32,
                        validation_data=(XV, YV), verbose=0)


def test_values(result):
    assert len(result) == 6 and result.shape == (3, 2) and result.epochs.tolist() == [[3, 3]] * 3
    np.testing.assert_array_equal(result.final("loss"), result.history["loss"][..., -1])
    np.testing.assert_array_equal(result.final("val_accuracy", at="best"), result.history["val_accuracy"].max(-1))
    np.testing.assert_array_equal(result.final(at="best"), result.history["val_loss"].min(-1))
    best = result.best()
    assert best.value == result.history["val_loss"][..., -1].min() and best.epoch == 3
    assert best.model is result.model(**best.settings) and best.settings == result.settings[best.index]
    best = result.best("val_accuracy", at="best")
    assert result.history["val_accuracy"].reshape(6, 3)[best.index, best.epoch - 1] == best.value
    assert best.value == result.history["val_accuracy"].max()
    assert result.model(3) is result.model(learning_rate=0.1, seed=1)
    loss, accuracy = result.models[3].evaluate(XV, YV, verbose=0)
    assert loss == pytest.approx(result.history["val_loss"][1, 1, -1], rel=1e-6)


def test_words(result):
    text = repr(result)
    assert text.startswith("Sweep: 6 replicas (3 learning_rate x 2 seed), 3 epochs, ")
    assert "learning_rate  seed" in text and len(text.splitlines()) == 8
    assert "<table" in result._repr_html_()
    with pytest.raises(ValueError, match="'val_acuracy' is not a result of this sweep; did you mean 'val_accuracy'"):
        result.final("val_acuracy")
    with pytest.raises(ValueError, match="2 replicas have learning_rate=0.1; one is wanted, of 6"):
        result.model(learning_rate=0.1)
    with pytest.raises(ValueError, match="'rate' is not a setting"):
        result.index(rate=0.1)


def test_frames(result):
    pytest.importorskip("pandas")
    frame = result.to_frame()
    assert frame.shape == (6, 7) and frame["loss"].tolist() == result.final("loss").reshape(-1).tolist()
    curves = result.to_frame(epochs=True)
    assert len(curves) == 18 and curves.query("learning_rate == 1.0 and seed == 1")["epoch"].tolist() == [1, 2, 3]


def test_pictures(result):
    pytest.importorskip("matplotlib").use("Agg")
    ax = result.heatmap("val_accuracy")
    assert ax.get_xlabel() == "seed" and ax.get_ylabel() == "learning_rate"
    np.testing.assert_array_equal(ax.images[0].get_array(), result.final("val_accuracy"))
    ax = result.heatmap("loss", x="learning_rate")
    np.testing.assert_array_equal(ax.images[0].get_array(), result.final("loss").T)
    ax = fastnn.sweep(plain, X, Y, {"units": [2, 3], "learning_rate": [0.1], "seed": [0, 1]},
                      verbose=0).heatmap(y="units", x="learning_rate")
    assert ax.images[0].get_array().shape == (2, 1) and ax.get_title() == "mean over seed"
    assert len(result.plot("val_loss").lines) == 6
    with pytest.raises(ValueError, match="x and y are both 'seed'"):
        result.heatmap(x="seed", y="seed")
    with pytest.raises(ValueError, match="the settings came as a list"):
        fastnn.sweep(plain, X, Y, [{"seed": 1}], verbose=0).heatmap()


def test_ensemble(result):
    mean = np.mean([m.predict(XV, verbose=0).astype(np.float64) for m in result.models], axis=0)
    np.testing.assert_allclose(result.predict(XV), mean, rtol=1e-6)
    np.testing.assert_array_equal(result.predict(XV, [2]), result.models[2].predict(XV, verbose=0))


def test_a_list_of_settings_and_seeds():
    result = fastnn.sweep(plain, X, Y, [{"units": 2, "learning_rate": 0.1}, {"units": 3, "learning_rate": 0.2}],
                          seed=9, verbose=0)
    assert result.shape == (2,) and not result.axes
    seen = []

    def build(seed, batch_size=0):
        seen.append((seed, batch_size))
        return plain()

    fastnn.sweep(build, X, Y, {"seed": [1, 2], "batch_size": [8]}, verbose=0)
    assert seen == [(1, 8), (2, 8)]


def test_random_numbers_are_as_before():
    fastnn.utils.set_random_seed(3)
    expected = key_pair(next_seed()), np.random.random()
    fastnn.utils.set_random_seed(3)
    fastnn.sweep(plain, X, Y, {"seed": [1, 2]}, verbose=0)
    assert (key_pair(next_seed()), np.random.random()) == expected


def test_diverging_replicas_leave_the_others_alone():
    def build(learning_rate):
        model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(1)])
        model.compile(optimizers.SGD(learning_rate), "mse")
        return model

    result = fastnn.sweep(build, X, 1e3 * X[:, 0], {"learning_rate": [1e-3, 1e9]}, epochs=8, verbose=0)
    assert "1 diverged" in result.summary() and result.best("loss").index == 0
    assert alone(build, result.settings[0], X, 1e3 * X[:, 0], epochs=8)[1]["loss"] == result.history["loss"][0].tolist()


@native
def test_an_interruption_leaves_whole_steps(monkeypatch):
    from fastnn.sweeps import running, sweeping

    class Stop:
        n, calls = 0.0, 0

        def update(self, n):
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    models = []

    def build(learning_rate):
        models.append(plain(learning_rate))
        return models[-1]

    monkeypatch.setattr(running, "BUDGET", 1e-6)
    monkeypatch.setattr(sweeping, "_Silent", Stop)
    with pytest.raises(KeyboardInterrupt):
        fastnn.sweep(build, X, Y, {"learning_rate": [0.1, 0.2, 0.3]}, epochs=100, batch_size=10, shuffle=False,
                     validation_data=(XV, YV), verbose=0)
    done = [m.optimizer.iterations for m in models]
    assert 0 < sum(done) < 2100
    for m, steps, rate in zip(models, done, (0.1, 0.2, 0.3)):
        fastnn.utils.set_random_seed(0)
        single = plain(rate)
        for s in range(steps):
            rows = slice(10 * (s % 7), 10 * (s % 7) + 10)
            single.train_on_batch(X[rows], Y[rows])
        np.testing.assert_array_equal(m.get_weights()[0], single.get_weights()[0])
    models[0].fit(X, Y, verbose=0)  # and nothing is left half done


# ---------------------------------------------------------------------------------- refusals


def test_wrong_grids():
    for grid, words in (
            ({"learning_rat": [1.0]}, "no parameter 'learning_rat', which the grid names; did you mean 'lear"),
            ({"learning_rate": 0.1}, "must be a list of values; got 0.1"),
            ({"learning_rate": "ab"}, "must be a list of values"),
            ({"learning_rate": []}, "is empty"),
            ({"learning_rate": np.ones((2, 2))}, "must have one axis"),
            ([], "list of settings is empty"),
            ([{"units": 2}, {"seed": 1}], "must have the same names"),
            ([3], "entry 0 is 3"),
            ({"seed": [-1]}, "seed must be at least 0"),
            ({"batch_size": [0]}, "batch_size must be an integer of at least 1"),
            (None, "needs a grid")):
        with pytest.raises((ValueError, TypeError), match=words):
            fastnn.sweep(plain, X, Y, grid, verbose=0)


def test_wrong_builds():
    model, layer = plain(), layers.Dense(3)

    def shared_layer(seed):
        m = fastnn.Sequential([fastnn.Input((6,)), layer])
        m.compile("sgd", "mse")
        return m

    rule = optimizers.SGD()

    def shared_rule(seed):
        m = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3)])
        m.compile(rule, "mse")
        return m

    class Own(fastnn.Sequential):
        def train_step(self, data):
            return {"loss": fastnn.ops.sum(data[0])}

    def own(seed):
        m = Own([fastnn.Input((6,)), layers.Dense(3)])
        m.compile("sgd", "mse")
        return m

    grid = {"seed": [0, 1]}
    for build, words in ((own, "a train_step or compute_loss of the model's own.* can't be joined"),
                         (model, "build must be a function"), (lambda seed: None, "returned None"),
                         (lambda seed: model, "the model that replica 0 has"),
                         (shared_layer, "trainable variable .*kernel that replica 0 has"),
                         (shared_rule, "the optimizer that replica 0 has"),
                         (lambda depth, seed: None, "wants 'depth', which the grid does not name"),
                         (lambda seed: fastnn.Sequential([layer]), "call compile before sweep")):
        with pytest.raises((TypeError, ValueError, RuntimeError), match=words):
            fastnn.sweep(build, X, Y, grid, verbose=0)


def test_shared_layers_that_nobody_trains_are_fine_and_moving_statistics_are_not():
    base = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(4, "tanh")])
    base.trainable = False
    norm = layers.BatchNormalization(center=False, scale=False)

    def build(seed):
        return fastnn.Sequential([base, layers.Dense(3, "softmax")])

    def compiled(make):
        def build(seed):
            m = make(seed)
            m.compile("adam", "sparse_categorical_crossentropy")
            return m

        return build

    result = fastnn.sweep(compiled(build), X, Y, {"seed": [0, 1]}, epochs=2, verbose=0)
    fastnn.utils.set_random_seed(1)
    single = compiled(build)(1)
    single.fit(X, Y, epochs=2, seed=1, verbose=0)
    np.testing.assert_array_equal(result.models[1].get_weights()[-2], single.get_weights()[-2])
    with pytest.raises(ValueError, match="must make new layers each time"):
        fastnn.sweep(compiled(lambda seed: fastnn.Sequential([fastnn.Input((6,)), norm, layers.Dense(3, "softmax")])),
                     X, Y, {"seed": [0, 1]}, verbose=0)


def test_metrics_with_variables_are_refused():
    class Hits(fastnn.metrics.Metric):
        def __init__(self):
            super().__init__(name="hits")
            self.hits = self.add_variable(shape=(), initializer="zeros", name="hits")

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.hits.assign(self.hits + fastnn.ops.sum(y_pred))

        def result(self):
            return self.hits

    def build(seed):
        m = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(1)])
        m.compile("sgd", "mse", metrics=[Hits()])
        return m

    with pytest.raises(ValueError, match="metrics that keep variables, can't be joined"):
        fastnn.sweep(build, X, X[:, :1], {"seed": [0, 1]}, verbose=0)


def test_wrong_data_and_options(tmp_path):
    grid = {"seed": [0, 1]}
    checkpoint = fastnn.callbacks.ModelCheckpoint(tmp_path / "a.safetensors")
    for options, words in (
            (dict(callbacks=[checkpoint]), "ModelCheckpoint can't be used here"),
            (dict(cv=1), "cv must be from 2 to"),
            (dict(cv=3, validation_split=0.1), "can't be given together"),
            (dict(cv=[([0, 1], [99])]), "fold 0 of cv must hold row numbers from 0 to 69"),
            (dict(cv="x"), "cv must be a number of folds"),
            (dict(cv=3, sampling="balanced"), "can't be given together with cv"),
            (dict(cv=3, class_weight="balanced"), "would differ from fold to fold"),
            (dict(validation_data=(XV[:, :2], YV)), "Validation data"),
            (dict(epochs=-1), "epochs must be"),
            (dict(steps_per_epoch=0), "steps_per_epoch must be")):
        with pytest.raises((ValueError, TypeError), match=words):
            fastnn.sweep(plain, X, Y, grid, verbose=0, **options)
    with pytest.raises(ValueError, match="must be arrays, which all replicas can read at once; got generator"):
        fastnn.sweep(plain, ((X, Y) for _ in range(2)), None, grid, verbose=0)
    with pytest.raises(ValueError, match=r"y\[0\] is 7"):
        fastnn.sweep(plain, X, Y + 7 - Y[0], grid, verbose=0)


# ---------------------------------------------------------------------------------- the executor


@native
def test_joined_programs_are_checked():
    from fastnn.kernels.native import core

    x, y = np.ones(4), np.zeros(4)
    executor = core.Executor([], [(x.ctypes.data, 8)], [(y.ctypes.data, 8)])
    ints = lambda *v: np.array(v, np.int64)  # noqa: E731
    for table, counts, addresses in ((ints(1, 1, 0), ints(1), ints(0, 0)), (ints(0, 0, 0), ints(1), ints(0, 0)),
                                     (ints(0, 1, 1), ints(1), ints(0, 0)), (ints(0, 1, -1), ints(1), ints(0, 0)),
                                     (ints(0, 1, 0), ints(2), ints(0, 0)), (ints(0, 1, 0), ints(2, -1), ints(0, 0))):
        with pytest.raises(ValueError):
            core.Joined([executor], table.reshape(1, 3), counts, addresses)
    joined = core.Joined([executor], ints(0, 3, 0, 0, 2, 0).reshape(2, 3), ints(2), ints(0, 0))
    while joined.run(2, 1.0):
        pass
    assert joined.done() == [5] and joined.run(2, 1.0) == 0 and len(joined) == 1
