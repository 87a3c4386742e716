"""Reading and writing channels of the cache, with deadlines."""

from __future__ import annotations

import inspect
import logging
import math
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any, Final

from cachannel.context import report
from cachannel.engine import Encoded
from cachannel.protocol.enums import ECA, eca_message
from epics_compat import _core, _values, dbr
from epics_compat._encode import encode
from epics_compat._errors import (
    CASeverityException,
    ChannelAccessDisconnected,
    ChannelAccessException,
    ChannelAccessGetFailure,
    ChannelAccessTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.engine import Channel, Request
    from epics_compat._core import Entry

logger = logging.getLogger("cachannel.epics_compat")

SETTLE: Final = 0.1
"""Seconds: a callback that takes longer does not hold up a put that waits."""
_KEPT: Final = 65536
"""Bytes: `keep` keeps what is smaller."""
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


def start(entry: Entry, ftype: int, count: int) -> Request | None:
    """Start a get.

    Returns:
        The request; None when the channel is not connected.

    Raises:
        CASeverityException: Channel Access refuses it, for one without read access.
    """
    status, request = channel_of(entry).get(ftype, count)
    if request is None and status not in _LOST and channel_of(entry).connected:
        raise CASeverityException("get", eca_message(status), entry.pvname)
    return request


def fetch(
    entry: Entry, ftype: int, count: int, timeout: float, *, warn: bool = True
) -> tuple[Any, Any] | None:
    """Read a channel.

    A get that ran out of time before is taken up: its data, if they came meanwhile, are the
    answer. When the connection is lost, the get is made again on the next one, within the time.

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
        ChannelAccessTimeout: in place of the warning, when `ca.RAISE_ERRORS` is set.
    """
    end = time.monotonic() + timeout
    left = timeout
    late = entry.get_results.pop(ftype, None)
    request = None
    if late is not None and not late.taken and late.count == count:
        request = late.request
    while not entry.closed:
        if request is None:
            request = start(entry, ftype, count)
        if request is not None:
            if not request.wait(left):
                entry.get_results[ftype] = _core.Pending(request, count)
                break
            answer = _answer(entry, request)
            if answer is not None:
                return answer
        request = None
        left = end - time.monotonic()
        if left <= 0 or entry.closed or not channel_of(entry).wait(left):
            break
        left = end - time.monotonic()
    if warn:
        warn_late(entry.pvname, timeout)
    return None


def late_text(pvname: str, timeout: float) -> str:
    """Make the text of the warning of `warn_late`."""
    return f"ca.get('{pvname}') timed out after {timeout:.2f} seconds."


def warn_late(pvname: str, timeout: float) -> None:
    """Give the warning of a get that ran out of time.

    Raises:
        ChannelAccessTimeout: in place of the warning, when `ca.RAISE_ERRORS` is set.
    """
    text = late_text(pvname, timeout)
    if _core.settings.RAISE_ERRORS:
        raise ChannelAccessTimeout(text, pvname)
    warnings.warn(text, stacklevel=4)


def _answer(entry: Entry, request: Request) -> tuple[Any, Any] | None:
    """Take an answer; None when the connection was lost before it came."""
    answer = request.answer()
    if answer is None or answer[0][7] in _LOST:
        return None
    status = answer[0][7]
    if status != dbr.ECA_NORMAL:
        message = f"Get of {entry.pvname!r} failed: {eca_message(status)}"
        raise ChannelAccessGetFailure(message, entry.chid_int, status)
    return answer


def keep(entry: Entry, ftype: int, count: int, answer: tuple[Any, Any]) -> None:
    """Keep the answer of a get for `complete`, unless it is large."""
    record = answer[0]
    if record[2] == _values.IN_RECORD or record[11] < _KEPT:
        entry.get_results[ftype] = pending = _core.Pending(None, count)
        pending.answer, pending.taken = _to_copy(answer), True


def _to_copy(answer: tuple[Any, Any]) -> tuple[Any, Any]:
    """Let whoever decodes an answer copy it, as somebody else has its memory."""
    record, buffer = answer
    return answer if buffer is None else ((*record[:2], 2, *record[3:]), buffer)


def begin(entry: Entry, ftype: int, count: int) -> None:
    """Start a get that `complete` takes; one that is under way is shared."""
    pending = entry.get_results.get(ftype)
    if pending is None or pending.taken:
        request = start(entry, ftype, count)
        if request is not None:
            entry.get_results[ftype] = _core.Pending(request, count)
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
    assert pending.request is not None
    if not pending.request.wait(limit):
        warn_late(entry.pvname, limit)
        return None
    with entry.lock:
        # Another thread may have waited for the same request, and taken its answer.
        if pending.taken:
            return pending.answer
        try:
            answer = _answer(entry, pending.request)
        except ChannelAccessGetFailure:
            entry.get_results.pop(ftype, None)
            raise
        if answer is None:
            entry.get_results.pop(ftype, None)
            return None
        answer = _to_copy(answer)
        pending.answer, pending.taken = answer, True
    return answer


def control(
    entry: Entry, form: str, timeout: float | None, *, warn: bool = True
) -> dict[str, Any] | None:
    """Read what the CTRL or TIME form of a channel carries besides the value.

    Args:
        entry: a connected channel.
        form: ``'ctrl'`` or ``'time'``.
        timeout: seconds; None: one.
        warn: give a warning when the time is over.
    """
    if timeout is None:
        timeout = default_timeout(1)
    ftype = dbr.promote(entry.ftype, form == "time", form == "ctrl")
    answer = fetch(entry, ftype, 1, timeout, warn=warn)
    return None if answer is None else _values.metadata(answer[0], answer[1], 0)


def encode_for(entry: Entry, value: Any, ftype: int) -> Encoded:
    """Convert a value for a channel; errors, whose texts are pyepics', get a note with the PV."""
    try:
        return encode(value, ftype, max(entry.nelm, 1), entry.pvname)
    except Exception as exc:
        exc.add_note(f"put of {entry.pvname!r}")
        raise


def start_put(entry: Entry, value: Any, ftype: int) -> Request:
    """Start a write whose completion is waited for; see `put`."""
    channel = channel_of(entry)
    encoded = encode_for(entry, value, ftype)
    status, request = channel.put_request(encoded)
    if request is None:
        if status in _LOST:
            message = f"put: {entry.pvname!r} is not connected"
            raise ChannelAccessDisconnected(message, entry.pvname)
        raise CASeverityException("put", eca_message(status), entry.pvname)
    return request


class Completion:
    """Tells of the end of a put, once.

    Args:
        pvname: name of the PV.
        callback: called as ``callback(pvname=, data=data)``, or with the items of `data` in place
            of ``data`` when that is a dict; with ``status=`` (the CA status) as well if it has a
            parameter of this name.
        data: see there.
        first: called before it.
    """

    __slots__ = ("_callback", "_data", "_first", "_pvname")

    def __init__(
        self,
        pvname: str,
        callback: Callable[..., Any] | None,
        data: Any = None,
        first: Callable[[], Any] | None = None,
    ) -> None:
        self._pvname = pvname
        self._callback = callback
        self._data = data
        self._first = first

    def __call__(self, status: int) -> None:
        """Tell of the status of the put."""
        if self in put_completes:
            put_completes.remove(self)
        if status != dbr.ECA_NORMAL:
            logger.warning("put to %s: %s", self._pvname, eca_message(status))
        if self._first is not None:
            self._first()
        callback, data = self._callback, self._data
        if callback is None:
            return
        items = data if isinstance(data, dict) else {"data": data}
        keywords = {"pvname": self._pvname, **items}
        if "status" not in keywords and _wants_status(callback):
            keywords["status"] = status
        try:
            callback(**keywords)
        except Exception as exc:
            report(exc, callback)


def _wants_status(callback: Callable[..., Any]) -> bool:
    """Whether a function has a parameter ``status``; ``**kws`` is none, as users hand it on."""
    try:
        return "status" in inspect.signature(callback).parameters
    except (TypeError, ValueError):
        return False


def put(
    entry: Entry, value: Any, ftype: int, wait: bool, timeout: float, told: Completion | None = None
) -> int:
    """Write a connected channel.

    Args:
        entry: the channel.
        value: what `_encode.encode` takes.
        ftype: DBR type to send it as.
        wait: wait until the record, and all it triggered, has processed.
        timeout: seconds of the wait.
        told: called when it has, on the dispatcher thread; with `wait` in the calling thread
            before this returns.

    Returns:
        1, or -1 when the time was over, or the server was lost before it answered.

    Raises:
        CASeverityException: Channel Access, or with `wait` the server, refuses it.
        TypeError, ValueError: the value cannot be sent as this type.
        ChannelAccessTimeout, ChannelAccessDisconnected: in place of -1, when `ca.RAISE_ERRORS`
            is set.
    """
    channel = channel_of(entry)
    encoded = encode_for(entry, value, ftype)
    if not entry.rights & 2 and not channel.rights() & 2:
        if not channel.connected:
            message = f"put: {entry.pvname!r} is not connected"
            raise ChannelAccessDisconnected(message, entry.pvname)
        raise CASeverityException("put", eca_message(ECA.NOWTACCESS), entry.pvname)
    if not wait and told is None:
        status = channel.put(encoded)
        channel.flush()
        _check_put(status, entry.pvname)
        return dbr.ECA_NORMAL
    if not wait:
        assert told is not None
        put_completes.append(told)
        status = channel.put_callback(encoded, told)
        if status != dbr.ECA_NORMAL:
            put_completes.remove(told)
        channel.flush()
        _check_put(status, entry.pvname)
        return dbr.ECA_NORMAL
    status, request = channel.put_request(encoded)
    if request is None:
        raise CASeverityException("put", eca_message(status), entry.pvname)
    if request.wait(min(timeout, 1e9)):
        status = completion(request)
        if channel.subscribed:
            # What the record sent before it was done is known when this returns.
            channel.context.settle(SETTLE)
        if told is not None:
            told(status)
        if status not in _LOST:
            _check_put(status, entry.pvname)
            return dbr.ECA_NORMAL
        if _core.settings.RAISE_ERRORS:
            message = f"put: the connection of {entry.pvname!r} was lost"
            raise ChannelAccessDisconnected(message, entry.pvname)
        return -1
    if told is not None:
        put_completes.append(told)
        thread = threading.Thread(target=_tell_late, args=(request, told), daemon=True)
        thread.start()
    if _core.settings.RAISE_ERRORS:
        message = f"put to {entry.pvname!r} timed out after {timeout:.2f} seconds"
        raise ChannelAccessTimeout(message, entry.pvname)
    return -1


def _tell_late(request: Request, told: Completion) -> None:
    """Run the callback of a put that nobody waits for any more."""
    request.wait(None)
    told(completion(request))


def completion(request: Request) -> int:
    """Return the CA status of a write that has been answered."""
    answer = request.answer()
    return int(ECA.DISCONN) if answer is None else int(answer[0][7])


def _check_put(status: int, pvname: str) -> None:
    if status != dbr.ECA_NORMAL:
        raise CASeverityException("put", eca_message(status), pvname)


def remaining(timeout: float | None, since: float) -> float | None:
    """Return what is left of a time-out that began at `since` (monotonic seconds)."""
    return None if timeout is None else max(timeout - (time.monotonic() - since), 0.0)
