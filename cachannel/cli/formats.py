"""Values as text, exactly as EPICS base's command line tools print them."""

from __future__ import annotations

import math
import time
from typing import Any, Final

from cachannel.cli.options import Settings
from cachannel.cli.readings import (
    CHAR,
    CLASS_NAME,
    DOUBLE,
    ENUM,
    EPOCH,
    FLOAT,
    NEVER_PROCESSED,
    NOT_FOUND,
    STSACK,
    Reading,
    condition,
    severity,
    severity_name,
)
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.text import decode, encode, until_nul

__all__ = [
    "ELEMENTS_SHOWN",
    "alarm_fields",
    "escape",
    "head",
    "labelled",
    "line",
    "readable",
    "stamp_text",
    "value_text",
    "values",
    "wide",
]

NAME_WIDTH: Final = 30
ELEMENTS_SHOWN: Final = 20
"""Elements of a longer array that a terminal shows."""
_NO_READ_ACCESS: Final = 368
_TIMEOUT: Final = 80
_STATES: Final = 16
_ESCAPES: Final = {
    7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"',
    39: "\\'", 92: "\\\\",
}  # fmt: skip
_PRINTED: Final = tuple(
    _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
    for byte in range(256)
)


def escape(data: bytes) -> str:
    """Show text with C escapes for what is not printable ASCII."""
    return "".join([_PRINTED[byte] for byte in data])


def readable(data: bytes) -> str:
    """Show text as it is, with C escapes for characters that cannot be printed, and for ``\\``.

    Given to ``cachannel put``, the shown text is the same text again.
    """
    characters = decode(data)
    is_utf8 = encode(characters) == data
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else escape(encode(character) if is_utf8 else bytes([ord(character)]))
        for character in characters
    )


def shown_text(data: bytes, settings: Settings) -> str:
    """Show text as the output can: readable on a terminal with UTF-8, else as base shows it."""
    return readable(data) if settings.unicode else escape(data)


def integer(value: int, code: str) -> str:
    """Show an integer in decimal ('d'), or its 32 bits in another base ('x', 'o', 'b')."""
    if code == "d":
        return str(value)
    bits = value & 0xFFFFFFFF
    if code == "b":
        return format(bits, "b")
    return f"0x{bits:X}" if code == "x" else f"0o{bits:o}"


def floating(value: float, settings: Settings) -> str:
    """Show a floating point number as C's printf does, or rounded to an integer."""
    if settings.rounded != "d":
        if not math.isfinite(value):
            return integer(-0x80000000, settings.rounded)
        # Halves go away from zero; what is too large becomes the smallest number, as in C.
        rounded = math.trunc(value + math.copysign(0.5, value))
        if not -0x80000000 <= rounded <= 0x7FFFFFFF:
            rounded = -0x80000000
        return integer(rounded, settings.rounded)
    if math.isnan(value):
        return "-nan" if math.copysign(1.0, value) < 0 else "nan"
    return format(value, settings.floating)


def values(reading: Reading, settings: Settings, most: int | None = None) -> list[str]:
    """Show the elements one by one.

    Args:
        reading: the value.
        settings: how it is shown.
        most: show no more than the first elements, so many; all if None.
    """
    base, elements = reading.base, reading.elements[:most]
    if base in (FLOAT, DOUBLE):
        return [floating(value, settings) for value in elements]
    if not base:
        return [shown_text(value, settings) for value in elements]
    if base == CHAR:
        return [str(value) for value in elements]
    if base == ENUM:
        if "strs" in reading.members and not settings.numbers:
            states = reading.states
            return [_state(value, states, settings) for value in elements]
        return [str(value) for value in elements]
    return [integer(value, settings.integer) for value in elements]


def _state(value: int, states: list[bytes], settings: Settings) -> str:
    if value < len(states):
        return shown_text(states[value], settings)
    return f"{'Illegal Value' if value >= _STATES else 'Enum Index Overflow'} ({value})"


def head(name: str, count: int, separator: str) -> str:
    """Return the name and what parts it from the rest; arrays get no padding."""
    return (f"{name:<{NAME_WIDTH}}" if count <= 1 and separator == " " else name) + separator


def as_characters(reading: Reading, settings: Settings) -> bool:
    """Whether an array of CHAR is shown as text: by option, or on a terminal if it holds text."""
    if reading.base != CHAR:
        return False
    if settings.as_text:
        return settings.count > 0 or len(reading.elements) > 1 or settings.layout == "type"
    return settings.on_terminal and not settings.numbers and reading.holds_text


def elements_text(reading: Reading, settings: Settings, most: int = ELEMENTS_SHOWN) -> str:
    """Show the elements of a line; on a terminal only the first ones of a long array.

    Args:
        reading: the value.
        settings: how it is shown; without ``-#`` and ``--all`` a terminal shortens.
        most: elements that a terminal shows.
    """
    count, separator = len(reading.elements), settings.separator
    if not settings.on_terminal or settings.whole or settings.count or count <= most:
        return separator.join(values(reading, settings))
    settings.shortened = True
    some = [*values(reading, settings, most), "..."]
    return f"{separator.join(some)} ({count - most} more)"


def failure(reading: Reading) -> str:
    """Say why there is no value."""
    if reading.status == NOT_FOUND:
        return "*** Not connected (PV not found)"
    if reading.status == _NO_READ_ACCESS:
        return "*** no read access"
    if reading.status == _TIMEOUT:
        return "*** no data available (timeout)"
    from cachannel.errors import describe

    return f"*** CA error {describe(reading.status)}"


def value_text(reading: Reading, settings: Settings, most: int = ELEMENTS_SHOWN) -> str:
    """Return the value of a line; arrays begin with the number of elements."""
    if not reading.ok:
        return failure(reading)
    if as_characters(reading, settings):
        return shown_text(reading.text, settings)
    count = len(reading.elements)
    text = elements_text(reading, settings, most)
    if settings.count or count > 1:
        return f"{count}{settings.separator}{text}" if count else str(count)
    return text


def start_of_line(reading: Reading, settings: Settings) -> str:
    """Return the name and the separator; text on a terminal stands in the column of scalars."""
    count = len(reading.elements)
    if settings.on_terminal and as_characters(reading, settings):
        count = 1
    return head(reading.name, count, settings.separator)


def line(reading: Reading, settings: Settings) -> str:
    """Return the line ``name value``."""
    return start_of_line(reading, settings) + value_text(reading, settings)


def clock(seconds: int, nanoseconds: int) -> str:
    """Show a Unix time in local time, rounded to microseconds."""
    microseconds = (nanoseconds + 500) // 1000
    if microseconds == 1_000_000:
        microseconds = 999_999
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) + f".{microseconds:06d}"


def now() -> str:
    """Show the time of day."""
    return clock(*divmod(time.time_ns(), 1_000_000_000))


def stamp_text(reading: Reading) -> str:
    """Show the time stamp in local time."""
    if reading.stamp == NEVER_PROCESSED:
        return "<undefined>"
    return clock(EPOCH + reading.stamp[0], reading.stamp[1])


def wide(reading: Reading, settings: Settings, stamp: str | None = None) -> str:
    """Return the line with time stamp and alarm; without an alarm both its fields are empty."""
    separator = settings.separator
    start = start_of_line(reading, settings)
    if not reading.ok:
        return f"{start}{now()} {failure(reading)}"
    shown = stamp_text(reading) if stamp is None else stamp
    parts = [shown]
    if reading.elements or settings.count:
        parts.append(value_text(reading, settings))
    return start + separator.join([*parts, *alarm_fields(reading)])


def alarm_fields(reading: Reading) -> tuple[str, str]:
    """Return condition and severity for a line."""
    if reading.alarm == (0, 0):
        return "", ""
    return condition(reading), severity(reading)


_LIMITS: Final = (
    ("lower_disp_limit", "Lo disp limit"),
    ("upper_disp_limit", "Hi disp limit"),
    ("lower_alarm_limit", "Lo alarm limit"),
    ("lower_warning_limit", "Lo warn limit"),
    ("upper_warning_limit", "Hi warn limit"),
    ("upper_alarm_limit", "Hi alarm limit"),
    ("lower_ctrl_limit", "Lo ctrl limit"),
    ("upper_ctrl_limit", "Hi ctrl limit"),
)


def labelled(reading: Reading, settings: Settings) -> str:
    """Return everything that a request type brings, one labelled line each."""
    if not reading.ok:
        return f"{reading.name}\n    {failure(reading)}"
    number, members = reading.dbr_type, reading.members
    rows = [("Native data type", field_type(reading.native)), ("Request type", dbr_name(number))]
    if number == CLASS_NAME:
        rows.append(("Class Name", shown_text(reading.elements[0], settings)))
        return table(reading.name, rows)
    shown = (
        shown_text(reading.text, settings)
        if as_characters(reading, settings)
        else elements_text(reading, settings)
    )
    rows += [("Element count", str(len(reading.elements))), ("Value", shown)]
    if number >= 7:
        if 14 <= number < 21:
            rows.append(("Timestamp", stamp_text(reading)))
        rows += [("Status", condition(reading)), ("Severity", severity(reading))]
    if "units" in members:
        rows.append(("Units", _label(members["units"], settings)))
    if "precision" in members:
        rows.append(("Precision", str(members["precision"])))
    for name, label in _LIMITS:
        if name in members:
            rows.append((label, _limit(members[name], reading.base)))
    if number == STSACK:
        rows += [
            ("Ack transient?", "YES" if members["ackt"] else "NO"),
            ("Ack severity", severity_name(members["acks"])),
        ]
    text = table(reading.name, rows)
    if "strs" in members:
        text += f"\n    {'Enums:':<18}({len(reading.states):2d})"
        for index, state in enumerate(reading.states):
            text += f"\n{'':22}[{index:2d}] {_label(state, settings)}"
    return text


def _label(data: bytes, settings: Settings) -> str:
    """Show a text of the metadata, which base prints byte by byte as it is."""
    data = until_nul(data)
    # Standard output turns what is not UTF-8 into the same bytes again; see `terminal.prepare`.
    return readable(data) if settings.unicode else str(data, "utf-8", "surrogateescape")


def _limit(value: Any, base: int) -> str:
    if base in (FLOAT, DOUBLE):
        return floating(value, Settings())
    # The limits of a CHAR are bytes, which C prints with their sign.
    number = value[0] if isinstance(value, bytes) else value
    number = number - 256 if base == CHAR and number > 127 else number
    return f"{number:8d}"


def field_type(number: int) -> str:
    """Return the name of a native type."""
    return f"DBF_{LAYOUTS[number].name.removeprefix('DBR_')}"


def dbr_name(number: int) -> str:
    """Return the name of a request type."""
    return LAYOUTS[number].name


def table(name: str, rows: list[tuple[str, str]]) -> str:
    """Return a name with labelled lines below it."""
    return "\n".join([name, *(f"    {label + ':':<18}{text}" for label, text in rows)])
