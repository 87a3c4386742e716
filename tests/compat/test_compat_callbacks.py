"""Callbacks may do anything: in every kind, in the initial context and in others."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

import epics_compat as epics
from epics_compat import ca
from epics_compat.pv import PV
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")

RESULTS = {
    "cached": True, "fresh": True, "waited": 1, "state": "one", "caget": True, "many": True,
    "put many": [1], "connected": True, "told": True, "ca": True, "gone": None,
    "context": True,
}  # fmt: skip


def everything(pv: PV) -> dict[str, object]:
    """Do in a callback what pyepics forbids there."""
    results: dict[str, object] = {}
    results["cached"] = pv.get() is not None or pv.get(use_monitor=False) is not None
    results["fresh"] = pv.get(use_monitor=False) is not None
    results["waited"] = epics.get_pv("catest").put(1.5, wait=True, timeout=60)
    state = PV("cambbo")
    state.put("one", wait=True)
    results["state"] = state.get(as_string=True, use_monitor=False)
    results["caget"] = epics.caget("castring", use_monitor=False) is not None
    results["many"] = None not in epics.caget_many(["catest", "calong", "castring"])
    results["put many"] = epics.caput_many(["calong"], [3], wait="all")
    made = PV("cabo")
    results["connected"] = made.wait_for_connection(60)
    told = threading.Event()
    made.put(1, callback=lambda **kw: told.set())
    # On the dispatcher that is after this function has returned.
    results["told"] = told
    chid = ca.create_channel("calongtext", connect=True)
    results["ca"] = ca.get(chid) is not None
    results["context"] = pv.context == ca.current_context() == made.context
    made.disconnect()
    made.connection_timeout = 0.01
    results["gone"] = made.get()
    return results


def in_value_callback(done: Callable[[PV], None]) -> PV:
    return PV("cascratch1", callback=lambda cb_info, **kw: done(cb_info[1]))


def in_connection_callback(done: Callable[[PV], None]) -> PV:
    return PV("cascratch1", connection_callback=lambda pvname, conn, pv: done(pv))


def in_access_callback(done: Callable[[PV], None]) -> PV:
    return PV("cascratch1", access_callback=lambda read, write, pv: done(pv))


def in_put_callback(done: Callable[[PV], None]) -> PV:
    pv = PV("cascratch1")
    assert pv.wait_for_connection(60)
    pv.put(2, callback=lambda **kw: done(pv))
    return pv


KINDS = [in_value_callback, in_connection_callback, in_access_callback, in_put_callback]


def run(kind: Callable[[Callable[[PV], None]], PV]) -> dict[str, object]:
    """Let a callback do everything once, and return what came of it."""
    results: list[dict[str, object]] = []
    failures: list[BaseException] = []
    begun = threading.Event()
    finished = threading.Event()

    def done(pv: PV) -> None:
        if begun.is_set():
            return
        begun.set()
        try:
            results.append(everything(pv))
        except BaseException as exc:
            failures.append(exc)
        finished.set()

    pv = kind(done)
    assert finished.wait(60), f"{kind.__name__} hangs"
    if failures:
        raise failures[0]
    told = results[0]["told"]
    assert isinstance(told, threading.Event)
    results[0]["told"] = told.wait(60)
    pv.disconnect()
    return results[0]


@pytest.mark.parametrize("kind", KINDS)
def test_in_the_initial_context(kind: Callable[[Callable[[PV], None]], PV]) -> None:
    assert run(kind) == RESULTS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own_context", [False, True])
def test_in_another_thread(kind: Callable[[Callable[[PV], None]], PV], own_context: bool) -> None:
    results: list[object] = []

    def work() -> None:
        if own_context:
            ca.create_context()
            assert ca.current_context() != ca.initial_context
        try:
            results.append(run(kind))
        except BaseException as exc:
            results.append(exc)
        if own_context:
            ca.destroy_context()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert results == [RESULTS]


@pytest.fixture
def pv_of_the_test() -> Iterator[PV]:
    pv = PV("cascratch2")
    assert pv.wait_for_connection(60)
    yield pv
    pv.disconnect()


def test_a_callback_may_disconnect_its_own_pv(pv_of_the_test: PV) -> None:
    calls: list[float] = []

    def last(value: float, cb_info: tuple, **kw: object) -> None:
        if value == 77:
            calls.append(value)
            cb_info[1].disconnect()

    pv_of_the_test.add_callback(last)
    epics.caput("cascratch2", 77, wait=True)
    wait_until(lambda: calls)
    epics.caput("cascratch2", 78, wait=True)
    watch = PV("cascratch2")
    wait_until(lambda: watch.value == 78)
    assert calls == [77]
    assert not pv_of_the_test.connected


def test_a_callback_that_waits_holds_up_no_other_thread(pv_of_the_test: PV) -> None:
    release, inside = threading.Event(), threading.Event()

    def wait(**kw: object) -> None:
        inside.set()
        release.wait(60)

    pv_of_the_test.add_callback(wait)
    epics.caput("cascratch2", 5)
    assert inside.wait(60)
    try:
        # Gets, puts and connections of other threads need no dispatcher.
        assert epics.caget("calong", use_monitor=False) is not None
        assert epics.caput("catest", 2.5, wait=True) == 1
        fresh = PV("cawavef")
        assert fresh.wait_for_connection(60)
        assert fresh.get(use_monitor=False) is not None
    finally:
        release.set()


def test_what_a_put_changed_is_known_when_it_returns(pv_of_the_test: epics.PV) -> None:
    """The monitor is as far as the completion, also when a callback takes a while."""
    first = epics.PV("calong", callback=lambda **kws: time.sleep(0.03))
    assert first.wait_for_connection(10)
    second = epics.PV("calong")
    assert second.wait_for_connection(10)
    wait_until(lambda: second._args["value"] is not None)
    values = range(1000, 1010)
    # A server may answer the put before it sends the event; this one seldom does.
    known = [second.get() for value in values if first.put(value, wait=True) == 1]
    first.disconnect()
    assert len([1 for value, got in zip(values, known, strict=True) if value == got]) >= 7


def test_a_put_waits_for_no_callback_that_takes_long() -> None:
    inside, release = threading.Event(), threading.Event()

    def hold(**kws: object) -> None:
        inside.set()
        release.wait(30)

    pv = epics.PV("calong", callback=hold)
    assert inside.wait(20)
    try:
        since = time.monotonic()
        for value in range(50):
            assert pv.put(value, wait=True, timeout=10) == 1
        assert time.monotonic() - since < 4
        assert not release.is_set()
    finally:
        release.set()
        pv.disconnect()
