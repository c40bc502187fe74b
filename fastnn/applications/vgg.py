"""Convolutions of 3 x 3, one after the other, as in VGG, for small images."""

from __future__ import annotations

from .. import layers
from ..models import Model


def SmallVGG(input_shape=(28, 28, 1), classes: int = 10, stages=(32, 64, 128), convolutions: int = 2,  # noqa: N802
             units: int = 128, dropout: float = 0.5, classifier_activation="softmax", name: str | None = None) -> Model:
    """Stages of convolutions of 3 x 3, each followed by a pooling that halves the size, then two products.

    Two windows of 3 x 3 see as much as one of 5 x 5, with fewer weights and one more activation in between.

    Parameters
    ----------
    input_shape : height, width and channels of an image.
    classes : outputs.
    stages : channels of each stage.
    convolutions : in a stage.
    units, dropout : of the hidden product, and the share of it that is dropped.
    classifier_activation : of the outputs; None for logits.

    References
    ----------
    Simonyan & Zisserman (2015), Very deep convolutional networks for large-scale image recognition, arXiv:1409.1556.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.applications.SmallVGG((32, 32, 3)).output_shape
    (None, 10)
    """
    x = image = layers.Input(input_shape)
    for filters in stages:
        for _ in range(convolutions):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Dense(units, "relu", kernel_initializer="he_normal")(layers.Flatten()(x))
    x = layers.Dropout(dropout)(x)
    return Model(image, layers.Dense(classes, classifier_activation)(x), name=name or "small_vgg")
