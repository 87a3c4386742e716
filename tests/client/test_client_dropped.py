"""A context that the program has dropped ends; one whose callbacks can be called goes on."""

import asyncio
import gc
import os
import threading
from typing import Any

import pytest

import cachannel.asyncio.client as asyncio_client
import cachannel.threading.client as threading_client
from support.waiting import wait_until

NUMBER = 5


def held() -> tuple[int, int, int]:
    """Threads of Python, threads of this process, and its open files."""
    gc.collect()
    threads = len(os.listdir("/proc/self/task"))
    return threading.active_count(), threads, len(os.listdir("/proc/self/fd"))


def wait_for_end(before: tuple[int, int, int]) -> None:
    wait_until(
        lambda: all(now <= then for now, then in zip(held(), before, strict=True)),
        what=f"the end of the dropped contexts, until what is held is {before} again,",
        interval=0.05,
    )


def use(context: Any, way: str) -> None:
    """Do something with a context that leaves as much as possible behind."""
    if way == "unused":
        return
    pv, _ = context.get_pvs("cascratch1", "cadoesnotexist")
    if way == "searched":
        return
    pv.read()
    if way == "followed":
        told = threading.Event()

        def callback(*_: Any) -> None:
            told.set()

        pv.subscribe().add_callback(callback)
        pv.connection_state_callback.add_callback(callback, run=True)
        pv.write(1, wait=False, callback=callback)
        assert told.wait(60)


async def use_in_loop(way: str) -> None:
    context = asyncio_client.Context(timeout=3600)
    if way == "unused":
        return
    pv, _ = await context.get_pvs("cascratch1", "cadoesnotexist")
    if way == "searched":
        return
    await pv.read()
    if way == "followed":
        told = asyncio.Event()

        def plain(*_: Any) -> None:
            told.set()

        async def callback(*_: Any) -> None:
            told.set()

        pv.subscribe().add_callback(callback)
        pv.connection_state_callback.add_callback(plain, run=True)
        await told.wait()
        # Not the same function: one that a closed loop still has to call is kept by that.
        await pv.write(1, callback=lambda _: None)


WAYS = ["unused", "searched", "read", "followed"]


@pytest.fixture(autouse=True, scope="module")
def used(ioc: Any) -> None:
    """What libca and libCom make once for the whole process exists before anything is counted."""
    with threading_client.Context(timeout=60) as context:
        use(context, "followed")


@pytest.mark.parametrize("way", WAYS)
def test_a_dropped_context_of_the_threading_client_ends(ioc: Any, way: str) -> None:
    before = held()
    for _ in range(NUMBER):
        use(threading_client.Context(timeout=60), way)
    wait_for_end(before)


@pytest.mark.parametrize("way", WAYS)
def test_a_dropped_context_of_a_shared_broadcaster_ends(ioc: Any, way: str) -> None:
    with threading_client.Context(timeout=60) as first:
        use(first, "read")
        before = held()
        for _ in range(NUMBER):
            use(threading_client.Context(first.broadcaster, timeout=60), way)
        wait_for_end(before)
        wait_until(lambda: first.broadcaster.listeners == [first])
        assert first.pvs["cascratch1", 0].read().status.success


@pytest.mark.parametrize("way", WAYS)
def test_a_dropped_context_of_the_asyncio_client_ends(ioc: Any, way: str) -> None:
    before = held()
    for _ in range(NUMBER):
        asyncio.run(use_in_loop(way))
    wait_for_end(before)


@pytest.mark.parametrize("way", WAYS)
def test_a_dropped_context_ends_while_its_loop_goes_on(ioc: Any, way: str) -> None:
    async def main() -> None:
        before = held()
        for _ in range(NUMBER):
            await use_in_loop(way)
        async with asyncio.timeout(60):
            while any(now > then for now, then in zip(held(), before, strict=True)):
                await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_context_lives_as_long_as_a_callback_that_it_may_call(ioc: Any) -> None:
    before = held()
    seen: list[float] = []

    def follow() -> Any:
        """Make a context of which only the callback remains."""

        def callback(subscription: Any, response: Any) -> None:
            seen.append(float(response.data[0]))

        (pv,) = threading_client.Context(timeout=60).get_pvs("cascratch2")
        pv.subscribe().add_callback(callback)
        return callback

    kept = [follow()]
    gc.collect()
    with threading_client.Context(timeout=60) as context:
        (pv,) = context.get_pvs("cascratch2")
        for number in (11.0, 12.0, 13.0):
            pv.write(number)
            gc.collect()
            wait_until(lambda: seen[-1:] == [number], what="the update")  # noqa: B023
    kept.clear()
    wait_for_end(before)


def test_a_task_that_waits_for_a_connection_is_not_dropped(make_ioc: Any) -> None:
    """Only the context refers to the task, and only the task to the context."""
    result: list[float] = []

    async def wait() -> None:
        (pv,) = await asyncio_client.Context(timeout=60).get_pvs("later:x")
        await pv.wait_for_connection()
        result.append(float((await pv.read()).data[0]))

    async def main() -> None:
        asyncio.get_running_loop().create_task(wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        gc.collect()
        await asyncio.to_thread(
            make_ioc, 'record(ao, "later:x") { field(VAL, "3") field(PINI, "YES") }'
        )
        async with asyncio.timeout(60):
            while not result:
                gc.collect()
                await asyncio.sleep(0.1)

    asyncio.run(main())
    assert result == [3.0]


def test_the_threads_of_a_lost_circuit_end(make_ioc: Any) -> None:
    database = 'record(ao, "lost:x") { field(VAL, "3") field(PINI, "YES") }'
    server = make_ioc(database)
    with threading_client.Context(timeout=60) as context:
        (pv,) = context.get_pvs("lost:x")

        def answer() -> None:
            told = threading.Event()
            pv.read(wait=False, callback=lambda _: told.set())
            assert told.wait(60)

        answer()
        before = threading.active_count()
        for _ in range(2):
            server.restart([database], crash=True)
            wait_until(lambda: not pv.connected or None, 30, what="the loss", interval=0.001)
            pv.wait_for_connection()
            answer()

        def ended() -> bool:
            gc.collect()
            return threading.active_count() <= before

        wait_until(ended, what="the end of the threads", interval=0.05)
