"""Cancelled tasks, loops that end, and contexts that are disconnected under requests."""

import asyncio
import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cachannel._native import ffi, lib
from cachannel.asyncio.client import Context
from cachannel.client.common import ContextDisconnectedError
from cachannel.protocol.errors import CaprotoTimeoutError
from support.waiting import wait_until


def counts() -> tuple[int, int, int]:
    """The numbers of channels, subscriptions and requests in C."""
    found = ffi.new("cc_counts *")
    lib.cc_get_counts(found)
    return int(found.channels), int(found.subscriptions), int(found.requests)


async def settled(context: Context, before: tuple[int, int, int], owners: int) -> None:
    """Wait until nothing is left of what was cancelled.

    Fewer objects than before are fine: a context that was closed earlier may still have had some.
    """

    def left() -> dict[str, Any]:
        now = zip(("channels", "subscriptions", "requests"), counts(), before, strict=True)
        found: dict[str, Any] = {name: count - then for name, count, then in now if count > then}
        if len(context._engine.ca.owners) > owners:
            found["owners"] = len(context._engine.ca.owners) - owners
        for name in ("_inflight", "_blocks", "_streams", "_tasks"):
            found |= {name: len(getattr(context, name))} if getattr(context, name) else {}
        busy = [pv.name for pv in context.pvs.values() if pv._waiters or pv._pending]
        return found | ({"busy": busy} if busy else {})

    end = asyncio.get_running_loop().time() + 60
    while remains := left():
        assert asyncio.get_running_loop().time() < end, remains
        await asyncio.sleep(0.01)


async def follow(context: Context) -> None:
    async for _ in context.pvs["cacalc", 0].subscribe(data_type="status"):
        pass


async def monitor(context: Context) -> None:
    async for _ in context.monitor("cacalc", "cadoesnotexist", data_type="graphic"):
        pass


async def monitor_many(context: Context, numpy: bool) -> None:
    async with context.monitor_many(["cacalc", "cadoesnotexist"], numpy=numpy) as updates:
        async for _ in updates:
            pass


OPERATIONS: dict[str, Callable[[Context], Any]] = {
    "read": lambda c: c.pvs["catest", 0].read(),
    "read an array": lambda c: c.pvs["cawave", 0].read(data_type="time"),
    "read with callback": lambda c: c.pvs["catest", 0].read(callback=print),
    "read unknown": lambda c: c.pvs["cadoesnotexist", 0].read(),
    "write": lambda c: c.pvs["caslow", 0].write(1),
    "write unknown": lambda c: c.pvs["cadoesnotexist", 0].write(1),
    "connection": lambda c: c.pvs["cadoesnotexist", 0].wait_for_connection(),
    "search": lambda c: c.pvs["cadoesnotexist", 0].wait_for_search(),
    "read_many": lambda c: c.read_many(["catest", "cawave", "cadoesnotexist"]),
    "read_many connected": lambda c: c.read_many(["catest", "cawave"]),
    "write_many": lambda c: c.write_many(["caslow", "cadoesnotexist"], 1),
    "write_many of text": lambda c: c.write_many(["castring", "caslow"], ["a string", 1]),
    "iteration": follow,
    "monitor": monitor,
    "monitor_many": lambda c: monitor_many(c, False),
    "monitor_many, NumPy": lambda c: monitor_many(c, True),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_task_that_is_cancelled_leaves_nothing_behind(ioc: Any, name: str) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            names = ("catest", "caslow", "cawave", "castring", "cacalc")
            pvs = await context.get_pvs(*names, "cadoesnotexist")
            await asyncio.gather(*(pv.wait_for_connection() for pv in pvs[:-1]))
            await pvs[0].read()
            before, owners = counts(), len(context._engine.ca.owners)
            # After so many turns of the loop: at its first await, its second, while it waits.
            for turns in (0, 1, 2, 3, 5, 10, 200):
                task = asyncio.create_task(OPERATIONS[name](context))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert task.cancelled() or task.exception() is None
                del task
            gc.collect()
            await settled(context, before, owners)
            assert (await pvs[0].read()).status.success

    asyncio.run(main())


def test_a_cancelled_gather_drops_the_late_replies(ioc: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        complaints: list[Any] = []
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("catest")
            await pv.read()
            before, owners = counts(), len(context._engine.ca.owners)
            for _ in range(5):
                everything = asyncio.gather(*(pv.read() for _ in range(1000)))
                await asyncio.sleep(0)
                everything.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await everything
            await settled(context, before, owners)
        gc.collect()
        assert complaints == []

    asyncio.run(main())


def test_a_read_serves_everything_that_takes_a_coroutine(ioc: Any) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("catest")
            value = (await pv.read()).data[0]
            responses = [
                await pv.read(),
                await asyncio.create_task(pv.read()),
                await asyncio.ensure_future(pv.read()),
                await asyncio.wait_for(pv.read(), 60),
                await asyncio.shield(pv.read()),
                *await asyncio.gather(pv.read(), pv.read(data_type="time")),
            ]
            for earliest in asyncio.as_completed([pv.read(), pv.read()]):
                responses.append(await earliest)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(pv.read()) for _ in range(3)]
            responses += [task.result() for task in tasks]
            loop = asyncio.get_running_loop()
            responses.append(
                await asyncio.to_thread(
                    lambda: asyncio.run_coroutine_threadsafe(pv.read(), loop).result(60)
                )
            )
            assert [response.data[0] for response in responses] == [value] * 13

    asyncio.run(main())


def test_a_read_that_fails_raises_where_it_is_awaited(ioc: Any) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            pv, slow = await context.get_pvs("catest", "caslow")
            await asyncio.gather(pv.read(), slow.read())
            for kind, error in (("bogus", KeyError), (99, ValueError)):
                reading = pv.read(data_type=kind)
                with pytest.raises(error):
                    await reading
                with pytest.raises(error):
                    await asyncio.create_task(pv.read(data_type=kind))

    asyncio.run(main())


def test_a_read_that_times_out_raises_where_it_is_awaited(make_ioc: Any) -> None:
    server = make_ioc('record(ao, "cafrozen") {}')

    async def main() -> None:
        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("cafrozen")
            await pv.read()
            server.freeze()
            with pytest.raises(CaprotoTimeoutError, match=r"cafrozen.*0 s"):
                await asyncio.create_task(pv.read(timeout=0))
            server.thaw()

    asyncio.run(main())


def test_disconnecting_ends_what_is_under_way(ioc: Any) -> None:
    async def main() -> None:
        context = Context(timeout=60)
        names = ("catest", "caslow", "cadoesnotexist")
        pv, slow, lost = await context.get_pvs(*names)
        await asyncio.gather(pv.read(), slow.read())
        tasks = [
            asyncio.ensure_future(made)
            for made in (
                pv.read(),
                slow.write(1),
                lost.read(),
                lost.wait_for_connection(),
                context.read_many(names),
                context.write_many(names, 1),
            )
        ]
        streams = [asyncio.ensure_future(monitor_many(context, numpy)) for numpy in (False, True)]
        await asyncio.sleep(0)
        await context.disconnect()
        async with asyncio.timeout(60):
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert await asyncio.gather(*streams) == [None, None]
        assert [type(result) for result in done[1:]] == [ContextDisconnectedError] * 5
        assert [str(result).partition(":")[0] for result in done[1:]] == [
            "write of 'caslow'", "read of 'cadoesnotexist'", "connection of 'cadoesnotexist'",
            "read of 'cadoesnotexist'", "write of 'cadoesnotexist'",
        ]  # fmt: skip

    asyncio.run(main())


def test_several_loops_at_once(ioc: Any) -> None:
    before = threading.active_count()
    seen: list[Any] = []

    async def one(number: int) -> None:
        async with Context(timeout=60) as context:
            pvs = await context.get_pvs("catest", f"cascratch{number}")
            await pvs[1].write(number)
            async for response in pvs[1].subscribe():
                seen.append((number, float(response.data[0])))
                break
            await asyncio.gather(*(pvs[0].read() for _ in range(500)))

    threads = [threading.Thread(target=asyncio.run, args=(one(n),)) for n in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(seen) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    wait_until(lambda: threading.active_count() <= before)


def test_a_loop_that_is_closed_under_a_stream(ioc: Any) -> None:
    before = threading.active_count()
    loop = asyncio.new_event_loop()

    async def begin() -> Any:
        context = Context()
        updates = context.monitor_many(["cacalc"], numpy=True)
        await anext(updates)
        other = context.monitor_many(["cacalc"])
        await anext(other)
        return context

    context = loop.run_until_complete(begin())
    loop.close()
    wait_until(lambda: context._closed)
    wait_until(lambda: threading.active_count() <= before)
