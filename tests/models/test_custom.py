"""Steps, losses and gradients of the user's own, in native programs."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, metrics, ops, optimizers
from fastnn.kernels.tables import native_available

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)


@pytest.fixture(params=BACKENDS)
def backend(request):
    with fastnn.backend(request.param):
        yield request.param


def dense(*widths, name):
    return fastnn.Sequential([fastnn.Input((widths[0],)), *(
        layers.Dense(n, "tanh" if i + 2 < len(widths) else None, name=f"{name}_{i}") for i, n in
        enumerate(widths[1:]))], name=name)


class Written(fastnn.Model):
    """Keras's step, written out."""

    traced = 0

    def train_step(self, data):
        Written.traced += 1
        x, y = data
        y_pred = self(x, training=True)
        loss = self.compute_loss(y=y, y_pred=y_pred)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(fastnn.gradients(loss, variables), variables))
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
            else:
                metric.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


def body(inputs):
    x = layers.Dense(8, "relu", kernel_regularizer="l2")(inputs)
    return layers.Dense(3, "softmax")(layers.BatchNormalization()(x))


def test_a_step_written_out_is_the_step_that_fit_has(digits, backend):
    x, y = digits[0][:120], digits[1][:120]
    found = []
    for kind in (fastnn.Model, Written):
        fastnn.utils.set_random_seed(3)
        inputs = fastnn.Input((6,))
        model = kind(inputs, body(inputs))
        model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        before = Written.traced
        history = model.fit(x, y, epochs=3, batch_size=30, verbose=0, validation_split=0.25)
        found.append((history.history, model.get_weights(), model.evaluate(x, y, verbose=0)))
    assert Written.traced == before + 1  # one program for twelve steps
    (plain, w0, e0), (own, w1, e1) = found
    assert list(own) == list(plain) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    for key in plain:
        np.testing.assert_allclose(own[key], plain[key], rtol=1e-5)
    for v, w in zip(w0, w1):
        np.testing.assert_allclose(v, w, rtol=2e-4, atol=2e-6)  # the penalty's gradient is added in another place
    np.testing.assert_allclose(e0, e1, rtol=1e-4)


def test_overridden_losses_and_steps(digits):
    x, y = digits

    class Doubled(fastnn.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return 2 * super().compute_loss(x, y, y_pred, sample_weight, training)

    class Reported(fastnn.Sequential):
        def test_step(self, data):
            x, y = data
            return {"share": ops.mean(ops.cast(y, "float32")), "one": 1.0}

        def predict_step(self, data):
            return 10 * self(data, training=False)

    def made(kind):
        fastnn.utils.set_random_seed(0)
        model = kind([fastnn.Input((6,)), layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    plain, doubled, reported = made(fastnn.Sequential), made(Doubled), made(Reported)
    assert doubled.evaluate(x, y, verbose=0) == pytest.approx(2 * plain.evaluate(x, y, verbose=0), rel=1e-5)
    assert doubled.test_on_batch(x, y) == pytest.approx(2 * plain.test_on_batch(x, y), rel=1e-5)
    # the last batch's value, as in Keras
    assert reported.evaluate(x, y, verbose=0, batch_size=100, return_dict=True) == pytest.approx(
        {"share": y[100:].mean(), "one": 1.0})
    np.testing.assert_allclose(reported.predict(x), 10 * plain.predict(x), rtol=1e-6)
    doubled.fit(x, y, epochs=1, verbose=0)
    reported.fit(x, y, epochs=1, verbose=0)  # by the plain step


class GAN(fastnn.Model):
    """Keras's guide, with noise from the data or drawn in the step."""

    def __init__(self, generator, discriminator, draw):
        super().__init__()
        self.generator, self.discriminator, self.draw = generator, discriminator, draw
        self.d_loss_metric, self.g_loss_metric = metrics.Mean(name="d_loss"), metrics.Mean(name="g_loss")

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    @property
    def metrics(self):
        return [self.d_loss_metric, self.g_loss_metric]

    def train_step(self, data):
        real, noise = (data, None) if self.draw else data
        n = ops.shape(real)[0]
        noise = fastnn.random.normal((n, 2)) if self.draw else noise
        fake = self.generator(noise)
        logits = self.discriminator(ops.concatenate([real, fake], axis=0))
        d_loss = self.loss_fn(np.r_[np.ones((n, 1)), np.zeros((n, 1))], logits)
        self.d_optimizer.apply(fastnn.gradients(d_loss, self.discriminator.trainable_variables),
                               self.discriminator.trainable_variables)
        g_loss = self.loss_fn(np.ones((n, 1)), self.discriminator(self.generator(noise)))
        self.g_optimizer.apply(fastnn.gradients(g_loss, self.generator.trainable_variables),
                               self.generator.trainable_variables)
        self.d_loss_metric.update_state(d_loss)
        self.g_loss_metric.update_state(g_loss)
        return {"d_loss": self.d_loss_metric.result(), "g_loss": self.g_loss_metric.result(), "last": g_loss}


def gan(draw):
    fastnn.utils.set_random_seed(1)
    model = GAN(dense(2, 8, 2, name="g"), dense(2, 8, 1, name="d"), draw)
    model.compile(optimizers.Adam(0.01), optimizers.RMSprop(0.005), losses.BinaryCrossentropy(from_logits=True))
    return model


def test_two_models_and_two_optimizers_in_one_step(backend):
    """Against the same steps by hand: gradients as arrays, and optimizers on arrays."""
    rng = np.random.default_rng(0)
    real, noise = rng.normal(size=(64, 2)) + 3, rng.normal(size=(64, 2))
    model = gan(draw=False)
    history = model.fit(real, noise, epochs=2, batch_size=16, shuffle=False, verbose=0).history
    by_hand = gan(draw=False)
    d, g, rule = by_hand.discriminator, by_hand.generator, by_hand.loss_fn
    d_grad = fastnn.value_and_grad(lambda real, z: rule(
        np.r_[np.ones((16, 1)), np.zeros((16, 1))], d(ops.concatenate([real, g(z)], axis=0))), d)
    g_grad = fastnn.value_and_grad(lambda z: rule(np.ones((16, 1)), d(g(z))), g)
    for _ in range(2):
        d_losses, g_losses = [], []
        for i in range(0, 64, 16):
            loss, grads = d_grad(real[i : i + 16], noise[i : i + 16])
            by_hand.d_optimizer.apply(grads, d.trainable_variables)
            d_losses.append(loss)
            loss, grads = g_grad(noise[i : i + 16])
            by_hand.g_optimizer.apply(grads, g.trainable_variables)
            g_losses.append(loss)
    np.testing.assert_allclose(history["d_loss"][-1], np.mean(d_losses), rtol=1e-4)
    np.testing.assert_allclose(history["g_loss"][-1], np.mean(g_losses), rtol=1e-4)
    np.testing.assert_allclose(history["last"][-1], g_losses[-1], rtol=1e-4)
    for v, w in zip(model.get_weights(), by_hand.get_weights()):
        np.testing.assert_allclose(v, w, rtol=1e-3, atol=1e-5)
    assert model.d_optimizer.iterations == model.g_optimizer.iterations == 8
    assert model.g_loss_metric.result() == pytest.approx(history["g_loss"][-1])
    assert model.d_optimizer.arena is not model.g_optimizer.arena


def test_noise_is_new_in_each_step_and_repeats_with_the_seed():
    real = np.random.default_rng(0).normal(size=(40, 2)) + 3
    found = []
    for batches in ({}, {"callbacks": [fastnn.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None)]}):
        model = gan(draw=True)
        model.fit(real, epochs=2, batch_size=16, verbose=0, seed=1, **batches)  # the last batch has 8 rows
        found.append(model.get_weights())
    for v, w in zip(*found):  # many steps in one call, or one by one
        np.testing.assert_array_equal(v, w)

    class Draws(fastnn.Model):
        def train_step(self, data):
            return {"a": fastnn.random.normal(()), "b": fastnn.random.uniform((), 2, 3), "c": fastnn.random.normal(
                (), seed=5)}

    model = Draws()
    model.compile()
    drawn = model.fit(np.zeros(4), epochs=3, batch_size=4, verbose=0).history
    values = [v for key in drawn for v in drawn[key]]
    assert len(set(values)) == 9 and all(2 <= v < 3 for v in drawn["b"])


def test_only_losses_of_layers():
    class Distance(layers.Layer):
        def call(self, inputs):
            a, b = inputs
            self.add_loss(ops.mean(ops.square(a - b)))
            return a

    a, b = fastnn.Input((2,)), fastnn.Input((2,))
    model = fastnn.Model([a, b], Distance()([layers.Dense(2)(a), b]))
    model.compile(optimizers.SGD(0.2))
    x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    history = model.fit([x, x * [1, -1]], epochs=30, verbose=0).history
    assert list(history) == ["loss"] and history["loss"][-1] < 1e-3 < history["loss"][0]
    assert model.evaluate([x, x * [1, -1]], verbose=0) < 1e-3
    np.testing.assert_allclose(model.get_weights()[0], [[1, 0], [0, -1]], atol=0.05)


def test_trainable_is_what_it_was_at_compile():
    """As the classic code of a GAN has it: the discriminator is frozen in the joint model alone."""
    g, d = dense(2, 4, 2, name="maker"), dense(2, 4, 1, name="judge")
    d.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
    d.trainable = False
    both = fastnn.Sequential([g, d])
    both.compile("sgd", losses.BinaryCrossentropy(from_logits=True))
    x, one = np.ones((4, 2), np.float32), np.ones((4, 1))
    before = g.get_weights(), d.get_weights()
    both.train_on_batch(x, one)
    assert all((a == b).all() for a, b in zip(before[1], d.get_weights()))
    assert any((a != b).any() for a, b in zip(before[0], g.get_weights()))
    middle = g.get_weights()
    with pytest.warns(fastnn.FastnnWarning, match="judge: trainable was changed after compile"):
        d.train_on_batch(x, one)
    assert any((a != b).any() for a, b in zip(before[1], d.get_weights()))
    assert all((a == b).all() for a, b in zip(middle, g.get_weights()))

    class Counted(fastnn.Sequential):
        def train_step(self, data):
            return {"trained": float(len(self.trainable_variables))}

    model = Counted([fastnn.Input((2,)), layers.Dense(2), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fastnn.FastnnWarning)
        assert model.fit(x, one, verbose=0).history["trained"] == [4.0]
    assert not model.layers[0].trainable
    whole = gan(draw=True)
    whole.discriminator.trainable = False
    before = whole.discriminator.get_weights()
    with pytest.warns(fastnn.FastnnWarning, match="trainable was changed after compile"):
        whole.fit(np.ones((8, 2)), verbose=0)
    assert any((a != b).any() for a, b in zip(before, whole.discriminator.get_weights()))
    model.compile("sgd", "mse")
    assert model.fit(x, one, verbose=0).history["trained"] == [2.0]


def test_what_a_step_may_not_do():
    def made(step):
        model = type("Own", (fastnn.Model,), {"train_step": step})()
        model.compile("sgd")
        return model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)

    with pytest.raises(TypeError, match="must return a dict"):
        made(lambda self, data: 3)
    with pytest.raises(ValueError, match=r"reports 'x' as a tensor of shape \(4, 2\)"):
        made(lambda self, data: {"x": data[0]})
    with pytest.raises(TypeError, match="reports 'x' as 'word'"):
        made(lambda self, data: {"x": "word"})
    with pytest.raises(ValueError, match="without a loss, and no layer adds one"):
        made(lambda self, data: {"x": self.compute_loss(y=data[1], y_pred=data[0])})
    model = fastnn.Sequential([layers.Dense(1)])
    model.compile("sgd")
    with pytest.raises(ValueError, match="without a loss, and no layer adds one"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    with pytest.raises(RuntimeError, match="compute_loss is for use inside"):
        model.compute_loss(y=np.ones(3), y_pred=np.ones(3))
    with pytest.raises(TypeError, match="symbolic inputs and outputs; got int"):
        type("Own", (fastnn.Model,), {})(3)


def test_a_fit_of_several_optimizers_goes_on_after_a_crash(tmp_path):
    real = np.random.default_rng(0).normal(size=(40, 2)) + 3

    def run(folder, stop):
        model = gan(draw=True)
        keep = fastnn.callbacks.BackupAndRestore(folder, save_freq=2)

        def fail(batch, logs):
            if model._own_steps == stop:
                raise ZeroDivisionError

        model.fit(real, epochs=3, batch_size=16, verbose=0, seed=1,
                  callbacks=[keep, fastnn.callbacks.LambdaCallback(on_train_batch_end=fail)])
        return model.get_weights()

    want = run(tmp_path / "whole", None)
    with pytest.raises(ZeroDivisionError):
        run(tmp_path / "broken", 6)
    for v, w in zip(run(tmp_path / "broken", None), want, strict=True):
        np.testing.assert_array_equal(v, w)


def test_what_a_step_of_ones_own_is_not_for():
    x = np.zeros((8, 2), np.float32)

    class Own(fastnn.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return ops.mean(y_pred)

    def build(learning_rate=0.1):
        model = Own([fastnn.Input((2,)), layers.Dense(1)])
        model.compile(optimizers.SGD(learning_rate), "mse")
        return model

    with pytest.raises(ValueError, match="training step of its own"):
        fastnn.lr_find(build(), x, x[:, :1])
    with pytest.raises(ValueError, match="a sweep trains by the step that `compile` describes"):
        fastnn.sweep(build, x, x[:, :1], {"learning_rate": [0.1, 0.2]}, epochs=1)


def test_the_page_on_steps_of_ones_own(digits):
    text = (Path(__file__).parents[2] / "docs" / "own-steps.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    space = {"np": np}
    exec(blocks[0], space)
    x, y = np.hstack([digits[0], digits[0][:, :2]]), digits[1]
    history = space["model"].fit(x, y, epochs=10, batch_size=150, verbose=0).history
    assert list(history) == ["loss", "from_teacher"] and history["loss"][-1] < history["loss"][0]
    teacher = space["teacher"]
    teacher.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
    space |= {"network": teacher, "x": x, "y": y}
    exec(blocks[1] + blocks[2], space)
    w = fastnn.Variable([0.3, -0.2])
    assert fastnn.value_and_grad(lambda: ops.sum(space["binary"](w)))()[1][0].tolist() == [1, 1]


def test_an_autoencoder_that_draws():
    """The variational one of Keras's guide: noise in a layer, and a loss that the layer adds."""
    class Sampling(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.seed_generator = fastnn.random.SeedGenerator(1337)

        def call(self, inputs):
            z_mean, z_log_var = inputs
            batch, dim = ops.shape(z_mean)[0], ops.shape(z_mean)[1]
            epsilon = fastnn.random.normal(shape=(batch, dim), seed=self.seed_generator)
            self.add_loss(-0.005 * ops.mean(z_log_var - ops.square(z_mean) - ops.exp(z_log_var) + 1))
            return z_mean + ops.exp(0.5 * z_log_var) * epsilon

    rng = np.random.default_rng(0)
    x = np.repeat(rng.normal(size=(64, 1)), 6, 1) * np.linspace(-1, 1, 6)
    inputs = fastnn.Input((6,))
    h = layers.Dense(16, "relu")(inputs)
    z = Sampling()([layers.Dense(1, name="mean")(h), layers.Dense(1, name="log_var")(h)])
    model = fastnn.Model(inputs, layers.Dense(6)(layers.Dense(16, "relu")(z)))
    model.compile(optimizers.Adam(0.01), losses.MeanSquaredError())
    loss = model.fit(x, x, epochs=60, batch_size=16, verbose=0).history["loss"]
    assert loss[-1] < 0.25 * loss[0]


def test_averaged_weights_of_several_optimizers():
    model = gan(draw=True)
    model.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), optimizers.SGD(0.1), model.loss_fn)
    seen = []
    keep = fastnn.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append([m.get_weights() for m in (model.discriminator, model.generator)]))
    model.fit(np.ones((8, 2)), epochs=3, verbose=0, seed=1, callbacks=[keep])
    d, g = model.discriminator.get_weights(), model.generator.get_weights()
    assert any((a != b).any() for a, b in zip(d, seen[-1][0])) and all((a == b).all() for a, b in zip(g, seen[-1][1]))
