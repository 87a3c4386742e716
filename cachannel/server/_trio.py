"""The server on trio: it moves bytes and starts tasks, `Circuit` decides."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

import trio

from cachannel.protocol.broadcast import SearchResponder

from ._ready import ReadyContext
from .circuit import Circuit
from .common import Hook, ServerExit
from .core import PVDatabase
from .layer import AsyncLibraryLayer, ThreadsafeQueueBase
from .signals import ending_signals
from .sockets import BeaconSender

__all__ = [
    "Context",
    "Event",
    "ServerExit",
    "ThreadsafeQueue",
    "TrioAsyncLayer",
    "run",
    "start_server",
]


class Event:
    """An event that any thread may set."""

    def __init__(self) -> None:
        self._event = trio.Event()
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.get_ident()

    def set(self) -> None:
        """Wake everybody who waits; from any thread."""
        if threading.get_ident() == self._thread:
            self._event.set()
        else:
            with contextlib.suppress(trio.RunFinishedError):  # nobody waits any more
                self._token.run_sync_soon(self._event.set)

    def clear(self) -> None:
        """Make it wait again."""
        if self._event.is_set():
            self._event = trio.Event()

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._event.is_set()

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            True, or False after the timeout.
        """
        if timeout is None:
            await self._event.wait()
            return True
        with trio.move_on_after(timeout):
            await self._event.wait()
            return True
        return False


class ThreadsafeQueue(ThreadsafeQueueBase):
    """A queue between threads and tasks."""

    def __init__(self) -> None:
        super().__init__()
        self._token = trio.lowlevel.current_trio_token()

    def _wake_task(self, waiter: trio.Event) -> None:
        with contextlib.suppress(trio.RunFinishedError):  # nobody waits any more
            self._token.run_sync_soon(waiter.set)

    async def async_get(self) -> Any:
        """Remove and return the oldest item, when there is one."""
        while True:
            waiter = trio.Event()
            found, item = self._get_or_wait(waiter)
            if found:
                return item
            try:
                await waiter.wait()
            finally:
                self._forget(waiter)


class TrioAsyncLayer(AsyncLibraryLayer):
    """The layer for trio."""

    name = "trio"
    library = trio
    Event = Event
    ThreadsafeQueue = ThreadsafeQueue

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`."""
        await trio.sleep(seconds)


async def _until_done(coroutine: Coroutine[Any, Any, Any]) -> None:
    await coroutine


class _Connection:
    """One client's socket."""

    def __init__(self, context: Context, sock: socket.socket, peer: tuple[str, int]) -> None:
        self._socket = sock
        self._output = trio.Event()
        self._room = trio.Event()
        self.circuit = Circuit(context.core, peer, self._wake, context.spawn)

    def _wake(self) -> None:
        self._output.set()

    async def serve(self) -> None:
        """Move bytes until one side closes."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._receive, nursery)
            nursery.start_soon(self._send, nursery)

    async def _receive(self, nursery: trio.Nursery) -> None:
        sock, circuit = self._socket, self.circuit
        while not circuit.closing:
            if circuit.is_full:
                self._room = trio.Event()
                await self._room.wait()
                continue
            # The buffer is shared between circuits, so nothing may await between the system call
            # that fills it and the circuit's taking it.
            await trio.lowlevel.wait_readable(sock)
            try:
                received = sock.recv_into(circuit.get_buffer())
            except BlockingIOError:
                continue
            except OSError:
                received = 0
            if not received:
                nursery.cancel_scope.cancel()
                return
            circuit.buffer_updated(received)
            self._output.set()

    async def _send(self, nursery: trio.Nursery) -> None:
        sock, circuit = self._socket, self.circuit
        while True:
            chunk = circuit.next_output()
            if chunk is None:
                if circuit.resume():
                    continue
                self._room.set()
                if circuit.closing:
                    nursery.cancel_scope.cancel()
                    return
                await self._output.wait()
                self._output = trio.Event()
                continue
            view = memoryview(chunk)
            while view:
                try:
                    view = view[sock.send(view) :]
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(sock)
                except OSError:
                    nursery.cancel_scope.cancel()
                    return
            # A client that takes everything at once must not keep the others waiting.
            await trio.lowlevel.checkpoint()


class Context(ReadyContext):
    """A server on trio. For the arguments see `common.Context`."""

    library_name = "trio"

    def __init__(self, pvdb: PVDatabase, interfaces: Sequence[str] | None = None) -> None:
        super().__init__(pvdb, interfaces)
        self._nursery: trio.Nursery | None = None

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine as a task that ends with the server."""
        if self._nursery is None:
            coroutine.close()
            return
        self._nursery.start_soon(_until_done, coroutine)

    def _connect(self, sock: socket.socket, peer: tuple[str, int]) -> _Connection:
        return _Connection(self, sock, peer)

    async def _readable(self, sock: socket.socket) -> None:
        await trio.lowlevel.wait_readable(sock)

    async def _start(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(self._serve, sock, peer)

    def stop(self) -> None:
        """End `run` in good order."""
        self.stopping = True
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def run(self, *, log_pv_names: bool = False, startup_hook: Hook | None = None) -> None:
        """Serve until cancelled or stopped.

        Args:
            log_pv_names: log what is served.
            startup_hook: ``async (async_lib)``, started before all others.

        Raises:
            CaprotoNetworkError: no sockets to be had.
            CaprotoTypeError: the pvdb is not a mapping of names to channels.
        """
        hooks, sockets = self.prepare(startup_hook)
        beacons = BeaconSender(self.settings, sockets)
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if self.stopping:
                    nursery.cancel_scope.cancel()
                layer = TrioAsyncLayer()
                responder = SearchResponder(sockets.port, self.core.exists)
                for sock in sockets.tcp:
                    nursery.start_soon(self._accept, sock, self._start, layer)
                for sock in sockets.udp:
                    nursery.start_soon(self._search, sock, responder)
                for what, hook in hooks:
                    nursery.start_soon(self._hook, what, hook, layer)
                nursery.start_soon(self.repeat, beacons.send, layer)
                nursery.start_soon(self.repeat, partial(self.look_after, layer), layer)
                self.log_started(sockets.port, sockets.interfaces, log_pv_names)
        except BaseException:
            self.log.info("Server task cancelled. Will shut down.")
            raise
        finally:
            self._nursery = None
            self.log_ended()
            with trio.CancelScope(shield=True):
                layer = TrioAsyncLayer()
                async with trio.open_nursery() as nursery:
                    for what, hook in self.shutdown_methods():
                        nursery.start_soon(self.run_shutdown_hook, what, hook, layer)
            beacons.close()
            sockets.close()
            self.log.info("Server exiting....")


async def start_server(
    pvdb: PVDatabase,
    *,
    interfaces: Sequence[str] | None = None,
    log_pv_names: bool = False,
    startup_hook: Hook | None = None,
) -> None:
    """Serve PVs until cancelled. For the arguments see `run`."""
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
        SystemExit: a hook or putter called ``sys.exit``.
    """
    context = Context(pvdb, interfaces)

    async def main() -> None:
        wake = trio.lowlevel.current_trio_token().run_sync_soon
        with ending_signals(lambda name: wake(context.end, name)):
            await context.run(log_pv_names=log_pv_names, startup_hook=startup_hook)

    try:
        trio.run(main)
    except KeyboardInterrupt:
        return
    except BaseExceptionGroup as group:
        # trio wraps whatever leaves a nursery; Ctrl-C and sys.exit mean what they say.
        for kind in (SystemExit, KeyboardInterrupt):
            found = group.subgroup(kind)
            if found is None:
                continue
            leaf: BaseException = found
            while isinstance(leaf, BaseExceptionGroup):
                leaf = leaf.exceptions[0]
            if isinstance(leaf, KeyboardInterrupt):
                return
            raise leaf from None
        raise
