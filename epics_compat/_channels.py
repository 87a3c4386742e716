"""The questions about channels that `ca` answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from epics_compat import _io, dbr
from epics_compat._core import entry_of
from epics_compat._decorators import withCHID
from epics_compat._state import ACCESS_TEXTS

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "ACCESS_TEXTS",
    "access",
    "clear_channel",
    "element_count",
    "field_type",
    "host_name",
    "isConnected",
    "name",
    "promote_fieldtype",
    "promote_type",
    "read_access",
    "replace_access_rights_event",
    "state",
    "write_access",
]


@withCHID
def name(chid: Any) -> str:
    """Return the name of the PV."""
    return entry_of(chid).pvname


@withCHID
def host_name(chid: Any) -> str:
    """Return ``'host:port'`` of the server, or ``'<disconnected>'``."""
    return _io.channel_of(entry_of(chid)).host_name()


@withCHID
def element_count(chid: Any) -> int:
    """Return how many elements the channel can hold; 0 when not connected."""
    return _io.channel_of(entry_of(chid)).info().element_count


@withCHID
def field_type(chid: Any) -> int:
    """Return the native DBR type; -1 when not connected."""
    return _io.channel_of(entry_of(chid)).info().field_type


@withCHID
def state(chid: Any) -> int:
    """Return 0 (never connected), 1 (lost) or 2 (connected)."""
    return _io.channel_of(entry_of(chid)).info().state


@withCHID
def read_access(chid: Any) -> int:
    """Return 1 when the channel may be read."""
    return _io.channel_of(entry_of(chid)).rights() & 1


@withCHID
def write_access(chid: Any) -> int:
    """Return 1 when the channel may be written."""
    return _io.channel_of(entry_of(chid)).rights() >> 1 & 1


@withCHID
def isConnected(chid: Any) -> bool:
    """Whether the channel is connected now."""
    return _io.channel_of(entry_of(chid)).connected


@withCHID
def access(chid: Any) -> str:
    """Return the rights as text."""
    return ACCESS_TEXTS[_io.channel_of(entry_of(chid)).rights() & 3]


@withCHID
def replace_access_rights_event(
    chid: Any, callback: Callable[[bool, bool], Any] | None = None
) -> int:
    """Add ``callback(read, write)``, called at every change of the rights, and at once here."""
    entry = entry_of(chid)
    if callback is not None:
        entry.add_access_callback(callback)
        entry.sync()
        callback(bool(entry.rights & 1), bool(entry.rights & 2))
    return dbr.ECA_NORMAL


@withCHID
def clear_channel(chid: Any) -> int:
    """End a channel, with all that hangs on it; its id is invalid from then on."""
    return entry_of(chid).close()


def promote_fieldtype(ftype: int, use_time: bool = False, use_ctrl: bool = False) -> int:
    """Give the TIME or CTRL form of a type."""
    return dbr.promote(ftype, use_time, use_ctrl)


@withCHID
def promote_type(chid: Any, use_time: bool = False, use_ctrl: bool = False) -> int:
    """Give the TIME or CTRL form of the type of a channel."""
    return dbr.promote(field_type(chid), use_time, use_ctrl)
