"""Transfer learning as articles write it: layers shared between models, frozen, copied, looked up, loaded in part."""

import warnings

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, layers, losses, ops
from fastnn.models import Model, Sequential, clone_model, load_model
from fastnn.optimizers import SGD, Adam

CE = "sparse_categorical_crossentropy"


def model_a(name=None):
    return Sequential([fastnn.Input((6,)), layers.Dense(8, "relu", name="a1"), layers.BatchNormalization(name="bn"),
                       layers.Dense(5, "relu", name="a2"), layers.Dense(3, "softmax", name="a3")], name=name)


@pytest.fixture
def trained(digits):
    model = model_a()
    model.compile(Adam(0.01), CE, metrics=["accuracy"])
    model.fit(*digits, epochs=5, verbose=0)
    return model


def weights_of(layers_):
    return [w.copy() for layer in layers_ for w in layer.get_weights()]


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a, b, strict=True))


def test_the_whole_recipe(tmp_path, digits, trained):
    x, y = digits[0][:40], (digits[1][:40] == 1).astype(int)
    trained.save(tmp_path / "my_model_A")
    model_a = load_model(tmp_path / "my_model_A")
    before_a = model_a.get_weights()
    model_b = Sequential(model_a.layers[:-1])
    model_b.add(layers.Dense(1, activation="sigmoid"))
    assert model_b.layers[0] is model_a.layers[0] and model_b.variables[0].path == "a1/kernel"
    for layer in model_b.layers[:-1]:
        layer.trainable = False
    model_b.compile(loss="binary_crossentropy", optimizer=SGD(learning_rate=0.1), metrics=["accuracy"])
    first = model_b.fit(x, y, epochs=4, validation_data=(x, y), verbose=0).history
    assert same(model_a.get_weights(), before_a)  # the moving averages too
    for layer in model_b.layers[:-1]:
        layer.trainable = True
    model_b.compile(loss="binary_crossentropy", optimizer=SGD(learning_rate=0.01), metrics=["accuracy"])
    second = model_b.fit(x, y, epochs=16, validation_data=(x, y), verbose=0).history
    assert second["loss"][-1] < first["loss"][0] and second["val_accuracy"][-1] > 0.8
    after = model_a.get_weights()
    assert not same(after[:8], before_a[:8]) and same(after[8:], before_a[8:])  # shared: all but A's own head
    np.testing.assert_array_equal(model_a.predict(x, verbose=0).argmax(1).shape, (40,))


def test_a_copy_leaves_the_first_alone(digits, trained):
    copy = clone_model(trained)
    assert [x.name for x in copy.layers] == [x.name for x in trained.layers] and not copy.compiled
    assert not same(copy.get_weights()[:1], trained.get_weights()[:1])
    copy.set_weights(trained.get_weights())
    np.testing.assert_array_equal(copy(digits[0]), trained(digits[0]))
    before = trained.get_weights()
    copy.compile("sgd", CE)
    copy.fit(*digits, epochs=1, verbose=0)
    assert same(trained.get_weights(), before)


def test_sharing_layers_does_not_disturb_the_optimizer_of_either(digits):
    """A, then B on A's layers, then A again: as if each had its variables where it left them."""
    x, y = digits

    def run(meddle):
        fastnn.utils.set_random_seed(5)
        a = model_a()
        b = Sequential(a.layers[:-1])
        b.add(layers.Dense(3, "softmax"))
        a.compile(Adam(0.01), CE)
        a.fit(x, y, epochs=1, verbose=0, seed=1)
        if meddle:
            held = a.get_weights()
            b.compile(Adam(0.01), CE)
            b.fit(x, y, epochs=1, verbose=0, seed=2)
            a.set_weights(held)
        a.fit(x, y, epochs=2, verbose=0, seed=3)
        return a.get_weights(), a.optimizer.iterations

    (w0, n0), (w1, n1) = run(False), run(True)
    assert n0 == n1 == 15 and same(w0, w1)


def test_frozen_batch_normalization_is_in_inference_mode(digits, trained):
    x, y = digits
    trained.trainable = False
    head = Sequential([fastnn.Input((6,)), trained, layers.Dense(3, "softmax")])
    head.compile("sgd", CE)
    moments = trained.get_layer("bn").get_weights()
    want = trained(x)
    head.fit(x, y, epochs=2, verbose=0)
    assert same(trained.get_layer("bn").get_weights(), moments)
    np.testing.assert_array_equal(trained(x, training=True), want)
    assert [v.path for v in head.trainable_variables] == [f"{head.layers[1].name}/{n}" for n in ("kernel", "bias")]
    trained.trainable = True
    with pytest.warns(fastnn.FastnnWarning, match="trainable was changed after compile"):
        head.fit(x, y, epochs=1, verbose=0)
    assert same(trained.get_layer("bn").get_weights(), moments)  # as compiled
    head.compile("sgd", CE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        head.fit(x, y, epochs=1, verbose=0)
    assert not same(trained.get_layer("bn").get_weights(), moments)


def test_nested_models(tmp_path, digits):
    x, y = digits
    inputs = fastnn.Input((6,))
    body = Model(inputs, layers.Dense(4, "relu", name="dense_a")(inputs), name="body")
    inner = Sequential([fastnn.Input((4,)), layers.Dense(4, "tanh", name="dense_a")], name="inner")
    outer = fastnn.Input((6,))
    model = Model(outer, layers.Dense(3, "softmax", name="top")(inner(body(outer))), name="whole")
    model.compile("adam", CE)
    inner.trainable = False
    model.compile("adam", CE)
    before = inner.get_weights()
    model.fit(x, y, epochs=1, verbose=0)
    assert same(inner.get_weights(), before) and len(model.trainable_variables) == 4
    text = []
    model.summary(print_fn=text.append)
    assert "body" in "\n".join(text) and "inner" in "\n".join(text)
    model.save(tmp_path / "nested.keras")
    again = load_model(tmp_path / "nested.keras")
    np.testing.assert_array_equal(again(x), model(x))
    assert [v.path for v in again.trainable_variables] == [v.path for v in model.trainable_variables]
    assert again.get_layer("inner").layers[0].trainable is False
    names = ["body/dense_a/kernel", "body/dense_a/bias", "inner/dense_a/kernel", "inner/dense_a/bias", "top/kernel",
             "top/bias"]
    assert list(model.state_dict()) == names
    copy = clone_model(model)
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(copy(x), model(x))
    assert copy.get_layer("body") is not body


def test_features_and_surgery(digits, trained):
    x, _ = digits
    features = Model(inputs=trained.inputs, outputs=trained.get_layer("a2").output)
    assert features.output_shape == (None, 5)
    every = Model(inputs=trained.inputs, outputs=[layer.output for layer in trained.layers])
    outs = every(x)
    np.testing.assert_array_equal(outs[2], features.predict(x, verbose=0))
    np.testing.assert_array_equal(outs[-1], trained(x))
    assert trained.get_layer(index=-1).name == "a3" and trained.get_layer("bn") is trained.layers[1]
    copy = clone_model(trained)
    copy.set_weights(trained.get_weights())
    assert copy.pop().name == "a3" and copy.output_shape == (None, 5)
    np.testing.assert_array_equal(copy(x), outs[2])
    joined = Model(trained.inputs, layers.Dense(2, name="new")(trained.layers[-2].output))
    assert joined.layers[1] is trained.layers[0] and joined.output_shape == (None, 2)


def test_clones_on_other_inputs_and_by_a_function(trained):
    functional = Model(trained.inputs, trained.outputs[0])
    for model in (trained, functional):
        given = fastnn.Input((6,), name="given")
        on = clone_model(model, input_tensors=given)
        assert on.input_names == ["given"] and on.output_shape == (None, 3)

        def wider(layer):
            if isinstance(layer, layers.Dense) and layer.name != "a3":
                return layers.Dense(layer.units + 1, layer.activation, name=layer.name)
            return layer if layer.name == "never" else type(layer).from_config(layer.get_config())

        assert [v.shape for v in clone_model(model, clone_function=wider).variables if "kernel" in v.path] == [
            (6, 9), (9, 6), (6, 3)]
        shared = clone_model(model, clone_function=lambda layer: layer)
        assert shared.layers[-1] is model.layers[-1]
    tail = clone_model(trained, input_tensors=layers.Dense(6)(fastnn.Input((2,))))
    assert tail.output_shape == (None, 3)
    with pytest.raises(ValueError, match="takes a model"):
        clone_model(layers.Dense(2))
    with pytest.raises(ValueError, match="has one input; got 2"):
        clone_model(trained, input_tensors=[fastnn.Input((6,)), fastnn.Input((6,))])
    with pytest.raises(TypeError, match="must give a layer"):
        clone_model(trained, clone_function=lambda layer: None)


def test_state_dicts(trained):
    other = model_a()
    state = trained.state_dict()
    assert list(state)[:2] == ["a1/kernel", "a1/bias"] and list(state) == [v.path for v in trained.variables]
    assert other.load_state_dict(state) == ([], [])
    assert same(other.get_weights(), trained.get_weights())
    state["a1/kernel"][...] = 0  # a copy
    assert trained.get_weights()[0].any()
    part = {"a1/kernel": np.ones((6, 8)), "extra": np.ones(3)}
    before = other.get_weights()
    with pytest.raises(ValueError, match="it lacks 'a1/bias', .* more and the model has no 'extra'"):
        other.load_state_dict(part)
    assert same(other.get_weights(), before)
    found = other.load_state_dict(part, strict=False)
    assert found.unexpected_keys == ["extra"] and len(found.missing_keys) == 9
    assert (other.get_weights()[0] == 1).all() and same(other.get_weights()[1:], before[1:])
    with pytest.raises(ValueError, match=r"a1/bias has shape \(8,\); the state dict holds an array of shape \(7,\)"):
        other.load_state_dict({"a1/kernel": np.zeros((6, 8)), "a1/bias": np.zeros(7)}, strict=False)
    assert (other.get_weights()[0] == 1).all()


def test_weights_loaded_in_part(tmp_path, trained):
    path = tmp_path / "a.weights.h5"
    trained.save_weights(path)
    other_head = clone_model(Sequential(trained.layers[:-1]))
    other_head.add(layers.Dense(7, "softmax", name="a3"))
    with pytest.raises(fastnn.files.FileError, match="a3/kernel"):
        other_head.load_weights(path)
    with pytest.warns(fastnn.FastnnWarning, match=r"a3/kernel has shape \(5, 7\), in the file \(5, 3\)"):
        other_head.load_weights(path, skip_mismatch=True)
    assert same(other_head.get_weights()[:8], trained.get_weights()[:8])
    shorter = Sequential([fastnn.Input((5,)), layers.Dense(2, name="fresh"), layers.Dense(3, name="none")])
    with pytest.raises(fastnn.files.FileError, match="nothing that fits"):
        shorter.load_weights(path, by_name=True)
    longer = Sequential([fastnn.Input((6,)), layers.Dense(8, name="a1"), layers.Dense(3, name="more"),
                         layers.Dense(2, name="a3")])
    with pytest.raises(fastnn.files.FileError, match="a3/kernel has shape"):
        longer.load_weights(path, by_name=True)
    with pytest.warns(fastnn.FastnnWarning, match=r"more/kernel \(not in the file\)"):
        longer.load_weights(path, by_name=True, skip_mismatch=True)
    assert same(longer.get_weights()[:2], trained.get_weights()[:2])
    with pytest.raises(ValueError, match="not built yet"):
        Sequential([layers.Dense(2)]).load_weights(path)


def test_names_that_two_layers_share(trained):
    other = model_a()
    with pytest.raises(ValueError, match="two layers named 'a1'"):
        Model(trained.inputs, layers.Dense(2, name="a1")(trained.layers[0].output))
    mixed = Sequential(trained.layers[:2])
    with pytest.raises(ValueError, match="has a layer named 'a1' already"):
        mixed.add(other.layers[0])

    class Two(fastnn.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(6, name="same"), layers.Dense(6, name="same")

        def call(self, x):
            return self.second(self.first(x))

    two = Two()
    two(np.ones((1, 6)))
    two.compile("sgd", "mse")
    two.fit(np.ones((2, 6)), np.ones((2, 6)), verbose=0)  # names don't matter here
    for use in (two.state_dict, lambda: two.gradients(np.ones((2, 6)), np.ones((2, 6)))):
        with pytest.raises(ValueError, match="two weights named 'same/kernel'"):
            use()


def test_subclasses_that_are_handed_tensors(tmp_path, digits):
    x, y = digits

    class Own(fastnn.Model):
        def train_step(self, data):
            x, y = data
            y_pred = self(x, training=True)
            loss = self.compute_loss(y=y, y_pred=y_pred)
            self.optimizer.apply(fastnn.gradients(loss, self.trainable_variables), self.trainable_variables)
            return {"own": loss}

    inputs = fastnn.Input((6,))
    model = Own(inputs=inputs, outputs=layers.Dense(3, "softmax")(inputs), name="mine")
    assert isinstance(model, Own) and model.output_shape == (None, 3) and type(model).__name__ == "Own"
    model.compile("sgd", CE)
    assert list(model.fit(x, y, verbose=0).history) == ["own"]
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m", custom_objects={"Own": Own})
    assert isinstance(again, Own) and list(again.fit(x, y, verbose=0).history) == ["own"]
    assert isinstance(clone_model(model), Own)

    class Inside(fastnn.Model):
        def __init__(self, units):
            inputs = fastnn.Input((6,))
            super().__init__(inputs, layers.Dense(units)(inputs))
            self.units = units

    assert Inside(4).output_shape == (None, 4) and Inside(5).units == 5
    assert len(Inside(2).trainable_variables) == 2


def test_a_contrast_of_two_copies_trains_the_shared_body(digits):
    """One layer called twice, and a loss of the two: siamese networks."""
    x, _ = digits
    body = layers.Dense(4, "tanh", name="body")
    a, b = fastnn.Input((6,), name="a"), fastnn.Input((6,), name="b")
    distance = ops.sum(ops.square(ops.subtract(body(a), body(b))), axis=1, keepdims=True)
    model = Model({"a": a, "b": b}, distance)
    model.compile("adam", losses.MeanSquaredError())
    history = model.fit({"a": x, "b": x[::-1].copy()}, np.zeros((150, 1)), epochs=5, verbose=0,
                        callbacks=[callbacks.EarlyStopping(monitor="loss")]).history
    assert history["loss"][-1] < history["loss"][0] and len(model.trainable_variables) == 2
