"""Servers that go, come back changed, and never come; time-outs; memory."""

import gc
import os
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import epics_compat as epics
from cachannel._native import ffi, lib
from epics_compat import ca, dbr
from epics_compat.pv import PV
from support.ioc import SoftIoc
from support.scripts import Outcome
from support.waiting import wait_until

# Each test has names of its own: those of an IOC that ended would take long to connect again.
FIRST = """
record(ao, "fault:value") { field(VAL, "1.5") field(PINI, "YES") field(PREC, "2") }
record(waveform, "fault:wave") { field(FTVL, "DOUBLE") field(NELM, "5") }
record(ao, "fault:slow") { field(FLNK, "fault:delay") }
record(calcout, "fault:delay") {
    field(CALC, "VAL+1") field(ODLY, "30") field(OOPT, "Every Time") field(OUT, "fault:end PP")
}
record(ao, "fault:end") {}
"""
SECOND = """
record(mbbo, "fault:value") {
    field(ZRST, "zero") field(ONST, "one") field(VAL, "1") field(PINI, "YES")
}
record(waveform, "fault:wave") { field(FTVL, "LONG") field(NELM, "9") }
"""


def connected(name: str, **keywords: object) -> PV:
    pv = PV(name, **keywords)
    assert pv.wait_for_connection(60)
    if pv.auto_monitor:
        # A get may be ahead of the monitor, whose first event would then bring an older value.
        wait_until(lambda: pv._args["value"] is not None)
    return pv


def test_restart_with_another_type_and_size(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc(FIRST)
    events: list[tuple] = []
    changes: list[bool] = []
    rights: list[tuple] = []
    pv = connected(
        "fault:value",
        callback=lambda **kw: events.append((kw["type"], kw["value"])),
        connection_callback=lambda **kw: changes.append(kw["conn"]),
        access_callback=lambda r, w, pv: rights.append((r, w)),
    )
    lengths: list[tuple] = []
    wave = connected("fault:wave", callback=lambda **kw: lengths.append((kw["nelm"], kw["type"])))
    wait_until(lambda: ("time_double", 1.5) in events)
    assert pv.get(as_string=True) == "1.50"
    server.stop()
    wait_until(lambda: not pv.connected and not wave.connected)
    assert pv.value == 1.5
    with pytest.warns(UserWarning, match="'fault:value' is not connected"):
        assert pv.get(timeout=0.05) is None
    pv.connection_timeout = 0.05
    assert pv.put(3) is None
    wait_until(lambda: rights[-1] == (False, False))
    server.databases = [SECOND]
    server.start()
    wait_until(lambda: ("time_enum", 1) in events, 60)
    assert changes == [True, False, True]
    assert rights == [(True, True), (False, False), (True, True)]
    assert pv.type == "time_enum"
    assert pv.get(as_string=True) == "one"
    wait_until(lambda: wave.connected)
    assert wave.nelm == 9
    wave.put(range(9), wait=True)
    wait_until(lambda: len(wave.get()) == 9)
    assert wave.get().dtype.name == "int32"
    assert (5, "time_double") in lengths
    assert (9, "time_long") in lengths


def test_disconnect_in_the_middle(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc(FIRST.replace("fault:", "cut:"))
    pv = connected("cut:slow")
    results: list[object] = []

    def put() -> None:
        results.append(pv.put(1, wait=True, timeout=600))

    thread = threading.Thread(target=put)
    thread.start()
    other = connected("cut:delay.PACT", auto_monitor=False)
    wait_until(lambda: other.get() == 1)
    server.kill()
    thread.join(60)
    assert results == [-1]


def test_a_get_goes_on_with_the_next_connection(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc(FIRST.replace("fault:", "back:"))
    pv = connected("back:value", auto_monitor=False)
    server.freeze()
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(pv.get(timeout=60)))
    thread.start()
    wait_until(lambda: _requests() > 0)
    server.kill()
    wait_until(lambda: not pv.connected)
    assert thread.is_alive()
    server.start()
    thread.join(60)
    assert results == [1.5]


def test_a_get_whose_server_stays_away(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc(FIRST.replace("fault:", "away:"))
    pv = connected("away:value", auto_monitor=False)
    server.freeze()
    killer = threading.Timer(0.2, server.kill)
    killer.start()
    since = time.monotonic()
    with pytest.warns(UserWarning, match=r"ca.get\('away:value'\) timed out after 1.0\d? sec"):
        assert pv.get(timeout=1.0) is None
    assert 0.9 < time.monotonic() - since < 20
    killer.join()
    assert pv.connected is False
    # The low-level get waits for the connection and then gives None.
    assert ca.get(pv.chid, timeout=0.1) is None
    with pytest.raises(ca.ChannelAccessException, match="not connected"):
        ca.put(pv.chid, 1, timeout=0.1)
    pv.disconnect()


def _requests() -> int:
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    return int(counts.requests)


@pytest.mark.usefixtures("ioc")
def test_a_get_that_the_server_answers_with_an_error() -> None:
    pv = connected("castringin", auto_monitor=False)
    chid = ca.create_channel("castringin", connect=True)
    # Text that is no number cannot be had as one.
    for _ in range(2):
        with pytest.raises(ca.ChannelAccessGetFailure, match="castringin") as caught:
            ca.get(chid, ftype=dbr.DOUBLE, timeout=60)
        assert caught.value.status == 152
        assert caught.value.chid == chid.value
    ca.get(chid, ftype=dbr.DOUBLE, wait=False)
    with pytest.raises(ca.ChannelAccessGetFailure):
        ca.get_complete(chid, ftype=dbr.DOUBLE, timeout=60)
    assert pv.get() == "read me"


@pytest.mark.usefixtures("ioc")
def test_wrong_types() -> None:
    chid = ca.create_channel("catest", connect=True)
    with pytest.raises(ca.CASeverityException):
        ca.get(chid, ftype=77)
    with pytest.raises(ValueError, match="no number"):
        epics.caput("catest", "no number")
    for value in (None, {}, object()):
        with pytest.raises(TypeError):
            epics.caput("catest", value)
    with pytest.raises(ca.ChannelAccessException):
        ca.get("catest")
    assert epics.caget("catest", use_monitor=False) is not None


@pytest.mark.usefixtures("ioc")
def test_no_read_access() -> None:
    chid = ca.create_channel("canoaccess", connect=True)
    for _ in range(3):
        with pytest.raises(ca.CASeverityException, match="denied"):
            ca.get(chid)
    with pytest.raises(ca.CASeverityException, match="Write access denied"):
        ca.put(chid, 1)


@pytest.mark.usefixtures("ioc")
def test_several_threads_share_a_pending_get() -> None:
    chid = ca.create_channel("camillion", connect=True)
    epics.caput("camillion", range(100_000), wait=True, timeout=60)
    lengths: list[int] = []
    for _ in range(5):
        ca.get(chid, wait=False)
        threads = [
            threading.Thread(target=lambda: lengths.append(len(ca.get_complete(chid, timeout=60))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert lengths == [100_000] * 20


@pytest.mark.usefixtures("ioc")
def test_time_outs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca, "DEFAULT_CONNECTION_TIMEOUT", 60.0)
    since = time.monotonic()
    missing = PV("no:such:pv")
    assert missing.wait_for_connection(0.2) is False
    assert epics.caget("no:such:pv", connection_timeout=0.2) is None
    assert epics.caget_many(["no:such:pv"] * 3, connection_timeout=0.2) == [None] * 3
    assert ca.connect_channel(missing.chid, timeout=0.2) is False
    assert 0.75 < time.monotonic() - since < 20
    entry = ca.get_cache("no:such:pv")
    assert entry is not None
    assert entry.failures >= 3
    assert entry["conn"] is False


def test_a_get_that_runs_out_of_time(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc(FIRST.replace("fault:", "late:"))
    pv = connected("late:value", auto_monitor=False)
    server.freeze()
    try:
        with pytest.warns(UserWarning, match=r"ca.get\('late:value'\) timed out after 0.10 sec"):
            assert pv.get(timeout=0.1) is None
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert pv.get_ctrlvars(timeout=0.05, warn=False) is None
        assert not seen
        assert pv.put(2, wait=True, timeout=0.1) == -1
    finally:
        server.thaw()
    assert pv.get(timeout=60) == 1.5
    assert pv.get(timeout=60) == 2.0


@pytest.mark.usefixtures("ioc")
def test_a_refused_put_is_told() -> None:
    pv = connected("cadisabled")
    with pytest.raises(ca.CASeverityException):
        pv.put(1, wait=True)
    assert epics.caput_many(["cadisabled"], [2], wait="all") == [-1]


def _state() -> tuple[int, int, int, int]:
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    files = len(os.listdir("/proc/self/fd"))
    return counts.channels, counts.subscriptions, threading.active_count(), files


def _resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_nothing_grows(make_ioc: Callable[..., SoftIoc]) -> None:
    count = 200
    records = (f'record(ao, "grow:{i}") {{ field(VAL, "{i}") }}\n' for i in range(count))
    make_ioc("".join(records))

    def once() -> None:
        events: list[object] = []
        pvs = [PV(f"grow:{i}", callback=lambda **kw: events.append(1)) for i in range(count)]
        for pv in pvs:
            assert pv.wait_for_connection(60)
        wait_until(lambda: len(events) >= count)
        for pv in pvs:
            pv.disconnect()

    for _ in range(5):
        once()
    before, memory = _state(), _resident()
    for _ in range(20):
        once()
    assert _state()[0] <= before[0] + count
    wait_until(lambda: _state()[1:3] == before[1:3], what="the end of subscriptions and threads")
    # libca opens two sockets some seconds after a context was made.
    assert _state()[3] <= before[3] + 2
    assert _resident() - memory < 3_000_000
    # Channels that nobody uses end a little later.
    wait_until(lambda: not any(name.startswith("grow:") for name in ca._cache[_here()]), 20)


def _here() -> int:
    context = ca.current_context()
    assert context is not None
    return int(context)


def test_waits_end_at_an_interrupt(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import os, signal, threading, time
        import epics_compat as epics
        known, missing = epics.PV("calong"), epics.PV("no:such:pv:at:all")
        assert known.wait_for_connection(20)
        waits = {
            "wait": lambda: missing.wait_for_connection(60),
            "get": lambda: missing.get(timeout=60),
            "many": lambda: epics.caget_many(["no:such"], connection_timeout=60),
            "caget": lambda: epics.caget("no:such", connection_timeout=60),
            "pend": lambda: epics.ca.pend_event(60),
        }
        for name, wait in waits.items():
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            since = time.monotonic()
            try:
                wait()
            except KeyboardInterrupt:
                print(name, time.monotonic() - since < 20)
        print(known.put(1, wait=True))
        """
    )
    assert outcome.succeeded().lines == [
        "wait True", "get True", "many True", "caget True", "pend True", "1",
    ]  # fmt: skip
