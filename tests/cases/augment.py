"""Augmentation: every kind of map and fill, pictures larger and smaller than images, boxes in and out of them."""

import numpy as np

from fastnn.kernels import augment as a
from tests.cases import Case

KINDS = ({"mirror_columns": 0.5}, {"mirror_rows": 0.5, "mirror_columns": 0.5}, {"turn_low": -1.3, "turn_high": 1.4},
         {"zoom_rows_low": 0.7, "zoom_rows_high": 1.3, "zoom_columns_low": 0.5, "zoom_columns_high": 0.9},
         {"zoom_rows_low": 0.7, "zoom_rows_high": 1.3, "same_zoom": 1.0},
         {"shift_rows_low": -0.3, "shift_rows_high": 0.2, "shift_columns_high": 0.4},
         {"crop_rows": 4, "crop_columns": 1})


def draws(n, before=False):
    return lambda rng: (rng.random((n, 7)), rng.normal(size=(n, 6)) if before else None)


def pictures(shape, spread=1.0):
    def make(rng):
        m = np.array([1, 0, 0, 0, 1, 0]) + rng.normal(size=(shape[0], 6)) * np.array([.3, .3, 3, .3, .3, 3]) * spread
        return rng.normal(size=shape), m
    return make


def pasted(shape, other=False, turn=False):
    def make(rng):
        box = np.concatenate([rng.uniform(-1, 3, (shape[0], 2)), rng.uniform(1, 7, (shape[0], 2))], 1)
        return (rng.normal(size=shape), box, rng.normal(size=shape) if other else None,
                rng.random(1) if turn else None)
    return make


CASES = []
for kind, attrs in enumerate(KINDS):
    for n in (1, 5, 33):
        CASES.append(Case(a.affine_matrix, draws(n, n == 5), {"height": 7, "width": 12, **attrs}, f"{kind} {n}",
                          exact=True))
for shape, size in (((1, 1, 1, 1), (2, 3)), ((3, 5, 7, 1), (5, 7)), ((2, 6, 4, 3), (3, 70)), ((2, 3, 9, 17), (4, 2))):
    for mode in a.MODES:
        for bilinear in (0.0, 1.0):
            attrs = {"size": size, "mode": mode, "bilinear": bilinear, "value": 0.5}
            CASES.append(Case(a.affine_sample, pictures(shape), attrs, f"{shape} {size} {mode} {bilinear:g}",
                              exact=True))
CASES.append(Case(a.affine_sample, pictures((2, 4, 5, 2), 1e12), {"size": (3, 3), "mode": "constant"}, "far",
                  exact=True))
for shape in ((1, 1, 1, 1), (3, 5, 7, 2), (5, 6, 4, 16)):
    CASES += [Case(a.paste_boxes, pasted(shape, *which), {"value": 0.25}, f"{shape} {which}", exact=True)
              for which in ((False, False), (True, False), (True, True))]
for shape in ((1, 3), (2, 17), (7, 3, 5), (4,), (0, 3)):
    CASES.append(Case(a.mix_rows, lambda rng, shape=shape: (rng.normal(size=shape), rng.random(shape[:1]),
                                                            rng.random(1)), {}, f"{shape}", exact=True))
for n in (0, 1, 17, 100):
    CASES.append(Case(a.quantile, lambda rng, n=n: (rng.random(n), np.sort(rng.normal(size=9))), {}, f"{n}",
                      exact=True))
CASES.append(Case(a.quantile, lambda rng: (np.array([0.0, 1.0, 0.5]), np.array([2.0, 3.0])), {}, "ends", exact=True))
