"""DBR data to Python values: numbers, text, lists, arrays, and the two kinds of dictionaries.

A *record* here is a tuple of `RECORD`: one event as the C boundary delivers it. A single number
of a plain, STS or TIME type is in the record itself; other data is a copy of the DBR structure
in `buffer`, starting at `offset`.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.enums import ALARM_CONDITIONS, ALARM_SEVERITIES
from cachannel.protocol.text import c_text

__all__ = ["RECORD", "Record", "ca_value", "elements", "pv_items", "text"]

Record = tuple[Any, ...]
"""The fields of a record, by the numbers below."""

RECORD: Final = Struct("=QHHhhhHiIIIIdQ")
"""The layout of `cc_record` (engine.h); a test compares the two."""

# Positions in a record.
OWNER, KIND, PLACE, TYPE, ALARM_STATUS, ALARM_SEVERITY, _, STATUS = range(8)
COUNT, SECONDS, NANOSECONDS, NBYTES, VALUE, PAYLOAD = range(8, 14)

IN_RECORD: Final = 1

POSIX_TIME_AT_EPICS_EPOCH: Final = 631152000
"""1990-01-01 00:00 UTC, in seconds since 1970."""

_FLOATS: Final = frozenset((2, 6))
_CODES: Final = ("40s", "h", "f", "H", "B", "i", "d")
_DTYPES: Final = ("S40", "i2", "f4", "u2", "u1", "i4", "f8")
_SCALARS: Final = tuple(Struct("=" + code) for code in _CODES)
_STRING, _ENUM = 0, 3
_STSACK: Final = 37


text = c_text
"""Decode text up to its first NUL; see `cachannel.protocol.text`."""


def _base(dbr_type: int) -> int:
    return dbr_type % 7 if dbr_type < 37 else _STRING


def elements(record: Record, buffer: Any, offset: int, use_numpy: bool) -> Any:
    """Decode the elements of a record, without its metadata.

    Exactly one element is a scalar, none is ``[]``, several are a list. With `use_numpy`, several
    (or no) numbers are an ndarray of shape ``(count,)`` that may be kept and written to.
    DBR_STSACK_STRING is one text always: that of the first element.
    """
    dbr_type = record[3]
    if record[2] == IN_RECORD:
        value = record[12]
        return value if dbr_type % 7 in _FLOATS else int(value)
    base = _base(dbr_type)
    count = record[8]
    start = offset + LAYOUTS[dbr_type].value_offset
    if count == 1:
        (value,) = _SCALARS[base].unpack_from(buffer, start)
        return text(value) if base == _STRING else value
    if base == _STRING:
        if dbr_type == _STSACK:
            return text(bytes(buffer[start : start + 40])) if count else ""
        data = bytes(buffer[start : start + 40 * count])
        return [text(data[i : i + 40]) for i in range(0, 40 * count, 40)]
    if use_numpy:
        return array(record, buffer, start, base)
    if not count:
        return []
    size = LAYOUTS[dbr_type].element_size
    view: Any = memoryview(buffer)[start : start + size * count]
    return view.cast(_CODES[base]).tolist()


def array(record: Record, buffer: Any, start: int, base: int) -> Any:
    """Make an ndarray of the elements that start at `start`.

    Large data is on the heap and belongs to nobody else: the array takes it over. Small data is
    in a buffer that will be used again, and is copied.
    """
    import numpy as np

    count = record[8]
    if not count:
        return np.empty(0, _DTYPES[base])
    values = np.frombuffer(buffer, _DTYPES[base], count, start)
    return values if record[2] == 3 else values.copy()


def _severity(number: int) -> int:
    return ALARM_SEVERITIES[number] if 0 <= number < 4 else number


def _condition(number: int) -> int:
    return ALARM_CONDITIONS[number] if 0 <= number < 22 else number


def _metadata(record: Record, buffer: Any, offset: int) -> dict[str, Any]:
    """Read the members of a GR, CTRL or STSACK structure, by their names in db_access.h."""
    layout = LAYOUTS[record[3]]
    fields = layout.native.unpack_from(buffer, offset)
    return {field.name: value for field, value in zip(layout.fields, fields, strict=True)}


def _states(members: dict[str, Any]) -> tuple[str, ...]:
    data = members["strs"]
    number = max(0, min(members["no_str"], 16))
    return tuple(text(data[26 * i : 26 * i + 26]) for i in range(number))


def ca_value(record: Record, buffer: Any, offset: int, use_numpy: bool) -> Any:
    """Decode a record as `cachannel.ca` gives it.

    Returns:
        The bare value of a plain type; otherwise a dict with ``value``, ``severity`` and
        ``status``, and ``stamp`` (TIME: seconds and nanoseconds since 1970, and both as a float),
        or units, limits and precision, or ``no_str`` and ``strs``.
    """
    dbr_type = record[3]
    value = elements(record, buffer, offset, use_numpy)
    if dbr_type < 7 or dbr_type == 38:
        return value
    result: dict[str, Any] = {
        "value": value,
        "severity": _severity(record[5]),
        "status": _condition(record[4]),
    }
    if dbr_type < 14:
        return result
    if dbr_type < 21:
        seconds = record[9] + POSIX_TIME_AT_EPICS_EPOCH
        nanoseconds = record[10]
        result["stamp"] = {
            "seconds": seconds,
            "nanoseconds": nanoseconds,
            "timestamp": seconds + nanoseconds * 1e-9,
        }
        return result
    members = _metadata(record, buffer, offset)
    if dbr_type == 37:
        result["ackt"] = bool(members["ackt"])
        result["acks"] = _severity(members["acks"])
    elif "no_str" in members:
        result["no_str"] = members["no_str"]
        result["strs"] = _states(members)
    elif "units" in members:
        del members["status"], members["severity"]
        members["units"] = text(members["units"])
        result.update(members)
    return result


_PV_NAMES: Final = {
    "precision": "pv_precision",
    "units": "pv_units",
    "upper_disp_limit": "pv_updislim",
    "lower_disp_limit": "pv_lodislim",
    "upper_alarm_limit": "pv_upalarmlim",
    "upper_warning_limit": "pv_upwarnlim",
    "lower_alarm_limit": "pv_loalarmlim",
    "lower_warning_limit": "pv_lowarnlim",
    "upper_ctrl_limit": "pv_upctrllim",
    "lower_ctrl_limit": "pv_loctrllim",
}


def pv_items(
    result: dict[str, Any], record: Record, buffer: Any, offset: int, use_numpy: bool
) -> None:
    """Add the ``pv_*`` items of class `CaChannel` to a dict.

    ``pv_seconds`` counts from 1990, unlike the ``stamp`` of `ca_value`.
    """
    dbr_type = record[3]
    if record[2] == IN_RECORD:
        value = record[12]
        result["pv_value"] = value if dbr_type % 7 in _FLOATS else int(value)
    else:
        result["pv_value"] = elements(record, buffer, offset, use_numpy)
    if dbr_type < 7 or dbr_type == 38:
        return
    number = record[5]
    result["pv_severity"] = ALARM_SEVERITIES[number] if 0 <= number < 4 else number
    number = record[4]
    result["pv_status"] = ALARM_CONDITIONS[number] if 0 <= number < 22 else number
    if dbr_type < 21:
        if dbr_type >= 14:
            result["pv_seconds"] = record[9]
            result["pv_nseconds"] = record[10]
        return
    members = _metadata(record, buffer, offset)
    if dbr_type == 37:
        result["pv_ackt"] = bool(members["ackt"])
        result["pv_acks"] = _severity(members["acks"])
    elif "no_str" in members:
        result["pv_nostrings"] = members["no_str"]
        result["pv_statestrings"] = _states(members)
    elif "units" in members:
        members["units"] = text(members["units"])
        for name, pv_name in _PV_NAMES.items():
            if name in members:
                result[pv_name] = members[name]
