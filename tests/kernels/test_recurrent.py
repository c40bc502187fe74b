"""What only recurrent kernels promise: what they refuse, tiles that fit, and steps that don't count."""

import numpy as np
import pytest

from fastnn.kernels import single
from fastnn.kernels.recurrent import gru, lstm, rows_of, simple_rnn

pytest.importorskip("fastnn.kernels.native.core")


def ones(*shape):
    return np.ones(shape, np.float32)


@pytest.mark.parametrize(("kernel", "inputs", "words"), [
    (simple_rnn, (ones(2, 3, 4), ones(4, 5)), r"simple_rnn needs z\[B,T,H\] and u\[H,H\], not z\[2, 3, 4\]"),
    (lstm, (ones(2, 3, 8), ones(4, 16)), r"lstm needs z\[B,T,4H\] and u\[H,4H\]"),
    (lstm, (ones(2, 3, 16), ones(4, 16), ones(3, 4)), r"needs h0\[2,4\], not h0\[3, 4\]"),
    (lstm, (ones(2, 3, 16), ones(4, 16), None, ones(2, 5)), r"needs c0\[2,4\], not c0\[2, 5\]"),
    (gru, (ones(2, 3, 12), ones(4, 12), ones(4)), r"needs b\[12\]"),
    (gru, (ones(2, 3, 12), ones(4, 12), None, None, ones(2, 4)), r"needs mask\[2,3\], not mask\[2, 4\]"),
    (gru, (ones(2, 3, 12), ones(4, 12).astype(np.float64)), "floats of one dtype"),
])
def test_shapes_that_do_not_fit_are_refused(kernel, inputs, words):
    with pytest.raises(ValueError, match=words):
        single.run(kernel, *inputs)


def test_a_bias_belongs_to_the_reset_after_the_product():
    with pytest.raises(ValueError, match="only if reset_after is 1"):
        single.run(gru, ones(2, 3, 12), ones(4, 12), ones(12), reset_after=0)


@pytest.mark.parametrize("batch", [1, 2, 7, 8, 16, 17, 32, 33, 64, 100, 1000])
def test_tiles_are_even_in_number_and_size(batch):
    rows = rows_of(batch)
    tiles = -(-batch // rows)
    assert 1 <= rows <= 16 and (batch < 8 or tiles >= 2)
    assert tiles * rows - batch < tiles  # the last is not much shorter


@pytest.mark.parametrize("kernel", [simple_rnn, lstm, gru])
def test_nan_in_a_step_that_does_not_count_goes_nowhere(kernel):
    rng = np.random.default_rng(0)
    wide = kernel.gates * 5
    z, u = rng.normal(size=(3, 4, wide)).astype(np.float32), rng.normal(size=(5, wide)).astype(np.float32)
    mask = ones(3, 4)
    mask[1, 2] = 0
    names = {"z": z, "u": u, "mask": mask}
    clean = single.run(kernel, *(names.get(n) for n in kernel.inputs))
    z[1, 2] = np.nan
    for a, b in zip(clean, single.run(kernel, *(names.get(n) for n in kernel.inputs))):
        np.testing.assert_array_equal(a, b)


def test_large_inputs_saturate_and_stay_finite():
    z = np.array([[[1e30, -1e30, 1e30, 1e30], [1e30, 1e30, -1e30, -1e30]]], np.float32)
    for out in single.run(lstm, z, np.zeros((1, 4), np.float32)):
        assert np.isfinite(out).all()
