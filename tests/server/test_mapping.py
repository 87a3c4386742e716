"""`channel._data`, which programs for caproto read and write."""

import asyncio
import struct

import pytest
from bench_circuit import Bench, subscribe, values_of

from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.messages import Command, pack
from cachannel.protocol.timestamp import TimeStamp
from cachannel.server import PVGroup, pvproperty
from cachannel.server.numeric import ChannelDouble, ChannelInteger
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString

LIMITS = {
    f"{side}_{kind}_limit"
    for side in ("upper", "lower")
    for kind in ("disp", "alarm", "warning", "ctrl")
}


def test_keys():
    """They are those that caproto has for each class."""
    common = {"value", "timestamp"}
    for channel, own in (
        (ChannelInteger(value=1), LIMITS | {"units"}),
        (ChannelDouble(value=1.0), LIMITS | {"units", "precision"}),
        (ChannelEnum(value=0, enum_strings=["a"]), {"enum_strings"}),
        (ChannelString(value="a"), set()),
        (ChannelChar(value="a"), set()),
    ):
        assert set(channel._data) == common | own
        assert len(channel._data) == len(common | own)
        assert channel._data.copy() == {key: channel._data[key] for key in channel._data}


def test_reading():
    """It has what the attributes have."""

    class Group(PVGroup):
        x = pvproperty(value=1.5, units="mm", precision=3, upper_ctrl_limit=9.0)

    channel = Group(prefix="").x
    data = channel._data
    assert (data["value"], data["units"], data["precision"]) == (1.5, "mm", 3)
    assert (data["upper_ctrl_limit"], data["lower_disp_limit"]) == (9.0, 0)
    assert data["timestamp"] == channel.epics_timestamp
    asyncio.run(channel.write(2.5))
    assert data["value"] == 2.5
    assert "'value': 2.5" in repr(data)
    assert "no_such" not in data
    for key in ("no_such", "enum_strings"):
        with pytest.raises(KeyError, match=key):
            data[key]
        with pytest.raises(KeyError, match=key):
            data[key] = 1
    with pytest.raises(KeyError, match="units"):
        del data["units"]


def test_writing():
    """What is assigned is served at once, without an event; it is checked as a write is."""
    channel = ChannelDouble(value=1.5)
    bench = Bench({"x": channel})
    sid = bench.create("x")
    assert values_of(bench.talk(subscribe(sid))) == [1.5]
    read = pack(Command.READ_NOTIFY, 34, 1, sid, 1)
    bench.talk(read)
    channel._data["value"] = 7.0
    channel._data.update(units="V", upper_disp_limit=5.0, timestamp=(7, 8))
    (answer,) = bench.talk(read)
    assert answer.payload[8:10] == b"V\0"
    assert struct.unpack_from(">d", answer.payload, 16) == (5.0,)
    assert struct.unpack_from(">d", answer.payload, 80) == (7.0,)
    assert channel.epics_timestamp == TimeStamp(7, 8)
    with pytest.raises(ValueError, match="x"):
        channel._data["value"] = "abc"
    assert channel.value == 7.0
    enum = ChannelEnum(value=0, enum_strings=["a", "b"])
    enum._data["value"] = 1
    assert (enum.value, enum.raw_value, enum.data_type) == ("b", 1, ChannelType.ENUM)
    enum._data["enum_strings"] = ["x", "y"]
    assert enum.enum_strings == ("x", "y")
