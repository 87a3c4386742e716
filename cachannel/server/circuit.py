"""The server's side of one virtual circuit, without a socket.

A shell moves the bytes: it receives into `Circuit.get_buffer`, tells `Circuit.buffer_updated` how
many, sends what `Circuit.next_output` gives while the socket takes it, and starts the coroutines
that `Circuit` hands it. Everything else is decided here.

How it goes about it:

- All complete messages of a read are handled in one pass; all that the pass has to say leaves
  together. Most requests need no task: a read is the lookup of an encoded reply, a put on a
  channel without hooks is a function call.
- Requests that run user code (putters, getters, overridden methods) become jobs. Jobs start in
  order of arrival, each runs up to its first suspension before the next starts, and the messages
  behind them wait for that only: a slow putter delays nobody, and yet a read that follows a put
  sees what a quick putter did. See `_run_jobs`.
- Output is one queue in order. A reply stands in it as bytes, an event as its subscription, whose
  own bounded queue holds the encoded values; when that is full the oldest value makes room.

Limits: a subscription keeps `max_subscription_backlog` events (default 1000), fewer if they are
large (1 MiB in all, but two at least), one only when the circuit holds `total_backlog` events or
64 MiB of them. A client that does not read its replies is not listened to beyond 1 MiB of them.
A payload may be as large as the channel that it is for can take; larger ones are skipped as they
arrive, without being kept.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final, Protocol

from cachannel.protocol.channel_types import AccessRights
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoError, Forbidden, RemoteProtocolError
from cachannel.protocol.messages import (
    DEFAULT_PROTOCOL_VERSION,
    DO_REPLY,
    EXTENSION,
    HEADER,
    Command,
    error,
    pack,
)

from .encoding import Elements, Reply, decode_elements, failure, pack_numbers, pack_texts, reply

if TYPE_CHECKING:
    from .core import ServerCore
    from .data import ChannelData
    from .filtering import EventFilter

__all__ = ["Circuit", "Subscription", "View"]

_READ_NOTIFY: Final = int(Command.READ_NOTIFY)
_READ: Final = int(Command.READ)
_WRITE: Final = int(Command.WRITE)
_WRITE_NOTIFY: Final = int(Command.WRITE_NOTIFY)

_PUTS: Final = (_WRITE, _WRITE_NOTIFY)

_NORMAL: Final = 1
_TOLARGE: Final = 72
_BADTYPE: Final = 114
_INTERNAL: Final = 142
_GETFAIL: Final = 152
_PUTFAIL: Final = 160
_ALLOCMEM: Final = 48
_BADCOUNT: Final = 176
_BADMONID: Final = 242
_DEFUNCT: Final = 278
_BADMASK: Final = 330
_NORDACCESS: Final = 368
_NOWTACCESS: Final = 376
_UNAVAILINSERV: Final = 432

_NO_CID: Final = 0xFFFFFFFF

_CHUNK: Final = 524288  # bytes that leave in one send
_LARGE: Final = 65536  # what is not worth copying together with other output
_MAX_REPLY_BYTES: Final = 1 << 20
_MAX_INPUT_BYTES: Final = 1 << 20
_GROWTH: Final = 65536
_MAX_SUB_BYTES: Final = 1 << 20
_MAX_EVENT_BYTES: Final = 64 << 20
_SMALL_EVENT: Final = 1024
_MAX_SMALL_PAYLOAD: Final = 16384  # for every message that is not a put
_MAX_ZERO_FILL: Final = 16 << 20
_MAX_CHANNELS: Final = 500_000
_MAX_SUBSCRIPTIONS: Final = 500_000
_MAX_NAME: Final = 1024

_write_head: Final = HEADER.pack


class View(Protocol):
    """What a channel name stands for: a channel, its text as characters, or part of it."""

    @property
    def data_type(self) -> int:
        """The native type that the client is told."""

    @property
    def max_length(self) -> int:
        """The element count that the client is told."""

    def encoded(self, dbr_type: int, count: int) -> Reply:
        """Return the reply with the present value."""

    def from_wire(self, base: int, data: Any) -> Any:
        """Return put elements as the channel stores them."""


class _Channel:
    """A channel that a client created: a name's view, under the ids of both sides."""

    __slots__ = ("cid", "data", "direct", "event_filter", "name", "rights", "sid", "subs", "view")

    def __init__(
        self, name: str, view: View, data: ChannelData, event_filter: Any, cid: int, sid: int
    ) -> None:
        self.name = name
        self.view = view
        self.data = data
        self.event_filter = event_filter  # makes an EventFilter per subscription; or None
        self.cid = cid
        self.sid = sid
        self.rights = 0
        self.direct = view is data
        self.subs: dict[int, Subscription] | None = None


class Subscription:
    """A client's subscription to a channel."""

    __slots__ = (
        "backlog",
        "channel",
        "circuit",
        "count",
        "dbr_type",
        "event_filter",
        "id",
        "mask",
        "missed",
        "queue",
        "view",
    )

    def __init__(
        self,
        circuit: Circuit,
        channel: _Channel,
        dbr_type: int,
        count: int,
        mask: int,
        subscription_id: bytes,
        backlog: int,
    ) -> None:
        self.circuit = circuit
        self.channel = channel
        self.view = channel.view
        self.dbr_type = dbr_type
        self.count = count
        self.mask = mask
        self.id = subscription_id
        self.backlog = backlog
        self.queue: deque[Reply] = deque()
        self.missed = False
        self.event_filter: EventFilter | None = (
            channel.event_filter() if channel.event_filter is not None else None
        )


class _Rest:
    """Awaits the rest of a coroutine that was already run up to its first suspension.

    Args:
        coroutine: what is left to run.
        waits_for: what it yielded, which the event loop has not seen yet.
        context: where all its steps run.
    """

    __slots__ = ("context", "coroutine", "waits_for")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], waits_for: Any, context: Context
    ) -> None:
        self.coroutine = coroutine
        self.waits_for = waits_for
        self.context = context

    def __await__(self) -> Generator[Any, Any, None]:
        coroutine, run = self.coroutine, self.context.run
        pending = self.waits_for
        while True:
            try:
                try:
                    answer = yield pending
                except BaseException as exc:  # a cancellation; the coroutine decides
                    pending = run(coroutine.throw, exc)
                else:
                    pending = run(coroutine.send, answer)
            except StopIteration:
                return


class Circuit:
    """One client.

    Args:
        core: the server.
        peer: the client's address.
        wake: called when there is output while the shell is not calling; the shell then takes
            it soon, from its event loop.
        spawn: starts a coroutine as a task of the server.
    """

    def __init__(
        self,
        core: ServerCore,
        peer: tuple[str, int],
        wake: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.core = core
        self.peer = peer
        self.hostname = peer[0]
        self.username = ""
        self.version = 0
        self.priority = 0
        self.closing = False  # say what is left to say, then close
        self.closed = False
        self._wake_shell = wake
        self._spawn = spawn
        self._channels: dict[int, _Channel] = {}
        self._next_sid = 1
        self._subscriptions = 0
        # Input: bytes of messages that are not complete, or not to be handled yet.
        self._input: bytearray | None = None
        self._filled = 0
        self._drain = 0
        # Output, in order: bytes of replies, and a Subscription for each of its events.
        self._output: deque[Any] = deque()
        self._reply_bytes = 0
        self._events = 0
        self._event_bytes = 0
        self._events_off = False
        self._awake = False
        # Jobs that have not started; whether a runner is on its way to start them.
        self._jobs: deque[Callable[[], Coroutine[Any, Any, None]]] = deque()
        self._runner = False
        self._active = 0
        self._blocked = False
        # rsrv greets with its version before it is asked.
        self._reply(pack(Command.VERSION, 0, DEFAULT_PROTOCOL_VERSION))

    def __repr__(self) -> str:
        return f"<Circuit {self.peer[0]}:{self.peer[1]}, {len(self._channels)} channels>"

    # ------------------------------------------------------------------ for the shell

    @property
    def is_full(self) -> bool:
        """Whether the shell should stop receiving until `next_output` has given more."""
        return self._blocked and self._filled > _MAX_INPUT_BYTES

    def get_buffer(self) -> memoryview:
        """Return where to receive: never empty."""
        if self._input is None:
            return self.core.receive_buffer
        if self._filled == len(self._input):
            self._grow(self._filled + _GROWTH)
        return memoryview(self._input)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Handle what was received into `get_buffer`."""
        if self.closing or self.closed:
            return
        buffer: bytearray | memoryview
        if self._input is None:
            buffer, end = self.core.receive_array, nbytes
        else:
            self._filled = end = self._filled + nbytes
            if self._blocked:
                return
            buffer = self._input
        self._handle(buffer, end)

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

    def resume(self) -> bool:
        """Go on with input that had to wait; tell whether anything was waiting.

        The shell calls this when all output is gone.
        """
        if not self._blocked or self._jobs or self.closing or self.closed:
            return False
        if self._reply_bytes > _MAX_REPLY_BYTES or self._active >= self.core.command_backlog:
            return False
        self._blocked = False
        if self._input is not None:
            self._handle(self._input, self._filled)
        return True

    def close(self) -> None:
        """Forget everything; the socket is gone. Puts that run go on."""
        if self.closed:
            return
        self.closed = True
        for channel in self._channels.values():
            self._end_subscriptions(channel)
        self._channels.clear()
        self._output.clear()
        self._jobs.clear()
        self._input = None

    # ------------------------------------------------------------------ output

    def _reply(self, data: bytes | bytearray) -> None:
        self._output.append(data)
        self._reply_bytes += len(data)

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
                event = sub.view.encoded(sub.dbr_type, sub.count)
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

    def _unreadable(self, channel: _Channel, dbr_type: int, count: int, exc: Exception) -> Reply:
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
        return failure(dbr_type, _bounded(count, channel.view, dbr_type), _GETFAIL)

    # ------------------------------------------------------------------ input

    def _grow(self, size: int) -> None:
        larger = bytearray(size)
        assert self._input is not None
        larger[: self._filled] = memoryview(self._input)[: self._filled]
        self._input = larger

    def _handle(self, buffer: bytearray, end: int) -> None:
        """Handle the complete messages in ``buffer[:end]`` and keep the rest."""
        self._awake = True  # the shell takes the output itself when we return
        start = 0
        if self._drain:
            start = min(self._drain, end)
            self._drain -= start
        try:
            position = self._parse(buffer, start, end)
        except RemoteProtocolError as exc:
            self.core.log.warning("closing the circuit of %s:%d: %s", *self.peer, exc)
            self.closing = True
            position = end
        except Exception:
            # Not the peer's fault, but whatever state this left is not worth keeping.
            self.core.log.exception("closing the circuit of %s:%d", *self.peer)
            self.closing = True
            position = end
        left = end - position
        if not left:
            self._input = None
            self._filled = 0
        elif self._input is None or position:
            if self._input is None or len(self._input) > 4 * (left + _GROWTH):
                fresh = bytearray(left + _GROWTH)
            else:
                fresh = self._input
            fresh[:left] = buffer[position:end]
            self._input = fresh
            self._filled = left
        if self._jobs and not self._runner:
            self._runner = True
            self._spawn(self._run_jobs())

    def _parse(self, buffer: bytearray, position: int, end: int) -> int:
        """Handle messages; return where the first one starts that is left over."""
        unpack = HEADER.unpack_from
        channels = self._channels
        output = self._output
        jobs = self._jobs
        while end - position >= 16:
            command, size, dbr_type, count, p1, p2 = unpack(buffer, position)
            body = position + 16
            if size == 0xFFFF and count == 0:
                if end - position < 24:
                    break
                size, count = EXTENSION.unpack_from(buffer, body)
                body += 8
            if size & 7:
                self._error(buffer, position, _NO_CID, _INTERNAL, "payload not a multiple of 8")
                raise RemoteProtocolError(f"message {command} with a payload of {size} bytes")
            following = body + size
            if following > end:
                if self._refuses(command, size, dbr_type, p1):
                    self._skip(buffer, position, body, command, size, p1)
                    self._drain = following - end
                    return end
                break
            if self._reply_bytes > _MAX_REPLY_BYTES:
                self._blocked = True
                break
            if jobs and not self._is_job(command, p1):
                self._blocked = True
                break
            if command == _READ_NOTIFY:
                channel = channels.get(p1)
                if channel is None:
                    self._bad_id(buffer, position, command, p1)
                    return end
                data = channel.data
                if data.getter is None and data._standard_read and channel.rights & 1:
                    try:
                        if channel.direct:
                            found = data._cache.get(count << 6 | dbr_type)
                            if found is None:
                                found = self._read(channel, dbr_type, count)
                        else:
                            found = self._read(channel, dbr_type, count)
                    except RemoteProtocolError as exc:
                        self._error(buffer, position, channel.cid, _BADTYPE, str(exc))
                        raise
                    if found.size < 65536:
                        item = found.read_head + buffer[position + 12 : position + 16] + found.rest
                        output.append(item)
                        self._reply_bytes += found.size
                    else:
                        self._reply(found.read_head + buffer[position + 12 : position + 16])
                        self._reply(found.rest)
                else:
                    self._slow_read(channel, command, dbr_type, count, p2, buffer, position)
            elif command in _PUTS:
                channel = channels.get(p1)
                if channel is None:
                    self._bad_id(buffer, position, command, p1)
                    return end
                self._put(channel, command, dbr_type, count, p2, buffer, position, body, following)
            else:
                handler = _HANDLERS.get(command)
                if handler is None:
                    self._error(buffer, position, _NO_CID, _INTERNAL, "unknown message")
                    raise RemoteProtocolError(f"unknown message {command}")
                payload = memoryview(buffer)[body:following]
                handler(self, buffer, position, dbr_type, count, p1, p2, payload)
                payload.release()
            position = following
        return position

    def _refuses(self, command: int, size: int, dbr_type: int, p1: int) -> bool:
        """Tell whether a message that has not fully arrived is larger than makes sense."""
        limit = _MAX_SMALL_PAYLOAD
        if command in (_WRITE, _WRITE_NOTIFY):
            channel = self._channels.get(p1)
            if channel is not None and 0 <= dbr_type <= 38:
                layout = LAYOUTS[dbr_type]
                need = layout.value_offset + channel.view.max_length * layout.element_size + 8
                limit = max(limit, need)
            maximum = self.core.max_array_bytes
            if maximum is not None:
                # Base counts the header and some room on top (rsrv, rsrvSizeofLargeBufTCP).
                limit = min(limit, maximum + 128)
        return size > limit

    def _skip(
        self, buffer: bytearray, position: int, body: int, command: int, size: int, p1: int
    ) -> None:
        """Answer a message that is too large, which the caller skips."""
        channel = self._channels.get(p1) if command in (_WRITE, _WRITE_NOTIFY) else None
        cid = _NO_CID if channel is None else channel.cid
        text = f"a payload of {size} bytes is more than the server takes"
        self._error(buffer, position, cid, _TOLARGE, text)
        name = "no channel" if channel is None else channel.name
        self.core.log.warning(
            "message %d of %d bytes from %s:%d (%s) skipped: too large",
            command,
            size,
            *self.peer,
            name,
        )

    def _error(self, buffer: bytearray, position: int, cid: int, status: int, text: str) -> None:
        size, count = HEADER.unpack_from(buffer, position)[1:4:2]
        header = bytes(buffer[position : position + (24 if size == 0xFFFF and not count else 16)])
        self._reply(error(header, cid, status, text))

    def _bad_id(self, buffer: bytearray, position: int, command: int, sid: int) -> None:
        """Answer an unknown server id as rsrv does: an error, then the end of the circuit."""
        self._error(buffer, position, _NO_CID, _INTERNAL, f"Bad Resource ID {sid}")
        raise RemoteProtocolError(f"message {command} for unknown server id {sid}")

    # ------------------------------------------------------------------ reads

    def _read(self, channel: _Channel, dbr_type: int, count: int) -> Reply:
        """Return the reply to a read that needs no hook.

        Raises:
            RemoteProtocolError: the type does not exist, or is for puts only.
        """
        self._check_read(dbr_type)
        if count > channel.view.max_length:
            size = count * LAYOUTS[dbr_type].element_size
            maximum = self.core.max_array_bytes
            if size > (_MAX_ZERO_FILL if maximum is None else maximum):
                return failure(dbr_type, 0, _TOLARGE)
        try:
            return channel.view.encoded(dbr_type, count)
        except Exception as exc:
            return self._unreadable(channel, dbr_type, count, exc)

    @staticmethod
    def _check_read(dbr_type: int) -> None:
        if dbr_type > 38 or dbr_type in (35, 36):
            raise RemoteProtocolError(f"read with invalid type {dbr_type}")

    def _slow_read(
        self,
        channel: _Channel,
        command: int,
        dbr_type: int,
        count: int,
        ioid: int,
        buffer: bytearray,
        position: int,
    ) -> None:
        """Answer any read; see `_parse` for the quick one."""
        self._check_read(dbr_type)
        header = bytes(buffer[position : position + 16])
        if not channel.rights & AccessRights.READ:
            self._answer_read(
                channel,
                header,
                failure(dbr_type, _bounded(count, channel.view, dbr_type), _NORDACCESS),
                _NORDACCESS,
            )
            return
        data = channel.data
        if data.getter is None and data._standard_read:
            self._answer_read(channel, header, self._read(channel, dbr_type, count), _NORMAL)
            return
        self._active += 1
        self._jobs.append(lambda: self._read_job(channel, header, dbr_type, count))

    def _answer_read(
        self, channel: _Channel, header: bytes, found: Reply, status: int, text: str = ""
    ) -> None:
        """Send a reply to READ_NOTIFY or to READ, which has the cid in the status's place."""
        if self.closed:
            return
        head = found.read_head
        if status == _NORMAL:
            status = int.from_bytes(head[8:12], "big")
        if header[1] == _READ:
            if status != _NORMAL:
                self._reply(error(header, channel.cid, status, text or "read failed"))
                return
            head = b"\0\x03" + head[2:8] + channel.cid.to_bytes(4, "big")
        self._reply(head + header[12:16])
        if found.rest:
            self._reply(found.rest)

    async def _read_job(self, channel: _Channel, header: bytes, dbr_type: int, count: int) -> None:
        data = channel.data
        status = _NORMAL
        text = ""
        try:
            if data._standard_read:
                await data.refresh()
                found = self._read(channel, dbr_type, count)
            else:
                # The method may be asked for any type, but views are ours to make.
                metadata, values = await data.auth_read(
                    self.hostname, self.username, dbr_type, user_address=self.peer
                )
                if channel.direct:
                    found = reply(dbr_type, bytes(metadata), _elements(values, dbr_type), count)
                else:
                    found = self._read(channel, dbr_type, count)
        except Forbidden:
            status = _NORDACCESS
            found = failure(dbr_type, _bounded(count, channel.view, dbr_type), status)
        except Exception as exc:
            status = _GETFAIL
            text = f"Python exception: {type(exc).__name__} {exc}"
            self._log_failure("get of", channel, exc)
            found = failure(dbr_type, _bounded(count, channel.view, dbr_type), status)
        finally:
            self._active -= 1
        self._answer_read(channel, header, found, status, text)
        self._wake()

    # ------------------------------------------------------------------ puts

    def _put(
        self,
        channel: _Channel,
        command: int,
        dbr_type: int,
        count: int,
        ioid: int,
        buffer: bytearray,
        position: int,
        body: int,
        end: int,
    ) -> None:
        """Handle WRITE and WRITE_NOTIFY."""
        notify = command == _WRITE_NOTIFY
        data = channel.data
        if data._standard_access:
            if not channel.rights & 2:
                self._refuse_put(
                    channel, buffer, position, count, _NOWTACCESS, "Write access denied"
                )
                return
        elif not self._may_write(channel):
            self._refuse_put(channel, buffer, position, count, _NOWTACCESS, "Write access denied")
            return
        if dbr_type > 36:
            # The count of the answer is 0, as in rsrv.
            self._refuse_put(channel, buffer, position, 0, _BADTYPE, "invalid type of a put")
            return
        layout = LAYOUTS[dbr_type]
        size = end - body
        base = layout.base_type
        # The last text of a put needs not fill its 40 bytes.
        need = layout.value_offset + count * layout.element_size
        if base == 0 and count:
            need -= layout.element_size - 1
        if size < need:
            self._refuse_put(channel, buffer, position, count, _BADCOUNT, "payload too short")
            return
        view = memoryview(buffer)[body:end]
        try:
            elements = decode_elements(base, count, view[layout.value_offset :])
            if dbr_type <= 6 and data._is_plain():
                data.write_now(channel.view.from_wire(base, elements))
                if notify:
                    if count < 0xFFFF:
                        done = _write_head(_WRITE_NOTIFY, 0, dbr_type, count, _NORMAL, ioid)
                    else:
                        done = pack(_WRITE_NOTIFY, dbr_type, count, _NORMAL, ioid)
                    self._reply(done)
                return
            metadata = _metadata(dbr_type, view) if dbr_type > 6 else None
            if not channel.direct:
                # The view knows how its name's elements make the channel's value.
                elements = channel.view.from_wire(base, elements)
        except Exception as exc:
            self._fail_put(channel, bytes(buffer[position:body]), exc)
            return
        header = bytes(buffer[position:body])
        self._active += 1
        self._jobs.append(
            lambda: self._put_job(channel, header, dbr_type, count, elements, metadata)
        )

    def _may_write(self, channel: _Channel) -> bool:
        """Ask an overridden check_access; tell the client if the answer changed."""
        rights = self._rights_of(channel.data)
        if rights != channel.rights:
            channel.rights = rights
            self._reply(pack(Command.ACCESS_RIGHTS, 0, 0, channel.cid, rights))
        return bool(rights & AccessRights.WRITE)

    def _rights_of(self, data: ChannelData) -> int:
        try:
            return int(data.check_access(self.hostname, self.username))
        except Exception:
            self.core.log.exception("check_access of %s failed; no access is granted", data.name)
            return 0

    async def _put_job(
        self,
        channel: _Channel,
        header: bytes,
        dbr_type: int,
        count: int,
        elements: Any,
        metadata: Any,
    ) -> None:
        data = channel.data
        try:
            if channel.direct:
                await data.auth_write(
                    self.hostname,
                    self.username,
                    elements,
                    dbr_type,
                    metadata,
                    user_address=self.peer,
                )
            else:
                await data.write(elements)
        except Forbidden:
            if header[1] == _WRITE_NOTIFY:
                self._answer_put(header, dbr_type, count, _NOWTACCESS)
            else:
                self._reply(error(header, channel.cid, _NOWTACCESS, "Write access denied"))
        except Exception as exc:
            self._fail_put(channel, header, exc)
        else:
            if header[1] == _WRITE_NOTIFY:
                self._answer_put(header, dbr_type, count, _NORMAL)
        finally:
            self._active -= 1
        self._wake()

    def _answer_put(self, header: bytes, dbr_type: int, count: int, status: int) -> None:
        if not self.closed:
            ioid = int.from_bytes(header[12:16], "big")
            self._reply(pack(Command.WRITE_NOTIFY, dbr_type, count, status, ioid))

    def _refuse_put(
        self,
        channel: _Channel,
        buffer: bytearray,
        position: int,
        count: int,
        status: int,
        text: str,
    ) -> None:
        header = bytes(buffer[position : position + 16])
        if header[1] == _WRITE_NOTIFY:
            self._answer_put(header, int.from_bytes(header[4:6], "big"), count, status)
        else:
            self._error(buffer, position, channel.cid, status, text)
        self.core.log.warning(
            "put to %s by %s@%s refused: %s", channel.name, self.username, self.hostname, text
        )

    def _fail_put(self, channel: _Channel, header: bytes, exc: Exception) -> None:
        self._log_failure("put to", channel, exc)
        if not self.closed:
            text = f"Python exception: {type(exc).__name__} {exc}"
            self._reply(error(header, channel.cid, _PUTFAIL, text))

    def _log_failure(self, what: str, channel: _Channel, exc: Exception) -> None:
        log = self.core.log
        # A refusal is one line; what nobody expected comes with its traceback.
        expected = isinstance(exc, (CaprotoError, ValueError))
        log.log(
            logging.WARNING if expected else logging.ERROR,
            "%s %s by %s@%s failed: %s: %s",
            what,
            channel.name,
            self.username,
            self.hostname,
            type(exc).__name__,
            exc,
            exc_info=None if expected and not log.isEnabledFor(logging.DEBUG) else exc,
        )

    # ------------------------------------------------------------------ jobs

    def _is_job(self, command: int, sid: int) -> bool:
        """Tell whether a message runs user code and so may queue up behind other jobs."""
        channel = self._channels.get(sid)
        if channel is None or self._active >= self.core.command_backlog:
            return False
        data = channel.data
        if command in (_WRITE, _WRITE_NOTIFY):
            return not data._is_plain()
        if command in (_READ, _READ_NOTIFY):
            return data.getter is not None or not data._standard_read
        return False

    async def _run_jobs(self) -> None:
        """Start jobs in order, then let the input go on.

        A job is stepped by hand to its first suspension. One that ends there costs no task. One
        that suspends keeps the task that this coroutine is, so that what it found out about the
        current task (for a timeout, a cancel scope) stays true, and another task starts the jobs
        behind it. Each job has its own copy of the context.
        """
        jobs = self._jobs
        while jobs:
            coroutine = jobs.popleft()()
            context = copy_context()
            try:
                waits_for = context.run(coroutine.send, None)
            except StopIteration:
                continue
            if jobs:
                self._spawn(self._run_jobs())
            else:
                self._jobs_started()
            await _Rest(coroutine, waits_for, context)
            if self._blocked and not self._runner and self.resume():
                self._awake = False
                self._wake()
            return
        self._jobs_started()

    def _jobs_started(self) -> None:
        self._runner = False
        self.resume()
        self._awake = False
        self._wake()

    # ------------------------------------------------------------------ other requests
    # All have the signature (buffer, position, dbr_type, count, p1, p2, payload).

    def _on_version(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, _: Any
    ) -> None:
        if kind > 99:
            raise RemoteProtocolError(f"priority {kind} is out of range")
        self.priority = kind
        self.version = count

    def _on_echo(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, body: Any
    ) -> None:
        self._reply(pack(Command.ECHO, kind, count, p1, p2, bytes(body)))

    def _on_read_sync(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, body: Any
    ) -> None:
        self._reply(pack(Command.READ_SYNC, kind, count, p1, p2, bytes(body)))

    def _on_client_name(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, body: Any
    ) -> None:
        if self._channels:
            text = "the user name cannot change after the first channel"
            self._error(buffer, position, _NO_CID, _UNAVAILINSERV, text)
        else:
            self.username = _text(body)

    def _on_host_name(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, body: Any
    ) -> None:
        if self._channels:
            text = "the host name cannot change after the first channel"
            self._error(buffer, position, _NO_CID, _UNAVAILINSERV, text)
        else:
            self.hostname = _text(body)

    def _on_search(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, body: Any
    ) -> None:
        name = _text(body)
        if name and self.core.exists(name):
            self._reply(pack(Command.SEARCH, self.core.port, 0, 0xFFFFFFFF, p2))
        elif kind == DO_REPLY:
            self._reply(pack(Command.NOT_FOUND, kind, count, p1, p2))

    def _on_create(
        self, buffer: bytearray, position: int, kind: int, count: int, cid: int, p2: int, body: Any
    ) -> None:
        version = p2 or self.version
        if version < 4:
            self._error(buffer, position, cid, _DEFUNCT, "clients before CA 4.4 are not served")
            raise RemoteProtocolError(f"client with protocol version 4.{version}")
        self.version = version
        name = _text(body)
        found = None
        if name and len(name) < _MAX_NAME and len(self._channels) < _MAX_CHANNELS:
            found = self.core.resolve(name)
        if found is None:
            self._reply(pack(Command.CREATE_CH_FAIL, 0, 0, cid, 0))
            return
        view, data, event_filter = found
        sid = self._next_sid
        while sid in self._channels:
            sid = sid % 0xFFFFFFFE + 1
        self._next_sid = sid % 0xFFFFFFFE + 1
        channel = _Channel(name, view, data, event_filter, cid, sid)
        channel.rights = rights = self._rights_of(data)
        self._channels[sid] = channel
        self._reply(
            _write_head(22, 0, 0, 0, cid, rights)
            + pack(Command.CREATE_CHAN, int(view.data_type), view.max_length, cid, sid)
        )

    def _on_clear(
        self, buffer: bytearray, position: int, kind: int, count: int, sid: int, cid: int, _: Any
    ) -> None:
        channel = self._channels.pop(sid, None)
        if channel is None:
            self._bad_id(buffer, position, Command.CLEAR_CHANNEL, sid)
            return
        self._end_subscriptions(channel)
        self._reply(pack(Command.CLEAR_CHANNEL, kind, count, sid, cid))

    def _on_event_add(
        self, buffer: bytearray, position: int, kind: int, count: int, sid: int, p2: int, body: Any
    ) -> None:
        channel = self._channels.get(sid)
        if channel is None:
            self._bad_id(buffer, position, Command.EVENT_ADD, sid)
            return
        if kind > 38 or kind in (35, 36):
            self._error(buffer, position, channel.cid, _BADTYPE, "invalid type")
            raise RemoteProtocolError(f"subscription to {channel.name} with invalid type {kind}")
        if len(body) < 14:
            self._error(buffer, position, channel.cid, _INTERNAL, "no event mask")
            raise RemoteProtocolError(f"subscription to {channel.name} without a mask")
        mask = int.from_bytes(body[12:14], "big") & 0x0F
        if not mask:
            self._error(buffer, position, channel.cid, _BADMASK, "the event mask is empty")
            return
        too_large = count * LAYOUTS[kind].element_size > _MAX_ZERO_FILL
        if self._subscriptions >= _MAX_SUBSCRIPTIONS or (
            too_large and count > channel.view.max_length
        ):
            self._error(buffer, position, channel.cid, _ALLOCMEM, "too many or too large")
            return
        if channel.subs is None:
            channel.subs = {}
        elif p2 in channel.subs:
            self._end_subscription(channel, channel.subs[p2])
        backlog = channel.data.max_subscription_backlog or self.core.subscription_backlog
        sub = Subscription(
            self, channel, kind, count, mask, bytes(buffer[position + 12 : position + 16]), backlog
        )
        channel.subs[p2] = sub
        self._subscriptions += 1
        channel.data.subscribe(sub)
        if not channel.rights & AccessRights.READ:
            # As rsrv: the subscription exists and says that it may not be read.
            event = failure(kind, _bounded(count, channel.view, kind), _NORDACCESS)
            sub.mask = 0
            self._reply(event.event_head + sub.id + event.rest)
            return
        if self._events_off:
            sub.missed = True
            return
        self.post(sub, 0)

    def _on_event_cancel(
        self, buffer: bytearray, position: int, kind: int, count: int, sid: int, p2: int, _: Any
    ) -> None:
        channel = self._channels.get(sid)
        if channel is None:
            self._bad_id(buffer, position, Command.EVENT_CANCEL, sid)
            return
        sub = channel.subs.get(p2) if channel.subs else None
        if sub is None:
            self._error(buffer, position, channel.cid, _BADMONID, "no such subscription")
            raise RemoteProtocolError(f"cancel of unknown subscription {p2} of {channel.name}")
        self._end_subscription(channel, sub)
        self._reply(pack(Command.EVENT_ADD, sub.dbr_type, sub.count, sid, p2))

    def _on_events_off(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, _: Any
    ) -> None:
        self._events_off = True

    def _on_events_on(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, _: Any
    ) -> None:
        self._events_off = False
        for channel in self._channels.values():
            for sub in (channel.subs or {}).values():
                if sub.missed:
                    sub.missed = False
                    self.post(sub, 0)

    def _on_read(
        self, buffer: bytearray, position: int, kind: int, count: int, sid: int, p2: int, _: Any
    ) -> None:
        channel = self._channels.get(sid)
        if channel is None:
            self._bad_id(buffer, position, Command.READ, sid)
            return
        self._slow_read(channel, _READ, kind, count, p2, buffer, position)

    def _end_subscription(self, channel: _Channel, sub: Subscription) -> None:
        channel.data.unsubscribe(sub)
        if channel.subs is not None:
            channel.subs.pop(int.from_bytes(sub.id, "big"), None)
        self._subscriptions -= 1
        for event in sub.queue:
            self._events -= 1
            self._event_bytes -= event.size
        sub.queue.clear()

    def _end_subscriptions(self, channel: _Channel) -> None:
        for sub in list((channel.subs or {}).values()):
            self._end_subscription(channel, sub)


_HANDLERS: Final[dict[int, Callable[..., None]]] = {
    Command.VERSION: Circuit._on_version,
    Command.EVENT_ADD: Circuit._on_event_add,
    Command.EVENT_CANCEL: Circuit._on_event_cancel,
    Command.READ: Circuit._on_read,
    Command.SEARCH: Circuit._on_search,
    Command.EVENTS_OFF: Circuit._on_events_off,
    Command.EVENTS_ON: Circuit._on_events_on,
    Command.READ_SYNC: Circuit._on_read_sync,
    Command.CLEAR_CHANNEL: Circuit._on_clear,
    Command.CREATE_CHAN: Circuit._on_create,
    Command.CLIENT_NAME: Circuit._on_client_name,
    Command.HOST_NAME: Circuit._on_host_name,
    Command.ECHO: Circuit._on_echo,
}


def _bounded(count: int, view: View, dbr_type: int) -> int:
    """Return the elements of a failure: as many as asked for, within reason."""
    if count * LAYOUTS[dbr_type].element_size <= _MAX_ZERO_FILL:
        return count
    return min(count, view.max_length)


def _text(body: memoryview) -> str:
    return bytes(body).partition(b"\0")[0].decode("latin-1")


def _metadata(dbr_type: int, view: memoryview) -> dict[str, Any] | None:
    from .data import decode_metadata

    return decode_metadata(dbr_type, view) if LAYOUTS[dbr_type].fields else None


def _elements(values: Any, dbr_type: int) -> Elements:
    """Return what an overridden read() gave as elements."""
    base = LAYOUTS[dbr_type].base_type
    if isinstance(values, (bytes, bytearray, memoryview)):
        raw = bytes(values)
        return Elements(len(raw) // LAYOUTS[dbr_type].element_size, raw)
    if not hasattr(values, "__len__"):
        values = [values]
    if base == 0:
        return pack_texts(
            [part if isinstance(part, bytes) else str(part).encode("latin-1") for part in values]
        )
    return pack_numbers(values, base)
