"""Channel Access numbers as enumerations, under the names that IOC and response code uses.

This is the second family of names for what `cachannel.protocol.enums` has: ``ChannelType`` for
DBR numbers, ``AlarmStatus`` for alarm conditions, ``SubscriptionType`` for event masks; status
codes are in `cachannel.protocol.status_codes`. The families differ in the spelling of an
``AlarmSeverity``'s members, so import from the one you mean.
"""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag
from typing import Final

__all__ = [
    "CLIENT",
    "CONNECTED",
    "DISCONNECTED",
    "SERVER",
    "AccessRights",
    "AlarmSeverity",
    "AlarmStatus",
    "ChannelType",
    "ConnStatus",
    "Role",
    "States",
    "SubscriptionType",
    "alarm_severity",
    "alarm_status",
    "channel_type",
    "char_types",
    "control_types",
    "enum_types",
    "field_types",
    "float_types",
    "graphical_types",
    "int_types",
    "native_float_types",
    "native_int_types",
    "native_type",
    "native_types",
    "status_types",
    "string_types",
    "time_types",
]


class ChannelType(IntEnum):
    """Request and field types (db_access.h), with INT for the 16 bit integer."""

    STRING = 0
    INT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6
    STS_STRING = 7
    STS_INT = 8
    STS_FLOAT = 9
    STS_ENUM = 10
    STS_CHAR = 11
    STS_LONG = 12
    STS_DOUBLE = 13
    TIME_STRING = 14
    TIME_INT = 15
    TIME_FLOAT = 16
    TIME_ENUM = 17
    TIME_CHAR = 18
    TIME_LONG = 19
    TIME_DOUBLE = 20
    GR_STRING = 21
    GR_INT = 22
    GR_FLOAT = 23
    GR_ENUM = 24
    GR_CHAR = 25
    GR_LONG = 26
    GR_DOUBLE = 27
    CTRL_STRING = 28
    CTRL_INT = 29
    CTRL_FLOAT = 30
    CTRL_ENUM = 31
    CTRL_CHAR = 32
    CTRL_LONG = 33
    CTRL_DOUBLE = 34
    PUT_ACKT = 35
    PUT_ACKS = 36
    STSACK_STRING = 37
    CLASS_NAME = 38


class AlarmSeverity(IntEnum):
    """Alarm severity (alarm.h)."""

    NO_ALARM = 0
    MINOR_ALARM = 1
    MAJOR_ALARM = 2
    INVALID_ALARM = 3


class AlarmStatus(IntEnum):
    """Alarm status (alarm.h, ``epicsAlarmCondition``)."""

    NO_ALARM = 0
    READ = 1
    WRITE = 2
    HIHI = 3
    HIGH = 4
    LOLO = 5
    LOW = 6
    STATE = 7
    COS = 8
    COMM = 9
    TIMEOUT = 10
    HWLIMIT = 11
    CALC = 12
    SCAN = 13
    LINK = 14
    SOFT = 15
    BAD_SUB = 16
    UDF = 17
    DISABLE = 18
    SIMM = 19
    READ_ACCESS = 20
    WRITE_ACCESS = 21


class AccessRights(IntFlag):
    """What a client may do with a channel (the ACCESS_RIGHTS message)."""

    NO_ACCESS = 0
    READ = 1
    WRITE = 2


class SubscriptionType(IntFlag):
    """Event mask bits (caeventmask.h)."""

    DBE_VALUE = 1
    DBE_LOG = 2
    DBE_ALARM = 4
    DBE_PROPERTY = 8


class ConnStatus(IntEnum):
    """Connection states and events as cadef.h numbers them."""

    CS_CONN = 2
    OP_CONN_UP = 6
    OP_CONN_DOWN = 7
    CS_NEVER_SEARCH = 4


class Role(Enum):
    """The two ends of a circuit."""

    CLIENT = "client"
    SERVER = "server"


class States(Enum):
    """The two states that client code asks a circuit or channel about."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


CLIENT: Final = Role.CLIENT
SERVER: Final = Role.SERVER
CONNECTED: Final = States.CONNECTED
DISCONNECTED: Final = States.DISCONNECTED


_TYPES: Final = tuple(ChannelType)
_TYPE_BY_NUMBER: Final = {int(t): t for t in ChannelType}
_SEVERITY_BY_NUMBER: Final = {int(s): s for s in AlarmSeverity}
_STATUS_BY_NUMBER: Final = {int(s): s for s in AlarmStatus}


def channel_type(number: int) -> ChannelType | int:
    """Return the member of a type number, or the number itself if it is unknown."""
    return _TYPE_BY_NUMBER.get(number, number)


def alarm_severity(number: int) -> AlarmSeverity | int:
    """Return the member of a severity number, or the number itself if it is unknown."""
    return _SEVERITY_BY_NUMBER.get(number, number)


def alarm_status(number: int) -> AlarmStatus | int:
    """Return the member of an alarm status number, or the number itself if it is unknown."""
    return _STATUS_BY_NUMBER.get(number, number)


native_types: Final = frozenset(_TYPES[0:7])
status_types: Final = frozenset(_TYPES[7:14])
time_types: Final = frozenset(_TYPES[14:21])
# GR_STRING and CTRL_STRING carry no graphic or control data, so the sets leave them out.
graphical_types: Final = frozenset(_TYPES[22:28])
control_types: Final = frozenset(_TYPES[29:35])


def _with_base(*bases: int) -> frozenset[ChannelType]:
    return frozenset(t for t in _TYPES[:35] if t % 7 in bases)


string_types: Final = _with_base(0)
int_types: Final = _with_base(1, 5)
float_types: Final = _with_base(2, 6)
enum_types: Final = _with_base(3)
char_types: Final = _with_base(4)
# Everything that arrives as an integer counts, so enumerations and characters do.
native_int_types: Final = frozenset(
    (ChannelType.INT, ChannelType.ENUM, ChannelType.CHAR, ChannelType.LONG)
)
native_float_types: Final = frozenset((ChannelType.FLOAT, ChannelType.DOUBLE))


def native_type(data_type: int) -> ChannelType:
    """Return the type of the elements of any type number.

    The acknowledgement types and CLASS_NAME stand for themselves.

    Raises:
        ValueError: `data_type` is not a type number.
    """
    member = ChannelType(data_type)
    return _TYPES[member % 7] if member <= 34 else member


def _type_table() -> dict[str, dict[ChannelType, ChannelType]]:
    offsets = {"native": 0, "status": 7, "time": 14, "graphic": 21, "control": 28}
    table: dict[str, dict[ChannelType, ChannelType]] = {}
    for name, offset in offsets.items():
        row = {t: _TYPES[t % 7 + offset] for t in _TYPES[:35]}
        row.update((t, t) for t in _TYPES[35:])
        table[name] = row
    # There is nothing graphic about a string: the names give the richest type that there is.
    for t in string_types:
        table["graphic"][t] = ChannelType.STS_STRING
        table["control"][t] = ChannelType.TIME_STRING
    return table


field_types: Final = _type_table()
"""Type by group name and native type: ``field_types['time'][ChannelType.DOUBLE]``."""
