"""What holds for every layer, over the table in `cases`."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import layers, models, ops
from fastnn.program.kernel_check import compare

from . import attention_cases, cases

CASES = [*cases.CASES, *attention_cases.CASES]
BACKENDS = ("numpy", "native") if fastnn.get_backend() == "native" else ("numpy",)
by_case = pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)


@pytest.fixture(autouse=True)
def seeded():
    fastnn.utils.set_random_seed(7)


def listed(x):
    return x if isinstance(x, list) else [x]


def built(case, which=0, **arguments):
    """The layer after one call, with weights that are not their first values."""
    layer = case.make(**arguments)
    layer(case.arrays(which))
    rng = np.random.default_rng(1)
    layer.set_weights([abs(rng.normal(size=w.shape)) + 0.1 if "variance" in v.name else rng.normal(size=w.shape)
                       for v, w in zip(layer.variables, layer.get_weights())])
    return layer


def all_inputs():
    return [pytest.param(c, i, id=f"{c.name}-{i}") for c in CASES for i in range(len(c.inputs))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("training", (False, True))
@pytest.mark.parametrize("case,which", all_inputs())
def test_value(case, which, training, backend):
    with fastnn.backend(backend):
        layer, x = built(case, which), case.arrays(which, dtype=np.float32)
        want = case.meaning(layer, training, *(a.astype(np.float64) for a in listed(x)))
        got = layer(x, training=training)
    assert got.dtype == np.float32
    if want is not None:
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("training", (False, True))
@pytest.mark.parametrize("case,which", all_inputs())
def test_gradient(case, which, training):
    """Of a weighed sum of the outputs, by inputs and weights, against central differences in float64."""
    if training and not case.trained:
        pytest.skip("training makes no difference")
    if training and case.trained and "Normalization" not in case.name:
        pytest.skip("its mask moves with the step; its kernel is tested with the mask held")
    with fastnn.backend("numpy"):
        layer = built(case, which, dtype="float64")
        xs = listed(case.arrays(which))
        holders = [fastnn.Variable(x, name=f"x{i}", dtype="float64") for i, x in enumerate(xs)]
        weigh = np.random.default_rng(2).normal(size=np.shape(layer(case.arrays(which))))
        still = [w.copy() for w in layer.get_weights()]

        def loss(_):
            given = [h * 1.0 for h in holders]
            return ops.sum(layer(given if isinstance(case.inputs[which], list) else given[0]) * weigh)

        wrt = [*holders, *layer.trainable_variables]
        grad = fastnn.value_and_grad(loss, wrt, training=training)
        one = np.ones(1)

        def reset():
            layer.set_weights(still)

        _, grads = grad(one)
        reset()
        for v, g in zip(wrt, grads):
            before = v.numpy()

            def value(x, v=v):
                reset()
                v.assign(x)
                return float(grad(one)[0])

            compare(f"{case.name}: {v.path}", value, before, np.asarray(g, np.float64))
            v.assign(before)


@by_case
def test_symbolic_shape_is_that_of_the_value(case):
    for which, shape in enumerate(case.inputs):
        layer = case.make()
        symbols = [fastnn.Input(s[1:]) for s in (shape if isinstance(shape, list) else [shape])]
        y = layer(symbols if isinstance(shape, list) else symbols[0])
        assert y.shape == (None, *layer(case.arrays(which)).shape[1:])
        given = [(None, *s[1:]) for s in shape] if isinstance(shape, list) else (None, *shape[1:])
        assert case.make().compute_output_shape(given) == y.shape


@by_case
def test_config_round_trip(case):
    layer = case.make(name="somename")
    again = layers.deserialize(layers.serialize(layer))
    assert type(again) is type(layer)
    assert again.get_config() == layer.get_config()
    assert again.name == "somename"


@by_case
@pytest.mark.parametrize("how", ("pickle", "deepcopy"))
def test_copies_give_the_same_bits_and_share_nothing(case, how):
    layer = built(case)
    other = pickle.loads(pickle.dumps(layer)) if how == "pickle" else copy.deepcopy(layer)
    layer.__dict__.pop("_eager_programs")  # the calls so far, which dropout counts, are not copied
    x = case.arrays()
    for training in (False, True):
        np.testing.assert_array_equal(layer(x, training=training), other(x, training=training))
    for a, b in zip(layer.variables, other.variables):
        assert not np.shares_memory(a.array, b.array)


@by_case
def test_saved_within_a_model(case, tmp_path):
    shape = case.inputs[0]
    inputs = [fastnn.Input(s[1:]) for s in (shape if isinstance(shape, list) else [shape])]
    layer = case.make()
    model = fastnn.Model(inputs, layer(inputs if isinstance(shape, list) else inputs[0]))
    model.save(tmp_path / "m.safetensors")
    again = models.load_model(tmp_path / "m.safetensors")
    x = case.arrays()
    x = x if isinstance(x, list) else [x]
    np.testing.assert_array_equal(model.predict(x), again.predict(x))
    assert again.get_config() == model.get_config()


@by_case
@pytest.mark.parametrize("backend", BACKENDS)
def test_same_seed_same_bits(case, backend):
    found = []
    with fastnn.backend(backend):
        for _ in range(2):
            fastnn.utils.set_random_seed(3)
            layer = case.make()
            x = case.arrays()
            found.append([layer(x), layer(x, training=True), *layer.get_weights()])
    for a, b in zip(*found):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case,wrong", [pytest.param(c, w, id=f"{c.name}-{w[1]}") for c in CASES for w in c.wrong])
@pytest.mark.parametrize("backend", BACKENDS)
def test_wrong_inputs_are_refused_in_a_sentence_and_change_nothing(case, wrong, backend):
    build, shape, words = wrong
    with fastnn.backend(backend):
        layer = case.make(name="the_layer")
        if build:
            layer([np.ones(s) for s in build] if isinstance(build, list) else np.ones(build))
        before, was = layer.get_weights(), layer.built
        x = [np.ones(s) for s in shape] if isinstance(shape, list) else np.ones(shape)
        with pytest.raises(ValueError) as caught:
            layer(x)
    assert words in str(caught.value)
    assert "the_layer" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert layer.built == was
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@by_case
def test_unknown_arguments_and_bad_names(case):
    with pytest.raises(TypeError, match="strange"):
        case.make(strange=1)
    with pytest.raises(ValueError, match="name"):
        case.make(name="")
    with pytest.raises(ValueError, match="dtype"):
        case.make(dtype="float16")


@by_case
@pytest.mark.parametrize("dtype", (np.float16, np.float64, np.uint8, np.int64, bool))
def test_any_dtype_and_layout_comes_in(case, dtype):
    layer = built(case)
    xs = [(abs(x) * 3).astype(dtype) for x in listed(case.arrays())]
    want = layer(xs if isinstance(case.inputs[0], list) else xs[0])
    odd = []
    for x in xs:
        wide = np.zeros((x.shape[0] * 2, *x.shape[1:]), dtype)
        wide[::2] = x
        wide.flags.writeable = False
        odd.append(wide[::2])
    np.testing.assert_allclose(layer(odd if isinstance(case.inputs[0], list) else odd[0]), want, rtol=1e-6)


@pytest.mark.parametrize("make,words", [
    (lambda: layers.Dense(0), "units is 0"), (lambda: layers.Dense(2.5), "units is 2.5"),
    (lambda: layers.Dense(2, "rellu"), "did you mean 'relu'"),
    (lambda: layers.Dense(2, kernel_initializer="he_norml"), "did you mean 'he_normal'"),
    (lambda: layers.Activation("sofmax"), "did you mean 'softmax'"),
    (lambda: layers.Rescaling("1/255"), "scale is '1/255'"),
    (lambda: layers.Normalization(mean=1.0), "given together"),
    (lambda: layers.Normalization(mean=0.0, variance=-1.0), "negative"),
    (lambda: layers.Normalization(mean=0.0, variance=1.0).adapt(np.ones((2, 2))), "nothing to adapt"),
    (lambda: layers.Normalization().adapt([]), "no data"),
    (lambda: layers.Normalization().adapt(np.array([[np.nan]])), "NaN"),
    (lambda: layers.GaussianNoise(-1), "stddev is -1"), (lambda: layers.AlphaDropout(1), "rate is 1"),
    (lambda: layers.Dropout(0.5, noise_shape=3), "noise_shape is 3"),
    (lambda: layers.Dropout(0.5, noise_shape=(None, 2))(np.ones((2, 3)), training=True), "must be None, 1"),
    (lambda: layers.SpatialDropout2D(0.5, "channel_first"), "did you mean 'channels_first'"),
    (lambda: layers.Dropout(1.0), "rate is 1.0"), (lambda: layers.Dropout(-0.1), "rate is -0.1"),
    (lambda: layers.BatchNormalization(momentum=2), "momentum is 2"),
    (lambda: layers.BatchNormalization(epsilon=0), "epsilon is 0"),
    (lambda: layers.LayerNormalization(epsilon=-1), "epsilon is -1"),
    (lambda: layers.LayerNormalization(axis="last"), "axis is 'last'"),
    (lambda: layers.LayerNormalization(axis=0)(np.ones((2, 2))), "axis is 0"),
    (lambda: layers.LayerNormalization(axis=[1, -1])(np.ones((2, 2))), "different axes"),
    (lambda: layers.GroupNormalization(0), "groups is 0"),
    (lambda: layers.GroupNormalization(2, axis=[1]), "one whole number"),
    (lambda: fastnn.Input((0,)), "the shape is"),
    (lambda: layers.Concatenate(axis=0)([np.ones((1, 2)), np.ones((1, 2))]), "axis 0 is the batch"),
    (lambda: layers.deserialize({"class_name": "Dens", "config": {}}), "did you mean 'Dense'"),
    (lambda: layers.Dense(2).count_params(), "not built"),
    (lambda: layers.Dense(2).set_weights([np.ones(2)]), "not built"),
    (lambda: layers.Dense(2)(np.array(["a"])), "numbers"),
])
def test_errors_name_what_is_wrong(make, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        make()
    assert words in str(caught.value)


def test_weights_of_other_shapes_are_refused():
    layer = layers.Dense(2, name="d")
    layer(np.ones((1, 3)))
    before = layer.get_weights()
    for weights in ([before[0]], [before[0].T, before[1]], [before[0], before[1].astype(complex)]):
        with pytest.raises(ValueError, match="d"):
            layer.set_weights(weights)
        np.testing.assert_array_equal(layer.get_weights()[0], before[0])


def test_moving_averages():
    layer = layers.BatchNormalization(momentum=0.9)
    x = np.random.default_rng(0).normal(size=(50, 3)) * 2 + 1
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.1 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * x.var(0), rtol=1e-5)
    layer.trainable = False
    before = layer.get_weights()
    np.testing.assert_allclose(layer(x, training=True), layer(x), rtol=1e-6)
    for a, b in zip(before, layer.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_dropout_keeps_the_mean_and_zeroes_its_share():
    y = layers.Dropout(0.3, seed=1)(np.ones((400, 100)), training=True)
    assert abs((y == 0).mean() - 0.3) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)


class Affine(layers.Layer):
    """A layer as users write them: lists of layers, variables of its own."""

    def __init__(self, depth=2, **kwargs):
        super().__init__(**kwargs)
        self.depth, self.steps = depth, []
        for _ in range(depth):
            self.steps.append(layers.Dense(3))

    def build(self, input_shape):
        self.shift = fastnn.Variable(np.zeros(input_shape[-1]), name="shift")

    def call(self, x, training=False):
        x = x + self.shift
        for step in self.steps:
            x = step(x)
        return x * 2.0 if training else x

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}


def test_a_layer_of_ones_own():
    layer = Affine(3)
    x = np.ones((4, 3))
    layer(x)
    assert len(layer.variables) == 7
    assert len(layer.trainable_variables) == 7
    np.testing.assert_allclose(layer(x, training=True), 2 * layer(x), rtol=1e-6)
    other = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(other(x), layer(x))
    layer.trainable = False
    assert not layer.trainable_variables


def test_super_init_first():
    class Bad(layers.Layer):
        def __init__(self):
            self.inner = layers.Dense(2)

    with pytest.raises(RuntimeError, match="super"):
        Bad()


def test_an_error_inside_build_leaves_all_unbuilt():
    class Late(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first, self.second = layers.Dense(3), layers.Reshape((7,))

        def call(self, x):
            return self.second(self.first(x))

    layer = Late(name="late")
    with pytest.raises(ValueError, match="Reshape"):
        layer(np.ones((2, 5)))
    assert not layer.built and not layer.first.built and not layer.variables
    layer.second = layers.Reshape((3, 1))
    assert layer(np.ones((2, 4))).shape == (2, 3, 1)
    assert layer.first.kernel.shape == (4, 3)
