"""Philox against its published vectors, dropout's properties, and the distribution of random arrays."""

import numpy as np
import pytest

from fastnn.kernels import dropout as d
from fastnn.kernels import single

core = pytest.importorskip("fastnn.kernels.native.core")
native = pytest.importorskip("fastnn.kernels.native.dropout")

#: Random123's kat_vectors for philox4x32, 10 rounds: counter, key, block
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]


@pytest.fixture(params=core.paths())
def path(request):
    core.select_path(request.param)
    yield request.param
    core.select_path(None)


@pytest.mark.parametrize(("counter", "key", "block"), KNOWN)
def test_the_meaning_gives_the_published_blocks(counter, key, block):
    np.testing.assert_array_equal(d.philox(np.array([counter]), *key)[0], block)


@pytest.mark.parametrize(("counter", "key", "block"), KNOWN)
def test_native_words_are_the_published_blocks(counter, key, block, path):
    place = counter[0] | counter[1] << 32
    group = place // 8 - (2**61 if place >= 2**63 else 0)  # as a signed number
    words = native.words(group, counter[2] | counter[3] << 32, *key)
    lane = 2 * (place % 8)
    assert tuple(words[lane:lane + 2] + words[16 + lane:18 + lane]) == block


def test_native_words_are_the_meanings(path):
    a, b = d.groups(5, 2.0**33 + 7, 11, 12)
    got = np.array([native.words(g, 2**33 + 7, 11, 12) for g in range(5)])
    np.testing.assert_array_equal(got, np.concatenate([a, b], 1))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    n = 1_000_000
    (y,) = single.run(d.dropout, np.ones(n, np.float32), np.float64(1), rate=rate, key0=3, key1=4)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / (1 - rate))}
    spread = np.sqrt(rate * (1 - rate) / n)
    assert abs((y == 0).mean() - rate) < 5 * spread + 2**-17
    assert abs(y.mean() - 1) < (5 * spread + 2**-17) / (1 - rate)
    dropped = y == 0
    for lag in (1, 2, 3, 4, 8, 15, 16, 32, 63, 64):  # neighbours, within a group and between groups
        together = (dropped[lag:] & dropped[:-lag]).mean()
        assert abs(together - rate**2) < 6 * np.sqrt(rate**2 / n)


def test_dropout_differs_by_step_and_key_and_repeats():
    x = np.ones(4096, np.float32)

    def mask(step, key0, key1):
        return single.run(d.dropout, x, np.float64(step), rate=0.5, key0=key0, key1=key1)[0] != 0

    first = mask(1, 2, 3)
    np.testing.assert_array_equal(first, mask(1, 2, 3))
    for other in (mask(2, 2, 3), mask(2**32 + 1, 2, 3), mask(1, 3, 3), mask(1, 2, 4)):
        assert 0.45 < (first == other).mean() < 0.55


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_dropout_of_extremes(backend):
    x = np.full(200, np.nan, np.float32)
    (y,) = single.run(d.dropout, x, np.float64(0), rate=0.5, key0=0, key1=0, backend=backend)
    assert np.isnan(y).any() and (y == 0).any()
    (y,) = single.run(d.dropout, x, np.float64(0), rate=0.0, key0=0, key1=0, backend=backend)
    np.testing.assert_array_equal(y, x)


def test_random_arrays_have_their_distribution():
    stats = pytest.importorskip("scipy.stats")
    step = np.float64(5)
    (u,) = single.run(d.random_uniform, step, key0=1, key1=2, low=-1.0, high=3.0, shape=(200_000,))
    (z,) = single.run(d.random_normal, step, key0=1, key1=2, mean=2.0, stddev=3.0, shape=(200_000,))
    assert u.min() >= -1 and u.max() < 3
    assert stats.kstest(u, stats.uniform(-1, 4).cdf).pvalue > 1e-3
    assert stats.kstest(z, stats.norm(2, 3).cdf).pvalue > 1e-3
    pairs = z.reshape(-1, 2, 16)
    assert abs(np.corrcoef(pairs[:, 0].ravel(), pairs[:, 1].ravel())[0, 1]) < 0.02


def test_normal_is_box_and_muller_on_the_words():
    a, b = d.groups(50, 9.0, 7, 8)
    z = d.random_normal(9.0, key0=7, key1=8, shape=(1600,)).reshape(-1, 2, 16)
    radius = np.sqrt(-2 * np.log(a / 2.0**32))
    np.testing.assert_allclose(z[:, 0], radius * np.cos(2 * np.pi * b / 2.0**32), atol=3e-6)
    np.testing.assert_allclose(z[:, 1], radius * np.sin(2 * np.pi * b / 2.0**32), atol=3e-6)


def test_wrong_inputs_are_named():
    x, step = d.Array((3,)), d.Array((), np.dtype(np.float64))
    for rate in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match="dropout: rate is"):
            d.dropout.infer(x, step, rate=rate, key0=0, key1=0)
    with pytest.raises(ValueError, match="step is a float64"):
        d.dropout.infer(x, x, rate=0.5, key0=0, key1=0)
    with pytest.raises(ValueError, match="keys are whole numbers"):
        d.dropout.infer(x, step, rate=0.5, key0=2**32, key1=0)
    with pytest.raises(ValueError, match="one float dtype"):
        d.dropout.infer(d.Array((3,), np.dtype(np.int32)), step, rate=0.5, key0=0, key1=0)
