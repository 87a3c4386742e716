"""A client for asyncio programs.

A `Context` belongs to the event loop it is made in. Coroutine functions that are callbacks run
in the loop; plain functions run on worker threads of their circuit. A task may be cancelled at
any await; the answer that it waited for is then dropped.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from cachannel._native import ffi, lib
from cachannel.asyncio.loop import LATE, Deadlines, Inbox
from cachannel.client.callbacks import CallbackHandler, Entry, Outbox, Workers
from cachannel.client.circuits import BaseCircuitManager
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    PV_DEFAULT_TIMEOUT,
    ContextDisconnectedError,
    Timeout,
)
from cachannel.client.core import (
    ATTEMPTS,
    LOST,
    BaseContext,
    BasePV,
    BaseSubscription,
    check_notify,
    left_until,
    logger,
)
from cachannel.client.engine import BaseBroadcaster
from cachannel.client.many import (
    Readings,
    Stream,
    WriteMany,
    connect_many,
    finish_read,
    limit_of,
    open_sink,
    resolve,
    start_read,
    wait_bulk,
)
from cachannel.client.responses import EventAddResponse, WriteNotifyResponse
from cachannel.client.values import Encoded, choose_type, own_buffer
from cachannel.protocol.errors import ErrorResponseReceived
from cachannel.values.decode import Record

if TYPE_CHECKING:
    from cachannel.client.many import Names

__all__ = [
    "PV",
    "CallbackHandler",
    "Context",
    "SharedBroadcaster",
    "Subscription",
    "VirtualCircuitManager",
]

_NORMAL, _BADTYPE = 1, 114
_DROPPED = 8
_REFUSED = -1
_CLOSED = object()


class Subscription(BaseSubscription):
    """Updates of one PV, for callbacks or ``async for``. Made by `PV.subscribe`."""

    pv: PV

    async def remove_callback(self, token: int) -> None:
        """Forget a function; unknown tokens are ignored."""
        self._forget(token)

    async def clear(self) -> None:
        """Forget all functions, and end the subscription at the server."""
        self._clear()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(self, *args: object) -> None:
        self._clear()

    async def __aiter__(self) -> AsyncIterator[EventAddResponse]:
        """Yield the most recent update, if there is one, and every one that follows."""
        queue: asyncio.Queue[EventAddResponse] = asyncio.Queue()
        loop = self.pv.context._inbox

        def push(items: list[Any]) -> None:
            loop.send([(forward, None, [item[2] for item in items])])

        async def receive(responses: list[EventAddResponse]) -> None:
            for response in responses:
                queue.put_nowait(response)

        outbox = Outbox(self.pv.context._engine.dirty, push)
        forward = Entry(lambda: receive, True, outbox)
        entry = Entry(lambda: None, False, outbox)
        with self._lock:
            token = next(self._tokens)
            self._add(token, entry)
            latest = self.most_recent_response
        try:
            if latest is not None:
                yield latest
            while True:
                yield await queue.get()
        finally:
            self._forget(token)


class VirtualCircuitManager(BaseCircuitManager):
    """One connection to a server, with the channels and subscriptions of a context on it."""

    context: Context

    @staticmethod
    def _make_event() -> Any:
        return asyncio.Event()

    def _set_dead(self) -> None:
        context = self.context
        try:
            context._loop.call_soon_threadsafe(self.dead.set)
        except RuntimeError:
            return

    async def events_off(self) -> None:
        """Hold back the updates of all subscriptions on this circuit."""
        self._off()

    async def events_on(self) -> None:
        """Let updates through again, beginning with the latest of each subscription."""
        self._on()

    async def send(self, *commands: Any) -> None:
        """Obey messages that switch events off and on.

        Raises:
            CaprotoNotImplementedError: any other message; libca sends those.
        """
        self._obey(commands)

    async def disconnect(self) -> None:
        """Close the channels on this circuit; requests open them again."""
        for pv in list(self.pvs.values()):
            with self.context._lock:
                pv._close()
                pv._idle = True


class PV(BasePV):
    """A process variable of a context; made by `Context.get_pvs` only."""

    context: Context
    _subscription_class = Subscription

    def _outbox(self, func: Callable[..., object]) -> Outbox:
        if inspect.iscoroutinefunction(func):
            return self.context._loop_outbox
        manager = self.circuit_manager
        return self.context._outbox if manager is None else manager.outbox

    def _wake(self, waiters: list[Any]) -> None:
        outbox = self.context._loop_outbox
        for future in waiters:
            outbox.put((None, future, None))

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
                if self.context._closed and deadline is None:
                    message = f"{operation} of {self.name!r}: the context is disconnected"
                    raise ContextDisconnectedError(message)
                future: asyncio.Future[Any] = self.context._loop.create_future()
                waits_for_up = not self._up
                if waits_for_up:
                    self._waiters.append(future)
            if not waits_for_up:
                # Just lost; the dispatcher has not heard of it yet.
                await asyncio.sleep(0.005)
            else:
                try:
                    result = await self.context._answer(future, left_until(deadline))
                except asyncio.CancelledError:
                    self._forget_waiter(future)
                    raise
                if result is LATE:
                    self._forget_waiter(future)
                    raise self._timed_out(operation, timeout)
                if result is _CLOSED:
                    message = f"{operation} of {self.name!r}: the context was disconnected"
                    raise ContextDisconnectedError(message)
            if deadline is not None and time.monotonic() >= deadline and not self.connected:
                raise self._timed_out(operation, timeout)

    def _forget_waiter(self, future: asyncio.Future[Any]) -> None:
        with self.context._lock:
            if future in self._waiters:
                self._waiters.remove(future)

    async def wait_for_search(self, *, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until a server has the PV.

        Raises:
            CaprotoTimeoutError: none was found in time.
        """
        limit = self._limit(timeout)
        await self._connect(_deadline(limit), limit, "search")

    async def wait_for_connection(self, *, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> None:
        """Wait until the PV is connected; an idle PV connects again.

        Args:
            timeout: seconds; None: without limit; default: that of the PV or its context.

        Raises:
            CaprotoTimeoutError: it did not connect in time.
        """
        if not self.connected:
            limit = self._limit(timeout)
            await self._connect(_deadline(limit), limit, "connection")

    async def go_idle(self) -> None:
        """Close the channel until it is needed again, if nothing uses it now.

        Ignored while a subscription has callbacks. Waits for requests in progress.
        """
        deadline = time.monotonic() + (self.timeout or 60.0)
        while self._pending and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
        with self.context._lock:
            if self._may_idle():
                self._close()
                self._idle = True

    def time_since_last_heard(self, timeout: Timeout = PV_DEFAULT_TIMEOUT) -> float:
        """Return the seconds since the server of the PV was heard from.

        Raises:
            DisconnectedError: it is not connected.
        """
        return self._last_heard()

    async def read(
        self, *, wait: bool = True, callback: Callable[[Any], object] | None = None,
        timeout: Timeout = PV_DEFAULT_TIMEOUT, data_type: Any = None,
        data_count: int | None = None, notify: bool = True,
    ) -> Any:  # fmt: skip
        """Read the PV.

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
            KeyError, ValueError: no such type.
        """
        limit = self._limit(timeout)
        start = time.monotonic()
        deadline = None if limit is None else start + limit
        context = self.context
        self._pending += 1
        try:
            for attempt in range(ATTEMPTS):
                native = self._native
                if not self._up:
                    native = await self._connect(deadline, limit, "read")
                dbr_type = native if data_type is None else choose_type(data_type, native)
                manager = self._manager
                ioid = self._ioid() if manager is None else manager.next_ioid()
                future = context._loop.create_future()
                context._reads.append((self._id, dbr_type, data_count or 0, future))
                if not context._flushing:
                    context._flush_once()
                if not wait:
                    self._answer_later(future, limit, callback, dbr_type, data_count, ioid, notify)
                    return None
                if limit is not None:
                    left = limit if attempt == 0 else left_until(deadline)
                    context._deadlines.add(future, limit if left is None else left)
                context._inflight.add(future)
                try:
                    answer = await future
                finally:
                    context._inflight.discard(future)
                if answer is LATE:
                    raise self._timed_out("read", limit)
                if answer is _CLOSED:
                    message = f"the context was disconnected while {self.name!r} was being read"
                    raise ContextDisconnectedError(message)
                status = answer[0][7]
                if status == _NORMAL:
                    break
                if status not in LOST and not (status == _BADTYPE and not self.connected):
                    if answer[0][1] == _REFUSED:
                        self._read_failure(status, dbr_type)
                    break
            else:
                raise self._timed_out("read", limit)
        finally:
            self._pending -= 1
        response = self._read_response(answer[0], answer[1], dbr_type, data_count, ioid, notify)
        if callback is not None:
            self._call_back(callback, response)
        return response if wait else None

    def _answer_later(
        self, future: asyncio.Future[Any], timeout: float | None, callback: Any, dbr_type: int,
        count: int | None, ioid: int, notify: bool,
    ) -> None:  # fmt: skip
        if timeout is not None:
            self.context._deadlines.add(future, timeout)

        def done(future: asyncio.Future[Any]) -> None:
            answer = None if future.cancelled() else future.result()
            if answer is LATE:
                logger.warning("a read of %s was not answered within %g s", self.name, timeout)
            elif answer is not None and answer is not _CLOSED and answer[0][1] != _DROPPED:
                response = self._read_response(answer[0], answer[1], dbr_type, count, ioid, notify)
                self._call_back(callback, response)

        if callback is not None:
            future.add_done_callback(done)

    def _call_back(self, callback: Callable[[Any], object], response: Any) -> None:
        outbox = self._outbox(callback)
        outbox.post((Entry.strong(callback, outbox), None, response))

    async def write(
        self, data: Any, *, wait: bool = True, callback: Callable[[Any], object] | None = None,
        timeout: Timeout = PV_DEFAULT_TIMEOUT, notify: bool | None = None, data_type: Any = None,
        data_count: int | None = None,
    ) -> Any:  # fmt: skip
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
        notify = check_notify(notify, wait, callback)
        limit = self._limit(timeout)
        deadline = _deadline(limit)
        if (
            data_count is not None
            and not isinstance(data, str | bytes)
            and hasattr(data, "__len__")
        ):
            data = data[:data_count]
        context = self.context
        self._pending += 1
        try:
            for _ in range(ATTEMPTS):
                native = await self._connect(deadline, limit, "write")
                encoded = self._encode(data, data_type, native)
                ioid = self._ioid()
                if isinstance(encoded, int):
                    result: Any = WriteNotifyResponse(choose_type(data_type, 6), 0, encoded, ioid)
                    break
                if not notify:
                    if self._put(encoded) in LOST:
                        continue
                    context._flush_once()
                    return None
                future = self._write_request(encoded)
                if isinstance(future, int):
                    if future in LOST or (future == _BADTYPE and not self.connected):
                        continue
                    result = self._write_response(future, -1, encoded, ioid)
                    break
                context._flush_once()
                if not wait:
                    self._written_later(future, limit, callback, encoded, ioid)
                    return None
                answer = await context._answer(future, left_until(deadline))
                if answer is LATE:
                    raise self._timed_out("write", limit)
                if answer is _CLOSED:
                    message = f"the context was disconnected while {self.name!r} was being written"
                    raise ContextDisconnectedError(message)
                if answer[0][7] in LOST:
                    continue
                result = self._write_response(answer[0][7], answer[0][3], encoded, ioid)
                break
            else:
                raise self._timed_out("write", limit)
        finally:
            self._pending -= 1
        if isinstance(result, ErrorResponseReceived):
            raise result
        if callback is not None:
            self._call_back(callback, result)
        return result if wait else None

    def _write_request(self, encoded: Encoded) -> asyncio.Future[Any] | int:
        """Send a write; return the future of its answer, or libca's refusal."""
        context = self.context
        owners, outbox = context._engine.ca.owners, context._loop_outbox
        future: asyncio.Future[Any] = context._loop.create_future()

        def deliver(record: Record, buffer: Any, offset: int) -> None:
            owners.pop(record[0], None)
            outbox.put((None, future, (record, None)))

        token = context._engine.own(deliver)
        status: int = lib.cc_put_callback(self._id, *encoded.parts, token)
        if status == _NORMAL:
            return future
        owners.pop(token, None)
        return status

    def _written_later(
        self, future: asyncio.Future[Any], timeout: float | None, callback: Any,
        encoded: Encoded, ioid: int,
    ) -> None:  # fmt: skip
        if timeout is not None:
            self.context._deadlines.add(future, timeout)

        def done(future: asyncio.Future[Any]) -> None:
            answer = None if future.cancelled() else future.result()
            if answer is LATE:
                logger.warning("a write to %s was not answered within %g s", self.name, timeout)
            elif answer is not None and answer is not _CLOSED and answer[0][1] != _DROPPED:
                response = self._write_response(answer[0][7], answer[0][3], encoded, ioid)
                if isinstance(response, ErrorResponseReceived):
                    logger.warning("%s: write refused: %s", self.name, response)
                elif callback is not None:
                    self._call_back(callback, response)

        future.add_done_callback(done)

    async def unsubscribe_all(self) -> None:
        """Clear every subscription."""
        for subscription in list(self.subscriptions.values()):
            subscription._clear()


def refusal(status: int) -> Record:
    """Make the record of a read that libca did not even send."""
    return (0, _REFUSED, 0, -1, 0, 0, 0, status, 0, 0, 0, 0, 0.0, 0)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


class SharedBroadcaster(BaseBroadcaster):
    """What searches for the PVs of one context or several, also of different loops."""

    async def remove_listener(self, listener: BaseContext) -> None:
        """Let a context go; after the last one the libca context ends."""
        self._remove(listener)

    async def disconnect(self) -> None:
        """End the libca context, and with it all channels."""
        for context in list(self._contexts):
            context._shut()
        self._close()

    def cancel(self, *names: str) -> None:
        """Stop searching for names until `Context.get_pvs` asks for them again."""
        self._cancel(names)

    async def register(self) -> None:
        """Make sure that there is a repeater; libca registers with it by itself."""
        from cachannel.repeater import spawn_repeater

        await asyncio.to_thread(spawn_repeater)

    async def search(self, results_queue: Any, *names: str) -> None:
        """Find servers; (address, names) is put into the asyncio queue for each."""
        async with Context(self) as context:
            found: dict[Any, list[str]] = {}
            pvs = await context.get_pvs(*names)
            await asyncio.gather(*(pv.wait_for_connection() for pv in pvs), return_exceptions=True)
            for pv in pvs:
                manager = pv.circuit_manager
                if manager is not None:
                    found.setdefault(manager.circuit.address, []).append(pv.name)
            for address, known in found.items():
                await results_queue.put((address, known))

    async def send(self, *commands: Any) -> None:
        """Refuse to send datagrams.

        Raises:
            CaprotoNotImplementedError: always; libca sends them.
        """
        BaseCircuitManager._obey(self, commands)  # type: ignore[arg-type]


class Context(BaseContext):
    """Finds and connects PVs in the background, and keeps them; for one event loop.

    Args:
        broadcaster: a `SharedBroadcaster` to share with other contexts; None: one of its own.
        timeout: default of all requests, seconds; None: no limit.
        host_name: kept; libca sends the real one.
        client_name: kept; libca sends the real one.
        max_workers: threads per circuit that run callbacks that are plain functions.

    Raises:
        RuntimeError: no event loop is running.
    """

    _broadcaster_class = SharedBroadcaster
    _pv_class = PV
    _circuit_class = VirtualCircuitManager

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._closed = True
        self._loop = asyncio.get_running_loop()
        super().__init__(*args, **kwargs)
        self._inbox = Inbox(self._loop, self._loop_died)
        self._loop_outbox = Outbox(self._engine.dirty, self._inbox.send)
        self._workers = Workers(self.max_workers)
        self._outbox = Outbox(self._engine.dirty, self._workers.send)
        self._deadlines = Deadlines(self._loop)
        self._flushing = False
        self._reads: list[tuple[int, int, int, asyncio.Future[Any]]] = []
        self._inflight: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> Context:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.disconnect()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._abandon()

    def _loop_died(self) -> None:
        """The loop was closed without `disconnect`: let go of what the context holds."""
        if not self._closed:
            self._abandon()

    def _abandon(self) -> None:
        circuits = self._shut()
        self.broadcaster._remove(self)
        self._workers.stop()
        for circuit in circuits:
            circuit.workers.stop()

    def _flush_once(self) -> None:
        """Send requests when the tasks that are ready now have made theirs."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        if self._closed:
            return
        if self._reads:
            self._send_reads()
        lib.cc_flush(self._engine.ca.id)

    def _send_reads(self) -> None:
        """Send the reads of all tasks that were ready, with one call."""
        reads, self._reads = self._reads, []
        answered = self._read_answered
        first = self._engine.own_block([partial(answered, read[3]) for read in reads])
        length = len(reads)
        status = ffi.new("int32_t[]", length)
        refused = lib.cc_get_callback_many(
            ffi.new("cc_id[]", [read[0] for read in reads]),
            length,
            ffi.new("int32_t[]", [read[1] for read in reads]),
            ffi.new("int64_t[]", [read[2] for read in reads]),
            first,
            status,
        )
        if not refused:
            return
        for index, code in enumerate(ffi.unpack(status, length)):
            if code != _NORMAL:
                self._engine.ca.owners.pop(first + index, None)
                future = reads[index][3]
                if not future.done():
                    future.set_result((refusal(code), None))

    def _read_answered(
        self, future: asyncio.Future[Any], record: Record, buffer: Any, offset: int
    ) -> None:
        """Take an answer, on the dispatcher thread."""
        self._engine.ca.owners.pop(record[0], None)
        if record[2] == 2:
            buffer = own_buffer(record, buffer, offset)
        self._loop_outbox.put((None, future, (record, buffer)))

    async def _answer(self, future: asyncio.Future[Any], timeout: float | None) -> Any:
        """Wait for an answer; `LATE` when the time is over."""
        if timeout is not None:
            self._deadlines.add(future, timeout)
        inflight = self._inflight
        inflight.add(future)
        try:
            return await future
        finally:
            inflight.discard(future)

    async def get_pvs(
        self, *names: str, priority: int = 0, connection_state_callback: Any = None,
        access_rights_callback: Any = None, timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT,
    ) -> list[PV]:  # fmt: skip
        """Make PVs, which connect in the background.

        Args:
            names: any number of names; the same name gives the same object.
            priority: of the circuits, 0 to 99.
            connection_state_callback: ``f(pv, 'connected' | 'disconnected')``; held weakly.
            access_rights_callback: ``f(pv, access_rights)``; held weakly.
            timeout: default of the requests of new PVs, seconds; None: no limit.

        Raises:
            ContextDisconnectedError: after `disconnect`.
            ValidationError: the priority is out of range.
        """
        return self._make_pvs(
            names, priority, connection_state_callback, access_rights_callback, timeout
        )

    async def search(self, *names: str) -> None:
        """Begin to search for names."""
        await self.get_pvs(*names)

    async def monitor(
        self, *pv_names: str, context: Any = None, data_type: Any = "time"
    ) -> AsyncIterator[tuple[str, Any, Any]]:
        """Yield what happens to PVs: connections, disconnections and updates.

        Args:
            pv_names: names of PVs.
            context: without effect.
            data_type: of the updates.

        Yields:
            ``('connection', pv, 'connected' | 'disconnected')`` and
            ``('subscription', subscription, response)``.
        """
        queue: asyncio.Queue[tuple[str, Any, Any]] = asyncio.Queue()

        async def connection(pv: PV, state: str) -> None:
            queue.put_nowait(("connection", pv, state))

        async def update(subscription: Subscription, response: Any) -> None:
            queue.put_nowait(("subscription", subscription, response))

        pvs = await self.get_pvs(*pv_names)
        added: list[tuple[Subscription, int]] = []
        watched: list[tuple[Any, int]] = []
        try:
            for pv in pvs:
                handler = pv.connection_state_callback
                watched.append((handler, handler.add_callback(connection, run=True)))
                subscription = pv.subscribe(data_type=data_type)
                added.append((subscription, subscription.add_callback(update)))
            while True:
                yield await queue.get()
        finally:
            for subscription, token in added:
                subscription._forget(token)
            for handler, token in watched:
                handler.remove_callback(token)

    async def _connect_all(self, pvs: Sequence[Any], deadline: float | None) -> None:
        connected = lib.cc_channel_is_connected
        if any(not pv._id or connected(pv._id) != 1 for pv in pvs):
            await asyncio.to_thread(connect_many, pvs, deadline)

    async def read_many(
        self, names: Names, *, timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT, data_type: Any = None,
        data_count: int | None = None, throw: bool = True,
    ) -> Readings:  # fmt: skip
        """Read many PVs with one request; see `Readings`.

        Arguments, result and exceptions are those of
        `cachannel.threading.client.Context.read_many`.
        """
        limit = limit_of(self, timeout)
        deadline = _deadline(limit)
        pvs = resolve(self, names)
        await self._connect_all(pvs, deadline)
        bulk, types = start_read(pvs, data_type, data_count)
        await asyncio.to_thread(wait_bulk, self, bulk, deadline)
        return finish_read(pvs, bulk, types, limit, throw)

    async def write_many(
        self, names: Names, values: Any, *, wait: bool = True,
        timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT, throw: bool = True,
    ) -> list[Any]:  # fmt: skip
        """Write to many PVs with one request.

        Arguments, result and exceptions are those of
        `cachannel.threading.client.Context.write_many`.
        """
        limit = limit_of(self, timeout)
        deadline = _deadline(limit)
        pvs = resolve(self, names)
        await self._connect_all(pvs, deadline)
        write = WriteMany(pvs, values, wait)
        await asyncio.to_thread(write.wait, self, deadline)
        return write.result(limit, throw)

    async def monitor_many(
        self, names: Names, *, data_type: Any = "time", mask: int | None = None,
        numpy: bool = False,
    ) -> AsyncIterator[Any]:  # fmt: skip
        """Yield the updates of many PVs in batches; PVs may connect later.

        Args:
            names: names, or PVs of this context.
            data_type: of the updates.
            mask: what is an update; None: value, alarm and property changes.
            numpy: batches are structured arrays with the fields id (position in `names`),
                seconds, nanoseconds (since 1990), severity, status and value.

        Yields:
            Lists of (position in `names`, `EventAddResponse`), or arrays.
        """
        if numpy:
            sink = open_sink(self, names, mask)
            try:
                while not self._closed:
                    batch = await asyncio.to_thread(sink.get, 0.1)
                    if len(batch):
                        yield batch
            finally:
                sink.close()
            return
        ready = asyncio.Event()

        async def wake(_: Any) -> None:
            ready.set()

        entry = Entry(lambda: wake, True, self._loop_outbox)
        item = (entry, None, None)
        stream = Stream(self, names, data_type, mask, lambda: self._inbox.send([item]))
        try:
            while not self._closed:
                ready.clear()
                batch = stream.take()
                if batch:
                    yield batch
                else:
                    await ready.wait()
        finally:
            stream.close()

    async def disconnect(self) -> None:
        """End all channels, circuits and tasks of this context; for good."""
        circuits = self._shut()
        if not circuits and self not in self.broadcaster._contexts:
            return
        self.broadcaster._remove(self)
        self._workers.stop()
        for circuit in circuits:
            circuit.workers.stop()
        self._deadlines.clear()
        for future in list(self._inflight):
            if not future.done():
                future.set_result(_CLOSED)
        await self._inbox.close()
