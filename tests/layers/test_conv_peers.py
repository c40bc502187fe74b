"""Convolutions against PyTorch's and Keras's, over a grid of shapes: values, and the gradients of all that goes in."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn import layers, ops
from fastnn.ops.convolutions import transposed_axis, zeros_around

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras's own


def ours(layer, x, dy_of):
    """Output, and gradients by x and the weights for one upstream gradient."""
    layer(x)
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    given = fastnn.Variable(x, name="x")
    y = layer(x)
    dy = dy_of(y.shape)
    _, grads = fastnn.value_and_grad(lambda d: ops.sum(layer(given * 1.0) * d),
                                     [given, *layer.trainable_variables])(dy)
    return [y, *grads], dy


def close(got, want):
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5 * np.abs(b).max())


# size of the image, window, strides, dilation, padding, channels, filters, groups
GRID = [((h, w), k, s, d, p, c, f, g) for (h, w), k, (s, d), p, (c, f, g) in itertools.product(
    [(7, 9), (8, 5)], [(3, 3), (2, 4), (1, 1)], [((1, 1), (1, 1)), ((2, 3), (1, 1)), ((1, 1), (2, 1))],
    ["valid", "same"], [(1, 3, 1), (6, 4, 2), (5, 17, 1)])]
GRID += [((9, 9), (2, 2), (3, 4), (1, 1), "valid", 3, 4, 1), ((3, 3), (3, 3), (1, 1), (1, 1), "valid", 2, 3, 1),
         ((1, 1), (1, 1), (2, 2), (1, 1), "same", 2, 3, 1), ((2, 1), (3, 3), (1, 1), (1, 1), "same", 2, 3, 1)]


def pytorch(torch, x, size, k, s, d, p, convolve):
    """What `convolve` makes of x padded as Keras pads it, channels first inside."""
    around = [zeros_around(n, *of, p) for n, *of in zip(size, k, s, d)]
    flat = [n for pair in around[::-1] for n in pair]
    return convolve(torch.nn.functional.pad(x.movedim(-1, 1), flat)).movedim(1, -1)


def gradients(torch, y, dy, inputs):
    y.backward(torch.tensor(dy))
    return [y.detach().numpy(), *(v.grad.numpy() for v in inputs)]


@pytest.mark.parametrize("size,k,s,d,p,c,f,g", GRID, ids=str)
def test_conv2d_is_pytorchs(size, k, s, d, p, c, f, g):
    torch = pytest.importorskip("torch")
    if any((n - 1) * e + 1 > m for n, e, m in zip(k, d, size)) and p == "valid":
        pytest.skip("the window is larger than the image")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, *size, c)).astype(np.float32)
    layer = layers.Conv2D(f, k, strides=s, dilation_rate=d, padding=p, groups=g)
    got, dy = ours(layer, x, lambda shape: rng.normal(size=shape).astype(np.float32))
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, *layer.get_weights())]
    y = pytorch(torch, inputs[0], size, k, s, d, p, lambda z: torch.nn.functional.conv2d(
        z, inputs[1].permute(3, 2, 0, 1), inputs[2], s, 0, d, g))
    close(got, gradients(torch, y, dy, inputs))


@pytest.mark.parametrize("size,k,s,d,p,c,f,m", [v for v in GRID if v[-1] == 1][::2], ids=str)
def test_depthwise_is_pytorchs(size, k, s, d, p, c, f, m):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, windows = rng.normal(size=(2, *size, c)).astype(np.float32), 1 + f % 2
    layer = layers.DepthwiseConv2D(k, strides=s, dilation_rate=d, padding=p, depth_multiplier=windows)
    got, dy = ours(layer, x, lambda shape: rng.normal(size=shape).astype(np.float32))
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, *layer.get_weights())]
    y = pytorch(torch, inputs[0], size, k, s, d, p, lambda z: torch.nn.functional.conv2d(
        z, inputs[1].permute(2, 3, 0, 1).reshape(c * windows, 1, *k), inputs[2], s, 0, d, c))
    close(got, gradients(torch, y, dy, inputs))


@pytest.mark.parametrize("p", ["valid", "same", "causal"])
@pytest.mark.parametrize("k,s,d", [(3, 1, 1), (4, 1, 2), (3, 2, 1), (1, 1, 1)])
def test_conv1d_is_pytorchs(k, s, d, p):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 11, 5)).astype(np.float32)
    layer = layers.Conv1D(7, k, strides=s, dilation_rate=d, padding=p)
    got, dy = ours(layer, x, lambda shape: rng.normal(size=shape).astype(np.float32))
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, *layer.get_weights())]
    y = pytorch(torch, inputs[0], (11,), (k,), (s,), (d,), p, lambda z: torch.nn.functional.conv1d(
        z, inputs[1].permute(2, 1, 0), inputs[2], s, 0, d))
    close(got, gradients(torch, y, dy, inputs))


@pytest.mark.parametrize("s,k,d", [(1, 3, 1), (2, 3, 1), (2, 2, 1), (3, 2, 1), (2, 3, 2), (1, 1, 1)])
@pytest.mark.parametrize("p", ["valid", "same"])
def test_transposed_gradients_are_pytorchs(s, k, d, p):
    """The output that all taps reach, cut (or filled up with zeros) as `transposed_axis` says."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 3, 5)).astype(np.float32)
    layer = layers.Conv2DTranspose(6, k, strides=s, dilation_rate=d, padding=p)
    got, dy = ours(layer, x, lambda shape: rng.normal(size=shape).astype(np.float32))
    inputs = [torch.tensor(v, requires_grad=True) for v in (x, *layer.get_weights())]
    z = torch.nn.functional.conv_transpose2d(inputs[0].movedim(-1, 1), inputs[1].permute(3, 2, 0, 1), None, s, 0, 0, 1,
                                             d)
    for axis, n in ((2, 4), (3, 3)):
        size, before, _ = transposed_axis(n, k, s, d, p, None)
        have = z.shape[axis] - before
        z = z.narrow(axis, before, min(size, have))
        if size > have:
            z = torch.nn.functional.pad(z, (0, size - have) if axis == 3 else (0, 0, 0, size - have))
    y = (z + inputs[2][:, None, None]).movedim(1, -1)
    close(got, gradients(torch, y, dy, inputs))


# class, arguments, shape: what Keras alone says (sizes, padding on which side, layouts of kernels)
KERAS = [
    ("Conv2D", {"filters": 3, "kernel_size": (3, 2), "padding": "same", "strides": (2, 1)}, (2, 7, 6, 4)),
    ("Conv2D", {"filters": 4, "kernel_size": 3, "padding": "same", "strides": 2, "groups": 2}, (2, 8, 8, 6)),
    ("Conv1D", {"filters": 3, "kernel_size": 4, "padding": "causal", "dilation_rate": 2}, (2, 9, 4)),
    ("Conv1D", {"filters": 3, "kernel_size": 4, "padding": "same", "strides": 3}, (2, 10, 4)),
    ("DepthwiseConv2D", {"kernel_size": (3, 4), "padding": "same", "strides": 2, "depth_multiplier": 2}, (2, 7, 6, 3)),
    ("DepthwiseConv1D", {"kernel_size": 4, "padding": "same", "depth_multiplier": 3}, (2, 9, 2)),
    ("SeparableConv2D", {"filters": 5, "kernel_size": 3, "padding": "same", "depth_multiplier": 2}, (2, 7, 6, 3)),
    ("SeparableConv1D", {"filters": 5, "kernel_size": 3, "strides": 2}, (2, 9, 3)),
    *(("Conv2DTranspose", {"filters": 3, "kernel_size": (k, 3), "strides": s, "padding": p, "output_padding": o},
       (2, 3, 4, 2)) for k, s, p, o in [
        (3, 2, "same", None), (2, 3, "same", None), (4, 2, "same", None), (1, 2, "valid", None), (3, 2, "valid", None),
        (3, 3, "same", 1), (4, 2, "valid", 1), (4, 2, "same", 0), (5, 1, "same", None)]),
    ("Conv2DTranspose", {"filters": 3, "kernel_size": 3, "padding": "same", "dilation_rate": 2}, (2, 5, 4, 2)),
    ("Conv1DTranspose", {"filters": 3, "kernel_size": 4, "strides": 3, "padding": "same"}, (2, 5, 2)),
]


@pytest.mark.parametrize("kind,arguments,shape", KERAS, ids=str)
def test_values_are_those_of_keras(kind, arguments, shape):
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape).astype(np.float32)
    mine, other = getattr(layers, kind)(**arguments), getattr(keras.layers, kind)(**arguments)
    mine(x), other(x)
    weights = [rng.normal(size=w.shape).astype(np.float32) for w in other.get_weights()]
    assert [w.shape for w in mine.get_weights()] == [w.shape for w in weights]
    assert [v.name for v in mine.variables] == [v.name for v in other.weights]
    mine.set_weights(weights), other.set_weights(weights)
    close([mine(x)], [np.asarray(other(x))])


def test_configs_have_the_keys_of_keras():
    keras = pytest.importorskip("keras")
    for kind, arguments, _ in {k: (k, a, s) for k, a, s in KERAS}.values():
        mine, other = getattr(layers, kind)(**arguments), getattr(keras.layers, kind)(**arguments)
        missing = set(other.get_config()) - set(mine.get_config())
        assert missing <= {"dtype", "activity_regularizer"}
        remade = type(mine).from_config(mine.get_config())
        assert remade.get_config() == mine.get_config()


@pytest.mark.parametrize("name,shapes", [
    ("conv", ((2, 6, 5, 4), (3, 2, 2, 6))), ("conv", ((2, 6, 4), (3, 4, 6))),
    ("depthwise_conv", ((2, 6, 5, 4), (3, 2, 4, 2))), ("conv_transpose", ((2, 6, 5, 4), (3, 2, 3, 4))),
    ("separable_conv", ((2, 6, 5, 4), (3, 3, 4, 2), (1, 1, 8, 3)))])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_ops_are_those_of_keras(name, shapes, padding):
    keras = pytest.importorskip("keras")
    arrays = [np.random.default_rng(0).normal(size=s).astype(np.float32) for s in shapes]
    close([getattr(ops, name)(*arrays, padding=padding)],
          [np.asarray(getattr(keras.ops, name)(*arrays, padding=padding))])
