"""Handwritten digits, 8 by 8: the 1797 that scikit-learn brings along, so that nothing is downloaded.

E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository, 1998,
doi:10.24432/C50P49 (its test set).
"""

from __future__ import annotations

import numpy as np

CLASS_NAMES = tuple("0123456789")


def load_data() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """((x_train, y_train), (x_test, y_test)), all uint8: pictures (1438, 8, 8) and (359, 8, 8), labels 0 to 9.

    Pixels are 0 to 16. The split is always the same: one in five of each digit is for the test.

    Raises
    ------
    ImportError : scikit-learn is not there.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape, int(x_train.max())
    ((1438, 8, 8), (359, 8, 8), 16)
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as e:
        raise ImportError("The digits come with scikit-learn, which is missing: pip install 'fastnn[sklearn]'.") from e
    bunch = load_digits()
    images, labels = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    test = np.zeros(len(labels), bool)
    shuffle = np.random.RandomState(0)  # its stream is frozen, that of a Generator is not
    for digit in range(10):
        found = shuffle.permutation(np.flatnonzero(labels == digit))
        test[found[: round(len(found) / 5)]] = True
    return (images[~test], labels[~test]), (images[test], labels[test])
