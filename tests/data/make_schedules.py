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
STEPS = list(range(200))


def lines(record: dict) -> str:
    """JSON with a line for each case."""
    cases = ",\n".join(json.dumps(case) for case in record["cases"])
    rest = json.dumps({k: v for k, v in record.items() if k != "cases"})[:-1]
    return f'{rest}, "cases": [\n{cases}\n]}}\n'


def values(schedules, steps=STEPS) -> list[dict]:
    return [
        {"class_name": name, "config": config,
         "rates": [float(getattr(schedules, name)(**config)(step)) for step in steps]}
        for name, config in CASES
    ]  # fmt: skip


if __name__ == "__main__":
    import keras

    record = {"keras": keras.__version__, "backend": keras.backend.backend()}
    record["cases"] = values(keras.optimizers.schedules)
    pathlib.Path(__file__).with_name("schedules.json").write_text(lines(record))
