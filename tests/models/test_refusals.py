"""What must not happen: each mistake gives one sentence that names it, and the model is as it was."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, models
from fastnn.files import FileError

from .conftest import network, state

X, Y = np.random.default_rng(0).normal(size=(40, 6)), np.arange(40) % 3


def poked(value, place=(3, 2)):
    x = X.copy()
    x[place] = value
    return x


MISTAKES = {
    "wrong width": ((X[:, :5], Y), "input"), "too many axes": ((X[:, :, None, None], Y), "input"),
    "labels too large": ((X, Y + 1), r"y\[2\] is 3, but the labels of 3 classes are 0 to 2"),
    "negative labels": ((X, Y - 1), r"y\[0\] is -1"), "labels with fractions": ((X, Y + 0.5), "y"),
    "one-hot where labels are wanted": ((X, np.eye(3)[Y]), "class numbers"),
    "NaN in x": ((poked(np.nan), Y), r"x\[3, 2\] is nan"), "infinity in x": ((poked(np.inf), Y), r"x\[3, 2\] is inf"),
    "too large for float32": ((poked(1e300), Y), r"x\[3, 2\]"),
    "NaN in y": ((X, np.where(Y == 2, np.nan, Y)), r"y\[2\] is nan"),
    "empty": ((X[:0], Y[:0]), "x is empty"), "no columns": ((X[:, :0], Y), "x is empty"),
    "lengths differ": ((X, Y[:-1]), "x and y"), "objects": ((X.astype(object), Y), "x must hold numbers.*object"),
    "complex": ((X.astype(complex), Y), "x must hold numbers.*complex"), "text": ((X.astype(str), Y), "x must hold"),
    "no y": ((X,), "targets"), "no x": ((None, Y), "x is missing"), "ragged": (([[1, 2], [3]], [0, 1]), "x"),
    "a number": ((3.0, Y), "x must have rows"), "times": ((X.astype("M8[s]"), Y), "x must hold numbers"),
    "two inputs": (([X, X], Y), "x holds 2"), "names": (({"strange": X}, Y), "strange"),
}
OPTIONS = {
    "batch_size": (0, "batch_size"), "batch_size ": (2.5, "batch_size"), "epochs": (-1, "epochs"),
    "epochs ": (1.5, "epochs"), "initial_epoch": ("a", "initial_epoch"), "validation_split": (1.5, "validation_split"),
    "validation_split ": (-0.1, "validation_split"), "sample_weight": (np.ones(3), "sample_weight"),
    "sample_weight ": (np.full(40, np.nan), "sample_weight"), "class_weight": ({5: 1.0}, "class 5"),
    "class_weight ": ([1, 2, 3], "class_weight"), "steps_per_epoch": (0, "steps_per_epoch|steps"),
    "validation_data": ((X[:, :2], Y), "Validation data"), "validation_data ": ((X, Y + 7), "Validation data"),
    "verbose": ("loud", "verbose"), "callbacks": ([3], "callbacks"), "validation_freq": (0, "validation_freq"),
}


def refuse(model, call, words):
    before = state(model)
    with pytest.raises((ValueError, TypeError), match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert state(model) == before
    model.fit(X, Y, verbose=0)  # and it can be used


@pytest.fixture
def trained():
    model = network()
    model.fit(X, Y, verbose=0)
    return model


@pytest.mark.parametrize("mistake", MISTAKES)
def test_data_that_a_fit_refuses(trained, mistake):
    given, words = MISTAKES[mistake]
    refuse(trained, lambda: trained.fit(*given, verbose=0), words)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_data_that_evaluate_and_batches_refuse(trained, mistake):
    given, words = MISTAKES[mistake]
    refuse(trained, lambda: trained.evaluate(*given, verbose=0), words)
    refuse(trained, lambda: trained.train_on_batch(*given), words)


@pytest.mark.parametrize("mistake", [m for m, (given, words) in MISTAKES.items() if "y" not in words.split("\\")[0]
                                     and "labels" not in m and len(given) == 2 and "one-hot" not in m])
def test_data_that_predict_refuses(trained, mistake):
    given, words = MISTAKES[mistake]
    refuse(trained, lambda: trained.predict(given[0]), words)


@pytest.mark.parametrize("option", OPTIONS)
def test_options_that_a_fit_refuses(trained, option):
    value, words = OPTIONS[option]
    given = {"validation_data": (X, Y)} if "freq" in option else {}
    before = state(trained)
    with pytest.raises(ValueError, match=words):
        trained.fit(X, Y, **{"verbose": 0, **given, option.strip(): value})
    if "freq" not in option:
        assert state(trained) == before


def test_a_mistake_in_a_generator_names_the_batch(trained):
    with pytest.raises(ValueError, match="Batch 1: x and y"):
        trained.fit(((X, Y[: 40 - i]) for i in range(3)), verbose=0)


def test_an_unbuilt_model_stays_unbuilt_and_takes_other_data():
    model = fastnn.Sequential([layers.Dense(4), layers.Reshape((2, 3))], name="m")
    with pytest.raises(ValueError, match="Reshape"):
        model.build((None, 6))
    assert not model.built and not model.variables
    with pytest.raises(ValueError, match="not built"):
        model.count_params()
    with pytest.raises(ValueError, match="not built"):
        model.save("nowhere.safetensors")
    model = fastnn.Sequential([layers.Dense(3, "softmax")], name="m")
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="Dense"):
        model.fit(X[:, 0], Y, verbose=0)
    model.fit(X, Y, verbose=0)
    assert model.layers[0].kernel.shape == (6, 3)


def test_methods_before_compile():
    model = fastnn.Sequential([fastnn.Input((6,)), layers.Dense(3)], name="m")
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        with pytest.raises(RuntimeError, match=f"m: call compile before {method}"):
            getattr(model, method)(X, Y)
    model.compile("sgd")
    with pytest.raises(ValueError, match="without a loss"):
        model.fit(X, Y, verbose=0)


def test_adding_a_layer_that_does_not_fit(trained):
    before, names = state(trained), [layer.name for layer in trained.layers]
    with pytest.raises(ValueError, match="Reshape"):
        trained.add(layers.Reshape((5,)))
    with pytest.raises(TypeError, match="takes layers"):
        trained.add(layers.Dense)
    with pytest.raises(ValueError, match="names must differ"):
        trained.add(layers.Dense(3, name=names[0]))
    assert [layer.name for layer in trained.layers] == names
    assert state(trained) == before
    trained.fit(X, Y, verbose=0)


@pytest.mark.parametrize("weights", [lambda w: w[:-1], lambda w: [*w[:-1], w[-1][:1]], lambda w: [a * 1j for a in w],
                                     lambda w: [w[0].T, *w[1:]]])
def test_weights_that_do_not_fit(trained, weights):
    before = state(trained)
    with pytest.raises(ValueError):
        trained.set_weights(weights(trained.get_weights()))
    assert state(trained) == before


def test_files(trained, tmp_path):
    path = tmp_path / "m.safetensors"
    trained.save(path)
    before, data = state(trained), path.read_bytes()
    for damaged in (data[:50], data[:-20], data[:200] + b"?" + data[201:], b"", b"nonsense" * 100):
        path.write_bytes(damaged)
        with pytest.raises(FileError):
            models.load_model(path)
        with pytest.raises(FileError):
            trained.load_weights(path)
    other = fastnn.Sequential([fastnn.Input((2,)), layers.Dense(3)])
    other.save_weights(path)
    with pytest.raises(FileError, match="weight"):
        trained.load_weights(path)
    with pytest.raises(FileError, match="no fastnn model"):
        models.load_model(path)
    assert state(trained) == before
    with pytest.raises(FileNotFoundError):
        models.load_model(tmp_path / "missing.safetensors")
    with pytest.raises(FileExistsError):
        trained.save(path, overwrite=False)


def test_missing_outputs_and_names():
    a = fastnn.Input((6,), name="a")
    model = fastnn.Model(a, [layers.Dense(3, "softmax", name="p")(a), layers.Dense(1, name="q")(a)])
    with pytest.raises(ValueError, match="no output 'z', which loss names"):
        model.compile("sgd", {"p": "sparse_categorical_crossentropy", "z": "mse"})
    with pytest.raises(ValueError, match="2 outputs"):
        model.compile("sgd", ["sparse_categorical_crossentropy"])
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"], metrics=["mae"])
    with pytest.raises(ValueError, match="metrics"):
        model.fit(X, [Y, Y], verbose=0)
    model.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
    with pytest.raises(ValueError, match="2 outputs; got 1 targets"):
        model.fit(X, Y, verbose=0)
    with pytest.raises(ValueError, match="q"):
        model.fit(X, {"p": Y, "r": Y}, verbose=0)
    model.fit(X, {"q": Y, "p": Y}, verbose=0)


def test_graphs_that_are_none():
    a, b = fastnn.Input((2,), name="a"), fastnn.Input((3,), name="b")
    with pytest.raises(ValueError, match="'b', which is not among the inputs"):
        fastnn.Model(a, layers.Concatenate()([a, b]))
    with pytest.raises(ValueError, match="symbolic tensors are wanted"):
        fastnn.Model(a, np.ones(3))
    with pytest.raises(ValueError, match="two layers named"):
        fastnn.Model(a, layers.Dense(1, name="x")(layers.Dense(1, name="x")(a)))
    with pytest.raises(TypeError, match="no truth value"):
        bool(a)
