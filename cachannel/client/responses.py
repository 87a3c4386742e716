"""The answers of a server, as users get them.

A response keeps the record of the event queue and a copy of its data; `data`, `metadata`,
`status` and the wire form are made when they are asked for. So a response that nobody looks into
costs next to nothing, which matters at 50,000 updates a second.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Iterable
from struct import Struct
from typing import Any, ClassVar, Final, Self

from cachannel.client.headers import ExtendedMessageHeader, MessageHeader, header_of
from cachannel.protocol.channel_types import ChannelType
from cachannel.protocol.dbr import LAYOUTS, MAX_STRING_SIZE
from cachannel.protocol.dbr_types import (
    DBR_TYPES,
    DbrStringArray,
    DbrTypeBase,
    metadata_from,
)
from cachannel.protocol.status_codes import CAStatus, CAStatusCode, ca_status
from cachannel.values.decode import Record

__all__ = [
    "ErrorResponse",
    "EventAddResponse",
    "Message",
    "ReadNotifyResponse",
    "ReadResponse",
    "WriteNotifyResponse",
]

CHANNEL_TYPES: Final = tuple(ChannelType)

_IN_RECORD: Final = 1
_COPIED: Final = 2
_WHOLE: Final = (ChannelType.STSACK_STRING, ChannelType.CLASS_NAME)
_SCALARS: Final = tuple(Struct("=" + code) for code in ("40s", "h", "f", "H", "B", "i", "d"))
_ECA_NORMAL: Final = 1


def status_code(status: Any) -> int:
    """Take a status as its number, tuple or enumeration member."""
    if isinstance(status, CAStatus):
        status = status.value
    return status.code_with_severity if isinstance(status, CAStatusCode) else int(status)


class Message:
    """What all messages have: a header, buffers, and the bytes on the wire."""

    __slots__ = ("__weakref__",)

    ID: ClassVar[int] = 0
    _parameters: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        names = list(inspect.signature(cls.__init__).parameters)[1:]
        cls._parameters = tuple(names)

    @property
    def header(self) -> MessageHeader | ExtendedMessageHeader:
        """The header, a big-endian structure."""
        raise NotImplementedError

    @property
    def buffers(self) -> tuple[Any, ...]:
        """The parts of the payload as they travel, without padding."""
        return ()

    @property
    def payload_size(self) -> int:
        """Bytes of the payload with its padding."""
        return int(self.header.payload_size)

    @property
    def nbytes(self) -> int:
        """Bytes of header and buffers, without padding."""
        header = len(bytes(self.header))
        return header + sum(memoryview(part).nbytes for part in self.buffers)

    @property
    def sender_address(self) -> tuple[str, int] | None:
        """Where a datagram came from; None for messages of a circuit."""
        return None

    def __len__(self) -> int:
        return self.nbytes

    def __bytes__(self) -> bytes:
        head = bytes(self.header)
        body = b"".join(bytes(part) for part in self.buffers)
        return head + body + bytes(self.payload_size - len(body))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __repr__(self) -> str:
        parts = []
        for name in self._parameters:
            try:
                parts.append(f"{name}={getattr(self, name)!r}")
            except Exception as exc:
                parts.append(f"{name}=(repr: {exc})")
        return f"{type(self).__name__}({', '.join(parts)})"


def _numbers(data: Any, dtype: str) -> Any:
    import numpy as np

    if isinstance(data, bytes | bytearray | memoryview):
        return np.frombuffer(data, ">" + dtype).astype(dtype)
    if isinstance(data, Iterable):
        return np.asarray(data if hasattr(data, "__len__") else list(data)).astype(dtype).ravel()
    return np.array([data], dtype)


_dtypes: dict[int, Any] = {}
_new_array: Any = None


def _first_array(number: int) -> Any:
    """Make an array for one number, and be quicker with the next one of its type."""
    global _new_array
    import numpy as np

    _new_array = np.empty
    _dtypes[number] = np.dtype(LAYOUTS[number].dtype)
    return _new_array(1, _dtypes[number])


def _given(
    data: Any, data_type: Any, data_count: int, status: int, metadata: Any
) -> tuple[Record, bytearray]:
    """Make the record and the native DBR structure of data that a user brings."""
    channel_type = ChannelType(data_type)
    layout = LAYOUTS[channel_type]
    struct = metadata_from(channel_type, metadata)
    head = b"" if struct is None else bytes(struct)
    alarm, severity, seconds, nanoseconds = 0, 0, 0, 0
    if struct is not None and channel_type not in _WHOLE:
        head = layout.native.pack(*layout.wire.unpack(head))
        alarm, severity = struct.status, struct.severity
        seconds = getattr(struct, "secondsSinceEpoch", 0)
        nanoseconds = getattr(struct, "nanoSeconds", 0)
    elif channel_type == ChannelType.STSACK_STRING:
        head = Struct("=4H").pack(*Struct(">4H").unpack(head[:8])) + head[8:]
    body = b""
    if channel_type not in _WHOLE:
        if layout.base_type == 0:
            strings = data if not isinstance(data, bytes | bytearray | memoryview) else None
            body = bytes(data) if strings is None else DbrStringArray(strings).tobytes()
            body = body.ljust(MAX_STRING_SIZE * data_count, b"\0")
        else:
            body = _numbers(data, layout.dtype.lstrip("=")).tobytes()
    buffer = bytearray(head + body)
    record = (
        0, 0, _COPIED, int(channel_type), alarm, severity, 0, status, int(data_count), seconds,
        nanoseconds, len(buffer), 0.0, 0,
    )  # fmt: skip
    return record, buffer


class DataMessage(Message):
    """A message that carries a value."""

    __slots__ = ("_buffer", "_data", "_ident", "_metadata", "_record")

    _buffer: Any
    _record: Record
    _ident: int
    _data: Any
    _metadata: DbrTypeBase | None

    @classmethod
    def from_record(cls, record: Record, buffer: Any, ident: int) -> Self:
        """Make a response of an event; `buffer` starts with the data and belongs to it."""
        self = cls.__new__(cls)
        self._record = record
        self._buffer = buffer
        self._ident = ident
        self._data = None
        return self

    def _take(
        self, data: Any, data_type: Any, data_count: int, status: int, ident: int, metadata: Any
    ) -> None:
        self._record, self._buffer = _given(data, data_type, data_count, status, metadata)
        self._ident = int(ident)
        self._data = None

    @property
    def data_type(self) -> ChannelType:
        """The type of the value."""
        return CHANNEL_TYPES[self._record[3]]

    @property
    def data_count(self) -> int:
        """The number of elements."""
        count: int = self._record[8]
        return count

    @property
    def status(self) -> CAStatusCode:
        """What the server says about the request."""
        return ca_status(self._record[7])

    @property
    def data(self) -> Any:
        """The elements: a one-dimensional array, or a `DbrStringArray`.

        Numbers are in the byte order of the machine. The array is the caller's to keep and to
        write to; it is the same one at each access.
        """
        data = self._data
        if data is None:
            record = self._record
            if record[2] == _IN_RECORD:
                # Only numbers are in the record itself. Most responses are one number.
                try:
                    data = _new_array(1, _dtypes[record[3]])
                except KeyError:
                    data = _first_array(record[3])
                data[0] = record[12]
            else:
                data = self._make_data()
            self._data = data
        return data

    def _make_data(self) -> Any:
        record = self._record
        layout = LAYOUTS[record[3]]
        if layout.base_type == 0:
            if record[3] in _WHOLE or not record[8]:
                return self._empty("u1") if record[3] in _WHOLE else DbrStringArray()
            return DbrStringArray.frombuffer(
                self._buffer[layout.value_offset : layout.value_offset + 40 * record[8]], record[8]
            )
        import numpy as np

        if not record[8] or self._buffer is None:
            return self._empty(layout.dtype)
        return np.frombuffer(self._buffer, layout.dtype, record[8], layout.value_offset)

    @staticmethod
    def _empty(dtype: str) -> Any:
        import numpy as np

        return np.empty(0, dtype)

    @property
    def metadata(self) -> Any:
        """Alarm, time stamp, limits...: what the type has besides data; None for native types."""
        if self._record[3] < 7 or self._record[3] in (35, 36):
            return None
        try:
            return self._metadata
        except AttributeError:
            self._metadata = self._make_metadata()
        return self._metadata

    def _make_metadata(self) -> DbrTypeBase:
        record = self._record
        number = record[3]
        cls = DBR_TYPES[CHANNEL_TYPES[number]]
        layout = LAYOUTS[number]
        if record[2] == _IN_RECORD:
            fields = (record[4], record[5]) if number < 14 else (*record[4:6], *record[9:11])
            return cls.from_buffer_copy(layout.wire.pack(*fields))
        if self._buffer is None:
            return cls()
        if number in _WHOLE:
            head = layout.wire.pack(*layout.native.unpack_from(self._buffer))
            text = bytes(self._buffer[layout.value_offset : layout.value_offset + 40])
            return cls.from_buffer_copy(head + text.ljust(40, b"\0"))
        return cls.from_buffer_copy(layout.wire.pack(*layout.native.unpack_from(self._buffer)))

    @property
    def timestamp(self) -> float | None:
        """Unix time in seconds of a TIME type, without building `metadata`; None without one."""
        record = self._record
        if not 14 <= record[3] < 21:
            return None
        return 631152000 + record[9] + record[10] // 1000 * 1e-6  # type: ignore[no-any-return]

    @property
    def value(self) -> Any:
        """The data as Python likes it: one number or bytes when there is one, else `data`."""
        record = self._record
        if record[2] == _IN_RECORD:
            value = record[12]
            return value if record[3] % 7 in (2, 6) else int(value)
        data = self.data
        if len(data) != 1:
            return data
        return data[0] if isinstance(data, DbrStringArray) else data[0].item()

    @property
    def buffers(self) -> tuple[Any, ...]:
        """Metadata and data as they travel, big-endian and without padding."""
        record = self._record
        layout = LAYOUTS[record[3]]
        metadata = self.metadata
        head: Any = b"" if metadata is None else metadata
        if record[3] in _WHOLE:
            # The metadata has the first text; an array of a STSACK_STRING goes on after it.
            rest = b"" if self._buffer is None else bytes(self._buffer[48 : 8 + 40 * record[8]])
            return (head if record[8] else b"", memoryview(rest))
        if not record[8]:
            return (head if record[7] == _ECA_NORMAL else b"", memoryview(b""))
        if layout.base_type == 0:
            start = layout.value_offset
            body = bytes(self._buffer[start : start + 40 * record[8]])
            return (head, memoryview(body.ljust(40 * record[8], b"\0")))
        data = self.data
        if sys.byteorder == "little" and data.itemsize > 1:
            data = data.byteswap()
        return (head, memoryview(data.tobytes()))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show a table in IPython; `repr` is that of caproto."""
        from cachannel.client.shown import lines

        printer.text(lines(self))

    def _repr_html_(self) -> str:
        """Show a table in notebooks."""
        from cachannel.client.shown import html

        return html(self)

    @property
    def _parameter1(self) -> int:
        status: int = self._record[7]
        return status

    @property
    def header(self) -> MessageHeader | ExtendedMessageHeader:
        """The header, a big-endian structure."""
        size = sum(len(bytes(part)) for part in self.buffers)
        return header_of(
            self.ID, size, self._record[3], self._record[8], self._parameter1, self._ident
        )


class ReadNotifyResponse(DataMessage):
    """The answer to a read."""

    __slots__ = ()
    ID = 15

    def __init__(
        self, data: Any, data_type: Any, data_count: int, status: Any, ioid: int, *,
        metadata: Any = None,
    ) -> None:  # fmt: skip
        self._take(data, data_type, data_count, status_code(status), ioid, metadata)

    @property
    def ioid(self) -> int:
        """The number of the request on its circuit."""
        return self._ident


class EventAddResponse(DataMessage):
    """An update of a subscription."""

    __slots__ = ()
    ID = 1

    def __init__(
        self, data: Any, data_type: Any, data_count: int, status: Any, subscriptionid: int, *,
        metadata: Any = None,
    ) -> None:  # fmt: skip
        self._take(data, data_type, data_count, status_code(status), subscriptionid, metadata)

    @property
    def subscriptionid(self) -> int:
        """The number of the subscription on its circuit."""
        return self._ident


class ReadResponse(DataMessage):
    """The answer to a read without status: an old message that servers have given up."""

    __slots__ = ("_sid",)
    ID = 3

    def __init__(
        self, data: Any, data_type: Any, data_count: int, sid: int, ioid: int, *,
        metadata: Any = None,
    ) -> None:  # fmt: skip
        warnings.warn("ReadResponse is deprecated; read with notify=True", stacklevel=2)
        self._take(data, data_type, data_count, _ECA_NORMAL, ioid, metadata)
        self._sid = int(sid)

    @classmethod
    def of(cls, response: DataMessage, sid: int) -> ReadResponse:
        """Show the answer to a modern read as an old one."""
        warnings.warn("reads with notify=False are deprecated", stacklevel=4)
        self = cls.from_record(response._record, response._buffer, response._ident)
        self._sid = sid
        return self

    @property
    def status(self) -> CAStatusCode:
        """An old answer has none.

        Raises:
            AttributeError: always.
        """
        message = "a ReadResponse has no status"
        raise AttributeError(message)

    @property
    def data_type(self) -> int:  # type: ignore[override]  # the original's are like that
        """The type of the value, a plain number."""
        number: int = self._record[3]
        return number

    @property
    def sid(self) -> int:
        """The server's number of the channel."""
        return self._sid

    @property
    def ioid(self) -> int:
        """The number of the request on its circuit."""
        return self._ident

    @property
    def _parameter1(self) -> int:
        return self._sid


class WriteNotifyResponse(Message):
    """The answer to a write whose completion was asked for."""

    __slots__ = ("_count", "_ident", "_status", "_type")
    ID = 19

    def __init__(self, data_type: Any, data_count: int, status: Any, ioid: int) -> None:
        self._type = int(data_type)
        self._count = int(data_count)
        self._status = status_code(status)
        self._ident = int(ioid)

    @property
    def data_type(self) -> ChannelType:
        """The type that was written."""
        return ChannelType(self._type)

    @property
    def data_count(self) -> int:
        """The number of elements that were written."""
        return self._count

    @property
    def status(self) -> CAStatusCode:
        """What the server says about the request."""
        return ca_status(self._status)

    @property
    def ioid(self) -> int:
        """The number of the request on its circuit."""
        return self._ident

    @property
    def header(self) -> MessageHeader | ExtendedMessageHeader:
        """The header, a big-endian structure."""
        return header_of(self.ID, 0, self._type, self._count, self._status, self._ident)


class ErrorResponse(Message):
    """A server's refusal of a request, with a text."""

    __slots__ = ("_cid", "_message", "_request", "_status")
    ID = 11

    def __init__(
        self, original_request: Any, cid: int, status: Any, error_message: str | bytes
    ) -> None:
        self._request = bytes(getattr(original_request, "header", original_request))
        self._cid = int(cid)
        self._status = status_code(status)
        text = error_message.encode() if isinstance(error_message, str) else bytes(error_message)
        text = text.rstrip(b"\0") + b"\0"
        self._message = text + bytes(-(len(self._request) + len(text)) % 8)

    @property
    def original_request(self) -> MessageHeader | ExtendedMessageHeader:
        """The header of what was refused."""
        cls = ExtendedMessageHeader if len(self._request) > 16 else MessageHeader
        return cls.from_buffer_copy(self._request)

    @property
    def cid(self) -> int:
        """The client's number of the channel."""
        return self._cid

    @property
    def status(self) -> CAStatusCode:
        """Why."""
        return ca_status(self._status)

    @property
    def error_message(self) -> bytearray:
        """The text, filled up with NULs as it travels."""
        return bytearray(self._message)

    @property
    def buffers(self) -> tuple[Any, ...]:
        """The header of the request, and the text."""
        return (self._request, self._message)

    @property
    def header(self) -> MessageHeader | ExtendedMessageHeader:
        """The header, a big-endian structure."""
        size = len(self._request) + len(self._message)
        return header_of(self.ID, size, 0, 0, self._cid, self._status)
