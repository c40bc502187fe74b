"""Pooling and the layers on shapes against Keras and PyTorch, and what they refuse."""

import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, models, ops

RNG = np.random.default_rng(0)


def gradient(layer, x, dy):
    """The output of a layer, and its gradient by x for one upstream gradient."""
    given = fastnn.Variable(x, name="x")
    _, (dx,) = fastnn.value_and_grad(lambda d: ops.sum(layer(given * 1.0) * d), [given])(dy)
    return dx


GRID = [(shape, size, strides, padding)
        for shape in ((2, 7, 9, 5), (1, 1, 4, 1)) for size in (2, 3) for strides in (1, 2, 4)
        for padding in ("valid", "same") if padding == "same" or min(shape[1:3]) >= size]


@pytest.mark.parametrize("kind", ("Max", "Average"))
def test_pooling_is_that_of_keras(kind):
    keras, jax = pytest.importorskip("keras"), pytest.importorskip("jax")
    if keras.backend.backend() != "jax":
        pytest.skip("gradients are taken with JAX")
    for shape, size, strides, padding in GRID:
        x = RNG.normal(size=shape).astype(np.float32)
        ours = getattr(layers, f"{kind}Pooling2D")(size, strides, padding)
        theirs = getattr(keras.layers, f"{kind}Pooling2D")(size, strides, padding)
        y, back = jax.vjp(theirs, x)
        dy = RNG.normal(size=y.shape).astype(np.float32)
        told = f"{shape} {size} {strides} {padding}"
        np.testing.assert_allclose(ours(x), y, rtol=1e-6, atol=1e-6, err_msg=told)
        np.testing.assert_allclose(gradient(ours, x, dy), back(dy)[0], rtol=1e-5, atol=1e-6, err_msg=told)


def test_pooling_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    for shape, size, strides, padding in GRID:
        if padding == "same":
            continue
        x = RNG.normal(size=shape).astype(np.float32)
        for kind, pool in (("Max", f.max_pool2d), ("Average", f.avg_pool2d)):
            ours = getattr(layers, f"{kind}Pooling2D")(size, strides)
            given = torch.tensor(x, requires_grad=True)
            y = pool(given.permute(0, 3, 1, 2), size, strides).permute(0, 2, 3, 1)
            dy = RNG.normal(size=tuple(y.shape)).astype(np.float32)
            y.backward(torch.tensor(dy))
            np.testing.assert_allclose(ours(x), y.detach().numpy(), rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(gradient(ours, x, dy), given.grad.numpy(), rtol=1e-5, atol=1e-6)


def test_of_equals_the_first_gets_the_gradient():
    x = np.zeros((1, 4, 4, 1), np.float32)
    dx = gradient(layers.MaxPooling2D(), x, np.arange(1, 5).reshape(1, 2, 2, 1).astype(np.float32))
    np.testing.assert_array_equal(dx[0, ..., 0], [[1, 0, 2, 0], [0] * 4, [3, 0, 4, 0], [0] * 4])


def test_nan_and_infinities():
    x = np.full((1, 2, 6, 1), -np.inf, np.float32)
    x[0, 1, 2], x[0, 0, 5], x[0, 1, 4] = np.nan, np.inf, 3
    y = layers.MaxPooling2D()(x)[0, 0, :, 0]
    assert y[0] == -np.inf and np.isnan(y[1]) and y[2] == np.inf


@pytest.mark.parametrize("name, arguments, inputs", [
    ("UpSampling2D", {"size": (2, 3)}, (2, 3, 4, 5)),
    ("UpSampling2D", {"size": (2, 3), "interpolation": "bilinear"}, (2, 3, 4, 5)), ("UpSampling1D", {}, (2, 3, 4)),
    ("ZeroPadding2D", {"padding": ((1, 2), (0, 3))}, (2, 3, 4, 5)), ("ZeroPadding1D", {}, (2, 3, 4)),
    ("Cropping2D", {"cropping": (1, 1)}, (2, 3, 4, 5)), ("Cropping1D", {"cropping": 1}, (2, 3, 4)),
    ("Permute", {"dims": (3, 1, 2)}, (2, 3, 4, 5)), ("RepeatVector", {"n": 3}, (2, 5)),
    ("GlobalMaxPooling2D", {"keepdims": True}, (2, 3, 4, 5)), ("GlobalAveragePooling1D", {}, (2, 3, 4)),
    ("Average", {}, [(2, 5)] * 3), ("Subtract", {}, [(2, 5)] * 2), ("Maximum", {}, [(2, 5), (2, 5), (2, 5)]),
    ("Dot", {"axes": (2, 1)}, [(2, 3, 4), (2, 4, 5)]), ("Dot", {"axes": 1, "normalize": True}, [(2, 5), (2, 5)]),
    ("AveragePooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, (2, 8, 4))])
def test_values_are_those_of_keras(name, arguments, inputs):
    keras = pytest.importorskip("keras")
    xs = [RNG.normal(size=s).astype(np.float32) for s in (inputs if isinstance(inputs, list) else [inputs])]
    given = xs if isinstance(inputs, list) else xs[0]
    ours, theirs = getattr(layers, name)(**arguments), getattr(keras.layers, name)(**arguments)
    np.testing.assert_allclose(ours(given), np.asarray(theirs(given)), rtol=1e-5, atol=1e-6)
    mine = {k: v for k, v in ours.get_config().items() if k in arguments}
    again = type(theirs).from_config({**theirs.get_config(), **mine})
    np.testing.assert_allclose(np.asarray(again(given)), np.asarray(theirs(given)))


@pytest.mark.parametrize("make, words", [
    (lambda: layers.MaxPooling2D(0), "pool_size is 0"), (lambda: layers.MaxPooling2D((2, 2, 2)), "or 2 of them"),
    (lambda: layers.MaxPooling2D(2, strides=(1, 0)), "strides is (1, 0)"),
    (lambda: layers.MaxPooling1D(2.5), "positive whole number is wanted"),
    (lambda: layers.AveragePooling2D(padding="sme"), "did you mean 'same'"),
    (lambda: layers.GlobalMaxPooling1D("channel_last"), "did you mean 'channels_last'"),
    (lambda: layers.UpSampling2D(interpolation="cubic"), "known are 'nearest', 'bilinear'"),
    (lambda: layers.ZeroPadding2D(-1), "padding is -1"), (lambda: layers.ZeroPadding1D((1, 2, 3)), "or a pair of them"),
    (lambda: layers.Cropping2D(((1, 1), 2.0)), "pair of such pairs"), (lambda: layers.Permute((0, 1)), "from 1 on"),
    (lambda: layers.RepeatVector(0), "n is 0"), (lambda: layers.Dot(axes="x"), "axes is 'x'"),
    (lambda: layers.Dot(axes=0)([np.ones((2, 2))] * 2), "axes 1 to 1"),
    (lambda: layers.Subtract()([np.ones((2, 2))] * 3), "takes two inputs"),
    (lambda: layers.MaxPooling2D(5)(np.ones((1, 4, 4, 1))), "do not fit into (4, 4)"),
    (lambda: layers.MaxPooling2D(data_format="channels_first")(np.ones((1, 4))), "(batch, channels, rows, columns)"),
    (lambda: ops.pad(np.ones(1), 1, mode="reflect"), "can't be padded"), (lambda: ops.take(np.ones(3), [3]), "from -3"),
    (lambda: ops.split(np.ones(5), 2), "parts of one size"), (lambda: ops.pad(np.ones((2, 2)), ((1, 1),)), "each axis"),
    (lambda: ops.stack([np.ones(2), np.ones(3)]), "one shape")])
def test_what_is_wrong_is_refused_in_a_sentence(make, words):
    with pytest.raises(ValueError) as error:
        make()
    assert words in str(error.value)


# ---------------------------------------------------------------------- functions


def test_functions_are_those_of_numpy_as_arrays_and_in_programs():
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    cases = [(ops.pad(v, ((1, 0), (0, 2), (1, 1)), **more), np.pad(x, ((1, 0), (0, 2), (1, 1)), **more))
             for more in ({}, {"constant_values": 2.0}, {"mode": "reflect"}, {"mode": "symmetric"}, {"mode": "edge"},
                          {"mode": "wrap"}) for v in (x,)]
    assert all((a == b).all() for a, b in cases)

    def many(v):
        return [ops.pad(v, ((0, 0), (2, 1), (0, 1)), constant_values=3.0), ops.pad(v, 1, mode="reflect"),
                ops.flip(v, (0, 2)), ops.repeat(v, 2, axis=1), ops.repeat(v, 3), ops.tile(v, (2, 1, 3)),
                ops.stack([v, v + 1], axis=-1), *ops.split(v, [1, -1], axis=2), *ops.unstack(v, axis=1),
                ops.take(v, [[0, -1], [2, 2]], axis=1), ops.moveaxis(v, (0, 1), (2, 0)), ops.swapaxes(v, 0, -1)]

    want = [np.pad(x, ((0, 0), (2, 1), (0, 1)), constant_values=3.0), np.pad(x, 1, mode="reflect"), np.flip(x, (0, 2)),
            np.repeat(x, 2, 1), np.repeat(x, 3), np.tile(x, (2, 1, 3)), np.stack([x, x + 1], -1),
            *np.split(x, [1, -1], 2), *(x[:, i] for i in range(3)), x[:, [[0, -1], [2, 2]]],
            np.moveaxis(x, (0, 1), (2, 0)), np.swapaxes(x, 0, -1)]
    for got in (many(x), fastnn.program(many)(x)):
        assert len(got) == len(want)
        for a, b in zip(got, want):
            np.testing.assert_array_equal(a, b)


def test_the_functions_are_nodes_of_models():
    a, b = layers.Input((4, 6, 3)), layers.Input((4, 6, 3))
    y = layers.multiply([a, layers.subtract([b, a])])
    y = layers.maximum([ops.max_pool(y, 2), ops.average_pool(y, 2)])
    left, right = ops.split(y, 3, axis=2)[:2]
    y = layers.concatenate([left, ops.flip(right, 1)])
    model = models.Model([a, b], layers.dot([layers.Flatten()(y), layers.Flatten()(y)], axes=1))
    x = [RNG.normal(size=(2, 4, 6, 3)).astype(np.float32) for _ in range(2)]
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(model.predict(x), again.predict(x))


# ---------------------------------------------------------------------- Lambda


def doubled(x, by=2.0):
    return x * by


def test_lambda_is_saved_by_name_alone(tmp_path):
    x = np.ones((2, 3), np.float32)
    model = models.Sequential([layers.Input((3,)), layers.Lambda(doubled, arguments={"by": 3.0})])
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="custom_objects"):
        models.load_model(tmp_path / "model")
    again = models.load_model(tmp_path / "model", custom_objects={"doubled": doubled})
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    with pytest.raises(ValueError, match="no name"):
        models.Sequential([layers.Input((3,)), layers.Lambda(lambda x: x)]).save(tmp_path / "other")


def test_lambda_knows_training_and_has_a_gradient():
    layer = layers.Lambda(lambda x, training: x * (2.0 if training else 1.0))
    x = np.ones((1, 2), np.float32)
    assert layer(x, training=True).sum() == 4 and layer(x).sum() == 2
    np.testing.assert_array_equal(gradient(layers.Lambda(ops.square), x, x), 2 * x)
    with pytest.raises(TypeError, match="something to call"):
        layers.Lambda("square")
