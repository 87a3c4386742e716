"""What a user's script looks like to a type checker: ``mypy --strict typing_tests``."""

from typing import Any, assert_type

from cachannel import CaChannel, CaChannelException, Context, ca
from cachannel.epicsMotor import epicsMotor, epicsMotorException
from cachannel.epicsPV import epicsPV
from cachannel.many import BulkSink, connect_many, get_many, put_many
from cachannel.util import caget, cainfo, camonitor, caput


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


def use_the_companions() -> None:
    """The modules that come with the class."""
    pv = epicsPV("catest", wait=True)
    pv.setMonitor()
    assert_type(pv.checkMonitor(), int)
    pv.getControl()
    print(pv.callBack.pv_units)
    pv.putWait(5, poll=0.01)
    motor = epicsMotor("m1")
    try:
        motor.move(1.5, relative=True)
        motor.wait()
    except epicsMotorException as exc:
        assert_type(exc.message, str)
    motor.slew_speed = 2.0
    assert_type(motor.pvs, dict[str, epicsPV])
    assert_type(caget(["a", "b"]), list[Any])
    caput("a", [1, 2], wait=True, timeout=1.0)
    camonitor("a", callback=changed)
    cainfo("a")


def use_a_group() -> None:
    """Several reads and writes, and one wait."""
    _, gid = ca.sg_create()
    assert_type(gid, int)
    _, chid = ca.create_channel("catest", priority=ca.CA_PRIORITY_MAX)
    if chid is not None:
        _, value = ca.sg_get(gid, chid)
        assert_type(value, ca.DBRValue | None)
        ca.sg_put(gid, chid, 1)
    assert_type(ca.sg_block(gid, 1.0), ca.ECA)
    ca.sg_delete(gid)
