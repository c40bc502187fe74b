"""Write schedules.json: what Keras's learning rate schedules give. Run with Keras 3 installed.

KERAS_BACKEND=jax python tests/data/make_schedules.py
"""

import json
import pathlib

CASES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.9}),
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.5, "staircase": True}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.7}),
    ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.7, "staircase": True}),
    ("PiecewiseConstantDecay", {"boundaries": [10, 20, 100], "values": [0.1, 0.05, 0.02, 0.001]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 40}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 40, "end_learning_rate": 0.01, "power": 0.5}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 40, "power": 2.0, "cycle": True}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 50}),
    ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 50, "alpha": 0.2}),
    (
        "CosineDecay",
        {"initial_learning_rate": 0.01, "decay_steps": 50, "alpha": 0.1, "warmup_target": 0.2, "warmup_steps": 20},
    ),
    ("CosineDecay", {"initial_learning_rate": 0.01, "decay_steps": 50, "warmup_target": 0.2, "warmup_steps": 0}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 16}),
    ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 16, "t_mul": 1.0, "m_mul": 0.5}),
    (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 16, "t_mul": 1.5, "m_mul": 0.9, "alpha": 0.05},
    ),
]
STEPS = [
    0, 1, 2, 5, 9, 10, 11, 15, 16, 17, 19, 20, 21, 29, 30, 31,
    39, 40, 41, 48, 50, 59, 61, 69, 70, 71, 80, 99, 100, 101, 130,
]  # fmt: skip


def values(schedules) -> list[dict]:
    return [
        {"class_name": name, "config": config, "steps": STEPS,
         "rates": [float(getattr(schedules, name)(**config)(step)) for step in STEPS]}
        for name, config in CASES
    ]  # fmt: skip


if __name__ == "__main__":
    import keras

    record = {"keras": keras.__version__, "backend": keras.backend.backend()}
    record["cases"] = values(keras.optimizers.schedules)
    path = pathlib.Path(__file__).with_name("schedules.json")
    path.write_text(json.dumps(record, indent=1) + "\n")
