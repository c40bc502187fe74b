"""Callbacks under a small trainer that calls the moments as Keras does, and beside Keras itself."""

import csv
import io
import types
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastnn import callbacks
from fastnn.callbacks.callback import MOMENTS


class Model:
    """As much of a model as callbacks may rely on; its one weight counts the epochs."""

    def __init__(self):
        self.stop_training = False
        self.optimizer = types.SimpleNamespace(learning_rate=0.1)
        self.weight, self.saved = 0, []

    def get_weights(self):
        return [np.array([self.weight])]

    def set_weights(self, weights):
        self.weight = int(weights[0][0])

    def save(self, path, overwrite=True):
        self.saved.append(str(path))

    def save_weights(self, path, overwrite=True):
        self.saved.append("weights " + str(path))


def fit(given_callbacks, logs, steps=2, model=None, verbose=0, validate=False):
    """Run epochs whose logs are `logs`, until one of the callbacks stops it."""
    model = model or Model()
    model.stop_training = False
    calls = callbacks.CallbackList(
        given_callbacks,
        add_history=True,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=len(logs),
        steps=steps,
    )
    calls.on_train_begin()
    for epoch, epoch_logs in enumerate(logs):
        calls.on_epoch_begin(epoch)
        for batch in range(steps):
            if calls.wants_batches("train"):
                calls.on_train_batch_begin(batch)
                calls.on_train_batch_end(batch, {"loss": np.float32(batch)})
            calls.on_progress(batch + 1, epoch_logs)
        model.weight = epoch + 1
        if validate:
            calls.on_test_begin()
            calls.on_progress(1, {"loss": 77.0})
            calls.on_test_end(epoch_logs)
        calls.on_epoch_end(epoch, epoch_logs)
        if model.stop_training:
            break
    calls.on_train_end(logs[-1])
    return model


class Recorder(callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []


for _moment in MOMENTS:
    if _moment not in ("on_batch_begin", "on_batch_end"):
        setattr(Recorder, _moment, lambda self, *a, name=_moment: self.seen.append((name, *a)))


def test_every_moment_arrives_with_its_arguments():
    recorder = Recorder()
    calls = callbacks.CallbackList([recorder])
    for moment in MOMENTS:
        count = () if moment.rsplit("_", 1)[0] in ("on_train", "on_test", "on_predict") else (3,)
        getattr(calls, moment)(*count, {"loss": np.float32(0.5)})
        if moment not in ("on_batch_begin", "on_batch_end"):
            assert recorder.seen[-1] == (moment, *count, {"loss": 0.5})
            assert type(recorder.seen[-1][-1]["loss"]) is float
        getattr(calls, moment)(*count)  # logs may be left out
    assert {name for name, *_ in recorder.seen} == set(MOMENTS) - {"on_batch_begin", "on_batch_end"}


def test_list():
    a, b, c = callbacks.Callback(), callbacks.Callback(), callbacks.Callback()
    calls = callbacks.CallbackList(
        [a, (b, [c])], add_history=True, add_progbar=True, model=(model := Model()), verbose=0
    )
    assert list(calls)[:3] == [a, b, c] and len(calls) == 5 and calls.history is model.history
    assert b.model is model and b.params == {"verbose": 0} and calls.params == b.params
    own = callbacks.History(), callbacks.ProgressBar(0)
    calls = callbacks.CallbackList(own, add_history=True, add_progbar=True)
    assert list(calls) == list(own) and calls.history is own[0]
    assert list(callbacks.CallbackList(callbacks.CallbackList(a))) == [a]
    assert list(callbacks.CallbackList()) == []
    calls.append(c)
    assert list(calls)[-1] is c
    with pytest.raises(ValueError, match=r"EarlyStopping is a class; give an instance, EarlyStopping\(\)"):
        callbacks.CallbackList([callbacks.EarlyStopping])
    with pytest.raises(ValueError, match="3 is no callback"):
        callbacks.CallbackList([3])


def test_wants_batches():
    def wants(*given_callbacks):
        calls = callbacks.CallbackList(given_callbacks, add_history=True, add_progbar=True)
        return [phase for phase in ("train", "test", "predict") if calls.wants_batches(phase)]

    class Older(callbacks.Callback):
        def on_batch_end(self, batch, logs=None): ...

    class Tests(callbacks.Callback):
        def on_test_batch_begin(self, batch, logs=None): ...

    class Duck:
        def on_predict_batch_end(self, batch, logs=None): ...

    assert wants() == []
    assert wants(callbacks.EarlyStopping(), callbacks.TerminateOnNaN(), callbacks.CSVLogger("x"),
                 callbacks.LearningRateScheduler(lambda e: 0.1), callbacks.ModelCheckpoint("x")) == []  # fmt: skip
    assert wants(Older()) == ["train"] and wants(Tests()) == ["test"] and wants(Duck()) == ["predict"]
    assert wants(callbacks.LambdaCallback(on_train_batch_end=print)) == ["train"]
    assert wants(callbacks.LambdaCallback(on_epoch_end=print)) == []
    assert wants(callbacks.ModelCheckpoint("x", save_freq=3)) == ["train"]
    assert wants(callbacks.CallbackList([Older(), Tests()])) == ["train", "test"]
    with pytest.raises(ValueError, match="did you mean 'train'"):
        callbacks.Callback().wants_batches("trian")


def test_logs_are_shared_by_the_callbacks_of_a_moment_but_not_with_the_caller():
    class Adds(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = 1.0

    logs = {"loss": 0.5}
    assert fit([Adds()], [logs]).history.history == {"loss": [0.5], "extra": [1.0]} and logs == {"loss": 0.5}


def test_history():
    history = fit([], [{"loss": 1.0, "accuracy": 0.1}, {"loss": np.float32(0.5), "accuracy": 0.2}]).history
    assert history.history == {"loss": [1.0, 0.5], "accuracy": [0.1, 0.2]} and history.epoch == [0, 1]
    assert history.params == {"verbose": 0, "epochs": 2, "steps": 2}
    page = history._repr_html_()
    assert page.count("<tr>") == 3 and "<th>accuracy</th>" in page and "<td>0.5</td>" in page
    assert repr(history) == "History(2 epochs, loss 0.5, accuracy 0.2)"
    assert fit([], [{"<b>": 1.0}] * 50).history._repr_html_().count("<tr>") == 22
    assert "&lt;b&gt;" in fit([], [{"<b>": 1.0}]).history._repr_html_()
    assert callbacks.History()._repr_html_().count("<tr>") == 1


# ---------------------------------------------------------------------------------- early stopping


def stopping(values, name="val_loss", **arguments):
    callback = callbacks.EarlyStopping(monitor=name, **arguments)
    model = fit([callback], [{name: value} for value in values])
    return len(model.history.epoch), model.weight, callback


def test_early_stopping():
    assert stopping([1, 2, 3, 4])[0] == 2
    assert stopping([3, 2, 1])[0] == 3
    assert stopping([1, 2, 3, 0.5, 1, 1], patience=3)[0] == 6
    assert stopping([1, 2, 3, 4, 5, 6], patience=3)[0] == 4
    assert stopping([1, 0.95, 0.9, 0.85], min_delta=0.2, patience=2)[0] == 3
    assert stopping([1, 0.95, 0.9, 0.75], min_delta=-0.2, patience=3)[0] == 4
    assert stopping([1, 2, 1.5], "val_accuracy")[0] == 3 and stopping([1, 2, 1.5], "val_accuracy", mode="min")[0] == 2
    assert stopping([9, 1, 2, 3, 4], start_from_epoch=3)[0] == 5
    # a gain that does not beat the baseline does not start patience anew
    assert stopping([5, 4, 3, 2], baseline=1, patience=2)[0] == 4
    assert stopping([5, 4, 4, 4, 4], baseline=1, patience=2)[0] == 3


def test_best_weights_come_back():
    for values, epochs in [([2, 1, 3, 4], 3), ([2, 1, 3], 3), ([3, 2, 1], 3)]:
        for patience in (1, 10):
            count, weight, callback = stopping(values, restore_best_weights=True, patience=patience)
            best = int(np.argmin(values))
            assert weight == best + 1 and callback.best_epoch == best and callback.best == min(values)
            assert count == (epochs if patience == 1 else len(values))
    assert stopping([2, 1, 3, 4])[1] == 3
    assert stopping([0, 5, 4, 6], restore_best_weights=True, patience=1, start_from_epoch=1)[1] == 3


def test_early_stopping_with_nan():
    # NaN never counts as a gain, so one at the start does not hide what follows
    nan = float("nan")
    assert stopping([nan, 2, 1, 3], restore_best_weights=True, patience=2)[:2] == (4, 3)
    assert stopping([1, nan, nan, nan], restore_best_weights=True, patience=2)[:2] == (3, 1)


def test_one_early_stopping_for_two_fits(capsys):
    callback = callbacks.EarlyStopping(verbose=1, restore_best_weights=True)
    for _ in range(2):
        assert fit([callback], [{"val_loss": v} for v in (1, 2, 3)]).weight == 1
        assert "Epoch 2: early stopping\nRestoring model weights" in capsys.readouterr().out


def test_direction_of_auto():
    def direction(name, metrics=()):
        callback = callbacks.EarlyStopping(monitor=name)
        callback.set_model(types.SimpleNamespace(metrics=metrics))
        return callback._direction()

    assert [direction(n) for n in ("loss", "val_out_loss", "val_mae", "mean_squared_error")] == [1] * 4
    assert [direction(n) for n in ("acc", "val_sparse_categorical_accuracy", "auc", "val_f1_score")] == [-1] * 4
    up = types.SimpleNamespace(name="mine", _direction="up")
    assert direction("val_mine", [up]) == -1
    with pytest.raises(ValueError, match="'val_mine' is better cannot be told from its name: give mode="):
        direction("val_mine")


def test_what_is_not_there_is_told():
    with pytest.warns(UserWarning, match="the logs hold no 'val_los'; did you mean 'val_loss'"):
        assert len(fit([callbacks.EarlyStopping("val_los")], [{"val_loss": 1.0}] * 3).history.epoch) == 3
    with pytest.warns(UserWarning, match="the logs hold no 'val_loss'; there are 'x'"):
        fit([callbacks.EarlyStopping()], [{"x": 1.0}])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=12),
    st.integers(0, 3),
    st.sampled_from([0, 0.125, 0.25]),
    st.sampled_from([None, 0.5]),
    st.sampled_from(["loss", "accuracy"]),
    st.booleans(),
    st.integers(0, 3),
)
def test_early_stopping_as_keras(monkeypatch, values, patience, min_delta, baseline, name, restore, start):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    arguments = {
        "monitor": name, "patience": patience, "min_delta": min_delta, "baseline": baseline,
        "restore_best_weights": restore, "start_from_epoch": start, "mode": "min" if name == "loss" else "max",
    }  # fmt: skip
    results = []
    for make in (keras.callbacks.EarlyStopping, callbacks.EarlyStopping):
        model = fit([callback := make(**arguments)], [{name: value} for value in values])
        results.append(
            (len(model.history.epoch), model.weight, callback.stopped_epoch, callback.best, callback.best_epoch)
        )
    assert results[0] == results[1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=12),
    st.integers(0, 3), st.sampled_from([0, 0.3]), st.sampled_from(["loss", "accuracy"]), st.integers(0, 2),
    st.sampled_from([0.0, 0.02]),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras under a new NumPy
def test_reduce_on_plateau_as_keras(monkeypatch, values, patience, min_delta, name, cooldown, min_lr):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")

    arguments = {"monitor": name, "patience": patience, "min_delta": min_delta, "factor": 0.5, "cooldown": cooldown,
                 "min_lr": min_lr, "mode": "min" if name == "loss" else "max"}  # fmt: skip
    results = []
    for module in (keras, None):
        model = Model()
        if module:
            model.optimizer = keras.optimizers.SGD(0.1)
        make = (module or __import__("fastnn")).callbacks.ReduceLROnPlateau
        fit([make(**arguments)], [{name: value} for value in values], model=model)
        results.append((model.history.history["learning_rate"], float(model.optimizer.learning_rate)))
    assert results[0][0] == pytest.approx(results[1][0]) and results[0][1] == pytest.approx(results[1][1])


def test_reduce_on_plateau(capsys):
    callback = callbacks.ReduceLROnPlateau(patience=2, factor=0.5, cooldown=1, min_lr=0.03, verbose=1)
    model = fit([callback], [{"val_loss": v} for v in (3, 2, 2, 2, 2, 2, 2, 2, 1)])
    rates = model.history.history["learning_rate"]
    assert rates == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.03, 0.03, 0.03]
    assert "Epoch 4: ReduceLROnPlateau reducing learning rate to 0.05.\n" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="the logs hold no 'val_loss'"):
        fit([callbacks.ReduceLROnPlateau()], [{"loss": 1.0}])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="ReduceLROnPlateau: patience must be a whole number of 0 or more; got -1"):
        callbacks.ReduceLROnPlateau(patience=-1)
    with pytest.raises(ValueError, match="Unknown mode 'mim': did you mean 'min'"):
        callbacks.EarlyStopping(mode="mim")
    with pytest.raises(ValueError, match="EarlyStopping: patience must be a whole number of 0 or more; got -1"):
        callbacks.EarlyStopping(patience=-1)
    with pytest.raises(ValueError, match="save_freq must be 'epoch' or a number of batches, but is 'batch'"):
        callbacks.ModelCheckpoint("x", save_freq="batch")
    with pytest.raises(ValueError, match="schedule must be a function, but is 0.1"):
        callbacks.LearningRateScheduler(0.1)
    with pytest.raises(ValueError, match="on_epoch_end must be a function, but is 3"):
        callbacks.LambdaCallback(on_epoch_end=3)
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 'auto', but is 3"):
        callbacks.check_verbose(3)
    with pytest.raises(ValueError, match="needs a model with the method save, but"):
        callbacks.ModelCheckpoint("x").set_model(types.SimpleNamespace())


# ---------------------------------------------------------------------------------- the others


def test_learning_rate_scheduler(capsys):
    callback = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2 if epoch else rate, verbose=1)
    model = fit([callback], [{"loss": 1.0}] * 3)
    assert model.history.history["learning_rate"] == [0.1, 0.05, 0.025] and model.optimizer.learning_rate == 0.025
    assert "Epoch 2: LearningRateScheduler setting learning rate to 0.05." in capsys.readouterr().out
    assert fit([callbacks.LearningRateScheduler(lambda epoch: np.float32(1))], [{}]).optimizer.learning_rate == 1.0
    from fastnn.optimizers.schedules import ExponentialDecay

    model = fit([callbacks.LearningRateScheduler(ExponentialDecay(0.8, 1, 0.5))], [{}] * 3)
    assert model.history.history["learning_rate"] == [0.8, 0.4, 0.2]
    for bad in ("0.1", None, True, float("nan"), -1.0):
        with pytest.raises(ValueError, match=r"schedule\(0\) must be"):
            fit([callbacks.LearningRateScheduler(lambda epoch, *, bad=bad: bad)], [{}])

    def wrong(epoch, rate):
        raise TypeError("from inside")

    with pytest.raises(TypeError, match="from inside"):
        fit([callbacks.LearningRateScheduler(wrong)], [{}])


def test_terminate_on_nan(capsys):
    nan, inf = float("nan"), float("inf")
    for value in (nan, inf):
        model = fit([callbacks.TerminateOnNaN()], [{"loss": 1.0}, {"loss": value}, {"loss": value}])
        assert len(model.history.epoch) == 2 and model.stop_training
        said = capsys.readouterr().out
        assert said == f"Batch 0 or before: the loss is {value}, terminating training\n"
    assert len(fit([callbacks.TerminateOnNaN()], [{"accuracy": 1.0}] * 2).history.epoch) == 2
    with pytest.raises(RuntimeError, match="Batch 0 or before: the loss is nan"):
        fit([callbacks.TerminateOnNaN(raise_error=True)], [{"loss": nan}])
    callback = callbacks.TerminateOnNaN()
    callback.set_model(model := Model())
    callback.on_train_batch_end(4, {"loss": nan})
    assert model.stop_training and "Batch 4: " in capsys.readouterr().out


def test_lambda_callback():
    seen = []
    callback = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append((batch, logs)),
        on_test_begin=lambda logs: seen.append("test"),
    )
    fit([callback], [{"loss": 1.0}], validate=True)
    assert seen == [(0, {"loss": 0.0}), (1, {"loss": 1.0}), "test"]


def test_model_checkpoint(tmp_path, capsys):
    logs = [{"loss": 1.0, "val_loss": v} for v in (3.0, 1.0, 2.0)]
    path = str(tmp_path / "deep" / "m-{epoch:02d}-{val_loss:.1f}.safetensors")
    assert [p[-19:] for p in fit([callbacks.ModelCheckpoint(path)], logs).saved] == [
        "m-01-3.0.safetensors"[1:], "m-02-1.0.safetensors"[1:], "m-03-2.0.safetensors"[1:],
    ]  # fmt: skip
    assert (tmp_path / "deep").is_dir()
    best = callbacks.ModelCheckpoint(tmp_path / "best", save_best_only=True, save_weights_only=True, verbose=1)
    assert fit([best], logs).saved == [f"weights {tmp_path / 'best'}"] * 2 and best.best == 1.0
    said = capsys.readouterr().out
    assert "Epoch 2: val_loss improved from 3.00000 to 1.00000" in said and "Epoch 3: val_loss did not improve" in said
    threshold = callbacks.ModelCheckpoint("m", save_best_only=True, initial_value_threshold=1.5)
    assert len(fit([threshold], logs).saved) == 1
    every = callbacks.ModelCheckpoint("m-{epoch}-{batch}", save_freq=3)
    assert fit([every], logs).saved == ["m-2-1", "m-3-2"]
    with pytest.raises(ValueError, match="asks for 'val_los', but there are loss, val_loss, epoch"):
        fit([callbacks.ModelCheckpoint("m-{val_los}")], logs)
    with pytest.warns(UserWarning, match="the logs hold no 'val_loss'"):
        assert fit([callbacks.ModelCheckpoint("m", save_best_only=True)], [{"loss": 1.0}]).saved == ["m"]


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("freq", ["epoch", 1, 2, 3, 5])
@pytest.mark.parametrize("monitor", ["val_loss", "loss", "accuracy"])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_model_checkpoint_as_keras(monkeypatch, tmp_path, best, weights, freq, monitor, threshold):
    """The same files in the same order: what is asked for and what the logs of a batch lack."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    values = (0.7, 0.3, 0.6, 0.2, 0.9)
    logs = [{"loss": v, "val_loss": 1 - v, "accuracy": v / 2} for v in values]
    path = str(tmp_path / "m-{epoch:02d}") + ("-{loss:.2f}" if freq == "epoch" else "-{batch}") + (
        ".weights.h5" if weights else ".keras")
    saved = []
    for make in (keras.callbacks.ModelCheckpoint, callbacks.ModelCheckpoint):
        callback = make(path, monitor, save_best_only=best, save_weights_only=weights, save_freq=freq,
                        mode="max" if monitor == "accuracy" else "min", initial_value_threshold=threshold)
        getattr(callback, "_set_monitor_op", int)()  # which Keras does at an epoch's end, too late for batches
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that the logs of a batch lack
            saved.append(fit([callback], logs, steps=3).saved)
    assert saved[0] == saved[1] and (best or saved[0])


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    fit([callbacks.CSVLogger(path)], [{"loss": 0.5, "accuracy": 1.0}, {"loss": 0.25, "accuracy": 1.0, "val_loss": 2.0}])
    with path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    assert rows[1:] == [["0", "1.0", "0.5", "NA", "NA"], ["1", "1.0", "0.25", "NA", "2.0"]]
    fit([callbacks.CSVLogger(path, append=True)], [{"loss": 0.5, "accuracy": 1.0}])
    assert path.read_text().count("epoch") == 1 and len(path.read_text().splitlines()) == 4
    fit([callbacks.CSVLogger(path, separator=";")], [{"loss": 0.5}])
    assert path.read_text().splitlines() == ["epoch;loss;val_loss", "0;0.5;NA"]


def test_csv_logger_as_keras(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    logs, texts = [{"loss": 0.5, "val_loss": 0.25}, {"loss": 0.1}], []
    for module in (keras.callbacks, callbacks):
        fit([module.CSVLogger(str(tmp_path / "log.csv"))], logs)
        texts.append((tmp_path / "log.csv").read_text())
    assert texts[0] == texts[1]


# ---------------------------------------------------------------------------------- progress


def test_lines():
    stream = io.StringIO()
    logs = [
        {"loss": 0.51234, "accuracy": 0.9, "val_loss": 0.6},
        {"loss": float("nan"), "accuracy": 0.9, "val_loss": 1e-5},
    ]
    fit([callbacks.ProgressBar(2, stream)], logs, validate=True)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2 and lines[0].startswith("Epoch 1/2 - 2/2 - 0.0s ")
    assert lines[0].endswith("/step - loss: 0.5123 - accuracy: 0.9000 - val_loss: 0.6000")
    assert lines[1].endswith("loss: nan - accuracy: 0.9000 - val_loss: 1.0000e-05")


def test_bar():
    pytest.importorskip("tqdm")
    stream = io.StringIO()
    fit([callbacks.ProgressBar(1, stream)], [{"loss": 0.5}] * 2, steps=7, validate=True)
    text = stream.getvalue()
    assert "Epoch 1/2" in text and "7/7" in text and "loss: 0.5000" in text and "77" not in text
    assert [line for line in text.split("\n") if line][-1].split("\r")[-1].startswith("Epoch 2/2 - 7/7 - ")


def test_bar_without_known_steps():
    stream = io.StringIO()
    calls = callbacks.CallbackList([callbacks.ProgressBar(1, stream)], verbose=1, epochs=1, steps=None)
    calls.on_train_begin()
    calls.on_epoch_begin(0)
    calls.on_progress(5, {"loss": 1.0})
    calls.on_epoch_end(0, {"loss": 1.0})
    calls.on_train_end()
    assert "5 steps" in stream.getvalue() and "Epoch 1/1 - 5/5 - " in stream.getvalue()


def test_evaluate_and_predict_are_shown_too():
    for phase, logs, want in [("test", {"loss": 0.5}, "loss: 0.5000"), ("predict", None, "/step")]:
        for verbose in (0, 1, 2):
            stream = io.StringIO()
            calls = callbacks.CallbackList([callbacks.ProgressBar(verbose, stream)], epochs=1, steps=4)
            getattr(calls, f"on_{phase}_begin")()
            calls.on_progress(4, logs)
            getattr(calls, f"on_{phase}_end")(logs)
            if verbose:
                last = stream.getvalue().splitlines()[-1].split("\r")[-1]
                assert last.startswith("4/4 - 0.0s ") and last.endswith(want)
            else:
                assert stream.getvalue() == ""


def test_without_tqdm_there_are_lines(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tqdm", None)
    stream = io.StringIO()
    fit([callbacks.ProgressBar(1, stream)], [{"loss": 0.5}] * 2)
    assert len(stream.getvalue().splitlines()) == 2


def test_verbose_of_fit(capsys):
    fit([], [{"loss": 0.5}], verbose="auto")
    assert capsys.readouterr().out.startswith("Epoch 1/1 - 2/2")  # no terminal here: lines
    fit([], [{"loss": 0.5}], verbose=0)
    assert capsys.readouterr().out == ""


def test_importing_callbacks_does_not_import_tqdm():
    import subprocess
    import sys

    code = (
        "import sys, fastnn.callbacks, fastnn.models.data; print([m for m in ('tqdm', 'pandas') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
