"""What the modules of all peers share: parameters in, one result out.

Needs nothing but the standard library, because it is loaded into the rivals' environment too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "EventCounter",
    "Parameters",
    "Result",
    "Scenario",
    "Stopwatch",
    "matching",
    "middle_pass",
    "names",
    "offsets",
    "resident_bytes",
    "synchronous",
]


@dataclass(frozen=True, slots=True)
class Parameters:
    """The `name=value` arguments of one run."""

    values: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.values[name]

    def number(self, name: str) -> float:
        return float(self.values[name])

    def integer(self, name: str) -> int:
        return int(self.values[name])


@dataclass(frozen=True, slots=True)
class Result:
    """What one run measured.

    Attributes:
        seconds: wall time of the measured part.
        cpu_seconds: CPU time, user and system, of all threads of this process in that part.
        done: operations that came out right.
        expected: operations asked for; events due in the time, for monitors.
        extra: figures that only some scenarios have, see `benchmarks.plan`.
        library: what was measured, for the JSON report.
    """

    seconds: float
    cpu_seconds: float
    done: float
    expected: float
    extra: Mapping[str, float] = field(default_factory=dict)
    library: str = ""


Scenario = Callable[[Parameters], Result]


class Stopwatch:
    """Wall and CPU time since it was made."""

    def __init__(self) -> None:
        # A collection that happens to fall due would be charged to whoever runs then.
        gc.collect()
        self._wall = time.perf_counter()
        self._cpu = time.process_time()
        self._extra: dict[str, float] = {}
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def stop(self) -> None:
        self.seconds = time.perf_counter() - self._wall
        self.cpu_seconds = time.process_time() - self._cpu

    def confirm(self) -> None:
        """Note, after `stop`, that by now the server has what was sent.

        The time is kept as a figure of its own. The CPU time of the run goes on to this moment,
        since a package may send with threads that are at work when the caller is free again.
        """
        self._extra["confirmed_seconds"] = time.perf_counter() - self._wall
        self.cpu_seconds = time.process_time() - self._cpu

    def result(self, done: float, expected: float, library: str, **extra: float) -> Result:
        """Return the measured times as a `Result`."""
        # float(): a sum of NumPy scalars is one too, and JSON knows none of them.
        return Result(
            self.seconds,
            self.cpu_seconds,
            float(done),
            float(expected),
            {**self._extra, **extra},
            library,
        )


class EventCounter:
    """Counts the events of a monitor scenario between `begin()` and `end()`.

    The callbacks of a peer add one to `count`. That of the first record also stores the event's
    time stamp, Unix seconds, in `newest`: a client that falls behind shows it by its age.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.count = 0
        self.newest = 0.0
        self._due_per_second = parameters.integer("count") * parameters.number("rate")
        self._before = 0

    def begin(self) -> None:
        self._watch = Stopwatch()
        self._before = self.count

    def end(self, library: str) -> Result:
        delivered = self.count - self._before
        lag = time.time() - self.newest
        self._watch.stop()
        due = self._due_per_second * self._watch.seconds
        return self._watch.result(delivered, due, library, lag_seconds=lag)


def names(parameters: Parameters) -> list[str]:
    """Return the PV names of a scenario over many channels."""
    prefix = parameters.text("prefix")
    return [f"{prefix}{index}" for index in range(parameters.integer("count"))]


def middle_pass(passes: Sequence[Result]) -> Result:
    """Return the pass that stands for a run of several: the one in the middle, by wall time.

    If a pass did less than it was asked to, the worst one stands for the run.
    """
    worst = min(passes, key=lambda result: result.done)
    if worst.done < worst.expected:
        return worst
    return sorted(passes, key=lambda result: result.seconds)[(len(passes) - 1) // 2]


def synchronous(scenario: Callable[[Parameters], Coroutine[Any, Any, Result]]) -> Scenario:
    """Return a scenario written as a coroutine as one to be called."""
    return lambda parameters: asyncio.run(scenario(parameters))


def offsets(parameters: Parameters) -> list[float]:
    """Return what each pass of a put adds to the channel's index: new values in every pass."""
    first = parameters.number("offset")
    # Sixteenths are exact in binary, so that the value comes back equal.
    return [first + number / 16 for number in range(parameters.integer("passes"))]


def matching(stored: Iterable[Any], written: Iterable[float]) -> int:
    """Return how many values came back as they were written."""
    return sum(value == wanted for value, wanted in zip(stored, written, strict=True))


def resident_bytes() -> int:
    """Return the memory this process holds in RAM, after a garbage collection."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as statm:
        pages = int(statm.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
