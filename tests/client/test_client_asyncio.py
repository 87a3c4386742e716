"""What only the asyncio client has: loops, tasks, and iteration."""

import asyncio
import threading
from typing import Any

import pytest

from cachannel._native import ffi, lib
from cachannel.asyncio.client import Context
from cachannel.protocol.errors import CaprotoTypeError, CaprotoValueError
from support.waiting import wait_until


def requests() -> int:
    """The number of requests that wait for an answer in C."""
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    return int(counts.requests)


def test_a_context_needs_a_running_loop(ioc: Any) -> None:
    with pytest.raises(RuntimeError):
        Context()


def test_loops_one_after_the_other_leave_no_thread(ioc: Any) -> None:
    async def once() -> float:
        async with Context() as context:
            (pv,) = await context.get_pvs("catest")
            return float((await pv.read()).data[0])

    before = threading.active_count()
    assert asyncio.run(once()) == asyncio.run(once())
    wait_until(lambda: threading.active_count() <= before)


def test_ten_thousand_reads_at_once(ioc: Any) -> None:
    async def main() -> None:
        async with Context(timeout=30) as context:
            (pv,) = await context.get_pvs("catest")
            responses = await asyncio.gather(*(pv.read() for _ in range(10_000)))
            assert len({response.data[0] for response in responses}) == 1
            assert len({response.ioid for response in responses}) == 10_000

    asyncio.run(main())


def test_a_read_that_cannot_be_sent_leaves_those_beside_it_alone(ioc: Any) -> None:
    async def main() -> list[Any]:
        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("catest")
            await pv.read()
            reads = (
                pv.read(), pv.read(data_count=2**40), pv.read(timeout="1"), pv.read(data_count=3)
            )  # fmt: skip
            return await asyncio.gather(*reads, return_exceptions=True)

    good, bad, worse, other = asyncio.run(main())
    assert (good.data_count, other.data_count) == (1, 3)
    assert (type(bad), type(worse)) == (CaprotoValueError, CaprotoTypeError)


def test_a_subscription_is_iterated_from_its_latest_value(ioc: Any) -> None:
    async def main() -> list[float]:
        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("cascratch2")
            await pv.write(0)
            numbers = []
            subscription = pv.subscribe()
            async for response in subscription:
                numbers.append(float(response.data[0]))
                if numbers[-1] == 20:
                    break
                await pv.write(numbers[-1] + 1)
            await subscription.clear()
            return numbers

    assert asyncio.run(main()) == list(range(21))


def test_a_coroutine_may_use_the_client_and_delays_only_its_own_subscription(ioc: Any) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            slow_pv, quick_pv = await context.get_pvs("cascratch1", "cascratch2")
            release = asyncio.Event()
            slow_seen, quick_seen, tasks = [], [], []

            async def slow(subscription: Any, response: Any) -> None:
                tasks.append(asyncio.current_task())
                async with asyncio.timeout(60):
                    await release.wait()
                assert asyncio.current_task() is tasks[-1]
                slow_seen.append((await subscription.pv.read()).data[0])

            async def quick(subscription: Any, response: Any) -> None:
                quick_seen.append(response.data[0])

            slow_pv.subscribe().add_callback(slow)
            quick_pv.subscribe().add_callback(quick)
            for number in range(5):
                await slow_pv.write(number)
                await quick_pv.write(number)
            async with asyncio.timeout(60):
                while not quick_seen or quick_seen[-1] != 4:
                    await asyncio.sleep(0.01)
            assert slow_seen == []
            release.set()
            async with asyncio.timeout(60):
                while len(slow_seen) < len(quick_seen) - 1:
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_plain_function_that_blocks_holds_up_neither_loop_nor_coroutines(ioc: Any) -> None:
    release, began = threading.Event(), threading.Event()
    seen: list[float] = []

    def blocking(subscription: Any, response: Any) -> None:
        began.set()
        release.wait(30)

    async def update(subscription: Any, response: Any) -> None:
        seen.append(response.data[0])

    async def main() -> None:
        async with Context(timeout=10) as context, asyncio.timeout(30):
            first, second = await context.get_pvs("cascratch1", "cascratch2")
            first.subscribe().add_callback(blocking)
            while not began.is_set():
                await asyncio.sleep(0.01)
            second.subscribe().add_callback(update)
            for number in range(5):
                await second.write(number)
            while not seen or seen[-1] != 4:
                await asyncio.sleep(0.01)
            assert (await first.read()).status.success
            assert not release.is_set()
            release.set()

    asyncio.run(main())


def test_a_cancelled_task_leaves_nothing_behind(ioc: Any) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            pv, slow, lost = await context.get_pvs("catest", "caslow", "cadoesnotexist")
            await pv.read()
            await slow.wait_for_connection()
            before = requests()  # objects of other tests may have some
            for make in (pv.read, lambda: slow.write(1), lost.read, lost.wait_for_connection):
                task = asyncio.create_task(make())
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert lost._waiters == []
            assert not context._inflight
            async with asyncio.timeout(60):
                while requests() > before:
                    await asyncio.sleep(0.01)
            assert (await pv.read()).status.success

    asyncio.run(main())


def test_a_loop_that_is_closed_while_events_flow(ioc: Any) -> None:
    loop = asyncio.new_event_loop()
    seen: list[Any] = []

    async def update(subscription: Any, response: Any) -> None:
        seen.append(response)

    async def begin() -> Context:
        context = Context()
        (pv,) = await context.get_pvs("cacalc")
        pv.subscribe().add_callback(update)
        while len(seen) < 2:
            await asyncio.sleep(0.01)
        return context

    before = threading.active_count()
    context = loop.run_until_complete(begin())
    loop.close()
    wait_until(lambda: context._closed)
    wait_until(lambda: threading.active_count() <= before)


def test_monitor_yields_connections_and_updates(ioc: Any) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            kinds = []
            stream = context.monitor("catest", "calong")
            async for kind, source, data in stream:
                kinds.append((kind, getattr(source, "name", None) or source.pv.name))
                if kind == "connection":
                    assert data == "connected"
                if len(kinds) == 4:
                    break
            await stream.aclose()
            assert sorted(kinds) == sorted(
                (kind, name)
                for kind in ("connection", "subscription")
                for name in ("catest", "calong")
            )
            assert context.pvs["catest", 0].connection_state_callback.callbacks == {}

    asyncio.run(main())


@pytest.mark.parametrize("numpy", [False, True])
def test_monitor_many_yields_batches(ioc: Any, numpy: bool) -> None:
    async def main() -> None:
        async with Context(timeout=60) as context:
            seen = set()
            stream = context.monitor_many(["catest", "calong", "cacalc"], numpy=numpy)
            async for batch in stream:
                seen |= set(batch["id"].tolist()) if numpy else {index for index, _ in batch}
                if seen == {0, 1, 2}:
                    break
            await stream.aclose()

    asyncio.run(main())


async def write_to(context: Context, name: str, count: int) -> None:
    """Write 1 to count, and wait until the client has had all updates."""
    (pv,) = await context.get_pvs(name)
    subscription = pv.subscribe()
    for number in range(1, count + 1):
        await pv.write(number)
    async with asyncio.timeout(60):
        while float(subscription.most_recent_response.data[0]) != count:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0)  # what came with it is done in the turn that follows


def test_the_oldest_updates_of_an_iteration_that_is_too_slow_give_way(
    ioc: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cachannel.asyncio.loop.LIMIT", 50)

    async def main() -> list[float]:
        numbers: list[float] = []
        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("cascratch1")
            await pv.write(0)
            async for response in pv.subscribe():
                numbers.append(float(response.data[0]))
                if numbers == [0.0]:
                    await write_to(context, "cascratch1", 200)
                if numbers[-1] == 200:
                    break
        return numbers

    numbers = asyncio.run(main())
    assert numbers[-1] == 200
    assert numbers == sorted(numbers)
    assert 2 <= len(numbers) <= 51
    assert caplog.text.count("an iteration is too slow") == 1


def test_the_oldest_updates_of_a_coroutine_callback_that_is_too_slow_give_way(
    ioc: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("cachannel.asyncio.loop.BACKLOG", 20)

    async def main() -> list[float]:
        numbers: list[float] = []
        go_on, at_end = asyncio.Event(), asyncio.Event()

        async def slow(subscription: Any, response: Any) -> None:
            await go_on.wait()
            numbers.append(float(response.data[0]))
            if numbers[-1] == 200:
                at_end.set()

        async with Context(timeout=60) as context:
            (pv,) = await context.get_pvs("cascratch1")
            await pv.write(0)
            pv.subscribe().add_callback(slow)
            await write_to(context, "cascratch1", 200)
            go_on.set()
            await asyncio.wait_for(at_end.wait(), 60)
        return numbers

    numbers = asyncio.run(main())
    assert (numbers[0], numbers[-1]) == (0.0, 200.0)
    assert numbers == sorted(numbers)
    assert 2 <= len(numbers) <= 21
    assert caplog.text.count("a callback is too slow") == 1
