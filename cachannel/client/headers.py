"""The headers of messages as structures that users look at."""

from __future__ import annotations

import ctypes
from typing import Any, ClassVar

__all__ = ["ExtendedMessageHeader", "MessageHeader", "header_of"]


class _Header(ctypes.BigEndianStructure):
    _shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Header) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))


class MessageHeader(_Header):
    """The 16 bytes before a payload."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_: ClassVar[Any] = [
        ("command", ctypes.c_uint16),
        ("payload_size", ctypes.c_uint16),
        ("data_type", ctypes.c_uint16),
        ("data_count", ctypes.c_uint16),
        ("parameter1", ctypes.c_uint32),
        ("parameter2", ctypes.c_uint32),
    ]
    _shown = (
        "command", "payload_size", "data_type", "data_count", "parameter1", "parameter2",
    )  # fmt: skip


class ExtendedMessageHeader(_Header):
    """The 24 bytes before a payload whose size or count does not fit 16 bits."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_: ClassVar[Any] = [
        ("command", ctypes.c_uint16),
        ("marker1", ctypes.c_uint16),
        ("data_type", ctypes.c_uint16),
        ("marker2", ctypes.c_uint16),
        ("parameter1", ctypes.c_uint32),
        ("parameter2", ctypes.c_uint32),
        ("payload_size", ctypes.c_uint32),
        ("data_count", ctypes.c_uint32),
    ]
    _shown = (
        "command", "marker1", "data_type", "marker2", "parameter1", "parameter2",
        "payload_size", "data_count",
    )  # fmt: skip

    def __init__(
        self, command: int, payload_size: int, data_type: int, data_count: int,
        parameter1: int, parameter2: int,
    ) -> None:  # fmt: skip
        super().__init__(
            command, 0xFFFF, data_type, 0, parameter1, parameter2, payload_size, data_count
        )


def header_of(
    command: int, size: int, data_type: int, count: int, parameter1: int, parameter2: int
) -> MessageHeader | ExtendedMessageHeader:
    """Make the header that a payload needs; `size` is rounded up to a multiple of 8."""
    size += -size % 8
    if size >= 0xFFFF or count >= 0xFFFF:
        return ExtendedMessageHeader(command, size, data_type, count, parameter1, parameter2)
    return MessageHeader(command, size, data_type, count, parameter1, parameter2)
