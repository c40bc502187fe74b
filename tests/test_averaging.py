"""Means of weights, statistics for them, ensembles of snapshots, and logs for TensorBoard."""

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers
from fastnn.models import update_batch_norm


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 5)).astype(np.float32) * 2 + 1
    return x, x.sum(1, keepdims=True)


def network(rate=0.01, **given):
    fastnn.utils.set_random_seed(4)
    model = fastnn.Sequential([fastnn.Input((5,)), layers.Dense(7), layers.BatchNormalization(**given),
                               layers.ReLU() if hasattr(layers, "ReLU") else layers.Activation("relu"),
                               layers.Dense(1)])
    model.compile(fastnn.optimizers.SGD(rate), "mse")
    return model


class Weights(callbacks.Callback):
    """What the weights were at the end of each epoch, or after each batch."""

    def __init__(self, batches=False):
        super().__init__()
        self.seen, self.batches = [], batches

    def wants_batches(self, phase="train"):
        return self.batches

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append([v.numpy() for v in self.model.trainable_variables])

    def on_epoch_end(self, epoch, logs=None):
        if not self.batches:
            self.seen.append(self.model.get_weights())


@pytest.mark.parametrize(("start", "freq", "epochs"), [(0, 1, [0, 1, 2, 3, 4]), (1, 2, [1, 3]), (4, 1, [4])])
def test_swa_is_a_mean(data, start, freq, epochs, capsys):
    model, seen = network(), Weights()
    swa = callbacks.StochasticWeightAveraging(start, freq, verbose=1)
    model.fit(*data, epochs=5, verbose=0, callbacks=[swa, seen])
    assert swa.count == len(epochs)
    for v, mean in zip(model.get_weights(), np.transpose(np.array([seen.seen[e] for e in epochs], object))):
        if not any(v is w or np.array_equal(v, w.numpy()) for w in model.non_trainable_variables):
            np.testing.assert_allclose(v, np.mean(list(mean), axis=0), rtol=1e-6, atol=1e-7)
    assert f"mean of the weights of {len(epochs)} epochs" in capsys.readouterr().out
    moving = [v.numpy() for v in model.non_trainable_variables]
    update_batch_norm(model, data[0])  # the fit has done the same
    assert all((v.numpy() == m).all() for v, m in zip(model.non_trainable_variables, moving))


def test_swa_sets_its_rate_and_may_never_begin(data):
    model = network()
    model.fit(*data, epochs=3, verbose=0, callbacks=[callbacks.StochasticWeightAveraging(1, learning_rate=0.2)])
    assert model.optimizer.learning_rate == 0.2
    one = network()
    one.fit(*data, epochs=2, verbose=0, callbacks=[callbacks.StochasticWeightAveraging(9)])
    other = network()
    other.fit(*data, epochs=2, verbose=0)
    assert all((a == b).all() for a, b in zip(one.get_weights(), other.get_weights()))


def test_swa_on_batches_from_elsewhere(data):
    x, y = data
    given = {"steps_per_epoch": 2, "epochs": 2, "verbose": 0}
    with pytest.raises(ValueError, match="x must be given where a model with batch normalisation"):
        network().fit(((x, y) for _ in range(4)), callbacks=[callbacks.StochasticWeightAveraging(0)], **given)
    model = network()
    model.fit(((x, y) for _ in range(4)), callbacks=[callbacks.StochasticWeightAveraging(0, x=x)], **given)
    h = x @ model.layers[0].kernel.numpy() + model.layers[0].bias.numpy()
    np.testing.assert_allclose(model.layers[1].moving_mean.numpy(), h.mean(0), rtol=1e-4)


def test_statistics_as_pytorch(data):
    """torch.optim.swa_utils.update_bn on the same network."""
    torch = pytest.importorskip("torch")
    x, _ = data
    model = network(unbiased_moving_variance=True, epsilon=1e-5)
    dense, norm = model.layers[0], model.layers[1]
    theirs = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7))
    with torch.no_grad():
        theirs[0].weight.copy_(torch.from_numpy(dense.kernel.numpy().T))
        theirs[0].bias.copy_(torch.from_numpy(dense.bias.numpy()))
    torch.optim.swa_utils.update_bn([torch.from_numpy(x[i : i + 16]) for i in range(0, 64, 16)], theirs)
    update_batch_norm(model, x, batch_size=16)
    np.testing.assert_allclose(norm.moving_mean.numpy(), theirs[1].running_mean.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), theirs[1].running_var.numpy(), rtol=1e-5)


def test_statistics_by_hand(data):
    x, _ = data
    model = network()
    before = [v.numpy() for v in model.trainable_variables]
    update_batch_norm(model, x, batch_size=24)  # 24, 24 and 16 rows
    h = x @ model.layers[0].kernel.numpy() + model.layers[0].bias.numpy()
    parts = [h[:24], h[24:48], h[48:]]
    norm = model.layers[1]
    np.testing.assert_allclose(norm.moving_mean.numpy(), np.mean([p.mean(0) for p in parts], 0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), np.mean([p.var(0) for p in parts], 0), rtol=1e-4)
    assert norm.momentum == 0.99 and all((v.numpy() == b).all() for v, b in zip(model.trainable_variables, before))


def test_exponential_mean(data):
    x, y = data
    model, seen, losses = network(), Weights(batches=True), []
    ema = callbacks.EMAWeights(0.8)

    def validated(logs):
        losses.append([v.numpy() for v in model.trainable_variables])

    model.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_data=(x, y),
              callbacks=[ema, seen, callbacks.LambdaCallback(on_test_begin=validated)])
    want = None
    for i, weights in enumerate(seen.seen):
        want = weights if want is None else [0.8 * m + 0.2 * w for m, w in zip(want, weights)]
        if i in (3, 7):  # the validation of each epoch saw the mean
            for a, b in zip(losses[i // 4], want):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    for v, m in zip(model.trainable_variables, want):
        np.testing.assert_allclose(v.numpy(), m, rtol=1e-5, atol=1e-7)


def test_exponential_mean_does_not_change_training(data):
    one, other = Weights(batches=True), Weights(batches=True)
    network_, given = network(), {"epochs": 2, "verbose": 0, "validation_split": 0.25}
    network_.fit(*data, callbacks=[callbacks.EMAWeights(), one], **given)
    network().fit(*data, callbacks=[other], **given)
    assert all((a == b).all() for p, q in zip(one.seen, other.seen, strict=True) for a, b in zip(p, q))


def keeping(**given):
    model = network()
    model.compile(fastnn.optimizers.SGD(0.01, use_ema=True, ema_momentum=0.8, **given), "mse")
    return model


def weights_of(model):
    return [v.numpy() for v in model.trainable_variables]


def averages(seen):
    found = []
    for weights in seen:
        found.append([0.8 * m + 0.2 * w for m, w in zip(found[-1], weights)] if found else weights)
    return found


def alike(a, b):
    return all(np.allclose(p, q, rtol=1e-5, atol=1e-7) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("on_epoch", [False, True])
@pytest.mark.parametrize("stop", [None, 1])
def test_the_average_of_the_optimizer_is_swapped_in(data, on_epoch, stop):
    model, seen, found = keeping(), Weights(batches=True), {"test": [], "epoch": [], "begin": []}

    def at_end(epoch, logs):
        found["epoch"].append(weights_of(model))
        model.stop_training = epoch == stop

    keep = callbacks.LambdaCallback(on_test_begin=lambda logs: found["test"].append(weights_of(model)),
                                    on_epoch_begin=lambda epoch, logs: found["begin"].append(weights_of(model)),
                                    on_epoch_end=at_end)
    model.fit(*data, batch_size=32, epochs=3, verbose=0, validation_data=data,
              callbacks=[callbacks.SwapEMAWeights(on_epoch), seen, keep])
    last = [averages(seen.seen)[i] for i in (1, 3, 5)[: 3 if stop is None else 2]]
    raw = seen.seen[1::2]
    assert all(alike(a, b) for a, b in zip(found["test"], last, strict=True))
    assert all(alike(a, b) for a, b in zip(found["epoch"], last if on_epoch else raw, strict=True))
    assert all(alike(a, b) for a, b in zip(found["begin"][1:], raw))
    assert alike(weights_of(model), last[-1]) and not model.optimizer.swapped  # what fit ends with
    plain, others = keeping(), Weights(batches=True)
    plain.fit(*data, batch_size=32, epochs=3 if stop is None else 2, verbose=0, callbacks=[others])
    assert all((a == b).all() for p, q in zip(seen.seen, others.seen, strict=True) for a, b in zip(p, q))


def test_swapping_outside_of_a_fit_and_after_an_error(data):
    model, swap = keeping(), callbacks.SwapEMAWeights(swap_on_epoch=True)
    before = weights_of(model)
    model.evaluate(*data, verbose=0, callbacks=[swap])  # nothing is averaged yet
    assert alike(weights_of(model), before) and not model.optimizer.swapped
    seen = Weights(batches=True)
    with pytest.raises(ZeroDivisionError):
        fail = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: 1 / 0)
        model.fit(*data, batch_size=32, verbose=0, callbacks=[swap, seen, fail])
    raw, mean = seen.seen[-1], averages(seen.seen)[-1]
    assert alike(weights_of(model), raw)
    direct = model.predict(data[0], verbose=0, callbacks=[swap])
    assert alike(weights_of(model), raw)
    for v, w in zip(model.trainable_variables, mean):
        v.assign(w)
    np.testing.assert_allclose(model.predict(data[0], verbose=0), direct, rtol=1e-5)
    with pytest.raises(ValueError, match="SwapEMAWeights: the optimizer keeps no average"):
        network().fit(*data, verbose=0, callbacks=[swap])
    with pytest.raises(ValueError, match="swap_on_epoch must be True or False; got 3"):
        callbacks.SwapEMAWeights(3)


def test_swapping_and_a_backup(data, tmp_path):
    def run(folder, at):
        model = keeping()
        fail = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: 1 / (epoch - at))
        keep = [callbacks.SwapEMAWeights(swap_on_epoch=True), callbacks.BackupAndRestore(folder), fail]
        try:
            model.fit(*data, epochs=4, verbose=0, seed=1, callbacks=keep)
        except ZeroDivisionError:
            return None
        return [w.tobytes() for w in model.get_weights()]

    assert run(tmp_path / "a", 2) is None
    assert run(tmp_path / "a", 9) == run(tmp_path / "b", 9)


def test_snapshots(data):
    model, ensemble = network(), callbacks.SnapshotEnsemble(2, last=2)
    with pytest.raises(ValueError, match="no cycle has come to its end"):
        ensemble.predict(data[0])
    seen = Weights()
    model.fit(*data, epochs=7, verbose=0, callbacks=[ensemble, seen])
    assert len(ensemble.snapshots) == 2
    own, outputs = model.get_weights(), []
    for epoch in (3, 5):
        model.set_weights(seen.seen[epoch])
        outputs.append(model.predict(data[0], verbose=0))
    model.set_weights(own)
    np.testing.assert_allclose(ensemble.predict(data[0], verbose=0), np.mean(outputs, axis=0))
    assert all((a == b).all() for a, b in zip(model.get_weights(), own))


def test_refusals():
    for make, sentence in (
        (lambda: callbacks.StochasticWeightAveraging(-1), "start_epoch must be an integer of at least 0, but is -1"),
        (lambda: callbacks.StochasticWeightAveraging(0, freq=0), "freq must be an integer of at least 1, but is 0"),
        (lambda: callbacks.StochasticWeightAveraging(0, learning_rate=-1), "learning_rate must be 0 or more; got -1"),
        (lambda: callbacks.SnapshotEnsemble(0), "epochs_per_cycle must be an integer of at least 1, but is 0"),
        (lambda: callbacks.EMAWeights(1.0), r"momentum must be in \[0, 1\); got 1.0"),
        (lambda: callbacks.EMAWeights(0.9, batches=0), "batches must be an integer of at least 1, but is 0"),
        (lambda: callbacks.TensorBoard(update_freq="epochs"), "update_freq must be 'epoch', 'batch' or a number"),
        (lambda: callbacks.TensorBoard(histogram_freq=-1), "histogram_freq must be an integer of at least 0"),
    ):
        with pytest.raises(ValueError, match=sentence):
            make()


# ---------------------------------------------------------------------------------- TensorBoard


def test_tensorboard_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"This needs tensorboardX, .*pip install fastnn\[tensorboard\]"):
        callbacks.TensorBoard("logs")


def scalars(library, folder):
    """(tag, step) -> value, read from the event files by their format alone."""
    from tensorboardX.proto.event_pb2 import Event

    found, histograms = {}, set()
    for path in folder.iterdir():
        raw, at = path.read_bytes(), 0
        while at < len(raw):  # length, its checksum, the event, its checksum
            size = int.from_bytes(raw[at : at + 8], "little")
            event = Event.FromString(raw[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                if value.WhichOneof("value") == "histo":
                    histograms.add(value.tag)
                else:
                    found[value.tag, event.step] = value.simple_value
    return found, histograms


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard(tmp_path, data):
    library = pytest.importorskip("tensorboardX")
    model = network()
    board = callbacks.TensorBoard(tmp_path, histogram_freq=1, update_freq=2, write_steps_per_second=True)
    history = model.fit(*data, batch_size=16, epochs=2, validation_split=0.25, verbose=0, callbacks=[board]).history
    train, histograms = scalars(library, tmp_path / "train")
    validation, _ = scalars(library, tmp_path / "validation")
    for epoch in range(2):
        assert train["epoch_loss", epoch] == pytest.approx(history["loss"][epoch])
        assert validation["epoch_loss", epoch] == pytest.approx(history["val_loss"][epoch])
        assert train["epoch_learning_rate", epoch] == pytest.approx(0.01) and train["epoch_steps_per_second", epoch] > 0
    assert sorted(step for tag, step in train if tag == "batch_loss") == [2, 4, 6]
    assert histograms == {f"{v.path}/histogram" for v in model.variables}
    assert not callbacks.TensorBoard(tmp_path / "b").wants_batches("train")
