"""Every way to give data to fit, beside Keras: the same rows in the same batches, so the same logs.

Keras's logs are recorded, by tests/data/make_fit_logs.py. Left out is what Keras 3.15 does with a generator for
validation, whose first batches it gives again each time, and with datasets of several workers, which lose a batch.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import fastnn

THEIRS = json.loads((Path(__file__).parents[1] / "data" / "fit_logs.json").read_text())
N = 23
DRAW = np.random.default_rng(0)
X, Y = DRAW.normal(size=(N, 3)).astype(np.float32), DRAW.integers(0, 2, N).astype(np.float32)
WEIGHTS = DRAW.random(N).astype(np.float32)
VALIDATION = X[:10] + 1, Y[5:15]


def dataset(base, count=6, size=4, **kwargs):
    class Batches(base):
        def __len__(self):
            return count

        def __getitem__(self, i):
            return X[i * size : i * size + size], Y[i * size : i * size + size]

    return Batches(**kwargs)


def generator(batches, size=4, weights=False):
    for i in range(batches):
        at = i * size % (N - size)
        batch = X[at : at + size], Y[at : at + size]
        yield (*batch, WEIGHTS[at : at + size]) if weights else batch


#: name -> what fit is given, made anew for either library from its base class of datasets
WAYS = {
    "uneven last batch": lambda base: {"x": X, "y": Y, "batch_size": 5},
    "one batch": lambda base: {"x": X, "y": Y, "batch_size": 100},
    "no batch size": lambda base: {"x": X, "y": Y},
    "initial epoch": lambda base: {"x": X, "y": Y, "batch_size": 5, "initial_epoch": 1},
    "column of targets": lambda base: {"x": X, "y": Y[:, None], "batch_size": 5},
    "lists": lambda base: {"x": X, "y": np.array(Y.tolist()), "batch_size": 5},
    "split": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_split": 0.3},
    "split with weights": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_split": 0.3,
                                        "sample_weight": WEIGHTS},
    "split with classes": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_split": 0.3,
                                        "class_weight": {0: 0.5, 1: 3.0}},
    "class weight": lambda base: {"x": X, "y": Y, "batch_size": 5, "class_weight": {1: 3.0},
                                  "validation_data": VALIDATION},
    "validation weights": lambda base: {"x": X, "y": Y, "validation_data": (*VALIDATION, WEIGHTS[:10])},
    "fewer steps": lambda base: {"x": X, "y": Y, "batch_size": 4, "steps_per_epoch": 2},
    "steps alone": lambda base: {"x": X, "y": Y, "steps_per_epoch": 3},
    "validation steps": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_data": VALIDATION,
                                      "validation_steps": 1},
    "validation batches": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_data": VALIDATION,
                                        "validation_batch_size": 3, "validation_steps": 2},
    "validation frequency": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_data": VALIDATION,
                                          "validation_freq": 2},
    "validation epochs": lambda base: {"x": X, "y": Y, "batch_size": 5, "validation_data": VALIDATION,
                                       "validation_freq": [1, 3], "epochs": 3},
    "dataset": lambda base: {"x": dataset(base)},
    "dataset for both": lambda base: {"x": dataset(base), "validation_data": dataset(base, 2, 3)},
    "dataset, class weight": lambda base: {"x": dataset(base), "class_weight": {0: 2.0, 1: 0.1}},
    "generator": lambda base: {"x": generator(40), "steps_per_epoch": 5},
    "generator with weights": lambda base: {"x": generator(40, weights=True), "steps_per_epoch": 5},
    "generator of unknown length": lambda base: {"x": generator(7), "epochs": 1},
}  # fmt: skip


def logs(library, way):
    layers = library.layers
    model = library.Sequential([library.Input((3,)), layers.Dense(4, "tanh"), layers.Dense(1, "sigmoid")])
    draw = np.random.default_rng(1)
    model.set_weights([draw.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    model.compile(library.optimizers.SGD(0.1), "binary_crossentropy", metrics=["mae"], weighted_metrics=["mse"])
    arguments = {"epochs": 2, "shuffle": False, "verbose": 0} | way(library.utils.PyDataset)
    return model.fit(**arguments).history


@pytest.mark.parametrize("name", WAYS)
def test_same_logs(name):
    ours, theirs = logs(fastnn, WAYS[name]), THEIRS[name]
    assert sorted(ours) == sorted(theirs)
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=2e-5, err_msg=key)
