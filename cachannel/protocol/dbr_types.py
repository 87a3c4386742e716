"""DBR metadata as structures, as response objects carry it, and arrays of DBR strings.

`DBR_TYPES` maps each type number to a packed big-endian `ctypes` structure: ``bytes(md)`` is its
wire form. The structures are made from `cachannel.protocol.dbr.LAYOUTS`.
"""

from __future__ import annotations

import ctypes
import logging
from collections import UserList
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Final

from .channel_types import AlarmSeverity, AlarmStatus, ChannelType
from .dbr import LAYOUTS, MAX_ENUM_STRING_SIZE, MAX_STRING_SIZE, DbrLayout
from .timestamp import TimeStamp

__all__ = ["DBR_TYPES", "DbrStringArray", "DbrTypeBase", "metadata_from"]

_log: Final = logging.getLogger("cachannel.ch")

_C_TYPES: Final = {
    "h": ctypes.c_int16,
    "H": ctypes.c_uint16,
    "B": ctypes.c_char,
    "i": ctypes.c_int32,
    "I": ctypes.c_uint32,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}


class DbrStringArray(UserList[bytes]):
    """A list of texts as bytes, each of at most 40; equal to a plain list of the same."""

    @classmethod
    def frombuffer(
        cls, buffer: bytes | memoryview, data_count: int | None = None
    ) -> DbrStringArray:
        """Return the texts of 40-byte fields, each cut at its first NUL.

        Args:
            buffer: the fields; the last one may be shorter.
            data_count: how many; as many as there are if absent.
        """
        raw = bytes(buffer)
        if data_count is None:
            data_count = -(-len(raw) // MAX_STRING_SIZE)
        return cls(
            raw[start : start + MAX_STRING_SIZE].partition(b"\0")[0]
            for start in range(0, data_count * MAX_STRING_SIZE, MAX_STRING_SIZE)
        )

    def tobytes(self) -> bytes:
        """Return fields of 40 bytes, filled with NULs."""
        return b"".join(text[:MAX_STRING_SIZE].ljust(MAX_STRING_SIZE, b"\0") for text in self)


class DbrTypeBase(ctypes.BigEndianStructure):
    """Metadata of one type. Fields that there are depend on the type.

    Attributes:
        DBR_ID: the number of the type.
        info_fields: what the repr and `to_dict` show, in order.
    """

    DBR_ID: ClassVar[ChannelType]
    info_fields: ClassVar[tuple[str, ...]]

    def to_dict(self) -> dict[str, Any]:
        """Return what there is to know, by name; alarms as enumeration members.

        A number that no member has is logged and left out.
        """
        found: dict[str, Any] = {}
        for name in self.info_fields:
            value = getattr(self, name)
            try:
                if name == "status":
                    value = AlarmStatus(value)
                elif name == "severity":
                    value = AlarmSeverity(value)
            except ValueError:
                _log.warning("%s: %s %r is not known", type(self).__name__, name, value)
                continue
            found[name] = value
        return found

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DbrTypeBase) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))


class _Stamped:
    """What structures with a time stamp have besides their fields."""

    secondsSinceEpoch: int  # noqa: N815
    nanoSeconds: int  # noqa: N815

    def __init__(self, *fields: Any, stamp: tuple[int, int] | None = None, **others: Any) -> None:
        if stamp is not None:
            others["secondsSinceEpoch"], others["nanoSeconds"] = stamp
        # The stamp is one field to users, and two here.
        super().__init__(*_flatten(fields), **others)

    @property
    def stamp(self) -> TimeStamp:
        """The time stamp."""
        return TimeStamp(self.secondsSinceEpoch, self.nanoSeconds)

    @property
    def timestamp(self) -> float:
        """The time stamp as Unix time in seconds."""
        return self.stamp.timestamp


class _Named:
    """What structures with state names have besides their fields."""

    no_str: int
    strs: bytes

    @property
    def enum_strings(self) -> tuple[bytes, ...]:
        """The names of the states."""
        raw = bytes(self.strs)
        size = MAX_ENUM_STRING_SIZE
        return tuple(
            raw[start : start + size].partition(b"\0")[0]
            for start in range(0, min(self.no_str, 16) * size, size)
        )


def _structure(layout: DbrLayout) -> type[DbrTypeBase]:
    fields: list[tuple[str, Any]] = []
    end = pads = 0

    def pad(size: int) -> None:
        nonlocal pads
        if size:
            fields.append((f"_pad{pads}", ctypes.c_char * size))
            pads += 1

    names = {"secs": "secondsSinceEpoch", "nsec": "nanoSeconds"}
    for field in layout.fields:
        pad(field.offset - end)
        if field.code.endswith("s"):
            size = int(field.code[:-1])
            # A c_char array reads as bytes up to its NUL, which is what units are.
            kind: Any = (ctypes.c_ubyte if field.name == "strs" else ctypes.c_char) * size
        else:
            kind = _C_TYPES[field.code]
            size = ctypes.sizeof(kind)
        fields.append((names.get(field.name, field.name), kind))
        end = field.offset + size
    pad(layout.value_offset - end)
    if layout.dbr_type in (ChannelType.PUT_ACKT, ChannelType.PUT_ACKS):
        fields.append(("value", ctypes.c_uint16))
    elif layout.dbr_type >= 37:
        fields.append(("value", ctypes.c_char * MAX_STRING_SIZE))
    found = [name for name, _ in fields if not name.startswith("_")]
    bases: tuple[type, ...] = (DbrTypeBase,)
    if "nanoSeconds" in found:
        bases = (_Stamped, DbrTypeBase)
        found = [name for name in found if name not in names.values()] + ["timestamp"]
    if "strs" in found:
        bases = (_Named, DbrTypeBase)
        found = [name for name in found if name not in ("no_str", "strs")] + ["enum_strings"]
    # Limits come before precision and units when a structure is shown.
    last: list[str] = [name for name in ("precision", "units") if name in found]
    found = [name for name in found if name not in last] + last
    return type(
        f"DBR_{ChannelType(layout.dbr_type).name}",
        bases,
        {
            "_pack_": 1,
            # What `_pack_` implies before Python 3.14; from there on it has to be said.
            "_layout_": "ms",
            "_fields_": fields,
            "DBR_ID": ChannelType(layout.dbr_type),
            "info_fields": tuple(found),
            "__doc__": f"Metadata of {layout.name}.",
        },
    )


def _all() -> dict[ChannelType, type[DbrTypeBase]]:
    found = {ChannelType(layout.dbr_type): _structure(layout) for layout in LAYOUTS}
    # A string has no limits: servers answer both with the alarm, as for STS_STRING.
    found[ChannelType.GR_STRING] = found[ChannelType.STS_STRING]
    found[ChannelType.CTRL_STRING] = found[ChannelType.STS_STRING]
    return found


DBR_TYPES: Final[dict[ChannelType, type[DbrTypeBase]]] = _all()
"""Type to structure."""


def _flatten(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, TimeStamp):
            yield from value
        elif isinstance(value, tuple) and not (value and isinstance(value[0], bytes | str)):
            yield from _flatten(value)
        else:
            yield value


def metadata_from(channel_type: ChannelType, value: Any) -> DbrTypeBase | None:
    """Make the metadata of a type.

    Args:
        channel_type: the type; native types and those for puts have no metadata.
        value: a structure, its bytes, a tuple of its fields, or None for zeros.

    Raises:
        ValueError: the bytes are too few, or there are more fields than the type has.
    """
    if channel_type <= 6 or channel_type in (ChannelType.PUT_ACKT, ChannelType.PUT_ACKS):
        return None
    cls = DBR_TYPES[channel_type]
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
