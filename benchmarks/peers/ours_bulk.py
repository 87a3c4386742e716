"""This package's bulk sink: monitor events as batches in one NumPy structured array."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.peers.protocol import EventCounter, Parameters, Result, names
from cachannel.many import BulkSink

__all__ = ["SCENARIOS"]

LIBRARY = "cachannel bulk sink"

POSIX_TIME_AT_EPICS_EPOCH = 631152000


def open_sink(pvnames: list[str], timeout: float) -> Any:
    """Return a sink that follows all names.

    The only place that knows the sink's interface, together with `read_batch`.
    """
    return BulkSink(pvnames)


def read_batch(sink: Any, timeout: float) -> Any:
    """Return the next batch: an array with fields id, seconds, nanoseconds, ..., value."""
    return sink.get(timeout)


def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)
    sink = open_sink(names(parameters), parameters.number("timeout"))

    def take_until(deadline: float) -> None:
        while (left := deadline - time.perf_counter()) > 0:
            batch = read_batch(sink, min(left, 0.1))
            counter.count += len(batch)
            if len(batch):
                counter.newest = (
                    POSIX_TIME_AT_EPICS_EPOCH
                    + float(batch["seconds"][-1])
                    + 1e-9 * float(batch["nanoseconds"][-1])
                )

    take_until(time.perf_counter() + parameters.number("settle"))
    counter.begin()
    take_until(time.perf_counter() + parameters.number("window"))
    return counter.end(LIBRARY)


SCENARIOS = {"monitor": monitor}
