"""LeNet-5: two convolutions, two poolings, three products."""

from __future__ import annotations

from .. import layers
from ..models import Model


def LeNet(input_shape=(28, 28, 1), classes: int = 10, activation="tanh",  # noqa: N802
          classifier_activation="softmax", name: str | None = None) -> Model:
    """LeNet-5 as it is usually written today: poolings are plain means, every map sees all maps before it, and the
    outputs are a softmax.

    Parameters
    ----------
    input_shape : height, width and channels of an image. 28 pixels get zeros around them, which makes the 32 of the
        paper.
    classes : outputs.
    activation : of all layers but the last; "relu" learns faster.
    classifier_activation : of the outputs; None for logits.

    References
    ----------
    LeCun et al. (1998), Gradient-based learning applied to document recognition.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.applications.LeNet().count_params()
    61706
    """
    image = layers.Input(input_shape)
    x = layers.Conv2D(6, 5, padding="same" if input_shape[0] < 32 else "valid", activation=activation)(image)
    x = layers.AveragePooling2D()(x)
    x = layers.Conv2D(16, 5, activation=activation)(x)
    x = layers.AveragePooling2D()(x)
    x = layers.Flatten()(x)
    for units in (120, 84):
        x = layers.Dense(units, activation)(x)
    return Model(image, layers.Dense(classes, classifier_activation)(x), name=name or "lenet")
