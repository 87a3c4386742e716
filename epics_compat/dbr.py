"""Numbers, names and C types of Channel Access, as pyepics spells them.

Source: EPICS base, caerr.h, db_access.h, cadef.h, alarm.h.
"""

from __future__ import annotations

import ctypes
import os
from enum import IntEnum
from typing import Any

import numpy

HAS_NUMPY = True
PY64_WINDOWS = os.name == "nt" and ctypes.sizeof(ctypes.c_void_p) == 8

ECA_NORMAL = 1
ECA_TIMEOUT = 80
ECA_IODONE = 339
ECA_ISATTACHED = 424
ECA_BADCHID = 410
CS_CONN = 2
OP_CONN_UP = 6
OP_CONN_DOWN = 7
CS_NEVER_SEARCH = 4

MAX_STRING_SIZE = 40
MAX_UNITS_SIZE = 8
MAX_ENUM_STRING_SIZE = 26
MAX_ENUMS = 16
EPICS2UNIX_EPOCH = 631152000.0

DBE_VALUE = 1
DBE_LOG = 2
DBE_ALARM = 4
DBE_PROPERTY = 8

STRING = 0
INT = 1
SHORT = 1
FLOAT = 2
ENUM = 3
CHAR = 4
LONG = 5
DOUBLE = 6

TIME_STRING = 14
TIME_INT = 15
TIME_SHORT = 15
TIME_FLOAT = 16
TIME_ENUM = 17
TIME_CHAR = 18
TIME_LONG = 19
TIME_DOUBLE = 20

CTRL_STRING = 28
CTRL_INT = 29
CTRL_SHORT = 29
CTRL_FLOAT = 30
CTRL_ENUM = 31
CTRL_CHAR = 32
CTRL_LONG = 33
CTRL_DOUBLE = 34

PUT_ACKT = 35
PUT_ACKS = 36
STSACK_STRING = 37
CLASS_NAME = 38

ctrl_limits = (
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
    "lower_alarm_limit",
    "upper_ctrl_limit",
    "lower_ctrl_limit",
)


class _Bare(IntEnum):
    """Members print as their bare names; a number without one is called UNKNOWN."""

    def __repr__(self) -> str:
        return self.name

    def __str__(self) -> str:
        return str(int(self))

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = "UNKNOWN"
        member._value_ = value
        return member


class AlarmStatus(_Bare):
    """Why a record is in alarm (alarm.h)."""

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
    HW_LIMIT = 11
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


class AlarmSeverity(_Bare):
    """How bad the alarm is (alarm.h)."""

    NO_ALARM = 0
    MINOR = 1
    MAJOR = 2
    INVALID = 3


# C types --------------------------------------------------------------------------------------

chid_t: Any = ctypes.c_int64 if PY64_WINDOWS else ctypes.c_long
short_t = ctypes.c_short
ushort_t = ctypes.c_ushort
int_t = ctypes.c_int
uint_t = ctypes.c_uint
long_t = ctypes.c_long
ulong_t = ctypes.c_ulong
float_t = ctypes.c_float
double_t = ctypes.c_double
byte_t = ctypes.c_byte
ubyte_t = ctypes.c_ubyte
char_t = ctypes.c_char
char_p = ctypes.c_char_p
void_p = ctypes.c_void_p
py_obj = ctypes.py_object
string_t = ctypes.c_char * MAX_STRING_SIZE

_STAMP = [("secs", ctypes.c_uint32), ("nsec", ctypes.c_uint32)]
_ALARM = [("status", short_t), ("severity", short_t)]


class epicsTimeStamp(ctypes.Structure):
    """Seconds since 1990-01-01 UTC and nanoseconds."""

    _fields_ = _STAMP


TimeStamp = epicsTimeStamp


def _structure(name: str, *members: tuple[str, Any]) -> type[ctypes.Structure]:
    return type(name, (ctypes.Structure,), {"_fields_": list(members), "__module__": __name__})


def _time(name: str, value: Any, padding: int) -> type[ctypes.Structure]:
    pad = [("pad", byte_t * padding)] if padding else []
    return _structure(name, *_ALARM, ("stamp", epicsTimeStamp), *pad, ("value", value))


def _control(
    name: str, value: Any, *, precise: bool = False, padding: int = 0
) -> type[ctypes.Structure]:
    first = [("precision", short_t), ("pad", short_t)] if precise else []
    last = [("pad", byte_t * padding)] if padding else []
    limits = [(limit, value) for limit in ctrl_limits]
    units = ("units", char_t * MAX_UNITS_SIZE)
    return _structure(name, *_ALARM, *first, units, *limits, *last, ("value", value))


time_string = _time("time_string", string_t, 0)
time_short = _time("time_short", short_t, 2)
time_float = _time("time_float", float_t, 0)
time_enum = _time("time_enum", ushort_t, 2)
time_char = _time("time_char", byte_t, 3)
time_long = _time("time_long", int_t, 0)
time_double = _time("time_double", double_t, 4)

ctrl_enum = _structure(
    "ctrl_enum",
    *_ALARM,
    ("no_str", short_t),
    ("strs", (char_t * MAX_ENUM_STRING_SIZE) * MAX_ENUMS),
    ("value", ushort_t),
)
ctrl_short = _control("ctrl_short", short_t)
ctrl_char = _control("ctrl_char", byte_t, padding=1)
ctrl_long = _control("ctrl_long", int_t)
ctrl_float = _control("ctrl_float", float_t, precise=True)
ctrl_double = _control("ctrl_double", double_t, precise=True)

# What libca hands to callbacks (cadef.h); nothing here uses them.
event_handler_args = _structure(
    "event_handler_args",
    ("usr", py_obj),
    ("chid", chid_t),
    ("type", long_t),
    ("count", long_t),
    ("raw_dbr", void_p),
    ("status", int_t),
)
connection_args = _structure("connection_args", ("chid", chid_t), ("op", long_t))
access_rights_handler_args = _structure(
    "access_rights_handler_args", ("chid", chid_t), ("access", ubyte_t)
)

Map: dict[int, Any] = {
    STRING: string_t,
    INT: short_t,
    FLOAT: float_t,
    ENUM: ushort_t,
    CHAR: ubyte_t,
    LONG: int_t,
    DOUBLE: double_t,
    TIME_STRING: time_string,
    TIME_INT: time_short,
    TIME_FLOAT: time_float,
    TIME_ENUM: time_enum,
    TIME_CHAR: time_char,
    TIME_LONG: time_long,
    TIME_DOUBLE: time_double,
    CTRL_STRING: time_string,
    CTRL_INT: ctrl_short,
    CTRL_FLOAT: ctrl_float,
    CTRL_ENUM: ctrl_enum,
    CTRL_CHAR: ctrl_char,
    CTRL_LONG: ctrl_long,
    CTRL_DOUBLE: ctrl_double,
}
"""Request type to the C type of its data."""

NP_Map: dict[int, Any] = {
    INT: numpy.int16,
    FLOAT: numpy.float32,
    ENUM: numpy.uint16,
    CHAR: numpy.uint8,
    LONG: numpy.int32,
    DOUBLE: numpy.float64,
}
"""Native type to NumPy's."""

_NATIVE_NAMES = ("STRING", "INT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE")
_DERIVED_NAMES = ("STRING", "SHORT", "FLOAT", "ENUM", "CHAR", "LONG", "DOUBLE")
_NAMES = dict(enumerate(_NATIVE_NAMES))
for _first, _prefix in ((14, "TIME_"), (28, "CTRL_")):
    _NAMES.update({_first + n: _prefix + name for n, name in enumerate(_DERIVED_NAMES)})
_NAMES.update({35: "PUT_ACKT", 36: "PUT_ACKS", 37: "STSACK_STRING", 38: "CLASS_NAME"})
_NUMBERS = {name: number for number, name in _NAMES.items()}
_NUMBERS.update({"SHORT": 1, "TIME_INT": 15, "CTRL_INT": 29})


def Name(ftype: Any, reverse: bool = False) -> Any:
    """Give the name of a DBR type, or with `reverse` the type of a name in any case.

    Unknown types are ``'unknown'``; an unknown name is ``'unknown'``, too.
    """
    if reverse:
        return _NUMBERS.get(str(ftype).upper(), "unknown")
    return _NAMES.get(ftype, "unknown")


def native_type(ftype: int) -> int:
    """Give the type of the elements of a request type (0 to 6)."""
    if ftype >= CTRL_STRING:
        ftype -= CTRL_STRING
    elif ftype >= TIME_STRING:
        ftype -= TIME_STRING
    return int(ftype)


def promote(ftype: int, use_time: bool, use_ctrl: bool) -> int:
    """Give the TIME or CTRL form of a native type; CTRL wins, and STRING has no CTRL."""
    if use_ctrl:
        ftype += CTRL_STRING
    elif use_time:
        ftype += TIME_STRING
    return TIME_STRING if ftype == CTRL_STRING else ftype


def make_unixtime(stamp: Any) -> float:
    """Convert a time stamp with ``secs`` and ``nsec`` to seconds since 1970."""
    return float(EPICS2UNIX_EPOCH + stamp.secs + 1e-6 * (stamp.nsec // 1000))
