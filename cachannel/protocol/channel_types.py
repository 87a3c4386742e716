"""Channel Access numbers as enumerations, under the names that IOC and response code uses.

This is the second family of names for what `cachannel.protocol.enums` has: ``ChannelType`` for
DBR numbers, ``AlarmStatus`` for alarm conditions, ``SubscriptionType`` for event masks, and
``CAStatus``, whose members carry everything that is known about a status code. The families
differ in the spelling of an ``AlarmSeverity``'s members, so import from the one you mean.
"""

from __future__ import annotations

from enum import Enum, IntEnum, IntFlag
from typing import Final, NamedTuple

from .enums import ECA, eca_message

__all__ = [
    "CLIENT",
    "CONNECTED",
    "DISCONNECTED",
    "SERVER",
    "AccessRights",
    "AlarmSeverity",
    "AlarmStatus",
    "CASeverity",
    "CAStatus",
    "CAStatusCode",
    "ChannelType",
    "ConnStatus",
    "Role",
    "States",
    "SubscriptionType",
    "alarm_severity",
    "alarm_status",
    "ca_status",
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


class CASeverity(IntEnum):
    """Severity of a status code (caerr.h); ``str()`` is the member's name."""

    INFO = 3
    ERROR = 2
    SUCCESS = 1
    WARNING = 0
    SEVERE = 4
    FATAL = 6

    def __str__(self) -> str:
        return self.name


class CAStatusCode(NamedTuple):
    """All that is known about a status code.

    Attributes:
        name: such as ``'ECA_NORMAL'``.
        code: the message number, 0 to 60.
        code_with_severity: the number on the wire, ``code << 3 | severity``.
        severity: a `CASeverity`.
        success: 1 for SUCCESS and INFO codes, else 0.
        defunct: whether today's libca and servers no longer produce it.
        description: libca's text.
    """

    name: str
    code: int
    code_with_severity: int
    severity: CASeverity
    success: int
    defunct: bool
    description: str


def _code(member: ECA, *, defunct: bool = False) -> CAStatusCode:
    name = "16KARRAYCLIENT" if member is ECA.ARRAY16KCLIENT else member.name
    return CAStatusCode(
        f"ECA_{name}",
        member >> 3,
        int(member),
        CASeverity(member & 7),
        member & 1,
        defunct,
        eca_message(member),
    )


class CAStatus(Enum):
    """Status codes (caerr.h); each value is a `CAStatusCode`."""

    ECA_NORMAL = _code(ECA.NORMAL)
    ECA_MAXIOC = _code(ECA.MAXIOC, defunct=True)
    ECA_UKNHOST = _code(ECA.UKNHOST, defunct=True)
    ECA_UKNSERV = _code(ECA.UKNSERV, defunct=True)
    ECA_SOCK = _code(ECA.SOCK, defunct=True)
    ECA_CONN = _code(ECA.CONN, defunct=True)
    ECA_ALLOCMEM = _code(ECA.ALLOCMEM)
    ECA_UKNCHAN = _code(ECA.UKNCHAN, defunct=True)
    ECA_UKNFIELD = _code(ECA.UKNFIELD, defunct=True)
    ECA_TOLARGE = _code(ECA.TOLARGE)
    ECA_TIMEOUT = _code(ECA.TIMEOUT)
    ECA_NOSUPPORT = _code(ECA.NOSUPPORT, defunct=True)
    ECA_STRTOBIG = _code(ECA.STRTOBIG, defunct=True)
    ECA_DISCONNCHID = _code(ECA.DISCONNCHID, defunct=True)
    ECA_BADTYPE = _code(ECA.BADTYPE)
    ECA_CHIDNOTFND = _code(ECA.CHIDNOTFND, defunct=True)
    ECA_CHIDRETRY = _code(ECA.CHIDRETRY, defunct=True)
    ECA_INTERNAL = _code(ECA.INTERNAL)
    ECA_DBLCLFAIL = _code(ECA.DBLCLFAIL, defunct=True)
    ECA_GETFAIL = _code(ECA.GETFAIL)
    ECA_PUTFAIL = _code(ECA.PUTFAIL)
    ECA_ADDFAIL = _code(ECA.ADDFAIL, defunct=True)
    ECA_BADCOUNT = _code(ECA.BADCOUNT)
    ECA_BADSTR = _code(ECA.BADSTR)
    ECA_DISCONN = _code(ECA.DISCONN)
    ECA_DBLCHNL = _code(ECA.DBLCHNL)
    ECA_EVDISALLOW = _code(ECA.EVDISALLOW)
    ECA_BUILDGET = _code(ECA.BUILDGET, defunct=True)
    ECA_NEEDSFP = _code(ECA.NEEDSFP, defunct=True)
    ECA_OVEVFAIL = _code(ECA.OVEVFAIL, defunct=True)
    ECA_BADMONID = _code(ECA.BADMONID)
    ECA_NEWADDR = _code(ECA.NEWADDR, defunct=True)
    ECA_NEWCONN = _code(ECA.NEWCONN, defunct=True)
    ECA_NOCACTX = _code(ECA.NOCACTX, defunct=True)
    ECA_DEFUNCT = _code(ECA.DEFUNCT, defunct=True)
    ECA_EMPTYSTR = _code(ECA.EMPTYSTR, defunct=True)
    ECA_NOREPEATER = _code(ECA.NOREPEATER, defunct=True)
    ECA_NOCHANMSG = _code(ECA.NOCHANMSG, defunct=True)
    ECA_DLCKREST = _code(ECA.DLCKREST, defunct=True)
    ECA_SERVBEHIND = _code(ECA.SERVBEHIND, defunct=True)
    ECA_NOCAST = _code(ECA.NOCAST, defunct=True)
    ECA_BADMASK = _code(ECA.BADMASK)
    ECA_IODONE = _code(ECA.IODONE)
    ECA_IOINPROGRESS = _code(ECA.IOINPROGRESS)
    ECA_BADSYNCGRP = _code(ECA.BADSYNCGRP)
    ECA_PUTCBINPROG = _code(ECA.PUTCBINPROG)
    ECA_NORDACCESS = _code(ECA.NORDACCESS)
    ECA_NOWTACCESS = _code(ECA.NOWTACCESS)
    ECA_ANACHRONISM = _code(ECA.ANACHRONISM)
    ECA_NOSEARCHADDR = _code(ECA.NOSEARCHADDR)
    ECA_NOCONVERT = _code(ECA.NOCONVERT)
    ECA_BADCHID = _code(ECA.BADCHID)
    ECA_BADFUNCPTR = _code(ECA.BADFUNCPTR)
    ECA_ISATTACHED = _code(ECA.ISATTACHED)
    ECA_UNAVAILINSERV = _code(ECA.UNAVAILINSERV)
    ECA_CHANDESTROY = _code(ECA.CHANDESTROY)
    ECA_BADPRIORITY = _code(ECA.BADPRIORITY)
    ECA_NOTTHREADED = _code(ECA.NOTTHREADED)
    ECA_16KARRAYCLIENT = _code(ECA.ARRAY16KCLIENT)
    ECA_CONNSEQTMO = _code(ECA.CONNSEQTMO)
    ECA_UNRESPTMO = _code(ECA.UNRESPTMO)


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
_CA_STATUS_BY_NUMBER: Final = {s.value.code_with_severity: s.value for s in CAStatus}


def channel_type(number: int) -> ChannelType | int:
    """Return the member of a type number, or the number itself if it is unknown."""
    return _TYPE_BY_NUMBER.get(number, number)


def alarm_severity(number: int) -> AlarmSeverity | int:
    """Return the member of a severity number, or the number itself if it is unknown."""
    return _SEVERITY_BY_NUMBER.get(number, number)


def alarm_status(number: int) -> AlarmStatus | int:
    """Return the member of an alarm status number, or the number itself if it is unknown."""
    return _STATUS_BY_NUMBER.get(number, number)


def ca_status(status: int) -> CAStatusCode:
    """Return what is known about a status code as it travels (``code_with_severity``).

    An unknown code gives a tuple with the name ``'ECA_<number>'`` and libca's text for it.
    """
    known = _CA_STATUS_BY_NUMBER.get(status)
    if known is not None:
        return known
    try:
        severity = CASeverity(status & 7)
    except ValueError:  # 5 and 7 are no severities
        severity = CASeverity.FATAL
    number = status >> 3
    return CAStatusCode(
        f"ECA_{status}", number, status, severity, status & 1, False, eca_message(status)
    )


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
