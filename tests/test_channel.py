"""Class CaChannel, method by method."""

import gc
import re
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cachannel import CaChannel, CaChannelException, ca
from support.calls import SOON, Events, in_thread
from support.ioc import SoftIoc
from support.waiting import wait_until

NORMAL = ca.ECA.NORMAL

pytestmark = pytest.mark.usefixtures("ioc")


def connected(name: str) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(30)
    channel.searchw()
    return channel


def put_wait(channel: CaChannel, value: Any) -> None:
    channel._put_wait(value, timeout=30)


def status_of(call: Callable[[], Any]) -> ca.ECA | int:
    with pytest.raises(CaChannelException) as caught:
        call()
    return caught.value.status


def test_new_object_has_the_attributes_that_scripts_look_at() -> None:
    channel = CaChannel("catest")
    assert (channel._pvname, channel._chid, channel._evid) == ("catest", None, None)
    assert (channel._timeout, channel._dbrvalue) == (None, None)
    assert channel.state() is ca.ChannelState.NEVER_SEARCH
    assert channel.getValue() is None
    assert "eventCB" not in channel._callbacks
    channel._evid = None
    assert channel._evid is None
    channel.last_value = 5  # type: ignore[attr-defined]
    assert channel.last_value == 5  # type: ignore[attr-defined]
    assert CaChannel.version() == "3.2.0"


def test_subclass_of_a_script() -> None:
    class Mine(CaChannel):
        def __init__(self) -> None:
            CaChannel.__init__(self)
            self.mine = True

    channel = Mine()
    channel.setTimeout(30)
    channel.searchw("catest")
    assert channel.name() == "catest"


def test_name_of_search_is_remembered() -> None:
    channel = CaChannel("no:such:pv")
    channel.setTimeout(30)
    channel.searchw("catest")
    assert channel._pvname == "catest"
    first = channel._chid
    channel.searchw()
    assert channel.name() == "catest"
    assert first is not None
    assert ca.state(first) is ca.ChannelState.CLOSED


def test_search_that_fails_goes_on(make_ioc: Callable[..., SoftIoc]) -> None:
    channel = CaChannel("channel:late")
    channel.setTimeout(0.05)
    assert status_of(channel.searchw) == ca.ECA.TIMEOUT
    assert channel.state() is ca.ChannelState.NEVER_CONN
    make_ioc('record(ao, "channel:late") {}')
    wait_until(lambda: channel.state() is ca.ChannelState.CONN, 60, what="the late connection")


def test_many_searches_and_gets_with_one_wait() -> None:
    channels = [CaChannel(name) for name in ("catest", "cabo", "calong", "castring")]
    for channel in channels:
        channel.search()
    channels[0].pend_io(30)
    for channel in channels:
        channel.array_get()
    channels[-1].pend_io(30)
    values = [channel.getValue() for channel in channels]
    assert [type(value) for value in values] == [float, int, int, str]


@pytest.mark.parametrize("user_args", [(), (1, "two")])
def test_callbacks_get_the_user_arguments_as_a_tuple(user_args: tuple[Any, ...]) -> None:
    channel, seen = CaChannel("cascratch1"), Events()
    channel.search_and_connect(None, seen, *user_args)
    channel.flush_io()
    event, given = seen.next()
    assert event == (channel._chid, ca.CA_OP.CONN_UP)
    assert given == user_args
    channel.array_get_callback(None, None, seen, *user_args)
    channel.array_put_callback(1, None, None, seen, *user_args)
    channel.flush_io()
    event, given = seen.next()
    assert (set(event), given) == ({"chid", "type", "count", "status", "pv_value"}, user_args)
    event, given = seen.next()
    assert (set(event), given) == ({"chid", "type", "count", "status"}, user_args)
    channel.add_masked_array_event(None, None, None, seen, *user_args)
    channel.flush_io()
    assert seen.next()[1] == user_args
    channel.clear_channel()


def test_other_callbacks_get_the_user_argument_as_it_is() -> None:
    channel, seen = connected("caread"), Events()
    channel.replace_access_rights_event(seen, "argument")
    event, given = seen.next()
    assert (event["write_access"], given) == (False, "argument")
    channel.replace_access_rights_event(seen)
    assert seen.next()[1] is None
    CaChannel.add_exception_event(seen, ["list"])
    refused = connected("cadisabled")
    refused.putw(1)
    event, given = seen.next()
    assert (event["state"], given) == (ca.ECA.PUTFAIL, ["list"])
    CaChannel.add_exception_event()


def test_printf_handler_gets_libcas_messages(make_ioc: Callable[..., SoftIoc]) -> None:
    server, seen = make_ioc('record(ao, "channel:lost") {}'), Events()
    channel = connected("channel:lost")
    channel.replace_printf_handler(seen, "argument")
    server.kill()
    wait_until(lambda: channel.state() is ca.ChannelState.PREV_CONN, 60)
    piece, given = seen.next()
    assert piece.startswith("CA.Client.Exception")
    assert given == "argument"
    assert "disconnect" in seen.next()[0]
    channel.replace_printf_handler()


def test_items_of_the_types() -> None:
    channel = connected("catest")
    put_wait(channel, 12.3)
    assert channel.getw(ca.DBR_STS_DOUBLE) == {
        "pv_value": 12.3, "pv_severity": ca.AlarmSeverity.No, "pv_status": ca.AlarmCondition.No,
    }  # fmt: skip
    timed = channel.getw(ca.DBR_TIME_DOUBLE)
    unix = timed["pv_seconds"] + ca.POSIX_TIME_AT_EPICS_EPOCH
    assert abs(unix - time.time()) < 3600
    assert 0 <= timed["pv_nseconds"] < 10**9
    control = channel.getw(ca.DBR_CTRL_DOUBLE)
    assert {key: value for key, value in control.items() if "lim" in key} == {
        "pv_updislim": 200.0, "pv_lodislim": -200.0, "pv_upalarmlim": 180.0,
        "pv_loalarmlim": -180.0, "pv_upwarnlim": 170.0, "pv_lowarnlim": -170.0,
        "pv_upctrllim": 190.0, "pv_loctrllim": -190.0,
    }  # fmt: skip
    assert (control["pv_units"], control["pv_precision"]) == ("mm", 4)
    assert "pv_upctrllim" not in channel.getw(ca.DBR_GR_DOUBLE)
    states = connected("cabo").getw(ca.DBR_GR_ENUM)
    assert (states["pv_nostrings"], states["pv_statestrings"]) == (2, ("Done", "Busy"))
    assert set(connected("castring").getw(ca.DBR_CTRL_STRING)) == {
        "pv_value", "pv_severity", "pv_status",
    }  # fmt: skip


@pytest.mark.parametrize("group", [0, 7, 14, 21, 28])
def test_char_arrays_as_text(group: int) -> None:
    channel = connected("calongtext")
    put_wait(channel, "some text")
    value = channel.getw(ca.DBR_STRING + group)
    assert (value if group == 0 else value["pv_value"]) == "some text"
    assert channel.getw(ca.DBR_STRING, 4) == "some"
    if group == 28:
        assert "pv_upctrllim" in value
    channel.array_get(ca.DBR_STRING)
    channel.pend_io(30)
    assert channel.getValue()[:2] == ["115", "111"]


def test_scalar_char_as_text() -> None:
    assert connected("catest.PACT").getw(ca.DBR_STRING) == ""


def test_numpy_by_call_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    import cachannel

    channel = connected("cawave")
    assert isinstance(channel.getw(use_numpy=True), np.ndarray)
    assert isinstance(channel.getw(), list)
    monkeypatch.setattr(cachannel, "USE_NUMPY", True)
    assert isinstance(channel.getw(), np.ndarray)
    assert isinstance(channel.getw(use_numpy=False), list)


def test_one_monitor_per_object() -> None:
    channel, first, second = connected("cascratch3"), Events(), Events()
    channel.add_masked_array_event(None, None, None, first)
    channel.flush_io()
    first.next()
    channel.add_masked_array_event(ca.DBR_STRING, callback=second)
    channel.flush_io()
    second.next()
    first.drain()
    put_wait(channel, 777)
    second.until(lambda call: call[0]["pv_value"].startswith("777"))
    assert first.drain() == []
    channel.clear_event()
    channel.clear_event()
    assert channel._evid is None
    channel.clear_channel()


def test_monitor_that_is_refused_leaves_the_old_one() -> None:
    channel, seen = connected("cascratch3"), Events()
    channel.add_masked_array_event(None, None, None, seen)
    channel.flush_io()
    seen.next()
    for args in ((99, None, None), (None, None, 0), (-5, None, None)):
        with pytest.raises(CaChannelException):
            channel.add_masked_array_event(*args, print)
    put_wait(channel, 555)
    seen.until(lambda call: call[0]["pv_value"] == 555)
    channel.clear_channel()


def test_time_outs() -> None:
    channel = CaChannel()
    assert channel.getTimeout() == CaChannel.ca_timeout == 3.0
    for good in (0, 0.5, 7):
        channel.setTimeout(good)
        assert channel.getTimeout() == good
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="time-out"):
            channel.setTimeout(wrong)
    with pytest.raises((TypeError, ValueError)):
        channel.setTimeout("soon")  # type: ignore[arg-type]


def test_time_out_zero_waits_without_limit() -> None:
    channel = CaChannel("catest")
    channel.setTimeout(0)
    channel.searchw()
    assert isinstance(channel.getw(), float)
    channel.array_get()
    channel.pend_io(0)


def test_getw_of_a_server_that_answers_late(make_ioc: Callable[..., SoftIoc]) -> None:
    """It waits as long as the time-out says, and for what was started before it as well."""
    server = make_ioc('record(ao, "channel:late") {field(VAL, "1.5")}')
    late, prompt = connected("channel:late"), connected("catest")
    server.freeze()
    try:
        late.setTimeout(0.2)
        begin = time.monotonic()
        assert status_of(late.getw) == ca.ECA.TIMEOUT
        assert time.monotonic() - begin >= 0.2
        late.array_get()
        thaw = threading.Timer(0.1, server.thaw)
        thaw.start()
        assert isinstance(prompt.getw(), float)
        assert late.getValue() == 1.5
        thaw.join(30)
    finally:
        server.thaw()
    late.setTimeout(30)
    server.freeze()
    thaw = threading.Timer(0.1, server.thaw)
    thaw.start()
    assert late.getw() == late.getValue() == 1.5
    thaw.join(30)


def test_getw_of_whole_numbers_and_of_what_is_no_number(make_ioc: Callable[..., SoftIoc]) -> None:
    make_ioc('record(longout, "channel:whole") {field(VAL, "-7")} record(ao, "channel:nan") {}')
    whole, nan = connected("channel:whole"), connected("channel:nan")
    value = whole.getw()
    assert (type(value), value, whole.getValue()) == (int, -7, -7)
    put_wait(nan, float("nan"))
    for value in nan.getw(), nan.getValue():
        assert isinstance(value, float)
        assert np.isnan(value)
    # A number as text comes by another way, and the short way again after it.
    assert whole.getw(ca.DBR_STRING) == "-7"
    assert whole.getw() == -7


def test_pend_event_and_poll_answer_time_out() -> None:
    channel = connected("catest")
    assert channel.pend_event(0.01) == ca.ECA.TIMEOUT
    assert channel.pend_event() == ca.ECA.TIMEOUT
    assert channel.poll() == ca.ECA_TIMEOUT
    assert channel.flush_io() is None


def test_refused_get_raises_with_the_servers_status() -> None:
    channel = connected("castring")
    put_wait(channel, "text")
    assert status_of(lambda: channel.getw(ca.DBR_DOUBLE)) == ca.ECA.GETFAIL
    channel.array_get(ca.DBR_DOUBLE)
    assert status_of(lambda: channel.pend_io(30)) == ca.ECA.TIMEOUT
    channel.pend_io(30)
    assert channel.getValue() is None


def test_lost_channel_has_the_two_known_numbers(make_ioc: Callable[..., SoftIoc]) -> None:
    server = make_ioc('record(ao, "channel:gone") {}')
    channel = connected("channel:gone")
    server.kill()
    wait_until(lambda: channel.state() is ca.ChannelState.PREV_CONN, 60)
    for default, explicit in (
        (lambda: channel.getw(), lambda: channel.getw(ca.DBR_DOUBLE)),
        (lambda: channel.array_get(), lambda: channel.array_get(ca.DBR_DOUBLE)),
        (lambda: channel.putw(1), lambda: channel.putw(1, ca.DBR_DOUBLE)),
        (lambda: channel.array_put(1), lambda: channel.array_put(1, ca.DBR_DOUBLE)),
        (
            lambda: channel.array_get_callback(None, None, print),
            lambda: channel.array_get_callback(ca.DBR_DOUBLE, None, print),
        ),
        (
            lambda: channel.array_put_callback(1, None, None, print),
            lambda: channel.array_put_callback(1, ca.DBR_DOUBLE, None, print),
        ),
    ):
        assert (status_of(default), status_of(explicit)) == (ca.ECA.BADTYPE, ca.ECA.DISCONN)
    seen = Events()
    channel.add_masked_array_event(ca.DBR_DOUBLE, None, None, seen)
    server.start()
    assert seen.next(60)[0]["status"] == NORMAL
    assert channel.field_type() is ca.DBF.DOUBLE
    channel.clear_channel()


def test_access_rights_callback_that_raises_at_once_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported = Events()
    monkeypatch.setattr("sys.unraisablehook", reported)
    channel = connected("catest")

    def callback(*_: Any) -> None:
        raise ZeroDivisionError

    channel.replace_access_rights_event(callback)
    assert reported.next().exc_type is ZeroDivisionError
    channel.replace_access_rights_event()


class Prefixed(CaChannel):
    """Overrides the steps that `searchw` and `getw` of CaChannel 3.2 are made of."""

    def search(self, pvName: Any = None) -> None:
        self.steps = ["search"]
        CaChannel.search(self, "ca" + str(pvName or self._pvname))

    def array_get(self, req_type: Any = None, count: Any = None, **keywords: Any) -> Any:
        self.steps.append("array_get")
        return CaChannel.array_get(self, req_type, count, **keywords)

    def pend_io(self, timeout: Any = None) -> None:
        self.steps.append(f"pend_io {timeout}")
        CaChannel.pend_io(self, timeout)

    def getValue(self) -> Any:
        return [CaChannel.getValue(self)]


def test_steps_that_a_class_of_a_script_overrides_are_taken() -> None:
    channel = Prefixed("string")
    channel.setTimeout(30)
    channel.searchw()
    put_wait(channel, "text")
    assert channel.getw() == ["text"]
    assert channel.steps == ["search", "pend_io 30", "array_get", "pend_io 30"]
    assert connected("castring").getw() == "text"


def test_put_callback_idioms_of_scripts() -> None:
    channel, event = connected("caslow"), threading.Event()
    channel.array_put_callback(
        1, channel.field_type(), channel.element_count(), lambda _, args: args[0].set(), event
    )
    end = time.monotonic() + SOON
    while not event.wait(0.05):
        assert channel.poll() == ca.ECA_TIMEOUT
        assert time.monotonic() < end


def test_object_without_callbacks_ends_with_its_last_reference() -> None:
    channel = connected("catest")
    found, chid = weakref.ref(channel), channel._chid
    assert chid is not None
    channel.array_get()
    channel.pend_io(30)
    del channel
    assert found() is None
    assert ca.state(chid) is ca.ChannelState.CLOSED


@pytest.mark.parametrize("kind", ["monitor", "connection"])
def test_object_with_callbacks_lives_until_they_are_cleared(kind: str) -> None:
    channel, seen = CaChannel("cacalc"), Events()
    channel.setTimeout(30)
    if kind == "monitor":
        channel.searchw()
        channel.add_masked_array_event(None, None, None, seen)
    else:
        channel.search_and_connect(None, seen)
    channel.flush_io()
    found = weakref.ref(channel)
    del channel
    gc.collect()
    seen.next()
    kept = found()
    assert kept is not None
    kept.clear_channel()
    del kept

    def is_gone() -> bool:
        gc.collect()
        return found() is None

    wait_until(is_gone, what="the end of the object")


def test_any_thread_may_use_an_object() -> None:
    channel = connected("cascratch1")
    put_wait(channel, 8)

    def work() -> tuple[Any, ...]:
        other = connected("cabo")
        channel.array_get()
        other.array_get()
        other.pend_io(30)
        return channel.getValue(), other.getValue() in (0, 1), channel.getw()

    assert in_thread(work) == (8.0, True, 8.0)


def test_value_survives_the_next_get() -> None:
    channel = connected("cawave")
    put_wait(channel, [1, 2, 3])
    first = channel.getw(count=3, use_numpy=True)
    put_wait(channel, [4, 5, 6])
    channel.getw(count=3, use_numpy=True)
    assert first.tolist() == [1, 2, 3]


@pytest.mark.parametrize("given", [5, 2.5, 0, True, np.float32(1.5)])
def test_time_out_is_shown_as_it_was_given(given: Any) -> None:
    channel = CaChannel("catest")
    channel.setTimeout(given)
    assert channel.getTimeout() == given
    assert repr(channel.getTimeout()) in (repr(given), "1.5")


@pytest.mark.parametrize("wrong", ["2", b"2", "soon", []])
def test_text_is_no_time_out(wrong: Any) -> None:
    channel = CaChannel("catest")
    for function in (channel.setTimeout, channel.pend_io, channel.pend_event):
        with pytest.raises(TypeError):
            function(wrong)


def test_wait_for_nan_seconds_is_refused() -> None:
    channel = CaChannel("catest")
    for function in (channel.setTimeout, channel.pend_io, channel.pend_event):
        with pytest.raises(ValueError, match="NaN"):
            function(float("nan"))


def test_mask_as_text_is_refused() -> None:
    channel = CaChannel("catest")
    channel.searchw()
    with pytest.raises(ValueError, match="mask"):
        channel.add_masked_array_event(None, None, "1", print)


def test_printf_handler_gets_an_exception_in_libcas_pieces(ioc: SoftIoc) -> None:
    """Eight pieces, of which scripts know the words and the order."""
    seen = Events()
    channel = CaChannel("cadisabled")
    channel.searchw()
    channel.replace_printf_handler(lambda text, _: seen(text))
    channel.putw(5)
    pieces = [seen.next() for _ in range(8)]
    channel.replace_printf_handler()
    rule = "." * 47
    assert pieces[:5] == [
        "CA.Client.Exception" + rule + "\n",
        '    Warning: "Channel write request failed"\n',
        '    Context: "',
        'op=1, channel=cadisabled, type=DBR_DOUBLE, count=1, ctx="cadisabled"',
        '"\n',
    ]
    assert pieces[5].startswith("    Source File: ")
    assert pieces[5].endswith("\n")
    assert re.fullmatch(
        r"    Current Time: \w{3} \w{3} \d\d \d{4} \d\d:\d\d:\d\d\.\d{9}\n", pieces[6]
    )
    assert pieces[7].strip(".") == "\n"
