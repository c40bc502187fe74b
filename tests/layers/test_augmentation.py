"""Augmentation: fixed maps against SciPy and Keras, statistics of the draws, bits, mixed targets, wrong arguments."""

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.kernels import augment, dropout

RNG = np.random.default_rng(0)
SAME = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}  # SciPy's names
#: layer, its arguments, and the map that they fix: matrix and offset for an image of height h and width w
FIXED = (
    ("RandomTranslation", {"height_factor": (0.2, 0.2), "width_factor": (-0.3, -0.3)},
     lambda h, w: (np.eye(2), [-0.2 * h, 0.3 * w])),
    ("RandomRotation", {"factor": (0.1, 0.1)}, lambda h, w: about(h, w, turned(0.1))),
    ("RandomRotation", {"factor": (-0.7, -0.7)}, lambda h, w: about(h, w, turned(-0.7))),
    ("RandomZoom", {"height_factor": (0.4, 0.4), "width_factor": (-0.3, -0.3)},
     lambda h, w: about(h, w, np.diag([1.4, 0.7]))),
    ("RandomZoom", {"height_factor": (0.25, 0.25)}, lambda h, w: about(h, w, np.diag([1.25, 1.25]))))


def turned(part):
    angle = 2 * np.pi * part
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def about(h, w, matrix):
    centre = np.array([(h - 1) / 2, (w - 1) / 2])
    return matrix, centre - matrix @ centre


@pytest.mark.parametrize("mode", augment.MODES)
@pytest.mark.parametrize("name, arguments, fixed", FIXED, ids=lambda v: v if isinstance(v, str) else "")
def test_fixed_maps_are_those_of_scipy(name, arguments, fixed, mode):
    ndimage = pytest.importorskip("scipy.ndimage")
    x = RNG.normal(size=(2, 9, 12, 3)).astype(np.float32)
    matrix, offset = fixed(9, 12)
    for order, interpolation in ((0, "nearest"), (1, "bilinear")):
        layer = getattr(layers, name)(**arguments, fill_mode=mode, interpolation=interpolation, fill_value=0.5)
        got = layer(x, training=True)
        for n in range(2):
            for c in range(3):
                want = ndimage.affine_transform(x[n, :, :, c].astype(np.float64), matrix, offset, order=order,
                                                mode=SAME[mode], cval=0.5)
                near = np.abs(got[n, :, :, c] - want) < 2e-4
                # a nearest pixel hangs on the last digit where two are equally near
                assert near.all() if order else near.mean() > 0.97


@pytest.mark.parametrize("name, arguments, fixed", FIXED, ids=lambda v: v if isinstance(v, str) else "")
def test_fixed_maps_are_those_of_keras(name, arguments, fixed):
    keras = pytest.importorskip("keras")
    x = RNG.normal(size=(2, 9, 12, 3)).astype(np.float32)
    for mode in ("constant", "nearest", "reflect"):  # "wrap" of JAX is another, with its ends in one place
        ours = getattr(layers, name)(**arguments, fill_mode=mode, fill_value=0.5)
        theirs = getattr(keras.layers, name)(**arguments, fill_mode=mode, fill_value=0.5)
        np.testing.assert_allclose(ours(x, training=True), np.asarray(theirs(x, training=True)), atol=3e-4)


def test_resizing_is_that_of_keras():
    keras = pytest.importorskip("keras")
    x = RNG.normal(size=(2, 9, 12, 3)).astype(np.float32)
    for name, arguments in (("Resizing", (5, 20)), ("Resizing", (18, 7)), ("CenterCrop", (4, 5)),
                            ("CenterCrop", (9, 3))):
        want = np.asarray(getattr(keras.layers, name)(*arguments)(x))
        np.testing.assert_allclose(getattr(layers, name)(*arguments)(x), want, atol=1e-5, err_msg=f"{name} {arguments}")
    for method in ("nearest", "bilinear"):
        ours, theirs = (kind(6, 8, interpolation=method)(x) for kind in (layers.Resizing, keras.layers.Resizing))
        np.testing.assert_allclose(ours, np.asarray(theirs), atol=1e-5)


def test_a_crop_is_a_part_of_its_image():
    x = np.arange(40 * 5 * 6, dtype=np.float32).reshape(40, 5, 6, 1)
    y = layers.RandomCrop(3, 4, seed=1)(x, training=True)
    starts = set()
    for image, part in zip(x, y):
        r, c = np.argwhere(image[:, :, 0] == part[0, 0, 0])[0]
        np.testing.assert_array_equal(part, image[r : r + 3, c : c + 4])
        starts.add((int(r), int(c)))
    assert starts == {(r, c) for r in range(3) for c in range(3)}
    np.testing.assert_array_equal(layers.RandomCrop(5, 6)(x, training=True), x)


def test_flips_are_drawn_for_each_image_and_direction():
    x = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1).repeat(4000, 0)
    y = layers.RandomFlip(seed=1)(x, training=True).reshape(-1, 4)
    kinds, counts = np.unique(y[:, 0], return_counts=True)
    assert kinds.tolist() == [0, 1, 2, 3] and abs(counts - 1000).max() < 120  # 4 standard deviations are 110
    only = layers.RandomFlip("vertical", seed=1)(x, training=True).reshape(-1, 4)
    assert set(only[:, 0]) == {0.0, 2.0}


def test_brightness_and_contrast_of_each_image():
    x = RNG.uniform(60, 190, size=(2000, 3, 4, 2)).astype(np.float32)
    y = layers.RandomBrightness((-0.1, 0.2), seed=2)(x, training=True)
    delta = (y - x).mean((1, 2, 3)) / 255
    np.testing.assert_allclose(y - x, np.broadcast_to(delta[:, None, None, None] * 255, x.shape), atol=1e-3)
    assert -0.1 <= delta.min() < -0.09 and 0.19 < delta.max() <= 0.2 and abs(delta.mean() - 0.05) < 0.01
    y = layers.RandomContrast((0.5, 0.2), seed=2)(x, training=True)
    mean = x.mean((1, 2), keepdims=True)
    factor = ((y - mean) / (x - mean)).reshape(2000, -1)
    np.testing.assert_allclose(factor, factor[:, :1] * np.ones(24), rtol=0.05)
    assert 0.49 < factor.min() < 0.52 and 1.18 < np.median(factor, 1).max() < 1.21
    assert layers.RandomBrightness((1, 1), (0, 200))(x, training=True).max() == 200


def test_erased_boxes():
    x = np.ones((3000, 20, 10, 1), np.float32)
    y = layers.RandomErasing((0.25, 0.25), (0.04, 0.16), fill_value=7, seed=1)(x, training=True)
    holes = (y == 7).sum((1, 2, 3))
    assert abs((holes > 0).mean() - 0.25) < 0.04
    assert holes[holes > 0].min() >= 4 and holes.max() <= 9 * 5
    noisy = layers.RandomErasing((1, 1), (0.25, 0.25), value_range=(-1, 1), seed=1)(x[:5], training=True)
    assert 0.2 < (noisy != 1).mean() < 0.3 and noisy.min() >= -1
    cut = layers.Cutout(4, 9, seed=3)(x, training=True)
    whole = (cut == 9).sum((1, 2, 3))
    assert whole.max() == 16 and whole.min() == 4 and (cut == 9).any(0).all()


def test_of_one_seed_comes_one_picture_in_every_backend():
    x = RNG.normal(size=(5, 8, 9, 2)).astype(np.float32)

    def pictures():
        chain = [layers.RandomFlip(seed=1), layers.RandomRotation(0.1, seed=2), layers.RandomZoom(0.2, seed=3),
                 layers.RandomBrightness(0.1, (-3, 3), seed=4), layers.RandomErasing(seed=5, value_range=(-3, 3)),
                 layers.CutMix(seed=6), layers.MixUp(seed=7), layers.RandomCrop(5, 5, seed=8)]

        def run(x):
            for layer in chain:
                x = layer(x, training=True)
            return x

        program = fastnn.program(run)
        return [program(x) for _ in range(3)]

    first = pictures()
    assert not (first[0] == first[1]).all()
    for backend in ("numpy", "numba"):
        if backend == "numba":
            pytest.importorskip("numba")
        with fastnn.backend(backend):
            for a, b in zip(first, pictures(), strict=True):
                np.testing.assert_array_equal(a, b)


def test_neighbouring_maps_are_one():
    chain = [layers.RandomFlip("horizontal", seed=1), layers.RandomRotation(0.1, seed=2),
             layers.RandomTranslation(0.1, 0.1, seed=3), layers.RandomCrop(4, 4, seed=4)]

    def run(x, which=slice(None)):
        for layer in chain[which]:
            x = layer(x, training=True)
        return x

    x = RNG.normal(size=(3, 6, 6, 1)).astype(np.float32)
    program = fastnn.program(run).program(x)
    assert sum(c.kernel.name == "affine_sample" for c in program.calls) == 1
    # a mirrored image turned is an image turned the other way and mirrored
    flip = layers.RandomFlip("horizontal", seed=1)
    fixed = [layers.RandomRotation((a, a)) for a in (0.25, -0.25)]
    y = fastnn.program(lambda x: fixed[0](flip(x, training=True), training=True))(x)
    one, other = np.rot90(x, 1, (1, 2)), np.rot90(x[:, :, ::-1], 1, (1, 2))
    for n in range(3):
        assert np.allclose(y[n], one[n], atol=1e-5) or np.allclose(y[n], other[n], atol=1e-5)
    # other fills stay apart
    apart = [layers.RandomRotation(0.1, "wrap"), layers.RandomRotation(0.1, "nearest")]
    program = fastnn.program(lambda x: apart[1](apart[0](x, training=True), training=True)).program(x)
    assert sum(c.kernel.name == "affine_sample" for c in program.calls) == 2


# ---------------------------------------------------------------------- mixed targets


def test_mixed_samples_and_targets_belong_together():
    """The model is the identity, and its target the input: mixed alike, the loss stays 0."""
    for make in (layers.MixUp(1.0), layers.CutMix()):
        x = np.repeat(np.repeat(RNG.random((32, 1, 1, 3)), 64, 1), 64, 2).astype(np.float32)
        inputs = layers.Input(x.shape[1:])
        means = layers.GlobalAveragePooling2D()(make(inputs))
        model = fastnn.Model(inputs, layers.Dense(3, kernel_initializer="identity")(means))
        model.compile(fastnn.optimizers.SGD(0.0), "mae")
        history = model.fit(x, x.mean((1, 2)), batch_size=16, epochs=2, verbose=0).history["loss"]
        assert max(history) < (1e-4 if isinstance(make, layers.MixUp) else 0.02)  # a box ends at whole pixels
        unmixed = fastnn.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(3, kernel_initializer="identity")])
        mixed_alone = unmixed(make(x, training=True))
        assert np.abs(mixed_alone - x.mean((1, 2))).mean() > 0.05  # so the loss above would be seen


def test_mixing_refuses_class_numbers_and_leaves_evaluation_alone():
    x, y = RNG.normal(size=(8, 4)).astype(np.float32), np.arange(8) % 3
    model = fastnn.Sequential([layers.MixUp(), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="class numbers can't be; give one-hot"):
        model.fit(x, y, verbose=0)
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, np.eye(3, dtype=np.float32)[y], verbose=0)
    plain = fastnn.Sequential([layers.Dense(3, activation="softmax")])
    plain(x)
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(x), plain.predict(x))


def test_weights_of_mixup_have_the_beta_distribution():
    stats = pytest.importorskip("scipy.stats")
    for alpha in (0.2, 0.4, 1.0, 3.0):
        table = augment.beta_quantiles(alpha)
        u = np.linspace(0, 1, len(table))
        np.testing.assert_allclose(stats.beta.cdf(table, alpha, alpha)[1:-1], u[1:-1], atol=2e-4)
        u = dropout.random_uniform(0.0, key0=1, key1=2, shape=(20000,))
        drawn = augment.quantile(u.astype(np.float64), table)
        assert stats.kstest(drawn, stats.beta(alpha, alpha).cdf).statistic < 0.012  # 1 in 200 would be above


@pytest.mark.parametrize("make, words", [
    (lambda: layers.RandomFlip("horizontl"), "did you mean 'horizontal'"),
    (lambda: layers.RandomTranslation(2, 0), "height_factor is 2"),
    (lambda: layers.RandomTranslation(0, (0.3, 0.1)), "width_factor is (0.3, 0.1)"),
    (lambda: layers.RandomRotation("x"), "factor is 'x'"), (lambda: layers.RandomZoom((-1.5, 0)), "from -1 to 1"),
    (lambda: layers.RandomRotation(0.1, fill_mode="mirror"), "known are"),
    (lambda: layers.RandomRotation(0.1, interpolation="bilinar"), "did you mean 'bilinear'"),
    (lambda: layers.RandomRotation(0.1, fill_value=None), "fill_value is None"),
    (lambda: layers.RandomCrop(0, 3), "height is 0"), (lambda: layers.CenterCrop(3, 2.5), "width is 2.5"),
    (lambda: layers.RandomBrightness(0.1, (1, 0)), "value_range is (1, 0)"),
    (lambda: layers.RandomContrast(1.5), "factor is 1.5"), (lambda: layers.RandomErasing(scale=(0.5, 0.1)), "scale is"),
    (lambda: layers.Cutout(0), "size is 0"), (lambda: layers.MixUp(0), "alpha is 0"),
    (lambda: layers.CutMix((0, 1)), "factor is (0, 1)"),
    (lambda: layers.RandomFlip()(np.ones((2, 3, 4)), training=True), "wants images (batch, rows, columns, channels)"),
    (lambda: layers.CutMix()(np.ones((2, 3))), "wants images")])
def test_what_is_wrong_is_refused_in_a_sentence(make, words):
    with pytest.raises(ValueError) as error:
        make()
    assert words in str(error.value)


def test_channels_first_is_the_same_picture():
    x = RNG.normal(size=(3, 5, 6, 2)).astype(np.float32)
    for make in (lambda **k: layers.RandomRotation(0.2, seed=1, **k), lambda **k: layers.Cutout(2, seed=1, **k)):
        last, first = make()(x, training=True), make(data_format="channels_first")(np.moveaxis(x, -1, 1), training=True)
        np.testing.assert_array_equal(np.moveaxis(first, 1, -1), last)


def test_gradients_stop_at_pictures_in_a_sentence():
    w = fastnn.Variable(np.ones((1, 4, 4, 1), np.float32), name="w")
    layer = layers.RandomRotation(0.1)
    with pytest.raises(TypeError, match="no gradient"):
        fastnn.value_and_grad(lambda x: ops.sum(layer(w * x, training=True)), [w])(np.ones(1))
