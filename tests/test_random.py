"""fastnn.random: distributions, seeds, and programs."""

import numpy as np
import pytest

import fastnn
from fastnn import ops, random
from fastnn.kernels.tables import native_available

BACKENDS = ("native", "numpy") if native_available() else ("numpy",)
N = 20000


def test_distributions_on_arrays():
    stats = pytest.importorskip("scipy.stats")
    for drawn, meant in ((random.normal((N,), 1.0, 2.0, seed=1), stats.norm(1, 2)),
                         (random.uniform((N,), -1.0, 3.0, seed=1), stats.uniform(-1, 4)),
                         (random.truncated_normal((N,), seed=1), stats.truncnorm(-2, 2))):
        assert drawn.dtype == np.float32 and stats.kstest(drawn, meant.cdf).pvalue > 0.001
    whole = random.randint((N,), -2, 3, seed=1)
    assert whole.dtype == np.int32 and stats.chisquare(np.bincount(whole + 2)).pvalue > 0.001
    logits = np.log([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    for row, p in zip(random.categorical(logits, N, seed=1), np.exp(logits)):
        assert stats.chisquare(np.bincount(row), p * N).pvalue > 0.001
    dropped = random.dropout(np.ones(N), 0.25, seed=1)
    assert set(np.unique(dropped)) == {np.float32(0), np.float32(1 / 0.75)} and abs(dropped.mean() - 1) < 0.02
    assert (random.dropout(np.ones((4, 5)), 0.5, noise_shape=(None, 1), seed=1).std(1) == 0).all()
    assert sorted(random.shuffle(np.arange(9), seed=2)) == list(range(9))


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_programs_each_step_draws_anew(backend):
    with fastnn.backend(backend):
        @fastnn.program
        def draws(x):
            return [random.normal(ops.shape(x), seed=3), random.normal(ops.shape(x)), random.truncated_normal((2, 3)),
                    random.randint((4,), 0, 10), random.categorical(x, 2), random.dropout(x, 0.5)]

        x = np.ones((5, 2, 3), np.float32)
        found = draws.many(5, x)
        for a in found[:3]:
            assert len({v.tobytes() for v in a}) == 5 and np.isfinite(a).all()
        assert not (found[0] == found[1]).any() and found[3].min() >= 0 and found[3].max() < 10
        assert found[4].shape == (5, 2, 2) and set(np.unique(found[5])) <= {0.0, 2.0}


def test_backends_draw_the_same_bits():
    found = []
    for backend in BACKENDS:
        with fastnn.backend(backend):
            fastnn.utils.set_random_seed(4)
            draws = fastnn.program(lambda x: [random.normal((3, 2)), random.uniform((7,), -1, 1), x])
            found.append(draws.many(2, np.zeros((2, 1))))
    for a, b in zip(found[0], found[-1]):
        np.testing.assert_array_equal(a, b)


def test_seeds():
    fastnn.utils.set_random_seed(1)
    first = random.normal((3,)), random.normal((3,))
    fastnn.utils.set_random_seed(1)
    again = random.normal((3,)), random.normal((3,))
    assert (first[0] == again[0]).all() and (first[1] == again[1]).all() and (first[0] != first[1]).any()
    assert (random.uniform((3,), seed=5) == random.uniform((3,), seed=5)).all()
    seeds, same = random.SeedGenerator(7), random.SeedGenerator.from_config(random.SeedGenerator(7).get_config())
    a, b = random.normal((3,), seed=seeds), random.normal((3,), seed=seeds)
    assert (a != b).any() and (random.normal((3,), seed=same) == a).all()
    made = fastnn.initializers.GlorotUniform(seed=random.SeedGenerator(1))
    assert (made((2, 2)) == made((2, 2))).all()
    fastnn.layers.Dropout(0.5, seed=random.SeedGenerator(1))
    for wrong in ((-1,), (2.5,), (True,)):
        with pytest.raises(ValueError, match="shape of a random array"):
            random.normal(wrong)
    with pytest.raises(ValueError, match="holds 0 numbers"):
        random.randint((2,), 3, 3)
    with pytest.raises(TypeError, match="random.shuffle takes arrays"):
        fastnn.program(random.shuffle)(np.zeros(3))
