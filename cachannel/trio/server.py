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

__all__ = [
    "Context",
    "Event",
    "ServerExit",
    "ThreadsafeQueue",
    "TrioAsyncLayer",
    "run",
    "start_server",
]
