"""compile, fit, evaluate, predict: what they do with what Keras users give them."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, losses, metrics, optimizers
from fastnn.optimizers import schedules

from .conftest import network


def fit_weights(x, y, model=None, **arguments):
    fastnn.utils.set_random_seed(3)
    model = model or network()
    history = model.fit(x, y, **{"epochs": 2, "verbose": 0, **arguments})
    return model.get_weights(), history.history


def same(a, b):
    for v, w in zip(a, b, strict=True):
        np.testing.assert_array_equal(v, w)


def test_it_learns(digits):
    model = network(optimizer=optimizers.Adam(0.01))
    history = model.fit(*digits, epochs=15, verbose=0, validation_split=0.2)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert history.epoch == list(range(15)) and model.history is history
    loss, accuracy = model.evaluate(*digits, verbose=0)
    assert accuracy > 0.9
    assert model.metrics_names == ["loss", "accuracy"]
    p = model.predict(digits[0])
    assert accuracy == pytest.approx((p.argmax(1) == digits[1]).mean())
    assert loss == pytest.approx(-np.log(p[np.arange(150), digits[1]]).mean(), rel=1e-4)
    assert model.evaluate(*digits, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}
    np.testing.assert_array_equal(model.predict_on_batch(digits[0]), model(digits[0]))
    np.testing.assert_allclose(model.predict(digits[0], batch_size=7), p, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ("float64", "float16", "strided", "fortran", "read-only", "list", "big-endian"))
def test_forms_of_data(digits, form):
    x, y = (digits[0] * 8).round() / 8, digits[1]  # eighths, which float16 holds
    want, _ = fit_weights(x.astype(np.float32), y)
    wide = np.zeros((300, 6))
    wide[::2] = x
    given = {"float64": x, "float16": x.astype(np.float16), "strided": wide[::2], "fortran": np.asfortranarray(x),
             "read-only": x.copy(), "list": x.tolist(), "big-endian": x.astype(">f8")}[form]
    before = np.array(given)
    if form == "read-only":
        given.flags.writeable = False
    same(fit_weights(given, y)[0], want)
    same(fit_weights(given, y.tolist() if form == "list" else y.astype(np.float32))[0], want)
    np.testing.assert_array_equal(given, before)


def test_bytes_and_frames(digits):
    x = np.random.default_rng(0).integers(0, 255, (90, 6)).astype(np.uint8)
    y = digits[1][:90]
    want, _ = fit_weights(x.astype(np.float32), y)
    same(fit_weights(x, y)[0], want)
    same(fit_weights(x, y.astype(np.uint8)[:, None])[0], want)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    same(fit_weights(frame, pandas.Series(y))[0], want)
    np.testing.assert_array_equal(network().predict(frame[:5]).shape, (5, 3))


def test_generators_give_the_same_as_arrays(digits):
    x, y = digits
    want, _ = fit_weights(x, y, shuffle=False, batch_size=30)

    def batches():
        while True:
            for i in range(0, 150, 30):
                yield x[i : i + 30], y[i : i + 30]

    same(fit_weights(batches(), None, steps_per_epoch=5)[0], want)
    listed = [(x[i : i + 30], y[i : i + 30]) for i in range(0, 150, 30)]

    class Loader:
        def __iter__(self):
            return iter(listed)

    same(fit_weights(Loader(), None)[0], want)
    model = network()
    assert model.evaluate(Loader(), verbose=0)[0] == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-5)
    np.testing.assert_allclose(model.predict(b[:1] for b in listed), model.predict(x), rtol=1e-5)


def test_a_generator_that_ends_stops_the_fit(digits):
    x, y = digits
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = network().fit(((x[:10], y[:10]) for _ in range(5)), epochs=3, steps_per_epoch=3, verbose=0)
    assert any("ran out" in str(w.message) for w in caught)
    assert len(history.epoch) == 2


def test_weight_two_is_the_row_twice(digits):
    """As to the loss and its gradient, with a sum over rows."""
    x, y = digits[0][:20], digits[1][:20]
    weights = np.ones(20)
    weights[:5] = 2

    def one(x, y, w=None):
        fastnn.utils.set_random_seed(1)
        model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3, "softmax")])
        model.compile(optimizers.SGD(0.1), losses.SparseCategoricalCrossentropy(reduction="sum"))
        loss = model.train_on_batch(x, y, sample_weight=w)
        return loss, model.get_weights()

    a, wa = one(x, y, weights)
    b, wb = one(np.concatenate([x, x[:5]]), np.concatenate([y, y[:5]]))
    assert a == pytest.approx(b, rel=1e-5)
    for v, w in zip(wa, wb):
        np.testing.assert_allclose(v, w, rtol=1e-4, atol=1e-6)


def test_class_weight_is_a_weight_for_each_row(digits):
    table = {0: 1.0, 1: 0.0, 2: 3.0}
    by_class, _ = fit_weights(*digits, class_weight=table)
    by_row, _ = fit_weights(*digits, sample_weight=np.array([table[c] for c in digits[1]]))
    same(by_class, by_row)


def test_class_weights_are_checked_against_the_outputs(digits):
    x, y = digits
    few = y < 2  # class 2 is not in the data, but the model has it
    weighted, _ = fit_weights(x[few], y[few], class_weight={0: 2.0, 2: 3.0})
    same(weighted, fit_weights(x[few], y[few], sample_weight=np.where(y[few] == 0, 2.0, 1.0))[0])
    model = network()
    for fit in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match="class_weight names class 3, but the classes are 0 to 2"):
            fit(x, y, class_weight={3: 1.0})
    batches = [(x[:50], np.zeros(50)), (x[50:], y[50:])]  # the first batch lacks classes
    model.fit(batches.__iter__(), steps_per_epoch=2, class_weight={2: 3.0}, verbose=0)
    with pytest.raises(ValueError, match="names class 3"):
        model.fit(iter(batches), steps_per_epoch=2, class_weight={3: 3.0}, verbose=0)
    with pytest.raises(ValueError, match=r"one-hot rows \(n, 3\), but its shape is \(150, 2\)"):
        model.fit(x, np.stack([y, y], 1), class_weight={1: 3.0}, verbose=0)


def test_balanced_class_weights(digits):
    x, y = digits
    y = np.where(np.arange(150) % 10 == 0, y, 0)
    rows = np.bincount(y)
    by_class, _ = fit_weights(x, y, class_weight="balanced")
    same(by_class, fit_weights(x, y, sample_weight=(150 / (3 * rows))[y])[0])


def test_metrics_are_weighted_only_where_asked(digits):
    x, y = digits
    weights = np.random.default_rng(0).random(150)
    model = network(metrics=["accuracy"], weighted_metrics=[metrics.SparseCategoricalAccuracy(name="weighted")])
    found = model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True)
    hits = model.predict(x).argmax(1) == y
    assert found["accuracy"] == pytest.approx(hits.mean(), rel=1e-5)
    assert found["weighted"] == pytest.approx((hits * weights).sum() / weights.sum(), rel=1e-5)
    p = model.predict(x)[np.arange(150), y]
    assert found["loss"] == pytest.approx((-np.log(p) * weights).mean(), rel=1e-4)


def test_a_metric_of_another_dtype_than_the_loss(digits):
    x, y = digits
    model = network(loss="mse", metrics=["mae", "sparse_categorical_accuracy"])
    with pytest.raises(ValueError, match="mean_squared_error: y_true has shape"):
        model.fit(x, y, verbose=0)
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "mse", "sparse_categorical_accuracy"])
    with pytest.raises(ValueError, match="labels of 1 classes"):
        model.fit(x, y > 0, verbose=0)
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy", "mse"])
    found = model.evaluate(x, y > 0, verbose=0, return_dict=True)
    p = model.predict(x)[:, 0]
    assert found["mse"] == pytest.approx(((p - (y > 0)) ** 2).mean(), rel=1e-4)
    with pytest.raises(ValueError, match="mse: y_true has shape"):
        network(metrics=["mse"]).fit(x, y, verbose=0)


def test_batch_size_follows_from_steps(digits):
    sizes = []
    count = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: sizes.append(batch))
    network().fit(*digits, epochs=1, steps_per_epoch=4, verbose=0, callbacks=[count])
    assert sizes == [0, 1, 2, 3]
    want, _ = fit_weights(*digits, batch_size=38, steps_per_epoch=4)
    same(fit_weights(*digits, steps_per_epoch=4)[0], want)
    assert network().predict(digits[0], steps=4).shape == (150, 3)


def test_a_batch_larger_than_the_data(digits):
    want, _ = fit_weights(*digits, batch_size=150)
    same(fit_weights(*digits, batch_size=1000)[0], want)


def test_validation(digits):
    x, y = digits
    model = network()
    history = model.fit(x, y, epochs=4, verbose=0, validation_data=(x[:20], y[:20]), validation_freq=2)
    assert len(history.history["val_loss"]) == 2 and len(history.history["loss"]) == 4
    assert history.history["val_loss"][-1] == pytest.approx(model.evaluate(x[:20], y[:20], verbose=0)[0], rel=1e-5)
    a, _ = fit_weights(x, y, validation_split=0.2)
    b, _ = fit_weights(x[:120], y[:120])
    same(a, b)


def test_initial_epoch_goes_on_where_it_would_have_been(digits):
    want, _ = fit_weights(*digits, network(), epochs=4)
    fastnn.utils.set_random_seed(7)
    model = network()
    for first, last in ((0, 2), (2, 4)):
        fastnn.utils.set_random_seed(3)
        history = model.fit(*digits, epochs=last, initial_epoch=first, verbose=0)
        assert history.epoch == [first, first + 1]
    same(model.get_weights(), want)


@pytest.mark.parametrize("schedule", [schedules.ExponentialDecay(0.1, 3, 0.5),
                                      schedules.PiecewiseConstantDecay([3, 6], [0.1, 0.05, 0.01]),
                                      schedules.CosineDecay(0.1, 8)], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("together", (True, False))
def test_schedules_are_followed_step_by_step(digits, schedule, together):
    """A loss that is linear in one weight: the weight tells the sum of the rates."""
    model = fastnn.Sequential([fastnn.Input((1,)), layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(optimizers.SGD(schedule), lambda t, y: y)
    watch = [] if together else [callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: None)]
    model.fit(np.ones((50, 1)), np.zeros(50), batch_size=5, verbose=0, callbacks=watch)
    assert model.get_weights()[0][0, 0] == pytest.approx(-sum(float(schedule(i)) for i in range(10)), rel=1e-5)
    assert model.optimizer.iterations == 10


def test_learning_rate_scheduler(digits):
    model = network(optimizer=optimizers.SGD(0.1))
    history = model.fit(*digits, epochs=3, verbose=0,
                        callbacks=[callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)])
    np.testing.assert_allclose(history.history["learning_rate"], [0.1, 0.05, 0.025])


def test_early_stopping_restores_the_best_weights(digits):
    x, y = digits
    model, kept = network(optimizer=optimizers.SGD(0.0)), []
    keep = callbacks.LambdaCallback(on_epoch_end=lambda e, logs: kept.append(model.get_weights()))
    stop = callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = model.fit(x, y, epochs=50, verbose=0, callbacks=[keep, stop], shuffle=False)
    assert len(history.epoch) == stop.best_epoch + 3 < 50
    same(model.get_weights(), kept[stop.best_epoch])


def test_every_moment_comes_in_order(digits):
    said = []

    class Says(callbacks.Callback):
        def __getattribute__(self, name):
            if name.startswith("on_") and name != "on_progress":
                return lambda *a: said.append(name)
            return super().__getattribute__(name)

        def wants_batches(self, phase="train"):
            return True

    model = network()
    model.fit(*digits, batch_size=75, verbose=0, validation_data=digits, validation_batch_size=150, callbacks=[Says()])
    batch = ["on_train_batch_begin", "on_train_batch_end"]
    assert said == ["on_train_begin", "on_epoch_begin", *batch * 2, "on_test_begin", "on_test_batch_begin",
                    "on_test_batch_end", "on_test_end", "on_epoch_end", "on_train_end"]
    said.clear()
    model.predict(digits[0], batch_size=100, callbacks=[Says()])
    assert said == ["on_predict_begin", *["on_predict_batch_begin", "on_predict_batch_end"] * 2, "on_predict_end"]


def test_callbacks_per_batch_change_no_bit(digits):
    want, _ = fit_weights(*digits)
    each = callbacks.LambdaCallback(on_train_batch_end=lambda b, logs: None)
    same(fit_weights(*digits, callbacks=[each])[0], want)


@pytest.mark.parametrize("optimizer", ["adam", "Adam", optimizers.Adam, optimizers.Adam(0.001),
                                       optimizers.serialize(optimizers.Adam(0.001))])
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", "crossentropy",
                                  losses.SparseCategoricalCrossentropy, losses.SparseCategoricalCrossentropy(),
                                  losses.sparse_categorical_crossentropy])
def test_names_classes_objects_and_configs_mean_the_same(digits, optimizer, loss):
    if isinstance(optimizer, optimizers.Optimizer):
        optimizer = optimizers.Adam(0.001)
    fastnn.utils.set_random_seed(3)
    model = network(optimizer=optimizer, loss=loss)
    found, _ = fit_weights(*digits)
    fastnn.utils.set_random_seed(3)
    model = network(optimizer=optimizer, loss=loss)
    model.fit(*digits, epochs=2, verbose=0)
    same(model.get_weights(), found)


@pytest.mark.parametrize("arguments,words", [
    ({"optimizer": "adm"}, "did you mean 'adam'"), ({"loss": "mean_sqared_error"}, "did you mean 'mean_squared_error'"),
    ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"), ({"weighted_metrics": ["mze"]}, "Unknown metric 'mze'"),
    ({"loss": 3}, "A loss is"), ({"optimizer": 3}, "An optimizer is"), ({"metrics": [3]}, "A metric is"),
    ({"loss_weights": [1.0, float("nan")]}, "loss_weights")])
def test_unknown_names_are_refused_by_compile(arguments, words):
    model = network()
    before = model.optimizer
    with pytest.raises(ValueError, match=words):
        model.compile(**{"optimizer": "sgd", "loss": "mse", **arguments})
    assert model.optimizer is before and model.compiled


def test_train_and_test_on_batch(digits):
    x, y = digits
    model = network()
    loss, accuracy = model.test_on_batch(x, y)
    assert model.optimizer.iterations == 0
    assert model.train_on_batch(x, y, return_dict=True).keys() == {"loss", "accuracy"}
    assert model.optimizer.iterations == 1
    assert model.test_on_batch(x, y)[0] < loss


def test_frozen_layers_stay(digits):
    model = network()
    model.layers[0].trainable = False
    with pytest.warns(fastnn.FastnnWarning, match="compile"):
        model.fit(*digits, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(*digits, verbose=0)
    after = model.get_weights()
    same(before[:2], after[:2])
    assert not np.array_equal(before[-2], after[-2])


def test_nan_in_the_loss_warns_and_can_stop(digits):
    model = network(optimizer=optimizers.SGD(1e30))
    with pytest.warns(fastnn.FastnnWarning, match="the loss of epoch"):
        history = model.fit(*digits, epochs=9, verbose=0, callbacks=[callbacks.TerminateOnNaN()])
    assert len(history.epoch) < 9


def test_many_batch_shapes_do_not_pile_up(digits):
    model = network()
    for n in range(1, 40):
        model.train_on_batch(digits[0][:n], digits[1][:n])
        model.predict(digits[0][:n])
    assert len(model._step_programs.programs) <= 16


def test_a_callback_that_sets_the_rate_per_batch(digits):
    """It gives the bits of the schedule of the same rates."""
    class Falls(callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.01 * 0.5 ** (self.model.optimizer.iterations / 4)

    first = network(optimizer=optimizers.Adam(0.01))
    fastnn.utils.set_random_seed(7)
    second = network(optimizer=optimizers.Adam(schedules.ExponentialDecay(0.01, 4, 0.5)))
    same(fit_weights(*digits, model=first, callbacks=[Falls()])[0], fit_weights(*digits, model=second)[0])


def test_a_seed_for_the_order_of_the_rows(digits):
    weights = []
    for stream, seed in ((1, 5), (2, 5), (2, 6)):
        fastnn.utils.set_random_seed(7)
        model = network()
        fastnn.utils.set_random_seed(stream)
        model.fit(*digits, verbose=0, seed=seed)
        weights.append(model.get_weights())
    same(weights[0], weights[1])
    assert (weights[1][0] != weights[2][0]).any()
