"""Synchronous groups: several gets and puts that are waited for together."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

from cachannel.protocol.enums import eca_message
from epics_compat import _core, _io, _values, dbr
from epics_compat._decorators import withCA
from epics_compat._errors import CASeverityException, ChannelAccessException

if TYPE_CHECKING:
    from cachannel.engine import Request

__all__ = ["sg_block", "sg_create", "sg_delete", "sg_get", "sg_put", "sg_reset", "sg_test"]

_numbers = itertools.count(1)
_groups: dict[int, list[Request]] = {}
_IN_PROGRESS = 344  # ECA_IOINPROGRESS


def _group(gid: Any) -> list[Request]:
    requests = _groups.get(getattr(gid, "value", gid))
    if requests is None:
        message = f"{gid!r} is not a synchronous group"
        raise ChannelAccessException(message)
    return requests


@withCA
def sg_create() -> int:
    """Make a group and return its number."""
    number = next(_numbers)
    _groups[number] = []
    return number


@withCA
def sg_delete(gid: Any) -> int:
    """End a group."""
    _group(gid)
    del _groups[getattr(gid, "value", gid)]
    return dbr.ECA_NORMAL


@withCA
def sg_block(gid: Any, timeout: float = 10.0) -> int:
    """Wait for all of a group.

    Returns:
        1

    Raises:
        CASeverityException: the time (seconds) was over.
    """
    since = time.monotonic()
    for request in _group(gid):
        if not request.wait(_io.remaining(timeout, since)):
            raise CASeverityException("sg_block", eca_message(dbr.ECA_TIMEOUT))
    _group(gid).clear()
    return dbr.ECA_NORMAL


@withCA
def sg_test(gid: Any) -> int:
    """Return 339 (ECA_IODONE) when all of a group is done.

    Raises:
        CASeverityException: something is under way.
    """
    if all(request.done for request in _group(gid)):
        return dbr.ECA_IODONE
    raise CASeverityException("sg_test", eca_message(_IN_PROGRESS))


@withCA
def sg_reset(gid: Any) -> int:
    """Forget what is under way."""
    _group(gid).clear()
    return dbr.ECA_NORMAL


@withCA
def sg_get(
    gid: Any, chid: Any, ftype: int | None = None, as_numpy: bool = True, as_string: bool = True
) -> Any:
    """Read a channel as part of a group. The value is read at once, whatever the group does.

    Args:
        gid: the group.
        chid: the channel, connected.
        ftype: DBR type; None: native.
        as_numpy: False: arrays are ctypes arrays.
        as_string: the value as text.
    """
    _group(gid)
    entry = _core.entry_of(chid)
    kind = entry.ftype if ftype is None else int(ftype)
    answer = _io.fetch(entry, kind, 0, _io.default_timeout(entry.nelm))
    if answer is None:
        return None
    value = _values.elements(answer[0], answer[1], 0)
    if as_string:
        is_text = dbr.native_type(kind) == dbr.CHAR and entry.nelm > 1
        return _values.char_text(value) if is_text else str(value)
    return value if as_numpy else _values.ctypes_array(value, dbr.native_type(kind))


@withCA
def sg_put(gid: Any, chid: Any, value: Any) -> int:
    """Write a channel as part of a group; `sg_block` waits until it has processed."""
    requests = _group(gid)
    entry = _core.entry_of(chid)
    channel = _io.channel_of(entry)
    status, request = channel.put_request(_io.encode_for(entry, value, entry.ftype))
    if request is None:
        raise CASeverityException("sg_put", eca_message(status), entry.pvname)
    channel.flush()
    requests.append(request)
    return dbr.ECA_NORMAL
