"""A client for asyncio programs.

A `Context` belongs to the event loop it is made in. Coroutine functions that are callbacks run
in the loop; plain functions run on worker threads of their circuit. After each batch of these the
loop is woken once, so that a plain function may set an `asyncio.Event` or fill an `asyncio.Queue`.
A task may be cancelled at any await; the answer that it waited for is then dropped.
"""

from __future__ import annotations

import asyncio
from asyncio import _get_running_loop as running_loop
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from cachannel._native import lib
from cachannel.asyncio.circuit import VirtualCircuitManager
from cachannel.asyncio.loop import CLOSED, COMPLETION, LATE, Deadlines, Inbox, Waiting, Wakeup
from cachannel.asyncio.pv import PV, coarse
from cachannel.asyncio.reading import ReadBlock, Reading, all_disconnected, disconnected
from cachannel.asyncio.stream import Updates
from cachannel.asyncio.subscription import Subscription
from cachannel.client.callbacks import CallbackHandler, Outbox
from cachannel.client.common import (
    CONTEXT_DEFAULT_TIMEOUT,
    GLOBAL_DEFAULT_TIMEOUT,
    Timeout,
    TypeRequest,
    deadline_after,
    left_until,
)
from cachannel.client.context import BaseContext
from cachannel.client.engine import BaseBroadcaster, by_address
from cachannel.client.many import (
    Many,
    Names,
    Readings,
    ReadMany,
    WriteMany,
    left_at_least,
    limit_of,
)
from cachannel.client.stream import LIMIT, Batched
from cachannel.protocol.channel_types import AccessRights

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "PV",
    "CallbackHandler",
    "Context",
    "SharedBroadcaster",
    "Subscription",
    "VirtualCircuitManager",
]


class SharedBroadcaster(BaseBroadcaster):
    """What searches for the PVs of one context or several, also of different loops."""

    async def remove_listener(self, listener: BaseContext) -> None:
        """Let a context go; after the last one the libca context ends."""
        self._remove(listener)

    async def disconnect(self) -> None:
        """End the libca context, and with it all channels."""
        running = asyncio.get_running_loop()
        for context in list(self._contexts):
            if isinstance(context, Context) and context._loop is running:
                await context.disconnect()
            elif isinstance(context, Context):
                context._abandon()
        self._close()

    async def register(self) -> None:
        """Make sure that there is a repeater; libca registers with it by itself."""
        from cachannel.repeater import spawn_repeater

        await asyncio.to_thread(spawn_repeater)

    async def search(self, results_queue: Any, *names: str) -> None:
        """Find servers; (address, names) is put into the asyncio queue for each."""
        async with Context(self) as context:
            pvs = await context.get_pvs(*names)
            await asyncio.gather(*(pv.wait_for_connection() for pv in pvs), return_exceptions=True)
            for answer in by_address(pvs):
                await results_queue.put(answer)

    async def send(self, *commands: Any) -> None:
        """Refuse to send datagrams.

        Raises:
            CaprotoNotImplementedError: always; libca sends them.
        """
        self._refuse(commands)


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

    broadcaster: SharedBroadcaster
    pvs: dict[tuple[str, int], PV]
    _broadcaster_class = SharedBroadcaster
    _pv_class = PV
    _circuit_class = VirtualCircuitManager

    def __init__(
        self, broadcaster: SharedBroadcaster | None = None, *,
        timeout: float | None = GLOBAL_DEFAULT_TIMEOUT, host_name: str | None = None,
        client_name: str | None = None, max_workers: int = 1,
    ) -> None:  # fmt: skip
        self._closed = True
        self._loop = asyncio.get_running_loop()
        self._after_callbacks = Wakeup(self._loop)
        super().__init__(
            broadcaster, timeout=timeout, host_name=host_name, client_name=client_name,
            max_workers=max_workers,
        )  # fmt: skip
        self._inbox = Inbox(self._loop, self._loop_died)
        self._loop_outbox = Outbox(self._engine.dirty, self._inbox.send)
        self._deadlines = Deadlines(self._loop)
        # A turn of the loop in which something was asked for, and whether it is to be sent still.
        self._in_turn = self._unsent = False
        # Reads that go out at the end of this turn of the loop, by the length of their time-out.
        self._reads: dict[float | None, list[Reading]] = {}
        self._blocks: set[ReadBlock] = set()
        self._inflight: set[Waiting] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[Updates[Any]] = set()
        # Of what iterates; they get `CLOSED` at the end.
        self._queues: set[asyncio.Queue[Any]] = set()

    async def __aenter__(self) -> Context:
        return self

    async def __aexit__(self, *args: object) -> None:
        await self.disconnect()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self._end_dropped()

    def _loop_died(self) -> None:
        """The loop was closed without `disconnect`: let go of what the context holds."""
        if not self._closed:
            self._abandon()

    def _abandon(self) -> None:
        for stream in list(self._streams):
            stream.close(wake=False)
        self._end()

    def _flush_soon(self) -> None:
        # 10,000 subscriptions that are made in one turn of the loop go out together.
        if running_loop() is self._loop:
            self._flush_once()
        else:
            super()._flush_soon()

    def _flush_once(self) -> None:
        """Send the first request of a turn of the loop at once, and the others together.

        What is done one after the other need not wait for the loop, and what many tasks do at
        once goes out when those that are ready now have done theirs.
        """
        if self._in_turn:
            self._unsent = True
        else:
            self._in_turn = True
            self._loop.call_soon(self._end_turn)
            lib.cc_flush(self._engine.ca.id)

    def _end_turn(self) -> None:
        unsent, self._in_turn, self._unsent = self._unsent, False, False
        if unsent and not self._closed:
            if self._reads:
                self._send_reads()
            lib.cc_flush(self._engine.ca.id)

    def _begin_read(
        self, pv: PV, dbr_type: int, count: int, limit: float | None, delay: float | None,
        again: bool,
    ) -> Reading:  # fmt: skip
        """Read a connected PV, with the others of this turn of the loop but the first."""
        reading = Reading(loop=self._loop)
        reading.pv = pv
        reading.dbr_type = dbr_type
        reading.count = count
        reading.limit = limit
        reading.again = again
        pv._pending += 1
        if not self._in_turn:
            self._send_block(pv._manager or pv.circuit_manager, delay, [reading])
        elif delay in self._reads:
            self._reads[delay].append(reading)
        else:
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
                self._send_block(manager, delay, group)

    def _send_block(self, manager: Any, delay: float | None, group: list[Reading]) -> None:
        block = ReadBlock(self, manager, deadline_after(delay), group)
        self._blocks.add(block)
        if delay is not None:
            self._deadlines.add(block, delay)
        block.read(
            [reading.pv._id for reading in group],
            [reading.dbr_type for reading in group],
            [reading.count for reading in group],
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
        self, *names: str, priority: int = 0,
        connection_state_callback: Callable[[PV, str], object] | None = None,
        access_rights_callback: Callable[[PV, AccessRights], object] | None = None,
        timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT,
    ) -> list[PV]:  # fmt: skip
        """Make PVs, which connect in the background.

        Names that are still searched for are asked for again at once.

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
        self, *pv_names: str, context: Any = None, data_type: TypeRequest = "time"
    ) -> AsyncIterator[tuple[str, Any, Any]]:
        """Yield what happens to PVs: connections, disconnections and updates.

        Args:
            pv_names: names of PVs.
            context: without effect.
            data_type: of the updates.

        It ends when the context is disconnected.

        Yields:
            ``('connection', pv, 'connected' | 'disconnected')`` and
            ``('subscription', subscription, response)``.
        """
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._queues.add(queue)

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
            while (item := await queue.get()) is not CLOSED:
                yield item
        finally:
            self._queues.discard(queue)
            for subscription, token in added:
                subscription._forget(token)
            for handler, token in watched:
                handler.remove_callback(token)

    async def _connect_all(self, request: Many, deadline: float | None) -> None:
        """Wait until the PVs of a request are connected or the time is over."""
        pvs: Sequence[Any] = request.absent
        waiting: list[tuple[Any, Waiting]] = []
        with self._lock:
            for pv in pvs:
                if pv._idle:
                    pv._open()
                if pv._id and not pv._up:
                    future = Waiting(loop=self._loop)
                    pv._await_connection(future)
                    waiting.append((pv, future))
        if not waiting:
            return
        futures = [future for _, future in waiting]
        self._inflight.update(futures)
        try:
            await asyncio.wait(futures, timeout=left_until(deadline))
            if self._closed:
                raise all_disconnected(pvs, request.operation)
        finally:
            self._inflight.difference_update(futures)
            with self._lock:
                for pv, future in waiting:
                    pv._forget_waiter(future)
                    future.cancel()

    async def _bulk_done(self, request: Many, bulk: Any, deadline: float | None) -> None:
        """Wait for the last answer, or until the time is over."""
        future = Waiting(loop=self._loop)
        owners, outbox = self._engine.ca.owners, self._loop_outbox

        def done(record: Any, buffer: Any, offset: int) -> None:
            outbox.put((COMPLETION, future, None))

        token = self._engine.own(done)
        try:
            if (
                lib.cc_bulk_tell(bulk, token)
                and await self._answer(future, coarse(left_at_least(deadline))) is CLOSED
            ):
                raise all_disconnected(request.pvs, request.operation)
        finally:
            owners.pop(token, None)

    async def read_many(
        self, names: Names, *, timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT,
        data_type: TypeRequest = None, data_count: int | None = None, throw: bool = True,
    ) -> Readings:  # fmt: skip
        """Read many PVs with one request; see `Readings`.

        Connected PVs are read at once, while the others are waited for.

        Args:
            names: names, or PVs of this context.
            timeout: seconds for all together; None: no limit.
            data_type: as for `PV.read`.
            data_count: as for `PV.read`.
            throw: raise if any fails; otherwise failures are in the result.

        Raises:
            CaprotoTimeoutError: names the PVs that did not connect or answer.
            CaprotoError: a server has refused; names the PVs.
            ContextDisconnectedError: the context was disconnected meanwhile.
        """
        limit = limit_of(self, timeout)
        deadline = deadline_after(limit)
        read = ReadMany(self, names, data_type, data_count)
        read.begin()
        lib.cc_flush(self._engine.ca.id)
        if read.missing:
            await self._connect_all(read, deadline)
            read.go_on()
            lib.cc_flush(self._engine.ca.id)
        for bulk in read.bulks:
            await self._bulk_done(read, bulk, deadline)
        return read.result(limit, throw)

    async def write_many(
        self, names: Names, values: Any, *, wait: bool = True,
        timeout: Timeout = CONTEXT_DEFAULT_TIMEOUT, throw: bool = True,
    ) -> list[Exception | None]:  # fmt: skip
        """Write to many PVs with one request.

        Connected PVs are written at once, while the others are waited for. When the task is
        cancelled, what was sent is not taken back.

        Args:
            names: names, or PVs of this context.
            values: one for each, or one number or text for all.
            wait: wait until all servers have completed the writes.
            timeout: seconds for all together; None: no limit.
            throw: raise if any fails; otherwise failures are in the result.

        Returns:
            For each PV None, or with ``throw=False`` the exception that says what failed.

        Raises:
            CaprotoTimeoutError: names the PVs that did not connect or answer.
            CaprotoError: a server has refused; names the PVs.
            ValueError, TypeError: a value cannot be sent to its PV.
        """
        limit = limit_of(self, timeout)
        deadline = deadline_after(limit)
        write = WriteMany(self, names, values, wait)
        write.begin()
        others = self._write_others(write)
        lib.cc_flush(self._engine.ca.id)
        if write.missing:
            await self._connect_all(write, deadline)
            write.go_on()
            others += self._write_others(write)
            lib.cc_flush(self._engine.ca.id)
        for _, bulk in write.bulks:
            await self._bulk_done(write, bulk, deadline)
        write.collect()
        for index, future in others:
            answer = await self._answer(future, coarse(left_at_least(deadline)))
            if answer is CLOSED:
                raise disconnected(write.pvs[index], "write")
            if answer is not LATE:
                write.status[index] = answer[0][7]
        return write.result(limit, throw)

    @staticmethod
    def _write_others(write: WriteMany) -> list[tuple[int, Waiting]]:
        """Send the writes that are no plain numbers."""
        sent = []
        for index, encoded in write.others:
            pv: Any = write.pvs[index]
            future = pv._write_request(encoded)
            if isinstance(future, int):
                write.status[index] = future
            else:
                sent.append((index, future))
        write.others = []
        return sent

    @overload
    def monitor_many(
        self, names: Names, *, numpy: Literal[False] = False, data_type: TypeRequest = "time",
        mask: int | None = None, limit: int = LIMIT,
    ) -> Updates[Batched]: ...  # fmt: skip

    @overload
    def monitor_many(
        self, names: Names, *, numpy: Literal[True], mask: int | None = None, limit: int = LIMIT,
    ) -> Updates[npt.NDArray[np.void]]: ...  # fmt: skip

    def monitor_many(
        self, names: Names, *, data_type: TypeRequest = "time", mask: int | None = None,
        numpy: bool = False, limit: int = LIMIT,
    ) -> Updates[Any]:  # fmt: skip
        """Follow many PVs, which may connect later; ``async for`` gives batches, see `Updates`.

        Args:
            names: names, or PVs of this context.
            data_type: of the updates; with ``numpy=True`` it is one DOUBLE each.
            mask: what is an update; None: value, alarm and property changes.
            numpy: batches are structured arrays.
            limit: updates that may wait to be read. When there are more, only the newest of each
                PV is kept, and `Updates.dropped` counts.
        """
        return Updates(self, names, data_type, mask, numpy, limit)

    async def disconnect(self) -> None:
        """End all channels, circuits and tasks of this context; for good."""
        if not self._end():
            return
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
        for stream in list(self._streams):
            stream.close()
        for queue in list(self._queues):
            queue.put_nowait(CLOSED)
        await self._inbox.close()
