"""Reading and writing channels of the cache, with deadlines."""

from __future__ import annotations

import logging
import math
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Final

from cachannel.context import report
from cachannel.protocol.enums import ECA, eca_message
from epics_compat import _core, _values, dbr
from epics_compat._encode import encode
from epics_compat._errors import (
    CASeverityException,
    ChannelAccessException,
    ChannelAccessGetFailure,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.engine import Channel, Request
    from epics_compat._core import Entry

logger = logging.getLogger("cachannel.epics_compat")

_LOST: Final = frozenset((ECA.DISCONN, ECA.DISCONNCHID, ECA.CHANDESTROY, ECA.UNRESPTMO))

put_completes: list[Any] = []
"""The callbacks of puts that are under way."""


def default_timeout(count: int) -> float:
    """Return how long a get of so many elements may take, in seconds."""
    return 1.0 + math.log10(max(1, count))


def channel_of(entry: Entry) -> Channel:
    """Return the channel of an entry that is open."""
    if entry.channel is None or entry.closed:
        message = f"the channel of {entry.pvname!r} has been cleared"
        raise ChannelAccessException(message)
    return entry.channel


def start(entry: Entry, ftype: int, count: int) -> Request:
    """Start a get.

    Raises:
        CASeverityException: Channel Access refuses it, for one without read access.
    """
    status, request = channel_of(entry).get(ftype, count)
    if request is None:
        raise CASeverityException("get", eca_message(status))
    return request


def fetch(
    entry: Entry, ftype: int, count: int, timeout: float, *, warn: bool = True
) -> tuple[Any, Any] | None:
    """Read a connected channel.

    A get that ran out of time before is taken up: its data, if they came meanwhile, are the
    answer.

    Args:
        entry: the channel.
        ftype: DBR type.
        count: elements; 0: as many as there are.
        timeout: seconds.
        warn: give a warning when the time is over.

    Returns:
        Record and buffer, or None when the time was over.

    Raises:
        CASeverityException: Channel Access refuses it.
        ChannelAccessGetFailure: the server answered with an error.
    """
    late = entry.get_results.pop(ftype, None)
    if late is not None and not late.taken and late.count == count:
        request = late.request
    else:
        request = start(entry, ftype, count)
    if not request.wait(timeout):
        left = _core.Pending(request, count)
        entry.get_results[ftype] = left
        if warn:
            warn_late(entry.pvname, timeout)
        return None
    return _answer(entry, request)


def warn_late(pvname: str, timeout: float) -> None:
    """Give the warning of a get that ran out of time."""
    warnings.warn(f"ca.get('{pvname}') timed out after {timeout:.2f} seconds.", stacklevel=4)


def _answer(entry: Entry, request: Request) -> tuple[Any, Any] | None:
    answer = request.answer()
    if answer is None:
        return None
    status = answer[0][7]
    if status != dbr.ECA_NORMAL:
        message = f"Get of {entry.pvname!r} failed: {eca_message(status)}"
        raise ChannelAccessGetFailure(message, entry.chid_int, status)
    return answer


def begin(entry: Entry, ftype: int, count: int) -> None:
    """Start a get that `complete` takes; one that is under way is shared."""
    pending = entry.get_results.get(ftype)
    if pending is None or pending.taken:
        entry.get_results[ftype] = _core.Pending(start(entry, ftype, count), count)
        channel_of(entry).flush()


def complete(entry: Entry, ftype: int, timeout: float | None) -> tuple[Any, Any] | None:
    """Wait for the get that `begin` started; a second time it gives the same again.

    Returns:
        Record and buffer; None when the time was over, or when nothing was started.
    """
    pending = entry.get_results.get(ftype)
    if pending is None:
        warnings.warn("get_complete without initial get() call", stacklevel=3)
        return None
    if pending.taken:
        return pending.answer  # type: ignore[no-any-return]
    limit = default_timeout(pending.count) if timeout is None else timeout
    if not pending.request.wait(limit):
        warn_late(entry.pvname, limit)
        return None
    try:
        answer = _answer(entry, pending.request)
    except ChannelAccessGetFailure:
        entry.get_results.pop(ftype, None)
        raise
    if answer is not None and answer[1] is not None:
        # Whoever takes it again must not get the memory that the first one got.
        record = answer[0]
        answer = ((*record[:2], 2, *record[3:]), answer[1])
    pending.answer, pending.taken = answer, True
    return answer


def control(entry: Entry, form: str, timeout: float, *, warn: bool = True) -> dict[str, Any] | None:
    """Read what the CTRL or TIME form of a channel carries besides the value.

    Args:
        entry: a connected channel.
        form: ``'ctrl'`` or ``'time'``.
        timeout: seconds.
        warn: give a warning when the time is over.
    """
    ftype = dbr.promote(entry.ftype, form == "time", form == "ctrl")
    answer = fetch(entry, ftype, 1, timeout, warn=warn)
    return None if answer is None else _values.metadata(answer[0], answer[1], 0)


def start_put(entry: Entry, value: Any, ftype: int) -> Request:
    """Start a write whose completion is waited for; see `put`."""
    channel = channel_of(entry)
    encoded = encode(value, ftype, max(entry.nelm, 1))
    status, request = channel.put_request(encoded)
    if request is None:
        raise CASeverityException("put", eca_message(status))
    return request


def put(
    entry: Entry,
    value: Any,
    ftype: int,
    wait: bool,
    timeout: float,
    callback: Callable[..., Any] | None = None,
    callback_data: Any = None,
) -> int:
    """Write a connected channel.

    Args:
        entry: the channel.
        value: what `_encode.encode` takes.
        ftype: DBR type to send it as.
        wait: wait until the record, and all it triggered, has processed.
        timeout: seconds of the wait.
        callback: called when it has, as ``callback(pvname=, data=callback_data)``, or with the
            items of `callback_data` in place of ``data`` when that is a dict. On the dispatcher
            thread; with `wait` in the calling thread before this returns.
        callback_data: see there.

    Returns:
        1, or -1 when the time was over, or the server was lost before it answered.

    Raises:
        CASeverityException: Channel Access, or with `wait` the server, refuses it.
        TypeError, ValueError: the value cannot be sent as this type.
    """
    channel = channel_of(entry)
    encoded = encode(value, ftype, max(entry.nelm, 1))
    if not entry.rights & 2 and not channel.rights() & 2:
        raise CASeverityException("put", eca_message(ECA.NOWTACCESS))
    if not wait and callback is None:
        status = channel.put(encoded)
        channel.flush()
        _check_put(status)
        return dbr.ECA_NORMAL
    told = None if callback is None else _completion(entry.pvname, callback, callback_data)
    if not wait:
        assert told is not None
        put_completes.append(told)
        status = channel.put_callback(encoded, told)
        if status != dbr.ECA_NORMAL:
            put_completes.remove(told)
        channel.flush()
        _check_put(status)
        return dbr.ECA_NORMAL
    status, request = channel.put_request(encoded)
    if request is None:
        raise CASeverityException("put", eca_message(status))
    if request.wait(min(timeout, 1e9)):
        status = completion(request)
        if told is not None:
            told(status)
        if status in _LOST:
            return -1
        _check_put(status)
        return dbr.ECA_NORMAL
    if told is not None:
        put_completes.append(told)
        thread = threading.Thread(target=_tell_late, args=(request, told), daemon=True)
        thread.start()
    return -1


def _tell_late(request: Request, told: Callable[[int], None]) -> None:
    """Run the callback of a put that nobody waits for any more."""
    request.wait(None)
    told(completion(request))


def completion(request: Request) -> int:
    """Return the CA status of a write that has been answered."""
    answer = request.answer()
    return int(ECA.DISCONN) if answer is None else int(answer[0][7])


def _check_put(status: int) -> None:
    if status != dbr.ECA_NORMAL:
        raise CASeverityException("put", eca_message(status))


def _completion(
    pvname: str, callback: Callable[..., Any], callback_data: Any
) -> Callable[[int], None]:
    items = callback_data if isinstance(callback_data, dict) else {"data": callback_data}
    keywords = {"pvname": pvname, **items}

    def told(status: int) -> None:
        if told in put_completes:
            put_completes.remove(told)
        if status != dbr.ECA_NORMAL:
            logger.warning("put to %s: %s", pvname, eca_message(status))
        try:
            callback(**keywords)
        except Exception as exc:
            report(exc, callback)

    return told


def remaining(timeout: float | None, since: float) -> float | None:
    """Return what is left of a time-out that began at `since` (monotonic seconds)."""
    return None if timeout is None else max(timeout - (time.monotonic() - since), 0.0)
