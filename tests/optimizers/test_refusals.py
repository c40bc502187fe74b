"""Arguments that no optimizer takes: each is refused when it is made, by a sentence that names it and its value."""

import inspect

import pytest

from fastnn import optimizers

#: arguments that may be below 0 in some optimizer
ANY_SIGN = {("Adafactor", "beta_2_decay"), ("Ftrl", "learning_rate_power"), ("Muon", "muon_a"), ("Muon", "muon_b"),
            ("Muon", "muon_c")}
SHARES = {"beta_1", "beta_2", "adam_beta_1", "adam_beta_2", "rho", "momentum"}


def arguments(kind):
    """Name -> default of all arguments that a class and its bases take."""
    found = {}
    for c in kind.__mro__:
        if "__init__" in vars(c) and issubclass(c, optimizers.Optimizer):
            found = {**{n: p.default for n, p in inspect.signature(c.__init__).parameters.items()
                        if p.kind is not p.VAR_KEYWORD and p.kind is not p.VAR_POSITIONAL}, **found}
    return {n: d for n, d in found.items() if n not in ("self", "name")}


def wrong(kind):
    """(argument, value) pairs that make no sense."""
    for name, default in arguments(kind).items():
        values = [float("nan"), float("inf"), [1]]
        if not isinstance(default, str):
            values.append("x")
        if isinstance(default, bool):
            values += [1, None]
        elif (kind.__name__, name) not in ANY_SIGN:
            values.append(-0.5)
        if name in SHARES:
            values += [1, 2.0]
        if isinstance(default, str):
            values += ["outsied", None]
        yield from ((name, value) for value in values)


@pytest.mark.parametrize("kind", optimizers.CLASSES, ids=lambda kind: kind.__name__)
def test_wrong_arguments_are_refused_in_a_sentence(kind):
    tried = 0
    for name, value in wrong(kind):
        with pytest.raises(ValueError, match=rf"(?s)^.*{name}.*[.?]$") as error:
            kind(**{name: value})
        assert repr(value).strip("[]") in str(error.value), (name, value)
        tried += 1
    assert tried > 40


def test_the_nearest_spelling_is_offered():
    for make, hint in ((lambda: optimizers.Adam(epsilon_mode="outsied"), "outside"),
                       (lambda: optimizers.NormalizedSGD(scope="gloabl"), "global"),
                       (lambda: optimizers.get("adafacter"), "adafactor"), (lambda: optimizers.get("lars2"), "lars")):
        with pytest.raises(ValueError, match=f"did you mean '{hint}'"):
            make()
    with pytest.raises(TypeError, match="Muon has no argument 'ns_step': did you mean 'ns_steps'"):
        optimizers.Muon(ns_step=3)
    with pytest.raises(ValueError, match="beta_2_decay must be below 0; got 0.8"):
        optimizers.Adafactor(beta_2_decay=0.8)
