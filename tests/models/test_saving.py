"""Models in files, pickles and copies: the same outputs, and training that goes on to the same bits."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, losses, models, ops, optimizers
from fastnn.files import FileError

from .conftest import network


class Twice(layers.Layer):
    """A user's layer."""

    def __init__(self, by=2.0, **kwargs):
        super().__init__(**kwargs)
        self.by = by

    def build(self, input_shape):
        self.shift = self.add_weight((input_shape[-1],), "ones", name="shift")

    def call(self, x):
        return x * self.by + self.shift

    def get_config(self):
        return {**super().get_config(), "by": self.by}


class Own(fastnn.Model):
    """A user's model, of one input or two."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units, self.blocks = units, [layers.Dense(units, "tanh")]
        self.blocks.append(Twice())
        self.head = layers.Dense(3, "softmax")

    def call(self, x, training=False):
        if isinstance(x, list | tuple):
            x = ops.concatenate(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def nested():
    inner = fastnn.Sequential([layers.Dense(5, "relu", input_shape=(6,)), Twice(name="mine")], name="inner")
    return fastnn.Sequential([fastnn.Input((6,)), inner, layers.BatchNormalization(), layers.Dense(3, "softmax")])


def functional():
    a = fastnn.Input((6,), name="a")
    shared = layers.Dense(6, "relu")
    x = shared(shared(a)) * 2.0 + np.ones(6, np.float32)
    inner = fastnn.Model(a, layers.Concatenate()([x, a]), name="inner")
    b = fastnn.Input((6,), name="b")
    return fastnn.Model(b, layers.Dense(3, "softmax")(Twice(name="t")(inner(b))))


def trained(make, x, y, **arguments):
    model = make()
    model.compile(**{"optimizer": optimizers.Adam(0.01, clipnorm=1.0), "loss": "sparse_categorical_crossentropy",
                     "metrics": ["accuracy"], **arguments})
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    return model


def through_file(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    return models.load_model(tmp_path / "m.safetensors", custom_objects={"Twice": Twice, "Own": Own})


WAYS = {"file": through_file, "pickle": lambda m, _: pickle.loads(pickle.dumps(m)),
        "deepcopy": lambda m, _: copy.deepcopy(m), "copy": lambda m, _: copy.copy(m)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [nested, functional, Own, lambda: network(0.3)], ids=["nested", "functional",
                                                                                      "own", "dropout"])
def test_training_goes_on_to_the_same_bits(make, way, digits, tmp_path):
    model = trained(make, *digits)
    again = WAYS[way](model, tmp_path)
    assert type(again) is type(model)
    np.testing.assert_array_equal(model.predict(digits[0]), again.predict(digits[0]))
    assert again.optimizer.iterations == model.optimizer.iterations == 10
    assert again.optimizer.get_config() == model.optimizer.get_config()
    found = []
    for one in (model, again):
        fastnn.utils.set_random_seed(5)
        found.append((one.fit(*digits, epochs=2, verbose=0).history, one.get_weights()))
    assert found[0][0] == found[1][0]
    for v, w in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_array_equal(v, w)
    assert not any(np.shares_memory(v.array, w.array) for v, w in zip(model.variables, again.variables))


def test_stopped_and_resumed_is_undisturbed(digits, tmp_path):
    """Four epochs at a stretch, or two, a file, and two more."""
    path, found = tmp_path / "m.safetensors", []
    for stop in (4, 2):
        fastnn.utils.set_random_seed(1)
        model = network(0.2)
        fastnn.utils.set_random_seed(2)
        model.fit(*digits, epochs=stop, verbose=0)
        if stop == 2:
            model.save(path)
            model = models.load_model(path)
            fastnn.utils.set_random_seed(2)
            model.fit(*digits, epochs=4, initial_epoch=2, verbose=0)
        found.append(model.get_weights())
    for v, w in zip(*found):
        np.testing.assert_array_equal(v, w)


def test_models_of_several_inputs(digits, tmp_path):
    model, x = Own(), [digits[0][:, :2], digits[0][:, 2:]]
    want = model.predict(x)
    again = through_file(model, tmp_path)
    np.testing.assert_array_equal(again.predict(x), want)


def distance(y_true, y_pred):
    return ops.mean(ops.square(y_pred - y_true), axis=-1)


class Mine(losses.MeanSquaredError):
    """A user's loss."""


@pytest.mark.parametrize("loss,name", [(distance, "distance"), (Mine(), "Mine")])
def test_functions_of_ones_own_are_saved_by_name(loss, name, digits, tmp_path):
    x, y = digits[0], np.eye(3)[digits[1]]
    model = trained(lambda: network(), x, y, loss=loss, metrics=[distance])
    path = tmp_path / "m.safetensors"
    model.save(path)
    with pytest.raises(FileError, match=name):
        models.load_model(path)
    np.testing.assert_array_equal(models.load_model(path, compile=False).predict(x), model.predict(x))
    again = models.load_model(path, custom_objects={"distance": distance, "Mine": Mine})
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    copied = pickle.loads(pickle.dumps(model))
    assert copied.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_classes_that_are_not_given_are_not_made(tmp_path):
    model = nested()
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(FileError, match="Twice"):
        models.load_model(tmp_path / "m.safetensors")


def test_compiled_with_dicts_and_weights(digits, tmp_path):
    a = fastnn.Input((6,))
    model = fastnn.Model(a, {"p": layers.Dense(3, "softmax")(a), "q": layers.Dense(1)(a)})
    model.compile("sgd", {"p": "crossentropy", "q": losses.MeanAbsoluteError()}, metrics={"p": ["accuracy"]},
                  loss_weights={"q": 0.5}, weighted_metrics={"q": ["mse"]})
    y = {"q": digits[1], "p": digits[1]}
    found = model.evaluate(digits[0], y, verbose=0, return_dict=True)
    assert list(found) == ["loss", "p_loss", "q_loss", "p_accuracy", "q_mse"]
    assert found["loss"] == pytest.approx(found["p_loss"] + 0.5 * found["q_loss"], rel=1e-6)
    assert set(model.predict(digits[0])) == {"p", "q"}
    again = through_file(model, tmp_path)
    assert again.evaluate(digits[0], y, verbose=0, return_dict=True) == found


def test_weights_alone(digits, tmp_path):
    model, other = network(), network()
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(model.predict(digits[0]), other.predict(digits[0]))


def test_subgraphs_share_weights():
    model = network()
    upper = fastnn.Model(model.layers[0].output, model.output)
    lower = fastnn.Model(model.inputs, model.layers[0].output)
    x = np.random.default_rng(0).normal(size=(4, 6))
    np.testing.assert_allclose(upper.predict(lower.predict(x)), model.predict(x), rtol=1e-6)
    assert model.layers[0] not in upper.layers
    np.testing.assert_array_equal(copy.deepcopy(upper).predict(lower.predict(x)), upper.predict(lower.predict(x)))


def test_add_and_pop(digits):
    model = fastnn.Sequential(name="m")
    for layer in (fastnn.Input((6,)), layers.Dense(4), layers.Dense(5)):
        model.add(layer)
    assert model.output_shape == (None, 5)
    assert model(np.ones((1, 6))).shape == (1, 5)
    top = model.pop()
    assert top.units == 5 and model.output_shape == (None, 4)
    assert model(np.ones((1, 6))).shape == (1, 4) == model.predict_on_batch(np.ones((1, 6), np.float32)).shape
    model.add(layers.Dense(3, "softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(*digits, verbose=0)
    assert len(model.optimizer.variables) == 4


def test_building_without_data():
    model = Own()
    model.build((None, 6))
    assert model.built and model.count_params() == 6 * 4 + 4 + 4 + 4 * 3 + 3
    text = []
    model.summary(print_fn=text.append)
    assert "47" in text[0] and "dense" in text[0]
    lazy = fastnn.Sequential([layers.Dense(2)])
    with pytest.raises(AttributeError, match="does not know the shape"):
        _ = lazy.output_shape
    lazy.build((None, 3))
    assert lazy.output_shape == (None, 2) and lazy.get_layer(index=0).count_params() == 8
    with pytest.raises(ValueError, match="no layer 'x'"):
        lazy.get_layer("x")
