"""The cost model: where data is, what calls take, how levels add up."""

import math

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels import dense as dense_kernels
from fastnn.kernels import optim
from fastnn.kernels.elementwise import add, affine
from fastnn.kernels.embedding import embedding, row_sgd, token_order
from fastnn.kernels.spec import KERNELS, Array, Call
from fastnn.program import costs, residency, timeline
from fastnn.program.graph import Graph
from fastnn.program.model import forecast
from fastnn.program.program import Program
from fastnn.program.residency import Caches, Fetched, Recent
from fastnn.program.variable import Variable

from .machines import KIB, MIB, SIZES, made_up, roof  # noqa: F401


def described(kernel, *inputs, **attrs):
    """A call on arrays of these shapes."""
    arrays = tuple(None if s is None else Array(s) for s in inputs)
    attrs = kernel.complete(attrs)
    return Call(kernel, arrays, tuple(kernel.infer(*arrays, **attrs)), attrs)


def predicted(call, **nbytes):
    return costs.predict(call, (Fetched(nbytes),), costs.Machine(roof(), 16))


# ---------------------------------------------------------------------- where data is

def test_reuse_distances_are_those_of_a_stack_of_bytes():
    rng = np.random.default_rng(0)
    recent, stack = Recent(), []  # the latest last
    for _ in range(300):
        memory, start = int(rng.integers(2)), int(rng.integers(30))
        stop = start + int(rng.integers(1, 12))
        want = {}
        touched = [(memory, b) for b in range(start, stop)]
        for byte in touched:
            later = None if byte not in stack else sum(
                1 for other in stack[stack.index(byte) + 1:] if other not in touched)
            want[later] = want.get(later, 0) + 1
        got = {}
        for nbytes, distance in recent.touch(memory, start, stop):
            got[distance] = got.get(distance, 0) + nbytes
        assert sum(got.values()) == stop - start
        # Pieces that were touched together share one distance; byte by byte the distances only spread around it.
        assert got.get(None, 0) == want.get(None, 0)
        assert max((d for d in got if d is not None), default=0) <= max((d for d in want if d is not None), default=0)
        stack = [b for b in stack if b not in touched] + touched
        assert recent.nbytes == len(stack)


def test_a_piece_is_as_far_as_what_was_touched_since():
    recent = Recent()
    assert recent.touch("a", 0, 100) == [(100, None)]
    recent.touch("b", 0, 40)
    assert recent.touch("a", 0, 50) == [(50, 40)]
    assert sorted(recent.touch("a", 0, 100)) == [(50, 0), (50, 40)], "its own bytes do not count"


def test_caches_hold_less_the_further_away_something_is():
    caches = Caches(SIZES)
    for distance in (0, 1000, 16 * KIB, 100 * KIB, 128 * KIB, MIB, 2 * MIB, 100 * MIB):
        assert sum(caches.split(distance).values()) == pytest.approx(1)
    assert caches.split(8 * KIB) == {"L1": 1.0}
    assert caches.split(128 * KIB) == {"L2": 0.5, "L3": 0.5}
    assert caches.split(100 * MIB) == {"memory": 1.0}
    assert Caches({}).split(1) == {"memory": 1.0}
    assert Caches(SIZES, 4).split(32 * KIB) == {"L1": 1.0}
    assert Caches(SIZES, 4).split(2 * MIB) == {"L3": 0.5, "memory": 0.5}, "the last level is shared"


def chain(n, count=3):
    graph = Graph("chain")
    x = graph.feed("x", (n,), np.float32)
    with graph.active():
        for _ in range(count):
            x = affine(x, scale=2.0, offset=1.0)
    graph.fetch("y", x)
    return Program(graph, "numpy")


def test_what_the_call_before_wrote_is_near():
    program = chain(6 * KIB)
    found = residency.fetched(program, Caches(SIZES))
    assert all("memory" not in f.nbytes and f.nbytes["L2"] >= 0.75 * 48 * KIB for (f,) in found)
    large = residency.fetched(chain(4 * MIB), Caches(SIZES))
    assert all(set(f.nbytes) == {"memory"} for (f,) in large)
    assert all(f.nbytes["memory"] == 2 * 16 * MIB for (f,) in large), "what is written is fetched too"
    assert all(f.starts["memory"] == 2 * residency.AHEAD for (f,) in large)


def test_data_of_the_user_is_as_far_as_an_epoch():
    from fastnn.kernels.data import gather_rows

    graph = Graph("gather")
    index = graph.feed("index", (8,), np.int64)
    with graph.active():
        y = gather_rows(graph.source("x", (100, 64), np.float32), index, source="float32")
    graph.fetch("y", y)
    program = Program(graph, "numpy")
    rows = 8 * 64 * 4

    def near(n):
        return residency.fetched(program, Caches(SIZES), n)[0][0].nbytes

    assert near(None)["memory"] == rows and near(10**6)["memory"] == rows
    assert "memory" not in near(100)


def test_a_gradient_that_is_not_stored_is_not_fetched():
    w = Variable(np.zeros((64, 64)), name="w")

    def program(keep):
        graph = Graph("update")
        x, dz = graph.feed("x", (32, 64), np.float32), graph.feed("dz", (32, 64), np.float32)
        with graph.active():
            dw, _ = dense_kernels.dense_grad_weight(x, dz, None)
            optim.sgd(dw.reshape(-1), graph.constant(np.array(0.1)), graph.tensor(w).reshape(-1))
        if keep:
            graph.fetch("dw", dw)
        return Program(graph, "numpy")

    def moved(program):
        return sum(sum(f.nbytes.values()) for f in residency.fetched(program, Caches(SIZES))[0])

    assert any(c.then for c in program(False).calls)
    assert moved(program(True)) - moved(program(False)) >= 64 * 64 * 4


# ---------------------------------------------------------------------- what calls take

def test_costs_name_kernels():
    for key, cost in costs.COSTS.items():
        assert key.partition("/")[0] in KERNELS
        assert min(cost) >= 0 and max(cost) > 0


def test_a_product_takes_its_arithmetic_in_whole_vectors():
    whole, ragged = (predicted(described(dense_kernels.dense, (128, 256), (256, n), (n,))) for n in (112, 100))
    assert whole.arithmetic == pytest.approx(2 * 128 * 256 * 112 / (costs.MICRO * 100e9), rel=0.02)
    assert ragged.arithmetic == pytest.approx(whole.arithmetic, rel=0.01)
    assert whole.bound() == "arithmetic"


def test_products_of_few_rows_wait_for_their_weights():
    call = described(dense_kernels.dense, (1, 1024), (1024, 1024), None)
    found = predicted(call, memory=4 * MIB)
    assert found.seconds > 4 * MIB / 10e9 and found.bound() == "memory"


def test_streams_hide_the_smaller_of_arithmetic_and_traffic():
    call = described(add, (1 << 20,), (1 << 20,))
    near, far = predicted(call), predicted(call, memory=12 << 20)
    assert near.bound() in ("arithmetic", "L1") and far.bound() == "memory"
    assert far.seconds == pytest.approx(far.latency + (12 << 20) / 10e9)
    slow = described(KERNELS["power"], (1 << 20,), (1 << 20,))
    assert predicted(slow, L2=12 << 20).seconds == pytest.approx(predicted(slow).seconds, rel=1e-6)


def test_small_calls_are_latency():
    assert predicted(described(affine, (4,), scale=1.0, offset=0.0)).bound() == "latency"
    call = described(KERNELS["dense"], (512, 512), (512, 512), None)
    assert predicted(call).bound(measured=1e-7) == "latency" and predicted(call).bound(measured=1e-3) == "arithmetic"


def test_verdicts_name_each_level():
    verdicts = [costs.Prediction(1e-8, 1e-6, {level: 2e-6, "L1": 1e-7}, 2e-6).bound()
                for level in ("L2", "L3", "memory")]
    assert verdicts == ["L2", "L3", "memory"]
    assert costs.Prediction(1e-8, 1e-6, {"L1": 9e-7}, 1e-6).bound() == "L1"
    assert costs.Prediction(9e-7, 1e-7, {}, 1e-6).bound() == "latency"


def test_a_kernel_that_the_table_lacks_is_told_from_its_flops_and_bytes(monkeypatch):
    call = described(add, (1000,), (1000,))
    monkeypatch.setattr(costs, "COSTS", {})
    found = predicted(call)
    assert found.arithmetic == pytest.approx(call.kernel.nbytes(call) / 200e9)


def test_every_kernel_of_the_case_list_is_predicted():
    from fastnn.kernels import single
    from tests.cases import all_cases

    seen = set()
    for case in all_cases():
        call = single.describe(case.kernel, case.inputs(), case.attrs)
        for t in (*call.inputs, *call.outputs):
            assert t is None or t.nbytes >= 0
        found = costs.predict(call, (Fetched({"L2": 100.0}),), costs.Machine(roof(), 16))
        assert math.isfinite(found.seconds) and found.seconds > 0
        seen.add(case.kernel.name)
    assert len(seen) > 70


def test_lines_are_rows_columns_or_results():
    loss = described(KERNELS["softmax_cross_entropy_dense"], (32, 10), (32, 10))
    assert costs.extent(loss) == (32, 32 * 16)
    norm = described(KERNELS["batch_norm"], (32, 10), *[(10,)] * 4)
    assert costs.extent(norm) == (10, 32 * 16)
    assert costs.extent(described(KERNELS["reduce_sum"], (32, 10), axes=(0,))) == (10, 320)
    assert costs.extent(described(KERNELS["squared_error"], (32, 1), (32, 1))) == (32, 32 * 16)


# ---------------------------------------------------------------------- how levels add up

class Tiled:
    """A call of so many tiles."""

    def __init__(self, tiles):
        self.kernel = self
        self.count = tiles

    def tiles(self, call):
        return self.count


def levels_of(tiles, level, alone, threads):
    together = [s / threads for s in alone]
    return timeline.timeline([Tiled(n) for n in tiles], level, alone, together, threads)


def test_one_thread_takes_the_sum():
    found = levels_of([4, 4, 1], [0, 0, 1], [1e-4, 2e-4, 5e-5], 1)
    assert [level.seconds for level in found] == [pytest.approx(3e-4), 5e-5]
    assert found[0].longest == 1 and not any(level.shared for level in found)
    assert timeline.step_seconds(found) == pytest.approx(3.5e-4, rel=1e-3)


def test_threads_share_what_has_tiles_and_is_worth_it():
    many, one, small = levels_of([64, 1, 64], [0, 1, 2], [1e-3, 1e-3, 1e-6], 4)
    assert many.shared and many.seconds == pytest.approx(2.5e-4, rel=0.01)
    assert not one.shared and one.seconds == 1e-3 and one.floor == 1e-3
    assert not small.shared and small.seconds == 1e-6
    assert many.floor == pytest.approx(1e-3 / 64 + timeline.MEETING)


def test_a_rest_of_tiles_leaves_threads_without_work():
    (three,) = levels_of([3], [0], [3e-4], 2)
    assert three.seconds == pytest.approx(2e-4, rel=0.02)
    (pair,) = levels_of([1, 1], [0, 0], [3e-4, 1e-4], 2)
    assert pair.seconds == pytest.approx(3e-4, rel=0.02), "no less than its longest tile"


def test_no_level_is_slower_on_more_threads():
    for level in levels_of([2] * 8, list(range(8)), [7e-6] * 8, 16):
        assert level.seconds <= level.work


def test_a_forecast_adds_up(made_up):  # noqa: F811
    program = chain(MIB)
    model = forecast(program, 1)
    assert model.seconds == pytest.approx(sum(p.seconds for p in model.calls), rel=1e-3) == model.alone
    two = forecast(program, 2)
    # Memory gives no more to two than to one.
    assert two.seconds == pytest.approx(two.alone, rel=0.01)
    assert [sum(f.values()) for f in two.fetched] == [8 * MIB] * 3


def test_arithmetic_is_shared_among_threads(made_up):  # noqa: F811
    graph = Graph("product")
    a = graph.feed("a", (512, 512), np.float32)
    with graph.active():
        y = ops.matmul(a, a)
    graph.fetch("y", y)
    model = forecast(Program(graph, "numpy"), 2)
    assert model.seconds == pytest.approx(model.alone / 2, rel=0.05)


def test_of_a_large_table_only_the_rows_that_are_picked_are_fetched():
    def picks(rows):
        graph, width = Graph(), 32
        table = graph.tensor(Variable(np.zeros((rows, width), np.float32)))
        tokens = graph.feed("tokens", (50,), np.int32)
        order, which = token_order(tokens, count=rows)
        y = embedding(tokens, table)
        row_sgd(y, order, which, graph.constant(np.float64(0.1)), table)
        program = Program(graph)
        found = {c.kernel.name: f[0] for c, f in zip(program.calls, residency.fetched(program, Caches(SIZES)))}
        return found["row_sgd"].nbytes, found["embedding"].nbytes, forecast(program, 1).seconds

    for found in picks(100_000)[:2]:
        assert sum(found.values()) < 4 * 50 * 32 * 4 and found["memory"] > 0
    small, large = picks(100)[2], picks(100_000)[2]
    assert small < large < 50 * small
