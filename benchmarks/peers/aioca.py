"""aioca: every call takes a list, and finds its channels by name."""

from __future__ import annotations

import asyncio
from typing import Any

import aioca

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
    synchronous,
)

__all__ = ["SCENARIOS"]

LIBRARY = f"aioca {aioca.__version__} {aioca.__file__}"


async def connect_names(pvnames: list[str], timeout: float) -> int:
    """Connect and return how many did."""
    results = await aioca.connect(pvnames, timeout=timeout, throw=False)
    return sum(result.ok for result in results)


async def connected_names(parameters: Parameters) -> list[str]:
    pvnames = names(parameters)
    if (found := await connect_names(pvnames, parameters.number("timeout"))) != len(pvnames):
        raise RuntimeError(f"only {found} of {len(pvnames)} PVs connected")
    return pvnames


async def connect(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    watch = Stopwatch()
    found = await connect_names(pvnames, parameters.number("timeout"))
    watch.stop()
    return watch.result(found, len(pvnames), LIBRARY)


async def get_one(parameters: Parameters) -> Result:
    pvname = parameters.text("prefix") + "0"
    timeout = parameters.number("timeout")
    await aioca.caget(pvname, timeout=timeout)
    count = parameters.integer("count")
    done = 0
    watch = Stopwatch()
    for _ in range(count):
        done += await aioca.caget(pvname) >= 0
    watch.stop()
    return watch.result(done, count, LIBRARY)


async def get_all(parameters: Parameters) -> Result:
    pvnames = await connected_names(parameters)
    timeout = parameters.number("timeout")

    async def one_pass() -> Result:
        watch = Stopwatch()
        values = await aioca.caget(pvnames, timeout=timeout)
        watch.stop()
        return watch.result(sum(value >= 0 for value in values), len(pvnames), LIBRARY)

    return middle_pass([await one_pass() for _ in range(parameters.integer("passes"))])


async def put_all(parameters: Parameters) -> Result:
    pvnames = await connected_names(parameters)
    timeout = parameters.number("timeout")

    async def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(pvnames))]
        watch = Stopwatch()
        await aioca.caput(pvnames, values, timeout=timeout)
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        await aioca.caget(pvnames[-1], timeout=timeout)
        watch.confirm()
        stored = await aioca.caget(pvnames, timeout=timeout)
        return watch.result(matching(stored, values), len(pvnames), LIBRARY)

    return middle_pass([await one_pass(offset) for offset in offsets(parameters)])


async def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)

    def on_event(_value: Any) -> None:
        counter.count += 1

    def on_first_record(value: Any) -> None:
        counter.count += 1
        counter.newest = value.timestamp

    first, *others = await connected_names(parameters)
    # all_updates: without it aioca merges the updates of a PV that wait in its queue.
    options = {"format": aioca.FORMAT_TIME, "all_updates": True}
    subscriptions = [aioca.camonitor(first, on_first_record, **options)]
    subscriptions += [aioca.camonitor(pvname, on_event, **options) for pvname in others]
    await asyncio.sleep(parameters.number("settle"))
    counter.begin()
    await asyncio.sleep(parameters.number("window"))
    return counter.end(LIBRARY)


async def waveform(parameters: Parameters) -> Result:
    pvname = parameters.text("pv")
    timeout = parameters.number("timeout")
    await connect_names([pvname], timeout)
    repeats = parameters.integer("repeats")
    last = parameters.integer("elements") - 1
    done = received = 0
    watch = Stopwatch()
    for _ in range(repeats):
        values = await aioca.caget(pvname, timeout=timeout)
        received += values.nbytes
        done += values[last] == last
    watch.stop()
    return watch.result(done, repeats, LIBRARY, bytes=received)


async def memory(parameters: Parameters) -> Result:
    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    await connect_names([first], timeout)
    before = resident_bytes()
    watch = Stopwatch()
    done = await connect_names(others, timeout)
    watch.stop()
    after = resident_bytes()
    return watch.result(
        done, len(others), LIBRARY, bytes_per_channel=(after - before) / max(done, 1)
    )


SCENARIOS = {
    "connect": synchronous(connect),
    "get_one": synchronous(get_one),
    "get_all": synchronous(get_all),
    "get_list": synchronous(get_all),
    "put_all": synchronous(put_all),
    "monitor": synchronous(monitor),
    "waveform": synchronous(waveform),
    "memory": synchronous(memory),
}
