"""pyepics, and whatever has its names: the variable BENCHMARK_PACKAGE says which package."""

from __future__ import annotations

import importlib
import os
import sys
import time
from typing import Any

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

# pyepics is measured as pip installs it, with the libca (EPICS 3.15) that it brings.
package_name = os.environ.get("BENCHMARK_PACKAGE", "epics")
epics: Any = importlib.import_module(package_name)
ca: Any = importlib.import_module(f"{package_name}.ca")

LIBRARY = f"{package_name} {epics.__version__} {sys.modules[package_name].__file__}"


def pvs_of(pvnames: list[str], timeout: float, **options: Any) -> list[Any]:
    """Create PVs and wait for all of them; some may stay unconnected.

    They connect in the background while the list is made; asking each in turn whether it is there
    is what the package's documentation advises for many PVs.
    """
    deadline = time.monotonic() + timeout
    pvs = [epics.PV(pvname, **options) for pvname in pvnames]
    for pv in pvs:
        while not pv.connected and time.monotonic() < deadline:
            pv.wait_for_connection(timeout=max(0.1, deadline - time.monotonic()))
    return pvs


def connected_pvs(parameters: Parameters, **options: Any) -> list[Any]:
    pvs = pvs_of(names(parameters), parameters.number("timeout"), **options)
    if (found := sum(pv.connected for pv in pvs)) != len(pvs):
        raise RuntimeError(f"only {found} of {len(pvs)} PVs connected")
    return pvs


def connect(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    watch = Stopwatch()
    # Without auto_monitor, as nobody else subscribes while connecting either.
    pvs = pvs_of(pvnames, parameters.number("timeout"), auto_monitor=False)
    watch.stop()
    return watch.result(sum(pv.connected for pv in pvs), len(pvs), LIBRARY)


def get_one(parameters: Parameters) -> Result:
    pv = epics.PV(parameters.text("prefix") + "0", auto_monitor=False)
    pv.wait_for_connection(timeout=parameters.number("timeout"))
    count = parameters.integer("count")
    done = 0
    watch = Stopwatch()
    for _ in range(count):
        value = pv.get(use_monitor=False)
        done += value is not None and value >= 0
    watch.stop()
    return watch.result(done, count, LIBRARY)


def read_all(pvs: list[Any], timeout: float) -> list[Any]:
    """Read PVs that are connected in the way of the package's own `caget_many`."""
    for pv in pvs:
        ca.get(pv.chid, wait=False)
    ca.poll()
    return [ca.get_complete(pv.chid, timeout=timeout) for pv in pvs]


def get_all(parameters: Parameters) -> Result:
    pvs = connected_pvs(parameters, auto_monitor=False)
    timeout = parameters.number("timeout")

    def one_pass() -> Result:
        watch = Stopwatch()
        values = read_all(pvs, timeout)
        watch.stop()
        done = sum(value is not None and value >= 0 for value in values)
        return watch.result(done, len(pvs), LIBRARY)

    return middle_pass([one_pass() for _ in range(parameters.integer("passes"))])


def get_list(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    timeout = parameters.number("timeout")
    epics.caget_many(pvnames, timeout=timeout, connection_timeout=timeout)

    def one_pass() -> Result:
        watch = Stopwatch()
        values = epics.caget_many(pvnames, timeout=timeout, connection_timeout=timeout)
        watch.stop()
        done = sum(value is not None and value >= 0 for value in values)
        return watch.result(done, len(pvnames), LIBRARY)

    return middle_pass([one_pass() for _ in range(parameters.integer("passes"))])


def put_all(parameters: Parameters) -> Result:
    pvs = connected_pvs(parameters, auto_monitor=False)
    timeout = parameters.number("timeout")

    def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(pvs))]
        watch = Stopwatch()
        for pv, value in zip(pvs, values, strict=True):
            pv.put(value)
        ca.flush_io()
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        pvs[-1].get(use_monitor=False, timeout=timeout)
        watch.confirm()
        return watch.result(matching(read_all(pvs, timeout), values), len(pvs), LIBRARY)

    return middle_pass([one_pass(offset) for offset in offsets(parameters)])


def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)

    def on_event(**_event: Any) -> None:
        counter.count += 1

    def on_first_record(timestamp: float = 0.0, **_event: Any) -> None:
        counter.count += 1
        counter.newest = timestamp

    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    pvs = pvs_of([first], timeout, auto_monitor=True, callback=on_first_record)
    pvs += pvs_of(others, timeout, auto_monitor=True, callback=on_event)
    time.sleep(parameters.number("settle"))
    counter.begin()
    time.sleep(parameters.number("window"))
    return counter.end(LIBRARY)


def waveform(parameters: Parameters) -> Result:
    timeout = parameters.number("timeout")
    pv = epics.PV(parameters.text("pv"), auto_monitor=False)
    pv.wait_for_connection(timeout=timeout)
    repeats = parameters.integer("repeats")
    last = parameters.integer("elements") - 1
    done = received = 0
    watch = Stopwatch()
    for _ in range(repeats):
        values = pv.get(use_monitor=False, timeout=timeout)
        if values is not None:
            received += values.nbytes
            done += values[last] == last
    watch.stop()
    return watch.result(done, repeats, LIBRARY, bytes=received)


def memory(parameters: Parameters) -> Result:
    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    keep = pvs_of([first], timeout, auto_monitor=False)
    before = resident_bytes()
    watch = Stopwatch()
    pvs = pvs_of(others, timeout, auto_monitor=False)
    watch.stop()
    after = resident_bytes()
    done = sum(pv.connected for pv in pvs)
    keep[0].disconnect()
    return watch.result(
        done, len(others), LIBRARY, bytes_per_channel=(after - before) / max(done, 1)
    )


def put_list(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    timeout = parameters.number("timeout")
    pvs = connected_pvs(parameters, auto_monitor=False)
    epics.caput_many(pvnames, [0.5] * len(pvnames), connection_timeout=timeout)

    def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(pvnames))]
        watch = Stopwatch()
        epics.caput_many(pvnames, values, connection_timeout=timeout)
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        pvs[-1].get(use_monitor=False, timeout=timeout)
        return watch.result(matching(read_all(pvs, timeout), values), len(pvs), LIBRARY)

    return middle_pass([one_pass(offset) for offset in offsets(parameters)])


SCENARIOS = {
    "connect": connect,
    "get_one": get_one,
    "get_all": get_all,
    "get_list": get_list,
    "put_all": put_all,
    "put_list": put_list,
    "monitor": monitor,
    "waveform": waveform,
    "memory": memory,
}
