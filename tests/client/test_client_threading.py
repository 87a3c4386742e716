"""What only the threading client has: batches, and its threads."""

import threading
import time
from typing import Any

import pytest

from cachannel.threading.client import Batch, Context, DisconnectedError
from support.waiting import wait_until


def test_a_batch_sends_all_at_its_end(ioc: Any) -> None:
    seen: list[Any] = []
    with Context(timeout=10) as context:
        pvs = context.get_pvs("catest", "calong", "castring")
        for pv in pvs:
            pv.wait_for_connection()
        with Batch() as batch:
            for pv in pvs:
                batch.read(pv, seen.append)
            batch.write(pvs[0], 8.5, seen.append)
            batch.write(pvs[1], 4)
            assert seen == []
        wait_until(lambda: len(seen) == 4)
        assert pvs[0].read().data[0] == 8.5
        pvs[1].write(3)


def test_a_batch_refuses_a_pv_that_is_not_connected(ioc: Any) -> None:
    with Context() as context, Batch() as batch:
        (pv,) = context.get_pvs("cadoesnotexist")
        with pytest.raises(DisconnectedError, match="cadoesnotexist"):
            batch.read(pv, print)


def test_callbacks_run_on_named_threads_and_may_use_the_client(ioc: Any) -> None:
    seen: list[Any] = []

    def update(subscription: Any, response: Any) -> None:
        (new,) = subscription.pv.context.get_pvs("cambbo")
        seen.append((threading.current_thread().name, new.read().data[0]))

    with Context(timeout=10) as context:
        (pv,) = context.get_pvs("catest")
        pv.subscribe().add_callback(update)
        wait_until(lambda: seen)
    assert seen[0][0].startswith("user-callback-executor")


def test_two_hundred_quick_updates_reach_a_slow_callback(ioc: Any) -> None:
    seen: list[float] = []

    def update(subscription: Any, response: Any) -> None:
        time.sleep(0.005)
        seen.append(float(response.data[0]))

    with Context(timeout=10) as context:
        (pv,) = context.get_pvs("cascratch3")
        pv.write(0)
        pv.subscribe().add_callback(update)
        wait_until(lambda: seen)
        for number in range(1, 201):
            pv.write(number)
        wait_until(lambda: len(seen) == 201)
    assert seen == list(range(201))


def test_a_callback_may_clear_its_own_subscription(ioc: Any) -> None:
    seen: list[Any] = []

    def update(subscription: Any, response: Any) -> None:
        seen.append(response)
        subscription.clear()

    with Context(timeout=10) as context:
        (pv,) = context.get_pvs("cacalc")
        subscription = pv.subscribe()
        subscription.add_callback(update)
        wait_until(lambda: seen and subscription.subscriptionid is None)


def test_disconnect_leaves_no_thread_within_a_second(ioc: Any) -> None:
    before = threading.active_count()
    context = Context(timeout=10)
    (pv,) = context.get_pvs("cacalc")
    seen: list[Any] = []

    def update(subscription: Any, response: Any) -> None:
        seen.append(response)

    pv.subscribe().add_callback(update)
    wait_until(lambda: seen)
    start = time.monotonic()
    context.disconnect()
    assert time.monotonic() - start < 1
    wait_until(lambda: threading.active_count() <= before)


@pytest.mark.parametrize(
    "body",
    [
        "from cachannel.sync.client import read; read('catest')",
        "from cachannel.threading.client import Context; c = Context(); c.get_pvs('catest')",
        "from cachannel.threading.client import Context\nc = Context()\n"
        "s = c.get_pvs('cacalc')[0].subscribe()\ndef f(s, r): pass\ns.add_callback(f)\n"
        "c.get_pvs('cacalc')[0].read()",
        "from cachannel.threading.client import Context; Context().get_pvs('cadoesnotexist')",
        "import asyncio\nfrom cachannel.asyncio.client import Context\n"
        "async def main():\n    c = Context()\n    (pv,) = await c.get_pvs('cacalc')\n"
        "    async def f(s, r): pass\n    main.f = f\n    pv.subscribe().add_callback(f)\n"
        "    await pv.read()\nasyncio.run(main())",
    ],
)
def test_a_script_that_just_ends_leaves_quietly(run_script: Any, body: str) -> None:
    run_script(body).succeeded()
