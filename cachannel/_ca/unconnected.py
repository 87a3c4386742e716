"""Words for what fails because a channel is not connected, or because an answer is missing.

Scripts know a channel without a connection by its status, ECA_BADTYPE: libca has no type for it. A
person who reads "The data type specified is invalid" looks for the fault in the wrong place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cachannel._native import ffi, lib
from cachannel.context import park_at_exit
from cachannel.errors import CaChannelException
from cachannel.protocol import text
from cachannel.protocol.enums import ECA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cachannel.context import Context

__all__ = ["explain", "failure", "find_missing", "late", "list_names"]

_NOT_CONNECTED: Final = "The channel is not connected"
_ANY: Final = -1
_NEVER, _LOST = 0, 1
_CAUSES: Final = {
    _NEVER: "no server of this PV has answered yet",
    _LOST: "the connection to its server was lost",
}
_SOME: Final = 5


def list_names(names: Sequence[str]) -> str:
    """Name some PVs, for a message."""
    shown = ", ".join(repr(name) for name in names[:_SOME])
    return shown if len(names) <= _SOME else f"{shown} and {len(names) - _SOME} more"


def explain(channel: int, status: int, kind: int = _ANY) -> tuple[str, str]:
    """Say that a call failed because its channel is not connected.

    Args:
        channel: id of the channel.
        status: CA status of the call.
        kind: the type that the caller asked for; ANY: the native type.

    Returns:
        A text in place of libca's for the status (empty: libca's is right) and the cause; both are
        empty if the connection is not the cause.
    """
    # A type below 0 is the one that `dbf_type_to_DBR_TIME` and its kin make of the native type of a
    # channel that is not connected.
    if status != ECA.DISCONN and (status != ECA.BADTYPE or kind >= 0):
        return "", ""
    state = int(lib.cc_state(channel))
    cause = _CAUSES.get(state, "")
    is_wrong = cause and (status == ECA.BADTYPE or state == _NEVER)
    return _NOT_CONNECTED if is_wrong else "", cause


def failure(
    channel: int, pvname: str | bytes | None, status: int, operation: str, detail: str, kind: int
) -> CaChannelException:
    """Make the exception of a `CaChannel` whose call has failed.

    Args:
        channel: id of the channel; 0: none.
        pvname: name of the PV, if it has one.
        status: CA status of the call.
        operation: name of the call.
        detail: the cause, if it is known.
        kind: the type that the caller asked for; ANY: the native type.
    """
    park_at_exit()
    shown = text.decode(pvname) if isinstance(pvname, bytes) else str(pvname or "")
    words = ""
    if channel and not detail:
        words, detail = explain(channel, status, kind)
    return CaChannelException(status, shown, operation, detail, words)


def find_missing(context: Context) -> tuple[str, list[str]]:
    """Find what a wait for all that is out in a context waits for.

    Returns:
        Words about the channels that did not connect and those whose read has no answer, and
        their names.
    """
    total = lib.cc_waited(context.id, ffi.NULL, 0)
    found = ffi.new("cc_id[]", max(total, 1))
    total = min(lib.cc_waited(context.id, found, total), total)
    unconnected: list[str] = []
    unanswered: list[str] = []
    buffer = ffi.new("char[]", 1024)
    for channel in ffi.unpack(found, total) if total else []:
        # A channel that has been cleared or has connected meanwhile is not missing.
        if lib.cc_name(channel, buffer, 1024) == ECA.NORMAL:
            name = text.decode(ffi.string(buffer))
            connected = lib.cc_channel_is_connected(channel) == 1
            (unanswered if connected else unconnected).append(name)
    words = []
    if unconnected:
        words.append(f"not connected: {list_names(unconnected)}")
    if unanswered:
        words.append(f"no answer: {list_names(unanswered)}")
    return "; ".join(words), unconnected + unanswered


def late(seconds: float, words: str, names: Sequence[str]) -> CaChannelException:
    """Make the exception of a wait for everything that took too long.

    Args:
        seconds: how long it was.
        words: from `find_missing`, as are `names`.
    """
    park_at_exit()
    detail = f"not all is through after {seconds:g} s; {words}"
    # Without the name of the object that waits: it may well be connected.
    error = CaChannelException(ECA.TIMEOUT, "", "pend_io", detail)
    error.pvname = names[0]
    return error
