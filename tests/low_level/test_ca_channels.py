"""Channels: names, callbacks, what can be asked, and ending them."""

from collections.abc import Callable

import pytest

from cachannel import ca
from cachannel.errors import CAError
from support.calls import Events
from support.ioc import SoftIoc
from support.waiting import wait_until

NORMAL = ca.ECA.NORMAL


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("catest", "DOUBLE", 1), ("cabo", "ENUM", 1), ("cambbo", "ENUM", 1), ("calong", "LONG", 1),
        ("caint64", "DOUBLE", 1), ("castring", "STRING", 1), ("cawave", "DOUBLE", 20),
        ("cawavef", "FLOAT", 150), ("cawaveh", "SHORT", 10), ("cawavec", "CHAR", 5),
        ("cawaveus", "LONG", 10), ("cawaveul", "DOUBLE", 10), ("cawavei64", "DOUBLE", 10),
        ("cawavee", "ENUM", 10), ("cawaves", "STRING", 3), ("catest.NAME", "STRING", 1),
        ("catest.SCAN", "ENUM", 1), ("catest.PACT", "CHAR", 1), ("catest.DESC$", "CHAR", 41),
    ],
)  # fmt: skip
def test_native_type_and_count(connect, name: str, kind: str, count: int) -> None:  # type: ignore[no-untyped-def]
    chid = connect(name)
    assert ca.field_type(chid) is ca.DBF[kind]
    assert ca.element_count(chid) == count
    assert ca.name(chid) == name
    assert ca.state(chid) is ca.ChannelState.CONN


def test_connected_channel_knows_its_server(connect, ioc: SoftIoc) -> None:  # type: ignore[no-untyped-def]
    chid = connect("catest")
    assert ca.host_name(chid).endswith(f":{ioc.port}")
    assert (ca.read_access(chid), ca.write_access(chid)) == (True, True)
    assert ca.search_attempts(chid) >= 1
    assert ca.host_minor_protocol(chid) == 13
    assert ca.receive_watchdog_delay(chid) > 0
    assert isinstance(ca.beacon_period(chid), float)


def test_channel_that_never_connected(preemptive: None) -> None:
    chid = ca.create_channel("no:such:pv", lambda event: None)[1]
    assert chid is not None
    assert ca.field_type(chid) is ca.DBF.NOTCONN
    assert ca.element_count(chid) == 0
    assert ca.state(chid) is ca.ChannelState.NEVER_CONN
    assert ca.host_name(chid) == "<disconnected>"
    assert (ca.read_access(chid), ca.write_access(chid)) == (False, False)
    assert ca.host_minor_protocol(chid) == 0
    assert ca.state(None) is ca.ChannelState.NEVER_SEARCH


@pytest.mark.parametrize("name", ["", b"", None, "a\0b"])
def test_name_that_is_none(preemptive: None, name: object) -> None:
    assert ca.create_channel(name) == (ca.ECA.BADSTR, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [1, ["catest"], object()])
def test_name_of_another_type_is_a_type_error(preemptive: None, name: object) -> None:
    with pytest.raises(TypeError, match="name of a PV"):
        ca.create_channel(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("priority", [-1, 100])
def test_priority_out_of_range(preemptive: None, priority: int) -> None:
    assert ca.create_channel("catest", None, priority) == (ca.ECA.BADPRIORITY, None)


def test_priorities_connect(preemptive: None) -> None:
    chids = [ca.create_channel("catest", priority=priority)[1] for priority in (0, 99)]
    assert ca.pend_io(30) == NORMAL
    assert [ca.state(chid) for chid in chids] == [ca.ChannelState.CONN] * 2


@pytest.mark.parametrize("length", [61, 256, 500])
def test_long_names_are_accepted_and_never_connect(preemptive: None, length: int) -> None:
    status, chid = ca.create_channel("x" * length)
    assert status == NORMAL
    assert ca.pend_io(0.1) == ca.ECA.TIMEOUT
    assert ca.name(chid) == "x" * length
    assert ca.clear_channel(chid) == NORMAL


def test_names_that_are_not_ascii(preemptive: None) -> None:
    text, data = ca.create_channel("pr\u00fcf:\u00b5")[1], ca.create_channel(b"caf\xe9")[1]
    assert ca.name(text) == "pr\u00fcf:\u00b5"
    assert ca.name(data) == b"caf\xe9"


def test_bytes_as_name(preemptive: None) -> None:
    chid = ca.create_channel(b"catest")[1]
    assert ca.pend_io(30) == NORMAL
    assert ca.name(chid) == "catest"


def test_connection_callback_gets_an_equal_chid(connect) -> None:  # type: ignore[no-untyped-def]
    seen = Events()
    chid = connect("catest", seen)
    event = seen.next()
    assert event == {"chid": chid, "op": ca.CA_OP.CONN_UP}
    assert hash(event["chid"]) == hash(chid)
    assert chid != connect("cabo")


def test_pend_io_does_not_wait_for_channels_with_callback(preemptive: None) -> None:
    ca.create_channel("no:such:pv", lambda event: None)
    assert ca.pend_io(30) == NORMAL


def test_new_connection_callback_hears_nothing_of_the_past(
    connect, make_ioc: Callable[..., SoftIoc]
) -> None:  # type: ignore[no-untyped-def]
    server = make_ioc('record(ao, "channels:lost") {}')
    first, second = Events(), Events()
    chid = connect("channels:lost", first)
    assert first.next()["op"] == ca.CA_OP.CONN_UP
    assert ca.change_connection_event(chid, second) == NORMAL
    server.kill()
    assert second.next(60)["op"] == ca.CA_OP.CONN_DOWN
    assert ca.state(chid) is ca.ChannelState.PREV_CONN
    assert ca.field_type(chid) is ca.DBF.NOTCONN
    assert ca.element_count(chid) == 0
    assert ca.get(chid) == (ca.ECA.BADTYPE, None)
    assert ca.get(chid, ca.DBR_DOUBLE) == (ca.ECA.DISCONN, None)
    assert ca.put(chid, 1) == ca.ECA.BADTYPE
    assert ca.put(chid, 1, ca.DBR_DOUBLE) == ca.ECA.DISCONN
    assert ca.create_subscription(chid, print) == (ca.ECA.BADTYPE, None)
    assert ca.change_connection_event(chid, None) == NORMAL
    assert (first.drain(), second.drain()) == ([], [])


def test_installing_a_callback_ends_the_wait_for_the_connection(preemptive: None) -> None:
    chid = ca.create_channel("no:such:pv")[1]
    assert ca.test_io() == ca.ECA.IOINPROGRESS
    assert ca.change_connection_event(chid, lambda event: None) == NORMAL
    assert ca.test_io() == ca.ECA.IODONE
    assert ca.pend_io(30) == NORMAL


def test_access_rights_callback_runs_before_the_function_returns(connect) -> None:  # type: ignore[no-untyped-def]
    seen: list[dict[str, object]] = []
    chid = connect("caread")
    assert ca.replace_access_rights_event(chid, seen.append) == NORMAL
    assert seen == [{"chid": chid, "read_access": True, "write_access": False}]


def test_access_rights_change(connect, ioc: SoftIoc) -> None:  # type: ignore[no-untyped-def]
    seen = Events()
    chid = connect("carights")
    ca.replace_access_rights_event(chid, seen)
    assert seen.next()["write_access"] is True
    ioc.command("dbpf carights.ASG READONLY")
    assert seen.next() == {"chid": chid, "read_access": True, "write_access": False}
    assert ca.put(chid, 1) == ca.ECA.NOWTACCESS
    ioc.command("dbpf carights.ASG NOACCESS")
    assert seen.until(lambda event: not event["read_access"])["write_access"] is False
    assert ca.get(chid) == (ca.ECA.NORDACCESS, None)
    ca.replace_access_rights_event(chid, None)
    ioc.command("dbpf carights.ASG DEFAULT")
    wait_until(lambda: ca.write_access(chid), what="the return of write access")
    assert seen.drain() == []


def test_order_of_rights_and_connection(connect, make_ioc: Callable[..., SoftIoc]) -> None:  # type: ignore[no-untyped-def]
    server = make_ioc('record(ao, "channels:order") {}')
    seen = Events()
    chid = connect("channels:order", lambda event: seen(event["op"].name))
    assert seen.next() == "CONN_UP"
    ca.replace_access_rights_event(chid, lambda event: seen(event["read_access"]))
    assert seen.next() is True
    server.kill()
    assert [seen.next(60), seen.next()] == ["CONN_DOWN", False]
    server.start()
    assert [seen.next(60), seen.next()] == [True, "CONN_UP"]


def test_cleared_channel_is_unknown(connect) -> None:  # type: ignore[no-untyped-def]
    chid = connect("catest")
    assert ca.clear_channel(chid) == NORMAL
    assert ca.clear_channel(chid) == ca.ECA.BADCHID
    assert ca.get(chid) == (ca.ECA.BADCHID, None)
    assert ca.put(chid, 1) == ca.ECA.BADCHID
    assert ca.create_subscription(chid, print) == (ca.ECA.BADCHID, None)
    assert ca.change_connection_event(chid, print) == ca.ECA.BADCHID
    assert ca.replace_access_rights_event(chid, print) == ca.ECA.BADCHID
    assert ca.state(chid) is ca.ChannelState.CLOSED
    for function in (ca.field_type, ca.element_count, ca.name, ca.host_name, ca.read_access):
        with pytest.raises(CAError, match="catest"):
            function(chid)


@pytest.mark.parametrize("wrong", [None, 0, "catest"])
@pytest.mark.parametrize("function", [ca.name, ca.clear_channel, ca.get, ca.field_type])
def test_something_else_as_chid_is_a_type_error(function, wrong: object) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TypeError, match="a chid is expected"):
        function(wrong)


def test_clearing_calls_nobody(connect) -> None:  # type: ignore[no-untyped-def]
    seen = Events()
    chid = connect("catest", seen)
    seen.next()
    assert ca.clear_channel(chid) == NORMAL
    marker = Events()
    connect("cabo", marker)
    marker.next()
    assert seen.drain() == []
