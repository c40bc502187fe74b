"""Networks of the literature, small ones for small images, as functional code to read; without weights.

Each function makes an untrained `fastnn.Model` that takes images (height, width, channels) and gives `classes`
probabilities, or numbers of another `classifier_activation`: ``None`` for logits. They differ from those of
``keras.applications``, which are for images of 224 pixels.
"""

from __future__ import annotations

from .inception import Inception, inception_block
from .lenet import LeNet
from .resnet import ResNet, ResNet8, ResNet20, ResNet56, residual_block
from .vgg import SmallVGG

__all__ = ["Inception", "LeNet", "ResNet", "ResNet20", "ResNet56", "ResNet8", "SmallVGG", "inception_block",
           "residual_block"]
