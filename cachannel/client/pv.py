"""PVs: the state of a channel, and how requests become what libca takes.

Events arrive on the dispatcher thread of the libca context. See `cachannel.client.context` for
the order of locks.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from cachannel._native import lib
from cachannel.client.callbacks import CallbackHandler, Entry, Outbox
from cachannel.client.circuits import BaseCircuitManager, ChannelInfo, address_of
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    PV_DEFAULT_TIMEOUT,
    DisconnectedError,
    Timeout,
    TypeRequest,
    limit_in_seconds,
    seconds,
)
from cachannel.client.responses import (
    ErrorResponse,
    ReadNotifyResponse,
    ReadResponse,
    WriteNotifyResponse,
)
from cachannel.client.statuses import BADTYPE, DISCONN, LOST, NORMAL, NOWTACCESS, PUTFAIL
from cachannel.client.subscription import BaseSubscription
from cachannel.client.values import (
    Encoded,
    check_type,
    choose_count,
    choose_type,
    count_of,
    encode,
    naming,
    padded,
    refused,
)
from cachannel.errors import describe
from cachannel.protocol.channel_types import AccessRights, ChannelType, SubscriptionType
from cachannel.protocol.errors import (
    CaprotoTimeoutError,
    CaprotoTypeError,
    CaprotoValueError,
    ErrorResponseReceived,
)
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from cachannel.client.context import BaseContext

__all__ = ["BasePV", "check_notify"]

logger = logging.getLogger("cachannel.ch")

_CONNECTION, _ACCESS = 1, 2
_CONN_UP: Final = 6
_ALL_CHANGES: Final = (
    SubscriptionType.DBE_VALUE | SubscriptionType.DBE_ALARM | SubscriptionType.DBE_PROPERTY
)
_TYPES: Final = tuple(ChannelType)
_RIGHTS: Final = tuple(AccessRights(number) for number in range(4))


S = TypeVar("S", bound=BaseSubscription)
M = TypeVar("M", bound=BaseCircuitManager)


Written = WriteNotifyResponse | ErrorResponseReceived
"""What comes of a write: the answer, or what is raised in its place."""


class BasePV(Generic[S, M]):
    """A process variable of a context; made by `Context.get_pvs` only.

    Attributes:
        name: its name.
        priority: of its circuit, 0 to 99.
        context: the context.
        subscriptions: by their arguments.
    """

    _subscription_class: type[S]

    def __init__(self, name: str, priority: int, context: BaseContext, timeout: Timeout) -> None:
        self.name = name
        self.priority = priority
        self.context = context
        self.subscriptions: dict[Any, S] = {}
        self._timeout = timeout
        self._id = 0
        self._token = 0
        self._number = context.broadcaster.new_id()
        self._up = False
        self._native = -1
        self._rights = -1
        self._idle = False
        self._cancelled = False
        self._manager: M | None = None
        self._waiters: list[Any] | None = None
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
        return limit_in_seconds(timeout)

    @property
    def connected(self) -> bool:
        """Whether the server of the PV is connected."""
        return bool(self._id) and lib.cc_channel_is_connected(self._id) == 1

    @property
    def access_rights(self) -> AccessRights | None:
        """What this client may do, or could do last; None before the PV has connected."""
        rights = lib.cc_access(self._id) if self.connected else -1
        if rights >= 0:
            self._rights = rights
        return _RIGHTS[self._rights] if self._rights >= 0 else None

    @property
    def channel(self) -> ChannelInfo | None:
        """What is known about the channel; None until it has connected."""
        if self._channel is None and (self._native >= 0 or self.connected):
            self._channel = ChannelInfo(self)
        return self._channel

    @property
    def circuit_manager(self) -> M | None:
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

    def connection_state_changed(self, state: str, channel: Any = None) -> None:
        """Call the functions of `connection_state_callback`; by any thread.

        Args:
            state: 'connected' or 'disconnected'.
            channel: without effect.
        """
        if self._connection_handler is not None:
            self._connection_handler.tell(state)

    def access_rights_changed(self, rights: AccessRights) -> None:
        """Call the functions of `access_rights_callback`; by any thread."""
        if self._access_handler is not None:
            self._access_handler.tell(rights)

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
            self.context._disown(self._token)
            lib.cc_channel_clear(channel)
            self.context._flush_soon()

    def _become_idle(self) -> None:
        """Close the channel until it is needed again, unless something follows it."""
        with self.context._lock:
            if self.connected and not any(s._entries for s in self.subscriptions.values()):
                self._close()
                self._idle = True

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
            self._rights = rights & 3
            self._up = True
            waiters, self._waiters = self._waiters, None
            if waiters is not None:
                self.context._engine.kept.discard(self)
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

    def _await_connection(self, waiter: Any) -> None:
        """Add one who waits for the connection; with the lock held."""
        # Most PVs never have any: a list each would be 10,000 more objects for the collector.
        if self._waiters is None:
            self._waiters = [waiter]
        else:
            self._waiters.append(waiter)
        # Nothing else refers to a task that only waits for the connection.
        self.context._engine.kept.add(self)

    def _wake(self, waiters: list[Any]) -> None:
        """Tell those who wait for the connection."""

    def _forget_waiter(self, waiter: Any) -> None:
        with self.context._lock:
            if self._waiters is not None and waiter in self._waiters:
                self._waiters.remove(waiter)
                if not self._waiters:
                    self.context._engine.kept.discard(self)

    def _let_go(self) -> None:
        """Let nothing of this be kept alive by the engine any more; the context ends."""
        kept = self.context._engine.kept
        kept.discard(self)
        kept.discard(self._connection_handler)
        kept.discard(self._access_handler)
        kept.difference_update(self.subscriptions.values())

    # Requests --------------------------------------------------------------------------------

    def _outbox_of_circuit(self) -> Outbox:
        """Find where calls of plain functions go: to the threads of the circuit."""
        manager = self.circuit_manager
        return self.context._outbox if manager is None else manager.outbox

    def _call_back(self, callback: Callable[[Any], object], response: Any) -> None:
        """Call a function with a response, where its calls go; on any thread."""
        outbox = self._outbox(callback)
        outbox.post((Entry.strong(callback, outbox), None, response))

    def _timed_out(self, operation: str, timeout: float | None) -> CaprotoTimeoutError:
        state = "" if self.connected else "; it is not connected"
        if self.context._closed:
            state = "; its context is disconnected"
        return CaprotoTimeoutError(
            f"{operation} of {self.name!r} did not finish within {seconds(timeout)}{state}"
        )

    def _is_lost(self, status: int) -> bool:
        """Tell whether a request failed because the channel went away; it may be tried again."""
        return status in LOST or (status == BADTYPE and not self.connected)

    def _read_response(
        self, record: Record, buffer: Any, dbr_type: int, count: int | None, ioid: int,
        notify: bool = True,
    ) -> ReadNotifyResponse | ReadResponse:  # fmt: skip
        if record[7] != NORMAL:
            if record[7] == BADTYPE and record[3] < 0:
                # libca's own refusal; a server's would be a response.
                message = f"{self.name!r} cannot be read as type {dbr_type}"
                raise CaprotoValueError(message)
            record, buffer = refused(record, dbr_type), None
        elif count and record[8] < count:
            record, buffer = padded(record, buffer, count)
        response = ReadNotifyResponse.from_record(record, buffer, ioid)
        return response if notify else ReadResponse.of(response, self._number)

    def _write_response(self, status: int, answered: int, encoded: Encoded, ioid: int) -> Written:
        """Make the answer to a write, or the exception that a server's error message is."""
        if status not in (NORMAL, NOWTACCESS) and answered == encoded.dbr_type:
            # Only an error message comes with the type of the request.
            return self._error(status, encoded, ioid)
        return WriteNotifyResponse(encoded.dbr_type, encoded.asked, status, ioid)

    def _wrong_type(
        self, data_type: TypeRequest, native: int, data: Any, status: int, ioid: int
    ) -> WriteNotifyResponse:
        """Make the answer to a write as a type that servers refuse; see `_encode`."""
        return WriteNotifyResponse(choose_type(data_type, native), count_of(data), status, ioid)

    def _end_write(
        self, result: Written, wait: bool, callback: Callable[[WriteNotifyResponse], object] | None,
    ) -> WriteNotifyResponse | None:  # fmt: skip
        """Hand out the answer to a write, or raise it."""
        if isinstance(result, ErrorResponseReceived):
            raise result
        if callback is not None:
            self._call_back(callback, result)
        return result if wait else None

    def _error(self, status: int, encoded: Encoded, ioid: int) -> ErrorResponseReceived:
        size = len(encoded.data)
        request = _header(19, size, encoded.dbr_type, encoded.asked, self._number, ioid)
        text = f"{describe(status)} ({self.name})"
        response = ErrorResponse(request, self._number, status, text)
        return ErrorResponseReceived(response, pv_name=self.name, operation="write")

    def _encode(
        self, data: Any, data_type: Any, native: int, data_count: int | None = None
    ) -> Encoded | int:
        """Convert data, or say with which status a server refuses its type."""
        if (
            data_count is not None
            and not isinstance(data, str | bytes)
            and hasattr(data, "__len__")
        ):
            data = data[:data_count]
        try:
            count = lib.cc_element_count(self._id)
            encoded = encode(data, data_type, native, count, self.name)
        except (CaprotoValueError, CaprotoTypeError, UnicodeEncodeError) as exc:
            # The message says all; a chain would show the caller our frames twice.
            raise naming(exc, f"write of {self.name!r}") from None
        if encoded.dbr_type > 6 and encoded.dbr_type not in (35, 36):
            return PUTFAIL
        return encoded

    def _put(self, encoded: Encoded) -> int:
        """Write without an answer; refusals are logged only, as nobody waits for them."""
        status: int = lib.cc_put(self._id, encoded.dbr_type, encoded.count, encoded.data)
        if status not in (NORMAL, DISCONN, BADTYPE):
            level = logging.DEBUG if status == NOWTACCESS else logging.WARNING
            logger.log(level, "%s: write refused: %s", self.name, describe(status))
        return status

    def subscribe(
        self, data_type: TypeRequest = None, data_count: int | None = None, low: float = 0.0,
        high: float = 0.0, to: float = 0.0, mask: int | None = None,
    ) -> S:  # fmt: skip
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
            TypeError, ValueError: no such number of elements.
        """
        check_type(data_type)
        choose_count(data_count)
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
            message = f"time since {self.name!r} was heard from: it is not connected"
            raise DisconnectedError(message)
        return float(silence)


def _header(*fields: int) -> Any:
    from cachannel.client.headers import header_of

    return header_of(*fields)


def check_notify(name: str, notify: bool | None, wait: bool, callback: Any) -> bool:
    """Settle whether a write to a PV asks for an answer."""
    wanted = wait or callback is not None
    if notify is None:
        return wanted
    if wanted and not notify:
        message = f"write of {name!r}: wait=True, or a callback, needs notify=True"
        raise CaprotoValueError(message)
    return notify


class BaseReady:
    """The connection of a PV, looked at as an event."""

    def __init__(self, pv: Any, operation: str) -> None:
        self._pv = pv
        self._operation = operation

    def is_set(self) -> bool:
        """Tell whether the PV is connected."""
        return bool(self._pv.connected)
