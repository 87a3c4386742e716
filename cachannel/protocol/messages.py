"""The framing of Channel Access messages: headers, extended headers, padding.

A message is a header of 16 bytes, big-endian, and a payload that is a multiple of eight bytes
long::

    command  payload_size  data_type  data_count  parameter1  parameter2
       H          H            H          H            I           I

When size or count do not fit in 16 bits the header is *extended*: ``payload_size`` reads 0xFFFF,
``data_count`` reads 0, and two more 32 bit numbers, the true size and count, follow.
(EPICS Channel Access protocol specification, "Message Structure"; base's caProto.h, comQueSend.)

`pack` writes one message, `unpack` reads all complete messages of a buffer. A server that handles
hundreds of thousands of messages a second reads headers in place with `HEADER` and `EXTENSION`.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from .errors import LocalProtocolError, RemoteProtocolError
from .text import cut, encode

__all__ = [
    "DEFAULT_PROTOCOL_VERSION",
    "DONT_REPLY",
    "DO_REPLY",
    "EPICS_CA1_PORT",
    "EPICS_CA2_PORT",
    "EXTENSION",
    "HEADER",
    "MAX_UDP_PAYLOAD",
    "Command",
    "Message",
    "error",
    "pack",
    "padded",
    "unpack",
    "unpack_from",
]

DEFAULT_PROTOCOL_VERSION: Final = 13
"""The minor version that we speak: CA 4.13."""
EPICS_CA1_PORT: Final = 5064
EPICS_CA2_PORT: Final = 5065

DO_REPLY: Final = 10
"""SEARCH data type: also answer when the name is not known (TCP only)."""
DONT_REPLY: Final = 5

MAX_UDP_PAYLOAD: Final = 1472
"""Largest datagram that Ethernet carries in one frame (1500 - IP - UDP headers)."""

HEADER: Final = Struct(">HHHHII")
EXTENSION: Final = Struct(">II")


class Command(IntEnum):
    """Message numbers (caProto.h), with base's CA_PROTO names spelt out."""

    VERSION = 0
    EVENT_ADD = 1
    EVENT_CANCEL = 2
    READ = 3
    WRITE = 4
    SNAPSHOT = 5
    SEARCH = 6
    BUILD = 7
    EVENTS_OFF = 8
    EVENTS_ON = 9
    READ_SYNC = 10
    ERROR = 11
    CLEAR_CHANNEL = 12
    RSRV_IS_UP = 13
    NOT_FOUND = 14
    READ_NOTIFY = 15
    READ_BUILD = 16
    REPEATER_CONFIRM = 17
    CREATE_CHAN = 18
    WRITE_NOTIFY = 19
    CLIENT_NAME = 20
    HOST_NAME = 21
    ACCESS_RIGHTS = 22
    ECHO = 23
    REPEATER_REGISTER = 24
    SIGNAL = 25
    CREATE_CH_FAIL = 26
    SERVER_DISCONN = 27


class Message(NamedTuple):
    """One message. The meaning of each number depends on `command`."""

    command: int
    data_type: int = 0
    data_count: int = 0
    parameter1: int = 0
    parameter2: int = 0
    payload: bytes = b""


def padded(payload: bytes) -> bytes:
    """Return a payload filled up with zeros to a multiple of eight bytes."""
    short = -len(payload) % 8
    return payload + bytes(short) if short else payload


def pack(
    command: int,
    data_type: int = 0,
    data_count: int = 0,
    parameter1: int = 0,
    parameter2: int = 0,
    payload: bytes = b"",
) -> bytes:
    """Return one message as bytes, with an extended header if it needs one.

    Raises:
        LocalProtocolError: a number that does not fit its place.
    """
    payload = padded(payload)
    size = len(payload)
    try:
        if size < 0xFFFF and data_count < 0xFFFF:
            head = HEADER.pack(command, size, data_type, data_count, parameter1, parameter2)
        else:
            head = HEADER.pack(command, 0xFFFF, data_type, 0, parameter1, parameter2)
            head += EXTENSION.pack(size, data_count)
    except Exception as exc:  # struct.error has no public base but Exception
        raise LocalProtocolError(f"cannot pack message {command}: {exc}") from exc
    return head + payload


def text(value: str) -> bytes:
    """Return a name as it travels: UTF-8, ended by a NUL."""
    return encode(value) + b"\0"


def error(request: bytes, cid: int, status: int, description: str) -> bytes:
    """Return an ERROR message.

    Args:
        request: the header of the request that failed (16 bytes; 24 if it was extended).
        cid: the client's id of the channel, 0xFFFFFFFF if there is none.
        status: ECA code.
        description: what went wrong, of any characters; cut to less than 512 bytes.

    Source:
        CAproto, "CA_PROTO_ERROR"; rsrv's ``send_err`` for the repetition of the request's header.
    """
    try:
        words = encode(description)
    except UnicodeEncodeError:
        # Half of a UTF-16 pair, in the message of any exception: shown as an escape.
        words = encode(description.encode("utf-8", "backslashreplace").decode())
    body = request + cut(words, 511) + b"\0"
    return pack(Command.ERROR, 0, 0, cid, status, body)


def unpack_from(buffer: bytes, offset: int = 0) -> tuple[Message, int] | None:
    """Read one message.

    Returns:
        The message and the offset of the next, or None if the buffer ends before it does.
    """
    end = len(buffer)
    body = offset + 16
    if body > end:
        return None
    command, size, data_type, count, parameter1, parameter2 = HEADER.unpack_from(buffer, offset)
    if size == 0xFFFF and count == 0:
        body += 8
        if body > end:
            return None
        size, count = EXTENSION.unpack_from(buffer, offset + 16)
    if body + size > end:
        return None
    payload = bytes(buffer[body : body + size])
    return Message(command, data_type, count, parameter1, parameter2, payload), body + size


def unpack(buffer: bytes, *, complete: bool = False) -> Iterator[Message]:
    """Yield the messages of a buffer, in order.

    Args:
        buffer: what was received.
        complete: the buffer is a whole datagram, so an unfinished message is an error.

    Raises:
        RemoteProtocolError: the buffer ends within a message, and `complete` is set. It is raised
            after the messages before the damage were given.
    """
    offset = 0
    while True:
        found = unpack_from(buffer, offset)
        if found is None:
            break
        message, offset = found
        yield message
    if complete and offset != len(buffer):
        raise RemoteProtocolError(
            f"damaged datagram: {len(buffer) - offset} bytes after the last whole message"
        )
