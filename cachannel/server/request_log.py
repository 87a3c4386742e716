"""One line of the log, at debug level, for each request of a client (``-vv`` of an IOC)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.messages import Command
from cachannel.protocol.text import decode, until_nul

if TYPE_CHECKING:
    from .circuit import Circuit

__all__ = ["log_request"]

# What a request to a channel does; its parameter 1 is the server's number of the channel.
_OF_CHANNELS: Final = {
    Command.READ: "get of",
    Command.READ_NOTIFY: "get of",
    Command.WRITE: "put to",
    Command.WRITE_NOTIFY: "put with completion to",
    Command.EVENT_ADD: "monitor of",
    Command.EVENT_CANCEL: "end of a monitor of",
    Command.CLEAR_CHANNEL: "end of a channel to",
}
_OF_NAMES: Final = {Command.CREATE_CHAN: "channel to", Command.SEARCH: "search for"}
_WITH_TYPE: Final = frozenset(
    (
        Command.READ,
        Command.READ_NOTIFY,
        Command.WRITE,
        Command.WRITE_NOTIFY,
        Command.EVENT_ADD,
    )
)


def log_request(
    circuit: Circuit, command: int, dbr_type: int, count: int, sid: int, payload: memoryview
) -> None:
    """Log a message of a client before it is handled.

    Args:
        circuit: the client.
        command: of the message.
        dbr_type: of the message.
        count: of the message, elements.
        sid: parameter 1 of the message.
        payload: of the message.
    """
    extra: dict[str, object] = {"their_address": circuit.peer, "role": "SERVER"}
    name = None
    text = _OF_CHANNELS.get(command)  # type: ignore[call-overload]
    if text is not None:
        channel = circuit._channels.get(sid)
        name = f"unknown channel {sid}" if channel is None else channel.name
    else:
        text = _OF_NAMES.get(command)  # type: ignore[call-overload]
        if text is not None:
            name = decode(until_nul(bytes(payload)))
    if name is None:
        known = command in Command._value2member_map_
        text = Command(command).name.lower() if known else f"message {command}"
    else:
        extra["pv"] = name
        text = f"{text} {name}"
        if command in _WITH_TYPE:
            kind = LAYOUTS[dbr_type].name if dbr_type < len(LAYOUTS) else f"type {dbr_type}"
            text = f"{text} as {kind}, {count} elements"
    circuit.core.log.debug(
        "%s@%s (%s:%d): %s", circuit.username, circuit.hostname, *circuit.peer, text, extra=extra
    )
