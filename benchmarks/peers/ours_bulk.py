"""This package's bulk sink: monitor events as batches in one NumPy structured array."""

from __future__ import annotations

import time
from typing import Any

from cachannel.context import Context

from benchmarks.peers.protocol import EventCounter, Parameters, Result, names

__all__ = ["SCENARIOS"]

LIBRARY = "cachannel bulk sink"


def open_sink(pvnames: list[str], timeout: float) -> Any:
    """Return a sink that follows all names.

    The only place that knows the sink's interface, together with `read_batch`.
    """
    return Context.shared().bulk_sink(pvnames, timeout=timeout)


def read_batch(sink: Any, timeout: float) -> Any:
    """Return the next batch: an array with fields id, seconds, nanoseconds, ..., value."""
    return sink.read(timeout=timeout)


def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)
    sink = open_sink(names(parameters), parameters.number("timeout"))

    def take_until(deadline: float) -> None:
        while (left := deadline - time.perf_counter()) > 0:
            batch = read_batch(sink, min(left, 0.1))
            counter.count += len(batch)
            if len(batch):
                counter.newest = float(batch["seconds"][-1]) + 1e-9 * float(
                    batch["nanoseconds"][-1]
                )

    take_until(time.perf_counter() + parameters.number("settle"))
    counter.begin()
    take_until(time.perf_counter() + parameters.number("window"))
    return counter.end(LIBRARY)


SCENARIOS = {"monitor": monitor}
