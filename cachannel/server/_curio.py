"""The server on curio: it moves bytes and starts tasks, `Circuit` decides.

In curio neither an event can be set nor a task be started by plain functions. One task, the pump,
does both for all circuits; a socket pair wakes it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

try:
    import curio
    from curio.traps import _read_wait, _write_wait
except AttributeError as exc:
    # curio 1.6 looks for what Python 3.12 took away.
    raise ImportError(f"this release of curio does not work on this Python: {exc}") from exc

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
    "CurioAsyncLayer",
    "Event",
    "ServerExit",
    "ThreadsafeQueue",
    "run",
    "start_server",
]


class _Waker:
    """Wakes one task from plain functions and other threads."""

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def wake(self) -> None:
        """Wake the task, or let its next wait return at once."""
        with contextlib.suppress(OSError):
            self._sender.send(b"\0")

    async def wait(self) -> None:
        """Wait for `wake`."""
        while True:
            try:
                self._receiver.recv(4096)
                return
            except BlockingIOError:
                await _read_wait(self._receiver)

    def close(self) -> None:
        """Close the sockets."""
        self._receiver.close()
        self._sender.close()


class Event:
    """An event that plain functions and other threads may set."""

    def __init__(self) -> None:
        self._is_set = False
        self._lock = threading.Lock()
        self._wakers: set[_Waker] = set()

    def set(self) -> None:
        """Wake everybody who waits; from any thread."""
        with self._lock:
            self._is_set = True
            for waker in self._wakers:
                waker.wake()

    def clear(self) -> None:
        """Make it wait again."""
        self._is_set = False

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            True, or False after the timeout.
        """
        if self._is_set:
            await curio.sleep(0)
            return True
        waker = _Waker()
        with self._lock:
            self._wakers.add(waker)
            if self._is_set:
                waker.wake()
        try:
            if timeout is None:
                await waker.wait()
                return True
            async with curio.ignore_after(timeout) as scope:
                await waker.wait()
            return not scope.expired
        finally:
            with self._lock:
                self._wakers.discard(waker)
            waker.close()


class ThreadsafeQueue(ThreadsafeQueueBase):
    """A queue between threads and tasks."""

    def _wake_task(self, waiter: Event) -> None:
        waiter.set()

    async def async_get(self) -> Any:
        """Remove and return the oldest item, when there is one."""
        while True:
            waiter = Event()
            found, item = self._get_or_wait(waiter)
            if found:
                return item
            try:
                await waiter.wait()
            finally:
                self._forget(waiter)


class CurioAsyncLayer(AsyncLibraryLayer):
    """The layer for curio."""

    name = "curio"
    library = curio
    Event = Event
    ThreadsafeQueue = ThreadsafeQueue

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`."""
        await curio.sleep(seconds)


class _Tasks:
    """The tasks of a server. A task group of curio keeps each until it is joined; these end."""

    def __init__(self) -> None:
        self._running: set[Any] = set()

    async def spawn(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        """Start a task."""
        task = await curio.spawn(self._run, function, *args, daemon=True)
        if not task.terminated:
            self._running.add(task)

    async def _run(self, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        try:
            await function(*args)
        finally:
            self._running.discard(await curio.current_task())

    async def cancel(self) -> None:
        """Cancel all, and wait until they have ended."""
        tasks = list(self._running)
        for task in tasks:
            await task.cancel(blocking=False)
        for task in tasks:
            await task.wait()


class _Connection:
    """One client's socket."""

    def __init__(self, context: Context, sock: socket.socket, peer: tuple[str, int]) -> None:
        self._context = context
        self.socket = sock
        self.sending = False
        self.circuit = Circuit(context.core, peer, self._wake, context.spawn)

    def _wake(self) -> None:
        self._context.request_output(self)

    async def serve(self) -> None:
        """Handle what the client sends until one side closes; `send` answers."""
        if not await self._receive():
            # The client has gone; a task that still waits to send to it has to hear of that.
            self.circuit.close()
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
        # The kernel of curio breaks when a socket is closed that a task waits for: not this one,
        # once it has waited for something else, and not the one that sends.
        await curio.sleep(0)
        while self.sending or self._context.is_waiting(self):
            await curio.sleep(0.01)

    async def _receive(self) -> bool:
        """Handle what comes, until the client has gone or has to; return which: False or True."""
        sock, circuit = self.socket, self.circuit
        self._context.request_output(self)
        while not circuit.closing and not circuit.closed:
            if circuit.is_full:
                await curio.sleep(0.01)
                continue
            await _read_wait(sock)
            try:
                received = sock.recv_into(circuit.get_buffer())
            except BlockingIOError:
                continue
            except OSError:
                return False
            if not received:
                return False
            circuit.buffer_updated(received)
            # A slow client is left to a task of its own, so that pipelined input still comes in.
            self._context.request_output(self)
        return True

    async def send(self) -> None:
        """Send all that there is."""
        sock, circuit = self.socket, self.circuit
        self.sending = True
        try:
            while not circuit.closed:
                chunk = circuit.next_output()
                if chunk is None:
                    if circuit.resume():
                        continue
                    if circuit.closing:
                        # All is said; the task that waits for more input has to hear of it.
                        sock.shutdown(socket.SHUT_RDWR)
                    return
                view = memoryview(chunk)
                while view:
                    try:
                        view = view[sock.send(view) :]
                    except BlockingIOError:
                        await _write_wait(sock)
                await curio.sleep(0)
        except OSError:
            circuit.closing = True
        finally:
            self.sending = False


class Context(ReadyContext):
    """A server on curio. For the arguments see `common.Context`."""

    library_name = "curio"

    def __init__(self, pvdb: PVDatabase, interfaces: Sequence[str] | None = None) -> None:
        super().__init__(pvdb, interfaces)
        self._waker = _Waker()
        self._spawned: deque[Coroutine[Any, Any, Any]] = deque()
        self._outputs: deque[_Connection] = deque()
        self._failure: BaseException | None = None

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine as a task that ends with the server."""
        self._spawned.append(coroutine)
        self._waker.wake()

    def _connect(self, sock: socket.socket, peer: tuple[str, int]) -> _Connection:
        return _Connection(self, sock, peer)

    async def _readable(self, sock: socket.socket) -> None:
        await _read_wait(sock)

    def request_output(self, connection: _Connection) -> None:
        """Have a connection send soon."""
        self._outputs.append(connection)
        self._waker.wake()

    def is_waiting(self, connection: _Connection) -> bool:
        """Tell whether a connection waits for its turn to send."""
        return connection in self._outputs

    def stop(self) -> None:
        """End `run` in good order."""
        self.stopping = True
        self._waker.wake()

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
        tasks = _Tasks()
        try:
            layer = CurioAsyncLayer()
            start = partial(tasks.spawn, self._serve)
            responder = SearchResponder(sockets.port, self.core.exists)
            for sock in sockets.tcp:
                await tasks.spawn(self._accept, sock, start, layer)
            for sock in sockets.udp:
                await tasks.spawn(self._search, sock, responder)
            for what, hook in hooks:
                await tasks.spawn(self._hook, what, hook, layer)
            await tasks.spawn(self.repeat, beacons.send, layer)
            await tasks.spawn(self.repeat, partial(self.look_after, layer), layer)
            self.log_started(sockets.port, sockets.interfaces, log_pv_names)
            await self._pump(tasks)
        except (curio.CancelledError, KeyboardInterrupt):
            self.log.info("Server task cancelled. Will shut down.")
            raise
        finally:
            await tasks.cancel()
            self.log_ended()
            for coroutine in self._spawned:
                coroutine.close()
            layer = CurioAsyncLayer()
            ending = curio.TaskGroup()
            for what, hook in self.shutdown_methods():
                await ending.spawn(self._ending_hook, what, hook, layer)
            await ending.join()
            beacons.close()
            sockets.close()
            self._waker.close()
            self.log.info("Server exiting....")
        if self._failure is not None:
            raise self._failure

    async def _pump(self, tasks: _Tasks) -> None:
        while not self.stopping:
            await self._waker.wait()
            while self._spawned:
                await tasks.spawn(self._guarded, self._spawned.popleft())
            while self._outputs:
                connection = self._outputs.popleft()
                if not connection.sending:
                    connection.sending = True
                    await tasks.spawn(connection.send)

    async def _guarded(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        try:
            await coroutine
        except (SystemExit, KeyboardInterrupt) as exc:
            # curio would keep these in the task; they are meant for the process.
            self._failure = exc
            self.stop()

    async def _ending_hook(self, what: str, hook: Hook, layer: AsyncLibraryLayer) -> None:
        try:
            await self.run_shutdown_hook(what, hook, layer)
        except (SystemExit, KeyboardInterrupt) as exc:
            self._failure = exc

    async def _hook(self, what: str, hook: Hook, layer: AsyncLibraryLayer) -> None:
        try:
            await super()._hook(what, hook, layer)
        except (SystemExit, KeyboardInterrupt) as exc:
            self._failure = exc
            self.stop()


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

    async def main() -> None:
        context = Context(pvdb, interfaces)
        # A KeyboardInterrupt in the middle of curio's kernel breaks it, and no hook runs any more.
        with ending_signals(context.end, ctrl_c=True):
            await context.run(log_pv_names=log_pv_names, startup_hook=startup_hook)

    with contextlib.suppress(KeyboardInterrupt), curio.Kernel() as kernel:
        try:
            kernel.run(main)
        except KeyboardInterrupt:
            # The kernel is left as it was; closing it cancels the server's task in good order.
            kernel.run(shutdown=True)
