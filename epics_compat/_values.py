"""Records of the engine to the values and dictionaries of pyepics."""

from __future__ import annotations

import time
from ctypes import Array
from typing import TYPE_CHECKING, Any, Final

import numpy

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.text import until_nul
from epics_compat import dbr, utils

if TYPE_CHECKING:
    from cachannel.values.decode import Record

IN_RECORD: Final = 1
ON_HEAP: Final = 3
_FLOATS: Final = frozenset((2, 6))
_DTYPES: Final = ("S40", "i2", "f4", "u2", "u1", "i4", "f8")
_EPOCH: Final = 631152000.0

TIME_ITEMS: Final = ("status", "severity", "timestamp", "posixseconds", "nanoseconds")


def _string(data: bytes) -> str:
    return utils.bytes2str(until_nul(data)).rstrip()


def elements(record: Record, buffer: Any, offset: int) -> Any:
    """Decode the elements of a record.

    Returns:
        A float, int or str for one element, a list of str for several strings, and otherwise an
        ndarray of shape ``(count,)`` that belongs to the caller.
    """
    kind = record[3]
    if record[2] == IN_RECORD:
        value = record[12]
        return value if kind % 7 in _FLOATS else int(value)
    base = kind % 7 if kind < 35 else 0
    count = record[8]
    start = offset + LAYOUTS[kind].value_offset
    if base == 0:
        data = bytes(buffer[start : start + 40 * count])
        strings = [_string(data[i : i + 40]) for i in range(0, 40 * count, 40)]
        return strings[0] if count == 1 else strings
    if not count:
        return numpy.empty(0, _DTYPES[base])
    array = numpy.frombuffer(buffer, _DTYPES[base], count, start)
    if count == 1:
        return array[0].item()
    return array if record[2] == ON_HEAP and record[11] >= 65536 else array.copy()


def of_channel(record: Record, value: Any, nelm: int) -> Any:
    """Give one STRING or CHAR of a channel that can hold several as the list, or array, of one
    that it is; one element of other types stays a scalar."""
    return one_of_many(value, record[3]) if nelm > 1 else value


def one_of_many(value: Any, ftype: int) -> Any:
    """Do what `of_channel` does, for a channel that can hold several."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, int) and ftype % 7 == dbr.CHAR:
        return numpy.array([value], _DTYPES[dbr.CHAR])
    return value


def ctypes_array(value: Any, base: int) -> Any:
    """Make the ctypes array that `ca.get` gives without NumPy; scalars and lists stay."""
    if not isinstance(value, numpy.ndarray):
        return value
    kind: type[Array[Any]] = dbr.Map[base] * len(value)
    return kind.from_buffer_copy(value.astype(_DTYPES[base], copy=False).tobytes())


def metadata(record: Record, buffer: Any, offset: int) -> dict[str, Any]:
    """Read what a TIME or CTRL type carries besides the value.

    Returns:
        TIME: status, severity (ints), timestamp (Unix seconds, cut to microseconds),
        posixseconds (whole, a float), nanoseconds. CTRL: status, severity, units, the eight
        limits and precision, or enum_strs. Otherwise nothing.
    """
    kind = record[3]
    if kind < 14:
        return {}
    result: dict[str, Any] = {"status": record[4], "severity": record[5]}
    if kind < 21:
        seconds = record[9] + _EPOCH
        result["timestamp"] = seconds + 1e-6 * (record[10] // 1000)
        result["posixseconds"] = seconds
        result["nanoseconds"] = record[10]
        return result
    if kind < 28 or kind > 34:
        return result
    layout = LAYOUTS[kind]
    values = layout.native.unpack_from(buffer, offset)
    for field, value in zip(layout.fields, values, strict=True):
        if field.name == "strs":
            number = max(0, min(result.pop("no_str"), dbr.MAX_ENUMS))
            size = dbr.MAX_ENUM_STRING_SIZE
            result["enum_strs"] = tuple(
                _string(value[size * i : size * i + size]) for i in range(number)
            )
        elif field.name == "units":
            result["units"] = _string(value)
        else:
            result[field.name] = value
    return result


def event_items(record: Record, buffer: Any, offset: int) -> dict[str, Any]:
    """Decode an event: the value and what its type carries, and the client's time for types
    without a time stamp."""
    items = {"value": elements(record, buffer, offset), **metadata(record, buffer, offset)}
    if not 14 <= record[3] < 21:
        items.update(timestamp=time.time(), posixseconds=0, nanoseconds=0)
    return items


def char_text(value: Any) -> str:
    """Read an array of CHAR as text, up to the first NUL, without trailing space."""
    if isinstance(value, int):
        data = bytes([value & 255])
    elif isinstance(value, numpy.ndarray):
        data = value.astype("u1", copy=False).tobytes()
    else:
        data = bytes([int(item) & 255 for item in value])
    return _string(data)


class _Formats(dict[int, str]):
    """Formats by their precision, made when they are needed."""

    def __init__(self, letter: str) -> None:
        self._letter = letter

    def __missing__(self, precision: int) -> str:
        self[precision] = made = f"%.{max(precision, 0)}{self._letter}"
        return made


_FIXED: Final = _Formats("f")
_GENERAL: Final = _Formats("g")


def float_text(value: float, precision: int | None) -> str:
    """Format as PV does: ``%f`` with the precision, ``%g`` for the very large and small."""
    if precision is None:
        return str(value)
    size = abs(value + 1e-9)
    formats = _FIXED if 1e-5 < size < 1e5 or size != size else _GENERAL
    return formats[precision] % value
