"""Everything that waits works in callbacks of `CaChannel`, whichever kind of callback it is."""

from collections.abc import Callable
from typing import Any

import pytest

from cachannel import ca
from cachannel.channel import CaChannel
from cachannel.epicsMotor import epicsMotor
from cachannel.epicsPV import epicsPV
from cachannel.many import connect_many, get_many, put_many
from cachannel.util import caget, caput
from support.calls import Events

pytestmark = pytest.mark.usefixtures("ioc")


def connected(name: str) -> CaChannel:
    channel = CaChannel(name)
    channel.setTimeout(60)
    channel.searchw()
    return channel


def wait_for_everything() -> dict[str, Any]:
    """Do all that waits, with new channels; what it gives is compared with what it is."""
    found: dict[str, Any] = {}
    channel = connected("cascratch1")
    channel._put_wait(2.5)
    found["getw"] = channel.getw()
    channel.array_get()
    channel.pend_io(60)
    found["pend_io"] = channel.getValue()
    channel.array_put(3.5)
    channel.flush_io()
    channel.pend_event(0.01)
    channel.poll()
    found["put"] = channel.getw()
    pv = epicsPV("cascratch2")
    pv.putWait(4.5)
    found["putWait"] = pv.getw()
    caput("cascratch3", 5.5, wait=True)
    found["util"] = caget("cascratch3")
    channels = connect_many(["cascratch1", "calong"], 60)
    put_many(channels, [6.5, 7], wait=True, timeout=60)
    found["many"] = get_many(channels, timeout=60)
    found["group"] = group(channel)
    found["motor"] = epicsMotor("m1").description
    return found


def group(channel: CaChannel) -> Any:
    _, gid = ca.sg_create()
    _, value = ca.sg_get(gid, channel._chid)  # type: ignore[arg-type]
    status = ca.sg_block(gid, 60)
    ca.sg_delete(gid)
    return status, value.get() if value is not None else None


WANTED = {
    "getw": 2.5, "pend_io": 2.5, "put": 3.5, "putWait": 4.5, "util": 5.5, "many": [6.5, 7],
    "group": (ca.ECA.NORMAL, 6.5),
}  # fmt: skip


def by_monitor(channel: CaChannel, callback: Callable[..., Any]) -> None:
    channel.add_masked_array_event(None, None, None, callback)


def by_get(channel: CaChannel, callback: Callable[..., Any]) -> None:
    channel.array_get_callback(None, None, callback)


def by_put(channel: CaChannel, callback: Callable[..., Any]) -> None:
    channel.array_put_callback(1.0, None, None, callback)


def by_connection(channel: CaChannel, callback: Callable[..., Any]) -> None:
    channel.clear_channel()
    channel.search_and_connect("catest", callback)


@pytest.mark.parametrize("begin", [by_monitor, by_get, by_put, by_connection])
def test_waits_in_a_callback(begin: Callable[..., None]) -> None:
    outcome = Events()
    channel = connected("catest")
    # Other tests give the motor of the run another description.
    wanted = WANTED | {"motor": caget("m1.DESC")}

    def callback(*args: Any) -> None:
        try:
            outcome(wait_for_everything())
        except BaseException as exc:
            outcome(exc)

    begin(channel, callback)
    channel.flush_io()
    try:
        assert outcome.next() == wanted
    finally:
        channel.clear_channel()
