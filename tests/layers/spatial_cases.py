"""Layers that pool, resize, turn and join."""

import numpy as np

from fastnn import layers

from .cases import Case

IMAGES = [(2, 4, 6, 3), (1, 5, 7, 1)]
STEPS = [(2, 6, 3), (1, 7, 1)]


def windows(x, size, strides, same, reduce):
    """Over windows of (N, H, W, C), one after another."""
    def places(n, p, s):
        count = -(-n // s) if same else (n - p) // s + 1
        before = max((count - 1) * s + p - n, 0) // 2 if same else 0
        return [slice(max(i * s - before, 0), i * s - before + p) for i in range(count)]

    (ph, pw), (sh, sw) = size, strides
    return np.stack([np.stack([reduce(x[:, r, c], axis=(1, 2)) for c in places(x.shape[2], pw, sw)], 1)
                     for r in places(x.shape[1], ph, sh)], 1)


def pooling(name, reduce, places=2, **arguments):
    def meaning(layer, training, x):
        first = layer.data_format == "channels_first"
        x = np.moveaxis(x, 1, -1) if first else x
        x, size, strides = (x, layer.pool_size, layer.strides) if places == 2 else (
            x[:, None], (1, *layer.pool_size), (1, *layer.strides))
        y = windows(x, size, strides, layer.padding == "same", reduce)
        y = y if places == 2 else y[:, 0]
        return np.moveaxis(y, -1, 1) if first else y

    wide = (2, 1, 1, 4) if places == 2 else (2, 1, 4)
    fits = arguments.get("padding") == "same" or arguments.get("pool_size") in (1, (1, 1))
    wrong = [(None, (2, 3), f"{name} ")] + ([] if fits else [(None, wide, "do not fit")])
    told = "-".join(f"{k}={v}" for k, v in arguments.items())
    return Case(f"{name}-{told}", lambda **k: getattr(layers, name)(**arguments, **k), IMAGES if places == 2 else STEPS,
                meaning, wrong if arguments.get("data_format") != "channels_first" else [], kinked=reduce is np.max)


def everything(name, reduce, places=2, **arguments):
    def meaning(layer, training, x):
        start = 2 if layer.data_format == "channels_first" else 1
        return reduce(x, axis=tuple(range(start, start + places)), keepdims=layer.keepdims)

    told = "-".join(f"{k}={v}" for k, v in arguments.items())
    return Case(f"{name}-{told}", lambda **k: getattr(layers, name)(**arguments, **k), IMAGES if places == 2 else STEPS,
                meaning, [(None, (2, 3), f"{name} ")], kinked=reduce is np.max)


def bilinear(layer, training, x):
    for axis, k in ((1, layer.size[0]), (2, layer.size[1])):
        n = x.shape[axis]
        at = (np.arange(n * k) + 0.5) / k - 0.5
        mix = np.maximum(1 - abs(np.clip(at, 0, n - 1)[:, None] - np.arange(n)), 0)
        x = np.moveaxis(np.tensordot(mix, x, (1, axis)), 0, axis)
    return x


def joined(name, meaning, inputs=None):
    inputs = inputs or [[(5, 3)] * 2, [(17, 16)] * 3, [(2, 3, 5), (2, 3, 5)], [(2, 3, 5), (2, 1, 5)]]
    return Case(name, lambda **k: getattr(layers, name)(**k), inputs, lambda layer, training, *xs: meaning(xs),
                [(None, [(2, 3), (2, 4)], name), (None, (2, 3), "list of at least two")],
                kinked=name in ("Maximum", "Minimum"))


def dotted(subscripts, axes, inputs, normalize=False):
    def meaning(layer, training, x, y):
        both = axes if isinstance(axes, list) else [axes, axes]
        if normalize:
            x, y = (v / np.linalg.norm(v, axis=a, keepdims=True) for v, a in zip((x, y), both))
        return np.einsum(subscripts, x, y).reshape(len(x), *([1] if subscripts.endswith("->n") else []),
                                                   *np.einsum(subscripts, x, y).shape[1:])

    return Case(f"Dot-{subscripts}-{normalize}", lambda **k: layers.Dot(axes, normalize, **k), [inputs], meaning,
                [(None, [(2, 3), (2, 4)], "Dot")])


SPATIAL = [
    *(pooling(f"{kind}Pooling2D", reduce, **arguments) for kind, reduce in (("Max", np.max), ("Average", np.mean))
      for arguments in ({}, {"pool_size": 3, "strides": 2}, {"pool_size": (2, 3), "strides": 1, "padding": "same"},
                        {"pool_size": 2, "strides": 3, "padding": "same"}, {"pool_size": (1, 1), "strides": (2, 1)},
                        {"pool_size": (3, 1), "data_format": "channels_first", "padding": "same"})),
    *(pooling(f"{kind}Pooling1D", reduce, 1, **arguments) for kind, reduce in (("Max", np.max), ("Average", np.mean))
      for arguments in ({}, {"pool_size": 3, "strides": 1, "padding": "same"}, {"strides": 3},
                        {"data_format": "channels_first", "padding": "same"})),
    *(everything(f"Global{kind}Pooling{places}D", reduce, places, **arguments)
      for kind, reduce in (("Max", np.max), ("Average", np.mean)) for places in (1, 2)
      for arguments in ({}, {"keepdims": True}, {"data_format": "channels_first"})),
    Case("UpSampling2D", lambda **k: layers.UpSampling2D((2, 3), **k), IMAGES,
         lambda layer, training, x: x.repeat(2, 1).repeat(3, 2), [(None, (2, 3, 4), "UpSampling2D")]),
    Case("UpSampling2D-first", lambda **k: layers.UpSampling2D(2, "channels_first", **k), IMAGES,
         lambda layer, training, x: x.repeat(2, 2).repeat(2, 3)),
    Case("UpSampling2D-bilinear", lambda **k: layers.UpSampling2D((3, 2), interpolation="bilinear", **k), IMAGES,
         bilinear),
    Case("UpSampling1D", lambda **k: layers.UpSampling1D(3, **k), STEPS,
         lambda layer, training, x: x.repeat(3, 1), [(None, (2, 3), "UpSampling1D")]),
    Case("ZeroPadding2D", lambda **k: layers.ZeroPadding2D(((1, 0), (2, 3)), **k), IMAGES,
         lambda layer, training, x: np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0))), [(None, (2, 3), "ZeroPadding2D")]),
    Case("ZeroPadding2D-first", lambda **k: layers.ZeroPadding2D((1, 2), "channels_first", **k), IMAGES,
         lambda layer, training, x: np.pad(x, ((0, 0), (0, 0), (1, 1), (2, 2)))),
    Case("ZeroPadding1D", lambda **k: layers.ZeroPadding1D((2, 1), **k), STEPS,
         lambda layer, training, x: np.pad(x, ((0, 0), (2, 1), (0, 0))), [(None, (2, 3), "ZeroPadding1D")]),
    Case("Cropping2D", lambda **k: layers.Cropping2D(((1, 0), (1, 2)), **k), IMAGES,
         lambda layer, training, x: x[:, 1:, 1:-2], [(None, (2, 3, 3, 1), "nothing would be left")]),
    Case("Cropping2D-first", lambda **k: layers.Cropping2D(((0, 1), (0, 0)), "channels_first", **k), IMAGES,
         lambda layer, training, x: x[:, :, :-1]),
    Case("Cropping1D", lambda **k: layers.Cropping1D(**k), STEPS, lambda layer, training, x: x[:, 1:-1],
         [(None, (2, 2, 1), "nothing would be left")]),
    Case("CenterCrop", lambda **k: layers.CenterCrop(3, 5, **k), [(2, 6, 8, 3), (1, 3, 5, 1), (2, 4, 5, 1)],
         lambda layer, training, x: x[:, (x.shape[1] - 3) // 2 :][:, :3, (x.shape[2] - 5) // 2 :][:, :, :5],
         [(None, (2, 3), "CenterCrop")]),
    Case("Resizing-nearest", lambda **k: layers.Resizing(4, 3, "nearest", **k), [(2, 2, 6, 3), (1, 8, 1, 1)],
         lambda layer, training, x: x[:, np.floor((np.arange(4) + 0.5) * x.shape[1] / 4).astype(int)][
             :, :, np.floor((np.arange(3) + 0.5) * x.shape[2] / 3).astype(int)]),
    *(Case(name, lambda make=make, **k: make(**k), [(3, 4, 6, 2)],
           lambda layer, training, x: None if training else x, [(None, (2, 3), name)], trained=True)
      for name, make in (
          ("RandomFlip", lambda **k: layers.RandomFlip(**k)),
          ("RandomTranslation", lambda **k: layers.RandomTranslation(0.3, (-0.1, 0.2), "wrap", **k)),
          ("RandomRotation", lambda **k: layers.RandomRotation(0.1, "constant", "nearest", fill_value=0.5, **k)),
          ("RandomZoom", lambda **k: layers.RandomZoom(0.2, 0.3, "nearest", **k)),
          ("RandomBrightness", lambda **k: layers.RandomBrightness(0.2, (-1, 1), **k)),
          ("RandomContrast", lambda **k: layers.RandomContrast((0.2, 0.4), (-1, 1), **k)),
          ("RandomErasing", lambda **k: layers.RandomErasing(0.5, (0.1, 0.2), value_range=(-1, 1), **k)),
          ("Cutout", lambda **k: layers.Cutout(2, 0.5, **k)), ("CutMix", lambda **k: layers.CutMix(0.5, **k)))),
    Case("RandomCrop", lambda **k: layers.RandomCrop(2, 3, **k), [(3, 4, 6, 2)],
         lambda layer, training, x: None if training else layers.Resizing(2, 3)(x), [(None, (2, 3), "RandomCrop")],
         trained=True),
    Case("MixUp", lambda **k: layers.MixUp(0.4, **k), [(3, 4, 6, 2), (5, 3)],
         lambda layer, training, x: None if training else x, trained=True),
    Case("Permute", lambda **k: layers.Permute((3, 1, 2), **k), IMAGES,
         lambda layer, training, x: x.transpose(0, 3, 1, 2), [(None, (2, 3, 4), "3 axes")]),
    Case("RepeatVector", lambda **k: layers.RepeatVector(3, **k), [(5, 3), (1, 17)],
         lambda layer, training, x: np.repeat(x[:, None], 3, 1), [(None, (2, 3, 4), "RepeatVector")]),
    joined("Add", sum), joined("Average", lambda xs: sum(xs) / len(xs)),
    joined("Subtract", lambda xs: xs[0] - xs[1], [[(5, 3)] * 2, [(2, 3, 5)] * 2]),
    joined("Multiply", lambda xs: xs[0] * xs[1] * (xs[2] if len(xs) > 2 else 1)),
    joined("Maximum", lambda xs: np.maximum(np.maximum(xs[0], xs[1]), xs[-1])),
    joined("Minimum", lambda xs: np.minimum(np.minimum(xs[0], xs[1]), xs[-1])),
    Case("Concatenate", lambda **k: layers.Concatenate(**k), [[(5, 3), (5, 1)], [(4, 2, 3), (4, 2, 5), (4, 2, 1)]],
         lambda layer, training, *xs: np.concatenate(xs, -1),
         [(None, [(2, 3, 1), (2, 4, 1)], "Concatenate"), (None, [(2, 3)], "list of at least two")]),
    Case("Concatenate-axis-1", lambda **k: layers.Concatenate(axis=1, **k), [[(4, 2, 3), (4, 5, 3)]],
         lambda layer, training, *xs: np.concatenate(xs, 1), [(None, [(2, 3, 1), (2, 3, 2)], "Concatenate")]),
    Case("Concatenate-images", lambda **k: layers.Concatenate(axis=-2, **k), [[(2, 3, 4, 5), (2, 3, 1, 5)]],
         lambda layer, training, *xs: np.concatenate(xs, 2), [(None, [(3, 4), (3, 4)], "the batch")]),
    dotted("na,na->n", 1, [(5, 3), (5, 3)]), dotted("nas,nbs->nab", 2, [(2, 3, 5), (2, 4, 5)]),
    dotted("nsa,nbs->nab", [1, -1], [(2, 5, 3), (2, 4, 5)]), dotted("na,nba->nb", (1, 2), [(2, 5), (2, 3, 5)]),
    dotted("nas,nbs->nab", 2, [(2, 3, 5), (2, 4, 5)], True), dotted("na,na->n", -1, [(5, 3), (5, 3)], True),
]
