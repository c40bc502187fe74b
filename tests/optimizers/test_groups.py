"""Variables that do not decay, and variables with a rate of their own."""

import copy
import os

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import SGD, Adam, AdamW, RMSprop
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from fastnn.program.variable import Variable

from .steps import close, start, variables

MAKE = [lambda **a: SGD(0.05, weight_decay=0.3, **a), lambda **a: SGD(0.05, 0.9, weight_decay=0.3, **a),
        lambda **a: SGD(0.05, 0.9, weight_decay=0.3, lr_in_velocity=False, **a),
        lambda **a: RMSprop(0.01, weight_decay=0.3, **a), lambda **a: AdamW(0.02, weight_decay=0.3, **a)]


def many_steps(optimizer, names=("kernel", "bias", "gamma", "kernel"), prepare=lambda o, v: None):
    values, grads = start()
    made = variables(values)
    for v, name in zip(made, names):
        v.name, v.path = name, f"layer/{name}"
    prepare(optimizer, made)
    for g in grads:
        optimizer.apply(g, made)
    return [v.numpy() for v in made]


@pytest.mark.parametrize("make", MAKE)
def test_excluded_variables_do_what_they_do_without_decay(make):
    some = many_steps(make(), prepare=lambda o, v: o.exclude_from_weight_decay(var_names=["bias", "ga"]))
    everything, none = many_steps(make()), many_steps(make(), prepare=lambda o, v: o.exclude_from_weight_decay(v))
    for i, (a, b, c) in enumerate(zip(some, everything, none)):
        np.testing.assert_array_equal(a, c if i in (1, 2) else b)
        assert abs(b - c).max() > 1e-3


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind, arguments", [("SGD", {"momentum": 0.9}), ("AdamW", {}), ("RMSprop", {})])
def test_exclusion_is_kerass(kind, arguments):
    os.environ.setdefault("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    arguments = {"learning_rate": 0.02, "weight_decay": 0.4, **arguments}
    values, grads = start()
    theirs = [keras.Variable(v, name=n) for v, n in zip(values, ("kernel", "bias", "gamma", "beta"))]
    other = getattr(keras.optimizers, kind)(**arguments)
    other.exclude_from_weight_decay(var_list=[theirs[0]], var_names=["bias"])
    other.build(theirs)
    for row in grads:
        other.apply(row)
    ours = many_steps(getattr(optimizers, kind)(**arguments), ("kernel", "bias", "gamma", "beta"),
                      lambda o, v: o.exclude_from_weight_decay([v[0]], ["bias"]))
    close(ours, [v.numpy() for v in theirs], 5e-5)


@pytest.mark.parametrize("make", MAKE)
def test_a_multiplied_rate_is_another_rate(make):
    got = many_steps(make(), prepare=lambda o, v: (o.multiply_rate(0.5, [v[1]]), o.multiply_rate(0.5, v[1:3])))
    for i, factor in enumerate((1, 0.25, 0.5, 1)):
        other = make()
        other.learning_rate = factor * other.learning_rate
        np.testing.assert_array_equal(got[i], many_steps(other)[i])


def test_each_group_is_one_call():
    made = variables(start()[0])
    for v, name in zip(made, ("kernel", "bias", "kernel", "bias")):
        v.name = name
    optimizer = AdamW(0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(made)
    graph = Graph("step")
    optimizer.apply([graph.feed(v.path, v.shape, v.dtype) for v in made], made)
    names = [c.kernel.name for c in Program(graph).calls]
    assert sorted(n for n in names if n != "copy") == ["adam", "adamw"]


def test_decay_is_in_the_update_itself():
    made = variables(start()[0])
    graph = Graph("step")
    optimizer = SGD(0.1, 0.9, weight_decay=0.1)
    optimizer.build(made)
    optimizer.apply([graph.feed(v.path, v.shape, v.dtype) for v in made], made)
    assert [c.kernel.name for c in Program(graph).calls if c.kernel.name != "copy"] == ["momentum"]


def test_copies_keep_their_groups():
    v, w = Variable(np.ones(1), name="a"), Variable(np.ones(1), name="b")
    optimizer = AdamW(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay([v])
    optimizer.multiply_rate(0.5, var_names="b")
    optimizer.build([v, w])
    for made in (optimizer, copy.deepcopy(optimizer)):
        made.apply([np.zeros(1), np.zeros(1)])
        close([x.numpy() for x in sorted(made.variables, key=lambda x: x.name)], [[1.0], [0.975]], 1e-7)


@pytest.mark.parametrize("call, message", [
    (lambda o: o.multiply_rate(-1.0), "factor must be 0 or more"),
    (lambda o: o.exclude_from_weight_decay(["bias"]), "var_list must hold variables; got str"),
    (lambda o: o.exclude_from_weight_decay(var_names=["("]), "is not a pattern"),
])
def test_arguments_are_checked(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(Adam())


def test_too_late():
    optimizer = Adam()
    optimizer.build([Variable(np.ones(1))])
    with pytest.raises(ValueError, match="exclude_from_weight_decay must be called before"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    with pytest.raises(ValueError, match="multiply_rate must be called before"):
        optimizer.multiply_rate(2.0, var_names=["bias"])


@pytest.mark.parametrize("arguments", [{"dampening": 0.5}, {"momentum": 0.9, "nesterov": True, "dampening": 0.5}])
def test_dampening_that_would_do_nothing_is_refused(arguments):
    with pytest.raises(ValueError, match="dampening=0.5 needs momentum above 0 without nesterov"):
        SGD(**arguments)
