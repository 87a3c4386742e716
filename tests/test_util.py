"""`caget`, `caput`, `camonitor`, `cainfo`."""

import inspect
import itertools
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime

import numpy as np
import pytest

import cachannel
from cachannel import ca, util
from cachannel.channel import CaChannel, CaChannelException
from cachannel.errors import CAError
from cachannel.util import caget, cainfo, camonitor, caput
from support.ioc import SoftIoc
from support.scripts import Outcome
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("ioc")


class Events:
    """Keeps what a monitor callback gets."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict, object]] = []

    def __call__(self, epics_args: dict, user_args: object) -> None:
        self.seen.append((epics_args, user_args))

    @property
    def values(self) -> list[object]:
        return [epics_args["pv_value"] for epics_args, _ in self.seen]


@pytest.fixture
def events() -> Iterator[Events]:
    """A callback; all monitors of `util` end with the test."""
    yield Events()
    for channel in util._channels_.values():
        channel.clear_event()


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CaChannel, "ca_timeout", 0.3)


# `util` keeps its channels, and a name of an earlier IOC would first have to connect again.
endless_names = (f"util:endless{number}" for number in itertools.count())


@pytest.fixture
def endless(make_ioc: Callable[..., SoftIoc]) -> str:
    """A record whose put is under way for longer than any test waits."""
    name = next(endless_names)
    make_ioc(
        f"""
        record(ao, "{name}") {{ field(FLNK, "{name}:delay") }}
        record(calcout, "{name}:delay") {{
            field(CALC, "VAL+1") field(ODLY, "1000") field(OOPT, "Every Time")
            field(OUT, "{name}:end PP")
        }}
        record(ao, "{name}:end") {{}}
        """
    )
    # Connected, so that no time of a put goes to the search.
    assert caget(name) == 0.0
    return name


@pytest.fixture
def slow(ioc: SoftIoc) -> str:
    """A record whose put completes after half a second, with nothing under way and value 0."""
    caput("caslow", 0, wait=True)
    wait_until(lambda: caget("caslow:delay.PACT") == 0)
    return "caslow"


@pytest.mark.parametrize(
    ("function", "names", "defaults"),
    [
        (caget, ["name", "as_string", "count"], (False, None)),
        (caput, ["name", "value", "wait", "timeout"], (False, None)),
        (camonitor, ["name", "as_string", "count", "callback"], (False, None, None)),
        (cainfo, ["name"], ()),
    ],
)
def test_signatures(function: Callable[..., object], names: list[str], defaults: tuple) -> None:
    parameters = inspect.signature(function).parameters
    assert list(parameters) == names
    given = [p.default for p in parameters.values() if p.default is not p.empty]
    assert tuple(given) == defaults


# Reading and writing ------------------------------------------------------------------------


def test_values_have_their_native_type() -> None:
    caput("catest", 1.23, wait=True)
    assert caget("catest") == 1.23
    caput("cabo", "Busy", wait=True)
    assert (caget("cabo"), type(caget("cabo"))) == (1, int)
    assert caget("castringin") == "read me"


def test_as_string_gives_enums_and_char_data_as_text_and_leaves_others() -> None:
    caput("cabo", "Busy", wait=True)
    caput("cawavec", "this can be a long string", wait=True)
    caput("catest", 1.23, wait=True)
    assert caget("cabo", as_string=True) == "Busy"
    assert caget("cawavec") == [116, 104, 105, 115, 32]
    assert caget("cawavec", as_string=True) == "this "
    assert caget("cawavec", True, 2) == "th"
    assert caget("catest", True) == 1.23
    assert caget("castringin", True) == "read me"


def test_char_data_that_is_not_utf8_is_latin1() -> None:
    caput("cawavec", b"\xff\xfe", wait=True)
    assert caget("cawavec", as_string=True) == "\u00ff\u00fe"


def test_as_string_with_numpy_is_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    caput("cawavec", "text", wait=True)
    monkeypatch.setattr(cachannel, "USE_NUMPY", True)
    assert caget("cawavec", as_string=True) == "text"
    array = caget("cawavec")
    assert isinstance(array, np.ndarray)
    assert (array.dtype, array.tolist()) == (np.uint8, [116, 101, 120, 116, 0])


def test_count_limits_the_elements() -> None:
    caput("cawave", range(4), wait=True)
    assert caget("cawave", count=4) == [0.0, 1.0, 2.0, 3.0]
    assert caget("cawave", count=1) == 0.0
    assert len(caget("cawave")) == 20


def test_caput_returns_none_and_does_not_wait(endless: str) -> None:
    assert caput(endless, 1) is None
    assert caget(f"{endless}:delay.DLYA") == 1


def test_caput_waits_for_completion(slow: str) -> None:
    start = time.monotonic()
    assert caput(slow, 1, wait=True) is None
    assert time.monotonic() - start >= 0.45


@pytest.mark.parametrize("timeout", [0.1, 0, -1])
def test_caput_returns_when_its_time_is_over_and_the_put_goes_on(
    timeout: float, endless: str
) -> None:
    assert caput(endless, 7, wait=True, timeout=timeout) is None
    assert caget(endless) == 7.0
    assert caget(f"{endless}:delay.DLYA") == 1


def test_caput_that_the_server_fails_ends_with_its_status() -> None:
    with pytest.raises(CaChannelException) as error:
        caput("cadisabled", 1, wait=True)
    assert error.value.status == ca.ECA_PUTFAIL
    assert "cadisabled" in str(error.value)


def test_caput_without_access() -> None:
    for wait in (False, True):
        with pytest.raises(CaChannelException) as error:
            caput("caread", 1, wait)
        assert error.value.status == ca.ECA_NOWTACCESS


def test_caput_of_something_that_cannot_be_sent() -> None:
    caput("catest", 5, wait=True)
    for wait in (False, True):
        with pytest.raises(ValueError, match="abc"):
            caput("catest", "abc", wait)
    assert caget("catest") == 5.0


def test_caput_that_loses_its_server_ends(make_ioc: Callable[..., SoftIoc]) -> None:
    ioc = make_ioc(
        """
        record(ao, "util:slow") { field(FLNK, "util:delay") }
        record(calcout, "util:delay") {
            field(CALC, "VAL+1") field(ODLY, "60") field(OOPT, "Every Time")
        }
        """
    )
    caget("util:slow")
    other = CaChannel("util:slow")
    other.searchw()
    killer = threading.Thread(target=lambda: (wait_until(lambda: other.getw() == 5), ioc.kill()))
    killer.start()
    with pytest.raises(CaChannelException) as error:
        caput("util:slow", 5, wait=True)
    killer.join()
    assert error.value.status == ca.ECA_DISCONN


# Channels -----------------------------------------------------------------------------------


def test_channels_are_kept_by_name() -> None:
    caget("caplain")
    channel = util._channels_["caplain"]
    assert isinstance(channel, CaChannel)
    caput("caplain", 2, wait=True)
    assert util._channels_["caplain"] is channel


@pytest.mark.usefixtures("short_timeout")
def test_a_name_that_does_not_connect_is_not_kept() -> None:
    for call in (
        lambda: caget("does:not:exist"),
        lambda: caput("does:not:exist", 1),
        lambda: camonitor("does:not:exist"),
        lambda: cainfo("does:not:exist"),
    ):
        with pytest.raises(CaChannelException) as error:
            call()
        assert error.value.status == ca.ECA_TIMEOUT
        assert "does:not:exist" in str(error.value)
    assert "does:not:exist" not in util._channels_


def test_names_may_be_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert caget(b"castringin") == "read me"
    cainfo(b"castringin")
    assert capsys.readouterr().out.startswith("castringin\n")


def test_threads_that_ask_for_a_new_name_share_one_channel() -> None:
    util._channels_.pop("caalarm", None)
    barrier = threading.Barrier(4)
    found = []

    def use() -> None:
        barrier.wait()
        caget("caalarm")
        found.append(util._channels_["caalarm"])

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


# Lists --------------------------------------------------------------------------------------


def test_list_of_names_gives_the_values_in_order() -> None:
    caput(["catest", "cabo", "calong", "castring"], [2.5, "Done", 4, "text"], wait=True)
    names = ["castring", "catest", "cabo", "calong", "catest"]
    assert caget(names) == ["text", 2.5, 0, 4, 2.5]
    assert caget(tuple(names)) == ["text", 2.5, 0, 4, 2.5]
    assert caget([]) == []


def test_list_as_string() -> None:
    caput(["cabo", "cawavec", "calong"], ["Busy", "abc", 4], wait=True)
    assert caget(["cabo", "cawavec", "calong"], as_string=True) == ["Busy", "abc", 4]


def test_list_with_count() -> None:
    caput("cawave", [1, 2, 3], wait=True)
    assert caget(["cawave", "calong"], count=2)[0] == [1.0, 2.0]


def test_count_0_is_one_element_for_a_name_and_for_a_list() -> None:
    caput("cawave", [1, 2, 3], wait=True)
    assert caget("cawave", count=0) == 1.0
    assert caget(["cawave", "cawave"], count=0) == [1.0, 1.0]


@pytest.mark.parametrize("count", [-1, "2"])
def test_list_with_a_bad_count_says_so(count: object) -> None:
    error_type = OverflowError if count == -1 else ValueError
    with pytest.raises(error_type, match="'cawave', 'calong', count must") as error:
        caget(["cawave", "calong"], count=count)
    assert isinstance(error.value, CAError)
    assert error.value.status == ca.ECA_BADCOUNT


@pytest.mark.parametrize(
    "call",
    [
        lambda: caget(None), lambda: caput(None, 1), lambda: caget(["catest", None]),
        lambda: caput(["catest", None], [1, 1]), lambda: caget(["catest", ""]),
        lambda: camonitor(None), lambda: cainfo(None),
    ],
)  # fmt: skip
def test_no_name_is_a_bad_string(call: Callable[[], object]) -> None:
    with pytest.raises(CaChannelException, match="the PV has no name") as error:
        call()
    assert error.value.status == ca.ECA_BADSTR


@pytest.mark.parametrize(
    "call",
    [
        lambda: caget(5), lambda: caput(5, 1), lambda: caget(["catest", 5]),
        lambda: camonitor([]), lambda: cainfo(["catest"]), lambda: caget(2.5),
    ],
)  # fmt: skip
def test_what_is_no_name_is_told(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="the name of a PV must be str or bytes, not"):
        call()


def test_list_is_written_without_waiting() -> None:
    caput(["cascratch1", "cascratch2"], [11, 12])
    assert caget(["cascratch1", "cascratch2"]) == [11.0, 12.0]


def test_list_that_waits_takes_as_long_as_its_slowest(slow: str) -> None:
    start = time.monotonic()
    assert caput([slow, "cascratch1"], [1, 1], wait=True) is None
    assert time.monotonic() - start >= 0.45
    assert caget([slow, "cascratch1"]) == [1.0, 1.0]


@pytest.mark.parametrize("timeout", [0.1, 0])
def test_list_that_waits_returns_when_its_time_is_over(timeout: float, endless: str) -> None:
    caget("cascratch1")
    assert caput([endless, "cascratch1"], [3, 3], wait=True, timeout=timeout) is None
    wait_until(lambda: caget([endless, "cascratch1"]) == [3.0, 3.0])
    assert caget(f"{endless}:delay.DLYA") == 1


@pytest.mark.usefixtures("short_timeout")
def test_list_with_unknown_names_says_which() -> None:
    for name in ("cacalc", "cambbo"):
        util._channels_.pop(name, None)
    names = ["cacalc", "does:not:exist", "cambbo", "nor:does:this"]
    for call in (lambda: caget(names), lambda: caput(names, [1, 2, 3, 4], wait=True)):
        with pytest.raises(CaChannelException) as error:
            call()
        assert error.value.status == ca.ECA_TIMEOUT
        assert "'does:not:exist', 'nor:does:this'" in str(error.value)
        assert "cambbo" not in str(error.value)
    assert not set(names) & set(util._channels_)


@pytest.mark.parametrize("values", [[1], [1, 2, 3], ()])
def test_list_needs_one_value_for_each_name(values: object) -> None:
    with pytest.raises(ValueError, match="2 names"):
        caput(["cascratch1", "cascratch2"], values)


@pytest.mark.parametrize("values", ["ab", b"ab", 1, None])
def test_list_needs_a_sequence_of_values(values: object) -> None:
    with pytest.raises(TypeError, match="2 names"):
        caput(["cascratch1", "cascratch2"], values)


def test_list_with_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    caput("cawave", [1, 2, 3], wait=True)
    monkeypatch.setattr(cachannel, "USE_NUMPY", True)
    array, number = caget(["cawave", "calong"], count=3)
    assert isinstance(array, np.ndarray)
    assert (array.tolist(), type(number)) == ([1.0, 2.0, 3.0], int)


def test_list_with_an_array_of_values() -> None:
    caput(["cascratch1", "cascratch2"], np.array([3.5, 4.5]), wait=True)
    assert caget(["cascratch1", "cascratch2"]) == [3.5, 4.5]


def test_list_with_one_unreadable_pv_raises_its_status() -> None:
    with pytest.raises(CaChannelException) as error:
        caget(["catest", "canoaccess"])
    assert error.value.status == ca.ECA_NORDACCESS
    assert "canoaccess" in str(error.value)


# Monitors -----------------------------------------------------------------------------------


def test_monitor_with_callback(events: Events) -> None:
    caput("catest", 1.5, wait=True)
    camonitor("catest", callback=events)
    wait_until(lambda: events.seen)
    caput("catest", 2.5, wait=True)
    wait_until(lambda: len(events.seen) == 2)
    epics_args, user_args = events.seen[1]
    assert user_args == ()
    assert sorted(epics_args) == [
        "chid", "count", "pv_nseconds", "pv_seconds", "pv_severity", "pv_status", "pv_value",
        "status", "type",
    ]  # fmt: skip
    assert epics_args["type"] == ca.DBR_TIME_DOUBLE
    assert epics_args["chid"] == util._channels_["catest"]._chid
    assert abs(epics_args["pv_seconds"] + ca.POSIX_TIME_AT_EPICS_EPOCH - time.time()) < 60
    assert events.values == [1.5, 2.5]


@pytest.mark.parametrize("callback", [(), False, 0, "no function"])
def test_monitor_ends_with_anything_that_is_no_function(events: Events, callback: object) -> None:
    camonitor("cascratch3", callback=events)
    wait_until(lambda: events.seen)
    assert camonitor("cascratch3", callback=callback) is None
    assert util._channels_["cascratch3"]._evid is None
    camonitor("cascratch3", callback=callback)


def test_monitor_of_an_enum_as_number_and_as_text(events: Events) -> None:
    caput("cabo", 1, wait=True)
    camonitor("cabo", callback=events)
    wait_until(lambda: len(events.seen) == 1)
    camonitor("cabo", as_string=True, callback=events)
    wait_until(lambda: len(events.seen) == 2)
    assert events.values == [1, "Busy"]
    assert [e["type"] for e, _ in events.seen] == [ca.DBR_TIME_ENUM, ca.DBR_TIME_STRING]
    assert events.seen[1][0]["pv_severity"] == ca.AlarmSeverity.Minor


def test_monitor_of_char_data_as_text(events: Events) -> None:
    caput("cawavec", "abc", wait=True)
    camonitor("cawavec", as_string=True, callback=events)
    wait_until(lambda: events.seen)
    camonitor("cawavec", as_string=True, count=1, callback=events)
    wait_until(lambda: len(events.seen) == 2)
    caput("cawavec", b"\xff\xfe", wait=True)
    camonitor("cawavec", as_string=True, callback=events)
    wait_until(lambda: events.values[-1] == "\u00ff\u00fe")
    assert events.values[:2] == ["abc", "a"]


def test_monitor_of_char_data_as_text_with_numpy(
    events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cachannel, "USE_NUMPY", True)
    caput("cawavec", "abc", wait=True)
    camonitor("cawavec", as_string=True, callback=events)
    wait_until(lambda: events.seen)
    assert events.values == ["abc"]


def test_monitor_with_count_0_follows_the_length(events: Events) -> None:
    caput("cawaveh", [1, 2, 3], wait=True)
    camonitor("cawaveh", count=0, callback=events)
    wait_until(lambda: len(events.seen) == 1)
    caput("cawaveh", [4, 5], wait=True)
    wait_until(lambda: len(events.seen) == 2)
    assert events.values == [[1, 2, 3], [4, 5]]


def test_monitor_prints_name_time_and_value(run_script: Callable[..., Outcome]) -> None:
    """Each step of the script ends when the lines it expects are there."""
    outcome = run_script(
        """
        import sys, time
        from cachannel.util import camonitor, caput

        class Lines:
            def __init__(self, stream):
                self.stream, self.text = stream, ""

            def write(self, text):
                self.text += text
                return self.stream.write(text)

            def flush(self):
                self.stream.flush()

        def wait(name, number=1):
            start, deadline = lines.text.count(name + " "), time.monotonic() + 60
            while lines.text.count(name + " ") - start < number:
                if time.monotonic() > deadline:
                    raise SystemExit(f"no line of {name}")
                time.sleep(0.005)

        sys.stdout = lines = Lines(sys.stdout)
        caput(["cabo", "cawavec", "cawave"], ["Busy", "ab", [1, 2, 3]], wait=True)
        for arguments in (
            {"name": "cacalc"},
            {"name": "cabo"},
            {"name": "cabo", "as_string": True},
            {"name": "cawavec"},
            {"name": "cawavec", "as_string": True},
            {"name": "cawave", "count": 3},
        ):
            before = lines.text
            camonitor(**arguments)
            while arguments["name"] + " " not in lines.text[len(before):]:
                time.sleep(0.005)
        wait("cacalc", 3)
        camonitor("cacalc", callback=())
        """
    ).succeeded()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
    for line in outcome.lines:
        assert re.fullmatch(rf"ca\w+ {stamp} .+", line)
    printed = [re.sub(stamp, "TIME", line) for line in outcome.lines]
    assert sum(bool(re.fullmatch(r"cacalc TIME \d+\.0", line)) for line in printed) >= 4
    assert [line for line in printed if not line.startswith("cacalc")] == [
        "cabo TIME 1",
        "cabo TIME Busy",
        "cawavec TIME [97, 98, 0, 0, 0]",
        "cawavec TIME ab",
        "cawave TIME [1.0, 2.0, 3.0]",
    ]


@pytest.mark.parametrize("zone", ["UTC0", "XYZ-3:30"])
def test_monitor_prints_the_local_time_of_the_record(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        shown = util._local_time({"pv_seconds": 1164103145, "pv_nseconds": 687101999})
        moment = datetime.fromtimestamp(1164103145 + 631152000)
        assert shown == f"{moment:%Y-%m-%d %H:%M:%S}.687101"
        expected = {"UTC0": "2026-11-21 09:59:05.687101", "XYZ-3:30": "2026-11-21 13:29:05.687101"}
        assert shown == expected[zone]
    finally:
        if before is None:
            monkeypatch.delenv("TZ")
        else:
            monkeypatch.setenv("TZ", before)
        time.tzset()


def test_monitor_without_read_access_prints_none(run_script: Callable[..., Outcome]) -> None:
    outcome = run_script(
        """
        import sys, time
        from cachannel.util import camonitor

        class Counted:
            pieces, stream = 0, sys.stdout

            def write(self, text):
                self.pieces += "\\n" in text
                return self.stream.write(text)

            def flush(self):
                self.stream.flush()

        sys.stdout = Counted()
        try:
            camonitor("canoaccess")
        except Exception as error:
            print(error.status)
        deadline = time.monotonic() + 60
        while not sys.stdout.pieces and time.monotonic() < deadline:
            time.sleep(0.005)
        """
    ).succeeded()
    assert outcome.lines in (["canoaccess - None"], ["ECA.NORDACCESS"])


# Information --------------------------------------------------------------------------------


def cainfo_lines(name: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    assert cainfo(name) is None
    return capsys.readouterr().out.splitlines()


def test_info_of_an_enum(ioc: SoftIoc, capsys: pytest.CaptureFixture[str]) -> None:
    caput("cabo", 1, wait=True)
    host = util._channels_["cabo"].host_name()
    assert host.endswith(f":{ioc.port}")
    assert cainfo_lines("cabo", capsys) == [
        "cabo",
        "    State:          Connected",
        f"    Host:           {host}",
        "    Data type:      DBF_ENUM",
        "    Element count:  1",
        "    Access:         RW",
        "    Status:         STATE",
        "    Severity:       MINOR",
        "    Enumerates:     ('Done', 'Busy')",
    ]


def test_info_of_an_array(capsys: pytest.CaptureFixture[str]) -> None:
    caput("cawave", [1, 2], wait=True)
    lines = cainfo_lines("cawave", capsys)
    assert lines[3:] == [
        "    Data type:      DBF_DOUBLE",
        "    Element count:  20",
        "    Access:         RW",
        "    Status:         NO_ALARM",
        "    Severity:       NO_ALARM",
    ]


@pytest.mark.parametrize(
    ("name", "data_type"),
    [("cawaves", "DBF_STRING"), ("cawavec", "DBF_CHAR"), ("cawaveempty", "DBF_DOUBLE")],
)
def test_info_of_data_without_units(
    name: str, data_type: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = cainfo_lines(name, capsys)
    assert lines[3] == f"    Data type:      {data_type}"
    assert len(lines) == 8


def test_info_of_a_pv_without_write_access(capsys: pytest.CaptureFixture[str]) -> None:
    assert "    Access:         R" in cainfo_lines("caread", capsys)


def test_info_of_a_pv_without_any_access(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm cannot be read; the rest is shown, and later calls are not disturbed."""
    lines = cainfo_lines("canoaccess", capsys)
    assert lines[-1] == "    Access:         No access"
    assert len(lines) == 6
    monkeypatch.setattr(CaChannel, "ca_timeout", 60)
    start = time.monotonic()
    caget("catest")
    assert time.monotonic() - start < 20


def test_info_of_a_channel_that_lost_its_server(
    make_ioc: Callable[..., SoftIoc], capsys: pytest.CaptureFixture[str]
) -> None:
    ioc = make_ioc('record(ao, "util:lost") {}')
    caget("util:lost")
    ioc.stop()
    wait_until(lambda: util._channels_["util:lost"].state() != ca.cs_conn)
    assert cainfo_lines("util:lost", capsys) == [
        "util:lost",
        "    State:          Not connected",
        "    Host:           <disconnected>",
        "    Data type:      TYPENOTCONN",
        "    Element count:  0",
        "    Access:         No access",
    ]
    with pytest.raises(CaChannelException) as error:
        caget("util:lost")
    assert error.value.status == ca.ECA_BADTYPE
    with pytest.raises(CaChannelException) as error:
        caget(["util:lost", "catest"])
    assert error.value.status in (ca.ECA_BADTYPE, ca.ECA_DISCONN)


def test_monitor_of_a_single_byte_as_string_is_its_number(capsys) -> None:
    events = Events()
    camonitor("catest.PACT", as_string=True, callback=events)
    wait_until(lambda: bool(events.seen))
    assert events.values[0] == 0
    camonitor("catest.PACT", callback=False)
