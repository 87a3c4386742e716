"""caproto's asyncio client, and whatever has its names (variable BENCHMARK_PACKAGE)."""

from __future__ import annotations

import asyncio
import importlib
import os
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
    synchronous,
)

__all__ = ["SCENARIOS"]

package_name = os.environ.get("BENCHMARK_PACKAGE", "caproto")
package: Any = importlib.import_module(package_name)
client: Any = importlib.import_module(f"{package_name}.asyncio.client")

LIBRARY = f"{client.__name__} {package.__version__} {client.__file__}"


async def pvs_of(context: Any, pvnames: list[str], timeout: float) -> list[Any]:
    """Create PVs and wait for all of them; some may stay unconnected."""
    pvs: list[Any] = await context.get_pvs(*pvnames, timeout=timeout)
    waits = (pv.wait_for_connection(timeout=timeout) for pv in pvs)
    await asyncio.gather(*waits, return_exceptions=True)
    return pvs


async def connected_pvs(parameters: Parameters) -> list[Any]:
    pvs = await pvs_of(client.Context(), names(parameters), parameters.number("timeout"))
    if (found := sum(pv.connected for pv in pvs)) != len(pvs):
        raise RuntimeError(f"only {found} of {len(pvs)} PVs connected")
    return pvs


async def read_all(pvs: list[Any], timeout: float) -> list[float]:
    responses = await asyncio.gather(*(pv.read(timeout=timeout) for pv in pvs))
    return [response.data[0] for response in responses]


async def connect(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    watch = Stopwatch()
    pvs = await pvs_of(client.Context(), pvnames, parameters.number("timeout"))
    watch.stop()
    return watch.result(sum(pv.connected for pv in pvs), len(pvs), LIBRARY)


async def get_one(parameters: Parameters) -> Result:
    timeout = parameters.number("timeout")
    (pv,) = await pvs_of(client.Context(), [parameters.text("prefix") + "0"], timeout)
    count = parameters.integer("count")
    done = 0
    watch = Stopwatch()
    for _ in range(count):
        done += (await pv.read()).data[0] >= 0
    watch.stop()
    return watch.result(done, count, LIBRARY)


async def get_all(parameters: Parameters) -> Result:
    pvs = await connected_pvs(parameters)
    timeout = parameters.number("timeout")

    async def one_pass() -> Result:
        watch = Stopwatch()
        values = await read_all(pvs, timeout)
        watch.stop()
        return watch.result(sum(value >= 0 for value in values), len(pvs), LIBRARY)

    return middle_pass([await one_pass() for _ in range(parameters.integer("passes"))])


async def put_all(parameters: Parameters) -> Result:
    pvs = await connected_pvs(parameters)
    timeout = parameters.number("timeout")

    async def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(pvs))]
        watch = Stopwatch()
        writes = (pv.write([value], wait=False) for pv, value in zip(pvs, values, strict=True))
        await asyncio.gather(*writes)
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        await pvs[-1].read(timeout=timeout)
        watch.confirm()
        return watch.result(matching(await read_all(pvs, timeout), values), len(pvs), LIBRARY)

    return middle_pass([await one_pass(offset) for offset in offsets(parameters)])


async def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)

    def on_event(_subscription: Any, _response: Any) -> None:
        counter.count += 1

    def on_first_record(_subscription: Any, response: Any) -> None:
        counter.count += 1
        counter.newest = response.metadata.timestamp

    pvs = await connected_pvs(parameters)
    subscriptions = []
    for pv in pvs:
        subscription = pv.subscribe(data_type="time")
        subscription.add_callback(on_first_record if pv is pvs[0] else on_event)
        subscriptions.append(subscription)
    await asyncio.sleep(parameters.number("settle"))
    counter.begin()
    await asyncio.sleep(parameters.number("window"))
    return counter.end(LIBRARY)


async def waveform(parameters: Parameters) -> Result:
    timeout = parameters.number("timeout")
    (pv,) = await pvs_of(client.Context(), [parameters.text("pv")], timeout)
    repeats = parameters.integer("repeats")
    last = parameters.integer("elements") - 1
    done = received = 0
    # NumPy may be imported no earlier than with the first data.
    values = (await pv.read(timeout=timeout)).data
    watch = Stopwatch()
    for _ in range(repeats):
        values = (await pv.read(timeout=timeout)).data
        received += values.nbytes
        done += values[last] == last
    watch.stop()
    return watch.result(done, repeats, LIBRARY, bytes=received)


async def memory(parameters: Parameters) -> Result:
    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    context = client.Context()
    keep = await pvs_of(context, [first], timeout)
    before = resident_bytes()
    watch = Stopwatch()
    pvs = await pvs_of(context, others, timeout)
    watch.stop()
    after = resident_bytes()
    done = sum(pv.connected for pv in pvs)
    await keep[0].go_idle()
    return watch.result(
        done, len(others), LIBRARY, bytes_per_channel=(after - before) / max(done, 1)
    )


SCENARIOS = {
    "connect": synchronous(connect),
    "get_one": synchronous(get_one),
    "get_all": synchronous(get_all),
    "put_all": synchronous(put_all),
    "monitor": synchronous(monitor),
    "waveform": synchronous(waveform),
    "memory": synchronous(memory),
}
