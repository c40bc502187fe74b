"""Fashion-MNIST: 70 000 grey pictures, 28 by 28, of ten kinds of clothing.

H. Xiao, K. Rasul, R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms", 2017, arXiv:1708.07747. MIT licence.
"""

from __future__ import annotations

import numpy as np

from . import idx, store

URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"  # the data set's own; plain http is all it has

# Sums of the unpacked files: those of Debian's dataset-fashion-mnist 0.0~git20200523.55506a9-1.
PARTS = (
    store.Part(
        "train-images-idx3-ubyte.gz", 47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    store.Part("train-labels-idx1-ubyte.gz", 60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    store.Part(
        "t10k-images-idx3-ubyte.gz", 7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
    ),
    store.Part("t10k-labels-idx1-ubyte.gz", 10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((x_train, y_train), (x_test, y_test)), all uint8: pictures (60000, 28, 28) and (10000, 28, 28), labels 0 to 9.

    The four files are looked for in the folder that ``FASTNN_DATA`` names, where Debian's package
    ``dataset-fashion-mnist`` puts them, and in the cache (``FASTNN_CACHE``, or ``fastnn`` in the user's cache
    folder). What is nowhere is downloaded from the data set's own address into the cache. Every file is checked by
    SHA-256 wherever it comes from. The label i means ``CLASS_NAMES[i]``.

    Raises
    ------
    DatasetNotFound : a file is nowhere and could not be downloaded.
    """
    data = store.load("fashion-mnist", PARTS, URL)
    x_train, y_train, x_test, y_test = (idx.parse(d, part.name) for d, part in zip(data, PARTS))
    return (x_train, y_train), (x_test, y_test)
