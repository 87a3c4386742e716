"""`import CaChannel`: the same source for CaChannel 3.2 and for this package's drop-in."""

from __future__ import annotations

import time
from typing import Any

import CaChannel
from CaChannel import ca

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

__all__ = ["SCENARIOS", "connected_channels"]

LIBRARY = f"CaChannel {CaChannel.__version__} {CaChannel.__file__}"


def search_all(pvnames: list[str], timeout: float) -> list[CaChannel.CaChannel]:
    """Create channels and wait for all of them at once; some may stay unconnected."""
    channels = [CaChannel.CaChannel(pvname) for pvname in pvnames]
    for channel in channels:
        channel.search()
    try:
        channels[0].pend_io(timeout)
    except CaChannel.CaChannelException as error:
        if int(error.status) != ca.ECA_TIMEOUT:
            raise
    return channels


def connected(channels: list[CaChannel.CaChannel]) -> int:
    return sum(channel.state() == ca.cs_conn for channel in channels)


def connected_channels(parameters: Parameters) -> list[CaChannel.CaChannel]:
    """Return channels that are all connected, or raise RuntimeError."""
    channels = search_all(names(parameters), parameters.number("timeout"))
    if (found := connected(channels)) != len(channels):
        raise RuntimeError(f"only {found} of {len(channels)} channels connected")
    return channels


def connect(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    watch = Stopwatch()
    channels = search_all(pvnames, parameters.number("timeout"))
    watch.stop()
    return watch.result(connected(channels), len(channels), LIBRARY)


def get_one(parameters: Parameters) -> Result:
    channel = CaChannel.CaChannel(parameters.text("prefix") + "0")
    channel.setTimeout(parameters.number("timeout"))
    channel.searchw()
    count = parameters.integer("count")
    done = 0
    watch = Stopwatch()
    for _ in range(count):
        done += channel.getw() >= 0
    watch.stop()
    return watch.result(done, count, LIBRARY)


def get_all(parameters: Parameters) -> Result:
    channels = connected_channels(parameters)
    timeout = parameters.number("timeout")

    def one_pass() -> Result:
        watch = Stopwatch()
        for channel in channels:
            channel.array_get()
        channels[0].pend_io(timeout)
        values = [channel.getValue() for channel in channels]
        watch.stop()
        return watch.result(sum(value >= 0 for value in values), len(channels), LIBRARY)

    return middle_pass([one_pass() for _ in range(parameters.integer("passes"))])


def put_all(parameters: Parameters) -> Result:
    channels = connected_channels(parameters)
    timeout = parameters.number("timeout")
    channels[-1].setTimeout(timeout)

    def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(channels))]
        watch = Stopwatch()
        for channel, value in zip(channels, values, strict=True):
            channel.array_put(value)
        channels[0].flush_io()
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        channels[-1].getw()
        watch.confirm()
        for channel in channels:
            channel.array_get()
        channels[0].pend_io(timeout)
        stored = [channel.getValue() for channel in channels]
        return watch.result(matching(stored, values), len(channels), LIBRARY)

    return middle_pass([one_pass(offset) for offset in offsets(parameters)])


def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)

    def on_event(_event: dict[str, Any], _arguments: tuple[()]) -> None:
        counter.count += 1

    def on_first_record(event: dict[str, Any], _arguments: tuple[()]) -> None:
        counter.count += 1
        since_1990 = event["pv_seconds"] + 1e-9 * event["pv_nseconds"]
        counter.newest = ca.POSIX_TIME_AT_EPICS_EPOCH + since_1990

    channels = connected_channels(parameters)
    for channel in channels:
        callback = on_first_record if channel is channels[0] else on_event
        channel.add_masked_array_event(ca.DBR_TIME_DOUBLE, None, None, callback)
    channels[0].flush_io()
    time.sleep(parameters.number("settle"))
    counter.begin()
    time.sleep(parameters.number("window"))
    return counter.end(LIBRARY)


def waveform(parameters: Parameters) -> Result:
    channel = CaChannel.CaChannel(parameters.text("pv"))
    channel.setTimeout(parameters.number("timeout"))
    channel.searchw()
    repeats = parameters.integer("repeats")
    last = parameters.integer("elements") - 1
    done = received = 0
    channel.getw(use_numpy=True)  # NumPy may be imported no earlier than here
    watch = Stopwatch()
    for _ in range(repeats):
        values = channel.getw(use_numpy=True)
        received += values.nbytes
        done += values[last] == last
    watch.stop()
    return watch.result(done, repeats, LIBRARY, bytes=received)


def memory(parameters: Parameters) -> Result:
    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    # The first connection pays for the context, its threads and the circuit.
    keep = search_all([first], timeout)
    before = resident_bytes()
    watch = Stopwatch()
    channels = search_all(others, timeout)
    watch.stop()
    after = resident_bytes()
    done = connected(channels)
    keep[0].clear_channel()
    return watch.result(
        done, len(others), LIBRARY, bytes_per_channel=(after - before) / max(done, 1)
    )


SCENARIOS = {
    "connect": connect,
    "get_one": get_one,
    "get_all": get_all,
    "put_all": put_all,
    "monitor": monitor,
    "waveform": waveform,
    "memory": memory,
}
