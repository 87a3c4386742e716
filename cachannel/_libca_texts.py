"""What libca says, in words: exceptions that concern no request somebody waits for."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Final

from cachannel._native import ffi, lib
from cachannel.errors import describe
from cachannel.protocol import text
from cachannel.protocol.enums import ECA, dbr_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.values.decode import Record

__all__ = ["channel_text", "exception_line", "exception_text"]

_SEVERITIES: Final = ("Warning", "Success", "Error", "Info", "Fatal", "Fatal", "Fatal", "Fatal")
"""How libca calls the severities of status codes, their lowest three bits."""


def exception_text(record: Record, data: bytes) -> list[str]:
    """Write an exception in the words, and in the pieces, in which libca prints it."""
    detail, file = (text.decode(part) for part in data[8:].split(b"\0")[:2])
    channel = int.from_bytes(data[:8], sys.byteorder)
    if channel:
        detail = (
            f"op={int(record[12])}, channel={channel_text(lib.cc_name, channel)}, "
            f"type={dbr_text(record[3])}, "
            f'count={record[8]}, ctx="{detail}"'
        )
    now = time.time_ns()
    moment = time.strftime("%a %b %d %Y %H:%M:%S", time.localtime(now // 10**9))
    return [
        "CA.Client.Exception...............................................\n",
        f'    {_SEVERITIES[record[7] & 7]}: "{describe(record[7])}"\n',
        '    Context: "',
        detail,
        '"\n',
        f"    Source File: {file} line {record[9]}\n",
        f"    Current Time: {moment}.{now % 10**9:09}\n",
        "..................................................................\n",
    ]


_OPERATIONS: Final = {0: "read", 1: "write", 2: "create", 3: "subscribe", 4: "unsubscribe"}
"""Operations in an exception of libca, in the words of messages (CA_OP_GET ...)."""


def exception_line(record: Record, data: bytes) -> tuple[str, str]:
    """Describe an exception of libca that concerns no request somebody waits for.

    Returns:
        The name of the PV, empty if none is concerned, and one line that has the name, the server,
        what was attempted, and libca's reason.
    """
    detail = text.decode(text.until_nul(data[8:]))
    reason = describe(record[7])
    channel = int.from_bytes(data[:8], sys.byteorder)
    name = channel_text(lib.cc_name, channel)
    if not name:
        return "", f"{reason}: {detail}" if detail else reason
    operation = _OPERATIONS.get(int(record[12]), "request")
    host = channel_text(lib.cc_host_name, channel)
    where = f" on {host}" if host else ""
    more = f" ({detail})" if detail and detail != name else ""
    return name, f"{operation} of {name!r}{where} failed: {reason}{more}"


def channel_text(function: Callable[[int, Any, int], int], channel: int) -> str:
    """Ask for a name of a channel, such as that of its server; empty if there is none."""
    buffer = ffi.new("char[]", 1024)
    if not channel or function(channel, buffer, 1024) != ECA.NORMAL:
        return ""
    return text.decode(ffi.string(buffer))
