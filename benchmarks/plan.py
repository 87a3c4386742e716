"""What is measured: the scenarios, the peers, and the sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Measurement

__all__ = [
    "C_LIMIT",
    "ORIGINAL",
    "PEERS",
    "SCENARIOS",
    "Metric",
    "Peer",
    "ScenarioPlan",
    "Size",
]

# The two peers that everybody is compared with.
C_LIMIT = "C limit"
ORIGINAL = "CaChannel 3.2"
# Whole programs, measured in start-up only.
COMMAND = "ours, cachannel get"

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a scenario, computed from one run.

    Attributes:
        key: name in the JSON report.
        title: heading in the table, with the unit.
        value: takes a successful run.
        digits: decimal places in the table.
        compared: the table gives its ratios to the C limit and to CaChannel.
    """

    key: str
    title: str
    value: Callable[[Measurement], float]
    digits: int = 0
    compared: bool = True


def per_second(run: Measurement) -> float:
    return run.done / run.seconds


def cpu_microseconds(run: Measurement) -> float:
    # max(): a peer that got nothing done still shows the CPU time it used.
    return 1e6 * run.cpu_seconds / max(run.done, 1.0)


MILLISECONDS = Metric("milliseconds", "ms", lambda run: 1e3 * run.seconds, 1)
RATE = Metric("per_second", "per second", per_second)
CPU = Metric("cpu_us", "CPU us each", cpu_microseconds, 2)
CONFIRMED = Metric(
    "confirmed_per_second",
    "confirmed per second",
    lambda run: run.done / run.extra["confirmed_seconds"],
    compared=False,
)
DELIVERED = Metric(
    "delivered_percent",
    "delivered %",
    lambda run: 100 * run.done / run.expected,
    1,
    compared=False,
)
LAG = Metric("lag_ms", "behind, ms", lambda run: 1e3 * run.extra["lag_seconds"], compared=False)
THROUGHPUT = Metric(
    "megabytes_per_second", "MB/s", lambda run: run.extra["bytes"] / MEGABYTE / run.seconds
)
PROCESS = Metric("milliseconds", "process ms", lambda run: 1e3 * run.seconds, 1)
PROCESS_CPU = Metric("cpu_ms", "process CPU ms", lambda run: 1e3 * run.cpu_seconds, 1)
IMPORT = Metric(
    "import_ms", "import ms", lambda run: 1e3 * run.extra["import_seconds"], 1, compared=False
)
MEMORY = Metric(
    "bytes_per_channel", "bytes per channel", lambda run: run.extra["bytes_per_channel"]
)


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """One scenario.

    Attributes:
        name: on the command line and in the modules under `peers/`.
        title: heading of its table.
        metrics: the first one is the figure the scenario is about.
        parameters: given to the peers; `count` and the like come from `Size`.
        least_rounds: rounds in a full run, however few were asked for.
        moving: needs the IOC whose records change by themselves.
    """

    name: str
    title: str
    metrics: tuple[Metric, ...]
    parameters: Callable[[Size], Mapping[str, object]]
    least_rounds: int = 1
    moving: bool = False


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; `full()` is what the project's promises are about."""

    channels: int
    passes: int
    round_trips: int
    monitors: int
    settle: float
    window: float
    elements: int
    waveforms: int
    rounds: int
    budget: float
    full: bool

    @classmethod
    def of_full_run(cls) -> Size:
        return cls(
            channels=10_000,
            passes=5,
            round_trips=3_000,
            monitors=5_000,
            settle=3.0,
            window=5.0,
            elements=1_000_000,
            waveforms=50,
            rounds=5,
            budget=40.0,
            full=True,
        )

    @classmethod
    def of_quick_run(cls) -> Size:
        return cls(
            channels=300,
            passes=2,
            round_trips=100,
            monitors=200,
            settle=0.3,
            window=0.5,
            elements=100_000,
            waveforms=3,
            rounds=1,
            budget=10.0,
            full=False,
        )


# Records of the IOC scan at 10 Hz; see `benchmarks.ioc.monitor_database`.
SCAN_RATE = 10


def many(size: Size) -> dict[str, object]:
    return {"prefix": "bench:ao", "count": size.channels}


def many_again(size: Size) -> dict[str, object]:
    # A bulk get takes a few milliseconds: too short to be timed once.
    return {**many(size), "passes": size.passes}


SCENARIOS = (
    ScenarioPlan("connect", "connect many channels", (MILLISECONDS, CPU), many),
    ScenarioPlan(
        "get_one",
        "get one channel, round trip after round trip",
        (RATE, CPU),
        lambda size: {"prefix": "bench:ao", "count": size.round_trips},
    ),
    ScenarioPlan("get_all", "get many connected channels", (RATE, CPU), many_again),
    ScenarioPlan("get_list", "get many connected names in one call", (RATE, CPU), many_again),
    ScenarioPlan("put_all", "put many connected channels", (RATE, CONFIRMED, CPU), many_again),
    ScenarioPlan("put_list", "put many connected names in one call", (RATE, CPU), many_again),
    ScenarioPlan(
        "monitor",
        "monitors at 10 Hz into a callback",
        (RATE, CPU, DELIVERED, LAG),
        lambda size: {
            "prefix": "bench:calc",
            "count": size.monitors,
            "rate": SCAN_RATE,
            "settle": size.settle,
            "window": size.window,
        },
        moving=True,
    ),
    ScenarioPlan(
        "waveform",
        "get a large waveform of doubles",
        (THROUGHPUT, CPU),
        lambda size: {"pv": "bench:wave", "elements": size.elements, "repeats": size.waveforms},
    ),
    ScenarioPlan(
        "startup",
        "whole process: start, import, first get, exit",
        (PROCESS, PROCESS_CPU, IMPORT),
        lambda size: {"pv": "bench:ao1"},
        least_rounds=9,
    ),
    ScenarioPlan("memory", "memory of a connected channel", (MEMORY,), many),
)


@dataclass(frozen=True, slots=True)
class Peer:
    """One thing that is measured.

    Attributes:
        name: in the report and on the command line.
        module: module under `peers/`; None for the C client.
        scenarios: what its module can do.
        startup: module under `startup/`, if it has one.
        ours: it runs in this interpreter; rivals run in an environment of their own.
        package: for modules that serve two packages with the same names.
    """

    name: str
    module: str | None
    scenarios: frozenset[str]
    startup: str | None = None
    ours: bool = False
    package: str | None = None

    def can(self, scenario: ScenarioPlan) -> bool:
        if scenario.name == "startup" and self.module is not None:
            return self.startup is not None
        return scenario.name in self.scenarios


ONE_BY_ONE = frozenset(
    {"connect", "get_one", "get_all", "put_all", "monitor", "waveform", "memory"}
)
WITH_LISTS = ONE_BY_ONE | {"get_list"}
# What pyepics' names are measured in.
COMPATIBLE = WITH_LISTS | {"put_list"}

PEERS = (
    Peer(C_LIMIT, None, WITH_LISTS | {"startup"}),
    Peer("ours", "cachannel_family", ONE_BY_ONE, "cachannel_family", ours=True),
    Peer("ours, util", "ours_util", frozenset({"get_list"}), ours=True),
    Peer("ours, bulk sink", "ours_bulk", frozenset({"monitor"}), ours=True),
    Peer("ours, epics_compat", "pyepics", COMPATIBLE, ours=True, package="epics_compat"),
    Peer("ours, threading", "caproto_threading", ONE_BY_ONE, ours=True, package="cachannel"),
    Peer("ours, asyncio", "caproto_asyncio", ONE_BY_ONE, ours=True, package="cachannel"),
    Peer("ours, read_many", "ours_clients", frozenset({"get_list", "monitor"}), ours=True),
    Peer(COMMAND, "cachannel_family", frozenset(), "command_ours", ours=True),
    Peer(ORIGINAL, "cachannel_family", ONE_BY_ONE, "cachannel_family"),
    Peer("pyepics", "pyepics", COMPATIBLE, "pyepics"),
    Peer("caproto threading", "caproto_threading", ONE_BY_ONE, "caproto_threading"),
    Peer("caproto asyncio", "caproto_asyncio", ONE_BY_ONE, "caproto_asyncio"),
    Peer("caproto-get", "caproto_threading", frozenset(), "command_caproto"),
    Peer("aioca", "aioca", WITH_LISTS, "aioca"),
    Peer("cothread", "cothread", WITH_LISTS, "cothread"),
)
