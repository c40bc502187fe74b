"""Write keras_programs.json: what the programs in tests/user/keras_programs.py give in Keras.

Run in an environment with Keras and a backend of it, from the folder of the repository::

    KERAS_BACKEND=jax python -m tests.data.make_keras_programs
"""

import json
import warnings
from pathlib import Path

import numpy as np


def main() -> None:
    warnings.simplefilter("ignore")
    import keras

    import tests.user.keras_parts  # noqa: F401  (adds to PROGRAMS)
    from tests.user.keras_programs import PROGRAMS, plain

    programs = {}
    for program in PROGRAMS:
        found = {}
        for name, value in program(keras).items():
            value = plain(value)
            if isinstance(value, np.ndarray):
                value = {"shape": list(value.shape), "values": [float(f"{v:.7g}") for v in value.ravel()]}
            found[name] = value
        programs[program.__name__] = found
    text = json.dumps({"keras": keras.__version__, "backend": keras.backend.backend(), "programs": programs})
    Path(__file__).with_name("keras_programs.json").write_text(text.replace('}, "', '},\n"') + "\n")


if __name__ == "__main__":
    main()
