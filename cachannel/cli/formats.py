"""Values as text, as EPICS base's command line tools print them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cachannel.client.responses import DataMessage
from cachannel.protocol.channel_types import ChannelType, alarm_severity, alarm_status
from cachannel.protocol.dbr import LAYOUTS
from cachannel.values.decode import elements

__all__ = ["Style", "escape", "labelled", "line", "plain", "wide"]

NAME_WIDTH: Final = 30
_CHAR: Final = 4
_FLOATS: Final = (2, 6)
_ESCAPES: Final = {
    7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"',
    39: "\\'", 92: "\\\\",
}  # fmt: skip


@dataclass
class Style:
    """How values are shown.

    Attributes:
        floating: format of floating point numbers, such as ``'.3f'``.
        integer: 'd', 'X', 'o' or 'b' for integers.
        rounded: the same for floating point numbers, which are rounded then; '' for not.
        separator: between the fields of a line.
        as_text: arrays of CHAR as text.
    """

    floating: str = "g"
    integer: str = "d"
    rounded: str = ""
    separator: str = " "
    as_text: bool = False


def escape(data: bytes | str) -> str:
    """Show text with C escapes for what does not print."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return "".join(
        _ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02X}") for byte in data
    )


def _integer(value: int, code: str) -> str:
    if code == "d":
        return str(value)
    prefix = {"X": "0x", "o": "0o", "b": "0b"}[code]
    return prefix + format(value & 0xFFFFFFFF, code)


def _number(value: Any, base: int, style: Style) -> str:
    if isinstance(value, str | bytes):
        return escape(value)
    if base in _FLOATS:
        if style.rounded and math.isfinite(value):
            return _integer(round(value), style.rounded)
        return format(value, style.floating)
    return _integer(int(value), style.integer)


def listed(response: DataMessage) -> list[Any]:
    """Return the elements as a plain list, without needing NumPy."""
    if not response.data_count or response._record[7] != 1:
        return []
    value = elements(response._record, response._buffer, 0, False)
    return value if isinstance(value, list) else [value]


def plain(response: DataMessage, style: Style) -> list[str]:
    """Return the texts of the elements."""
    base = LAYOUTS[response._record[3]].base_type
    values = listed(response)
    if style.as_text and base == _CHAR:
        return [escape(bytes(v & 255 for v in values).split(b"\0")[0])]
    return [_number(value, base, style) for value in values]


def value_text(response: DataMessage, style: Style, array: bool) -> str:
    """Return the value of a line: for arrays it begins with the number of elements."""
    if response._record[7] != 1:
        if response._record[7] == 368:
            return "*** no read access"
        return f"*** CA error {response.status.description}"
    texts = plain(response, style)
    is_text = style.as_text and LAYOUTS[response._record[3]].base_type == _CHAR
    if array and not is_text:
        texts = [str(response.data_count), *texts]
    return style.separator.join(texts)


def line(name: str, response: DataMessage, style: Style, array: bool, terse: bool = False) -> str:
    """Return the line of a value: the name in 30 columns, and the value."""
    text = value_text(response, style, array)
    if terse:
        return text
    if array or style.separator != " ":
        return f"{name}{style.separator}{text}"
    return f"{name:<{NAME_WIDTH}} {text}"


def stamp_text(response: DataMessage, show: str = "%Y-%m-%d %H:%M:%S.%f") -> str:
    """Return the time stamp in local time."""
    record = response._record
    if not record[9] and not record[10]:
        return "<undefined>"
    moment = datetime.fromtimestamp(631152000 + record[9])
    return moment.replace(microsecond=record[10] // 1000).strftime(show)


def wide(
    name: str, response: DataMessage, style: Style, array: bool, stamp: str | None = None
) -> str:
    """Return the line with time stamp and alarm; both alarm fields are empty without one."""
    separator = style.separator
    head = f"{name:<{NAME_WIDTH}}" if separator == " " else name
    when = stamp_text(response) if stamp is None else stamp
    text = value_text(response, style, array)
    status, severity = alarm_names(response)
    return separator.join([head, when, text, status, severity])


def alarm_names(response: DataMessage) -> tuple[str, str]:
    """Return the names of condition and severity; empty without an alarm."""
    status, severity = response._record[4], response._record[5]
    if not status and not severity:
        return "", ""
    known_status, known_severity = alarm_status(status), alarm_severity(severity)
    shown = str(getattr(known_severity, "name", severity)).removesuffix("_ALARM")
    return getattr(known_status, "name", str(status)), shown


_LABELS: Final = (
    ("upper_disp_limit", "Hi disp limit"),
    ("lower_disp_limit", "Lo disp limit"),
    ("upper_alarm_limit", "Hi alarm limit"),
    ("upper_warning_limit", "Hi warn limit"),
    ("lower_warning_limit", "Lo warn limit"),
    ("lower_alarm_limit", "Lo alarm limit"),
    ("upper_ctrl_limit", "Hi ctrl limit"),
    ("lower_ctrl_limit", "Lo ctrl limit"),
)
_ORDER: Final = (
    "lower_disp_limit", "upper_disp_limit", "lower_alarm_limit", "lower_warning_limit",
    "upper_warning_limit", "upper_alarm_limit", "lower_ctrl_limit", "upper_ctrl_limit",
)  # fmt: skip


def _dbr_name(number: int) -> str:
    return LAYOUTS[number].name


def labelled(name: str, native: int, response: DataMessage, style: Style) -> str:
    """Return everything that a request type brings, one labelled line each."""
    record = response._record
    number = record[3]
    rows: list[tuple[str, str]] = [
        ("Native data type", f"DBF_{LAYOUTS[native].name.removeprefix('DBR_')}"),
        ("Request type", _dbr_name(number)),
    ]
    metadata = response.metadata
    if number == ChannelType.CLASS_NAME:
        rows.append(("Class Name", escape(metadata.value)))
        return _rows(name, rows)
    rows.append(("Element count", str(response.data_count)))
    if number == ChannelType.STSACK_STRING:
        rows.append(("Value", escape(metadata.value)))
    else:
        rows.append(("Value", style.separator.join(plain(response, style))))
    if number < 7:
        return _rows(name, rows)
    if 14 <= number < 21:
        rows.append(("Timestamp", stamp_text(response)))
    rows.append(("Status", getattr(alarm_status(record[4]), "name", str(record[4]))))
    severity = str(getattr(alarm_severity(record[5]), "name", record[5]))
    rows.append(
        ("Severity", severity if severity == "NO_ALARM" else severity.removesuffix("_ALARM"))
    )
    fields = {name for name, _ in type(metadata)._fields_}
    base = LAYOUTS[number].base_type
    if "units" in fields:
        rows.append(("Units", escape(metadata.units)))
    if "precision" in fields:
        rows.append(("Precision", str(metadata.precision)))
    labels = dict(_LABELS)
    for field in _ORDER:
        if field in fields:
            limit = getattr(metadata, field)
            limit = limit[0] if isinstance(limit, bytes) else limit
            rows.append((labels[field], _number(limit, base, style)))
    if "ackt" in fields:
        severity = str(getattr(alarm_severity(metadata.acks), "name", metadata.acks))
        rows.append(("Ack transient?", "YES" if metadata.ackt else "NO"))
        rows.append(("Ack severity", severity))
    text = _rows(name, rows)
    if "strs" in fields:
        states = metadata.enum_strings
        text += f"\n    {'Enums:':<18}({len(states):2d})"
        for index, state in enumerate(states):
            text += f"\n{'':22}[{index:2d}] {escape(state)}"
    return text


def _rows(name: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([name, *(f"    {label + ':':<18}{text}" for label, text in rows)])


def as_json(name: str, response: DataMessage) -> dict[str, Any]:
    """Return a value with all that came with it, for JSON."""
    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in listed(response)]
    values = [None if isinstance(v, float) and not math.isfinite(v) else v for v in values]
    found: dict[str, Any] = {
        "name": name,
        "value": values[0] if len(values) == 1 else values,
        "type": response.data_type.name,
        "count": response.data_count,
        "ok": response._record[7] == 1,
    }
    if response._record[7] != 1:
        found["error"] = response.status.description
    metadata = response.metadata
    if metadata is not None and response._record[7] == 1:
        for key, value in metadata.to_dict().items():
            found[key] = _plain_json(value)
    return found


def _plain_json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, tuple):
        return [_plain_json(item) for item in value]
    name: str | None = getattr(value, "name", None)
    return name if name is not None else value


Printer = Callable[[str], None]
