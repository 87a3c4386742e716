"""The server on asyncio."""

from cachannel.server._asyncio import (
    AsyncioAsyncLayer,
    Context,
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
    "AsyncioAsyncLayer",
    "AsyncioEvent",
    "AsyncioQueue",
    "Context",
    "DisconnectedCircuit",
    "Event",
    "LoopExit",
    "ServerExit",
    "ThreadsafeQueue",
    "VirtualCircuit",
    "run",
    "start_server",
]

# caproto's names of the classes that a layer has.
AsyncioEvent = Event
AsyncioQueue = ThreadsafeQueue
