"""This package's asyncio client: all PVs with one call, and lists of updates."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from benchmarks.peers.protocol import (
    EventCounter,
    Parameters,
    Result,
    Stopwatch,
    middle_pass,
    names,
    synchronous,
)
from cachannel.asyncio.client import Context

__all__ = ["SCENARIOS"]

LIBRARY = "cachannel.asyncio.client read_many, monitor_many"


async def get_list(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    timeout = parameters.number("timeout")
    async with Context() as context:
        # The first call connects; what is measured is a read of channels that are connected.
        await context.read_many(pvnames, timeout=timeout)

        async def one_pass() -> Result:
            watch = Stopwatch()
            values = (await context.read_many(pvnames, timeout=timeout)).values
            watch.stop()
            return watch.result(sum(value >= 0 for value in values), len(pvnames), LIBRARY)

        return middle_pass([await one_pass() for _ in range(parameters.integer("passes"))])


async def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)
    async with Context() as context:

        async def follow() -> None:
            async for batch in context.monitor_many(names(parameters)):
                counter.count += len(batch)
                for index, response in batch:
                    if index == 0:
                        counter.newest = response.timestamp or 0.0

        task = asyncio.create_task(follow())
        await asyncio.sleep(parameters.number("settle"))
        counter.begin()
        await asyncio.sleep(parameters.number("window"))
        result = counter.end(LIBRARY)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return result


SCENARIOS = {"get_list": synchronous(get_list), "monitor": synchronous(monitor)}
