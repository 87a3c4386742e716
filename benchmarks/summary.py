"""From single runs to one row per peer and scenario. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.arithmetic import Spread, median_ratio, spread
from benchmarks.measure import Measurement
from benchmarks.plan import C_LIMIT, ORIGINAL, Metric, ScenarioPlan

__all__ = ["Figure", "Row", "Section", "summarise"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of one peer.

    Attributes:
        by_round: the figure of each successful run.
        spread: over the rounds; None when every run failed.
        to_limit, to_original: how many times the figure of the C limit, of CaChannel 3.2.
    """

    by_round: Mapping[int, float]
    spread: Spread | None
    to_limit: float | None = None
    to_original: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One peer in one scenario.

    Attributes:
        figures: metric key -> figure.
        done, expected: medians over the successful runs.
        runs, failed: how many were made, how many of them gave no result.
        error: the last failure's message, '' when there was none.
        library: what was measured.
    """

    peer: str
    figures: Mapping[str, Figure]
    done: float
    expected: float
    runs: int
    failed: int
    error: str
    library: str

    @property
    def is_complete(self) -> bool:
        """Whether every run did what it was asked to.

        Monitors are due at a rate, which the window may miss by a fraction of a scan; two per
        cent are allowed for that.
        """
        return self.failed == 0 and self.done >= 0.98 * self.expected


@dataclass(frozen=True, slots=True)
class Section:
    """One scenario."""

    scenario: ScenarioPlan
    rows: Sequence[Row]


def _figure(metric: Metric, runs: Iterable[Measurement]) -> Figure:
    # A run that did nothing of what it was asked to has no figure: nothing, done fast, is no feat.
    by_round = {run.round: metric.value(run) for run in runs if not run.error and run.done > 0}
    return Figure(by_round, spread(list(by_round.values())))


def _compared(figure: Figure, limit: Figure | None, original: Figure | None) -> Figure:
    return Figure(
        figure.by_round,
        figure.spread,
        median_ratio(figure.by_round, limit.by_round) if limit else None,
        median_ratio(figure.by_round, original.by_round) if original else None,
    )


def summarise(
    scenarios: Iterable[ScenarioPlan], measurements: Sequence[Measurement]
) -> list[Section]:
    """Return a section for each scenario that was run, with its peers in order of appearance."""
    sections = []
    for scenario in scenarios:
        runs: dict[str, list[Measurement]] = {}
        for measurement in measurements:
            if measurement.scenario == scenario.name:
                runs.setdefault(measurement.peer, []).append(measurement)
        figures = {
            peer: {metric.key: _figure(metric, of_peer) for metric in scenario.metrics}
            for peer, of_peer in runs.items()
        }
        rows = [_row(peer, of_peer, figures) for peer, of_peer in runs.items()]
        if rows:
            sections.append(Section(scenario, rows))
    return sections


def _row(
    peer: str, runs: Sequence[Measurement], figures: Mapping[str, Mapping[str, Figure]]
) -> Row:
    good = [run for run in runs if not run.error]
    errors = [run.error for run in runs if run.error]
    limit, original = figures.get(C_LIMIT, {}), figures.get(ORIGINAL, {})
    return Row(
        peer=peer,
        figures={
            key: _compared(figure, limit.get(key), original.get(key))
            for key, figure in figures[peer].items()
        },
        done=statistics.median(run.done for run in good) if good else 0.0,
        expected=statistics.median(run.expected for run in good) if good else 0.0,
        runs=len(runs),
        failed=len(errors),
        error=errors[-1] if errors else "",
        library=good[-1].library if good else "",
    )
