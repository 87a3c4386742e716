"""The arithmetic of the benchmark report. Nothing here measures a time."""

from __future__ import annotations

import json

import pytest

from benchmarks.arithmetic import Spread, median_ratio, spread
from benchmarks.bars import BARS, Bar, Kind, Verdict, judge
from benchmarks.measure import Measurement
from benchmarks.peers.protocol import (
    Parameters,
    Result,
    Stopwatch,
    matching,
    middle_pass,
    names,
    offsets,
)
from benchmarks.plan import C_LIMIT, ORIGINAL, PEERS, SCENARIOS, Size
from benchmarks.report import as_document
from benchmarks.summary import Section, summarise

FULL = Size.of_full_run()


def run(
    peer: str, number: int, seconds: float, done: float = 10, expected: float = 10
) -> Measurement:
    return Measurement("get_all", peer, number, "", seconds, seconds, done, expected)


def failed(peer: str, number: int) -> Measurement:
    return Measurement("get_all", peer, number, "no such module")


def only_section(*measurements: Measurement) -> Section:
    (section,) = summarise(SCENARIOS, measurements)
    return section


def test_spread_is_median_and_extremes() -> None:
    assert spread([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)


def test_spread_of_nothing_is_none() -> None:
    assert spread([]) is None


def test_ratio_is_taken_within_rounds() -> None:
    # The machine was three times slower in round 1, for both: the ratio stays 2.
    assert median_ratio({0: 2.0, 1: 6.0}, {0: 1.0, 1: 3.0}) == 2.0


def test_ratio_ignores_rounds_that_only_one_side_has() -> None:
    assert median_ratio({0: 2.0, 1: 100.0}, {0: 1.0}) == 2.0


def test_ratio_without_a_common_round_compares_medians() -> None:
    assert median_ratio({0: 4.0, 1: 6.0}, {2: 2.0}) == 2.5


@pytest.mark.parametrize(
    ("values", "reference"), [({}, {0: 1.0}), ({0: 1.0}, {}), ({0: 1.0}, {0: 0.0})]
)
def test_ratio_to_nothing_is_none(values: dict[int, float], reference: dict[int, float]) -> None:
    assert median_ratio(values, reference) is None


def test_row_has_rates_and_ratios() -> None:
    section = only_section(
        run(C_LIMIT, 0, 1.0), run("ours", 0, 2.0), run(ORIGINAL, 0, 4.0),
        run(C_LIMIT, 1, 1.0), run("ours", 1, 2.5), run(ORIGINAL, 1, 5.0),
    )  # fmt: skip
    ours = section.rows[1]
    rate = ours.figures["per_second"]
    assert ours.peer == "ours"
    assert rate.spread == Spread(4.5, 4.0, 5.0)
    assert rate.to_limit == pytest.approx(0.45)
    assert rate.to_original == pytest.approx(2.0)
    assert ours.is_complete


def test_failures_are_counted_and_told() -> None:
    row = only_section(run("aioca", 0, 1.0), failed("aioca", 1)).rows[0]
    assert (row.runs, row.failed, row.error) == (2, 1, "no such module")
    assert row.figures["per_second"].spread == Spread(10.0, 10.0, 10.0)
    assert not row.is_complete


def test_peer_that_always_failed_has_a_row_without_figures() -> None:
    row = only_section(failed("aioca", 0)).rows[0]
    assert row.figures["per_second"].spread is None
    assert (row.done, row.expected) == (0, 0)


def test_rate_counts_only_what_was_done_and_the_loss_shows() -> None:
    row = only_section(run("aioca", 0, 1.0, done=5)).rows[0]
    assert row.figures["per_second"].spread == Spread(5.0, 5.0, 5.0)
    assert not row.is_complete


def test_run_that_did_nothing_is_not_fast() -> None:
    row = only_section(run("aioca", 0, 0.001, done=0)).rows[0]
    assert row.figures["per_second"].spread is None


@pytest.mark.parametrize(
    ("at_most", "measured", "held"),
    [(True, 2.0, True), (True, 2.1, False), (False, 2.0, True), (False, 1.9, False),
     (True, None, None)],
)  # fmt: skip
def test_bar_is_a_ceiling_or_a_floor(
    at_most: bool, measured: float | None, held: bool | None
) -> None:
    bar = Bar("title", "get_all", "ours", "per_second", Kind.VALUE, 2.0, at_most)
    assert Verdict(bar, measured).is_held is held


@pytest.mark.parametrize(
    ("kind", "reference", "measured"),
    [(Kind.VALUE, "", 5.0), (Kind.RATIO, C_LIMIT, 0.5), (Kind.RATIO, ORIGINAL, 2.0),
     (Kind.DIFFERENCE, ORIGINAL, 2.5)],
)  # fmt: skip
def test_bar_measures_by_its_kind(kind: Kind, reference: str, measured: float) -> None:
    section = only_section(run(C_LIMIT, 0, 1.0), run("ours", 0, 2.0), run(ORIGINAL, 0, 4.0))
    bar = Bar("title", "get_all", "ours", "per_second", kind, 1.0, False, reference)
    (verdict,) = judge([section], [bar])
    assert verdict.measured == pytest.approx(measured)


def test_bar_of_a_peer_that_was_not_measured_gives_no_verdict() -> None:
    assert judge([only_section(run(C_LIMIT, 0, 1.0))]) == []


def test_every_bar_names_a_scenario_peer_and_metric_that_exist() -> None:
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    peers = {peer.name: peer for peer in PEERS}
    for bar in BARS:
        scenario = scenarios[bar.scenario]
        assert peers[bar.peer].can(scenario)
        assert bar.metric in {metric.key for metric in scenario.metrics}
        if bar.kind is not Kind.VALUE:
            assert peers[bar.reference].can(scenario)


def test_document_is_json_and_keeps_every_run() -> None:
    measurements = [run(C_LIMIT, 0, 1.0), run("ours", 0, 2.0), failed("aioca", 0)]
    sections = summarise(SCENARIOS, measurements)
    document = json.loads(json.dumps(as_document(sections, judge(sections), measurements, FULL)))
    assert len(document["runs"]) == 3
    peers = document["scenarios"]["get_all"]["peers"]
    assert peers["ours"]["metrics"]["per_second"]["times_c_limit"] == 0.5
    assert peers["aioca"]["metrics"]["per_second"]["median"] is None


def test_middle_pass_is_the_median_by_time() -> None:
    passes = [Result(seconds, 0.0, 10, 10) for seconds in (5.0, 1.0, 2.0)]
    assert middle_pass(passes).seconds == 2.0


def test_pass_that_lost_something_stands_for_the_run() -> None:
    passes = [Result(1.0, 0.0, 10, 10), Result(9.0, 0.0, 7, 10), Result(2.0, 0.0, 9, 10)]
    assert middle_pass(passes).done == 7


def test_offsets_differ_between_passes_and_are_exact() -> None:
    values = offsets(Parameters({"offset": "3", "passes": "3"}))
    assert values == [3.0, 3.0625, 3.125]


def test_matching_counts_equal_values_and_not_the_missing_ones() -> None:
    assert matching([1.0, None, 3.0], [1.0, 2.0, 4.0]) == 1


def test_names_are_prefix_and_index() -> None:
    assert names(Parameters({"prefix": "p", "count": "3"})) == ["p0", "p1", "p2"]


def test_result_of_a_stopwatch_is_plain_floats() -> None:
    numpy = pytest.importorskip("numpy")
    result = Stopwatch().result(numpy.int64(3), 3, "library")
    assert type(result.done) is float
