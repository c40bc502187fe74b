"""What the list of cases can't say about the gather kernels."""

import numpy as np
import pytest

from fastnn.kernels import data as k
from fastnn.kernels import single, tables

BACKENDS = ["numpy", *(["native"] if tables.native_available() else [])]


@pytest.mark.parametrize("backend", BACKENDS)
def test_float64_rows_are_rounded_once(backend):
    x = np.random.default_rng(0).normal(size=(9, 33))
    index = np.array([8, 0, 0, 3])
    (y,) = single.run(k.gather_rows, x, index, backend=backend, source="float64")
    np.testing.assert_array_equal(np.float32(y), np.float32(x[index]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_copy_keeps_nan_inf_and_the_sign_of_zero(backend):
    x = np.array([[np.nan, np.inf, -np.inf, -0.0]], np.float32)
    (y,) = single.run(k.gather_rows, x, np.array([0, 0]), backend=backend, source="float32")
    np.testing.assert_array_equal(y, np.vstack([x, x]))
    assert np.signbit(y[:, 3]).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_keep_their_shape(backend):
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 5, 3), dtype=np.uint8)
    (y,) = single.run(k.gather_rows, images, np.array([3, 9]), backend=backend, source="uint8", scale=1 / 255)
    assert y.shape == (2, 4, 5, 3)
    np.testing.assert_allclose(y[1], images[9] / 255, rtol=3e-7)


def test_wrong_dtypes_are_refused():
    index = np.array([0])
    with pytest.raises(ValueError, match="told that its rows are uint8, but they are int64"):
        single.describe(k.gather_rows, [np.zeros((2, 2), np.int64), index], {"source": "uint8"})
    with pytest.raises(ValueError, match="int64 vector of their numbers"):
        single.describe(k.gather_labels, [np.zeros(2, np.uint8), index.astype(np.int32)], {"source": "uint8"})
    with pytest.raises(ValueError, match="source is 'complex64'; known are uint8"):
        single.describe(k.gather_rows, [np.zeros(2, np.complex64), index], {"source": "complex64"})
