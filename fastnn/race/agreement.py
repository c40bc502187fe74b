"""Do they compute the same? Before anybody is timed, each result is held against the float64 meaning."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

EPS = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Agreement:
    """How far one contender is from the meaning.

    Attributes
    ----------
    agrees : whether all outputs are within the tolerance.
    ulps : the largest error, in units of the last place of float32 at the output's largest magnitude.
    element_ulps : the largest error in units of the last place of the element itself (large where sums cancel).
    relative : the largest error over the magnitude of the element itself.
    output, index : where `ulps` is.
    note : what else there is to say.
    """

    agrees: bool
    ulps: float = 0.0
    element_ulps: float = 0.0
    relative: float = 0.0
    output: str = ""
    index: tuple[int, ...] = ()
    note: str = ""

    @property
    def place(self) -> str:
        """Output and index of the worst element."""
        return f"{self.output}[{', '.join(map(str, self.index))}]" if self.index else self.output


def compare(got: Mapping[str, np.ndarray], want: Mapping[str, np.ndarray], terms: float = 8.0) -> Agreement:
    """Hold outputs against the meaning; the worst output counts.

    Parameters
    ----------
    got : output slot -> array; a contender need not give all of them.
    want : output slot -> the meaning, in float64 (or whole numbers, which must be equal).
    terms : how many roundings stand behind one element: the error may be ``2 * terms * eps`` times the largest
        magnitude of the output.

    Examples
    --------
    >>> want = {"y": np.array([1.0, 2.0, 3.0])}
    >>> worst = compare({"y": np.array([1.0, 2.5, 3.0], np.float32)}, want)
    >>> worst.agrees, worst.place, worst.relative
    (False, 'y[1]', 0.25)
    >>> compare({"y": np.array([1.0, 2.0, 3.0], np.float32)}, want).agrees
    True
    """
    found = [_compare_one(name, np.asarray(got[name]), np.asarray(want[name]), terms) for name in want if name in got]
    if not found:
        return Agreement(False, note="gives nothing to compare")
    return max(found, key=lambda a: (not a.agrees, a.ulps))


def _compare_one(name: str, got: np.ndarray, want: np.ndarray, terms: float) -> Agreement:
    if got.shape != want.shape:
        return Agreement(False, math.inf, math.inf, math.inf, name, (),
                         f"{name} has the shape {got.shape} instead of {want.shape}")
    if not want.size:
        return Agreement(True, output=name)
    error = _distance(got, want)
    magnitude = np.abs(np.where(np.isfinite(want), want, 0)).astype(np.float64)
    scale = float(magnitude.max())
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(error)), want.shape))
    worst = float(error[index])
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(error == 0, 0.0, error / magnitude)
    whole = want.dtype.kind not in "f"
    return Agreement(bool(worst <= (0.0 if whole else 2 * terms * EPS * scale)), float(worst / _ulp(scale)),
                     float((error / _ulp(magnitude)).max()), float(relative.max()), name, index)


def _distance(got: np.ndarray, want: np.ndarray) -> np.ndarray:
    """|got - want|; 0 where both are the same infinity or both NaN, inf where only one of them is finite."""
    got, want = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        error = np.abs(got - want)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    return np.where(same, 0.0, np.where(np.isfinite(error), error, np.inf))


def _ulp(magnitude):
    """Unit of the last place of float32 at this magnitude."""
    return np.spacing(np.minimum(np.asarray(magnitude), 3e38).astype(np.float32)).astype(np.float64)


def compare_random(got: Mapping[str, np.ndarray], want: Mapping[str, np.ndarray]) -> Agreement:
    """For other random numbers than ours: are they distributed alike?

    Share of zeros, mean and standard deviation have to agree within six standard errors.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ours, theirs = rng.random((2, 10000))
    >>> compare_random({"y": theirs}, {"y": ours}).agrees
    True
    >>> compare_random({"y": theirs + 0.1}, {"y": ours}).agrees
    False
    """
    (name, theirs), = ((n, np.asarray(a, np.float64)) for n, a in got.items())
    ours = np.asarray(want[name], np.float64)
    n = max(ours.size, 1)
    zeros, ours_zeros = float((theirs == 0).mean()), float((ours == 0).mean())
    spread = float(ours.std()) or 1.0
    allowed = 6 * math.sqrt(2 / n)
    agrees = (theirs.shape == ours.shape and np.isfinite(theirs).all()
              and abs(zeros - ours_zeros) <= allowed * 0.5 + 1 / n
              and abs(theirs.mean() - ours.mean()) <= allowed * spread + spread / n
              and abs(theirs.std() - spread) <= 2 * allowed * spread + spread / n)
    note = "other random numbers: "
    note += (f"{zeros:.4f} are zero, of ours {ours_zeros:.4f}" if ours_zeros else
             f"mean {theirs.mean():.4f} and deviation {theirs.std():.4f}, ours {ours.mean():.4f} and {spread:.4f}")
    return Agreement(bool(agrees), output=name, note=note)
