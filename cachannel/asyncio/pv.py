"""The PVs of the asyncio client: what is awaited, and what happens when it is cancelled."""

from __future__ import annotations

import asyncio
import inspect
import math
import time
from asyncio import _get_running_loop as _running_loop
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from cachannel._native import lib
from cachannel.asyncio.circuit import VirtualCircuitManager
from cachannel.asyncio.loop import CLOSED, COMPLETION, LATE, Waiting
from cachannel.asyncio.reading import LostError, Reading, disconnected
from cachannel.asyncio.subscription import Subscription
from cachannel.client.callbacks import Outbox
from cachannel.client.common import (
    PV_DEFAULT_TIMEOUT,
    ContextClosedError,
    ReadOptions,
    Timeout,
    TypeRequest,
    WriteOptions,
    deadline_after,
    left_until,
)
from cachannel.client.pv import BasePV, BaseReady, Written, check_notify, logger
from cachannel.client.responses import ReadNotifyResponse, ReadResponse, WriteNotifyResponse
from cachannel.client.statuses import ATTEMPTS, DROPPED, LOST, NORMAL
from cachannel.client.values import Encoded, choose_count, choose_type
from cachannel.protocol.errors import CaprotoTimeoutError, ErrorResponseReceived
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from cachannel.asyncio.client import Context

__all__ = ["PV"]

_FROM_NOW = object()


def coarse(seconds: float | None) -> float | None:
    """Round a time-out up to 10 ms: timers are shared by requests with the same one."""
    return None if seconds is None else math.ceil(seconds * 100) / 100


class PV(BasePV[Subscription, VirtualCircuitManager]):
    """A process variable of a context; made by `Context.get_pvs` only."""

    context: Context
    _subscription_class = Subscription

    def _outbox(self, func: Callable[..., object]) -> Outbox:
        if inspect.iscoroutinefunction(func):
            return self.context._loop_outbox
        return self._outbox_of_circuit()

    def _wake(self, waiters: list[Any]) -> None:
        outbox = self.context._loop_outbox
        for future in waiters:
            outbox.put((COMPLETION, future, None))

    async def _connect(self, deadline: float | None, timeout: float | None, operation: str) -> int:
        """Wait for the connection; return the native type."""
        while True:
            with self.context._lock:
                if self._id:
                    native: int = lib.cc_field_type(self._id)
                    if native >= 0:
                        return native
                elif self._idle and not self.context._closed:
                    self._open()
                if self.context._closed:
                    raise ContextClosedError.of(operation, [self.name])
                future = Waiting(loop=self.context._loop)
                waits_for_up = not self._up
                if waits_for_up:
                    self._await_connection(future)
            if not waits_for_up:
                # Just lost; the dispatcher has not heard of it yet.
                await asyncio.sleep(0.005)
            else:
                try:
                    result = await self.context._answer(future, coarse(left_until(deadline)))
                except asyncio.CancelledError:
                    self._forget_waiter(future)
                    raise
                if result is LATE:
                    self._forget_waiter(future)
                    raise self._timed_out(operation, timeout)
                if result is CLOSED:
                    raise disconnected(self, operation)
            if deadline is not None and time.monotonic() >= deadline and not self.connected:
                raise self._timed_out(operation, timeout)

    @property
    def circuit_ready(self) -> Ready:
        """Whether a server was found: ``is_set()``, and ``await wait()``."""
        return Ready(self, "search")

    @property
    def channel_ready(self) -> Ready:
        """Whether the PV is connected: ``is_set()``, and ``await wait()``."""
        return Ready(self, "connection")

    async def wait_for_search(self, *, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until a server has the PV.

        Raises:
            CaprotoTimeoutError: none was found in time.
        """
        limit = self._limit(timeout)
        await self._connect(deadline_after(limit), limit, "search")

    async def wait_for_connection(self, *, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until the PV is connected; an idle PV connects again.

        Args:
            timeout: seconds; None: without limit; default: that of the PV or its context.

        Raises:
            CaprotoTimeoutError: it did not connect in time.
        """
        if not self.connected:
            limit = self._limit(timeout)
            await self._connect(deadline_after(limit), limit, "connection")

    async def go_idle(self) -> None:
        """Close the channel until it is needed again, if nothing uses it now.

        Ignored while a subscription has callbacks. Waits for requests in progress.
        """
        deadline = time.monotonic() + (self.timeout or 60.0)
        while self._pending and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
        self._become_idle()

    def time_since_last_heard(self, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> float:
        """Return the seconds since the server of the PV was heard from.

        Raises:
            DisconnectedError: it is not connected.
        """
        return self._last_heard()

    @overload
    def read(
        self, *, wait: Literal[True] = True, notify: Literal[True] = True,
        callback: Callable[[ReadNotifyResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Coroutine[Any, Any, ReadNotifyResponse]: ...  # fmt: skip

    @overload
    def read(
        self, *, notify: Literal[False], wait: Literal[True] = True,
        callback: Callable[[ReadResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Coroutine[Any, Any, ReadResponse]: ...  # fmt: skip

    @overload
    def read(
        self, *, wait: Literal[False], notify: bool = True,
        callback: Callable[[ReadNotifyResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Coroutine[Any, Any, None]: ...  # fmt: skip

    @overload
    def read(
        self, *, wait: bool = True, notify: bool = True,
        callback: Callable[[ReadNotifyResponse], object] | None = None,
        **options: Unpack[ReadOptions],
    ) -> Coroutine[Any, Any, ReadNotifyResponse | ReadResponse | None]: ...  # fmt: skip

    def read(
        self, *, wait: bool = True, callback: Callable[[Any], object] | None = None,
        timeout: Timeout = PV_DEFAULT_TIMEOUT, data_type: TypeRequest = None,
        data_count: int | None = None, notify: bool = True,
    ) -> Coroutine[Any, Any, ReadNotifyResponse | ReadResponse | None]:  # fmt: skip
        """Read the PV; to be awaited.

        The result may be given to everything that takes a coroutine: ``await``,
        `asyncio.gather`, `asyncio.create_task`, `asyncio.wait_for`. When the PV is connected it is
        a future as well, and the request is sent without anybody awaiting it. Requests of one
        turn of the event loop go out together, the first of them ahead of the others.

        Args:
            wait: wait for the answer and return it.
            callback: called with the response; held strongly.
            timeout: seconds for connection and answer together; None: without limit.
            data_type: None for the native type, the name of a group of types, or a type.
            data_count: elements; None: the current length. More than the PV has are zeros.
            notify: False gives an old-style `ReadResponse`.

        Returns:
            A `ReadNotifyResponse`, whose status may be bad; None with ``wait=False``.

        Raises:
            CaprotoTimeoutError: there was no connection or no answer in time.
            ContextDisconnectedError: the context was disconnected meanwhile.
            KeyError, ValueError: no such type.
            TypeError, ValueError: no such number of elements.
        """
        context = self.context
        # In another thread, or before the loop runs, it has to be a coroutine: that one begins
        # where it is awaited.
        if (
            self._up and wait and notify and callback is None
            and _running_loop() is context._loop
        ):  # fmt: skip
            try:
                native = self._native
                dbr_type = native if data_type is None else choose_type(data_type, native)
                count = choose_count(data_count)
                limit = self._limit(timeout)
            except (KeyError, TypeError, ValueError):
                pass  # the coroutine raises it
            else:
                return context._begin_read(  # type: ignore[return-value]  # see Reading.send
                    self, dbr_type, count, limit, limit, True
                )
        return self._read(wait, callback, timeout, data_type, data_count, notify)

    async def _read(
        self, wait: bool, callback: Any, timeout: Timeout, data_type: Any,
        data_count: int | None, notify: bool, deadline: Any = _FROM_NOW,
    ) -> Any:  # fmt: skip
        """Connect if need be and read, again if the connection is lost meanwhile."""
        limit = self._limit(timeout)
        if deadline is _FROM_NOW:
            deadline = deadline_after(limit)
        context = self.context
        count = choose_count(data_count)
        self._pending += 1
        try:
            for _ in range(ATTEMPTS):
                native = await self._connect(deadline, limit, "read")
                dbr_type = choose_type(data_type, native)
                left = coarse(left_until(deadline))
                reading = context._begin_read(self, dbr_type, count, limit, left, False)
                if not wait:
                    self._read_later(reading, callback, notify)
                    return None
                try:
                    response = await reading
                except LostError:
                    continue
                break
            else:
                raise self._timed_out("read", limit)
        finally:
            self._pending -= 1
        if not notify:
            response = ReadResponse.of(response, self._number)
        if callback is not None:
            self._call_back(callback, response)
        return response

    def _read_again(self, reading: Reading, deadline: float | None) -> None:
        """Repeat a read whose channel went away."""

        async def repeat() -> None:
            count = reading.count or None
            try:
                response = await self._read(
                    True, None, reading.limit, reading.dbr_type, count, True, deadline
                )
            except Exception as exc:
                reading.fail(exc)
            else:
                if not reading.done():
                    reading.set_result(response)

        task = self.context._spawn(repeat())
        reading.add_done_callback(lambda _: task.cancel())

    def _read_later(self, reading: Reading, callback: Any, notify: bool) -> None:
        def done(reading: asyncio.Future[Any]) -> None:
            if reading.cancelled():
                return
            exception = reading.exception()
            if isinstance(exception, CaprotoTimeoutError):
                logger.warning("%s", exception)
            elif exception is None and callback is not None:
                response = reading.result()
                if not notify:
                    response = ReadResponse.of(response, self._number)
                self._call_back(callback, response)

        reading.add_done_callback(done)

    @overload
    async def write(
        self, data: Any, *, wait: Literal[True] = True,
        callback: Callable[[WriteNotifyResponse], object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteNotifyResponse: ...  # fmt: skip

    @overload
    async def write(
        self, data: Any, *, wait: Literal[False],
        callback: Callable[[WriteNotifyResponse], object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> None: ...  # fmt: skip

    @overload
    async def write(
        self, data: Any, *, wait: bool = True,
        callback: Callable[[WriteNotifyResponse], object] | None = None,
        **options: Unpack[WriteOptions],
    ) -> WriteNotifyResponse | None: ...  # fmt: skip

    async def write(
        self, data: Any, *, wait: bool = True, callback: Callable[[Any], object] | None = None,
        timeout: Timeout = PV_DEFAULT_TIMEOUT, notify: bool | None = None,
        data_type: TypeRequest = None, data_count: int | None = None,
    ) -> WriteNotifyResponse | None:  # fmt: skip
        """Write to the PV.

        Args:
            data: a number, text, or a sequence of these.
            wait: wait until the server has completed the write.
            callback: called with the response; held strongly.
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
        context = self.context
        self._pending += 1
        try:
            for _ in range(ATTEMPTS):
                native = await self._connect(deadline, limit, "write")
                encoded = self._encode(data, data_type, native, data_count)
                manager = self.circuit_manager
                ids = (0,) if manager is None else manager.take_ioids(1)
                try:
                    if isinstance(encoded, int):
                        result: Written = self._wrong_type(data_type, native, data, encoded, ids[0])
                        break
                    if not notify:
                        if self._put(encoded) in LOST:
                            continue
                        context._flush_once()
                        return None
                    future = self._write_request(encoded)
                    if isinstance(future, int):
                        if self._is_lost(future):
                            continue
                        result = self._write_response(future, -1, encoded, ids[0])
                        break
                    context._flush_once()
                    if not wait:
                        self._written_later(future, limit, callback, encoded, ids[0])
                        manager = None  # the number is in use until the answer
                        return None
                    answer = await context._answer(future, coarse(left_until(deadline)))
                    if answer is LATE:
                        raise self._timed_out("write", limit)
                    if answer is CLOSED:
                        raise disconnected(self, "write")
                    if answer[0][7] in LOST:
                        continue
                    result = self._write_response(answer[0][7], answer[0][3], encoded, ids[0])
                    break
                finally:
                    if manager is not None:
                        manager.release_ioids(ids)
            else:
                raise self._timed_out("write", limit)
        finally:
            self._pending -= 1
        return self._end_write(result, wait, callback)

    def _write_request(self, encoded: Encoded) -> Waiting | int:
        """Send a write; return the future of its answer, or libca's refusal."""
        context = self.context
        owners, outbox = context._engine.ca.owners, context._loop_outbox
        future = Waiting(loop=context._loop)

        def deliver(record: Record, buffer: Any, offset: int) -> None:
            owners.pop(record[0], None)
            outbox.put((COMPLETION, future, (record, None)))

        token = context._engine.own(deliver)
        status: int = lib.cc_put_callback(self._id, *encoded.parts, token)
        if status == NORMAL:
            return future
        owners.pop(token, None)
        return status

    def _written_later(
        self, future: Waiting, timeout: float | None, callback: Any, encoded: Encoded, ioid: int
    ) -> None:
        manager = self._manager
        self._pending += 1
        if timeout is not None:
            self.context._deadlines.add(future, timeout)

        def done(future: asyncio.Future[Any]) -> None:
            self._pending -= 1
            if manager is not None:
                manager.release_ioids((ioid,))
            answer = None if future.cancelled() else future.result()
            if answer is LATE:
                logger.warning("a write to %s was not answered within %g s", self.name, timeout)
            elif answer is not None and answer is not CLOSED and answer[0][1] != DROPPED:
                response = self._write_response(answer[0][7], answer[0][3], encoded, ioid)
                if isinstance(response, ErrorResponseReceived):
                    logger.warning("%s", response)
                elif callback is not None:
                    self._call_back(callback, response)

        future.add_done_callback(done)

    async def unsubscribe_all(self) -> None:
        """Clear every subscription."""
        for subscription in list(self.subscriptions.values()):
            subscription._clear()


class Ready(BaseReady):
    """The connection of a PV, looked at as an `asyncio.Event`."""

    async def wait(self) -> bool:
        """Wait for the connection, without a limit."""
        await self._pv._connect(None, None, self._operation)
        return True
