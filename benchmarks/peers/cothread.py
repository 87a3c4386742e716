"""cothread: every call takes a list, and finds its channels by name."""

from __future__ import annotations

from typing import Any

import cothread
from cothread import catools

from benchmarks.peers.protocol import (
    EventCounter,
    Parameters,
    Result,
    Stopwatch,
    matching,
    middle_pass,
    names,
    offsets,
    resident_bytes,
)

__all__ = ["SCENARIOS"]

LIBRARY = f"cothread {cothread.__version__} {cothread.__file__}"


def connect_names(pvnames: list[str], timeout: float) -> int:
    """Connect and return how many did."""
    results = catools.connect(pvnames, timeout=timeout, throw=False)
    return sum(result.ok for result in results)


def connected_names(parameters: Parameters) -> list[str]:
    pvnames = names(parameters)
    if (found := connect_names(pvnames, parameters.number("timeout"))) != len(pvnames):
        raise RuntimeError(f"only {found} of {len(pvnames)} PVs connected")
    return pvnames


def connect(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    watch = Stopwatch()
    found = connect_names(pvnames, parameters.number("timeout"))
    watch.stop()
    return watch.result(found, len(pvnames), LIBRARY)


def get_one(parameters: Parameters) -> Result:
    pvname = parameters.text("prefix") + "0"
    catools.caget(pvname, timeout=parameters.number("timeout"))
    count = parameters.integer("count")
    done = 0
    watch = Stopwatch()
    for _ in range(count):
        done += catools.caget(pvname) >= 0
    watch.stop()
    return watch.result(done, count, LIBRARY)


def get_all(parameters: Parameters) -> Result:
    pvnames = connected_names(parameters)
    timeout = parameters.number("timeout")

    def one_pass() -> Result:
        watch = Stopwatch()
        values = catools.caget(pvnames, timeout=timeout)
        watch.stop()
        return watch.result(sum(value >= 0 for value in values), len(pvnames), LIBRARY)

    return middle_pass([one_pass() for _ in range(parameters.integer("passes"))])


def put_all(parameters: Parameters) -> Result:
    pvnames = connected_names(parameters)
    timeout = parameters.number("timeout")

    def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(pvnames))]
        watch = Stopwatch()
        catools.caput(pvnames, values, timeout=timeout)
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        catools.caget(pvnames[-1], timeout=timeout)
        watch.confirm()
        stored = catools.caget(pvnames, timeout=timeout)
        return watch.result(matching(stored, values), len(pvnames), LIBRARY)

    return middle_pass([one_pass(offset) for offset in offsets(parameters)])


def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)

    def on_event(_value: Any) -> None:
        counter.count += 1

    def on_first_record(value: Any) -> None:
        counter.count += 1
        counter.newest = value.timestamp

    first, *others = connected_names(parameters)
    # all_updates: without it cothread merges the updates of a PV that wait in its queue.
    options = {"format": catools.FORMAT_TIME, "all_updates": True}
    subscriptions = [catools.camonitor(first, on_first_record, **options)]
    subscriptions += [catools.camonitor(pvname, on_event, **options) for pvname in others]
    cothread.Sleep(parameters.number("settle"))
    counter.begin()
    cothread.Sleep(parameters.number("window"))
    return counter.end(LIBRARY)


def waveform(parameters: Parameters) -> Result:
    pvname = parameters.text("pv")
    timeout = parameters.number("timeout")
    connect_names([pvname], timeout)
    repeats = parameters.integer("repeats")
    last = parameters.integer("elements") - 1
    done = received = 0
    watch = Stopwatch()
    for _ in range(repeats):
        values = catools.caget(pvname, timeout=timeout)
        received += values.nbytes
        done += values[last] == last
    watch.stop()
    return watch.result(done, repeats, LIBRARY, bytes=received)


def memory(parameters: Parameters) -> Result:
    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    connect_names([first], timeout)
    before = resident_bytes()
    watch = Stopwatch()
    done = connect_names(others, timeout)
    watch.stop()
    after = resident_bytes()
    return watch.result(
        done, len(others), LIBRARY, bytes_per_channel=(after - before) / max(done, 1)
    )


SCENARIOS = {
    "connect": connect,
    "get_one": get_one,
    "get_all": get_all,
    "get_list": get_all,
    "put_all": put_all,
    "monitor": monitor,
    "waveform": waveform,
    "memory": memory,
}
