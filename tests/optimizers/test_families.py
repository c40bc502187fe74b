"""What every optimizer of the package promises: configs, float64, exclusion of decay, one call."""

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.program.graph import Graph
from fastnn.program.program import Program

from .steps import start, trajectory, variables

KINDS = optimizers.CLASSES
#: norms come before the update; those of Adafactor's two larger variables take five calls each
CALLS = {optimizers.NormalizedSGD: 3, optimizers.LARS: 4, optimizers.Lamb: 3, optimizers.Adafactor: 12,
         optimizers.Muon: 50}


@pytest.mark.parametrize("kind", KINDS)
def test_config_round_trip(kind):
    made = kind(learning_rate=0.25, weight_decay=0.125, clipnorm=2.0)
    again = optimizers.get(optimizers.serialize(made))
    assert type(again) is kind and again.get_config() == made.get_config()
    assert optimizers.get(kind.__name__.lower()).name == again.name == kind.__name__.lower()


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_float64_rounded(kind):
    options = {"learning_rate": 0.02, **({"epsilon": 1e-3} if kind is optimizers.Adadelta else {})}
    for a, b in zip(trajectory(kind(**options)), trajectory(kind(**options), "float64")):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_is_one_call_or_few(kind):
    optimizer, made = kind(learning_rate=0.1, weight_decay=0.1), variables(start()[0])
    optimizer.build(made)
    graph = Graph("step")
    optimizer.apply([graph.feed(v.path, v.shape, v.dtype) for v in made], made)
    assert len([c for c in Program(graph).calls if c.kernel.name != "copy"]) == CALLS.get(kind, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_decay_takes_its_share_first(kind):
    """With the gradient of 0 and fresh slots nothing but decay happens."""
    if kind is optimizers.Ftrl:
        pytest.skip("the weights of Ftrl follow from its slots")
    if kind is optimizers.LARS:
        pytest.skip("the decay of LARS is part of its step")
    more = {"adam_weight_decay": 0.25} if kind is optimizers.Muon else {}
    optimizer, made = kind(learning_rate=0.5, weight_decay=0.25, **more), variables(start()[0])
    before = [v.numpy().copy() for v in made]
    optimizer.apply([np.zeros(v.shape) for v in made], made)
    for v, w in zip(made, before):
        np.testing.assert_allclose(v.numpy(), 0.875 * w, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_a_gradient_is_seen_in_its_weight_alone(kind):
    optimizer, made = kind(), variables([np.ones(40)])  # Muon takes a vector as Adam does
    g = np.ones(40, np.float32)
    g[17] = np.nan
    optimizer.apply([g], made)
    seen = np.isnan(made[0].numpy())
    whole = kind in CALLS and kind is not optimizers.Muon
    np.testing.assert_array_equal(seen, whole or np.isnan(g))  # a norm of NaN is NaN for all


def test_radam_with_a_short_memory_never_divides():
    """Below beta_2 = 2/3 there are never enough gradients."""
    values, grads = start()
    made = variables(values)
    optimizer = optimizers.RAdam(0.1, beta_1=0.0, beta_2=0.5)
    optimizer.apply(grads[0], made)
    for v, w, g in zip(made, values, grads[0]):
        np.testing.assert_allclose(v.numpy(), w - 0.1 * g, rtol=1e-6, atol=1e-6)


def test_ftrl_makes_weights_zero():
    got = trajectory(optimizers.Ftrl(0.1, l1_regularization_strength=30.0))
    share = np.mean(np.concatenate([w.ravel() for w in got]) == 0)
    assert 0.5 < share < 1
