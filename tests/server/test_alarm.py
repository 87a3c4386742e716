"""Alarms and their acknowledgement."""

import asyncio

import pytest

from cachannel import ChannelDouble, ChannelType
from cachannel.server.alarm import ChannelAlarm


def write(alarm, **kwargs):
    asyncio.run(alarm.write(**kwargs))


def state(alarm):
    return alarm.status, alarm.severity, alarm.severity_to_acknowledge


def test_acknowledging():
    """A rise needs acknowledging, a fall leaves the need; an equal severity acknowledges."""
    alarm = ChannelAlarm()
    write(alarm, status=3, severity=2)
    assert state(alarm) == (3, 2, 2)
    write(alarm, status=4, severity=1)
    assert state(alarm) == (4, 1, 2)
    write(alarm, severity_to_acknowledge=1)
    assert alarm.severity_to_acknowledge == 2
    write(alarm, severity_to_acknowledge=2)
    assert alarm.severity_to_acknowledge == 0


def test_transients():
    """Without transients, the severity to acknowledge follows the present one."""
    alarm = ChannelAlarm()
    write(alarm, severity=2)
    write(alarm, severity=1)
    write(alarm, must_acknowledge_transient=False)
    assert alarm.severity_to_acknowledge == 1
    write(alarm, severity=0)
    assert alarm.severity_to_acknowledge == 0


def test_bits():
    """The event bits that follow from a change."""
    alarm = ChannelAlarm()
    assert alarm.update(severity=1) == 4
    assert alarm.update(status=3) == 5
    assert alarm.update(status=3, severity=1) == 0
    assert alarm.update(alarm_string="x") == 4


@pytest.mark.parametrize("bad", [{"status": 22}, {"severity": 4}, {"severity_to_acknowledge": -1}])
def test_numbers_that_do_not_exist(bad):
    """They are refused, and nothing changes."""
    alarm = ChannelAlarm(status=3, severity=2)
    before = state(alarm)
    with pytest.raises(ValueError, match="alarm"):
        write(alarm, **{"status": 1, "severity": 1, **bad})
    assert state(alarm) == before


def test_an_alarm_of_a_channel_is_made_when_it_is_needed():
    """A channel without an alarm of its own reports NO_ALARM."""
    channel = ChannelDouble(value=1.0)
    asyncio.run(channel.write(2.0))
    metadata, _ = asyncio.run(channel.read(ChannelType.STS_DOUBLE))
    assert metadata[:4] == bytes(4)
    assert channel._own_alarm is None
    write(channel.alarm, status=9, severity=3)
    metadata, _ = asyncio.run(channel.read(ChannelType.STS_DOUBLE))
    assert metadata[:4] == b"\0\x09\0\3"
    assert channel.alarm is channel.alarm


def test_an_alarm_that_is_assigned():
    """The channel is one of those of the new alarm, and no longer of the old one."""
    first, second = ChannelAlarm(), ChannelAlarm()
    channel = ChannelDouble(value=1.0, alarm=first)
    channel.alarm = second
    assert (first.channels, second.channels) == ((), (channel,))
    asyncio.run(channel.write(float("nan")))
    assert (state(first)[:2], state(second)[:2]) == ((0, 0), (17, 3))
