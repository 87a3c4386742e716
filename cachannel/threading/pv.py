"""The PVs of the threading client: what blocks, and what is answered later."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from cachannel._ca.handles import fetch
from cachannel._native import lib
from cachannel.client.blocks import refusal
from cachannel.client.callbacks import Entry, Outbox, run_guarded
from cachannel.client.circuits import BaseCircuitManager
from cachannel.client.common import (
    PV_DEFAULT_TIMEOUT,
    ContextClosedError,
    ContextDisconnectedError,
    ReadOptions,
    Timeout,
    TypeRequest,
    WriteOptions,
    deadline_after,
    left_until,
)
from cachannel.client.pv import BasePV, BaseReady, Written, check_notify, logger
from cachannel.client.responses import (
    EventAddResponse,
    ReadNotifyResponse,
    ReadResponse,
    WriteNotifyResponse,
)
from cachannel.client.statuses import ATTEMPTS, DISCONN, DROPPED, LOST, NORMAL
from cachannel.client.subscription import BaseSubscription
from cachannel.client.values import Encoded, choose_count, choose_type, own_buffer
from cachannel.protocol.errors import CaprotoTimeoutError, ErrorResponseReceived
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from cachannel.threading.client import Context

__all__ = ["PV", "Subscription", "VirtualCircuitManager"]


class Subscription(BaseSubscription):
    """Updates of one PV, fanned out to any number of callbacks. Made by `PV.subscribe`."""

    pv: PV

    def remove_callback(self, token: int) -> None:
        """Forget a function; unknown tokens are ignored."""
        self._forget(token)

    def clear(self) -> None:
        """Forget all functions, and end the subscription at the server."""
        self._clear()

    def _tell_latest(self, entry: Entry, response: EventAddResponse) -> None:
        # In the thread of the caller, so that the value is there when `add_callback` returns.
        run_guarded((entry, self, response))


class VirtualCircuitManager(BaseCircuitManager):
    """One connection to a server, with the channels and subscriptions of a context on it."""

    def events_off(self) -> None:
        """Hold back the updates of all subscriptions on this circuit."""
        self._off()

    def events_on(self) -> None:
        """Let updates through again, beginning with the latest of each subscription."""
        self._on()

    def send(self, *commands: Any, extra: Any = None) -> None:
        """Obey messages that switch events off and on; ``extra`` has no effect.

        Raises:
            CaprotoNotImplementedError: any other message; libca sends those.
        """
        self._obey(commands)

    def disconnect(self) -> None:
        """Close the channels on this circuit; requests open them again."""
        self._close_channels()


class PV(BasePV[Subscription, VirtualCircuitManager]):
    """A process variable of a context; made by `Context.get_pvs` only."""

    context: Context
    _subscription_class = Subscription

    def _outbox(self, func: Callable[..., object]) -> Outbox:
        return self._outbox_of_circuit()

    def _connect(self, deadline: float | None, timeout: float | None, operation: str) -> int:
        """Wait for the connection; return the native type."""
        while True:
            if self._id:
                native = lib.cc_field_type(self._id)
                if native >= 0:
                    return int(native)
            elif self._idle and not self.context._closed:
                self._open()
            left = left_until(deadline)
            channel = self._id
            if not channel:
                # Nothing searches: the context is closed, or the search was cancelled.
                if self.context._closed:
                    raise ContextClosedError.of(operation, [self.name])
                time.sleep(min(0.05, 0.05 if left is None else left))
            else:
                slice_ = 0.5 if left is None else min(left, 0.5)
                self.context._engine.ca.wait(lib.cc_channel_wait, channel, slice_)
            if left is not None and left <= 0:
                raise self._timed_out(operation, timeout)

    @property
    def circuit_ready(self) -> Ready:
        """Whether a server was found: ``is_set()``, and ``wait(timeout)``."""
        return Ready(self, "search")

    @property
    def channel_ready(self) -> Ready:
        """Whether the PV is connected: ``is_set()``, and ``wait(timeout)``."""
        return Ready(self, "connection")

    def wait_for_search(self, *, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until a server has the PV.

        Raises:
            CaprotoTimeoutError: none was found in time.
        """
        limit = self._limit(timeout)
        self._connect(deadline_after(limit), limit, "search")

    def wait_for_connection(self, *, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until the PV is connected; an idle PV connects again.

        Args:
            timeout: seconds; None: without limit; default: that of the PV or its context.

        Raises:
            CaprotoTimeoutError: it did not connect in time.
        """
        limit = self._limit(timeout)
        self._connect(deadline_after(limit), limit, "connection")

    def go_idle(self) -> None:
        """Close the channel until it is needed again, if nothing uses it now.

        Ignored while a subscription has callbacks. Waits for requests in progress.
        """
        deadline = time.monotonic() + (self.timeout or 60.0)
        while self._pending and time.monotonic() < deadline:
            time.sleep(0.002)
        self._become_idle()

    def time_since_last_heard(self, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> float:
        """Return the seconds since the server of the PV was heard from.

        Raises:
            CaprotoTimeoutError: it is not connected.
        """
        self.wait_for_connection(timeout=timeout)
        return self._last_heard()

    @overload
    def read(
        self, *, wait: Literal[True] = True, notify: Literal[True] = True,
        callback: Callable[[ReadNotifyResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> ReadNotifyResponse: ...  # fmt: skip

    @overload
    def read(
        self, *, notify: Literal[False], wait: Literal[True] = True,
        callback: Callable[[ReadResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> ReadResponse: ...  # fmt: skip

    @overload
    def read(
        self, *, wait: Literal[False], notify: bool = True,
        callback: Callable[[ReadNotifyResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> None: ...  # fmt: skip

    @overload
    def read(
        self, *, wait: bool = True, notify: bool = True,
        callback: Callable[[ReadNotifyResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> ReadNotifyResponse | ReadResponse | None: ...  # fmt: skip

    def read(
        self, *, wait: bool = True, callback: Callable[[Any], object] | None = None,
        timeout: Timeout = PV_DEFAULT_TIMEOUT, data_type: TypeRequest = None,
        data_count: int | None = None, notify: bool = True,
    ) -> ReadNotifyResponse | ReadResponse | None:  # fmt: skip
        """Read the PV.

        Args:
            wait: wait for the answer and return it.
            callback: called with the response on a worker thread; held strongly.
            timeout: seconds for connection and answer together; None: without limit.
            data_type: None for the native type, the name of a group of types, or a type.
            data_count: elements; None: the current length. More than the PV has are zeros.
            notify: False gives an old-style `ReadResponse`.

        Returns:
            A `ReadNotifyResponse`, whose status may be bad; None with ``wait=False``.

        Raises:
            CaprotoTimeoutError: there was no connection or no answer in time.
            KeyError, ValueError: no such type.
        """
        limit = self._limit(timeout)
        deadline = deadline_after(limit)
        count = choose_count(data_count)
        self._pending += 1
        try:
            for attempt in range(ATTEMPTS):
                native = self._connect(deadline, limit, "read")
                dbr_type = choose_type(data_type, native)
                manager = self._manager or self.circuit_manager
                ids = (0,) if manager is None else manager.take_ioids(1)
                ioid = ids[0]
                try:
                    if not wait:
                        later = self._later(manager, ids)
                        manager = None  # the number is in use until the answer
                        self._read_later(dbr_type, count, ioid, callback, limit, notify, later)
                        return None
                    answer = self._read_now(dbr_type, count, deadline, limit)
                finally:
                    if manager is not None:
                        manager.release_ioids(ids)
                if answer[0][7] not in LOST or attempt == ATTEMPTS - 1:
                    break
        finally:
            self._pending -= 1
        response = self._read_response(*answer, dbr_type, data_count, ioid, notify)
        if callback is not None:
            self._call_back(callback, response)
        return response

    def _read_now(
        self, dbr_type: int, count: int, deadline: float | None, timeout: float | None
    ) -> tuple[Record, Any]:
        request = lib.cc_get(self._id, dbr_type, count, 0, 0)
        if request < 0:
            status = DISCONN if self._is_lost(-request) else -request
            return refusal(0, status), None
        try:
            ca = self.context._engine.ca
            lib.cc_flush(ca.id)
            ca.wait(lib.cc_request_wait, request, left_until(deadline))
            answer = fetch(request, steal=True)
        finally:
            lib.cc_request_release(request)
        if answer is None:
            if self.context._closed:
                message = f"the context was disconnected while {self.name!r} was being read"
                raise ContextDisconnectedError(message)
            raise self._timed_out("read", timeout)
        return answer

    def _later(self, manager: Any, ids: Sequence[int]) -> Callable[[], None]:
        """Begin a request that nobody waits for; return what its answer has to call."""
        self._pending += 1

        def answered() -> None:
            self._pending -= 1
            if manager is not None:
                manager.release_ioids(ids)

        return answered

    def _read_later(
        self, dbr_type: int, count: int, ioid: int, callback: Any, timeout: float | None,
        notify: bool, answered: Callable[[], None],
    ) -> None:  # fmt: skip
        owners = self.context._engine.ca.owners
        deadline = deadline_after(timeout)
        outbox = self._outbox(callback)
        asked = count

        def deliver(record: Record, buffer: Any, offset: int) -> None:
            owners.pop(record[0], None)
            answered()
            if record[1] == DROPPED or callback is None:
                return
            if deadline is not None and time.monotonic() > deadline:
                logger.warning("a read of %s was answered later than %g s", self.name, timeout)
                return
            buffer = own_buffer(record, buffer, offset)
            response = self._read_response(record, buffer, dbr_type, asked, ioid, notify)
            outbox.put((Entry.strong(callback, outbox), None, response))

        token = self.context._engine.own(deliver)
        status = lib.cc_get_callback(self._id, dbr_type, count, token)
        if status != NORMAL:
            owners.pop(token, None)
            answered()
            if callback is not None and not self._is_lost(status):
                record = refusal(0, status)
                response = self._read_response(record, None, dbr_type, None, ioid, notify)
                self._call_back(callback, response)
        self.context._flush_soon()

    @overload
    def write(
        self, data: Any, *, wait: Literal[True] = True,
        callback: Callable[[WriteNotifyResponse], object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteNotifyResponse: ...  # fmt: skip

    @overload
    def write(
        self, data: Any, *, wait: Literal[False],
        callback: Callable[[WriteNotifyResponse], object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> None: ...  # fmt: skip

    @overload
    def write(
        self, data: Any, *, wait: bool = True,
        callback: Callable[[WriteNotifyResponse], object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteNotifyResponse | None: ...  # fmt: skip

    def write(
        self, data: Any, *, wait: bool = True, callback: Callable[[Any], object] | None = None,
        timeout: Timeout = PV_DEFAULT_TIMEOUT, notify: bool | None = None,
        data_type: TypeRequest = None, data_count: int | None = None,
    ) -> WriteNotifyResponse | None:  # fmt: skip
        """Write to the PV.

        Args:
            data: a number, text, or a sequence of these.
            wait: wait until the server has completed the write.
            callback: called with the response on a worker thread; held strongly.
            timeout: seconds for connection and answer together; None: without limit.
            notify: ask for an answer; None: if somebody wants it.
            data_type: the type to send; None: the native one.
            data_count: at most so many elements.

        Returns:
            A `WriteNotifyResponse`, whose status may be bad; None with ``wait=False``.

        Raises:
            CaprotoTimeoutError: there was no connection or no answer in time.
            ErrorResponseReceived: the server answered with an error message.
            ValueError, TypeError: the data cannot be sent; nothing was.
        """
        notify = check_notify(self.name, notify, wait, callback)
        limit = self._limit(timeout)
        deadline = deadline_after(limit)
        self._pending += 1
        try:
            for attempt in range(ATTEMPTS):
                native = self._connect(deadline, limit, "write")
                encoded = self._encode(data, data_type, native, data_count)
                manager = self._manager or self.circuit_manager
                ids = (0,) if manager is None else manager.take_ioids(1)
                try:
                    if isinstance(encoded, int):
                        result: Written = self._wrong_type(data_type, native, data, encoded, ids[0])
                        break
                    if not notify:
                        if self._put(encoded) in LOST and attempt < ATTEMPTS - 1:
                            continue
                        self.context._flush_soon()
                        return None
                    if not wait:
                        later = self._later(manager, ids)
                        manager = None  # the number is in use until the answer
                        self._write_later(encoded, ids[0], callback, limit, later)
                        return None
                    status, answered = self._write_now(encoded, deadline, limit)
                finally:
                    if manager is not None:
                        manager.release_ioids(ids)
                if status in LOST and attempt < ATTEMPTS - 1:
                    continue
                result = self._write_response(status, answered, encoded, ids[0])
                break
        finally:
            self._pending -= 1
        return self._end_write(result, wait, callback)

    def _write_now(
        self, encoded: Encoded, deadline: float | None, timeout: float | None
    ) -> tuple[int, int]:
        request = lib.cc_put_request(self._id, *encoded.parts, 0)
        if request < 0:
            return (DISCONN if self._is_lost(-request) else -request), -1
        try:
            ca = self.context._engine.ca
            lib.cc_flush(ca.id)
            ca.wait(lib.cc_request_wait, request, left_until(deadline))
            answer = fetch(request, steal=False)
        finally:
            lib.cc_request_release(request)
        if answer is None:
            raise self._timed_out("write", timeout)
        return answer[0][7], answer[0][3]

    def _write_later(
        self, encoded: Encoded, ioid: int, callback: Any, timeout: float | None,
        answered: Callable[[], None],
    ) -> None:  # fmt: skip
        owners = self.context._engine.ca.owners
        deadline = deadline_after(timeout)
        outbox = self._outbox(callback)

        def deliver(record: Record, buffer: Any, offset: int) -> None:
            owners.pop(record[0], None)
            answered()
            if record[1] == DROPPED:
                return
            if deadline is not None and time.monotonic() > deadline:
                logger.warning("a write to %s was answered later than %g s", self.name, timeout)
                return
            response = self._write_response(record[7], record[3], encoded, ioid)
            if isinstance(response, ErrorResponseReceived):
                logger.warning("%s", response)
            elif callback is not None:
                outbox.put((Entry.strong(callback, outbox), None, response))

        token = self.context._engine.own(deliver)
        status = lib.cc_put_callback(self._id, *encoded.parts, token)
        if status != NORMAL:
            owners.pop(token, None)
            answered()
            if callback is not None and status not in LOST:
                self._call_back(callback, self._write_response(status, -1, encoded, ioid))
        self.context._flush_soon()

    def unsubscribe_all(self) -> None:
        """Clear every subscription."""
        for subscription in list(self.subscriptions.values()):
            subscription._clear()


class Ready(BaseReady):
    """The connection of a PV, looked at as a `threading.Event`."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the connection; False when `timeout` seconds are over."""
        try:
            self._pv._connect(deadline_after(timeout), timeout, self._operation)
        except CaprotoTimeoutError:
            if timeout is None:  # the context is disconnected
                raise
            return False
        return True
