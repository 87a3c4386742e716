"""What code written for caproto 1.3 observes: names, properties, channels."""

import asyncio
import copy
import datetime
import enum
import pickle
import subprocess
import sys

import numpy as np
import pytest
from server_wire import environment, free_port

import cachannel
import cachannel.server.common as common
from cachannel.asyncio.server import Context, ServerExit, start_server
from cachannel.logs import LogFormatter, PVFilter
from cachannel.protocol.errors import CaprotoAttributeError, CaprotoValueError
from cachannel.server import PVGroup, PVSpec, SubGroup, pvproperty, run as serve
from cachannel.server.data import ChannelData
from cachannel.server.numeric import ChannelByte, ChannelDouble, ChannelInteger
from cachannel.server.text import ChannelChar, ChannelEnum, ChannelString


def run(coroutine):
    return asyncio.run(coroutine)


class State(enum.IntEnum):
    off = 0
    on = 1


# ---------------------------------------------------------------------- names


def test_names_of_the_server_internals():
    """What code catches or unpacks has its names."""
    assert issubclass(common.DisconnectedCircuit, Exception)
    assert issubclass(common.LoopExit, Exception)
    spec = common.SubscriptionSpec("channel", "DOUBLE", 5, None)
    assert spec._fields == ("db_entry", "data_type_name", "mask", "channel_filter")


def test_the_epoch_has_a_time_zone():
    """It can be added to and compared with aware times."""
    moment = datetime.datetime(1990, 1, 1, tzinfo=datetime.UTC)
    assert moment == cachannel.EPICS_EPOCH


def test_log_formatter_takes_a_format():
    """As logging's formatters do, format first; the colour is a field of it."""
    import logging

    record = logging.LogRecord("n", logging.INFO, "/x/mod.py", 7, "text", None, None)
    assert LogFormatter("%(module)s %(message)s").format(record) == "mod text"
    line = LogFormatter("%(color)s<%(levelname)s>%(end_color)s %(message)s", color=True)
    assert line.format(record).endswith("<INFO>\033[0m text")
    plain = LogFormatter("%(color)s<%(levelname)s>%(end_color)s %(message)s", color=False)
    assert plain.format(record) == "<INFO> text"


@pytest.mark.parametrize("level", ["bogus", "", None])
def test_filters_refuse_levels_that_do_not_exist(level):
    """When they are made, not with the first record."""
    with pytest.raises(CaprotoValueError, match="level"):
        PVFilter("a", level=level)
    assert PVFilter("a", level="warning").level == 30


# ---------------------------------------------------------------------- properties


@pytest.mark.parametrize(
    ("kwargs", "dtype"),
    [
        ({}, int),
        ({"value": 1.0}, float),
        ({"value": "x"}, str),
        ({"value": True}, bool),
        ({"value": State.on}, State),
        ({"value": [1.0, 2.0]}, float),
        ({"value": np.zeros(3)}, float),
        ({"value": 1, "dtype": float}, float),
    ],
)
def test_a_specification_says_its_dtype(kwargs, dtype):
    """Also when the value decided; tools that describe groups read it."""
    assert PVSpec(**kwargs).dtype is dtype
    assert pvproperty(**kwargs).pvspec.dtype is dtype
    assert PVSpec(**kwargs)._replace(doc="x").dtype is dtype
    assert PVSpec.default_dtype is int


def test_a_specification_gives_all_arguments():
    """The class takes them as they are."""
    cls, kwargs = PVSpec(value=1.5, name="n", doc="about").get_instantiation_info()
    assert cls(**kwargs).pvname == "n"
    group = type("G", (PVGroup,), {"x": pvproperty(value=1)})("p:")
    cls, kwargs = group.x.pvspec.get_instantiation_info(group)
    assert kwargs["pvname"] == "p:x"
    assert cls(**kwargs).name == "G.x"


def test_bases_come_in_their_order():
    """The first base's PVs are first, and its property counts where several bases have one."""

    class One(PVGroup):
        a = pvproperty(value=1)
        b = pvproperty(value=1)

    class Two(PVGroup):
        c = pvproperty(value=2)
        b = pvproperty(value=2)

    class Both(One, Two):
        d = pvproperty(value=3)
        a = pvproperty(value=3)

    group = Both("")
    assert list(group.pvdb) == list(Both._pvs_) == ["a", "b", "c", "d"]
    assert [channel.value for channel in group.pvdb.values()] == [3, 1, 2, 3]
    assert group.b.value == 1

    class Root(PVGroup):
        x = pvproperty(value=0)
        y = pvproperty(value=0)

    class Left(Root):
        pass

    class Right(Root):
        x = pvproperty(value=1)

    class Diamond(Left, Right):
        pass

    assert Diamond("").x.value == 1
    assert list(Diamond("").pvdb) == ["x", "y"]


def test_states_are_those_of_the_parent():
    """Also when nobody has set one yet."""

    class Inner(PVGroup):
        x = pvproperty(value=1)

    class Outer(PVGroup):
        inner = SubGroup(Inner)

    group = Outer("")
    assert group.inner.states is group.states

    async def change():
        async with group.update_state("beam", True):
            pass

    run(change())
    assert group.inner.states == {"beam": True}


def test_no_description_is_none():
    """A class's docstring is not the description of its instances; nor is DESC."""

    class G(PVGroup):
        plain = pvproperty(value=1)
        text = pvproperty(value="x", max_length=5)
        record = pvproperty(value=1.0, record="ai")
        told = pvproperty(value=1.0, record="ai", doc="about")

    group = G("")
    assert group.plain.__doc__ is group.text.__doc__ is group.record.__doc__ is None
    assert group.record.fields["DESC"].value == ""
    assert (group.told.__doc__, group.told.fields["DESC"].value) == ("about", "about")
    assert type(group.plain).__doc__
    assert copy.deepcopy(group.told).__doc__ == "about"
    run(group.record.fields["DESC"].write("new"))
    assert group.record.__doc__ == "new"


def test_fields_without_a_record():
    """The property refuses to have some, the channel has none."""

    class G(PVGroup):
        x = pvproperty(value=1)

    assert G("").x.fields == {}
    with pytest.raises(CaprotoAttributeError):
        _ = G.x.fields


# ---------------------------------------------------------------------- channels


def test_metadata_by_position():
    """The first arguments of write_metadata may come without names."""
    channel = ChannelDouble(value=1.0)
    run(channel.write_metadata(True, "mm", 3, (5, 6)))
    assert (channel.units, channel.precision, channel.epics_timestamp) == ("mm", 3, (5, 6))
    states = ChannelEnum(value=0, enum_strings=["a"])
    run(states.write_metadata(["x", "y"], severity=1, status=3))
    assert (states.enum_strings, states.severity) == (("x", "y"), 1)


def test_metadata_that_does_not_exist():
    """A name that no class knows is a mistake; what another class has is ignored."""
    channel = ChannelInteger(value=1)
    run(channel.write_metadata(precision=3, enum_strings=["a"]))
    run(ChannelString(value="a").write_metadata(units="mm"))
    with pytest.raises(TypeError, match="bogus"):
        run(channel.write_metadata(bogus=1))
    with pytest.raises(TypeError, match="bogus"):
        run(channel.write(2, bogus=1))
    assert (channel.value, channel.severity) == (1, 0)


def test_deadbands_can_be_set():
    """Their attributes may be set at any time."""
    channel = ChannelDouble(value=0.0)
    channel.value_atol = 1.0
    channel.log_atol = 2.0
    masks = [channel._commit(value, 0, None, verified=True) for value in (0.0, 0.5, 1.5)]
    assert masks == [3, 0, 1]


def test_limits_are_those_of_what_is_written():
    """What a putter makes of a value may lie outside the control limits."""

    class G(PVGroup):
        x = pvproperty(value=0.0, lower_ctrl_limit=-1.0, upper_ctrl_limit=1.0)

        @x.putter
        async def x(self, instance, value):
            return value * 1000

    group = G("")
    run(group.x.write(0.5))
    assert (group.x.value, group.x.severity) == (500.0, 0)
    with pytest.raises(ValueError, match="control limits"):
        run(group.x.write(5.0))


def test_zero_dimensional_arrays_are_numbers():
    """Where one number goes, and where several do."""
    channel = ChannelInteger(value=1)
    run(channel.write(np.array(8)))
    assert (channel.value, np.ndim(channel.value), type(channel.value)) == (8, 0, np.int64)
    array = ChannelDouble(value=[1.0, 2.0])
    run(array.write(np.array(3.0)))
    assert array.value == [3.0]
    assert not isinstance(array.value[0], np.ndarray)


def test_bytes_of_arrays_and_lists():
    """Arrays of any numbers are joined; a text among numbers is refused."""
    channel = ChannelByte(value=b"abc", max_length=5)
    for value in (np.array([1, 2], "i4"), np.array([1.0, 2.0]), np.array([1, 2], ">u2"), [1, 2.0]):
        run(channel.write(value))
        assert channel.value == b"\1\2"
    for bad in (["a", "b"], [1, "b"], np.array(["a"])):
        with pytest.raises(CaprotoValueError):
            run(channel.write(bad))
    assert channel.value == b"\1\2"


def test_trailing_zeros_of_bytes():
    """They are no part of the value, unless that is asked for; arrays stay as they are."""
    channel = ChannelByte(value=b"ab\0\0", max_length=6)
    assert (channel.value, channel.length, channel.max_length) == (b"ab", 2, 6)
    for value, stored in (
        (b"q\0", b"q"),
        (b"\0a\0", b"\0a"),
        (b"\0\0", b""),
        ([1, 0], b"\1"),
        (memoryview(b"a\0"), b"a"),
        ("t\0", b"t"),
    ):
        run(channel.write(value))
        assert channel.value == stored
    values = np.array([1, 0], "u1")
    run(channel.write(values))
    assert channel.value is values
    keeping = ChannelByte(value=b"ab\0\0", strip_null_terminator=False)
    assert keeping.value == b"ab\0\0"
    single = ChannelByte(value=b"\0", max_length=1)
    assert single.value == b"\0"


def test_bytes_without_a_value():
    """They are empty."""

    class G(PVGroup):
        x = pvproperty(dtype=bytes, max_length=5)

    assert (G("").x.value, G("").x.length) == (b"", 0)


# ---------------------------------------------------------------------- puts of clients


def test_an_empty_text_is_zero_of_the_channels_type():
    """A putter of a floating point number gets one."""
    for channel, zero in ((ChannelDouble(value=1.0), 0.0), (ChannelInteger(value=1), 0)):
        found = channel._from_wire(0, [b""])
        assert (found, type(found)) == (zero, type(zero))


def test_characters_put_to_one_text():
    """They are the text, where the IOC of EPICS base takes the number of the first one.

    `caput -S` sends characters, whatever the channel is. One alone is a number, as there.
    """
    channel = ChannelString(value="")
    assert channel._from_wire(4, np.frombuffer(b"ab\0c", "u1")) == "ab"
    assert channel._from_wire(4, 97) == ["97"]
    several = ChannelString(value=["a"], max_length=3)
    assert several._from_wire(4, np.frombuffer(b"ab", "u1")) == ["97", "98"]


# ---------------------------------------------------------------------- servers in a program


@pytest.fixture
def loopback(monkeypatch):
    """Servers of this process stay on loopback, on a port that nobody has."""
    for name, value in environment(free_port()).items():
        if name.startswith("EPICS_CA"):
            monkeypatch.setenv(name, value)


def test_a_cancelled_server_returns(loopback, caplog):
    """As caproto's does: what stands behind it runs, and awaiting its task raises nothing."""
    caplog.set_level("INFO", "cachannel.ctx")

    async def main():
        running = asyncio.Event()

        async def started(async_lib):
            running.set()

        served = start_server({"x": ChannelDouble(value=1.0)}, startup_hook=started)
        task = asyncio.create_task(served)
        await asyncio.wait_for(running.wait(), 20)
        task.cancel()
        assert await asyncio.wait_for(task, 20) is None
        assert not task.cancelled()
        assert not task.cancelling()

    run(main())
    assert "Server task cancelled. Will shut down." in caplog.messages
    assert caplog.messages[-1] == "Server exiting...."


def test_a_server_can_be_stopped(loopback):
    """From the program that it is part of."""

    async def main():
        context = Context({"x": ChannelDouble(value=1.0)})
        running = asyncio.Event()

        async def started(async_lib):
            running.set()

        task = asyncio.create_task(context.run(startup_hook=started))
        await asyncio.wait_for(running.wait(), 20)
        assert context.pvdb["x"].value == 1.0
        context.stop()
        await asyncio.wait_for(task, 20)

    run(main())


@pytest.mark.parametrize("library", ["asyncio", "trio"])
def test_old_scripts_name_their_server(loopback, library):
    """``caproto.<library>.server`` stands for ours; a hook may end the server in good order."""
    seen = []

    async def hook(async_lib):
        seen.append(async_lib.name)
        raise ServerExit

    pvdb = {"x": ChannelDouble(value=1.0)}
    serve(pvdb, module_name=f"caproto.{library}.server", startup_hook=hook)
    assert seen == [library]


@pytest.mark.parametrize("library", ["trio", "curio"])
def test_only_its_server_needs_a_library(library):
    """Without it, importing that server is an ImportError and all else works."""
    code = f"""
import sys
sys.modules[{library!r}] = None
import cachannel.server.common, cachannel.server.records, cachannel.asyncio.server
try:
    import cachannel.{library}.server
except ImportError:
    print("refused")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("refused", "")


# ---------------------------------------------------------------------- what example IOCs do


def test_stamps_can_be_changed():
    """A stamp is a copy of one's own; a part of it may be set before it is given to a write."""
    channel = ChannelDouble(value=1.0, timestamp=(7, 8))
    stamp = channel.epics_timestamp
    stamp.nanoSeconds = 65535
    assert channel.epics_timestamp == (7, 8)
    run(channel.write(2.0, timestamp=stamp))
    assert tuple(channel.epics_timestamp) == (7, 65535)
    assert cachannel.TimeStamp() == (0, 0)
    assert copy.copy(stamp) == pickle.loads(pickle.dumps(stamp)) == stamp
    assert stamp > (7, 65534)
    assert stamp <= cachannel.TimeStamp(8, 0)
    assert stamp != "a text"


@pytest.mark.parametrize("value", [5, 2.7, [1, 2], np.arange(4)])
def test_a_plain_channel_holds_numbers(value):
    """A `ChannelData` itself is served as LONG, whatever numbers it holds, and can be put to."""
    channel = ChannelData(value=value, max_length=None if np.ndim(value) == 0 else 6)
    for dbr_type in range(7):
        values = run(channel.read(dbr_type))[1]
        if dbr_type:
            expected = np.atleast_1d(value).tolist()
            assert [int(number) for number in values] == [int(number) for number in expected]
    assert run(channel.read(0))[1][0] == str(np.atleast_1d(value)[0]).encode()
    put = channel._from_wire(6, 7.5)
    run(channel.write(put))
    assert run(channel.read(5))[1].tolist() == [7]
    run(channel.write(channel._from_wire(0, [b"12"])))
    assert run(channel.read(6))[1].tolist() == [12.0]


def test_text_served_as_a_string_has_room_for_one():
    """Also where its first value is short and nobody said how long it may get."""
    channel = ChannelChar(value="", report_as_string=True)
    run(channel.write("a + b"))
    assert (channel.value, channel._element_count) == ("a + b", 1)
    assert ChannelChar(value="", report_as_string=True, max_length=3).max_length == 3
    assert ChannelChar(value="x" * 50, report_as_string=True).max_length == 50
    assert ChannelChar(value="abc").max_length == 3


def test_limits_of_a_single_byte():
    """One byte is a number, with its limits; several are not."""
    channel = ChannelByte(value=b"\2", lower_ctrl_limit=1, upper_ctrl_limit=9,
                          lower_alarm_limit=2, upper_alarm_limit=5)  # fmt: skip
    with pytest.raises(ValueError, match="control limits"):
        run(channel.write(b"3"))
    assert (channel.value, channel.severity) == (b"\2", 2)
    for value, status in ((4, 0), (6, 3), (b"\1", 5), (np.array([3], "u1"), 0)):
        run(channel.write(value))
        assert channel.status == status
    several = ChannelByte(value=b"ab", lower_ctrl_limit=1, upper_ctrl_limit=9)
    run(several.write(b"zz"))
    assert several.value == b"zz"
