"""Values as the commands read them: decoded, with everything that came along."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.enums import ALARM_CONDITION_STRINGS, ALARM_SEVERITY_STRINGS
from cachannel.protocol.text import decode as decode_text, encode as encode_text, until_nul
from cachannel.values.decode import IN_RECORD, Record

__all__ = [
    "EPOCH",
    "Reading",
    "as_json",
    "condition",
    "decode",
    "decode_name",
    "severity",
]

EPOCH: Final = 631152000
"""1990-01-01 00:00 UTC, in seconds since 1970."""

NORMAL: Final = 1
NOT_FOUND: Final = -1
"""The status of a PV that did not connect in time; libca has none for it."""
NEVER_PROCESSED: Final = (0, 0)
"""The time stamp of a record that was never processed."""

STRING, SHORT, FLOAT, ENUM, CHAR, LONG, DOUBLE = range(7)
CLASS_NAME: Final = 38
STSACK: Final = 37
# CHAR is signed where C prints it.
_CODES: Final = ("40s", "h", "f", "H", "b", "i", "d")
_WHOLE: Final = (SHORT, ENUM, CHAR, LONG)
_MEMBERS: Final = (
    "units", "precision", "lower_disp_limit", "upper_disp_limit", "lower_alarm_limit",
    "lower_warning_limit", "upper_warning_limit", "upper_alarm_limit", "lower_ctrl_limit",
    "upper_ctrl_limit", "ackt", "acks",
)  # fmt: skip


@dataclass(slots=True)
class Reading:
    """One value of a PV, or why there is none.

    Attributes:
        name: of the PV.
        native: the type of the channel; -1 when it is not known.
        status: CA status; 1 for success.
        dbr_type: the type that came.
        elements: numbers, or bytes for text (up to its NUL).
        alarm: condition and severity, as numbers.
        stamp: seconds since 1990 and nanoseconds.
        members: the other members of the structure, by their names in db_access.h.
        index: which of the PVs of the command it is; a name may be there twice.
        capacity: the most elements that the PV can have; 1 for a scalar.
    """

    name: str
    native: int
    status: int = NORMAL
    dbr_type: int = -1
    elements: list[Any] = field(default_factory=list)
    alarm: tuple[int, int] = (0, 0)
    stamp: tuple[int, int] = (0, 0)
    members: dict[str, Any] = field(default_factory=dict)
    index: int = 0
    capacity: int = 1

    @property
    def base(self) -> int:
        """The type of the elements, 0 (STRING) to 6 (DOUBLE)."""
        return STRING if self.dbr_type >= STSACK else self.dbr_type % 7

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.status == NORMAL

    @property
    def timestamp(self) -> float | None:
        """Unix time in seconds; None if the record was never processed."""
        if self.stamp == NEVER_PROCESSED:
            return None
        return EPOCH + self.stamp[0] + self.stamp[1] * 1e-9

    @property
    def states(self) -> list[bytes]:
        """The names of the states of an enumeration."""
        data = self.members["strs"]
        number = max(0, min(self.members["no_str"], 16))
        return [data[26 * i : 26 * i + 26].split(b"\0")[0] for i in range(number)]

    @property
    def text(self) -> bytes:
        """The elements of a CHAR array as text, up to the first NUL."""
        return until_nul(self._bytes)

    @property
    def _bytes(self) -> bytes:
        return bytes(value & 255 for value in self.elements)

    @property
    def holds_text(self) -> bool:
        """Whether an array of CHAR is meant as text.

        It is if the name of the PV asks for text with a ``$`` at its end. Otherwise the array
        begins with characters that can be printed (line ends and tabs too), valid as UTF-8, and
        has nothing but NULs behind them. An array without such a character is not text: zeros
        are numbers.
        """
        if self.base != CHAR or self.capacity < 2:
            return False
        if self.name.endswith("$"):
            return True
        data = self._bytes
        shown = until_nul(data)
        if not shown or data.count(0, len(shown)) != len(data) - len(shown):
            return False
        characters = decode_text(shown)
        return encode_text(characters) == shown and all(
            character.isprintable() or character in "\t\n\r" for character in characters
        )


def decode(name: str, native: int, record: Record, buffer: Any, offset: int = 0) -> Reading:
    """Make a reading of what the engine delivers."""
    reading = Reading(name, native, record[7], record[3])
    if record[7] != NORMAL:
        return reading
    reading.alarm = record[4], record[5]
    reading.stamp = record[9], record[10]
    base = reading.base
    if record[2] == IN_RECORD:
        value = record[12]
        if base in _WHOLE:
            value = int(value)
            value = value - 256 if base == CHAR and value > 127 else value
        reading.elements = [value]
        return reading
    layout = LAYOUTS[record[3]]
    if len(layout.fields) > 2:
        fields = layout.native.unpack_from(buffer, offset)
        reading.members = {f.name: v for f, v in zip(layout.fields, fields, strict=True)}
    count = record[8]
    start = offset + layout.value_offset
    if base == STRING:
        data = bytes(buffer[start : start + 40 * count])
        reading.elements = [data[i : i + 40].split(b"\0")[0] for i in range(0, 40 * count, 40)]
    elif count:
        reading.elements = list(Struct(f"={count}{_CODES[base]}").unpack_from(buffer, start))
    return reading


def condition(reading: Reading) -> str:
    """Return the name of the alarm condition."""
    number = reading.alarm[0]
    if 0 <= number < len(ALARM_CONDITION_STRINGS):
        return ALARM_CONDITION_STRINGS[number]
    return f"Illegal Value ({number & 0xFFFF})"


def severity(reading: Reading) -> str:
    """Return the name of the alarm severity."""
    return severity_name(reading.alarm[1])


def severity_name(number: int) -> str:
    """Return the name of a severity."""
    if 0 <= number < len(ALARM_SEVERITY_STRINGS):
        return ALARM_SEVERITY_STRINGS[number]
    return f"Illegal Value ({number & 0xFFFF})"


def as_json(reading: Reading, *, as_text: bool = False) -> dict[str, Any]:
    """Return a reading for JSON. A number that JSON does not have (NaN, infinity) is null.

    Args:
        reading: the reading.
        as_text: CHAR arrays as text.
    """
    found: dict[str, Any] = {"name": decode_name(reading.name), "ok": reading.ok}
    if not reading.ok:
        return found | {"value": None, "error": reason(reading.status)}
    values = [_plain(value) for value in reading.elements]
    found["value"] = values[0] if len(values) == 1 else values
    if as_text and reading.base == CHAR:
        found["value"] = _plain(reading.text)
    found["type"] = LAYOUTS[max(reading.native, 0)].name.removeprefix("DBR_")
    found["count"] = len(values)
    if reading.dbr_type < 7 or reading.dbr_type == CLASS_NAME:
        return found
    found |= {"status": condition(reading), "severity": severity(reading)}
    if 14 <= reading.dbr_type < 21:
        found["timestamp"] = reading.timestamp
    for name in _MEMBERS:
        if name in reading.members:
            found[name] = _plain(reading.members[name])
    if "strs" in reading.members:
        found["enum_strings"] = [_plain(state) for state in reading.states]
    return found


def reason(status: int) -> str:
    """Say why there is no value, for JSON."""
    if status == NOT_FOUND:
        return "not found"
    from cachannel.errors import describe

    return describe(status)


def decode_name(name: str) -> str:
    """Return a name of the command line as text of Channel Access.

    A name that is not valid in the encoding of the locale has surrogates in it (PEP 383), which
    no other program could read.
    """
    return name if name.isascii() else decode_text(os.fsencode(name))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return decode_text(until_nul(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
