"""States: their numbers, their names, and what happens when the names change."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from cachannel import ChannelEnum, ChannelType
from cachannel.server import PVGroup, pvproperty
from support.ports import free_port, server_environment
from support.scripts import run_text

PROPERTY, VALUE, LOG = 8, 1, 2


def read_text(channel: ChannelEnum) -> bytes:
    """Read a channel as STRING."""
    return asyncio.run(channel.read(ChannelType.STRING))[1][0]


def test_a_text_that_is_not_a_state_is_refused_with_the_states() -> None:
    """The group is not made, and the message has the PV, the text and the states."""

    class Door(PVGroup):
        shut = pvproperty(value="Foo", dtype=bool)

    with pytest.raises(ValueError, match=r"a:shut: 'Foo' is not a state; .*'Off', 'On'"):
        Door(prefix="a:")

    class Mode(PVGroup):
        mode = pvproperty(value="Fast", dtype=ChannelType.ENUM, enum_strings=["Slow", "Quick"])

    with pytest.raises(ValueError, match=r"a:mode: 'Fast' is not a state; .*'Slow', 'Quick'"):
        Mode(prefix="a:")


@pytest.mark.parametrize("value", ["On", True, 1, "1"])
def test_states_by_name_and_number_are_taken(value: object) -> None:
    """A property may begin in a state given in any of the ways of a write."""

    class Door(PVGroup):
        shut = pvproperty(value=value, dtype=bool)

    assert Door(prefix="a:").shut.raw_value == 1


def test_without_names_there_is_the_state_0() -> None:
    """An ENUM without names takes 0, and nothing else."""
    channel = ChannelEnum()
    asyncio.run(channel.write(0))
    assert (channel.value, channel.raw_value, read_text(channel)) == (0, 0, b"0")
    with pytest.raises(ValueError, match="1 is not the number of a state; there are 0"):
        asyncio.run(channel.write(1))
    assert channel.value == 0


def test_new_names_keep_the_number() -> None:
    """The device is in the same state as before, under its new name."""
    channel = ChannelEnum(value="b", enum_strings=["a", "b"])
    asyncio.run(channel.write_metadata(enum_strings=["x", "y", "z"]))
    assert (channel.value, channel.raw_value, read_text(channel)) == ("y", 1, b"y")
    asyncio.run(channel.write_metadata(enum_strings=["only"]))
    assert (channel.value, channel.raw_value, read_text(channel)) == (1, 1, b"1")
    asyncio.run(channel.write_metadata(enum_strings=["p", "q"]))
    assert (channel.value, channel.raw_value) == ("q", 1)


def test_new_names_keep_the_numbers_of_an_array() -> None:
    """Each element keeps its number."""
    channel = ChannelEnum(value=["b", "a"], enum_strings=["a", "b"], max_length=4)
    asyncio.run(channel.write_metadata(enum_strings=["x", "y"]))
    assert (channel.value, channel.raw_value) == (["y", "x"], [1, 0])


RECORDS = """
record(mbbo, "s:state") {
    field(ZRST, "zero") field(ONST, "one") field(TWST, "two") field(VAL, "1") field(PINI, "YES")
}
"""

SERVED = """
from cachannel import ChannelType
from cachannel.server import PVGroup, pvproperty, run

class States(PVGroup):
    state = pvproperty(value="one", dtype=ChannelType.ENUM, enum_strings=["zero", "one", "two"])
    relabel = pvproperty(value="", max_length=40)

    @relabel.putter
    async def relabel(self, instance, value):
        number, _, name = value.partition(" ")
        names = list(self.state.enum_strings)
        names[int(number)] = name
        await self.state.write_metadata(enum_strings=names)

run(States(prefix="s:").pvdb, interfaces=["127.0.0.1"])
"""

FOLLOW = """
import threading
from cachannel import ChannelType
from cachannel.threading.client import Context
context = Context()
pv, relabel = context.get_pvs("s:state", "{other}")
pv.wait_for_connection(timeout=60)
relabel.wait_for_connection(timeout=60)
seen = threading.Condition()
events = []

def follow(data_type, mask):
    def changed(subscription, response):
        data = response.data[0]
        value = data.decode() if isinstance(data, bytes) else int(data)
        with seen:
            events.append((data_type.name, mask, value))
            seen.notify()
    callbacks.append(changed)
    subscription = pv.subscribe(data_type=data_type, mask=mask)
    subscription.add_callback(changed)

def wait_for(number):
    with seen:
        assert seen.wait_for(lambda: len(events) >= number, 60), events

callbacks = []
follow(ChannelType.STRING, 1)
wait_for(1)
follow(ChannelType.CTRL_ENUM, 8)
wait_for(2)
write = {write}
write(2, "other")
wait_for(3)
write(1, "uno")
wait_for(5)
print(sorted(events[:2], key=str))
print(events[2])
print(sorted(events[3:], key=str))
context.disconnect()
"""

WRITES = {
    "base": """lambda number, name: [
    pv.wait_for_connection(timeout=60) or pv.write([name], timeout=60)
    for pv in context.get_pvs("s:state." + ("ZR", "ON", "TW")[number] + "ST")
]""",
    "ours": 'lambda number, name: relabel.write(f"{number} {name}".encode(), timeout=60)',
}


@pytest.fixture
def served() -> Iterator[dict[str, str]]:
    """The environment of clients of an IOC of ours."""
    port, repeater = free_port(), free_port()
    from support.ports import client_environment

    environment = client_environment([port], repeater)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVED],
        env=run_environment(environment | server_environment(port, repeater)),
        stderr=subprocess.PIPE,
    )
    yield environment
    process.kill()
    process.communicate()


def run_environment(more: dict[str, str]) -> dict[str, str]:
    """The environment of this process with other settings of EPICS."""
    import os

    from support.ioc import clean_environment

    return clean_environment() | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)} | more


EXPECTED = [
    "[('CTRL_ENUM', 8, 1), ('STRING', 1, 'one')]",
    "('CTRL_ENUM', 8, 1)",
    "[('CTRL_ENUM', 8, 1), ('STRING', 1, 'uno')]",
]


def test_base_tells_of_new_names() -> None:
    """The soft IOC: DBE_PROPERTY for each new name, DBE_VALUE for that of the present state."""
    from support.ioc import SoftIoc

    with SoftIoc([RECORDS]) as ioc:
        text = FOLLOW.replace("{write}", WRITES["base"]).replace("{other}", "s:state.ONST")
        assert run_text(text, ioc.env | {"CACHANNEL_REPEATER": "NO"}).succeeded().lines == EXPECTED


def test_we_tell_of_new_names_as_base(served: dict[str, str]) -> None:
    """An IOC of ours sends the same events."""
    text = FOLLOW.replace("{write}", WRITES["ours"]).replace("{other}", "s:relabel")
    assert run_text(text, served | {"CACHANNEL_REPEATER": "NO"}).succeeded().lines == EXPECTED


def test_statuses_beyond_the_sixteenth_have_names() -> None:
    """Clients can be told of 16 names; STAT is read as text all the same, as base does."""

    class Levels(PVGroup):
        level = pvproperty(value=1.0, record="ai")

    group = Levels(prefix="a:")
    status = group.level.fields["STAT"]
    for number, name in ((16, b"BAD_SUB"), (17, b"UDF"), (21, b"WRITE_ACCESS"), (3, b"HIHI")):
        asyncio.run(group.level.alarm.write(status=number, severity=2))
        assert (status.raw_value, read_text(status)) == (number, name)
    assert len(status.enum_strings) == 16
    names = asyncio.run(status.read(ChannelType.CTRL_ENUM))[0]
    assert int.from_bytes(names[4:6], "big") == 16
