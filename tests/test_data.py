"""Arrays in memory as the canonical form: what is taken, what is copied, what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastnn.models import arrays, order
from fastnn.models.arrays import check_labels
from fastnn.models.data import ArrayData, adapt, training_data
from fastnn.models.order import batches, epoch_order, epoch_runs

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
CONVERTED = {"bool": "uint8", "uint16": "int32", "uint32": "int64", "uint64": "int64", "float16": "float32",
             "longdouble": "float32"}


pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass")


def layouts(a):
    """The same values (n, m) in every form that an array can have."""
    padded = np.zeros((a.shape[0] * 2, a.shape[1] * 3), a.dtype)
    padded[::2, ::3] = a
    unaligned = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    unaligned[...] = a
    frozen = a.copy()
    frozen.flags.writeable = False
    return {
        "strided": padded[::2, ::3],
        "negative": a[::-1, ::-1].copy()[::-1, ::-1],
        "fortran": np.asfortranarray(a),
        "big-endian": a.astype(a.dtype.newbyteorder(">")),
        "read-only": frozen,
        "unaligned": unaligned,
        "broadcast": np.broadcast_to(a[:1], a.shape),
        "matrix": np.asmatrix(a),
        "unmasked": np.ma.array(a),
    }


LAYOUTS = ["strided", "negative", "fortran", "big-endian", "read-only", "unaligned", "broadcast", "matrix", "unmasked"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_contiguous_arrays_are_not_copied(dtype):
    x, y = np.ones((5, 2, 3), dtype), np.zeros(5, dtype)
    x.flags.writeable = False
    got = ArrayData(x, y)
    assert np.shares_memory(got.x[0], x) and np.shares_memory(got.y[0], y)
    assert got.x[0].dtype == CONVERTED.get(dtype, dtype)
    assert got.n == 5 and got.x_names is None and got.sample_weight == []
    assert np.shares_memory(got.rows(1, 3).x[0], x) and got.rows(1, 3).n == 2
    assert not np.shares_memory(got.take(np.array([1, 2])).x[0], x)


@pytest.mark.parametrize("dtype", dict.fromkeys(DTYPES + list(CONVERTED)))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_and_dtype(layout, dtype):
    a = (np.arange(12) % 2 if dtype == "bool" else np.arange(12)).reshape(4, 3).astype(dtype)
    given_array = layouts(a)[layout]
    before = np.array(given_array)
    got = ArrayData(given_array).x[0]
    assert got.dtype == CONVERTED.get(dtype, dtype) and got.dtype.isnative
    assert got.flags.c_contiguous and got.flags.aligned and type(got) is np.ndarray
    np.testing.assert_array_equal(got, before)
    np.testing.assert_array_equal(given_array, before)


@given(hnp.arrays(st.sampled_from(DTYPES[:-2]), hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)))
def test_lists_are_arrays(a):
    np.testing.assert_array_equal(ArrayData(a.tolist()).x[0], a)
    np.testing.assert_array_equal(ArrayData(tuple(a.tolist())).x[0], a)


def test_several_inputs():
    a, b = np.zeros((3, 2)), np.ones((3, 4), np.uint8)
    for x in ([a, b], (a, b), [a, b.tolist()]):
        got = ArrayData(x)
        assert [v.shape for v in got.x] == [(3, 2), (3, 4)] and got.x_names is None
    got = ArrayData({"left": a, "right": b}, {"out": [1, 2, 3]})
    assert got.x_names == ["left", "right"] and got.y_names == ["out"]
    assert len(ArrayData([a]).x) == 1
    assert ArrayData([np.float32(1), np.float32(2)]).x[0].tolist() == [1, 2]
    assert ArrayData([(1, 2), (3, 4)]).x[0].shape == (2, 2)
    assert ArrayData(range(4)).n == adapt(range(4)).n == 4


def test_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [0.5, 1.5, 2.5], "c": [True, False, True]})
    got = ArrayData(frame, frame["a"])
    assert got.x[0].tolist() == [[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1]] and got.x[0].dtype == np.float64
    assert got.x[0].flags.c_contiguous and got.y[0].tolist() == [1, 2, 3]
    assert ArrayData(frame[["a"]].astype("uint8")).x[0].dtype == np.uint8
    assert ArrayData(frame.convert_dtypes()).x[0].tolist() == got.x[0].tolist()
    assert ArrayData(frame["a"].astype("Int64")).x[0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="x must hold numbers, but its column 'city' is of dtype"):
        ArrayData(pd.DataFrame({"n": [1], "city": ["Ulm"]}))
    with pytest.raises(ValueError, match="y must hold numbers"):
        ArrayData([1, 2], pd.Series(["a", "b"]))
    for column in (pd.Series([1, None], dtype="Int64"), pd.Series([1.0, None])):
        with pytest.raises(ValueError, match=r"y\[1\] is nan"):
            ArrayData([1, 2], column)
    with pytest.raises(ValueError, match=r"x\[1, 0\] is nan"):
        ArrayData(pd.DataFrame({"a": pd.Series([1, None], dtype="Int64")}))
    with pytest.raises(ValueError, match="column 'when'"):
        ArrayData(pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}))


def test_what_has_array_is_taken():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3, dtype=np.float32)

    assert adapt(Tensor()).x[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (np.array([[1], None], object), "x must hold numbers, but its dtype is object .*of type list"),
        (np.zeros(3, complex), "dtype is complex128; give real and imaginary"),
        (np.array(["a", "b"]), "encode text"),
        (["a", 1], "encode text"),
        ("abc", "encode text"),
        (np.zeros(2, "M8[D]"), "give times as numbers"),
        (np.zeros(2, [("a", float)]), "must hold numbers"),
        ([[1, 2], [3]], "its rows differ in length"),
        (5, "must have rows, but is the single number 5"),
        ([], r"x is empty: its shape is \(0,\)"),
        (np.zeros((0, 4)), r"x is empty: its shape is \(0, 4\)"),
        (np.zeros((4, 0)), r"x is empty: its shape is \(4, 0\)"),
        ({}, "empty dict"),
        (None, "x is missing"),
        ([np.zeros(2), None], r"x\[1\] is missing"),
        ({"a": np.zeros(2), "b": ["z"]}, r"x\['b'\] must hold numbers"),
        ([np.zeros(2), np.zeros(3)], r"equally many rows, but have 2 \(x\), 3 \(x\)"),
        (np.array([1, np.nan]), r"x\[1\] is nan"),
        (np.array([[1, 2], [np.inf, 3]], "float32"), r"x\[1, 0\] is inf"),
        (np.array([1, -np.inf], "float16"), r"x\[1\] is -inf"),
        (np.array([1, 1e300]), r"x\[1\] is 1e\+300, but float32 ends at"),
        (np.array([2**64 - 1], "uint64"), "which int64 cannot hold"),
        ([2**70], "dtype is object"),
        (np.ma.array([1.0, 2.0], mask=[True, False]), "masked array with hidden values"),
        (object(), "must be arrays or give batches, but is of type object"),
        (lambda: None, "is of type function: call it"),
    ],
    ids=lambda v: type(v).__name__ if " at 0x" in str(v) else str(v),  # ids are the same in each process
)
def test_refused(x, sentence):
    with pytest.raises(ValueError, match=sentence):
        adapt(x)


def test_sparse_is_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=r"x is a sparse matrix \(csr_array\): give x.toarray\(\)"):
        adapt(sparse.csr_array(np.eye(3)))


@given(st.integers(1, 300000), st.floats(0, 1, exclude_max=True), st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_bad_value_is_found_wherever_it_is(n, share, bad):
    x, place = np.zeros(n, np.float32), int(share * n)
    x[place] = bad
    with pytest.raises(ValueError, match=rf"^x\[{place}\] is {bad}, "):
        arrays.as_array(x, "x")


def test_limits_of_float32_pass():
    top = np.finfo(np.float32).max
    assert ArrayData(np.array([top, -top], np.float64)).n == 2
    assert ArrayData(np.array([top, -top, 1e-45], np.float32)).n == 3


# ---------------------------------------------------------------------------------- weights and labels


def test_sample_weight():
    y = np.zeros((4, 3))
    for weight in ([1, 2, 3, 4], np.array([[1], [2], [3], [4]], "float16")):
        got = ArrayData(y, y, weight).sample_weight
        assert len(got) == 1 and got[0].dtype == np.float32 and got[0].tolist() == [1, 2, 3, 4]
        assert got[0].flags.c_contiguous
    assert ArrayData(y, y, np.ones((4, 3))).sample_weight[0].shape == (4, 3)
    assert ArrayData(y, None, np.ones(4)).sample_weight[0].shape == (4,)
    both = ArrayData(y, [y, y], np.ones(4)).sample_weight
    assert len(both) == 2 and both[1].shape == (4,)
    named = ArrayData(y, {"a": y, "b": y}, {"b": np.ones(4)}).sample_weight
    assert named[0] is None and named[1].shape == (4,)


@pytest.mark.parametrize(
    ("y", "weight", "sentence"),
    [
        (np.zeros(4), np.ones(3), "sample_weight has 3 rows, but the data has 4"),
        (np.zeros(4), np.ones((4, 2)), r"sample_weight has shape \(4, 2\), but must have \(4,\)"),
        (np.zeros((4, 3)), np.ones((4, 2)), r"or the leading axes of a y of shape \(4, 3\)"),
        (np.zeros(4), [1, 2, np.nan, 1], r"sample_weight\[2\] is nan"),
        (np.zeros(4), ["a"] * 4, "sample_weight must hold numbers"),
        ([np.zeros(4), np.zeros(4)], [np.ones(4)], "holds 1 arrays, but there are 2 targets"),
        ([np.zeros((4, 2)), np.zeros((4, 2))], np.ones((4, 2)), r"must have \(4,\)"),
        ({"a": np.zeros(4)}, {"b": np.ones(4)}, "names the target 'b'"),
        (np.zeros(5), None, r"equally many rows, but have 4 \(x\), 5 \(y\)"),
    ],
)
def test_wrong_sample_weight(y, weight, sentence):
    with pytest.raises(ValueError, match=sentence):
        ArrayData(np.zeros(4), y, weight)


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=30), st.dictionaries(st.integers(0, 5), st.floats(0, 10, width=32))
)
def test_class_weight(labels, weight):
    want = np.array([weight.get(label, 1.0) for label in labels], np.float32)
    y = np.array(labels)
    for form in (y, y[:, None], y.astype("uint8"), y.astype("float64"), np.eye(6)[y]):
        got = ArrayData(np.zeros(len(y)), form, class_weight=weight, classes=6).sample_weight
        assert len(got) == 1 and got[0].dtype == np.float32 and got[0].tolist() == want.tolist()


@pytest.mark.parametrize(
    ("y", "weight", "sentence"),
    [
        ([0, 1], {2: 1.0}, "names class 2, but the classes are 0 to 1"),
        ([[0, 1, 0], [0, 0, 1]], {3: 1.0}, "names class 3, but the classes are 0 to 2"),
        ([0, 1], {-1: 1.0}, "names class -1"),
        ([0, 1], {"a": 1.0}, "a class is an integer, but 'a'"),
        ([0, 1], {1: float("nan")}, "the weight of class 1 must be a finite number"),
        ([0, 1], {1: "2"}, "the weight of class 1 must be a finite number"),
        ([0, 1], [1.0, 2.0], "must be a dict"),
        ([0, 1], "balancd", "or 'balanced', but is 'balancd'"),
        ([-1, 1], {1: 2.0}, "labels of at least 0, but y holds -1"),
        ([0.5, 1], {1: 2.0}, r"y\[0\] is 0.5, but a class label is an integer"),
        (np.zeros((2, 2, 2)), {1: 2.0}, "classes are labels"),
        ([np.zeros(2), np.zeros(2)], {1: 2.0}, "exactly one target, but y holds 2"),
        (None, {1: 2.0}, "exactly one target, but y holds 0"),
    ],
)
def test_wrong_class_weight(y, weight, sentence):
    with pytest.raises(ValueError, match=sentence):
        ArrayData(np.zeros(2), y, class_weight=weight)


def test_balanced_class_weights_are_scikit_learns():
    sk = pytest.importorskip("sklearn.utils.class_weight")
    y = np.array([0, 4, 4, 1, 4, 4, 0])  # 2 and 3 are not there
    for form in (y, np.eye(5)[y]):
        got = ArrayData(np.zeros(7), form, class_weight="balanced", classes=5).sample_weight[0]
        np.testing.assert_allclose(got, sk.compute_sample_weight("balanced", y), rtol=1e-6)


def test_balanced_weights_follow_from_the_rows_that_are_trained_on():
    train, last = training_data(np.zeros(6), [0, 1, 1, 1, 0, 0], class_weight="balanced", validation_split=0.34)
    assert train.n == 3 and train.sample_weight[0].tolist() == [1.5, 0.75, 0.75] and last.sample_weight == []


def test_class_weight_and_sample_weight():
    with pytest.raises(ValueError, match="cannot both be given"):
        ArrayData([1, 2], [0, 1], [1, 1], {0: 2})


def test_check_labels():
    y = np.array([0, 9], "uint8")
    assert check_labels(y, 10) is y
    got = check_labels(np.array([[0.0], [2.0]]), 3)
    assert got.dtype == np.int32 and got.tolist() == [[0], [2]]
    assert check_labels(np.array([True, False]), 2).dtype == bool
    for bad, sentence in [
        ([0, 3], r"labels\[1\] is 3, but the labels of 3 classes are 0 to 2"),
        ([[0], [-1]], r"labels\[1, 0\] is -1"),
        ([0.5], r"labels\[0\] is 0.5, but a class label is an integer"),
        ([np.nan], r"labels\[0\] is nan"),
        (["a"], "labels must hold integer labels"),
        ([2**62], "is 4611686018427387904"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            check_labels(np.array(bad), 3, "labels")


# ---------------------------------------------------------------------------------- rows and orders


@given(st.integers(1, 200), st.floats(0.01, 0.99))
def test_split(n, share):
    whole = ArrayData(np.arange(n), np.arange(n), np.arange(n))
    at = math.floor(n * (1.0 - share))
    if at in (0, n):
        with pytest.raises(ValueError, match="leaves one of the two parts empty"):
            whole.split(share)
        return
    train, last = whole.split(share)
    assert train.n == at and train.x[0].tolist() == list(range(at)) and last.y[0].tolist() == list(range(at, n))
    assert last.sample_weight[0].tolist() == last.x[0].tolist()
    assert np.shares_memory(train.x[0], whole.x[0])


@pytest.mark.parametrize("share", [1.0, -0.1, "0.1", True, float("nan")])
def test_wrong_split(share):
    with pytest.raises(ValueError, match="validation_split must be a number between 0 and 1"):
        training_data(np.zeros(10), validation_split=share)


def test_validation_part_is_not_weighted_by_class():
    train, last = training_data(np.zeros(4), [0, 1, 1, 0], class_weight={1: 3.0}, validation_split=0.5)
    assert train.sample_weight[0].tolist() == [1, 3] and last.sample_weight == []


def test_batches():
    assert batches(7, 3) == (2, 1) and batches(3, 7) == (0, 3)
    assert ArrayData(np.zeros(7)).num_batches(3) == 3 and ArrayData(np.zeros(6)).num_batches(np.int64(3)) == 2
    assert order.check_batch_size(None) == 32
    for bad in (0, -1, 2.0, "3", True):
        with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, but is"):
            batches(7, bad)
        with pytest.raises(ValueError, match="steps_per_epoch must be an integer"):
            order.check_steps(bad)


@given(st.integers(1, 300), st.integers(0, 2**64), st.integers(0, 50))
def test_epoch_order(n, seed, epoch):
    order = epoch_order(n, True, seed, epoch)
    assert order.dtype == np.int64 and sorted(order) == list(range(n))
    assert (order == epoch_order(n, True, np.random.SeedSequence(seed), epoch)).all()
    if n > 20:
        assert (order != epoch_order(n, True, seed, epoch + 1)).any()
        assert (order != epoch_order(n, True, seed + 1, epoch)).any()


@given(st.integers(1, 40), st.integers(1, 45), st.booleans())
def test_one_pass_takes_each_row_once(n, size, shuffle):
    runs = epoch_runs(n, size, shuffle, 3, 2)
    assert all(rows.dtype == np.int64 and len(rows) % count == 0 and len(rows) for rows, count in runs)
    assert sorted(np.concatenate([rows for rows, _ in runs])) == list(range(n))
    assert np.concatenate([rows for rows, _ in runs]).tolist() == epoch_order(n, shuffle, 3, 2).tolist()


@given(st.integers(1, 40), st.integers(1, 45), st.integers(1, 30), st.integers(1, 6))
def test_steps_per_epoch_goes_on_where_it_stopped(n, size, steps, epochs):
    def as_batches(runs):
        return [rows[i : i + count].tolist() for rows, count in runs for i in range(0, len(rows), count)]

    got = [as_batches(epoch_runs(n, size, True, 5, epoch, steps)) for epoch in range(epochs)]
    assert all(len(epoch) == steps for epoch in got)
    passes = -(-steps * epochs // (-(-n // size)))
    want = [batch for number in range(passes) for batch in as_batches(epoch_runs(n, size, True, 5, number))]
    assert [batch for epoch in got for batch in epoch] == want[: steps * epochs]


def test_repr():
    text = repr(ArrayData({"a": np.zeros((2, 3))}, [[0], [1]], [1, 2]))
    assert text == "ArrayData(2 rows, x: float64[3], y: int64[1], sample_weight: float32[])"
