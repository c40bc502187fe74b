"""Clipping, programs, building, rates, arguments and state: what all optimizers have in common."""

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from fastnn.program.graph import Graph
from fastnn.program.program import Program
from fastnn.program.variable import Variable, pack

from .steps import STEPS, close, start, trajectory, variables

# ---------------------------------------------------------------------- clipping


def one_step(optimizer, grads):
    made = variables([np.zeros(np.shape(g)) for g in grads])
    optimizer.apply(grads, made)
    return [-v.numpy() for v in made]


def test_clipping_by_hand():
    grads = [np.array([3.0, 4.0]), np.array([0.0, 0.1, -12.0])]
    close(one_step(SGD(1.0, clipvalue=2.0), grads), [[2, 2], [0, 0.1, -2]], 1e-6)
    close(one_step(SGD(1.0, clipnorm=1.0), grads), [[0.6, 0.8], np.array([0, 0.1, -12]) / np.hypot(0.1, 12)], 1e-6)
    norm = np.sqrt(9 + 16 + 0.01 + 144)
    close(one_step(SGD(1.0, global_clipnorm=6.5), grads), [g * 6.5 / norm for g in grads], 1e-6)
    close(one_step(SGD(1.0, global_clipnorm=14.0), grads), grads, 1e-6)


def test_one_kind_of_clipping():
    with pytest.raises(ValueError, match="one kind of clipping.*clipnorm and clipvalue"):
        SGD(clipnorm=1.0, clipvalue=1.0)


# ---------------------------------------------------------------------- in programs


def traced(optimizer, made, scale=2.0, times=1):
    """A program whose gradients are scale * feed, from calls that the optimizer may place."""
    from fastnn.kernels.elementwise import multiply

    graph = Graph("step")
    grads = [multiply(graph.feed(v.path, v.shape, v.dtype), graph.constant(scale, v.dtype)) for v in made]
    for _ in range(times):
        optimizer.apply(grads, made)
    return Program(graph), graph


@pytest.mark.parametrize("make", [lambda: Adam(0.02), lambda: SGD(0.1, momentum=0.9, global_clipnorm=1.0)])
def test_a_program_does_what_steps_by_hand_do(make):
    values, grads = start()
    made, optimizer = variables(values), make()
    optimizer.build(made)
    program, _ = traced(optimizer, made, 1.0)
    feeds = {v.path: np.stack([row[i] for row in grads]) for i, v in enumerate(made)}
    assert program.run(20, feeds, budget=10) == 20
    assert optimizer.iterations == 20
    assert program.run(30, feeds, offset=20, budget=10) == 30
    for a, b in zip(trajectory(make()), made):
        np.testing.assert_array_equal(a, b.numpy())


def test_one_update_call_and_no_copies():
    made = variables(start()[0])
    optimizer = Adam()
    optimizer.build(made)
    program, _ = traced(optimizer, made)
    names = [c.kernel.name for c in program.calls]
    assert names.count("adam") == 1 and "copy" not in names


def test_twice_in_a_step_counts_twice():
    values, grads = start()
    made, optimizer = variables(values), Adam(0.02)
    optimizer.build(made)
    program, _ = traced(optimizer, made, 1.0, times=2)
    program.run(3, {v.path: np.stack([row[i] for row in grads[:3]]) for i, v in enumerate(made)}, budget=10)
    assert optimizer.iterations == 6
    again, other = variables(values), Adam(0.02)
    for row in (grads[i // 2] for i in range(6)):
        other.apply(row, again)
    for a, b in zip(made, again):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_one_tensor_for_two_variables():
    a, b = variables([np.zeros(3), np.zeros(3)])
    graph = Graph()
    from fastnn.kernels.elementwise import add

    x = graph.feed("x", (3,), np.float32)
    g = add(x, x)
    SGD(1.0).apply([g, g], [a, b])
    Program(graph, backend="numpy").run(1, {"x": np.array([[1, 2, 3]], np.float32)})
    close([a.numpy(), b.numpy()], [[-2, -4, -6]] * 2, 0)


def test_build_after_tracing_is_followed():
    from fastnn.kernels.elementwise import multiply

    v, w = variables([np.array([1.0, 2.0]), np.array([3.0])])
    graph = Graph()
    g = multiply(graph.variable(v), graph.variable(v))
    SGD(1.0).apply([g, graph.constant([1.0])], [v, w])  # packs: v has been read where it was before
    program = Program(graph, backend="numpy")
    program.run(1)
    close([v.numpy(), w.numpy()], [[0, -2], [2]], 0)
    program.run(1)
    close([v.numpy()], [[0, -6]], 0)


def test_missing_gradients():
    a, b, c = made = variables([np.ones(3), np.ones(20), np.ones(2)])
    optimizer = Adam(0.1)
    with pytest.warns(UserWarning, match="no gradient for v1"):
        optimizer.apply([np.ones(3), None, np.ones(2)], made)
    close([a.numpy(), b.numpy(), c.numpy()], [np.full(3, 0.9), np.ones(20), np.full(2, 0.9)], 1e-5)
    assert not optimizer.slots["m"][b.offset : b.offset + 32].any()
    with pytest.raises(ValueError, match="no gradient for any variable"):
        optimizer.apply([None] * 3, made)


def test_some_of_the_variables():
    a, b = variables([np.ones(3), np.ones(20)])
    optimizer = SGD(0.5)
    optimizer.build([a, b])
    assert optimizer.apply_gradients([(np.ones(20), b)]) == 1
    close([a.numpy(), b.numpy()], [np.ones(3), np.full(20, 0.5)], 0)


# ---------------------------------------------------------------------- building


def test_gaps_stay_zero():
    made = variables(start()[0])
    optimizer = AdamW(weight_decay=0.5, global_clipnorm=1.0)
    for row in start()[1][:5]:
        optimizer.apply(row, made)
    covered = np.zeros(optimizer.arena.array.size, bool)
    for v in made:
        covered[v.offset : v.offset + v.size] = True
    for array in (optimizer.arena.array, *optimizer.slots.values()):
        assert not array[~covered].any() and array[covered].any()
        assert array.ctypes.data % 64 == 0


def test_built_again_keeps_slots_and_refuses_others():
    made = variables(start()[0])
    optimizer = Adam()
    optimizer.apply(start()[1][0], made)
    before = optimizer.slots["m"].copy()
    pack(list(reversed(made)))  # someone else moves them
    optimizer.build(made)
    np.testing.assert_array_equal(optimizer.slots["m"], before)
    assert all(v.arena is optimizer.arena for v in made)
    stranger = Variable(np.ones(2), name="stranger")
    with pytest.raises(ValueError, match="Unknown variable stranger.*new optimizer"):
        optimizer.build([*made, stranger])
    with pytest.raises(ValueError, match="Unknown variable stranger"):
        optimizer.apply([np.ones(2)], [stranger])
    with pytest.raises(ValueError, match="built for 4 variables"):
        optimizer.build(made[:2])


def test_moved_variables_are_updated_where_they_are():
    made = variables([np.zeros(3), np.zeros(4)])
    optimizer = SGD(1.0)
    optimizer.apply([np.ones(3), np.ones(4)], made)
    pack(made[::-1])
    optimizer.apply([np.ones(3), np.ones(4)], made)
    close([v.numpy() for v in made], [np.full(3, -2), np.full(4, -2)], 0)


@pytest.mark.parametrize("grads, message", [
    ([np.ones(2), np.ones(3)], "gradient for v0 has shape"),
    ([np.ones(3)], "1 gradients for 2 variables"),
])
def test_bad_gradients(grads, message):
    made = variables([np.zeros(3), np.zeros(3)])
    with pytest.raises(ValueError, match=message):
        SGD().apply(grads, made)
    assert not made[0].numpy().any()


def test_not_built_without_variables():
    with pytest.raises(ValueError, match="does not know its variables"):
        SGD().apply([np.ones(2)])


def test_same_variable_twice():
    v = Variable(np.ones(2))
    with pytest.raises(ValueError, match="same variable twice"):
        SGD().build([v, v])


# ---------------------------------------------------------------------- learning rate


class Halving:
    """A schedule as the optimizer sees it."""

    def __init__(self, first):
        self.first = first

    def table(self, first, count):
        return self.first * 0.5 ** np.arange(first, first + count)

    def get_config(self):
        return {"first": self.first}


def test_schedule():
    v = Variable(np.zeros(1))
    optimizer = SGD(Halving(1.0))
    for _ in range(4):
        optimizer.apply([np.ones(1)], [v])
    close([v.numpy()], [[-1.875]], 0)
    assert optimizer.learning_rate == 1 / 16
    assert optimizer.get_config()["learning_rate"] == {"class_name": "Halving", "config": {"first": 1.0}}
    with pytest.raises(TypeError, match="schedule"):
        optimizer.learning_rate = 0.1
    optimizer.learning_rate = Halving(16.0)
    assert optimizer.learning_rate == 1.0


def test_rate_set_between_runs():
    v = Variable(np.zeros(1))
    optimizer = SGD(1.0)
    optimizer.apply([np.ones(1)], [v])
    optimizer.learning_rate = 0.25
    optimizer.apply([np.ones(1)], [v])
    close([v.numpy()], [[-1.25]], 0)


# ---------------------------------------------------------------------- arguments, names, state


@pytest.mark.parametrize("make, message", [
    (lambda: SGD(-1.0), "SGD: learning_rate must be 0 or more; got -1.0"),
    (lambda: SGD("fast"), "learning_rate must be a finite number; got 'fast'"),
    (lambda: SGD(True), "learning_rate must be a finite number"),
    (lambda: SGD(float("nan")), "learning_rate must be a finite number"),
    (lambda: SGD(momentum=1.0), r"momentum must be in \[0, 1\); got 1.0"),
    (lambda: SGD(nesterov="yes"), "nesterov must be True or False"),
    (lambda: SGD(clipnorm=0), "clipnorm must be above 0; got 0"),
    (lambda: Adam(beta_1=1.0), r"Adam: beta_1 must be in \[0, 1\)"),
    (lambda: Adam(epsilon=0.0), "epsilon must be above 0"),
    (lambda: Adam(epsilon_mode="inside"), "epsilon_mode"),
    (lambda: AdamW(weight_decay=-0.1), "weight_decay must be 0 or more"),
    (lambda: RMSprop(rho=2), r"rho must be in \[0, 1\)"),
    (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "Adagrad: initial_accumulator_value must be 0 or more"),
    (lambda: optimizers.Ftrl(0.0), "Ftrl: learning_rate must be above 0"),
    (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power must be 0 or less"),
    (lambda: optimizers.Nadam(momentum_decay=0), "momentum_decay must be above 0"),
    (lambda: Adam(use_ema=1), "use_ema must be True or False"),
    (lambda: Adam(ema_momentum=1.5), r"ema_momentum must be in \[0, 1\]"),
    (lambda: Adam(ema_overwrite_frequency=0), "ema_overwrite_frequency must be a whole number of 1 or more, or None"),
    (lambda: Adam(gradient_accumulation_steps=1), "gradient_accumulation_steps must be 2 or more"),
    (lambda: Adam(loss_scale_factor=2.0), "can't do loss_scale_factor=2.0 yet"),
])
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_argument():
    with pytest.raises(TypeError, match="Adam has no argument 'lerning_rate': did you mean 'learning_rate'"):
        Adam(lerning_rate=0.1)
    with pytest.raises(TypeError, match="did you mean 'momentum'"):
        SGD(momentm=0.1)


@pytest.mark.parametrize("name, kind", [("sgd", SGD), ("SGD", SGD), ("adam", Adam), ("Adam", Adam), ("adamw", AdamW),
                                        ("AdamW", AdamW), ("rmsprop", RMSprop), ("RMSprop", RMSprop)])
def test_get_by_name(name, kind):
    assert type(optimizers.get(name)) is kind


def test_get_by_other_means():
    made = Adam(0.5, beta_1=0.25, clipnorm=2.0, epsilon_mode="outside", name="mine")
    assert optimizers.get(made) is made
    assert type(optimizers.get(Adam)) is Adam
    again = optimizers.get(optimizers.serialize(made))
    assert again.get_config() == made.get_config() and again is not made
    with pytest.raises(ValueError, match="did you mean 'rmsprop'"):
        optimizers.get("rmsporp")
    with pytest.raises(ValueError, match="not 3"):
        optimizers.get(3)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.5), lambda: RMSprop(momentum=0.5, centered=True),
                                  lambda: Adam(0.1), lambda: AdamW(0.1),
                                  *(kind for kind in optimizers.CLASSES)])
def test_state_round_trip(make):
    values, grads = start()
    made, optimizer = variables(values), make()
    for row in grads[:25]:
        optimizer.apply(row, made)
    state = optimizer.get_state()
    again, other = variables([v.numpy() for v in made]), make()
    other.build(again)
    other.set_state(state)
    for row in grads[25:]:
        optimizer.apply(row, made)
        other.apply(row, again)
    assert other.iterations == STEPS
    for a, b in zip(made, again):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_state_is_named_and_checked():
    made = variables([np.ones((2, 3)), np.ones(3)])
    made[0].path, made[1].path = "dense/kernel", "dense/bias"
    optimizer = Adam(0.5)
    optimizer.build(made)
    state = optimizer.get_state()
    assert list(state) == ["iterations", "learning_rate", "adam/m/dense/kernel", "adam/m/dense/bias",
                           "adam/v/dense/kernel", "adam/v/dense/bias"]
    good = {**state, "iterations": np.array(7), "adam/m/dense/bias": np.full(3, 2.0)}
    for broken, message in [({**good, "adam/v/dense/bias": np.ones(4)}, "adam/v/dense/bias has shape"),
                            ({k: v for k, v in good.items() if "kernel" not in k}, "lacks 'adam/m/dense/kernel'"),
                            ({**good, "adam/x": np.ones(1)}, "no place for 'adam/x'"),
                            ({**good, "iterations": np.array(-1)}, "iterations must be a whole number")]:
        with pytest.raises(ValueError, match=message):
            optimizer.set_state(broken)
        assert optimizer.iterations == 0 and not optimizer.slots["m"].any()
    optimizer.set_state(good)
    assert optimizer.iterations == 7 and optimizer.slots["m"].sum() == 6.0
    with pytest.raises(ValueError, match="not built yet"):
        Adam().set_state(good)


def test_copies_are_apart():
    import copy
    import pickle

    made = variables([np.ones(3)])
    optimizer = Adam(0.1)
    optimizer.apply([np.ones(3)], made)
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert other.iterations == 1 and other.slots["m"] is not optimizer.slots["m"]
        other.apply([np.ones(3)])
        assert optimizer.iterations == 1


def test_subclass():
    class Signs(Optimizer):
        """Half the rate along the gradient: the smallest optimizer there is."""

        def half_table(self, rates, t):
            return rates / 2 * t

        def update(self, g, w, slots, scalars):
            from fastnn.kernels.optim import sgd

            sgd(g, scalars["half"], w)

    v = Variable(np.zeros(1))
    optimizer = Signs(1.0)
    assert optimizer.name == "signs"
    for _ in range(2):
        optimizer.apply([np.ones(1)], [v])
    close([v.numpy()], [[-1.5]], 0)


def test_schedules_of_the_package():
    made = optimizers.SGD(optimizers.schedules.ExponentialDecay(1.0, decay_steps=2, decay_rate=0.25))
    v = Variable(np.zeros(1))
    for _ in range(3):
        made.apply([np.ones(1)], [v])
    close([v.numpy()], [[-1.75]], 1e-6)
    again = optimizers.get(optimizers.serialize(made))
    again.iterations = 3
    assert again.learning_rate == made.learning_rate == 0.125
