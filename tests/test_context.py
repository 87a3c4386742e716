"""The event queue and its dispatcher: nothing lost, nothing stopped, an orderly end."""

import gc
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cachannel import Context
from cachannel._native import ffi, lib
from cachannel.context import contexts, create_many, report
from cachannel.errors import CAError
from cachannel.protocol.enums import ECA
from support.calls import SOON, Events
from support.ioc import SoftIoc
from support.waiting import wait_until

_WAITED = 1


class Rig:
    """A small queue, two channels, and a callback that holds the dispatcher up."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.held, self.go = threading.Event(), threading.Event()

    def channel(self, name: str) -> int:
        channel: int = lib.cc_channel_create(self.context.id, name.encode(), 0, 0, _WAITED)
        assert lib.cc_wait_all(self.context.id, 30) == ECA.NORMAL
        return channel

    def hold(self, channel: int) -> None:
        """Occupy the dispatcher until `go` is set."""

        def callback(record: Any, buffer: Any, offset: int) -> None:
            self.held.set()
            assert self.go.wait(60)

        assert lib.cc_get_callback(channel, 6, 1, self.context.own(callback)) == ECA.NORMAL
        self.context.flush()
        assert self.held.wait(SOON)

    def put(self, channel: int, values: list[float]) -> None:
        """Write and wait: the monitors' events of earlier writes are queued then."""
        data = ffi.new("double[]", values)
        request = lib.cc_put_request(channel, 6, len(values), data, 0)
        assert lib.cc_request_wait(request, 30) == ECA.NORMAL
        assert lib.cc_request_release(request) == ECA.NORMAL


@pytest.fixture
def rig(ioc: SoftIoc) -> Iterator[Rig]:
    context = Context(queue_records=3, queue_bytes=1 << 20, repeater=False)
    rig = Rig(context)
    yield rig
    rig.go.set()
    context.close()


def counts() -> Any:
    found = ffi.new("cc_counts *")
    lib.cc_get_counts(found)
    return found


@pytest.mark.parametrize("length", [1, 20])
def test_full_queue_keeps_the_newest_value_and_counts(rig: Rig, length: int) -> None:
    """Numbers in the record, and arrays in the batch."""
    channel = rig.channel("cawave")
    rig.put(channel, [0.0] * length)
    rig.hold(channel)
    seen = Events()

    def monitored(record: Any, buffer: Any, offset: int) -> None:
        value = record[12]
        if record[2] > 1:
            value = memoryview(buffer)[offset : offset + record[11]].cast("d")[length - 1]
        seen(value)

    lib.cc_subscribe(channel, 6, length, 5, rig.context.own(monitored), ffi.NULL)
    for number in range(1, 31):
        rig.put(channel, [float(number)] * length)
    before = counts().payload_bytes
    rig.go.set()
    got = [seen.until(lambda value: value == 30.0)]
    assert got == [30.0]
    assert rig.context.replaced >= 20
    assert counts().payload_bytes <= before


def test_full_queue_with_large_arrays_frees_what_is_replaced(rig: Rig) -> None:
    """Values on the heap give way to each other and to small ones; none is lost or leaked."""
    channel = rig.channel("camillion")
    rig.put(channel, [0.0])
    rig.hold(channel)
    seen = Events()
    token = rig.context.own(lambda record, buffer, offset: seen(record[8]))
    lib.cc_subscribe(channel, 6, 0, 5, token, ffi.NULL)
    before = counts().payload_bytes
    for number in range(24):
        rig.put(channel, [float(number)] * (1, 50, 2000)[number % 3])
    rig.put(channel, [5.0] * 77)
    assert counts().payload_bytes <= before + 10 * 16000
    rig.go.set()
    assert seen.until(lambda count: count == 77) == 77
    assert rig.context.replaced > 0
    wait_until(lambda: counts().payload_bytes <= before, what="the end of all payloads")


def test_full_queue_loses_no_completion(rig: Rig) -> None:
    channel = rig.channel("cascratch1")
    rig.hold(channel)
    seen = Events()
    monitor = rig.context.own(lambda record, buffer, offset: None)
    lib.cc_subscribe(channel, 6, 1, 5, monitor, ffi.NULL)
    data = ffi.new("double *")
    for number in range(100):
        token = rig.context.own(lambda record, buffer, offset, number=number: seen(number))
        data[0] = number
        assert lib.cc_put_callback(channel, 6, 1, data, token) == ECA.NORMAL
        token = rig.context.own(lambda record, buffer, offset, number=number: seen(-number))
        assert lib.cc_get_callback(channel, 6, 1, token) == ECA.NORMAL
    rig.put(channel, [1.0])
    rig.go.set()
    expected = sorted([*range(100), *(-number for number in range(100))])
    assert sorted(seen.next() for _ in range(200)) == expected


def test_full_queue_loses_no_connection_event(rig: Rig, ioc: SoftIoc) -> None:
    channel = rig.channel("cascratch1")
    rig.hold(channel)
    seen = Events()
    for _ in range(20):
        token = rig.context.own(lambda record, buffer, offset: seen(record[1]))
        lib.cc_channel_create(rig.context.id, b"catest", 0, token, 2)
    rig.context.flush()
    rig.go.set()
    assert [seen.next() for _ in range(20)] == [1] * 20


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_callback_that_raises_is_reported_and_stops_nothing(
    rig: Rig,
    error: type[BaseException],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unraisable = Events()
    monkeypatch.setattr(sys, "unraisablehook", unraisable)
    channel, seen = rig.channel("cascratch1"), Events()

    def callback(record: Any, buffer: Any, offset: int) -> None:
        seen(record[12])
        raise error("from the callback")

    lib.cc_subscribe(channel, 6, 1, 5, rig.context.own(callback), ffi.NULL)
    with caplog.at_level(logging.ERROR, "cachannel.callback"):
        rig.context.flush()
        before = seen.next()
        first = unraisable.next()
        rig.put(channel, [before - 1.0])
        assert seen.next() == before - 1.0
        unraisable.next()
    assert first.exc_type is error
    assert first.object is callback
    # Others may log as well, as libca does when the server of an earlier test is gone.
    assert [entry.name for entry in caplog.records].count("cachannel.callback") >= 2
    assert "from the callback" in caplog.text
    assert first.exc_traceback is not None


def test_without_a_hook_of_the_users_the_traceback_is_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    try:
        int("no number")
    except ValueError as error:
        report(error, print)
    shown = capsys.readouterr().err
    assert shown.startswith(
        "Exception ignored in Channel Access callback: <built-in function print>"
    )
    assert "Traceback" in shown
    assert shown.endswith("invalid literal for int() with base 10: 'no number'\n")
    monkeypatch.setattr(sys, "stderr", None)
    report(ValueError("nowhere to print it"), None)


def test_hook_that_raises_stops_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hook(unraisable: object) -> None:
        raise RuntimeError("the hook itself")

    monkeypatch.setattr(sys, "unraisablehook", hook)
    report(ValueError("first"), None)
    assert "the hook itself" in caplog.text


def test_settling_waits_for_what_is_queued(rig: Rig) -> None:
    channel, seen = rig.channel("cascratch1"), Events()
    assert rig.context.settle(0.0)
    rig.hold(channel)
    lib.cc_get_callback(channel, 6, 1, rig.context.own(lambda *args: seen(rig.context.settle(10))))
    rig.put(channel, [1.0])
    # The dispatcher is busy, and what it is busy with is waited for once only.
    assert not rig.context.settle(0.01)
    since = time.monotonic()
    assert not rig.context.settle(60)
    assert time.monotonic() - since < 30
    threading.Timer(0.05, rig.go.set).start()
    rig.context._stuck = -1
    assert rig.context.settle(60)
    # In a callback nothing is waited for.
    assert seen.drain() == [False]
    rig.context.close()
    assert not rig.context.settle(60)


def test_settling_without_a_dispatcher_delivers(ioc: SoftIoc) -> None:
    with Context(preemptive=False, repeater=False) as context:
        rig, seen = Rig(context), Events()
        channel = rig.channel("cascratch1")
        lib.cc_get_callback(channel, 6, 1, context.own(lambda *args: seen(1)))
        rig.put(channel, [1.0])
        assert context.settle(10)
        assert seen.drain() == [1]


def test_disowned_callback_does_not_start_any_more(rig: Rig) -> None:
    channel = rig.channel("cascratch1")
    rig.hold(channel)
    seen = Events()
    token = rig.context.own(lambda record, buffer, offset: seen(1))
    lib.cc_get_callback(channel, 6, 1, token)
    rig.put(channel, [1.0])
    rig.context.disown(token)
    rig.go.set()
    last = Events()
    lib.cc_get_callback(channel, 6, 1, rig.context.own(lambda *args: last(1)))
    rig.context.flush()
    last.next()
    assert seen.drain() == []


def test_disowning_inside_the_callback_returns(rig: Rig) -> None:
    channel, seen = rig.channel("cascratch1"), Events()
    token = rig.context.token()

    def callback(record: Any, buffer: Any, offset: int) -> None:
        rig.context.disown(token)
        seen(rig.context.in_callback)

    rig.context.owners[token] = callback
    lib.cc_get_callback(channel, 6, 1, token)
    rig.context.flush()
    assert seen.next() is True
    assert not rig.context.in_callback


@pytest.mark.parametrize("preemptive", [True, False])
def test_closing_inside_a_callback(ioc: SoftIoc, preemptive: bool) -> None:
    before = (counts().contexts, counts().channels, counts().queues)
    context = Context(preemptive=preemptive, repeater=False)
    rig, seen = Rig(context), Events()
    channel = rig.channel("cacalc")

    def callback(record: Any, buffer: Any, offset: int) -> None:
        context.close()
        seen(context.closed)

    for _ in range(5):
        lib.cc_subscribe(channel, 20, 1, 5, context.own(callback), ffi.NULL)
    while not seen.threads:
        context.pend(0.01)
    assert seen.next() is True
    context.close()
    assert seen.drain() == []
    wait_until(
        lambda: (counts().contexts, counts().channels, counts().queues) == before,
        what="the end of context, channel and queue",
    )


def test_closing_while_a_callback_runs(ioc: SoftIoc) -> None:
    before = counts().queues
    context = Context(repeater=False)
    rig = Rig(context)
    rig.hold(rig.channel("cascratch1"))
    context.close()
    assert context.closed
    rig.go.set()
    wait_until(lambda: counts().queues == before, what="the end of the queue")


def test_an_end_that_takes_long_holds_up_no_other_context(
    make_ioc: Callable[..., SoftIoc],
) -> None:
    """libca waits half a minute for a server that does not close its side of the circuit."""
    server = make_ioc('record(ao, "close:frozen") {}')
    context = Context(repeater=False)
    Rig(context).channel("close:frozen")
    server.freeze()
    closing = threading.Thread(target=context.close)
    closing.start()
    wait_until(lambda: context.closed)
    began = time.monotonic()
    for _ in range(3):
        Context(repeater=False).close()
    assert time.monotonic() - began < 15
    assert closing.is_alive(), "the server was to be silent"
    server.kill()
    closing.join(SOON)


def test_closing_wakes_threads_that_wait(ioc: SoftIoc) -> None:
    context = Context(repeater=False)
    lib.cc_channel_create(context.id, b"no:such:pv", 0, 0, _WAITED)
    answers = Events()
    threads = [
        threading.Thread(target=lambda: answers(context.wait(lib.cc_wait_all, context.id, 60)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    context.close()
    assert {answers.next() for _ in threads} == {ECA.NOCACTX}
    for thread in threads:
        thread.join(SOON)


def test_context_is_freed_and_closed_with_its_last_reference(ioc: SoftIoc) -> None:
    context = Context(preemptive=False, repeater=False)
    found, number = weakref.ref(context), context.id
    del context
    gc.collect()
    assert found() is None
    assert lib.cc_flush(number) == ECA.NOCACTX


def test_open_contexts_are_listed() -> None:
    with Context(repeater=False) as context:
        assert context in contexts()
        assert "0 owners" in repr(context)
    assert context not in contexts()
    assert "closed" in repr(context)


def test_statistics(ioc: SoftIoc) -> None:
    """A context tells how many IOCs it has circuits to and what beacons it saw."""
    context = Context(repeater=False)
    assert (context.ioc_count, context.beacon_anomalies) == (0, 0)
    Rig(context).channel("catest")
    assert context.ioc_count == 1
    assert context.beacon_anomalies >= 0
    context.close()
    assert (context.ioc_count, context.beacon_anomalies) == (0, 0)


def test_unknown_ids_are_errors() -> None:
    for wrong in (0, -1, 1, 1 << 40, 2**63 - 1):
        assert lib.cc_context_close(wrong) == ECA.NOCACTX
        assert lib.cc_channel_clear(wrong) == ECA.BADCHID
        assert lib.cc_unsubscribe(wrong) == ECA.BADMONID
        assert lib.cc_request_release(wrong) == ECA.BADCHID
        assert lib.cc_request_wait(wrong, 0.0) == ECA.BADCHID
        assert lib.cc_get(wrong, 6, 1, 0, 1) == -ECA.BADCHID


def test_libca_messages_go_to_the_logger(
    make_ioc: Callable[..., SoftIoc], caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server = make_ioc('record(ao, "context:lost") {}')
    with Context(repeater=False) as context, caplog.at_level(logging.WARNING, "cachannel.libca"):
        channel = Rig(context).channel("context:lost")
        server.kill()
        wait_until(lambda: lib.cc_state(channel) == 1, 60, what="the disconnection")
        wait_until(lambda: "disconnect" in caplog.text, what="libca's message")
    assert capfd.readouterr() == ("", "")


# Printed by libca some 60 s after the first channel when no repeater has answered.
NO_REPEATER = """\
CA client library is unable to contact CA repeater after 50 tries.
Silence this message by starting a CA repeater daemon
or by calling ca_pend_event() and or ca_poll() more often.
"""


@pytest.mark.parametrize("repeater", [True, False])
def test_nobody_is_warned_of_the_repeater_that_was_not_wanted(
    repeater: bool, caplog: pytest.LogCaptureFixture
) -> None:
    context = Context(repeater=repeater)
    with caplog.at_level(logging.DEBUG, logger="cachannel.libca"):
        context._message(NO_REPEATER)
    context.close()
    assert [record.getMessage() for record in caplog.records] == NO_REPEATER.splitlines()
    level = logging.WARNING if repeater else logging.DEBUG
    assert {record.levelno for record in caplog.records} == {level}


def test_closed_context_makes_no_channels() -> None:
    with Context(repeater=False) as context:
        pass
    with pytest.raises(CAError, match="create channels"):
        create_many(context, [b"catest"], 0, 0, 0)
