"""Each replica of a sweep has the bits of a run by itself."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, optimizers
from fastnn.callbacks import EarlyStopping, LearningRateScheduler, ReduceLROnPlateau
from fastnn.optimizers.schedules import CosineDecay

from .networks import XV, YV, X, Y, alone, assert_same, classifier, plain

BACKENDS = [b for b in ("native", "numpy") if b in fastnn.program.backend.available()]


def check(build, grid, every=1, x=X, y=Y, **options):
    """Run a sweep, and each `every`-th replica by itself."""
    result = fastnn.sweep(build, x, y, grid, verbose=0, **options)
    for k in range(0, len(result), every):
        assert_same(result, k, *alone(build, result.settings[k], x, y, **options)[:2])
    return result


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("backend", BACKENDS)
def test_rates_and_seeds(backend, threads):
    before = fastnn.get_num_threads()
    fastnn.set_num_threads(threads)
    try:
        with fastnn.backend(backend):
            result = check(plain, {"learning_rate": [0.01, 0.3], "seed": [0, 7]}, epochs=3, batch_size=16,
                           validation_data=(XV, YV))
    finally:
        fastnn.set_num_threads(before)
    assert result.history["val_accuracy"].shape == (2, 2, 3)
    if backend == "native":
        assert result.times["planned"] == 4 and result.times["groups"] == 1
    first, other = result.models[0].get_weights(), result.models[1].get_weights()
    assert not np.array_equal(first[0], other[0])  # another seed is another start


RULES = {
    "momentum": lambda rate: optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda rate: optimizers.Adam(rate, amsgrad=True, clipnorm=0.1),
    "global clip": lambda rate: optimizers.AdamW(rate, global_clipnorm=0.2),
    "accumulation": lambda rate: optimizers.RMSprop(rate, gradient_accumulation_steps=2),
    "average": lambda rate: optimizers.Lion(rate, use_ema=True, ema_momentum=0.9),
    "norms of variables": lambda rate: optimizers.Lamb(rate, weight_decay=0.01),
    "norms of layers": lambda rate: optimizers.NormalizedSGD(rate, "layer", momentum=0.9),
    "factors": lambda rate: optimizers.Adafactor(rate, adaptive_clipnorm=0.5),
    "orthogonal": lambda rate: optimizers.Muon(rate),
    "schedule": lambda rate: optimizers.Adam(CosineDecay(rate, 12, warmup_steps=3, warmup_target=2 * rate)),
}


@pytest.mark.parametrize("rule", RULES)
def test_optimizers(rule):
    check(lambda learning_rate: classifier(layers.Dense(7, "gelu"), optimizer=RULES[rule](learning_rate)),
          {"learning_rate": [0.001, 0.03], "seed": [3]}, epochs=3, batch_size=32)


@pytest.mark.parametrize("rule", [optimizers.SGD, optimizers.Adam])
def test_tables_updated_by_rows(rule):
    def build(learning_rate):
        table = layers.Embedding(300, 4, sparse=rule is optimizers.Adam)
        return classifier(table, layers.Flatten(), optimizer=rule(learning_rate))

    tokens = np.abs(X * 100).astype(np.int32) % 300
    check(build, {"learning_rate": [0.1, 0.5]}, x=tokens, epochs=2, batch_size=16,
          validation_data=(tokens[:20], Y[:20]))


def noisy(rate=0.2, l2=0.0, slope=0.1, momentum=0.9):
    return classifier(layers.Dense(8, kernel_regularizer=fastnn.regularizers.L2(l2)), layers.BatchNormalization(),
                      layers.LeakyReLU(slope), layers.Dropout(rate), layers.GaussianNoise(0.1),
                      optimizer=optimizers.SGD(0.05, momentum=momentum), loss="categorical_crossentropy",
                      metrics=["accuracy", fastnn.metrics.F1Score(average=None), "mae"])


ONE_HOT = np.eye(3, dtype=np.float32)[Y]


def test_dropout_and_batch_norm_share_a_plan():
    result = check(noisy, {"rate": [0.1, 0.5], "seed": [1, 2]}, y=ONE_HOT, epochs=3, batch_size=20)
    assert result.times["planned"] == 2  # a full and a last batch: rates and keys are numbers
    assert result.history["f1_score"].shape == (2, 2, 3, 3)


@pytest.mark.parametrize("name, values", [("l2", [0.001, 0.1]), ("momentum", [0.5, 0.9]), ("slope", [0.0, 0.3])])
def test_other_numbers(name, values):
    check(noisy, {name: values}, y=ONE_HOT, epochs=2, batch_size=32)


def test_structures_are_grouped():
    result = check(plain, {"units": [4, 9], "batch_size": [16, 70], "seed": [0, 1]}, epochs=2,
                   validation_split=0.2)
    assert result.times["groups"] == 4
    assert result.shape == (2, 2, 2)


def test_weights_and_labels():
    weights = np.linspace(0.5, 2, 70)
    check(plain, {"learning_rate": [0.1, 0.5]}, epochs=2, batch_size=32, sample_weight=weights,
          validation_data=(XV, YV, weights[:23]), validation_freq=2)
    check(plain, {"seed": [4, 5]}, epochs=2, batch_size=32, class_weight={0: 2.0, 2: 0.5})
    check(plain, {"seed": [4, 5]}, y=Y.astype(np.float64), epochs=2, batch_size=32, class_weight="balanced")


def test_steps_per_epoch_and_no_shuffle():
    check(plain, {"seed": [0, 1]}, epochs=4, batch_size=16, steps_per_epoch=3, validation_data=(XV, YV),
          validation_steps=2, validation_batch_size=5)
    check(plain, {"learning_rate": [0.1, 0.2]}, epochs=2, batch_size=16, shuffle=False)
    check(plain, {"learning_rate": [0.1, 0.2]}, epochs=2, steps_per_epoch=4)  # batches of a fourth of the rows
    check(plain, {"seed": [1, 2]}, epochs=2, batch_size=16, shuffle=24)


def test_balanced_sampling():
    check(plain, {"seed": [1, 2]}, epochs=2, batch_size=16, sampling="balanced", validation_split=0.2)


def two_headed(share=0.5):
    x = fastnn.Input((6,), name="x")
    h = layers.Dense(4, "relu")(x)
    model = fastnn.Model(x, [layers.Dense(3, "softmax")(h), layers.Dense(1)(h)])
    model.compile("adam", ["sparse_categorical_crossentropy", "mse"], loss_weights=[1.0, share])
    return model


def test_several_outputs():
    x, y = X, [Y, X[:, :1]]
    result = fastnn.sweep(two_headed, x, y, {"share": [0.5, 1.0, 2.0]}, epochs=2, verbose=0)
    for k in range(3):
        weights, history, _ = alone(two_headed, result.settings[k], x, y, epochs=2)
        for a, b in zip(result.models[k].get_weights(), weights):
            np.testing.assert_array_equal(a, b)
        for mine, single in zip(result.history.values(), history.values()):  # names count up with the layers
            np.testing.assert_array_equal(mine[k], single)


def test_callbacks_of_each_replica():
    stop = EarlyStopping("loss", patience=0, min_delta=0.02, restore_best_weights=True)
    result = fastnn.sweep(plain, X, Y, {"learning_rate": [0.001, 0.5], "seed": [0, 1]}, epochs=8, batch_size=16,
                          callbacks=[stop], verbose=0)
    epochs = []
    for k in range(4):
        weights, history, _ = alone(plain, result.settings[k], epochs=8, batch_size=16, callbacks=[
            EarlyStopping("loss", patience=0, min_delta=0.02, restore_best_weights=True)])
        assert_same(result, k, weights, history)
        epochs.append(len(history["loss"]))
    assert result.epochs.reshape(-1).tolist() == epochs and len(set(epochs)) > 1
    assert stop.best is None  # it was copied

    def callbacks():
        return [ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0),
                LearningRateScheduler(lambda epoch, rate: rate * 0.9)]

    result = fastnn.sweep(plain, X, Y, {"learning_rate": [0.1, 0.5]}, epochs=4, callbacks=callbacks(), verbose=0)
    for k in range(2):
        assert_same(result, k, *alone(plain, result.settings[k], epochs=4, callbacks=callbacks())[:2])


def test_folds():
    from itertools import pairwise

    edges = [0, 20, 45, 70]
    pairs = [(np.setdiff1d(np.arange(70), np.arange(a, b)), np.arange(a, b)) for a, b in pairwise(edges)]
    result = fastnn.sweep(plain, X, Y, {"learning_rate": [0.1, 0.5]}, cv=pairs, epochs=2, batch_size=16, verbose=0)
    assert result.shape == (2, 3) and list(result.axes) == ["learning_rate", "fold"]
    for k, settings in enumerate(result.settings):
        rows, held = pairs[settings["fold"]]
        single = alone(plain, {"learning_rate": settings["learning_rate"]}, X[rows], Y[rows], 16, epochs=2,
                       validation_data=(X[held], Y[held]))
        assert_same(result, k, *single[:2])
    assert fastnn.sweep(plain, X, Y, {}, cv=4, verbose=0).shape == (4,)


def test_many_epochs_go_in_several_joined_runs(monkeypatch):
    from fastnn.sweeps import running

    monkeypatch.setattr(running, "MEMORY", 4000)
    check(plain, {"seed": [0, 1]}, epochs=5, batch_size=16, validation_data=(XV, YV))


@pytest.mark.skipif("native" not in BACKENDS, reason="needs the compiled modules")
def test_fewer_replicas_than_threads_share_large_steps():
    x = np.tile(X, (20, 20))
    y = np.tile(Y, 20)

    def build(learning_rate):
        model = fastnn.Sequential([fastnn.Input((120,)), layers.Dense(256, "relu"), layers.Dense(3, "softmax")])
        model.compile(optimizers.SGD(learning_rate), "sparse_categorical_crossentropy")
        return model

    before = fastnn.get_num_threads()
    fastnn.set_num_threads(4)
    try:
        check(build, {"learning_rate": [0.01, 0.1]}, x=x, y=y, batch_size=512)
    finally:
        fastnn.set_num_threads(before)
