"""Channel Access numbers as enumerations, under the names of the CaChannel family.

The numbers are those of EPICS base's ``db_access.h``, ``caerr.h``, ``caeventmask.h``, ``alarm.h``
and ``cadef.h``. Every class here is an ``IntEnum`` whose ``str()`` reads ``'ECA.NORMAL'`` on every
Python version, while ``format()``, ``'%d' %`` and ``int()`` give the number. Where the two old
backends disagree about a member's name, both names exist (one as an alias).

Calling an ``Enum`` class costs about half a microsecond, far too much once per event. The tables
``DBR_BY_NUMBER``, ``ALARM_SEVERITIES`` and so on, and the functions `eca`, `alarm_severity` and
`alarm_condition`, are the fast way from a number to its member; numbers nobody defined stay ints.

The second family of names (``ChannelType``, ``AlarmStatus``, ...) is in
`cachannel.protocol.channel_types`; the two families share some class names, so they live apart.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeVar

__all__ = [
    "ALARM_CONDITIONS",
    "ALARM_CONDITION_STRINGS",
    "ALARM_SEVERITIES",
    "ALARM_SEVERITY_STRINGS",
    "CA_K",
    "CA_OP",
    "CA_PRIORITY",
    "CHANNEL_STATES",
    "DBE",
    "DBF",
    "DBF_BY_NUMBER",
    "DBR",
    "DBR_BY_NUMBER",
    "ECA",
    "ECA_BY_NUMBER",
    "AlarmCondition",
    "AlarmSeverity",
    "ChannelState",
    "alarm_condition",
    "alarm_severity",
    "dbf_text",
    "dbf_text_to_type",
    "dbr_text",
    "dbr_text_to_type",
    "eca",
    "eca_message",
]


class _Number(IntEnum):
    """An ``IntEnum`` that prints as ``Class.Member`` and formats as its number."""

    def __str__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __format__(self, spec: str) -> str:
        return format(int(self), spec)


class CA_K(_Number):  # noqa: N801 - the name of caerr.h
    """Severity of a status code: its three lowest bits (caerr.h)."""

    WARNING = 0
    SUCCESS = 1
    ERROR = 2
    INFO = 3
    SEVERE = 4
    FATAL = 6


class ECA(_Number):
    """Status codes of Channel Access (caerr.h): ``message number << 3 | severity``."""

    NORMAL = 1
    MAXIOC = 10
    UKNHOST = 18
    UKNSERV = 26
    SOCK = 34
    CONN = 40
    ALLOCMEM = 48
    UKNCHAN = 56
    UKNFIELD = 64
    TOLARGE = 72
    TIMEOUT = 80
    NOSUPPORT = 88
    STRTOBIG = 96
    DISCONNCHID = 106
    BADTYPE = 114
    CHIDNOTFND = 123
    CHIDNOTFOUND = 123
    CHIDRETRY = 131
    INTERNAL = 142
    DBLCLFAIL = 144
    GETFAIL = 152
    PUTFAIL = 160
    ADDFAIL = 168
    BADCOUNT = 176
    BADSTR = 186
    DISCONN = 192
    DBLCHNL = 200
    EVDISALLOW = 210
    BUILDGET = 216
    NEEDSFP = 224
    OVEVFAIL = 232
    BADMONID = 242
    NEWADDR = 248
    NEWCONN = 259
    NOCACTX = 264
    DEFUNCT = 278
    EMPTYSTR = 280
    NOREPEATER = 288
    NOCHANMSG = 296
    DLCKREST = 304
    SERVBEHIND = 312
    NOCAST = 320
    BADMASK = 330
    IODONE = 339
    IOINPROGRESS = 347
    BADSYNCGRP = 354
    PUTCBINPROG = 362
    NORDACCESS = 368
    NOWTACCESS = 376
    ANACHRONISM = 386
    NOSEARCHADDR = 392
    NOCONVERT = 400
    BADCHID = 410
    BADFUNCPTR = 418
    ISATTACHED = 424
    UNAVAILINSERV = 432
    CHANDESTROY = 440
    BADPRIORITY = 450
    NOTTHREADED = 458
    ARRAY16KCLIENT = 464
    CONNSEQTMO = 472
    UNRESPTMO = 480

    def message(self) -> str:
        """Return the text that libca 7 gives for this status."""
        return _ECA_TEXTS[self >> 3]

    def severity(self) -> CA_K:
        """Return the severity that the three lowest bits of the code state."""
        return CA_K(self & 7)


# What libca 7's ca_message() answers, indexed by message number (status >> 3).
_ECA_TEXTS: Final = (
    "Normal successful completion",
    "Maximum simultaneous IOC connections exceeded",
    "Unknown internet host",
    "Unknown internet service",
    "Unable to allocate a new socket",
    "Unable to connect to internet host or service",
    "Unable to allocate additional dynamic memory",
    "Unknown IO channel",
    "Record field specified inappropriate for channel specified",
    "The requested data transfer is greater than available memory or EPICS_CA_MAX_ARRAY_BYTES",
    "User specified timeout on IO operation expired",
    "Sorry, that feature is planned but not supported at this time",
    "The supplied string is unusually large",
    "The request was ignored because the specified channel is disconnected",
    "The data type specified is invalid",
    "Remote Channel not found",
    "Unable to locate all user specified channels",
    "Channel Access Internal Failure",
    "The requested local DB operation failed",
    "Channel read request failed",
    "Channel write request failed",
    "Channel subscription request failed",
    "Invalid element count requested",
    "Invalid string",
    "Virtual circuit disconnect",
    "Identical process variable names on multiple servers",
    "Request inappropriate within subscription (monitor) update callback",
    "Database value get for that channel failed during channel search",
    "Unable to initialize without the vxWorks VX_FP_TASK task option set",
    "Event queue overflow has prevented first pass event after event add",
    "Bad event subscription (monitor) identifier",
    "Remote channel has new network address",
    "New or resumed network connection",
    "Specified task isn't a member of a CA context",
    "Attempt to use defunct CA feature failed",
    "The supplied string is empty",
    "Unable to spawn the CA repeater thread- auto reconnect will fail",
    "No channel id match for search reply- search reply ignored",
    "Resetting dead connection- will try to reconnect",
    "Server (IOC) has fallen behind or is not responding- still waiting",
    "No internet interface with broadcast available",
    "Invalid event selection mask",
    "IO operations have completed",
    "IO operations are in progress",
    "Invalid synchronous group identifier",
    "Put callback timed out",
    "Read access denied",
    "Write access denied",
    "Requested feature is no longer supported",
    "Empty PV search address list",
    "No reasonable data conversion between client and server types",
    "Invalid channel identifier",
    "Invalid function pointer",
    "Thread is already attached to a client context",
    "Not supported by attached service",
    "User destroyed channel",
    "Invalid channel priority",
    "Preemptive callback not enabled - additional threads may not join context",
    "Client's protocol revision does not support transfers exceeding 16k bytes",
    "Virtual circuit connection sequence aborted",
    "Virtual circuit unresponsive",
)
_ECA_UNKNOWN_TEXT: Final = "new CA message number known only by server - see caerr.h"


class DBR(_Number):
    """Request types: what a value travels as (db_access.h)."""

    INVALID = -1
    STRING = 0
    SHORT = 1
    INT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6
    STS_STRING = 7
    STS_SHORT = 8
    STS_INT = 8
    STS_FLOAT = 9
    STS_ENUM = 10
    STS_CHAR = 11
    STS_LONG = 12
    STS_DOUBLE = 13
    TIME_STRING = 14
    TIME_SHORT = 15
    TIME_INT = 15
    TIME_FLOAT = 16
    TIME_ENUM = 17
    TIME_CHAR = 18
    TIME_LONG = 19
    TIME_DOUBLE = 20
    GR_STRING = 21
    GR_SHORT = 22
    GR_INT = 22
    GR_FLOAT = 23
    GR_ENUM = 24
    GR_CHAR = 25
    GR_LONG = 26
    GR_DOUBLE = 27
    CTRL_STRING = 28
    CTRL_SHORT = 29
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
    LAST_BUFFER_TYPE = 38

    # The base type is told by the number modulo seven, as the macros of db_access.h do; the four
    # types above CTRL_DOUBLE therefore count as STRING, SHORT, FLOAT and ENUM.

    def isSTRING(self) -> bool:  # noqa: N802
        """Tell whether the base type is STRING."""
        return self >= 0 and self % 7 == 0

    def isSHORT(self) -> bool:  # noqa: N802
        """Tell whether the base type is SHORT."""
        return self >= 0 and self % 7 == 1

    def isFLOAT(self) -> bool:  # noqa: N802
        """Tell whether the base type is FLOAT."""
        return self >= 0 and self % 7 == 2

    def isENUM(self) -> bool:  # noqa: N802
        """Tell whether the base type is ENUM."""
        return self >= 0 and self % 7 == 3

    def isCHAR(self) -> bool:  # noqa: N802
        """Tell whether the base type is CHAR."""
        return self >= 0 and self % 7 == 4

    def isLONG(self) -> bool:  # noqa: N802
        """Tell whether the base type is LONG."""
        return self >= 0 and self % 7 == 5

    def isDOUBLE(self) -> bool:  # noqa: N802
        """Tell whether the base type is DOUBLE."""
        return self >= 0 and self % 7 == 6

    def isPlain(self) -> bool:  # noqa: N802
        """Tell whether this is a value without metadata."""
        return 0 <= self <= 6

    def isSTS(self) -> bool:  # noqa: N802
        """Tell whether this carries status and severity only."""
        return 7 <= self <= 13

    def isTIME(self) -> bool:  # noqa: N802
        """Tell whether this carries status, severity and a time stamp."""
        return 14 <= self <= 20

    def isGR(self) -> bool:  # noqa: N802
        """Tell whether this carries units and display limits, or state names."""
        return 21 <= self <= 27

    def isCTRL(self) -> bool:  # noqa: N802
        """Tell whether this carries what GR has, and the control limits."""
        return 28 <= self <= 34


class DBF(_Number):
    """Field types: what a channel natively is (db_access.h)."""

    NOTCONN = -1
    INVALID = -1
    STRING = 0
    SHORT = 1
    INT = 1
    FLOAT = 2
    ENUM = 3
    CHAR = 4
    LONG = 5
    DOUBLE = 6

    def _shifted(self, by: int) -> DBR:
        return DBR_BY_NUMBER[self + by] if self >= 0 else DBR.INVALID

    def toSTS(self) -> DBR:  # noqa: N802
        """Return the DBR_STS type of this field type, ``DBR.INVALID`` for ``NOTCONN``."""
        return self._shifted(7)

    def toTIME(self) -> DBR:  # noqa: N802
        """Return the DBR_TIME type of this field type, ``DBR.INVALID`` for ``NOTCONN``."""
        return self._shifted(14)

    def toGR(self) -> DBR:  # noqa: N802
        """Return the DBR_GR type of this field type, ``DBR.INVALID`` for ``NOTCONN``."""
        return self._shifted(21)

    def toCTRL(self) -> DBR:  # noqa: N802
        """Return the DBR_CTRL type of this field type, ``DBR.INVALID`` for ``NOTCONN``."""
        return self._shifted(28)


class DBE(_Number):
    """Event mask bits (caeventmask.h). ``DBE.VALUE | DBE.ALARM`` is a plain int."""

    VALUE = 1
    ARCHIVE = 2
    LOG = 2
    ALARM = 4
    PROPERTY = 8


class CA_OP(_Number):  # noqa: N801 - the name of cadef.h
    """Kinds of operation that connection and exception handlers are told (cadef.h)."""

    GET = 0
    PUT = 1
    CREATE_CHANNEL = 2
    ADD_EVENT = 3
    CLEAR_EVENT = 4
    OTHER = 5
    CONN_UP = 6
    CONN_DOWN = 7


class CA_PRIORITY(_Number):  # noqa: N801 - the name of cadef.h
    """Dispatch priorities of a virtual circuit (cadef.h)."""

    MAX = 99
    MIN = 0
    DEFAULT = 0
    OPI = 0
    DB_LINKS = 80
    ARCHIVE = 20


class ChannelState(_Number):
    """Connection state of a channel (cadef.h, ``enum channel_state``)."""

    NEVER_CONN = 0
    PREV_CONN = 1
    CONN = 2
    CLOSED = 3
    NEVER_SEARCH = 4


class AlarmSeverity(_Number):
    """Alarm severity (alarm.h, ``epicsAlarmSeverity``)."""

    No = 0
    Minor = 1
    Major = 2
    Invalid = 3


class AlarmCondition(_Number):
    """Alarm status (alarm.h, ``epicsAlarmCondition``).

    ``Lolo`` and ``Scam`` are how one of the old backends spells ``LoLo`` and ``Scan``.
    """

    No = 0
    Read = 1
    Write = 2
    HiHi = 3
    High = 4
    LoLo = 5
    Lolo = 5
    Low = 6
    State = 7
    Cos = 8
    Comm = 9
    Timeout = 10
    HwLimit = 11
    Calc = 12
    Scan = 13
    Scam = 13
    Link = 14
    Soft = 15
    BadSub = 16
    UDF = 17
    Disable = 18
    Simm = 19
    ReadAccess = 20
    WriteAccess = 21


_E = TypeVar("_E", bound=IntEnum)


def _ordered(cls: type[_E]) -> tuple[_E, ...]:
    """Return the members that are not negative, each at the index of its number."""
    return tuple(sorted(member for member in cls if member >= 0))


DBF_BY_NUMBER: Final[tuple[DBF, ...]] = _ordered(DBF)
"""Field type number, 0 to 6, to member. Mind that index -1 is not ``NOTCONN``."""

DBR_BY_NUMBER: Final[tuple[DBR, ...]] = _ordered(DBR)
"""Request type number, 0 to 38, to member. Mind that index -1 is not ``INVALID``."""

ALARM_SEVERITIES: Final[tuple[AlarmSeverity, ...]] = _ordered(AlarmSeverity)
"""Severity number, 0 to 3, to member."""

ALARM_CONDITIONS: Final[tuple[AlarmCondition, ...]] = _ordered(AlarmCondition)
"""Alarm status number, 0 to 21, to member."""

CHANNEL_STATES: Final[tuple[ChannelState, ...]] = _ordered(ChannelState)
"""Channel state number, 0 to 4, to member."""

ECA_BY_NUMBER: Final[dict[int, ECA]] = {int(code): code for code in ECA}
"""Status code to member."""

ALARM_SEVERITY_STRINGS: Final = ("NO_ALARM", "MINOR", "MAJOR", "INVALID")
"""What base's tools print for a severity, by number (alarmString.h)."""

ALARM_CONDITION_STRINGS: Final = (
    "NO_ALARM",
    "READ",
    "WRITE",
    "HIHI",
    "HIGH",
    "LOLO",
    "LOW",
    "STATE",
    "COS",
    "COMM",
    "TIMEOUT",
    "HWLIMIT",
    "CALC",
    "SCAN",
    "LINK",
    "SOFT",
    "BAD_SUB",
    "UDF",
    "DISABLE",
    "SIMM",
    "READ_ACCESS",
    "WRITE_ACCESS",
)
"""What base's tools print for an alarm status, by number (alarmString.h)."""

_SEVERITY_TABLE: Final = dict(enumerate(ALARM_SEVERITIES))
_CONDITION_TABLE: Final = dict(enumerate(ALARM_CONDITIONS))


def alarm_severity(number: int) -> AlarmSeverity | int:
    """Return the member of a severity number, or the number itself if it is unknown."""
    return _SEVERITY_TABLE.get(number, number)


def alarm_condition(number: int) -> AlarmCondition | int:
    """Return the member of an alarm status number, or the number itself if it is unknown."""
    return _CONDITION_TABLE.get(number, number)


def eca(status: int) -> ECA | int:
    """Return the member of a status code, or the number itself if it is unknown."""
    return ECA_BY_NUMBER.get(status, status)


def eca_message(status: int) -> str:
    """Return libca 7's text for any status code.

    Only the message number (``status >> 3``) counts, as in ``ca_message``; a number that no
    message has gives the text that libca gives then.
    """
    number = status >> 3
    return _ECA_TEXTS[number] if 0 <= number < len(_ECA_TEXTS) else _ECA_UNKNOWN_TEXT


# Value 1 is spelt SHORT in both directions; DBF_INT is a name of the header files only.
_DBF_TEXTS: Final = {-1: "TYPENOTCONN"} | {int(t): f"DBF_{t.name}" for t in DBF_BY_NUMBER}
_DBR_TEXTS: Final = {int(t): f"DBR_{t.name}" for t in DBR_BY_NUMBER}
_DBF_TYPES: Final = {f"DBF_{t.name}": t for t in DBF_BY_NUMBER}
_DBR_TYPES: Final = {f"DBR_{t.name}": t for t in DBR_BY_NUMBER}


def dbf_text(number: int) -> str:
    """Return ``'DBF_DOUBLE'`` and so on, ``'TYPENOTCONN'`` for -1, else ``'DBF_invalid'``."""
    return _DBF_TEXTS.get(number, "DBF_invalid")


def dbr_text(number: int) -> str:
    """Return ``'DBR_TIME_DOUBLE'`` and so on, ``'DBR_invalid'`` for any other number."""
    return _DBR_TEXTS.get(number, "DBR_invalid")


def dbf_text_to_type(text: str) -> DBF:
    """Return the field type of a text as `dbf_text` gives it, ``DBF.NOTCONN`` if unknown."""
    return _DBF_TYPES.get(text, DBF.NOTCONN)


def dbr_text_to_type(text: str) -> DBR:
    """Return the request type of a text as `dbr_text` gives it, ``DBR.INVALID`` if unknown."""
    return _DBR_TYPES.get(text, DBR.INVALID)
