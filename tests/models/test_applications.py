"""The networks of fastnn.applications: sizes that the papers give, and that each of them learns."""

import numpy as np
import pytest

import fastnn
from fastnn import applications, layers


def weights(model):
    """How many weights are trained."""
    return sum(v.size for v in model.trainable_variables)


@pytest.mark.parametrize("make,millions", [(applications.ResNet20, 0.27), (applications.ResNet56, 0.85)])
def test_sizes_are_those_of_the_paper(make, millions):
    """He et al. (2016a), table 6, for images of 32 x 32 x 3."""
    assert round(weights(make(input_shape=(32, 32, 3))) / 1e6, 2) == pytest.approx(millions, abs=0.011)


def test_the_number_in_the_name_counts_layers_with_weights():
    model = applications.ResNet20()
    shortcuts = [layer for layer in model.layers if isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1)]
    counted = [layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    assert model.name == "resnet20" and len(counted) - len(shortcuts) == 20


def test_lenet_has_the_weights_of_the_paper():
    """With every map seeing all maps before it; the paper's sparse table has 60,000."""
    assert weights(applications.LeNet()) == weights(applications.LeNet((32, 32, 1))) == 61706


def striped(n=64, size=16):
    """Images with stripes across or down, and which of both."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, n)
    wave = np.sin(np.arange(size) * 1.5)
    x = np.where(y[:, None, None] == 0, wave[None, :, None], wave[None, None, :])
    return (x + 0.3 * rng.normal(size=(n, size, size)))[..., None].astype(np.float32), y


@pytest.mark.parametrize("make", [
    lambda **k: applications.LeNet(activation="relu", **k), applications.ResNet8, applications.Inception,
    lambda **k: applications.ResNet(1, pre_activation=True, **k),
    lambda **k: applications.SmallVGG(stages=(8, 16), units=16, **k)])
def test_learns(make):
    fastnn.utils.set_random_seed(1)
    x, y = striped()
    model = make(input_shape=(16, 16, 1), classes=2)
    model.compile(fastnn.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = model.fit(x, y, batch_size=16, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


def test_a_saved_network_comes_back(tmp_path):
    model = applications.ResNet8(input_shape=(8, 8, 1), classes=3)
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    model.save(tmp_path / "net.fastnn")
    np.testing.assert_array_equal(fastnn.models.load_model(tmp_path / "net.fastnn").predict(x, verbose=0),
                                  model.predict(x, verbose=0))


def test_blocks_are_counted():
    with pytest.raises(ValueError, match="blocks is 0; a positive whole number"):
        applications.ResNet(0)
