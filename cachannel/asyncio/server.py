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

__all__ = [
    "AsyncioAsyncLayer",
    "Context",
    "Event",
    "ServerExit",
    "ThreadsafeQueue",
    "run",
    "start_server",
]
