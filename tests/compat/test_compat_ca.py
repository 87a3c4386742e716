"""The functions of `epics_compat.ca`, `dbr` and `utils`."""

import ctypes
import threading
from collections.abc import Callable

import numpy
import pytest

import epics_compat as epics
from epics_compat import ca, dbr, utils
from support.scripts import Outcome
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")


def channel(name: str) -> object:
    return ca.create_channel(name, connect=True)


def test_questions() -> None:
    chid = channel("cawave")
    assert isinstance(chid, dbr.chid_t)
    assert ca.create_channel("cawave") is chid
    for given in (chid, chid.value):
        assert ca.name(given) == "cawave"
        assert ca.element_count(given) == 20
        assert ca.field_type(given) == dbr.DOUBLE
        assert ca.state(given) == dbr.CS_CONN
        assert ca.isConnected(given)
        assert ca.access(given) == "read/write"
        assert (ca.read_access(given), ca.write_access(given)) == (1, 1)
    assert ca.promote_type(chid, use_time=True) == dbr.TIME_DOUBLE
    assert ca.promote_type(channel("castring"), use_ctrl=True) == dbr.TIME_STRING
    assert ca.promote_fieldtype(dbr.ENUM, use_time=True, use_ctrl=True) == dbr.CTRL_ENUM


def test_unconnected() -> None:
    chid = ca.create_channel("no:such:ca")
    assert ca.host_name(chid) == "<disconnected>"
    assert (ca.element_count(chid), ca.field_type(chid), ca.state(chid)) == (0, -1, 0)
    assert (ca.read_access(chid), ca.write_access(chid)) == (0, 0)
    assert not ca.isConnected(chid)
    assert ca.get(chid, timeout=0.05) is None
    with pytest.raises(ca.ChannelAccessException):
        ca.put(chid, 1, timeout=0.05)
    with pytest.raises(ca.ChannelAccessException):
        ca.create_subscription(chid, timeout=0.05)
    assert ca.clear_channel(chid) == 1
    with pytest.raises(ca.ChannelAccessException):
        ca.name(chid)


@pytest.mark.parametrize("bad", [None, "catest", 12345, 1.5, object()])
def test_what_is_no_chid(bad: object) -> None:
    for function in (ca.name, ca.state, ca.get, ca.element_count, ca.clear_channel):
        with pytest.raises(ca.ChannelAccessException):
            function(bad)
    with pytest.raises(ca.ChannelAccessException):
        ca.put(bad, 1)


def test_get() -> None:
    chid = channel("cawave")
    ca.put(chid, [1, 2, 3], wait=True)
    assert ca.get(chid).tolist() == [1, 2, 3]
    assert ca.get(chid, count=1) == 1.0
    assert ca.get(chid, count=2, as_string=True) == "<array count=2, type=6>"
    array = ca.get(chid, as_numpy=False)
    assert isinstance(array, ctypes.Array)
    assert list(array) == [1, 2, 3]
    assert ca.get(channel("calong"), ftype=dbr.STRING) == str(ca.get(channel("calong")))
    items = ca.get_with_metadata(chid, ftype=dbr.TIME_DOUBLE)
    assert set(items) == {
        "value", "status", "severity", "timestamp", "posixseconds", "nanoseconds",
    }  # fmt: skip
    assert "units" in ca.get_with_metadata(chid, ftype=dbr.CTRL_DOUBLE, count=1)


def test_get_in_two_steps() -> None:
    chid = channel("calong")
    ca.put(chid, 5, wait=True)
    with pytest.warns(UserWarning, match="get_complete without initial get"):
        assert ca.get_complete(chid, ftype=dbr.TIME_LONG) is None
    assert ca.get(chid, wait=False) is None
    assert ca.get_complete(chid) == 5
    assert ca.get_complete(chid) == 5
    ca.put(chid, 6, wait=True)
    assert ca.get(chid) == 6
    assert ca.get(chid, wait=False) is None
    assert ca.get_complete_with_metadata(chid) == {"value": 6}


def test_enum_as_string() -> None:
    chid = channel("cambbo")
    ca.put(chid, 2, wait=True)
    assert ca.get(chid, as_string=True) == "2"
    assert ca.get(chid, as_string=True, count=1) == "two"
    # A count above that of a scalar is the count of the scalar.
    assert ca.get(chid, as_string=True, count=2) == "two"
    ca.put(chid, "three", ftype=dbr.STRING, wait=True)
    assert ca.get(chid) == 3
    assert ca.get_enum_strings(chid) == ("zero", "one", "two", "three")
    assert ca.get_enum_strings(channel("catest")) is None


def test_strings_are_lists() -> None:
    chid = channel("cawaves")
    ca.put(chid, ["x", "yz"], wait=True)
    assert ca.get(chid) == ["x", "yz"]


def test_items() -> None:
    chid = channel("catest")
    assert ca.get_precision(chid) == 4
    assert ca.get_precision(channel("calong")) is None
    assert ca.get_severity(chid) in (0, 1, 2, 3)
    assert ca.get_timestamp(chid) > dbr.EPICS2UNIX_EPOCH
    assert ca.get_ctrlvars(chid)["units"] == "mm"
    assert set(ca.get_timevars(chid)) >= {"status", "timestamp"}


def test_refused_gets_raise_each_time() -> None:
    chid = channel("canoaccess")
    for _ in range(2):
        with pytest.raises(ca.CASeverityException, match="denied"):
            ca.get(chid)


def test_put_callbacks() -> None:
    calls: list[dict] = []
    chid = channel("cascratch1")
    assert ca.put(chid, 1, callback=lambda **kw: calls.append(kw), callback_data=7) == 1
    wait_until(lambda: calls)
    assert calls == [{"pvname": "cascratch1", "data": 7}]
    assert ca._put_completes == []


def test_subscription() -> None:
    events: list[dict] = []
    chid = channel("cascratch2")
    ca.put(chid, 1, wait=True)
    for options, ftype in (
        ({}, dbr.DOUBLE), ({"use_time": True}, dbr.TIME_DOUBLE),
        ({"use_ctrl": True}, dbr.CTRL_DOUBLE),
    ):  # fmt: skip
        events.clear()
        event_id = ca.create_subscription(chid, callback=lambda **kw: events.append(kw), **options)[
            -1
        ]
        wait_until(lambda: events)
        assert events[0]["ftype"] == ftype
        assert events[0]["chid"] == chid.value
        assert events[0]["pvname"] == "cascratch2"
        assert ca.clear_subscription(event_id) == 1
        assert ca.clear_subscription(event_id) == 1
    assert "precision" in events[0]


def test_connection_and_access_callbacks() -> None:
    calls: list[dict] = []
    chid = ca.create_channel("cacalc", callback=lambda **kw: calls.append(kw))
    wait_until(lambda: calls)
    assert calls[0] == {"pvname": "cacalc", "chid": chid.value, "conn": True}
    ca.create_channel("cacalc", callback=lambda **kw: calls.append(kw))
    assert len(calls) == 2
    rights: list[tuple] = []
    ca.replace_access_rights_event(chid, lambda read, write: rights.append((read, write)))
    assert rights == [(True, True)]


def test_cache(capsys: pytest.CaptureFixture[str]) -> None:
    chid = channel("catest")
    here = ca.current_context()
    entry = ca._cache[here]["catest"]
    assert entry is ca.get_cache("catest") is ca._chid_cache[chid.value]
    assert entry["conn"] is entry.conn is True
    assert entry.pvname == entry["pvname"] == "catest"
    assert entry.chid is chid
    assert repr(entry).startswith("<_CacheItem 'catest' connected failures=0 callbacks=")
    with pytest.raises(KeyError):
        entry["nothing"]
    text = ca.show_cache(print_out=False)
    assert f" catest          {chid!r}/{here}  True" in text.splitlines()
    ca.show_cache()
    assert "catest" in capsys.readouterr().out


def test_settings_are_read_at_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca, "HAS_NUMPY", False)
    chid = channel("cawave")
    ca.put(chid, [1, 2], wait=True)
    assert isinstance(ca.get(chid), ctypes.Array)
    assert epics.PV("cawave", auto_monitor=False).get() == [1, 2]
    monkeypatch.setattr(ca, "DEFAULT_SUBSCRIPTION_MASK", 1)
    pv = epics.PV("catest")
    assert pv.wait_for_connection(60)
    assert pv.auto_monitor_mask == 1


def test_groups() -> None:
    gid = ca.sg_create()
    chid = channel("caslow")
    assert ca.sg_get(gid, channel("calong"), as_string=False) == ca.get(channel("calong"))
    assert isinstance(ca.sg_get(gid, channel("calong")), str)
    delay = channel("caslow:delay.PACT")
    wait_until(lambda: ca.get(delay) == 0)
    ca.sg_put(gid, chid, 4)
    with pytest.raises(ca.CASeverityException):
        ca.sg_test(gid)
    assert ca.sg_block(gid) == 1
    assert ca.sg_test(gid) == dbr.ECA_IODONE
    assert ca.sg_reset(gid) == 1
    assert ca.sg_delete(gid) == 1
    with pytest.raises(ca.ChannelAccessException):
        ca.sg_test(gid)


def test_contexts() -> None:
    results: list[object] = []

    def work() -> None:
        assert ca.attach_context(main) == 1
        results.append(ca.attach_context(main))
        results.append(ca.detach_context())
        ca.create_context()
        own = ca.current_context()
        results.append(own != main)
        pv = epics.PV("catest")
        results.append(pv.wait_for_connection(60) and pv.context == own)
        results.append(foreign.get(use_monitor=False) is not None)
        ca.destroy_context()
        results.append(ca.current_context() == main)
        ca.detach_context()
        with pytest.raises(ca.CASeverityException):
            ca.attach_context(999999)
        results.append("refused")

    main = ca.current_context()
    foreign = epics.PV("calong")
    foreign.wait_for_connection(60)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert results == [424, 0, True, True, True, True, "refused"]
    assert ca.use_initial_context() == 1
    assert ca.current_context() == main == ca.initial_context


def test_waiting() -> None:
    assert ca.pend_event(0.001) == dbr.ECA_TIMEOUT
    assert ca.pend_io() == ca.poll() == ca.flush_io() == 1
    assert ca.test_io() is True
    assert ca.version() == "4.13"
    assert ca.message(1) == "Normal successful completion"


def test_errors_and_decorators() -> None:
    error = ca.CASeverityException("get", "Read access denied")
    assert str(error) == " get returned 'Read access denied'"
    assert (error.fcn, error.msg) == ("get", "Read access denied")
    failure = ca.ChannelAccessGetFailure("text", 5, 152)
    assert (failure.chid, failure.status) == (5, 152)
    assert ca.PySEVCHK("f", 1) == 1
    with pytest.raises(ca.CASeverityException):
        ca.withSEVCHK(lambda: 80)()
    assert ca.withInitialContext(ca.current_context)() == ca.initial_context
    assert ca.withCA(len)([1]) == 1
    with pytest.raises(RuntimeError):
        ca.register_clear_cache(3)  # type: ignore[arg-type]
    assert ca.register_clear_cache(None) is None
    with pytest.raises(ca.ChannelAccessException):
        ca.replace_printf_handler(5)
    assert repr(ca.GET_PENDING) == "GET_PENDING"
    assert isinstance(ca.GET_PENDING, ca.Empty)


def test_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYEPICS_LIBCA", raising=False)
    assert "ca" in ca.find_libca()
    assert "Com" in ca.find_libCom()
    monkeypatch.setenv("PYEPICS_LIBCA", __file__)
    assert ca.find_libca() == __file__


def test_end_and_new_beginning(run_script: Callable[..., Outcome]) -> None:
    run_script(
        """
        import contextlib
        import io
        import epics_compat as epics
        from epics_compat import ca
        pv = epics.PV("catest")
        assert pv.wait_for_connection(60)
        chid = pv.chid
        ca.finalize_libca()
        ca.finalize_libca()
        assert ca.libca
        assert ca.get(chid) is None and ca.poll() is None and ca.name(chid) is None
        assert pv.get() is None
        assert epics.caget_many(["catest"]) == [None]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert epics.caget("catest") is None and epics.caput("catest", 1) is None
        assert out.getvalue() == ""
        ca.initialize_libca()
        assert epics.caget("catest") is not None
        old = ca.current_context()
        ca.clear_cache()
        assert ca.current_context() not in (None, old)
        assert epics.pv._PVcache_ == {} and epics.caget("catest") is not None
        """
    ).succeeded()


def test_without_preemptive_callbacks(run_script: Callable[..., Outcome]) -> None:
    run_script(
        """
        import threading, time
        import epics_compat as epics
        epics.ca.PREEMPTIVE_CALLBACK = False
        events = []
        pv = epics.PV("cacalc", callback=lambda **kw: events.append(threading.current_thread()))
        assert pv.wait_for_connection(60)
        deadline = time.monotonic() + 60
        while len(events) < 3 and time.monotonic() < deadline:
            epics.poll(0.01)
        assert len(events) >= 3 and set(events) == {threading.main_thread()}
        assert epics.caget("catest") is not None
        """
    ).succeeded()


def test_numbers_and_names() -> None:
    assert dbr.Name(1) == "INT"
    assert dbr.Name(15) == "TIME_SHORT"
    assert dbr.Name(29) == "CTRL_SHORT"
    assert dbr.Name(99) == "unknown"
    assert dbr.Name("time_double", reverse=True) == 20
    assert [dbr.native_type(t) for t in (0, 6, 14, 20, 28, 34)] == [0, 6, 0, 6, 0, 6]
    assert repr(dbr.AlarmStatus(3)) == "HIHI"
    assert dbr.AlarmStatus(99).name == "UNKNOWN"
    assert dbr.AlarmSeverity(2).name == "MAJOR"
    assert dbr.NP_Map[dbr.CHAR] is numpy.uint8
    assert sorted(dbr.Map) == [*range(7), *range(14, 21), *range(28, 35)]


def test_structures_have_the_layout_of_libca() -> None:
    from cachannel.protocol.dbr import LAYOUTS

    for kind, structure in dbr.Map.items():
        if kind != dbr.CTRL_STRING and kind >= dbr.TIME_STRING:
            assert ctypes.sizeof(structure) == LAYOUTS[kind].size, kind
            assert structure.value.offset == LAYOUTS[kind].value_offset, kind


def test_text() -> None:
    assert utils.bytes2str(b"gr\xc3\xbcn") == "grün"
    assert utils.bytes2str(b"gr\xfcn") == "grün"
    assert utils.str2bytes("grün") == b"gr\xc3\xbcn"
    assert utils.strjoin(b",", [b"a", "b"]) == "a,b"
    assert utils.clib_search_path("nothing") is None
