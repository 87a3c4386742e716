"""Log lines about what a context does: searches, connections, circuits, requests.

The C boundary puts a record into the queue of a context for each step, if the level of one of the
loggers was DEBUG when the context was made. All APIs go through it, so all have the same lines.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from cachannel._native import lib
from cachannel.protocol import text
from cachannel.protocol.enums import dbr_text

if TYPE_CHECKING:
    from cachannel.values.decode import Record

__all__ = ["is_wanted", "log"]

_search_logger = logging.getLogger("cachannel.bcast.search")
_circuit_logger = logging.getLogger("cachannel.circ")
_channel_logger = logging.getLogger("cachannel.ch")
_LOGGERS: Final = (_search_logger, _circuit_logger, _channel_logger)

_RIGHTS: Final = ("no access", "may read", "may write", "may read and write")
_LINES: Final = {
    lib.CC_TRACE_SEARCH: (_search_logger, "{name!r} is searched for"),
    lib.CC_TRACE_ASK: (_search_logger, "asked {address} for {names}"),
    lib.CC_TRACE_CIRCUIT: (_circuit_logger, "circuit to {address} is up"),
    lib.CC_TRACE_RESPONSIVE: (_circuit_logger, "circuit to {address} is responsive again"),
    lib.CC_TRACE_UP: (
        _channel_logger,
        "{name!r} was found on {address} and is connected: {kind}, {elements}, {rights}",
    ),
    lib.CC_TRACE_DOWN: (_channel_logger, "{name!r} is disconnected"),
    lib.CC_TRACE_CLEAR: (_channel_logger, "{name!r} is cleared"),
    lib.CC_TRACE_READ: (_channel_logger, "read of {name!r}: {kind}, {elements}"),
    lib.CC_TRACE_WRITE: (_channel_logger, "write of {name!r}: {kind}, {elements}"),
    lib.CC_TRACE_SUBSCRIBE: (_channel_logger, "subscription to {name!r}: {kind}, {elements}"),
    lib.CC_TRACE_UNSUBSCRIBE: (_channel_logger, "end of a subscription to {name!r}"),
}


def is_wanted() -> bool:
    """Tell whether a context that is made now shall log what it does."""
    return any(logger.isEnabledFor(logging.DEBUG) for logger in _LOGGERS)


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def log(record: Record, data: bytes) -> None:
    """Log a record of kind CC_TRACE; on the thread that runs the callbacks of its context."""
    logger, line = _LINES[record[7]]
    if not logger.isEnabledFor(logging.DEBUG):
        return
    name, address = (text.decode(part) for part in data.split(b"\0")[:2])
    reads = record[7] in (lib.CC_TRACE_READ, lib.CC_TRACE_SUBSCRIBE)
    extra: dict[str, object] = {"role": "CLIENT"}
    if name:
        extra["pv"] = name
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        extra["their_address"] = (host, int(port))
    logger.debug(
        "%s",
        line.format(
            name=name,
            address=address,
            kind=dbr_text(record[3]),
            # A read of 0 elements is one of as many as there are.
            elements="all elements" if reads and not record[8] else _some(record[8], "element"),
            names=_some(record[8], "name"),
            rights=_RIGHTS[record[9] & 3],
        ),
        extra=extra,
    )
