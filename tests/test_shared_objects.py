"""Objects that several threads use at the same time, and values that are looked at again."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from cachannel import CaChannel, ca
from cachannel._native import ffi, lib
from support.scripts import run_text

pytestmark = pytest.mark.usefixtures("ioc")

MANY = 10_000
"""Elements of DOUBLE; from 64 kB on the memory that libca's answer is in is taken over."""


def connected(name: str) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(30)
    channel.searchw()
    return channel


@pytest.fixture
def busy() -> Iterator[None]:
    """Threads take turns after every few instructions."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def run(*functions: Callable[[], None]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)


def test_read_that_takes_the_place_of_one_just_answered_is_waited_for() -> None:
    """The answer may come while the object asks again: neither of the two is lost count of."""
    channels = [connected("cascratch1") for _ in range(4)]
    for _ in range(100):
        for _ in range(200):
            for channel in channels:
                channel.array_get()
            channels[0].flush_io()
        channels[0].pend_io()


@pytest.mark.usefixtures("busy")
@pytest.mark.parametrize(
    ("name", "written", "kind", "expected"),
    [
        ("calong", 5, None, 5),
        ("calong", 5, ca.DBR_TIME_LONG, 5),
        ("castring", "some text", None, "some text"),
        ("cawavel", [7] * 10, None, [7] * 10),
        ("calong", 5, ca.DBR_CTRL_LONG, 5),
    ],
)
def test_value_is_whole_while_another_thread_asks_again(
    name: str, written: Any, kind: int | None, expected: Any
) -> None:
    """`getValue` gives None or a value that the PV has had; no 0 and no freed memory."""
    channel = connected(name)
    channel._put_wait(written, timeout=30)
    end = time.monotonic() + 1.5
    wrong: list[Any] = []

    def ask() -> None:
        while time.monotonic() < end:
            channel.array_get(kind)
            channel.flush_io()

    def look() -> None:
        while time.monotonic() < end:
            found = channel.getValue()
            value = found["pv_value"] if isinstance(found, dict) else found
            if value is not None and value != expected:
                wrong.append(found)

    run(ask, look, look)
    assert wrong == []
    channel.pend_io()


@pytest.mark.usefixtures("busy")
def test_large_value_is_there_for_every_thread_that_looks() -> None:
    channel = connected("camillion")
    channel._put_wait(np.ones(MANY), timeout=30)
    for _ in range(50):
        channel.array_get(None, MANY, use_numpy=True)
        channel.pend_io()
        seen: list[Any] = []
        run(*[lambda seen=seen: seen.append(channel.getValue())] * 4)
        assert [value.tolist() for value in seen] == [[1.0] * MANY] * 4


@pytest.mark.parametrize("length", [5, MANY])
def test_what_is_written_into_an_array_does_not_show_in_later_values(length: int) -> None:
    channel = connected("camillion")
    channel._put_wait(np.ones(length), timeout=30)
    channel.array_get(None, length, use_numpy=True)
    channel.pend_io()
    status, low = ca.get(channel._chid, None, length, use_numpy=True)
    assert status == ca.ECA.NORMAL
    channel.pend_io()
    for again in (channel.getValue, low.get):
        array = again()
        array[:] = 99.0
        assert again().tolist() == [1.0] * length
        assert again() is not again()


def test_large_value_of_the_last_read_replaces_the_one_before() -> None:
    channel = connected("camillion")
    for number in (1.0, 2.0, 3.0):
        channel._put_wait(np.full(MANY, number), timeout=30)
        channel.array_get(None, MANY, use_numpy=True)
        channel.pend_io()
        assert channel.getValue()[0] == channel.getValue()[0] == number
        assert channel.getw(None, MANY, use_numpy=True)[0] == number


@pytest.mark.parametrize("name", ["castring", "cawave"])
def test_getw_beside_array_get_of_the_same_object(name: str, busy: None) -> None:
    """What getw returns is its own answer, even if `array_get` takes its request over."""
    channel, end, answers = connected(name), time.monotonic() + 2.0, []

    def read() -> None:
        while time.monotonic() < end:
            answers.append(channel.getw())

    def ask() -> None:
        while time.monotonic() < end:
            channel.array_get()
            channel.pend_io(30)

    run(read, ask, ask)
    assert None not in answers


def test_a_signal_handler_that_needs_the_context_which_is_being_made() -> None:
    """It would wait for a lock that its own thread holds."""
    for delay in (0.0002, 0.0007, 0.0015, 0.003):
        run_text(
            f"""
            import faulthandler, signal
            from CaChannel import CaChannel
            faulthandler.dump_traceback_later(60, exit=True)
            inner = CaChannel("calong")
            signal.signal(signal.SIGALRM, lambda *_: inner.search())
            signal.setitimer(signal.ITIMER_REAL, {delay})
            outer = CaChannel("catest")
            outer.setTimeout(30)
            outer.searchw()
            outer.getw()
            while inner.state() != 2:
                outer.pend_event(0.01)
            """,
            dict(os.environ),
        ).succeeded()


def test_a_read_in_the_middle_of_another_one_of_the_same_thread() -> None:
    """A signal handler may read between the two calls that a getw of no float is made of."""
    whole, text = connected("calong"), connected("castring")
    assert whole._chid is not None
    assert text._chid is not None
    ids = whole._chid.id, text._chid.id
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    before = counts.requests
    for channel in (*ids, *ids):
        assert np.isnan(lib.cc_read_number(channel))
    # Only the last read is known of, by its own channel, once; the others have left nothing.
    assert lib.cc_last_reading(ids[0]).request == 0
    reading = lib.cc_last_reading(ids[1])
    assert reading.request > 0
    assert lib.cc_last_reading(ids[1]).request == 0
    lib.cc_request_release(reading.request)
    lib.cc_get_counts(counts)
    assert counts.requests == before
    assert isinstance(whole.getw(), int)
