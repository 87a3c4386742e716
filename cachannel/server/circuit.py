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
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cachannel.protocol.channel_types import AccessRights
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import RemoteProtocolError
from cachannel.protocol.messages import (
    DEFAULT_PROTOCOL_VERSION,
    DO_REPLY,
    EXTENSION,
    HEADER,
    Command,
    pack,
)
from cachannel.protocol.text import decode, until_nul

from .output import MAX_REPLY_BYTES, MAX_ZERO_FILL
from .request_log import log_request
from .subscription import ClientChannel, Subscription, View
from .transfers import PUTS, READ, READ_NOTIFY, CircuitTransfers

if TYPE_CHECKING:
    from .core import ServerCore

__all__ = ["Circuit", "Subscription", "View"]

_ALLOCMEM: Final = 48
_TOLARGE: Final = 72
_BADTYPE: Final = 114
_INTERNAL: Final = 142
_BADMONID: Final = 242
_DEFUNCT: Final = 278

_NO_CID: Final = 0xFFFFFFFF
_OLDEST_VERSION: Final = 4

_MAX_INPUT_BYTES: Final = 1 << 20
_GROWTH: Final = 65536
_MAX_SMALL_PAYLOAD: Final = 16384  # for every message that is not a put
_MAX_CHANNELS: Final = 500_000
_MAX_SUBSCRIPTIONS: Final = 500_000
_MAX_NAME: Final = 1024
_MAX_WITHDRAWN: Final = 10_000

_write_head: Final = HEADER.pack


class Circuit(CircuitTransfers):
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
        super().__init__(core, peer, wake, spawn)
        self.version = 0
        self.priority = 0
        self.closing = False  # say what is left to say, then close
        self._heard = False  # a message of Channel Access
        self._next_sid = 1
        self._subscriptions = 0
        self._withdrawn: dict[int, None] = {}  # server ids
        # Input: bytes of messages that are not complete, or not to be handled yet.
        self._input: bytearray | None = None
        self._filled = 0
        self._drain = 0
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

    def resume(self) -> bool:
        """Go on with input that had to wait; tell whether anything was waiting.

        The shell calls this when all output is gone.
        """
        if not self._blocked or self._jobs or self.closing or self.closed:
            return False
        if self._reply_bytes > MAX_REPLY_BYTES or self._active >= self.core.command_backlog:
            return False
        self._blocked = False
        if self._input is not None:
            self._handle(self._input, self._filled)
        return True

    def channels(self) -> list[ClientChannel]:
        """Return the channels that the client has at the moment."""
        return list(self._channels.values())

    def check(self, channels: list[ClientChannel]) -> None:
        """Tell the client where rights have changed or a PV is no longer there."""
        changed = False
        for channel in channels:
            if self._channels.get(channel.sid) is not channel:
                continue
            if not self.core.still_serves(channel):
                self._withdraw(channel)
                changed = True
            elif self._update_rights(channel):
                changed = True
        if changed:
            self._wake()

    def _withdraw(self, channel: ClientChannel) -> None:
        """End a channel from this side; the client will search for it again."""
        del self._channels[channel.sid]
        self._end_subscriptions(channel)
        if len(self._withdrawn) >= _MAX_WITHDRAWN:
            del self._withdrawn[next(iter(self._withdrawn))]
        self._withdrawn[channel.sid] = None
        self._reply(pack(Command.SERVER_DISCONN, 0, 0, channel.cid, 0))

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
            self._heard = self._heard or position > start
        except RemoteProtocolError as exc:
            level = logging.WARNING if self._heard else self.core.junk_level(self.peer[0])
            self.core.log.log(level, "closing the circuit of %s:%d: %s", *self.peer, exc)
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
        self._start_jobs()

    def _parse(self, buffer: bytearray, position: int, end: int) -> int:
        """Handle messages; return where the first one starts that is left over."""
        unpack = HEADER.unpack_from
        channels = self._channels
        output = self._output
        jobs = self._jobs
        logs = self.core.logs_requests
        while end - position >= 16:
            command, size, dbr_type, count, p1, p2 = unpack(buffer, position)
            body = position + 16
            if size == 0xFFFF and count == 0:
                if end - position < 24:
                    break
                size, count = EXTENSION.unpack_from(buffer, body)
                body += 8
            if size & 7:
                if command not in _COMMANDS:
                    self._unknown(buffer, position, end)
                self._error(buffer, position, _NO_CID, _INTERNAL, "payload not a multiple of 8")
                raise RemoteProtocolError(f"message {command} with a payload of {size} bytes")
            following = body + size
            if following > end:
                if command not in _COMMANDS:
                    self._unknown(buffer, position, end)
                if self._refuses(command, size, dbr_type, p1):
                    self._skip(buffer, position, body, command, size, p1)
                    self._drain = following - end
                    return end
                break
            if self._reply_bytes > MAX_REPLY_BYTES:
                self._blocked = True
                break
            if jobs and not self._is_job(command, p1):
                self._blocked = True
                break
            if logs:
                log_request(self, command, dbr_type, count, p1, memoryview(buffer)[body:following])
            if command == READ_NOTIFY:
                channel = channels.get(p1)
                if channel is None:
                    self._bad_id(buffer, position, command, p1)
                    position = following
                    continue
                data = channel.data
                if data._getter is None and data._standard_read and channel.rights & 1:
                    if channel.direct:
                        found = data._cache.get(count << 6 | dbr_type)
                        if found is None:
                            found = self._read(channel, dbr_type, count)
                    else:
                        found = self._read(channel, dbr_type, count)
                    if found.size < 65536:
                        item = found.read_head + buffer[position + 12 : position + 16] + found.rest
                        output.append(item)
                        self._reply_bytes += found.size
                    else:
                        self._reply(found.read_head + buffer[position + 12 : position + 16])
                        self._reply(found.rest)
                else:
                    self._slow_read(channel, command, dbr_type, count, p2, buffer, position)
            elif command in PUTS:
                channel = channels.get(p1)
                if channel is None:
                    self._bad_id(buffer, position, command, p1)
                    position = following
                    continue
                self._put(channel, command, dbr_type, count, p2, buffer, position, body, following)
            else:
                handler = _HANDLERS.get(command)
                if handler is None:
                    self._unknown(buffer, position, end)
                payload = memoryview(buffer)[body:following]
                handler(self, buffer, position, dbr_type, count, p1, p2, payload)
                payload.release()
            position = following
        if 2 <= end - position < 16 and not self._heard:
            # No client of ours waits for the rest of what cannot become a message.
            command = int.from_bytes(buffer[position : position + 2], "big")
            if command not in _COMMANDS:
                self._unknown(buffer, position, end)
        return position

    def _unknown(self, buffer: bytearray, position: int, end: int) -> NoReturn:
        """Answer what is not a message of a client, and end the circuit.

        The header tells it: a peer that speaks another protocol would be waited for, or skipped,
        for as long as the size that its first bytes happen to say.
        """
        if end - position >= HEADER.size:
            self._error(buffer, position, _NO_CID, _INTERNAL, "unknown message")
        command = int.from_bytes(buffer[position : position + 2], "big")
        start = bytes(buffer[position : min(end, position + HEADER.size)])
        raise RemoteProtocolError(f"unknown message {command}, starting with {start!r}")

    def _refuses(self, command: int, size: int, dbr_type: int, p1: int) -> bool:
        """Tell whether a message that has not fully arrived is larger than makes sense."""
        limit = _MAX_SMALL_PAYLOAD
        if command in PUTS:
            channel = self._channels.get(p1)
            if channel is not None and 0 <= dbr_type <= 38:
                layout = LAYOUTS[dbr_type]
                need = layout.value_offset + channel.view._element_count * layout.element_size + 8
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
        channel = self._channels.get(p1) if command in PUTS else None
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

    def _bad_id(self, buffer: bytearray, position: int, command: int, sid: int) -> None:
        """Answer an unknown server id as rsrv does: an error, then the end of the circuit.

        What still comes for a channel that was withdrawn is ignored: the client may not have
        known when it sent it.
        """
        if sid in self._withdrawn:
            return
        self._error(buffer, position, _NO_CID, _INTERNAL, f"Bad Resource ID {sid}")
        raise RemoteProtocolError(f"message {command} for unknown server id {sid}")

    # ------------------------------------------------------------------ other requests
    # All have the signature (buffer, position, dbr_type, count, p1, p2, payload).

    def _on_version(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, _: Any
    ) -> None:
        if kind > 99:
            raise RemoteProtocolError(f"priority {kind} is out of range")
        if count < _OLDEST_VERSION:
            # As rsrv, and so for the zeros of a peer that is not a client of Channel Access.
            raise RemoteProtocolError(f"client with protocol version 4.{count}")
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
            self._error(buffer, position, _NO_CID, _INTERNAL, text)
        else:
            self.username = _text(body)

    def _on_host_name(
        self, buffer: bytearray, position: int, kind: int, count: int, p1: int, p2: int, body: Any
    ) -> None:
        if self._channels:
            text = "the host name cannot change after the first channel"
            self._error(buffer, position, _NO_CID, _INTERNAL, text)
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
        if version < _OLDEST_VERSION:
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
        view, data = found.view, found.data
        sid = self._next_sid
        while sid in self._channels or sid in self._withdrawn:
            sid = sid % 0xFFFFFFFE + 1
        self._next_sid = sid % 0xFFFFFFFE + 1
        channel = ClientChannel(name, found, cid, sid)
        channel.listed = self.core.lists(found.record)
        channel.rights = rights = self._rights_of(data)
        self._channels[sid] = channel
        self._reply(
            _write_head(22, 0, 0, 0, cid, rights)
            + pack(Command.CREATE_CHAN, int(view.data_type), view._element_count, cid, sid)
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
        if kind > 38:
            raise RemoteProtocolError(f"subscription to {channel.name} with invalid type {kind}")
        if len(body) < 14:
            self._error(buffer, position, channel.cid, _INTERNAL, "no event mask")
            raise RemoteProtocolError(f"subscription to {channel.name} without a mask")
        mask = int.from_bytes(body[12:14], "big")
        if not 0 < mask < 0x100:
            # The status is that of rsrv, whose event queue does not take such a mask.
            self._error(buffer, position, channel.cid, _ALLOCMEM, "invalid event mask")
            raise RemoteProtocolError(f"subscription to {channel.name} with mask {mask:#x}")
        too_large = count * LAYOUTS[kind].element_size > MAX_ZERO_FILL
        if self._subscriptions >= _MAX_SUBSCRIPTIONS or (
            too_large and count > channel.view._element_count
        ):
            self._error(buffer, position, channel.cid, _ALLOCMEM, "too many or too large")
            return
        self._update_rights(channel)
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
        channel.data._subscribe(sub)
        if not channel.rights & AccessRights.READ:
            # As rsrv: the subscription exists and says that it may not be read.
            self._refuse_events(sub)
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
        if kind > 38:
            self._error(buffer, position, channel.cid, _BADTYPE, "invalid type")
        self._slow_read(channel, READ, kind, count, p2, buffer, position)

    def _end_subscription(self, channel: ClientChannel, sub: Subscription) -> None:
        channel.data._unsubscribe(sub)
        if channel.subs is not None:
            channel.subs.pop(int.from_bytes(sub.id, "big"), None)
        self._subscriptions -= 1
        self._drop_events(sub)

    def _end_subscriptions(self, channel: ClientChannel) -> None:
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
# Every message that a client sends.
_COMMANDS: Final = frozenset((READ_NOTIFY, *PUTS, *_HANDLERS))


def _text(body: memoryview) -> str:
    return decode(until_nul(bytes(body)))
