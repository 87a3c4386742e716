"""The defects of CaChannel 3.2, one test each: here every one of them is right.

The names follow the numbers of the list of defects in the specification.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cachannel
from cachannel import CaChannel, CaChannelException, ca
from cachannel._native import ffi, lib
from cachannel.epicsPV import epicsPV
from cachannel.errors import BadValueError, CAError
from cachannel.util import caget, camonitor, caput
from cachannel.values.decode import RECORD, ca_value, pv_items
from support.calls import SOON, Events, in_thread
from support.ioc import SoftIoc
from support.waiting import wait_until

NORMAL = ca.ECA.NORMAL

pytestmark = pytest.mark.usefixtures("ioc")


def connected(name: str, timeout: float = 30) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(timeout)
    channel.searchw()
    return channel


def put_wait(channel: CaChannel, value: Any, *args: Any) -> Any:
    seen = Events()
    channel.array_put_callback(value, *(args or (None, None)), lambda event, _: seen(event))
    channel.flush_io()
    return seen.next()


def test_6_1_failed_put_reaches_its_callback() -> None:
    """A refused put calls back with the dict and its status, and whoever waits for it ends."""
    event = put_wait(connected("cadisabled"), 5)
    assert (event["status"], event["type"], event["count"]) == (
        ca.ECA.PUTFAIL, ca.DBR.INVALID, event["count"],
    )  # fmt: skip
    assert set(event) == {"chid", "type", "count", "status"}
    with pytest.raises(CaChannelException) as caught:
        epicsPV("cadisabled").putWait(5)
    assert caught.value.status == ca.ECA.PUTFAIL
    with pytest.raises(CaChannelException):
        caput("cadisabled", 5, wait=True)


def test_6_2_failed_get_and_monitor_reach_their_callback(ioc: SoftIoc) -> None:
    """A get or monitor that fails calls back with the status and pv_value None."""
    seen = Events()
    text = connected("castring")
    assert put_wait(text, "some text")["status"] == NORMAL
    text.array_get_callback(ca.DBR_DOUBLE, None, lambda event, _: seen(event))
    text.flush_io()
    event = seen.next()
    assert (event["status"], event["pv_value"]) == (ca.ECA.GETFAIL, None)
    assert not [key for key in event if key.startswith("pv_") and key != "pv_value"]
    rights = connected("carights")
    rights.add_masked_array_event(None, None, None, lambda event, _: seen(event))
    rights.flush_io()
    assert seen.next()["status"] == NORMAL
    ioc.command("dbpf carights.ASG NOACCESS")
    event = seen.until(lambda event: event["status"] != NORMAL)
    assert (event["status"], event["pv_value"]) == (ca.ECA.NORDACCESS, None)
    ioc.command("dbpf carights.ASG DEFAULT")
    assert seen.until(lambda event: event["status"] == NORMAL)["pv_value"] == 7.0
    rights.clear_channel()


def test_6_2_pending_get_of_a_lost_server_reaches_its_callback(
    make_ioc: Callable[..., SoftIoc],
) -> None:
    """A get that is out when the server disappears calls back with DISCONN."""
    server = make_ioc('record(ao, "defects:lost") {}')
    channel, seen = connected("defects:lost"), Events()
    server.freeze()
    channel.array_get_callback(None, None, lambda event, _: seen(event))
    channel.flush_io()
    server.kill()
    event = seen.next(60)
    assert (event["status"], event["pv_value"]) == (ca.ECA.DISCONN, None)


def test_6_3_each_get_callback_has_its_own_record() -> None:
    """Several gets with callback on one object each get their own reply."""
    channel, seen = connected("catest"), Events()
    types = [ca.DBR_DOUBLE, ca.DBR_STRING, ca.DBR_CTRL_DOUBLE, ca.DBR_TIME_LONG]
    for kind in types:
        channel.array_get_callback(kind, None, lambda event, args: seen(event["type"], *args), kind)
    channel.flush_io()
    assert [seen.next() for _ in types] == [(kind, kind) for kind in types]


@pytest.mark.parametrize("name", ["canoaccess", "castring"])
def test_6_4_get_control_of_a_refused_pv_ends(name: str) -> None:
    """getControl of what cannot be read raises or ends, and never hangs."""
    pv = epicsPV(name)
    if name == "canoaccess":
        with pytest.raises(CaChannelException) as caught:
            pv.getControl()
        assert caught.value.status == ca.ECA.NORDACCESS
    else:
        assert put_wait(pv, "some text")["status"] == NORMAL
        with pytest.raises(CaChannelException) as caught:
            pv.getControl(ca.DBF_DOUBLE)
        assert caught.value.status == ca.ECA.GETFAIL


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [("calong", 5.0, 5), ("calong", 5.7, 5), ("calong", "9", 9), ("castring", 5, "5"),
     ("cabo", 1.0, 1), ("cawavec", 65.0, 65), ("cawaveh", 5.7, 5)],
)  # fmt: skip
def test_6_5_harmless_conversions_are_made(name: str, given: Any, expected: Any) -> None:
    """A value that fits after a harmless conversion is written as that and not as 0."""
    channel = connected(name)
    assert put_wait(channel, given)["status"] == NORMAL
    assert channel.getw(count=1) == expected


@pytest.mark.parametrize(
    ("name", "given"),
    [("calong", 2**31), ("cawaveh", 40000), ("cabo", -1), ("cabo", 70000), ("cawavec", 256),
     ("cawavec", -1), ("calong", "abc"), ("calong", float("nan")), ("calong", None)],
)  # fmt: skip
def test_6_5_what_does_not_fit_is_refused(name: str, given: Any) -> None:
    """Nothing else than what was asked for is ever written."""
    channel = connected(name)
    before = channel.getw()
    with pytest.raises((OverflowError, ValueError, TypeError), match=name):
        channel.putw(given)
    assert channel.getw() == before


@pytest.mark.parametrize("given", [[1, [2, 3]], [object()], [1, {}]])
def test_6_6_bad_elements_are_refused(given: Any) -> None:
    """Elements that are no numbers do not become 0."""
    channel = connected("cawave")
    before = channel.getw()
    with pytest.raises(CAError, match="cawave"):
        channel.putw(given)
    assert channel.getw() == before


def test_6_6_text_elements_and_planes_are_converted() -> None:
    """Numbers as text are converted, a 2-d array is flattened."""
    channel = connected("cawave")
    put_wait(channel, ["1.5", 2])
    assert channel.getw(count=2) == [1.5, 2.0]
    put_wait(channel, np.array([[1, 2], [3, 4]]))
    assert channel.getw(count=4) == [1, 2, 3, 4]


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", "i4", "u1", "?", "O", "U3"])
def test_6_7_numpy_array_without_dimension_is_a_number(dtype: str) -> None:
    """A 0-d array writes the number it holds."""
    channel = connected("cascratch1")
    put_wait(channel, 99)
    put_wait(channel, np.array(1, dtype))
    assert channel.getw() == 1.0


def test_6_8_late_replies_touch_nothing() -> None:
    """Replies that come after the time-out, to requests long gone, write into nobody's memory."""
    channel = connected("camillion")
    channel.setTimeout(0.0001)
    for _ in range(20):
        try:
            channel.getw(use_numpy=True)
        except CaChannelException as exc:
            if exc.status != ca.ECA.TIMEOUT:
                raise
        channel.array_get()
    other = connected("catest")
    assert isinstance(other.getw(), float)
    channel.setTimeout(30)
    assert len(channel.getw()) == 1_000_000


def test_6_9_no_value_before_completion() -> None:
    """getValue is None until there is a value."""
    channel = connected("cascratch1")
    assert channel.getValue() is None
    put_wait(channel, 3)
    channel.array_get()
    assert channel.getValue() in (None, 3.0)
    channel.pend_io()
    assert channel.getValue() == channel.getValue() == 3.0


def test_6_10_exit_with_running_monitors(run_script: Callable[..., Any]) -> None:
    """A script that ends while callbacks run keeps its own exit status and prints nothing."""
    outcome = run_script(
        """
        import sys
        from CaChannel import CaChannel
        channels = []
        for _ in range(100):
            channel = CaChannel("cacalc")
            channel.searchw()
            channel.add_masked_array_event(None, None, None, lambda event, args: None)
            channels.append(channel)
        channel.pend_event(0.3)
        sys.exit(3)
        """
    )
    assert (outcome.code, outcome.stdout, outcome.stderr) == (3, "", "")


def test_6_11_thread_with_a_context_of_its_own() -> None:
    """A thread that has an implicit context reads through the context of the object."""
    channel = connected("cascratch1")
    put_wait(channel, 17)

    def read() -> object:
        ca.test_io()
        value = channel.getw()
        ca.destroy_context()
        return value

    assert in_thread(read) == 17.0


def test_6_12_stale_handles_are_errors() -> None:
    """Clearing twice and using what has been cleared gives a status or an exception."""
    ca.create_context(True)
    chid = ca.create_channel("catest")[1]
    assert chid is not None
    assert ca.pend_io(30) == NORMAL
    evid = ca.create_subscription(chid, print)[1]
    assert evid is not None
    other = ca.create_subscription(chid, lambda event: None)[1]
    assert other is not None
    assert ca.clear_subscription(other) == NORMAL
    assert ca.clear_subscription(other) == ca.ECA.BADMONID
    assert ca.clear_channel(chid) == NORMAL
    assert ca.clear_subscription(evid) == ca.ECA.BADMONID
    assert ca.clear_channel(chid) == ca.ECA.BADCHID
    assert ca.get(chid)[0] == ca.ECA.BADCHID
    with pytest.raises(CAError):
        ca.name(chid)


def test_6_13_type_names_that_are_none() -> None:
    """Asking for the type of None is a TypeError."""
    for function in (ca.dbf_text_to_type, ca.dbr_text_to_type):
        with pytest.raises(TypeError):
            function(None)  # type: ignore[arg-type]


def test_6_14_refused_get_does_not_stall_the_next_wait() -> None:
    """After gets that libca refuses, the next pend_io returns at once."""
    unreadable, good = connected("canoaccess"), connected("catest")
    lost = CaChannel("no:such:pv")
    lost.search_and_connect(None, lambda *args: None)
    for channel, kind in ((unreadable, None), (good, 99), (lost, ca.DBR_DOUBLE)):
        with pytest.raises(CaChannelException):
            channel.array_get(kind)
    start = time.monotonic()
    good.pend_io(30)
    assert isinstance(good.getw(), float)
    assert time.monotonic() - start < 15


def test_6_15_group_ids_are_plain_numbers() -> None:
    """A gid is an int, and an unknown one is BADSYNCGRP whatever its size."""
    status, gid = ca.sg_create()
    assert (status, type(gid)) == (NORMAL, int)
    assert ca.sg_test(2**40) == ca.ECA.BADSYNCGRP
    assert ca.sg_delete(gid) == NORMAL


def test_6_16_search_is_blamed_for_itself_only() -> None:
    """searchw of a good name succeeds while another object's search is hopeless."""
    CaChannel("no:such:pv").search()
    bad = CaChannel("no:such:other:pv")
    bad.search()
    good = CaChannel("catest")
    good.setTimeout(3)  # all of which it waits, for the others
    good.searchw()
    assert good.state() is ca.ChannelState.CONN


def test_6_16_a_wait_that_fails_does_not_end_other_threads_waits(
    make_ioc: Callable[..., SoftIoc],
) -> None:
    """A pend_io that times out in one thread does not cut short the searchw of another."""
    searching, answers = threading.Event(), []
    channel = CaChannel("defects:later")
    channel.setTimeout(60)

    def search() -> None:
        searching.set()
        try:
            channel.searchw()
            answers.append(channel.state())
        except CaChannelException as exc:
            answers.append(exc)

    thread = threading.Thread(target=search)
    thread.start()
    assert searching.wait(SOON)
    impatient = CaChannel("no:such:pv")
    impatient.search()
    wait_until(lambda: ca.test_io() == ca.ECA.IOINPROGRESS)
    with pytest.raises(CaChannelException):
        impatient.pend_io(0.2)
    make_ioc('record(ao, "defects:later") {}')
    thread.join(60)
    assert answers == [ca.ChannelState.CONN]


def test_6_16a_getw_in_several_threads_at_once() -> None:
    """Eight threads read and write through the shared context; nobody times out."""
    shared = connected("cascratch1")
    failures: list[object] = []

    def work() -> None:
        try:
            own = connected("catest")
            for number in range(100):
                assert isinstance(own.getw(), float)
                shared.putw(number)
                assert isinstance(shared.getw(), float)
                assert shared.getw(ca.DBR_CTRL_DOUBLE)["pv_units"] == ""
        except BaseException as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []


def test_6_17_getw_of_a_lost_server_raises(make_ioc: Callable[..., SoftIoc]) -> None:
    """A getw whose server vanishes raises DISCONN, or BADTYPE when it is gone already."""
    server = make_ioc('record(ao, "defects:gone") {}')
    channel = connected("defects:gone")
    server.kill()

    def read_on() -> None:
        while True:
            channel.getw()

    with pytest.raises(CaChannelException) as caught:
        read_on()
    assert caught.value.status in (ca.ECA.DISCONN, ca.ECA.BADTYPE)


def test_6_18_monitor_that_cannot_be_made_leaves_the_old_one(
    make_ioc: Callable[..., SoftIoc],
) -> None:
    """add_masked_array_event checks first: the former monitor resumes after a reconnect."""
    server = make_ioc('record(ao, "defects:monitor") {}')
    channel, seen = connected("defects:monitor"), Events()
    channel.add_masked_array_event(None, None, None, lambda event, _: seen(event))
    channel.flush_io()
    seen.next()
    server.kill()
    wait_until(lambda: channel.state() is ca.ChannelState.PREV_CONN, 60)
    with pytest.raises(CaChannelException) as caught:
        channel.add_masked_array_event(None, None, None, print)
    assert caught.value.status == ca.ECA.BADTYPE
    server.start()
    assert seen.next(60)["status"] == NORMAL
    channel.clear_channel()


@pytest.mark.parametrize("wrong", [None, 1, "print"])
def test_6_19_callback_that_cannot_be_called(wrong: Any) -> None:
    """No callback for a monitor or a get is an error at once, not at each event."""
    channel = connected("catest")
    with pytest.raises(TypeError, match="catest"):
        channel.add_masked_array_event(None, None, None, wrong)
    with pytest.raises(TypeError, match="catest"):
        channel.array_get_callback(None, None, wrong)


def test_6_20_time_out_none_is_the_default() -> None:
    """setTimeout(None) goes back to the default of the class."""
    channel = CaChannel()
    channel.setTimeout(7)
    channel.setTimeout(None)
    assert channel.getTimeout() == CaChannel.ca_timeout


def test_6_21_bytes_as_name() -> None:
    """bytes are a name everywhere."""
    channel = CaChannel(b"catest")
    channel.setTimeout(30)
    channel.searchw()
    assert channel.name() == "catest"


def test_6_22_exceptions_as_numbers() -> None:
    """An exception serves as its own status, for ca.message and for a new exception."""
    first = CaChannelException(ca.ECA_TIMEOUT)
    second = CaChannelException(first)
    assert int(second) == second.__index__() == ca.ECA_TIMEOUT
    assert second.args == (ca.ECA.TIMEOUT,)
    assert ca.message(second) == ca.message(ca.ECA_TIMEOUT) == str(second)


def test_6_23_enums_print_their_names() -> None:
    """str of a member is Class.Member on every Python; numbers stay numbers."""
    assert str(ca.ECA.NORMAL) == "ECA.NORMAL"
    assert str(ca.AlarmSeverity.No) == "AlarmSeverity.No"
    assert str(ca.DBR.TIME_DOUBLE) == "DBR.TIME_DOUBLE"
    assert ("%d" % ca.ECA.TIMEOUT, f"{ca.ECA.TIMEOUT:d}") == ("80", "80")  # noqa: UP031
    assert repr(ca.ChannelState(2)) == "<ChannelState.CONN: 2>"


def test_6_24_chids_in_callbacks_are_the_channel() -> None:
    """The chid that a callback gets equals the channel's and hashes alike."""
    channel, seen = CaChannel("catest"), Events()
    channel.search_and_connect(None, lambda event, _: seen(event[0]))
    channel.flush_io()
    chid = seen.next()
    assert chid == channel._chid
    assert len({chid, channel._chid}) == 1
    channel.array_get_callback(None, None, lambda event, _: seen(event["chid"]))
    channel.flush_io()
    assert seen.next() == chid


def test_6_25_alarms_beyond_the_enums_are_plain_numbers() -> None:
    """Severity 9 and status 99 of a strange server are ints, and nothing is lost."""
    record = ffi.new("cc_record *")
    record.kind, record.place, record.type, record.count, record.status = 3, 1, 20, 1, 1
    record.alarm_status, record.alarm_severity, record.value = 99, 9, 1.5
    fields = RECORD.unpack(ffi.buffer(record))
    value = ca_value(fields, None, 0, False)
    assert (value["severity"], value["status"], value["value"]) == (9, 99, 1.5)
    items: dict[str, Any] = {}
    pv_items(items, fields, None, 0, False)
    assert (items["pv_severity"], items["pv_status"]) == (9, 99)


@pytest.mark.parametrize("everywhere", [False, True])
def test_6_26_text_of_a_char_array_with_numpy(
    everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A char array read as text is text, also with use_numpy and USE_NUMPY."""
    channel = connected("calongtext")
    put_wait(channel, "some long text")
    if everywhere:
        monkeypatch.setattr(cachannel, "USE_NUMPY", True)
        assert channel.getw(ca.DBR_STRING) == "some long text"
        assert caget("calongtext", as_string=True) == "some long text"
    else:
        assert channel.getw(ca.DBR_STRING, use_numpy=True) == "some long text"


def test_6_27_text_that_is_not_utf8_is_latin1() -> None:
    """A char array that is not UTF-8 is read as Latin-1."""
    channel = connected("calongtext")
    put_wait(channel, b"caf\xe9")
    assert channel.getw(ca.DBR_STRING) == "caf\u00e9"


def test_6_28_camonitor_shows_the_text_of_a_char_array(capsys: pytest.CaptureFixture[str]) -> None:
    """camonitor with as_string prints the text of a char array and not its numbers."""
    put_wait(connected("calongtext"), "shown text")
    lines: list[str] = []

    def is_printed() -> bool:
        lines.append(capsys.readouterr().out)
        return "shown text" in "".join(lines)

    camonitor("calongtext", as_string=True)
    wait_until(is_printed, SOON)
    camonitor("calongtext", callback=())
    # The microseconds of the time stamp may have any digits, but no list of them.
    assert "115, 104" not in "".join(lines)
    assert "115 104" not in "".join(lines)


def test_6_29_class_name_of_an_array_is_one_text() -> None:
    """DBR_CLASS_NAME and DBR_STSACK_STRING always have one element."""
    assert connected("cawave").getw(ca.DBR_CLASS_NAME) == "waveform"
    value = connected("cawave").getw(ca.DBR_STSACK_STRING)
    assert isinstance(value["pv_value"], str)
    assert {"pv_ackt", "pv_acks", "pv_status", "pv_severity"} <= set(value)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.getw(), lambda c: c.putw(1), lambda c: c.array_get(), lambda c: c.field_type(),
        lambda c: c.array_put(1), lambda c: c.array_put_callback(1, None, None, print),
        lambda c: c.array_get_callback(None, None, print), lambda c: c.element_count(),
        lambda c: c.add_masked_array_event(None, None, None, print), lambda c: c.name(),
        lambda c: c.host_name(), lambda c: c.read_access(), lambda c: c.write_access(),
        lambda c: c.change_connection_event(print), lambda c: c.replace_access_rights_event(print),
    ],
)  # fmt: skip
@pytest.mark.parametrize("cleared", [False, True])
def test_6_30_methods_without_a_channel(call: Callable[[CaChannel], Any], cleared: bool) -> None:
    """Before any search, and after clear_channel, methods raise BADCHID."""
    channel = CaChannel("catest")
    if cleared:
        channel.setTimeout(30)
        channel.searchw()
        channel.clear_channel()
    with pytest.raises(CaChannelException, match="catest") as caught:
        call(channel)
    assert caught.value.status == ca.ECA.BADCHID
    assert channel.state() is ca.ChannelState.NEVER_SEARCH


def test_6_31_names_that_one_backend_lacks() -> None:
    """toCTRL gives CTRL types, and the low-level module has all names of both backends."""
    for kind in ca.DBF:
        if kind >= 0:
            assert kind.toCTRL() == kind + 28
    assert callable(ca.replace_printf_handler)
    assert ca.DBR.DOUBLE == ca.DBF.DOUBLE == 6


def test_6_32_first_use_is_quiet(run_script: Callable[..., Any]) -> None:
    """No complaint about a missing caRepeater, or any other, reaches the terminal."""
    outcome = run_script(
        """
        from CaChannel import CaChannel
        channel = CaChannel("catest")
        channel.setTimeout(30)
        channel.searchw()
        print(type(channel.getw()).__name__)
        """,
        PATH="/nonexistent",
    )
    assert outcome.succeeded().lines == ["float"]


@pytest.mark.parametrize(
    "given", [np.array([1.0, 2.0]), range(1, 3), __import__("array").array("d", [1, 2])]
)
def test_6_33_every_sequence_can_be_written(given: Any) -> None:
    """numpy arrays, range and array.array are written."""
    channel = connected("cawave")
    assert put_wait(channel, given)["status"] == NORMAL
    assert channel.getw(count=2) == [1.0, 2.0]


def test_refusals_keep_their_cause() -> None:
    """What keeps a value from being sent names PV and operation."""
    with pytest.raises(BadValueError, match="array_put of 'cascratch1'"):
        connected("cascratch1").array_put("not a number")
    counts = ffi.new("cc_counts *")
    lib.cc_get_counts(counts)
    assert counts.contexts >= 1
