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
    STSACK,
    Reading,
    condition,
    severity,
    severity_name,
)
from cachannel.protocol.dbr import LAYOUTS

__all__ = ["alarm_fields", "escape", "head", "labelled", "line", "stamp_text", "values", "wide"]

NAME_WIDTH: Final = 30
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


def values(reading: Reading, settings: Settings) -> list[str]:
    """Show the elements one by one."""
    base, elements = reading.base, reading.elements
    if base in (FLOAT, DOUBLE):
        return [floating(value, settings) for value in elements]
    if not base:
        return [escape(value) for value in elements]
    if base == CHAR:
        return [str(value) for value in elements]
    if base == ENUM:
        if "strs" in reading.members and not settings.numbers:
            states = reading.states
            return [_state(value, states) for value in elements]
        return [str(value) for value in elements]
    return [integer(value, settings.integer) for value in elements]


def _state(value: int, states: list[bytes]) -> str:
    if value < len(states):
        return escape(states[value])
    return f"{'Illegal Value' if value >= _STATES else 'Enum Index Overflow'} ({value})"


def head(name: str, count: int, separator: str) -> str:
    """Return the name and what parts it from the rest; arrays get no padding."""
    return (f"{name:<{NAME_WIDTH}}" if count <= 1 and separator == " " else name) + separator


def failure(reading: Reading) -> str:
    """Say why there is no value."""
    if reading.status == _NO_READ_ACCESS:
        return "*** no read access"
    if reading.status == _TIMEOUT:
        return "*** no data available (timeout)"
    from cachannel.errors import describe

    return f"*** CA error {describe(reading.status)}"


def value_text(reading: Reading, settings: Settings) -> str:
    """Return the value of a line; arrays begin with the number of elements."""
    if not reading.ok:
        return failure(reading)
    count, separator = len(reading.elements), settings.separator
    counted = settings.count or count > 1
    if counted and settings.as_text and reading.base == CHAR:
        return escape(reading.text)
    texts = values(reading, settings)
    if counted:
        texts = [str(count), *texts]
    return separator.join(texts)


def line(reading: Reading, settings: Settings) -> str:
    """Return the line ``name value``."""
    text = value_text(reading, settings)
    return head(reading.name, len(reading.elements), settings.separator) + text


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
    if reading.stamp == (0, 0):
        return "<undefined>"
    return clock(EPOCH + reading.stamp[0], reading.stamp[1])


def wide(reading: Reading, settings: Settings, stamp: str | None = None) -> str:
    """Return the line with time stamp and alarm; without an alarm both its fields are empty."""
    separator = settings.separator
    start = head(reading.name, len(reading.elements), separator)
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
        rows.append(("Class Name", escape(reading.elements[0])))
        return table(reading.name, rows)
    shown = settings.separator.join(values(reading, settings))
    if settings.as_text and reading.base == CHAR:
        shown = escape(reading.text)
    rows += [("Element count", str(len(reading.elements))), ("Value", shown)]
    if number >= 7:
        if 14 <= number < 21:
            rows.append(("Timestamp", stamp_text(reading)))
        rows += [("Status", condition(reading)), ("Severity", severity(reading))]
    if "units" in members:
        rows.append(("Units", _text(members["units"])))
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
            text += f"\n{'':22}[{index:2d}] {state.decode('utf-8', 'surrogateescape')}"
    return text


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("utf-8", "surrogateescape")


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
