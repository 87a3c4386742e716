"""`epicsPV`: reads from a monitor, control information, puts that wait."""

import inspect
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import cachannel.epicsPV as module
from cachannel import ca
from cachannel.channel import CaChannel, CaChannelException
from cachannel.epicsPV import callBack, epicsPV, getCallback, putCallBack
from support.ioc import SoftIoc
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")


def monitored(name: str) -> epicsPV:
    """A channel whose monitor has delivered its first event."""
    pv = epicsPV(name)
    pv.setMonitor()
    pv.flush_io()
    wait_until(lambda: pv.callBack.monitorState == 2)
    return pv


def test_names_of_the_module() -> None:
    names = {name for name in vars(module) if not name.startswith("_")}
    assert set(module.__all__) == {
        "CaChannel", "ca", "callBack", "epicsPV", "getCallback", "putCallBack",
    }  # fmt: skip
    assert set(module.__all__) <= names
    assert module.CaChannel is CaChannel
    assert module.ca is ca


@pytest.mark.parametrize(
    ("function", "names", "defaults"),
    [
        (epicsPV, ["pvName", "wait"], (None, True)),
        (epicsPV.array_get, ["self", "req_type", "count", "keywords"], (None, None)),
        (epicsPV.getw, ["self", "req_type", "count", "keywords"], (None, None)),
        (
            epicsPV.getControl,
            ["self", "req_type", "count", "wait", "poll"],
            (None, None, 1, 0.01),
        ),
        (epicsPV.putWait, ["self", "value", "req_type", "count", "poll"], (None, None, 0.01)),
        (epicsPV.setMonitor, ["self"], ()),
        (epicsPV.clearMonitor, ["self"], ()),
        (epicsPV.checkMonitor, ["self"], ()),
        (getCallback, ["epicsArgs", "userArgs"], ()),
        (putCallBack, ["epicsArgs", "userArgs"], ()),
    ],
)
def test_signatures(function: Callable[..., object], names: list[str], defaults: tuple) -> None:
    parameters = inspect.signature(function).parameters
    assert list(parameters) == names
    given = [p.default for p in parameters.values() if p.default is not p.empty]
    assert tuple(given) == defaults


def test_without_name_nothing_is_searched() -> None:
    pv = epicsPV()
    assert pv.state() == ca.cs_never_search
    assert vars(pv.callBack) == {
        "newMonitor": 0, "putComplete": 0, "monitorState": 0, "pv_value": None,
    }  # fmt: skip
    pv.searchw("catest")
    assert pv.name() == "catest"


def test_constructor_waits_for_the_connection() -> None:
    assert epicsPV("catest").state() == ca.cs_conn
    assert epicsPV("catest", "anything true").state() == ca.cs_conn


@pytest.mark.parametrize("wait", [False, 0, None])
def test_constructor_without_waiting_needs_a_pend_io_of_any_channel(wait: object) -> None:
    pv = epicsPV("cabo", wait)
    other = epicsPV("catest", wait)
    other.pend_io()
    assert (pv.state(), other.state()) == (ca.cs_conn, ca.cs_conn)


def test_constructor_raises_for_an_empty_name_and_for_one_that_does_not_exist(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(CaChannelException) as error:
        epicsPV("")
    assert error.value.status == ca.ECA_BADSTR
    monkeypatch.setattr(CaChannel, "ca_timeout", 0.2)
    with pytest.raises(CaChannelException) as error:
        epicsPV("does:not:exist")
    assert error.value.status == ca.ECA_TIMEOUT


def test_reads_without_monitor_are_those_of_the_channel() -> None:
    pv = epicsPV("cawave")
    pv.putWait([1, 2, 3])
    assert pv.getw(count=3) == [1.0, 2.0, 3.0]
    assert pv.getw(ca.DBR_LONG, 2) == [1, 2]
    assert pv.array_get(ca.DBR_STRING, 2) is None
    pv.pend_io()
    assert pv.getValue() == ["1.0000", "2.0000"]


def test_set_monitor_goes_from_state_1_to_state_2_with_the_first_event() -> None:
    pv = epicsPV("caplain")
    pv.setMonitor()
    assert pv.callBack.monitorState in (1, 2)
    pv.setMonitor()
    pv.flush_io()
    wait_until(lambda: pv.callBack.monitorState == 2)
    assert pv.callBack.newMonitor == 1
    assert pv.callBack.type == ca.DBR_DOUBLE
    assert (pv.callBack.count, pv.callBack.status) == (1, ca.ECA_NORMAL)
    assert pv.callBack.chid == pv._chid


def test_set_monitor_on_a_channel_that_is_not_connected_fails_and_can_be_repeated() -> None:
    pv = epicsPV()
    pv.search("does:not:exist")
    with pytest.raises(CaChannelException) as error:
        pv.setMonitor()
    assert error.value.status == ca.ECA_BADTYPE
    assert pv.callBack.monitorState == 0
    pv.searchw("caplain")
    pv.setMonitor()
    pv.flush_io()
    wait_until(lambda: pv.callBack.monitorState == 2)


def test_reads_with_monitor_give_the_last_event_whatever_type_is_asked_for() -> None:
    pv = monitored("caplain")
    writer = epicsPV("caplain")
    writer.putWait(2.5)
    wait_until(lambda: pv.callBack.pv_value == 2.5)
    for read in (
        lambda: pv.getw(ca.DBR_STRING),
        lambda: pv.array_get(ca.DBR_STRING),
        pv.getValue,
    ):
        pv.callBack.newMonitor = 1
        assert read() == 2.5
        assert pv.callBack.newMonitor == 0


def test_getw_with_monitor_and_count_slices() -> None:
    epicsPV("cawaveh").putWait([1, -2, 3])
    pv = monitored("cawaveh")
    assert pv.getw(count=2) == [1, -2]
    assert pv.getw(count=0) == []
    assert pv.array_get(count=2)[:3] == [1, -2, 3]
    with pytest.raises(TypeError):
        monitored("caplain").getw(count=1)


def test_monitor_reports_values_only_and_not_alarms() -> None:
    """The mask is DBE_VALUE: a change of severity alone causes no event."""
    pv = monitored("caalarm")
    pv.putWait(1)
    wait_until(lambda: pv.callBack.pv_value == 1)
    pv.checkMonitor()
    limit = epicsPV("caalarm.HIGH")
    limit.putWait(0.5)
    severity = epicsPV("caalarm.PROC")
    severity.putWait(1)
    assert pv.checkMonitor() == 0
    limit.putWait(10)
    severity.putWait(1)


def test_check_monitor_resets_its_flag() -> None:
    pv = monitored("caplain")
    assert (pv.checkMonitor(), pv.checkMonitor()) == (1, 0)
    pv.putWait(pv.getw() + 1)
    wait_until(pv.checkMonitor)
    assert pv.checkMonitor() == 0


def test_clear_monitor_makes_reads_go_to_the_server_again() -> None:
    pv = monitored("caplain")
    pv.clearMonitor()
    assert pv.callBack.monitorState == 0
    pv.putWait(4.5)
    assert pv.getw(ca.DBR_STRING) == "5"
    assert pv.array_get() is None
    pv.pend_io()
    assert pv.getValue() == 4.5


def test_get_control_of_a_double() -> None:
    pv = epicsPV("catest")
    pv.putWait(12.3)
    assert pv.getControl() is None
    result = vars(pv.callBack)
    assert result.pop("chid") == pv._chid
    assert result == {
        "newMonitor": 1,
        "putComplete": 1,
        "monitorState": 0,
        "type": ca.DBR_CTRL_DOUBLE,
        "count": 1,
        "status": ca.ECA_NORMAL,
        "pv_value": 12.3,
        "pv_severity": ca.AlarmSeverity.No,
        "pv_status": ca.AlarmCondition.No,
        "pv_units": "mm",
        "pv_precision": 4,
        "pv_updislim": 200.0,
        "pv_lodislim": -200.0,
        "pv_upalarmlim": 180.0,
        "pv_upwarnlim": 170.0,
        "pv_loalarmlim": -180.0,
        "pv_lowarnlim": -170.0,
        "pv_upctrllim": 190.0,
        "pv_loctrllim": -190.0,
    }
    assert pv.checkMonitor() == 1
    assert pv.checkMonitor() == 0


def test_get_control_of_an_enum_and_of_another_type() -> None:
    pv = epicsPV("cabo")
    pv.putWait(1)
    pv.getControl()
    assert pv.callBack.type == ca.DBR_CTRL_ENUM
    assert pv.callBack.pv_statestrings == ("Done", "Busy")
    assert (pv.callBack.pv_value, pv.callBack.pv_severity) == (1, ca.AlarmSeverity.Minor)
    pv.getControl(ca.DBR_STRING, poll=0.001)
    assert (pv.callBack.type, pv.callBack.pv_value) == (ca.DBR_CTRL_STRING, "Busy")


def test_get_control_without_waiting_is_seen_by_check_monitor() -> None:
    pv = epicsPV("cawave")
    pv.getControl(None, 1, wait=0)
    wait_until(pv.checkMonitor)
    assert pv.callBack.type == ca.DBR_CTRL_DOUBLE
    assert pv.callBack.count == 1
    assert pv.callBack.pv_units == "V"


def test_get_control_of_an_unreadable_pv_ends() -> None:
    pv = epicsPV("canoaccess")
    with pytest.raises(CaChannelException) as error:
        pv.getControl()
    assert error.value.status == ca.ECA_NORDACCESS


def test_get_control_that_the_server_refuses_ends() -> None:
    pv = epicsPV("castring")
    pv.putWait("a string")
    with pytest.raises(CaChannelException) as error:
        pv.getControl(ca.DBR_DOUBLE)
    assert error.value.status == ca.ECA_GETFAIL


def test_get_control_and_put_wait_on_a_channel_that_is_not_connected() -> None:
    pv = epicsPV("does:not:exist", wait=False)
    for call in (pv.getControl, lambda: pv.putWait(1)):
        with pytest.raises(CaChannelException) as error:
            call()
        assert error.value.status == ca.ECA_BADTYPE
    pv.clear_channel()


def test_put_wait_returns_when_the_record_has_processed() -> None:
    pv, delay = epicsPV("caslow"), epicsPV("caslow:delay.PACT")
    wait_until(lambda: delay.getw() == 0)
    start = time.monotonic()
    assert pv.putWait(1) is None
    assert time.monotonic() - start >= 0.45
    assert pv.callBack.putComplete == 1
    assert pv.getw() == 1.0


def test_put_wait_goes_through_what_a_class_of_a_script_overrides() -> None:
    class Window(epicsPV):
        looks = 0

        def pend_event(self, timeout: Any = None) -> Any:
            self.looks += 1
            return epicsPV.pend_event(self, timeout)

    window = Window("caslow")
    window.setTimeout(30)
    window.putWait(window.getw() + 1)
    assert window.looks > 1
    assert window.callBack.putComplete == 1
    refused = Window("cadisabled")
    with pytest.raises(CaChannelException) as caught:
        refused.putWait(1)
    assert caught.value.status == ca.ECA.PUTFAIL


def test_put_wait_with_type_and_count() -> None:
    pv = epicsPV("cawave")
    pv.putWait(["1.5", "2.5", "3.5"], ca.DBR_STRING, 2, poll=0.001)
    assert pv.getw(count=4) == [1.5, 2.5, 0.0, 0.0]


def test_put_wait_of_a_value_that_cannot_be_sent_writes_nothing() -> None:
    pv = epicsPV("caplain")
    pv.putWait(3)
    with pytest.raises(ValueError, match="abc"):
        pv.putWait("abc")
    assert pv.callBack.putComplete == 0
    assert pv.getw() == 3.0


def test_put_wait_that_the_server_fails_ends_with_its_status() -> None:
    pv = epicsPV("cadisabled")
    with pytest.raises(CaChannelException) as error:
        pv.putWait(1)
    assert error.value.status == ca.ECA_PUTFAIL
    assert pv.callBack.putComplete == 0


def test_put_wait_without_write_access() -> None:
    pv = epicsPV("caread")
    with pytest.raises(CaChannelException) as error:
        pv.putWait(1)
    assert error.value.status == ca.ECA_NOWTACCESS


def test_put_wait_ends_when_the_server_disappears(make_ioc: Callable[..., SoftIoc]) -> None:
    """The record's completion takes a minute, the end of its server comes first."""
    ioc = make_ioc(
        """
        record(ao, "family:slow") { field(FLNK, "family:delay") }
        record(calcout, "family:delay") {
            field(CALC, "VAL+1") field(ODLY, "60") field(OOPT, "Every Time")
        }
        """
    )
    pv = epicsPV("family:slow")
    # The value arrives when the put is under way; only then the server may go.
    seen = monitored("family:slow")
    killer = threading.Thread(
        target=lambda: (wait_until(lambda: seen.callBack.pv_value == 5), ioc.kill())
    )
    killer.start()
    with pytest.raises(CaChannelException) as error:
        pv.putWait(5)
    killer.join()
    assert error.value.status == ca.ECA_DISCONN


def test_monitored_read_after_put_wait_finds_the_new_value() -> None:
    pv = monitored("caplain")
    for number in range(20):
        pv.putWait(100 + number)
        # The server may send the event a little later than the completion.
        wait_until(lambda number=number: pv.getw() == 100 + number)
    assert pv.callBack.putComplete == 1


def test_put_wait_and_get_control_work_inside_a_callback() -> None:
    """The thread that runs callbacks is the one that would deliver the completion."""
    pv, done = epicsPV("caplain"), threading.Event()
    seen: list[object] = []

    def use(epics_args: dict, user_args: tuple) -> None:
        try:
            pv.putWait(8)
            pv.getControl()
            seen.append((pv.callBack.putComplete, pv.callBack.type, pv.callBack.pv_value))
        finally:
            done.set()

    pv.array_get_callback(None, None, use)
    pv.flush_io()
    assert done.wait(60)
    assert seen == [(1, ca.DBR_CTRL_DOUBLE, 8.0)]


def test_callbacks_of_the_module_can_be_used_by_scripts() -> None:
    target = callBack()
    target.monitorState = 1
    getCallback({"pv_value": 3, "pv_units": "mm"}, (target, "more"))
    assert (target.pv_value, target.pv_units) == (3, "mm")
    assert (target.monitorState, target.newMonitor) == (2, 1)
    putCallBack({}, (target,))
    assert target.putComplete == 1
