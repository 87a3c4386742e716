"""The messages that a client sends, as objects that programs may build and look at."""

from __future__ import annotations

from typing import Any

from cachannel.client.headers import ExtendedMessageHeader, MessageHeader, header_of
from cachannel.client.responses import Message, ReadNotifyResponse

__all__ = [
    "EchoRequest",
    "EventAddRequest",
    "EventCancelRequest",
    "EventsOffRequest",
    "EventsOnRequest",
    "ReadNotifyRequest",
    "ReadRequest",
    "WriteNotifyRequest",
    "WriteRequest",
]


class _Request(Message):
    __slots__ = ("_fields", "_payload")

    _fields: tuple[int, int, int, int]
    _payload: tuple[Any, ...]

    def _set(
        self, data_type: int = 0, count: int = 0, parameter1: int = 0, parameter2: int = 0,
        payload: tuple[Any, ...] = (),
    ) -> None:  # fmt: skip
        self._fields = (int(data_type), int(count), int(parameter1), int(parameter2))
        self._payload = payload

    @property
    def buffers(self) -> tuple[Any, ...]:
        """The parts of the payload as they travel, without padding."""
        return self._payload

    @property
    def header(self) -> MessageHeader | ExtendedMessageHeader:
        """The header, a big-endian structure."""
        size = sum(len(bytes(part)) for part in self._payload)
        return header_of(self.ID, size, *self._fields)

    @property
    def data_type(self) -> int:
        """The type that is asked for or sent."""
        return self._fields[0]

    @property
    def data_count(self) -> int:
        """The number of elements that is asked for or sent."""
        return self._fields[1]

    @property
    def sid(self) -> int:
        """The server's number of the channel."""
        return self._fields[2]

    @property
    def ioid(self) -> int:
        """The number of the request on its circuit."""
        return self._fields[3]

    @property
    def subscriptionid(self) -> int:
        """The number of the subscription on its circuit."""
        return self._fields[3]


class ReadNotifyRequest(_Request):
    """A read."""

    ID = 15

    def __init__(self, data_type: int, data_count: int, sid: int, ioid: int) -> None:
        self._set(data_type, data_count, sid, ioid)


class ReadRequest(_Request):
    """A read in the old way."""

    ID = 3

    def __init__(self, data_type: int, data_count: int, sid: int, ioid: int) -> None:
        self._set(data_type, data_count, sid, ioid)


class _Write(_Request):
    __slots__ = ("_value",)

    _value: ReadNotifyResponse

    def _give(
        self, data: Any, data_type: int, data_count: int, sid: int, ioid: int, metadata: Any
    ) -> None:
        self._value = ReadNotifyResponse(data, data_type, data_count, 1, ioid, metadata=metadata)
        self._set(data_type, data_count, sid, ioid, self._value.buffers)

    @property
    def data(self) -> Any:
        """What is written."""
        return self._value.data

    @property
    def metadata(self) -> Any:
        """What is written besides the data; no server looks at it."""
        return self._value.metadata


class WriteNotifyRequest(_Write):
    """A write whose completion is asked for."""

    ID = 19

    def __init__(
        self, data: Any, data_type: int, data_count: int, sid: int, ioid: int, *,
        metadata: Any = None,
    ) -> None:  # fmt: skip
        self._give(data, data_type, data_count, sid, ioid, metadata)


class WriteRequest(_Write):
    """A write without an answer."""

    ID = 4

    def __init__(
        self, data: Any, data_type: int, data_count: int, sid: int, ioid: int, *,
        metadata: Any = None,
    ) -> None:  # fmt: skip
        self._give(data, data_type, data_count, sid, ioid, metadata)


class EventAddRequest(_Request):
    """The beginning of a subscription."""

    __slots__ = ("high", "low", "mask", "to")

    ID = 1

    def __init__(
        self, data_type: int, data_count: int, sid: int, subscriptionid: int, low: float,
        high: float, to: float, mask: int,
    ) -> None:  # fmt: skip
        from struct import pack

        self.low, self.high, self.to, self.mask = low, high, to, mask
        payload = pack(">fffHxx", low, high, to, int(mask))
        self._set(data_type, data_count, sid, subscriptionid, (payload,))


class EventCancelRequest(_Request):
    """The end of a subscription."""

    ID = 2

    def __init__(self, data_type: int, sid: int, subscriptionid: int) -> None:
        self._set(data_type, 0, sid, subscriptionid)


class EventsOffRequest(_Request):
    """Stop all updates of a circuit."""

    ID = 8

    def __init__(self) -> None:
        self._set()


class EventsOnRequest(_Request):
    """Go on with the updates of a circuit."""

    ID = 9

    def __init__(self) -> None:
        self._set()


class EchoRequest(_Request):
    """Are you there?"""

    ID = 23

    def __init__(self) -> None:
        self._set()
