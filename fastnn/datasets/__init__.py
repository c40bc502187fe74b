"""Small data sets to learn with: ``load_data()`` of each module gives ((x_train, y_train), (x_test, y_test))."""

from . import digits, fashion_mnist
from .store import DatasetNotFound

__all__ = ["DatasetNotFound", "digits", "fashion_mnist"]
