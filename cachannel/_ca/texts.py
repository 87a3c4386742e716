"""Types and texts: what db_access.h does with macros and tables."""

from __future__ import annotations

import operator
from typing import SupportsIndex

from cachannel._native import ffi, lib
from cachannel.protocol import enums
from cachannel.protocol.enums import CA_K, DBF, DBR

__all__ = [
    "CA_EXTRACT_MSG_NO",
    "CA_EXTRACT_MSG_SEVERITY",
    "alarmSeverityString",
    "alarmStatusString",
    "dbf_text",
    "dbf_text_to_type",
    "dbf_type_is_valid",
    "dbf_type_to_DBR",
    "dbf_type_to_DBR_CTRL",
    "dbf_type_to_DBR_GR",
    "dbf_type_to_DBR_STS",
    "dbf_type_to_DBR_TIME",
    "dbf_type_to_text",
    "dbr_size_n",
    "dbr_text",
    "dbr_text_to_type",
    "dbr_type_is_CHAR",
    "dbr_type_is_CTRL",
    "dbr_type_is_DOUBLE",
    "dbr_type_is_ENUM",
    "dbr_type_is_FLOAT",
    "dbr_type_is_GR",
    "dbr_type_is_LONG",
    "dbr_type_is_SHORT",
    "dbr_type_is_STRING",
    "dbr_type_is_STS",
    "dbr_type_is_TIME",
    "dbr_type_is_plain",
    "dbr_type_is_valid",
    "dbr_type_to_text",
    "epicsAlarmConditionStrings",
    "epicsAlarmSeverityStrings",
    "message",
]

Number = SupportsIndex


def _int(number: Number) -> int:
    # Text that looks like a number is none, neither here nor in C.
    if isinstance(number, str | bytes):
        message = f"a number is expected, not {number!r}"
        raise TypeError(message)
    return int(number)


def dbf_type_is_valid(field_type: Number) -> bool:
    """Tell whether this is a field type, 0 (STRING) to 6 (DOUBLE)."""
    return 0 <= _int(field_type) <= 6


def _group(field_type: Number, first: int) -> DBR:
    number = _int(field_type)
    return DBR(number + first) if 0 <= number <= 6 else DBR.INVALID


def dbf_type_to_DBR(field_type: Number) -> DBR:
    """Return the plain request type of a field type; DBR.INVALID for anything else."""
    return _group(field_type, 0)


def dbf_type_to_DBR_STS(field_type: Number) -> DBR:
    """Return the request type with alarm; DBR.INVALID for what is no field type."""
    return _group(field_type, 7)


def dbf_type_to_DBR_TIME(field_type: Number) -> DBR:
    """Return the request type with time stamp; DBR.INVALID for no field type."""
    return _group(field_type, 14)


def dbf_type_to_DBR_GR(field_type: Number) -> DBR:
    """Return the request type with display limits; DBR.INVALID for no field type."""
    return _group(field_type, 21)


def dbf_type_to_DBR_CTRL(field_type: Number) -> DBR:
    """Return the request type with control limits; DBR.INVALID for no field type."""
    return _group(field_type, 28)


def dbr_type_is_valid(request_type: Number) -> bool:
    """Tell whether this is a request type, 0 to 38."""
    return 0 <= _int(request_type) <= 38


def dbr_type_is_plain(request_type: Number) -> bool:
    """Tell whether this is a value without metadata."""
    return 0 <= _int(request_type) <= 6


def dbr_type_is_STS(request_type: Number) -> bool:
    """Tell whether this is a value with alarm only."""
    return 7 <= _int(request_type) <= 13


def dbr_type_is_TIME(request_type: Number) -> bool:
    """Tell whether this is a value with alarm and time stamp."""
    return 14 <= _int(request_type) <= 20


def dbr_type_is_GR(request_type: Number) -> bool:
    """Tell whether this is a value with units and display limits, or state names."""
    return 21 <= _int(request_type) <= 27


def dbr_type_is_CTRL(request_type: Number) -> bool:
    """Tell whether this is a value with units and all limits, or state names."""
    return 28 <= _int(request_type) <= 34


def _based_on(request_type: Number, base: int) -> bool:
    # As the macros of db_access.h do it: types 35 to 38 count as STRING, SHORT, FLOAT, ENUM.
    number = _int(request_type)
    return 0 <= number <= 38 and number % 7 == base


def dbr_type_is_STRING(request_type: Number) -> bool:
    """Tell whether the elements are text."""
    return _based_on(request_type, 0)


def dbr_type_is_SHORT(request_type: Number) -> bool:
    """Tell whether the elements are 16 bit integers."""
    return _based_on(request_type, 1)


def dbr_type_is_FLOAT(request_type: Number) -> bool:
    """Tell whether the elements are single precision numbers."""
    return _based_on(request_type, 2)


def dbr_type_is_ENUM(request_type: Number) -> bool:
    """Tell whether the elements are enumeration states."""
    return _based_on(request_type, 3)


def dbr_type_is_CHAR(request_type: Number) -> bool:
    """Tell whether the elements are bytes."""
    return _based_on(request_type, 4)


def dbr_type_is_LONG(request_type: Number) -> bool:
    """Tell whether the elements are 32 bit integers."""
    return _based_on(request_type, 5)


def dbr_type_is_DOUBLE(request_type: Number) -> bool:
    """Tell whether the elements are double precision numbers."""
    return _based_on(request_type, 6)


def dbf_text(field_type: Number) -> str:
    """Return ``'DBF_STRING'`` ..., ``'TYPENOTCONN'`` for -1, or ``'DBF_invalid'``."""
    return "DBF_NO_ACCESS" if _int(field_type) == 7 else enums.dbf_text(_int(field_type))


def dbr_text(request_type: Number) -> str:
    """Return ``'DBR_STRING'`` ..., ``'DBR_invalid'`` for what is no request type."""
    return enums.dbr_text(_int(request_type))


dbf_type_to_text = dbf_text
dbr_type_to_text = dbr_text


def _name(text: object) -> str:
    if not isinstance(text, str):
        message = f"the name of a type must be a str, not {type(text).__name__}"
        raise TypeError(message)
    return text


def dbf_text_to_type(text: str) -> DBF:
    """Return the field type of a name such as ``'DBF_DOUBLE'``; -1 if unknown.

    Raises:
        TypeError: `text` is not a str.
    """
    return enums.dbf_text_to_type(_name(text))


def dbr_text_to_type(text: str) -> DBR:
    """Return the request type of a name such as ``'DBR_LONG'``; -1 if unknown.

    Raises:
        TypeError: `text` is not a str.
    """
    return enums.dbr_text_to_type(_name(text))


def message(status: Number) -> str:
    """Return libca's text for a status code (ca_message).

    Args:
        status: any integer, an `ECA` member, or an exception of this package.

    Raises:
        TypeError: `status` is no number.
    """
    number = operator.index(status)
    # libca takes a long and looks at the message number only; it has no text for others.
    return str(ffi.string(lib.ca_message(number & 0xFFFF)).decode())


def CA_EXTRACT_MSG_NO(code: Number) -> int:
    """Return the message number of a status code."""
    return (int(code) & 0xFFF8) >> 3


def CA_EXTRACT_MSG_SEVERITY(code: Number) -> CA_K | int:
    """Return the severity of a status code (CA_K_*)."""
    return int(code) & 0x7


def dbr_size_n(request_type: Number, count: Number) -> int:
    """Return the size of a DBR structure with so many elements, in bytes."""
    from cachannel.protocol.dbr import dbr_size_n as size_n

    return size_n(int(request_type), int(count))


def _alarm_text(number: Number, texts: tuple[str, ...]) -> str:
    index = _int(number)
    if not 0 <= index < len(texts):
        message = f"{index} is no alarm number"
        raise IndexError(message)
    return texts[index]


def alarmSeverityString(severity: Number) -> str:
    """Return ``'NO_ALARM'``, ``'MINOR'``, ``'MAJOR'`` or ``'INVALID'``.

    Raises:
        IndexError: there is no such severity.
    """
    return _alarm_text(severity, enums.ALARM_SEVERITY_STRINGS)


def alarmStatusString(status: Number) -> str:
    """Return the name of an alarm condition, such as ``'HIHI'``.

    Raises:
        IndexError: there is no such condition.
    """
    return _alarm_text(status, enums.ALARM_CONDITION_STRINGS)


epicsAlarmSeverityStrings = alarmSeverityString
epicsAlarmConditionStrings = alarmStatusString
