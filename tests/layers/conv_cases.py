"""Convolutions for the table of layers, with a meaning that goes from pixel to pixel."""

import numpy as np

from fastnn import layers


def window_sum(x, kernel, strides, padding, dilation, groups=1):
    """Each output on its own: the window under it times the kernel; of images, padding as it is defined."""
    (kh, kw, _, filters), (n, height, width, channels) = kernel.shape, x.shape
    sizes, around = [], []
    for size, k, s, d in zip((height, width), (kh, kw), strides, dilation):
        reach = (k - 1) * d + 1
        out = -(-size // s) if padding == "same" else size if padding == "causal" else (size - reach) // s + 1
        out = -(-size // s) if padding == "causal" else out
        missing = max((out - 1) * s + reach - size, 0) if padding == "same" else 0
        before = reach - 1 if padding == "causal" else missing // 2
        sizes.append(out)
        around.append((before, missing - missing // 2 if padding == "same" else 0))
    x = np.pad(x, ((0, 0), *around, (0, 0)))
    y = np.zeros((n, *sizes, filters))
    of, to = channels // groups, filters // groups
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            rows = i * strides[0] + np.arange(kh) * dilation[0]
            columns = j * strides[1] + np.arange(kw) * dilation[1]
            seen = x[:, rows][:, :, columns]
            for g in range(groups):
                part = kernel[..., g * to : (g + 1) * to]
                y[:, i, j, g * to : (g + 1) * to] = np.tensordot(seen[..., g * of : (g + 1) * of], part, 3)
    return y


def spread_out(x, kernel, strides, size):
    """Each pixel of x on its own: added to all that its window covers."""
    (kh, kw, filters, _), (n, height, width, _) = kernel.shape, x.shape
    y = np.zeros((n, (height - 1) * strides[0] + kh, (width - 1) * strides[1] + kw, filters))
    for i in range(height):
        for j in range(width):
            y[:, i * strides[0] : i * strides[0] + kh, j * strides[1] : j * strides[1] + kw] += np.einsum(
                "nc,hwfc->nhwf", x[:, i, j], kernel)
    more = [max(0, s - y.shape[1 + a]) for a, s in enumerate(size)]
    return np.pad(y, ((0, 0), (0, more[0]), (0, more[1]), (0, 0)))


def edge(layer, y):
    y = y + layer.bias.numpy() if layer.use_bias else y
    return np.maximum(y, 0) if layer.activation.kind == "relu" else np.tanh(y) if layer.activation.kind == "tanh" else y


def convolved(layer, training, x):
    kernel, one = layer.kernel.numpy().astype(np.float64), x.ndim == 3
    x, kernel = (x[:, None], kernel[None]) if one else (x, kernel)
    y = window_sum(x, kernel, (1, *layer.strides)[-2:], layer.padding, (1, *layer.dilation_rate)[-2:], layer.groups)
    return edge(layer, y[:, 0] if one else y)


def transposed(layer, training, x):
    kernel, one = layer.kernel.numpy().astype(np.float64), x.ndim == 3
    x, kernel = (x[:, None], kernel[None]) if one else (x, kernel)
    strides = (1, *layer.strides)[-2:]
    y = spread_out(x, kernel, strides, [n * s for n, s in zip(x.shape[1:3], strides)])
    return edge(layer, y[:, 0] if one else y)


def each_channel(x, kernel, strides, padding, dilation):
    """A convolution in which each channel has its own windows, as one of as many groups."""
    kh, kw, channels, windows = kernel.shape
    return window_sum(x, kernel.reshape(kh, kw, 1, channels * windows), strides, padding, dilation, channels)


def depthwise(layer, training, x):
    kernel, one = layer.kernel.numpy().astype(np.float64), x.ndim == 3
    x, kernel = (x[:, None], kernel[None]) if one else (x, kernel)
    y = each_channel(x, kernel, (1, *layer.strides)[-2:], layer.padding, (1, *layer.dilation_rate)[-2:])
    return edge(layer, y[:, 0] if one else y)


def separable(layer, training, x):
    kernel, one = layer.depthwise_kernel.numpy().astype(np.float64), x.ndim == 3
    x, kernel = (x[:, None], kernel[None]) if one else (x, kernel)
    y = each_channel(x, kernel, (1, *layer.strides)[-2:], layer.padding, (1, *layer.dilation_rate)[-2:])
    y = y @ layer.pointwise_kernel.numpy().reshape(y.shape[-1], layer.filters)
    return edge(layer, y[:, 0] if one else y)


def case(kind, inputs, meaning, wrong=(), **arguments):
    from .cases import Case

    made = getattr(layers, kind)
    label = ",".join(f"{k}={v}".replace(" ", "") for k, v in arguments.items())
    kinked = arguments.get("activation") == "relu"
    return Case(f"{kind}-{label}", lambda **k: made(**arguments, bias_initializer="random_normal", **k), inputs,
                meaning, list(wrong), kinked=kinked)


WRONG = [(None, (2, 5, 6), "(batch, height, width, channels)"), ((2, 5, 6, 3), (2, 3, 5, 6), "The channels come last"),
         (None, (2, 2, 6, 3), "larger than the data of the shape (2, 2, 6, 3)"),
         (None, (0, 5, 6, 3), "without samples")]


def convolutions():
    """The cases; a function, since the table's own class is not there yet when this module is imported."""
    return [
        case("Conv2D", [(2, 5, 6, 3), (1, 3, 3, 1)], convolved, WRONG, filters=4, kernel_size=3, activation="relu"),
        case("Conv2D", [(2, 5, 6, 3)], convolved, filters=5, kernel_size=(2, 3), padding="same", strides=(2, 1)),
        case("Conv2D", [(2, 7, 5, 4)], convolved, [(None, (2, 7, 5, 3), "3 channels")], filters=6, kernel_size=2,
             groups=2, strides=3, activation="tanh"),
        case("Conv2D", [(1, 7, 6, 2)], convolved, [(None, (1, 4, 9, 2), "with dilation (5, 5)")], filters=3,
             kernel_size=3, dilation_rate=2, use_bias=False),
        case("Conv2D", [(2, 3, 2, 5)], convolved, filters=3, kernel_size=1, activation="relu"),
        case("Conv2D", [(2, 5, 4, 5)], convolved, filters=3, kernel_size=1, strides=2),
        case("Conv1D", [(2, 9, 3), (1, 1, 1)], convolved, [(None, (2, 9), "(batch, steps, channels)")], filters=4,
             kernel_size=3, padding="causal", dilation_rate=2),
        case("Conv1D", [(3, 8, 2)], convolved, [(None, (3, 2, 2), "larger")], filters=3, kernel_size=4, strides=2,
             activation="relu"),
        case("Conv1D", [(3, 8, 4)], convolved, filters=2, kernel_size=3, padding="same", groups=2),
        case("DepthwiseConv2D", [(2, 5, 6, 3)], depthwise, WRONG, kernel_size=3, activation="relu"),
        case("DepthwiseConv2D", [(2, 6, 5, 3)], depthwise, kernel_size=(2, 3), padding="same", strides=2,
             depth_multiplier=2),
        case("DepthwiseConv1D", [(2, 7, 3)], depthwise, kernel_size=3, dilation_rate=2, use_bias=False),
        case("SeparableConv2D", [(2, 5, 6, 3)], separable, WRONG[:1], filters=4, kernel_size=3, padding="same",
             activation="relu"),
        case("SeparableConv1D", [(2, 7, 3)], separable, filters=4, kernel_size=3, padding="causal", depth_multiplier=2),
        case("Conv2DTranspose", [(2, 3, 4, 5), (1, 1, 1, 1)], transposed, [WRONG[0], *WRONG[3:]], filters=3,
             kernel_size=3, strides=2),
        case("Conv2DTranspose", [(2, 3, 2, 2)], transposed, filters=4, kernel_size=(2, 1), strides=(3, 2),
             activation="relu"),
        case("Conv1DTranspose", [(2, 4, 3)], transposed, [((2, 4, 3), (2, 4, 2), "takes 3 channels")], filters=2,
             kernel_size=3, strides=2, use_bias=False),
    ]
