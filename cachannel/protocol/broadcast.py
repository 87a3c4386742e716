"""Searches and beacons: what travels by UDP, as bytes in and bytes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from .messages import (
    DEFAULT_PROTOCOL_VERSION,
    HEADER,
    MAX_UDP_PAYLOAD,
    Command,
    Message,
    pack,
    unpack,
)
from .text import decode, until_nul

__all__ = ["BeaconTimer", "SearchResponder", "beacon", "search_name", "search_reply"]

_ANY_ADDRESS: Final = 0xFFFFFFFF  # "the address this datagram came from"
_SEQUENCE_IS_VALID: Final = 1  # VERSION data type, CA 4.11 on
_REPLY_PAYLOAD: Final = DEFAULT_PROTOCOL_VERSION.to_bytes(2, "big") + bytes(6)
_REPLY_SIZE: Final = HEADER.size + len(_REPLY_PAYLOAD)


def search_name(payload: bytes) -> str:
    """Return the PV name in a SEARCH payload (it ends at the first NUL), '' if there is none."""
    return decode(until_nul(payload))


def search_reply(port: int, search_id: int, *, version: bool = True) -> bytes:
    """Return the answer to one SEARCH.

    Args:
        port: the server's TCP port.
        search_id: parameter 2 of the request.
        version: carry the protocol version as payload; so by UDP, not by TCP.
    """
    payload = _REPLY_PAYLOAD if version else b""
    return pack(Command.SEARCH, port, 0, _ANY_ADDRESS, search_id, payload)


class SearchResponder:
    """Answers search datagrams. It holds the port and asks `exists` about each name.

    Args:
        port: the server's TCP port.
        exists: tells whether a PV name is served. What it raises is not caught.
    """

    def __init__(self, port: int, exists: Callable[[str], bool]) -> None:
        self.port = port
        self.exists = exists

    def answer(self, datagram: bytes) -> Iterator[bytes]:
        """Yield the datagrams that answer one datagram; none if no name in it is ours.

        A VERSION of 4.11 or newer at the start of the request is echoed with its sequence number,
        so that the client can measure round trips. Answers fill datagrams up to 1472 bytes. What
        follows damage in a datagram is ignored, what came before is answered.
        """
        head = b""
        replies: list[bytes] = []
        size = 0
        port, exists = self.port, self.exists
        for message in unpack(datagram):
            if message.command == Command.SEARCH:
                # DO_REPLY counts by TCP only: unknown names are not answered here.
                name = search_name(message.payload)
                if not name or not exists(name):
                    continue
                if size + _REPLY_SIZE > MAX_UDP_PAYLOAD:
                    yield b"".join(replies)
                    replies, size = [], 0
                if not replies and head:
                    replies.append(head)
                    size += len(head)
                replies.append(search_reply(port, message.parameter2))
                size += _REPLY_SIZE
            elif message.command == Command.VERSION:
                head = self._version(message)
        if replies:
            yield b"".join(replies)

    @staticmethod
    def _version(request: Message) -> bytes:
        # Data type 1 says that parameter 1 is a sequence number; older clients than 4.11 have
        # none to echo, and get no VERSION (base's udpiiu.cpp and rsrv's cast_server.c).
        if request.data_count < 11:
            return b""
        return pack(
            Command.VERSION, _SEQUENCE_IS_VALID, DEFAULT_PROTOCOL_VERSION, request.parameter1
        )


def beacon(port: int, sequence: int, address: str = "") -> bytes:
    """Return a beacon (RSRV_IS_UP).

    Args:
        port: the server's TCP port.
        sequence: counts beacons from 0; wraps at 32 bits.
        address: the interface's dotted address; '' lets the repeater fill it in.
    """
    number = 0
    if address:
        for part in address.split("."):
            number = number << 8 | int(part)
    return pack(Command.RSRV_IS_UP, DEFAULT_PROTOCOL_VERSION, port, sequence & 0xFFFFFFFF, number)


class BeaconTimer:
    """Says how long to wait before the next beacon: 0.02 s, doubling up to a period.

    Args:
        period: the longest interval, seconds.

    Source:
        rsrv, online_notify.c.
    """

    FIRST: Final = 0.02

    def __init__(self, period: float) -> None:
        self.period = max(period, self.FIRST)
        self.sequence = 0
        self._interval = self.FIRST

    def next_interval(self) -> float:
        """Count one beacon; return the seconds to wait before the one after it."""
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        interval = self._interval
        self._interval = min(interval * 2, self.period)
        return interval
