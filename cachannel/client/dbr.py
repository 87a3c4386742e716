"""The DBR metadata as structures that users look at, and lists of strings.

The classes are made from the one table of layouts. Their bytes are those of the wire.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from cachannel.protocol.channel_types import (
    AlarmSeverity,
    AlarmStatus,
    ChannelType,
)
from cachannel.protocol.dbr import LAYOUTS, MAX_STRING_SIZE, DbrLayout
from cachannel.protocol.timestamp import TimeStamp

__all__ = ["DBR_TYPES", "DbrStringArray", "DbrTypeBase", "metadata_from"]

logger = logging.getLogger("cachannel.ch")

_LIMITS: Final = (
    "upper_disp_limit",
    "lower_disp_limit",
    "upper_alarm_limit",
    "upper_warning_limit",
    "lower_warning_limit",
    "lower_alarm_limit",
    "upper_ctrl_limit",
    "lower_ctrl_limit",
)
_CODES: Final[dict[str, Any]] = {
    "h": ctypes.c_int16,
    "H": ctypes.c_uint16,
    "I": ctypes.c_uint32,
    "f": ctypes.c_float,
    "i": ctypes.c_int32,
    "d": ctypes.c_double,
    # One character; ctypes has no unsigned number that prints as one.
    "B": ctypes.c_char,
}


class DbrTypeBase(ctypes.BigEndianStructure):
    """The metadata of one value, as it travels.

    Attributes:
        DBR_ID: the `ChannelType` of the class.
        info_fields: what the repr and `to_dict` show, in order.
    """

    DBR_ID: ClassVar[ChannelType]
    info_fields: ClassVar[tuple[str, ...]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what there is to know, by name; alarms as enumeration members.

        A number that no member has is logged and left out.
        """
        result: dict[str, Any] = {}
        for name in self.info_fields:
            value = getattr(self, name)
            try:
                if name == "status":
                    value = AlarmStatus(value)
                elif name == "severity":
                    value = AlarmSeverity(value)
            except ValueError:
                logger.warning("%s: %s %r is not known", type(self).__name__, name, value)
                continue
            result[name] = value
        return result

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DbrTypeBase) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))


class _Timed(DbrTypeBase):
    @property
    def stamp(self) -> TimeStamp:
        """The time stamp as a pair."""
        return TimeStamp(self.secondsSinceEpoch, self.nanoSeconds)

    @property
    def timestamp(self) -> float:
        """Unix time in seconds, cut to whole microseconds."""
        return self.stamp.timestamp


class _Enumerated(DbrTypeBase):
    @property
    def enum_strings(self) -> tuple[bytes, ...]:
        """The names of the states."""
        return tuple(self.strs[i].value for i in range(max(0, min(self.no_str, 16))))


def _ctype(name: str, code: str) -> Any:
    if name == "strs":
        return (ctypes.c_char * 26) * 16
    return ctypes.c_char * int(code[:-1]) if code.endswith("s") else _CODES[code]


_NAMES: Final = {"secs": "secondsSinceEpoch", "nsec": "nanoSeconds"}


def _class(channel_type: ChannelType, layout: DbrLayout) -> type[DbrTypeBase]:
    fields: list[tuple[str, Any]] = []
    offset = pads = 0
    for field in layout.fields:
        if field.offset > offset:
            fields.append((f"_pad{pads}", ctypes.c_char * (field.offset - offset)))
            pads += 1
        ctype = _ctype(field.name, field.code)
        fields.append((_NAMES.get(field.name, field.name), ctype))
        offset = field.offset + ctypes.sizeof(ctype)
    names = [field.name for field in layout.fields]
    if channel_type in (ChannelType.STSACK_STRING, ChannelType.CLASS_NAME):
        fields.append(("value", ctypes.c_char * MAX_STRING_SIZE))
        names.append("value")
    elif layout.value_offset > offset:
        fields.append((f"_pad{pads}", ctypes.c_char * (layout.value_offset - offset)))
    base = DbrTypeBase
    info = [n for n in names if n not in ("precision", "units", "no_str", "strs", *_NAMES)]
    if "secs" in names:
        base = _Timed
        info.append("timestamp")
    elif "strs" in names:
        base = _Enumerated
        info.append("enum_strings")
    info += [n for n in ("precision", "units") if n in names]
    members = {
        "__module__": __name__,
        "__doc__": f"The metadata of {channel_type.name}.",
        "DBR_ID": channel_type,
        "info_fields": tuple(info),
        "_pack_": 1,
        "_layout_": "ms",
        "_fields_": fields,
    }
    return type(f"DBR_{channel_type.name}", (base,), members)


# GR_STRING and CTRL_STRING have nothing to show, and do not exist as classes.
DBR_TYPES: Final[dict[ChannelType, type[DbrTypeBase]]] = {
    t: _class(t, LAYOUTS[t])
    for t in ChannelType
    if t >= 7 and t not in (21, 28, ChannelType.PUT_ACKT, ChannelType.PUT_ACKS)
}
"""The metadata class of each type that has metadata."""

globals().update({c.__name__: c for c in DBR_TYPES.values()})
__all__ += [c.__name__ for c in DBR_TYPES.values()]


def _flatten(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, tuple) and not (value and isinstance(value[0], bytes | str)):
            yield from _flatten(value)
        else:
            yield value


def metadata_from(channel_type: ChannelType, value: Any) -> DbrTypeBase | None:
    """Make the metadata of a type.

    Args:
        channel_type: the type; native types have no metadata.
        value: a structure, its bytes, a tuple of its fields, or None for zeros.

    Raises:
        ValueError: the bytes are too few, or there are more fields than the type has.
    """
    cls = DBR_TYPES.get(channel_type)
    if cls is None:
        return None
    if value is None:
        return cls()
    if isinstance(value, ctypes.BigEndianStructure | bytes | bytearray | memoryview):
        return cls.from_buffer_copy(bytes(value))
    names = [name for name, _ in cls._fields_ if not name.startswith("_pad")]  # type: ignore[misc]
    values = list(_flatten(value))
    if len(values) > len(names):
        message = f"{cls.__name__} has {len(names)} fields, not {len(values)}"
        raise ValueError(message)
    result = cls()
    for name, item in zip(names, values, strict=False):
        setattr(result, name, item)
    return result


class DbrStringArray(list[bytes]):
    """Strings of a value, each without what follows its first NUL."""

    @classmethod
    def frombuffer(cls, data: bytes | memoryview, data_count: int | None = None) -> DbrStringArray:
        """Cut a payload into strings of 40 bytes.

        Args:
            data: the payload; the last string may be shorter.
            data_count: at most so many.
        """
        data = bytes(data)
        count = -(-len(data) // MAX_STRING_SIZE) if data_count is None else data_count
        size = MAX_STRING_SIZE
        return cls(data[i * size : i * size + size].split(b"\0", 1)[0] for i in range(count))

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return type(self)(found) if isinstance(index, slice) else found

    def tobytes(self) -> bytes:
        """Return the wire form: 40 bytes for each string."""
        return b"".join(s[:MAX_STRING_SIZE].ljust(MAX_STRING_SIZE, b"\0") for s in self)
