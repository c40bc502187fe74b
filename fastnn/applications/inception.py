"""Inception blocks: windows of several sizes side by side."""

from __future__ import annotations

from .. import layers
from ..models import Model


def _conv(x, filters: int, size: int):
    return layers.Conv2D(filters, size, padding="same", activation="relu", kernel_initializer="he_normal")(x)


def inception_block(x, narrow: int, middle: tuple[int, int], wide: tuple[int, int], pooled: int):
    """Windows of 1 x 1, 3 x 3 and 5 x 5 and a pooling, on the same image; their channels side by side.

    Parameters
    ----------
    x : the symbolic tensor that goes in, (batch, height, width, channels).
    narrow : channels of the windows of 1 x 1.
    middle, wide : of those of 3 x 3 and 5 x 5: how many channels a convolution of one pixel leaves them, and how many
        they make.
    pooled : channels that a convolution of one pixel makes of the pooling.

    References
    ----------
    Szegedy et al. (2015), Going deeper with convolutions, arXiv:1409.4842, figure 2 (b).

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Input((14, 14, 32))
    >>> fastnn.applications.inception_block(x, 16, (24, 32), (4, 8), 8).shape
    (None, 14, 14, 64)
    """
    return layers.concatenate([
        _conv(x, narrow, 1),
        _conv(_conv(x, middle[0], 1), middle[1], 3),
        _conv(_conv(x, wide[0], 1), wide[1], 5),
        _conv(layers.MaxPooling2D(3, strides=1, padding="same")(x), pooled, 1),
    ])


def Inception(input_shape=(28, 28, 1), classes: int = 10, classifier_activation="softmax",  # noqa: N802
              name: str | None = None) -> Model:
    """A small network of two Inception blocks, for images of 28 or 32 pixels.

    Parameters
    ----------
    input_shape : height, width and channels of an image.
    classes : outputs.
    classifier_activation : of the outputs; None for logits.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.applications.Inception().output_shape
    (None, 10)
    """
    image = layers.Input(input_shape)
    x = layers.MaxPooling2D()(_conv(image, 32, 3))
    x = layers.MaxPooling2D()(inception_block(x, 16, (24, 32), (4, 8), 8))
    x = inception_block(x, 32, (32, 64), (8, 16), 16)
    x = layers.Dropout(0.4)(layers.GlobalAveragePooling2D()(x))
    return Model(image, layers.Dense(classes, classifier_activation)(x), name=name or "inception")
