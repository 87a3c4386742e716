"""Responses as tables, for IPython and notebooks."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any

from cachannel.client.values import string_encoding
from cachannel.protocol import text
from cachannel.protocol.channel_types import AlarmSeverity, AlarmStatus
from cachannel.protocol.dbr_types import DbrStringArray

if TYPE_CHECKING:
    from cachannel.client.responses import DataMessage

__all__ = ["html", "lines", "rows"]


def _decoded(data: bytes) -> str:
    return text.decode(text.until_nul(data), string_encoding())


def _word(kind: type[AlarmSeverity] | type[AlarmStatus], number: int) -> str:
    try:
        return kind(number).name
    except ValueError:  # no server should send it
        return str(number)


def _value(response: DataMessage, states: Any) -> str:
    metadata = response.metadata
    if isinstance(getattr(metadata, "value", None), bytes):
        return _decoded(metadata.value)
    value = response.value
    if isinstance(value, bytes):
        return _decoded(value)
    if isinstance(value, DbrStringArray):
        return str([_decoded(element) for element in value])
    if states and isinstance(value, int) and 0 <= value < len(states):
        return f"{_decoded(states[value])} ({value})"
    return str(value)


def rows(response: DataMessage) -> list[tuple[str, str]]:
    """Return the name and the text of what a response has: value, alarm, time and units.

    A refused request has its status in place of these.
    """
    if not response._record[7] & 1:
        return [("status", f"{response.status.description} ({response.status.name})")]
    metadata = response.metadata
    found = [("value", _value(response, getattr(metadata, "enum_strings", ())))]
    units = getattr(metadata, "units", b"")
    if units:
        found.append(("units", _decoded(units)))
    severity = getattr(metadata, "severity", None)
    if severity is not None:
        words = [_word(AlarmSeverity, severity)]
        if severity or metadata.status:
            words.append(_word(AlarmStatus, metadata.status))
        found.append(("alarm", ", ".join(words)))
    stamp = response.timestamp
    if stamp is not None:
        found.append(("time", datetime.fromtimestamp(stamp).astimezone().isoformat(" ")))
    kind = f"{response.data_type!s}".rpartition(".")[2]
    name = getattr(response.data_type, "name", kind)
    found.append(("type", f"{name}, {response.data_count} element(s)"))
    return found


def lines(response: DataMessage) -> str:
    """Return the rows as text in columns, below the name of the class."""
    head = type(response).__name__
    return "\n".join([head, *(f"  {name:<7}{value}" for name, value in rows(response))])


def html(response: DataMessage) -> str:
    """Return the rows as a table of HTML."""
    cells = "".join(
        f"<tr><th>{name}</th><td>{escape(value)}</td></tr>" for name, value in rows(response)
    )
    return f"<table><caption>{type(response).__name__}</caption>{cells}</table>"
