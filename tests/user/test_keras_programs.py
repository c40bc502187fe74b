"""Programs in Keras's vocabulary run with only the import changed, and give Keras's numbers.

Those numbers are in tests/data/keras_programs.json, which tests/data/make_keras_programs.py writes.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import fastnn

from . import keras_parts  # noqa: F401  (adds to PROGRAMS)
from .keras_programs import PROGRAMS, filled, plain, table

RECORDED = json.loads((Path(__file__).parent.parent / "data" / "keras_programs.json").read_text())


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_it_gives_what_keras_gives(program):
    fastnn.utils.set_random_seed(0)
    found, want = program(fastnn), RECORDED["programs"][program.__name__]
    assert list(found) == list(want)
    for name in want:
        a, b = plain(found[name]), want[name]
        if isinstance(a, np.ndarray):
            assert list(a.shape) == b["shape"], name
            np.testing.assert_allclose(a, np.reshape(b["values"], b["shape"]), rtol=2e-4, atol=2e-5, err_msg=name)
        else:
            assert a == b, name


def test_a_body_that_was_called_for_inference_stays_so():
    """As Keras's guide on transfer learning has it (its code lets ``fit`` overrule the argument)."""
    x, _, t = table()
    body = filled(fastnn.Sequential([fastnn.Input((4,)), fastnn.layers.BatchNormalization()]))
    inputs = fastnn.Input((4,))
    model = fastnn.Model(inputs, fastnn.layers.Dense(1)(body(inputs, training=False)))
    model.compile("adam", "mse")
    before = body.get_weights()
    model.fit(x, t, verbose=0)
    after = body.get_weights()
    assert (before[2] == after[2]).all() and (before[3] == after[3]).all() and (before[0] != after[0]).any()
