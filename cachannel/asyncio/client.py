"""A client for asyncio programs.

A `Context` belongs to the event loop it is made in. Coroutine functions that are callbacks run
in the loop; plain functions run on worker threads of their circuit. A task may be cancelled at
any await; the answer that it waited for is then dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from cachannel._native import lib
from cachannel.asyncio.loop import Deadlines, Inbox, Waiting
from cachannel.asyncio.pv import CLOSED, PV
from cachannel.asyncio.reading import ReadBlock, Reading, disconnected
from cachannel.asyncio.subscription import Subscription
from cachannel.client.callbacks import CallbackHandler, Entry, Outbox, Workers
from cachannel.client.circuits import BaseCircuitManager
from cachannel.client.common import CONTEXT_DEFAULT_TIMEOUT, Timeout, deadline_after
from cachannel.client.context import BaseContext
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
        # Reads that go out at the end of this turn of the loop, by the length of their time-out.
        self._reads: dict[float | None, list[Reading]] = {}
        self._blocks: set[ReadBlock] = set()
        self._inflight: set[Waiting] = set()
        self._tasks: set[asyncio.Task[None]] = set()

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

    def _begin_read(
        self, pv: PV, dbr_type: int, count: int, limit: float | None, delay: float | None,
        again: bool,
    ) -> Reading:  # fmt: skip
        """Read a connected PV with the others of this turn of the loop."""
        reading = Reading(loop=self._loop)
        reading.pv = pv
        reading.dbr_type = dbr_type
        reading.count = count
        reading.limit = limit
        reading.again = again
        pv._pending += 1
        try:
            self._reads[delay].append(reading)
        except KeyError:
            self._reads[delay] = [reading]
            self._flush_once()
        return reading

    def _send_reads(self) -> None:
        """Send the reads of this turn of the loop, with one call for each circuit."""
        reads, self._reads = self._reads, {}
        for delay, readings in reads.items():
            groups: dict[Any, list[Reading]] = {}
            for reading in readings:
                pv = reading.pv
                if reading.done():  # cancelled before it was sent
                    pv._pending -= 1
                    continue
                manager = pv._manager or pv.circuit_manager
                try:
                    groups[manager].append(reading)
                except KeyError:
                    groups[manager] = [reading]
            for manager, group in groups.items():
                block = ReadBlock(self, manager, deadline_after(delay))
                self._blocks.add(block)
                if delay is not None:
                    self._deadlines.add(block, delay)
                block.read(
                    [reading.pv._id for reading in group],
                    [reading.dbr_type for reading in group],
                    [reading.count for reading in group],
                    group,
                )

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine that ends with the context at the latest."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, future: Waiting, timeout: float | None) -> Any:
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
        deadline = deadline_after(limit)
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
        deadline = deadline_after(limit)
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
        reads, self._reads = self._reads, {}
        for readings in reads.values():
            for reading in readings:
                reading.fail(disconnected(reading.pv, "read"))
        for block in list(self._blocks):
            block.closed()
        for future in list(self._inflight):
            if not future.done():
                future.set_result(CLOSED)
        for task in list(self._tasks):
            task.cancel()
        await self._inbox.close()
