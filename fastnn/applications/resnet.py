"""Residual networks: blocks that add what they compute to what they were given.

A block that has learned nothing yet passes its input on, and so does its gradient: that is why networks of dozens of
layers can be trained at all (He et al., 2016a). Where the normalisation and the activation stand makes two kinds:

    post-activation:  x -> conv -> norm -> relu -> conv -> norm -> (+ x) -> relu
    pre-activation:   x -> norm -> relu -> conv -> norm -> relu -> conv -> (+ x)      (He et al., 2016b)

In the second the path through all blocks holds nothing but additions.
"""

from __future__ import annotations

from typing import Any

from .. import layers
from ..models import Model

SIZES = (16, 32, 64)  #: channels of the three stages; each but the first begins with a stride of 2


def _conv(x, filters: int, size: int = 3, strides: int = 1):
    """A convolution that keeps the size (or halves it), for a normalisation to follow: it has no bias."""
    return layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False,
                         kernel_initializer="he_normal")(x)


def _norm_relu(x):
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def residual_block(x, filters: int, strides: int = 1, pre_activation: bool = False):
    """Two convolutions of 3 x 3 and a shortcut around them.

    Parameters
    ----------
    x : the symbolic tensor that goes in, (batch, height, width, channels).
    filters : channels of the output.
    strides : of the first convolution. Where it is not 1, or the channels change, the shortcut is a convolution of one
        pixel, too (option B of the paper).
    pre_activation : which of the two kinds, see the module.

    References
    ----------
    He et al. (2016a), Deep residual learning for image recognition, arXiv:1512.03385.
    He et al. (2016b), Identity mappings in deep residual networks, arXiv:1603.05027.

    Examples
    --------
    >>> import fastnn
    >>> x = fastnn.Input((28, 28, 16))
    >>> fastnn.applications.residual_block(x, 32, strides=2).shape
    (None, 14, 14, 32)
    """
    changes = strides != 1 or x.shape[-1] != filters
    if pre_activation:
        before = _norm_relu(x)
        shortcut = _conv(before, filters, 1, strides) if changes else x
        y = _conv(_norm_relu(_conv(before, filters, strides=strides)), filters)
        return layers.add([y, shortcut])
    shortcut = layers.BatchNormalization()(_conv(x, filters, 1, strides)) if changes else x
    y = _norm_relu(_conv(x, filters, strides=strides))
    y = layers.BatchNormalization()(_conv(y, filters))
    return layers.Activation("relu")(layers.add([y, shortcut]))


def ResNet(blocks: int, input_shape=(28, 28, 1), classes: int = 10, pre_activation: bool = False,  # noqa: N802
           classifier_activation="softmax", name: str | None = None) -> Model:
    """A residual network for small images: a convolution, three stages of `blocks` blocks, a mean, a product.

    Parameters
    ----------
    blocks : of a stage; the network has 6 * blocks + 2 layers with weights.
    input_shape : height, width and channels of an image; 28 or 32 pixels are usual.
    classes : outputs.
    pre_activation : which kind of block, see `residual_block`.
    classifier_activation : of the outputs; None for logits.

    References
    ----------
    He et al. (2016a), section 4.2.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.applications.ResNet(1).count_params()
    78426
    """
    if isinstance(blocks, bool) or not isinstance(blocks, int) or blocks < 1:
        raise ValueError(f"ResNet: blocks is {blocks!r}; a positive whole number is wanted.")
    image = layers.Input(input_shape)
    x = _conv(image, SIZES[0])
    if not pre_activation:
        x = _norm_relu(x)
    for stage, filters in enumerate(SIZES):
        for block in range(blocks):
            x = residual_block(x, filters, 2 if stage and not block else 1, pre_activation)
    if pre_activation:
        x = _norm_relu(x)
    x = layers.GlobalAveragePooling2D()(x)
    return Model(image, layers.Dense(classes, classifier_activation)(x), name=name or f"resnet{6 * blocks + 2}")


def ResNet8(**arguments: Any) -> Model:  # noqa: N802
    """`ResNet` of one block per stage."""
    return ResNet(1, **arguments)


def ResNet20(**arguments: Any) -> Model:  # noqa: N802
    """`ResNet` of three blocks per stage."""
    return ResNet(3, **arguments)


def ResNet56(**arguments: Any) -> Model:  # noqa: N802
    """`ResNet` of nine blocks per stage."""
    return ResNet(9, **arguments)
