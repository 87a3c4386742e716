"""The server on asyncio: it moves bytes and starts tasks, `Circuit` decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from cachannel.protocol.broadcast import SearchResponder

from .circuit import Circuit
from .common import Context as _Context, Hook, ServerExit
from .core import PVDatabase
from .layer import AsyncLibraryLayer, ThreadsafeQueueBase
from .signals import ending_signals
from .sockets import BACKLOG, BeaconSender, prepare_client

__all__ = [
    "AsyncioAsyncLayer",
    "Context",
    "Event",
    "ServerExit",
    "ThreadsafeQueue",
    "run",
    "start_server",
]

# A client that reads as fast as we write must not keep the loop to itself.
_MAX_BURST = 4 << 20


class Event(asyncio.Event):
    """An event that any thread may set."""

    def __init__(self) -> None:
        super().__init__()
        self._home = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def set(self) -> None:
        """Wake everybody who waits; from any thread."""
        if threading.get_ident() == self._thread:
            super().set()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
                self._home.call_soon_threadsafe(super().set)

    async def wait(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Wait until the event is set.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            True, or False after the timeout.
        """
        if timeout is None:
            await super().wait()
            return True
        try:
            async with asyncio.timeout(timeout):
                await super().wait()
        except TimeoutError:
            return False
        return True


class ThreadsafeQueue(ThreadsafeQueueBase):
    """A queue between threads and tasks."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()

    def _wake_task(self, waiter: asyncio.Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits any more
            self._loop.call_soon_threadsafe(waiter.set)

    async def async_get(self) -> Any:
        """Remove and return the oldest item, when there is one."""
        waiter = asyncio.Event()
        try:
            while True:
                found, item = self._get_or_wait(waiter)
                if found:
                    return item
                await waiter.wait()
                waiter.clear()
        finally:
            self._forget(waiter)


class AsyncioAsyncLayer(AsyncLibraryLayer):
    """The layer for asyncio."""

    name = "asyncio"
    library = asyncio
    Event = Event
    ThreadsafeQueue = ThreadsafeQueue

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`."""
        await asyncio.sleep(seconds)


class _Connection(asyncio.BufferedProtocol):
    """One client's socket."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._writable = True
        self._reading = True

    def connection_made(self, transport: Any) -> None:
        # Other loops' transports (uvloop's) have the methods, but not the base class.
        self._transport: asyncio.Transport = transport
        # Whatever the kernel does not take now, we keep: as values that can still be replaced.
        transport.set_write_buffer_limits(high=0)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            prepare_client(sock)
        peer = transport.get_extra_info("peername") or ("?", 0)
        self._circuit = Circuit(self._context.core, peer[:2], self._wake, self._context.spawn)
        self._context.transports.add(transport)
        self._context.connected(self._circuit)
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable = False
        self._context.transports.discard(self._transport)
        self._context.disconnected(self._circuit)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._circuit.get_buffer()

    def buffer_updated(self, nbytes: int) -> None:
        self._circuit.buffer_updated(nbytes)
        self._flush()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._flush()

    def _wake(self) -> None:
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        circuit, transport = self._circuit, self._transport
        sent = 0
        while self._writable:
            chunk = circuit.next_output()
            if chunk is None:
                if circuit.resume():
                    continue
                if circuit.closing:
                    # Not now: asyncio may be in the middle of writing, and would then report the
                    # end of the connection twice.
                    self._loop.call_soon(transport.close)
                break
            transport.write(chunk)
            sent += len(chunk)
            if sent > _MAX_BURST:
                self._loop.call_soon(self._flush)
                break
        if circuit.is_full:
            if self._reading:
                self._reading = False
                transport.pause_reading()
        elif not self._reading and not transport.is_closing():
            self._reading = True
            transport.resume_reading()


class _Searches(asyncio.DatagramProtocol):
    """One socket for searches."""

    def __init__(self, context: Context, responder: SearchResponder) -> None:
        self._context = context
        self._responder = responder
        self._log = logging.getLogger("cachannel.bcast.search")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if self._context.is_ignored(addr[0]):
            return
        for answer in self._responder.answer(data):
            self._transport.sendto(answer, addr)

    def error_received(self, exc: Exception) -> None:
        self._log.debug("search socket: %s", exc)


class Context(_Context):
    """A server on asyncio. For the arguments see `common.Context`."""

    library_name = "asyncio"

    def __init__(self, pvdb: PVDatabase, interfaces: Sequence[str] | None = None) -> None:
        super().__init__(pvdb, interfaces)
        self.transports: set[asyncio.Transport] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._exit: asyncio.Future[None] | None = None

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a coroutine as a task that ends with the server."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        exc = task.exception()
        if exc is None:
            return
        if isinstance(exc, ServerExit):
            self.stop()
        elif isinstance(exc, Exception):
            self.log.error("a task of the server failed", exc_info=exc)

    def stop(self) -> None:
        """End `run` in good order."""
        self.stopping = True
        if self._exit is not None and not self._exit.done():
            self._exit.set_result(None)

    async def run(self, *, log_pv_names: bool = False, startup_hook: Hook | None = None) -> None:
        """Serve until cancelled or stopped; it returns in both cases.

        Args:
            log_pv_names: log what is served.
            startup_hook: ``async (async_lib)``, started before all others.

        Raises:
            CaprotoNetworkError: no sockets to be had.
            CaprotoTypeError: the pvdb is not a mapping of names to channels.
        """
        loop = asyncio.get_running_loop()
        hooks, sockets = self.prepare(startup_hook)
        self._exit = loop.create_future()
        if self.stopping:
            self._exit.set_result(None)
        beacons = BeaconSender(self.settings, sockets)
        servers: list[asyncio.Server] = []
        searches: list[asyncio.DatagramTransport] = []
        try:
            responder = SearchResponder(sockets.port, self.core.exists)
            for sock in sockets.tcp:
                # asyncio listens once more, with a backlog of its own unless it is told one.
                servers.append(
                    await loop.create_server(lambda: _Connection(self), sock=sock, backlog=BACKLOG)
                )
            for sock in sockets.udp:
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Searches(self, responder), sock=sock
                )
                searches.append(transport)
            layer = AsyncioAsyncLayer()
            for what, hook in hooks:
                self.spawn(self.run_hook(what, hook, layer))
            self.spawn(self.repeat(beacons.send, layer))
            self.spawn(self.repeat(partial(self.look_after, layer), layer))
            self.log_started(sockets.port, sockets.interfaces, log_pv_names)
            await self._exit
        except asyncio.CancelledError:
            # Returning is caproto's way, and programs have their clean-up behind the server.
            self.log.info("Server task cancelled. Will shut down.")
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            await self._shut_down(servers, searches)
            beacons.close()
            sockets.close()
            self.log.info("Server exiting....")

    async def _shut_down(
        self, servers: list[asyncio.Server], searches: list[asyncio.DatagramTransport]
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
        self.log_ended()
        layer = AsyncioAsyncLayer()
        hooks = [self.run_shutdown_hook(*entry, layer) for entry in self.shutdown_methods()]
        if hooks:
            await asyncio.gather(*hooks, return_exceptions=True)
        for server in servers:
            server.close()
        for transport in searches:
            transport.close()
        for connection in list(self.transports):
            connection.abort()
        # Lets the transports call connection_lost and close their sockets.
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def start_server(
    pvdb: PVDatabase,
    *,
    interfaces: Sequence[str] | None = None,
    log_pv_names: bool = False,
    startup_hook: Hook | None = None,
) -> None:
    """Serve PVs in the running loop until cancelled, then return. For the arguments see `run`."""
    context = Context(pvdb, interfaces)
    await context.run(log_pv_names=log_pv_names, startup_hook=startup_hook)


def run(
    pvdb: PVDatabase,
    *,
    interfaces: Sequence[str] | None = None,
    log_pv_names: bool = False,
    startup_hook: Hook | None = None,
) -> None:
    """Serve PVs until Ctrl-C, SIGTERM or SIGHUP, which are normal ends.

    Args:
        pvdb: PV name to channel.
        interfaces: addresses to listen on; EPICS_CAS_INTF_ADDR_LIST if absent.
        log_pv_names: log what is served.
        startup_hook: ``async (async_lib)``, started before all other hooks.

    Raises:
        CaprotoNetworkError: no sockets to be had.
        CaprotoEnvironmentSetupError: an EPICS variable that does not parse.
    """

    async def main() -> None:
        context = Context(pvdb, interfaces)
        wake = asyncio.get_running_loop().call_soon_threadsafe
        with ending_signals(lambda name: wake(context.end, name)):
            await context.run(log_pv_names=log_pv_names, startup_hook=startup_hook)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
