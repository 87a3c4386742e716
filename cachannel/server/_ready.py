"""What the shells on trio and curio share: sockets that a task waits for, and then uses itself.

asyncio calls back when something has come, and moves the bytes itself; its shell has its own way.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from cachannel.protocol.broadcast import SearchResponder

from .circuit import Circuit
from .common import Context, Hook, ServerExit
from .layer import AsyncLibraryLayer
from .sockets import prepare_client

__all__ = ["ReadyConnection", "ReadyContext"]


class ReadyConnection(Protocol):
    """One client's socket."""

    circuit: Circuit

    async def serve(self) -> None:
        """Move bytes until one side closes."""


class ReadyContext(Context):
    """A server on a library that waits for sockets. For the arguments see `common.Context`."""

    async def _readable(self, sock: socket.socket) -> None:
        """Wait until something can be read or accepted."""
        raise NotImplementedError

    def _connect(self, sock: socket.socket, peer: tuple[str, int]) -> ReadyConnection:
        """Return the connection of a new client."""
        raise NotImplementedError

    async def _hook(self, what: str, hook: Hook, layer: AsyncLibraryLayer) -> None:
        try:
            await self.run_hook(what, hook, layer)
        except ServerExit:
            self.stop()

    async def _search(self, sock: socket.socket, responder: SearchResponder) -> None:
        """Answer searches for ever."""
        while True:
            await self._readable(sock)
            try:
                data, address = sock.recvfrom(65536)
                if not self.is_ignored(address[0]):
                    for answer in responder.answer(data):
                        sock.sendto(answer, address)
            except OSError:
                continue

    async def _accept(
        self,
        sock: socket.socket,
        start: Callable[[socket.socket, tuple[str, int]], Coroutine[Any, Any, object]],
        layer: AsyncLibraryLayer,
    ) -> None:
        """Accept clients for ever, and start a task that serves each."""
        while True:
            await self._readable(sock)
            try:
                connection, peer = sock.accept()
            except BlockingIOError:
                continue
            except OSError as exc:
                self.log.warning("cannot accept a client: %s", exc)
                await layer.sleep(0.1)
                continue
            await start(connection, peer)

    async def _serve(self, sock: socket.socket, peer: tuple[str, int]) -> None:
        """Serve one client until it leaves."""
        sock.setblocking(False)
        prepare_client(sock)
        connection = self._connect(sock, peer[:2])
        self.connected(connection.circuit)
        try:
            await connection.serve()
        finally:
            self.disconnected(connection.circuit)
            sock.close()
