"""Alarm state, shared by the channels of an alarm group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cachannel.protocol.channel_types import AlarmSeverity, AlarmStatus, SubscriptionType

if TYPE_CHECKING:
    from .data import ChannelData

__all__ = ["ChannelAlarm"]

_VALUE = int(SubscriptionType.DBE_VALUE)
_ALARM = int(SubscriptionType.DBE_ALARM)


def _severity(value: int) -> int:
    try:
        return AlarmSeverity(value)
    except ValueError:
        raise ValueError(f"{value!r} is no alarm severity (0 to 3)") from None


def _status(value: int) -> int:
    try:
        return AlarmStatus(value)
    except ValueError:
        raise ValueError(f"{value!r} is no alarm status (0 to 21)") from None


class ChannelAlarm:
    """Status, severity and acknowledgement of an alarm.

    Several channels may share one alarm: whatever one of them does to it holds for all.

    Args:
        status: an `AlarmStatus`.
        severity: an `AlarmSeverity`.
        must_acknowledge_transient: an alarm that went away by itself still needs acknowledging.
        severity_to_acknowledge: the highest severity that nobody acknowledged yet.
        alarm_string: free text.
        string_encoding: of the text.
    """

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
        self.status = _status(status)
        self.severity = _severity(severity)
        self.must_acknowledge_transient = bool(must_acknowledge_transient)
        self.severity_to_acknowledge = _severity(severity_to_acknowledge)
        self.alarm_string = alarm_string
        self.string_encoding = string_encoding
        self._channels: list[ChannelData] = []

    def __repr__(self) -> str:
        return f"<ChannelAlarm(status={self.status!s}, severity={self.severity!s})>"

    def __getstate__(self) -> dict[str, Any]:
        # Channels attach themselves again when they are copied; a copy of the list would drag
        # every channel of the group along with one.
        return {**self.__dict__, "_channels": []}

    @property
    def channels(self) -> tuple[ChannelData, ...]:
        """The channels that use this alarm."""
        return tuple(self._channels)

    def connect(self, channel: ChannelData) -> None:
        """Make `channel` publish when this alarm changes."""
        self._channels.append(channel)

    def disconnect(self, channel: ChannelData) -> None:
        """Undo `connect`; a channel that was not connected is ignored."""
        if channel in self._channels:
            self._channels.remove(channel)

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
        mask = 0
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
            for channel in self._channels:
                channel._invalidate()
        return mask

    def publish(self, mask: int, *, but: ChannelData | None = None) -> None:
        """Send an event of these bits on every channel of this alarm except `but`."""
        if mask:
            for channel in self._channels:
                if channel is not but:
                    channel._alarm_changed(mask)
