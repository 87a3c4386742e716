"""The figures this project has promised to hold, and whether one report shows them held."""

from __future__ import annotations

import enum
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.plan import C_LIMIT, ORIGINAL
from benchmarks.summary import Figure, Section

__all__ = ["BARS", "Bar", "Kind", "Verdict", "judge"]


COMPAT = "ours, epics_compat"
PYEPICS = "pyepics"
AIOCA = "aioca"
CAPROTO = "caproto threading"
CAPROTO_ASYNCIO = "caproto asyncio"


class Kind(enum.Enum):
    """What is compared with the bar."""

    RATIO = "times"  # the figure over the reference's
    VALUE = "value"  # the figure itself
    DIFFERENCE = "plus"  # the figure minus the reference's


@dataclass(frozen=True, slots=True)
class Bar:
    """One promise.

    Attributes:
        title: in the report.
        scenario, peer, metric: which figure.
        kind: how it is compared.
        bound: the figure (or ratio, or difference) that must be reached or not exceeded.
        at_most: whether `bound` is a ceiling; else it is a floor.
        reference: peer compared with; unused for `Kind.VALUE`.
    """

    title: str
    scenario: str
    peer: str
    metric: str
    kind: Kind
    bound: float
    at_most: bool
    reference: str = ""


BARS = (
    Bar("connect: time, times CaChannel", "connect", "ours", "milliseconds", Kind.RATIO, 1.0, True,
        ORIGINAL),
    Bar("connect: time, times the C limit", "connect", "ours", "milliseconds", Kind.RATIO, 2.5,
        True, C_LIMIT),
    Bar("get many: rate, times CaChannel", "get_all", "ours", "per_second", Kind.RATIO, 1.5, False,
        ORIGINAL),
    Bar("put many: rate, times CaChannel", "put_all", "ours", "per_second", Kind.RATIO, 1.2, False,
        ORIGINAL),
    Bar("list caget: values per second", "get_list", "ours, util", "per_second", Kind.VALUE,
        600_000, False),
    Bar("monitors: events, times the C limit", "monitor", "ours", "per_second", Kind.RATIO, 0.99,
        False, C_LIMIT),
    Bar("monitors: CPU us per event", "monitor", "ours", "cpu_us", Kind.VALUE, 3.5, True),
    Bar("bulk sink: CPU us per event", "monitor", "ours, bulk sink", "cpu_us", Kind.VALUE, 0.7,
        True),
    Bar("waveform: MB/s, times the C limit", "waveform", "ours", "megabytes_per_second", Kind.RATIO,
        0.95, False, C_LIMIT),
    Bar("sequential get: rate, times the C limit", "get_one", "ours", "per_second", Kind.RATIO,
        0.95, False, C_LIMIT),
    Bar("memory of a channel, times CaChannel", "memory", "ours", "bytes_per_channel", Kind.RATIO,
        1.0, True, ORIGINAL),
    Bar("threading: connect, times caproto", "connect", "ours, threading", "milliseconds",
        Kind.RATIO, 0.1, True, CAPROTO),
    Bar("asyncio: connect, times aioca", "connect", "ours, asyncio", "milliseconds", Kind.RATIO,
        0.25, True, AIOCA),
    Bar("asyncio: connect, times caproto", "connect", "ours, asyncio", "milliseconds", Kind.RATIO,
        0.02, True, CAPROTO_ASYNCIO),
    Bar("threading: batch reads, times caproto", "get_all", "ours, threading", "per_second",
        Kind.RATIO, 20.0, False, CAPROTO),
    Bar("asyncio: gathered reads, times aioca", "get_all", "ours, asyncio", "per_second",
        Kind.RATIO, 10.0, False, AIOCA),
    Bar("asyncio: read_many, values per second", "get_list", "ours, read_many", "per_second",
        Kind.VALUE, 400_000, False),
    Bar("threading: monitors, CPU us per event", "monitor", "ours, threading", "cpu_us", Kind.VALUE,
        6.0, True),
    Bar("asyncio: monitors, CPU us per event", "monitor", "ours, asyncio", "cpu_us", Kind.VALUE,
        6.0, True),
    Bar("threading: waveform, times the C limit", "waveform", "ours, threading",
        "megabytes_per_second", Kind.RATIO, 0.9, False, C_LIMIT),
    Bar("asyncio: waveform, times the C limit", "waveform", "ours, asyncio",
        "megabytes_per_second", Kind.RATIO, 0.9, False, C_LIMIT),
    Bar("start to first get, ms over CaChannel", "startup", "ours", "milliseconds",
        Kind.DIFFERENCE, 30.0, True, ORIGINAL),
    Bar("cachannel get: whole process, ms", "startup", "ours, cachannel get", "milliseconds",
        Kind.VALUE, 350.0, True),
    Bar("epics_compat, connect: time, times pyepics", "connect", COMPAT, "milliseconds",
        Kind.RATIO, 0.1, True, PYEPICS),
    Bar("epics_compat, connect: ms", "connect", COMPAT, "milliseconds", Kind.VALUE, 280.0, True),
    Bar("epics_compat, caget_many: rate, times pyepics", "get_list", COMPAT, "per_second",
        Kind.RATIO, 20.0, False, PYEPICS),
    Bar("epics_compat, caput_many: rate, times pyepics", "put_list", COMPAT, "per_second",
        Kind.RATIO, 20.0, False, PYEPICS),
    Bar("epics_compat, monitors: events, times the C limit", "monitor", COMPAT, "per_second",
        Kind.RATIO, 0.99, False, C_LIMIT),
    Bar("epics_compat, monitors: CPU us per event", "monitor", COMPAT, "cpu_us", Kind.VALUE, 6.0,
        True),
    Bar("epics_compat, waveform: MB/s, times pyepics", "waveform", COMPAT,
        "megabytes_per_second", Kind.RATIO, 2.0, False, PYEPICS),
    Bar("epics_compat, waveform: MB/s, times the C limit", "waveform", COMPAT,
        "megabytes_per_second", Kind.RATIO, 0.9, False, C_LIMIT),
    Bar("epics_compat, sequential get: rate, times pyepics", "get_one", COMPAT, "per_second",
        Kind.RATIO, 1.3, False, PYEPICS),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar and what was measured; `measured` is None when a figure is missing."""

    bar: Bar
    measured: float | None

    @property
    def is_held(self) -> bool | None:
        """True, False, or None when it cannot be said."""
        if self.measured is None:
            return None
        if self.bar.at_most:
            return self.measured <= self.bar.bound
        return self.measured >= self.bar.bound


def judge(sections: Sequence[Section], bars: Iterable[Bar] = BARS) -> list[Verdict]:
    """Return a verdict on every bar whose peer was measured in its scenario."""
    figures = {
        (section.scenario.name, row.peer): row.figures
        for section in sections
        for row in section.rows
    }
    return [
        Verdict(bar, _measured(bar, figures[bar.scenario, bar.peer][bar.metric], figures))
        for bar in bars
        if (bar.scenario, bar.peer) in figures
    ]


def _measured(
    bar: Bar, figure: Figure, figures: Mapping[tuple[str, str], Mapping[str, Figure]]
) -> float | None:
    if figure.spread is None:
        return None
    if bar.kind is Kind.VALUE:
        return figure.spread.median
    if bar.kind is Kind.RATIO and bar.reference in (C_LIMIT, ORIGINAL):
        return figure.to_limit if bar.reference == C_LIMIT else figure.to_original
    reference = figures.get((bar.scenario, bar.reference), {}).get(bar.metric)
    if reference is None:
        return None
    # Within rounds, for the reason given in `arithmetic.median_ratio`.
    compare = operator.truediv if bar.kind is Kind.RATIO else operator.sub
    differences = [
        compare(value, reference.by_round[number])
        for number, value in figure.by_round.items()
        if number in reference.by_round
    ]
    return median(differences) if differences else None
