"""What a user's script looks like to a type checker: ``mypy --strict typing_tests``."""

from typing import Any, assert_type

from cachannel import CaChannel, CaChannelException, Context, ca
from cachannel.many import BulkSink, connect_many, get_many, put_many


def changed(event: dict[str, Any], user_args: tuple[Any, ...]) -> None:
    """Take an event of a monitor."""
    print(event["pv_value"], *user_args)


def connected(event: tuple[ca.Chid, ca.CA_OP], user_args: tuple[Any, ...]) -> None:
    """Take a change of the connection."""
    print(event[0], event[1] == ca.CA_OP.CONN_UP, user_args)


def use_the_class() -> None:
    """Read, write and monitor one PV."""
    channel = CaChannel("catest")
    channel.setTimeout(2)
    try:
        channel.searchw()
    except CaChannelException as exc:
        assert_type(int(exc), int)
        print(ca.message(exc), exc.pvname, exc.operation)
    assert_type(channel.getTimeout(), float)
    assert_type(channel.state(), ca.ChannelState)
    assert_type(channel.element_count(), int)
    assert_type(channel.host_name(), str)
    assert_type(channel.poll(), ca.ECA)
    value = channel.getw(ca.DBR_TIME_DOUBLE, use_numpy=True)
    channel.putw(value["pv_value"])
    channel.add_masked_array_event(None, None, ca.DBE_VALUE, changed, "argument")
    channel.search_and_connect(None, connected)
    channel.clear_event()


def use_the_functions() -> None:
    """The same, call by call."""
    status, chid = ca.create_channel("catest")
    assert_type(chid, ca.Chid | None)
    if chid is None or status != ca.ECA.NORMAL:
        return
    ca.pend_io(1.0)
    status, value = ca.get(chid, ca.DBR_CTRL_DOUBLE, use_numpy=False)
    if value is not None:
        print(value.get())
    status, evid = ca.create_subscription(chid, print, mask=ca.DBE_ALARM)
    if evid is not None:
        ca.clear_subscription(evid)
    ca.clear_channel(chid)


def use_lists() -> None:
    """Many PVs at once."""
    channels = connect_many(["a", "b"], timeout=1.0)
    assert_type(channels, list[CaChannel])
    assert_type(get_many(channels), list[Any])
    put_many(channels, [1, 2], wait=True)
    with BulkSink(["a", "b"]) as sink:
        events = sink.get(1.0)
        assert_type(len(events), int)
    with Context() as context:
        assert_type(context.replaced, int)
