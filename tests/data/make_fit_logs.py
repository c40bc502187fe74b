"""Record the logs of Keras's fit for every way to give it data: writes fit_logs.json.

Run from the root of the repository, where Keras and JAX are installed: ``KERAS_BACKEND=jax python -m
tests.data.make_fit_logs``. The file must hold something for the test module to be imported; ``{}`` will do.
"""

import json
from pathlib import Path

from tests.models.test_data_as_keras import WAYS, logs


def main() -> None:
    import keras

    found = {name: {key: [float(v) for v in values] for key, values in logs(keras, way).items()}
             for name, way in WAYS.items()}
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
    Path(__file__).with_name("fit_logs.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    main()
