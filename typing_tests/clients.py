"""What users' scripts for the three clients look like to a type checker."""

import asyncio
from typing import assert_type

import cachannel.asyncio.client as aio
import cachannel.sync.client as sync
import cachannel.threading.client as threads
from cachannel.client.many import Readings
from cachannel.client.responses import (
    EventAddResponse,
    ReadNotifyResponse,
    ReadResponse,
    WriteNotifyResponse,
)
from cachannel.protocol.channel_types import AccessRights, ChannelType


def use_functions() -> None:
    """One call, no state."""
    response = sync.read("catest", data_type="time", timeout=1.0)
    assert_type(response, ReadNotifyResponse)
    assert_type(response.data_type, ChannelType)
    assert_type(response.data_count, int)
    assert_type(response.timestamp, float | None)
    print(response.data, response.metadata, bytes(response), response.status.success)
    assert_type(sync.read("catest", notify=False), ReadResponse)
    assert_type(sync.write("catest", [1.5, 2.5], notify=True), WriteNotifyResponse)
    sync.write("catest", 1, data_type=ChannelType.LONG, timeout=None)
    first, answer, last = sync.read_write_read("catest", 1, notify=True, read_data_type="time")
    assert_type(first, ReadNotifyResponse)
    assert_type(answer, WriteNotifyResponse)
    assert_type(last, ReadNotifyResponse)
    subscription = sync.subscribe("catest")
    assert_type(subscription, sync.Subscription)

    def changed(subscription: sync.Subscription, response: EventAddResponse) -> None:
        print(subscription.pv_name, response.value)

    assert_type(subscription.add_callback(changed), int)
    sync.block(subscription, duration=1.0)
    sync.interrupt()


def use_threads() -> None:
    """Contexts, PVs, batches and lists."""
    with threads.Context(timeout=5.0, max_workers=2) as context:
        pvs = context.get_pvs("catest", "calong", priority=5, timeout=None)
        assert_type(pvs, list[threads.PV])
        pv = pvs[0]
        pv.wait_for_connection(timeout=1)
        assert_type(pv.connected, bool)
        assert_type(pv.access_rights, AccessRights | None)
        assert_type(pv.context, threads.Context)
        assert_type(pv.circuit_manager, threads.VirtualCircuitManager | None)
        response = pv.read(data_type=ChannelType.TIME_DOUBLE, timeout=None)
        assert_type(response, ReadNotifyResponse)
        assert_type(response.status.success, int)
        assert_type(pv.read(callback=print), ReadNotifyResponse)
        assert_type(pv.read(notify=False), ReadResponse)
        pv.read(wait=False, callback=lambda response: print(response.timestamp))
        assert_type(pv.write(1.5), WriteNotifyResponse)
        pv.write([1, 2], wait=False, callback=lambda response: print(response.status), notify=True)

        def changed(subscription: threads.Subscription, response: EventAddResponse) -> None:
            assert_type(subscription.pv, threads.PV)
            print(response.timestamp)

        subscription = pv.subscribe(data_type="time")
        token = subscription.add_callback(changed)
        subscription.remove_callback(token)
        with threads.Batch(timeout=None) as batch:
            batch.read(pv, lambda response: print(response.value))
            batch.write(pv, 2.5, print)
        readings = context.read_many(["catest", pv], timeout=1.0, throw=False)
        assert_type(readings, Readings)
        assert_type(readings.ok, bool)
        assert_type(readings.failed, dict[str, str])
        assert_type(readings[0], ReadNotifyResponse)
        assert_type(readings[:2], list[ReadNotifyResponse])
        assert_type(context.write_many(["catest"], 1), list[Exception | None])
        with context.monitor_many(["catest"], numpy=True, limit=1000) as updates:
            assert_type(updates.dropped, int)
            for events in updates:
                print(events["value"])
        with context.monitor_many(["catest"]) as batches:
            for batch_of_updates in batches:
                assert_type(batch_of_updates, list[tuple[int, EventAddResponse]])


def what_flags_give(pv: threads.PV, flag: bool) -> None:
    """What comes back when the kind of request is known at run time only."""
    assert_type(pv.read(wait=flag), ReadNotifyResponse | ReadResponse | None)
    assert_type(pv.write(1, wait=flag), WriteNotifyResponse | None)
    assert_type(sync.read("catest", notify=flag), ReadNotifyResponse | ReadResponse)
    assert_type(sync.write("catest", 1, notify=flag), WriteNotifyResponse | None)


def told(pv: threads.PV, state: str) -> None:
    """A callback of connections."""
    print(pv.name, state)


def what_is_refused(context: threads.Context, pv: threads.PV) -> None:
    """What an editor underlines, with nothing to silence where nothing is wrong."""
    context.get_pvs("catest", connection_state_callback=told)
    pv.read(time_out=1)  # type: ignore[call-overload]
    pv.write(1, data_type=1.5)  # type: ignore[call-overload]
    sync.read("catest", wait=True)  # type: ignore[call-overload]
    print(pv.write(1, wait=False).status)  # type: ignore[attr-defined]


async def answered(response: WriteNotifyResponse) -> None:
    """A callback of a write."""
    print(response.status)


async def use_a_loop() -> None:
    """The same with await."""
    async with aio.Context() as context:
        x, y = await context.get_pvs("catest", "calong")
        assert_type(x, aio.PV)
        await x.wait_for_connection()
        response = await x.read(data_type="control")
        assert_type(response, ReadNotifyResponse)
        print(response.metadata.units)
        assert_type(await x.read(notify=False), ReadResponse)
        await x.read(wait=False, callback=print)
        assert_type(x.context, aio.Context)
        assert_type(x.circuit_manager, aio.VirtualCircuitManager | None)
        # A read goes wherever a coroutine goes.
        task = asyncio.create_task(x.read())
        print(await asyncio.wait_for(y.read(), 1.0), await task)
        both = await asyncio.gather(x.read(), y.read())
        assert_type(both, tuple[ReadNotifyResponse, ReadNotifyResponse])
        assert_type(await asyncio.gather(*(pv.read() for pv in (x, y))), list[ReadNotifyResponse])
        assert_type(await x.write(1.5), WriteNotifyResponse)
        await x.write(1.5, wait=False, callback=answered)

        async def changed(subscription: aio.Subscription, response: EventAddResponse) -> None:
            assert_type(subscription.pv, aio.PV)
            print(response.data)

        subscription = x.subscribe()
        token = subscription.add_callback(changed)
        await subscription.remove_callback(token)
        async for update in x.subscribe(data_type="time"):
            assert_type(update, EventAddResponse)
            break
        readings = await context.read_many(["catest", y])
        assert_type(readings, Readings)
        async with context.monitor_many(["catest"]) as updates:
            assert_type(updates.dropped, int)
            async for batch in updates:
                assert_type(batch, list[tuple[int, EventAddResponse]])
                for position, event in batch:
                    print(position, event.data)
        assert_type(await context.write_many(["catest"], 1), list[Exception | None])
        async for kind, source, data in context.monitor("catest"):
            assert_type(kind, str)
            print(source, data)
        await x.go_idle()
