"""pend_io, pend_event, poll and test_io."""

import threading
import time
from typing import Any

import pytest

from cachannel import ca
from support.calls import SOON, Events, in_thread

NORMAL = ca.ECA.NORMAL


def test_pend_io_with_nothing_out_returns_at_once(preemptive: None) -> None:
    start = time.monotonic()
    assert ca.pend_io(30) == NORMAL
    assert time.monotonic() - start < 10


def test_pend_io_waits_for_searches_and_gets(connect) -> None:
    chid = connect("catest")
    assert ca.test_io() == ca.ECA.IODONE
    value = ca.get(chid)[1]
    assert ca.pend_io(30) == NORMAL
    assert ca.test_io() == ca.ECA.IODONE
    assert value is not None
    assert isinstance(value.get(), float)


@pytest.mark.parametrize("timeout", [0.05, -1])
def test_pend_io_forgets_what_is_late(preemptive: None, timeout: float) -> None:
    ca.create_channel("no:such:pv")
    assert ca.test_io() == ca.ECA.IOINPROGRESS
    assert ca.pend_io(timeout) == ca.ECA.TIMEOUT
    assert ca.test_io() == ca.ECA.IODONE
    assert ca.pend_io(30) == NORMAL


def test_pend_io_zero_has_no_limit(preemptive: None) -> None:
    chid = ca.create_channel("catest")[1]
    assert ca.pend_io(0) == NORMAL
    assert ca.state(chid) is ca.ChannelState.CONN


def test_value_is_none_until_it_comes(connect) -> None:
    value = ca.get(connect("camillion"))[1]
    assert value is not None
    first = value.get()
    assert first is None or len(first) == 1_000_000
    assert ca.pend_io(30) == NORMAL
    assert len(value.get()) == 1_000_000


def test_clearing_a_channel_ends_the_wait_for_it(connect) -> None:
    chid = ca.create_channel("no:such:pv")[1]
    assert chid is not None
    context = ca.current_context()
    assert context is not None
    waiting: list[ca.ECA | int] = []

    def wait() -> None:
        ca.attach_context(context)
        waiting.append(ca.pend_io(30))

    thread = threading.Thread(target=wait)
    start = time.monotonic()
    thread.start()
    ca.clear_channel(chid)
    thread.join(SOON)
    assert waiting == [NORMAL]
    assert time.monotonic() - start < 15


def test_pend_event_always_times_out(preemptive: None) -> None:
    start = time.monotonic()
    assert ca.pend_event(0.1) == ca.ECA.TIMEOUT
    assert time.monotonic() - start >= 0.1
    assert ca.poll() == ca.ECA.TIMEOUT
    assert ca.pend(0.01, False) == ca.ECA.TIMEOUT
    assert ca.pend(0.01, True) == NORMAL
    assert ca.flush_io() == NORMAL


@pytest.mark.parametrize("function", [ca.pend_io, ca.pend_event])
def test_timeout_is_a_number(preemptive: None, function: Any) -> None:
    for wrong in (None, [1]):
        with pytest.raises(TypeError):
            function(wrong)
    with pytest.raises(TypeError):
        function()


def test_waits_inside_a_callback(connect) -> None:
    chid, seen = connect("catest"), Events()

    def nested(event: Any) -> None:
        value = ca.get(chid)[1]
        seen(ca.pend_event(30), ca.poll(), ca.pend_io(30), value and value.get())

    context = ca.current_context()
    assert context is not None

    def callback(event: Any) -> None:
        if ca.current_context() is None:
            ca.attach_context(context)
        nested(event)

    ca.get(chid, None, None, callback)
    ca.flush_io()
    event, poll, io, value = seen.next()
    assert (event, poll) == (ca.ECA.EVDISALLOW, ca.ECA.EVDISALLOW)
    assert io == NORMAL
    assert isinstance(value, float)


def test_get_in_a_thread_with_another_context_is_not_waited_for_there(connect) -> None:
    chid = connect("catest")

    def elsewhere() -> ca.ECA | int:
        ca.create_context(True)
        ca.get(chid)
        answer = ca.pend_io(30)
        ca.destroy_context()
        return answer

    assert in_thread(elsewhere) == NORMAL
    assert ca.pend_io(30) == NORMAL


def test_pend_io_without_preemption_delivers_callbacks(ioc: object) -> None:
    def use() -> list[Any]:
        ca.create_context(False)
        seen = Events()
        chid = ca.create_channel("catest")[1]
        assert chid is not None
        assert ca.pend_io(30) == NORMAL
        ca.get(chid, None, None, seen)
        while not seen.threads:
            ca.poll()
        ca.create_subscription(chid, seen)
        ca.get(chid)
        assert ca.pend_io(30) == NORMAL
        while not seen.drain():
            ca.pend_event(0.01)
        ca.destroy_context()
        return sorted(seen.threads)

    name = in_thread(lambda: (use(), threading.current_thread().name))
    assert name[0] == [name[1]]


@pytest.mark.parametrize("wrong", ["1", b"1", None, []])
def test_what_is_no_time_out_is_a_type_error(preemptive, wrong: Any) -> None:
    for function in (ca.pend_io, ca.pend_event, lambda length: ca.pend(length, True)):
        with pytest.raises(TypeError):
            function(wrong)


def test_wait_for_nan_seconds_is_refused(preemptive) -> None:
    for function in (ca.pend_io, ca.pend_event):
        with pytest.raises(ValueError, match="NaN"):
            function(float("nan"))
