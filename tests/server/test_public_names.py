"""The public names of channel classes are those of the contract: all others are free for users."""

import asyncio
import struct

import pytest
from bench_circuit import Bench, put, subscribe, values_of

from cachannel.protocol.errors import CaprotoKeyError
from cachannel.server import PVGroup, pvproperty
from cachannel.server.data import ChannelData
from cachannel.server.numeric import ChannelByte, ChannelDouble, ChannelInteger
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString

COMMON = """
    alarm auth_read auth_write calculate_length check_access data_type default_value
    epics_timestamp length max_length max_subscription_backlog post_state_change pre_state_change
    preprocess_value publish read reported_record_type severity status string_encoding timestamp
    update_fields value verify_value write write_from_dbr write_metadata
"""
NUMERIC = """
    units upper_disp_limit lower_disp_limit upper_alarm_limit lower_alarm_limit
    upper_warning_limit lower_warning_limit upper_ctrl_limit lower_ctrl_limit value_atol log_atol
"""
PROPERTY = """
    field_inst fields get_field getter group log name putter pvname pvspec record_type scan
    shutdown startup
"""


class Group(PVGroup):
    number = pvproperty(value=1.0)


@pytest.mark.parametrize(
    ("channel", "own"),
    [
        (ChannelData(value=1), ""),
        (ChannelInteger(value=1), NUMERIC),
        (ChannelDouble(value=1.0), NUMERIC + "precision"),
        (ChannelByte(value=b"a"), NUMERIC + "strip_null_terminator"),
        (ChannelString(value="a"), "long_string_max_length"),
        (ChannelChar(value="a"), "long_string_max_length"),
        (
            ChannelEnum(value="a", enum_strings=["a"]),
            "enum_strings raw_value get_raw_value get_raw_values",
        ),
        (Group(prefix="p:").number, NUMERIC + "precision" + PROPERTY),
    ],
)
def test_names(channel, own):
    """No other name is public."""
    assert {name for name in dir(channel) if name[0] != "_"} == set((COMMON + own).split())


FREE = """
    post log name refresh invalidate encoded acknowledge write_now from_wire subscribe unsubscribe
    alarm_changed element_count pvname getter field_inst get_field raw_text limit_severities
    report_as_string of_number
"""


@pytest.mark.parametrize("name", FREE.split())
def test_attributes_of_user_classes(name):
    """A user class has an attribute of any such name, and its channel works as without it."""

    class Own(ChannelDouble):
        def __init__(self, **kwargs):
            setattr(self, name, "mine")
            super().__init__(**kwargs)

    channel = Own(value=0.0)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    subscription = bench.talk(subscribe(sid))
    assert values_of(subscription) == [0.0]
    answers = bench.talk(put(sid, 2.0, 1))
    assert sorted(message.command for message in answers) == [1, 19]
    asyncio.run(channel.write(3.0))
    assert values_of(bench.output()) == [3.0]
    if name != "get_field":
        assert bench.create("x.VAL", 2)
    assert getattr(channel, name) == "mine"


def test_methods_of_user_classes():
    """Coroutines named like the internal steps of a write are never called by the server."""

    class Own(ChannelDouble):
        async def post(self, value, timestamp=None):
            await self.write(value, timestamp=timestamp)

        async def refresh(self):
            raise AssertionError("not for the server")

        invalidate = subscribe = unsubscribe = alarm_changed = refresh

    channel = Own(value=0.0)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    bench.talk(subscribe(sid))
    asyncio.run(channel.post(4.0, timestamp=(5, 6)))
    assert values_of(bench.output()) == [4.0]
    assert channel.epics_timestamp == (5, 6)
    asyncio.run(channel.alarm.write(status=7, severity=1))
    assert len(bench.output()) == 1


def test_messages_name_the_pv():
    """A channel that is not of a group has the name under which a client found it."""
    channel = ChannelDouble(value=0.0, upper_ctrl_limit=1.0)
    bench = Bench({"area:x": channel})
    sid = bench.create("area:x")
    (answer,) = bench.talk(put(sid, 5.0, 1))
    assert answer.command == 11
    assert b"area:x" in answer.payload
    group = Group(prefix="p:")
    with pytest.raises(ValueError, match="p:number"):
        asyncio.run(group.number.write([1.0, 2.0]))


def test_properties_keep_their_names():
    """What IOCs use of a property's channel is there, and may be assigned."""
    channel = Group(prefix="p:").number
    assert (channel.name, channel.pvname) == ("Group.number", "p:number")
    assert channel.get_field("VAL") is channel
    with pytest.raises(CaprotoKeyError, match="NONE"):
        channel.get_field("NONE")

    async def getter(instance):
        return 7.0

    channel.getter = getter
    assert struct.unpack(">d", asyncio.run(channel.read(6))[1].astype(">f8").tobytes()) == (7.0,)
