"""The server on trio."""

from cachannel.server._trio import (
    Context,
    Event,
    ServerExit,
    ThreadsafeQueue,
    TrioAsyncLayer,
    run,
    start_server,
)
from cachannel.server.common import DisconnectedCircuit, LoopExit, VirtualCircuit
from cachannel.server.layer import AsyncLibraryLayer

__all__ = [
    "AsyncLibraryLayer",
    "Context",
    "DisconnectedCircuit",
    "Event",
    "LoopExit",
    "ServerExit",
    "ThreadsafeQueue",
    "TrioAsyncLayer",
    "VirtualCircuit",
    "run",
    "start_server",
]
