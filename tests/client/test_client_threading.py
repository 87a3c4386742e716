"""What only the threading client has: batches, and its threads."""

import functools
import threading
import time
from typing import Any

import pytest

from cachannel._native import ffi, lib
from cachannel.threading.client import Batch, Context, DisconnectedError
from support.waiting import wait_until


def test_a_batch_sends_all_at_its_end(ioc: Any) -> None:
    seen: list[Any] = []
    with Context(timeout=60) as context:
        pvs = context.get_pvs("catest", "calong", "castring")
        for pv in pvs:
            pv.wait_for_connection()
        with Batch(timeout=60) as batch:
            for pv in pvs:
                batch.read(pv, seen.append)
            batch.write(pvs[0], 8.5, seen.append)
            batch.write(pvs[1], 4)
            assert seen == []
        wait_until(lambda: len(seen) == 4)
        assert pvs[0].read().data[0] == 8.5
        pvs[1].write(3)


def test_a_batch_is_sent_also_when_its_block_raises(ioc: Any) -> None:
    with Context(timeout=10) as context:
        (pv,) = context.get_pvs("cascratch1")
        pv.write(0)
        seen: list[Any] = []

        def fail() -> None:
            with Batch() as batch:
                batch.write(pv, 7)
                batch.read(pv, seen.append)
                message = "on purpose"
                raise LookupError(message)

        with pytest.raises(LookupError, match="on purpose"):
            fail()
        wait_until(lambda: seen)
        assert seen[0].data[0] == 7


def test_a_batch_refuses_a_pv_that_is_not_connected(ioc: Any) -> None:
    with Context() as context, Batch(timeout=60) as batch:
        (pv,) = context.get_pvs("cadoesnotexist")
        with pytest.raises(DisconnectedError, match="cadoesnotexist"):
            batch.read(pv, print)


def test_a_batch_of_ten_thousand_reads_and_writes(ioc: Any) -> None:
    values: list[float] = []
    statuses: list[bool] = []
    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("cascratch1")
        pv.wait_for_connection()
        with Batch(timeout=30) as batch:
            for number in range(5000):
                batch.write(pv, number, lambda response: statuses.append(response.status.success))
            for _ in range(5000):
                batch.read(pv, lambda response: values.append(response.data[0]))
        wait_until(lambda: len(values) == len(statuses) == 5000, 60)
    assert all(statuses)
    assert values == [4999.0] * 5000


def test_a_batch_keeps_its_order(ioc: Any) -> None:
    seen: list[Any] = []

    def take(response: Any) -> None:
        seen.append(float(response.data[0]) if hasattr(response, "data") else response.ioid)

    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("cascratch2")
        pv.write(0)
        with Batch(timeout=60) as batch:
            batch.read(pv, take)
            batch.write(pv, 1)
            batch.read(pv, take)
            batch.write(pv, "2", take)
            batch.read(pv, take)
            batch.write(pv, [3, 4, 5], data_count=1)
            batch.read(pv, take)
        wait_until(lambda: len(seen) == 5)
        answers = [value for value in seen if isinstance(value, float)]
        assert answers == [0.0, 1.0, 2.0, 3.0]


def test_a_batch_writes_every_kind_of_value(ioc: Any) -> None:
    seen: list[Any] = []
    names = ("catest", "calong", "castring", "cambbo", "cawaveh", "calongtext")
    values = (2.5, 7, "text", "two", [1, 2], b"bytes")
    with Context(timeout=60) as context:
        pvs = context.get_pvs(*names)
        for pv in pvs:
            pv.wait_for_connection()
        for callback in (None, seen.append):
            with Batch(timeout=60) as batch:
                for pv, value in zip(pvs, values, strict=True):
                    batch.write(pv, value, callback)
        wait_until(lambda: len(seen) == len(names))
        assert all(response.status.success for response in seen)
        read = [pv.read().data for pv in pvs]
        assert [read[0][0], read[1][0], read[2][0], read[3][0]] == [2.5, 7, b"text", 2]
        assert list(read[4]) == [1, 2]
        assert read[5].tobytes() == b"bytes"
        pvs[1].write(3)
        with pytest.raises(ValueError, match="abc"), Batch(timeout=60) as batch:
            batch.write(pvs[0], "abc")
        with pytest.raises(ValueError, match="fit"), Batch(timeout=60) as batch:
            batch.write(pvs[1], 2**40)


def test_a_refused_write_of_a_batch_is_told(ioc: Any) -> None:
    seen: list[Any] = []
    with Context(timeout=60) as context:
        pvs = context.get_pvs("caread", "catest", "canoaccess")
        for pv in pvs:
            pv.wait_for_connection()
        with Batch(timeout=60) as batch:
            batch.write(pvs[0], 1.0, seen.append)
            batch.write(pvs[1], 1.0, seen.append)
            batch.read(pvs[2], seen.append)
        wait_until(lambda: len(seen) == 3)
    names = {response.status.name for response in seen}
    assert names == {"ECA_NOWTACCESS", "ECA_NORMAL", "ECA_NORDACCESS"}


def test_a_refused_write_before_the_news_of_the_connection(ioc: Any) -> None:
    """libca has the connection, and refuses at once; the PV has not been told of either yet."""
    seen: list[Any] = []
    # The lock is what news of a connection needs.
    with Context(timeout=10) as context, context._lock:
        (pv,) = context.get_pvs("caread")
        wait_until(lambda: pv.connected)
        with Batch() as batch:
            batch.write(pv, 1.0, seen.append)
        wait_until(lambda: seen)
    assert (seen[0].status.name, seen[0].data_type.name) == ("ECA_NOWTACCESS", "DOUBLE")


@pytest.mark.parametrize("max_workers", [1, 3])
def test_answers_of_all_kinds_come_in_one_batch(ioc: Any, max_workers: int) -> None:
    """Numbers, texts, small and large arrays and refusals, in turn; nothing stays in memory."""
    names = ["catest", "castring", "calong", "cawave", "camillion", "canoaccess", "cawaves"]
    asked = names * 40
    seen: dict[int, Any] = {}
    with Context(timeout=60, max_workers=max_workers) as context:
        pvs = dict(zip(names, context.get_pvs(*names), strict=True))
        pvs["camillion"].write(range(3000))
        pvs["cawaves"].write(["a", "b", "c"])
        wanted = {name: pv.read() for name, pv in pvs.items() if name != "canoaccess"}
        before = payload_bytes()
        with Batch(timeout=60) as batch:
            for number, name in enumerate(asked):
                batch.read(pvs[name], functools.partial(seen.__setitem__, number))
        wait_until(lambda: len(seen) == len(asked))
        assert not context._engine.ca.runs
        for number, name in enumerate(asked):
            if name == "canoaccess":
                assert seen[number].status.name == "ECA_NORDACCESS"
            else:
                assert seen[number].data_type == wanted[name].data_type
                assert list(seen[number].data) == list(wanted[name].data)
        seen.clear()
        wait_until(lambda: payload_bytes() <= before)


@pytest.mark.parametrize("max_workers", [1, 3])
def test_reads_that_are_given_up_with_their_channel_call_nobody(
    make_ioc: Any, max_workers: int
) -> None:
    running = make_ioc('record(ai, "caone") { } record(ai, "cagone") { }')
    seen: list[Any] = []
    with Context(timeout=60, max_workers=max_workers) as context:
        pv, gone = context.get_pvs("caone", "cagone")
        pv.wait_for_connection()
        gone.wait_for_connection()
        running.freeze()
        with Batch(timeout=60) as batch:
            for _ in range(100):
                batch.read(gone, seen.append)
            batch.read(pv, seen.append)
        with context._lock:
            gone._close()
        running.thaw()
        wait_until(lambda: not context._engine.ca.runs)
        wait_until(lambda: seen)
        pv.read()
    assert [response.status.name for response in seen] == ["ECA_NORMAL"]


def payload_bytes() -> int:
    """Return how much of what libca has delivered is on the heap."""
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    return int(counts.payload_bytes)


def test_late_answers_to_a_batch_are_dropped_and_logged(
    ioc: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Any] = []
    with Context(timeout=60) as context, caplog.at_level("WARNING", logger="cachannel.ch"):
        (pv,) = context.get_pvs("caslow")
        pv.wait_for_connection()
        with Batch(timeout=0.0) as batch:
            batch.write(pv, 1, seen.append)
        wait_until(lambda: "caslow was answered after 0 s" in caplog.text)
    assert seen == []


def test_a_slow_reader_of_many_gets_the_newest_and_is_told(own: Any) -> None:
    # Our server sends every update; a soft IOC that is held up may leave some of a burst out.
    with Context(timeout=60) as context:
        pvs = context.get_pvs("own:cascratch1", "own:cascratch2")
        for pv in pvs:
            pv.write(0)
        with context.monitor_many(pvs, limit=10) as updates:
            wait_until(lambda: len(updates._stream._waiting) == 2)  # type: ignore[union-attr]
            for number in range(1, 101):
                for pv in pvs:
                    pv.write(number, wait=number == 100)
            wait_until(lambda: updates.dropped >= 180)
            latest: dict[int, float] = {}
            total = 0
            while set(latest.values()) != {100.0}:
                batch = updates.get(60.0)
                assert batch
                total += len(batch)
                latest.update({index: float(response.data[0]) for index, response in batch})
            assert total + updates.dropped == 202
            assert updates.get(0.0) == []


def test_callbacks_that_block_get_the_newest_and_the_memory_is_bounded(
    own: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Our server sends every update; a soft IOC that is held up may leave some of a burst out.
    monkeypatch.setattr("cachannel.client.callbacks.LIMIT", 50)
    go = threading.Event()
    seen: list[float] = []
    answers: list[Any] = []

    def update(subscription: Any, response: Any) -> None:
        go.wait(60)
        seen.append(float(response.data[0]))

    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("own:cascratch1")
        pv.write(0)
        pv.subscribe().add_callback(update)
        pv.read(callback=answers.append)
        for number in range(1, 201):
            pv.write(number, wait=number == 200)
        circuit = pv.circuit_manager
        wait_until(lambda: circuit.dropped >= 140)
        go.set()
        wait_until(lambda: seen[-1:] == [200.0])
        wait_until(lambda: len(answers) == 1)
        assert len(seen) + circuit.dropped == 201
        assert seen == sorted(seen)
    assert "too slow" in caplog.text


def test_iterating_many_ends_with_the_context(ioc: Any) -> None:
    context = Context(timeout=60)
    seen: list[Any] = []

    def follow() -> None:
        for batch in context.monitor_many(["catest", "cadoesnotexist"]):
            seen.extend(batch)

    thread = threading.Thread(target=follow)
    thread.start()
    wait_until(lambda: seen)
    context.disconnect()
    thread.join(60)
    assert not thread.is_alive()


def test_callbacks_run_on_named_threads_and_may_use_the_client(ioc: Any) -> None:
    seen: list[Any] = []

    def update(subscription: Any, response: Any) -> None:
        (new,) = subscription.pv.context.get_pvs("cambbo")
        seen.append((threading.current_thread().name, new.read().data[0]))

    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("catest")
        pv.subscribe().add_callback(update)
        wait_until(lambda: seen)
    assert seen[0][0].startswith("user-callback-executor")


def test_two_hundred_quick_updates_reach_a_slow_callback(ioc: Any) -> None:
    seen: list[float] = []

    def update(subscription: Any, response: Any) -> None:
        time.sleep(0.005)
        seen.append(float(response.data[0]))

    with Context(timeout=60) as context:
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

    with Context(timeout=60) as context:
        (pv,) = context.get_pvs("cacalc")
        subscription = pv.subscribe()
        subscription.add_callback(update)
        wait_until(lambda: seen and subscription.subscriptionid is None)


def test_disconnect_leaves_no_thread(ioc: Any) -> None:
    before = threading.active_count()
    context = Context(timeout=60)
    (pv,) = context.get_pvs("cacalc")
    seen: list[Any] = []

    def update(subscription: Any, response: Any) -> None:
        seen.append(response)

    pv.subscribe().add_callback(update)
    wait_until(lambda: seen)
    start = time.monotonic()
    context.disconnect()
    # It waits for nothing; the margin is for a busy machine.
    assert time.monotonic() - start < 10
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
        # A callback that never ends.
        "from cachannel.threading.client import Context\nimport threading, time\nc = Context()\n"
        "started = threading.Event()\ndef f(s, r):\n    started.set()\n    time.sleep(60)\n"
        "c.get_pvs('cacalc')[0].subscribe().add_callback(f)\nassert started.wait(60)",
        # Requests under way, to a PV that answers late and to one that does not exist.
        "from cachannel.threading.client import Batch, Context\nc = Context()\n"
        "pvs = c.get_pvs('caslow', 'catest')\nfor pv in pvs: pv.wait_for_connection(timeout=60)\n"
        "with Batch(timeout=60) as b:\n    b.write(pvs[0], 1, print)\n"
        "    for _ in range(5000): b.read(pvs[1], id)\nc.get_pvs('cadoesnotexist')",
        # A thread that blocks.
        "from cachannel.sync.client import subscribe\nimport threading\n"
        "s = subscribe('cacalc')\nseen = threading.Event()\ndef f(s, r): seen.set()\n"
        "s.add_callback(f)\nthreading.Thread(target=s.block, daemon=True).start()\n"
        "assert seen.wait(60)",
        # Streams that are open.
        "from cachannel.threading.client import Context\nc = Context()\n"
        "u = c.monitor_many(['cacalc'], numpy=True)\nassert len(u.get(60))\n"
        "v = c.monitor_many(['cacalc'])\nassert len(v.get(60))",
        # A loop that is closed while reads, streams and callbacks are under way.
        "import asyncio\nfrom cachannel.asyncio.client import Context\n"
        "async def main():\n    global c, u, v\n    c = Context()\n"
        "    (pv,) = await c.get_pvs('cacalc')\n    await pv.read(timeout=60)\n"
        "    u = c.monitor_many(['cacalc'], numpy=True)\n    await anext(u)\n"
        "    v = c.monitor_many(['cacalc'])\n    await anext(v)\n"
        "    for _ in range(100): pv.read().add_done_callback(id)\n"
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(main())\nloop.close()",
        # A context that is collected.
        "from cachannel.threading.client import Context\nimport gc\nc = Context()\n"
        "(pv,) = c.get_pvs('catest')\npv.read(timeout=60)\ndel c, pv\ngc.collect()",
    ],
)
def test_a_script_that_just_ends_leaves_quietly(run_script: Any, body: str) -> None:
    run_script(body).succeeded()
