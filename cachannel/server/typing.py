"""Types of hooks, for IOCs that are type checked."""

from __future__ import annotations

from typing import Any, Protocol

from .layer import AsyncLibraryLayer

__all__ = [
    "AinitHook",
    "AsyncLibraryLayer",
    "BoundGetter",
    "BoundPutter",
    "BoundScan",
    "BoundShutdown",
    "BoundStartup",
    "Getter",
    "Putter",
    "Scan",
    "Shutdown",
    "Startup",
]


class Getter(Protocol):
    """``async def getter(group, instance)``."""

    async def __call__(self, group: Any, instance: Any, /) -> Any:
        """Return a value to write, or None."""


class Putter(Protocol):
    """``async def putter(group, instance, value)``."""

    async def __call__(self, group: Any, instance: Any, value: Any, /) -> Any:
        """Return the value to store, or None for the one that was given."""


class Startup(Protocol):
    """``async def startup(group, instance, async_lib)``."""

    async def __call__(self, group: Any, instance: Any, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run when the server starts."""


class Shutdown(Protocol):
    """``async def shutdown(group, instance, async_lib)``."""

    async def __call__(self, group: Any, instance: Any, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run when the server stops."""


class Scan(Protocol):
    """``async def scan(group, instance, async_lib)``."""

    async def __call__(self, group: Any, instance: Any, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run again and again."""


class AinitHook(Protocol):
    """``async def __ainit__(async_lib)``, given to `run`."""

    async def __call__(self, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run before all other hooks."""


class BoundGetter(Protocol):
    """A getter of an instance: ``await channel.getter(channel)``."""

    async def __call__(self, instance: Any, /) -> Any:
        """Return a value to write, or None."""


class BoundPutter(Protocol):
    """A putter of an instance."""

    async def __call__(self, instance: Any, value: Any, /) -> Any:
        """Return the value to store, or None for the one that was given."""


class BoundStartup(Protocol):
    """A startup hook of an instance."""

    async def __call__(self, instance: Any, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run when the server starts."""


class BoundShutdown(Protocol):
    """A shutdown hook of an instance."""

    async def __call__(self, instance: Any, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run when the server stops."""


class BoundScan(Protocol):
    """A scan hook of an instance."""

    async def __call__(self, instance: Any, async_lib: AsyncLibraryLayer, /) -> Any:
        """Run again and again."""
