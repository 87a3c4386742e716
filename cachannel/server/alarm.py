"""Alarm state: of one channel, or shared by the channels of an alarm group."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from cachannel.protocol.channel_types import (
    AlarmSeverity,
    AlarmStatus,
    ChannelType,
    SubscriptionType,
)
from cachannel.protocol.errors import CaprotoValueError

from .encoding import is_array

if TYPE_CHECKING:
    from .data import ChannelData

__all__ = ["EPOCH_NS", "NO_ALARM", "UNTOUCHED", "ChannelAlarm", "State", "acknowledge"]

EPOCH_NS: Final = 631152000 * 10**9
"""The EPICS epoch as Unix time, nanoseconds."""

_VALUE: Final = int(SubscriptionType.DBE_VALUE)
_ALARM: Final = int(SubscriptionType.DBE_ALARM)

State = tuple[int, int]
"""Status and severity."""

NO_ALARM: Final[State] = (AlarmStatus.NO_ALARM, AlarmSeverity.NO_ALARM)

# What the value of a channel says by itself; every other status was set by the IOC.
_OF_VALUES: Final = frozenset(
    (
        AlarmStatus.NO_ALARM,
        AlarmStatus.HIHI,
        AlarmStatus.HIGH,
        AlarmStatus.LOLO,
        AlarmStatus.LOW,
    )
)
# What an alarm has to which nothing was added; never written to.
_NO_CHANNELS: Final[list[ChannelData]] = []
_NONE_STANDS: Final[dict[int, State]] = {}


def _severity(value: int) -> int:
    try:
        return AlarmSeverity(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an alarm severity (0 to 3)") from None


def _status(value: int) -> int:
    try:
        return AlarmStatus(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an alarm status (0 to 21)") from None


class ChannelAlarm:
    """Status, severity and acknowledgement of an alarm.

    Several channels may share one alarm: a change that one of them makes holds for all, except
    that no value of one channel ends an alarm that the limits of another one have raised.

    Args:
        status: an `AlarmStatus`.
        severity: an `AlarmSeverity`.
        must_acknowledge_transient: an alarm that went away by itself still needs acknowledging.
        severity_to_acknowledge: the highest severity that nobody acknowledged yet.
        alarm_string: free text.
        string_encoding: of the text.

    Raises:
        ValueError: a status or severity that does not exist.
    """

    # An IOC may have very many alarms; an instance has only what differs.
    status: int = AlarmStatus.NO_ALARM
    severity: int = AlarmSeverity.NO_ALARM
    must_acknowledge_transient: bool = True
    severity_to_acknowledge: int = AlarmSeverity.NO_ALARM
    alarm_string: str = ""
    string_encoding: str = "latin-1"
    _channels: list[ChannelData] = _NO_CHANNELS
    _shared = False
    # By id of the channel, what the value of each of several channels says.
    _standing: dict[int, State] = _NONE_STANDS

    def __init__(
        self,
        *,
        status: int = 0,
        severity: int = 0,
        must_acknowledge_transient: bool = True,
        severity_to_acknowledge: int = 0,
        alarm_string: str = "",
        string_encoding: str = "latin-1",
    ) -> None:
        if status:
            self.status = _status(status)
        if severity:
            self.severity = _severity(severity)
        if not must_acknowledge_transient:
            self.must_acknowledge_transient = False
        if severity_to_acknowledge:
            self.severity_to_acknowledge = _severity(severity_to_acknowledge)
        if alarm_string:
            self.alarm_string = alarm_string
        if string_encoding != "latin-1":
            self.string_encoding = string_encoding

    def __repr__(self) -> str:
        return f"<ChannelAlarm(status={self.status!s}, severity={self.severity!s})>"

    def __getstate__(self) -> dict[str, Any]:
        # Channels attach themselves again when they are copied; a copy of the list would drag
        # every channel of the group along with one.
        state = self.__dict__.copy()
        for key in ("_channels", "_shared", "_standing"):
            state.pop(key, None)
        return state

    @property
    def channels(self) -> tuple[ChannelData, ...]:
        """The channels that use this alarm."""
        return tuple(self._channels)

    def connect(self, channel: ChannelData) -> None:
        """Make `channel` publish when this alarm changes."""
        if self._channels is _NO_CHANNELS:
            self._channels = [channel]
        else:
            self._channels.append(channel)
            self._shared = True

    def disconnect(self, channel: ChannelData) -> None:
        """Undo `connect`; a channel that was not connected is ignored."""
        if channel in self._channels:
            self._channels.remove(channel)
            self._standing.pop(id(channel), None)

    async def write(
        self,
        *,
        status: int | None = None,
        severity: int | None = None,
        must_acknowledge_transient: bool | None = None,
        severity_to_acknowledge: int | None = None,
        alarm_string: str | None = None,
        flags: int = 0,
        publish: bool = True,
    ) -> None:
        """Change what is given and tell the subscribers of every channel of this alarm.

        A new status or severity gives every channel of this alarm the present time as its stamp.

        Args:
            status: the new `AlarmStatus`.
            severity: the new `AlarmSeverity`.
            must_acknowledge_transient: see the class; switching it off lowers the severity to
                acknowledge to the present one.
            severity_to_acknowledge: a severity that acknowledges; it clears what needs
                acknowledging if it is at least as high.
            alarm_string: free text.
            flags: event bits to add to those that follow from the changes.
            publish: send events.

        Raises:
            ValueError: a status or severity that does not exist.
        """
        mask = self.update(
            status=status,
            severity=severity,
            must_acknowledge_transient=must_acknowledge_transient,
            severity_to_acknowledge=severity_to_acknowledge,
            alarm_string=alarm_string,
        )
        if publish:
            self.publish(mask | flags)

    def update(
        self,
        *,
        status: int | None = None,
        severity: int | None = None,
        must_acknowledge_transient: bool | None = None,
        severity_to_acknowledge: int | None = None,
        alarm_string: str | None = None,
    ) -> int:
        """Change what is given; return the event bits that follow. See `write`."""
        mask, before = 0, (self.status, self.severity)
        # All that can fail comes first, so that a bad argument changes nothing.
        new_status = None if status is None else _status(status)
        new_severity = None if severity is None else _severity(severity)
        acknowledged = (
            None if severity_to_acknowledge is None else _severity(severity_to_acknowledge)
        )
        if new_status is not None and new_status != self.status:
            self.status = new_status
            mask |= _VALUE | _ALARM
        if new_severity is not None and new_severity != self.severity:
            self.severity = new_severity
            mask |= _ALARM
            # As recGblResetAlarms: a rise always needs acknowledging, a fall only leaves the
            # need behind while transients count.
            if not self.must_acknowledge_transient or new_severity > self.severity_to_acknowledge:
                self.severity_to_acknowledge = new_severity
        if must_acknowledge_transient is not None:
            new_transient = bool(must_acknowledge_transient)
            if new_transient != self.must_acknowledge_transient:
                self.must_acknowledge_transient = new_transient
                mask |= _ALARM
                if not new_transient and self.severity_to_acknowledge > self.severity:
                    self.severity_to_acknowledge = self.severity
        if acknowledged is not None:
            if acknowledged >= self.severity_to_acknowledge:
                self.severity_to_acknowledge = AlarmSeverity.NO_ALARM
            mask |= _ALARM
        if alarm_string is not None and alarm_string != self.alarm_string:
            self.alarm_string = alarm_string
            mask |= _ALARM
        if mask:
            # An event that tells of an alarm has the time of the alarm, not that of the value:
            # archivers drop an event that is not newer than the one before.
            stamp = None
            if (self.status, self.severity) != before:
                stamp = time.time_ns() - EPOCH_NS
            for channel in self._channels:
                if stamp is not None:
                    channel._stamp_ns = stamp
                channel._invalidate()
        return mask

    def after_write(
        self,
        channel: ChannelData,
        by_value: State | None,
        given: tuple[int | None, int | None] | None,
    ) -> State | None:
        """Return the alarm that follows from a good write, None if it is the present one.

        Args:
            channel: the channel with the new value.
            by_value: what its value says, None where limits do not apply.
            given: the status and the severity that came with the value, if any.
        """
        now = self.status, self.severity
        new = by_value
        if given and given != (None, None) and (new is None or not new[1]):
            # What the limits say wins over what the caller says.
            status, severity = given
            new = now[0] if status is None else status, now[1] if severity is None else severity
        if channel._failed:
            # A good write ends the alarm that a failed one left, on every type of channel.
            channel._failed = False
            if new is None and now[0] == AlarmStatus.WRITE:
                new = NO_ALARM
        if new is not None:
            new = self.follows(channel, by_value or NO_ALARM, new)
        held, channel._held = channel._held, None
        if held is not None:
            new = now if new is None else new
            new = held.get("status", new[0]), held.get("severity", new[1])
        return None if new == now else new

    def follows(self, channel: ChannelData, by_value: State, given: State) -> State:
        """Return the alarm that follows from a new value of one of the channels.

        The alarm is not below what the values of the other channels say.

        Args:
            channel: the channel with the new value.
            by_value: what its value says.
            given: the alarm to set if the channel were alone.
        """
        if not self._shared:  # nearly all
            return given
        standing = self._standing
        if by_value[1]:
            if standing is _NONE_STANDS:
                self._standing = standing = {}
            standing[id(channel)] = by_value
        elif standing:
            standing.pop(id(channel), None)
        if not standing:
            return given
        worst = max(standing.values(), key=lambda state: state[1])
        return given if given[1] >= worst[1] else worst

    def follows_limits(self, channel: ChannelData, by_value: State) -> State:
        """Return the alarm that follows from new limits of a channel with an old value.

        An alarm that the IOC has set for a reason of its own stays, unless the value is worse.
        """
        state = self.follows(channel, by_value, by_value)
        of_value = self.status in _OF_VALUES or self.status == state[0]
        return state if of_value or state[1] > self.severity else (self.status, self.severity)

    def publish(self, mask: int, *, but: ChannelData | None = None) -> None:
        """Send an event of these bits on every channel of this alarm except `but`."""
        if mask:
            for channel in self._channels:
                if channel is not but:
                    channel._alarm_changed(mask)


UNTOUCHED: Final = ChannelAlarm()
"""What channels without an alarm of their own report; never written to."""


async def acknowledge(alarm: ChannelAlarm, data_type: int, data: Any, where: str) -> None:
    """Take what a client put as PUT_ACKS or PUT_ACKT: one number.

    Args:
        alarm: the alarm.
        data_type: PUT_ACKS or PUT_ACKT.
        data: the elements.
        where: the name of the PV, for the message.

    Raises:
        CaprotoValueError: no number.
        ValueError: a severity that does not exist.
    """
    if is_array(data):
        if len(data) == 0:
            raise CaprotoValueError(f"acknowledgement of {where}: no number")
        data = data[0]
    number = int(data)
    if data_type == ChannelType.PUT_ACKS:
        await alarm.write(severity_to_acknowledge=number)
    else:
        await alarm.write(must_acknowledge_transient=bool(number))
