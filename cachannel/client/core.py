"""Contexts, PVs and subscriptions: what the threading and the asyncio client share.

Events arrive on the dispatcher thread of the libca context. It keeps the state here and puts the
calls of user code into outboxes; no user code runs on it. The flavours add how to wait.

Lock order: `Engine.lock` first; nothing that waits for user code is done with it held. libca may
be called with it held, as libca's threads never take it.
"""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cachannel._native import ffi, lib
from cachannel.client.callbacks import CallbackHandler, Entry, Outbox, warn_single, weak
from cachannel.client.circuits import BaseCircuitManager, ChannelInfo, address_of
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    GLOBAL_DEFAULT_TIMEOUT,
    PV_DEFAULT_TIMEOUT,
    ContextDisconnectedError,
    DisconnectedError,
    Timeout,
    seconds,
)
from cachannel.client.engine import BaseBroadcaster, Engine
from cachannel.client.responses import (
    ErrorResponse,
    EventAddResponse,
    ReadNotifyResponse,
    ReadResponse,
    WriteNotifyResponse,
)
from cachannel.client.values import (
    Encoded,
    check_type,
    choose_type,
    encode,
    own_buffer,
    padded,
    refused,
)
from cachannel.context import create_many
from cachannel.errors import describe
from cachannel.protocol.channel_types import AccessRights, ChannelType, SubscriptionType
from cachannel.protocol.errors import (
    CaprotoTimeoutError,
    CaprotoTypeError,
    CaprotoValueError,
    ErrorResponseReceived,
    ValidationError,
)
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["BaseContext", "BasePV", "BaseSubscription"]

logger = logging.getLogger("cachannel.ch")
_context_logger = logging.getLogger("cachannel.ctx")

_TELL_CONNECTION: Final = 2
_CONNECTION, _ACCESS = 1, 2
_CONN_UP: Final = 6
_NORMAL, _BADTYPE, _DISCONN, _NORDACCESS, _NOWTACCESS = 1, 114, 192, 368, 376
_CHANDESTROY, _PUTFAIL, _BADCHID, _DISCONNCHID, _UNRESPTMO = 440, 160, 410, 106, 480
LOST: Final = frozenset((_DISCONN, _CHANDESTROY, _BADCHID, _DISCONNCHID))
"""Statuses of a request whose channel went away; it may be tried again."""
ATTEMPTS: Final = 4
_DROPPED: Final = 8
_ALL_CHANGES: Final = (
    SubscriptionType.DBE_VALUE | SubscriptionType.DBE_ALARM | SubscriptionType.DBE_PROPERTY
)
_TYPES: Final = tuple(ChannelType)
_RIGHTS: Final = tuple(AccessRights(number) for number in range(4))


class BaseSubscription:
    """Updates of one PV, fanned out to any number of callbacks.

    Made by `PV.subscribe`. The server is asked when the first callback is added, and no longer
    when the last one is gone.

    Attributes:
        pv: the PV.
        callbacks: weak references to the functions, by token.
        most_recent_response: the last update, or None.
        subscriptionid: its number on its circuit while it is active, or None.
    """

    def __init__(
        self, pv: BasePV, data_type: Any, data_count: int | None, low: float, high: float,
        to: float, mask: int,
    ) -> None:  # fmt: skip
        self.pv = pv
        self.data_type = data_type
        self.data_count = data_count
        self.low = low
        self.high = high
        self.to = to
        self.mask = mask
        self.subscriptionid: int | None = None
        self.callbacks: dict[int, Any] = {}
        self.most_recent_response: EventAddResponse | None = None
        self._lock = pv.context._lock
        self._entries: tuple[Entry, ...] = ()
        self._by_token: dict[int, Entry] = {}
        self._tokens = itertools.count()
        self._id = 0
        self._token = 0
        self._type = -1
        self._pad = 0
        self._manager: BaseCircuitManager | None = None

    def __repr__(self) -> str:
        return f"<Subscription to {self.pv.name!r}, id={self.subscriptionid}>"

    def add_callback(self, func: Callable[..., object]) -> int:
        """Register a function for all updates from now on; it is held weakly.

        Args:
            func: called as ``func(subscription, response)``. If it takes only one argument it
                gets the response, and a warning is issued. Keep a reference to it: when it is
                collected it is no longer called.

        Returns:
            A token for `remove_callback`.
        """
        single = warn_single(func, 3)
        with self._lock:
            token = next(self._tokens)
            ref = weak(func, lambda _: self._forget(token))
            entry = Entry(ref, single, self.pv._outbox(func))
            self.callbacks[token] = ref
            self._add(token, entry)
            latest = self.most_recent_response
        if latest is not None:
            self._tell_latest(entry, latest)
        return token

    def _add(self, token: int, entry: Entry) -> None:
        self._by_token[token] = entry
        self._entries = tuple(self._by_token.values())
        if len(self._entries) == 1:
            self.pv._subscribed(self)

    def _tell_latest(self, entry: Entry, response: EventAddResponse) -> None:
        entry.outbox.post((entry, self, response))

    def _forget(self, token: int) -> None:
        with self._lock:
            self.callbacks.pop(token, None)
            if self._by_token.pop(token, None) is None:
                return
            self._entries = tuple(self._by_token.values())
            if not self._entries:
                self._deactivate()

    def _clear(self) -> None:
        with self._lock:
            self.callbacks.clear()
            self._by_token.clear()
            self._entries = ()
            self._deactivate()

    # Towards libca, with the lock held -------------------------------------------------------

    def _activate(self) -> None:
        """Ask the server, if the PV is connected."""
        pv = self.pv
        native = lib.cc_field_type(pv._id)
        if native < 0 or self._id:
            return
        engine = pv.context._engine
        self._type = choose_type(self.data_type, native)
        manager = pv.circuit_manager
        if manager is None:
            return
        self._manager = manager
        for entry in self._entries:
            # Made before the circuit was known.
            if entry.outbox is pv.context._outbox:
                entry.outbox = manager.outbox
        self.subscriptionid = manager.next_subscriptionid()
        manager.subscriptions[self.subscriptionid] = self
        count = self.data_count or 0
        self._pad = count if count > lib.cc_element_count(pv._id) else 0
        self._token = engine.own(self._deliver)
        answer = lib.cc_subscribe(pv._id, self._type, count, self.mask, self._token, ffi.NULL)
        if answer < 0:
            engine.ca.owners.pop(self._token, None)
            logger.error("%s: cannot subscribe: %s", pv.name, describe(-answer))
            return
        self._id = answer
        pv.context._flush_soon()

    def _reactivate(self) -> None:
        """The channel is back; libca has renewed the subscription with the type it had."""
        native = lib.cc_field_type(self.pv._id)
        if self._id and native >= 0 and choose_type(self.data_type, native) == self._type:
            manager = self.pv.circuit_manager
            if manager is not None and manager is not self._manager:
                self._leave_circuit()
                self._manager = manager
                self.subscriptionid = manager.next_subscriptionid()
                manager.subscriptions[self.subscriptionid] = self
            return
        self._end()
        self._activate()

    def _leave_circuit(self) -> None:
        if self._manager is not None and self.subscriptionid is not None:
            self._manager.subscriptions.pop(self.subscriptionid, None)
            if self._manager.held is not None:
                self._manager.held.pop(self, None)
        self.subscriptionid = None
        self._manager = None

    def _end(self) -> None:
        subscription, self._id = self._id, 0
        self._leave_circuit()
        if subscription:
            self.pv.context._engine.ca.owners.pop(self._token, None)
            lib.cc_unsubscribe(subscription)

    def _deactivate(self) -> None:
        self._end()
        self.most_recent_response = None
        if not self.pv.context._closed:
            self.pv.context._flush_soon()

    # Events, on the dispatcher thread --------------------------------------------------------

    def _deliver(self, record: Record, buffer: Any, offset: int) -> None:
        if record[2] != 1:
            buffer = own_buffer(record, buffer, offset)
        if record[7] != _NORMAL:
            if record[7] in LOST:
                return
            record, buffer = refused(record, self._type), None
        elif self._pad:
            record, buffer = padded(record, buffer, self._pad)
        response = EventAddResponse.from_record(record, buffer, self.subscriptionid or 0)
        with self._lock:
            manager = self._manager
            if manager is not None and manager.held is not None:
                manager.held[self] = response
                return
            self.most_recent_response = response
            for entry in self._entries:
                entry.outbox.put((entry, self, response))

    def _hand_out(self, response: EventAddResponse, batched: bool = True) -> None:
        self.most_recent_response = response
        for entry in self._entries:
            (entry.outbox.put if batched else entry.outbox.post)((entry, self, response))


class BasePV:
    """A process variable of a context; made by `Context.get_pvs` only.

    Attributes:
        name: its name.
        priority: of its circuit, 0 to 99.
        context: the context.
        subscriptions: by their arguments.
    """

    _subscription_class: ClassVar[type[BaseSubscription]] = BaseSubscription

    def __init__(self, name: str, priority: int, context: BaseContext, timeout: Timeout) -> None:
        self.name = name
        self.priority = priority
        self.context = context
        self.subscriptions: dict[Any, BaseSubscription] = {}
        self._timeout = timeout
        self._id = 0
        self._token = 0
        self._number = context.broadcaster.new_id()
        self._up = False
        self._native = -1
        self._idle = False
        self._cancelled = False
        self._manager: BaseCircuitManager | None = None
        self._waiters: list[Any] = []
        self._pending = 0
        self._channel: ChannelInfo | None = None
        self._connection_handler: CallbackHandler | None = None
        self._access_handler: CallbackHandler | None = None

    def __repr__(self) -> str:
        head = f"<PV name={self.name!r} priority={self.priority}"
        if self._idle:
            return f"{head} (idle)>"
        manager = self.circuit_manager if self.connected else None
        if manager is None:
            return f"{head} (searching....)>"
        return (
            f"{head} address={manager.circuit.address}, circuit_state=States.CONNECTED, "
            "channel_state=States.CONNECTED>"
        )

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """The logger of channels, with the name of this PV on its records."""
        return logging.LoggerAdapter(logger, {"pv": self.name, "role": "CLIENT"})

    @property
    def timeout(self) -> float | None:
        """The time-out of requests, seconds; None: no limit."""
        timeout = self._timeout
        return self.context.timeout if timeout is CONTEXT_DEFAULT_TIMEOUT else timeout  # type: ignore[return-value]

    @timeout.setter
    def timeout(self, value: Timeout) -> None:
        self._timeout = value

    def _limit(self, timeout: Timeout) -> float | None:
        if timeout is PV_DEFAULT_TIMEOUT:
            timeout = self._timeout
        if timeout is CONTEXT_DEFAULT_TIMEOUT:
            timeout = self.context.timeout
        return timeout  # type: ignore[return-value]

    @property
    def connected(self) -> bool:
        """Whether the server of the PV is connected."""
        return bool(self._id) and lib.cc_channel_is_connected(self._id) == 1

    @property
    def access_rights(self) -> AccessRights | None:
        """What this client may do; None before the PV has connected."""
        if not self.connected:
            return None
        rights = lib.cc_access(self._id)
        return _RIGHTS[rights] if rights >= 0 else None

    @property
    def channel(self) -> ChannelInfo | None:
        """What is known about the channel; None until it has connected."""
        if self._channel is None and self.connected:
            self._channel = ChannelInfo(self)
        return self._channel

    @property
    def circuit_manager(self) -> Any:
        """The circuit of the PV; None until its server was found."""
        manager = self._manager
        if manager is None and self.connected:
            text = address_of(self._id)
            address = self.context._engine.address(text)
            if address is not None:
                manager = self.context._circuit(address, self.priority)
                with self.context._lock:
                    manager.pvs[self._number] = self
                    self._manager = manager
        return manager

    def _native_type(self) -> ChannelType | None:
        native = lib.cc_field_type(self._id)
        return _TYPES[native] if native >= 0 else None

    def _searching(self) -> bool:
        return bool(self._id) and not self.connected

    # Callbacks -------------------------------------------------------------------------------

    def _outbox(self, func: Callable[..., object]) -> Outbox:
        """Find where calls of a function go."""
        raise NotImplementedError

    @property
    def connection_state_callback(self) -> CallbackHandler:
        """Functions called as ``f(pv, 'connected' | 'disconnected')``."""
        if self._connection_handler is None:
            handler = self._connection_handler = CallbackHandler(self, lambda: None)
            if self._up:
                handler._last = "connected"
        return self._connection_handler

    @property
    def access_rights_callback(self) -> CallbackHandler:
        """Functions called as ``f(pv, access_rights)``."""
        if self._access_handler is None:
            handler = self._access_handler = CallbackHandler(self, self._watch_access)
            if self._up:
                handler._last = self.access_rights
        return self._access_handler

    def _watch_access(self) -> None:
        if self._id:
            lib.cc_channel_tell_access(self._id, 1)

    def _add_callbacks(self, connection: Any, access: Any) -> None:
        if access is not None:
            self.access_rights_callback.add_callback(access, run=True)
        if connection is not None:
            self.connection_state_callback.add_callback(connection, run=True)

    # The channel -----------------------------------------------------------------------------

    def _open(self) -> None:
        """Make the channel if there is none; with a flush."""
        with self.context._lock:
            if not self._id and not self.context._closed:
                self.context._create([self])

    def _cancel(self) -> None:
        """Stop searching."""
        with self.context._lock:
            self._close()
            self._cancelled = True

    def _close(self) -> None:
        """Clear the channel; what is in progress gets a status of loss. With the lock held."""
        channel, self._id = self._id, 0
        for subscription in self.subscriptions.values():
            subscription._id = 0
            subscription._leave_circuit()
            self.context._engine.ca.owners.pop(subscription._token, None)
        if self._manager is not None:
            self._manager._gone(self)
            self._manager = None
        self._up = False
        if channel:
            self.context._engine.ca.owners.pop(self._token, None)
            lib.cc_channel_clear(channel)
            self.context._flush_soon()

    def _may_idle(self) -> bool:
        busy = any(s._entries for s in self.subscriptions.values())
        return self.connected and not busy

    def _subscribed(self, subscription: BaseSubscription) -> None:
        """A subscription got its first callback; with the lock held."""
        if self._idle or not self._id:
            self._idle = False
            if not self._cancelled:
                self._open()
        elif self._up:
            subscription._activate()

    # Events, on the dispatcher thread --------------------------------------------------------

    def _deliver(self, record: Record, buffer: Any, offset: int) -> None:
        if record[1] == _CONNECTION:
            if record[7] == _CONN_UP:
                self._went_up(record[3], record[9])
            else:
                self._went_down()
        elif (
            record[1] == _ACCESS
            and self._access_handler is not None
            and self._up
            and (record[7] or lib.cc_channel_is_connected(record[13]) == 1)
        ):
            # libca takes all rights away when a channel disconnects; that is no news.
            self._access_handler.process(_RIGHTS[record[7]])

    def _went_up(self, native: int, rights: int) -> None:
        with self.context._lock:
            if not self._id:
                return
            self._native = native
            self._up = True
            waiters, self._waiters = self._waiters, []
            if logger.isEnabledFor(logging.INFO):
                self._log_state("connected")
            if self._access_handler is not None:
                self._access_handler.process(_RIGHTS[rights & 3])
            if self._connection_handler is not None:
                self._connection_handler.process("connected")
            for subscription in self.subscriptions.values():
                if subscription._entries:
                    subscription._reactivate()
        if waiters:
            self._wake(waiters)

    def _went_down(self) -> None:
        with self.context._lock:
            if not self._up:
                return
            self._up = False
            if logger.isEnabledFor(logging.INFO):
                self._log_state("disconnected")
            if self._connection_handler is not None:
                self._connection_handler.process("disconnected")
            if self._manager is not None:
                self._manager._gone(self)
                self._manager = None

    def _log_state(self, state: str) -> None:
        manager = self.circuit_manager
        logger.info(
            "%s connection state changed to %s.",
            self.name,
            state,
            extra={
                "pv": self.name,
                "role": "CLIENT",
                "their_address": None if manager is None else manager.circuit.address,
            },
        )

    def _wake(self, waiters: list[Any]) -> None:
        """Tell those who wait for the connection."""

    # Requests --------------------------------------------------------------------------------

    def _ioid(self) -> int:
        manager = self._manager or self.circuit_manager
        return manager.next_ioid() if manager is not None else 0

    def _timed_out(self, operation: str, timeout: float | None) -> CaprotoTimeoutError:
        state = "" if self.connected else "; it is not connected"
        return CaprotoTimeoutError(
            f"{operation} of {self.name!r} did not finish within {seconds(timeout)}{state}"
        )

    def _read_failure(self, status: int, dbr_type: int) -> Record:
        if status == _BADTYPE:
            message = f"{self.name!r} cannot be read as type {dbr_type}"
            raise ValueError(message)
        return (0, 4, 0, dbr_type, 0, 0, 0, status, 0, 0, 0, 0, 0.0, 0)

    def _read_response(
        self, record: Record, buffer: Any, dbr_type: int, count: int | None, ioid: int,
        notify: bool = True,
    ) -> Any:  # fmt: skip
        if record[7] != _NORMAL:
            record, buffer = refused(record, dbr_type), None
        elif count and record[8] < count:
            record, buffer = padded(record, buffer, count)
        response = ReadNotifyResponse.from_record(record, buffer, ioid)
        return response if notify else ReadResponse.of(response, self._number)

    def _write_response(self, status: int, answered: int, encoded: Encoded, ioid: int) -> Any:
        """Make the answer to a write, or the exception that a server's error message is."""
        if status not in (_NORMAL, _NOWTACCESS) and answered == encoded.dbr_type:
            # Only an error message comes with the type of the request.
            return self._error(status, encoded, ioid)
        return WriteNotifyResponse(encoded.dbr_type, encoded.asked, status, ioid)

    def _error(self, status: int, encoded: Encoded, ioid: int) -> ErrorResponseReceived:
        size = len(encoded.data)
        request = _header(19, size, encoded.dbr_type, encoded.asked, self._number, ioid)
        text = f"{describe(status)} ({self.name})"
        return ErrorResponseReceived(ErrorResponse(request, self._number, status, text))

    def _encode(self, data: Any, data_type: Any, native: int) -> Encoded | int:
        """Convert data, or say with which status a server refuses its type."""
        encoded = encode(data, data_type, native, lib.cc_element_count(self._id))
        if encoded.dbr_type > 6 and encoded.dbr_type not in (35, 36):
            return _PUTFAIL
        return encoded

    def _put(self, encoded: Encoded) -> int:
        """Write without an answer; refusals are logged only, as nobody waits for them."""
        status: int = lib.cc_put(self._id, encoded.dbr_type, encoded.count, encoded.data)
        if status not in (_NORMAL, _DISCONN, _BADTYPE):
            level = logging.DEBUG if status == _NOWTACCESS else logging.WARNING
            logger.log(level, "%s: write refused: %s", self.name, describe(status))
        return status

    def subscribe(
        self, data_type: Any = None, data_count: int | None = None, low: float = 0.0,
        high: float = 0.0, to: float = 0.0, mask: int | None = None,
    ) -> Any:  # fmt: skip
        """Define a subscription; the same arguments give the same object.

        Args:
            data_type: None for the native type, the name of a group of types, or a type.
            data_count: elements of each update; None: the current length.
            low: without effect.
            high: without effect.
            to: without effect.
            mask: a `SubscriptionType`; None: value, alarm and property changes.

        Raises:
            KeyError: there is no such group of types.
            ValueError: there is no such type.
        """
        check_type(data_type)
        mask = int(_ALL_CHANGES if mask is None else mask)
        key = (data_type, data_count, low, high, to, mask)
        with self.context._lock:
            found = self.subscriptions.get(key)
            if found is None:
                found = self._subscription_class(self, *key)
                self.subscriptions[key] = found
        return found

    def _last_heard(self) -> float:
        manager = self.circuit_manager
        silence = None if manager is None else manager.silence
        if silence is None:
            message = f"{self.name!r} is not connected"
            raise DisconnectedError(message)
        return float(silence)


def _header(*fields: int) -> Any:
    from cachannel.client.headers import header_of

    return header_of(*fields)


class BaseContext:
    """What the contexts of the flavours have in common.

    Attributes:
        broadcaster: what searches; may be shared by contexts.
        timeout: default of all requests, seconds; None: no limit.
        pvs: by name and priority.
    """

    _broadcaster_class: ClassVar[type[BaseBroadcaster]] = BaseBroadcaster
    _pv_class: ClassVar[type[BasePV]] = BasePV
    _circuit_class: ClassVar[type[BaseCircuitManager]] = BaseCircuitManager

    log = _context_logger
    _outbox: Outbox
    """Calls of plain functions for PVs whose circuit is not known yet."""

    def __init__(
        self,
        broadcaster: Any = None,
        *,
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT,
        host_name: str | None = None,
        client_name: str | None = None,
        max_workers: int = 1,
    ) -> None:
        self._closed = False
        self.broadcaster = self._broadcaster_class() if broadcaster is None else broadcaster
        self.timeout = timeout
        self.host_name = host_name
        self.client_name = client_name
        self.max_workers = max_workers
        self.pvs: dict[tuple[str, int], Any] = {}
        self._circuits: dict[tuple[tuple[str, int], int], Any] = {}
        self._engine: Engine = self.broadcaster._engine
        self._lock = self._engine.lock
        self.broadcaster.add_listener(self)
        if host_name is not None or client_name is not None:
            _context_logger.warning(
                "libca tells servers its own host and user name; host_name and client_name "
                "are kept but not sent"
            )

    @property
    def circuit_managers(self) -> dict[tuple[tuple[str, int], int], Any]:
        """The circuits by ((host, port), priority)."""
        for pv in list(self.pvs.values()):
            pv.circuit_manager  # noqa: B018 - finds the circuit
        with self._lock:
            return {key: c for key, c in self._circuits.items() if c.pvs}

    def _counts(self) -> tuple[int, int, int]:
        idle = sum(pv._idle for pv in list(self.pvs.values()))
        return len(self.circuit_managers), len(self.pvs), idle

    def __repr__(self) -> str:
        return "<Context circuits={} pvs={} idle={}>".format(*self._counts())

    def _circuit(self, address: tuple[str, int], priority: int) -> Any:
        key = (address, priority)
        with self._lock:
            found = self._circuits.get(key)
            if found is None or found.dead.is_set():
                found = self._circuit_class(self, address, priority)
                self._circuits[key] = found
            return found

    def _flush_soon(self) -> None:
        """Send what has been asked for, now or with more."""
        if self._engine.in_batch:
            self._engine.flush_after_batch()
        else:
            lib.cc_flush(self._engine.ca.id)

    def _make_pvs(
        self, names: tuple[str, ...], priority: int, connection: Any, access: Any, timeout: Timeout
    ) -> list[Any]:
        if self._closed:
            message = "this context has been disconnected"
            raise ContextDisconnectedError(message)
        if not 0 <= priority <= 99:
            message = f"a priority is 0 to 99, not {priority}"
            raise ValidationError(message)
        for name in names:
            if not isinstance(name, str):
                message = f"the name of a PV is text, not {type(name).__name__} {name!r}"
                raise CaprotoTypeError(message)
        make, pvs = self._pv_class, self.pvs
        found, new = [], []
        with self._lock:
            for name in names:
                pv = pvs.get((name, priority))
                if pv is None:
                    pv = pvs[name, priority] = make(name, priority, self, timeout)
                    new.append(pv)
                elif not pv._id and not pv._idle:
                    new.append(pv)
                found.append(pv)
            if connection is not None or access is not None:
                for pv in found:
                    pv._add_callbacks(connection, access)
            if new:
                self._create(new)
        return found

    def _create(self, pvs: list[Any]) -> None:
        """Make the channels of PVs of one priority, with one call; with the lock held."""
        engine = self._engine
        names = []
        for pv in pvs:
            data = pv.name.encode("utf-8", "surrogateescape")
            # An empty name is refused by libca; it is a name that is never found.
            names.append(data.split(b"\0")[0])
        first = engine.own_block([pv._deliver for pv in pvs])
        ids = create_many(engine.ca, names, pvs[0].priority, first, _TELL_CONNECTION)
        for index, (pv, channel) in enumerate(zip(pvs, ids, strict=True)):
            pv._cancelled = pv._idle = False
            pv._token = first + index
            if channel > 0:
                pv._id = channel
                if pv._access_handler is not None:
                    pv._watch_access()
            else:
                engine.ca.owners.pop(first + index, None)
        self._flush_soon()

    def _shut(self) -> list[BaseCircuitManager]:
        """End everything; on a broadcaster of its own the libca context ends with it."""
        with self._lock:
            if self._closed:
                return []
            self._closed = True
            alone = not self.broadcaster._endless and all(
                c is self for c in self.broadcaster._contexts
            )
            for pv in self.pvs.values():
                if alone:
                    pv._id, pv._up = 0, False
                    for subscription in pv.subscriptions.values():
                        subscription._id, subscription.subscriptionid = 0, None
                else:
                    pv._close()
                pv._manager = None
                pv._idle = False
            circuits = list(self._circuits.values())
            self._circuits = {}
            for circuit in circuits:
                circuit.pvs = {}
                circuit._set_dead()
        return circuits


def one_of(names: Iterable[str], most: int = 5) -> str:
    """Name some PVs, for a message."""
    shown = list(names)
    text = ", ".join(repr(name) for name in shown[:most])
    return text if len(shown) <= most else f"{text} and {len(shown) - most} more"


def check_notify(notify: bool | None, wait: bool, callback: Any) -> bool:
    """Settle whether a write asks for an answer."""
    wanted = wait or callback is not None
    if notify is None:
        return wanted
    if wanted and not notify:
        message = "a write with wait=True or a callback needs notify=True"
        raise CaprotoValueError(message)
    return notify


def left_until(deadline: float | None) -> float | None:
    """Return the seconds until a deadline, at least 0."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
