"""Does it learn as well? Test accuracy of the demo network over several seeds, and Keras's beside it.

    python benchmarks/accuracy.py [--seeds 5] [--epochs 10] [--dataset fashion-mnist] [--keras-seeds 5] [--json]

The network and settings are the textbook's (Géron, chapter 11): batch normalisation before each dense layer, 300 and
100 relu units with He initialisation, SGD with its default rate of 0.01, batches of 32, the last 5000 images held out.
Keras is given the very same where it can be imported (on JAX, unless KERAS_BACKEND says otherwise). Weights and
shuffles differ from library to library, so it is the medians that can be compared.
"""

from __future__ import annotations

import os
import statistics
import time

from common import Report, parser

import fastnn
from fastnn import demo


def of_fastnn(data, test, seed: int, epochs: int) -> float:
    """Test accuracy after training."""
    fastnn.utils.set_random_seed(seed)
    model = demo.network(data[0].shape[1:])
    model.fit(*data, batch_size=32, epochs=epochs, verbose=0)
    return float(model.evaluate(*test, verbose=0)[1])


def of_keras(data, test, seed: int, epochs: int) -> float:
    """As `of_fastnn`, with the layers of `fastnn.demo.network` spelled in Keras."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    dense = dict(activation="relu", kernel_initializer="he_normal")
    model = keras.Sequential([keras.Input(data[0].shape[1:]), layers.Flatten(),
                              layers.BatchNormalization(), layers.Dense(300, **dense),
                              layers.BatchNormalization(), layers.Dense(100, **dense),
                              layers.BatchNormalization(), layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*data, batch_size=32, epochs=epochs, verbose=0)
    return float(model.evaluate(*test, verbose=0)[1])


def keras_version() -> str | None:
    """What is there, or None. Keras reads its backend from the environment when it is imported."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    try:
        import keras
    except ImportError:
        return None
    return f"Keras {keras.__version__} on {keras.backend.backend()}"


def main(argv=None) -> None:
    p = parser(__doc__)
    p.add_argument("--seeds", type=int, default=5)
    p.add_argument("--epochs", type=int, default=10)
    p.add_argument("--dataset", choices=("fashion-mnist", "digits"), default="fashion-mnist")
    p.add_argument("--keras-seeds", type=int, help="as --seeds by default; 0 leaves Keras out")
    args = p.parse_args(argv)
    train, test = demo.load(args.dataset)
    data, _ = demo.split(*train)
    report = Report("accuracy", args.json, {"library": "20s", "seed": "d", "accuracy": "8.4f", "seconds": "7.1f"})
    runs = [("fastnn", of_fastnn, args.seeds)]
    keras_seeds = args.seeds if args.keras_seeds is None else args.keras_seeds
    if keras_seeds:
        keras = keras_version()
        if keras:
            runs.append((keras, of_keras, keras_seeds))
        else:
            report.say("Keras can't be imported here (pip install keras jax), so it is left out.")
    medians = {}
    for library, accuracy, seeds in runs:
        values = []
        for seed in range(seeds):
            start = time.perf_counter()
            values.append(accuracy(data, test, seed, args.epochs))
            report.add(library=library, seed=seed, accuracy=values[-1], seconds=time.perf_counter() - start)
        if values:
            medians[library] = statistics.median(values)
    for library, median in medians.items():
        report.say(f"median of {library}: {median:.4f}")


if __name__ == "__main__":
    main()
