"""The output of a circuit: replies and events in order, within bounds."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoError
from cachannel.protocol.messages import HEADER, error

from .encoding import Reply, failure
from .subscription import ClientChannel, Subscription, View

if TYPE_CHECKING:
    from .core import ServerCore

__all__ = ["MAX_REPLY_BYTES", "CircuitOutput", "bounded"]

_GETFAIL: Final = 152
_NORDACCESS: Final = 368

_CHUNK: Final = 524288  # bytes that leave in one send
_LARGE: Final = 65536  # what is not worth copying together with other output
MAX_REPLY_BYTES: Final = 1 << 20
"""Replies that may wait for a client that does not read; then nothing is asked of it."""
MAX_ZERO_FILL: Final = 16 << 20
"""Bytes that a client may ask for beyond what there is."""
_MAX_SUB_BYTES: Final = 1 << 20
_MAX_EVENT_BYTES: Final = 64 << 20
_SMALL_EVENT: Final = 1024


def bounded(count: int, view: View, dbr_type: int) -> int:
    """Return the elements of a failure: as many as asked for, within reason."""
    if count * LAYOUTS[dbr_type].element_size <= MAX_ZERO_FILL:
        return count
    return min(count, view._element_count)


class CircuitOutput:
    """One ordered queue: a reply stands in it as bytes, an event as its subscription.

    Args:
        core: the server.
        peer: the client's address.
        wake: called when there is output while the shell is not calling.
    """

    def __init__(self, core: ServerCore, peer: tuple[str, int], wake: Callable[[], None]) -> None:
        self.core = core
        self.peer = peer
        self._wake_shell = wake
        self._output: deque[Any] = deque()
        self._reply_bytes = 0
        self._events = 0
        self._event_bytes = 0
        self._events_off = False
        # The shell is about to take the output; waking it once more would be in vain.
        self._awake = False

    def next_output(self) -> bytes | memoryview | None:
        """Return what to send next, at most some 512 kB; None when there is nothing."""
        self._awake = False
        output = self._output
        parts: list[bytes] = []
        size = 0
        while output and size < _CHUNK:
            item = output.popleft()
            if item.__class__ is Subscription:
                queue = item.queue
                if not queue:
                    continue
                event = queue.popleft()
                self._events -= 1
                self._event_bytes -= event.size
                if event.size < _LARGE:
                    parts.append(event.event_head + item.id + event.rest)
                    size += event.size
                    continue
                parts.append(event.event_head + item.id)
                size += 16
                self._reply_bytes += len(event.rest)
                item = event.rest
            length = len(item)
            if length < _LARGE:
                parts.append(item)
                size += length
                self._reply_bytes -= length
                continue
            if parts:  # what came before it goes first
                output.appendleft(item)
                break
            view = memoryview(item)
            if length > _CHUNK:
                output.appendleft(view[_CHUNK:])
                view = view[:_CHUNK]
            self._reply_bytes -= len(view)
            return view
        if parts:
            return parts[0] if len(parts) == 1 else b"".join(parts)
        return None

    def _reply(self, data: bytes | bytearray) -> None:
        self._output.append(data)
        self._reply_bytes += len(data)

    def _error(self, buffer: bytearray, position: int, cid: int, status: int, text: str) -> None:
        size, count = HEADER.unpack_from(buffer, position)[1:4:2]
        header = bytes(buffer[position : position + (24 if size == 0xFFFF and not count else 16)])
        self._reply(error(header, cid, status, text))

    def _wake(self) -> None:
        if not self._awake:
            self._awake = True
            self._wake_shell()

    def post(self, sub: Subscription, mask: int) -> None:
        """Queue an event with the present value for one subscription."""
        if self._events_off:
            sub.missed = True
            return
        try:
            if sub.event_filter is None:
                event = sub.view._encoded(sub.dbr_type, sub.count)
            else:
                filtered = sub.event_filter.event(sub, mask)
                if filtered is None:
                    return
                event = filtered
        except Exception as exc:
            event = self._unreadable(sub.channel, sub.dbr_type, sub.count, exc)
        queue = sub.queue
        size = event.size
        waiting = len(queue)
        limit = sub.backlog
        if size > _SMALL_EVENT:
            limit = min(limit, max(2, _MAX_SUB_BYTES // size))
        if self._events >= self.core.total_backlog or self._event_bytes > _MAX_EVENT_BYTES:
            limit = 1
        if waiting < limit:
            queue.append(event)
            self._output.append(sub)
            self._events += 1
            self._event_bytes += size
        else:
            # The place in the output stays, the oldest values go.
            while len(queue) >= limit and len(queue) > 0:
                self._event_bytes -= queue.popleft().size
                self._events -= 1
            queue.append(event)
            self._events += 1
            self._event_bytes += size
        if not self._awake:
            self._awake = True
            self._wake_shell()

    def _drop_events(self, sub: Subscription) -> None:
        """Forget the events of a subscription that have not been sent."""
        for event in sub.queue:
            self._events -= 1
            self._event_bytes -= event.size
        sub.queue.clear()
        sub.missed = False

    def _refuse_events(self, sub: Subscription) -> None:
        """Say in an event that there is no right to read, and send no more."""
        sub.mask = 0
        self._drop_events(sub)
        count = bounded(sub.count, sub.view, sub.dbr_type)
        event = failure(sub.dbr_type, count, _NORDACCESS)
        self._reply(event.event_head + sub.id + event.rest)

    def _unreadable(
        self, channel: ClientChannel, dbr_type: int, count: int, exc: Exception
    ) -> Reply:
        level = logging.DEBUG if isinstance(exc, CaprotoError) else logging.ERROR
        self.core.log.log(
            level,
            "read of %s as type %d for %s:%d failed: %s: %s",
            channel.name,
            dbr_type,
            *self.peer,
            type(exc).__name__,
            exc,
        )
        return failure(dbr_type, bounded(count, channel.view, dbr_type), _GETFAIL)
