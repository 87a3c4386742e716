"""The server on curio."""

from cachannel.server._curio import (
    Context,
    CurioAsyncLayer,
    Event,
    ServerExit,
    ThreadsafeQueue,
    run,
    start_server,
)
from cachannel.server.common import DisconnectedCircuit, LoopExit, VirtualCircuit
from cachannel.server.layer import AsyncLibraryLayer

__all__ = [
    "AsyncLibraryLayer",
    "Context",
    "CurioAsyncLayer",
    "DisconnectedCircuit",
    "Event",
    "LoopExit",
    "ServerExit",
    "ThreadsafeQueue",
    "VirtualCircuit",
    "run",
    "start_server",
]
