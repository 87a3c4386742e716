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

__all__ = [
    "Context",
    "CurioAsyncLayer",
    "Event",
    "ServerExit",
    "ThreadsafeQueue",
    "run",
    "start_server",
]
