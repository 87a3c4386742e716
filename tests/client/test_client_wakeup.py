"""Plain callbacks of the asyncio client may use what belongs to the event loop."""

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from cachannel.asyncio.client import PV, Context
from cachannel.asyncio.loop import Wakeup
from cachannel.protocol.channel_types import AccessRights
from support.waiting import wait_until

Ways = Callable[[PV, Callable[..., None]], Awaitable[object]]


async def subscription(pv: PV, callback: Callable[..., None]) -> object:
    subscription = pv.subscribe()
    subscription.add_callback(callback)
    return subscription


async def read(pv: PV, callback: Callable[..., None]) -> object:
    return await pv.read(wait=False, callback=callback)


async def write(pv: PV, callback: Callable[..., None]) -> object:
    return await pv.write(1.0, wait=False, callback=callback)


async def connection(pv: PV, callback: Callable[..., None]) -> object:
    return pv.connection_state_callback.add_callback(callback, run=True)


async def access_rights(pv: PV, callback: Callable[..., None]) -> object:
    return pv.access_rights_callback.add_callback(callback, run=True)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop that has no timer; without a wake-up it would sleep for ever."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(main)
    watchdog = threading.Timer(20, lambda: loop.call_soon_threadsafe(task.cancel))
    watchdog.start()
    try:
        return loop.run_until_complete(task)
    finally:
        watchdog.cancel()
        loop.close()


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("way", [subscription, read, write, connection, access_rights])
def test_what_a_plain_callback_does_is_seen_at_once(ioc: Any, way: Ways, workers: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Context(timeout=None, max_workers=workers) as context:
            (pv,) = await context.get_pvs("cascratch1")
            await pv.wait_for_connection()
            for _ in range(20):
                event, queue, future = asyncio.Event(), asyncio.Queue[int](), loop.create_future()

                def callback(*_: Any) -> None:
                    event.set()  # noqa: B023 - each of them is called in its own turn
                    queue.put_nowait(threading.get_ident())  # noqa: B023
                    if not future.done():  # noqa: B023
                        future.set_result(None)  # noqa: B023

                kept = await way(pv, callback)
                # No timer may help: nothing else wakes this loop.
                await event.wait()
                assert await queue.get() != threading.get_ident()
                await future
                del kept
                await pv.unsubscribe_all()

    run(main())


def test_the_connection_and_the_rights_of_a_new_pv_are_seen_at_once(ioc: Any) -> None:
    async def main() -> tuple[Any, str]:
        states, rights = asyncio.Queue[str](), asyncio.Queue[Any]()

        def connected(pv: PV, state: str) -> None:
            states.put_nowait(state)

        def changed(pv: PV, access: Any) -> None:
            rights.put_nowait(access)

        async with Context(timeout=None) as context:
            await context.get_pvs(
                "catest", connection_state_callback=connected, access_rights_callback=changed
            )
            return await rights.get(), await states.get()

    assert run(main()) == (AccessRights.READ | AccessRights.WRITE, "connected")


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often it is asked to wake up."""

    def __init__(self) -> None:
        super().__init__(selectors.DefaultSelector())
        self.wakeups = 0

    def call_soon_threadsafe(self, *args: Any, **options: Any) -> Any:
        self.wakeups += 1
        return super().call_soon_threadsafe(*args, **options)


def test_a_loop_is_woken_once_for_many_batches() -> None:
    loop = CountingLoop()
    wakeup = Wakeup(loop)
    for _ in range(3):
        thread = threading.Thread(target=lambda: [wakeup() for _ in range(1000)])
        thread.start()
        thread.join()
    assert loop.wakeups == 1
    loop.run_until_complete(asyncio.sleep(0))
    wakeup()
    assert loop.wakeups == 2
    loop.close()
    loop.wakeups = 0
    wakeup()
    wakeup()  # of a closed loop: nothing to wake, and nothing is raised
    assert loop.wakeups <= 1


def test_callbacks_that_outlive_their_loop_raise_nothing(
    ioc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    release, ran = threading.Event(), threading.Event()

    def callback(subscription: Any, response: Any) -> None:
        release.wait(60)
        ran.set()

    async def main() -> None:
        context = Context(timeout=60)
        (pv,) = await context.get_pvs("catest")
        pv.subscribe().add_callback(callback)
        await pv.read()

    asyncio.run(main())
    release.set()
    wait_until(ran.is_set, what="the end of the callback")
    assert not caplog.records
