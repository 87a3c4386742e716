"""caproto's threading client, and whatever has its names (variable BENCHMARK_PACKAGE)."""

from __future__ import annotations

import importlib
import os
import threading
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

package_name = os.environ.get("BENCHMARK_PACKAGE", "caproto")
package: Any = importlib.import_module(package_name)
client: Any = importlib.import_module(f"{package_name}.threading.client")

LIBRARY = f"{client.__name__} {package.__version__} {client.__file__}"


class Replies:
    """Collects the answers of a batch and says when all are there."""

    def __init__(self, expected: int) -> None:
        self.values: dict[int, float] = {}
        self._expected = expected
        self._complete = threading.Event()

    def taker(self, index: int) -> Any:
        def take(response: Any) -> None:
            self.values[index] = response.data[0]
            if len(self.values) == self._expected:
                self._complete.set()

        return take

    def wait(self, timeout: float) -> None:
        self._complete.wait(timeout)


def pvs_of(context: Any, pvnames: list[str], timeout: float) -> list[Any]:
    """Create PVs and wait for all of them; some may stay unconnected."""
    deadline = time.monotonic() + timeout
    pvs: list[Any] = context.get_pvs(*pvnames, timeout=timeout)
    for pv in pvs:
        if (left := deadline - time.monotonic()) <= 0:
            break
        pv.wait_for_connection(timeout=left)
    return pvs


def connected_pvs(parameters: Parameters) -> list[Any]:
    pvs = pvs_of(client.Context(), names(parameters), parameters.number("timeout"))
    if (found := sum(pv.connected for pv in pvs)) != len(pvs):
        raise RuntimeError(f"only {found} of {len(pvs)} PVs connected")
    return pvs


def read_batch(pvs: list[Any], timeout: float) -> list[float | None]:
    """Read all PVs; None for those without an answer in time."""
    replies = Replies(len(pvs))
    with client.Batch(timeout=timeout) as batch:
        for index, pv in enumerate(pvs):
            batch.read(pv, replies.taker(index))
    replies.wait(timeout)
    return [replies.values.get(index) for index in range(len(pvs))]


def connect(parameters: Parameters) -> Result:
    pvnames = names(parameters)
    watch = Stopwatch()
    pvs = pvs_of(client.Context(), pvnames, parameters.number("timeout"))
    watch.stop()
    return watch.result(sum(pv.connected for pv in pvs), len(pvs), LIBRARY)


def get_one(parameters: Parameters) -> Result:
    timeout = parameters.number("timeout")
    (pv,) = pvs_of(client.Context(), [parameters.text("prefix") + "0"], timeout)
    count = parameters.integer("count")
    done = 0
    watch = Stopwatch()
    for _ in range(count):
        done += pv.read().data[0] >= 0
    watch.stop()
    return watch.result(done, count, LIBRARY)


def get_all(parameters: Parameters) -> Result:
    pvs = connected_pvs(parameters)
    timeout = parameters.number("timeout")

    def one_pass() -> Result:
        watch = Stopwatch()
        values = read_batch(pvs, timeout)
        watch.stop()
        done = sum(value is not None and value >= 0 for value in values)
        return watch.result(done, len(pvs), LIBRARY)

    return middle_pass([one_pass() for _ in range(parameters.integer("passes"))])


def put_all(parameters: Parameters) -> Result:
    pvs = connected_pvs(parameters)
    timeout = parameters.number("timeout")

    def one_pass(offset: float) -> Result:
        values = [index + offset for index in range(len(pvs))]
        watch = Stopwatch()
        with client.Batch(timeout=timeout) as batch:
            for pv, value in zip(pvs, values, strict=True):
                batch.write(pv, [value])
        watch.stop()
        # The server answers in order: the reply to a get says that the puts before it are in.
        pvs[-1].read(timeout=timeout)
        watch.confirm()
        return watch.result(matching(read_batch(pvs, timeout), values), len(pvs), LIBRARY)

    return middle_pass([one_pass(offset) for offset in offsets(parameters)])


def monitor(parameters: Parameters) -> Result:
    counter = EventCounter(parameters)

    def on_event(_subscription: Any, _response: Any) -> None:
        counter.count += 1

    def on_first_record(_subscription: Any, response: Any) -> None:
        counter.count += 1
        counter.newest = response.metadata.timestamp

    pvs = connected_pvs(parameters)
    subscriptions = []
    for pv in pvs:
        subscription = pv.subscribe(data_type="time")
        subscription.add_callback(on_first_record if pv is pvs[0] else on_event)
        subscriptions.append(subscription)
    time.sleep(parameters.number("settle"))
    counter.begin()
    time.sleep(parameters.number("window"))
    return counter.end(LIBRARY)


def waveform(parameters: Parameters) -> Result:
    timeout = parameters.number("timeout")
    (pv,) = pvs_of(client.Context(), [parameters.text("pv")], timeout)
    repeats = parameters.integer("repeats")
    last = parameters.integer("elements") - 1
    done = received = 0
    # NumPy may be imported no earlier than with the first data.
    values = pv.read(timeout=timeout).data
    watch = Stopwatch()
    for _ in range(repeats):
        values = pv.read(timeout=timeout).data
        received += values.nbytes
        done += values[last] == last
    watch.stop()
    return watch.result(done, repeats, LIBRARY, bytes=received)


def memory(parameters: Parameters) -> Result:
    first, *others = names(parameters)
    timeout = parameters.number("timeout")
    context = client.Context()
    keep = pvs_of(context, [first], timeout)
    before = resident_bytes()
    watch = Stopwatch()
    pvs = pvs_of(context, others, timeout)
    watch.stop()
    after = resident_bytes()
    done = sum(pv.connected for pv in pvs)
    keep[0].go_idle()
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
