"""What users' scripts for the three clients look like to a type checker."""

import asyncio
from typing import Any, assert_type

import cachannel.asyncio.client as aio
import cachannel.sync.client as sync
import cachannel.threading.client as threads
from cachannel.client.many import Readings
from cachannel.client.responses import EventAddResponse, ReadNotifyResponse, WriteNotifyResponse
from cachannel.protocol.channel_types import AccessRights, ChannelType


def use_functions() -> None:
    """One call, no state."""
    response = sync.read("catest", data_type="time", timeout=1.0)
    assert isinstance(response, ReadNotifyResponse)
    assert_type(response.data_count, int)
    assert_type(response.timestamp, float | None)
    print(response.data, response.metadata, bytes(response), response.status.success)
    sync.write("catest", [1.5, 2.5], notify=True)
    first, answer, last = sync.read_write_read("catest", 1, notify=True)
    print(first, answer, last)
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
        print(pv.read(data_type=ChannelType.TIME_DOUBLE).data)
        print(pv.write(1.5).status)
        pv.write(1.5, wait=False, callback=print)

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
        assert_type(context.write_many(["catest"], 1), list[Any])
        with context.monitor_many(["catest"], numpy=True, limit=1000) as updates:
            assert_type(updates.dropped, int)
            for events in updates:
                print(events["value"])


async def use_a_loop() -> None:
    """The same with await."""
    async with aio.Context() as context:
        x, y = await context.get_pvs("catest", "calong")
        assert_type(x, aio.PV)
        await x.wait_for_connection()
        response = await x.read(data_type="control")
        print(response.metadata.units)
        # A read goes wherever a coroutine goes.
        task = asyncio.create_task(x.read())
        print(await asyncio.wait_for(y.read(), 1.0), await task)
        both = await asyncio.gather(x.read(), y.read())
        print(both)
        answer = await x.write(1.5)
        assert isinstance(answer, WriteNotifyResponse)

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
                for position, event in batch:
                    print(position, event.data)
        async for kind, source, data in context.monitor("catest"):
            assert_type(kind, str)
            print(source, data)
        await x.go_idle()
