"""Agreement: errors in units of the last place, places, infinities, whole numbers, random numbers."""

import numpy as np
import pytest

from fastnn.race.agreement import EPS, compare, compare_random

f4 = np.float32


def one(got, want, terms=1.0):
    return compare({"y": np.asarray(got)}, {"y": np.asarray(want)}, terms)


def test_units_of_the_last_place():
    want = np.array([4.0, 1.0])
    a = one(np.array([4.0, 1 + 2 * EPS], f4), want)
    # one place at 4 is 4 eps, at 1 it is eps
    assert (a.ulps, a.element_ulps, a.relative, a.place) == (0.5, 2.0, 2 * EPS, "y[1]")


def test_the_bound_is_that_of_the_terms():
    want = np.full(3, 8.0)
    assert one((want * (1 + 7.9 * EPS)), want, terms=4).agrees
    assert not one((want * (1 + 8.1 * EPS)), want, terms=4).agrees


def test_places_in_two_dimensions_and_of_scalars():
    want = np.zeros((3, 4))
    got = want.copy()
    got[1, 2] = 1
    assert one(got, want).place == "y[1, 2]"
    assert one(2.0, 1.0).place == "y"


def test_the_worst_output_counts():
    want = {"a": np.ones(2), "b": np.ones(2)}
    found = compare({"a": np.ones(2), "b": np.array([1.0, 1.5])}, want)
    assert not found.agrees and found.place == "b[1]"


def test_not_all_outputs_need_be_there_but_one():
    want = {"a": np.ones(2), "b": np.ones(2)}
    assert compare({"a": np.ones(2)}, want).agrees
    assert not compare({}, want).agrees


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_only_one_is_not_finite(bad):
    a = one([1.0, bad], [1.0, 2.0])
    assert not a.agrees and a.place == "y[1]" and a.ulps == np.inf
    assert not one([1.0, 2.0], [1.0, bad]).agrees


def test_equal_infinities_and_nan_agree():
    assert one([np.nan, np.inf, -np.inf, 1], [np.nan, np.inf, -np.inf, 1]).agrees
    assert not one([np.inf], [-np.inf]).agrees


def test_whole_numbers_must_be_equal():
    assert one(np.array([3, 4], np.int32), np.array([3, 4])).agrees
    assert not one(np.array([3, 5], np.int32), np.array([3, 4]), terms=1e9).agrees


def test_shapes_and_nothing():
    assert "shape (2,) instead of (3,)" in one(np.ones(2), np.ones(3)).note
    assert one(np.ones(0), np.ones(0)).agrees


def test_other_random_numbers_must_be_distributed_alike():
    rng = np.random.default_rng(0)
    ours = np.where(rng.random(10_000) < 0.2, 0, rng.normal(size=10_000))
    theirs = np.where(rng.random(10_000) < 0.2, 0, rng.normal(size=10_000))
    found = compare_random({"y": theirs}, {"y": ours})
    assert found.agrees and found.note.startswith("other random numbers: 0.2")
    more = np.where(rng.random(10_000) < 0.3, 0, rng.normal(size=10_000))
    assert not compare_random({"y": more}, {"y": ours}).agrees
    assert not compare_random({"y": theirs * 1.3}, {"y": ours}).agrees
    assert not compare_random({"y": theirs * np.nan}, {"y": ours}).agrees
