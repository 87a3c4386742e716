"""What comes with a value: the names of metadata, and metadata as puts carry it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from cachannel.protocol.channel_types import AlarmSeverity, AlarmStatus, ChannelType
from cachannel.protocol.dbr import LAYOUTS, DbrLayout
from cachannel.protocol.errors import CaprotoTypeError
from cachannel.protocol.timestamp import TimeStamp

if TYPE_CHECKING:
    from .alarm import ChannelAlarm
    from .data import ChannelData

__all__ = [
    "LIMITS",
    "LIMITS_CHANGED",
    "check_names",
    "decode_metadata",
    "meaningful",
    "nothing_known",
]

LIMITS: Final = (
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "lower_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
    "upper_ctrl_limit",
    "lower_ctrl_limit",
)
"""The limits of numbers, by the names of db_access.h."""

LIMITS_CHANGED: Final = 1 << 16
"""Beside the event bits, of which a client can ask for 16: the alarm is to be judged again."""

_NAMES: Final = frozenset(
    (
        *LIMITS,
        *("timestamp", "status", "severity"),
        *("units", "precision", "value_atol", "log_atol", "enum_strings"),
    )
)
_NOTHING: Final[dict[str, Any]] = {"s": b"", "d": math.nan, "f": math.nan}


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse metadata that no class has. What only other classes have may be given.

    Raises:
        CaprotoTypeError: such a name.
    """
    unknown = sorted(set(names) - _NAMES)
    if unknown:
        raise CaprotoTypeError(f"{where} has no metadata of the name {', '.join(unknown)}")


def decode_metadata(dbr_type: int, data: memoryview) -> dict[str, Any]:
    """Return the metadata of a put as a dict by the names of db_access.h.

    A stamp is one entry ``'timestamp'``, a `TimeStamp`.
    """
    layout = LAYOUTS[dbr_type]
    values = layout.wire.unpack_from(data)
    found = {field.name: value for field, value in zip(layout.fields, values, strict=True)}
    if "secs" in found:
        found["timestamp"] = TimeStamp(found.pop("secs"), min(found.pop("nsec"), 999_999_999))
    return found


def meaningful(metadata: dict[str, Any] | None) -> dict[str, Any]:
    """Return what of a put's metadata a channel can take: numbers of peers may mean nothing."""
    if not metadata:
        return {}
    known = {name: value for name, value in metadata.items() if name in _NAMES}
    for key, table in (("status", AlarmStatus), ("severity", AlarmSeverity)):
        if key in known and not 0 <= known[key] < len(table):
            del known[key]
    return known


def nothing_known(layout: DbrLayout) -> list[Any]:
    """Return metadata that says nothing: per field a zero, or an empty text.

    Alarm limits that are off are NaN, where the type has it: displays know that as none (rsrv).
    """
    return [
        _NOTHING.get(field.code[-1], 0)
        if field.code.endswith("s") or field.name.endswith(("_alarm_limit", "_warning_limit"))
        else 0
        for field in layout.fields
    ]


def packed(channel: ChannelData, alarm: ChannelAlarm, dbr_type: int) -> bytes:
    """Return the metadata of a compound request type in wire form."""
    layout = LAYOUTS[dbr_type]
    if dbr_type <= 13:
        return layout.wire.pack(alarm.status, alarm.severity)
    if dbr_type <= 20:
        seconds, nanoseconds = divmod(channel._stamp_ns, 10**9)
        return layout.wire.pack(alarm.status, alarm.severity, seconds & 0xFFFFFFFF, nanoseconds)
    if dbr_type == ChannelType.STSACK_STRING:
        return layout.wire.pack(
            alarm.status,
            alarm.severity,
            alarm.must_acknowledge_transient,
            alarm.severity_to_acknowledge,
        )
    values = nothing_known(layout)
    values[0:2] = alarm.status, alarm.severity
    channel._fill_metadata(layout, values)
    return layout.wire.pack(*values)
