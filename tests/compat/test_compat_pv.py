"""Class PV: reading, writing, text, callbacks, connection."""

import copy
import gc
import pickle
import threading
import types
import weakref

import numpy
import pytest

import epics_compat as epics
from epics_compat import _core, ca, dbr
from epics_compat.pv import PV, get_pv
from support.ioc import SoftIoc
from support.waiting import wait_until

KEYS = {
    "pvname", "value", "char_value", "status", "ftype", "chid", "host", "count", "access",
    "write_access", "read_access", "severity", "timestamp", "posixseconds", "nanoseconds",
    "precision", "units", "enum_strs", "monitor_delta", "upper_disp_limit", "lower_disp_limit",
    "upper_alarm_limit", "lower_alarm_limit", "lower_warning_limit", "upper_warning_limit",
    "upper_ctrl_limit", "lower_ctrl_limit", "nelm", "type", "typefull",
}  # fmt: skip

pytestmark = pytest.mark.usefixtures("ioc")


def connected(name: str, **keywords: object) -> PV:
    pv = PV(name, **keywords)
    assert pv.wait_for_connection(60)
    if pv.auto_monitor:
        # A get may be ahead of the monitor, whose first event would then bring an older value.
        wait_until(lambda: pv._args["value"] is not None)
    return pv


def slow() -> PV:
    """Give the PV whose puts take half a second, when no put is under way."""
    delay = connected("caslow:delay.PACT", auto_monitor=False)
    wait_until(lambda: delay.get() == 0)
    return connected("caslow")


class Recorder:
    """A callback that keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[dict] = []

    def __call__(self, **keywords: object) -> None:
        self.calls.append(keywords)

    @property
    def values(self) -> list:
        return [call["value"] for call in self.calls]


def test_attributes_before_the_connection() -> None:
    pv = PV("no:such:pv")
    assert not pv.connected
    assert pv.type == pv.typefull == "unknown"
    assert (pv.ftype, PV("no:such:pv", form="ctrl").ftype) == (13, 27)
    assert PV("no:such:pv", form="native").ftype == -1
    assert pv._args["nelm"] == -1
    assert pv._args["access"] == "unknown"
    assert set(pv._args) == KEYS
    assert repr(pv) == "<PV 'no:such:pv': not connected>"
    with pytest.warns(UserWarning, match="'no:such:pv' is not connected: get returns None"):
        assert pv.get(timeout=0.05) is None
    assert pv.auto_monitor is None
    pv.connection_timeout = 0.05
    # It is said once.
    assert pv.get() is None
    assert pv.put(1) is None
    assert pv.info is None


def test_names() -> None:
    assert PV("  catest ").pvname == "catest"
    with pytest.raises(AttributeError):
        PV(3)  # type: ignore[arg-type]
    with pytest.raises(ca.CASeverityException):
        PV("")


def test_scalar() -> None:
    pv = connected("calong")
    assert pv.put(7, wait=True) == 1
    wait_until(lambda: pv.get() == 7)
    assert type(pv.get(use_monitor=False)) is int
    assert (pv.type, pv.ftype, pv.count, pv.nelm) == ("time_long", 19, 1, 1)
    assert pv.units == "counts"
    assert pv.precision is None
    assert (pv.upper_ctrl_limit, pv.lower_disp_limit) == (100, -100)
    assert pv.access == "read/write"
    assert pv.read_access is True
    assert repr(pv) == "<PV 'calong', count=1, type=time_long, access=read/write>"
    assert pv.char_severity == "NO_ALARM"
    assert pv.host.endswith(pv.host.split(":")[1])


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.001234, "0.0012"), (99999.0, "99999.0000"), (1e-12, "1e-12")],
)
def test_float_text_with_precision(value: float, text: str) -> None:
    from epics_compat._values import float_text

    expected = "0" if value == 0.0 else text
    assert float_text(value, 4) == expected


def test_float_text_of_the_specification() -> None:
    from epics_compat._values import float_text

    assert [float_text(v, 2) for v in (0.0, 0.001234, 99999, 100000, 123456.789, 1e-12)] == [
        "0", "0.00", "99999.00", "1e+05", "1.2e+05", "1e-12",
    ]  # fmt: skip
    assert float_text(float("nan"), 2) == "nan"


def test_time_stamp() -> None:
    pv = connected("catest")
    pv.put(3.5, wait=True)
    wait_until(lambda: pv.value == 3.5)
    assert pv.posixseconds == int(pv.posixseconds)
    assert pv.timestamp == pytest.approx(pv.posixseconds + pv.nanoseconds * 1e-9, abs=2e-6)
    never = connected("caundefined")
    assert never.timestamp == dbr.EPICS2UNIX_EPOCH


def test_enum() -> None:
    pv = connected("cambbo")
    assert pv.put("three", wait=True) == 1
    assert pv.get(use_monitor=False) == 3
    assert pv.get(as_string=True, use_monitor=False) == "three"
    assert pv.enum_strs == ("zero", "one", "two", "three")
    pv.put("0x2", wait=True)
    assert pv.get(use_monitor=False) == 2
    assert pv.get(use_monitor=False, as_string=True) == pv.char_value == "two"
    with pytest.raises(ValueError, match="no such state"):
        pv.put("no such state")


def test_arrays() -> None:
    pv = connected("cawave")
    pv.put([1, 2, 3], wait=True)
    wait_until(lambda: len(pv.get()) == 3)
    value = pv.get()
    assert isinstance(value, numpy.ndarray)
    assert value.dtype == numpy.float64
    assert value.tolist() == [1.0, 2.0, 3.0]
    assert pv.get(as_numpy=False) == [1.0, 2.0, 3.0]
    assert pv.get(count=2).tolist() == [1.0, 2.0]
    assert pv.get(as_string=True) == "<array size=3, type=time_double>"
    assert (pv.count, pv.nelm) == (3, 20)
    assert "count=3/20" in repr(pv)
    assert pv.get(count=5, use_monitor=False).tolist() == [1, 2, 3, 0, 0]
    pv.put(range(4), wait=True)
    assert pv.get(use_monitor=False).tolist() == [0, 1, 2, 3]
    pv.put(numpy.arange(8.0)[::2], wait=True)
    assert pv.get(use_monitor=False).tolist() == [0, 2, 4, 6]
    pv.put([[1, 2], [3, 4]], wait=True)
    assert pv.get(use_monitor=False).tolist() == [1, 2, 3, 4]
    pv.put(9, wait=True)
    wait_until(lambda: type(pv._args["value"]) is float)
    assert pv.get().tolist() == [9.0]
    pv.put([], wait=True)
    assert pv.get(use_monitor=False).tolist() == [0.0] * 20


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("cawaveh", "i2"), ("cawavef", "f4"), ("cawavel", "i4"), ("cawavec", "u1"),
     ("cawaveuc", "u1")],
)  # fmt: skip
def test_array_types(name: str, dtype: str) -> None:
    pv = connected(name, auto_monitor=False)
    pv.put([1, 2, 3], wait=True)
    assert pv.get().dtype == numpy.dtype(dtype)
    assert pv.get().tolist() == [1, 2, 3]


def test_arrays_belong_to_the_caller() -> None:
    pv = connected("cawave", auto_monitor=False)
    pv.put([1, 2, 3], wait=True)
    first = pv.get()
    first[0] = 77
    assert pv.get().tolist() == [1, 2, 3]


def test_strings() -> None:
    pv = connected("castring", auto_monitor=False)
    pv.put("hello ", wait=True)
    assert pv.get() == "hello"
    pv.put(5, wait=True)
    assert pv.get() == "5"
    pv.put(b"raw", wait=True)
    assert pv.get() == "raw"
    pv.put("grün", wait=True)
    assert pv.get() == "grün"
    with pytest.raises(ca.CASeverityException):
        pv.put("x" * 40)
    with pytest.raises(ValueError, match="41"):
        pv.put("x" * 41)
    many = connected("cawaves", auto_monitor=False)
    many.put(["a", "bc"], wait=True)
    assert isinstance(many.get(), numpy.ndarray)
    assert many.get(as_numpy=False) == many.get(as_string=True) == ["a", "bc"]
    assert "a" in (many.info or "")
    # One element of an array stays a list.
    recorder = Recorder()
    one = connected("cawaves", callback=recorder)
    many.put(["x"], wait=True)
    wait_until(lambda: recorder.calls and recorder.calls[-1]["char_value"] == ["x"])
    assert recorder.values[-1] == ["x"]
    assert one.get(as_string=True) == many.get(as_string=True) == ["x"]
    assert ca.get(many.chid) == ["x"]
    assert epics.caget_many(["cawaves"]) == [["x"]]
    one.disconnect()


def test_char_arrays_are_text() -> None:
    pv = connected("calongtext", auto_monitor=False)
    pv.put("a long text", wait=True)
    assert pv.get(as_string=True) == pv.char_value == "a long text"
    assert pv.get().dtype == numpy.uint8
    assert pv.get()[-1] == 0
    pv.put([72, 105], wait=True)
    assert pv.get(as_string=True) == "Hi"


def test_char_scalar() -> None:
    pv = connected("catest.PROC")
    assert pv.get(as_string=True) == "0"
    assert "char_value      = '0'" in (pv.info or "")


def test_integers_wrap_and_fractions_are_cut() -> None:
    pv = connected("cawaveh", auto_monitor=False)
    pv.put([70000, -1], wait=True)
    assert pv.get().tolist() == [70000 - 65536, -1]
    pv = connected("calong", auto_monitor=False)
    for value, wanted in ((3.9, 3), ("0x1f", 31), ("0b1", 1), ([4], 4), (numpy.int64(5), 5)):
        pv.put(value, wait=True)
        assert pv.get() == wanted


@pytest.mark.parametrize("value", [None, {}, object()])
def test_what_cannot_be_sent(value: object) -> None:
    with pytest.raises(TypeError):
        connected("catest").put(value)


def test_bad_text() -> None:
    with pytest.raises(ValueError, match="x"):
        connected("catest").put("x")


def test_metadata_of_the_forms() -> None:
    pv = connected("catest")
    wait_until(lambda: pv._args["value"] is not None)
    assert set(pv.get_with_metadata()) == KEYS
    assert set(pv.get_with_metadata(form="native", use_monitor=False)) == {"value"}
    stamp = {"status", "severity", "timestamp", "posixseconds", "nanoseconds", "value"}
    assert set(pv.get_with_metadata(use_monitor=False)) == stamp
    control = {"status", "severity", "precision", "units", "value", *dbr.ctrl_limits}
    assert set(pv.get_with_metadata(form="ctrl")) == control
    assert set(pv.get_with_metadata(with_ctrlvars=True)) == KEYS
    space = pv.get_with_metadata(as_namespace=True)
    assert isinstance(space, types.SimpleNamespace)
    assert space.pvname == "catest"
    assert "enum_strs" in connected("cabo").get_with_metadata(form="ctrl")
    unmonitored = connected("castring", auto_monitor=False)
    assert set(unmonitored.get_with_metadata(form="ctrl")) == stamp


def test_put_complete_has_three_states() -> None:
    pv = slow()
    assert pv.put_complete is None
    pv.put(2, use_complete=True)
    assert pv.put_complete is False
    wait_until(lambda: pv.put_complete is True)
    wait_until(lambda: not ca._put_completes)


def test_put_wait_and_its_timeout() -> None:
    pv = slow()
    assert pv.put(1, wait=True, timeout=0.05) == -1
    assert slow().put(2, wait=True, timeout=3.15e8) == 1


def test_put_callback() -> None:
    pv = slow()
    calls: list[dict] = []
    pv.put(1, callback=lambda **kw: calls.append(kw), callback_data="mine")
    assert calls == []
    wait_until(lambda: calls)
    assert calls == [{"pvname": "caslow", "data": "mine"}]
    slow().put(1, wait=True, callback=lambda **kw: calls.append(kw), callback_data={"pvname": "x"})
    assert calls[1:] == [{"pvname": "x"}]


def test_status_in_a_put_callback() -> None:
    calls: list[tuple] = []

    def told(pvname: str, status: int, data: object = None) -> None:
        calls.append((pvname, status, data))

    connected("catest").put(1, callback=told, callback_data="mine")
    wait_until(lambda: calls)
    connected("cadisabled").put(1, callback=told)
    wait_until(lambda: len(calls) == 2)
    with pytest.raises(ca.CASeverityException):
        connected("cadisabled").put(1, callback=told, wait=True)
    chid = ca.create_channel("cadisabled", connect=True)
    ca.put(chid, 1, callback=told, callback_data={"status": "of the user"})
    wait_until(lambda: len(calls) == 4)
    assert calls == [
        ("catest", 1, "mine"), ("cadisabled", 160, None), ("cadisabled", 160, None),
        ("cadisabled", "of the user", None),
    ]  # fmt: skip


def test_put_callback_comes_after_a_wait_that_was_too_short() -> None:
    calls: list[dict] = []
    pv = slow()
    assert pv.put(1, wait=True, timeout=0.01, callback=lambda **kw: calls.append(kw)) == -1
    wait_until(lambda: calls)
    assert len(calls) == 1


def test_access_is_denied() -> None:
    pv = connected("caread")
    assert pv.access == "read-only"
    for wait in (False, True):
        with pytest.raises(ca.CASeverityException, match="Write access denied") as denied:
            pv.put(1, wait=wait)
        assert denied.value.pvname == "caread"
        assert denied.value.__notes__ == ["put of 'caread'"]
        with pytest.raises(ValueError, match="could not convert") as wrong:
            connected("cascratch1").put("no number", wait=wait)
        assert wrong.value.__notes__ == ["put of 'cascratch1'"]
    with pytest.raises(ca.CASeverityException, match="denied"):
        connected("canoaccess", auto_monitor=False).get()


def test_callbacks() -> None:
    first, second = Recorder(), Recorder()
    pv = connected("cascratch1", callback=first)
    assert pv.add_callback(second, extra="mine") == 1
    pv.put(11.5, wait=True)
    wait_until(lambda: 11.5 in second.values)
    call = second.calls[-1]
    assert set(call) == KEYS | {"cb_info", "extra"}
    assert call["cb_info"] == (1, pv)
    assert call["precision"] == 0
    assert type(call["chid"]) is int
    assert list(pv.callbacks) == [0, 1]
    pv.remove_callback(1)
    pv.remove_callback(99)
    number = len(second.calls)
    pv.put(12.5, wait=True)
    wait_until(lambda: 12.5 in first.values)
    assert len(second.calls) == number
    pv.clear_callbacks()
    assert pv.callbacks == {}
    assert pv.add_callback("no function") is None
    assert pv.add_callback(first, index="name") == "name"


def test_list_of_callbacks_and_run_now() -> None:
    recorder = Recorder()
    pv = connected("catest", callback=[recorder, None, recorder])
    assert list(pv.callbacks) == [0, 2]
    now = Recorder()
    pv.add_callback(now, run_now=True)
    assert len(now.calls) >= 1


def test_a_callback_may_remove_itself_and_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", reported.append)
    pv = connected("cascratch2")

    def once(cb_info: tuple, **kws: object) -> None:
        cb_info[1].remove_callback(cb_info[0])
        raise RuntimeError("deliberate")

    after = Recorder()
    pv.add_callback(once, index=1)
    pv.add_callback(after, index=2)
    pv.put(4, wait=True)
    wait_until(lambda: 4 in after.values)
    assert list(pv.callbacks) == [2]
    assert len(reported) == 1


def test_everything_is_allowed_in_a_callback() -> None:
    pv = connected("cascratch1")
    results: list[object] = []
    done = threading.Event()

    def work(value: float, **kws: object) -> None:
        if value != 42:
            return
        slow = PV("caslow")
        results.append(slow.wait_for_connection(60))
        results.append(slow.put(3, wait=True, timeout=60))
        results.append(slow.get(use_monitor=False))
        results.append(epics.caget("castring", use_monitor=False) is not None)
        results.append(epics.caget_many(["catest", "calong"])[0] is not None)
        results.append(epics.caput_many(["cascratch2"], ["7"], wait="all"))
        slow.disconnect()
        done.set()

    pv.add_callback(work)
    pv.put(42)
    assert done.wait(60)
    assert results == [True, 1, 3.0, True, True, [1]]


def test_connection_and_access_callbacks() -> None:
    seen: list[tuple] = []
    pv = PV(
        "cabo",
        connection_callback=lambda **kw: seen.append(("conn", kw["conn"], kw["pv"].connected)),
        access_callback=lambda read, write, pv: seen.append(("access", read, write)),
        callback=lambda **kw: seen.append(("value",)),
    )
    wait_until(lambda: ("value",) in seen)
    assert seen[:3] == [("access", True, True), ("conn", True, True), ("value",)]
    again: list[dict] = []
    other = PV("cabo", connection_callback=lambda **kw: again.append(kw))
    wait_until(lambda: again)
    assert set(again[0]) == {"pvname", "conn", "pv"}
    assert again[0]["pv"] is other
    pv.disconnect()


def test_values_come_after_the_connection_to_a_channel_that_is_there() -> None:
    """The callbacks of rights and connection run here then, and those of values elsewhere."""
    connected("cabo")
    came = threading.Event()
    seen: list[str] = []

    def slow(read: bool, write: bool, pv: PV) -> None:
        came.wait(0.5)
        seen.append("access")

    def told(**kw: object) -> None:
        seen.append("value")
        came.set()

    pv = PV(
        "cabo",
        connection_callback=lambda **kw: seen.append("conn"),
        access_callback=slow,
        callback=told,
    )
    wait_until(lambda: "value" in seen)
    assert seen == ["access", "conn", "value"]
    pv.disconnect()


def test_news_that_come_before_the_pv_knows_its_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = _core.open_entry

    def late(*arguments: object, **keywords: object) -> tuple:
        entry, known = opened(*arguments, **keywords)  # type: ignore[arg-type]
        wait_until(lambda: entry.conn)
        return entry, known

    monkeypatch.setattr(_core, "open_entry", late)
    seen: list[object] = []
    pv = PV(
        "cawaveul",
        connection_callback=lambda **kw: seen.append(kw["conn"]),
        access_callback=lambda read, write, pv: seen.append((read, write)),
        callback=lambda **kw: seen.append("value"),
    )
    # Nobody waits for the connection: the PV finds out by itself.
    wait_until(lambda: "value" in seen)
    assert pv.connected
    assert seen[:3] == [(True, True), True, "value"]
    pv.disconnect()


def test_access_rights_change(make_ioc: object, ioc: SoftIoc) -> None:
    seen: list[tuple] = []
    pv = connected("carights", access_callback=lambda r, w, pv: seen.append((r, w)))
    ioc.command("dbpf carights.ASG READONLY")
    wait_until(lambda: (True, False) in seen)
    assert pv.access == "read-only"
    assert pv.write_access is False
    ioc.command("dbpf carights.ASG DEFAULT")
    wait_until(lambda: seen[-1] == (True, True))


def test_auto_monitor() -> None:
    pv = connected("cascratch1", auto_monitor=False)
    recorder = Recorder()
    pv.add_callback(recorder)
    assert pv.auto_monitor is False
    pv.auto_monitor = True
    wait_until(lambda: recorder.calls)
    assert pv.auto_monitor_mask == 5
    pv.auto_monitor = dbr.DBE_VALUE | dbr.DBE_LOG
    # As in pyepics 3.5.10 a mask reads as what was set, so that a program can put it back.
    assert (pv.auto_monitor, pv.auto_monitor_mask) == (3, 3)
    pv.clear_auto_monitor()
    assert (pv.auto_monitor, pv.auto_monitor_mask) == (False, None)
    assert len(pv.callbacks) == 1


def test_large_arrays_are_not_monitored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca, "AUTOMONITOR_MAXLENGTH", 20)
    pv = connected("cawave")
    assert pv.auto_monitor is False
    with pytest.warns(UserWarning, match="not monitored"):
        pv.add_callback(Recorder())
    monkeypatch.setattr(ca, "AUTOMONITOR_MAXLENGTH", 21)
    assert connected("cawave").auto_monitor is True


def test_count_limits_monitor_and_get() -> None:
    pv = connected("cawavel", count=2)
    pv.put([1, 2, 3, 4], wait=True)
    wait_until(lambda: len(pv.get()) == 2)
    assert pv.get(use_monitor=False).tolist() == [1, 2]
    assert pv.get(count=4).tolist() == [1, 2, 3, 4]


def test_monitor_delta_is_written_to_the_record(ioc: SoftIoc) -> None:
    recorder = Recorder()
    deadband = connected("cascratch3.MDEL", auto_monitor=False)
    pv = connected("cascratch3", monitor_delta=1.0)
    try:
        wait_until(lambda: deadband.get() == 1.0)
        pv.put(0, wait=True)
        wait_until(lambda: pv._args["value"] == 0)
        pv.add_callback(recorder)
        pv.put(0.5, wait=True)
        pv.put(5, wait=True)
        wait_until(lambda: 5 in recorder.values)
        assert 0.5 not in recorder.values
        assert pv.monitor_delta == 1.0
        # What another client sees says that it was the server that left the change out.
        other = Recorder()
        watch = connected("cascratch3", callback=other)
        wait_until(lambda: 5 in other.values)
        pv.put(5.5, wait=True)
        pv.put(9, wait=True)
        wait_until(lambda: 9 in other.values)
        assert 5.5 not in other.values
        watch.disconnect()
    finally:
        pv.disconnect()
        deadband.put(0, wait=True)


def test_monitor_delta_of_a_record_that_may_not_be_written(ioc: SoftIoc) -> None:
    recorder = Recorder()
    connected("caread", monitor_delta=1.0, callback=recorder)
    assert connected("caread.MDEL").get() == 0
    wait_until(lambda: recorder.values)
    first = recorder.values[0]
    for step in (0.5, 0.75, 2.0):
        ioc.command(f"dbpf caread {first + step}")
    wait_until(lambda: first + 2.0 in recorder.values)
    assert recorder.values == [first, first + 2.0]
    ioc.command(f"dbpf caread {first}")


def test_monitor_delta_lets_alarms_through() -> None:
    recorder = Recorder()
    pv = connected("caalarm", monitor_delta=4.0)
    deadband = connected("caalarm.MDEL", auto_monitor=False)
    try:
        wait_until(lambda: deadband.get() == 4.0)
        pv.put(9, wait=True)
        wait_until(lambda: pv._args["value"] == 9)
        pv.add_callback(recorder)
        pv.put(10.5, wait=True)
        wait_until(lambda: 10.5 in recorder.values)
        assert recorder.calls[-1]["severity"] == 1
    finally:
        pv.put(0, wait=True)
        pv.disconnect()
        deadband.put(0, wait=True)


def test_disconnect_and_reconnect() -> None:
    recorder = Recorder()
    pv = connected("cascratch1", callback=recorder)
    pv.disconnect()
    pv.disconnect()
    assert not pv.connected
    assert set(pv._args.values()) == {None}
    assert pv.callbacks == {}
    pv.connection_timeout = 0.05
    assert pv.get() is None
    pv.connection_timeout = 5.0
    assert pv.reconnect() is True
    assert pv.get() is not None
    pv.add_callback(recorder)
    count = len(recorder.calls)
    pv.put(99, wait=True)
    wait_until(lambda: len(recorder.calls) > count)
    pv.disconnect()
    pv.add_callback(recorder)
    pv.force_connect()
    wait_until(lambda: pv.connected)
    pv.disconnect()


def test_nothing_is_called_after_disconnect() -> None:
    calls: list[object] = []
    pv = connected("cacalc", callback=lambda **kw: calls.append(kw["value"]))
    wait_until(lambda: len(calls) > 2)
    pv.disconnect()
    number = len(calls)
    other = Recorder()
    watch = connected("cacalc", callback=other)
    wait_until(lambda: len(other.calls) > 3)
    assert len(calls) == number
    watch.disconnect()


def test_anonymous_pvs_stay_alive_and_disconnected_ones_do_not() -> None:
    recorder = Recorder()
    PV("cascratch2", callback=recorder)
    gc.collect()
    wait_until(lambda: recorder.calls)
    pv = connected("cascratch2")
    gone = weakref.ref(pv)
    pv.disconnect()
    del pv
    gc.collect()
    assert gone() is None


def test_identity() -> None:
    pv, other = PV("catest"), PV("catest")
    assert pv == pv
    assert pv != other
    assert pv != "catest"
    assert len({pv, other, pv}) == 2
    with pytest.raises(ValueError, match="pickle"):
        pickle.dumps(pv)
    with pytest.raises(ValueError, match="copied"):
        copy.copy(pv)


def test_context_taken_away() -> None:
    pv = connected("catest")
    pv.context = None
    with pytest.raises(RuntimeError):
        pv.get(use_monitor=False)


def test_read_only_properties() -> None:
    pv = connected("catest")
    for name in ("char_value", "status", "type", "host", "units", "info", "put_complete"):
        with pytest.raises(AttributeError):
            setattr(pv, name, 1)
    pv.value = 6.5
    wait_until(lambda: pv.value == 6.5)


def test_get_pv_cache() -> None:
    pv = get_pv("catest", connect=True)
    assert get_pv("catest") is pv
    assert get_pv(pv) is pv
    assert get_pv("catest", form="ctrl") is not pv
    assert get_pv("catest", form="odd") is pv
    assert epics.pv._PVcache_["catest", "time", ca.current_context()] is pv
    seen: list[object] = []
    get_pv("catest", connection_callback=lambda **kw: seen.append(kw["conn"]))
    get_pv("catest", access_callback=lambda r, w, pv: seen.append((r, w)))
    get_pv("catest", callback=lambda **kw: seen.append(kw["cb_info"][0]))
    assert seen[:2] == [True, (True, True)]
    assert 1 in seen
    with pytest.warns(UserWarning, match="deprecated"):
        get_pv("catest", context=ca.current_context())
    pv.disconnect()
    assert get_pv("catest") is not pv


def test_what_a_channel_carries_is_read_without_a_time_out_too() -> None:
    pv = connected("catest")
    for source, argument in ((pv, ()), (ca, (pv.chid,))):
        assert source.get_ctrlvars(*argument, timeout=None)["units"] == "mm"
        assert source.get_timevars(*argument, timeout=None)["timestamp"] > 1e9


def test_default_pv_class(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(PV):
        def clear_callbacks(self) -> None:  # type: ignore[override]
            super().clear_callbacks()

    monkeypatch.setattr(epics.pv, "default_pv_class", Mine)
    pv = get_pv("calong", connect=True)
    assert type(pv) is Mine
    pv.disconnect()


def test_info_of_a_double() -> None:
    pv = connected("catest")
    pv.put(1.5, wait=True)
    wait_until(lambda: pv.value == 1.5)
    lines = (pv.info or "").splitlines()
    assert lines[0] == "== catest  (time_double) =="
    assert lines[1:8] == [
        "   value           = 1.5",
        "   char_value      = '1.5000'",
        "   count           = 1",
        "   nelm            = 1",
        "   type            = time_double",
        "   units           = mm",
        "   precision       = 4",
    ]
    assert "   upper_ctrl_limit     = 190.0" in lines
    assert lines[-2] == "   PV is internally monitored, with 0 user-defined callbacks"
    assert lines[-1] == "=" * 29


@pytest.mark.parametrize("name", ["cawaves", "cawaveempty", "cawaveone", "catest.PROC", "cabo"])
def test_info_never_fails(name: str) -> None:
    assert (connected(name, auto_monitor=False).info or "").startswith(f"== {name}")


def test_info_of_arrays_and_enums() -> None:
    pv = connected("cawavel", auto_monitor=False)
    pv.put(range(10), wait=True)
    pv.get()
    assert "   value           =  array  [0,1,2,3,4]" in (pv.info or "").splitlines()
    text = connected("cambbo").info or ""
    assert "   enum strings: \n       0 = zero\n" in text
    assert "(native_double)" in (connected("catest", form="native").info or "")


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    pv = connected("cascratch3", verbose=True)
    pv.put(6, wait=True)
    out: list[str] = []
    wait_until(lambda: out.append(capsys.readouterr().out) or "cascratch3: 6" in "".join(out))
    pv.disconnect()
