"""Reads and puts of a circuit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from cachannel.protocol.channel_types import AccessRights
from cachannel.protocol.dbr import LAYOUTS
from cachannel.protocol.errors import CaprotoError, Forbidden, RemoteProtocolError
from cachannel.protocol.messages import HEADER, Command, error, pack
from cachannel.protocol.text import encode

from .data import ChannelData
from .encoding import Elements, Reply, decode_elements, failure, pack_numbers, pack_texts, reply
from .jobs import CircuitJobs
from .metadata import decode_metadata
from .output import MAX_ZERO_FILL, bounded
from .subscription import ClientChannel

if TYPE_CHECKING:
    from .core import ServerCore

__all__ = ["PUTS", "READ", "READ_NOTIFY", "CircuitTransfers"]

READ_NOTIFY: Final = int(Command.READ_NOTIFY)
READ: Final = int(Command.READ)
_WRITE: Final = int(Command.WRITE)
_WRITE_NOTIFY: Final = int(Command.WRITE_NOTIFY)
PUTS: Final = (_WRITE, _WRITE_NOTIFY)

_NORMAL: Final = 1
_TOLARGE: Final = 72
_BADTYPE: Final = 114
_GETFAIL: Final = 152
_PUTFAIL: Final = 160
_BADCOUNT: Final = 176
_NORDACCESS: Final = 368
_NOWTACCESS: Final = 376

_write_head: Final = HEADER.pack


class CircuitTransfers(CircuitJobs):
    """Reads and puts; for the arguments see `CircuitJobs`."""

    def __init__(
        self,
        core: ServerCore,
        peer: tuple[str, int],
        wake: Callable[[], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        super().__init__(core, peer, wake, spawn)
        self.hostname = peer[0]
        self.username = ""
        self.closed = False
        self._channels: dict[int, ClientChannel] = {}

    def _is_job(self, command: int, sid: int) -> bool:
        """Tell whether a message runs user code and so may queue up behind other jobs."""
        channel = self._channels.get(sid)
        if channel is None or self._active >= self.core.command_backlog:
            return False
        data = channel.data
        if command in PUTS:
            return not data._is_plain()
        if command in (READ, READ_NOTIFY):
            return data._getter is not None or not data._standard_read
        return False

    # ------------------------------------------------------------------ reads

    def _read(self, channel: ClientChannel, dbr_type: int, count: int) -> Reply:
        """Return the reply to a read that needs no hook.

        Raises:
            RemoteProtocolError: the type does not exist, or is for puts only.
        """
        self._check_read(dbr_type)
        if count > channel.view._element_count:
            size = count * LAYOUTS[dbr_type].element_size
            maximum = self.core.max_array_bytes
            if size > (MAX_ZERO_FILL if maximum is None else maximum):
                return failure(dbr_type, 0, _TOLARGE)
        try:
            return channel.view._encoded(dbr_type, count)
        except Exception as exc:
            return self._unreadable(channel, dbr_type, count, exc)

    @staticmethod
    def _check_read(dbr_type: int) -> None:
        if dbr_type > 38:
            raise RemoteProtocolError(f"read with invalid type {dbr_type}")

    def _slow_read(
        self,
        channel: ClientChannel,
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
        self._update_rights(channel)
        if not channel.rights & AccessRights.READ:
            self._answer_read(
                channel,
                header,
                failure(dbr_type, bounded(count, channel.view, dbr_type), _NORDACCESS),
                _NORDACCESS,
            )
            return
        data = channel.data
        for_puts_only = dbr_type in (35, 36)  # answered as unreadable
        if (data._getter is None and data._standard_read) or for_puts_only:
            self._answer_read(channel, header, self._read(channel, dbr_type, count), _NORMAL)
            return
        self._active += 1
        self._jobs.append(lambda: self._read_job(channel, header, dbr_type, count))

    def _answer_read(
        self, channel: ClientChannel, header: bytes, found: Reply, status: int, text: str = ""
    ) -> None:
        """Send a reply to READ_NOTIFY or to READ, which has the cid in the status's place."""
        if self.closed:
            return
        head = found.read_head
        if status == _NORMAL:
            status = int.from_bytes(head[8:12], "big")
        if header[1] == READ:
            if status != _NORMAL:
                self._reply(error(header, channel.cid, status, text or "read failed"))
                return
            head = b"\0\x03" + head[2:8] + channel.cid.to_bytes(4, "big")
        self._reply(head + header[12:16])
        if found.rest:
            self._reply(found.rest)

    async def _read_job(
        self, channel: ClientChannel, header: bytes, dbr_type: int, count: int
    ) -> None:
        data = channel.data
        status = _NORMAL
        text = ""
        try:
            if data._standard_read:
                await data._refresh()
                found = self._read(channel, dbr_type, count)
            else:
                # The method may be asked for any type, but views are ours to make.
                metadata, values = await data.auth_read(
                    self.hostname, self.username, dbr_type, user_address=self.peer
                )
                if channel.direct:
                    found = reply(
                        dbr_type,
                        bytes(metadata),
                        _elements(values, dbr_type, data._encoding),
                        count,
                    )
                else:
                    found = self._read(channel, dbr_type, count)
        except Forbidden:
            status = _NORDACCESS
            found = failure(dbr_type, bounded(count, channel.view, dbr_type), status)
        except Exception as exc:
            status = _GETFAIL
            text = f"Python exception: {type(exc).__name__} {exc}"
            self._log_failure("get of", channel, exc)
            found = failure(dbr_type, bounded(count, channel.view, dbr_type), status)
        finally:
            self._active -= 1
        self._answer_read(channel, header, found, status, text)
        self._wake()

    # ------------------------------------------------------------------ puts

    def _put(
        self,
        channel: ClientChannel,
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
        if not data._standard_access:
            self._update_rights(channel)
        if not channel.rights & 2:
            self._refuse_put(channel, buffer, position, count, _NOWTACCESS, "Write access denied")
            return
        if dbr_type > 36:
            known = dbr_type <= 38
            status = _PUTFAIL if known else _BADTYPE
            self._refuse_put(channel, buffer, position, count, status, "invalid type of a put")
            if known:
                return
            raise RemoteProtocolError(f"put to {channel.name} with invalid type {dbr_type}")
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
                data._write_now(channel.view._from_wire(base, elements))
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
                elements = channel.view._from_wire(base, elements)
        except Exception as exc:
            self._fail_put(channel, bytes(buffer[position:body]), exc)
            return
        header = bytes(buffer[position:body])
        self._active += 1
        self._jobs.append(
            lambda: self._put_job(channel, header, dbr_type, count, elements, metadata)
        )

    def _update_rights(self, channel: ClientChannel) -> bool:
        """Ask an overridden check_access; tell the client if the answer changed, and return that.

        Subscriptions follow the right to read, as in rsrv: one event says that it is gone, and
        one has the value when it is back.
        """
        if channel.data._standard_access:
            return False
        before, rights = channel.rights, self._rights_of(channel.data)
        if rights == before:
            return False
        channel.rights = rights
        self._reply(pack(Command.ACCESS_RIGHTS, 0, 0, channel.cid, rights))
        if (rights ^ before) & AccessRights.READ:
            for sub in (channel.subs or {}).values():
                if rights & AccessRights.READ:
                    sub.mask = sub.wanted
                    self.post(sub, 0)
                else:
                    self._refuse_events(sub)
        return True

    def _rights_of(self, data: ChannelData) -> int:
        try:
            return int(data.check_access(self.hostname, self.username))
        except Exception:
            self.core.log.exception("check_access of %s failed; no access is granted", data._label)
            return 0

    async def _put_job(
        self,
        channel: ClientChannel,
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
        except (GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            # A cancellation: whoever waits for the put has to hear of it.
            self._fail_put(channel, header, exc)
            self._wake()
            raise
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
        channel: ClientChannel,
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
            "put to %s by %s@%s refused: %s",
            channel.name,
            self.username,
            self.hostname,
            text,
            extra=self._extra(channel),
        )

    def _fail_put(self, channel: ClientChannel, header: bytes, exc: BaseException) -> None:
        self._log_failure("put to", channel, exc)
        if not self.closed:
            text = f"Python exception: {type(exc).__name__} {exc}"
            self._reply(error(header, channel.cid, _PUTFAIL, text))

    def _log_failure(self, what: str, channel: ClientChannel, exc: BaseException) -> None:
        log = self.core.log
        # A refusal is one line; what nobody expected comes with its traceback.
        expected = isinstance(exc, (CaprotoError, ValueError)) or not isinstance(exc, Exception)
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
            extra=self._extra(channel),
        )

    def _extra(self, channel: ClientChannel) -> dict[str, object]:
        """Return what log filters look at."""
        return {"pv": channel.name, "their_address": self.peer, "role": "SERVER"}


def _metadata(dbr_type: int, view: memoryview) -> dict[str, Any] | None:
    return decode_metadata(dbr_type, view) if LAYOUTS[dbr_type].fields else None


def _elements(values: Any, dbr_type: int, encoding: str | None) -> Elements:
    """Return what an overridden read() gave as elements."""
    base = LAYOUTS[dbr_type].base_type
    if isinstance(values, (bytes, bytearray, memoryview)):
        raw = bytes(values)
        return Elements(len(raw) // LAYOUTS[dbr_type].element_size, raw)
    if not hasattr(values, "__len__") or isinstance(values, str):
        values = [values]
    if base == 0:
        return pack_texts(
            [part if isinstance(part, bytes) else encode(str(part), encoding) for part in values]
        )
    return pack_numbers(values, base)
